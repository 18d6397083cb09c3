"""Write data/shop: the log of the simulated shop, with its fixed parameters.

python data/build_shop.py             write the tables
python data/build_shop.py --verify    make them again and compare; write nothing
"""

import bz2
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# the package need not be installed
sys.path.insert(0, str(ROOT))

from xrec_utils.files import replace_bytes  # noqa: E402
from xrec_utils.shop.log import FOLDER, TABLES, simulate  # noqa: E402
from xrec_utils.shop.shop import Shop  # noqa: E402


def files() -> dict[str, bytes]:
    """The content of every file, packed the same way on every machine."""
    data = simulate(Shop(seed=0), seed=0)
    packed = {}
    for name in TABLES:
        table = getattr(data, name)
        text = table.to_csv(index=False, lineterminator="\n")
        packed[f"{name}.csv.bz2"] = bz2.compress(text.encode())
    return packed


def verify(folder: Path) -> list[str]:
    """The names of files whose content differs from what the code makes."""
    different = []
    for name, packed in files().items():
        path = folder / name
        # the texts are compared: another bzip2 may pack them in another way
        if not path.exists() or _unpacked(path) != bz2.decompress(packed):
            different.append(name)
    return different


def _unpacked(path: Path) -> bytes:
    """The content of a compressed file."""
    return bz2.decompress(path.read_bytes())


def main() -> None:
    """Write, or with --verify compare."""
    if "--verify" in sys.argv[1:]:
        different = verify(FOLDER)
        if different:
            print(f"different: {', '.join(different)}")
        else:
            print("data/shop is what the code makes.")
        sys.exit(bool(different))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, packed in files().items():
        replace_bytes(FOLDER / name, packed)
        print(f"{name}: {len(packed):,} bytes")


if __name__ == "__main__":
    main()

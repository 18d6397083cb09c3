"""Write data/shop: the log of the simulated shop, made with the fixed parameters of
xrec_utils.shop.

python data/build_shop.py             write the tables
python data/build_shop.py --verify    make them again and compare with what is there; write nothing
"""

import bz2
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from xrec_utils.files import replace_bytes  # noqa: E402
from xrec_utils.shop import Shop  # noqa: E402
from xrec_utils.shop_log import FOLDER, TABLES, simulate  # noqa: E402


def files() -> dict[str, bytes]:
    """The content of every file, packed the same way on every machine."""
    data = simulate(Shop(seed=0), seed=0)
    return {
        f"{name}.csv.bz2": bz2.compress(
            getattr(data, name).to_csv(index=False, lineterminator="\n").encode()
        )
        for name in TABLES
    }


def verify(folder: Path) -> list[str]:
    """The names of files whose content differs from what the code makes."""
    return [
        name
        for name, packed in files().items()
        if not (folder / name).exists()
        or bz2.decompress((folder / name).read_bytes()) != bz2.decompress(packed)
    ]


def main() -> None:
    """Write, or with --verify compare."""
    if "--verify" in sys.argv[1:]:
        different = verify(FOLDER)
        print(
            "data/shop is what the code makes."
            if not different
            else f"different: {', '.join(different)}"
        )
        sys.exit(bool(different))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, packed in files().items():
        replace_bytes(FOLDER / name, packed)
        print(f"{name}: {len(packed):,} bytes")


if __name__ == "__main__":
    main()

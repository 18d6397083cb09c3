"""Write data/study/answers.csv: SIMULATED answers of a study, made by
xrec_utils.asking.simulate.

python data/build_study.py             write the table
python data/build_study.py --verify    make it again and compare with what is there; write nothing
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from xrec_utils.asking import STUDY, simulate  # noqa: E402
from xrec_utils.files import replace_bytes  # noqa: E402

ORIGIN = "# SIMULATED by data/build_study.py: nobody was asked. These answers test the analysis code only.\n"


def content() -> bytes:
    """The file, the same on every machine."""
    return (ORIGIN + simulate().to_csv(index=False, lineterminator="\n")).encode()


def main() -> None:
    """Write, or with --verify compare."""
    if "--verify" in sys.argv[1:]:
        same = STUDY.exists() and STUDY.read_bytes() == content()
        print(
            "data/study is what the code makes." if same else "different: answers.csv"
        )
        sys.exit(not same)
    STUDY.parent.mkdir(parents=True, exist_ok=True)
    replace_bytes(STUDY, content())
    print(f"answers.csv: {len(content()):,} bytes")


if __name__ == "__main__":
    main()

"""Write data/study/answers.csv: SIMULATED answers, by xrec_utils.judge.asking.simulate.

python data/build_study.py             write the table
python data/build_study.py --verify    make it again and compare; write nothing
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# the package need not be installed
sys.path.insert(0, str(ROOT))

from xrec_utils.files import replace_bytes  # noqa: E402
from xrec_utils.judge.asking import STUDY, simulate  # noqa: E402

ORIGIN = (
    "# SIMULATED by data/build_study.py: nobody was asked. "
    "These answers test the analysis code only.\n"
)


def content() -> bytes:
    """The file, the same on every machine."""
    table = simulate().to_csv(index=False, lineterminator="\n")
    return (ORIGIN + table).encode()


def main() -> None:
    """Write, or with --verify compare."""
    if "--verify" in sys.argv[1:]:
        same = STUDY.exists() and STUDY.read_bytes() == content()
        if same:
            print("data/study is what the code makes.")
        else:
            print("different: answers.csv")
        sys.exit(not same)
    STUDY.parent.mkdir(parents=True, exist_ok=True)
    table = content()
    replace_bytes(STUDY, table)
    print(f"answers.csv: {len(table):,} bytes")


if __name__ == "__main__":
    main()

"""Write data/study/answers.csv: SIMULATED answers of people who are not there.

python data/build_study.py             write the table
python data/build_study.py --verify    make it again and compare; write nothing
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# the package need not be installed
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from xrec_utils.files import replace_bytes  # noqa: E402
from xrec_utils.judge.asking import KINDS, QUESTIONNAIRE, STUDY, plan  # noqa: E402

ORIGIN = (
    "# SIMULATED by data/build_study.py: nobody was asked. "
    "These answers test the analysis code only.\n"
)

# what the simulation plants, in points over no reason: (popular films, Shapley values)
EFFECTS = {
    "trust": (0.0, 0.0),
    "understanding": (0.3, 1.2),
    "persuasiveness": (1.0, 0.4),
    "effectiveness": (-0.4, 0.4),
}


def simulate(
    people: int = 36, effects: dict[str, tuple[float, float]] = EFFECTS, seed: int = 0
) -> pd.DataFrame:
    """Draw answers from a known world: one row per person and kind.

    Columns of `plan`, the statements, expected, given. A person has a level of his own
    (SD 1), every answer its noise (SD 1), on seven points; stars from 1 to 5. effects:
    {aim: (popular films, Shapley values)} over no reason, in points. An effect on
    effectiveness takes as much from the spread, 1.2 stars, by which the expected stars
    miss the given ones. Raises ValueError as `plan` does.
    """
    table = plan(people, seed=seed)
    random = np.random.default_rng([seed, 1])
    # rows kinds, columns aims: what a kind adds; the first one adds nothing
    of_kinds = pd.DataFrame(effects, index=KINDS[1:]).reindex(KINDS, fill_value=0.0)
    planted = of_kinds.loc[table["kind"]].reset_index(drop=True)
    # the stored answers hang on the order of the draws
    level = random.normal(0, 1, people)[table["person"]]
    for code, statement in QUESTIONNAIRE.items():
        felt = _on_scale(
            4 + level + planted[statement.aim] + random.normal(size=len(table)),
            points=7,
        )
        table[code] = 8 - felt if statement.turned else felt
    given = random.integers(1, 6, len(table))
    miss = random.normal(size=len(table)) * (1.2 - planted["effectiveness"])
    return table.assign(
        expected=_on_scale(given + miss, points=5),
        given=given,
    )


def _on_scale(felt: np.ndarray, points: int) -> np.ndarray:
    """Whole answers from 1 to `points`."""
    return np.clip(np.rint(felt), 1, points).astype(int)


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

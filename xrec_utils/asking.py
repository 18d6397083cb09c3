"""Asking people about explanations: the questionnaire, the plan, how many to ask, and
the comparison of their answers.

Every person meets every kind of explanation (within-subject), so each is compared with
himself and what separates people cancels. The answers in data/study are SIMULATED by
`simulate`: they prove this code, and say nothing of people. The aims measured are those
of Tintarev & Masthoff 2012 (doi:10.1007/s10618-011-0233-1); the wording is ours.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import nct, t, ttest_rel

from xrec_utils.agreement import holm
from xrec_utils.paths import DATA

STUDY = DATA / "study" / "answers.csv"
KINDS = ("no reason", "popular films", "Shapley values")
AIMS = ("trust", "understanding", "persuasiveness", "effectiveness")


class Statement(NamedTuple):
    """One line of the questionnaire, answered from 1 (not at all) to 7 (fully); turned:
    agreeing speaks against.
    """

    aim: str
    text: str
    turned: bool = False


QUESTIONNAIRE = {
    "t1": Statement("trust", "I would rely on such reasons when I choose a film."),
    "t2": Statement(
        "trust", "I suspect that the real reason is another one.", turned=True
    ),
    "u1": Statement("understanding", "I can say what in my history led to this film."),
    "u2": Statement(
        "understanding",
        "I could foretell what changes if I took a film out of my history.",
    ),
    "p1": Statement("persuasiveness", "This makes me want to watch the film."),
    "p2": Statement(
        "persuasiveness", "Shown like this, I would pass the film over.", turned=True
    ),
}
# two questions more, in stars: expected (before watching) and given (after); their
# distance is the effectiveness


# ---------------------------------------------------------------- the plan


def orders(kinds: tuple[str, ...] = KINDS) -> list[tuple[str, ...]]:
    """Orders in which each kind stands at each place, and follows each other kind,
    equally often (Williams 1949).

    As many orders as kinds, twice as many for an odd number. Raises ValueError for
    fewer than two kinds.
    """
    n = len(kinds)
    if n < 2:
        raise ValueError(f"a within-subject plan compares two or more kinds, got {n}")
    zigzag = [(place + 1) // 2 if place % 2 else -place // 2 for place in range(n)]
    rows = [tuple(kinds[(start + step) % n] for step in zigzag) for start in range(n)]
    return rows + [row[::-1] for row in rows] * (n % 2)


def plan(people: int, kinds: tuple[str, ...] = KINDS, seed: int = 0) -> pd.DataFrame:
    """Who meets which kind when: person, place (from 1), kind; the orders are dealt by
    lot, equally often.

    Raises ValueError unless `people` is a multiple of the number of orders.
    """
    every = orders(kinds)
    if people < 1 or people % len(every):
        raise ValueError(
            f"people={people} must be a multiple of the {len(every)} orders, or the plan is not balanced"
        )
    dealt = np.random.default_rng(seed).permutation(np.arange(people) % len(every))
    rows = [
        (who, place, kind)
        for who, one in enumerate(dealt)
        for place, kind in enumerate(every[one], start=1)
    ]
    return pd.DataFrame(rows, columns=["person", "place", "kind"])


# ---------------------------------------------------------------- how many


def power(effect: float, people: int, alpha: float = 0.05) -> float:
    """Chance that a two-sided paired t test at level `alpha` finds an effect (Cohen
    1988).

    effect: mean of the differences divided by their standard deviation, d_z, no unit.
    With n people the statistic has a noncentral t distribution with n - 1 degrees of
    freedom and noncentrality d_z √n. Raises ValueError for one person.
    """
    if people < 2:
        raise ValueError(f"people={people}: a standard deviation needs two or more")
    limit, shift = t.ppf(1 - alpha / 2, people - 1), effect * np.sqrt(people)
    return float(
        sum(nct.sf(limit, people - 1, way) for way in (shift, -shift))
    )  # cdf(-limit) turns NaN far out


def people_needed(effect: float, wanted: float = 0.8, alpha: float = 0.05) -> int:
    """Fewest people with whom `power` reaches `wanted`. For m tests under Holm, alpha /
    m is the careful choice.

    Raises ValueError for an effect below 0.02, which thousands of people would not
    show.
    """
    if abs(effect) < 0.02:
        raise ValueError(
            f"effect={effect}: below 0.02 a study would need thousands of people"
        )
    people = 2
    while power(effect, people, alpha) < wanted:
        people += 1
    return people


# ---------------------------------------------------------------- the answers

# what the simulation plants, in points: of popular films and of Shapley values, over no
# reason
EFFECTS = {
    "trust": (0.0, 0.0), "understanding": (0.3, 1.2), "persuasiveness": (1.0, 0.4), "effectiveness": (-0.4, 0.4),
}  # fmt: skip


def simulate(
    people: int = 36, effects: dict[str, tuple[float, float]] = EFFECTS, seed: int = 0
) -> pd.DataFrame:
    """Draw answers from a known world: one row per person and kind, columns of `plan`,
    the statements, expected, given.

    A person has a level of his own (SD 1), every answer its noise (SD 1), on seven
    points; stars from 1 to 5. effects: {aim: (popular films, Shapley values)} over no
    reason, in points. An effect on effectiveness takes as much from the spread, 1.2
    stars, by which the expected stars miss the given ones.
    """
    table, random = plan(people, seed=seed), np.random.default_rng([seed, 1])
    kind = table["kind"].map(KINDS.index).to_numpy()
    planted = {aim: np.array((0.0, *effects[aim]))[kind] for aim in AIMS}
    level = random.normal(0, 1, people)[table["person"]]
    for code, statement in QUESTIONNAIRE.items():
        felt = np.clip(
            np.rint(
                4 + level + planted[statement.aim] + random.normal(size=len(table))
            ),
            1,
            7,
        ).astype(int)
        table[code] = 8 - felt if statement.turned else felt
    given = random.integers(1, 6, len(table))
    miss = random.normal(size=len(table)) * (1.2 - planted["effectiveness"])
    return table.assign(
        expected=np.clip(np.rint(given + miss), 1, 5).astype(int), given=given
    )


def load_answers(path: Path = STUDY) -> pd.DataFrame:
    """A table of answers; lines that begin with # tell its origin. Raises ValueError
    when a column is missing.
    """
    answers = pd.read_csv(path, comment="#")
    missing = {"person", "place", "kind", *QUESTIONNAIRE, "expected", "given"} - set(
        answers
    )
    if missing:
        raise ValueError(
            f"{Path(path).name} lacks {', '.join(sorted(missing))}: see data/study/README.md"
        )
    return answers


def aims(answers: pd.DataFrame) -> pd.DataFrame:
    """Each person's mark of each kind: rows person, columns (aim, kind), higher is
    better.

    Mean of an aim's statements on 1..7, turned ones turned back; effectiveness is minus
    |expected - given| in stars (Bilgic & Mooney 2005). Several rows of a person and
    kind are averaged; raises ValueError where one is missing.
    """
    marks = pd.DataFrame(
        {"effectiveness": -(answers["expected"] - answers["given"]).abs()}
    )
    for aim in AIMS[:-1]:
        codes = [
            code for code, statement in QUESTIONNAIRE.items() if statement.aim == aim
        ]
        marks[aim] = np.mean(
            [8 - answers[c] if QUESTIONNAIRE[c].turned else answers[c] for c in codes],
            axis=0,
        )
    table = (
        marks[list(AIMS)].groupby([answers["person"], answers["kind"]]).mean().unstack()
    )
    if table.isna().any(axis=None):
        raise ValueError(
            "somebody did not meet every kind: leave that person out, and say so"
        )
    return table


def compare(marks: pd.DataFrame) -> pd.DataFrame:
    """All pairs of kinds on each aim: aim, one, other, mean (of one - other), low,
    high, effect, p, p_holm.

    low, high: 95% t interval, of this pair alone. effect: d_z. p: paired t test;
    p_holm: over all rows. Constant differences give no p: they raise ValueError.
    """
    rows = []
    for aim in AIMS:
        for one, other in combinations(reversed(KINDS), 2):
            difference = marks[aim, one] - marks[aim, other]
            if difference.std() == 0:
                raise ValueError(
                    f"{aim}: {one} and {other} differ by the same for everybody; look at the raw answers"
                )
            test = ttest_rel(marks[aim, one], marks[aim, other])
            effect = difference.mean() / difference.std()
            rows.append(
                (
                    aim,
                    one,
                    other,
                    difference.mean(),
                    *test.confidence_interval(),
                    effect,
                    test.pvalue,
                )
            )
    table = pd.DataFrame(
        rows, columns=["aim", "one", "other", "mean", "low", "high", "effect", "p"]
    )
    return table.assign(p_holm=holm(table["p"].to_numpy()))

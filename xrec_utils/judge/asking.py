"""Asking people about explanations: questions, plan, sample size, comparison.

Every person meets every kind of explanation (within-subject), so each is compared with
himself and what separates people cancels. The answers in data/study are SIMULATED: they
prove this code, and say nothing of people. The aims measured are those of Tintarev &
Masthoff 2012 (doi:10.1007/s10618-011-0233-1); the wording is ours.
"""

from itertools import combinations, product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import nct, t, ttest_1samp

from xrec_utils.checks import check_within
from xrec_utils.contract import check_count
from xrec_utils.files import DATA, require
from xrec_utils.judge.comparisons import holm

STUDY = DATA / "study" / "answers.csv"
KINDS = ("no reason", "popular films", "Shapley values")
AIMS = ("trust", "understanding", "persuasiveness", "effectiveness")


class Statement(NamedTuple):
    """One line of the questionnaire, answered from 1 (not at all) to 7 (fully).

    aim: what it measures. turned: agreeing speaks against.
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
# two questions more, in stars: expected (before watching) and given (after);
# their distance is the effectiveness


# ------------------------------------------------------------------- the plan


def orders(kinds: tuple[str, ...] = KINDS) -> list[tuple[str, ...]]:
    """Orders in which each kind stands at each place equally often (Williams 1949).

    Each kind also follows each other kind equally often. As many orders as kinds, twice
    as many for an odd number. Raises ValueError for fewer than two different kinds.
    """
    n = len(kinds)
    require(
        not isinstance(kinds, str) and len(set(kinds)) >= max(n, 2),
        "a within-subject plan compares two or more kinds of different names, "
        f"got {kinds!r}",
    )
    # 0, 1, -1, 2, -2, ...: neighbours lie at all distances, each once
    places = np.arange(n)
    zigzag = np.where(places % 2, places + 1, -places) // 2
    # every start shifts the zigzag by one, so each kind comes to each place
    rows = [tuple(kinds[(start + step) % n] for step in zigzag) for start in range(n)]
    if n % 2:
        # an odd number balances who follows whom only with all orders reversed too
        rows += [row[::-1] for row in rows]
    return rows


def plan(people: int, kinds: tuple[str, ...] = KINDS, seed: int = 0) -> pd.DataFrame:
    """Who meets which kind when; the orders are dealt by lot, equally often.

    Args:
        people: a multiple of the number of `orders`, six for three kinds.
        kinds: of explanation.
        seed: of the lot.

    Returns:
        One row per person and kind: person (from 0), place (from 1), kind.

    Raises:
        ValueError: `people` is not such a multiple.

    Source: Williams 1949, doi:10.1071/CH9490149.

    Example:
        >>> plan(2, kinds=("A", "B"))["place"].tolist()
        [1, 2, 1, 2]
        >>> sorted(plan(2, kinds=("A", "B")).query("place == 1")["kind"])
        ['A', 'B']
    """
    check_count("people", people)
    every = orders(kinds)
    require(
        people % len(every) == 0,
        f"people={people} must be a multiple of the {len(every)} orders, "
        "or the plan is not balanced",
    )
    dealt = np.random.default_rng(seed).permutation(
        np.arange(people) % len(every),
    )
    return pd.DataFrame(
        {
            "person": np.repeat(np.arange(people), len(kinds)),
            "place": np.tile(np.arange(len(kinds)) + 1, people),
            "kind": [kind for number in dealt for kind in every[number]],
        }
    )


# ------------------------------------------------------------------- how many


def power(effect: float, people: int, alpha: float = 0.05) -> float:
    """Chance that a two-sided paired t test at level `alpha` finds an effect.

    With n people the statistic has a noncentral t distribution with n - 1 degrees of
    freedom and noncentrality d_z √n.

    Args:
        effect: mean of the differences divided by their standard deviation, d_z, no
            unit.
        people: two or more.
        alpha: level of the test.

    Returns:
        The chance, in [0, 1].

    Raises:
        ValueError: fewer than two people, an effect outside [-100, 100], or a level
            outside [0.000001, 1].

    Source: Cohen 1988, Statistical Power Analysis for the Behavioral Sciences.

    Example:
        Without an effect the test is significant as often as its level says:

        >>> round(power(0.0, 20), 3), round(power(0.5, 34), 2)
        (0.05, 0.81)
    """
    # a standard deviation needs two
    check_count("people", people, least=2)
    check_within("alpha", alpha, low=1e-6)
    check_within("effect", effect, low=-100, high=100)
    freedom = people - 1
    # as a float: NumPy takes a small type's root in half precision
    shift = effect * np.sqrt(float(people))
    # the lower side by symmetry: the cdf turns NaN far out
    both_sides = nct.sf(t.ppf(1 - alpha / 2, freedom), freedom, [shift, -shift])
    return float(both_sides.sum())


def people_needed(effect: float, wanted: float = 0.8, alpha: float = 0.05) -> int:
    """Fewest people with whom `power` reaches `wanted`.

    For m tests under Holm, alpha / m is the careful choice.

    Args:
        effect: d_z, see `power`.
        wanted: chance of finding it, in (0, 1).
        alpha: level of the test.

    Returns:
        People, two or more.

    Raises:
        ValueError: an effect below 0.02, which thousands of people would not show, or
            a chance or level that no number of people reaches.

    Example:
        >>> people_needed(0.5)
        34
    """
    check_within("wanted", wanted, high=0.999)
    require(
        # NaN has its own message, from `power`
        not abs(effect) < 0.02,
        f"effect={effect}: below 0.02 a study would need thousands of people",
    )
    people = 2
    while power(effect, people, alpha) < wanted:
        people += 1
    return people


# ---------------------------------------------------------------- the answers


def load_answers(path: Path = STUDY) -> pd.DataFrame:
    """A table of answers; lines that begin with # tell its origin.

    Args:
        path: a CSV file; by default the simulated answers shipped.

    Returns:
        One row per person and kind: person, place, kind, the statements of
        QUESTIONNAIRE (1 to 7), expected and given (stars, 1 to 5).

    Raises:
        ValueError: a column is missing, or an answer is none or off its scale.
        FileNotFoundError: there is no such file.

    Example:
        >>> answers = load_answers()
        >>> sorted(answers["kind"].unique())
        ['Shapley values', 'no reason', 'popular films']
    """
    answers = pd.read_csv(path, comment="#")
    name = Path(path).name
    needed = {"person", "place", "kind", *QUESTIONNAIRE, "expected", "given"}
    missing = sorted(needed - set(answers))
    require(
        not missing,
        f"{name} lacks {', '.join(missing)}: see data/study/README.md",
    )
    check_within(f"{name}: statements", answers[list(QUESTIONNAIRE)], 1, 7)
    check_within(f"{name}: stars", answers[["expected", "given"]], 1, 5)
    return answers


def aims(answers: pd.DataFrame) -> pd.DataFrame:
    """Each person's mark of each kind on each aim, higher is better.

    Mean of an aim's statements on 1..7, turned ones turned back; effectiveness is minus
    |expected - given| in stars (Bilgic & Mooney 2005). Several rows of a person and
    kind are averaged.

    Args:
        answers: a table as `load_answers` gives it.

    Returns:
        Rows person, columns (aim, kind).

    Raises:
        ValueError: somebody did not meet every kind.

    Example:
        >>> marks = aims(load_answers())
        >>> marks.columns.get_level_values(0).unique().tolist()
        ['trust', 'understanding', 'persuasiveness', 'effectiveness']
    """
    # more always speaks for the explanation
    turned_back = pd.DataFrame(
        {
            code: 8 - answers[code] if statement.turned else answers[code]
            for code, statement in QUESTIONNAIRE.items()
        }
    )
    marks = pd.DataFrame(
        # as floats: small whole numbers without a sign would wrap around
        {
            "effectiveness": -(
                answers["expected"] - answers["given"].astype(float)
            ).abs()
        },
    )
    for aim in AIMS[:-1]:
        codes = [code for code, asked in QUESTIONNAIRE.items() if asked.aim == aim]
        # without one of the answers there is no mark
        marks[aim] = turned_back[codes].mean(
            axis="columns",
            skipna=False,
        )
    of_a_person = [answers["person"], answers["kind"]]
    table = marks[list(AIMS)].groupby(of_a_person).mean().unstack()
    # who did not meet a kind has no mark there
    require(
        not table.isna().any(axis=None),
        "somebody did not meet every kind: leave that person out, and say so",
    )
    return table


def compare(marks: pd.DataFrame) -> pd.DataFrame:
    """All pairs of kinds on each aim, by a paired t test each.

    Args:
        marks: a table as `aims` gives it.

    Returns:
        One row per aim and pair: aim, one, other, mean (of one - other, in points or
        stars), low, high (95% t interval, of this pair alone), effect (d_z, no unit), p
        (paired t test) and p_holm (over all rows).

    Raises:
        ValueError: constant differences, which give no p.

    Example:
        >>> table = compare(aims(load_answers()))
        >>> len(table)  # four aims, three pairs each
        12
    """
    rows = []
    for aim, (one, other) in product(AIMS, combinations(reversed(KINDS), 2)):
        # each person's mark of one kind less that of the other
        difference = marks[aim, one] - marks[aim, other]
        require(
            difference.std() != 0,
            f"{aim}: {one} and {other} differ by the same for everybody; "
            "look at the raw answers",
        )
        test = ttest_1samp(difference, 0)
        rows.append(
            {
                "aim": aim,
                "one": one,
                "other": other,
                "mean": difference.mean(),
                **test.confidence_interval()._asdict(),
                "effect": difference.mean() / difference.std(),
                "p": test.pvalue,
            }
        )
    return pd.DataFrame(rows).assign(
        p_holm=holm([row["p"] for row in rows]),
    )

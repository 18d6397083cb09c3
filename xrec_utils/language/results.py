"""data/bench/language.csv: the stored answers of the language model, in numbers.

`python -m xrec_tools.bench.language table` writes it and asks no model. A new figure is
one more function of ROWS. Intervals are at 95%, by bootstrap over users.
"""

from collections.abc import Callable, Iterator
from dataclasses import astuple
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from xrec_utils import language, zoo
from xrec_utils.data import Catalogue, load_movielens
from xrec_utils.explain import (
    brute_force,
    leave_one_out,
    leverage_regression,
    most_recent,
)
from xrec_utils.files import DATA, replace_text
from xrec_utils.games import Explanation, Game
from xrec_utils.judge import area, deletion_curve, kendall, order, relative_error
from xrec_utils.language import experiment as lang
from xrec_utils.language import precision, reasons
from xrec_utils.language.citations import Citations
from xrec_utils.language.experiment import ndcg_of
from xrec_utils.language.prompt_game import template_reason
from xrec_utils.language.replies import films_in
from xrec_utils.metrics.intervals import mean_interval
from xrec_utils.metrics.ranking import discounts

RESULT = DATA / "bench" / "language.csv"
ASKED = (
    "sequential",
    "recency-focused",
    "in-context",
    "no list",
    "no list, no history",
)
SMALL = "SmolLM2-135M-Instruct, stored answers"
GROUPS = (64, 128)  # how many of the 256 groups of lines the estimates read
GRADIENTS = ("integrated gradients (16 steps)", "integrated gradients (64 steps)")
EFFECTS = ("preference", "places among 20", "size of the change of preference")
BESIDE = ("popularity", "ease", "attention")


class Row(NamedTuple):
    """One figure with its interval.

    figure: what was measured. of: of what. value, low, high: in the unit of the figure.
    n: users. source: whose answers.
    """

    figure: str
    of: str
    value: float
    low: float
    high: float
    n: int
    source: str


def row(figure: str, of: str, by_user: np.ndarray, source: str = SMALL) -> Row:
    """The mean over users as a row."""
    interval = astuple(mean_interval(by_user))
    return Row(figure, of, *interval, len(by_user), source)


def spread(by_place: np.ndarray) -> float:
    """Largest minus smallest mean over users; by_place (places, users)."""
    means = by_place.mean(axis=1)
    return float(means.max() - means.min())


def quality() -> Iterator[Row]:
    """NDCG@10 of everything that ranks the same candidates.

    Also its lead over popularity.

    Yields:
        Rows "NDCG@10" and "NDCG@10 minus popularity", in [0, 1] and [-1, 1].

    Example:
        >>> first = next(quality())
        >>> first.of, round(float(first.value), 3)
        ('random order', 0.227)
    """
    # a random order puts the target at each place equally often
    chance = discounts(np.arange(1, lang.CANDIDATES + 1), k=10).mean()
    certain = (chance, chance, chance)
    yield Row("NDCG@10", "random order", *certain, lang.USERS, "closed form")
    ranked = _ranked()
    for name, (by_user, source) in ranked.items():
        yield row("NDCG@10", name, by_user, source)
    popular, _ = ranked.pop("popularity")
    for name, (by_user, source) in ranked.items():
        yield row("NDCG@10 minus popularity", name, by_user - popular, source)


def _ranked() -> dict[str, tuple[np.ndarray, str]]:
    """NDCG@10 by user and source of everything that ranks the candidates."""
    encoder = "all-MiniLM-L6-v2, stored answers"
    course = "weights of the course"
    return {
        **{f"SmolLM2, {name}": (ndcg_of(lang.scores(name)), SMALL) for name in ASKED},
        "MiniLM similarity": (ndcg_of(lang.similarity()), encoder),
        **{name: (ndcg_of(lang.baseline(name)), course) for name in BESIDE},
        # as many films as the language model is told
        "ease, last 10 films": (ndcg_of(lang.baseline("ease", lang.LENGTH)), course),
    }


def history() -> Iterator[Row]:
    """What the list and the user's films add, and what more or fewer films do.

    Yields:
        Rows of differences of NDCG@10, and of NDCG@10 by length of the history.

    Example:
        >>> next(history()).of
        'list minus no list'
    """
    by_name = {
        name: ndcg_of(lang.scores(name)) for name in (*ASKED, "5 films", "20 films")
    }
    # only half of the users are asked with 5 and with 20 films
    by_name["10 films"] = by_name["sequential"][: lang.HALF]
    differences = (
        ("list minus no list", "sequential", "no list"),
        ("history minus no history", "no list", "no list, no history"),
        ("5 films minus 10 films", "5 films", "10 films"),
        ("20 films minus 10 films", "20 films", "10 films"),
    )
    for of, one, other in differences:
        yield row("NDCG@10, difference", of, by_name[one] - by_name[other])
    for name in ("5 films", "10 films", "20 films"):
        yield row("NDCG@10, history length", name, by_name[name])


def places() -> Iterator[Row]:
    """NDCG@10 by the target's place in the list, and the spread of the five places.

    As asked, and averaged over four turns.
    """
    asked = [f"target at {start}" for start in lang.STARTS]
    orders = {
        "one order": map(lang.scores, asked),
        "mean of four turns": map(lang.averaged, lang.STARTS),
    }
    for name, scores in orders.items():
        # (places, users)
        by_place = np.array(list(map(ndcg_of, scores)))
        for of, by_user in zip(asked, by_place, strict=True):
            yield row(f"NDCG@10, {name}", of, by_user)
        yield _resampled_row("spread of NDCG@10 over places", name, spread, by_place)


def _resampled_row(
    figure: str, of: str, statistic: Callable[[np.ndarray], float], table: np.ndarray
) -> Row:
    """A statistic of a table (..., users) as a row."""
    interval = astuple(precision.resampled(statistic, table))
    return Row(figure, of, *interval, table.shape[-1], SMALL)


def written(kind: str) -> pd.DataFrame:
    """What the model wrote for each user, counted: all titles, and different ones.

    Of the different ones, unknown: no film of the catalogue; invented: nor any other of
    movielens-small; seen: films of the prompt's history; offered: candidates.
    """
    films = load_movielens("movielens-small").items
    catalogue = Catalogue(zoo.split().titles)
    others = Catalogue(
        films["title"]
        # a year is a float there, because some films have none
        + films["year"].map(" ({:.0f})".format)
    )
    return pd.DataFrame(
        _counted(n, reply, catalogue, others)
        for n, reply in enumerate(reasons.texts(kind))
    )


def _counted(
    n: int, reply: str, catalogue: Catalogue, others: Catalogue
) -> dict[str, int]:
    """The titles of one reply, counted as `written` says."""
    past = reasons.lines(n)
    offered = lang.panel().candidates[n]
    titles = films_in(reply)
    # each once, in the order written
    different = list(dict.fromkeys(titles))
    matches = catalogue.match(different, likely=[*past, *offered])
    unknown = matches.invented
    # an empty list of titles cannot be matched
    invented = others.match(unknown).invented if unknown else []
    return {
        "titles": len(titles),
        "different": len(different),
        "unknown": len(unknown),
        "invented": len(invented),
        "seen": np.isin(matches.codes, past).sum(),
        "offered": np.isin(matches.codes, offered).sum(),
    }


def lists() -> Iterator[Row]:
    """Of the titles that the model writes, how many differ, and what these are.

    Yields:
        Rows of shares in [0, 1], of "list" and "choice" (see `language.texts`).

    Example:
        >>> next(lists()).figure
        'share of titles different'
    """
    for kind in ("list", "choice"):
        # (users,) per column
        counts = written(kind)
        for part in ("different", "unknown", "invented", "seen", "offered"):
            whole = "titles" if part == "different" else "different"
            # (2, users)
            both = counts[[part, whole]].to_numpy().T
            yield _resampled_row(f"share of titles {part}", kind, precision.share, both)


@cache
def explained() -> dict[str, list[Explanation]]:
    """What each method says of the lines of the prompts whose games are stored in full.

    Returns:
        By method, the exact Shapley values first: one explanation for each of the 16
        prompts, whose values (8,) are in the unit of the method.

    Raises:
        ValueError: the stored answers belong to other cases.

    Example:
        >>> said = explained()
        >>> len(said["exact Shapley"]), len(said["exact Shapley"][0].values)
        (16, 8)
    """
    cases = range(lang.EXPLAINED)
    games = list(map(reasons.game, cases))
    by_method = {"exact Shapley": list(map(brute_force, games))}
    for groups in GROUPS:
        by_method[f"Shapley, {groups} groups"] = [
            leverage_regression(game, groups, seed=n) for n, game in enumerate(games)
        ]
    by_method["leave-one-out"] = list(map(leave_one_out, games))
    for method in (*GRADIENTS, "LIME over words", "attention"):
        by_method[method] = [
            # stored, for these ask the model itself
            reasons.explanation(n, method)
            for n in cases
        ]
    by_method["most recent first"] = list(map(most_recent, games))
    return by_method


def lead(game: Game, explanation: Explanation) -> float:
    """How much lower the deletion curve lies than that of a random order.

    Its mean over all orders is exact here.
    """
    scores, size = game(language.groups()), language.groups().sum(axis=1)
    chance = [scores[size == left].mean() for left in range(language.LINES, -1, -1)]
    return area(np.array(chance)) - area(deletion_curve(game, order(explanation)))


def referee() -> Iterator[Row]:
    """Deletion, agreement with the exact values, errors and gaps, by prompt."""
    games = list(map(reasons.game, range(lang.EXPLAINED)))
    values = {
        name: [each.values for each in explanations]
        for name, explanations in explained().items()
    }
    exact = values["exact Shapley"]
    for name, explanations in explained().items():
        leads = list(map(lead, games, explanations))
        yield row("deletion, lead over a random order", name, np.array(leads))
        if name != "exact Shapley":
            taus = list(map(kendall, values[name], exact))
            yield row("Kendall's tau with exact Shapley", name, np.array(taus))
    for groups in GROUPS:
        name = f"Shapley, {groups} groups"
        errors = list(map(relative_error, values[name], exact))
        yield row("relative error to exact Shapley", name, np.array(errors))
    for name in GRADIENTS:
        gaps = np.array([abs(each.gap) for each in explained()[name]])
        rises = np.array([abs(each.score - each.base) for each in explained()[name]])
        yield row("size of the gap, nats", name, gaps)
        yield row("gap smaller than what is explained", name, gaps < rises)


def _invented(of: str, mentions: list[Citations]) -> Row:
    """The share of titles mentioned that are no film's."""
    counts = [
        # part and whole
        [len(each.invented), len([*each.cited, *each.others, *each.invented])]
        for each in mentions
    ]
    table = np.transpose(counts)
    return _resampled_row("share of titles invented", of, precision.share, table)


def cited_films() -> Iterator[Row]:
    """What the model's reasons cite and whether it matters; beside the template's."""
    stated = reasons.stated()
    falls = list(map(reasons.falls, range(lang.USERS)))
    yield _invented("stated reasons", stated)
    asked = {"first users": slice(lang.TRIED), "new users": slice(lang.TRIED, None)}
    for who, users in asked.items():
        gaps = _gaps(falls[users], stated[users])
        for of, by_user in zip(EFFECTS, gaps.T, strict=True):
            yield row(f"deletion, cited minus other films, {who}", of, by_user)
    cited = {"stated reasons": [each.cited for each in stated]}
    for groups in GROUPS:
        name = f"template, {groups} groups"
        estimates = explained()[f"Shapley, {groups} groups"]
        told = list(map(template_reason, estimates))
        cited[name] = [reason.cited for reason in told]
        named = [reasons.named_in(n, reason.sentence) for n, reason in enumerate(told)]
        yield _invented(name, named)
    exact = [each.values for each in explained()["exact Shapley"]]
    tests = {"exact Shapley": exact, "deletion": [fall[0] for fall in falls]}
    for test, effects in tests.items():
        for name, lines in cited.items():
            yield from _precision(test, name, lines, effects)
            if name != "stated reasons":
                yield _difference(test, name, [lines, cited["stated reasons"], effects])


def _gaps(falls: list[np.ndarray], stated: list[Citations]) -> np.ndarray:
    """How much more deleting cited lines costs than deleting others: (cases, 3).

    Only of cases whose reason cites some lines and not all.
    """
    gaps = []
    for fall, reason in zip(falls, stated, strict=True):
        if 0 < len(reason.cited) < lang.LINES:
            said = np.isin(range(lang.LINES), reason.cited)
            # (3, lines), as in EFFECTS
            effects = np.array([*fall, abs(fall[0])])
            gaps.append(effects[:, said].mean(axis=1) - effects[:, ~said].mean(axis=1))
    return np.array(gaps)


def _precision(
    test: str, name: str, lines: list[list[int]], effects: list[np.ndarray]
) -> Iterator[Row]:
    """Citation precision, and its lead over chance.

    Of the cases that have both reason and effect.
    """
    cases = min(len(lines), len(effects))
    found = precision.citation_precision(lines[:cases], effects[:cases])
    source = f"{found.right} of {found.cited} films"
    for figure, interval in (
        ("citation precision", found.share),
        ("citation precision minus chance", found.lead),
    ):
        ends = astuple(interval)
        yield Row(f"{figure}, {test}", name, *ends, found.users, source)


def _difference(test: str, name: str, every: list[list]) -> Row:
    """How much more often one kind of reasons is right than the stated ones.

    every: lines cited, lines that the stated reasons cite, effects; of users.
    """
    # the same users on both sides
    users = [user for user in zip(*every, strict=False) if user[0] and user[1]]
    interval = precision.precision_difference(*zip(*users, strict=True))
    figure = f"citation precision minus the stated reasons', {test}"
    return Row(figure, name, *astuple(interval), len(users), SMALL)


def nearness() -> Iterator[Row]:
    """How far the Keras model lies from two other programs on twenty prompts.

    From NumPy in logits, from llama.cpp in log-probabilities.
    """
    (distances,) = lang.record()["agreement"].values()
    for name, value in distances.items():
        yield Row("Keras model beside", name, value, value, value, 20, SMALL)


ROWS = (quality, history, places, lists, referee, cited_films, nearness)


def write() -> None:
    """Every row into data/bench/language.csv."""
    rows = [row for part in ROWS for row in part()]
    table = pd.DataFrame(rows).round(6)
    replace_text(RESULT, table.to_csv(index=False))

"""data/bench/language.csv: what the stored answers of the language model say, in
numbers.

`python -m xrec_utils.bench_language table` writes it and asks no model. Each function
of ROWS yields rows; a new figure is one more function. Intervals are at 95%, by
bootstrap over users.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import astuple
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from xrec_utils import language as lang
from xrec_utils import zoo
from xrec_utils.agreement import kendall, relative_error
from xrec_utils.data import load_movielens
from xrec_utils.explain.baselines import leave_one_out, most_recent
from xrec_utils.explain.estimators import leverage_regression
from xrec_utils.explain.shapley import brute_force
from xrec_utils.explain.words import citation_precision, template_reason
from xrec_utils.faithfulness import area, deletion_curve, order
from xrec_utils.files import replace_text
from xrec_utils.games import Explanation, Game
from xrec_utils.metrics import Interval, discounts, mean_interval
from xrec_utils.paths import DATA
from xrec_utils.replies import Catalogue, Citations, films_in

RESULT = DATA / "bench" / "language.csv"
SMALL = "SmolLM2-135M-Instruct, stored answers"
ASKED = (
    "sequential",
    "recency-focused",
    "in-context",
    "no list",
    "no list, no history",
)
GROUPS = (64, 128)  # how many of the 256 groups of lines the estimates read
BESIDE = ("popularity", "ease", "attention")


class Row(NamedTuple):
    """One figure: what was measured (figure), of what, its value and interval, over how
    many users, and whose it is.
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
    found = mean_interval(by_user)
    return Row(figure, of, found.mean, found.low, found.high, len(by_user), source)


def resampled(
    statistic: Callable[[np.ndarray], float], table: np.ndarray, resamples: int = 2000
) -> Interval:
    """A statistic of a table (..., users) with its percentile bootstrap interval over
    users.
    """
    rng, users = np.random.default_rng(0), table.shape[-1]
    drawn = [
        statistic(table[..., rng.integers(0, users, users)]) for _ in range(resamples)
    ]
    return Interval(statistic(table), *np.quantile(drawn, [0.025, 0.975]))


def spread(by_place: np.ndarray) -> float:
    """Largest minus smallest mean over users; by_place (places, users)."""
    means = by_place.mean(axis=1)
    return float(means.max() - means.min())


def share(counts: np.ndarray) -> float:
    """Part over whole; counts (2, users)."""
    part, whole = counts.sum(axis=1)
    return float(part / whole)


def quality() -> Iterator[Row]:
    """NDCG@10 of everything that ranks the same candidates, and its lead over
    popularity.
    """
    chance = discounts(np.arange(1, lang.CANDIDATES + 1), 10).mean()
    yield Row(
        "NDCG@10", "random order", chance, chance, chance, lang.USERS, "closed form"
    )
    found = {
        f"SmolLM2, {name}": (lang.ndcg(lang.scores(name)), SMALL) for name in ASKED
    }
    found["MiniLM similarity"] = (
        lang.ndcg(lang.similarity()),
        "all-MiniLM-L6-v2, stored answers",
    )
    found |= {
        name: (lang.ndcg(lang.baseline(name)), "weights of the course")
        for name in BESIDE
    }
    found["ease, last 10 films"] = (
        lang.ndcg(lang.baseline("ease", lang.LENGTH)),
        "weights of the course",
    )
    for name, (by_user, source) in found.items():
        yield row("NDCG@10", name, by_user, source)
    popular = found["popularity"][0]
    for name, (by_user, source) in found.items():
        if name != "popularity":
            yield row("NDCG@10 minus popularity", name, by_user - popular, source)


def history() -> Iterator[Row]:
    """What the list and the user's films add, and what more or fewer films do."""
    found = {
        name: lang.ndcg(lang.scores(name)) for name in (*ASKED, "5 films", "20 films")
    }
    yield row(
        "NDCG@10, difference",
        "list minus no list",
        found["sequential"] - found["no list"],
    )
    yield row(
        "NDCG@10, difference",
        "history minus no history",
        found["no list"] - found["no list, no history"],
    )
    ten = found["sequential"][: lang.HALF]
    for name in ("5 films", "20 films"):
        yield row("NDCG@10, difference", f"{name} minus 10 films", found[name] - ten)
    for name, by_user in {
        "5 films": found["5 films"],
        "10 films": ten,
        "20 films": found["20 films"],
    }.items():
        yield row("NDCG@10, history length", name, by_user)


def places() -> Iterator[Row]:
    """NDCG@10 by the target's place in the list, as asked and averaged over four turns,
    and the spread of the five.
    """
    ways = {
        "one order": lambda start: lang.scores(f"target at {start}"),
        "mean of four turns": lang.averaged,
    }
    for way, of in ways.items():
        by_place = np.array([lang.ndcg(of(start)) for start in lang.STARTS])
        for start, by_user in zip(lang.STARTS, by_place, strict=True):
            yield row(f"NDCG@10, {way}", f"target at {start}", by_user)
        found = resampled(spread, by_place)
        yield Row(
            "spread of NDCG@10 over places", way, *astuple(found), lang.HALF, SMALL
        )


def written(kind: str) -> pd.DataFrame:
    """What the model wrote for each user, counted: all titles, and different ones.

    Of the different ones, unknown: no film of the catalogue; invented: nor any other of
    movielens-small; seen: films of the prompt's history; offered: candidates.
    """
    films = load_movielens("movielens-small").items
    catalogue, rows = Catalogue(zoo.split().titles), []
    others = Catalogue(films["title"] + films["year"].map(" ({:.0f})".format))
    for n, reply in enumerate(lang.texts(kind)):
        past, offered = (
            lang.panel().histories[n][-lang.LINES :],
            lang.panel().candidates[n],
        )
        titles = films_in(reply)
        found = catalogue.match(list(dict.fromkeys(titles)), likely=[*past, *offered])
        invented = others.match(found.invented).invented if found.invented else []
        rows.append({"titles": len(titles), "different": len(found.codes), "unknown": len(found.invented),
                     "invented": len(invented), "seen": np.isin(found.codes, past).sum(),
                     "offered": np.isin(found.codes, offered).sum()})  # fmt: skip
    return pd.DataFrame(rows)


def lists() -> Iterator[Row]:
    """Of the titles that the model writes, how many differ; of these, shares that are
    no film's, seen, offered.
    """
    for kind in ("list", "choice"):
        counts = written(kind)
        shares = {
            "different": "titles",
            **dict.fromkeys(("unknown", "invented", "seen", "offered"), "different"),
        }
        for part, whole in shares.items():
            found = resampled(share, counts[[part, whole]].to_numpy().T)
            yield Row(
                f"share of titles {part}", kind, *astuple(found), len(counts), SMALL
            )


@cache
def explained() -> dict[str, list[Explanation]]:
    """What each method says of the lines of the 16 prompts whose games are stored in
    full.
    """
    games = [lang.game(n) for n in range(lang.EXPLAINED)]
    found = {"exact Shapley": [brute_force(game) for game in games]}
    for groups in GROUPS:
        found[f"Shapley, {groups} groups"] = [
            leverage_regression(game, groups, n) for n, game in enumerate(games)
        ]
    found["leave-one-out"] = [leave_one_out(game) for game in games]
    for method in ("integrated gradients", "LIME over words", "attention"):
        found[method] = [lang.explanation(n, method) for n in range(lang.EXPLAINED)]
    return found | {"most recent first": [most_recent(game) for game in games]}


def lead(game: Game, explanation: Explanation) -> float:
    """How much lower the deletion curve lies than that of a random order, whose mean
    over all orders is exact here.
    """
    scores, size = game(lang.groups()), lang.groups().sum(axis=1)
    chance = [scores[size == left].mean() for left in range(lang.LINES, -1, -1)]
    return area(np.array(chance)) - area(deletion_curve(game, order(explanation)))


def referee() -> Iterator[Row]:
    """Deletion, agreement with the exact values, and the error of the estimates, over
    the same prompts.
    """
    games, exact = (
        [lang.game(n) for n in range(lang.EXPLAINED)],
        explained()["exact Shapley"],
    )
    for name, found in explained().items():
        yield row(
            "deletion, lead over a random order",
            name,
            np.array(list(map(lead, games, found))),
        )
        if name != "exact Shapley":
            taus = [
                kendall(e.values, truth.values)
                for e, truth in zip(found, exact, strict=True)
            ]
            yield row("Kendall's tau with exact Shapley", name, np.array(taus))
    for groups in GROUPS:
        found = zip(explained()[f"Shapley, {groups} groups"], exact, strict=True)
        errors = np.array(
            [relative_error(e.values, truth.values) for e, truth in found]
        )
        yield row(
            "relative error to exact Shapley", f"Shapley, {groups} groups", errors
        )


def _invented(of: str, told: list[Citations]) -> Row:
    """The share of titles named that are no film's."""
    counts = np.array(
        [
            [
                len(each.invented),
                len(each.cited) + len(each.others) + len(each.invented),
            ]
            for each in told
        ]
    )
    return Row(
        "share of titles invented",
        of,
        *astuple(resampled(share, counts.T)),
        len(told),
        SMALL,
    )


def reasons() -> Iterator[Row]:
    """What the model's own reasons cite and whether it matters, beside the template's
    reasons.
    """
    told, falls = lang.stated(), [lang.falls(n) for n in range(lang.CITED)]
    yield _invented("stated reasons", told)
    mixed = [(fall, np.isin(range(lang.LINES), each.cited)) for fall, each in zip(falls, told, strict=True)
             if 0 < len(each.cited) < lang.LINES]  # fmt: skip
    gaps = np.array(
        [
            fall[:, said].mean(axis=1) - fall[:, ~said].mean(axis=1)
            for fall, said in mixed
        ]
    )
    yield row("deletion, cited minus other films", "preference", gaps[:, 0])
    yield row("deletion, cited minus other films", "places among 20", gaps[:, 1])
    cited = {"stated reasons": [each.cited for each in told]}
    for groups in GROUPS:
        found = explained()[f"Shapley, {groups} groups"]
        written = [template_reason(each) for each in found]
        cited[f"template, {groups} groups"] = [each.cited for each in written]
        yield _invented(
            f"template, {groups} groups",
            [lang.named_in(n, x.sentence) for n, x in enumerate(written)],
        )
    cited["any film"] = [list(range(lang.LINES))] * lang.CITED
    exact = [each.values for each in explained()["exact Shapley"]]
    for name, lines in cited.items():
        for test, effects in {
            "exact Shapley": exact,
            "deletion": [fall[0] for fall in falls],
        }.items():
            found = citation_precision(lines[: len(effects)], effects[: len(lines)])
            yield Row(
                f"citation precision, {test}",
                name,
                found.share,
                found.low,
                found.high,
                min(len(lines), len(effects)),
                f"{found.right} of {found.cited} films",
            )


def nearness() -> Iterator[Row]:
    """How far the Keras model lies from NumPy (logits) and llama.cpp
    (log-probabilities) on twenty prompts.
    """
    (found,) = lang.record()["agreement"].values()
    for name, value in found.items():
        yield Row("Keras model beside", name, value, value, value, 20, SMALL)


ROWS: tuple[Callable[[], Iterator[Row]], ...] = (
    quality,
    history,
    places,
    lists,
    referee,
    reasons,
    nearness,
)


def write() -> None:
    """Every row into data/bench/language.csv."""
    table = pd.DataFrame([each for part in ROWS for each in part()]).round(4)
    replace_text(RESULT, table.to_csv(index=False))

"""data/bench/language.csv: what the stored answers of the language model say, in numbers.

`python -m xrec_utils.bench_language table` writes it and asks no model. Each function of ROWS yields rows; a new
figure is one more function. Intervals are at 95%, by bootstrap over users.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import astuple
from typing import NamedTuple

import numpy as np
import pandas as pd

from xrec_utils import language as lang
from xrec_utils import zoo
from xrec_utils.files import replace_text
from xrec_utils.metrics import Interval, discounts, mean_interval
from xrec_utils.paths import DATA
from xrec_utils.replies import Catalogue, films_in

RESULT = DATA / "bench" / "language.csv"
SMALL = "SmolLM2-135M-Instruct, stored answers"
ASKED = ("sequential", "recency-focused", "in-context", "no list", "no list, no history")
BESIDE = ("popularity", "ease", "attention")


class Row(NamedTuple):
    """One figure: what was measured (figure), of what, its value and interval, over how many users, and whose it is."""

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


def resampled(statistic: Callable[[np.ndarray], float], table: np.ndarray, resamples: int = 2000) -> Interval:
    """A statistic of a table (..., users) with its percentile bootstrap interval over users."""
    rng, users = np.random.default_rng(0), table.shape[-1]
    drawn = [statistic(table[..., rng.integers(0, users, users)]) for _ in range(resamples)]
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
    """NDCG@10 of everything that ranks the same candidates, and its lead over popularity."""
    chance = discounts(np.arange(1, lang.CANDIDATES + 1), 10).mean()
    yield Row("NDCG@10", "random order", chance, chance, chance, lang.USERS, "closed form")
    found = {f"SmolLM2, {name}": (lang.ndcg(lang.scores(name)), SMALL) for name in ASKED}
    found["MiniLM similarity"] = lang.ndcg(lang.similarity()), "all-MiniLM-L6-v2, stored answers"
    found |= {name: (lang.ndcg(lang.baseline(name)), "weights of the course") for name in BESIDE}
    for name, (by_user, source) in found.items():
        yield row("NDCG@10", name, by_user, source)
    popular = found["popularity"][0]
    for name, (by_user, source) in found.items():
        if name != "popularity":
            yield row("NDCG@10 minus popularity", name, by_user - popular, source)


def history() -> Iterator[Row]:
    """What the user's films add, and what more or fewer of them do."""
    base = lang.ndcg(lang.scores("sequential"))
    yield row("NDCG@10, history minus no history", "no list",
              lang.ndcg(lang.scores("no list")) - lang.ndcg(lang.scores("no list, no history")))  # fmt: skip
    for name in ("5 films", "20 films"):
        by_user = lang.ndcg(lang.scores(name))
        yield row("NDCG@10, history length", name, by_user)
        yield row("NDCG@10, minus 10 films", name, by_user - base[: lang.HALF])
    yield row("NDCG@10, history length", "10 films", base[: lang.HALF])


def places() -> Iterator[Row]:
    """NDCG@10 by the target's place in the list, as asked and averaged over four turns, and the spread of the five."""
    ways = {"one order": lambda start: lang.scores(f"target at {start}"), "mean of four turns": lang.averaged}
    for way, of in ways.items():
        by_place = np.array([lang.ndcg(of(start)) for start in lang.STARTS])
        for start, by_user in zip(lang.STARTS, by_place, strict=True):
            yield row(f"NDCG@10, {way}", f"target at {start}", by_user)
        found = resampled(spread, by_place)
        yield Row("spread of NDCG@10 over places", way, *astuple(found), lang.HALF, SMALL)


def written(kind: str) -> pd.DataFrame:
    """What the model wrote, counted: titles, and how many are invented, of the prompt's history, of the candidates."""
    catalogue, rows = Catalogue(zoo.split().titles), []
    for n, reply in enumerate(lang.texts(kind)):
        past, offered = lang.panel().histories[n][-lang.LINES :], lang.panel().candidates[n]
        found = catalogue.match(films_in(reply), likely=[*past, *offered])
        rows.append((len(found.codes), len(found.invented), np.isin(found.codes, past).sum(),
                     np.isin(found.codes, offered).sum()))  # fmt: skip
    return pd.DataFrame(rows, columns=["titles", "invented", "seen", "offered"])


def lists() -> Iterator[Row]:
    """Of the titles that the model writes, the share that is no film's, that it was told as seen, that was offered."""
    for kind in ("list", "choice"):
        counts = written(kind)
        for what in ("invented", "seen", "offered"):
            found = resampled(share, counts[[what, "titles"]].to_numpy().T)
            yield Row(f"share of titles {what}", kind, *astuple(found), len(counts), SMALL)


ROWS: tuple[Callable[[], Iterator[Row]], ...] = (quality, history, places, lists)


def write() -> None:
    """Every row into data/bench/language.csv."""
    table = pd.DataFrame([each for part in ROWS for each in part()]).round(4)
    replace_text(RESULT, table.to_csv(index=False))

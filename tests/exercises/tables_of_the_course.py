"""Tables of tried answers to exercises that use the data and models of the course.

Each is made when its test runs: what the notebook hands over, and the answers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import zscore
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from tried import WRONG, Table, Tried, one_number, several_numbers, table_of

from xrec_utils import zoo
from xrec_utils.data import feature_table, load_movielens
from xrec_utils.exercises.n03 import errors_of_bare_ids
from xrec_utils.language import experiment as lang
from xrec_utils.language.results import spread

DAY = 86_400  # seconds


@table_of("01.2")
def only_earlier_ratings() -> Table:
    """On the ratings of the course, where all of a sitting lie within seconds."""
    inputs = feature_table(load_movielens("movielens-small"))
    first = inputs.ratings["user"].iloc[0]
    row = inputs.ratings[inputs.ratings["user"] == first].iloc[5]
    mine = inputs.ratings[inputs.ratings["user"] == row["user"]]

    def shrunk(stars: pd.Series) -> float:
        return 3.5 + (stars - 3.5).sum() / (len(stars) + 5)

    earlier = mine["time"] < row["time"]
    right = shrunk(mine.loc[earlier, "value"])
    answers = [
        *one_number(right),
        Tried(round(right, 2)),
        Tried(shrunk(mine["value"]), "its second"),
        Tried(shrunk(mine["value"].drop(row.name)), WRONG),
        Tried(shrunk(mine.loc[mine["time"] <= row["time"], "value"]), WRONG),
        Tried(mine.loc[earlier, "value"].mean(), WRONG),
    ]
    return {"inputs": inputs, "row": row}, answers


@table_of("01.3")
def waiting_a_day() -> Table:
    split = zoo.split()

    def waits(known: pd.DataFrame, which: str = "max", least: int = DAY) -> int:
        seen = split.test["user"].map(known.groupby("user")["time"].agg(which))
        return int((split.test["time"] - seen > least).sum())

    both = pd.concat([split.train, split.validation])
    right = waits(both)
    answers = [
        *one_number(right),
        Tried(np.int64(right)),
        Tried(waits(split.train), "validation rating"),
        Tried(waits(both, "min"), WRONG),
        Tried(waits(both, least=24 * 60), WRONG),
        Tried(len(split.test) - right, WRONG),
        Tried(right / len(split.test), WRONG),
        Tried(right - 1, WRONG),
    ]
    return {"split": split}, answers


@table_of("03.2")
def less_than_the_mean() -> Table:
    line, mean = errors_of_bare_ids(zoo.features())
    answers = [
        *one_number(line - mean),
        Tried(mean - line, "other way round"),
        Tried(line / mean - 1, WRONG),
        Tried(line, WRONG),
        Tried(0.1, WRONG),
    ]
    return {"table": zoo.features()}, answers


@table_of("04.3")
def both_errors() -> Table:
    line, mean = errors_of_bare_ids(zoo.features())
    answers = [
        *several_numbers([line, mean]),
        Tried((0.92, 0.91)),
        Tried((mean, line), WRONG),
        Tried((line, line), WRONG),
        Tried((0.1, mean), WRONG),
    ]
    return {"table": zoo.features()}, answers


@table_of("05.3")
def neighbours_on_the_map() -> Table:
    films = zoo.load("attention").table
    rows = films.embedding.numpy() + films.attributes @ films.projection.numpy()
    counts = zoo.split().train["item"].value_counts()
    vectors = rows[counts.index[:300].to_numpy()]
    points = PCA(2).fit_transform(vectors)

    def shares(itself: bool = False, **options: Any) -> float:
        options = {"n_neighbors": 10, **options}
        nearest = [
            NearestNeighbors(**options).fit(z).kneighbors(z if itself else None)[1]
            for z in (vectors, points)
        ]
        pairs = zip(*nearest, strict=True)
        kept = [len(np.intersect1d(*pair)) for pair in pairs]
        return np.mean(kept) / options["n_neighbors"]

    answers = [
        *one_number(shares()),
        Tried(0.248),
        Tried("25%"),
        Tried(10 * shares(), WRONG),
        Tried(shares(itself=True), WRONG),
        Tried(shares(itself=True, n_neighbors=11), WRONG),
        Tried(shares(n_neighbors=9), WRONG),
        Tried(shares(metric="cosine"), WRONG),
        Tried(1 - shares(), WRONG),
    ]
    return {"vectors": vectors, "points": points}, answers


@table_of("06.2")
def below_the_next() -> Table:
    gru, cases = zoo.load("gru"), zoo.split().cases("validation")
    scores = gru.score(cases.histories)
    target = np.take_along_axis(scores, np.stack(cases.targets), axis=1)
    below = (scores < target).mean()
    answers = [
        *one_number(below),
        Tried(0.898),
        Tried("90%"),
        Tried((scores > target).mean(), "above the right one"),
        Tried((scores >= target).mean(), WRONG),
        Tried((scores <= target).mean(), WRONG),
        Tried((scores < target).sum(), WRONG),
        Tried(np.median((scores < target).mean(axis=1)), WRONG),
        Tried((scores < target[::-1]).mean(), WRONG),
    ]
    return {"gru": gru, "cases": cases}, answers


@table_of("08.2")
def half_the_cure() -> Table:
    def ndcg(turns: list[int], start: int) -> np.ndarray:
        of_turns = [lang.scores(f"target at {(start + turn) % 20}") for turn in turns]
        return lang.ndcg_of(np.mean(of_turns, axis=0))

    two, one, four = (
        np.array([ndcg(turns, start) for start in lang.STARTS])
        for turns in ([0, 10], [0], [0, 5, 10, 15])
    )
    apart = [(ndcg([0], start) + ndcg([10], start)) / 2 for start in lang.STARTS]
    answers = [
        *one_number(spread(two)),
        Tried(0.051),
        Tried(spread(one), WRONG),
        Tried(spread(four), WRONG),
        Tried(spread(np.array(apart)), WRONG),
        Tried(two.mean(axis=1).std(), WRONG),
        Tried(two.mean(), WRONG),
    ]
    return {}, answers


@table_of("08.3")
def mixed_with_popularity() -> Table:
    famous, likely = lang.baseline("popularity"), lang.scores("no list")

    def gain(both: np.ndarray) -> float:
        return (lang.ndcg_of(both) - lang.ndcg_of(famous)).mean()

    def standard(axis: int | None, ddof: int = 0) -> float:
        parts = (zscore(each, axis=axis, ddof=ddof) for each in (famous, likely))
        return gain(sum(parts))

    right = standard(axis=1)
    answers = [
        *one_number(right),
        Tried(standard(axis=1, ddof=1)),
        Tried(-0.023),
        Tried("-2.3%"),
        Tried(gain(famous + likely), "without standardising"),
        Tried(-right, WRONG),
        Tried(standard(axis=None), WRONG),
        Tried(standard(axis=0), WRONG),
        Tried(gain(likely), WRONG),
        Tried(right + lang.ndcg_of(famous).mean(), WRONG),
    ]
    return {}, answers

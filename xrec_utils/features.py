"""A table of honest features: one row per rating, built only from what was known before
that second.

Row 6 of the course's source articles feeds an MLP with columns of a user-item row. Two
faults are common there: the rating itself among the inputs, and averages that include
the row (or its future). Here every column is *as of* the moment of the rating: it uses
events strictly earlier in time, so changing a later event cannot change it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from xrec_utils.data import Dataset

GENRES = [
    "Action",
    "Adventure",
    "Animation",
    "Children",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
]
LIKED = 4.0  # stars from which a rating counts as "liked"
MIDDLE = 3.5  # stars; what a user or film without history is taken to give or get
SHRINKAGE = (
    5.0  # pretended earlier ratings at MIDDLE, so that one rating does not make a taste
)

TASTE = [f"taste: {genre}" for genre in GENRES]
USER = [*TASTE, "user: films rated", "user: mean stars", "user: pause"]
FILM = [
    *(f"film: {genre}" for genre in GENRES),
    "film: age",
    "film: raters",
    "film: mean stars",
]
NAMES = [*USER, *FILM]
LEAK = "the rating itself"


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Features, labels and the ratings they belong to, in time order.

    raw: DataFrame (n, d) in natural units (stars, years, natural logarithms of counts
    and seconds). liked: int array (n,), 1 where the rating is 4 stars or more. ratings:
    DataFrame (n rows) with user, item, value, time. part: str array (n,) of "train",
    "validation", "test": cut by time, so that nothing is learned from the future.
    """

    raw: pd.DataFrame
    liked: np.ndarray
    ratings: pd.DataFrame
    part: np.ndarray

    @property
    def names(self) -> list[str]:
        """Column names, in order."""
        return list(self.raw.columns)

    def x(self, part: str) -> np.ndarray:
        """Rows of one part, standardised by the mean and deviation of the training
        rows: float32 (m, d).
        """
        mean, deviation = self._scale
        return (
            (self._rows(part).to_numpy(dtype=np.float64) - mean) / deviation
        ).astype(np.float32)

    @cached_property
    def _scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of the training rows; a column that never varies is left
        as it is.
        """
        train = self.raw[self.part == "train"].to_numpy(dtype=np.float64)
        deviation = train.std(axis=0)
        return train.mean(axis=0), np.where(deviation > 0, deviation, 1.0)

    def y(self, part: str) -> np.ndarray:
        """Labels of one part: float32 (m,)."""
        return self.liked[self.part == part].astype(np.float32)

    def branches(self, part: str) -> list[np.ndarray]:
        """Standardised rows split into the user's and the film's columns, for the
        two-branch MLP.
        """
        x = self.x(part)
        return [
            x[:, [self.names.index(name) for name in side]] for side in (USER, FILM)
        ]

    def with_leak(self) -> "FeatureTable":
        """The same table with the rating (wrongly) among the inputs, to see which
        explanation notices.
        """
        raw = self.raw.assign(**{LEAK: self.ratings["value"].to_numpy()})
        return FeatureTable(raw, self.liked, self.ratings, self.part)

    def _rows(self, part: str) -> pd.DataFrame:
        if part not in ("train", "validation", "test"):
            raise ValueError(f"part is {part!r}; use 'train', 'validation' or 'test'")
        return self.raw[self.part == part]


def feature_table(
    dataset: Dataset, validation: float = 0.1, test: float = 0.1
) -> FeatureTable:
    """Build the 42 as-of columns for every rating of a data set that has genres and
    years.

    Args:
        dataset: ratings with times, and items with genres ("A|B") and year (the median
            year stands in for none).
        validation, test: shares of the ratings, taken from the end of time.
    """
    ratings = dataset.interactions.sort_values(
        ["time", "user", "item"], kind="stable"
    ).reset_index(drop=True)
    known = dataset.items.assign(year=dataset.items["year"].astype(float))
    items = (
        known.fillna({"year": known["year"].median()})
        .set_index("item")
        .loc[ratings["item"]]
    )
    genres = (
        items["genres"]
        .str.get_dummies("|")
        .reindex(columns=GENRES, fill_value=0)
        .to_numpy(dtype=np.float32)
    )
    columns = [_user_columns(ratings, genres), _film_columns(ratings, items, genres)]
    raw = pd.DataFrame(np.hstack(columns), columns=NAMES)
    liked = (ratings["value"] >= LIKED).to_numpy().astype(int)
    return FeatureTable(
        raw.astype(np.float32), liked, ratings, _parts(len(ratings), validation, test)
    )


def earlier_sum(key: np.ndarray, time: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sum `values` (n, c) over the rows with the same key and a strictly earlier time;
    rows in any order.
    """
    order = np.lexsort((time, key))
    key, time, values = (
        key[order],
        time[order],
        np.asarray(values, dtype=np.float64)[order],
    )
    before = np.cumsum(values, axis=0) - values
    new_key = np.r_[True, key[1:] != key[:-1]]
    new_moment = new_key | np.r_[True, time[1:] != time[:-1]]
    result = np.empty_like(before)
    result[order] = before[_last_start(new_moment)] - before[_last_start(new_key)]
    return result


def _last_start(starts: np.ndarray) -> np.ndarray:
    """For each row, the index of the latest row at or before it that starts a run."""
    return np.maximum.accumulate(np.where(starts, np.arange(len(starts)), 0))


def _user_columns(ratings: pd.DataFrame, genres: np.ndarray) -> np.ndarray:
    user, time = ratings["user"].to_numpy(), ratings["time"].to_numpy()
    above = ratings["value"].to_numpy() - MIDDLE
    sums = earlier_sum(
        user,
        time,
        np.column_stack([genres * above[:, None], genres, above, np.ones(len(user))]),
    )
    taste = sums[:, :18] / (sums[:, 18:36] + SHRINKAGE)
    mean = MIDDLE + sums[:, 36] / (sums[:, 37] + SHRINKAGE)
    return np.column_stack(
        [taste, np.log1p(sums[:, 37]), mean, np.log1p(_pause(ratings))]
    )


def _pause(ratings: pd.DataFrame) -> np.ndarray:
    """Seconds since the user's previous moment of rating; 0 at the first."""
    moments = ratings[["user", "time"]].drop_duplicates().sort_values(["user", "time"])
    moments["pause"] = moments.groupby("user")["time"].diff().fillna(0)
    return (
        ratings[["user", "time"]]
        .merge(moments, on=["user", "time"], how="left")["pause"]
        .to_numpy()
    )


def _film_columns(
    ratings: pd.DataFrame, items: pd.DataFrame, genres: np.ndarray
) -> np.ndarray:
    above = ratings["value"].to_numpy() - MIDDLE
    one = np.ones(len(above))
    sums = earlier_sum(
        ratings["item"].to_numpy(),
        ratings["time"].to_numpy(),
        np.column_stack([above, one]),
    )
    rated_in = pd.to_datetime(ratings["time"], unit="s").dt.year.to_numpy()
    age = np.maximum(rated_in - items["year"].to_numpy(), 0)
    return np.column_stack(
        [
            genres,
            age,
            np.log1p(sums[:, 1]),
            MIDDLE + sums[:, 0] / (sums[:, 1] + SHRINKAGE),
        ]
    )


def _parts(n: int, validation: float, test: float) -> np.ndarray:
    if validation <= 0 or test <= 0 or validation + test >= 1:
        raise ValueError(
            f"validation={validation} and test={test} must be above 0 and leave rows to train on"
        )
    part = np.full(n, "train", dtype="<U10")
    part[int(n * (1 - validation - test)) : int(n * (1 - test))] = "validation"
    part[int(n * (1 - test)) :] = "test"
    return part

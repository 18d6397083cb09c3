"""A table of honest features: one row per rating, from what was known before it.

Row 6 of the course's source articles feeds an MLP with columns of a user-item row. Two
faults are common there: the rating itself among the inputs, and averages that include
the row (or its future). Here every column is *as of* the moment of the rating: it uses
events strictly earlier in time, so changing a later event cannot change it.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from xrec_utils.data.editions import GENRES_100K
from xrec_utils.data.load import Dataset
from xrec_utils.data.splits import check_shares

# as the first edition names them, but for "Children's"
GENRES = [genre.removesuffix("'s") for genre in GENRES_100K]
LIKED = 4.0  # stars from which a rating counts as "liked"
MIDDLE = 3.5  # stars; what a user or film without history is taken to give or get
# pretended earlier ratings at MIDDLE, so that one rating does not make a taste
SHRINKAGE = 5.0

# names of the columns: what is known of the user, what is known of the film
TASTE = [f"taste: {genre}" for genre in GENRES]
USER = [*TASTE, "user: films rated", "user: mean stars", "user: pause"]
FILM = [
    *(f"film: {genre}" for genre in GENRES),
    "film: age",
    "film: raters",
    "film: mean stars",
]
LEAK = "the rating itself"


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Features, labels and the ratings they belong to, in time order.

    Args:
        raw: DataFrame (n, d) in natural units (stars, years, natural logarithms of
            counts and seconds).
        liked: int array (n,), 1 where the rating is 4 stars or more.
        ratings: DataFrame (n rows) with user, item, value, time.
        part: str array (n,) of "train", "validation", "test": cut by time, so that
            nothing is learned from the future.
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
        """Rows of one part, standardised by the training rows: float32 (m, d).

        Raises:
            ValueError: the part is none of the three.
        """
        return self._scaler.transform(self._rows(part)).astype(np.float32)

    @cached_property
    def _scaler(self) -> StandardScaler:
        """Mean and deviation of the training rows."""
        # a column that never varies is only centred: there is nothing to divide by
        return StandardScaler().fit(self._rows("train"))

    def y(self, part: str) -> np.ndarray:
        """Labels of one part: float32 (m,)."""
        return self.liked[self.part == part].astype(np.float32)

    def branches(self, part: str) -> list[np.ndarray]:
        """Standardised rows as two arrays: the user's columns and the film's.

        They are the inputs of the two-branch MLP: float32 (m, 21) each.

        Raises:
            ValueError: the part is none of the three.
        """
        x = pd.DataFrame(self.x(part), columns=self.names)
        return [
            x[USER].to_numpy(),
            x[FILM].to_numpy(),
        ]

    def with_leak(self) -> "FeatureTable":
        """The same table with the rating, wrongly, among the inputs.

        It shows which explanation notices.
        """
        stars = self.ratings["value"].to_numpy()
        return replace(self, raw=self.raw.assign(**{LEAK: stars}))

    def _rows(self, part: str) -> np.ndarray:
        """The raw rows of one part: float64 (m, d)."""
        if part not in ("train", "validation", "test"):
            raise ValueError(f"part is {part!r}; use 'train', 'validation' or 'test'")
        return self.raw[self.part == part].to_numpy(dtype=np.float64)


def feature_table(
    dataset: Dataset, validation: float = 0.1, test: float = 0.1
) -> FeatureTable:
    """Build the 42 as-of columns for every rating of a data set.

    Args:
        dataset: ratings with times, and items with genres ("A|B") and year (the median
            year stands in for none, and the age is 0 where no item has one).
        validation, test: shares of the ratings, taken from the end of time.

    Returns:
        The features (n, 42), one row per rating, oldest first, with labels and parts.

    Raises:
        ValueError: the shares are not above 0, or leave no rows to train on.

    Example:
        One user, three comedies, one a day: each row knows the earlier days only.

        >>> events = pd.DataFrame({"user": [1, 1, 1], "item": [1, 2, 3]})
        >>> events = events.assign(value=[5.0, 3.0, 4.0], time=[0, 86400, 172800])
        >>> items = pd.DataFrame({"item": [1, 2, 3], "genres": "Comedy", "year": 1960})
        >>> users = pd.DataFrame({"user": [1]})
        >>> log = Dataset("log", events, items, users)
        >>> table = feature_table(log, validation=0.33, test=0.33)
        >>> table.part.tolist(), table.liked.tolist()
        (['train', 'validation', 'test'], [1, 0, 1])
        >>> means = table.raw["user: mean stars"]  # 3.5, 3.5 + 1.5 / 6, 3.5 + 1 / 7
        >>> [round(float(mean), 3) for mean in means]
        [3.5, 3.75, 3.643]
    """
    check_shares(validation, test)
    ratings = dataset.interactions.sort_values(
        ["time", "user", "item"], kind="stable", ignore_index=True
    )
    shares = np.array([1 - validation - test, 1 - test, 1])
    ends = (len(ratings) * shares).astype(int)
    # (n rows): the rated item of each, with a year
    year = dataset.items["year"].astype(float)
    known = dataset.items.assign(year=year.fillna(year.median()))
    items = known.set_index("item").loc[ratings["item"]]
    # (n, 18): 1 where the item has the genre; other names, as "IMAX", are dropped
    flags = items["genres"].str.get_dummies("|").reindex(columns=GENRES, fill_value=0)
    genres = flags.to_numpy(dtype=np.float32)
    return FeatureTable(
        raw=pd.DataFrame(
            np.hstack(
                [
                    _user_columns(ratings, genres),
                    _film_columns(ratings, items, genres),
                ]
            ),
            columns=[*USER, *FILM],
        ).astype(np.float32),
        liked=(ratings["value"] >= LIKED).to_numpy(dtype=int),
        ratings=ratings,
        part=np.repeat(["train", "validation", "test"], np.diff(ends, prepend=0)),
    )


def earlier_sum(key: np.ndarray, time: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sum values over the rows with the same key and a strictly earlier time.

    Args:
        key: (n,) ids, in any order.
        time: (n,) moments.
        values: (n, c) numbers.

    Returns:
        (n, c) float64 sums, in the order of the rows.

    Example:
        >>> values = np.array([[1.0], [10.0], [100.0]])
        >>> earlier_sum(np.array([7, 7, 7]), np.array([2, 2, 5]), values).tolist()
        [[0.0], [0.0], [11.0]]
    """
    rows = pd.DataFrame(np.asarray(values, dtype=np.float64))
    # in the order of key and time; rows of the same moment know nothing of each other
    moments = rows.groupby([key, time]).sum()
    earlier = moments.groupby(level=0).cumsum() - moments
    return earlier.loc[pd.MultiIndex.from_arrays([key, time])].to_numpy()


def _user_columns(ratings: pd.DataFrame, genres: np.ndarray) -> np.ndarray:
    """(n, 21): taste per genre, count, mean stars and pause of the user until then."""
    # every film has one more "genre", for what is known of all films together
    flags = np.column_stack([genres, np.ones(len(genres))])
    stars, count = _earlier(ratings, "user", flags)
    taste = stars / (count + SHRINKAGE)
    return np.column_stack(
        [
            taste[:, :-1],
            np.log1p(count[:, -1]),
            MIDDLE + taste[:, -1],
            np.log1p(_pause(ratings)),
        ]
    )


def _earlier(ratings: pd.DataFrame, key: str, flags: np.ndarray) -> list[np.ndarray]:
    """Stars above MIDDLE, and number, of the earlier ratings of a user or an item.

    Args:
        ratings: n ratings.
        key: "user" or "item".
        flags: (n, c) 1 where a rating counts for a column.

    Returns:
        Two arrays (n, c) of sums.
    """
    # (n, 1) stars above the middle, spread over the columns
    stars = flags * (ratings[["value"]].to_numpy() - MIDDLE)
    sums = earlier_sum(
        ratings[key].to_numpy(),
        ratings["time"].to_numpy(),
        values=np.hstack([stars, flags]),
    )
    return np.hsplit(sums, 2)


def _pause(ratings: pd.DataFrame) -> np.ndarray:
    """Seconds since the user's previous moment of rating; 0 at the first."""
    rows = ratings[["user", "time"]]
    # many ratings share their second: one row per moment, else the pause would be 0
    moments = rows.drop_duplicates().sort_values(["user", "time"])
    pause = moments.groupby("user")["time"].diff().fillna(0)
    return rows.merge(moments.assign(pause=pause), how="left")["pause"].to_numpy()


def _film_columns(
    ratings: pd.DataFrame, items: pd.DataFrame, genres: np.ndarray
) -> np.ndarray:
    """(n, 21): genres, age in years, count and mean stars of the film until then."""
    stars, count = _earlier(
        ratings,
        "item",
        flags=np.ones((len(ratings), 1)),
    )
    rated_in = pd.to_datetime(ratings["time"], unit="s").dt.year.to_numpy()
    # some films were rated before the year in their title
    # fmax passes over NaN: where no film has a year, none has an age
    age = np.fmax(rated_in - items["year"].to_numpy(), 0)
    return np.column_stack(
        [
            genres,
            age,
            np.log1p(count),
            MIDDLE + stars / (count + SHRINKAGE),
        ]
    )

"""Visits to the shop as rows: the hour, the time since the last visit, who and what."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from xrec_utils.data.features import GENRES, FeatureTable, earlier_sum, feature_table
from xrec_utils.data.load import Dataset
from xrec_utils.shop.log import ShopData
from xrec_utils.shop.shop import BRANDS, CATEGORIES, DAY, HOUR, Parameters

GROUPS = ("hour", "weekday", "recency")
HARMONICS = 2
# Showings of average success, so that one reaction does not make a taste.
PRETENDED = 10.0


# ---------------------------------------------------------------- the moment as columns


def hour_columns(hours: Sequence[int] | np.ndarray, harmonics: int = 2) -> pd.DataFrame:
    """Hours of the day as points on a circle: 23 o'clock is as near to 0 as 1 o'clock.

    The columns are sin and cos of k·2π·hour/24 for k = 1..harmonics. One harmonic can
    only say "more at one time, less twelve hours away"; each further one allows a
    sharper shape.

    Args:
        hours: (n,), 0 to 23.
        harmonics: how many k.

    Returns:
        A row per hour, columns "hour: sin 1", "hour: cos 1", "hour: sin 2", ...

    Raises:
        ValueError: an hour is no number.

    Example:
        >>> circle = hour_columns([0, 6, 18], harmonics=1)
        >>> circle["hour: sin 1"].round(6).tolist()
        [0.0, 1.0, -1.0]
    """
    angle = 2 * np.pi * np.asarray(hours, dtype=float) / 24
    waves = {"sin": np.sin, "cos": np.cos}
    return pd.DataFrame(
        {
            f"hour: {w} {k}": waves[w](k * angle)
            for k in range(1, harmonics + 1)
            for w in waves
        }
    )


def since_previous(times: np.ndarray, users: np.ndarray) -> np.ndarray:
    """Seconds since the same user's previous moment, (n,); NaN at a user's first one.

    times (seconds) and users, both (n,), in any order.
    """
    rows = pd.DataFrame({"user": users, "time": times})
    # several rows may share one moment
    moments = rows.drop_duplicates().sort_values(["user", "time"])
    moments["pause"] = moments.groupby("user")["time"].diff()
    found = rows.merge(moments, on=["user", "time"], how="left")
    return found["pause"].to_numpy()


def context_features(
    times: np.ndarray, users: np.ndarray, harmonics: int = HARMONICS
) -> pd.DataFrame:
    """Describe the moment of each row in three groups of columns.

    The groups are "hour: …", "weekday: …", "recency: …". Recency is the natural
    logarithm of the seconds since the user's previous moment; the first one counts as
    a day after, and has a column of its own.

    Args:
        times: (n,) seconds since 1970, read as UTC. Of the weekday, only weekend or not
            is kept: every further column costs weights.
        users: (n,) whose moment it is.
        harmonics: of `hour_columns`.
    """
    times = np.asarray(times)
    weekday = (times // DAY + 3) % 7  # Monday is 0; 1 January 1970 was a Thursday
    pause = since_previous(times, users)
    return hour_columns(times // HOUR % 24, harmonics).assign(
        **{
            "weekday: weekend": (weekday >= 5).astype(float),
            # two rows of one second: the logarithm needs at least 1
            "recency: log seconds": np.log(np.nan_to_num(pause, nan=DAY).clip(1)),
            "recency: first": np.isnan(pause).astype(float),
        }
    )


def group_of(column: str) -> str:
    """The group of a column: what stands before the colon."""
    return column.partition(":")[0]


# ---------------------------------------------------------------- the shop


def shop_table(
    data: ShopData, validation: float = 0.1, test: float = 0.3
) -> FeatureTable:
    """One row per showing: item, what the customer did before, and the moment.

    Columns: category (14), brand (8), price (logarithm, against the mean of its
    category), past (how often earlier showings to this customer met a reaction: all, of
    this category, of this brand; earlier showings), owned (14: pieces bought in earlier
    visits) and the context. All of them are known before the visit begins.

    Args:
        data: the shop's log.
        validation: share of the showings, in time just before `test`.
        test: share of the showings at the end of time.

    Returns:
        A `FeatureTable` in time order; its label is 1 where the customer browsed or
        bought.

    Example:
        >>> from xrec_utils.shop import Shop, simulate
        >>> data = simulate(Shop(0), n_customers=3, seed=0)
        >>> table = shop_table(data)
        >>> len(table.raw) == len(data.shown)
        True
        >>> table.names[:2]
        ['category: printer', 'category: ink']
        >>> float(table.raw["past: showings"].iloc[0])  # nothing before the first
        0.0
    """
    shown = data.shown.sort_values(["time", "user", "item"], ignore_index=True)
    price = np.log(data.items["price"])
    typical = price.groupby(data.items["category"]).transform("mean")
    # the item of each showing
    items = (
        data.items.assign(relative=price - typical)
        .set_index("item")
        .loc[shown["item"]]
        .reset_index(drop=True)
    )
    return FeatureTable(
        pd.concat(
            [
                _item_columns(items),
                _past_columns(shown, items),
                context_features(shown["time"], shown["user"]),
            ],
            axis=1,
        ).astype(np.float32),
        (shown["reaction"] > 0).to_numpy().astype(int),
        shown.rename(columns={"reaction": "value"}),
        _late(
            # the least rank of equal times: a visit is never cut in two
            shown["time"].rank(method="min", pct=True),
            validation,
            test,
        ),
    )


def _late(rank: pd.Series, validation: float, test: float) -> np.ndarray:
    """Name the part of each row from its rank in time, above 0 to 1."""
    return np.select(
        [rank > 1 - test, rank > 1 - test - validation],
        ["test", "validation"],
        "train",
    )


def _item_columns(items: pd.DataFrame) -> pd.DataFrame:
    """Category and brand, one-hot, and the price against its category."""
    columns = _one_hot(items["category"], CATEGORIES)
    columns |= _one_hot(items["brand"], BRANDS)
    columns["price: against its category"] = items["relative"]
    return pd.DataFrame(columns)


def _one_hot(column: pd.Series, names: Sequence[str]) -> dict[str, pd.Series]:
    """A column of true and false for each name."""
    return {f"{column.name}: {name}": column == name for name in names}


def _past_columns(shown: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """What the customer did in strictly earlier visits."""
    user = shown["user"].to_numpy()
    time = shown["time"].to_numpy()
    reaction = shown["reaction"].to_numpy()
    # what is added up: showings, and those that met a reaction
    counted = np.column_stack(
        [np.ones(len(shown)), reaction > 0],
    )
    past = {}
    for name, key in {
        "all": user,
        "this category": items["category"],
        "this brand": items["brand"],
    }.items():
        pairs = pd.MultiIndex.from_arrays([user, key])
        groups, _ = pd.factorize(pairs)
        seen, reacted = earlier_sum(
            groups,
            time,
            counted,
        ).T
        past[f"past: reactions, {name}"] = (reacted + 0.1 * PRETENDED) / (
            seen + PRETENDED
        )
        if name == "all":
            past["past: showings"] = np.log1p(seen)
    return pd.DataFrame(past).join(
        _owned_columns(
            user,
            time,
            reaction,
            items,
        )
    )


def _owned_columns(
    user: np.ndarray, time: np.ndarray, reaction: np.ndarray, items: pd.DataFrame
) -> pd.DataFrame:
    """Pieces of each category bought in strictly earlier visits."""
    kinds = items["category"].to_numpy()
    # (showings, categories): true where a piece of the category was bought
    of_kind = kinds[:, None] == np.array(CATEGORIES)
    bought = of_kind & (reaction == 2)[:, None]
    names = [f"owned: {name}" for name in CATEGORIES]
    return pd.DataFrame(earlier_sum(user, time, bought), columns=names)


def planted_hours(category: str, parameters: Parameters | None = None) -> np.ndarray:
    """The true change of a category's utility in each hour of the day.

    Args:
        category: one of `shop.CATEGORIES`.
        parameters: of the shop; its own unless given.

    Returns:
        Logits (24,), zero in all hours without a rule.

    Example:
        >>> planted_hours("novel")[17:21].tolist()  # wanted from 19 o'clock on
        [0.0, 0.0, 1.0, 1.0]
    """
    parameters = parameters or Parameters()
    change = np.zeros(24)
    for name, first, last, amount in parameters.hours:
        if name == category:
            change[first : last + 1] += amount
    return change


# ---------------------------------------------------------------- MovieLens


def long_span_table(
    dataset: Dataset, days: float = 30, validation: float = 0.1, test: float = 0.3
) -> FeatureTable:
    """The columns of `feature_table` and the context, for users who stayed long.

    The genres come first, so that they can be the kinds of `product_head`; "user:
    pause" leaves, because it is recency. The cut is made in each user's own time: the
    last ratings of every user are `test`, those just before `validation`.

    Args:
        dataset: ratings with times, and films with genres and year.
        days: users whose ratings span no more are left out.
        validation: share of each user's ratings, just before `test`.
        test: share of each user's ratings, at the end.

    Returns:
        A `FeatureTable`, one row per rating, in time order; its label is 1 for 4 stars
        or more.

    Raises:
        KeyError: the films have no genres or no year.

    Example:
        >>> from xrec_utils.data.load import load_movielens
        >>> table = long_span_table(load_movielens())
        >>> table.names[0], table.names[-1]
        ('film: Action', 'recency: first')
        >>> times = table.ratings.groupby("user")["time"]
        >>> bool((times.max() - times.min()).min() > 30 * DAY)
        True
    """
    table = feature_table(dataset)
    time = table.ratings.groupby("user")["time"]
    span = time.transform("max") - time.transform("min")
    long = (span > days * DAY).to_numpy()
    ratings = table.ratings[long].reset_index(drop=True)
    raw = table.raw[long].reset_index(drop=True)
    genres = [f"film: {genre}" for genre in GENRES]
    others = raw.columns.drop([*genres, "user: pause"])
    return FeatureTable(
        raw[[*genres, *others]].join(
            context_features(ratings["time"], ratings["user"]).astype(np.float32)
        ),
        table.liked[long],
        ratings,
        _late(
            ratings.groupby("user")["time"].rank(method="min", pct=True),
            validation,
            test,
        ),
    )

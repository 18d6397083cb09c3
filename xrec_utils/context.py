"""The moment as an input: hour, weekday and recency, and what each is worth.

A context-aware recommender (Adomavicius and Tuzhilin 2011,
doi:10.1007/978-0-387-85820-3_7) predicts a reaction from customer, item and moment.
Here a network crosses the moment with the item. Whether the moment adds anything is
settled by an ablation: the same network with a group of columns hidden. In the
simulated shop the effects of hour and weekday were planted, so what is learned can be
compared with what is true.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from xrec_utils import set_seed
from xrec_utils.data import Dataset
from xrec_utils.features import GENRES, FeatureTable, earlier_sum, feature_table
from xrec_utils.keras_start import keras
from xrec_utils.metrics import paired_interval
from xrec_utils.shop import BRANDS, CATEGORIES, DAY, HOUR, PARTS, Parameters, Shop
from xrec_utils.shop_log import ShopData

layers = keras.layers
GROUPS = ("hour", "weekday", "recency")
VARIANTS = {"none": (), **{group: (group,) for group in GROUPS}, "all": GROUPS}
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
    joined = rows.merge(moments, on=["user", "time"], how="left")
    return joined["pause"].to_numpy()


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
    columns = hour_columns(times // HOUR % 24, harmonics)
    columns["weekday: weekend"] = (weekday >= 5).astype(float)
    # two rows of one second: the logarithm needs at least 1
    seconds = np.nan_to_num(pause, nan=DAY).clip(1)
    columns["recency: log seconds"] = np.log(seconds)
    columns["recency: first"] = np.isnan(pause).astype(float)
    return columns


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
        >>> from xrec_utils.shop_log import simulate
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
    catalogue = data.items.assign(relative=price - typical)
    # the item of each showing
    items = catalogue.set_index("item").loc[shown["item"]].reset_index(drop=True)
    columns = [
        _item_columns(items),
        _past_columns(shown, items),
        context_features(shown["time"], shown["user"]),
    ]
    raw = pd.concat(columns, axis=1).astype(np.float32)
    reacted = (shown["reaction"] > 0).to_numpy().astype(int)
    ratings = shown.rename(columns={"reaction": "value"})
    # the least rank of equal times: a visit is never cut in two
    rank = shown["time"].rank(method="min", pct=True)
    return FeatureTable(raw, reacted, ratings, _late(rank, validation, test))


def _late(rank: pd.Series, validation: float, test: float) -> np.ndarray:
    """Name the part of each row from its rank in time, above 0 to 1."""
    conditions = [rank > 1 - test, rank > 1 - test - validation]
    return np.select(conditions, ["test", "validation"], "train")


def _item_columns(items: pd.DataFrame) -> pd.DataFrame:
    """Category and brand, one-hot, and the price against its category."""
    columns = {}
    for name in CATEGORIES:
        columns[f"category: {name}"] = items["category"] == name
    for name in BRANDS:
        columns[f"brand: {name}"] = items["brand"] == name
    columns["price: against its category"] = items["relative"]
    return pd.DataFrame(columns)


def _past_columns(shown: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """What the customer did in strictly earlier visits."""
    user = shown["user"].to_numpy()
    time = shown["time"].to_numpy()
    reaction = shown["reaction"].to_numpy()
    counted = np.column_stack([np.ones(len(shown)), reaction > 0])
    keys = {
        "all": user,
        "this category": items["category"],
        "this brand": items["brand"],
    }
    past = {}
    for name, key in keys.items():
        groups, _ = pd.factorize(pd.MultiIndex.from_arrays([user, key]))
        seen, reacted = earlier_sum(groups, time, counted).T
        successes = reacted + 0.1 * PRETENDED
        past[f"past: reactions, {name}"] = successes / (seen + PRETENDED)
        if name == "all":
            past["past: showings"] = np.log1p(seen)
    owned = _owned_columns(user, time, reaction, items)
    return pd.DataFrame(past).join(owned)


def _owned_columns(
    user: np.ndarray, time: np.ndarray, reaction: np.ndarray, items: pd.DataFrame
) -> pd.DataFrame:
    """Pieces of each category bought in strictly earlier visits."""
    of_category = items["category"].to_numpy()[:, None] == np.array(CATEGORIES)
    bought = (reaction == 2)[:, None] & of_category
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
    hours = np.arange(24)
    change = np.zeros(24)
    for name, first, last, amount in parameters.hours:
        if name == category:
            change += amount * ((first <= hours) & (hours <= last))
    return change


def true_parts(data: ShopData, shop: Shop, seed: int = 0) -> pd.DataFrame:
    """The planted parts of the utility of every showing, in the order of `data.shown`.

    Logits of reacting, a column per part. seed: the one the customers were drawn with.
    The log itself records the parts only where something happened.
    """
    customers = shop.customers(len(data.users), seed)
    shown = data.shown
    item = shown["item"].to_numpy()
    bought = (shown["reaction"] == 2).to_numpy()
    result = np.empty((len(shown), len(PARTS)))
    owned: dict[int, list[int]] = {}
    # visits in time order: what was bought in one is owned in the next
    for (who, time), rows in shown.groupby(["user", "time"]).indices.items():
        has = owned.setdefault(who, [])
        parts = shop.parts(customers, who, has, time)
        of_items = np.column_stack(list(parts.values()))
        result[rows] = of_items[item[rows]]
        has.extend(item[rows[bought[rows]]].tolist())
    return pd.DataFrame(result, columns=PARTS)


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
        >>> from xrec_utils.data import load_movielens
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
    others = [name for name in raw if name not in {*genres, "user: pause"}]
    context = context_features(ratings["time"], ratings["user"]).astype(np.float32)
    columns = raw[genres + others].join(context)
    rank = ratings.groupby("user")["time"].rank(method="min", pct=True)
    part = _late(rank, validation, test)
    return FeatureTable(columns, table.liked[long], ratings, part)


# ---------------------------------------------------------------- crossed with the item


def product_head(x: keras.KerasTensor, kinds: int, penalty: float) -> keras.KerasTensor:
    """Return the logit w·x + (zV)·x + c, where z are the first `kinds` columns of x.

    x (n, d), logit (n, 1). Row k of V is what the weights of an item of kind k differ
    by: "coffee beans in the morning" has one of its own. The penalty on V's squares
    keeps the differences small where the data are silent.
    """
    first = layers.Lambda(lambda t: t[:, :kinds], output_shape=(kinds,))
    differences = layers.Dense(
        x.shape[1],
        use_bias=False,
        kernel_initializer="zeros",
        kernel_regularizer=keras.regularizers.L2(penalty),
    )(first(x))
    common = layers.Dense(1, kernel_initializer="zeros")(x)
    crossed = layers.Dot(axes=1)([differences, x])
    return layers.Add()([common, crossed])


def side_by_side(
    names: Sequence[str],
    kinds: int,
    variants: Mapping[str, Sequence[str]] = VARIANTS,
    penalty: float = 1e-2,
    steps: int = 400,
) -> keras.Model:
    """Build one network per variant: (n, len(names)) -> {variant: logit (n, 1)}.

    They share nothing but the batches they learn from; a column of a context group that
    a variant must not see is multiplied by zero. So all have the same size, the same
    budget and the same luck. The learning rate falls to zero over `steps` batches: the
    problem is convex, and all come to rest.

    Args:
        names: of the columns; a context column begins with its group and a colon.
        kinds: so many columns, the first, say what kind an item is.
        variants: {name: context groups it may see}.
        penalty: of `product_head`.
        steps: batches of training.
    """
    x = keras.Input((len(names),), name="columns")
    logits = {}
    for variant, groups in variants.items():
        sees = _visible(names, groups)
        logits[variant] = product_head(x * sees, kinds, penalty)
    model = keras.Model(x, logits, name="side_by_side")
    rate = keras.optimizers.schedules.CosineDecay(1e-2, steps)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), dict.fromkeys(logits, loss))
    return model


def _visible(names: Sequence[str], groups: Sequence[str]) -> np.ndarray:
    """1 for each column that may be seen, 0 for those of other context groups."""
    hidden = set(GROUPS) - set(groups)
    sees = [group_of(name) not in hidden for name in names]
    return np.array(sees, dtype=np.float32)


def fit_variants(
    table: FeatureTable,
    kinds: int,
    seeds: Sequence[int] = range(3),
    epochs: int = 6,
    batch: int = 1024,
    **options: Any,
) -> list[keras.Model]:
    """Train `side_by_side` once per seed on the training rows.

    Args:
        table: columns and labels.
        kinds: so many columns of the table, the first, say what kind an item is.
        seeds: one model for each.
        epochs: of training.
        batch: rows per step.
        options: variants and penalty of `side_by_side`.

    Returns:
        One trained model per seed, from columns (n, d) to {variant: logit (n, 1)}.

    Raises:
        ValueError: the table has no training rows.

    Example:
        >>> columns = {"kind: a": [0.0, 1, 0, 1], "hour: sin 1": [1.0, 0, 0, 1]}
        >>> raw = pd.DataFrame(columns)
        >>> ratings = pd.DataFrame({"user": [1, 1, 2, 2]})
        >>> part = np.array(["train", "train", "test", "test"])
        >>> table = FeatureTable(raw, np.array([1, 0, 0, 1]), ratings, part)
        >>> models = fit_variants(table, kinds=1, seeds=[0], epochs=1)
        >>> list(models[0](table.x("test")))
        ['none', 'hour', 'weekday', 'recency', 'all']
    """
    x = table.x("train")
    y = table.y("train")
    batches = -(-len(y) // batch)
    models = []
    for seed in seeds:
        set_seed(seed)
        model = side_by_side(table.names, kinds, steps=epochs * batches, **options)
        labels = dict.fromkeys(model.output, y)
        model.fit(x, labels, batch, epochs, verbose=0)
        models.append(model)
    return models


# ---------------------------------------------------------------- what it is worth


def by_user(users: np.ndarray, labels: np.ndarray, logits: np.ndarray) -> pd.DataFrame:
    """Measure predictions user by user: index user, columns log loss (nats) and auc.

    All three (n,). The AUC is NaN where all labels of a user agree.
    """
    rows = pd.DataFrame({"user": users, "y": labels, "logit": logits})
    rows["loss"] = np.logaddexp(0, rows["logit"]) - rows["y"] * rows["logit"]
    rows["rank"] = rows.groupby("user")["logit"].rank() * rows["y"]
    sums = rows.groupby("user").agg(
        n=("y", "size"), ones=("y", "sum"), loss=("loss", "mean"), rank=("rank", "sum")
    )
    # AUC as the share of right pairs (a one, a zero), by the sum of the ones' ranks
    ones = sums["ones"]
    pairs = (ones * (sums["n"] - ones)).replace(0, np.nan)
    right = sums["rank"] - ones * (ones + 1) / 2
    return pd.DataFrame({"log loss": sums["loss"], "auc": right / pairs})


def measure(
    models: Sequence[keras.Model], table: FeatureTable, part: str = "test"
) -> pd.DataFrame:
    """Test what `fit_variants` gave, user by user.

    Args:
        models: one per seed.
        table: columns and labels.
        part: the rows to test on, "test" or "validation".

    Returns:
        Index (variant, seed, user), columns log loss (nats) and auc (NaN where all
        labels of a user agree); the seed is the model's place in the list.

    Raises:
        ValueError: there is no such part, or no model.

    Example:
        >>> columns = {"kind: a": [0.0, 1, 0, 1], "hour: sin 1": [1.0, 0, 0, 1]}
        >>> raw = pd.DataFrame(columns)
        >>> ratings = pd.DataFrame({"user": [1, 1, 2, 2]})
        >>> part = np.array(["train", "train", "test", "test"])
        >>> table = FeatureTable(raw, np.array([1, 0, 0, 1]), ratings, part)
        >>> knows_nothing = {"none": np.zeros((2, 1), "float32")}
        >>> model = lambda x: {n: keras.ops.array(v) for n, v in knows_nothing.items()}
        >>> round(float(measure([model], table)["log loss"].iloc[0]), 3)  # log 2
        0.693
    """
    users = table.ratings["user"].to_numpy()[table.part == part]
    x = table.x(part)
    y = table.y(part)
    results = {}
    for seed, model in enumerate(models):
        for variant, logits in model(x).items():
            results[variant, seed] = by_user(users, y, logits.numpy()[:, 0])
    return pd.concat(results, names=["variant", "seed"])


def gains(measured: pd.DataFrame, base: str = "none") -> pd.DataFrame:
    """What each variant changes against `base`.

    A negative change of log loss is a gain, of AUC a loss. Users whose labels all agree
    have no AUC and are left out of it.

    Args:
        measured: of `measure`.
        base: the variant that the others are compared with.

    Returns:
        Index (measure, variant); columns mean (over users), low and high (95% interval,
        paired over users), lowest seed and highest seed.

    Raises:
        KeyError: `base` was not measured.

    Example:
        >>> names = ["variant", "seed", "user"]
        >>> places = [("none", "hour"), (0,), (1, 2)]
        >>> index = pd.MultiIndex.from_product(places, names=names)
        >>> measured = pd.DataFrame({"auc": [0.5, 0.7, 0.6, 0.8]}, index=index)
        >>> gains(measured)["mean"].round(6).to_dict()
        {('auc', 'hour'): 0.1}
    """
    rows = {}
    for column in measured:
        # (variant and seed, users)
        wide = measured[column].unstack("user").dropna(axis=1)
        before = wide.loc[base]
        for name in wide.index.unique("variant").drop(base):
            after = wide.loc[name]
            interval = paired_interval(after.to_numpy(), before.to_numpy())
            seeds = (after - before).mean(axis=1)
            rows[column, name] = {
                **vars(interval),
                "lowest seed": seeds.min(),
                "highest seed": seeds.max(),
            }
    return pd.DataFrame(rows).T.rename_axis(["measure", "variant"])


def partial_dependence(
    model: keras.Model,
    variant: str,
    table: FeatureTable,
    changes: pd.DataFrame,
    rows: np.ndarray,
) -> np.ndarray:
    """Mean logit when some columns are set to other values.

    Source: Friedman 2001, doi:10.1214/aos/1013203451.

    Args:
        model: of `fit_variants`.
        variant: the network to ask.
        table: columns and labels.
        changes: (m, columns), values in the raw units of the table.
        rows: bool, one per test row: those to average over.

    Returns:
        Logits (m,), one for each row of `changes`.

    Raises:
        KeyError: the table does not have a column, or the model not the variant.

    Example:
        >>> columns = {"hour: sin 1": [-1.0, 1, 0, 0], "price": [0.0, 2, 1, 2]}
        >>> raw = pd.DataFrame(columns)
        >>> ratings = pd.DataFrame({"user": [1, 1, 2, 2]})
        >>> part = np.array(["train", "train", "test", "test"])
        >>> table = FeatureTable(raw, np.array([1, 0, 0, 1]), ratings, part)
        >>> adds = lambda x: {"all": keras.ops.sum(x, axis=1)}
        >>> change = pd.DataFrame({"hour: sin 1": [0.0, 1.0]})
        >>> rows = np.array([True, True])
        >>> partial_dependence(adds, "all", table, change, rows).tolist()  # price: 0, 1
        [0.5, 1.5]
    """
    train = table.raw.loc[table.part == "train", list(changes)]
    # as the table's own columns are standardised
    scaled = (changes - train.mean()) / train.std(ddof=0)
    values = scaled.to_numpy(dtype=np.float32)
    places = [table.names.index(name) for name in changes]
    x = table.x("test")[rows]
    result = []
    for value in values:
        x[:, places] = value
        logits = model(x)[variant]
        result.append(float(logits.numpy().mean()))
    return np.array(result)

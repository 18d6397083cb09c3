"""The moment as an input: hour, weekday and recency, a network that crosses them with
the item, and their ablation.

A context-aware recommender (Adomavicius and Tuzhilin 2011,
doi:10.1007/978-0-387-85820-3_7) predicts a reaction from customer, item and moment.
Whether the moment adds anything is settled by an ablation: the same network with a
group of columns hidden. In the simulated shop the effects of hour and weekday were
planted, so what is learned can be compared with what is true.
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
PRETENDED = (
    10.0  # showings of average success, so that one reaction does not make a taste
)


# ---------------------------------------------------------------- the moment as columns


def hour_columns(hours: Sequence[int] | np.ndarray, harmonics: int = 2) -> pd.DataFrame:
    """Hours 0..23 as sin and cos of k·2π·hour/24 for k = 1..harmonics: 23 o'clock is as
    near to 0 as 1 o'clock is.

    One harmonic can only say "more at one time, less twelve hours away"; each further
    one allows a sharper shape.
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
    """Seconds since the same user's previous moment, (n,), rows in any order; NaN at a
    user's first moment.
    """
    rows = pd.DataFrame({"user": users, "time": times})
    moments = rows.drop_duplicates().sort_values(["user", "time"])
    moments["pause"] = moments.groupby("user")["time"].diff()
    return rows.merge(moments, on=["user", "time"], how="left")["pause"].to_numpy()


def context_features(
    times: np.ndarray, users: np.ndarray, harmonics: int = HARMONICS
) -> pd.DataFrame:
    """Describe the moment of each row in the columns of three groups, "hour: …",
    "weekday: …", "recency: …".

    Args:
        times: (n,) seconds since 1970, read as UTC. Of the weekday, only weekend or not
            is kept: every further column costs weights.
        users: (n,) whose moment it is; recency is the natural logarithm of the seconds
            since the user's previous moment; the first one counts as a day after, and
            has a column of its own.
    """
    times = np.asarray(times)
    weekday = (times // DAY + 3) % 7  # Monday is 0; 1 January 1970 was a Thursday
    pause = since_previous(times, users)
    return hour_columns(times // HOUR % 24, harmonics).assign(**{
        "weekday: weekend": (weekday >= 5).astype(float),
        "recency: log seconds": np.log(np.nan_to_num(pause, nan=DAY).clip(1)),
        "recency: first": np.isnan(pause).astype(float),
    })  # fmt: skip


def group_of(column: str) -> str:
    """The group of a column: what stands before the colon."""
    return column.partition(":")[0]


# ---------------------------------------------------------------- the shop


def shop_table(
    data: ShopData, validation: float = 0.1, test: float = 0.3
) -> FeatureTable:
    """One row per showing, in time order: item, what the customer did in earlier
    visits, and the moment of the visit.

    Columns: category (14), brand (8), price (logarithm, against the mean of its
    category), past (how often earlier showings to this customer met a reaction: all, of
    this category, of this brand; earlier showings), owned (14: pieces bought in earlier
    visits) and the context. The label `liked` is 1 where the customer browsed or
    bought. The parts are cut by time, `validation` and `test` being shares of the
    showings at the end.
    """
    shown = data.shown.sort_values(["time", "user", "item"], ignore_index=True)
    price = np.log(data.items["price"])
    catalogue = data.items.assign(
        relative=price - price.groupby(data.items["category"]).transform("mean")
    )
    items = catalogue.set_index("item").loc[shown["item"]].reset_index(drop=True)
    reacted = (shown["reaction"] > 0).to_numpy().astype(int)
    columns = [
        _item_columns(items),
        _past_columns(shown, items),
        context_features(shown["time"], shown["user"]),
    ]
    rank = shown["time"].rank(method="min", pct=True)  # a visit is never cut in two
    ratings = shown.rename(columns={"reaction": "value"})
    return FeatureTable(
        pd.concat(columns, axis=1).astype(np.float32),
        reacted,
        ratings,
        _late(rank, validation, test),
    )


def _late(rank: pd.Series, validation: float, test: float) -> np.ndarray:
    """Name the part of each row from its rank in time, above 0 to 1."""
    return np.select(
        [rank > 1 - test, rank > 1 - test - validation], ["test", "validation"], "train"
    )


def _item_columns(items: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([
        pd.DataFrame({f"category: {name}": items["category"] == name for name in CATEGORIES}),
        pd.DataFrame({f"brand: {name}": items["brand"] == name for name in BRANDS}),
        items["relative"].rename("price: against its category"),
    ], axis=1)  # fmt: skip


def _past_columns(shown: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """What the customer did in strictly earlier visits."""
    user, time, reaction = (
        shown[name].to_numpy() for name in ("user", "time", "reaction")
    )
    past = {}
    for name, key in (
        ("all", user),
        ("this category", items["category"]),
        ("this brand", items["brand"]),
    ):
        groups = pd.factorize(pd.MultiIndex.from_arrays([user, key]))[0]
        seen, reacted = earlier_sum(
            groups, time, np.column_stack([reaction >= 0, reaction > 0])
        ).T
        past[f"past: reactions, {name}"] = (reacted + 0.1 * PRETENDED) / (
            seen + PRETENDED
        )
        if name == "all":
            past["past: showings"] = np.log1p(seen)
    bought = (reaction == 2)[:, None] & (
        items["category"].to_numpy()[:, None] == np.array(CATEGORIES)
    )
    owned = pd.DataFrame(
        earlier_sum(user, time, bought),
        columns=[f"owned: {name}" for name in CATEGORIES],
    )
    return pd.DataFrame(past).join(owned)


def planted_hours(category: str, parameters: Parameters | None = None) -> np.ndarray:
    """The true change of utility of a category in each hour 0..23, in logits, shape
    (24,).
    """
    rules = (parameters or Parameters()).hours
    hours = np.arange(24)
    return sum(
        (
            x * ((first <= hours) & (hours <= last))
            for c, first, last, x in rules
            if c == category
        ),
        np.zeros(24),
    )


def true_parts(data: ShopData, shop: Shop, seed: int = 0) -> pd.DataFrame:
    """The planted parts of the utility of every showing, in the order of `data.shown`:
    logits of reacting.

    seed: the one the customers were drawn with. The log itself records the parts only
    where something happened.
    """
    customers, shown = shop.customers(len(data.users), seed), data.shown
    item, bought = shown["item"].to_numpy(), (shown["reaction"] == 2).to_numpy()
    result, owned = np.empty((len(shown), len(PARTS))), {}
    for (who, time), rows in shown.groupby(
        ["user", "time"]
    ).indices.items():  # in time order
        parts = shop.parts(customers, who, owned.setdefault(who, []), time)
        result[rows] = np.column_stack(list(parts.values()))[item[rows]]
        owned[who] += item[rows[bought[rows]]].tolist()
    return pd.DataFrame(result, columns=PARTS)


# ---------------------------------------------------------------- MovieLens


def long_span_table(
    dataset: Dataset, days: float = 30, validation: float = 0.1, test: float = 0.3
) -> FeatureTable:
    """The as-of columns of `features.feature_table` and the context, for users whose
    ratings span more than `days`.

    The genres come first, so that they can be the kinds of `product_head`; "user:
    pause" leaves, because it is recency. The cut is made in each user's own time: the
    last ratings of every user are `test`, those just before `validation`.
    """
    table = feature_table(dataset)
    time = table.ratings.groupby("user")["time"]
    long = (time.transform("max") - time.transform("min") > days * DAY).to_numpy()
    ratings, raw = (
        frame[long].reset_index(drop=True) for frame in (table.ratings, table.raw)
    )
    genres = [f"film: {genre}" for genre in GENRES]
    columns = raw[
        [*genres, *(name for name in raw if name not in {*genres, "user: pause"})]
    ]
    context = context_features(ratings["time"], ratings["user"]).astype(np.float32)
    rank = ratings.groupby("user")["time"].rank(method="min", pct=True)
    return FeatureTable(
        columns.join(context), table.liked[long], ratings, _late(rank, validation, test)
    )


# ---------------------------------------------------------------- a network that
# crosses


def product_head(x: keras.KerasTensor, kinds: int, penalty: float) -> keras.KerasTensor:
    """Return the logit w·x + (zV)·x + c, (n, 1), where z are the first `kinds` columns
    of x (n, d).

    Row k of V is what the weights of an item of kind k differ by: "coffee beans in the
    morning" has one of its own. The penalty on V's squares keeps the differences small
    where the data are silent.
    """
    kind = layers.Lambda(lambda t: t[:, :kinds], output_shape=(kinds,))(x)
    differences = layers.Dense(
        x.shape[1],
        use_bias=False,
        kernel_initializer="zeros",
        kernel_regularizer=keras.regularizers.L2(penalty),
    )(kind)
    return layers.Add()(
        [
            layers.Dense(1, kernel_initializer="zeros")(x),
            layers.Dot(axes=1)([differences, x]),
        ]
    )


def side_by_side(
    names: Sequence[str],
    kinds: int,
    variants: Mapping[str, Sequence[str]] = VARIANTS,
    penalty: float = 1e-2,
    steps: int = 400,
) -> keras.Model:
    """Build one network per variant, side by side: (n, len(names)) -> {variant: logit
    (n, 1)}.

    They share nothing but the batches they learn from; a column of a context group that
    a variant must not see is multiplied by zero. So all have the same size, the same
    budget and the same luck. The learning rate falls to zero over `steps` batches: the
    problem is convex, and all come to rest.
    """
    x = keras.Input((len(names),), name="columns")
    logits = {}
    for variant, groups in variants.items():
        sees = [
            float(group_of(name) not in GROUPS or group_of(name) in groups)
            for name in names
        ]
        logits[variant] = product_head(
            x * np.array(sees, dtype=np.float32), kinds, penalty
        )
    model = keras.Model(x, logits, name="side_by_side")
    rate = keras.optimizers.schedules.CosineDecay(1e-2, steps)
    model.compile(
        keras.optimizers.Adam(rate),
        dict.fromkeys(logits, keras.losses.BinaryCrossentropy(from_logits=True)),
    )
    return model


def fit_variants(
    table: FeatureTable,
    kinds: int,
    seeds: Sequence[int] = range(3),
    epochs: int = 6,
    batch: int = 1024,
    **options: Any,
) -> list[keras.Model]:
    """Train `side_by_side` once per seed on the training rows; options go to it."""
    x, y = table.x("train"), table.y("train")
    models = []
    for seed in seeds:
        set_seed(seed)
        model = side_by_side(
            table.names, kinds, steps=epochs * -(-len(y) // batch), **options
        )
        model.fit(x, dict.fromkeys(model.output, y), batch, epochs, verbose=0)
        models.append(model)
    return models


# ---------------------------------------------------------------- what it is worth


def by_user(users: np.ndarray, labels: np.ndarray, logits: np.ndarray) -> pd.DataFrame:
    """Measure predictions user by user: index user, columns log loss (nats) and auc
    (NaN where all labels agree).
    """
    rows = pd.DataFrame({"user": users, "y": labels, "logit": logits})
    rows["loss"] = np.logaddexp(0, rows["logit"]) - rows["y"] * rows["logit"]
    rows["rank"] = rows.groupby("user")["logit"].rank() * rows["y"]
    sums = rows.groupby("user").agg(
        n=("y", "size"), ones=("y", "sum"), loss=("loss", "mean"), rank=("rank", "sum")
    )
    pairs = (sums["ones"] * (sums["n"] - sums["ones"])).replace(0, np.nan)
    auc = (sums["rank"] - sums["ones"] * (sums["ones"] + 1) / 2) / pairs
    return pd.DataFrame({"log loss": sums["loss"], "auc": auc})


def measure(
    models: Sequence[keras.Model], table: FeatureTable, part: str = "test"
) -> pd.DataFrame:
    """Test what `fit_variants` gave: one row per (variant, seed, user), columns log
    loss and auc.
    """
    users, x, y = (
        table.ratings["user"].to_numpy()[table.part == part],
        table.x(part),
        table.y(part),
    )
    results = {
        (variant, seed): by_user(users, y, logits.numpy()[:, 0])
        for seed, model in enumerate(models) for variant, logits in model(x).items()
    }  # fmt: skip
    return pd.concat(results, names=["variant", "seed"])


def gains(measured: pd.DataFrame, base: str = "none") -> pd.DataFrame:
    """What each variant changes against `base`: mean over users, 95% interval paired
    over users, extremes of the seeds.

    Index (measure, variant). A negative change of log loss is a gain, of AUC a loss.
    Users whose labels all agree have no AUC and are left out of it.
    """
    rows = {}
    for column in measured:
        wide = measured[column].unstack("user").dropna(axis=1)
        for name in wide.index.unique("variant").drop(base):
            interval = paired_interval(
                wide.loc[name].to_numpy(), wide.loc[base].to_numpy()
            )
            seeds = (wide.loc[name] - wide.loc[base]).mean(axis=1)
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
    """Mean logit over the chosen test rows when some columns are set to each row of
    `changes` (Friedman 2001).

    changes: (m, columns) in the raw units of the table. rows: bool, one per test row.
    Returns (m,).
    """
    train = table.raw.loc[table.part == "train", list(changes)]
    values = ((changes - train.mean()) / train.std(ddof=0)).to_numpy(dtype=np.float32)
    places = [table.names.index(name) for name in changes]
    x, result = table.x("test")[rows], []
    for value in values:
        x[:, places] = value
        result.append(float(model(x)[variant].numpy().mean()))
    return np.array(result)

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
from xrec_utils.data.features import FeatureTable
from xrec_utils.keras_start import keras, layers
from xrec_utils.metrics.intervals import paired_interval
from xrec_utils.shop.moments import GROUPS, group_of

VARIANTS = {
    "none": (),
    **{group: (group,) for group in GROUPS},
    "all": GROUPS,
}


# ---------------------------------------------------------------- crossed with the item


def product_head(x: keras.KerasTensor, kinds: int, penalty: float) -> keras.KerasTensor:
    """Return the logit w·x + (zV)·x + c, where z are the first `kinds` columns of x.

    x (n, d), logit (n, 1). Row k of V is what the weights of an item of kind k differ
    by: "coffee beans in the morning" has one of its own. The penalty on V's squares
    keeps the differences small where the data are silent.
    """
    first = layers.Lambda(
        lambda t: t[:, :kinds],
        output_shape=(kinds,),
    )
    differences = layers.Dense(
        x.shape[1],
        use_bias=False,
        kernel_initializer="zeros",
        kernel_regularizer=keras.regularizers.L2(penalty),
    )(first(x))
    parts = [
        layers.Dense(1, kernel_initializer="zeros")(x),
        layers.Dot(axes=1)([differences, x]),
    ]
    return layers.Add()(parts)


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
        hidden = set(GROUPS) - set(groups)
        # 1 for each column that may be seen, 0 for those of other context groups
        sees = np.float32([group_of(name) not in hidden for name in names])
        logits[variant] = product_head(x * sees, kinds, penalty)
    model = keras.Model(x, logits, name="side_by_side")
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, steps)),
        # each variant learns from its own error, for none shares a weight
        loss=dict.fromkeys(logits, keras.losses.BinaryCrossentropy(from_logits=True)),
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
    # the last batch may be smaller
    batches = -(-len(y) // batch)
    models = []
    for seed in seeds:
        set_seed(seed)
        model = side_by_side(
            table.names,
            kinds,
            steps=epochs * batches,
            **options,
        )
        # made before the first step, which TensorFlow would else trace a second time
        model.optimizer.build(model.trainable_variables)
        model.fit(
            x,
            dict.fromkeys(model.output, y),  # every variant learns the same labels
            batch,
            epochs,
            verbose=0,
        )
        models.append(model)
    return models


# ---------------------------------------------------------------- what it is worth


def by_user(users: np.ndarray, labels: np.ndarray, logits: np.ndarray) -> pd.DataFrame:
    """Measure predictions user by user: index user, columns log loss (nats) and auc.

    All three (n,). The AUC is NaN where all labels of a user agree.
    """
    rows = pd.DataFrame({"user": users, "y": labels, "logit": logits})
    # -log σ(logit) for a one, -log(1 - σ(logit)) for a zero, safe for large logits
    rows["loss"] = np.logaddexp(0, logits) - rows["y"] * rows["logit"]
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
    x = table.x(part)
    results = {}
    for seed, model in enumerate(models):
        for variant, logits in model(x).items():
            results[variant, seed] = by_user(
                users=table.ratings["user"].to_numpy()[table.part == part],
                labels=table.y(part),
                logits=logits.numpy()[:, 0],
            )
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
            seeds = (after - before).mean(axis=1)
            rows[column, name] = {
                **vars(paired_interval(after.to_numpy(), before.to_numpy())),
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
    places = [table.names.index(name) for name in changes]
    x = table.x("test")[rows]
    means = []
    for values in scaled.to_numpy(dtype=np.float32):
        x[:, places] = values
        means.append(float(model(x)[variant].numpy().mean()))
    return np.array(means)

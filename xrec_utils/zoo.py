"""The trained models of the course: `zoo.load(name)` gives one back in a second, or
trains it again.

All models share one split (movielens-small, 5-core, leave-last-out, ties broken by seed
0) and one rule: settings were chosen on validation from a grid of four per model
(`data/bench/tuning.csv`), the test part was read once. Weights lie in data/weights
beside a record of how they were made, rounded to 16-bit floats (a relative error of at
most 0.05%), which keeps all shipped data below 10 MB.
"""

import hashlib
import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from xrec_utils import (
    autoencoders,
    classic,
    mlp,
    neural,
    sequence,
    set_seed,
    target_attention,
)
from xrec_utils.data import load_movielens
from xrec_utils.features import FILM, USER, FeatureTable, feature_table
from xrec_utils.files import replace_bytes, replace_text
from xrec_utils.keras_start import keras
from xrec_utils.metrics import top_k
from xrec_utils.paths import DATA
from xrec_utils.splits import Split, k_core, leave_last_out
from xrec_utils.training import fit_next_item

WEIGHTS = DATA / "weights"


@dataclass(frozen=True)
class Spec:
    """How a model is built and fitted, and what was tried for it. A new model is one
    row of SPECS.

    build(data, settings) returns the untrained model. fit(model, data, seed=...,
    **options) trains it in place and returns one row per epoch (none for a closed
    form). `data` is a Split, for feature models a FeatureTable.
    """

    build: Callable[[Any, dict[str, Any]], Any]
    fit: Callable[..., list[dict[str, float]]]
    settings: dict[str, Any]
    grid: tuple[dict[str, Any], ...] = ()


def _closed_form(model: Any, data: Split, seed: int = 0) -> list[dict[str, float]]:
    model.fit(data.train_histories(), data.n_items)
    return []


def _alternating(
    model: classic.ImplicitALS, data: Split, seed: int = 0
) -> list[dict[str, float]]:
    model.seed = seed
    return _closed_form(model, data)


def _network(
    fit: Callable[..., list[dict[str, float]]], **fixed: Any
) -> Callable[..., list[dict[str, float]]]:
    """Fit on the training histories, with the epoch chosen on validation unless
    validation=None is passed.
    """

    def train(model: Any, data: Split, **options: Any) -> list[dict[str, float]]:
        if "validation" not in options:
            options["validation"] = data.cases("validation")
        return fit(model, data.train_histories(), **{**fixed, **options})

    return train


def _with_attributes(build: Callable[..., Any]) -> Callable[[Split, dict], Any]:
    return lambda data, settings: build(neural.item_attributes(data.items), **settings)


def _embedding_mlp(data: Split, settings: dict) -> mlp.UserItemRecommender:
    network = mlp.embedding_mlp(data.n_users, data.n_items, **settings)
    return mlp.UserItemRecommender(
        "embedding_mlp", network, data.train_histories(), data.n_items
    )


def _fit_feature_mlp(
    model: keras.Model, data: FeatureTable, **options: Any
) -> list[dict[str, float]]:
    train, validation = (
        (data.x(part), data.y(part)) for part in ("train", "validation")
    )
    return mlp.fit_features(model, train, validation, **options)


def _fit_two_branch(
    model: keras.Model, data: FeatureTable, **options: Any
) -> list[dict[str, float]]:
    parts = ("train", "validation")
    train, validation = (
        (data.branches(part), keras.utils.to_categorical(data.y(part), 2))
        for part in parts
    )
    return mlp.fit_features(model, train, validation, **options)


def grid(**choices: tuple) -> tuple[dict[str, Any], ...]:
    """All combinations: four for every model, so that none is tuned harder than
    another.
    """
    return tuple(
        dict(zip(choices, values, strict=True)) for values in product(*choices.values())
    )


def _of_items(build: Callable[..., Any]) -> Callable[[Split, dict], Any]:
    return lambda data, settings: build(data.items, **settings)


def _plain(build: Callable[..., Any]) -> Callable[[Any, dict], Any]:
    return lambda data, settings: build(**settings)


def _by_size(build: Callable[..., Any]) -> Callable[[Split, dict], Any]:
    return lambda data, settings: build(data.n_items, **settings)


SPECS: dict[str, Spec] = {
    "popularity": Spec(_plain(classic.Popularity), _closed_form, {}),
    "content": Spec(
        _of_items(classic.ContentBased),
        _closed_form,
        {"year": 2.0, "title": 1.0},
        grid(year=(1.0, 2.0), title=(0.5, 1.0)),
    ),
    "user_knn": Spec(
        _plain(classic.UserKNN),
        _closed_form,
        {"n_neighbours": 10},
        grid(n_neighbours=(10, 25, 50, 100)),
    ),
    "item_knn": Spec(
        _plain(classic.ItemKNN),
        _closed_form,
        {"n_neighbours": 100, "shrink": 5.0},
        grid(n_neighbours=(50, 100), shrink=(5.0, 20.0)),
    ),
    "ials": Spec(
        _plain(classic.ImplicitALS),
        _alternating,
        {"width": 64, "w0": 0.3, "regularisation": 0.01},
        tuple(
            {"width": width, "w0": w0, "regularisation": penalty}
            for width, w0, penalty in (
                (32, 0.3, 0.003),
                (32, 0.1, 0.03),
                (64, 0.1, 0.03),
                (64, 0.3, 0.01),
            )
        ),
    ),
    "ease": Spec(
        _plain(classic.EASE),
        _closed_form,
        {"regularisation": 500.0},
        grid(regularisation=(100.0, 200.0, 500.0, 1000.0)),
    ),
    "hybrid": Spec(
        _of_items(classic.HybridEASE),
        _closed_form,
        {"regularisation": 200.0, "weight": 20.0},
        grid(regularisation=(200.0, 500.0), weight=(20.0, 50.0)),
    ),
    "embedding_mlp": Spec(
        _embedding_mlp,
        _network(mlp.fit_pairs),
        {"width": 16, "product_width": 16},
        grid(width=(16, 32), product_width=(0, 16)),
    ),
    "pooled_mlp": Spec(
        _with_attributes(neural.pooled_mlp),
        _network(fit_next_item),
        {"width": 64, "dropout": 0.3},
        grid(width=(64, 128), dropout=(0.3, 0.5)),
    ),
    "attention": Spec(
        _with_attributes(neural.attention_recommender),
        _network(fit_next_item),
        {"blocks": 1, "dropout": 0.3},
        grid(blocks=(1, 2), dropout=(0.3, 0.5)),
    ),
    "gru": Spec(
        _with_attributes(sequence.gru_recommender),
        _network(fit_next_item, compiled=False, rate=3e-3),
        {"units": 128, "dropout": 0.3},
        grid(units=(64, 128), dropout=(0.3, 0.5)),
    ),
    "gru_attention": Spec(
        _with_attributes(sequence.gru_attention_recommender),
        _network(fit_next_item, compiled=False, rate=3e-3),
        {"units": 64, "dropout": 0.3},
        grid(units=(64, 128), dropout=(0.3, 0.5)),
    ),
    "din": Spec(
        _with_attributes(target_attention.TargetAttention),
        _network(target_attention.fit_target_attention, rate=3e-3),
        {"width": 64, "dropout": 0.3},
        grid(width=(32, 64), dropout=(0.3, 0.5)),
    ),
    "dae": Spec(
        _by_size(autoencoders.dae),
        _network(autoencoders.fit_autoencoder, epochs=100, patience=10),
        {"dropout": 0.5},
        grid(dropout=(0.3, 0.5, 0.6, 0.7)),
    ),
    "vae": Spec(
        _by_size(autoencoders.vae),
        _network(autoencoders.fit_autoencoder, rate=2e-3, epochs=100, patience=10),
        {"dropout": 0.5, "beta": 0.2},
        grid(dropout=(0.5, 0.7), beta=(0.05, 0.2)),
    ),
    "feature_mlp": Spec(
        lambda data, settings: mlp.feature_mlp(len(data.names)), _fit_feature_mlp, {}
    ),
    "two_branch": Spec(
        lambda data, settings: mlp.two_branch_mlp(len(USER), len(FILM), **settings),
        _fit_two_branch,
        {},
    ),
}
FEATURE_MODELS = ("feature_mlp", "two_branch")
SHIPPED = tuple(
    name for name, row in SPECS.items() if row.fit not in (_closed_form, _alternating)
)


@lru_cache(maxsize=2)
def split(tie_seed: int = 0) -> Split:
    """The shared split: movielens-small, 5-core, leave-last-out, ties broken by
    `tie_seed`.
    """
    return leave_last_out(k_core(load_movielens("movielens-small"), 5), tie_seed)


@dataclass(frozen=True, eq=False)
class RunningCase:
    """The user and the recommendation that every notebook comes back to.

    user: code. history: (n,) item codes, oldest first. stars: (n,) what the user gave
    them. item: code of the film that the attention model recommends first.
    """

    user: int
    history: np.ndarray
    stars: np.ndarray
    item: int


RUNNING_USER = (
    409  # 27 films that many readers know; chosen for that, not for its result
)


@cache
def running_case() -> RunningCase:
    """The running case of the course: all but the last film of one user, and the
    attention model's first choice.
    """
    shared = split()
    known = pd.concat([shared.train, shared.validation])
    rows = known[known["user"] == RUNNING_USER].sort_values("place")
    history = rows["item"].to_numpy()
    item = top_k(load("attention").score([history]), 1, [history])[0, 0]
    return RunningCase(RUNNING_USER, history, rows["value"].to_numpy(), int(item))


@cache
def features() -> FeatureTable:
    """The shared feature table: every rating of movielens-small, cut by time."""
    return feature_table(load_movielens("movielens-small"))


def spec(name: str) -> Spec:
    """Look a model up; a wrong name raises KeyError with the names there are."""
    if name not in SPECS:
        raise KeyError(f"no model named {name!r}; the zoo has {', '.join(SPECS)}")
    return SPECS[name]


def build(
    name: str,
    on: Split | FeatureTable | None = None,
    seed: int = 0,
    settings: dict | None = None,
) -> Any:
    """Build a model for `on` (default: the shared split or table), untrained, with
    weights drawn from `seed`.
    """
    chosen = spec(name)
    set_seed(seed)
    return chosen.build(
        on or _shared(name), chosen.settings if settings is None else settings
    )


def train(
    name: str,
    on: Split | FeatureTable | None = None,
    seed: int = 0,
    settings: dict | None = None,
    **options: Any,
) -> tuple[Any, list[dict[str, float]]]:
    """Train a model on `on` (default: the shared split or table) and return it with one
    row per epoch.

    `options` go to the training loop, for example epochs=2, or validation=None for a
    final fit without early stopping.
    """
    model = build(name, on, seed, settings)
    options = options if name in FEATURE_MODELS else {"seed": seed, **options}
    return model, spec(name).fit(model, on or _shared(name), **options)


def _shared(name: str) -> Split | FeatureTable:
    return features() if name in FEATURE_MODELS else split()


@cache
def _shipped(name: str) -> Any:
    if name not in SHIPPED:
        return train(name)[0]
    weights = _read_weights(name)
    model = build(name, settings=record(name)["settings"])
    network(model).set_weights(weights)
    return model


def load(name: str, retrain: bool = False, **options: Any) -> Any:
    """Give a trained model back: from data/weights, or (retrain=True) trained here and
    now; nothing is written.

    Popularity and EASE have a closed form and are fitted on each start. `options` go to
    the training loop.

    Raises:
        KeyError: no model of that name.
        FileNotFoundError: the weights are missing.
        ValueError: the weights were trained on other data than the one in
            data/movielens-small.
    """
    spec(name)
    return train(name, **options)[0] if retrain else _shipped(name)


def network(model: Any) -> keras.Model:
    """The Keras model inside a recommender (feature models are one already)."""
    return model if isinstance(model, keras.Model) else model.model


def record(name: str) -> dict[str, Any]:
    """How the shipped weights were made: settings, seed, epochs, validation score,
    seconds, versions, data hash.
    """
    path = WEIGHTS / f"{name}.json"
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing: restore it with git, or use load({name!r}, retrain=True)"
        )
    return json.loads(path.read_text(encoding="utf-8"))


def fingerprint(name: str) -> str:
    """sha256 over the training data a model saw: what ties shipped weights to shipped
    ratings.
    """
    table = features() if name in FEATURE_MODELS else split()
    seen = (
        table.ratings[table.part == "train"] if name in FEATURE_MODELS else table.train
    )
    digest = hashlib.sha256()
    for column in (
        "user",
        "item",
        "value",
        "time",
    ):  # whole numbers and half stars: the same bytes on every machine
        digest.update(seen[column].to_numpy(dtype=np.float64).tobytes())
    return digest.hexdigest()


def _read_weights(name: str) -> list[np.ndarray]:
    if record(name)["data_sha256"] != fingerprint(name):
        raise ValueError(
            f"data/weights/{name}.npz was trained on other ratings; use load({name!r}, retrain=True)"
        )
    with np.load(WEIGHTS / f"{name}.npz") as arrays:
        return [arrays[key].astype(np.float32) for key in sorted(arrays.files)]


def ship(name: str, seed: int = 0) -> dict[str, Any]:
    """Train a model, write data/weights/<name>.npz and its record, and return the
    record.
    """
    started = time.perf_counter()
    model, epochs = train(name, seed=seed)
    weights = network(model).get_weights()
    row = {
        "model": name,
        "settings": spec(name).settings,
        "seed": seed,
        "parameters": int(sum(w.size for w in weights)),
        "seconds": round(time.perf_counter() - started),
        "data_sha256": fingerprint(name),
        "versions": {package: version(package) for package in ("keras", "numpy")},
        "epochs": [
            {key: round(value, 5) for key, value in epoch.items()} for epoch in epochs
        ],
    }
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    np.savez_compressed(
        packed, **{f"{n:03d}": w.astype(np.float16) for n, w in enumerate(weights)}
    )
    replace_bytes(WEIGHTS / f"{name}.npz", packed.getvalue())
    replace_text(WEIGHTS / f"{name}.json", json.dumps(row, indent=1) + "\n")
    return row

"""The trained models of the course: `zoo.load(name)` gives one back in a second, or trains it again.

All models share one split (movielens-small, 5-core, leave-last-out, ties broken by seed 0) and one rule: settings
were chosen on validation from a grid of four per model (`data/bench/tuning.csv`), the test part was read once.
Weights lie in data/weights as float32 arrays beside a record of how they were made.
"""

import hashlib
import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from xrec_utils import mlp, neural, set_seed
from xrec_utils.classic import EASE, Popularity
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
    """How a model is built and trained on the shared split, and what was tried for it.

    train(split, seed, settings, **fit options) returns (model, one row per epoch).
    """

    train: Callable[..., tuple[Any, list[dict[str, float]]]]
    settings: dict[str, Any]
    grid: tuple[dict[str, Any], ...] = ()


def _popularity(split: Split, seed: int, settings: dict) -> tuple[Popularity, list]:
    return Popularity().fit(split.train_histories(), split.n_items), []


def _ease(split: Split, seed: int, settings: dict) -> tuple[EASE, list]:
    return EASE(**settings).fit(split.train_histories(), split.n_items), []


def _next_item(build: Callable[..., neural.HistoryRecommender]) -> Callable[..., tuple]:
    def train(split: Split, seed: int, settings: dict, **options: Any) -> tuple:
        set_seed(seed)
        model = build(neural.item_attributes(split.items), **settings)
        return model, _fit_or_skip(fit_next_item, model, split, seed, options)

    return train


def _embedding_mlp(split: Split, seed: int, settings: dict, **options: Any) -> tuple:
    set_seed(seed)
    network = mlp.embedding_mlp(split.n_users, split.n_items, **settings)
    model = mlp.UserItemRecommender("embedding_mlp", network, split.n_users, split.n_items)
    return model, _fit_or_skip(mlp.fit_pairs, model, split, seed, options)


def _fit_or_skip(fit: Callable, model: Any, split: Split, seed: int, options: dict) -> list[dict[str, float]]:
    if options.get("epochs") == 0:
        return []
    return fit(model, split.train_histories(), split.cases("validation"), seed=seed, **options)


def _feature_model(split: FeatureTable, seed: int, settings: dict, **options: Any) -> tuple:
    set_seed(seed)
    model = mlp.feature_mlp(len(split.names))
    return model, _fit_features(model, options, lambda part: (split.x(part), split.y(part)))


def _two_branch(split: FeatureTable, seed: int, settings: dict, **options: Any) -> tuple:
    set_seed(seed)
    model = mlp.two_branch_mlp(len(USER), len(FILM), **settings)

    def rows(part: str) -> tuple:
        return split.branches(part), keras.utils.to_categorical(split.y(part), 2)

    return model, _fit_features(model, options, rows)


def _fit_features(model: keras.Model, options: dict, rows: Callable[[str], tuple]) -> list[dict[str, float]]:
    if options.get("epochs") == 0:
        return []
    return mlp.fit_features(model, rows("train"), rows("validation"), **options)


SPECS: dict[str, Spec] = {
    "popularity": Spec(_popularity, {}),
    "ease": Spec(_ease, {"regularisation": 500.0}, tuple({"regularisation": r} for r in (100.0, 200.0, 500.0, 1000.0))),
    "embedding_mlp": Spec(
        _embedding_mlp,
        {"width": 16, "product_width": 16},
        tuple({"width": w, "product_width": p} for w in (16, 32) for p in (0, 16)),
    ),
    "pooled_mlp": Spec(
        _next_item(neural.pooled_mlp),
        {"width": 64, "dropout": 0.3},
        tuple({"width": w, "dropout": d} for w in (64, 128) for d in (0.3, 0.5)),
    ),
    "attention": Spec(
        _next_item(neural.attention_recommender),
        {"blocks": 1, "dropout": 0.3},
        tuple({"blocks": b, "dropout": d} for b in (1, 2) for d in (0.3, 0.5)),
    ),
    "feature_mlp": Spec(_feature_model, {}),
    "two_branch": Spec(_two_branch, {}),
}
FEATURE_MODELS = ("feature_mlp", "two_branch")
SHIPPED = ("embedding_mlp", "pooled_mlp", "attention", "feature_mlp", "two_branch")


@lru_cache(maxsize=2)
def split(tie_seed: int = 0) -> Split:
    """The shared split: movielens-small, 5-core, leave-last-out, ties broken by `tie_seed`."""
    return leave_last_out(k_core(load_movielens("movielens-small"), 5), tie_seed)


@dataclass(frozen=True, eq=False)
class RunningCase:
    """The user and the recommendation that every notebook comes back to.

    user: code. history: (n,) item codes, oldest first. stars: (n,) what the user gave them. item: code of the film
    that the attention model recommends first.
    """

    user: int
    history: np.ndarray
    stars: np.ndarray
    item: int


RUNNING_USER = 409  # 27 films that many readers know; chosen for that, not for its result


@cache
def running_case() -> RunningCase:
    """The running case of the course: all but the last film of one user, and the attention model's first choice."""
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


def train(
    name: str, on: Split | FeatureTable | None = None, seed: int = 0, settings: dict | None = None, **options: Any
) -> tuple[Any, list[dict[str, float]]]:
    """Train a model on `on` (default: the shared split or table) and return it with one row per epoch.

    `options` go to the training loop, for example epochs=2; epochs=0 builds the model and leaves it untrained.
    """
    chosen = spec(name)
    on = on or (features() if name in FEATURE_MODELS else split())
    return chosen.train(on, seed, chosen.settings if settings is None else settings, **options)


@cache
def _shipped(name: str) -> Any:
    if name not in SHIPPED:
        return train(name)[0]
    weights = _read_weights(name)
    model, _ = train(name, settings=record(name)["settings"], epochs=0)
    network(model).set_weights(weights)
    return model


def load(name: str, retrain: bool = False, **options: Any) -> Any:
    """Give a trained model back: from data/weights, or (retrain=True) trained here and now; nothing is written.

    Popularity and EASE have a closed form and are fitted on each start. `options` go to the training loop.

    Raises:
        KeyError: no model of that name.
        FileNotFoundError: the weights are missing.
        ValueError: the weights were trained on other data than the one in data/movielens-small.
    """
    spec(name)
    return train(name, **options)[0] if retrain else _shipped(name)


def network(model: Any) -> keras.Model:
    """The Keras model inside a recommender (feature models are one already)."""
    return model if isinstance(model, keras.Model) else model.model


def record(name: str) -> dict[str, Any]:
    """How the shipped weights were made: settings, seed, epochs, validation score, seconds, versions, data hash."""
    path = WEIGHTS / f"{name}.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: restore it with git, or use load({name!r}, retrain=True)")
    return json.loads(path.read_text(encoding="utf-8"))


def fingerprint(name: str) -> str:
    """sha256 over the training data a model saw: what ties shipped weights to shipped ratings."""
    table = features() if name in FEATURE_MODELS else split()
    seen = table.ratings[table.part == "train"] if name in FEATURE_MODELS else table.train
    digest = hashlib.sha256()
    for column in ("user", "item", "value", "time"):  # whole numbers and half stars: the same bytes on every machine
        digest.update(seen[column].to_numpy(dtype=np.float64).tobytes())
    return digest.hexdigest()


def _read_weights(name: str) -> list[np.ndarray]:
    if record(name)["data_sha256"] != fingerprint(name):
        raise ValueError(f"data/weights/{name}.npz was trained on other ratings; use load({name!r}, retrain=True)")
    with np.load(WEIGHTS / f"{name}.npz") as arrays:
        return [arrays[key] for key in sorted(arrays.files)]


def ship(name: str, seed: int = 0) -> dict[str, Any]:
    """Train a model, write data/weights/<name>.npz and its record, and return the record."""
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
        "epochs": [{key: round(value, 5) for key, value in epoch.items()} for epoch in epochs],
    }
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    np.savez_compressed(packed, **{f"{n:03d}": w for n, w in enumerate(weights)})
    replace_bytes(WEIGHTS / f"{name}.npz", packed.getvalue())
    replace_text(WEIGHTS / f"{name}.json", json.dumps(row, indent=1) + "\n")
    return row

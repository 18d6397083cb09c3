"""The trained models of the course: `zoo.load(name)` gives one back in a second, or
trains it again.

All models share one split (movielens-small, 5-core, leave-last-out, ties broken by seed
0) and one rule: settings were chosen on validation from a grid of four per model
(`data/bench/tuning.csv`), the test part was read once. Weights lie in data/weights
beside a record of how they were made, rounded to 16-bit floats (a relative error of at
most 0.05%), which keeps all shipped data below 10 MB.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import pandas as pd

from xrec_utils import set_seed
from xrec_utils.contract import recommend
from xrec_utils.data import feature_table, k_core, leave_last_out, load_movielens
from xrec_utils.data.features import FeatureTable
from xrec_utils.data.splits import Split
from xrec_utils.files import DATA, require
from xrec_utils.keras_start import keras
from xrec_utils.models.specs import (
    FEATURE_MODELS,
    SPECS,
    Spec,
    _alternating,
    _closed_form,
)

WEIGHTS = DATA / "weights"
SHIPPED = tuple(
    name for name, row in SPECS.items() if row.fit not in (_closed_form, _alternating)
)


# two at most stay in memory: the one of the course, and one to compare with
@lru_cache(maxsize=2)
def split(tie_seed: int = 0) -> Split:
    """The shared split: movielens-small, 5-core, leave-last-out, ties broken by
    `tie_seed`.
    """
    return leave_last_out(
        k_core(load_movielens("movielens-small"), 5),
        tie_seed,
    )


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


# 27 films that many readers know; chosen for that, not for its result
RUNNING_USER = 409


@cache
def running_case() -> RunningCase:
    """The running case of the course: all but the last film of one user, and the
    attention model's first choice.
    """
    known = pd.concat([split().train, split().validation])
    # the user's last film is in neither part: it is what a test asks for
    rows = known[known["user"] == RUNNING_USER].sort_values("place")
    history = rows["item"].to_numpy()
    return RunningCase(
        user=RUNNING_USER,
        history=history,
        stars=rows["value"].to_numpy(),
        # the first choice that the history does not hold
        item=int(recommend(load("attention"), history, k=1)[0]),
    )


@cache
def features() -> FeatureTable:
    """The shared feature table: every rating of movielens-small, cut by time."""
    return feature_table(load_movielens("movielens-small"))


def spec(name: str) -> Spec:
    """Look a model up; a wrong name raises KeyError with the names there are."""
    require(
        name in SPECS,
        f"no model named {name!r}; the zoo has {', '.join(SPECS)}",
        error=KeyError,
    )
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
        on or _shared(name),
        chosen.settings if settings is None else settings,
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
    return model, spec(name).fit(
        model,
        on or _shared(name),
        seed=seed,
        **options,
    )


def _shared(name: str) -> Split | FeatureTable:
    return features() if name in FEATURE_MODELS else split()


@cache
def _shipped(name: str) -> Any:
    # models without a network ship no weights: they are fitted anew
    if name not in SHIPPED:
        return train(name)[0]
    require(
        record(name)["data_sha256"] == fingerprint(name),
        f"data/weights/{name}.npz was trained on other ratings; "
        f"use load({name!r}, retrain=True)",
    )
    model = build(name, settings=record(name)["settings"])
    with np.load(WEIGHTS / f"{name}.npz") as arrays:
        # named 000, 001, …: in the order in which Keras holds them
        network(model).set_weights(
            [arrays[key].astype(np.float32) for key in sorted(arrays.files)]
        )
    return model


def load(name: str, retrain: bool = False, **options: Any) -> Any:
    """Give a trained model back: from data/weights, or (retrain=True) trained here and
    now; nothing is written.

    Models without a network are fitted when first asked for. `options` go to the
    training loop.

    Raises:
        KeyError: no model of that name.
        FileNotFoundError: the weights are missing.
        ValueError: the weights were trained on other data than the one in
            data/movielens-small.
    """
    return train(name, **options)[0] if retrain else _shipped(name)


def network(model: Any) -> keras.Model:
    """The Keras model inside a recommender (feature models are one already)."""
    return model if isinstance(model, keras.Model) else model.model


def record(name: str) -> dict[str, Any]:
    """How the shipped weights were made: settings, seed, epochs, validation score,
    seconds, versions, data hash.
    """
    path = WEIGHTS / f"{name}.json"
    require(
        path.exists(),
        f"{path} is missing: restore it with git, or use load({name!r}, retrain=True)",
        error=FileNotFoundError,
    )
    return json.loads(path.read_text(encoding="utf-8"))


def fingerprint(name: str) -> str:
    """sha256 over the training data a model saw: what ties shipped weights to shipped
    ratings.
    """
    seen = split().train
    if name in FEATURE_MODELS:
        seen = features().ratings[features().part == "train"]
    # whole numbers and half stars, column after column: the same bytes on every machine
    numbers = seen[["user", "item", "value", "time"]].to_numpy(dtype=np.float64)
    return hashlib.sha256(numbers.T.tobytes()).hexdigest()

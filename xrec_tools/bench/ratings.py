"""The rmse protocol: stars of held-out ratings, in 5-fold cross-validation.

The models are those of `ratings`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from xrec_utils.data.load import Dataset
from xrec_utils.metrics.ratings import mae, rmse
from xrec_utils.models.specs import grid
from xrec_utils.models.stars import Baseline, ItemNeighbours, MatrixFactorisation

FOLDS = 5


@dataclass(frozen=True)
class Stars:
    """Some ratings: users (n,) and items (n,) as codes from 0, values (n,) in stars."""

    users: np.ndarray
    items: np.ndarray
    values: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Stars:
        return Stars(
            self.users[rows],
            self.items[rows],
            self.values[rows],
        )


def fold(dataset: Dataset, seed: int) -> tuple[Stars, Stars]:
    """(training, test) of a fold.

    Seeds 0 to 4 are the five folds of one random partition, 5 to 9 of the next.
    """
    rows = dataset.interactions.sort_values(["user", "item"])
    _, users = np.unique(rows["user"], return_inverse=True)
    _, items = np.unique(rows["item"], return_inverse=True)
    stars = Stars(
        users,
        items,
        rows["value"].to_numpy(dtype=np.float64),
    )
    # one partition serves five seeds: its generator must not depend on the fold
    fold_of_row = np.random.default_rng(seed // FOLDS).permutation(len(rows)) % FOLDS
    asked = fold_of_row == seed % FOLDS
    return stars[~asked], stars[asked]


def inner(train: Stars, share: float = 0.1) -> tuple[Stars, Stars]:
    """A training part cut once more, for choosing settings."""
    held_out = np.random.default_rng(0).random(len(train.values)) < share
    return train[~held_out], train[held_out]


@dataclass(frozen=True)
class Rater:
    """How a model of stars is built from seed and settings, and the settings to try."""

    build: Callable[..., Any]
    grid: tuple[dict[str, Any], ...]

    def fit(self, train: Stars, seed: int, settings: dict[str, Any]) -> Any:
        """The model, built and fitted on the training ratings."""
        return self.build(seed, **settings).fit(
            train.users,
            train.items,
            train.values,
        )


# Only factorisation starts from random numbers; the other two take no seed.
RATERS: dict[str, Rater] = {
    "baseline": Rater(
        lambda seed, **settings: Baseline(**settings),
        grid(user_shrink=(5.0, 10.0), item_shrink=(1.0, 2.0)),
    ),
    "item_neighbours": Rater(
        lambda seed, **settings: ItemNeighbours(**settings),
        grid(n_neighbours=(20, 40), shrink=(100.0, 200.0)),
    ),
    "matrix_factorisation": Rater(
        lambda seed, **settings: MatrixFactorisation(**settings, seed=seed),
        grid(width=(32, 64), penalty=(0.08, 0.1)),
    ),
}


def errors(model: Any, asked: Stars) -> dict[str, float]:
    """Root mean squared and mean absolute error, in stars."""
    predicted = model.predict(asked.users, asked.items)
    return {
        "rmse": rmse(asked.values, predicted),
        "mae": mae(asked.values, predicted),
    }

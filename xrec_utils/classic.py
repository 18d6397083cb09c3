"""Recommenders without a network. Every deep model of the course stands beside them in the same table."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from scipy import linalg

from xrec_utils.contract import History, item_columns, multi_hot


class Popularity:
    """Recommends what most people rated; the history only takes films off the list.

    The score of an item is log(1 + number of users who have it), the same for every history, the empty one included.
    """

    name = "popularity"

    def fit(self, histories: Sequence[History], n_items: int) -> Self:
        """Count, for each of the `n_items` items, the histories that hold it."""
        self.n_items = n_items
        self.count = multi_hot(histories, n_items).sum(axis=0)
        return self

    def score(self, histories: Sequence[History], items: np.ndarray | None = None) -> np.ndarray:
        """Return scores of shape (n histories, n items or len(items))."""
        scores = np.tile(np.log1p(self.count), (len(histories), 1))
        return item_columns(scores, items)


class EASE:
    """The linear item-to-item model with a closed form (Steck 2019, doi:10.1145/3308558.3313710).

    With X the users x items matrix of ones and P = (XᵀX + λI)⁻¹, the weights are B = I - P / diag(P), zero on the
    diagonal, and a history scores an item by the sum of its films' weights to it: score_j = Σ_i B_ij. The empty
    history scores zero everywhere.

    Args:
        regularisation: λ, in units of users who share two films.
    """

    name = "ease"

    def __init__(self, regularisation: float = 200.0) -> None:
        self.regularisation = regularisation

    def fit(self, histories: Sequence[History], n_items: int) -> Self:
        """Solve for B, shape (n_items, n_items), float32; cost grows with n_items cubed."""
        self.n_items = n_items
        seen = multi_hot(histories, n_items)
        gram = (seen.T @ seen).astype(np.float64)
        gram[np.diag_indices(n_items)] += self.regularisation
        weights = linalg.inv(gram.T, overwrite_a=True)  # P, then B in its place: saves 200 MB
        weights /= -np.diag(weights)
        weights[np.diag_indices(n_items)] = 0.0
        self.weights = weights.astype(np.float32)
        return self

    def score(self, histories: Sequence[History], items: np.ndarray | None = None) -> np.ndarray:
        """Return scores of shape (n histories, n items or len(items))."""
        weights = self.weights if items is None else self.weights[:, items]
        return multi_hot(histories, self.n_items) @ weights

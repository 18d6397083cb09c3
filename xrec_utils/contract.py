"""What every recommender that reads a history promises.

A *history* is a 1-D array of item codes (0 .. n_items - 1), oldest first. Its *score*
for an item is the logit before any softmax: higher means recommended earlier. A film is
*absent* when it is deleted and the rest closes up; the empty history is valid and its
score is defined by each model.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

History = np.ndarray


@runtime_checkable
class HistoryModel(Protocol):
    """A recommender whose only input is a history of item codes."""

    name: str
    n_items: int

    def score(
        self, histories: Sequence[History], items: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the logits of all items, or of the given ones, for each history.

        Shape (n histories, n_items), or (n histories, len(items)) if `items` is given.
        """
        ...


def item_columns(scores: np.ndarray, items: np.ndarray | None) -> np.ndarray:
    """Keep the columns named by `items` (all of them for None)."""
    return scores if items is None else scores[:, items]


def multi_hot(histories: Sequence[History], n_items: int) -> np.ndarray:
    """Mark the films of each history with a one: one row per history.

    Args:
        histories: item codes of each history; their order is lost, the empty one is
            allowed.
        n_items: number of items, the width of the matrix.

    Returns:
        Ones and zeros, float32 (n histories, n_items).

    Raises:
        IndexError: a code is n_items or more.

    Example:
        >>> multi_hot([np.array([2, 0]), np.array([], dtype=int)], 3).tolist()
        [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    rows = np.zeros((len(histories), n_items), dtype=np.float32)
    # the rows are views: writing into one fills the matrix
    for row, history in zip(rows, histories, strict=True):
        codes = np.asarray(history, dtype=np.int64)
        row[codes] = 1.0
    return rows

"""Attention weights read as if they were an explanation, to be tried against real ones.

A weight says how much a position's value vector is mixed in. It has no sign, it is not in the unit of the score, and
whether it says anything about the score is a question to measure (Jain and Wallace 2019, arXiv:1902.10186; Wiegreffe
and Pinter 2019, arXiv:1908.04626).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from xrec_utils.explain.gradients import player_names, unseen_as_zero
from xrec_utils.games import Explanation


class AttentionModel(Protocol):
    """A history model that shows its attention weights."""

    def attention(self, history: np.ndarray) -> np.ndarray:
        """Return the weights (layers, heads, L, L); row = position that looks, position 0 = the start token."""
        ...


def attention_weights(model: AttentionModel, history: np.ndarray) -> np.ndarray:
    """Return the attention weights (layers, heads, L, L) for a history; each row adds up to one.

    L is the start token and the films the model reads. Raises ValueError if the rows do not add up to one.
    """
    weights = np.asarray(model.attention(history))
    if weights.ndim != 4 or weights.shape[2] != weights.shape[3]:
        raise ValueError(f"The model's attention has shape {weights.shape}; it must be (layers, heads, L, L).")
    if not np.allclose(weights.sum(axis=-1), 1, atol=1e-4):
        raise ValueError("The rows of the model's attention do not add up to one; read the weights after the softmax.")
    return weights


def attention_explanation(
    model: AttentionModel, history: np.ndarray, item: int, titles: Sequence[str] | None = None
) -> Explanation:
    """Take the last position's weights in the last layer, averaged over its heads, as the credit of each film.

    The values are shares of attention, not parts of the score: `base` is the start token's share and `score` the
    total of all shares, which is one. They are the same for every `item`, for attention is spent before the item is
    scored, and they have no standard error.
    """
    players, started = player_names(history, titles), time.perf_counter()
    shares = attention_weights(model, history)[-1].mean(axis=0)[-1].astype(np.float64)
    return Explanation(
        players=players,
        target=f"attention behind the score of {player_names([item], titles)[0]}",
        values=unseen_as_zero(shares[1:], len(players)),
        base=float(shares[0]),
        score=float(shares.sum()),
        method="attention (share, not signed)",
        seconds=time.perf_counter() - started,
        error=None,
    )

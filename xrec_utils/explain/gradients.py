"""Gradients with respect to the embedded history: integrated gradients and gradient times input.

Both explain models that offer `vectors(history)` -> (L, d) and `score_vectors(vectors, item)` -> (n,), and give each
film of the history one number: the sum over its d embedding dimensions. The baseline is a history of zero vectors,
which is not the empty history; `base` is the score at that baseline.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from xrec_utils.games import Explanation
from xrec_utils.keras_start import tf

_BATCH = 64


class EmbeddingModel(Protocol):
    """A history model that shows its embedding layer."""

    def vectors(self, history: np.ndarray) -> np.ndarray:
        """Return the embedded history, (L, d) float32."""
        ...

    def score_vectors(self, vectors: tf.Tensor, item: int) -> tf.Tensor:
        """Return the scores (n,) of `item` for embedded histories (n, L, d), differentiably."""
        ...


def integrated_gradients(
    model: EmbeddingModel, history: np.ndarray, item: int, steps: int = 64, titles: Sequence[str] | None = None
) -> Explanation:
    """Integrate the gradient along the straight line from zero vectors to the embedded history.

    phi_i = sum_k x_ik * integral over t in [0, 1] of d score(t x) / d x_ik (Sundararajan, Taly and Yan 2017,
    arXiv:1703.01365), by Gauss-Legendre quadrature with `steps` points: exact where the score is a polynomial of
    degree 2 steps or less along the line. The values add up to score - base except for the quadrature's error,
    which is `gap`: a model with layer normalisation bends sharply near zero vectors and may need more points.
    `titles` are indexed by item code.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}; the integral needs at least one point.")
    players, started = player_names(history, titles), time.perf_counter()
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    vectors = np.asarray(model.vectors(history), dtype=np.float32)
    path = ((nodes + 1) / 2)[:, None, None] * vectors
    slopes = np.tensordot(weights / 2, _gradients(model, path, item), axes=1)
    method = f"integrated gradients ({steps} points)"
    return _explanation(model, players, item, titles, vectors, slopes, method, started)


def gradient_times_input(
    model: EmbeddingModel, history: np.ndarray, item: int, titles: Sequence[str] | None = None
) -> Explanation:
    """Multiply each embedding by the gradient of the score there: the first-order effect of taking it away.

    phi_i = sum_k x_ik * d score(x) / d x_ik (Shrikumar et al. 2016, arXiv:1605.01713). Exact where the score is
    linear in the embeddings; elsewhere `gap` says how much of score - base the straight line misses.
    """
    players, started = player_names(history, titles), time.perf_counter()
    vectors = np.asarray(model.vectors(history), dtype=np.float32)
    slopes = _gradients(model, vectors[None], item)[0]
    return _explanation(model, players, item, titles, vectors, slopes, "gradient times input", started)


def player_names(history: np.ndarray | Sequence[int], titles: Sequence[str] | None) -> tuple[str, ...]:
    """Name the films of a history by title, or as 'item 17' where no titles are given.

    Raises ValueError for an empty history.
    """
    if not len(history):
        raise ValueError("The history is empty: there is no film whose part in the score could be explained.")
    return tuple(f"item {code}" if titles is None else str(titles[code]) for code in np.asarray(history).tolist())


def unseen_as_zero(values: np.ndarray, length: int) -> np.ndarray:
    """Fill `values` up to a history's length: zeros for the oldest films, which a model with a window never reads."""
    return np.concatenate([np.zeros(length - len(values)), values])


def _gradients(model: EmbeddingModel, points: np.ndarray, item: int) -> np.ndarray:
    """Return d score / d vectors at each of the points (n, L, d), as float64 of the same shape."""
    parts = []
    for start in range(0, len(points), _BATCH):
        inputs = tf.constant(points[start : start + _BATCH], dtype=tf.float32)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            total = tf.reduce_sum(model.score_vectors(inputs, item))
        parts.append(tape.gradient(total, inputs, unconnected_gradients="zero").numpy())
    return np.concatenate(parts).astype(np.float64)


def _explanation(model, players, item, titles, vectors, slopes, method, started) -> Explanation:
    ends = tf.constant(np.stack([np.zeros_like(vectors), vectors]))
    base, score = model.score_vectors(ends, item).numpy().tolist()
    return Explanation(
        players=players,
        target=f"score of {player_names([item], titles)[0]}",
        values=unseen_as_zero((vectors * slopes).sum(axis=1), len(players)),
        base=base,
        score=score,
        method=method,
        seconds=time.perf_counter() - started,
        error=None,
    )

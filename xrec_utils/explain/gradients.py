"""Gradients with respect to what a model reads: integrated and expected gradients, and
gradient times input.

Two kinds of models offer such numbers. One embeds its history: `vectors(history)` ->
(L, d) and `score_vectors(vectors (n, L, d), item)` -> (n,); a film's value is the sum
over its d dimensions. The other reads the history as a row of ones and zeros:
`score_inputs(rows (n, n_items), item)` -> (n,); a film's value is that of its own
column. The zero baseline is the empty history for the second, but not for the first,
where it is a history of zero vectors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from xrec_utils.autoencoders import Autoencoder
from xrec_utils.contract import History, multi_hot
from xrec_utils.games import Explanation, Game, history_game
from xrec_utils.keras_start import tf

_BATCH = 64


class EmbeddingModel(Protocol):
    """A history model that shows its embedding layer."""

    def vectors(self, history: np.ndarray) -> np.ndarray:
        """Return the embedded history, (L, d) float32."""
        ...

    def score_vectors(self, vectors: tf.Tensor, item: int) -> tf.Tensor:
        """Return the scores (n,) of `item` for embedded histories (n, L, d),
        differentiably.
        """
        ...


class Reading(NamedTuple):
    """How a model reads histories, in numbers that can be moved little by little.

    numbers: a history -> (L, d) or (n_items,); any other history is cut or repeated to
    L films, none gives zeros. score: (n, L, d) or (n, n_items) -> (n,). by_film: credit
    of each number -> credit of each film, (n, films read).
    """

    numbers: Callable[[History], np.ndarray]
    score: Callable[[tf.Tensor], tf.Tensor]
    by_film: Callable[[np.ndarray], np.ndarray]


def integrated_gradients(
    model: EmbeddingModel | Autoencoder,
    history: np.ndarray,
    item: int,
    steps: int = 64,
    titles: Sequence[str] | None = None,
) -> Explanation:
    """Integrate the gradient along the straight line from zeros to the history.

    phi_i = sum_k x_ik * integral over t in [0, 1] of d score(t x) / d x_ik
    (Sundararajan, Taly and Yan 2017, arXiv:1703.01365), by Gauss-Legendre quadrature
    with `steps` points: exact where the score is a polynomial of degree 2 steps or less
    along the line. The values add up to score - base except for the quadrature's error,
    which is `gap`: a model with layer normalisation bends sharply near zero vectors and
    may need more points.

    A model that brings its input to length one (vae) scores the same all along the line
    and jumps at zero: there the values add up to nothing, `gap` is the whole of score -
    base, and what remains is the order of gradient times input. Take
    `expected_gradients` from other users for it. `titles` are indexed by item code.
    Raises ValueError for fewer than one step and on a history or item that
    `history_game` refuses, TypeError on a model of neither kind.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}; the integral needs at least one point.")
    game, started = history_game(model, history, item, titles), time.perf_counter()
    reading = _reading(model, history, item)
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    end = reading.numbers(history)
    slopes = np.tensordot(
        weights / 2,
        _gradients(reading.score, np.multiply.outer((nodes + 1) / 2, end)),
        axes=1,
    )
    return _from_zero(
        game, reading, end, slopes, f"integrated gradients ({steps} points)", started
    )


def gradient_times_input(
    model: EmbeddingModel | Autoencoder,
    history: np.ndarray,
    item: int,
    titles: Sequence[str] | None = None,
) -> Explanation:
    """Multiply each number read by the gradient of the score there: the first-order
    effect of taking it away.

    phi_i = sum_k x_ik * d score(x) / d x_ik (Shrikumar et al. 2016, arXiv:1605.01713).
    Exact where the score is linear in the numbers; elsewhere `gap` says how much of
    score - base the straight line misses. Raises ValueError on a history or item that
    `history_game` refuses.
    """
    game, started = history_game(model, history, item, titles), time.perf_counter()
    reading = _reading(model, history, item)
    end = reading.numbers(history)
    return _from_zero(
        game,
        reading,
        end,
        _gradients(reading.score, end[None])[0],
        "gradient times input",
        started,
    )


def expected_gradients(
    model: EmbeddingModel | Autoencoder,
    history: np.ndarray,
    item: int,
    background: Sequence[History],
    samples: int = 200,
    seed: int = 0,
    titles: Sequence[str] | None = None,
) -> Explanation:
    """Integrated gradients from other users' histories instead of zeros, averaged over
    them.

    phi_i = E sum_k (x_ik - x'_ik) * d score(x' + t (x - x')) / d x_ik, with x' a
    history of the background and t uniform in [0, 1] (Erion et al. 2021,
    doi:10.1038/s42256-021-00343-w), by `samples` seeded draws of both; `error` is the
    standard error. An embedded history x' is cut to its latest L films or repeated up
    to L; an empty one gives the zero baseline. base: the mean score of the baselines,
    plus the credit of their films where the history has none (rows of ones and zeros
    only); so `gap` is the sampling error of the whole.

    Raises ValueError for fewer than two samples, without background, and on what
    `history_game` refuses.
    """
    if samples < 2 or not len(background):
        raise ValueError(
            f"{samples} samples of {len(background)} background histories; needs 2 and 1 at least"
        )
    game, started = history_game(model, history, item, titles), time.perf_counter()
    reading, rng = _reading(model, history, item), np.random.default_rng(seed)
    origins = np.stack(
        [
            reading.numbers(background[at])
            for at in rng.integers(len(background), size=samples)
        ]
    )
    way = reading.numbers(history) - origins
    points = origins + rng.random((samples, *[1] * (way.ndim - 1))) * way
    credit = _gradients(reading.score, points) * way
    films = reading.by_film(credit)
    score, base = (
        reading.score(tf.constant(x)).numpy().mean()
        for x in ((origins + way)[:1], origins)
    )
    elsewhere = (credit.sum() - films.sum()) / samples
    error = films.std(axis=0, ddof=1) / np.sqrt(samples)
    method = f"expected gradients ({samples} samples)"
    return _explanation(
        game, films.mean(axis=0), base + elsewhere, score, method, started, error
    )


def unseen_as_zero(values: np.ndarray, length: int) -> np.ndarray:
    """Fill `values` up to a history's length: zeros for the oldest films, which a model
    with a window never reads.
    """
    return np.concatenate([np.zeros(length - len(values)), values])


def _reading(
    model: EmbeddingModel | Autoencoder, history: History, item: int
) -> Reading:
    """See the model as numbers and a score, whichever of the two kinds it is."""
    if hasattr(model, "score_inputs"):
        return Reading(
            lambda other: multi_hot([other], model.n_items)[0],
            lambda rows: model.score_inputs(rows, item),
            lambda credit: credit[:, history],
        )
    if not hasattr(model, "score_vectors"):
        raise TypeError(
            f"{model.name} offers neither score_vectors nor score_inputs: it has no gradients to follow"
        )
    nothing = np.zeros_like(model.vectors(history))

    def vectors(other: History) -> np.ndarray:
        return (
            model.vectors(np.resize(other[-len(history) :], len(history)))
            if len(other)
            else nothing
        )

    return Reading(
        vectors,
        lambda x: model.score_vectors(x, item),
        lambda credit: credit.sum(axis=-1),
    )


def _gradients(
    score: Callable[[tf.Tensor], tf.Tensor], points: np.ndarray
) -> np.ndarray:
    """Return d score / d number at each of the points (n, ...), as float64 of the same
    shape.
    """
    parts = []
    for start in range(0, len(points), _BATCH):
        inputs = tf.constant(points[start : start + _BATCH], dtype=tf.float32)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            total = tf.reduce_sum(score(inputs))
        parts.append(tape.gradient(total, inputs, unconnected_gradients="zero").numpy())
    return np.concatenate(parts).astype(np.float64)


def _from_zero(
    game: Game,
    reading: Reading,
    end: np.ndarray,
    slopes: np.ndarray,
    method: str,
    started: float,
) -> Explanation:
    base, score = (
        reading.score(tf.constant(np.stack([np.zeros_like(end), end]))).numpy().tolist()
    )
    return _explanation(
        game, reading.by_film((end * slopes)[None])[0], base, score, method, started
    )


def _explanation(
    game: Game,
    values: np.ndarray,
    base: float,
    score: float,
    method: str,
    started: float,
    error: np.ndarray | None = None,
) -> Explanation:
    values, error = (
        x if x is None else unseen_as_zero(x, game.n_players) for x in (values, error)
    )
    seconds = time.perf_counter() - started
    return Explanation(
        game.players,
        game.target,
        values,
        float(base),
        float(score),
        method,
        seconds,
        error,
    )

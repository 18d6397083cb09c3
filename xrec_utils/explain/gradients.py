"""Gradients with respect to what a model reads, as explanations.

Integrated and expected gradients, and gradient times input. Two kinds of models offer
such numbers. One embeds its history: `vectors(history)` -> (L, d) and
`score_vectors(vectors (n, L, d), item)` -> (n,); a film's value is the sum over its d
dimensions. The other reads the history as a row of ones and zeros: `score_inputs(rows
(n, n_items), item)` -> (n,); a film's value is that of its own column. The zero
baseline is the empty history for the second, but not for the first, where it is a
history of zero vectors.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from xrec_utils.contract import EmbeddingModel, History, multi_hot
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game, history_game
from xrec_utils.keras_start import tf
from xrec_utils.models.autoencoders import Autoencoder

_BATCH = 64  # points whose gradients are taken at once


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
    (Sundararajan, Taly and Yan 2017, arXiv:1703.01365), by Gauss-Legendre quadrature:
    exact where the score is a polynomial of degree 2 steps or less along the line.

    A model that brings its input to length one (vae) scores the same all along the line
    and jumps at zero: there the values add up to nothing, `gap` is the whole of score -
    base, and what remains is the order of gradient times input. Take
    `expected_gradients` from other users for it.

    Args:
        model: one that offers `score_vectors` or `score_inputs`: attention,
            gru_attention, din, pooled_mlp, dae or vae.
        history: (n,) item codes, oldest first.
        item: the code of the film explained, outside the history.
        steps: points of the quadrature; a model with layer normalisation bends sharply
            near zero vectors and may need more.
        titles: names by item code; None for 'item 17'.

    Returns:
        Explanation with values (n,) in the unit of the score. They add up to score -
        base except for the quadrature's error, which is `gap`. `base` is the score at
        zeros. There is no error.

    Raises:
        ValueError: fewer than one step, or a history or item that `history_game`
            refuses.
        TypeError: a model of neither kind.

    Example:
        A score of one number squared per film: x * (integral of 2 t x) = x ** 2.

        >>> class Squares:
        ...     name, n_items = "squares", 4
        ...     def score_inputs(self, rows, item):
        ...         return tf.reduce_sum(rows**2, axis=1)
        >>> explanation = integrated_gradients(Squares(), np.array([0, 2]), item=3)
        >>> explanation.values.round(5).tolist(), explanation.score
        ([1.0, 1.0], 2.0)
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}; the integral needs at least one point.")
    started = time.perf_counter()
    game = history_game(model, history, item, titles)
    reading = _reading(model, history, item)
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    end = reading.numbers(history)
    # (steps, ...): places on the line from zeros to the history
    points = np.multiply.outer((nodes + 1) / 2, end)
    slopes = np.tensordot(weights / 2, _gradients(reading.score, points), axes=1)
    method = f"integrated gradients ({steps} points)"
    return _from_zero(game, reading, end, slopes, method, started)


def gradient_times_input(
    model: EmbeddingModel | Autoencoder,
    history: np.ndarray,
    item: int,
    titles: Sequence[str] | None = None,
) -> Explanation:
    """Multiply each number read by the gradient of the score there.

    The first-order effect of taking it away: phi_i = sum_k x_ik * d score(x) / d x_ik
    (Shrikumar et al. 2016, arXiv:1605.01713). Exact where the score is linear in the
    numbers.

    Args:
        model: as in `integrated_gradients`.
        history: (n,) item codes, oldest first.
        item: the code of the film explained, outside the history.
        titles: names by item code; None for 'item 17'.

    Returns:
        Explanation with values (n,) in the unit of the score. `gap` says how much of
        score - base the straight line misses. There is no error.

    Raises:
        ValueError: a history or item that `history_game` refuses.
        TypeError: a model that offers no gradients.

    Example:
        A score of one number squared per film: x * 2 x is twice too much.

        >>> class Squares:
        ...     name, n_items = "squares", 4
        ...     def score_inputs(self, rows, item):
        ...         return tf.reduce_sum(rows**2, axis=1)
        >>> explanation = gradient_times_input(Squares(), np.array([0, 2]), item=3)
        >>> explanation.values.tolist(), explanation.gap
        ([2.0, 2.0], -2.0)
    """
    started = time.perf_counter()
    game = history_game(model, history, item, titles)
    reading = _reading(model, history, item)
    end = reading.numbers(history)
    slopes = _gradients(reading.score, end[None])[0]
    return _from_zero(game, reading, end, slopes, "gradient times input", started)


def expected_gradients(
    model: EmbeddingModel | Autoencoder,
    history: np.ndarray,
    item: int,
    background: Sequence[History],
    samples: int = 200,
    seed: int = 0,
    titles: Sequence[str] | None = None,
) -> Explanation:
    """Integrated gradients from other users' histories instead of zeros, averaged.

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
            f"{samples} samples of {len(background)} background histories; "
            "needs 2 and 1 at least"
        )
    started = time.perf_counter()
    game = history_game(model, history, item, titles)
    reading = _reading(model, history, item)
    rng = np.random.default_rng(seed)
    chosen = rng.integers(len(background), size=samples)
    # (samples, ...): one baseline each, and the line from it to the history
    origins = np.stack([reading.numbers(background[at]) for at in chosen])
    line = reading.numbers(history) - origins
    share_of_line = rng.random((samples, *[1] * (line.ndim - 1)))
    credit = _gradients(reading.score, origins + share_of_line * line) * line
    films = reading.by_film(credit)  # (samples, films read)
    score = reading.score(tf.constant((origins + line)[:1])).numpy().mean()
    base = reading.score(tf.constant(origins)).numpy().mean()
    # credit of films that only the baselines have
    elsewhere = (credit.sum() - films.sum()) / samples
    values = films.mean(axis=0)
    error = films.std(axis=0, ddof=1) / np.sqrt(samples)
    method = f"expected gradients ({samples} samples)"
    return _explanation(game, values, base + elsewhere, score, method, started, error)


def unseen_as_zero(values: np.ndarray, length: int) -> np.ndarray:
    """Fill `values` up to a history's length with zeros for the oldest films.

    These are the ones that a model with a window never reads.
    """
    return np.concatenate([np.zeros(length - len(values)), values])


def _reading(
    model: EmbeddingModel | Autoencoder, history: History, item: int
) -> Reading:
    """See the model as numbers and a score, whichever of the two kinds it is."""
    if hasattr(model, "score_inputs"):
        return _row_reading(model, history, item)
    if hasattr(model, "score_vectors"):
        return _vector_reading(model, history, item)
    raise TypeError(
        f"{model.name} offers neither score_vectors nor score_inputs: "
        "it has no gradients to follow"
    )


def _row_reading(model: Autoencoder, history: History, item: int) -> Reading:
    """One number per film of the catalogue."""

    def numbers(other: History) -> np.ndarray:
        """The history as a row of ones and zeros, (n_items,)."""
        return multi_hot([other], model.n_items)[0]

    def score(rows: tf.Tensor) -> tf.Tensor:
        """Scores (n,) of rows (n, n_items)."""
        return model.score_inputs(rows, item)

    def by_film(credit: np.ndarray) -> np.ndarray:
        """Credit (n, n_items) of the columns that are films of the history."""
        return credit[:, history]

    return Reading(numbers, score, by_film)


def _vector_reading(model: EmbeddingModel, history: History, item: int) -> Reading:
    """One vector per film of the history."""
    length = len(history)
    nothing = np.zeros_like(model.vectors(history))

    def numbers(other: History) -> np.ndarray:
        """The history embedded, (L, d)."""
        if not len(other):
            return nothing
        # as many films as the history has, so that the two can be subtracted
        return model.vectors(np.resize(other[-length:], length))

    def score(vectors: tf.Tensor) -> tf.Tensor:
        """Scores (n,) of embedded histories (n, L, d)."""
        return model.score_vectors(vectors, item)

    def by_film(credit: np.ndarray) -> np.ndarray:
        """Credit (n, L, d) summed over the dimensions."""
        return credit.sum(axis=-1)

    return Reading(numbers, score, by_film)


def _gradients(
    score: Callable[[tf.Tensor], tf.Tensor], points: np.ndarray
) -> np.ndarray:
    """Return d score / d number at each of the points (n, ...), float64, same shape."""
    parts = []
    for start in range(0, len(points), _BATCH):
        batch = points[start : start + _BATCH]
        inputs = tf.constant(batch, dtype=tf.float32)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            total = tf.reduce_sum(score(inputs))
        slopes = tape.gradient(total, inputs, unconnected_gradients="zero")
        parts.append(slopes.numpy())
    return np.concatenate(parts).astype(np.float64)


def _from_zero(
    game: Game,
    reading: Reading,
    end: np.ndarray,
    slopes: np.ndarray,
    method: str,
    started: float,
) -> Explanation:
    """The explanation made of slopes times numbers; `base` is the score at zeros."""
    ends = tf.constant(np.stack([np.zeros_like(end), end]))
    base, score = reading.score(ends).numpy().tolist()
    values = reading.by_film((end * slopes)[None])[0]
    return _explanation(game, values, base, score, method, started)


def _explanation(
    game: Game,
    values: np.ndarray,
    base: float,
    score: float,
    method: str,
    started: float,
    error: np.ndarray | None = None,
) -> Explanation:
    """The explanation of a whole history; films that were not read get zeros."""
    if error is not None:
        error = unseen_as_zero(error, game.n_players)
    return Explanation(
        players=game.players,
        target=game.target,
        values=unseen_as_zero(values, game.n_players),
        base=float(base),
        score=float(score),
        method=method,
        seconds=time.perf_counter() - started,
        error=error,
    )

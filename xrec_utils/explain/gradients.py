"""Gradients with respect to what a model reads, as explanations.

Integrated gradients, and gradient times input. Two kinds of models offer
such numbers. One embeds its history: `vectors(history)` -> (L, d) and
`score_vectors(vectors (n, L, d), item)` -> (n,); a film's value is the sum over its d
dimensions. The other reads the history as a row of ones and zeros: `score_inputs(rows
(n, n_items), item)` -> (n,); a film's value is that of its own column. The zero
baseline is the empty history for the second, but not for the first, where it is a
history of zero vectors.
"""

import time
from collections.abc import Sequence

import numpy as np

from xrec_utils.contract import EmbeddingModel, History, check_count, multi_hot
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import history_game
from xrec_utils.keras_start import tf
from xrec_utils.models.autoencoders import Autoencoder

_BATCH = 256  # points whose gradients are taken at once


class Reading:
    """What a model reads of a history, in numbers that can be moved little by little.

    One number for each film of the catalogue, (n_items,), where the model offers
    `score_inputs`; else one vector for each film of the history, (L, d).
    """

    def __init__(
        self, model: EmbeddingModel | Autoencoder, history: History, item: int
    ) -> None:
        self.in_rows = hasattr(model, "score_inputs")
        if not self.in_rows and not hasattr(model, "score_vectors"):
            raise TypeError(
                f"{model.name} offers neither score_vectors nor score_inputs: "
                "it has no gradients to follow"
            )
        self.model = model
        self.history = history
        self.item = item

    def numbers(self, other: History) -> np.ndarray:
        """What the model reads of any history: (n_items,) or (L, d)."""
        if self.in_rows:
            return multi_hot([other], self.model.n_items)[0]
        if not len(other):
            return np.zeros_like(self.model.vectors(self.history))
        # cut or repeated to as many films as the history has: the two are subtracted
        return self.model.vectors(
            np.resize(other[-len(self.history) :], len(self.history)),
        )

    def score(self, points: tf.Tensor) -> tf.Tensor:
        """Scores (n,) of the item at points (n, n_items) or (n, L, d)."""
        if self.in_rows:
            return self.model.score_inputs(points, self.item)
        return self.model.score_vectors(points, self.item)

    def by_film(self, credit: np.ndarray) -> np.ndarray:
        """Credit of each number, (n, n_items) or (n, L, d) -> of each film, (n, L)."""
        if self.in_rows:
            # a row holds one number for all copies of a film: they share its credit
            copies = (self.history[:, None] == self.history).sum(axis=0)
            return credit[:, self.history] / copies
        return credit.sum(axis=-1)

    def gradients(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores (n,) at the points (n, ...), and d score / d number, float64 (n, ...).

        Nothing is kept from one call to the next: a model that was changed in between,
        by new weights or a replaced layer, is followed as it is now.
        """
        scores = []
        slopes = []
        for start in range(0, len(points), _BATCH):
            inputs = tf.constant(
                points[start : start + _BATCH],
                dtype=tf.float32,
            )
            # the weights are variables, too: without this, they would be watched
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(inputs)
                scores.append(self.score(inputs))
            # of the sum of the scores: no point has a part in another one's score
            slopes.append(
                tape.gradient(scores[-1], inputs, unconnected_gradients="zero"),
            )
        return (
            np.concatenate(scores),
            np.concatenate(slopes).astype(np.float64),
        )


def integrated_gradients(
    model: EmbeddingModel | Autoencoder,
    history: np.ndarray,
    item: int,
    steps: int = 64,
    *,
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
    check_count("steps", steps)
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return _along_line(
        model,
        history,
        item,
        titles,
        # from [-1, 1], where the quadrature is at home, to [0, 1]
        places=(nodes + 1) / 2,
        weights=weights / 2,
        method=f"integrated gradients ({steps} points)",
    )


def gradient_times_input(
    model: EmbeddingModel | Autoencoder,
    history: np.ndarray,
    item: int,
    *,
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
    # one place of weight 1: the history itself, at the end of the line
    return _along_line(
        model, history, item, titles, [1.0], [1.0], "gradient times input"
    )


def unseen_as_zero(values: np.ndarray, length: int) -> np.ndarray:
    """Fill `values` up to a history's length with zeros for the oldest films.

    These are the ones that a model with a window never reads.
    """
    return np.concatenate([np.zeros(length - len(values)), values])


def _along_line(
    model: EmbeddingModel | Autoencoder,
    history: History,
    item: int,
    titles: Sequence[str] | None,
    places: Sequence[float],
    weights: Sequence[float],
    method: str,
) -> Explanation:
    """Numbers times the weighted sum of the slopes at some places, added up by film.

    The places (n,) lie on the line from zeros, 0, to the history, 1; `base` is the
    score at zeros.
    """
    started = time.perf_counter()
    game = history_game(model, history, item, titles=titles)
    reading = Reading(model, history, item)
    end = reading.numbers(history)
    # (n + 2, ...): both ends come along in one pass, for base and score
    points = np.multiply.outer(
        [*places, 0.0, 1.0],
        end,
    )
    scores, slopes = reading.gradients(points)
    # the slopes at the ends stay out: at zeros some models have none
    credit = end * np.tensordot(weights, slopes[:-2], axes=1)
    return Explanation(
        players=game.players,
        target=game.target,
        values=unseen_as_zero(reading.by_film(credit[None])[0], game.n_players),
        base=float(scores[-2]),
        score=float(scores[-1]),
        method=method,
        seconds=time.perf_counter() - started,
    )

"""Shapley values by random orders for models that first add up one vector per film.

Such a model computes finish(Σ_{i in S} a_i, |S|). Along an order of arrival the sums
are running sums, so a whole order costs one `cumsum` and one batch through the rest of
the network: no history is ever read again. Orders come in antithetic pairs (Mitchell et
al. 2022, JMLR 23); values and standard errors mean what they mean in
`shapley.permutation_sampling`, which gives the same for the same orders, only slower.
"""

from collections.abc import Callable
from functools import singledispatch
from typing import NamedTuple

import numpy as np

from xrec_utils.contract import History
from xrec_utils.explain.hidden_units import one_hidden
from xrec_utils.explain.shapley import first_of_pairs
from xrec_utils.models.autoencoders import Autoencoder
from xrec_utils.models.classic import UserKNN, keep_largest
from xrec_utils.models.sequence import HistoryRecommender
from xrec_utils.models.user_item import UserItemRecommender

NUMBERS = 4_000_000  # most floats of running sums held at once


class Sums(NamedTuple):
    """A model as sums and what follows them.

    addends (n, d): what each film adds. finish(sums (m, d), films (m,)) -> scores (m,)
    of the item explained.
    """

    addends: np.ndarray
    finish: Callable[[np.ndarray, np.ndarray], np.ndarray]


@singledispatch
def sums_of(model: object, history: History, item: int) -> Sums | None:
    """The model as sums and what follows them, (n, d) for a history (n,).

    None for a model (or a history) that is not of this form.
    """
    return None


@sums_of.register
def _(model: Autoencoder, history: History, item: int) -> Sums:
    """Sums before the one layer of tanh units."""
    net = one_hidden(model)
    readout = net.readout[:, item]
    constant = net.constant[item]
    power = -0.5 if net.by_length else 0

    def finish(sums: np.ndarray, films: np.ndarray) -> np.ndarray:
        """Scores (m,) of sums (m, h)."""
        scale = np.maximum(films, 1)[:, None] ** power
        hidden = np.tanh(net.bias + scale * sums)
        return hidden @ readout + constant

    return Sums(net.rows[history], finish)


@sums_of.register
def _(model: UserKNN, history: History, item: int) -> Sums:
    """Sums of films in common with each training user."""
    sizes = model.seen.sum(axis=1)

    def finish(sums: np.ndarray, films: np.ndarray) -> np.ndarray:
        """Scores (m,) of films in common (m, users)."""
        similarity = sums / np.sqrt(np.maximum(np.outer(films, sizes), 1))
        nearest = keep_largest(similarity, model.n_neighbours)
        return nearest @ model.seen[:, item]

    # (n, users): one row per film, whole in memory for the sums
    return Sums(np.ascontiguousarray(model.seen[:, history].T), finish)


@sums_of.register
def _(model: UserItemRecommender, history: History, item: int) -> Sums:
    """Sums of film vectors in the user's tower."""
    added, average = model.film_vectors()
    items = np.array([item])

    def finish(sums: np.ndarray, films: np.ndarray) -> np.ndarray:
        """Scores (m,) of sums (m, d)."""
        roots = np.sqrt(np.maximum(films, 1))[:, None]
        vectors = average + sums / roots
        return model.score_vectors(vectors, items)[:, 0]

    return Sums(added[history], finish)


@sums_of.register
def _(model: HistoryRecommender, history: History, item: int) -> Sums | None:
    """Sums of the vectors that the pooled network averages, start token included.

    An average over one place is that place itself.
    """
    if model.name != "pooled_mlp" or len(history) > model.window:
        return None
    start = model.table(np.array([model.start], np.int32)).numpy()[0]
    row = model.table.rows().numpy()[item]
    bias = float(model.table.bias.numpy()[item])

    def finish(sums: np.ndarray, films: np.ndarray) -> np.ndarray:
        """Scores (m,) of sums (m, d)."""
        mean = ((start + sums) / (1 + films)[:, None]).astype(np.float32)
        # the encoder reads one place, which is the mean already
        places = np.ones((len(mean), 1), bool)
        hidden = model.encoder([mean[:, None], places], training=False)
        return hidden.numpy()[:, 0] @ row + bias

    return Sums(model.vectors(history), finish)


def marginal_means(
    sums: Sums, permutations: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Values and their standard errors, both (n,), from `permutations` orders.

    The orders come in antithetic pairs. Raises ValueError as `first_of_pairs` does.
    """
    n, width = sums.addends.shape
    orders = first_of_pairs(n, permutations, seed)
    pairs = len(orders)
    # as many pairs at a time as NUMBERS floats allow
    step = max(1, NUMBERS // (2 * (n + 1) * width))
    parts = []
    for at in range(0, pairs, step):
        parts.append(_both_ways(sums, orders[at : at + step]))
    gains = np.concatenate(parts)  # (pairs, n)
    return gains.mean(axis=0), gains.std(axis=0, ddof=1) / pairs**0.5


def _both_ways(sums: Sums, orders: np.ndarray) -> np.ndarray:
    """What each player adds on arrival, averaged over an order and its reverse.

    orders (m, n) -> (m, n), columns by player.
    """
    both = np.concatenate([orders, orders[:, ::-1]])
    m, n = both.shape
    # (m, n + 1, d): the sum after each arrival, zeros before the first
    running = np.zeros((m, n + 1, sums.addends.shape[1]))
    np.cumsum(sums.addends[both], axis=1, out=running[:, 1:])
    films = np.tile(np.arange(n + 1), m)
    flat = running.reshape(m * (n + 1), -1)
    scores = sums.finish(flat, films).reshape(m, n + 1)
    steps = np.diff(scores.astype(np.float64), axis=1)
    # from the order of arrival back to the order of the players
    gains = np.empty((m, n))
    np.put_along_axis(gains, both, steps, axis=1)
    return gains.reshape(2, -1, n).mean(axis=0)

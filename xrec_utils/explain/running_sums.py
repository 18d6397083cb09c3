"""Shapley values by random orders for models that first add up one vector per film.

Such a model declares its `sums`. It computes finish(Σ_{i in S} a_i, |S|). Along an
order of arrival the sums are running sums, so a whole order costs one `cumsum` and one
batch through the rest of the network: no history is ever read again. Orders come in
antithetic pairs (Mitchell et al. 2022, JMLR 23); values and errors mean what they mean
in `shapley.permutation_sampling`, which gives the same for the same orders, only
slower.
"""

from functools import partial

import numpy as np

from xrec_utils.contract import Sums
from xrec_utils.explain.shapley import means_over_pairs

NUMBERS = 4_000_000  # most floats of running sums held at once


def marginal_means(
    sums: Sums, permutations: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Values and their errors, both (k, n), from random orders.

    Args:
        sums: of n films and k items, as a model's `sums` gives them.
        permutations: orders drawn, in antithetic pairs.
        seed: of the orders.

    Returns:
        The mean of what each film adds on arrival, and its error, in the unit of the
        score.

    Raises:
        ValueError: permutations are odd or fewer than 4, or the seed is negative.

    Example:
        One pair holds both orders of two films: nothing is left to chance.

        >>> sums = Sums(np.array([[1.0], [2.0]]), lambda sums, films: sums)
        >>> values, errors = marginal_means(sums, 4, seed=0)
        >>> values.tolist(), errors.tolist()
        ([[1.0, 2.0]], [[0.0, 0.0]])
    """
    n, width = sums.addends.shape
    values, errors = means_over_pairs(
        partial(_both_ways, sums),
        n,
        permutations,
        seed,
        # as many orders at a time as NUMBERS floats allow
        at_once=max(1, NUMBERS // (2 * (n + 1) * width)),
    )
    return values.T, errors.T


def _both_ways(sums: Sums, orders: np.ndarray) -> np.ndarray:
    """What each player adds on arrival, averaged over an order and its reverse.

    orders (m, n) -> (m, n, k), second axis by player.
    """
    n, width = sums.addends.shape
    both = np.concatenate([orders, orders[:, ::-1]])
    # (m, n + 1, d): the sum after each arrival, zeros before the first
    running = np.cumsum(
        np.insert(sums.addends[both], 0, 0, axis=1), axis=1, dtype=np.float64
    )
    # (m (n + 1), k): the network reads all sums as one batch
    scores = sums.finish(
        running.reshape(-1, width),
        np.tile(np.arange(n + 1), len(both)),
    ).astype(np.float64)
    steps = np.diff(scores.reshape(len(both), n + 1, -1), axis=1)
    # from the order of arrival back to the order of the players
    gains = np.take_along_axis(steps, both.argsort(axis=1)[:, :, None], axis=1)
    return gains.reshape(2, *orders.shape, -1).mean(axis=0)

"""Shapley values: a player's average marginal contribution over all orders of arrival
(Shapley 1953).
"""

from math import comb
from time import perf_counter

import numpy as np

from xrec_utils.games import Explanation, Game

MOST_PLAYERS = 20  # 2^20 groups: about a million scores
MASK_BYTES = 4_000_000  # masks held at once by the sampler


def brute_force(game: Game) -> Explanation:
    """Exact Shapley values from the scores of all 2^n groups.

    phi_i = sum over groups S without i of |S|! (n - |S| - 1)! / n! * (v(S with i) -
    v(S)). Raises ValueError above 20 players: cut the history, or use
    `permutation_sampling`.
    """
    n, start = game.n_players, perf_counter()
    if n > MOST_PLAYERS:
        raise ValueError(
            f"{n} players make 2^{n} groups; brute force stops at {MOST_PLAYERS}: use permutation_sampling"
        )
    groups = np.arange(
        2**n, dtype=np.uint32
    )  # bit i of the number says whether player i is present
    masks = (groups[:, None] >> np.arange(n, dtype=np.uint32) & 1).astype(bool)
    v, size = game(masks), masks.sum(axis=1)
    weight = np.array([1 / (n * comb(n - 1, s)) for s in range(n)])
    values = np.empty(n)
    for i in range(n):
        without = groups[~masks[:, i]]
        values[i] = weight[size[without]] @ (v[without | 1 << i] - v[without])
    return Explanation(
        game.players,
        game.target,
        values,
        v[0],
        v[-1],
        "exact Shapley",
        perf_counter() - start,
    )


def permutation_sampling(
    game: Game, permutations: int = 100, seed: int = 0
) -> Explanation:
    """Shapley values estimated from random orders of arrival, drawn in antithetic pairs
    (an order and its reverse).

    Unbiased (Castro, Gomez & Tejada 2009; pairs: Mitchell et al. 2022, JMLR 23). The
    values sum exactly to score - base, as every order does. `error` is the standard
    error: sample standard deviation over the pairs / root of their number; with few
    pairs it tends to be too small (`calibrate_shapley` measures it). Raises ValueError
    unless `permutations` is even and at least 4 (an error needs two pairs).
    """
    n, start = game.n_players, perf_counter()
    orders = first_of_pairs(n, permutations, seed)
    pairs = len(orders)
    base, score = game.empty(), game.full()
    step = max(1, MASK_BYTES // (2 * n * n))
    parts = [orders[i : i + step] for i in range(0, pairs, step)]
    found = np.concatenate([both_ways(game, part, base, score) for part in parts])
    error = found.std(axis=0, ddof=1) / np.sqrt(pairs)
    method = f"Shapley by {permutations} permutations"
    seconds = perf_counter() - start
    return Explanation(
        game.players,
        game.target,
        found.mean(axis=0),
        base,
        score,
        method,
        seconds,
        error,
    )


def first_of_pairs(n: int, permutations: int, seed: int) -> np.ndarray:
    """Random orders of n players, (permutations / 2, n); the other order of each
    antithetic pair is its reverse.

    Raises ValueError unless `permutations` is even and at least 4 (an error needs two
    pairs).
    """
    if permutations < 4 or permutations % 2:
        raise ValueError(
            f"permutations={permutations} must be even and at least 4: orders come in pairs"
        )
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(n) for _ in range(permutations // 2)])


def both_ways(game: Game, orders: np.ndarray, base: float, score: float) -> np.ndarray:
    """Mean contribution of each player in an order and in its reverse: (m, n) orders ->
    (m, n) contributions.
    """
    contributions = marginals(
        game, np.concatenate([orders, orders[:, ::-1]]), base, score
    )
    return contributions.reshape(2, *orders.shape).mean(axis=0)


def marginals(game: Game, orders: np.ndarray, base: float, score: float) -> np.ndarray:
    """What each player adds on arrival: (m, n) orders -> (m, n), columns by player;
    each row sums to score - base.
    """
    m, n = orders.shape
    arrival = np.argsort(orders, axis=1)
    masks = (
        arrival[:, None, :] < np.arange(1, n)[:, None]
    )  # (order, number present, player)
    v = np.empty((m, n + 1))
    v[:, 0], v[:, n] = base, score
    v[:, 1:n] = game(masks.reshape(-1, n)).reshape(m, n - 1)
    return np.take_along_axis(np.diff(v, axis=1), arrival, axis=1)

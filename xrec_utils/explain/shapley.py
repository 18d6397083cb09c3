"""Shapley values: a player's average marginal contribution over all orders of arrival.

Defined by Shapley (1953), "A value for n-person games", doi:10.1515/9781400881970-018.
Exact from the scores of all groups, or estimated from random orders.
"""

from collections.abc import Callable
from functools import partial
from math import comb
from time import perf_counter

import numpy as np

from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game

MOST_PLAYERS = 20  # 2^20 groups: about a million scores
MASK_BYTES = 4_000_000  # masks held at once by the sampler


def brute_force(game: Game) -> Explanation:
    """Exact Shapley values from the scores of all 2^n groups.

    phi_i = sum over groups S without i of |S|! (n - |S| - 1)! / n! * (v(S with i) -
    v(S)), after Shapley (1953), doi:10.1515/9781400881970-018.

    Args:
        game: any game of up to 20 players; each group is scored once.

    Returns:
        Explanation with values (n,) in the unit of the score. They add up to score -
        base, and there is no error.

    Raises:
        ValueError: above 20 players: cut the history, or use `permutation_sampling`.

    Example:
        A printer and its ink earn 10 only together, paper earns 2 by itself.

        >>> def profit(masks):
        ...     return 10.0 * masks[:, :2].all(axis=1) + 2.0 * masks[:, 2]
        >>> game = Game(("printer", "ink", "paper"), "profit", profit)
        >>> brute_force(game).values.round(3).tolist()
        [5.0, 5.0, 2.0]
    """
    n, start = game.n_players, perf_counter()
    if n > MOST_PLAYERS:
        raise ValueError(
            f"{n} players make 2^{n} groups; brute force stops at {MOST_PLAYERS}: "
            "use permutation_sampling"
        )
    # bit i of a group's number says whether player i is present
    groups = np.arange(2**n, dtype=np.uint32)
    masks = (groups[:, None] >> np.arange(n, dtype=np.uint32) & 1).astype(bool)
    v, size = game(masks), masks.sum(axis=1)
    weight = np.array([1 / (n * comb(n - 1, s)) for s in range(n)])
    values = np.empty(n)
    for i in range(n):
        # the same groups with player i have their numbers at `without | 1 << i`
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
    """Shapley values estimated from random orders of arrival.

    Orders come in antithetic pairs: an order and its reverse. Unbiased (Castro, Gomez
    and Tejada 2009, doi:10.1016/j.cor.2008.04.004; pairs: Mitchell et al. 2022, JMLR
    23). Every order's contributions add up to score - base, and so do the values.

    Args:
        game: any game.
        permutations: orders drawn, even and at least 4 (an error needs two pairs); each
            costs n - 1 scores.
        seed: of the orders.

    Returns:
        Explanation with values (n,) in the unit of the score. `error` (n,) is the
        standard error: sample standard deviation over the pairs / root of their number.
        With few pairs it tends to be too small (`python -m xrec_tools.bench.calibrate` measures it).

    Raises:
        ValueError: `permutations` is odd or below 4.

    Example:
        In a game of two players a single pair holds both orders: nothing is left to
        chance.

        >>> game = Game(("left", "right"), "pairs", lambda masks: masks.all(axis=1))
        >>> explanation = permutation_sampling(game, permutations=4)
        >>> explanation.values.tolist(), explanation.error.tolist()
        ([0.5, 0.5], [0.0, 0.0])
    """
    start = perf_counter()
    n = game.n_players
    base = game.empty()
    score = game.full()
    values, error = means_over_pairs(
        partial(both_ways, game, base=base, score=score),
        n,
        permutations,
        seed,
        # as many orders at a time as MASK_BYTES of masks allow
        at_once=max(1, MASK_BYTES // (2 * n * n)),
    )
    return Explanation(
        game.players,
        game.target,
        values,
        base,
        score,
        f"Shapley by {permutations} permutations",
        perf_counter() - start,
        error,
    )


def means_over_pairs(
    contributions: Callable[[np.ndarray], np.ndarray],
    n: int,
    permutations: int,
    seed: int,
    at_once: int,
) -> tuple[np.ndarray, np.ndarray]:
    """What each of n players adds on average over random orders, and standard errors.

    Args:
        contributions: turns orders (m, n) into what each player adds, (m, n, ...), in
            the mean of an order and its reverse.
        n: players.
        permutations: orders drawn, even and at least 4 (an error needs two pairs).
        seed: of the orders.
        at_once: most orders handed to `contributions`, which bounds the memory.

    Returns:
        Means and their standard errors, (n, ...) each.

    Raises:
        ValueError: `permutations` is odd or below 4.

    Example:
        Whoever comes first adds 1: over an order and its reverse, both of two do.

        >>> def comes_first(orders):
        ...     return np.full(orders.shape, 0.5)
        >>> means, errors = means_over_pairs(comes_first, 2, 4, seed=0, at_once=1)
        >>> means.tolist(), errors.tolist()
        ([0.5, 0.5], [0.0, 0.0])
    """
    if permutations < 4 or permutations % 2:
        raise ValueError(
            f"permutations={permutations} must be even and at least 4: "
            "orders come in pairs"
        )
    rng = np.random.default_rng(seed)
    # (pairs, n): the first of each pair, whose other order is its reverse
    pairs = permutations // 2
    orders = np.array(
        [rng.permutation(n) for _ in range(pairs)],
    )
    parts = [
        contributions(orders[at : at + at_once]) for at in range(0, pairs, at_once)
    ]
    # the two orders of a pair depend on each other: the pairs are the sample
    gains = np.concatenate(parts)
    return (
        gains.mean(axis=0),
        gains.std(axis=0, ddof=1) / np.sqrt(pairs),
    )


def both_ways(game: Game, orders: np.ndarray, base: float, score: float) -> np.ndarray:
    """Mean contribution of each player in an order and in its reverse.

    orders (m, n) -> contributions (m, n), columns by player. base, score: of nobody and
    of all players, which are known already.
    """
    contributions = marginals(
        game, np.concatenate([orders, orders[:, ::-1]]), base, score
    )
    return contributions.reshape(2, *orders.shape).mean(axis=0)


def marginals(game: Game, orders: np.ndarray, base: float, score: float) -> np.ndarray:
    """What each player adds on arrival, one row per order.

    orders (m, n) -> (m, n), columns by player; each row adds up to score - base.
    """
    m, n = orders.shape
    arrival = np.argsort(orders, axis=1)
    # (order, number present, player)
    masks = arrival[:, None, :] < np.arange(1, n)[:, None]
    v = np.empty((m, n + 1))
    v[:, 0], v[:, n] = base, score
    v[:, 1:n] = game(masks.reshape(-1, n)).reshape(m, n - 1)
    # steps are in order of arrival: put them back in the order of the players
    return np.take_along_axis(np.diff(v, axis=1), arrival, axis=1)

"""Shapley values: a player's average marginal contribution over all orders of arrival.

Defined by Shapley (1953), "A value for n-person games", doi:10.1515/9781400881970-018.
Exact from the scores of all groups, or estimated from random orders.

What is estimated comes with an `error`, and twice the error holds the exact value in 95
cases of 100: see `stated_errors`.
"""

from collections.abc import Callable
from functools import partial
from math import comb
from time import perf_counter

import numpy as np
from scipy.special import stdtrit

from xrec_utils.contract import check_count
from xrec_utils.files import require
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game

MOST_PLAYERS = 20  # 2^20 groups: about a million scores
MASK_BYTES = 4_000_000  # masks held at once by the sampler
NO_SPREAD = 1e-4  # of the largest effect: less is rounding


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
    game.full()  # asked for twice: a random game is refused
    v, size = game(masks), masks.sum(axis=1)
    weight = np.array([1 / (n * comb(n - 1, s)) for s in range(n)])
    values = np.empty(n)
    for i in range(n):
        # the same groups with player i have their numbers at `without | 1 << i`
        without = groups[~masks[:, i]]
        values[i] = weight[size[without]] @ (v[without | 1 << i] - v[without])
    return game.explanation(
        values, "exact Shapley", perf_counter() - start, ends=(v[0], v[-1])
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
        Explanation with values (n,) in the unit of the score. `error` (n,) is that of
        `stated_errors`.

    Raises:
        ValueError: `permutations` is odd or below 4, or `seed` is negative.

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
    base, score = game.ends()
    values, error = means_over_pairs(
        partial(both_ways, game, base=base, score=score),
        n,
        permutations,
        seed,
        # as many orders at a time as MASK_BYTES of masks allow
        at_once=max(1, MASK_BYTES // (2 * n * n)),
    )
    return game.explanation(
        values,
        f"Shapley by {permutations} permutations",
        perf_counter() - start,
        error,
        ends=(base, score),
    )


def means_over_pairs(
    contributions: Callable[[np.ndarray], np.ndarray],
    n: int,
    permutations: int,
    seed: int,
    at_once: int,
) -> tuple[np.ndarray, np.ndarray]:
    """What each of n players adds on average over random orders, and the errors.

    Args:
        contributions: turns orders (m, n) into what each player adds, (m, n, ...), in
            the mean of an order and its reverse.
        n: players.
        permutations: orders drawn, even and at least 4 (an error needs two pairs).
        seed: of the orders.
        at_once: most orders handed to `contributions`, which bounds the memory.

    Returns:
        Means and their errors, (n, ...) each, as `stated_errors` has them.

    Raises:
        ValueError: `permutations` is odd or below 4, or `seed` is negative.

    Example:
        Whoever comes first adds 1: over an order and its reverse, both of two do.

        >>> def comes_first(orders):
        ...     return np.full(orders.shape, 0.5)
        >>> means, errors = means_over_pairs(comes_first, 2, 4, seed=0, at_once=1)
        >>> means.tolist(), errors.tolist()
        ([0.5, 0.5], [0.0, 0.0])
    """
    require(
        isinstance(permutations, int | np.integer)
        and permutations >= 4
        and permutations % 2 == 0,
        f"permutations={permutations} must be even and at least 4: orders come in pairs",
    )
    check_count("seed", seed, 0)
    rng = np.random.default_rng(seed)
    # (pairs, n): the first of each pair, whose other order is its reverse
    pairs = permutations // 2
    orders = np.array([rng.permutation(n) for _ in range(pairs)])
    # the two orders of a pair depend on each other: the pairs are the sample
    gains = np.concatenate(
        [contributions(orders[at : at + at_once]) for at in range(0, pairs, at_once)]
    )
    return gains.mean(axis=0), stated_errors(gains)


def stated_errors(gains: np.ndarray) -> np.ndarray:
    """Half of what holds the mean with a probability of 95%, as far as draws can say.

    Of m draws with the standard deviation s, Student's t says how far the mean may be
    off: t(0.975, m - 1) s / √m. Two things make this too small. Effects that few draws
    show leave s itself uncertain: s² has the standard error s² √(excess kurtosis / m)
    beyond that of a normal law, of which two are added. And an effect that no draw
    shows may still happen in 3/m of all cases (Hanley and Lippman-Hand 1983,
    doi:10.1001/jama.1983.03330370053031). It is taken to be as large as the largest
    that any player showed. This holds for players without spread, and for all where
    there are less than 16 draws or twice as many as players: who comes first often adds
    most, and with fewer draws some never come first.

    Args:
        gains: (m, n, ...) what each draw says of each of n players.

    Returns:
        Errors (n, ...) of the means, of which twice is what is said above. Up to two
        players a pair holds all orders, and without spread they are 0.

    Example:
        Eight draws that agree say little of a player who might matter to one in ten:

        >>> stated_errors(np.tile([1.0, 0.0, 0.0], (8, 1))).tolist()
        [0.1875, 0.1875, 0.1875]
    """
    m, n = gains.shape[:2]
    away = gains - gains.mean(axis=0)
    squared = (away**2).sum(axis=0) / (m - 1) * beyond_normal(away)
    error = stdtrit(m - 1, 0.975) / 2 * np.sqrt(squared / m)
    largest = np.abs(gains).max(axis=(0, 1))
    unseen = 1.5 * largest / m * (n > 2)
    too_few = (m < max(16, 2 * n)) | (squared <= (NO_SPREAD * largest) ** 2)
    return np.where(too_few, np.maximum(error, unseen), error)


def beyond_normal(away: np.ndarray) -> np.ndarray:
    """By how much to multiply a variance (...) that draws (m, ...) about 0 have.

    1 where they spread as a normal law does, up to 3 where a single one stands out.
    """
    squares = away**2
    # without spread, 0/1 instead of 0/0
    kurtosis = (squares**2).mean(axis=0) / np.maximum(squares.mean(axis=0) ** 2, 1e-300)
    return 1 + 2 * np.sqrt(np.maximum(kurtosis - 3, 0) / len(away))


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

    orders (m, n) -> (m, n), columns by player; each row adds up to score - base. Raises
    ValueError if an order does not name each player once.
    """
    m, n = orders.shape
    if not np.array_equal(np.sort(orders), [np.arange(game.n_players)] * m):
        raise ValueError(f"each order must name the players 0..{n - 1} once")
    arrival = np.argsort(orders, axis=1)
    # (order, number present, player)
    masks = arrival[:, None, :] < np.arange(1, n)[:, None]
    v = np.empty((m, n + 1))
    v[:, 0], v[:, n] = base, score
    v[:, 1:n] = game(masks.reshape(-1, n)).reshape(m, n - 1)
    # steps are in order of arrival: put them back in the order of the players
    return np.take_along_axis(np.diff(v, axis=1), arrival, axis=1)

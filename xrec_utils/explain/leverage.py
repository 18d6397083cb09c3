"""Shapley values of any game by regression on a few thousand groups, chosen with care.

Over all groups, the additive game nearest to a game (squares weighted by (n-1) /
(C(n,s) s (n-s)) at size s) has the Shapley values for its weights (Charnes et al. 1988;
Lundberg & Lee 2017, theorem 2). The groups are drawn as in Leverage SHAP (Musco &
Witter, ICLR 2025, arXiv:2410.01917): in pairs of a group and its complement, none
twice, each by its leverage 1 / C(n,s), so that all sizes count alike. What depends on
the size of a group alone is equal for all players, so it is fitted and set aside:
without that, most of the error would come from it.

And what a player adds depends on how many are there: the second film says more than the
fiftieth. So the weight of each player may bend with the size of the group, along two
curves whose mean over all sizes is 0. Over all groups these columns are orthogonal to
the weights: they take up what would be noise, and leave the values where they are.
"""

from itertools import combinations, islice
from math import comb
from time import perf_counter
from typing import NamedTuple

import numpy as np

from xrec_utils.contract import check_count
from xrec_utils.explain.shapley import NO_SPREAD, beyond_normal
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game, distinct

FEW = 10  # pairs per player, up to which one curve is enough
MANY = 10**15  # groups of a size: more are counted as so many
SHRINK = 0.25  # of the curves, times players by pairs


class Drawn(NamedTuple):
    """One group of each of m pairs, at most half the players.

    groups (m, n) bool, size (m,), weight (m,) in the regression, missing (m,): share of
    that size's pairs not drawn.
    """

    groups: np.ndarray
    size: np.ndarray
    weight: np.ndarray
    missing: np.ndarray


def leverage_regression(
    game: Game, samples: int | None = None, seed: int = 0
) -> Explanation:
    """Shapley values of any game by regression on a few thousand groups.

    Leverage SHAP (Musco and Witter, ICLR 2025, arXiv:2410.01917), exact once all 2^n -
    2 groups are scored.

    Args:
        game: any game of n players.
        samples: groups scored, about; None for 2n + 2048.
        seed: of the groups drawn.

    Returns:
        Explanation with values (n,) in the unit of the score, which add up to score -
        base. `error` (n,) is the standard error by the jackknife over pairs (HC3:
        MacKinnon and White 1985, doi:10.1016/0304-4076(85)90158-7) with the correction
        for drawing without replacement; 0 when nothing is left to draw. What few or no
        pairs show is allowed for as in `shapley.stated_errors`: twice the error holds
        the exact value in 95 cases of 100.

    Raises:
        ValueError: below 4n samples, unless they are all there are; a negative seed.

    Example:
        A printer and its ink earn 10 only together, paper earns 2 by itself.

        >>> def profit(masks):
        ...     return 10.0 * masks[:, :2].all(axis=1) + 2.0 * masks[:, 2]
        >>> game = Game(("printer", "ink", "paper"), "profit", profit)
        >>> leverage_regression(game).values.round(3).tolist()
        [5.0, 5.0, 2.0]
    """
    start = perf_counter()
    n = game.n_players
    if samples is None:
        samples = 2 * n + 2048
    check_count("samples", samples, min(4 * n, 2**n - 2))
    check_count("seed", seed, 0)
    base, score = game.ends()
    drawn = draw_pairs(n, samples // 2, np.random.default_rng(seed))
    # (2, m): the groups drawn, then their complements
    scores = game(np.vstack([drawn.groups, ~drawn.groups])).reshape(2, -1)
    # a pair less what its size explains; every row of x sums to 0: only how players
    # differ is left to find
    share = drawn.size / n
    halves = (scores[0] - scores[1] + score - base) / 2
    x = drawn.groups - share[:, None]
    values, left_out, solver = _fit(x, halves - share * (score - base), drawn)
    # what the fit misses of the whole is shared out evenly
    values += (score - base - values.sum()) / n
    squared = _stated_squares(left_out, 2 * np.abs(values).max())
    return game.explanation(
        values,
        f"Shapley by regression on {scores.size} groups",
        perf_counter() - start,
        error=np.sqrt(drawn.missing * squared @ solver**2),
        ends=(base, score),
    )


def draw_pairs(n: int, pairs: int, rng: np.random.Generator) -> Drawn:
    """Draw `pairs` groups of 1 to n/2 players, each standing for its complement too.

    As many of each size as of any other, and all of a size that has no more.
    """
    sizes = np.arange(1, n // 2 + 1)
    # in the middle, a group's complement has its size: half as many pairs
    alike = np.where(2 * sizes == n, 0.5, 1.0)
    # the whole of a size may be beyond NumPy's numbers
    most = (alike * [min(comb(n, s), MANY) for s in sizes.tolist()]).astype(int)
    quota = _quotas(most, alike, pairs)
    # one random start for all sizes: whole numbers that keep the total
    reached = np.append(0, quota.cumsum())
    count = np.diff(np.floor(reached + rng.random())).astype(int)
    size = np.repeat(sizes, count)
    # a size of which most are drawn is listed
    listed = 2 * count >= most
    groups = _random_groups(n, size * ~np.repeat(listed, count), rng)
    for s in np.flatnonzero(listed):
        groups[size == sizes[s]] = _listed(n, sizes[s], count[s], most[s], rng)
    return Drawn(
        groups=groups,
        size=size,
        weight=np.repeat(alike * (n - 1) / (sizes * (n - sizes)) / quota, count),
        missing=np.repeat(1 - count / most, count),
    )


def _quotas(most: np.ndarray, alike: np.ndarray, pairs: int) -> np.ndarray:
    """How many pairs of each size to draw, on average: (sizes,), at most `most`.

    What a small size cannot use is left to the larger ones.
    """
    quota = np.empty(len(most))
    for i, limit in enumerate(most):
        quota[i] = min(limit, (pairs - quota[:i].sum()) * alike[i] / alike[i:].sum())
    return quota


def _listed(
    n: int, size: int, count: int, most: int, rng: np.random.Generator
) -> np.ndarray:
    """`count` of the `most` groups (count, n) of `size` players, no two complements."""
    # of two complements, the first has player 0
    members = np.array(list(islice(combinations(range(n), size), most)))
    # (count, size, 1): each member of a group, to lie beside every player
    drawn = rng.choice(members, count, replace=False)[:, :, None]
    return (drawn == np.arange(n)).any(axis=1)


def _random_groups(n: int, size: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Groups (m, n) of `size` (m,) players, no two alike and no two complements.

    Nobody where the size is 0.
    """
    groups = np.zeros((len(size), n), dtype=bool)
    again = np.flatnonzero(size)
    while len(again):
        lots = rng.random((len(again), n), dtype=np.float32)
        # whoever has one of the `size` lowest numbers is in
        more = lots.argsort(axis=1) < size[again, None]
        # of two complements, keep the one with player 0
        groups[again] = more ^ ((2 * size[again, None] == n) & ~more[:, :1])
        again = np.setdiff1d(np.flatnonzero(size), distinct(groups)[0])
    return groups


def _stated_squares(left_out: np.ndarray, largest: float) -> np.ndarray:
    """Squares of what the fit misses (m,), with room for what the m pairs do not show.

    Where it misses none, a share 3/m of all pairs may still be missed by an effect as
    large as the largest, and by more where few pairs bring most of the error.
    """
    if (np.abs(left_out) <= NO_SPREAD * largest).all():
        return np.full(len(left_out), 3 / max(len(left_out), 1) * largest**2)
    return left_out**2 * beyond_normal(left_out)


def _fit(
    x: np.ndarray, y: np.ndarray, drawn: Drawn
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weighted least squares of y (m,) on x (m, n), on the size, and on x times curves.

    Returns the coefficients (n,) of x, by how much each pair would be missed had it not
    been in the fit (m,), and the matrix (m, n) that turns y into coefficients. Both x
    and y are centred within each size, in place, which fits any function of the size;
    the middle needs none, being antisymmetric.
    """
    n = x.shape[1]
    sizes, first, back, count = np.unique(drawn.size, True, True, True)
    # 0 in the middle
    share = (2 * sizes < n) / count
    x -= (share[:, None] * np.add.reduceat(x, first))[back]
    y -= (share * np.add.reduceat(y, first))[back]
    columns = np.hstack([x, *(curve[:, None] * x for curve in _curves(n, drawn.size))])
    weighted = drawn.weight[:, None] * columns
    gram = columns.T @ weighted
    blocks = gram.shape[0] // n
    # of one player alone there are no pairs
    level = np.trace(gram[:n, :n]) / n or 1.0
    # a ridge on the curves alone, less with more pairs
    ridge = [1e-14] + [SHRINK * n / max(len(y), 1)] * (blocks - 1)
    # every row of x sums to 0, and so a direction of each block is empty: fill it
    filled = np.kron(np.eye(blocks), np.full((n, n), 1 / n))
    gram += level * (filled + np.diag(np.repeat(ridge, n)))
    inverse = np.linalg.inv(gram)
    coefficients = inverse @ (y @ weighted)
    leverage = share[back] + np.einsum("mc,mc->m", columns @ inverse, weighted)
    left_out = (y - columns @ coefficients) / np.maximum(1 - leverage, 1e-6)
    return coefficients[:n], left_out, weighted @ inverse[:, :n]


def _curves(n: int, size: np.ndarray) -> np.ndarray:
    """Curves over the sizes 1 to n - 1, at `size` (m,): (curves, m), two or fewer.

    Alike for a group and its complement; with mean 0, mean square 1, and orthogonal.
    """
    away = (2 * np.arange(1, n) / n - 1) ** 2
    # one curve for few groups, and no more than sizes that differ
    most = min(3 if len(size) > FEW * n else 2, max(1, n // 2))
    curves = np.linalg.qr(np.vander(away, most, increasing=True)).Q
    return np.sqrt(n - 1) * curves[size - 1, 1:].T

"""Shapley values of any game by regression on a few thousand groups, chosen with care.

Over all groups, the additive game nearest to a game (squares weighted by (n-1) /
(C(n,s) s (n-s)) at size s) has the Shapley values for its weights (Charnes et al. 1988;
Lundberg & Lee 2017, theorem 2). The groups are drawn as in Leverage SHAP (Musco &
Witter, ICLR 2025, arXiv:2410.01917): in pairs of a group and its complement, none
twice, each by its leverage 1 / C(n,s), so that all sizes count alike. What depends on
the size of a group alone is equal for all players, so it is fitted and set aside:
without that, most of the error would come from it.
"""

from itertools import combinations, islice
from math import comb
from time import perf_counter
from typing import NamedTuple

import numpy as np

from xrec_utils.contract import check_count
from xrec_utils.explain.shapley import NO_SPREAD, beyond_normal
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game


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
    # in the middle, both groups of a pair are among those of its size
    most = [comb(n, size) // (2 if 2 * size == n else 1) for size in sizes.tolist()]
    quota = _quotas(most, alike, pairs)
    # one random start for all sizes: whole numbers that keep the total
    reached = np.append(0, quota.cumsum())
    count = np.diff(np.floor(reached + rng.random())).astype(int).tolist()
    groups = [
        _groups(n, size, drawn, total, rng)
        for size, drawn, total in zip(sizes.tolist(), count, most, strict=True)
    ]
    return Drawn(
        # first no rows, for one player alone makes no pair
        groups=np.concatenate([np.empty((0, n), dtype=bool), *groups]),
        size=np.repeat(sizes, count),
        weight=np.repeat(alike * (n - 1) / (sizes * (n - sizes)) / quota, count),
        missing=np.repeat(
            # Python's numbers: the whole of a size may be beyond NumPy's
            [1 - drawn / total for drawn, total in zip(count, most, strict=True)],
            count,
        ),
    )


def _quotas(most: list[int], alike: np.ndarray, pairs: int) -> np.ndarray:
    """How many pairs of each size to draw, on average: (sizes,), at most `most`.

    What a small size cannot use is left to the larger ones.
    """
    quota = np.empty(len(most))
    left = float(pairs)
    for i, limit in enumerate(most):
        # a Python float: the limit may be a whole number beyond NumPy's
        quota[i] = min(
            limit,
            float(left * alike[i] / alike[i:].sum()),
        )
        left -= quota[i]
    return quota


def _groups(
    n: int, size: int, count: int, most: int, rng: np.random.Generator
) -> np.ndarray:
    """`count` different groups (count, n) of `size` players, no two complements.

    All `most` of them if asked for.
    """
    if count == most:
        # of two complements, the first has player 0
        members = np.array(list(islice(combinations(range(n), size), most)))
        # (most, size, n): each member of a group beside every player
        return (members[:, :, None] == np.arange(n)).any(axis=1)
    groups = np.empty((0, n), dtype=bool)
    while len(groups) < count:
        # twice what is missing, for some are drawn twice
        lots = rng.random((2 * (count - len(groups)), n))
        # whoever has one of the `size` lowest numbers is in
        more = lots.argsort(axis=1) < size
        if 2 * size == n:
            # of two complements, keep the one with player 0
            more ^= ~more[:, :1]
        groups = np.concatenate([groups, more])
        # eight players a byte: rows are compared faster
        _, first = np.unique(np.packbits(groups, axis=1), axis=0, return_index=True)
        groups = groups[np.sort(first)]
    return groups[:count]


def _stated_squares(left_out: np.ndarray, largest: float) -> np.ndarray:
    """Squares of what the fit misses (m,), with room for what the m pairs do not show.

    Where it misses none, a share 3/m of all pairs may still be missed by an effect as
    large as the largest, and by more where few pairs bring most of the error.
    """
    if np.abs(left_out).max(initial=0) <= NO_SPREAD * largest:
        return np.full(len(left_out), 3 / max(len(left_out), 1) * largest**2)
    return left_out**2 * beyond_normal(left_out)


def _fit(
    x: np.ndarray, y: np.ndarray, drawn: Drawn
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weighted least squares of y (m,) on x (m, n) and on the size.

    Returns the coefficients (n,), by how much each pair would be missed had it not been
    in the fit (m,), and the matrix (m, n) that turns y into coefficients. Both x and y
    are centred within each size, in place, which fits any function of the size; the
    middle needs none, being antisymmetric.
    """
    n = x.shape[1]
    leverage = np.zeros(len(y))
    for size in np.unique(drawn.size[2 * drawn.size < n]):
        rows = drawn.size == size
        x[rows] -= x[rows].mean(axis=0)
        y[rows] -= y[rows].mean()
        leverage[rows] = 1 / rows.sum()
    weighted = drawn.weight[:, None] * x
    # a pseudo-inverse: every row of x sums to 0, and so one direction is empty
    inverse = np.linalg.pinv(
        x.T @ weighted,
        rcond=1e-10,
        hermitian=True,
    )
    solver = weighted @ inverse  # (m, n)
    values = y @ solver
    leverage += (solver * x).sum(axis=1)
    left_out = (y - x @ values) / np.maximum(1 - leverage, 1e-6)
    return values, left_out, solver

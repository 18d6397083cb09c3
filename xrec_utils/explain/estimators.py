"""Shapley values of any game by regression on a few thousand groups, chosen with care.

Over all groups, the additive game nearest to a game (squares weighted by (n-1) /
(C(n,s) s (n-s)) at size s) has the Shapley values for its weights (Charnes et al. 1988;
Lundberg & Lee 2017, theorem 2). The groups are drawn as in Leverage SHAP (Musco &
Witter, ICLR 2025, arXiv:2410.01917): in pairs of a group and its complement, none
twice, each by its leverage 1 / C(n,s), so that all sizes count alike. What depends on
the size of a group alone is equal for all players, so it is fitted and set aside:
without that, most of the error would come from it.
"""

from itertools import combinations
from math import comb
from time import perf_counter
from typing import NamedTuple

import numpy as np

from xrec_utils.games import Explanation, Game


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
    """Shapley values from the scores of about `samples` groups (None: 2n + 2048), exact
    once that is all 2^n - 2.

    The values sum exactly to score - base. `error` is the standard error by the
    jackknife over pairs (HC3: MacKinnon & White 1985) with the correction for drawing
    without replacement; it is 0 when nothing is left to draw. Raises ValueError below
    4n samples, unless they are all there are.
    """
    n, start = game.n_players, perf_counter()
    samples = 2 * n + 2048 if samples is None else samples
    if samples < min(4 * n, 2**n - 2):
        raise ValueError(
            f"samples={samples} is too few for {n} players: ask for {4 * n} or more, or leave it out"
        )
    drawn = draw_pairs(n, samples // 2, np.random.default_rng(seed))
    base, score = game.empty(), game.full()
    scores = game(np.concatenate([drawn.groups, ~drawn.groups])).reshape(2, -1)
    share = drawn.size / n
    x = (
        drawn.groups - share[:, None]
    )  # every row sums to 0: only how players differ is left to find
    y = (scores[0] - scores[1] + score - base) / 2 - share * (score - base)
    values, error = _fit(x, y, drawn)
    values += (score - base - values.sum()) / n
    method = f"Shapley by regression on {scores.size} groups"
    return Explanation(
        game.players,
        game.target,
        values,
        base,
        score,
        method,
        perf_counter() - start,
        error,
    )


def draw_pairs(n: int, pairs: int, rng: np.random.Generator) -> Drawn:
    """Draw `pairs` groups of 1 to n/2 players, as many of each size as of any other,
    all of a size that has no more.
    """
    sizes = np.arange(1, n // 2 + 1)
    alike = np.where(
        2 * sizes == n, 0.5, 1.0
    )  # in the middle, a group's complement has its size
    most = [comb(n, s) // (1 + (2 * s == n)) for s in sizes.tolist()]
    quota, left = np.empty(len(sizes)), float(pairs)
    for i in range(len(sizes)):
        quota[i] = min(most[i], float(left * alike[i] / alike[i:].sum()))
        left -= quota[i]
    count = (
        np.diff(np.floor(np.append(0, quota.cumsum()) + rng.random()))
        .astype(int)
        .tolist()
    )
    groups = [
        _groups(n, s, *wanted, rng)
        for s, *wanted in zip(sizes.tolist(), count, most, strict=True)
    ]
    return Drawn(
        np.concatenate([np.empty((0, n), dtype=bool), *groups]),
        np.repeat(sizes, count),
        np.repeat(alike * (n - 1) / (sizes * (n - sizes)) / quota, count),
        np.repeat(
            [1 - drawn / all_ for drawn, all_ in zip(count, most, strict=True)], count
        ),
    )


def _groups(
    n: int, size: int, count: int, most: int, rng: np.random.Generator
) -> np.ndarray:
    """`count` different groups (count, n) of `size` players, no two of them
    complements; all `most` if asked for.
    """
    if count == most:
        members = np.array(
            list(combinations(range(n), size))[:most]
        )  # of two complements, the first has player 0
        return (members[:, :, None] == np.arange(n)).any(axis=1)
    found = np.empty((0, n), dtype=bool)
    while len(found) < count:
        more = rng.random((2 * (count - len(found)), n)).argsort(axis=1) < size
        more ^= (2 * size == n) & ~more[
            :, :1
        ]  # of two complements, keep the one with player 0
        found = np.concatenate([found, more])
        first = np.unique(np.packbits(found, axis=1), axis=0, return_index=True)[1]
        found = found[np.sort(first)]
    return found[:count]


def _fit(x: np.ndarray, y: np.ndarray, drawn: Drawn) -> tuple[np.ndarray, np.ndarray]:
    """Weighted least squares of y (m,) on x (m, n) and on the size: coefficients and
    standard errors, (n,) each.

    Both are centred within each size, which fits any function of the size; the middle
    needs none, being antisymmetric.
    """
    n, leverage = x.shape[1], np.zeros(len(y))
    for size in np.unique(drawn.size[2 * drawn.size < n]):
        rows = drawn.size == size
        x[rows] -= x[rows].mean(axis=0)
        y[rows] -= y[rows].mean()
        leverage[rows] = 1 / rows.sum()
    weighted = drawn.weight[:, None] * x
    solver = weighted @ np.linalg.pinv(
        x.T @ weighted, rcond=1e-10, hermitian=True
    )  # (m, n)
    values = y @ solver
    leverage += (solver * x).sum(axis=1)
    left_out = (y - x @ values) / np.maximum(
        1 - leverage, 1e-6
    )  # the residual had the pair not been in the fit
    return values, np.sqrt(drawn.missing * left_out**2 @ solver**2)

"""How often the films that reasons cite are right, with intervals over users.

The films of one reply belong together: users are drawn for an interval, not films.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest

from xrec_utils.metrics.intervals import Interval


class Precision(NamedTuple):
    """How many of the films cited are right, over users whose reason cites some.

    right, cited: films. users: with a film cited. share: right by cited, in [0, 1].
    chance: the share expected of as many films of the same users drawn at random. lead:
    share minus chance. Intervals at 95%.
    """

    right: int
    cited: int
    users: int
    share: Interval
    chance: float
    lead: Interval


def resampled(
    statistic: Callable[[np.ndarray], float], table: np.ndarray, resamples: int = 2000
) -> Interval:
    """A statistic of a table (..., users) with its percentile bootstrap interval.

    Users are drawn, their columns kept together.
    """
    rng, users = np.random.default_rng(0), table.shape[-1]
    drawn = [
        statistic(table[..., rng.integers(0, users, users)]) for _ in range(resamples)
    ]
    return Interval(statistic(table), *np.quantile(drawn, [0.025, 0.975]))


def share(counts: np.ndarray) -> float:
    """Part over whole; counts (2, users)."""
    # of the sums: a user with few titles counts for few
    part, whole = counts.sum(axis=1)
    return float(part / whole)


def citation_precision(
    cited: Sequence[Sequence[int]], effects: Sequence[np.ndarray]
) -> Precision:
    """How many of the films cited have an effect above zero?

    Args:
        cited: positions of the films cited for each user; none is allowed.
        effects: (players,) of each user.

    Returns:
        Counts, the share with its interval, and what chance would reach.

    Raises:
        ValueError: nothing is cited, so there is nothing to be right about; or there
            are not as many users in both.

    Example:
        One of two films is right where half are, then all of one where all are:

        >>> effects = [np.array([1, -1]), np.array([1, 1])]
        >>> found = citation_precision([[0, 1], [1]], effects)
        >>> found.right, found.cited, found.users, round(found.chance, 3)
        (2, 3, 2, 0.667)
    """
    counts = _counts(cited, effects)
    counts = counts[:, counts[1] > 0]
    if counts.size == 0:
        raise ValueError(
            "no film is cited in any of the cases, so no share of them is right"
        )
    right, films, chance = counts.sum(axis=1)
    return Precision(
        int(right),
        int(films),
        users=counts.shape[1],
        share=_share(counts[:2]),
        chance=float(chance / films),
        lead=resampled(share, np.array([counts[0] - counts[2], counts[1]])),
    )


def precision_difference(
    cited: Sequence[Sequence[int]],
    others: Sequence[Sequence[int]],
    effects: Sequence[np.ndarray],
) -> Interval:
    """The share right of one kind of reasons minus another's, over the same users.

    Args:
        cited: positions of the films cited for each user.
        others: the same by the other reasons; users without a film in both are left
            out of both.
        effects: (players,) of each user.

    Returns:
        The difference of the shares, in [-1, 1], with its 95% interval over users.

    Raises:
        ValueError: there are not as many users in all.

    Example:
        >>> effects = [np.array([1, -1]), np.array([1, 1])]
        >>> precision_difference([[0], [1]], [[1], []], effects).mean
        1.0
    """
    ours, theirs = _counts(cited, effects), _counts(others, effects)
    # (6, users): the same people on both sides
    both = np.concatenate([ours, theirs])[:, (ours[1] > 0) & (theirs[1] > 0)]
    return resampled(lambda counts: share(counts[:2]) - share(counts[3:5]), both)


def _counts(
    cited: Sequence[Sequence[int]], effects: Sequence[np.ndarray]
) -> np.ndarray:
    """Films right, cited, and right by chance: (3, users), zeros where none is cited."""
    rows = []
    for films, effect in zip(cited, effects, strict=True):
        right = effect > 0
        rows.append([right[list(films)].sum(), len(films), len(films) * right.mean()])
    return np.array(rows, dtype=float).T


def _share(counts: np.ndarray) -> Interval:
    """Right by cited of counts (2, users), with its interval."""
    right, films = counts.sum(axis=1)
    if 0 < right < films:
        return resampled(share, counts)
    # no draw of users would differ: Wilson 1927, a user counting once
    users = counts.shape[1]
    ends = binomtest(users if right else 0, users).proportion_ci(method="wilson")
    return Interval(share(counts), float(ends.low), float(ends.high))

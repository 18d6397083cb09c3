"""Bootstrap intervals of a mean, also of a paired difference."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import bootstrap

from xrec_utils.checks import aligned, check_within, finite


@dataclass(frozen=True)
class Interval:
    """A mean with the ends of its interval, all in the unit of the values.

    Attributes:
        mean: the mean over users.
        low: lower end.
        high: upper end.

    Example:
        >>> print(Interval(mean=0.25, low=0.2, high=0.3))
        0.2500 [0.2000, 0.3000]
    """

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"


def mean_interval(
    a: np.ndarray, seed: int = 0, resamples: int = 2000, level: float = 0.95
) -> Interval:
    """Mean over users with its percentile bootstrap interval.

    Users are drawn with replacement by SciPy (Efron & Tibshirani 1993, "An introduction
    to the bootstrap", chapter 13). Seeds are averaged first, so the interval speaks of
    other users like these, given these trained models.

    Args:
        a: (users,) or (seeds, users) values of a metric.
        seed: start of the draws.
        resamples: how often users are drawn.
        level: probability that the interval aims at.

    Returns:
        Mean and ends in the unit of `a`.

    Raises:
        ValueError: fewer than two users, a level outside [0, 1], or a value that is not
            finite, such as an AUC where every candidate is a target; it says whose.

    Example:
        >>> mean_interval([0.0, 1.0, 1.0, 0.0]).mean
        0.5
        >>> print(mean_interval([2.0, 2.0, 2.0]))
        2.0000 [2.0000, 2.0000]
    """
    values = finite("values of users", _mean_over_seeds(a))
    check_within("level", level)
    n = len(values)
    if n < 2:
        raise ValueError(f"an interval needs two or more users, got {n}")
    drawn = bootstrap(
        (values,),
        np.mean,
        n_resamples=resamples,
        # a few megabytes at once; the draws are the same for any batch
        batch=max(1, 2**17 // n),
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    # NumPy's quantiles: those of `drawn` round otherwise in the last digits, which
    # would change stored figures
    ends = np.quantile(
        drawn.bootstrap_distribution,
        [(1 - level) / 2, (1 + level) / 2],
    )
    return Interval(float(values.mean()), *ends.tolist())


def paired_interval(
    a: np.ndarray, b: np.ndarray, seed: int = 0, resamples: int = 2000
) -> Interval:
    """Mean of a - b over the same users with its 95% percentile bootstrap interval.

    What users have in common cancels, so the interval is narrower than those of a and
    b. It excludes 0 where one model is better than the other beyond the draw of users.

    Args:
        a: (users,) or (seeds, users) values of a metric.
        b: the same users in the same order; another number of seeds is allowed.
        seed: start of the draws.
        resamples: how often users are drawn.

    Returns:
        Mean difference and its ends, in the unit of `a` and `b`.

    Raises:
        ValueError: the users differ (by index for pandas columns, by number for
            arrays, which are taken in the order given), are fewer than two, or a value
            is not finite.

    Example:
        >>> print(paired_interval([0.5, 0.75, 1.0], [0.25, 0.5, 0.75]))
        0.2500 [0.2500, 0.2500]
    """
    a, b = aligned(
        a=_mean_over_seeds(a),
        b=_mean_over_seeds(b),
    )
    return mean_interval(
        a - b,
        seed=seed,
        resamples=resamples,
    )


def _mean_over_seeds(a: np.ndarray) -> np.ndarray:
    """(users,) or (seeds, users) -> (users,), with the users' names from pandas."""
    # values of one seed are a table of one row
    mean = np.atleast_2d(
        np.asarray(a, dtype=float),
    ).mean(axis=0)
    if isinstance(a, pd.Series | pd.DataFrame):
        return pd.Series(mean, index=a.axes[-1])
    return mean

"""Ranking, rating and classification metrics, vectorised over users.

Ranking metrics take the *expected value over all orders of tied scores* (McSherry &
Najork 2008, "Computing information retrieval performance measures efficiently in the
presence of tied scores", ECIR): a model that gives every film the same score gets
exactly what chance would get, whatever the order of the columns. No sampling is needed
for that: an item tied with others stands at each of their positions with equal
probability.

Every target is ranked against all items outside the user's history (full ranking).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import gammaln
from scipy.stats import bootstrap
from sklearn import metrics as sklearn_metrics

if TYPE_CHECKING:
    from xrec_utils.contract import HistoryModel
    from xrec_utils.splits import Cases

Ids = Sequence[np.ndarray] | Sequence[Sequence[int]] | np.ndarray


# ---------------------------------------------------------------- recommended lists


def finite_scores(scores: np.ndarray) -> np.ndarray:
    """Return `scores` as an (n, items) array.

    Raises ValueError unless it has two dimensions and only finite numbers.
    """
    scores = np.asarray(scores)
    if scores.ndim != 2:
        raise ValueError(
            f"scores must have shape (users, items), got {scores.shape}; "
            "use scores[None] for one user"
        )
    finite = np.isfinite(scores)
    if not finite.all():
        row, item = np.argwhere(~finite)[0]
        raise ValueError(
            f"scores[{row}, {item}] is {scores[row, item]}: "
            "every score must be a finite number"
        )
    return scores


def top_k(
    scores: np.ndarray, k: int, seen: Ids | None = None, seed: int = 0
) -> np.ndarray:
    """Return the k best items of each row, best first.

    Ties are broken by one seeded random order of the items, so a row's list does not
    depend on the other rows.

    Args:
        scores: (users, items), higher is better.
        k: length of the lists.
        seen: for each row, the item codes that it must not be recommended.
        seed: start of the random order that breaks ties.

    Returns:
        Item codes, (users, k).

    Raises:
        ValueError: scores are not (users, items) finite numbers, or a row has fewer
            than k items left.

    Example:
        >>> scores = np.array([[0.9, 0.1, 0.5], [0.2, 0.8, 0.4]])
        >>> top_k(scores, 2).tolist()
        [[0, 2], [1, 2]]
        >>> top_k(scores, 1, seen=[[0], []]).tolist()
        [[2], [1]]
    """
    scores = finite_scores(scores)
    n_items = scores.shape[1]
    columns = np.random.default_rng(seed).permutation(n_items)
    shuffled = masked(scores, seen)[:, columns]
    left = np.isfinite(shuffled).sum(axis=1)
    if k < 1 or (left < k).any():
        raise ValueError(
            f"k={k} must lie between 1 and the fewest unseen items of a row, "
            f"{left.min()}"
        )
    # (users, k): the k best in no order, so that only these few are sorted
    best = np.argpartition(-shuffled, k - 1, axis=1)[:, :k]
    best_scores = np.take_along_axis(shuffled, best, axis=1)
    order = np.argsort(-best_scores, axis=1, kind="stable")
    ranked = np.take_along_axis(best, order, axis=1)
    return columns[ranked]


def masked(scores: np.ndarray, seen: Ids | None) -> np.ndarray:
    """Copy (n, items) scores as floats, minus infinity at the items each row has seen.

    Raises ValueError when `seen` has not one entry per row.
    """
    scores = np.array(scores, dtype=np.result_type(scores, np.float32))
    if seen is None:
        return scores
    for row, items in zip(scores, seen, strict=True):
        codes = np.asarray(items, dtype=int)
        row[codes] = -np.inf
    return scores


# ---------------------------------------------------------------- places of targets


@dataclass(frozen=True, eq=False)
class Places:
    """Where each target stands among the candidates of its row.

    Entries of length t are one per pair of row and target, by row and best first;
    entries of length n are one per row. Without ties the rank is above + 1.

    Attributes:
        row: (t,) which row.
        above: (t,) candidates with a strictly higher score.
        tied: (t,) candidates with the same score, the target included.
        candidates: (n,) how many items are ranked.
        relevant: (n,) how many of them are targets.
    """

    row: np.ndarray
    above: np.ndarray
    tied: np.ndarray
    candidates: np.ndarray
    relevant: np.ndarray

    def per_row(self, values: np.ndarray) -> np.ndarray:
        """Sum over the targets of each row: (t,) -> (n,)."""
        n_rows = len(self.relevant)
        return np.bincount(self.row, weights=values, minlength=n_rows)

    def expected(self, gain: np.ndarray) -> np.ndarray:
        """Average gain over the positions a target may take: (positions,) -> (t,)."""
        return between(gain, self.above, self.tied) / self.tied

    def positions(self) -> np.ndarray:
        """1, 2, ... up to the largest number of candidates."""
        return np.arange(1, self.candidates.max() + 1)


def between(gain: np.ndarray, above: np.ndarray, tied: np.ndarray) -> np.ndarray:
    """Sum the gain over the positions of each tied group.

    gain: (positions,). `above` items stand before a group, `tied` items in it.
    """
    total = np.concatenate([[0.0], np.cumsum(gain)])
    return total[above + tied] - total[above]


def places(
    scores: np.ndarray,
    targets: Ids,
    seen: Ids | None = None,
    negatives: int | None = None,
    seed: int = 0,
    users: Sequence[int] | None = None,
) -> Places:
    """Rank the targets of each row among its candidates.

    Candidates are all items outside the row's history, or, with `negatives`, the
    targets and that many items drawn uniformly from the others. The draw is seeded by
    `seed` and the user code, so that every model meets the same items.

    Args:
        scores: (n, items), higher is better.
        targets: for each row, one or more different item codes.
        seen: for each row, the item codes of its history (None: no history).
        negatives: how many other candidates to draw; None takes all.
        seed: start of that draw.
        users: code of each row's user; 0 .. n - 1 if not given.

    Returns:
        Above, tied and candidates as counts, see `Places`.

    Raises:
        ValueError: scores are not finite, lengths differ, a row has no targets or one
            of them twice, a target lies in the history, a code is unknown, or
            `negatives` is more than there is.

    Example:
        Film 2 ranks second of three, since film 0 is in the history:

        >>> place = places(np.array([[9.0, 7.0, 5.0, 3.0]]), [[2]], seen=[[0]])
        >>> place.above.tolist(), place.tied.tolist(), place.candidates.tolist()
        ([1], [1], [3])
    """
    scores = finite_scores(scores)
    n, n_items = scores.shape
    seen = [()] * n if seen is None else seen
    users = range(n) if users is None else users
    if not n or not len(targets) == len(seen) == len(users) == n:
        raise ValueError(
            f"scores has {n} rows; targets, seen and users have "
            f"{len(targets)}, {len(seen)}, {len(users)}"
        )
    above = []
    tied = []
    candidates = []
    for r in range(n):
        target, others = target_and_others(targets[r], seen[r], n_items, users[r])
        if negatives is not None:
            others = draw(others, negatives, seed, users[r])
        higher, equal = _count_higher_and_equal(scores[r, target], scores[r, others])
        above.append(higher)
        tied.append(equal)
        candidates.append(len(target) + len(others))
    relevant = np.array([len(higher) for higher in above])
    return Places(
        row=np.repeat(np.arange(n), relevant),
        above=np.concatenate(above),
        tied=np.concatenate(tied),
        candidates=np.array(candidates),
        relevant=relevant,
    )


def _count_higher_and_equal(
    target: np.ndarray, others: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Count candidates above and level with each target, the best target first.

    target (t,) and others (o,) are scores of one row; both answers have shape (t,).
    """
    pool = np.sort(np.concatenate([target, others]))
    best_first = np.sort(target)[::-1]
    # the pool rises: a score's equals lie between its left and its right place
    low = np.searchsorted(pool, best_first, "left")
    high = np.searchsorted(pool, best_first, "right")
    return len(pool) - high, high - low


def target_and_others(
    target: Sequence[int], seen: Sequence[int], n_items: int, user: int
) -> tuple[np.ndarray, np.ndarray]:
    """Check one row; return its targets and the other candidates as item codes.

    Raises ValueError on targets that are none, doubled or in `seen`, and on codes
    outside 0 .. n_items - 1.
    """
    target = np.asarray(target, dtype=int)
    seen = np.asarray(seen, dtype=int)
    if not len(target) or len(np.unique(target)) < len(target):
        raise ValueError(
            f"user {user}: targets must be one or more different items, "
            f"got {target.tolist()}"
        )
    codes = np.concatenate([target, seen])
    if codes.min() < 0 or codes.max() >= n_items:
        raise ValueError(f"user {user}: item codes must lie in 0..{n_items - 1}")
    free = np.ones(n_items, dtype=bool)
    free[seen] = False
    taken = target[~free[target]]
    if len(taken):
        raise ValueError(
            f"user {user}: target {taken.tolist()} is in the user's own history"
        )
    free[target] = False
    return target, np.flatnonzero(free)


def draw(others: np.ndarray, negatives: int, seed: int, user: int) -> np.ndarray:
    """Draw `negatives` different items of `others`, the same for every model.

    Raises ValueError when `others` has fewer items, or when none is wanted.
    """
    if not 1 <= negatives <= len(others):
        raise ValueError(
            f"negatives={negatives}: user {user} has {len(others)} items to draw from"
        )
    rng = np.random.default_rng([seed, int(user)])
    return rng.choice(others, negatives, replace=False)


# ---------------------------------------------------------------- metrics of a ranking


def hit_rate(places: Places, k: int) -> np.ndarray:
    """HR@k: probability that at least one target is among the first k.

    Returns (n,) in [0, 1].
    """
    row, above, tied, relevant, before = groups(places)
    first = before == 0
    # hypergeometric: `inside` of the tied items reach the list, none of them a target
    inside = np.clip(k - above, 0, tied)
    log_miss = log_choose(tied - relevant, inside) - log_choose(tied, inside)
    hit = 1 - np.exp(log_miss)
    return np.bincount(row[first], weights=hit[first])


def recall(places: Places, k: int) -> np.ndarray:
    """Recall@k: share of the row's targets among the first k. -> (n,) in [0, 1]."""
    in_list = places.expected(places.positions() <= k)
    return places.per_row(in_list) / places.relevant


def precision(places: Places, k: int) -> np.ndarray:
    """Precision@k: targets among the first k, divided by k. -> (n,) in [0, 1]."""
    in_list = places.expected(places.positions() <= k)
    return places.per_row(in_list) / k


def discounts(positions: np.ndarray, k: int) -> np.ndarray:
    """1 / log2(position + 1) up to position k, then 0 (Järvelin & Kekäläinen 2002)."""
    return (positions <= k) / np.log2(positions + 1)


def ndcg(places: Places, k: int) -> np.ndarray:
    """NDCG@k: discounted gain of the targets, divided by that of the best order.

    A target at position p gains 1 / log2(p + 1) if p <= k, every other film nothing
    (Järvelin & Kekäläinen 2002, doi:10.1145/582415.582418, with relevance 0 or 1).

    Args:
        places: where the targets stand.
        k: length of the list.

    Returns:
        (n,) in [0, 1], one number per row.

    Example:
        The only target stands third: 1 / log2(3 + 1).

        >>> place = places(np.array([[9.0, 7.0, 5.0, 3.0]]), [[2]])
        >>> ndcg(place, k=3).round(3).tolist()
        [0.5]
    """
    # entry m - 1: the gain of m targets at the first m positions
    best = np.cumsum(discounts(np.arange(1, k + 1), k))
    ideal = best[np.minimum(places.relevant, k) - 1]
    gain = places.expected(discounts(places.positions(), k))
    return places.per_row(gain) / ideal


def reciprocal_rank(places: Places) -> np.ndarray:
    """MRR: 1 / rank of the first target, over the whole ranking (no cut at k).

    Returns (n,) in (0, 1].
    """
    _, above, tied, relevant, before = groups(places)
    first = before == 0
    above = above[first]
    tied = tied[first]
    relevant = relevant[first]
    result = between(1 / places.positions(), above, tied) / tied
    for i in np.flatnonzero(relevant > 1):
        result[i] = _first_of_several(above[i], tied[i], relevant[i])
    return result


def _first_of_several(above: int, tied: int, relevant: int) -> float:
    """Mean of 1 / rank of the first target when several share one score."""
    place = np.arange(1, tied - relevant + 2)
    # the other targets lie behind the first one, in any of their orders
    log_orders = log_choose(tied - place, relevant - 1)
    chance = np.exp(log_orders - log_choose(tied, relevant))
    return np.sum(chance / (above + place))


def average_precision(places: Places, k: int) -> np.ndarray:
    """MAP@k: precision at each target's position up to k, over min(targets, k).

    Returns (n,) in [0, 1].
    """
    row, above, tied, relevant, before = groups(places)
    in_list = places.positions() <= k
    inverse = between(in_list / places.positions(), above, tied)
    count = between(in_list, above, tied)
    # within a group, position i holds a target with probability r/t, and
    # (i - 1)(r - 1)/(t - 1) targets stand before it
    density = (relevant - 1) / np.maximum(tied - 1, 1)
    neighbours = density * (count - (above + 1) * inverse)
    chance = relevant / tied
    gain = chance * ((before + 1) * inverse + neighbours)
    return np.bincount(row, weights=gain) / np.minimum(places.relevant, k)


def auc(places: Places) -> np.ndarray:
    """AUC: probability that a target is scored above a non-target, ties one half.

    Returns (n,) in [0, 1], NaN for a row without non-targets.
    """
    m = places.relevant
    others = (places.candidates - m).astype(float)
    others[others == 0] = np.nan
    rank_sum = places.per_row(places.above + (places.tied + 1) / 2)
    smallest = m * (m + 1) / 2
    return 1 - (rank_sum - smallest) / (m * others)


def groups(places: Places) -> tuple[np.ndarray, ...]:
    """Merge the targets of a row that share a score into one group.

    Returns five arrays (groups,): row, items above it, items in it, targets in it, and
    targets of the row before it.
    """
    key = np.stack([places.row, places.above])
    _, start, relevant = np.unique(key, axis=1, return_index=True, return_counts=True)
    row = places.row[start]
    first_of_row = np.cumsum(places.relevant) - places.relevant
    before = start - first_of_row[row]
    return row, places.above[start], places.tied[start], relevant, before


def log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Logarithm of the binomial coefficient; minus infinity when k > n."""
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


# ---------------------------------------------------------------- a table per model


def ranking_table(places: Places, k: int = 10) -> pd.DataFrame:
    """Compute all ranking metrics of each row.

    Args:
        places: where the targets stand.
        k: length of the list that hr, ndcg, recall, precision and map look at.

    Returns:
        One row per row of the scores, columns hr, ndcg, mrr, recall, precision, map,
        auc; all in [0, 1], auc NaN where every candidate is a target.

    Raises:
        ValueError: k is below 1.

    Example:
        Of four films the second best is the target:

        >>> table = ranking_table(places(np.array([[4, 3, 2, 1]]), [[1]]), k=2)
        >>> table[["hr", "mrr", "precision"]].values.tolist()
        [[1.0, 0.5, 0.5]]
    """
    if k < 1:
        raise ValueError(f"k={k}: the length of the list must be 1 or more")
    columns = {
        "hr": hit_rate(places, k),
        "ndcg": ndcg(places, k),
        "mrr": reciprocal_rank(places),
        "recall": recall(places, k),
        "precision": precision(places, k),
        "map": average_precision(places, k),
        "auc": auc(places),
    }
    return pd.DataFrame(columns)


def evaluate(
    model: HistoryModel,
    cases: Cases,
    k: int = 10,
    negatives: int | None = None,
    batch: int = 256,
    seed: int = 0,
) -> pd.DataFrame:
    """Score every case and rank its targets among all items outside its history.

    A model that knows users by code (`score_users`) is given the users, every other
    one their histories. Ranking against a few drawn items instead of all of them is
    there only to show what that hides (Krichene & Rendle 2020,
    doi:10.1145/3394486.3403226).

    Args:
        model: the recommender.
        cases: users, histories and targets, see `Split.cases`.
        k: length of the list.
        negatives: how many items to draw per user; None ranks against all.
        batch: histories scored at once, which bounds the memory.
        seed: start of the draw of negatives.

    Returns:
        One row per case, indexed by user code, columns as in `ranking_table`.

    Raises:
        ValueError: cases are empty, or scores have another shape than the model
            promises; also all errors of `places` and `ranking_table`.

    Example:
        Most training users have film 0, then film 1; the target is film 1.

        >>> from types import SimpleNamespace
        >>> from xrec_utils.classic import Popularity
        >>> model = Popularity().fit([np.array([0, 1]), np.array([0])], n_items=4)
        >>> cases = SimpleNamespace(users=[7], histories=[[3]], targets=[[1]])
        >>> evaluate(model, cases, k=2)["mrr"].to_dict()
        {7: 0.5}
    """
    if not len(cases.users):
        raise ValueError(
            "cases is empty: no user of this split has both a history and a target"
        )
    tables = []
    for start in range(0, len(cases.users), batch):
        part = slice(start, start + batch)
        histories = cases.histories[part]
        users = cases.users[part]
        scores = _case_scores(model, histories, users)
        targets = cases.targets[part]
        placed = places(scores, targets, histories, negatives, seed, users)
        tables.append(ranking_table(placed, k))
    index = pd.Index(cases.users, name="user")
    return pd.concat(tables).set_index(index)


def _case_scores(
    model: HistoryModel, histories: Ids, users: Sequence[int]
) -> np.ndarray:
    """Scores (cases, items) of a model, by user code where it knows users."""
    if hasattr(model, "score_users"):
        scores = model.score_users(users)
    else:
        scores = model.score(histories)
    expected = (len(histories), model.n_items)
    if scores.shape != expected:
        raise ValueError(f"{model.name}.score gave {scores.shape}, expected {expected}")
    return scores


# ---------------------------------------------------------------- uncertainty


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


def interval(
    values: np.ndarray, seed: int = 0, resamples: int = 2000, level: float = 0.95
) -> Interval:
    """Mean of one value per user with its percentile bootstrap interval.

    values: (users,). Users are drawn with replacement `resamples` times by SciPy
    (Efron & Tibshirani 1993, chapter 13). Raises ValueError on fewer than two users
    and on values that are not finite.
    """
    n = len(values)
    if n < 2 or not np.isfinite(values).all():
        raise ValueError(
            f"an interval needs two or more users and finite values; got {n} users"
        )
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
    ends = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(drawn.bootstrap_distribution, ends)
    return Interval(float(values.mean()), float(low), float(high))


def mean_interval(
    a: np.ndarray, seed: int = 0, resamples: int = 2000, level: float = 0.95
) -> Interval:
    """Mean over users with its percentile bootstrap interval.

    Seeds are averaged first, so the interval speaks of other users like these, given
    these trained models (Efron & Tibshirani 1993, "An introduction to the bootstrap").

    Args:
        a: (users,) or (seeds, users) values of a metric.
        seed: start of the draws.
        resamples: how often users are drawn.
        level: probability that the interval aims at.

    Returns:
        Mean and ends in the unit of `a`.

    Raises:
        ValueError: fewer than two users, or a value that is not finite.

    Example:
        >>> mean_interval([0.0, 1.0, 1.0, 0.0]).mean
        0.5
        >>> print(mean_interval([2.0, 2.0, 2.0]))
        2.0000 [2.0000, 2.0000]
    """
    return interval(_mean_over_seeds(a), seed, resamples, level)


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
            arrays), are fewer than two, or a value is not finite.

    Example:
        >>> print(paired_interval([0.5, 0.75, 1.0], [0.25, 0.5, 0.75]))
        0.2500 [0.2500, 0.2500]
    """
    both_indexed = isinstance(a, pd.Series) and isinstance(b, pd.Series)
    if both_indexed and not a.index.equals(b.index):
        raise ValueError(
            "a and b must hold the same users in the same order; "
            "reindex one by the other first"
        )
    a = _mean_over_seeds(a)
    b = _mean_over_seeds(b)
    if a.shape != b.shape:
        raise ValueError(f"a and b must hold the same users, got {len(a)} and {len(b)}")
    return interval(a - b, seed, resamples)


def _mean_over_seeds(a: np.ndarray) -> np.ndarray:
    """(users,) or (seeds, users) -> (users,)."""
    rows = np.atleast_2d(np.asarray(a, dtype=float))
    return rows.mean(axis=0)


# ---------------------------------------------------------------- stars and classes


def pair(truth: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as flat arrays.

    Raises ValueError when their shapes differ, when they are empty or hold NaN.
    """
    truth = np.asarray(truth)
    predicted = np.asarray(predicted)
    if truth.shape != predicted.shape or not truth.size:
        raise ValueError(
            f"truth {truth.shape} and predicted {predicted.shape} "
            "must have one same, non-empty shape"
        )
    if not (np.isfinite(truth).all() and np.isfinite(predicted).all()):
        raise ValueError(
            "truth and predicted must hold finite numbers: "
            "drop or fill missing values first"
        )
    return truth.ravel(), predicted.ravel()


def rmse(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Root mean squared error, in the unit of the ratings (stars).

    scikit-learn's `root_mean_squared_error` in double precision.

    Args:
        truth: ratings, any shape.
        predicted: predictions of the same shape.

    Returns:
        The error in stars, 0 or more.

    Raises:
        ValueError: shapes differ, are empty, or a value is not finite.

    Example:
        >>> rmse([4, 2, 3, 5], [2, 2, 3, 5])
        1.0
    """
    truth, predicted = pair(truth, predicted)
    error = sklearn_metrics.root_mean_squared_error(
        truth.astype(float), predicted.astype(float)
    )
    return float(error)


def mae(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean absolute error, in the unit of the ratings (stars).

    scikit-learn's `mean_absolute_error` in double precision.

    Args:
        truth: ratings, any shape.
        predicted: predictions of the same shape.

    Returns:
        The error in stars, 0 or more.

    Raises:
        ValueError: shapes differ, are empty, or a value is not finite.

    Example:
        >>> mae([4, 2, 3, 5], [2, 2, 3, 5])
        0.5
    """
    truth, predicted = pair(truth, predicted)
    error = sklearn_metrics.mean_absolute_error(
        truth.astype(float), predicted.astype(float)
    )
    return float(error)


def accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Share of labels predicted right: scikit-learn's `accuracy_score`.

    Args:
        truth: labels, whole numbers or booleans, any shape.
        predicted: labels of the same shape.

    Returns:
        The share, in [0, 1].

    Raises:
        ValueError: shapes differ, are empty, or a value is not finite or no label.

    Example:
        >>> accuracy([1, 0, 1, 1], [1, 0, 0, 1])
        0.75
    """
    truth, predicted = pair(truth, predicted)
    return float(sklearn_metrics.accuracy_score(truth, predicted))


def precision_recall(truth: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """Precision TP / (TP + FP) and recall TP / (TP + FN) of 0/1 labels.

    scikit-learn's `precision_score` and `recall_score`, 0 where a denominator is 0.

    Args:
        truth: labels 0 or 1, any shape.
        predicted: labels 0 or 1 of the same shape.

    Returns:
        Precision and recall, both in [0, 1].

    Raises:
        ValueError: shapes differ, are empty, or a label is neither 0 nor 1: turn
            probabilities into labels with `p >= 0.5` first.

    Example:
        Three are recommended, one of them rightly; one more was missed.

        >>> precision, recall = precision_recall([1, 1, 0, 0], [1, 0, 1, 1])
        >>> round(precision, 3), recall
        (0.333, 0.5)
    """
    truth, predicted = pair(truth, predicted)
    if not np.isin(np.concatenate([truth, predicted]), [0, 1]).all():
        raise ValueError(
            "labels must be 0 or 1: turn probabilities into labels first, "
            "for example p >= 0.5"
        )
    labels = truth.astype(int), predicted.astype(int)
    right = sklearn_metrics.precision_score(*labels, zero_division=0)
    reached = sklearn_metrics.recall_score(*labels, zero_division=0)
    return float(right), float(reached)


def f1_of(precision: float, recall: float) -> float:
    """Harmonic mean of precision and recall; 0 when both are 0.

    Args:
        precision: in [0, 1].
        recall: in [0, 1].

    Returns:
        F1 in [0, 1].

    Example:
        >>> f1_of(0.5, 0.5), f1_of(0.0, 0.0)
        (0.5, 0.0)
    """
    if not precision + recall:
        return 0.0
    return 2 * precision * recall / (precision + recall)


def f1_score(truth: np.ndarray, predicted: np.ndarray) -> float:
    """F1 of 0/1 labels; errors as in `precision_recall`."""
    return f1_of(*precision_recall(truth, predicted))


def coverage(recommended: np.ndarray, n_items: int) -> float:
    """Share of the catalogue recommended to anyone: (n, k) item codes -> [0, 1]."""
    return len(np.unique(recommended)) / n_items


def novelty(recommended: np.ndarray, counts: np.ndarray, n_users: int) -> float:
    """Mean surprise of the recommended items in bits (Zhou et al. 2010).

    The surprise of an item is -log2 of the share of users who know it. recommended:
    (n, k) item codes. counts: (items,) users per item. One pretended user knows
    everything, so that an item nobody knows has a finite surprise.
    """
    share = (np.asarray(counts) + 1) / (n_users + 1)
    surprise = -np.log2(share[np.asarray(recommended)])
    return float(surprise.mean())

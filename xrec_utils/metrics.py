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

if TYPE_CHECKING:
    from xrec_utils.contract import HistoryModel
    from xrec_utils.splits import Cases

Ids = Sequence[np.ndarray] | Sequence[Sequence[int]] | np.ndarray


# ---------------------------------------------------------------- lists of
# recommendations


def finite_scores(scores: np.ndarray) -> np.ndarray:
    """`scores` as an (n, items) array. Raises ValueError unless it has two dimensions
    and only finite numbers.
    """
    scores = np.asarray(scores)
    if scores.ndim != 2:
        raise ValueError(
            f"scores must have shape (users, items), got {scores.shape}; use scores[None] for one user"
        )
    if not np.isfinite(scores).all():
        row, item = np.argwhere(~np.isfinite(scores))[0]
        raise ValueError(
            f"scores[{row}, {item}] is {scores[row, item]}: every score must be a finite number"
        )
    return scores


def top_k(
    scores: np.ndarray, k: int, seen: Ids | None = None, seed: int = 0
) -> np.ndarray:
    """The k best items of each row, best first: (n, items) scores -> (n, k) item codes.

    `seen[r]` are items that row r must not be recommended. Ties are broken by one
    seeded random order of the items, so a row's list does not depend on the other rows.
    Raises ValueError when a row has fewer than k items left.
    """
    scores = finite_scores(scores)
    columns = np.random.default_rng(seed).permutation(scores.shape[1])
    shuffled = masked(scores, seen)[:, columns]
    left = np.isfinite(shuffled).sum(axis=1)
    if k < 1 or (left < k).any():
        raise ValueError(
            f"k={k} must lie between 1 and the fewest unseen items of a row, {left.min()}"
        )
    best = np.argpartition(-shuffled, k - 1, axis=1)[:, :k]
    order = np.argsort(
        -np.take_along_axis(shuffled, best, axis=1), axis=1, kind="stable"
    )
    return columns[np.take_along_axis(best, order, axis=1)]


def masked(scores: np.ndarray, seen: Ids | None) -> np.ndarray:
    """A copy of (n, items) scores as floats, with minus infinity at the items each row
    has seen.
    """
    scores = np.array(scores, dtype=np.result_type(scores, np.float32))
    for row, items in zip(scores, seen, strict=True) if seen is not None else ():
        row[np.asarray(items, dtype=int)] = -np.inf
    return scores


# ---------------------------------------------------------------- where the targets
# stand


@dataclass(frozen=True, eq=False)
class Places:
    """Where each target stands among its row's candidates; one entry per (row, target),
    by row and best first.

    row (t,): which user. above (t,): candidates with a strictly higher score. tied
    (t,): candidates with the same score, itself included. Without ties the rank is
    above + 1. candidates (n,), relevant (n,): counts per row.
    """

    row: np.ndarray
    above: np.ndarray
    tied: np.ndarray
    candidates: np.ndarray
    relevant: np.ndarray

    def per_row(self, values: np.ndarray) -> np.ndarray:
        """Sum over the targets of each row: (t,) -> (n,)."""
        return np.bincount(self.row, weights=values, minlength=len(self.relevant))

    def expected(self, gain: np.ndarray) -> np.ndarray:
        """Mean of gain[position] over the positions a target may take: (positions,) ->
        (t,).
        """
        return between(gain, self.above, self.tied) / self.tied

    def positions(self) -> np.ndarray:
        """1, 2, ... up to the largest number of candidates."""
        return np.arange(1, self.candidates.max() + 1)


def between(gain: np.ndarray, above: np.ndarray, tied: np.ndarray) -> np.ndarray:
    """Sum of gain over the positions of each tied group (`above` items before it,
    `tied` items in it).
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
    """Find where the targets stand. scores (n, items); targets[r] and seen[r] are item
    codes of row r.

    Candidates are all items outside seen[r], or, with `negatives`, the targets and that
    many items drawn uniformly from the other candidates (seeded by `seed` and the user
    code, so that every model meets the same ones). Raises ValueError on scores that are
    not finite, on a row without targets, and on a target outside the candidates.
    """
    scores = finite_scores(scores)
    n, n_items = scores.shape
    seen = [()] * n if seen is None else seen
    users = range(n) if users is None else users
    if not n or not len(targets) == len(seen) == len(users) == n:
        raise ValueError(
            f"scores has {n} rows; targets, seen and users have {len(targets)}, {len(seen)}, {len(users)}"
        )
    above, tied, candidates = [], [], []
    for r in range(n):
        target, others = target_and_others(targets[r], seen[r], n_items, users[r])
        if negatives is not None:
            others = draw(others, negatives, seed, users[r])
        pool = np.sort(scores[r, np.concatenate([target, others])])
        low, high = (
            np.searchsorted(pool, np.sort(scores[r, target])[::-1], side)
            for side in ("left", "right")
        )
        above.append(len(pool) - high)
        tied.append(high - low)
        candidates.append(len(pool))
    relevant = np.array([len(a) for a in above])
    row = np.repeat(np.arange(n), relevant)
    return Places(
        row, np.concatenate(above), np.concatenate(tied), np.array(candidates), relevant
    )


def target_and_others(
    target: Sequence[int], seen: Sequence[int], n_items: int, user: int
) -> tuple:
    """Check one row; return its targets and the other candidates as item codes."""
    target, seen = np.asarray(target, dtype=int), np.asarray(seen, dtype=int)
    if not len(target) or len(np.unique(target)) < len(target):
        raise ValueError(
            f"user {user}: targets must be one or more different items, got {target.tolist()}"
        )
    everything = np.concatenate([target, seen])
    if everything.min() < 0 or everything.max() >= n_items:
        raise ValueError(f"user {user}: item codes must lie in 0..{n_items - 1}")
    free = np.ones(n_items, dtype=bool)
    free[seen] = False
    if not free[target].all():
        raise ValueError(
            f"user {user}: target {target[~free[target]].tolist()} is in the user's own history"
        )
    free[target] = False
    return target, np.flatnonzero(free)


def draw(others: np.ndarray, negatives: int, seed: int, user: int) -> np.ndarray:
    """`negatives` different items of `others`, the same for every model."""
    if not 1 <= negatives <= len(others):
        raise ValueError(
            f"negatives={negatives}: user {user} has {len(others)} items to draw from"
        )
    return np.random.default_rng([seed, int(user)]).choice(
        others, negatives, replace=False
    )


# ---------------------------------------------------------------- ranking metrics, one
# number per row


def hit_rate(places: Places, k: int) -> np.ndarray:
    """HR@k: probability that at least one target is among the first k. -> (n,) in [0,
    1].
    """
    row, above, tied, relevant, before = groups(places)
    first = before == 0
    inside = np.clip(k - above, 0, tied)
    miss = np.exp(
        log_choose(tied - relevant, inside) - log_choose(tied, inside)
    )  # hypergeometric
    return np.bincount(row[first], weights=1 - miss[first])


def recall(places: Places, k: int) -> np.ndarray:
    """Recall@k: share of the row's targets among the first k. -> (n,) in [0, 1]."""
    return places.per_row(places.expected(places.positions() <= k)) / places.relevant


def precision(places: Places, k: int) -> np.ndarray:
    """Precision@k: targets among the first k, divided by k. -> (n,) in [0, 1]."""
    return places.per_row(places.expected(places.positions() <= k)) / k


def discounts(positions: np.ndarray, k: int) -> np.ndarray:
    """1 / log2(position + 1) up to position k, then 0 (Järvelin & Kekäläinen 2002)."""
    return (positions <= k) / np.log2(positions + 1)


def ndcg(places: Places, k: int) -> np.ndarray:
    """NDCG@k with binary relevance: discounted gain divided by that of the best order.
    -> (n,) in [0, 1].
    """
    ideal = np.cumsum(discounts(np.arange(1, k + 1), k))[
        np.minimum(places.relevant, k) - 1
    ]
    return places.per_row(places.expected(discounts(places.positions(), k))) / ideal


def reciprocal_rank(places: Places) -> np.ndarray:
    """MRR: 1 / rank of the first target, over the whole ranking (no cut at k). -> (n,)
    in (0, 1].
    """
    _, above, tied, relevant, before = groups(places)
    first = before == 0
    result = between(1 / places.positions(), above, tied)[first] / tied[first]
    for i in np.flatnonzero(
        relevant[first] > 1
    ):  # several targets share one score: average over who comes first
        a, t, r = (x[first][i] for x in (above, tied, relevant))
        p = np.arange(1, t - r + 2)
        result[i] = np.sum(
            np.exp(log_choose(t - p, r - 1) - log_choose(t, r)) / (a + p)
        )
    return result


def average_precision(places: Places, k: int) -> np.ndarray:
    """MAP@k: precision at each target's position, summed up to k, divided by
    min(targets, k). -> (n,) in [0, 1].
    """
    row, above, tied, relevant, before = groups(places)
    kept = places.positions() <= k
    inverse, count = (
        between(kept / places.positions(), above, tied),
        between(kept, above, tied),
    )
    # within a group, position i holds a target with probability r/t and (i - 1)(r -
    # 1)/(t - 1) targets stand before it
    neighbours = (
        (relevant - 1) / np.maximum(tied - 1, 1) * (count - (above + 1) * inverse)
    )
    gain = relevant / tied * ((before + 1) * inverse + neighbours)
    return np.bincount(row, weights=gain) / np.minimum(places.relevant, k)


def auc(places: Places) -> np.ndarray:
    """AUC: probability that a target is scored above a non-target, ties one half. ->
    (n,), NaN without non-targets.
    """
    m, others = places.relevant, (places.candidates - places.relevant).astype(float)
    rank_sum = places.per_row(places.above + (places.tied + 1) / 2)
    others[others == 0] = np.nan
    return 1 - (rank_sum - m * (m + 1) / 2) / (m * others)


def groups(places: Places) -> tuple[np.ndarray, ...]:
    """Targets of a row that share a score, as one group: row, above, tied, targets in
    it, targets before it.
    """
    key = np.stack([places.row, places.above])
    _, start, relevant = np.unique(key, axis=1, return_index=True, return_counts=True)
    row = places.row[start]
    first_of_row = np.cumsum(places.relevant) - places.relevant
    return (
        row,
        places.above[start],
        places.tied[start],
        relevant,
        start - first_of_row[row],
    )


def log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Logarithm of the binomial coefficient; minus infinity when k > n."""
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


# ---------------------------------------------------------------- one table per model


def ranking_table(places: Places, k: int = 10) -> pd.DataFrame:
    """All ranking metrics, one row per user: columns hr, ndcg, mrr, recall, precision,
    map, auc.
    """
    if k < 1:
        raise ValueError(f"k={k}: the length of the list must be 1 or more")
    at_k = {
        "hr": hit_rate,
        "ndcg": ndcg,
        "recall": recall,
        "precision": precision,
        "map": average_precision,
    }
    table = pd.DataFrame({name: metric(places, k) for name, metric in at_k.items()})
    table.insert(2, "mrr", reciprocal_rank(places))
    table["auc"] = auc(places)
    return table


def evaluate(
    model: HistoryModel,
    cases: Cases,
    k: int = 10,
    negatives: int | None = None,
    batch: int = 256,
    seed: int = 0,
) -> pd.DataFrame:
    """Score every case and rank its targets among all items outside its history.

    A model that knows users by code (`score_users`) is asked for the users, every other
    one for their histories.

    Returns one row per case, indexed by user code, with columns hr, ndcg, recall,
    precision, map (cut at k), mrr and auc (whole ranking). `negatives=99` ranks against
    99 drawn items instead: only to show what that hides (Krichene & Rendle 2020,
    doi:10.1145/3394486.3403226). Raises ValueError on empty cases and on scores of the
    wrong shape.
    """
    if not len(cases.users):
        raise ValueError(
            "cases is empty: no user of this split has both a history and a target"
        )
    tables = []
    for start in range(0, len(cases.users), batch):
        part = slice(start, start + batch)
        histories, users = cases.histories[part], cases.users[part]
        scores = (
            model.score_users(users)
            if hasattr(model, "score_users")
            else model.score(histories)
        )
        if scores.shape != (len(histories), model.n_items):
            raise ValueError(
                f"{model.name}.score gave {scores.shape}, expected {(len(histories), model.n_items)}"
            )
        tables.append(
            ranking_table(
                places(scores, cases.targets[part], histories, negatives, seed, users),
                k,
            )
        )
    return pd.concat(tables).set_index(pd.Index(cases.users, name="user"))


# ---------------------------------------------------------------- uncertainty


@dataclass(frozen=True)
class Interval:
    """A mean with the ends of its interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"


def mean_interval(
    a: np.ndarray, seed: int = 0, resamples: int = 2000, level: float = 0.95
) -> Interval:
    """Mean over users with its percentile bootstrap interval (Efron & Tibshirani 1993).

    `a` has shape (users,) or (seeds, users); seeds are averaged first, so the interval
    speaks of other users like these, given these trained models. Raises ValueError on
    fewer than two users and on NaN.
    """
    a = np.atleast_2d(np.asarray(a, dtype=float)).mean(axis=0)
    if len(a) < 2 or not np.isfinite(a).all():
        raise ValueError(
            f"an interval needs two or more users and finite values; got {len(a)} users"
        )
    rng = np.random.default_rng(seed)
    means = [a[rng.integers(0, len(a), len(a))].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(a.mean()), float(low), float(high))


def paired_interval(
    a: np.ndarray, b: np.ndarray, seed: int = 0, resamples: int = 2000
) -> Interval:
    """Mean of a - b over the same users with its 95% percentile bootstrap interval;
    shapes as in `mean_interval`.

    Raises ValueError when the users differ: by index for pandas columns, by number for
    arrays.
    """
    if (
        isinstance(a, pd.Series)
        and isinstance(b, pd.Series)
        and not a.index.equals(b.index)
    ):
        raise ValueError(
            "a and b must hold the same users in the same order; reindex one by the other first"
        )
    a, b = (np.atleast_2d(np.asarray(x, dtype=float)).mean(axis=0) for x in (a, b))
    if a.shape != b.shape:
        raise ValueError(f"a and b must hold the same users, got {len(a)} and {len(b)}")
    return mean_interval(a - b, seed, resamples)


# ---------------------------------------------------------------- ratings, classes,
# catalogues


def pair(truth: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as flat arrays. Raises ValueError when their shapes differ, when they are
    empty or hold NaN.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.shape != predicted.shape or not truth.size:
        raise ValueError(
            f"truth {truth.shape} and predicted {predicted.shape} must have one same, non-empty shape"
        )
    if not (np.isfinite(truth).all() and np.isfinite(predicted).all()):
        raise ValueError(
            "truth and predicted must hold finite numbers: drop or fill missing values first"
        )
    return truth.ravel(), predicted.ravel()


def rmse(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Root mean squared error, in the unit of the ratings (stars)."""
    truth, predicted = pair(truth, predicted)
    return float(np.sqrt(np.mean((truth - predicted.astype(float)) ** 2)))


def mae(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean absolute error, in the unit of the ratings (stars)."""
    truth, predicted = pair(truth, predicted)
    return float(np.mean(np.abs(truth - predicted.astype(float))))


def accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Share of labels predicted right, in [0, 1]."""
    truth, predicted = pair(truth, predicted)
    return float(np.mean(truth == predicted))


def precision_recall(truth: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """Precision TP / (TP + FP) and recall TP / (TP + FN) of 0/1 labels; 0 where the
    denominator is 0.

    Raises ValueError on labels other than 0 and 1: turn probabilities into labels with
    `p >= 0.5` first.
    """
    truth, predicted = pair(truth, predicted)
    if not np.isin(np.concatenate([truth, predicted]), [0, 1]).all():
        raise ValueError(
            "labels must be 0 or 1: turn probabilities into labels first, for example p >= 0.5"
        )
    hits = np.sum((truth == 1) & (predicted == 1))
    return float(hits / max(np.sum(predicted == 1), 1)), float(
        hits / max(np.sum(truth == 1), 1)
    )


def f1_of(precision: float, recall: float) -> float:
    """Harmonic mean of precision and recall; 0 when both are 0."""
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def f1_score(truth: np.ndarray, predicted: np.ndarray) -> float:
    """F1 of 0/1 labels."""
    return f1_of(*precision_recall(truth, predicted))


def coverage(recommended: np.ndarray, n_items: int) -> float:
    """Share of the catalogue that is recommended to anyone: (n, k) item codes -> [0,
    1].
    """
    return len(np.unique(recommended)) / n_items


def novelty(recommended: np.ndarray, counts: np.ndarray, n_users: int) -> float:
    """Mean surprise of the recommended items in bits, -log2 of the share of users who
    know them (Zhou et al. 2010).

    recommended (n, k) item codes; counts (items,) users per item. One pretended user
    knows everything, so that an item nobody knows has a finite surprise.
    """
    known = (np.asarray(counts) + 1) / (n_users + 1)
    return float(-np.log2(known[np.asarray(recommended)]).mean())

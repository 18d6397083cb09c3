"""Ranking metrics, exact under ties, vectorised over users.

They are the *expected value over all orders of tied scores* (McSherry & Najork 2008,
"Computing information retrieval performance measures efficiently in the presence of
tied scores", ECIR): a model that gives every film the same score gets exactly what
chance would get, whatever the order of the columns. No sampling is needed for that: an
item tied with others stands at each of their positions with equal probability.

Every target is ranked against all items outside the user's history (full ranking).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import hypergeom, nhypergeom

from xrec_utils.contract import Ids, check_count, finite_scores, item_codes
from xrec_utils.files import require


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
        return np.bincount(
            self.row,
            weights=values,
            minlength=len(self.relevant),
        )

    def expected(self, gain: np.ndarray) -> np.ndarray:
        """Average gain over the positions a target may take: (positions,) -> (t,)."""
        # each position of a tied group is as likely as the others
        return between(gain, self.above, self.tied) / self.tied

    def positions(self) -> np.ndarray:
        """1, 2, ... up to the largest number of candidates."""
        return np.arange(1, self.candidates.max() + 1)

    def in_list(self, k: int) -> np.ndarray:
        """Which positions are among the first k, bool (positions,).

        Raises ValueError unless k is a whole number above 0.
        """
        check_count("k", k)
        return self.positions() <= k


def between(gain: np.ndarray, above: np.ndarray, tied: np.ndarray) -> np.ndarray:
    """Sum the gain over the positions of each tied group.

    gain: (positions,). `above` items stand before a group, `tied` items in it.
    """
    # entry p: the gain of the first p positions together
    total = np.concatenate(
        [[0.0], np.cumsum(gain)],
    )
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

    Source: full ranking, as Krichene & Rendle 2020 ask for,
    doi:10.1145/3394486.3403226.

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
    require(
        n and len(targets) == len(seen) == len(users) == n,
        f"scores has {n} rows; targets, seen and users have "
        f"{len(targets)}, {len(seen)}, {len(users)}",
    )
    rows = []
    for r in range(n):
        target, others = target_and_others(
            targets[r],
            seen[r],
            n_items,
            user=users[r],
        )
        if negatives is not None:
            others = draw(others, negatives, seed, users[r])
        higher, equal = _count_higher_and_equal(
            scores[r, target],
            scores[r, others],
        )
        rows.append(
            (higher, equal, len(target) + len(others)),
        )
    above, tied, candidates = zip(*rows, strict=True)
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
    target = item_codes(f"user {user}: targets", target, n_items)
    history = item_codes(f"user {user}: seen", seen, n_items)
    require(
        len(target) and len(np.unique(target)) == len(target),
        f"user {user}: targets must be one or more different items, "
        f"got {target.tolist()}",
    )
    taken = np.intersect1d(target, history)
    require(
        not len(taken),
        f"user {user}: target {taken.tolist()} is in the user's own history: it "
        "was seen before, and what is ranked is new. Leave repeats out: load the "
        "events without behaviour= and with duplicates='last', or drop such targets",
    )
    return target, np.delete(np.arange(n_items), np.append(target, history))


def draw(others: np.ndarray, negatives: int, seed: int, user: int) -> np.ndarray:
    """Draw `negatives` different items of `others`, the same for every model.

    Raises ValueError when `others` has fewer items, or when none is wanted.
    """
    check_count("negatives", negatives)
    require(
        negatives <= len(others),
        f"negatives={negatives}: user {user} has {len(others)} items to draw from",
    )
    # seeded by the user too: every model meets the same items, every user others
    return np.random.default_rng([seed, int(user)]).choice(
        others,
        size=negatives,
        replace=False,
    )


# ---------------------------------------------------------------- metrics of a ranking


def hit_rate(places: Places, k: int) -> np.ndarray:
    """HR@k: probability that at least one target is among the first k.

    Returns (n,) in [0, 1].
    """
    check_count("k", k)
    first = first_groups(places)
    # so many of the tied items reach the list
    inside = np.clip(
        k - first.above,
        0,
        first.tied,
    )
    return 1 - hypergeom.pmf(0, first.tied, first.relevant, inside)


def recall(places: Places, k: int) -> np.ndarray:
    """Recall@k: share of the row's targets among the first k. -> (n,) in [0, 1]."""
    return places.per_row(places.expected(places.in_list(k))) / places.relevant


def precision(places: Places, k: int) -> np.ndarray:
    """Precision@k: targets among the first k, divided by k. -> (n,) in [0, 1]."""
    return places.per_row(places.expected(places.in_list(k))) / k


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

    Raises:
        ValueError: k is no whole number above 0.

    Example:
        The only target stands third: 1 / log2(3 + 1).

        >>> place = places(np.array([[9.0, 7.0, 5.0, 3.0]]), [[2]])
        >>> ndcg(place, k=3).round(3).tolist()
        [0.5]
    """
    check_count("k", k)
    # entry m - 1: the gain of m targets at the first m positions
    best = np.cumsum(
        discounts(np.arange(1, k + 1), k),
    )
    gain = places.expected(
        discounts(places.positions(), k),
    )
    return places.per_row(gain) / best[np.minimum(places.relevant, k) - 1]


def reciprocal_rank(places: Places) -> np.ndarray:
    """MRR: 1 / rank of the first target, over the whole ranking (no cut at k).

    Returns (n,) in (0, 1].
    """
    first = first_groups(places)
    gain = 1 / places.positions()
    result = between(gain, first.above, first.tied) / first.tied.to_numpy()
    for group in first[first.relevant > 1].itertuples():
        result[group.Index] = _first_of_several(
            group.above,
            group.tied,
            group.relevant,
        )
    return result


def _first_of_several(above: int, tied: int, relevant: int) -> float:
    """Mean of 1 / rank of the first target when several share one score."""
    others = np.arange(tied - relevant + 1)
    # so many other items stand before the first target
    chance = nhypergeom.pmf(others, tied, tied - relevant, 1)
    return np.sum(chance / (above + others + 1))


def average_precision(places: Places, k: int) -> np.ndarray:
    """MAP@k: precision at each target's position up to k, over min(targets, k).

    Returns (n,) in [0, 1].
    """
    group = groups(places)
    in_list = places.in_list(k)
    inverse = between(
        in_list / places.positions(),
        group.above,
        group.tied,
    )
    count = between(
        in_list,
        group.above,
        group.tied,
    )
    # within a group, position i holds a target with probability r/t, and
    # (i - 1)(r - 1)/(t - 1) targets stand before it
    density = (group.relevant - 1) / np.maximum(group.tied - 1, 1)
    neighbours = density * (count - (group.above + 1) * inverse)
    chance = group.relevant / group.tied
    gain = np.bincount(
        group.row,
        weights=chance * ((group.before + 1) * inverse + neighbours),
    )
    return gain / np.minimum(places.relevant, k)


def auc(places: Places) -> np.ndarray:
    """AUC: probability that a target is scored above a non-target, ties one half.

    Returns (n,) in [0, 1], NaN for a row without non-targets.
    """
    m = places.relevant
    others = np.where(
        places.candidates > m,
        places.candidates - m,
        np.nan,
    )
    # a tied target takes the middle of its group
    rank_sum = places.per_row(
        places.above + (places.tied + 1) / 2,
    )
    # the m best ranks sum to m (m + 1) / 2
    return 1 - (rank_sum - m * (m + 1) / 2) / (m * others)


def groups(places: Places) -> pd.DataFrame:
    """Merge the targets of a row that share a score into one group.

    Returns one row per group: row, above (items above it), tied (items in it), relevant
    (targets in it), and before (targets of the row above it).
    """
    targets = pd.DataFrame(
        {
            "row": places.row,
            "above": places.above,
            "tied": places.tied,
        }
    )
    # best first: targets of one score stand together, the index says where they begin
    starts = targets.drop_duplicates(["row", "above"])
    first_of_row = np.cumsum(places.relevant) - places.relevant
    return starts.assign(
        relevant=np.diff(starts.index, append=len(targets)),
        before=starts.index - first_of_row[starts.row],
    )


def first_groups(places: Places) -> pd.DataFrame:
    """The group of each row that holds its best target, in the order of the rows."""
    return groups(places).drop_duplicates("row", ignore_index=True)

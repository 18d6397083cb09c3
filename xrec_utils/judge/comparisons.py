"""Do explanations agree: with each other, with the truth, with themselves?

Agreement is not truth: two methods may share an error (Neely et al. 2022,
arXiv:2205.04559). Compare with exact values where they are known (`relative_error`,
`planted`), and read the rest as stability under another seed or a small edit.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import kendalltau, permutation_test

from xrec_utils.checks import aligned, check_within
from xrec_utils.contract import check_count
from xrec_utils.files import require
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game
from xrec_utils.metrics.intervals import mean_interval

# ------------------------------------------- two explanations of the same players


class Agreement(NamedTuple):
    """How close two explanations are; higher is closer.

    tau: Kendall's tau-b of the values, in [-1, 1]. jaccard: of the k highest values, in
    [0, 1].
    """

    tau: float
    jaccard: float


def agreement(one: Explanation, other: Explanation, k: int = 10) -> Agreement:
    """Rank correlation of all values, and overlap of the two top k.

    Args:
        one: an explanation.
        other: another, of the same players in the same order.
        k: players in each top list.

    Returns:
        tau in [-1, 1] and jaccard in [0, 1], higher is closer.

    Their targets may differ: two methods may word theirs otherwise, or two questions
    about one history be compared.

    Raises:
        ValueError: the players differ, or k is no whole number above 0.

    Source: Kendall 1945, doi:10.1093/biomet/33.3.239, for tau; Jaccard 1912,
    doi:10.1111/j.1469-8137.1912.tb05611.x, for the overlap.

    Example:
        >>> one = Explanation(("a", "b", "c"), "score", [3, 2, 1], 0, 6, "one")
        >>> other = Explanation(("a", "b", "c"), "score", [3, 1, 2], 0, 6, "other")
        >>> found = agreement(one, other, k=1)
        >>> round(found.tau, 3), found.jaccard
        (0.333, 1.0)
    """
    require(
        one.players == other.players,
        "both explanations must be of the same players in the same order",
    )
    return Agreement(
        tau=kendall(one.values, other.values),
        jaccard=jaccard(one, other, k),
    )


def kendall(values: np.ndarray, others: np.ndarray) -> float:
    """Kendall's tau-b: pairs in the same order less pairs in the opposite order.

    Args:
        values: (n,) numbers.
        others: (n,) numbers.

    Returns:
        In [-1, 1]; 0 when one of the two is constant, because it orders nothing.

    Raises:
        ValueError: the lengths, or the indexes of two pandas columns, differ, or a
            number is not finite.

    Source: Kendall 1945, doi:10.1093/biomet/33.3.239.

    Example:
        Of three pairs two are in the same order, one in the opposite:

        >>> round(kendall(np.array([1, 2, 3]), np.array([1, 3, 2])), 3)
        0.333
    """
    values, others = aligned(values=values, others=others)
    # scipy says NaN here, and one such user would spoil a mean over users
    if np.ptp(values) == 0 or np.ptp(others) == 0:
        return 0.0
    return float(kendalltau(values, others).statistic)


def jaccard(one: Explanation, other: Explanation, k: int = 10) -> float:
    """Players in both top k divided by players in either, in [0, 1].

    The lists are those of `Explanation.top`; always 1 for k players or fewer. Raises
    ValueError unless k is a whole number above 0.
    """
    check_count("k", k)
    first, second = (set(each.top(k).tolist()) for each in (one, other))
    return len(first & second) / len(first | second)


def relative_error(values: np.ndarray, truth: np.ndarray) -> float:
    """‖values - truth‖₂ / ‖truth‖₂: how far values lie from the true ones.

    Args:
        values: (n,) numbers.
        truth: (n,) the true ones.

    Returns:
        The error, no unit, lower is better; answering zero gets 1. Without any truth to
        find (all zeros) it is 0 for zeros and infinite for anything else.

    Raises:
        ValueError: as `kendall`.

    Example:
        >>> relative_error([3.0, 3.0], np.array([3.0, 4.0]))
        0.2
    """
    values, truth = aligned(values=values, truth=truth)
    error = np.linalg.norm(values - truth)
    length = np.linalg.norm(truth)
    if length:
        return float(error / length)
    return float("inf" if error else 0.0)


def stability(explanations: Sequence[Explanation], k: int = 10) -> Agreement:
    """Mean agreement over all pairs of explanations of one game.

    Args:
        explanations: two or more of the same players, for example one per seed.
        k: players in each top list.

    Returns:
        Mean tau and mean jaccard, higher is better. A method without chance gets 1 and
        1.

    Raises:
        ValueError: fewer than two explanations, or their players or targets differ.

    Example:
        >>> one = Explanation(("a", "b"), "score", [2, 1], 0, 3, "one")
        >>> stability([one, one, one]) == (1.0, 1.0)
        True
    """
    require(
        len(explanations) >= 2,
        f"stability needs two or more explanations to compare, got {len(explanations)}",
    )
    require(
        len({each.target for each in explanations}) == 1,
        f"explanations must be of one target, got {list(explanations)}",
    )
    pairs = [agreement(one, other, k) for one, other in combinations(explanations, 2)]
    # (pairs, 2) -> (2,): a mean for tau and one for jaccard
    return Agreement(*np.mean(pairs, axis=0).tolist())


def randomised_weights(trained: Explanation, redrawn: Explanation) -> float:
    """Kendall's tau between a trained model's explanation and an untrained twin's.

    An explanation that hardly changes describes the history, not what the model
    learned. `zoo.build(name, seed=...)` gives the untrained twin.

    Args:
        trained: explanation of the trained model.
        redrawn: of the same model with weights drawn anew.

    Returns:
        In [-1, 1]; near 0 is good.

    Raises:
        ValueError: the players or the targets differ.

    Source: Adebayo et al. 2018, arXiv:1810.03292.

    Example:
        >>> trained = Explanation(("a", "b"), "score", [2, 1], 0, 3, "gradient")
        >>> redrawn = Explanation(("a", "b"), "score", [1, 2], 0, 3, "gradient")
        >>> round(randomised_weights(trained, redrawn), 3)
        -1.0
    """
    return stability([trained, redrawn]).tau


# ------------------------------- one explanation under a change of the question


class Sensitivity(NamedTuple):
    """Relative change of the remaining values after one film is deleted.

    Its mean and largest over the films. Lower is steadier.
    """

    mean: float
    largest: float


def sensitivity(
    explain: Callable[[np.ndarray], Explanation],
    history: np.ndarray,
    edits: int | None = None,
    seed: int = 0,
) -> Sensitivity:
    """How far the values of the other films move when one film leaves the history.

    ‖φ(h without i) - φ(h) without i‖ / ‖φ(h) without i‖ over films i, the discrete form
    of Yeh et al. 2019. The truth moves too: compare with the sensitivity of exact
    values; less is not better.

    Args:
        explain: history (films,) -> explanation with one value a film.
        history: (films,) item codes, oldest first, two or more.
        edits: films deleted in turn, drawn by `seed`; None deletes each.
        seed: of the draw.

    Returns:
        Mean and largest change, no unit, 0 or more.

    Raises:
        ValueError: fewer than two films, or `edits` is no whole number above 0.

    Source: Yeh et al. 2019, arXiv:1901.09392.

    Example:
        Values that depend on their own film alone never move:

        >>> def explain(history):
        ...     players = tuple(map(str, history))
        ...     return Explanation(players, "score", history, 0, history.sum(), "own")
        >>> sensitivity(explain, np.array([3, 4, 5]))
        Sensitivity(mean=0.0, largest=0.0)
    """
    history = np.asarray(history)
    require(
        len(history) >= 2,
        f"history has {len(history)} films: "
        "sensitivity needs one to delete and one to watch",
    )
    check_count("edits", len(history) if edits is None else edits)
    whole = explain(history).values
    moved = [
        relative_error(
            explain(np.delete(history, film)).values,
            # the film that is gone has no value to compare
            np.delete(whole, film),
        )
        for film in np.random.default_rng(seed).permutation(len(history))[:edits]
    ]
    return Sensitivity(
        mean=float(np.mean(moved)),
        largest=float(np.max(moved)),
    )


def removal_agreement(
    explain: Callable[[Game], Explanation], packed: Game, imputed: Game, k: int = 10
) -> Agreement:
    """How far an explanation depends on what "removed" means.

    Low agreement says that a sentence about a missing film must state which of the two
    is meant.

    Args:
        explain: game -> explanation.
        packed: the game in which the rest closes up, `history_game`.
        imputed: the game in which a vector is replaced, `imputed_game`.
        k: players in each top list.

    Returns:
        The agreement of the two explanations, higher is better.

    Raises:
        ValueError: the games have different players.

    Example:
        >>> from xrec_utils.explain.baselines import leave_one_out
        >>> game = Game(("a", "b"), "sum", lambda masks: masks @ np.array([2.0, 1.0]))
        >>> removal_agreement(leave_one_out, game, game) == (1.0, 1.0)
        True
    """
    return agreement(explain(packed), explain(imputed), k)


# ------------------------------------------------------ which explainer is better


def paired_tests(
    table: pd.DataFrame, seed: int = 0, resamples: int = 10_000
) -> pd.DataFrame:
    """Compare all pairs of columns over the same rows, one measure.

    The permutation test swaps the two within users (Pitman 1937).

    Args:
        table: users (rows) x explainers (columns), in the unit of the measure.
        seed: of intervals and permutations.
        resamples: permutations drawn.

    Returns:
        One row per pair: one, other, mean (of one - other), low, high (95% bootstrap
        interval), p (two-sided; not below 1 / resamples) and p_holm (see `holm`).

    Raises:
        ValueError: fewer than two columns; and as `metrics.mean_interval` does.

    Example:
        >>> users = pd.DataFrame({"a": [2.0, 3.0, 4.0], "b": [1.0, 2.0, 3.0]})
        >>> tests = paired_tests(users)
        >>> tests[["one", "other"]].to_numpy().tolist()
        [['a', 'b']]
        >>> tests[["mean", "p"]].to_numpy().tolist()
        [[1.0, 0.25]]
    """
    require(
        table.columns.is_unique and table.shape[1] >= 2,
        "table must have two or more columns of different names, "
        f"got {list(table.columns)}",
    )
    rows = []
    for one, other in combinations(table.columns, 2):
        # as floats: small whole numbers without a sign would wrap around
        difference = table[one].astype(float) - table[other]
        found = mean_interval(difference, seed)
        # of one sample the test turns signs: that swaps the two of a pair
        swapped = permutation_test(
            (difference.to_numpy(),),
            np.mean,
            permutation_type="samples",
            n_resamples=resamples,
            rng=np.random.default_rng(seed),
        )
        rows.append(
            {
                "one": one,
                "other": other,
                **vars(found),
                "p": swapped.pvalue,
            }
        )
    return pd.DataFrame(rows).assign(
        p_holm=holm([row["p"] for row in rows]),
    )


def holm(p_values: np.ndarray) -> np.ndarray:
    """Adjusted p-values: rejecting those below α keeps any false rejection below α.

    The i-th smallest of n becomes the largest of p_(j) (n - j + 1) over j <= i, at most
    1.

    Args:
        p_values: (n,) of the tests made together.

    Returns:
        (n,) adjusted p-values, in the order given.

    Raises:
        ValueError: one does not lie in 0..1.

    Source: Holm 1979, Scandinavian Journal of Statistics 6, 65-70.

    Example:
        The smallest of three is multiplied by 3, the next by 2, the last by 1:

        >>> holm(np.array([0.5, 0.01, 0.125])).tolist()
        [0.5, 0.03, 0.25]
    """
    check_within("p_values", p_values)
    order = np.argsort(p_values)
    factors = np.arange(len(order), 0, -1)
    # a larger p may not be adjusted below a smaller one
    rising = np.maximum.accumulate(
        np.asarray(p_values)[order] * factors,
    )
    # back into the order given
    return np.minimum(rising, 1.0)[np.argsort(order)]

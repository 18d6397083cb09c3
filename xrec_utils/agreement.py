"""Do explanations agree: with each other, with the truth, with themselves under another
seed or a small edit?

Agreement is not truth: two methods may share an error (Neely et al. 2022,
arXiv:2205.04559). Compare with exact values where they are known (`relative_error`,
`planted`), and read the rest as stability.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import kendalltau, permutation_test

from xrec_utils.explain.gradients import EmbeddingModel
from xrec_utils.games import Explanation, Game, Masks, history_game
from xrec_utils.keras_start import tf
from xrec_utils.metrics import paired_interval

# ---------------------------------------------------------------- two explanations of
# the same players


class Agreement(NamedTuple):
    """tau: Kendall's tau-b of the values, in [-1, 1]. jaccard: of the k highest values,
    in [0, 1]. Higher is closer.
    """

    tau: float
    jaccard: float


def agreement(one: Explanation, other: Explanation, k: int = 10) -> Agreement:
    """Rank correlation of all values, and overlap of the two top tens. Raises
    ValueError on different players.
    """
    if one.players != other.players:
        raise ValueError(
            "both explanations must be of the same players in the same order"
        )
    return Agreement(kendall(one.values, other.values), jaccard(one, other, k))


def kendall(values: np.ndarray, others: np.ndarray) -> float:
    """Kendall's tau-b (doi:10.1093/biomet/33.3.239), in [-1, 1]: pairs in the same
    order less pairs in the opposite.

    0 when one of the two is constant, because it orders nothing.
    """
    if np.ptp(values) == 0 or np.ptp(others) == 0:
        return 0.0
    return float(kendalltau(values, others).statistic)


def jaccard(one: Explanation, other: Explanation, k: int = 10) -> float:
    """Players in both top k divided by players in either (`Explanation.top`), in [0,
    1]; always 1 for k or fewer.
    """
    first, second = set(one.top(k).tolist()), set(other.top(k).tolist())
    return len(first & second) / len(first | second)


def relative_error(values: np.ndarray, truth: np.ndarray) -> float:
    """‖values - truth‖₂ / ‖truth‖₂, no unit, lower is better; answering zero gets 1.

    Without any truth to find (all zeros) it is 0 for zeros and infinite for anything
    else.
    """
    error, length = np.linalg.norm(np.asarray(values) - truth), np.linalg.norm(truth)
    return float(error / length) if length else float("inf" if error else 0.0)


def stability(explanations: Sequence[Explanation], k: int = 10) -> Agreement:
    """Mean agreement over all pairs of explanations of one game, for example one per
    seed; higher is better.

    A method without chance gets 1 and 1. Raises ValueError on fewer than two.
    """
    if len(explanations) < 2:
        raise ValueError(
            f"stability needs two or more explanations to compare, got {len(explanations)}"
        )
    pairs = [agreement(one, other, k) for one, other in combinations(explanations, 2)]
    return Agreement(*np.mean(pairs, axis=0).tolist())


def randomised_weights(trained: Explanation, redrawn: Explanation) -> float:
    """Kendall's tau between the explanations of a trained model and of the same model
    with weights drawn anew.

    The check of Adebayo et al. 2018 (arXiv:1810.03292). `zoo.build(name, seed=...)`
    gives the untrained twin. In [-1, 1]; near 0 is good: an explanation that hardly
    changes describes the history, not what the model learned.
    """
    return agreement(trained, redrawn).tau


# ---------------------------------------------------------------- one explanation under
# a change of the question


class Sensitivity(NamedTuple):
    """Relative change of the remaining values after one film is deleted: its mean and
    largest. Lower is steadier.
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

    ‖φ(h without i) - φ(h) without i‖ / ‖φ(h) without i‖ over each film i, or over
    `edits` films drawn by `seed`: the discrete form of Yeh et al. 2019
    (arXiv:1901.09392). explain: history -> explanation. No unit, 0 or more. The truth
    moves too: compare with the sensitivity of exact values; less is not better. Raises
    ValueError below two films.
    """
    history = np.asarray(history)
    if len(history) < 2:
        raise ValueError(
            f"history has {len(history)} films: sensitivity needs one to delete and one to watch"
        )
    films = np.random.default_rng(seed).permutation(len(history))[:edits]
    whole = explain(history).values
    moved = [
        relative_error(explain(np.delete(history, i)).values, np.delete(whole, i))
        for i in films
    ]
    return Sensitivity(float(np.mean(moved)), float(np.max(moved)))


def imputed_game(
    model: EmbeddingModel,
    history: np.ndarray,
    item: int,
    titles: Sequence[str] | None = None,
    fill: np.ndarray | None = None,
) -> Game:
    """The history game in which a removed film keeps its place and only its vector is
    replaced.

    Absent means: the vector becomes `fill` (d,), by default the mean vector of the
    catalogue, an average film. In `history_game` the rest closes up instead. model:
    with `vectors` and `score_vectors`, as in `neural`. Films before the model's window
    count for nothing here, while in `history_game` they move in when a later one goes.
    Raises TypeError for a model without vectors, and ValueError as `history_game` does.
    """
    packed = history_game(model, history, item, titles)
    if not hasattr(model, "score_vectors"):
        raise TypeError(
            f"{model.name} shows no vectors to replace; use a model with `vectors` and `score_vectors`"
        )
    vectors = model.vectors(np.asarray(history))
    fill = (
        model.vectors(np.arange(model.n_items)).mean(axis=0)
        if fill is None
        else np.asarray(fill, np.float32)
    )

    def value(masks: Masks) -> np.ndarray:
        return model.score_vectors(
            tf.constant(np.where(masks[:, :, None], vectors, fill)), item
        ).numpy()

    return replace(
        packed, target=f"{packed.target}, films replaced", value=value, batch=64
    )


def removal_agreement(
    explain: Callable[[Game], Explanation], packed: Game, imputed: Game, k: int = 10
) -> Agreement:
    """How far an explanation depends on what "removed" means: its agreement between the
    two games. Higher is better.

    Low agreement says that a sentence about a missing film must state which of the two
    is meant.
    """
    return agreement(explain(packed), explain(imputed), k)


# ---------------------------------------------------------------- which explainer is
# better


def paired_tests(
    table: pd.DataFrame, seed: int = 0, resamples: int = 10_000
) -> pd.DataFrame:
    """Compare all pairs of columns over the same rows: users (index) x explainers, one
    measure.

    Returns one row per pair with columns one, other, mean (of one - other), low, high
    (95% bootstrap interval), p (of the two-sided permutation test that swaps the two
    within users: Pitman 1937; not below 1 / resamples) and p_holm. Raises ValueError as
    `metrics.mean_interval` does.
    """
    rows = []
    for one, other in combinations(table.columns, 2):
        interval = paired_interval(table[one], table[other], seed)
        pair = (table[one].to_numpy(float), table[other].to_numpy(float))
        test = permutation_test(
            pair, lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples", vectorized=True,
            n_resamples=resamples, random_state=np.random.default_rng(seed),
        )  # fmt: skip
        rows.append(
            (one, other, interval.mean, interval.low, interval.high, float(test.pvalue))
        )
    tests = pd.DataFrame(rows, columns=["one", "other", "mean", "low", "high", "p"])
    return tests.assign(p_holm=holm(tests["p"].to_numpy()))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Adjusted p-values (n,): rejecting those below α keeps the chance of any false
    rejection below α (Holm 1979).

    The i-th smallest of n becomes the largest of p_(j) (n - j + 1) over j <= i, at most
    1.
    """
    order = np.argsort(p_values)
    steps = np.asarray(p_values)[order] * np.arange(len(order), 0, -1)
    return np.minimum(np.maximum.accumulate(steps), 1.0)[np.argsort(order)]

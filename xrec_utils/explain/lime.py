"""LIME for the rows of a table and for the films of a history.

Ribeiro, Singh and Guestrin (2016), "Why should I trust you?",
doi:10.1145/2939672.2939778; for a row, once written out and once through the lime
library. All draw samples around what is explained, weigh each by its nearness and fit a
weighted ridge regression to the model's answers. For a row the samples are normal with
the background's standard deviations, and columns are measured in standard deviations
from their mean; for a history films are taken away at random, as the library does with
the words of a text.
"""

import time
from collections.abc import Sequence
from functools import partial

import numpy as np
from lime.lime_base import LimeBase
from lime.lime_tabular import LimeTabularExplainer

from xrec_utils.contract import check_count
from xrec_utils.explain.predictions import (
    Predict,
    finite_answers,
)
from xrec_utils.files import require
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game

ROUNDING = 1e-6  # a softmax in float32 may end that far above 1


def lime_from_scratch(
    predict: Predict,
    row: np.ndarray,
    background: np.ndarray,
    samples: int = 5000,
    seed: int = 0,
) -> tuple[np.ndarray, float]:
    """Fit a local linear model to `predict` around `row`.

    LIME's tabular explainer without discretising. `predict` maps (n, d) to (n,); `row`
    is (d,), `background` (m, d). Returns the coefficients (d,), each the change of the
    prediction per standard deviation of its column, and the intercept: the surrogate at
    the background mean.
    """
    mean, sd = background.mean(axis=0, dtype=float), background.std(axis=0, dtype=float)
    # a column that never varies keeps its unit
    sd = np.where(np.ptp(background, axis=0) > 0, sd, 1.0)
    near = row + sd * np.random.RandomState(seed).normal(size=(samples, len(row)))
    near[0] = row
    scaled = (near - mean) / sd
    # (samples,): a sample counts less the farther it lies from the row
    distance = np.linalg.norm(scaled - scaled[0], axis=1)
    width = 0.75 * np.sqrt(len(row))
    weight = np.exp(-(distance**2) / (2 * width**2))
    answer = predict(near)
    # centred, the intercept drops out of the ridge's penalty
    centre = np.average(scaled, axis=0, weights=weight)
    level = np.average(answer, weights=weight)
    x, y = scaled - centre, answer - level
    penalty = np.eye(len(row))
    coefficients = np.linalg.solve(
        x.T @ (weight[:, None] * x) + penalty, x.T @ (weight * y)
    )
    return coefficients, float(level - centre @ coefficients)


def lime_tabular(
    predict: Predict,
    row: np.ndarray,
    background: np.ndarray,
    names: Sequence[str],
    samples: int = 5000,
    seed: int = 0,
    target: str = "P(like)",
) -> Explanation:
    """Explain one prediction by LIME, through the lime library.

    After Ribeiro, Singh and Guestrin (2016), doi:10.1145/2939672.2939778. A value is
    coefficient * (row - mean) / sd: what the column adds to the surrogate's prediction
    when it moves from its background mean to the row.

    Args:
        predict: maps (n, d) to the (n,) probabilities of the class explained.
        row: (d,) what is explained.
        background: (m, d) rows that give each column's mean and standard deviation.
        names: the d column names.
        samples: rows drawn around `row`, each predicted once.
        seed: of the samples.
        target: what is predicted, in words.

    Returns:
        Explanation with values (d,) in the unit of the prediction. `base` is the
        surrogate at the mean, so `base` plus the values is the surrogate's prediction
        for the row, and `gap` is how far the model itself is from it. The surrogate's
        weighted R2 stands in `method`; a low one says that no straight line fits here.
        There is no error.

    Raises:
        ValueError: the shapes disagree, a number is missing, there are fewer than two
            samples, or `predict` does not return probabilities of shape (n,).

    Example:
        Only the first column counts, 0.1 per unit, and the row lies 2 above its mean.

        >>> def predict(rows):
        ...     return np.clip(0.5 + 0.1 * rows[:, 0], 0, 1)
        >>> background = np.array([[-1.0, 5.0], [1.0, 9.0]])
        >>> row = np.array([2.0, 7.0])
        >>> explanation = lime_tabular(predict, row, background, ["a", "b"])
        >>> explanation.values.round(2).tolist(), round(explanation.score, 2)
        ([0.2, 0.0], 0.7)
    """
    started = time.perf_counter()
    row = np.asarray(row, dtype=np.float64)
    background = np.asarray(background, dtype=np.float64)
    check_count("samples", samples, 2)
    require(
        background.shape[1:] == row.shape == (len(names),) and len(background),
        f"row has shape {row.shape}, background {background.shape} and there "
        f"are {len(names)} names; they must be (d,), (m, d) and d.",
    )
    # (d,): by column
    finite = np.isfinite([row, *background]).all(axis=0)
    require(
        finite.all(),
        f"{'background' if np.isfinite(row).all() else 'row'} holds NaN or "
        f"infinity in column {names[finite.argmin()]!r}; fill it, or leave "
        "the column or the rows out.",
    )
    explainer = LimeTabularExplainer(
        background,
        feature_names=list(names),
        discretize_continuous=False,
        sample_around_instance=True,
        # all columns, not the ten that count most
        feature_selection="none",
        random_state=seed,
    )
    fit = explainer.explain_instance(
        row, partial(_two_columns, predict), num_features=len(row), num_samples=samples
    )
    # the library answers class by class; 1 is yes
    effects = _in_order(fit.local_exp[1]) * (row - explainer.scaler.mean_)
    return Explanation(
        players=tuple(names),
        target=target,
        values=effects / explainer.scaler.scale_,
        base=float(fit.intercept[1]),
        score=float(fit.predict_proba[1]),
        method=f"LIME ({samples} samples, local R2 {fit.score:.2f})",
        seconds=time.perf_counter() - started,
    )


def lime_history(
    game: Game, samples: int = 1000, seed: int = 0, kernel_width: float = 25.0
) -> Explanation:
    """Explain a game by LIME: a straight line in "player present".

    As the lime library does with a text (Ribeiro, Singh and Guestrin 2016,
    doi:10.1145/2939672.2939778): a number of players drawn evenly from 1..n is taken
    away at random, a sample weighs sqrt(exp(-d^2 / kernel_width^2)) at the cosine
    distance d = 100 (1 - sqrt(share of players present)), and the library's ridge
    regression fits all players at once. Another seed gives other values: compare
    several before you trust their order.

    Args:
        game: any game of n players.
        samples: groups drawn, at least two; the first is everybody.
        seed: of the groups.
        kernel_width: of the weights; a narrow one looks at large groups only.

    Returns:
        Explanation with values (n,) in the unit of the score. `base` is the line's
        intercept, its score for no player; base plus the values is its score for all,
        and `gap` is how far the model itself is from it. The weighted R2 stands in
        `method`. There is no error.

    Raises:
        ValueError: fewer than two samples, or no width of the kernel.

    Example:
        A score that is a straight line already, and a kernel so wide that all groups
        count alike.

        >>> game = Game(("a", "b"), "sum", lambda masks: masks @ np.array([1.0, 3.0]))
        >>> lime_history(game, kernel_width=1000).values.round(1).tolist()
        [1.0, 3.0]
    """
    check_count("samples", samples, 2)
    require(
        kernel_width > 0,
        f"kernel_width={kernel_width} must be above 0: no group would count.",
    )
    started = time.perf_counter()
    # the library draws groups and solves with one generator
    rng = np.random.RandomState(seed)
    masks = _masks_around_all(game.n_players, samples, rng)
    answers = game(masks)

    def nearness(distance: np.ndarray) -> np.ndarray:
        """The library's weights (samples,) of distances."""
        return np.sqrt(np.exp(-(distance**2) / kernel_width**2))

    # the library's weighted ridge regression of answers (samples,) on masks
    surrogate = LimeBase(nearness, random_state=rng)
    base, pairs, r2, _ = surrogate.explain_instance_with_data(
        masks.astype(float),
        # a column per class, of which the first is explained
        answers[:, None],
        # of the share of players present; in percent, as the library's kernel widths
        distances=100 * (1 - np.sqrt(masks.mean(axis=1))),
        label=0,
        num_features=masks.shape[1],
        feature_selection="none",
    )
    return game.explanation(
        _in_order(pairs),
        f"LIME ({samples} samples, local R2 {r2:.2f})",
        time.perf_counter() - started,
        ends=(float(base), float(answers[0])),
    )


def _masks_around_all(n: int, samples: int, rng: np.random.RandomState) -> np.ndarray:
    """Groups (samples, n) bool: everybody, then all but a random number of players."""
    masks = np.ones((samples, n), dtype=bool)
    # the first stays as it is
    sizes = 1 + rng.randint(n, size=samples - 1)
    for mask, removed in zip(masks[1:], sizes, strict=True):
        mask[rng.choice(n, removed, replace=False)] = False
    return masks


def _in_order(pairs: Sequence[tuple[int, float]]) -> np.ndarray:
    """The library's (column, coefficient) pairs as coefficients in column order."""
    return np.array([coefficient for _, coefficient in sorted(pairs)])


def _two_columns(predict: Predict, rows: np.ndarray) -> np.ndarray:
    """P(no) and P(yes) of rows (n, d), as lime asks for them: (n, 2).

    Raises ValueError unless `predict` gives P(yes) of shape (n,).
    """
    yes = finite_answers(predict, rows)
    require(
        yes.ndim == 1,
        f"predict returned shape {yes.shape} for {len(rows)} rows; "
        f"LIME needs ({len(rows)},): pick one column.",
    )
    require(
        yes.min() >= -ROUNDING and yes.max() <= 1 + ROUNDING,
        f"predict returned {yes.min():.8g} to {yes.max():.8g}; LIME needs "
        "probabilities in 0..1. Scale stars from 1 to 5 by (stars - 1) / 4, "
        "put logits through a sigmoid, 1 / (1 + np.exp(-logits)), or explain "
        "them as they are: shap_values(predict, row[None], background, "
        "'permutation').",
    )
    return np.column_stack([1 - yes, yes]).clip(0, 1)

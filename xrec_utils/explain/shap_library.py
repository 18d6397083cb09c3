"""SHAP values through the shap library: quick, quiet and unable to break the process.

Lundberg and Lee (2017), "A unified approach to interpreting model predictions",
arXiv:1705.07874. Deep is DeepLIFT averaged over a background (Shrikumar et al. 2017,
arXiv:1704.02685); gradient is expected gradients (Erion et al. 2021,
doi:10.1038/s42256-021-00343-w); permutation and kernel only ask for predictions.

In all four an absent column takes its values from the background rows, whatever the row
holds elsewhere: the marginal (interventional) game, true to the model even where no
such row exists (Janzing, Minorics and Blöbaum 2020, arXiv:1910.13413). The conditional
(observational) game draws the absent columns as they occur beside those present: there
a column that the model never reads may earn credit (Sundararajan and Najmi 2020,
arXiv:1908.08474). `history_game` is neither: it deletes a film and closes the gap.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
import shap

from xrec_utils.contract import check_count
from xrec_utils.explain.predictions import (
    Predict,
    finite_answers,
)
from xrec_utils.explain.shap_guard import as_input, check_readable, guarded, numpy_seed
from xrec_utils.files import require
from xrec_utils.games.explanation import Explanation
from xrec_utils.keras_start import keras

# values (n, p, ...) of n rows, standard errors (n, p) or None
Found = tuple[np.ndarray, np.ndarray | None]
BATCH = 16_384  # rows that a model predicts at once


def shap_values(
    model_or_predict: keras.Model | Predict,
    rows: np.ndarray,
    background: np.ndarray,
    method: str = "deep",
    names: Sequence[str] | None = None,
    seed: int = 0,
    output: int = -1,
    budget: int | None = None,
    target: str = "P(like)",
) -> list[Explanation]:
    """SHAP values of some rows against a background, through the shap library.

    Lundberg and Lee (2017), arXiv:1705.07874; the methods' sources stand in the module.
    NumPy's global random state and TensorFlow's gradient registry are afterwards what
    they were before.

    Args:
        model_or_predict: a Keras functional or sequential model with one input, of
            floats for "deep" and "gradient", and one output; for "permutation" and
            "kernel" also any function (n, d) -> (n,) or (n, k).
        rows: (n, d) what is explained. Rows of embedded vectors (n, L, d) work with
            deep and gradient; the credit of a position is the sum over its d numbers.
        background: (m, d) rows that stand for an absent column.
        method: "deep", "gradient", "permutation" or "kernel".
        names: of the d columns (or L positions); None for x0, x1, ...
        seed: of the draws.
        output: the column explained when the model has several; the last is P(like) in
            this course.
        budget: number of draws (gradient, 1000 for None), antithetic permutations
            (permutation, 10) or coalitions (kernel, 2 d + 2048); deep has no such
            setting.
        target: what is predicted, in words.

    Returns:
        n Explanations with values (d,) in the unit of the model's output. Standard
        errors: gradient's own; for permutation they ignore the antithetic pairing,
        which makes them too large rather than too small; none for deep and kernel.
        `base` is the mean prediction of the background, `gap` what the values fail to
        add up to.

    Raises:
        ExplainerError: the method cannot explain this model; the message names what is
            in its way, and a way that works.
        ValueError: an unknown method or output, wrong shapes, no budget, or predictions
            that are no finite numbers.

    Example:
        A straight line: each column adds its weight times its distance from the mean.

        >>> def predict(rows):
        ...     return 2.0 * rows[:, 0] - rows[:, 1]
        >>> rows = np.array([[3.0, 1.0]])
        >>> background = np.zeros((1, 2))
        >>> (explanation,) = shap_values(predict, rows, background, "permutation")
        >>> explanation.values.round(6).tolist(), explanation.score
        ([6.0, -1.0], 5.0)
    """
    rows = np.asarray(rows)
    background = np.asarray(background)
    names = _checked_names(rows, background, names, method, budget)
    check_readable(model_or_predict, method, rows)
    started = time.perf_counter()
    predict = partial(_predictions, model_or_predict, output)
    # first, for shap would blame itself for what a model cannot answer
    scores = predict(rows).tolist()
    base = float(predict(background).mean())
    with numpy_seed(seed):
        values, errors = METHODS[method](
            model_or_predict, predict, rows, background, output, budget
        )
    require(
        np.allclose(scores, predict(rows), atol=1e-6),
        "The model gives the same row another prediction each time. Switch off "
        "what is random in it, dropout for instance: model(rows, "
        "training=False).",
    )
    # the credit of a position is the sum over the numbers that stand for it
    values = _over_positions(values, rows)
    seconds = (time.perf_counter() - started) / len(rows)
    return [
        Explanation(
            names,
            target,
            values[row],
            base,
            score,
            method=f"SHAP {method}",
            seconds=seconds,
            error=None if errors is None else errors[row],
        )
        for row, score in enumerate(scores)
    ]


def global_importance(explanations: Sequence[Explanation]) -> pd.DataFrame:
    """Mean |value| of each player over several explanations, largest first.

    The usual global summary of SHAP values (Lundberg et al. 2020,
    doi:10.1038/s42256-019-0138-9).

    Args:
        explanations: at least one, all of the same players.

    Returns:
        Table [player, importance], importance in the unit of the values.

    Raises:
        ValueError: the explanations have different players.

    Example:
        >>> players = ("age", "year")
        >>> first = Explanation(players, "score", [0.1, -2.0], 0.0, 0.0, "by hand")
        >>> second = Explanation(players, "score", [0.3, 4.0], 0.0, 0.0, "by hand")
        >>> global_importance([first, second]).round(6).values.tolist()
        [['year', 3.0], ['age', 0.2]]
    """
    players = explanations[0].players
    require(
        all(explanation.players == players for explanation in explanations),
        "The explanations have different players; "
        "a global mean needs the same columns in each.",
    )
    # (explanations, players)
    values = np.array([explanation.values for explanation in explanations])
    return pd.DataFrame(
        {"player": players, "importance": np.abs(values).mean(axis=0)}
    ).sort_values("importance", ascending=False, kind="stable", ignore_index=True)


# -- the four methods: all take the same six arguments


def _deep(model, predict, rows, background, output, budget) -> Found:
    with guarded(model, "deep", rows):
        explainer = shap.DeepExplainer(
            _graph(model, output),
            background.astype(np.float32),
        )
        return explainer.shap_values(rows.astype(np.float32))[..., 0], None


def _gradient(model, predict, rows, background, output, budget) -> Found:
    draws = budget or 1000
    with guarded(model, "gradient", rows):
        explainer = shap.GradientExplainer(
            _graph(model, output),
            background.astype(np.float32),
        )
        values, variances = explainer.shap_values(
            rows.astype(np.float32),
            nsamples=draws,
            rseed=int(np.random.randint(2**31 - 1)),
            return_variances=True,
        )
    # the numbers of a position vary as if independent
    variance = _over_positions(variances[0], rows)
    return (
        values[..., 0],
        # shap divides each variance by sqrt(draws); the variance of a mean has draws
        # below the line
        np.sqrt(variance / np.sqrt(draws)),
    )


def _permutation(model, predict, rows, background, output, budget) -> Found:
    permutations = budget or 10
    explainer = shap.PermutationExplainer(
        predict,
        shap.maskers.Independent(background, max_samples=len(background)),
        seed=int(np.random.randint(2**31 - 1)),
    )
    result = explainer(
        rows,
        # each permutation is walked forwards and backwards
        max_evals=permutations * (2 * rows.shape[1] + 1),
        error_bounds=True,
        silent=True,
    )
    return (
        result.values,
        np.asarray(result.error_std) / np.sqrt(2 * permutations),
    )


def _kernel(model, predict, rows, background, output, budget) -> Found:
    explainer = shap.KernelExplainer(predict, background)
    # without l1_reg=False it would keep ten columns and call the rest zero
    return explainer.shap_values(
        rows, nsamples=budget or "auto", l1_reg=False, silent=True
    ), None


METHODS: dict[str, Callable[..., Found]] = {
    "deep": _deep,
    "gradient": _gradient,
    "permutation": _permutation,
    "kernel": _kernel,
}


# -- models and shapes


def _over_positions(numbers: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Sums (n, p) float64 of numbers (n, p, ...) for rows of n."""
    # float64: some of the answers are float32, whose rounding would add up
    return numbers.reshape(*rows.shape[:2], -1).sum(axis=2, dtype=np.float64)


def _graph(model: keras.Model, output: int) -> tuple[list, keras.KerasTensor]:
    """The model's inputs and the one output column to explain, as shap wants them."""
    # also where the model gives a single number for each row: (n,) -> (n, 1)
    columns = keras.layers.Reshape((-1,))(model.outputs[0])
    # slices keep the axis
    return model.inputs, columns[:, output:][:, :1]


def _predictions(model, output: int, rows: np.ndarray) -> np.ndarray:
    """What a Keras model or a function says of rows (n, d): (n,) float64.

    Without the slow `model.predict`. Raises ValueError where that are not columns, or
    none that is called for.
    """
    # in batches, which bounds the memory
    answers = np.concatenate(
        [
            finite_answers(partial(_answers, model), rows[at : at + BATCH])
            for at in range(0, len(rows), BATCH)
        ]
    )
    # (n,) -> (n, 1)
    columns = answers.reshape(len(rows), *answers.shape[1:] or (1,))
    k = columns.shape[1]
    require(
        columns.ndim <= 2,
        f"The model has an output for each of {k} positions, shape "
        f"{answers.shape}. Explain one of them, for instance the last: "
        "keras.Model(model.inputs, model.outputs[0][:, -1]) in place of a "
        "Keras model, lambda rows: predict(rows)[:, -1] of a function.",
    )
    require(
        output in range(-k, k),
        f"output is {output}, but the model's outputs are 0 to {k - 1}, "
        "or from the last backwards -1, -2, ...",
    )
    return columns[:, output]


def _answers(model, rows: np.ndarray) -> np.ndarray:
    """What a model or a function says to a batch of rows, of any shape."""
    if not isinstance(model, keras.Model):
        return np.asarray(model(rows))
    ends = getattr(model, "inputs", None)
    given = rows.astype(ends[0].dtype if ends else "float32")
    return np.asarray(model(as_input(model, given), training=False))


def _checked_names(
    rows: np.ndarray,
    background: np.ndarray,
    names: Sequence[str] | None,
    method: str,
    budget: int | None,
) -> tuple[str, ...]:
    """One name per column, or ValueError if one of the arguments does not fit."""
    columns = rows.shape[1] if rows.ndim > 1 else 0
    names = [f"x{i}" for i in range(columns)] if names is None else names
    require(
        rows.shape[1:] == background.shape[1:]
        and rows.size * columns
        and len(background),
        f"rows has shape {rows.shape} and background {background.shape}; "
        "they must be (n, d) and (m, d), neither empty. "
        "One row alone is row[None].",
    )
    require(
        len(names) == columns,
        f"There are {len(names)} names for {columns} columns.",
    )
    check_count("budget", 1 if budget is None else budget)
    require(
        method in METHODS,
        f"method {method!r} is unknown; choose one of {', '.join(sorted(METHODS))}.",
    )
    require(
        method != "kernel" or len(background) <= 100,
        f"background has {len(background)} rows; kernel SHAP asks the model "
        "for every coalition times every background row. Take at most 100, "
        "for instance background[:100].",
    )
    return tuple(names)

"""SHAP values through the shap library: quick, quiet and unable to break the process.

Lundberg and Lee (2017), "A unified approach to interpreting model predictions",
arXiv:1705.07874. Deep is DeepLIFT averaged over a background (Shrikumar et al. 2017,
arXiv:1704.02685); gradient is expected gradients (Erion et al. 2021,
doi:10.1038/s42256-021-00343-w); permutation and kernel only ask for predictions. In all
four an absent column is one that takes its values from the background rows.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
import shap

from xrec_utils.explain.shap_guard import (
    ExplainerError,
    explained_failure,
    numpy_seed,
    untouched_tensorflow,
)
from xrec_utils.games.explanation import Explanation
from xrec_utils.keras_start import keras

Predict = Callable[[np.ndarray], np.ndarray]
# values (n, p, ...) of n rows, the base value, standard errors (n, p) or None
Found = tuple[
    np.ndarray,
    float,
    np.ndarray | None,
]
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
        model_or_predict: a Keras functional or sequential model with one float input;
            for "permutation" and "kernel" also any function (n, d) -> (n,) or (n, k).
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
        ExplainerError: the method cannot explain this model.
        ValueError: an unknown method or wrong shapes.

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
    names = _checked_names(rows, background, names)
    if method not in METHODS:
        raise ValueError(
            f"method {method!r} is unknown; choose one of {', '.join(sorted(METHODS))}."
        )
    started = time.perf_counter()
    predict = partial(_predictions, model_or_predict, output)
    with numpy_seed(seed):
        values, base, errors = METHODS[method](
            model_or_predict, predict, rows, background, output, budget
        )
    # the credit of a position is the sum over the numbers that stand for it
    values = _over_positions(values, rows)
    scores = predict(rows).tolist()
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
    if any(explanation.players != players for explanation in explanations):
        raise ValueError(
            "The explanations have different players; "
            "a global mean needs the same columns in each."
        )
    # (explanations, players)
    values = np.array([explanation.values for explanation in explanations])
    return pd.DataFrame(
        {
            "player": players,
            "importance": np.abs(values).mean(axis=0),
        }
    ).sort_values(
        "importance",
        ascending=False,
        kind="stable",
        ignore_index=True,
    )


# -- the four methods: all take the same six arguments


def _deep(model, predict, rows, background, output, budget) -> Found:
    graph = _graph(model, output, "deep")
    with untouched_tensorflow(), warnings.catch_warnings():
        # shap says this of every version since, whatever its caller does
        warnings.filterwarnings(
            "ignore",
            message="Your TensorFlow version is newer than 2.4.0",
        )
        try:
            explainer = shap.DeepExplainer(
                graph,
                background.astype(np.float32),
            )
            values = explainer.shap_values(
                rows.astype(np.float32),
            )
        except Exception as error:
            raise explained_failure(model, error) from error
    return (
        values[..., 0],
        float(explainer.expected_value[0]),
        None,
    )


def _gradient(model, predict, rows, background, output, budget) -> Found:
    draws = budget or 1000
    explainer = shap.GradientExplainer(
        _graph(model, output, "gradient"),
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
        float(predict(background).mean()),
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
        float(np.mean(result.base_values)),
        np.asarray(result.error_std) / np.sqrt(2 * permutations),
    )


def _kernel(model, predict, rows, background, output, budget) -> Found:
    if len(background) > 100:
        raise ValueError(
            f"background has {len(background)} rows; kernel SHAP asks the model for "
            "every coalition times every background row. Take at most 100, for "
            "instance background[:100]."
        )
    explainer = shap.KernelExplainer(predict, background)
    values = explainer.shap_values(
        rows,
        nsamples=budget or "auto",
        # it would keep ten columns and call the rest zero; here all get their value
        l1_reg=False,
        silent=True,
    )
    return values, float(explainer.expected_value), None


METHODS: dict[str, Callable[..., Found]] = {
    "deep": _deep,
    "gradient": _gradient,
    "permutation": _permutation,
    "kernel": _kernel,
}


# -- models and shapes


def _over_positions(numbers: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Sums (n, p) float64 of numbers (n, p, ...) for rows of n."""
    n, positions = rows.shape[:2]
    flat = np.reshape(numbers, (n, positions, -1))
    # float64: some of the answers are float32, whose rounding would add up
    return flat.sum(axis=2, dtype=np.float64)


def _graph(model, output: int, method: str) -> tuple[list, keras.KerasTensor]:
    """Return the model's inputs and the one output column to explain.

    Or say why Deep and Gradient cannot read it.
    """
    obstacle = _obstacle(model, method)
    if obstacle:
        raise ExplainerError(
            f"{obstacle}. Use method='permutation', which only needs predictions."
        )
    columns = model.outputs[0]
    if columns.shape[-1] == 1:
        return model.inputs, columns
    column = range(columns.shape[-1])[output]  # from the end if negative
    return (
        model.inputs,
        # a slice keeps the axis, which shap wants
        columns[:, column : column + 1],
    )


def _obstacle(model, method: str) -> str | None:
    """Why Deep and Gradient cannot read a model, None if they can."""
    # a model that is neither functional nor sequential names no inputs
    inputs = getattr(model, "inputs", None)
    if not isinstance(model, keras.Model) or not inputs:
        return (
            f"method {method!r} needs a functional or sequential Keras model, "
            f"not {type(model).__name__}"
        )
    if len(inputs) > 1:
        return f"The model has {len(inputs)} inputs; join them into one row first"
    if not str(inputs[0].dtype).startswith("float"):
        return (
            f"Input {inputs[0].name!r} holds {inputs[0].dtype} ids, which have no "
            "gradient. Split the model after its embedding layer and explain the "
            "embedded vectors"
        )
    return None


def _predictions(model, output: int, rows: np.ndarray) -> np.ndarray:
    """What a Keras model or a function says of rows (n, d): (n,) float64.

    Without the slow `model.predict`.
    """
    # in batches, which bounds the memory
    parts = [
        _answers(model, rows[at : at + BATCH]) for at in range(0, len(rows), BATCH)
    ]
    answers = np.concatenate(parts).astype(np.float64)
    return answers if answers.ndim == 1 else answers[:, output]


def _answers(model, rows: np.ndarray) -> np.ndarray:
    """What a model or a function says to a batch of rows, of any shape."""
    if not isinstance(model, keras.Model):
        return np.asarray(model(rows))
    inputs = getattr(model, "inputs", None)
    dtype = inputs[0].dtype if inputs else "float32"
    return np.asarray(model(rows.astype(dtype), training=False))


def _checked_names(
    rows: np.ndarray, background: np.ndarray, names: Sequence[str] | None
) -> tuple[str, ...]:
    """One name per column, or ValueError if rows and background do not fit."""
    if (
        rows.ndim < 2
        or rows.shape[1:] != background.shape[1:]
        or not len(rows)
        or not len(background)
    ):
        raise ValueError(
            f"rows has shape {rows.shape} and background {background.shape}; "
            "they must be (n, d) and (m, d), neither empty. "
            "One row alone is row[None]."
        )
    columns = rows.shape[1]
    if names is None:
        names = [f"x{i}" for i in range(columns)]
    if len(names) != columns:
        raise ValueError(f"There are {len(names)} names for {columns} columns.")
    return tuple(names)

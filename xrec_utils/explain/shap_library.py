"""SHAP values through the shap library: quick, quiet and unable to break the process.

Lundberg and Lee (2017), "A unified approach to interpreting model predictions",
arXiv:1705.07874. Deep is DeepLIFT averaged over a background (Shrikumar et al. 2017,
arXiv:1704.02685); gradient is expected gradients (Erion et al. 2021,
doi:10.1038/s42256-021-00343-w); permutation and kernel only ask for predictions. In all
four an absent column is one that takes its values from the background rows.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import pandas as pd
import shap

from xrec_utils.games import Explanation
from xrec_utils.keras_start import keras, tf

Predict = Callable[[np.ndarray], np.ndarray]

_KNOWN_WARNING = (
    "Your TensorFlow version is newer than 2.4.0 and so graph support has been removed in eager mode and some "
    "static graphs may not be supported. See PR #1483 for discussion."
)
_BATCH = 16_384


class ExplainerError(RuntimeError):
    """A shap explainer cannot explain this model; the message names the obstacle and
    the way out.
    """


class _Found(NamedTuple):
    """Raw result for n rows: values (n, ...), base value, standard errors like values
    or None.
    """

    values: np.ndarray
    base: float
    error: np.ndarray | None


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
    """Explain each of `rows` (n, d) against `background` (m, d): n Explanations in the
    unit of the model's output.

    `method` is "deep" or "gradient" (Keras functional or sequential models with one
    float input), "permutation" or "kernel" (also any function (n, d) -> (n,) or (n,
    k)). `output` is the column explained when the model has several; the last is
    P(like) in this course. Rows of embedded vectors (n, L, d) work with deep and
    gradient; the credit of a position is the sum over its d numbers. `budget` is the
    number of draws (gradient, 1000 unless told), antithetic permutations (permutation,
    10) or coalitions (kernel, 2 d + 2048); deep has no such setting.

    Standard errors: gradient's own; for permutation they ignore the antithetic pairing,
    which makes them too large rather than too small; none for deep and kernel. `gap` is
    what the values fail to add up to.

    Raises ExplainerError if the method cannot explain this model, ValueError for an
    unknown method or wrong shapes. NumPy's global random state and TensorFlow's
    gradient registry are afterwards what they were before.
    """
    rows, background = np.asarray(rows), np.asarray(background)
    names = _checked_names(rows, background, names)
    if method not in _METHODS:
        raise ValueError(
            f"method {method!r} is unknown; choose one of {', '.join(sorted(_METHODS))}."
        )
    started = time.perf_counter()
    predict = _predictor(model_or_predict, output)
    with _numpy_seed(seed):
        found = _METHODS[method](
            model_or_predict, predict, rows, background, output, budget
        )
    values, errors = _per_player(found, len(rows))
    scores, seconds = predict(rows), (time.perf_counter() - started) / len(rows)
    return [
        Explanation(
            names,
            target,
            value,
            found.base,
            float(score),
            f"SHAP {method}",
            seconds,
            error,
        )
        for value, score, error in zip(values, scores, errors, strict=True)
    ]


def global_importance(explanations: Sequence[Explanation]) -> pd.DataFrame:
    """Mean |value| of each player over explanations of the same players: a table
    [player, importance], sorted.
    """
    players = explanations[0].players
    if any(explanation.players != players for explanation in explanations):
        raise ValueError(
            "The explanations have different players; a global mean needs the same columns in each."
        )
    size = np.abs([explanation.values for explanation in explanations]).mean(axis=0)
    table = pd.DataFrame({"player": players, "importance": size})
    return table.sort_values(
        "importance", ascending=False, kind="stable", ignore_index=True
    )


# -- the four methods
# ---------------------------------------------------------------------------------------------


def _deep(model, predict, rows, background, output, budget) -> _Found:
    inputs, column = _graph(model, output, "deep")
    with untouched_tensorflow(), _without_known_warning():
        try:
            explainer = shap.DeepExplainer(
                (inputs, column), background.astype(np.float32)
            )
            values = explainer.shap_values(rows.astype(np.float32))
        except Exception as error:
            raise _explained_failure(model, error) from error
    return _Found(values[..., 0], float(explainer.expected_value[0]), None)


def _gradient(model, predict, rows, background, output, budget) -> _Found:
    inputs, column = _graph(model, output, "gradient")
    draws = budget or 1000
    explainer = shap.GradientExplainer((inputs, column), background.astype(np.float32))
    seed = int(np.random.randint(2**31 - 1))
    values, variances = explainer.shap_values(
        rows.astype(np.float32), nsamples=draws, rseed=seed, return_variances=True
    )
    # shap divides each variance by sqrt(draws); the variance of a mean has draws below
    # the line.
    error = np.sqrt(np.asarray(variances[0]) / np.sqrt(draws))
    return _Found(values[..., 0], float(predict(background).mean()), error)


def _permutation(model, predict, rows, background, output, budget) -> _Found:
    permutations = budget or 10
    masker = shap.maskers.Independent(background, max_samples=len(background))
    explainer = shap.PermutationExplainer(
        predict, masker, seed=int(np.random.randint(2**31 - 1))
    )
    evaluations = permutations * (2 * rows.shape[1] + 1)
    found = explainer(rows, max_evals=evaluations, error_bounds=True, silent=True)
    error = np.asarray(found.error_std) / np.sqrt(2 * permutations)
    return _Found(found.values, float(np.mean(found.base_values)), error)


def _kernel(model, predict, rows, background, output, budget) -> _Found:
    if len(background) > 100:
        raise ValueError(
            f"background has {len(background)} rows; kernel SHAP asks the model for every coalition times every "
            "background row. Take at most 100, for instance background[:100]."
        )
    explainer = shap.KernelExplainer(predict, background)
    # l1_reg would keep ten columns and call the rest zero; every column gets its value
    # here.
    values = explainer.shap_values(
        rows, nsamples=budget or "auto", l1_reg=False, silent=True
    )
    return _Found(values, float(explainer.expected_value), None)


_METHODS: dict[str, Callable[..., _Found]] = {
    "deep": _deep,
    "gradient": _gradient,
    "permutation": _permutation,
    "kernel": _kernel,
}


# -- what keeps the process clean
# ---------------------------------------------------------------------------------


@contextmanager
def untouched_tensorflow() -> Iterator[None]:
    """Put back everything DeepExplainer patches in TensorFlow, also when it fails.

    It swaps the gradients of some 40 operations, adds `shap_...` entries, and replaces
    the hook that records operations for the gradient tape. After a failure shap leaves
    its hook behind, and then every gradient in the process that meets another
    operation, `fit` included, ends in "gradient registry has no entry for: shap_...".
    """
    from tensorflow.python.eager import execute as tf_execute
    from tensorflow.python.framework import ops as tf_ops

    registry = tf_ops._gradient_registry._registry
    entries = {name: dict(entry) for name, entry in registry.items()}
    record = tf_execute.record_gradient
    try:
        yield
    finally:
        registry.clear()
        registry.update(entries)
        tf_execute.record_gradient = record


@contextmanager
def _without_known_warning() -> Iterator[None]:
    """Drop shap's remark about TensorFlow 2.4, sent for every version since then; pass
    on every other warning.

    shap sends it unconditionally when a DeepExplainer is built, so nothing the caller
    does can prevent it.
    """
    with warnings.catch_warnings(record=True, action="always") as caught:
        yield
    for warning in caught:
        if str(warning.message) != _KNOWN_WARNING:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


@contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator, which shap draws from, and put its state back
    afterwards.
    """
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)


# -- models and shapes
# --------------------------------------------------------------------------------------------


def _graph(model, output: int, method: str) -> tuple[list, keras.KerasTensor]:
    """Return the model's inputs and the one output column to explain, or say why Deep
    and Gradient cannot read it.
    """
    way_out = "Use method='permutation', which only needs predictions"
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    if not isinstance(model, keras.Model) or not inputs or not outputs:
        raise ExplainerError(
            f"method {method!r} needs a functional or sequential Keras model, not {type(model).__name__}. {way_out}."
        )
    if len(inputs) > 1:
        raise ExplainerError(
            f"The model has {len(inputs)} inputs; join them into one row first. {way_out}."
        )
    if not str(inputs[0].dtype).startswith("float"):
        raise ExplainerError(
            f"Input {inputs[0].name!r} holds {inputs[0].dtype} ids, which have no gradient. Split the model after its "
            f"embedding layer and explain the embedded vectors. {way_out}."
        )
    if outputs[0].shape[-1] == 1:
        return inputs, outputs[0]
    column = range(outputs[0].shape[-1])[output]
    return inputs, outputs[0][:, column : column + 1]


def _predictor(model, output: int) -> Predict:
    """Make (n, d) -> (n,) float64 out of a Keras model or a function, without the slow
    `model.predict`.
    """

    def predict(rows: np.ndarray) -> np.ndarray:
        parts = [
            _answers(model, rows[start : start + _BATCH])
            for start in range(0, len(rows), _BATCH)
        ]
        answers = np.concatenate(parts).astype(np.float64)
        return answers if answers.ndim == 1 else answers[:, output]

    return predict


def _answers(model, rows: np.ndarray) -> np.ndarray:
    if not isinstance(model, keras.Model):
        return np.asarray(model(rows))
    inputs = getattr(model, "inputs", None)
    return np.asarray(
        model(rows.astype(inputs[0].dtype if inputs else "float32"), training=False)
    )


def _per_player(
    found: _Found, n: int
) -> tuple[np.ndarray, Sequence[np.ndarray | None]]:
    """Sum values (n, p, ...) over the trailing axes; errors are combined as if
    independent.
    """
    values = np.asarray(found.values, dtype=np.float64)
    axes = tuple(range(2, values.ndim))
    if found.error is None:
        return values.sum(axis=axes), [None] * n
    return values.sum(axis=axes), np.sqrt(
        (np.asarray(found.error, dtype=np.float64) ** 2).sum(axis=axes)
    )


def _checked_names(
    rows: np.ndarray, background: np.ndarray, names: Sequence[str] | None
) -> tuple[str, ...]:
    if (
        rows.ndim < 2
        or rows.shape[1:] != background.shape[1:]
        or not len(rows)
        or not len(background)
    ):
        raise ValueError(
            f"rows has shape {rows.shape} and background {background.shape}; they must be (n, d) and (m, d), "
            "neither empty. One row alone is row[None]."
        )
    names = (
        tuple(names)
        if names is not None
        else tuple(f"x{i}" for i in range(rows.shape[1]))
    )
    if len(names) != rows.shape[1]:
        raise ValueError(f"There are {len(names)} names for {rows.shape[1]} columns.")
    return names


def _explained_failure(model: keras.Model, error: Exception) -> ExplainerError:
    """Turn what shap and TensorFlow raise into one sentence on the cause and one on the
    way out.
    """
    way_out = "Use method='gradient' or method='permutation'."
    operation = re.search(r"no entry for: shap_(\w+)", str(error))
    if operation:
        where = _layer_with(model, operation[1])
        return ExplainerError(
            f"Deep SHAP has no rule for the operation {operation[1]}{where}. {way_out}"
        )
    gap = re.search(r"Max\. diff: ([\d.eE+-]+)", str(error))
    if gap:
        return ExplainerError(
            f"Deep SHAP's values miss the model's output by up to {float(gap[1]):.3g}: it has no rule for one of the "
            f"activations, silu (swish) for instance, and does not notice. {way_out}"
        )
    return ExplainerError(
        f"Deep SHAP failed with {type(error).__name__}: {error}. {way_out}"
    )


def _layer_with(model: keras.Model, operation: str) -> str:
    """Name the layer, nested ones included, that first runs a TensorFlow operation: '
    (layer ...)', or '' if unknown.

    TensorFlow names an operation by the layers it was traced in, with '_1' where a
    layer is called a second time.
    """
    rows = tf.TensorSpec((None, *model.inputs[0].shape[1:]))
    steps = (
        tf.function(model)
        .get_concrete_function(rows, training=False)
        .graph.get_operations()
    )
    scope = next(
        (step.name.split("/")[:-1] for step in steps if step.type == operation), []
    )
    known = set(_layer_names(model))
    for part in reversed(scope):
        for name in (part, part.rpartition("_")[0]):
            if name in known:
                return f" (layer {name!r})"
    return ""


def _layer_names(model: keras.Model) -> Iterator[str]:
    for layer in model.layers:
        yield layer.name
        if isinstance(layer, keras.Model):
            yield from _layer_names(layer)

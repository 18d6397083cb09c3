"""What surrounds a call of the shap library: failures explained, TensorFlow left as it was."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from xrec_utils.keras_start import keras, tf

_KNOWN_WARNING = (
    "Your TensorFlow version is newer than 2.4.0 and so graph support has been removed "
    "in eager mode and some static graphs may not be supported. See PR #1483 for "
    "discussion."
)


class ExplainerError(RuntimeError):
    """A shap explainer cannot explain this model.

    The message names the obstacle and a method that can.

    Example:
        Deep SHAP has to see the layers: a plain function has none.

        >>> rows = np.zeros((1, 2))
        >>> try:
        ...     shap_values(lambda rows: rows[:, 0], rows, rows, method="deep")
        ... except ExplainerError as error:
        ...     print(str(error).partition(". ")[2])
        Use method='permutation', which only needs predictions.
    """


# -- what keeps the process clean


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
    """Drop shap's remark about TensorFlow 2.4, sent for every version since then.

    Every other warning is passed on. shap sends it unconditionally when a DeepExplainer
    is built, so nothing the caller does can prevent it.
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
    """Seed NumPy's global generator, and put its state back afterwards.

    shap draws from it.
    """
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)


def _explained_failure(model: keras.Model, error: Exception) -> ExplainerError:
    """Turn what shap and TensorFlow raise into a cause and a method that works.

    One sentence on each.
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
        miss = float(gap[1])
        return ExplainerError(
            f"Deep SHAP's values miss the model's output by up to {miss:.3g}: it has "
            "no rule for one of the activations, silu (swish) for instance, and does "
            f"not notice. {way_out}"
        )
    return ExplainerError(
        f"Deep SHAP failed with {type(error).__name__}: {error}. {way_out}"
    )


def _layer_with(model: keras.Model, operation: str) -> str:
    """Name the layer that first runs a TensorFlow operation, nested ones included.

    As ' (layer ...)', or '' if unknown. TensorFlow names an operation by the layers it
    was traced in, with '_1' where a layer is called a second time.
    """
    known = set(_layer_names(model))
    for part in reversed(_scope_of(model, operation)):
        called_again = part.rpartition("_")[0]
        for name in (part, called_again):
            if name in known:
                return f" (layer {name!r})"
    return ""


def _scope_of(model: keras.Model, operation: str) -> list[str]:
    """The names, outermost first, under which an operation is first traced."""
    rows = tf.TensorSpec((None, *model.inputs[0].shape[1:]))
    traced = tf.function(model).get_concrete_function(rows, training=False)
    for step in traced.graph.get_operations():
        if step.type == operation:
            return step.name.split("/")[:-1]
    return []


def _layer_names(model: keras.Model) -> Iterator[str]:
    """The names of all layers, those of nested models after their model's."""
    for layer in model.layers:
        yield layer.name
        if isinstance(layer, keras.Model):
            yield from _layer_names(layer)

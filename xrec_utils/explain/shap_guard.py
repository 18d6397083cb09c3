"""What surrounds a call of the shap library: failures explained, TensorFlow left as it was."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from xrec_utils.keras_start import keras, tf


class ExplainerError(RuntimeError):
    """A shap explainer cannot explain this model.

    The message names the obstacle and a method that can.

    Example:
        Deep SHAP has to see the layers: a plain function has none.

        >>> from xrec_utils.explain import shap_values
        >>> rows = np.zeros((1, 2))
        >>> try:
        ...     shap_values(lambda rows: rows[:, 0], rows, rows, method="deep")
        ... except ExplainerError as error:
        ...     print(str(error).partition(". ")[2])
        Use method='permutation', which only needs predictions.
    """


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
    # entry by entry: shap writes into the dictionaries themselves
    entries = {name: dict(entry) for name, entry in registry.items()}
    record = tf_execute.record_gradient
    try:
        yield
    finally:
        registry.clear()
        registry.update(entries)
        tf_execute.record_gradient = record


@contextmanager
def numpy_seed(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator, and put its state back afterwards.

    shap draws from it.
    """
    # the old generator, for shap knows no other
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)


def explained_failure(model: keras.Model, error: Exception) -> ExplainerError:
    """Turn what shap and TensorFlow raise into a cause and a method that works.

    One sentence on each.
    """
    # what shap and TensorFlow say of the two failures that a user can do something about
    operation = re.search(r"no entry for: shap_(\w+)", str(error))
    gap = re.search(r"Max\. diff: ([\d.eE+-]+)", str(error))
    if operation:
        where = _layer_with(model, operation[1])
        cause = f"Deep SHAP has no rule for the operation {operation[1]}{where}"
    elif gap:
        cause = (
            f"Deep SHAP's values miss the model's output by up to {float(gap[1]):.3g}: "
            "it has no rule for one of the activations, silu (swish) for instance, "
            "and does not notice"
        )
    else:
        cause = f"Deep SHAP failed with {type(error).__name__}: {error}"
    return ExplainerError(f"{cause}. Use method='gradient' or method='permutation'.")


def _layer_with(model: keras.Model, operation: str) -> str:
    """Name the layer that first runs a TensorFlow operation, nested ones included.

    As ' (layer ...)', or '' if unknown. TensorFlow names an operation by the layers it
    was traced in, with '_1' where a layer is called a second time.
    """
    known = set(_layer_names(model))
    for part in reversed(_scope_of(model, operation)):
        for name in (part, part.rpartition("_")[0]):
            if name in known:
                return f" (layer {name!r})"
    return ""


def _scope_of(model: keras.Model, operation: str) -> list[str]:
    """The names, outermost first, under which an operation is first traced."""
    rows = tf.TensorSpec(model.inputs[0].shape)
    traced = tf.function(model).get_concrete_function(rows, training=False)
    for step in traced.graph.get_operations():
        if step.type == operation:
            # the last part is the operation's own name
            return step.name.split("/")[:-1]
    return []


def _layer_names(model: keras.Model) -> Iterator[str]:
    """The names of all layers, those of nested models after their model's."""
    for layer in model.layers:
        yield layer.name
        if isinstance(layer, keras.Model):
            yield from _layer_names(layer)

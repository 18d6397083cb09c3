"""What surrounds a call of the shap library.

What it cannot explain is named, failures are explained, TensorFlow is left as it was.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any
from unittest.mock import patch

import numpy as np

from xrec_utils.files import require
from xrec_utils.keras_start import keras, tf

# it traces a model anew for each explanation, which no reader can change
tf.get_logger().addFilter(lambda record: "grad_graph" not in record.getMessage())
# holds for a layer of the model itself whose ids are read nowhere else
_BEHIND = (
    "; or explain what follows the embedding, vectors in: with layer = "
    "model.get_layer(...), the model is keras.Model(layer.output, model.output), and "
    "its rows are keras.Model(model.inputs, layer.output)(ids).numpy(). That is the "
    "same model if nothing else reads the ids and the layer has no mask_zero."
)


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
    # shap writes into the entries themselves: it gets copies of them
    copies = {name: dict(entry) for name, entry in registry.items()}
    record = patch.object(tf_execute, "record_gradient", tf_execute.record_gradient)
    with patch.dict(registry, copies), record:
        yield


@contextmanager
def guarded(model: keras.Model, method: str, rows: np.ndarray) -> Iterator[None]:
    """Leave TensorFlow as it was while shap works, and explain its failures."""
    try:
        with untouched_tensorflow(), warnings.catch_warnings():
            # shap says this of every version since, whatever its caller does
            warnings.filterwarnings(
                "ignore",
                message="Your TensorFlow version is newer than 2.4.0",
            )
            yield
    except Exception as error:
        raise explained_failure(model, method, rows, error) from error


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


def check_readable(model: object, method: str, rows: np.ndarray) -> None:
    """Raise ExplainerError if a method cannot explain a model, before shap tries.

    The message names what is in the way, and a way that works.
    """
    # a model that is neither functional nor sequential names none of these
    inputs = getattr(model, "inputs", None) or []
    outputs = getattr(model, "outputs", None) or []
    embeds = [
        layer.name
        for layer in _layers(model)
        if isinstance(layer, keras.layers.Embedding)
    ]
    names = ", ".join(repr(each.name) for each in inputs)
    types = ", ".join(str(each.dtype) for each in inputs)
    follows = method in ("deep", "gradient")
    require(
        len(inputs) <= 1,
        f"The model has {len(inputs)} inputs, {names}. Wrap it into a function "
        "of one array that holds the columns of all, k of the first: "
        "shap_values(lambda rows: model([rows[:, :k], rows[:, k:]]), rows, "
        "background, 'permutation'), with a dictionary for named inputs.",
        ExplainerError,
    )
    require(
        len(outputs) <= 1,
        f"The model has {len(outputs)} outputs. Explain one of them, for "
        "instance the first: keras.Model(model.inputs, model.outputs[0])",
        ExplainerError,
    )
    require(
        not follows or inputs,
        f"method {method!r} needs a functional or sequential Keras model with "
        f"a keras.Input, not {type(model).__name__}. "
        "Use method='permutation', which only needs predictions.",
        ExplainerError,
    )
    require(
        not follows or (not embeds and types.startswith("float")),
        f"Input {names} holds {types} ids, which have no gradient"
        f"{'; they are embedded by ' * bool(embeds)}{', '.join(embeds)}. "
        f"Use method='permutation', which takes ids as they are{_BEHIND}",
        ExplainerError,
    )
    require(
        rows.ndim <= 2 or follows,
        f"method {method!r} takes rows (n, d), not {rows.shape}. Use "
        "method='gradient' for a Keras model, or make each number a column: "
        f"shap_values(lambda flat: model(flat.reshape(-1, *{rows.shape[1:]})), "
        "rows.reshape(len(rows), -1), background.reshape(len(background), -1), "
        f"{method!r})",
        ExplainerError,
    )


def explained_failure(
    model: keras.Model, method: str, rows: np.ndarray, error: Exception
) -> ExplainerError:
    """Turn what shap and TensorFlow raise into a cause and a method that works.

    One sentence on each.
    """
    # what shap and TensorFlow say of the failures that a user can do something about
    operation = re.search(r"no entry for: shap_(\w+)", str(error))
    gap = re.search(r"Max\. diff: (\S+)", str(error))
    no_gradient = re.search(r"no attribute 'numpy'|zero-dimensional", str(error))
    if operation:
        cause = (
            f"Deep SHAP has no rule for the operation {operation[1]}"
            f"{_layer_with(model, operation[1], rows.shape)}"
        )
    elif gap:
        cause = (
            f"Deep SHAP's values miss the model's output by up to {float(gap[1]):.3g}: "
            "it has no rule for one of the steps between, silu (swish) or a division "
            "for instance, and does not notice"
        )
    elif no_gradient:
        cause = (
            "No gradient flows from the model's input to its output: a step between "
            "them makes whole numbers, such as ids, bins or classes"
        )
    else:
        cause = f"{method.title()} SHAP failed with {type(error).__name__}: {error}"
    ways = [
        "method='gradient'" * (method == "deep" and not no_gradient),
        "method='permutation'" + " on flattened rows" * (rows.ndim > 2),
    ]
    return ExplainerError(f"{cause}. Use {' or '.join(filter(None, ways))}.")


def _layer_with(model: keras.Model, operation: str, shape: tuple[int, ...]) -> str:
    """Name the layer that first runs a TensorFlow operation, nested ones included.

    As ' (layer ...)', or '' if unknown. TensorFlow names an operation by the layers it
    was traced in, with '_1' where a layer is called a second time.
    """
    known = {layer.name for layer in _layers(model)}
    # of the rows themselves: not every model can be traced without their number
    rows = as_input(model, tf.TensorSpec(shape))
    traced = tf.function(model).get_concrete_function(rows, training=False)
    # the last part is the operation's own name, the one before it the innermost layer
    scopes = [
        step.name.split("/")[-2::-1]
        for step in traced.graph.get_operations()
        if step.type == operation
    ]
    for part in chain.from_iterable(scopes):
        for name in (part, part.rpartition("_")[0]):
            if name in known:
                return f" (layer {name!r})"
    return ""


def _layers(model: object) -> Iterator[keras.layers.Layer]:
    """All layers of a Keras model, those of nested models after their model."""
    for layer in getattr(model, "layers", ()):
        yield layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer)


def as_input(model: keras.Model, rows: Any) -> Any:
    """Rows as the model wants its one input: bare, in a list or under a name.

    A sequential model, and one without layers that Keras knows, wants them bare.
    """
    if isinstance(model, keras.Sequential) or not getattr(model, "inputs", None):
        return rows
    return keras.tree.pack_sequence_as(model.input, [rows])

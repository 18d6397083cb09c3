"""A Keras model with its lid off: every number from input to score.

Kernels by name, neurons on real rows, and the way of one row through all layers.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from xrec_utils.keras_start import keras


def layer_kernels(model: keras.Model) -> dict[str, np.ndarray]:
    """Return every weight with two or more axes by name, in the model's order.

    Biases are left out. A Dense kernel and an embedding table go by their layer's name;
    a layer with several kernels has one entry each, such as
    'gru/gru_cell/recurrent_kernel'.

    Args:
        model: any built Keras model.

    Returns:
        Name -> numbers, copied: (inputs, neurons) of a Dense layer, (codes, dimensions)
        of an embedding.

    Example:
        >>> layers = [keras.Input((3,)), keras.layers.Dense(2, name="hidden")]
        >>> model = keras.Sequential(layers)
        >>> {name: kernel.shape for name, kernel in layer_kernels(model).items()}
        {'hidden': (3, 2)}
    """
    kernels = {}
    for weight in model.weights:
        if len(weight.shape) < 2 or weight.path.endswith("/bias"):
            continue
        path = weight.path.removeprefix(f"{model.name}/")
        name = path.removesuffix("/kernel").removesuffix("/embeddings")
        kernels[name] = _numbers(weight)
    return kernels


def named_kernel(model: keras.Model, layer: str) -> np.ndarray:
    """Return the kernel of one named layer.

    Args:
        model: any built Keras model.
        layer: a name of `layer_kernels`.

    Returns:
        The numbers, copied: (inputs, neurons) of a Dense layer.

    Raises:
        ValueError: no kernel has this name; the message holds the names there are.

    Example:
        >>> ones = keras.layers.Dense(2, kernel_initializer="ones", name="hidden")
        >>> model = keras.Sequential([keras.Input((1,)), ones])
        >>> named_kernel(model, "hidden").tolist()
        [[1.0, 1.0]]
    """
    kernels = layer_kernels(model)
    if layer not in kernels:
        names = ", ".join(kernels) or "none"
        raise ValueError(f"The model has no kernel named {layer!r}; it has {names}.")
    return kernels[layer]


def activations(
    model: keras.Model, layer: str, x: np.ndarray | Sequence[np.ndarray]
) -> np.ndarray:
    """Return the output of one named layer for some rows.

    Args:
        model: a functional or sequential Keras model.
        layer: a layer's name.
        x: rows (n, d), or a list with one such array per input.

    Returns:
        (n, ...) what the layer gives for each row, after its activation function.

    Raises:
        ValueError: no layer has this name, or x holds another number of inputs.

    Example:
        A neuron that adds up its inputs, and gives nothing below zero.

        >>> relu = keras.layers.Dense(
        ...     1, activation="relu", kernel_initializer="ones", name="hidden"
        ... )
        >>> model = keras.Sequential([keras.Input((2,)), relu])
        >>> activations(model, "hidden", np.array([[1.0, 2.0], [1.0, -2.0]])).tolist()
        [[3.0], [0.0]]
    """
    _layer(model, layer)
    return dict(_outputs(model, x))[layer]


def top_activations(
    model: keras.Model,
    layer: str,
    x: np.ndarray | Sequence[np.ndarray],
    labels: Sequence[str],
    k: int = 5,
) -> pd.DataFrame:
    """Find the k rows that excite each neuron of a layer most.

    Args:
        model: a functional or sequential Keras model.
        layer: the name of a layer whose output is (n, neurons).
        x: rows (n, d), or a list with one such array per input.
        labels: names of the n rows.
        k: rows per neuron.

    Returns:
        Table [neuron, rank, label, activation], by neuron and rank, 1 = highest. Ties
        keep the order of the rows.

    Raises:
        ValueError: no layer has this name, or its output is not (labels, neurons).

    Example:
        >>> copy = keras.layers.Dense(1, kernel_initializer="ones", name="copy")
        >>> model = keras.Sequential([keras.Input((1,)), copy])
        >>> rows = np.array([[1.0], [3.0], [2.0]])
        >>> top_activations(model, "copy", rows, ["a", "b", "c"], k=2).values.tolist()
        [[0, 1, 'b', 3.0], [0, 2, 'c', 2.0]]
    """
    values = activations(model, layer, x)
    if values.ndim != 2 or len(values) != len(labels):
        raise ValueError(
            f"Layer {layer!r} gives {values.shape} for {len(labels)} labels; "
            "it must be (labels, neurons)."
        )
    # (k, neurons): positions of the rows
    best = np.argsort(-values, axis=0, kind="stable")[:k]
    rank, neuron = np.indices(best.shape)
    columns = {
        "neuron": neuron.ravel(),
        "rank": rank.ravel() + 1,
        "label": np.asarray(labels)[best.ravel()],
        "activation": values[best, neuron].ravel(),
    }
    table = pd.DataFrame(columns)
    return table.sort_values(["neuron", "rank"], ignore_index=True)


def neuron_path(
    model: keras.Model, x: np.ndarray | Sequence[np.ndarray]
) -> list[tuple[str, np.ndarray]]:
    """Follow one row from the input to the score.

    Each entry is what the next layer computes with, so a Dense layer's entry is
    activation(previous @ kernel + bias); `weighted_sum` takes that apart.

    Args:
        model: a functional or sequential Keras model.
        x: one row, (d,) or (1, d), or a list with one row per input.

    Returns:
        (name, output without the batch axis) for every input and every layer, in the
        model's order.

    Raises:
        ValueError: x holds more than one row, or another number of inputs.

    Example:
        >>> double = keras.layers.Rescaling(2.0, name="double")
        >>> model = keras.Sequential([keras.Input((2,), name="x"), double])
        >>> row = np.array([1.0, 3.0])
        >>> [(name, out.tolist()) for name, out in neuron_path(model, row)]
        [('x', [1.0, 3.0]), ('double', [2.0, 6.0])]
    """
    outputs = _outputs(model, _one_row(model, x))
    return [(name, output[0]) for name, output in outputs]


def weighted_sum(
    model: keras.Model, layer: str, x: np.ndarray, neuron: int = 0
) -> pd.DataFrame:
    """Take the sum that one Dense neuron forms for one row apart.

    Args:
        model: a functional or sequential Keras model.
        layer: the name of a Dense layer.
        x: one row, (d,) or (1, d).
        neuron: which of the layer's neurons.

    Returns:
        Table [source, input, weight, product] with a row per input, by position, and a
        last one for the bias. The products add up to the neuron's value before its
        activation function.

    Raises:
        ValueError: no layer has this name, it is not a Dense layer, or x holds more
            than one row.

    Example:
        >>> add = keras.layers.Dense(1, kernel_initializer="ones", name="add")
        >>> model = keras.Sequential([keras.Input((2,)), add])
        >>> table = weighted_sum(model, "add", np.array([3.0, -1.0]))
        >>> table["source"].tolist(), table["product"].tolist()
        (['0', '1', 'bias'], [3.0, -1.0, 0.0])
    """
    dense = _layer(model, layer)
    if not isinstance(dense, keras.layers.Dense):
        raise ValueError(
            f"Layer {layer!r} is a {type(dense).__name__}; "
            "only a Dense layer is one weighted sum."
        )
    up_to_layer = keras.Model(model.inputs, dense.input)
    inputs = np.asarray(up_to_layer(_one_row(model, x), training=False))[0]
    bias = _numbers(dense.bias)[neuron] if dense.use_bias else 0.0
    kernel = _numbers(dense.kernel)[:, neuron]
    columns = {
        "source": [*map(str, range(len(inputs))), "bias"],
        # the bias is a weight of an input that is always one
        "input": np.append(inputs, 1.0),
        "weight": np.append(kernel, bias),
    }
    table = pd.DataFrame(columns)
    return table.assign(product=table["input"] * table["weight"])


def _numbers(variable: keras.Variable) -> np.ndarray:
    """Copy a variable's numbers, so that changing the copy leaves the model alone."""
    return variable.numpy().copy()


def _layer(model: keras.Model, name: str) -> keras.layers.Layer:
    """The named layer, or ValueError with the names there are."""
    names = [layer.name for layer in model.layers]
    if name not in names:
        raise ValueError(
            f"The model has no layer named {name!r}; it has {', '.join(names)}."
        )
    return model.get_layer(name)


def _outputs(
    model: keras.Model, x: np.ndarray | Sequence[np.ndarray]
) -> list[tuple[str, np.ndarray]]:
    """Run the model once: inputs, then what each of its layers gave, by name.

    Of a layer with several outputs the first.
    """
    names = [tensor.name for tensor in model.inputs]
    tensors = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        names.append(layer.name)
        tensors.append(keras.tree.flatten(layer.output)[0])
    rows = _rows(model, x)
    answers = keras.Model(model.inputs, tensors)(rows, training=False)
    arrays = map(np.asarray, rows + keras.tree.flatten(answers))
    return list(zip(names, arrays, strict=True))


def _rows(model: keras.Model, x: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
    """Give each of the model's inputs its array, in its dtype."""
    parts = list(x) if isinstance(x, (list, tuple)) else [x]
    if len(parts) != len(model.inputs):
        raise ValueError(
            f"The model has {len(model.inputs)} inputs and x has {len(parts)}; "
            "pass a list with one each."
        )
    return [
        np.asarray(part, dtype=tensor.dtype)
        for part, tensor in zip(parts, model.inputs, strict=True)
    ]


def _one_row(
    model: keras.Model, x: np.ndarray | Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Give each input its one row with the batch axis that Keras wants in front."""
    rows = [
        row[None] if row.ndim < len(tensor.shape) else row
        for row, tensor in zip(_rows(model, x), model.inputs, strict=True)
    ]
    most = max(map(len, rows))
    if any(len(row) != 1 for row in rows):
        raise ValueError(f"x has {most} rows; a decision path follows one. Pass x[:1].")
    return rows

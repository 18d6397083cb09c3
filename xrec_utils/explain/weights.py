"""A Keras model with its lid off: every number from input to score.

Kernels by name, neurons on real rows, and the way of one row through all layers.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from xrec_utils.contract import check_count, item_codes
from xrec_utils.files import require
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
    return {
        # without the model, and without the word for the only kernel
        weight.path.removeprefix(f"{model.name}/")
        .removesuffix("/kernel")
        .removesuffix("/embeddings"): weight.numpy().copy()
        for weight in model.weights
        # the bias of a GRU has two axes, too
        if len(weight.shape) > 1 and not weight.path.endswith("/bias")
    }


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
    require(
        layer in kernels,
        f"The model has no kernel named {layer!r}; "
        f"it has {', '.join(kernels) or 'none'}.",
    )
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
    up_to_layer = keras.Model(
        model.inputs,
        _first_output(model.get_layer(layer)),
    )
    return np.asarray(up_to_layer(_rows(model, x), training=False))


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
        ValueError: no layer has this name, its output is not (labels, neurons), or k is
            no whole number above 0.

    Example:
        >>> copy = keras.layers.Dense(1, kernel_initializer="ones", name="copy")
        >>> model = keras.Sequential([keras.Input((1,)), copy])
        >>> rows = np.array([[1.0], [3.0], [2.0]])
        >>> top_activations(model, "copy", rows, ["a", "b", "c"], k=2).values.tolist()
        [[0, 1, 'b', 3.0], [0, 2, 'c', 2.0]]
    """
    check_count("k", k)
    values = activations(model, layer, x)
    require(
        values.ndim == 2 and len(values) == len(labels),
        f"Layer {layer!r} gives {values.shape} for {len(labels)} labels; "
        "it must be (labels, neurons).",
    )
    # (k, neurons): positions of the rows
    best = np.argsort(
        -values,
        axis=0,
        kind="stable",
    )[:k]
    rank, neuron = np.indices(best.shape)
    return pd.DataFrame(
        {
            "neuron": neuron.ravel(),
            "rank": rank.ravel() + 1,
            "label": np.asarray(labels)[best.ravel()],
            "activation": values[best, neuron].ravel(),
        }
    ).sort_values(
        ["neuron", "rank"],
        ignore_index=True,
    )


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
    layers = [
        layer
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
    ]
    # one model with many outputs: every layer is computed once
    inside = keras.Model(
        model.inputs,
        [*model.inputs, *map(_first_output, layers)],
    )
    outputs = inside(_one_row(model, x), training=False)
    return [
        (part.name, np.asarray(output)[0])
        for part, output in zip([*model.inputs, *layers], outputs, strict=True)
    ]


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
        ValueError: no layer has this name, it is not a Dense layer or has no such
            neuron, or x holds more than one row.

    Example:
        >>> add = keras.layers.Dense(1, kernel_initializer="ones", name="add")
        >>> model = keras.Sequential([keras.Input((2,)), add])
        >>> table = weighted_sum(model, "add", np.array([3.0, -1.0]))
        >>> table["source"].tolist(), table["product"].tolist()
        (['0', '1', 'bias'], [3.0, -1.0, 0.0])
    """
    dense = model.get_layer(layer)
    require(
        isinstance(dense, keras.layers.Dense),
        f"Layer {layer!r} is a {type(dense).__name__}, and only a Dense layer adds up.",
    )
    item_codes("neuron", [neuron], dense.units)
    up_to_layer = keras.Model(model.inputs, dense.input)
    # (inputs,): what the layer reads of the row
    inputs = up_to_layer(_one_row(model, x), training=False)[0]
    table = pd.DataFrame(
        {
            "source": [*map(str, range(len(inputs))), "bias"],
            # the bias is a weight of an input that is always one
            "input": np.append(inputs, 1.0),
            "weight": np.append(
                dense.kernel.numpy()[:, neuron],
                dense.bias.numpy()[neuron] if dense.use_bias else 0.0,
            ),
        }
    )
    return table.assign(product=table["input"] * table["weight"])


def _first_output(layer: keras.layers.Layer) -> keras.KerasTensor:
    """What the layer gives; of a layer with several outputs the first."""
    return keras.tree.flatten(layer.output)[0]


def _rows(model: keras.Model, x: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
    """Give each of the model's inputs its array, in its dtype."""
    parts = list(x) if isinstance(x, (list, tuple)) else [x]
    require(
        len(parts) == len(model.inputs),
        f"The model has {len(model.inputs)} inputs and x has {len(parts)}; "
        "pass a list with one each.",
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
        # tensor.shape counts the batch axis
        row[None] if row.ndim < len(tensor.shape) else row
        for row, tensor in zip(_rows(model, x), model.inputs, strict=True)
    ]
    require(
        all(len(row) == 1 for row in rows),
        f"x has {max(map(len, rows), default=0)} rows; "
        "a decision path follows one. Pass x[:1].",
    )
    return rows

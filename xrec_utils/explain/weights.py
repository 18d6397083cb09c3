"""A Keras model with its lid off: kernels by name, neurons on real rows, and every
number from input to score.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from xrec_utils.keras_start import keras


def layer_kernels(model: keras.Model) -> dict[str, np.ndarray]:
    """Return every weight with two or more axes except biases by name, in the model's
    order.

    A Dense kernel (inputs, neurons) and an embedding table (codes, dimensions) go by
    their layer's name; a layer with several kernels has one entry each, such as
    'gru/gru_cell/recurrent_kernel'.
    """
    found = {}
    for weight in model.weights:
        if len(weight.shape) >= 2 and not weight.path.endswith("/bias"):
            path = weight.path.removeprefix(f"{model.name}/")
            found[path.removesuffix("/kernel").removesuffix("/embeddings")] = _numbers(
                weight
            )
    return found


def named_kernel(model: keras.Model, layer: str) -> np.ndarray:
    """Return the kernel of one named layer. Raises ValueError with the names there are."""
    kernels = layer_kernels(model)
    if layer not in kernels:
        raise ValueError(
            f"The model has no kernel named {layer!r}; it has {', '.join(kernels) or 'none'}."
        )
    return kernels[layer]


def activations(
    model: keras.Model, layer: str, x: np.ndarray | Sequence[np.ndarray]
) -> np.ndarray:
    """Return the output of one named layer for rows `x` (n, d), or a list of inputs:
    (n, ...).
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
    """Find the k rows that excite each neuron of a layer most: a table [neuron, rank,
    label, activation].

    `labels` names the n rows of `x`; the layer's output must be (n, neurons). Ties keep
    the order of the rows.
    """
    values = activations(model, layer, x)
    if values.ndim != 2 or len(values) != len(labels):
        raise ValueError(
            f"Layer {layer!r} gives {values.shape} for {len(labels)} labels; it must be (labels, neurons)."
        )
    best = np.argsort(-values, axis=0, kind="stable")[:k]
    rank, neuron = np.indices(best.shape)
    table = pd.DataFrame(
        {
            "neuron": neuron.ravel(),
            "rank": rank.ravel() + 1,
            "label": np.asarray(labels)[best.ravel()],
            "activation": values[best, neuron].ravel(),
        }
    )
    return table.sort_values(["neuron", "rank"], ignore_index=True)


def decision_path(
    model: keras.Model, x: np.ndarray | Sequence[np.ndarray]
) -> list[tuple[str, np.ndarray]]:
    """Follow one row from the input to the score: (layer name, output without the batch
    axis) for every layer.

    `x` is one row, (d,) or (1, d), or a list with one row per input. Each entry is what
    the next layer computes with, so a Dense layer's entry is activation(previous @
    kernel + bias); `weighted_sum` takes that apart.
    """
    return [(name, output[0]) for name, output in _outputs(model, _one_row(model, x))]


def weighted_sum(
    model: keras.Model, layer: str, x: np.ndarray, neuron: int = 0
) -> pd.DataFrame:
    """Take the sum one Dense neuron forms for one row apart: a table [source, input,
    weight, product].

    The last row is the bias. The products add up to the neuron's value before its
    activation function.
    """
    dense = _layer(model, layer)
    if not isinstance(dense, keras.layers.Dense):
        raise ValueError(
            f"Layer {layer!r} is a {type(dense).__name__}; only a Dense layer is one weighted sum."
        )
    inputs = np.asarray(
        keras.Model(model.inputs, dense.input)(_one_row(model, x), training=False)
    )[0]
    bias = _numbers(dense.bias)[neuron] if dense.use_bias else 0.0
    weights = np.append(_numbers(dense.kernel)[:, neuron], bias)
    sources = [*map(str, range(len(inputs))), "bias"]
    table = pd.DataFrame(
        {"source": sources, "input": np.append(inputs, 1.0), "weight": weights}
    )
    return table.assign(product=table["input"] * table["weight"])


def _numbers(variable: keras.Variable) -> np.ndarray:
    """Copy a variable's numbers, so that changing the copy leaves the model alone."""
    return variable.numpy().copy()


def _layer(model: keras.Model, name: str) -> keras.layers.Layer:
    names = [layer.name for layer in model.layers]
    if name not in names:
        raise ValueError(
            f"The model has no layer named {name!r}; it has {', '.join(names)}."
        )
    return model.get_layer(name)


def _outputs(
    model: keras.Model, x: np.ndarray | Sequence[np.ndarray]
) -> list[tuple[str, np.ndarray]]:
    """Run the model once and return what each of its layers gave (the first, if
    several), inputs first.
    """
    layers = [
        layer
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
    ]
    probe = keras.Model(
        model.inputs, [keras.tree.flatten(layer.output)[0] for layer in layers]
    )
    rows = _rows(model, x)
    found = rows + keras.tree.flatten(probe(rows, training=False))
    names = [tensor.name for tensor in model.inputs] + [layer.name for layer in layers]
    return list(zip(names, [np.asarray(part) for part in found], strict=True))


def _rows(model: keras.Model, x: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
    """Give each of the model's inputs its array, in its dtype."""
    parts = list(x) if isinstance(x, (list, tuple)) else [x]
    if len(parts) != len(model.inputs):
        raise ValueError(
            f"The model has {len(model.inputs)} inputs and x has {len(parts)}; pass a list with one each."
        )
    return [
        np.asarray(part, dtype=tensor.dtype)
        for part, tensor in zip(parts, model.inputs, strict=True)
    ]


def _one_row(
    model: keras.Model, x: np.ndarray | Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Give each input its one row with the batch axis that Keras wants in front."""
    parts = list(x) if isinstance(x, (list, tuple)) else [x]
    rows = _rows(model, parts)
    rows = [
        row[None] if row.ndim < len(tensor.shape) else row
        for row, tensor in zip(rows, model.inputs, strict=True)
    ]
    if any(len(row) != 1 for row in rows):
        raise ValueError(
            f"x has {max(map(len, rows))} rows; a decision path follows one. Pass x[:1]."
        )
    return rows

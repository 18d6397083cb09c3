"""Networks that are one layer of hidden units, read as their weights.

What a film adds to each unit is one row of numbers, and what a unit adds to each score
is another: explanations of such a network need no more than these.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from keras.src.models.functional import Functional
from scipy.special import expit

from xrec_utils.keras_start import keras, layers

# bounded ones and piecewise lines, as functions of arrays: of each number by itself
ACTIVATIONS: dict[Callable, Callable[[np.ndarray], np.ndarray]] = {
    keras.activations.tanh: np.tanh,
    keras.activations.sigmoid: expit,
    keras.activations.softplus: partial(np.logaddexp, np.float32(0)),
    keras.activations.linear: np.positive,
    keras.activations.relu: partial(np.maximum, np.float32(0)),
    keras.activations.relu6: partial(np.clip, a_min=0, a_max=6),
    keras.activations.hard_tanh: partial(np.clip, a_min=-1, a_max=1),
}


class OneHidden(NamedTuple):
    """A network with one hidden layer, as its weights.

    logits(history) = units(Σ rows[i], films) @ readout + constant. rows (n_items, h),
    bias (h,), readout (h, n_items), constant (n_items,), all float32. activation: of
    float32 arrays, element by element. by_length: a sum is divided by √films.
    """

    rows: np.ndarray
    bias: np.ndarray
    readout: np.ndarray
    constant: np.ndarray
    activation: Callable[[np.ndarray], np.ndarray]
    by_length: bool

    def units(self, sums: np.ndarray, films: np.ndarray) -> np.ndarray:
        """The hidden units (m, h) for sums (m, h) of the rows of films (m,)."""
        if self.by_length:
            sums = sums / np.sqrt(np.maximum(films, 1))[:, None]
        return self.activation(np.float32(self.bias + sums))


def one_hidden(model: Any) -> OneHidden:
    """Read the one hidden layer out of a dae, a vae or another autoencoder.

    Linear layers behind it, such as the vae's μ and its decoder, are one linear map.

    Args:
        model: an autoencoder with one layer of hidden units, whose activation is one
            of `ACTIVATIONS`.

    Returns:
        OneHidden with rows (n_items, h), bias (h,), readout (h, n_items) and constant
        (n_items,), all float32.

    Raises:
        TypeError: the model is no autoencoder, or has other layers.

    Example:
        The weights give the model's own logits.

        >>> from xrec_utils.models.autoencoders import dae
        >>> model = dae(n_items=4, units=3)
        >>> net = one_hidden(model)
        >>> hidden = np.tanh(net.rows[[0, 2]].sum(axis=0) + net.bias)
        >>> logits = model.score([np.array([0, 2])])[0]
        >>> bool(np.allclose(hidden @ net.readout + net.constant, logits, atol=1e-6))
        True
    """
    chain = getattr(model, "dense_layers", [])
    if not chain:
        raise TypeError(
            f"{model.name} is not one layer of hidden units between a history and its "
            "scores: use explain(..., method='auto'), which takes any model"
        )
    by_length = to_length_one(chain[0])
    hidden, *linear = chain[by_length:]
    rows, bias = _weights(hidden)
    (readout, constant), *later = map(_weights, linear)
    for kernel, shift in later:
        readout = readout @ kernel
        constant = constant @ kernel + shift
    return OneHidden(
        rows,
        bias,
        readout,
        constant,
        ACTIVATIONS[hidden.activation],
        by_length,
    )


def _weights(layer: layers.Layer) -> list[np.ndarray]:
    """Kernel (inputs, outputs) and bias (outputs,); zeros where there is no bias.

    They are views, not to be written to: a copy would take longer than the values.
    """
    kernel, *bias = [np.asarray(part.value.read_value()) for part in layer.weights]
    return [kernel, *(bias or [np.zeros(kernel.shape[1], np.float32)])]


def chain_of_dense(
    network: keras.Model, passing: tuple[type, ...] = ()
) -> list[layers.Layer]:
    """The layer of hidden units of a network and the linear ones behind it.

    Args:
        network: from ones and zeros (n, items) to logits (n, items).
        passing: further types of layers that, in use, hand on their first input.

    Returns:
        Dense layers from the input to the logits, at most with one before them that
        brings the input to length one; none for a network of another shape.
    """
    if type(network).call not in (keras.Sequential.call, Functional.call):
        return []
    chain = [
        layer
        for layer in _from_input_to_output(network)
        if type(layer) not in (layers.Dropout, *passing)
    ]
    dense = chain[1:] if chain and to_length_one(chain[0]) else chain
    known = len(dense) > 1 and is_dense(dense[0]) and dense[0].activation in ACTIVATIONS
    return chain if known and all(map(is_linear, dense[1:])) else []


def to_length_one(layer: layers.Layer) -> bool:
    """Whether a layer divides each row (n, items) by its length."""
    return type(layer) is layers.UnitNormalization and layer.axis in (-1, 1)


def _from_input_to_output(network: keras.Model) -> list[layers.Layer]:
    """The layers met on the way back from the output, along the first input of each."""
    way = []
    tensor = network.outputs[0]
    while tensor is not network.inputs[0]:
        # where Keras keeps how its tensors were made
        made = tensor._keras_history
        way.insert(0, made.operation)
        node = made.operation._inbound_nodes[made.node_index]
        tensor = node.input_tensors[0]
    return way


def is_dense(layer: layers.Layer) -> bool:
    """Whether a layer computes activation(x @ kernel + bias) in float32.

    Layers with adapters, quantised ones and those of half precision do not.
    """
    return (
        type(layer) is layers.Dense
        and layer.dtype_policy.name == "float32"
        and not layer.lora_enabled
    )


def is_linear(layer: layers.Layer) -> bool:
    """Whether a layer computes x @ kernel + bias in float32."""
    return is_dense(layer) and layer.activation is keras.activations.linear

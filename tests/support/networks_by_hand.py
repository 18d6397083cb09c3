"""Random networks of one hidden layer, of the kinds that a normal law finds hard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import comb

import numpy as np

from xrec_utils import keras
from xrec_utils.models.autoencoders import Autoencoder
from xrec_utils.models.hidden_layer import OneHidden

FAMILIES = (
    "normal",
    "heavy-tailed",
    "correlated",
    "one large weight",
    "equal weights",
    "alternating",
)


def rows_of(
    family: str, n: int, units: int, scale: float, rng: np.random.Generator
) -> np.ndarray:
    """What n films add to each unit, (n, units), in weights of about `scale`."""
    normal = rng.normal(0, scale, (n, units))
    if family == "heavy-tailed":
        return scale * rng.standard_t(2, (n, units)).clip(-20, 20)
    if family == "correlated":
        common = rng.normal(size=(n, 2)) @ rng.normal(size=(2, units))
        return scale * common + normal / 10
    if family == "one large weight":
        normal /= 10
        normal[rng.integers(n)] = 5 * scale
        return normal
    if family == "equal weights":
        return np.tile(scale * rng.choice([-1.0, 1.0], units), (n, 1))
    if family == "alternating":
        signs = np.where(np.arange(n) % 2, 1.0, -1.0)
        return np.tile(scale * signs[:, None], (1, units))
    return normal


def networks(
    family: str, sizes: tuple[int, ...], scales: tuple[float, ...], seed: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows (n, 4), bias (4,) and readout (4, 2) of each size and scale."""
    rng = np.random.default_rng(seed)
    for n in sizes:
        for scale in scales:
            rows = rows_of(family, n, 4, scale, rng)
            yield rows, rng.normal(0, 0.5, 4), rng.normal(size=(4, 2))


def as_network(
    rows: np.ndarray,
    bias: np.ndarray,
    readout: np.ndarray,
    activation: Callable = np.tanh,
    by_length: bool = False,
) -> OneHidden:
    """The weights as the engine reads them."""
    rows, bias, readout = (np.float32(part) for part in (rows, bias, readout))
    nothing = np.zeros(readout.shape[1], np.float32)
    return OneHidden(rows, bias, readout, nothing, activation, by_length)


def as_model(
    rows: np.ndarray, bias: np.ndarray, readout: np.ndarray, activation: str = "tanh"
) -> Autoencoder:
    """An autoencoder of n + 2 films, whose last two are scored by the readout."""
    n, units = rows.shape
    nothing = np.zeros((2, units))
    seen = keras.Input((n + 2,))
    hidden = keras.layers.Dense(units, activation=activation)(seen)
    logits = keras.layers.Dense(n + 2, use_bias=False)(hidden)
    model = Autoencoder("own", keras.Model(seen, logits))
    to_all = np.hstack([np.zeros((units, n)), readout])
    model.model.set_weights([np.vstack([rows, nothing]), bias, to_all])
    return model


def brute(
    rows: np.ndarray,
    bias: np.ndarray,
    by_length: bool = False,
    activation: Callable = np.tanh,
) -> np.ndarray:
    """Shapley values of each unit, tanh(bias + scale Σ rows), from all 2^n groups."""
    n = len(rows)
    masks = (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(bool)
    size = masks.sum(axis=1)
    scale = np.maximum(size, 1)[:, None] ** -0.5 if by_length else 1.0
    v = activation(bias + scale * (masks @ rows))
    weight = np.array([1 / (n * comb(n - 1, s)) for s in range(n)])
    values = np.empty_like(rows)
    for i in range(n):
        without = np.flatnonzero(~masks[:, i])
        values[i] = weight[size[without]] @ (v[without + 2**i] - v[without])
    return values

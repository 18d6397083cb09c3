"""The modules of a Transformer in NumPy: what each layer computes from its weights, for
one sequence at a time.

They take a Keras layer for its weights only, so that a part can be understood, checked
and recombined by itself.
"""

from __future__ import annotations

import numpy as np

from xrec_utils.keras_start import keras


def softmax(x: np.ndarray) -> np.ndarray:
    """Turn scores into shares that add up to one along the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def attention(
    q: np.ndarray, k: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mix the values (..., L, d) of the places up to each one, and return the weights
    (..., L, L) it was done by.

    Scaled dot-product attention under a causal mask (Vaswani et al. 2017, equation 1,
    arXiv:1706.03762).
    """
    allowed = np.tri(q.shape[-2], dtype=bool)
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    weights = softmax(np.where(allowed, scores, -np.inf))
    return weights @ v, weights


def multi_head(
    x: np.ndarray, layer: keras.layers.MultiHeadAttention
) -> tuple[np.ndarray, np.ndarray]:
    """Compute causal multi-head self-attention of x (L, d): the output (L, d) and the
    weights (heads, L, L).
    """
    wq, bq, wk, bk, wv, bv, wo, bo = layer.get_weights()
    q, k, v = (
        np.einsum("ld,dhe->hle", x, w) + b[:, None]
        for w, b in ((wq, bq), (wk, bk), (wv, bv))
    )
    mixed, weights = attention(q, k, v)
    return np.einsum("hle,hed->ld", mixed, wo) + bo, weights


def normal(x: np.ndarray, layer: keras.layers.LayerNormalization) -> np.ndarray:
    """Normalise each row of x (..., d) to mean 0 and deviation 1, then scale and shift
    it (arXiv:1607.06450).
    """
    gamma, beta = layer.get_weights()
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + layer.epsilon)
    return gamma * (x - x.mean(axis=-1, keepdims=True)) / deviation + beta


def dense(x: np.ndarray, layer: keras.layers.Dense) -> np.ndarray:
    """Form the weighted sums of x (..., inputs) plus bias, before any activation: (...,
    units).
    """
    kernel, bias = layer.get_weights()
    return x @ kernel + bias

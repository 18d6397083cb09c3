"""The modules of a Transformer in NumPy, for one sequence at a time.

Each computes what a Keras layer computes from its weights. They take the layer for its
weights only, so that a part can be understood, checked and recombined by itself.
"""

import numpy as np

from xrec_utils.keras_start import keras


def softmax(x: np.ndarray) -> np.ndarray:
    """Turn scores into shares that add up to one along the last axis."""
    # without the largest score exp could overflow; the shares stay the same
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def attention(
    q: np.ndarray, k: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mix the values of the places up to each one, by scaled dot products.

    Scaled dot-product attention under a causal mask (Vaswani et al. 2017, equation 1,
    arXiv:1706.03762). Takes queries, keys and values (..., L, d); returns the mixtures
    (..., L, d) and the weights (..., L, L) they were made by.
    """
    allowed = np.tri(q.shape[-2], dtype=bool)
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    weights = softmax(np.where(allowed, scores, -np.inf))
    return weights @ v, weights


def multi_head(
    x: np.ndarray, layer: keras.layers.MultiHeadAttention
) -> tuple[np.ndarray, np.ndarray]:
    """Compute causal multi-head self-attention of one sequence.

    Source: Vaswani et al. 2017, section 3.2, arXiv:1706.03762.

    Args:
        x: (L, d), a row per place.
        layer: the built Keras layer whose weights are used, with biases.

    Returns:
        The output (L, d), and the weights (heads, L, L): row q says how place q spreads
        its attention over the places up to it; each row sums to one.

    Raises:
        ValueError: the layer is not built or has no biases, or x has another width.

    Example:
        >>> layer = keras.layers.MultiHeadAttention(num_heads=2, key_dim=3)
        >>> layer.build((1, 4, 6), (1, 4, 6))
        >>> output, weights = multi_head(np.eye(4, 6), layer)
        >>> output.shape, weights.shape
        ((4, 6), (2, 4, 4))
        >>> weights[0, 0].tolist()  # the first place sees itself alone
        [1.0, 0.0, 0.0, 0.0]
    """
    wq, bq, wk, bk, wv, bv, wo, bo = layer.get_weights()
    q, k, v = (
        np.einsum("ld,dhe->hle", x, w) + b[:, None]
        for w, b in ((wq, bq), (wk, bk), (wv, bv))
    )
    # mixed (heads, L, e): every head's own mixture
    mixed, weights = attention(q, k, v)
    return np.einsum("hle,hed->ld", mixed, wo) + bo, weights


def normal(x: np.ndarray, layer: keras.layers.LayerNormalization) -> np.ndarray:
    """Normalise each row to mean 0 and deviation 1, then scale and shift it.

    Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450.

    Args:
        x: (..., d).
        layer: the built Keras layer whose weights are used.

    Returns:
        (..., d).

    Raises:
        ValueError: the layer is not built, or x has another width.

    Example:
        >>> layer = keras.layers.LayerNormalization(epsilon=1e-6)
        >>> layer.build((None, 2))  # scale 1, shift 0
        >>> normal(np.array([[1.0, 5.0]]), layer).round(3).tolist()
        [[-1.0, 1.0]]
    """
    gamma, beta = layer.get_weights()
    mean = x.mean(axis=-1, keepdims=True)
    # a row of equal numbers has variance 0
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + layer.epsilon)
    return gamma * (x - mean) / deviation + beta


def dense(x: np.ndarray, layer: keras.layers.Dense) -> np.ndarray:
    """Form the weighted sums of a dense layer plus bias, before any activation.

    Args:
        x: (..., inputs).
        layer: the built Keras layer whose weights are used, with a bias.

    Returns:
        (..., units).

    Raises:
        ValueError: the layer is not built or has no bias, or x has another width.

    Example:
        >>> layer = keras.layers.Dense(1)
        >>> layer.build((None, 2))
        >>> layer.set_weights([np.array([[2.0], [3.0]]), np.array([-1.0])])
        >>> dense(np.array([[10.0, 1.0]]), layer).tolist()  # 10 * 2 + 1 * 3 - 1
        [[22.0]]
    """
    kernel, bias = layer.get_weights()
    return x @ kernel + bias

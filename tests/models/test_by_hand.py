"""The modules in NumPy against the Keras layers whose weights they read."""

import numpy as np
import pytest

from xrec_utils.keras_start import keras
from xrec_utils.models.by_hand import attention, dense, multi_head, normal, softmax

X = np.random.default_rng(2).normal(size=(5, 8)).astype(np.float32)


def built(layer, *inputs, **options):
    """A layer with random weights, biases too, and what it gives for X."""
    layer(*inputs, **options)
    random = np.random.default_rng(3)
    layer.set_weights([random.normal(size=w.shape) / 3 for w in layer.get_weights()])
    return layer, layer(*inputs, **options)


def test_attention_by_hand():
    mixed, weights = attention(
        np.zeros((3, 2)), np.ones((3, 2)), np.array([[2.0], [4], [9]])
    )
    np.testing.assert_allclose(mixed[:, 0], [2, 3, 5])
    np.testing.assert_allclose(weights, np.tri(3) / [[1], [2], [3]])


def test_softmax_of_large_numbers():
    np.testing.assert_allclose(
        softmax(np.array([[1e4, 1e4], [0, np.log(3)]])), [[0.5, 0.5], [0.25, 0.75]]
    )


@pytest.mark.parametrize("heads", [1, 2])
def test_multi_head(heads):
    options = {"use_causal_mask": True, "return_attention_scores": True}
    layer, (out, weights) = built(
        keras.layers.MultiHeadAttention(heads, 4), X[None], X[None], **options
    )
    ours, our_weights = multi_head(X, layer)
    np.testing.assert_allclose(ours, out[0], atol=1e-5)
    np.testing.assert_allclose(our_weights, weights[0], atol=1e-5)


def test_normal_and_dense():
    layer, out = built(keras.layers.LayerNormalization(epsilon=1e-2), X)
    np.testing.assert_allclose(normal(X, layer), out, atol=1e-5)
    layer, out = built(keras.layers.Dense(3), X)
    np.testing.assert_allclose(dense(X, layer), out, atol=1e-5)

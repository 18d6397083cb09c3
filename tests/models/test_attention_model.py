"""Attention read out: what is taken, what is left out, and what is refused."""

import numpy as np
import pytest

from attention_by_hand import Fixed
from xrec_utils.explain.attention import attention_explanation, attention_weights

TITLES = ["A", "B", "C", "D", "E"]


def two_layers():
    first = np.tile(np.eye(4), (2, 1, 1))
    second = np.tile(np.eye(4), (2, 1, 1))
    second[0, -1], second[1, -1] = [0.1, 0.2, 0.3, 0.4], [0.3, 0.0, 0.5, 0.2]
    return np.stack([first, second])


def test_last_row_of_the_last_layer_mean_over_heads():
    found = attention_explanation(
        Fixed(two_layers()), np.array([0, 3, 1]), 2, titles=TITLES
    )
    assert found.players == ("A", "D", "B")
    np.testing.assert_allclose(found.values, [0.1, 0.4, 0.3], atol=1e-6)
    assert found.base == pytest.approx(0.2)
    assert found.score == pytest.approx(1) and found.gap == pytest.approx(0, abs=1e-6)
    assert found.error is None
    assert (
        "not signed" in found.method
        and "attention" in found.target
        and "C" in found.target
    )


def test_films_before_the_window_get_nothing():
    found = attention_explanation(Fixed(two_layers()), np.array([4, 4, 0, 3, 1]), 2)
    np.testing.assert_allclose(found.values, [0, 0, 0.1, 0.4, 0.3], atol=1e-6)
    assert found.players[-1] == "item 1"


def test_weights_keep_their_shape():
    weights = attention_weights(Fixed(two_layers()), np.array([0, 3, 1]))
    assert weights.shape == (2, 2, 4, 4)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)


def test_other_things_are_refused():
    with pytest.raises(ValueError, match="layers, heads, L, L"):
        attention_weights(Fixed(np.eye(4)), np.array([0]))
    with pytest.raises(ValueError, match="history is empty"):
        attention_explanation(Fixed(np.ones((1, 1, 1, 1))), np.array([], dtype=int), 2)
    with pytest.raises(ValueError, match="after the softmax"):
        attention_weights(Fixed(two_layers() * 3), np.array([0]))

"""Attention of real models as an explanation: one call for three of them, rollout by
hand, gradients two other ways.
"""

import numpy as np
import pytest

from attention_by_hand import Fixed
from models_by_hand import ATTENDING, attending
from xrec_utils.explain.attention import (
    attention_explanation,
    gradient_weighted,
    last_row,
    rollout,
)
from xrec_utils.keras_start import keras, tf
from xrec_utils.models.sequence import pooled_mlp

HISTORY, LONG, ITEM = np.array([1, 4, 7, 0]), np.arange(9), 10


@pytest.fixture(params=ATTENDING, scope="module")
def model(request):
    return attending(request.param)


def test_one_call_serves_all_who_attend(model):
    found = attention_explanation(model, LONG, ITEM)
    assert (
        np.array_equal(found.values[:3], np.zeros(3)) and (found.values[3:] > 0).all()
    )
    assert found.score == pytest.approx(1, abs=1e-5) and found.gap == pytest.approx(
        0, abs=1e-6
    )
    np.testing.assert_allclose(
        [found.base, *found.values[3:]],
        last_row(model, LONG, ITEM).mean(axis=0),
        atol=1e-6,
    )
    other = attention_explanation(model, LONG, 9)
    assert np.allclose(found.values, other.values) == (model.name != "din")


def test_the_candidate_of_target_attention_is_the_one_who_looks():
    model = attending("din")
    found = attention_explanation(model, HISTORY, ITEM)
    np.testing.assert_allclose(
        [found.base, *found.values], model.weights(HISTORY, ITEM), atol=1e-6
    )


def test_rollout_by_hand():
    """Two layers of one head: the last place of layer two goes back through layer one,
    half of each staying put.
    """
    first = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.2, 0.6]])
    second = np.array([[1, 0, 0], [0.1, 0.9, 0], [0.4, 0.4, 0.2]])
    shares = np.zeros(3)
    for middle in range(3):
        to_middle = (second[2, middle] + (middle == 2)) / 2
        for end in range(3):
            shares[end] += to_middle * (first[middle, end] + (middle == end)) / 2
    found = rollout(Fixed(np.stack([first, second])[:, None]), np.array([5, 3]), 2)
    np.testing.assert_allclose(found.values, shares[1:], atol=1e-6)
    assert found.base == pytest.approx(shares[0]) and found.score == pytest.approx(1)
    assert found.players == ("item 5", "item 3") and found.gap == pytest.approx(
        0, abs=1e-6
    )


def test_rollout_takes_the_mean_over_heads_and_keeps_half_of_one_layer_for_the_last_film():
    model = attending("gru_attention")
    found, raw = rollout(model, LONG, ITEM), attention_explanation(model, LONG, ITEM)
    np.testing.assert_allclose(
        found.values, raw.values / 2 + (np.arange(9) == 8) / 2, atol=1e-6
    )
    heads = np.stack([np.eye(2), [[1, 0], [1, 0]]])
    assert rollout(Fixed(heads[None]), np.array([3]), 2).values == pytest.approx([0.75])


def through_the_whole_graph(model, history, item):
    """d score / d weights, for the weights that the Keras layer itself shows on the
    way: (heads, L).
    """
    ids = tf.constant(model.windows([history]))
    whole = keras.Model(
        model.encoder.inputs,
        [model.encoder.output, model.maps.output[max(model.maps.output)]],
    )
    with tf.GradientTape() as tape:
        hidden, weights = whole(
            [model.table(ids), ids != model.padding], training=False
        )
        score = tf.tensordot(hidden[0, -1], model.table.rows()[item], 1)
    return tape.gradient(score, weights).numpy()[0, :, -1], weights.numpy()[0, :, -1]


@pytest.mark.parametrize("name", ["attention", "gru_attention"])
def test_gradient_weighted_is_the_gradient_of_the_whole_graph(name):
    model = attending(name)
    slopes, row = through_the_whole_graph(model, HISTORY, ITEM)
    found = gradient_weighted(model, HISTORY, ITEM)
    np.testing.assert_allclose(
        found.values, (slopes * row).sum(axis=0)[1:], rtol=1e-4, atol=1e-5
    )
    assert found.score == pytest.approx(model.score([HISTORY])[0, ITEM], abs=1e-5)
    assert (found.values < 0).any() and found.error is None


def test_gradient_weighted_is_what_a_small_step_says(model):
    """Grow each film's weights by 1% and shrink them by 1%: the change of the score is
    2% of its value.
    """
    score, row = model.score_of_attention(HISTORY, ITEM), last_row(model, HISTORY, ITEM)
    grown = row * (1 + 0.01 * np.eye(5)[1:, None])
    shrunk = row * (1 - 0.01 * np.eye(5)[1:, None])
    slopes = (
        score(grown.astype(np.float32)) - score(shrunk.astype(np.float32))
    ).numpy() / 0.02
    found = gradient_weighted(model, HISTORY, ITEM)
    np.testing.assert_allclose(found.values, slopes, rtol=0.02, atol=2e-3)
    nothing = row * (np.arange(5) == 0)
    assert found.base == pytest.approx(
        float(score(nothing[None].astype(np.float32))[0]), abs=1e-5
    )


def test_in_target_attention_it_is_the_weight_times_the_answer():
    model = attending("din")
    w, (_, a) = model.weights(LONG, ITEM), model.parts(LONG, ITEM)
    found = gradient_weighted(model, LONG, ITEM, titles=list("abcdefghijkl"))
    np.testing.assert_allclose(found.values, [0, 0, 0, *(w * a)[1:]], atol=1e-5)
    assert found.gap == pytest.approx(0, abs=1e-5) and found.target == "score of k"


def test_what_does_not_attend_is_refused():
    pooled = pooled_mlp(np.eye(12, 4), width=8)
    for explain in (attention_explanation, rollout, gradient_weighted):
        with pytest.raises(
            TypeError, match="pooled_mlp mixes its history without attention"
        ):
            explain(pooled, HISTORY, ITEM)
    with pytest.raises(TypeError, match="din"):
        rollout(attending("din"), HISTORY, ITEM)
    with pytest.raises(ValueError, match="item 4 is in the history"):
        gradient_weighted(attending("din"), HISTORY, 4)

"""Attention of real models as an explanation: one call for three of them, rollout by
hand, gradients two other ways.
"""

import numpy as np
import pytest

from attention_by_hand import Fixed
from models_by_hand import ATTENDING, attending
from xrec_utils.explain.attention import (
    attention_explanation,
    attention_weights,
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


class Padded:
    """Attention of a Keras layer over a window of seven, padded on one side.

    Ids are codes plus two; 1 is the start token where there is one, 0 is padding.
    """

    def __init__(self, side, start=True, masked=True):
        keras.utils.set_random_seed(5)
        self.side, self.start = side, [1] * start
        self.table = keras.layers.Embedding(14, 8, mask_zero=masked)
        self.layer = keras.layers.MultiHeadAttention(2, 4)

    def over(self, ids):
        vectors = self.table(np.array([ids]))
        return self.layer(vectors, vectors, return_attention_scores=True)[1].numpy()

    def attention(self, history):
        ids = [*self.start, *(2 + np.asarray(history))]
        empty = [0] * (7 - len(ids))
        return self.over(empty + ids if self.side == "left" else ids + empty)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_of_a_masked_keras_layer_is_cut_off(side):
    padded = Padded(side)
    assert padded.attention(HISTORY).shape == (1, 2, 7, 7)
    alone = padded.over([1, *(2 + HISTORY)])
    np.testing.assert_allclose(attention_weights(padded, HISTORY), alone, atol=1e-6)
    shares = alone[0, :, -1].mean(axis=0)
    found = attention_explanation(padded, HISTORY, ITEM)
    np.testing.assert_allclose([found.base, *found.values], shares, atol=1e-6)
    assert rollout(padded, HISTORY, ITEM).score == pytest.approx(1)


def test_padding_that_is_looked_at_is_named_and_can_be_cut():
    padded = Padded("right", masked=False)
    with pytest.raises(ValueError, match=r"of 7 places.*padding.*4 films.*keep"):
        attention_weights(padded, HISTORY)
    # a layer that masks, but lets padding look: the advice of the message
    looking, keep = padded.over([1, *(2 + HISTORY)]), np.arange(7) < 5
    weights = np.pad(looking, [(0, 0), (0, 0), (0, 2), (0, 2)])
    weights[:, :, 5:, 0] = 1
    with pytest.raises(ValueError, match=r"weights\[:, :, keep\]\[\.\.\., keep\]"):
        attention_weights(Fixed(weights), HISTORY)
    cut = Fixed(weights[:, :, keep][..., keep])
    np.testing.assert_allclose(attention_weights(cut, HISTORY), looking, atol=1e-6)


def test_padding_without_a_start_token_is_named_and_one_can_be_put_in():
    padded = Padded("right", start=False)
    with pytest.raises(ValueError, match=r"of 4 places.*start token.*np\.pad"):
        attention_explanation(padded, HISTORY, ITEM)
    alone = padded.over(2 + HISTORY)
    weights = np.pad(alone, [(0, 0), (0, 0), (1, 0), (1, 0)])
    weights[:, :, 0, 0] = 1
    found = attention_explanation(Fixed(weights), HISTORY, ITEM)
    assert found.base == 0
    np.testing.assert_allclose(found.values, alone[0, :, -1].mean(axis=0), atol=1e-6)


def test_what_are_no_shares_is_named_with_its_sums():
    half = np.full((1, 1, 3, 3), 1 / 3)
    half[0, 0, 1] /= 2
    with pytest.raises(ValueError, match=r"but to 0\.5 to 1; read the weights after"):
        attention_weights(Fixed(half), HISTORY[:2])
    with pytest.raises(ValueError, match="of 0 places"):
        attention_weights(Fixed(np.zeros((1, 1, 3, 3))), HISTORY[:2])
    with pytest.raises(ValueError, match="to nan"):
        attention_weights(Fixed(half * np.nan), HISTORY[:2])

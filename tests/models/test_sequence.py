"""The history recommenders: contract, the attention formula in NumPy, and parts that
fit together again.
"""

import numpy as np
import pandas as pd
import pytest

from xrec_utils import set_seed
from xrec_utils.contract import HistoryModel
from xrec_utils.keras_start import tf
from xrec_utils.models import attributes, encoders, sequence
from xrec_utils.models.by_hand import multi_head

N_ITEMS, WINDOW = 12, 6
EMPTY = np.array([], dtype=int)
HISTORIES = [EMPTY, np.array([3]), np.array([1, 4, 7]), np.arange(9)]


@pytest.fixture(params=["attention", "pooled_mlp"], scope="module")
def model(request):
    set_seed(0)
    attributes = np.eye(N_ITEMS, 4, dtype=np.float32)
    build = {
        "attention": sequence.attention_recommender,
        "pooled_mlp": sequence.pooled_mlp,
    }[request.param]
    built = build(attributes, width=8, window=WINDOW)
    built.table.bias.assign(np.linspace(-1, 1, N_ITEMS))
    return built


def test_contract(model):
    assert isinstance(model, HistoryModel)
    whole = model.score(HISTORIES)
    assert whole.shape == (4, N_ITEMS) and np.isfinite(whole).all()
    assert np.allclose(
        model.score(HISTORIES, np.array([5, 2])), whole[:, [5, 2]], atol=1e-5
    )
    assert model.score([]).shape == (0, N_ITEMS) and model.score(
        [], np.array([1])
    ).shape == (0, 1)


def test_a_score_does_not_depend_on_who_else_is_in_the_batch(model):
    together = model.score(HISTORIES, batch=2)
    alone = np.concatenate([model.score([history]) for history in HISTORIES])
    assert np.allclose(together, alone, atol=1e-5)


def test_the_table_is_built_once_a_score_and_anew_after_training(model, monkeypatch):
    histories = [np.array([n % 3, 4]) for n in range(7)]
    table = model.table
    built = []
    rows = table.rows
    model.score(histories)  # the trace reads the table too
    monkeypatch.setattr(table, "rows", lambda *ids: built.append(ids) or rows(*ids))
    before = model.score(histories, batch=2)
    assert len(built) == 1
    old = table.get_weights()
    table.set_weights([weights + 0.5 for weights in old])
    after = model.score(histories, batch=2)
    table.set_weights(old)
    assert not np.allclose(after, before)
    np.testing.assert_array_equal(model.score(histories, batch=2), before)


def test_heads_share_the_width_evenly():
    with pytest.raises(ValueError, match="3 heads cannot share a width of 8"):
        sequence.attention_recommender(np.eye(4), width=8, heads=3)


def test_only_the_window_counts(model):
    assert np.allclose(
        model.score([np.arange(9)]), model.score([np.arange(9)[-WINDOW:]]), atol=1e-6
    )


def test_score_vectors_is_score(model):
    for history in HISTORIES:
        vectors = model.vectors(history)
        assert vectors.shape == (len(history), 8)
        got = model.score_vectors(tf.constant(vectors[None]), 5).numpy()
        assert got == pytest.approx(model.score([history])[0, 5], abs=1e-5)


def test_training_model_and_scoring_agree(model):
    ids = model.windows(HISTORIES)
    assert np.allclose(
        model.model(ids).numpy()[:, -1], model.score(HISTORIES), atol=1e-5
    )


def test_the_future_is_not_seen(model):
    """Changing the last item leaves the logits of every earlier place as they were."""
    ids = model.windows([np.array([1, 2, 3])])
    other = ids.copy()
    other[0, -1] = 9
    before, after = (model.model(x).numpy()[0] for x in (ids, other))
    assert np.allclose(before[:-1], after[:-1], atol=1e-6) and not np.allclose(
        before[-1], after[-1], atol=1e-3
    )


def test_windows_are_padded_on_the_left():
    model = sequence.pooled_mlp(np.ones((3, 1)), width=4, window=2)
    assert model.windows([EMPTY, np.array([0, 1, 2])]).tolist() == [
        [4, 4, 3],
        [3, 1, 2],
    ]


def test_attention_is_the_formula():
    set_seed(1)
    model = sequence.attention_recommender(
        np.eye(N_ITEMS), width=8, blocks=1, window=WINDOW
    )
    layer, norm = (
        model.encoder.get_layer("attention_1"),
        model.encoder.get_layer("attention_norm_1"),
    )
    history = np.array([2, 5, 7, 1])
    places = model.encoder.get_layer("position")(model.table(model.windows([history])))
    _, weights = multi_head(norm(places).numpy()[0], layer)
    assert np.abs(model.attention(history)[0] - weights).max() < 1e-5
    assert np.allclose(model.attention(history).sum(axis=-1), 1, atol=1e-5)
    assert model.attention(EMPTY).shape == (1, 2, 1, 1)


def test_no_attention_to_read_in_an_average():
    average = sequence.pooled_mlp(np.eye(3), width=4)
    for read in (
        average.attention,
        lambda history: average.score_of_attention(history, 0),
    ):
        with pytest.raises(TypeError, match="attention"):
            read(np.array([1]))


def test_no_explanation_builds_the_whole_table(monkeypatch):
    set_seed(1)
    model = sequence.attention_recommender(np.eye(N_ITEMS), width=8, window=WINDOW)
    rows = model.table.rows
    monkeypatch.setattr(model.table, "rows", lambda ids: rows(ids))
    history = np.arange(5)
    row = model.attention(history)[-1:, :, -1]
    by_attention = model.score_of_attention(history, 7)(tf.constant(row)).numpy()
    by_vectors = model.score_vectors(model.vectors(history)[None], 7).numpy()
    score = model.score([history], np.array([7]))[0]
    assert by_attention == pytest.approx(score, abs=1e-5)
    assert by_vectors == pytest.approx(score, abs=1e-5)


def test_the_last_of_eleven_blocks_is_the_eleventh():
    model = sequence.attention_recommender(np.eye(3), width=4, blocks=11, window=2)
    layer, _, _ = model._around_attention
    assert layer.name == "attention_11"
    assert len(model.attention(np.array([1]))) == 11


def test_the_last_row_of_attention_makes_the_score():
    """Two blocks, a history longer than the window; other weights are tried in
    test_attention_trial.
    """
    set_seed(1)
    model, history = (
        sequence.attention_recommender(np.eye(N_ITEMS), width=8, window=WINDOW),
        np.arange(9),
    )
    row = tf.constant(model.attention(history)[-1:, :, -1])
    assert model.score_of_attention(history, 10)(row).numpy() == pytest.approx(
        model.score([history])[:, 10], abs=1e-5
    )


def test_average_is_an_average():
    vectors = np.random.default_rng(0).normal(size=(1, 4, 2)).astype(np.float32)
    present = np.array([[False, True, True, True]])
    got = encoders.CausalMean()(tf.constant(vectors), tf.constant(present)).numpy()[0]
    assert np.allclose(got[3], vectors[0, 1:].mean(axis=0), atol=1e-6) and np.allclose(
        got[0], 0
    )


def test_where_no_item_has_a_year_no_period_has_an_item():
    none = pd.array([pd.NA, pd.NA], dtype="Int64")
    items = pd.DataFrame({"genres": ["Drama", ""], "year": none})
    encoded = attributes.item_attributes(items)
    assert encoded.shape == (2, 1 + 18) and encoded.dtype == np.float32
    assert encoded[:, 0].tolist() == [1, 0] and not encoded[:, 1:].any()


def test_attributes_are_genres_and_periods():
    items = pd.DataFrame(
        {
            "genres": ["Drama|War", "Comedy", ""],
            "year": pd.array([1999, None, 1871], dtype="Int64"),
        }
    )
    encoded = attributes.item_attributes(items)
    assert encoded.shape == (3, 3 + 18) and encoded.dtype == np.float32
    assert encoded[:, :3].tolist() == [
        [0, 1, 1],
        [1, 0, 0],
        [0, 0, 0],
    ]  # Comedy, Drama, War
    assert encoded[:, 3:].argmax(axis=1).tolist() == [
        13,
        1,
        0,
    ]  # 1995-1999; the median of the known years; before 1935


def test_reviews_are_read_up_to_a_moment_only():
    items = pd.DataFrame({"item": [30, 10, 20]})
    reviews = pd.DataFrame(
        {
            "item": [10, 30, 10, 20],
            "time": [1, 2, 3, 9],
            "text": ["cup", "pen", "ink cup", "lamp"],
        }
    )
    early = attributes.review_attributes(items, reviews, until=9)
    ink, cup = np.array([1, 2]) / np.sqrt(
        5
    )  # columns cup, ink, pen; each word is in one item's text: equal idf
    assert early.dtype == np.float32 and np.allclose(
        early, [[0, 0, 1], [cup, ink, 0], [0, 0, 0]]
    )
    assert np.array_equal(
        early, attributes.review_attributes(items, reviews[:3], until=100)
    )
    assert attributes.review_attributes(items, reviews, until=10).shape == (3, 4)

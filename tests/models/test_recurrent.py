"""The recurrent recommenders: the GRU's step in NumPy, the look back, padding, contract
and gradients.
"""

import numpy as np
import pytest

from models_by_hand import check_score_vectors
from xrec_utils import set_seed
from xrec_utils.contract import HistoryModel
from xrec_utils.data.splits import Cases
from xrec_utils.keras_start import keras, tf
from xrec_utils.metrics.evaluation import evaluate
from xrec_utils.models import recurrent as models_recurrent
from xrec_utils.models.by_hand import multi_head
from xrec_utils.models.training import fit_next_item

N_ITEMS, WINDOW, WIDTH, UNITS = 12, 6, 8, 10
EMPTY = np.array([], dtype=int)
HISTORIES = [EMPTY, np.array([3]), np.array([1, 4, 7]), np.arange(9)]
BUILDERS = {
    "gru": models_recurrent.gru_recommender,
    "gru_attention": models_recurrent.gru_attention_recommender,
}


def untrained(name):
    set_seed(0)
    model = BUILDERS[name](
        np.eye(N_ITEMS, 4, dtype=np.float32), width=WIDTH, units=UNITS, window=WINDOW
    )
    model.table.bias.assign(np.linspace(-1, 1, N_ITEMS))
    return model


@pytest.fixture(params=BUILDERS, scope="module")
def model(request):
    return untrained(request.param)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def states_by_hand(vectors, gru):
    """z, r = σ(x W + h U); candidate = tanh(x W + r ⊙ (h U)); h = z ⊙ h + (1 - z) ⊙
    candidate; from h = 0.
    """
    kernel, recurrent = (w.numpy().astype(np.float64) for w in gru.weights)
    state, states = np.zeros(UNITS), []
    for vector in vectors:
        x, h = np.split(vector @ kernel, 3), np.split(state @ recurrent, 3)
        update, reset = sigmoid(x[0] + h[0]), sigmoid(x[1] + h[1])
        state = update * state + (1 - update) * np.tanh(x[2] + reset * h[2])
        states.append(state)
    return np.array(states)


def inner(model, layer, history):
    """What a layer of the encoder gives for a history, without its batch axis."""
    ids = model.windows([history])
    part = keras.Model(model.encoder.inputs, model.encoder.get_layer(layer).output)
    return part([model.table(ids), tf.constant(ids != model.padding)])


def test_states_are_the_formula(model):
    history = np.array([2, 5, 7, 1])
    expected = states_by_hand(
        model.table(model.windows([history])).numpy()[0], model.encoder.get_layer("gru")
    )
    assert np.abs(inner(model, "gru", history).numpy()[0] - expected).max() < 1e-5


def test_score_is_state_times_row_plus_bias():
    model, history = untrained("gru"), np.array([2, 5, 7, 1])
    projection, norm = (
        model.encoder.get_layer("to_items"),
        model.encoder.get_layer("final_norm"),
    )
    state = states_by_hand(
        model.table(model.windows([history])).numpy()[0], model.encoder.get_layer("gru")
    )[-1]
    hidden = state @ projection.kernel.numpy() + projection.bias.numpy()
    hidden = (hidden - hidden.mean()) / np.sqrt(
        hidden.var() + 1e-6
    ) * norm.gamma.numpy() + norm.beta.numpy()
    expected = model.table.rows().numpy()[:N_ITEMS] @ hidden + model.table.bias.numpy()
    assert np.abs(model.score([history])[0] - expected).max() < 1e-4


def test_the_look_back_is_the_attention_formula():
    model, history = untrained("gru_attention"), np.array([2, 5, 7, 1])
    states = inner(model, "gru", history).numpy()[0]
    mixed, weights = multi_head(states, model.encoder.get_layer("attention_1"))
    assert np.abs(model.attention(history)[0] - weights).max() < 1e-5
    both = inner(model, "state_and_look_back", history).numpy()[0]
    assert np.abs(both - np.concatenate([states, mixed], axis=1)).max() < 1e-5


def test_attention_rows_sum_to_one_and_look_back_only():
    model = untrained("gru_attention")
    weights = model.attention(np.arange(9))
    assert weights.shape == (1, 1, WINDOW + 1, WINDOW + 1) and (weights >= 0).all()
    assert np.allclose(weights.sum(axis=-1), 1, atol=1e-5) and np.allclose(
        np.triu(weights[0, 0], 1), 0
    )
    assert model.attention(EMPTY).shape == (1, 1, 1, 1)
    with pytest.raises(TypeError, match="without attention"):
        untrained("gru").attention(EMPTY)


def test_contract(model):
    assert isinstance(model, HistoryModel) and model.name in BUILDERS
    whole = model.score(HISTORIES)
    assert (
        whole.shape == (4, N_ITEMS)
        and whole.dtype == np.float32
        and np.isfinite(whole).all()
    )
    assert np.allclose(
        model.score(HISTORIES, np.array([5, 2])), whole[:, [5, 2]], atol=1e-5
    )
    assert not np.allclose(whole[2], model.score([np.array([7, 4, 1])]), atol=1e-4), (
        "the order of the films counts"
    )


def test_padding_never_changes_the_state(model):
    alone = np.concatenate([model.score([history]) for history in HISTORIES])
    assert np.allclose(model.score(HISTORIES), alone, atol=1e-5)
    ids = model.windows([np.array([1, 4])])
    padded = np.concatenate([np.full((1, 5), model.padding, np.int32), ids], axis=1)
    assert np.allclose(model.model(padded)[0, -3:], model.model(ids)[0], atol=1e-5)


def test_a_deleted_film_leaves_no_trace_and_only_the_window_counts(model):
    history = np.arange(5)
    kept = model.score([np.delete(history, 2)])
    assert not np.allclose(kept, model.score([history]), atol=1e-4)
    assert np.allclose(kept, model.score([np.array([0, 1, 3, 4])]))
    assert np.allclose(
        model.score([np.arange(9)]), model.score([np.arange(9)[-WINDOW:]]), atol=1e-6
    )


def test_score_vectors_is_score_and_has_gradients(model):
    check_score_vectors(model, HISTORIES, place=0, tolerance=1e-4)


def test_it_learns_the_circle(model, monkeypatch, capfd, recwarn):
    """Every film is followed by its neighbour; training says nothing on stderr and
    warns of nothing.
    """
    monkeypatch.setenv("XREC_QUIET", "1")
    histories = [(n + np.arange(5)) % N_ITEMS for n in range(N_ITEMS) for _ in range(3)]
    cases = Cases(
        np.arange(36), histories, [np.array([(h[-1] + 1) % N_ITEMS]) for h in histories]
    )
    log = fit_next_item(
        model,
        histories,
        cases,
        epochs=12,
        rate=0.03,
        batch=12,
        patience=12,
        compiled=False,
    )
    assert (
        log[-1]["loss"] < log[0]["loss"]
        and evaluate(model, cases, k=1)["hr"].mean() > 0.9
    )
    assert capfd.readouterr().err == "" and [str(w.message) for w in recwarn] == []

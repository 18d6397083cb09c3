"""Target attention: the formula in NumPy loops, parts that do not depend on the other
films, contract and gradients.
"""

import numpy as np
import pytest

from models_by_hand import check_score_vectors
from xrec_utils import set_seed
from xrec_utils.contract import HistoryModel
from xrec_utils.data.splits import Cases
from xrec_utils.metrics.evaluation import evaluate
from xrec_utils.models import target_attention
from xrec_utils.models.target_attention import TargetAttention
from xrec_utils.models.training import fit_next_item

N_ITEMS, WINDOW, WIDTH = 12, 6, 8
EMPTY = np.array([], dtype=int)
HISTORIES = [EMPTY, np.array([3]), np.array([1, 4, 7]), np.arange(9)]


def untrained():
    """A model whose weights are large enough for its attention to be far from even."""
    set_seed(0)
    built = TargetAttention(
        np.eye(N_ITEMS, 4, dtype=np.float32), width=WIDTH, window=WINDOW
    )
    random = np.random.default_rng(0)
    built.model.set_weights(
        [random.normal(size=w.shape) / 2 for w in built.model.get_weights()]
    )
    return built


@pytest.fixture(scope="module")
def model():
    return untrained()


def by_hand(model, history, item):
    """softmax over start token and films of (Q x_j)·(K x_i)/√d, times (V x_i)·x_j, plus
    b_j, in loops.
    """
    rows, mix = model.table.rows().numpy().astype(np.float64) * WIDTH**0.5, model.mix
    query, key, value = (
        w.numpy().astype(np.float64) for w in (mix.query, mix.key, mix.value)
    )
    films = [model.start, *history[-WINDOW:]]
    match = [(rows[item] @ query) @ (rows[film] @ key) / WIDTH**0.5 for film in films]
    answer = [(rows[film] @ value) @ rows[item] for film in films]
    chance = np.exp(match) / np.exp(match).sum()
    return chance, chance @ answer + model.table.bias.numpy()[item]


@pytest.mark.parametrize("history", HISTORIES, ids=len)
def test_score_and_weights_are_the_formula(model, history):
    whole = model.score([history])[0]
    for item in range(N_ITEMS):
        chance, score = by_hand(model, history, item)
        assert whole[item] == pytest.approx(score, abs=1e-4)
        assert np.allclose(model.weights(history, item), chance, atol=1e-5)
        assert model.weights(history, item).sum() == pytest.approx(1, abs=1e-5)


def test_parts_reproduce_the_score_of_every_part_of_the_history(model):
    history, item = np.array([1, 4, 7, 0, 9]), 2
    e, a = model.parts(history, item)
    assert e.shape == a.shape == (6,) and e[0] == 1
    for code in range(2**5):
        kept = np.array([bool(code >> n & 1) for n in range(5)])
        here = np.concatenate([[True], kept])
        ratio = (e[here] * a[here]).sum() / e[here].sum() + model.table.bias.numpy()[
            item
        ]
        assert model.score([history[kept]], np.array([item]))[0, 0] == pytest.approx(
            ratio, abs=1e-5
        )


def test_the_score_is_linear_in_the_attention(model):
    history, item = np.array([1, 4, 7]), 2
    own, (_, a) = model.weights(history, item), model.parts(history, item)
    scores = model.score_of_attention(history, item)(
        np.stack([own, np.eye(4)[2]])[:, None].astype(np.float32)
    ).numpy()
    assert scores[0] == pytest.approx(model.score([history])[0, item], abs=1e-5)
    assert scores[1] == pytest.approx(a[2] + model.table.bias.numpy()[item], abs=1e-5)


def test_the_empty_history_is_the_start_token(model):
    e, a = model.parts(EMPTY, 5)
    assert e.tolist() == [1] and model.weights(EMPTY, 5).tolist() == [1]
    assert model.score([EMPTY])[0, 5] == pytest.approx(
        a[0] + model.table.bias.numpy()[5], abs=1e-5
    )


def test_order_does_not_count(model):
    assert np.allclose(
        model.score([np.array([1, 4, 7])]),
        model.score([np.array([7, 1, 4])]),
        atol=1e-5,
    )


def test_contract(model, monkeypatch):
    assert isinstance(model, HistoryModel) and model.name == "din"
    whole = model.score(HISTORIES)
    assert (
        whole.shape == (4, N_ITEMS)
        and whole.dtype == np.float32
        and np.isfinite(whole).all()
    )
    assert np.allclose(
        model.score(HISTORIES, np.array([5, 2])), whole[:, [5, 2]], atol=1e-5
    )
    assert model.score([]).shape == (0, N_ITEMS) and model.score(
        [], np.array([1])
    ).shape == (0, 1)
    monkeypatch.setattr(target_attention, "PAIRS", 1)  # one history at a time
    assert np.allclose(model.score(HISTORIES), whole, atol=1e-5)
    assert np.allclose(
        model.score([np.arange(9)]), model.score([np.arange(9)[-WINDOW:]]), atol=1e-6
    )


def test_training_scores_every_place_as_if_it_were_the_last(model):
    history = np.array([5, 2, 8, 1])
    ids = model.windows([history, history[:2]])
    places = model.model(ids).numpy()
    expected = model.score([history[:n] for n in range(5)])
    assert np.allclose(places[0], expected, atol=1e-4)
    assert np.allclose(places[1, -3:], expected[:3], atol=1e-4) and np.allclose(
        places[1, 0], expected[0], atol=1e-4
    )


def test_score_vectors_is_score_and_has_gradients(model):
    check_score_vectors(model, HISTORIES, place=1, tolerance=1e-3)


def test_there_are_no_attention_maps_between_films(model):
    with pytest.raises(TypeError, match="din"):
        model.attention(np.array([1, 2]))


def test_it_learns_which_film_decides(monkeypatch, capfd, recwarn):
    """The next film is told by the one film below 4, wherever it stands; the others are
    noise.
    """
    monkeypatch.setenv("XREC_QUIET", "1")
    set_seed(0)
    random = np.random.default_rng(0)
    noise = [random.choice([4, 5, 6, 7], 3, replace=False) for _ in range(64)]
    told = [
        np.append(random.permutation([n % 4, *noise[n]]), 8 + n % 4) for n in range(64)
    ]
    recommender = TargetAttention(np.eye(N_ITEMS), width=8, dropout=0.0, window=WINDOW)
    cases = Cases(np.arange(64), [h[:-1] for h in told], [h[-1:] for h in told])
    log = fit_next_item(
        recommender, told, cases, batch=16, epochs=40, rate=0.02, patience=40
    )
    assert (
        log[-1]["loss"] < log[0]["loss"]
        and evaluate(recommender, cases, k=1)["hr"].mean() > 0.9
    )
    attention = recommender.weights(told[0][:-1], told[0][-1])
    assert attention[1:].argmax() == np.flatnonzero(told[0][:-1] < 4)[0]
    assert capfd.readouterr().err == "" and [str(w.message) for w in recwarn] == []

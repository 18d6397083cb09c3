"""Attention on trial: other weights against the whole Keras graph, and the worst
adversary against a fine grid.
"""

from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from models_by_hand import ATTENDING, attending
from xrec_utils import set_seed
from xrec_utils.explain.attention import gradient_weighted
from xrec_utils.explain.attention_trial import AttentionTrial
from xrec_utils.games.game import history_game
from xrec_utils.keras_start import tf
from xrec_utils.models.sequence import attention_recommender, pooled_mlp

HISTORY, LONG, ITEM = np.array([1, 4, 7, 0]), np.arange(9), 10


@pytest.fixture(params=ATTENDING, scope="module")
def model(request):
    return attending(request.param)


def random_weights(trial, n):
    return np.random.default_rng(3).dirichlet(
        np.ones(trial.row.shape[1]), size=(n, len(trial.row))
    )


@pytest.mark.parametrize("history", [HISTORY[:1], HISTORY, LONG], ids=len)
def test_its_own_weights_give_its_own_score(model, history):
    trial = AttentionTrial(model, history, ITEM)
    score = model.score([history])[0, ITEM]
    assert trial.score == pytest.approx(score, abs=1e-5)
    assert trial.scores(trial.row[None]) == pytest.approx(score, abs=1e-5)
    assert len(trial.shares) == min(
        len(history), 6
    ) and trial.shares.sum() == pytest.approx(1)


@pytest.mark.parametrize("name", ["attention", "gru_attention"])
def test_other_weights_score_as_if_the_keras_layer_had_found_them(name, monkeypatch):
    model = attending(name)
    trial = AttentionTrial(model, LONG, ITEM)
    layer, ids = (
        model.encoder.get_layer(max(model.maps.output)),
        tf.constant(model.windows([LONG])),
    )
    softmax, others = layer._masked_softmax, random_weights(trial, 5)
    for weights in others:

        def replaced(scores, mask=None, new=weights):
            maps = softmax(scores, mask).numpy()
            maps[0, :, -1] = new
            return tf.constant(maps)

        monkeypatch.setattr(layer, "_masked_softmax", replaced)
        hidden = model.encoder(
            [model.table(ids), ids != model.padding], training=False
        )[0, -1]
        score = model.table.logits(hidden).numpy()[ITEM]
        assert trial.scores(weights[None]) == pytest.approx(score, abs=1e-5)
    assert np.abs(trial.scores(others) - trial.score).max() > 0.05


def test_in_target_attention_the_score_is_a_weighted_mean():
    model = attending("din")
    trial, (_, answers) = AttentionTrial(model, LONG, ITEM), model.parts(LONG, ITEM)
    weights = random_weights(trial, 8)
    expected = weights[:, 0] @ answers + model.table.bias.numpy()[ITEM]
    np.testing.assert_allclose(trial.scores(weights), expected, atol=1e-4)


def test_weights_for_all_heads_alike(model):
    trial = AttentionTrial(model, HISTORY, ITEM)
    weights = random_weights(trial, 3)[:, 0]
    alike = np.repeat(weights[:, None], len(trial.row), axis=1)
    np.testing.assert_allclose(trial.scores(weights), trial.scores(alike), atol=1e-6)
    even = trial.row.copy()
    # what each head gives to films, start token as it was
    even[:, 1:] = even[:, 1:].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(
        trial.with_shares(np.full((1, 4), 1 / 4)),
        trial.scores(even[None]),
        atol=1e-5,
    )


def test_weights_are_dealt_out_among_the_films_alike_in_all_heads(model):
    trial = AttentionTrial(model, HISTORY, ITEM)
    found, rng = trial.dealt(draws=25, seed=4), np.random.default_rng(4)
    assert found.shape == (25, *trial.row.shape)
    for weights in found:
        order = rng.permutation(4)
        np.testing.assert_array_equal(weights[:, 1:], trial.row[:, 1:][:, order])
        np.testing.assert_array_equal(weights[:, 0], trial.row[:, 0])
    assert len(np.unique(found, axis=0)) > 10
    assert np.abs(trial.scores(found) - trial.score).max() > 1e-3
    np.testing.assert_array_equal(trial.dealt(25, 4), found)


def one_layer(name):
    if name == "gru_attention":
        return attending(name)
    set_seed(0)
    model = attention_recommender(np.eye(12, 4), width=8, blocks=1, window=6)
    rng = np.random.default_rng(0)
    model.model.set_weights(
        [rng.normal(size=w.shape) / 2 for w in model.model.get_weights()]
    )
    return model


def groups_of(history):
    everyone = np.ones((1, len(history)), bool)
    drawn = np.random.default_rng(5).random((12, len(history))) < 0.5
    return np.concatenate([everyone, ~everyone, drawn])


@pytest.mark.parametrize("name", ["attention", "gru_attention"])
def test_a_film_keeps_its_weight_when_others_are_deleted(name):
    model, history = one_layer(name), LONG[:6]
    trial = AttentionTrial(model, history, ITEM)
    row, groups = trial.dealt(1, seed=2)[0], groups_of(history)
    # without a film there is nothing but the start token to attend to
    expected = [model.score([history[:0]])[0, ITEM]]
    for films in np.delete(groups, 1, axis=0):
        left = row[:, np.insert(films, 0, True)]
        left = left / left.sum(axis=1, keepdims=True)
        alone = AttentionTrial(model, history[films], ITEM)
        expected.append(alone.scores(left[None])[0])
    found = trial.game(row)(groups)
    np.testing.assert_allclose(found[1], expected[0], atol=1e-5)
    np.testing.assert_allclose(np.delete(found, 1), expected[1:], atol=1e-5)
    assert np.ptp(found) > 0.01
    # deleting other films changes the weights of a model that is not held
    chosen = history_game(model, history, ITEM)(groups)
    assert np.abs(trial.game(trial.row)(groups) - chosen)[2:].max() > 1e-4
    assert trial.game(trial.row).full() == pytest.approx(chosen[0], abs=1e-5)


def test_in_target_attention_a_weight_that_is_kept_is_the_models_own():
    model = attending("din")
    trial, groups = AttentionTrial(model, LONG[:6], ITEM), groups_of(LONG[:6])
    own = history_game(model, LONG[:6], ITEM)(groups)
    np.testing.assert_allclose(trial.game(trial.row)(groups), own, atol=1e-5)
    other = trial.game(trial.dealt(1)[0])(groups)
    assert np.abs(other - own)[0] > 1e-3
    assert other[1] == pytest.approx(own[1], abs=1e-5)


def test_weights_are_held_in_one_layer_of_histories_that_fit(model):
    with pytest.raises(ValueError, match="broadcast"):
        AttentionTrial(model, LONG, ITEM).game(np.ones((1, 7))).full()
    two = AttentionTrial(attending("attention"), HISTORY, ITEM)
    with pytest.raises(ValueError, match="layer"):
        two.game(two.row).full()


def test_gradient_weights_of_other_attention():
    model = attending("din")
    trial, (_, answers) = AttentionTrial(model, LONG, ITEM), model.parts(LONG, ITEM)
    row = trial.dealt(1)[0]
    found = gradient_weighted(model, LONG, ITEM, row=row).values
    expected = (row[0] * answers[-row.shape[1] :])[1:]
    np.testing.assert_allclose(found[-len(expected) :], expected, atol=1e-5)
    own = gradient_weighted(model, LONG, ITEM).values
    np.testing.assert_allclose(
        gradient_weighted(model, LONG, ITEM, row=trial.row).values, own
    )
    assert np.abs(found - own).max() > 1e-3


def test_one_film_has_nowhere_to_move(model):
    trial = AttentionTrial(model, HISTORY[:1], ITEM)
    np.testing.assert_array_equal(trial.dealt(3), np.stack([trial.row] * 3))
    found = trial.adversarial(0.1)
    assert (
        found.shares.tolist() == [1]
        and found.divergence == 0
        and found.change == pytest.approx(0, abs=1e-6)
    )


@pytest.mark.parametrize("eps", [0.02, 0.2])
def test_no_point_of_a_fine_grid_beats_the_adversary_of_target_attention(eps):
    trial = AttentionTrial(attending("din"), HISTORY[:3], ITEM)
    steps = [(i, j, 300 - i - j) for i in range(301) for j in range(301 - i)]
    grid = np.array(steps) / 300
    inside = np.abs(trial.with_shares(grid) - trial.score) <= eps
    best = (jensenshannon(grid[inside], trial.shares[None], axis=1) ** 2).max()
    found = trial.adversarial(eps)
    assert inside.sum() > 20 and best - 1e-3 <= found.divergence <= best + 0.02
    assert found.divergence > 0.1 and np.count_nonzero(found.shares) <= 2


def test_an_adversary_keeps_its_bound_and_says_how_far_it_went(model):
    trial = AttentionTrial(model, LONG, ITEM)
    found = [trial.adversarial(eps) for eps in (0.01, 0.1, 100.0)]
    for adversary, eps in zip(found, (0.01, 0.1, 100.0), strict=True):
        assert adversary.change == pytest.approx(
            trial.with_shares(adversary.shares[None])[0] - trial.score, abs=1e-5
        )
        assert abs(adversary.change) <= eps and adversary.shares.sum() == pytest.approx(
            1
        )
        divergence = jensenshannon(adversary.shares, trial.shares) ** 2
        assert adversary.divergence == pytest.approx(
            divergence
        ) and 0 < divergence <= np.log(2)
    assert all(low.divergence <= high.divergence for low, high in pairwise(found))
    assert (
        found[-1].shares[trial.shares.argmin()] == 1
    )  # free to choose: all on the least regarded film


def test_without_an_example_the_own_weights_come_back(monkeypatch):
    trial = AttentionTrial(attending("din"), HISTORY, ITEM)
    monkeypatch.setattr(
        trial, "with_shares", lambda shares: np.full(len(shares), trial.score + 1)
    )
    found = trial.adversarial(0.1)
    assert (
        np.array_equal(found.shares, trial.shares)
        and found.divergence == 0 == found.change
    )


def test_what_cannot_be_tried_is_refused(model):
    trial = AttentionTrial(model, HISTORY, ITEM)
    with pytest.raises(ValueError, match=r"eps=0 must be positive"):
        trial.adversarial(0)
    with pytest.raises(ValueError, match=r"weights must be \(n, 5\)"):
        trial.scores(np.ones((2, 4)))
    with pytest.raises(ValueError, match="item 4 is in the history"):
        AttentionTrial(model, HISTORY, 4)
    with pytest.raises(TypeError, match="without attention"):
        AttentionTrial(pooled_mlp(np.eye(12, 4), width=8), HISTORY, ITEM)
    with pytest.raises(TypeError, match="without attention"):
        pooled_mlp(np.eye(12, 4), width=8).score_of_attention(HISTORY, ITEM)

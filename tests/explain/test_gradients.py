"""Gradients at the embedding and at rows of ones and zeros, against closed forms."""

import numpy as np
import pytest

from models_by_hand import Additive, attending
from xrec_tools.bench.expected_gradients import expected_gradients
from xrec_utils.explain.gradients import gradient_times_input, integrated_gradients
from xrec_utils.keras_start import tf
from xrec_utils.models import autoencoders

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(6, 3)).astype(np.float32)
HISTORY = np.array([4, 0, 2, 5])


class Toy:
    """Embeds by TABLE, keeps the latest `window` films, and scores with a given
    TensorFlow function.
    """

    name, n_items = "toy", len(TABLE)

    def __init__(self, score, window=10):
        self.score, self.window = score, window

    def vectors(self, history):
        return TABLE[history][-self.window :]

    def score_vectors(self, vectors, item):
        return self.score(vectors, tf.constant(TABLE[item]))


def linear(vectors, target):
    return 0.7 + tf.reduce_sum(vectors * target, axis=(1, 2))


def quadratic(vectors, target):
    return tf.reduce_sum(tf.reduce_sum(vectors, axis=1) * target, axis=1) ** 2


def softmax_pool(vectors, target):
    inner = tf.linalg.matvec(vectors, target)
    return tf.reduce_sum(tf.nn.softmax(inner) * inner, axis=1)


@pytest.mark.parametrize("method", [integrated_gradients, gradient_times_input])
def test_linear_score_is_explained_exactly(method):
    found = method(Toy(linear), HISTORY, 1)
    np.testing.assert_allclose(found.values, TABLE[HISTORY] @ TABLE[1], rtol=1e-5)
    assert found.base == pytest.approx(0.7)
    assert found.gap == pytest.approx(0, abs=1e-5)
    assert found.error is None and found.seconds > 0


def test_one_point_is_exact_for_a_quadratic():
    inner = TABLE[HISTORY] @ TABLE[1]
    found = integrated_gradients(Toy(quadratic), HISTORY, 1, steps=1)
    np.testing.assert_allclose(found.values, inner * inner.sum(), rtol=1e-4)
    assert found.gap == pytest.approx(0, abs=1e-4)


def test_gradient_times_input_overshoots_a_quadratic_twofold():
    found = gradient_times_input(Toy(quadratic), HISTORY, 1)
    assert found.values.sum() == pytest.approx(2 * found.score, rel=1e-4)
    assert found.gap == pytest.approx(-found.score, rel=1e-4)


def test_completeness_improves_with_points():
    gaps = [
        abs(integrated_gradients(Toy(softmax_pool), HISTORY, 1, steps=steps).gap)
        for steps in (1, 2, 4, 100)
    ]
    # beyond four points float32 has no digits left to gain
    assert gaps[0] > gaps[1] > gaps[2]
    assert max(gaps[2:]) < 1e-5


def test_agrees_with_a_fine_riemann_sum():
    toy, vectors = Toy(softmax_pool), TABLE[HISTORY]
    total = np.zeros(len(HISTORY))
    for t in (np.arange(200) + 0.5) / 200:
        point = tf.constant(t * vectors[None], dtype=tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(point)
            score = toy.score_vectors(point, 1)
        total += (tape.gradient(score, point).numpy()[0] * vectors).sum(axis=1) / 200
    np.testing.assert_allclose(
        integrated_gradients(toy, HISTORY, 1).values, total, atol=1e-4
    )


def test_names_and_films_before_the_window():
    titles = [f"Film {code}" for code in range(6)]
    found = integrated_gradients(Toy(linear, window=2), HISTORY, 1, titles=titles)
    assert found.players == ("Film 4", "Film 0", "Film 2", "Film 5")
    assert found.target == "score of Film 1"
    np.testing.assert_allclose(found.values[:2], 0)
    np.testing.assert_allclose(found.values[2:], TABLE[[2, 5]] @ TABLE[1], rtol=1e-5)
    assert gradient_times_input(Toy(linear), HISTORY, 1).players[0] == "item 4"


def test_a_score_that_ignores_the_history_has_zero_gradient():
    found = integrated_gradients(
        Toy(lambda vectors, target: tf.ones(tf.shape(vectors)[0])), HISTORY, 1
    )
    np.testing.assert_array_equal(found.values, 0)


@pytest.mark.parametrize("method", [integrated_gradients, gradient_times_input])
def test_an_empty_history_has_nothing_to_explain(method):
    with pytest.raises(ValueError, match="history is empty"):
        method(Toy(linear), HISTORY[:0], 1)


def test_a_model_without_numbers_to_move_is_named():
    with pytest.raises(
        TypeError, match="Additive offers neither score_vectors nor score_inputs"
    ):
        gradient_times_input(Additive(), HISTORY, 1)


@pytest.mark.parametrize("method", [integrated_gradients, gradient_times_input])
def test_only_an_unseen_film_of_the_catalogue_is_explained(method):
    with pytest.raises(ValueError, match=r"codes in 0\.\.5"):
        method(Toy(linear), HISTORY, 6)
    with pytest.raises(ValueError, match="item 5 is in the history"):
        method(Toy(linear), HISTORY, 5)


def test_no_points_no_integral():
    with pytest.raises(ValueError, match="steps=0 must be a whole number"):
        integrated_gradients(Toy(linear), HISTORY, 1, steps=0)


class Rows:
    """Scores rows of ones and zeros: 0.7 + W row, the linear model."""

    name, n_items, weights = "rows", 6, RNG.normal(size=(6, 6)).astype(np.float32)

    def score_inputs(self, inputs, item):
        return 0.7 + tf.linalg.matvec(
            tf.cast(inputs, tf.float32), self.weights[:, item]
        )


def autoencoder(name):
    model = getattr(autoencoders, name)(12, 5)
    rng = np.random.default_rng(1)
    model.model.set_weights(
        [rng.normal(size=w.shape) for w in model.model.get_weights()]
    )
    return model


@pytest.mark.parametrize("method", [integrated_gradients, gradient_times_input])
def test_linear_rows_are_explained_by_their_weights(method):
    found = method(Rows(), HISTORY, 1, titles=list("ABCDEF"))
    np.testing.assert_allclose(found.values, Rows.weights[HISTORY, 1], rtol=1e-5)
    assert found.players == tuple("EACF") and found.target == "score of B"
    assert found.base == pytest.approx(0.7) and found.gap == pytest.approx(0, abs=1e-5)


def test_one_tanh_layer_against_a_fine_sum_in_numpy():
    model = autoencoder("dae")
    hidden, out = model.model.get_layer("hidden"), model.model.get_layer("logits")
    (w, b), u = (
        (x.numpy().astype(float) for x in hidden.weights),
        out.kernel.numpy()[:, 1],
    )
    t = (np.arange(4000) + 0.5)[:, None] / 4000
    slopes = (1 - np.tanh(b + t * w[HISTORY].sum(axis=0)) ** 2).mean(axis=0)
    found = integrated_gradients(model, HISTORY, 1)
    np.testing.assert_allclose(found.values, (w[HISTORY] * slopes) @ u, atol=1e-4)
    assert (
        abs(found.gap) < 1e-4
        and abs(gradient_times_input(model, HISTORY, 1).gap) > 1e-2
    )
    ends = model.score([HISTORY[:0], HISTORY])[:, 1]
    assert [found.base, found.score] == pytest.approx(ends.tolist(), abs=1e-5)


def test_a_line_to_an_input_of_length_one_only_orders():
    line, point = (
        method(autoencoder("vae"), HISTORY, 1)
        for method in (integrated_gradients, gradient_times_input)
    )
    assert line.values.sum() == pytest.approx(0, abs=1e-4)
    assert line.gap == pytest.approx(line.score - line.base, abs=1e-4)
    np.testing.assert_allclose(
        line.values / line.values[0], point.values / point.values[0], rtol=1e-3
    )


def test_expected_gradients_of_a_linear_score_are_differences_from_the_mean():
    background = [np.array([1]), np.array([2, 3, 1, 0, 4]), HISTORY[:0]]
    exact = TABLE[HISTORY] - np.mean(
        [TABLE[[1, 1, 1, 1]], TABLE[[3, 1, 0, 4]], 0 * TABLE[:4]], axis=0
    )
    found = expected_gradients(Toy(linear), HISTORY, 1, background, samples=400)
    assert (np.abs(found.values - exact @ TABLE[1]) < 4 * found.error + 1e-6).all()
    assert found.gap == pytest.approx(0, abs=1e-4) and "400 samples" in found.method
    empty = expected_gradients(Toy(linear), HISTORY, 1, [HISTORY[:0]], samples=2)
    np.testing.assert_allclose(empty.values, TABLE[HISTORY] @ TABLE[1], rtol=1e-4)
    np.testing.assert_allclose(empty.error, 0, atol=1e-6)


def test_films_of_the_background_outside_the_history_go_to_the_base():
    other, w = np.array([1, 0, 3]), Rows.weights[:, 2]
    found = expected_gradients(Rows(), np.array([4, 0, 5]), 2, [other], samples=10)
    np.testing.assert_allclose(found.values, [w[4], 0, w[5]], rtol=1e-5)
    assert found.base == pytest.approx(
        0.7 + w[0], abs=1e-5
    ) and found.gap == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", ["dae", "vae"])
def test_expected_gradients_state_an_honest_error(name):
    model = autoencoder(name)
    background = [
        np.random.default_rng(n).choice(12, 4, replace=False) for n in range(30)
    ]
    few = [
        expected_gradients(model, HISTORY, 1, background, 60, seed)
        for seed in range(20)
    ]
    values, error = (
        np.array([f.values for f in few]),
        np.array([f.error for f in few]).mean(axis=0),
    )
    assert (0.6 * error < values.std(axis=0, ddof=1)).all() and (
        values.std(axis=0, ddof=1) < 1.7 * error
    ).all()
    many = expected_gradients(model, HISTORY, 1, background, 5000)
    assert (np.abs(values.mean(axis=0) - many.values) < 4.5 * error / np.sqrt(20)).all()
    assert abs(many.gap) < 0.05 * max(
        abs(many.score - many.base), np.abs(many.values).sum()
    )
    again = expected_gradients(model, HISTORY, 1, background, 60, 0)
    assert np.array_equal(again.values, few[0].values) and not np.allclose(
        few[0].values, few[1].values
    )


def test_a_film_before_the_window_gets_nothing_from_any_gradient():
    model, history = attending("attention"), np.arange(9)
    for found in (
        integrated_gradients(model, history, 10),
        gradient_times_input(model, history, 10),
        expected_gradients(model, history, 10, [np.array([9, 11])], 20),
    ):
        assert (
            np.array_equal(found.values[:3], np.zeros(3))
            and (found.values[3:] != 0).all()
        )
    assert np.array_equal(found.error[:3], np.zeros(3)) and (found.error[3:] > 0).all()
    cut = expected_gradients(
        Toy(linear, window=2), HISTORY, 1, [np.array([3, 3, 3, 1])], 5
    )
    np.testing.assert_allclose(
        cut.values, [0, 0, *((TABLE[[2, 5]] - TABLE[[3, 1]]) @ TABLE[1])], atol=1e-5
    )


def test_a_layer_replaced_between_two_calls_is_followed(monkeypatch):
    """Notebook 12 holds the attention fixed this way: nothing may be remembered."""
    model = attending("attention")
    before = gradient_times_input(model, HISTORY, 1).values
    layer = model.encoder.get_layer("attention_1")
    softmax = layer._masked_softmax
    with monkeypatch.context() as patch:
        patch.setattr(
            layer,
            "_masked_softmax",
            lambda scores, mask=None: tf.stop_gradient(softmax(scores, mask)),
        )
        held = gradient_times_input(model, HISTORY, 1).values
    assert np.abs(held - before).max() > 1e-3
    after = gradient_times_input(model, HISTORY, 1).values
    np.testing.assert_allclose(after, before, atol=1e-6)


@pytest.mark.parametrize("samples, background", [(1, [HISTORY]), (10, [])])
def test_expected_gradients_need_samples_and_a_background(samples, background):
    with pytest.raises(
        ValueError, match=f"{samples} samples of {len(background)} background histories"
    ):
        expected_gradients(Toy(linear), HISTORY, 1, background, samples)


@pytest.mark.parametrize("method", [integrated_gradients, gradient_times_input])
def test_copies_of_a_film_share_what_a_row_of_ones_says_of_it(method):
    """A row holds a film once however often it stands in the history."""
    once = method(Rows(), np.array([4, 0, 5]), 2)
    twice = method(Rows(), np.array([4, 4, 0, 5, 4]), 2)
    assert twice.gap == pytest.approx(0, abs=1e-5)
    shared = once.values[[0, 0, 1, 2, 0]] / [3, 3, 1, 1, 3]
    np.testing.assert_allclose(twice.values, shared, atol=1e-6)

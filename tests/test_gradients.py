"""Gradients at the embedding, against closed forms."""

import numpy as np
import pytest

from xrec_utils.explain.gradients import gradient_times_input, integrated_gradients
from xrec_utils.keras_start import tf

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(6, 3)).astype(np.float32)
HISTORY = np.array([4, 0, 2, 5])


class Toy:
    """Embeds by TABLE, keeps the latest `window` films, and scores with a given TensorFlow function."""

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
    gaps = [abs(integrated_gradients(Toy(softmax_pool), HISTORY, 1, steps=steps).gap) for steps in (1, 4, 100)]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-5


def test_agrees_with_a_fine_riemann_sum():
    toy, vectors = Toy(softmax_pool), TABLE[HISTORY]
    total = np.zeros(len(HISTORY))
    for t in (np.arange(200) + 0.5) / 200:
        point = tf.constant(t * vectors[None], dtype=tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(point)
            score = toy.score_vectors(point, 1)
        total += (tape.gradient(score, point).numpy()[0] * vectors).sum(axis=1) / 200
    np.testing.assert_allclose(integrated_gradients(toy, HISTORY, 1).values, total, atol=1e-4)


def test_names_and_films_before_the_window():
    titles = [f"Film {code}" for code in range(6)]
    found = integrated_gradients(Toy(linear, window=2), HISTORY, 1, titles=titles)
    assert found.players == ("Film 4", "Film 0", "Film 2", "Film 5")
    assert found.target == "score of Film 1"
    np.testing.assert_allclose(found.values[:2], 0)
    np.testing.assert_allclose(found.values[2:], TABLE[[2, 5]] @ TABLE[1], rtol=1e-5)
    assert gradient_times_input(Toy(linear), HISTORY, 1).players[0] == "item 4"


def test_a_score_that_ignores_the_history_has_zero_gradient():
    found = integrated_gradients(Toy(lambda vectors, target: tf.ones(tf.shape(vectors)[0])), HISTORY, 1)
    np.testing.assert_array_equal(found.values, 0)


@pytest.mark.parametrize("method", [integrated_gradients, gradient_times_input])
def test_an_empty_history_has_nothing_to_explain(method):
    with pytest.raises(ValueError, match="history is empty"):
        method(Toy(linear), HISTORY[:0], 1)


def test_no_points_no_integral():
    with pytest.raises(ValueError, match="at least one point"):
        integrated_gradients(Toy(linear), HISTORY, 1, steps=0)

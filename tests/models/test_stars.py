"""Models of stars against loops, closed forms and planted truth."""

import numpy as np
import pytest

from xrec_utils.metrics.ratings import rmse
from xrec_utils.models.stars import (
    Baseline,
    ItemNeighbours,
    MatrixFactorisation,
    sgd_step,
    shrunk_correlation,
)

RNG = np.random.default_rng(0)
USERS, ITEMS = (
    part.ravel() for part in np.meshgrid(np.arange(40), np.arange(30), indexing="ij")
)
TASTE, KIND = RNG.normal(size=(40, 2)), RNG.normal(size=(30, 2))
GENEROUS, GOOD = RNG.normal(0, 0.4, 40), RNG.normal(0, 0.4, 30)
STARS = np.clip(
    3.5 + GENEROUS[USERS] + GOOD[ITEMS] + 0.4 * (TASTE @ KIND.T)[USERS, ITEMS], 0.5, 5
)
TRAIN = RNG.random(len(STARS)) < 0.6
KNOWN = USERS[TRAIN], ITEMS[TRAIN], STARS[TRAIN]
HELD = USERS[~TRAIN], ITEMS[~TRAIN], STARS[~TRAIN]
MODELS = [
    Baseline(),
    MatrixFactorisation(width=4, rate=0.03, penalty=0.02, epochs=150, batch=50),
    ItemNeighbours(),
]


@pytest.fixture(params=MODELS, ids=lambda model: type(model).__name__)
def model(request):
    return request.param.fit(*KNOWN)


def test_baseline_solves_its_ridge_regression():
    """Biases with shrinkage c are those of least squares with penalty c on their
    squares.
    """
    users, items, values = KNOWN
    marks = np.zeros((len(values), 70))
    marks[np.arange(len(values)), users] = marks[np.arange(len(values)), 40 + items] = 1
    penalty = np.diag(np.r_[np.full(40, 2.0), np.full(30, 7.0)])
    solved = np.linalg.solve(
        marks.T @ marks + penalty, marks.T @ (values - values.mean())
    )
    model = Baseline(2.0, 7.0, rounds=200).fit(*KNOWN)
    assert np.allclose(model.user_bias[:40], solved[:40], atol=1e-6)
    assert np.allclose(model.item_bias[:30], solved[40:], atol=1e-6)


def test_baseline_by_hand():
    """Two users, one film, 4 and 2 stars, no shrinkage: the film has no bias, the users
    have plus and minus one.
    """
    model = Baseline(0, 0, rounds=1).fit(
        np.array([0, 1]), np.array([0, 0]), np.array([4.0, 2.0])
    )
    assert model.predict(np.array([0, 1]), np.array([0, 0])).tolist() == [4.0, 2.0]


def test_factorisation_equals_the_loop_over_single_ratings():
    """A batch of one is stochastic gradient descent as in the paper."""
    users, items, values = (part[:60] for part in KNOWN)
    model = MatrixFactorisation(width=3, epochs=2, batch=1).fit(users, items, values)
    slow = MatrixFactorisation(width=3, epochs=0).fit(users, items, values)
    rng = np.random.default_rng(0)
    for shape in (slow.user_factors, slow.item_factors):
        rng.normal(0, 0.1, shape.shape)
    bu, bi, p, q = slow.user_bias, slow.item_bias, slow.user_factors, slow.item_factors
    for _ in range(2):
        for n in rng.permutation(60):
            u, i = users[n], items[n]
            error = values[n] - (values.mean() + bu[u] + bi[i] + p[u] @ q[i])
            bu[u] += slow.rate * (error - slow.penalty * bu[u])
            bi[i] += slow.rate * (error - slow.penalty * bi[i])
            p[u], q[i] = (
                p[u] + slow.rate * (error * q[i] - slow.penalty * p[u]),
                q[i] + slow.rate * (error * p[u] - slow.penalty * q[i]),
            )
    assert np.allclose(model.user_factors, p) and np.allclose(model.item_factors, q)
    assert np.allclose(model.user_bias, bu) and np.allclose(model.item_bias, bi)


def test_a_step_goes_down_the_gradient_of_the_loss():
    """Also where a user stands in the batch more than once."""
    users, items, values = (
        np.array([0, 0, 1]),
        np.array([2, 1, 2]),
        np.array([5.0, 1.0, 4.0]),
    )
    model = MatrixFactorisation(width=2, epochs=1, batch=3).fit(users, items, values)

    def loss():
        of_users, of_items = (
            (model.user_bias, model.user_factors),
            (model.item_bias, model.item_factors),
        )
        lengths = sum((table[users] ** 2).sum() for table in of_users)
        lengths += sum((table[items] ** 2).sum() for table in of_items)
        return (
            0.5 * ((values - model.expected(users, items)) ** 2).sum()
            + 0.5 * model.penalty * lengths
        )

    tables = (model.user_bias, model.item_bias, model.user_factors, model.item_factors)
    slopes = []
    for table in tables:
        slope = np.zeros_like(table)
        for place in np.ndindex(table.shape):
            table[place] += 1e-5
            above = loss()
            table[place] -= 2e-5
            slope[place] = (above - loss()) / 2e-5
            table[place] += 1e-5
        slopes.append(slope)
    before = [table.copy() for table in tables]
    sgd_step(model, users, items, values)
    for old, table, slope in zip(before, tables, slopes, strict=True):
        assert np.allclose(table, old - model.rate * slope, atol=1e-8)


def correlation_by_loop(left, rated, shrink):
    n = left.shape[1]
    result = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            both = (rated[:, i] > 0) & (rated[:, j] > 0)
            length = np.sqrt((left[both, i] ** 2).sum() * (left[both, j] ** 2).sum())
            if i != j and both.any():
                result[i, j] = max(
                    left[both, i]
                    @ left[both, j]
                    / length
                    * both.sum()
                    / (both.sum() + shrink),
                    0,
                )
    return result


def test_neighbours_by_loop():
    model = ItemNeighbours(5, 10.0).fit(*KNOWN)
    similarity = correlation_by_loop(model.left, model.rated, 10.0)
    assert np.allclose(
        shrunk_correlation(model.left, model.rated, 10.0), similarity, atol=1e-5
    )
    users, items, _ = HELD
    predicted = model.predict(users[:50], items[:50], batch=7)
    for u, i, got in zip(users[:50], items[:50], predicted, strict=True):
        weights = np.where(model.rated[u] > 0, similarity[i], 0)
        near = np.argsort(-weights)[:5]
        expected = model.baseline.expected(np.array([u]), np.array([i]))[0]
        if weights[near].sum() > 0:
            expected += weights[near] @ model.left[u, near] / weights[near].sum()
        assert got == pytest.approx(
            np.clip(expected, model.baseline.low, model.baseline.high), abs=1e-4
        )


def test_learned_tastes_beat_the_baseline(model):
    users, items, values = HELD
    baseline = rmse(values, Baseline().fit(*KNOWN).predict(users, items))
    assert rmse(values, model.predict(users, items)) < baseline * (
        1.001 if isinstance(model, Baseline) else 0.9
    )


def test_nobody_unseen_is_refused(model):
    """An unseen film leaves mean and user bias, an unseen user mean and film bias, both
    leave the mean.
    """
    mean = STARS[TRAIN].mean()
    biases = model.baseline if isinstance(model, ItemNeighbours) else model
    got = model.predict(np.array([3, 1000, 1000]), np.array([1000, 4, 1000]))
    assert np.allclose(
        got, [mean + biases.user_bias[3], mean + biases.item_bias[4], mean]
    )


def test_a_code_without_training_ratings_counts_as_unseen(model):
    users, items, values = (part[KNOWN[0] != 5] for part in KNOWN)
    again = type(model)().fit(users, items, values)
    assert np.allclose(
        again.predict(np.array([5]), np.array([4])),
        again.predict(np.array([1000]), np.array([4])),
    )


def test_predictions_stay_on_the_scale(model):
    stars = model.predict(USERS, ITEMS)
    assert stars.shape == USERS.shape
    assert stars.min() >= STARS[TRAIN].min() and stars.max() <= STARS[TRAIN].max()

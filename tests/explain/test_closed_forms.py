"""Closed forms against brute force over all groups, and against the axioms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from code_lines import code_lines
from xrec_utils.explain import closed_forms
from xrec_utils.explain.closed_forms import (
    bilinear,
    linear,
    mean_pool,
    softmax_pool,
)
from xrec_utils.explain.shapley import brute_force
from xrec_utils.games.game import Game

numbers = st.floats(-10, 10, allow_subnormal=False)
players = st.integers(1, 6)


def truth(value, n):
    """Exact values, base and score of the game `value` of n players."""
    return brute_force(Game(tuple(map(str, range(n))), "score", value))


def ratio(above, below, empty):
    """above / below, and `empty` where nobody is there."""
    return np.where(below > 0, above / np.where(below > 0, below, 1), empty)


def linear_game(weights):
    return lambda m: m @ weights


def bilinear_game(weights, vectors):
    def value(m):
        sums = m @ vectors
        squares = m @ (vectors**2).sum(axis=1)
        return m @ weights + ((sums**2).sum(axis=1) - squares) / 2

    return value


def mean_game(answers, empty):
    return lambda m: ratio(m @ answers, m.sum(axis=1), empty)


def softmax_game(weights, answers, start, empty):
    weight, answer = start or (0.0, 0.0)
    return lambda m: ratio(
        weight * answer + m @ (weights * answers), weight + m @ weights, empty
    )


def instances(seed):
    """A thousand draws: generator, number of players from 1 to 8."""
    rng = np.random.default_rng(seed)
    for _ in range(1000):
        yield rng, int(rng.integers(1, 9))


def test_linear_is_brute_force():
    for rng, n in instances(0):
        weights = rng.normal(size=n)
        np.testing.assert_allclose(
            linear(weights), truth(linear_game(weights), n).values, rtol=0, atol=1e-10
        )


def test_bilinear_is_brute_force():
    for rng, n in instances(1):
        weights, vectors = rng.normal(size=n), rng.normal(size=(n, 3))
        found = bilinear(weights, vectors)
        np.testing.assert_allclose(
            found, truth(bilinear_game(weights, vectors), n).values, rtol=0, atol=1e-10
        )


def test_mean_pool_is_brute_force():
    for rng, n in instances(2):
        answers, empty = rng.normal(size=n), rng.normal()
        found = mean_pool(answers, empty)
        np.testing.assert_allclose(
            found, truth(mean_game(answers, empty), n).values, rtol=0, atol=1e-10
        )


def test_softmax_pool_is_brute_force():
    for rng, n in instances(4):
        spread, empty = rng.uniform(0, 10), rng.normal()
        weights, answers = np.exp(rng.uniform(-spread, 0, n)), rng.normal(size=n)
        start = (
            None
            if rng.random() < 0.5
            else (np.exp(rng.uniform(-spread, 0)), rng.normal())
        )
        found, error = softmax_pool(weights, answers, start, empty)
        exact = truth(softmax_game(weights, answers, start, empty), n).values
        np.testing.assert_allclose(found, exact, rtol=0, atol=1e-10)
        assert np.abs(found - exact).max() <= 1e-6 * np.abs(exact).max()
        assert error.max() < 1e-8


@pytest.mark.parametrize("start", [None, (1.0, 0.3), (4e-5, -2.0)])
@pytest.mark.parametrize("n", [11, 12])
def test_softmax_pool_at_a_logit_spread_of_ten(n, start):
    """Every single value to a relative 1e-6, with answers that hardly differ beside
    their size.
    """
    logits = np.linspace(-10, 0, n)
    rng = np.random.default_rng(n)
    rng.shuffle(logits)
    answers = 100 + rng.normal(size=n)
    found, _ = softmax_pool(np.exp(logits), answers, start)
    np.testing.assert_allclose(
        found,
        truth(softmax_game(np.exp(logits), answers, start, 0.0), n).values,
        rtol=1e-6,
    )


@pytest.mark.parametrize("start", [None, (1.0, 0.3), (4e-5, -2.0)])
def test_two_hundred_players_share_the_score(start):
    rng = np.random.default_rng(0)
    weights, answers = np.exp(rng.uniform(-10, 0, 200)), rng.normal(size=200)
    found, error = softmax_pool(weights, answers, start)
    full, base = softmax_game(weights, answers, start, 0.0)(
        np.array([[True] * 200, [False] * 200])
    )
    assert found.sum() == pytest.approx(full - base, abs=1e-9)
    assert error.max() < 1e-8


def test_softmax_with_equal_weights_is_the_mean():
    answers = np.random.default_rng(0).normal(size=150)
    found, _ = softmax_pool(np.full(150, 7.0), answers, empty=-3.0)
    np.testing.assert_allclose(
        found, mean_pool(answers, empty=-3.0), rtol=0, atol=1e-12
    )


def test_parts_of_the_integral_add_up(monkeypatch):
    weights, answers = np.exp(np.linspace(-6, 0, 20)), np.arange(20.0)
    whole = softmax_pool(weights, answers)[0]
    monkeypatch.setattr(closed_forms, "CELLS", 2000)
    np.testing.assert_allclose(softmax_pool(weights, answers)[0], whole, rtol=1e-12)


# ---------------------------------------------------------------- axioms

FORMS = {
    "linear": lambda a, w: (linear(a), linear_game(a)),
    "bilinear": lambda a, w: (bilinear(a, np.c_[w, a]), bilinear_game(a, np.c_[w, a])),
    "mean": lambda a, w: (mean_pool(a, 2.0), mean_game(a, 2.0)),
    "softmax": lambda a, w: (
        softmax_pool(np.exp(w), a)[0],
        softmax_game(np.exp(w), a, None, 0.0),
    ),
    "start": lambda a, w: (
        softmax_pool(np.exp(w), a, (0.5, 1.0))[0],
        softmax_game(np.exp(w), a, (0.5, 1.0), 0.0),
    ),
}
answered = players.flatmap(
    lambda n: st.tuples(
        arrays(float, n, elements=numbers), arrays(float, n, elements=numbers)
    )
)


@pytest.mark.parametrize("form", FORMS)
@given(answered)
def test_efficiency(form, drawn):
    answers, weights = drawn
    values, game = FORMS[form](answers, weights / 2)
    ends = game(np.array([[True] * len(answers), [False] * len(answers)]))
    assert values.sum() == pytest.approx(ends[0] - ends[1], abs=1e-7)


@pytest.mark.parametrize("form", FORMS)
@given(answered)
def test_symmetry(form, drawn):
    """A twin of the first player gets what the first player gets."""
    answers, weights = (np.append(column, column[0]) for column in drawn)
    values, _ = FORMS[form](answers, weights / 2)
    assert values[0] == pytest.approx(values[-1], abs=1e-8)


@given(answered)
def test_null_players_get_nothing(drawn):
    """A player who never changes the score: no weight, no answer, or the answer that
    everyone has.
    """
    answers, weights = drawn
    assert linear(np.append(answers, 0.0))[-1] == 0
    assert (
        bilinear(
            np.append(answers, 0.0),
            np.append(np.c_[weights, answers], [[0.0, 0.0]], axis=0),
        )[-1]
        == 0
    )
    same = np.full(len(answers), 3.5)
    np.testing.assert_allclose(mean_pool(same, empty=3.5), 0, atol=1e-12)
    np.testing.assert_allclose(
        softmax_pool(np.exp(weights), same, empty=3.5)[0], 0, atol=1e-12
    )
    np.testing.assert_allclose(
        softmax_pool(np.exp(weights), same, (2.0, 3.5))[0], 0, atol=1e-12
    )
    unheard = softmax_pool(
        np.append(np.exp(weights / 2), 1e-12), np.append(answers, 5.0), (1.0, 1.0)
    )[0]
    assert unheard[-1] == pytest.approx(0, abs=1e-7)


@given(answered, st.permutations(range(6)))
def test_names_do_not_matter(drawn, order):
    answers, weights = drawn
    order = np.array([i for i in order if i < len(answers)])
    for form in FORMS.values():
        values, _ = form(answers, weights / 2)
        np.testing.assert_allclose(
            form(answers[order], weights[order] / 2)[0], values[order], atol=1e-8
        )


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: linear([]),
            r"weights must be a 1-D array of finite numbers, got shape \(0,\)",
        ),
        (
            lambda: linear([1.0, np.nan]),
            r"weights must be .* 1 NaN or infinite, at \[1\]",
        ),
        (lambda: mean_pool(np.ones((2, 2))), r"answers must be .* got shape \(2, 2\)"),
        (
            lambda: bilinear([1.0], np.ones((2, 3))),
            r"one row for each of 1 weights, got \(2, 3\)",
        ),
        (
            lambda: bilinear([1.0], [[np.nan]]),
            "vectors must be a 2-D array of finite numbers",
        ),
        (
            lambda: softmax_pool([1.0, 2.0], [1.0]),
            "weights and answers must have one shape",
        ),
        (lambda: mean_pool([1.0], empty=np.nan), r"empty must be .* 1 NaN or infinite"),
        (
            lambda: softmax_pool([1.0], [1.0], empty=np.inf),
            r"empty must be .* 1 NaN or infinite",
        ),
        (
            lambda: softmax_pool([1.0, 0.0], [1.0, 2.0]),
            r"must be above 0: pass exp\(logits - largest logit\)",
        ),
        (lambda: softmax_pool([1.0], [1.0], (0.0, 2.0)), "must be above 0"),
        (lambda: softmax_pool([1.0], [1.0], (1.0, np.nan)), "finite"),
        (
            lambda: softmax_pool([1.0, 2.0], [1.0, 2.0], tolerance=-1.0),
            "tolerance=-1.0 must be larger",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_every_formula_is_short_enough_to_show():
    for function in (
        linear,
        bilinear,
        mean_pool,
        softmax_pool,
        closed_forms._integral,
    ):
        assert code_lines(function) <= 25

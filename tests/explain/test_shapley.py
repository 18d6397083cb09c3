"""Shapley values against the literal formula, the axioms and closed forms."""

from functools import partial
from itertools import combinations, permutations
from math import factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from code_lines import code_lines
from models_by_hand import Additive, MeanPool, Recent, Tanh, table_game
from xrec_utils.explain import shapley
from xrec_utils.explain.baselines import leave_one_out, most_recent, random_order
from xrec_utils.explain.interactions import shapley_interactions
from xrec_utils.explain.leverage import leverage_regression
from xrec_utils.explain.shapley import (
    brute_force,
    permutation_sampling,
    stated_errors,
)
from xrec_utils.games.features import feature_game
from xrec_utils.games.game import Game, history_game
from xrec_utils.models.classic import UserKNN

HISTORY, ITEM = np.array([4, 17, 8, 30, 2, 21, 11]), 33
numbers = st.floats(-10, 10, allow_subnormal=False)
tables = st.integers(1, 5).flatmap(lambda n: arrays(float, 2**n, elements=numbers))


def literal(scores):
    """The subset formula, word by word."""
    n = int(np.log2(len(scores)))
    phi = np.zeros(n)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        for size in range(n):
            for group in combinations(others, size):
                place = sum(2**j for j in group)
                weight = factorial(size) * factorial(n - size - 1) / factorial(n)
                phi[i] += weight * (scores[place + 2**i] - scores[place])
    return phi


@given(tables)
def test_brute_force_is_the_literal_formula(scores):
    found = brute_force(table_game(scores))
    np.testing.assert_allclose(found.values, literal(scores), atol=1e-9)
    assert (found.base, found.score) == (scores[0], scores[-1])


@given(tables)
def test_efficiency(scores):
    for explain in (brute_force, permutation_sampling):
        assert explain(table_game(scores)).gap == pytest.approx(0, abs=1e-9)


@given(arrays(float, 16, elements=numbers), arrays(float, 16, elements=numbers))
def test_additivity(a, b):
    one, two, both = (
        brute_force(table_game(scores)).values for scores in (a, b, a + b)
    )
    np.testing.assert_allclose(one + two, both, atol=1e-9)
    one, two, both = (
        permutation_sampling(table_game(scores), 4).values for scores in (a, b, a + b)
    )
    np.testing.assert_allclose(one + two, both, atol=1e-9)


@given(arrays(float, 8, elements=numbers), st.floats(-5, 5))
def test_a_player_who_only_adds_a_constant_gets_it_and_changes_nobody(scores, constant):
    with_dummy = np.concatenate([scores, scores + constant])
    found = brute_force(table_game(with_dummy)).values
    np.testing.assert_allclose(
        found, [*brute_force(table_game(scores)).values, constant], atol=1e-9
    )
    assert permutation_sampling(table_game(with_dummy), 4).values[3] == pytest.approx(
        constant, abs=1e-9
    )


@given(arrays(float, 3, elements=numbers), arrays(float, 3, elements=numbers))
def test_players_who_do_the_same_get_the_same(size_scores, other):
    """Players 0 and 1 count only by their number; player 2 is free."""
    scores = [
        (other if place & 4 else size_scores)[(place & 1) + (place >> 1 & 1)]
        for place in range(8)
    ]
    found = brute_force(table_game(np.array(scores))).values
    assert found[0] == pytest.approx(found[1], abs=1e-9)


def test_linear_game_gives_each_film_its_own_part():
    model = Additive()
    game = history_game(model, HISTORY, ITEM)
    parts = model.inputs[HISTORY] @ model.outputs[:, ITEM]
    sampled = permutation_sampling(game, 4)
    for each in (brute_force(game), sampled, leave_one_out(game)):
        np.testing.assert_allclose(each.values, parts, atol=1e-12)
    # four orders that agree do not prove that all do
    assert (sampled.error > 0).all()


@pytest.mark.parametrize("n", [1, 2, 7])
def test_mean_pooling_has_a_closed_form(n):
    """phi_i = (a_i + (a_i - mean of the others)(H_n - 1)) / n with H_n = 1 + 1/2 + ...
    + 1/n.
    """
    model = MeanPool()
    a = model.inputs[HISTORY[:n]] @ model.outputs[:, ITEM]
    others = (a.sum() - a) / max(n - 1, 1)
    harmonic = np.sum(1 / np.arange(1, n + 1))
    expected = (a + (a - others) * (harmonic - 1)) / n
    np.testing.assert_allclose(
        brute_force(history_game(model, HISTORY[:n], ITEM)).values, expected, atol=1e-12
    )


def test_linear_features_have_a_closed_form():
    rng = np.random.default_rng(0)
    weights, row, background = (
        rng.normal(size=6),
        rng.normal(size=6),
        rng.normal(size=(30, 6)),
    )
    found = brute_force(
        feature_game(lambda x: x @ weights, row, background, list("abcdef"))
    )
    np.testing.assert_allclose(
        found.values, weights * (row - background.mean(axis=0)), atol=1e-12
    )


def test_features_equal_the_shap_library():
    import shap

    rng = np.random.default_rng(0)
    row, background, weights = (
        rng.normal(size=(1, 5)),
        rng.normal(size=(20, 5)),
        rng.normal(size=(5, 3)),
    )

    def predict(x):
        return np.tanh(x @ weights).sum(axis=1)

    library = shap.KernelExplainer(
        predict, background
    )  # five players: it solves for all 2^5 groups, without sampling
    expected = library.shap_values(row, silent=True, l1_reg=False)[0]
    found = brute_force(feature_game(predict, row[0], background, list("abcde")))
    np.testing.assert_allclose(found.values, expected, atol=1e-9)
    assert found.base == pytest.approx(library.expected_value)


def test_brute_force_stops_at_twenty_players_before_asking_the_model():
    with pytest.raises(
        ValueError, match=r"21 players make 2\^21 groups.*permutation_sampling"
    ):
        brute_force(Game(tuple("abcdefghijklmnopqrstu"), "t", pytest.fail))


def test_brute_force_is_short_enough_to_show():
    assert code_lines(brute_force) <= 25


# ---------------------------------------------------------------- sampling


@pytest.mark.parametrize("model", [Tanh(), Recent()], ids=lambda model: model.name)
def test_sampling_comes_near_and_says_how_near(model):
    game = history_game(model, HISTORY, ITEM)
    exact, sampled = brute_force(game), permutation_sampling(game, 2000)
    assert (np.abs(sampled.values - exact.values) < 4 * sampled.error).all()
    coarse = permutation_sampling(game, 500).error
    np.testing.assert_allclose(coarse / sampled.error, 2, rtol=0.35)


def test_stated_error_is_the_spread_over_seeds():
    """And wider by Student's t of 20 pairs, 1.05, and by what a few of them may hide."""
    game = history_game(Tanh(), HISTORY, ITEM)
    runs = [permutation_sampling(game, 40, seed) for seed in range(300)]
    spread = np.std([run.values for run in runs], axis=0)
    stated = np.sqrt(np.mean([run.error**2 for run in runs], axis=0))
    assert (stated / spread > 0.98).all() and (stated / spread < 1.4).all()


def test_values_and_errors_are_the_mean_and_spread_of_the_pairs():
    game, pairs = history_game(Recent(), HISTORY, ITEM), 20
    rng = np.random.default_rng(5)
    contributions = np.zeros((pairs, 7))
    for pair in contributions:
        order = rng.permutation(7)
        for direction in (order, order[::-1]):
            present = np.zeros(7, dtype=bool)
            for player in direction:
                before = game(present[None])[0]
                present[player] = True
                pair[player] += (game(present[None])[0] - before) / 2
    found = permutation_sampling(game, 2 * pairs, seed=5)
    np.testing.assert_allclose(found.values, contributions.mean(axis=0))
    excess = np.maximum(stats.kurtosis(contributions), 0)
    half = stats.sem(contributions) * np.sqrt(1 + 2 * np.sqrt(excess / pairs))
    np.testing.assert_allclose(found.error, stats.t(pairs - 1).ppf(0.975) / 2 * half)


# ---------------------------------------------------------------- twice the error


N = 9
GROUPS = (np.arange(2**N)[:, None] >> np.arange(N) & 1).astype(bool)


def steps(rng):
    """Scores of all groups that a weighted vote decides."""
    weights = rng.exponential(size=N)
    return (GROUPS @ weights > rng.uniform(0.2, 0.9) * weights.sum()).astype(float)


def together(rng):
    """Three groups of 3 to 8 players, each worth something when complete."""
    needed = rng.random((3, N)).argsort(axis=1) < rng.integers(3, N, (3, 1))
    complete = (GROUPS[:, None] >= needed).all(axis=2)
    return complete @ rng.normal(size=3)


FAMILIES = {
    "additive": lambda rng: GROUPS @ rng.normal(size=N),
    "pairs": lambda rng: np.einsum(
        "gi,ij,gj->g", GROUPS, rng.normal(size=(N, N)), GROUPS
    ),
    "tanh": lambda rng: (
        np.tanh(0.3 + GROUPS @ rng.normal(size=(N, 5)) / 2) @ rng.normal(size=5)
    ),
    "first": lambda rng: np.where(GROUPS, rng.normal(size=N), -3).max(axis=1),
    "votes": steps,
    "majority": lambda rng: (GROUPS.sum(axis=1) > N / 2) + GROUPS @ rng.normal(size=N),
    "together": together,
    "heavy tails": lambda rng: rng.standard_t(2, size=2**N),
}


def inside(sampler, games, tolerance=1e-6):
    """Share of the values within twice the stated error, and of errors that are 0."""
    held, nil = [], []
    for seed, game in enumerate(games):
        exact, found = brute_force(game).values, sampler(game, seed)
        rounding = tolerance * (1 + np.abs(exact).max())
        held.append(np.abs(found.values - exact) <= 2 * found.error + rounding)
        nil.append(found.error == 0)
    return np.mean(held), np.mean(nil)


SAMPLERS = {
    f"{count} orders": partial(
        lambda count, game, seed: permutation_sampling(game, count, seed), count
    )
    for count in (4, 16, 32, 100)
} | {
    f"{count} groups": partial(
        lambda count, game, seed: leverage_regression(game, count, seed), count
    )
    for count in (4 * N, 120)
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_twice_the_error_holds_in_95_cases_of_100(name):
    shares = {}
    for family, scores in FAMILIES.items():
        rng = np.random.default_rng(0)
        games = [table_game(scores(rng)) for _ in range(40)]
        shares[family], nil = inside(SAMPLERS[name], games)
        assert nil == 0
    assert np.mean(list(shares.values())) >= 0.95 and min(shares.values()) >= 0.9


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "100 orders"])
def test_twice_the_error_holds_for_neighbours_whose_thresholds_few_orders_meet(name):
    """user_knn: who is among the nearest changes at a step."""
    rng = np.random.default_rng(0)
    histories = [rng.choice(60, 15, replace=False) for _ in range(80)]
    model = UserKNN(5).fit(histories, 60)
    games = []
    for _ in range(40):
        history = rng.choice(60, N + 1, replace=False)
        games.append(history_game(model, history[:N], int(history[N])))
    held, nil = inside(SAMPLERS[name], games)
    assert held >= 0.94 and nil == 0


def test_an_effect_that_no_order_shows_stays_possible():
    """Player 8 counts in one group of 256 alone."""
    scores = GROUPS @ np.array([4.0, *np.ones(N - 2), 0.0])
    scores[0b100001111] += 3
    exact = brute_force(table_game(scores)).values[8]
    found = permutation_sampling(table_game(scores), 32, seed=0)
    assert found.values[8] == 0 < exact < 2 * found.error[8]


@pytest.mark.parametrize("pairs", [2, 15, 17])
def test_fewer_draws_than_tell_a_spread_let_the_largest_effect_be_unseen(pairs):
    gains = np.random.default_rng(0).normal(size=(pairs, 9))
    assert (stated_errors(gains) >= 1.5 * np.abs(gains).max() / pairs - 1e-12).all()
    # 36 draws are twice as many as 9 players, and 16
    many = np.random.default_rng(0).normal(size=(36, 9)) * [*np.full(8, 0.1), 9]
    assert stated_errors(many).min() < np.abs(many).max() / 36


def test_errors_are_those_of_each_film_scored():
    gains = np.random.default_rng(0).normal(size=(40, 5, 3)) * [1, 10, 100]
    apart = [stated_errors(gains[:, :, item]) for item in range(3)]
    np.testing.assert_allclose(stated_errors(gains), np.stack(apart, axis=1))


def test_pairs_beat_as_many_single_orders():
    """On a game of pairwise interactions an order and its reverse cancel every error."""
    rng = np.random.default_rng(0)
    interactions = rng.normal(size=(6, 6))
    game = Game(
        tuple("abcdef"), "pairs", lambda m: np.einsum("ni,ij,nj->n", m, interactions, m)
    )
    np.testing.assert_allclose(
        permutation_sampling(game, 4).values, brute_force(game).values, atol=1e-12
    )


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_players_are_exact(n):
    game = history_game(Tanh(), HISTORY[:n], ITEM)
    found = permutation_sampling(game, 4)
    np.testing.assert_allclose(found.values, brute_force(game).values, atol=1e-12)
    np.testing.assert_allclose(found.error, 0, atol=1e-12)


def test_the_result_depends_on_the_seed_and_on_nothing_else(monkeypatch):
    game = history_game(Tanh(), HISTORY, ITEM)
    found = permutation_sampling(game, 20, seed=1)
    assert not np.array_equal(
        found.values, permutation_sampling(game, 20, seed=2).values
    )
    monkeypatch.setattr(shapley, "MASK_BYTES", 1)
    np.testing.assert_allclose(
        found.values, permutation_sampling(game, 20, seed=1).values, atol=1e-12
    )
    assert found.method == "Shapley by 20 permutations" and found.seconds > 0


def test_all_orders_together_are_exact():
    game = history_game(Tanh(), HISTORY[:4], ITEM)
    orders = np.array(list(permutations(range(4))))
    found = shapley.marginals(game, orders, game.empty(), game.full()).mean(axis=0)
    np.testing.assert_allclose(found, brute_force(game).values, atol=1e-12)


@pytest.mark.parametrize(
    "orders", [[[0, 1, 1]], [[0, 1, 3]], [[0, 1]], [[0, 1, 2], [2, 2, 0]]]
)
def test_orders_that_are_no_permutation_are_refused(orders):
    game, orders = table_game(np.arange(8.0)), np.array(orders)
    for ask in (shapley.marginals, shapley.both_ways):
        with pytest.raises(ValueError, match="each order must name the players 0"):
            ask(game, orders, 0.0, 7.0)


@pytest.mark.parametrize("seed", [-1, 0.5, True, np.nan])
def test_seeds_are_whole_numbers(seed):
    for ask in (permutation_sampling, leverage_regression, shapley_interactions):
        with pytest.raises(ValueError, match=f"seed={seed} must be a whole number"):
            ask(table_game(np.arange(8.0)), 100, seed)


@pytest.mark.parametrize("permutations", [0, 2, 7, 8.0, np.nan, True])
def test_orders_come_in_pairs(permutations):
    with pytest.raises(
        ValueError, match=f"permutations={permutations} must be even and at least 4"
    ):
        permutation_sampling(table_game(np.zeros(4)), permutations)


# ---------------------------------------------------------------- baselines


def test_leave_one_out_by_hand():
    """Either of two players is enough for the score of 1: each alone looks worthless,
    and the gap shows it.
    """
    found = leave_one_out(table_game(np.array([0.0, 1.0, 1.0, 1.0])))
    assert found.values.tolist() == [0, 0] and found.gap == 1
    found = leave_one_out(table_game(np.array([1.0, 2.0, 4.0, 9.0])))
    assert found.values.tolist() == [5, 7] and (found.base, found.score) == (1, 9)


def test_orders_without_a_reason():
    game = history_game(Tanh(), HISTORY, ITEM)
    assert most_recent(game).top().tolist() == [6, 5, 4, 3, 2, 1, 0]
    assert np.array_equal(random_order(game, 3).values, random_order(game, 3).values)
    first = [random_order(game, seed).top()[0] for seed in range(700)]
    assert (
        np.bincount(first, minlength=7).min() > 65
    )  # 100 expected, standard deviation 9

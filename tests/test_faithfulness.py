"""Deletion and insertion curves by hand, and Shapley order against chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models_by_hand import Additive, Tanh, table_game

from xrec_utils import faithfulness as fidelity
from xrec_utils.calibrate_shapley import recommendation_games
from xrec_utils.explain.baselines import random_order
from xrec_utils.explain.shapley import brute_force, permutation_sampling
from xrec_utils.games import Game, history_game

TABLE = table_game(np.array([0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]))  # player i adds 2**i to the position


def test_curves_by_hand():
    assert fidelity.deletion_curve(TABLE, [2, 0, 1]).tolist() == [64, 4, 2, 0]
    assert fidelity.insertion_curve(TABLE, [2, 0, 1]).tolist() == [0, 8, 16, 64]


def test_area_is_the_mean_height():
    assert fidelity.area(np.array([64, 4, 2, 0])) == pytest.approx((34 + 3 + 1) / 3)
    assert fidelity.area(np.full(9, 2.5)) == pytest.approx(2.5)
    assert fidelity.area(np.linspace(1, 0, 50)) == pytest.approx(0.5)


@given(st.permutations(range(6)))
def test_inserting_is_deleting_backwards(order):
    game = history_game(Tanh(), np.arange(6), 9)
    back = fidelity.deletion_curve(game, order[::-1])[::-1]
    assert np.array_equal(fidelity.insertion_curve(game, order), back)


@given(st.integers(0, 500))
def test_in_an_additive_game_no_order_beats_the_values(seed):
    model = Additive(seed=seed)
    game = history_game(model, np.arange(7), 20)
    best = fidelity.area(fidelity.deletion_curve(game, fidelity.order(brute_force(game))))
    other = fidelity.deletion_curve(game, np.random.default_rng(seed).permutation(7))
    assert best <= fidelity.area(other) + 1e-12
    assert fidelity.falls_faster(game, brute_force(game))


@pytest.mark.parametrize("order", [[0, 1], [0, 1, 1], [0, 1, 3], [[0, 1, 2]]])
def test_orders_must_name_every_player_once(order):
    for curve in (fidelity.deletion_curve, fidelity.insertion_curve):
        with pytest.raises(ValueError, match=r"order must name each of the players 0\.\.2 once"):
            curve(TABLE, order)


def test_advantage_is_the_mean_of_the_random_areas_less_this_area():
    rng = np.random.default_rng(4)
    chance = [fidelity.area(fidelity.deletion_curve(TABLE, rng.permutation(3))) for _ in range(5)]
    expected = np.mean(chance) - 38 / 3
    assert fidelity.advantage_over_random(TABLE, [2, 0, 1], draws=5, seed=4) == pytest.approx(expected)


def test_a_single_player_has_no_order_to_win_with():
    game = Game(("a",), "t", lambda masks: masks[:, 0].astype(float))
    assert fidelity.advantage_over_random(game, [0]) == 0
    assert not fidelity.falls_faster(game, brute_force(game))


def test_deletion_by_shapley_order_falls_faster_than_random_for_almost_all_users():
    rng = np.random.default_rng(0)
    histories = [rng.choice(40, 15, replace=False) for _ in range(60)]
    games = list(recommendation_games(Tanh(), histories, pairs=60, length=15))
    shapley = [fidelity.falls_faster(game, permutation_sampling(game, 20)) for game in games]
    chance = [fidelity.falls_faster(game, random_order(game, seed)) for seed, game in enumerate(games)]
    assert np.mean(shapley) >= 0.95
    assert 0.3 < np.mean(chance) < 0.7

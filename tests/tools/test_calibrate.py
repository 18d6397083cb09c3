"""The stated errors of sampled Shapley values are honest, and the measure notices when
they are not.
"""

import dataclasses
import math

import calibration
import numpy as np
import pytest
from calibration import Calibration, calibrate, recommendation_games

from models_by_hand import Additive, Recent, Tanh
from xrec_utils.explain.shapley import permutation_sampling


def histories(n=40, length=20):
    rng = np.random.default_rng(0)
    return [rng.choice(40, length, replace=False) for _ in range(n)]


@pytest.mark.parametrize("model", [Tanh(), Recent()], ids=lambda model: model.name)
def test_twenty_pairs_are_honest(model):
    found = calibrate(recommendation_games(model, histories(), pairs=20, seed=1))
    assert (found.pairs, found.values) == (20, 240)
    assert found.inside >= 0.93 and 0.8 <= found.rms_z <= 1.2 and found.honest


@pytest.mark.parametrize(
    ("factor", "low", "high"), [(0.5, 0.58, 0.78), (2.0, 0.99, 1.0)]
)
def test_errors_stated_too_small_or_too_large_are_noticed(
    monkeypatch, factor, low, high
):
    def wrong(*arguments):
        found = permutation_sampling(*arguments)
        return dataclasses.replace(found, error=found.error * factor)

    monkeypatch.setattr(calibration, "permutation_sampling", wrong)
    found = calibrate(recommendation_games(Tanh(), histories(), pairs=20, seed=1))
    assert found.rms_z == pytest.approx(1 / factor, rel=0.2) and not found.honest
    assert (
        low <= found.inside <= high
    )  # a normal law says 0.683 within one true error, 0.9999 within four


def test_values_of_two_players_are_exact_and_count_as_inside():
    games = recommendation_games(Additive(), histories(), pairs=5, length=2)
    found = calibrate(games)
    assert (found.values, found.settled, found.inside) == (10, 10, 1.0)
    assert math.isnan(found.rms_z) and not found.honest


def test_exact_values_count_as_outside_when_they_are_wrong(monkeypatch):
    def wrong(*arguments):
        found = permutation_sampling(*arguments)
        return dataclasses.replace(found, values=found.values + 0.01)

    monkeypatch.setattr(calibration, "permutation_sampling", wrong)
    games = recommendation_games(Additive(), histories(), pairs=5, length=2)
    found = calibrate(games)
    assert (found.settled, found.inside) == (10, 0.0)


def test_orders_that_agree_state_an_error_all_the_same():
    found = calibrate(recommendation_games(Additive(), histories(), pairs=5))
    assert (found.values, found.settled, found.inside) == (60, 0, 1.0)
    assert found.rms_z < 1e-9 and not found.honest


def test_no_game_is_an_error():
    with pytest.raises(ValueError, match="nothing to calibrate"):
        calibrate([])


def test_games_are_about_the_first_recommendation_outside_the_full_history():
    model, users = Tanh(), [*histories(6), np.array([], dtype=int)]
    games = list(recommendation_games(model, users, pairs=6, length=5, seed=2))
    seen = {
        tuple(f"item {code}" for code in history[-5:]): history for history in users
    }
    assert len({game.players for game in games}) == 6
    for game in games:
        history = seen[game.players]
        scores = model.score([history[-5:]])[0]
        scores[history] = -np.inf
        assert game.target == f"score of item {scores.argmax()}"
        assert game.full() == pytest.approx(scores.max())


@pytest.mark.parametrize("pairs", [0, 7])
def test_pairs_are_limited_by_the_users_with_a_history(pairs):
    users = [*histories(6), np.array([], dtype=int)]
    with pytest.raises(ValueError, match=f"pairs={pairs} must lie between 1 and .*, 6"):
        next(recommendation_games(Tanh(), users, pairs))


def test_honest_needs_both():
    assert Calibration(1, 1, 0, 0.93, 1.2).honest
    assert not Calibration(1, 1, 0, 0.92, 1.0).honest
    assert not Calibration(1, 1, 0, 0.99, 0.7).honest

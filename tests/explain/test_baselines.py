"""The baselines that read more than a game: counts and columns by hand."""

import numpy as np
import pytest

from models_by_hand import Additive
from xrec_tools.bench.explainers import most_similar, unit_columns
from xrec_utils.explain.baselines import most_popular
from xrec_utils.games.game import history_game

HISTORIES = [np.array([0, 1, 2]), np.array([1, 2]), np.array([2, 3]), np.array([2])]
HISTORY, ITEM = np.array([3, 2, 0]), 1
GAME = history_game(Additive(), HISTORY, ITEM)


def test_popular_films_first():
    counts = np.array([1, 2, 4, 0])
    found = most_popular(GAME, HISTORY, counts)
    np.testing.assert_allclose(found.values, np.log([1, 5, 2]))
    assert found.top().tolist() == [1, 2, 0] and found.method == "most popular first"
    assert (found.base, found.score) == pytest.approx((GAME.empty(), GAME.full()))
    assert found.players == GAME.players


def test_similar_films_share_their_users():
    found = most_similar(GAME, HISTORY, ITEM, unit_columns(HISTORIES, 5))
    users = [{n for n, h in enumerate(HISTORIES) if film in h} for film in range(4)]
    shared = [
        len(users[film] & users[ITEM]) / np.sqrt(len(users[film]) * len(users[ITEM]))
        for film in HISTORY
    ]
    np.testing.assert_allclose(found.values, shared, atol=1e-6)
    assert found.values[0] == 0 < found.values[2]
    assert found.score == pytest.approx(GAME.full())
    assert found.method == "most similar first"


def test_columns_have_length_one_or_zero():
    lengths = np.linalg.norm(unit_columns(HISTORIES, 5), axis=0)
    np.testing.assert_allclose(lengths, [1, 1, 1, 1, 0], atol=1e-6)


def test_every_player_needs_its_code():
    for found in (
        lambda: most_popular(GAME, HISTORY[:2], np.ones(5)),
        lambda: most_similar(GAME, HISTORY[:2], ITEM, np.eye(5)),
    ):
        with pytest.raises(ValueError, match="2 item codes for 3 players"):
            found()

"""Popularity and EASE against definitions worked out another way."""

import numpy as np
import pytest

from xrec_utils.classic import EASE, Popularity
from xrec_utils.contract import HistoryModel, item_columns, multi_hot

HISTORIES = [np.array(h) for h in ([0, 1, 2], [0, 1], [0, 3], [2, 3, 4, 0])]


@pytest.fixture(params=[Popularity(), EASE(2.0)], ids=lambda model: model.name)
def model(request):
    return request.param.fit(HISTORIES, 5)


def test_multi_hot_marks_what_is_in_the_history():
    assert multi_hot([np.array([2, 0]), np.array([], dtype=int)], 3).tolist() == [[1, 0, 1], [0, 0, 0]]


def test_popularity_counts_users():
    scores = Popularity().fit(HISTORIES, 5).score([np.array([], dtype=int)])
    assert np.allclose(scores, np.log1p([4, 2, 2, 2, 1]))


def test_ease_solves_its_constrained_least_squares_item_by_item():
    """Without its own column, each item's weights are a ridge regression of that column on the others (Steck 2019)."""
    seen, penalty = multi_hot(HISTORIES, 5).astype(float), 2.0
    weights = EASE(penalty).fit(HISTORIES, 5).weights
    for item in range(5):
        others = np.delete(np.arange(5), item)
        x, y = seen[:, others], seen[:, item]
        ridge = np.linalg.solve(x.T @ x + penalty * np.eye(4), x.T @ y)
        assert np.allclose(weights[others, item], ridge, atol=1e-5)
        assert weights[item, item] == 0


def test_contract(model):
    assert isinstance(model, HistoryModel)
    histories = [np.array([], dtype=int), np.array([3]), np.array([1, 4])]
    whole = model.score(histories)
    assert whole.shape == (3, 5) and np.isfinite(whole).all()
    assert np.allclose(model.score(histories, np.array([4, 1])), whole[:, [4, 1]])
    assert np.allclose(model.score([np.array([4, 1])]), whole[2:])  # neither model knows order
    assert item_columns(whole, None) is whole

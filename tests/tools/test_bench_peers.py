"""Models of other libraries behind the contract; the libraries themselves are there
only after `make bench`.
"""

import numpy as np
import pytest

from bench_by_hand import dataset
from xrec_tools.bench import peers
from xrec_tools.bench.peers import PEERS, Peer, UserPeer, as_rows
from xrec_tools.bench.ratings import RATERS, errors, fold, inner
from xrec_utils.contract import multi_hot
from xrec_utils.data.splits import leave_last_out
from xrec_utils.models.classic import EASE

HISTORIES = [
    np.array([2, 0], dtype=np.int32),
    np.array([], dtype=np.int32),
    np.array([3], dtype=np.int32),
]


def test_rows_are_the_multi_hot_matrix():
    assert np.array_equal(as_rows(HISTORIES, 4).toarray(), multi_hot(HISTORIES, 4))
    assert as_rows([HISTORIES[1]], 4).shape == (1, 4)


def test_peers_keep_the_contract():
    weights = np.arange(16.0).reshape(4, 4)
    peer = Peer("peer", 4, lambda rows: rows @ weights)
    assert peer.score(HISTORIES).tolist() == [
        [8, 10, 12, 14],
        [0] * 4,
        [12, 13, 14, 15],
    ]
    assert peer.score(HISTORIES, np.array([1])).tolist() == [[10], [0], [13]]
    user_peer = UserPeer("peer", 4, lambda users: weights[users])
    assert user_peer.score_users(np.array([1])).tolist() == [[4, 5, 6, 7]]


def test_a_model_can_run_where_its_library_is_installed(monkeypatch):
    monkeypatch.setattr(
        peers, "find_spec", lambda package: None if package == "cornac" else True
    )
    assert peers.missing() == ["cornac"]
    assert [
        peers.installed(name) for name in ("ease", "implicit_als", "cornac_ease")
    ] == [True, True, False]


@pytest.mark.needs("bench")
@pytest.mark.parametrize("name", PEERS)
def test_a_peer_learns_and_scores(name):
    split = leave_last_out(dataset())
    model = PEERS[name].fit(split, 0, **PEERS[name].grid[0])
    users = np.arange(4)
    histories = split.train_histories()[:4]
    scores = (
        model.score_users(users)
        if hasattr(model, "score_users")
        else model.score(histories)
    )
    assert (
        model.name == name
        and scores.shape == (4, 30)
        and np.isfinite(scores).all()
        and scores.std() > 0
    )
    seen = multi_hot(histories, 30) > 0
    assert name == "cornac_ease" or scores[seen].mean() > scores[~seen].mean()


@pytest.mark.needs("bench")
def test_their_ease_is_ours():
    split = leave_last_out(dataset())
    theirs = PEERS["cornac_ease"].fit(split, 0, lamb=20.0, posB=False)
    ours = EASE(20.0).fit(split.train_histories(), split.n_items)
    assert np.abs(theirs.score(HISTORIES) - ours.score(HISTORIES)).max() < 1e-5


def test_folds_are_a_partition_and_the_same_every_time():
    data = dataset()
    parts = [fold(data, seed) for seed in range(5)]
    asked = np.concatenate([test.users * 30 + test.items for _, test in parts])
    assert sorted(asked) == sorted(
        data.interactions["user"] * 30 + data.interactions["item"]
    )
    assert all(len(train.values) + len(test.values) == 480 for train, test in parts)
    assert np.array_equal(fold(data, 2)[1].items, parts[2][1].items)
    assert not np.array_equal(fold(data, 5)[1].items, parts[0][1].items)
    small, held_out = inner(parts[0][0])
    assert (
        len(small.values) + len(held_out.values) == 384
        and 20 < len(held_out.values) < 60
    )


@pytest.mark.parametrize("name", RATERS)
def test_models_of_stars_are_measured(name):
    train, test = fold(dataset(), 0)
    model = RATERS[name].fit(train, 0, RATERS[name].grid[0])
    found, predicted = errors(model, test), model.predict(test.users, test.items)
    assert found["rmse"] == pytest.approx(
        np.sqrt(np.mean((predicted - test.values) ** 2))
    )
    assert found["mae"] == pytest.approx(np.mean(np.abs(predicted - test.values)))

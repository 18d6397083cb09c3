"""The shipped models: they load, keep the contract, repeat their recorded scores, and
can be trained again.
"""

import numpy as np
import pytest

from xrec_tools.bench.ship import ship
from xrec_utils import zoo
from xrec_utils.contract import HistoryModel, top_k
from xrec_utils.data import (
    k_core,
    leave_last_out,
    load_interactions,
    load_movielens,
)
from xrec_utils.explain.shapley import brute_force, permutation_sampling
from xrec_utils.games.game import history_game
from xrec_utils.metrics.evaluation import evaluate
from xrec_utils.metrics.ranking import auc, places
from xrec_utils.models import specs

HISTORY_MODELS = tuple(name for name in specs.SPECS if name not in specs.FEATURE_MODELS)
SHIPPED_HISTORY_MODELS = tuple(name for name in zoo.SHIPPED if name in HISTORY_MODELS)
EMPTY = np.array([], dtype=int)


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("XREC_QUIET", "1")


@pytest.mark.parametrize("name", HISTORY_MODELS)
def test_contract(name):
    """Absent means deleted: a shortened history scores like one that never held the
    film; empty is defined.
    """
    model, history = zoo.load(name), zoo.split().train_histories()[0]
    assert isinstance(model, HistoryModel) and model.name == name
    scores = model.score([EMPTY, history, np.delete(history, 2)])
    assert scores.shape == (3, zoo.split().n_items) and np.isfinite(scores).all()
    without = np.array([film for film in history if film != history[2]])
    assert np.allclose(model.score([without]), scores[2:], atol=1e-4)
    assert np.allclose(
        model.score([history], np.array([7, 3])), scores[1:2, [7, 3]], atol=1e-4
    )
    same = np.allclose(scores[0], scores[1])
    assert same == (name == "popularity")


@pytest.fixture(scope="module")
def own_log(tmp_path_factory):
    """A split of a log of one's own, of whose items nothing is known but the ids."""
    path = tmp_path_factory.mktemp("own") / "log.csv"
    places = [(user, item) for user in range(6) for item in range(user, user + 5)]
    rows = [f"u{u},{i},{1577872800 + i}" for u, i in places]
    path.write_text("\n".join(["user,item,time", *rows]))
    return leave_last_out(load_interactions(path, time="time"))


@pytest.mark.parametrize("name", HISTORY_MODELS)
def test_every_model_can_be_built_for_a_log_of_ones_own(name, own_log):
    if name in ("content", "hybrid"):
        with pytest.raises(ValueError, match="use a model without content"):
            zoo.train(name, own_log)
        return
    shipped = name in zoo.SHIPPED
    model = zoo.build(name, own_log) if shipped else zoo.train(name, own_log)[0]
    scores = model.score([EMPTY, np.array([0, 3])])
    assert scores.shape == (2, own_log.n_items) and np.isfinite(scores).all()


@pytest.mark.parametrize("name", HISTORY_MODELS)
def test_a_recommendation_of_every_model_is_explained(name):
    """One game for all: exact Shapley values add up, and sampling agrees with them."""
    model, history = zoo.load(name), zoo.split().cases("test").histories[5][-8:]
    item = int(top_k(model.score([history]), 1, [history])[0, 0])
    game = history_game(model, history, item, titles=zoo.split().titles)
    exact, sampled = brute_force(game), permutation_sampling(game, 200)
    assert abs(exact.gap) < 1e-4 * (1 + abs(exact.score))
    assert np.all(np.abs(exact.values - sampled.values) < 5 * sampled.error + 1e-4)
    assert (np.abs(exact.values).max() > 1e-3) == (name != "popularity")


@pytest.mark.parametrize("name", SHIPPED_HISTORY_MODELS)
def test_shipped_weights_repeat_the_recorded_validation_score(name):
    best = max(row["validation_ndcg"] for row in zoo.record(name)["epochs"])
    got = evaluate(zoo.load(name), zoo.split().cases("validation"))["ndcg"].mean()
    assert got == pytest.approx(best, abs=2e-4)


@pytest.mark.parametrize("name", specs.FEATURE_MODELS)
def test_shipped_feature_models_beat_chance_on_later_ratings(name):
    model, table = zoo.load(name), zoo.features()
    x = table.x("test") if name == "feature_mlp" else table.branches("test")
    liked = model(x).numpy()[:, -1]
    by_class = places(liked[None], [np.flatnonzero(table.y("test"))])
    assert 0.65 < auc(by_class)[0] < 0.9


def test_a_record_tells_how_the_weights_were_made():
    row = zoo.record("attention")
    assert (
        row["settings"] == zoo.spec("attention").settings and row["versions"]["keras"]
    )
    assert row["parameters"] == zoo.network(zoo.load("attention")).count_params()


def test_retraining_learns_again():
    """On the users and films with 50 ratings or more, 294 films instead of 3,650."""
    small = leave_last_out(k_core(load_movielens("movielens-small"), 50))
    model = zoo.load("pooled_mlp", retrain=True, on=small, epochs=2)
    assert model is not zoo.load("pooled_mlp")
    before, after = (
        evaluate(each, small.cases("validation"))["ndcg"].mean()
        for each in (zoo.build("pooled_mlp", small), model)
    )
    assert 1.5 * before < after < 0.3


def test_feature_models_train_on_a_given_table():
    for name in specs.FEATURE_MODELS:
        _, epochs = zoo.train(name, epochs=1)
        assert epochs[0]["val_loss"] < 0.7


def test_leaky_table_can_be_trained_on():
    model, _ = zoo.train("feature_mlp", zoo.features().with_leak(), epochs=1)
    assert model.input_shape == (None, 43)


def test_wrong_names_and_missing_files(monkeypatch, tmp_path):
    with pytest.raises(KeyError, match="the zoo has popularity, content, user_knn"):
        zoo.load("atention")
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path)
    with pytest.raises(FileNotFoundError, match="retrain=True"):
        zoo.record("attention")


def test_weights_of_other_data_are_refused(monkeypatch):
    # past the cache, which keeps what other tests have loaded
    monkeypatch.setattr(zoo, "_shipped", zoo._shipped.__wrapped__)
    monkeypatch.setattr(zoo, "fingerprint", lambda name: "another")
    with pytest.raises(
        ValueError, match=r"pooled_mlp.npz was trained on other ratings"
    ):
        zoo.load("pooled_mlp")


def test_ship_writes_what_load_reads(monkeypatch, tmp_path):
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path / "weights")
    train = zoo.train
    monkeypatch.setattr(
        zoo, "train", lambda name, **options: train(name, **{"epochs": 1, **options})
    )
    row = ship("two_branch")
    assert sorted(path.name for path in (tmp_path / "weights").iterdir()) == [
        "two_branch.json",
        "two_branch.npz",
    ]
    assert row == zoo.record("two_branch") and len(row["epochs"]) == 1
    with np.load(zoo.WEIGHTS / "two_branch.npz") as weights:
        assert sum(weights[name].size for name in weights) == row["parameters"]

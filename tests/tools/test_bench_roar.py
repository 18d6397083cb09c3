"""Remove and retrain, on histories whose reasons are known."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from xrec_tools.bench.roar import roar
from xrec_utils.games import Explanation, history_game
from xrec_utils.models.classic import EASE


def pairs_split(users: int = 60) -> SimpleNamespace:
    """Film 2i goes with film 2i + 1: a history holds film 2i and noise, the answer is
    film 2i + 1.
    """
    rng = np.random.default_rng(0)
    first = rng.integers(0, 10, users)
    noise = [20 + rng.choice(20, 5, replace=False) for _ in range(users)]
    train = [
        np.concatenate([[2 * i], own]) for i, own in zip(first, noise, strict=True)
    ]
    train += [np.array([2 * i, 2 * i + 1]) for i in range(10) for _ in range(20)] + [
        np.empty(0, int)
    ]
    cases = SimpleNamespace(
        users=np.arange(users),
        histories=train[:users],
        targets=[[2 * i + 1] for i in first],
    )
    return SimpleNamespace(
        fold_in=False,
        n_items=40,
        name="pairs",
        train_histories=lambda: train,
        cases=lambda part: cases,
    )


def test_removing_what_matters_costs_more_than_removing_by_lot():
    def fit(histories, n_items):
        return EASE(20.0).fit(histories, n_items)

    def exact(model, history, item):
        game = history_game(model, history, item)
        return Explanation(
            game.players,
            game.target,
            model.weights[history, item],
            0,
            game.full(),
            "weights",
        )

    def wrong(model, history, item):
        return replace(
            exact(model, history, item), values=-model.weights[history, item]
        )

    table = roar({"exact": exact, "wrong": wrong}, pairs_split(), fit, share=0.2)
    mean = table.mean()
    assert list(table) == ["full", "random", "exact", "wrong"] and len(table) == 60
    assert mean["exact"] < 0.4 and (mean[["full", "random", "wrong"]] > 0.8).all()


def test_nothing_removed_is_nothing_lost():
    table = roar({}, pairs_split(), lambda h, n: EASE(20.0).fit(h, n), share=0.0)
    assert (table["full"] == table["random"]).all()


def test_it_refuses_a_split_of_new_users():
    with pytest.raises(ValueError, match="leave_last_out"):
        roar({}, SimpleNamespace(fold_in=True, name="global time"), lambda h, n: None)

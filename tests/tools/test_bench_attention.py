"""The trial of attention: who is asked, what holding means, and rows that come again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xrec_tools.bench import attention
from xrec_tools.bench.store import Store
from xrec_utils import zoo
from xrec_utils.contract import recommend
from xrec_utils.explain import AttentionTrial
from xrec_utils.games import Game, history_game
from xrec_utils.metrics import mean_interval

MODELS = ["din", "attention", "gru_attention"]


@pytest.fixture(scope="module")
def stored() -> pd.DataFrame:
    return Store().read(attention.TABLE)


def test_those_are_asked_whom_nobody_had_looked_at(stored: pd.DataFrame) -> None:
    films = pd.Series([len(films) for films in zoo.split().cases("test").histories])
    short, fit, board = (
        films.index[films.between(*limits)] for limits in ((10, 30), (10, 50), (20, 50))
    )
    draw = np.random.default_rng
    # while notebook 12 was written, and in its first run
    seen = [*draw(0).choice(fit, 40, False), *draw(0).choice(short, 25, False)]
    left = np.setdiff1d(short, seen)
    first = draw(1).choice(left, 40, replace=False)
    asked = np.setdiff1d(left, [*first, *board[:40]])
    assert stored["user"].tolist() == np.repeat(asked, 3).tolist()
    assert stored["model"].tolist() == MODELS * 63
    assert (
        stored["leaderboard"].tolist() == np.isin(stored["user"], board[40:80]).tolist()
    )


def test_every_row_is_there(stored: pd.DataFrame) -> None:
    numbers = stored.drop(columns=["user", "model", "leaderboard"])
    assert np.isfinite(numbers).all(axis=None)
    taus = numbers.filter(like="~")
    assert taus.shape[1] == 36 and taus.abs().max(axis=None) <= 1
    assert numbers["adversary: divergence"].between(0, np.log(2)).all()


@pytest.mark.parametrize("name", MODELS)
def test_held_as_they_are_all_films_have_the_models_score(
    name: str, stored: pd.DataFrame
) -> None:
    model, histories = zoo.load(name), zoo.split().cases("test").histories
    for user in stored["user"].unique()[:4]:
        history = histories[user]
        asked = model, history, int(recommend(model, history, k=1)[0])
        trial, own = AttentionTrial(*asked), history_game(*asked)
        game = trial.game(trial.row)
        score = float(model.score([history])[0, asked[2]])
        assert game.full() == pytest.approx(score, rel=1e-6)
        assert game.empty() == pytest.approx(own.empty(), abs=1e-5)
        groups = np.random.default_rng(user).random((30, len(history))) < 0.5
        apart = np.abs(game(groups) - own(groups)).max()
        # only in din a film's weight never depends on the others
        assert apart < 1e-5 if name == "din" else apart > 1e-3


def test_a_row_comes_out_again(stored: pd.DataFrame) -> None:
    row = stored.iloc[0]
    again = attention.answers(row["user"], row["model"])
    assert [*again] == [*stored.columns[3:]]
    # near ties may change places on another machine
    np.testing.assert_allclose(
        list(again.values()), row[[*again]].astype(float), atol=0.02
    )


def test_weights_that_know_nothing_agree_with_what_contains_them(
    stored: pd.DataFrame,
) -> None:
    decide = stored[~stored["leaderboard"]].set_index("model")
    pair = "|attention| ~ |gradient, attention held|"
    # dealt weights say nothing about films: of the calendar they know nothing either
    calendar = decide.loc["gru_attention", "dealt: |attention| ~ |most recent|"]
    found = mean_interval(calendar)
    assert found.low < 0 < found.high
    assert mean_interval(decide.loc["din", f"dealt: {pair}"]).low > 0.2


def added(worth: np.ndarray) -> Game:
    return Game(("a", "b", "c"), "sum", lambda masks: masks @ worth)


def test_deletion_is_one_for_the_best_order_and_as_bad_for_the_worst() -> None:
    worth = np.array([3.0, 1.0, 2.0])
    said = {"best": worth, "worst": -worth}
    found = attention.deletion(added(worth), said, seed=0)
    assert found["best"] == pytest.approx(1)
    # over all orders chance is the middle of the two; 20 random ones come near
    assert found["worst"] == pytest.approx(-1, abs=0.5)


def test_sizes_have_no_sign_and_explainers_are_compared_with_it() -> None:
    names = ["attention", "gradient, attention held", "leave-one-out", "most recent"]
    said = dict.fromkeys(names, np.array([1.0, 2.0, 3.0]))
    found = attention.taus(said | {"Shapley": np.array([-1.0, -2.0, -3.0])})
    assert found["|attention| ~ |Shapley|"] == 1
    assert found["attention ~ Shapley"] == -1
    assert "Shapley ~ Shapley" not in found


def test_only_empty_rows_are_filled_and_each_is_stored_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, key = Store(tmp_path), "own: attention ~ Shapley"
    store.write(
        attention.TABLE,
        pd.DataFrame(
            {
                "user": [4, 5, 6],
                "model": "din",
                "leaderboard": [True, False, False],
                key: [0.5, np.nan, np.nan],
            }
        ),
    )
    asked = []

    def answers(user: int, name: str) -> dict[str, float]:
        if user == 6:
            # the power fails: what was made before is kept
            raise KeyboardInterrupt
        asked.append((user, name))
        return {key: 0.25}

    monkeypatch.setattr(attention, "answers", answers)
    with pytest.raises(KeyboardInterrupt):
        attention.fill(store)
    table = store.read(attention.TABLE)
    assert asked == [(5, "din")]
    assert table[key].tolist()[:2] == [0.5, 0.25] and np.isnan(table[key][2])
    assert table["user"].tolist() == [4, 5, 6]
    assert table["leaderboard"].tolist() == [True, False, False]

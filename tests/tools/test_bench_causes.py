"""The tables of causes on data small enough to know every number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models_by_hand import Tanh
from xrec_tools.bench import causes
from xrec_tools.bench.causes import first, influence_table, searched, summary
from xrec_tools.bench.store import Store
from xrec_utils.data.load import Dataset
from xrec_utils.data.splits import Split, leave_last_out
from xrec_utils.models.classic import EASE


@pytest.fixture(scope="module")
def on() -> Split:
    """30 users with 6 to 12 of 40 films each."""
    rng = np.random.default_rng(0)
    rows = [
        (user, item, time)
        for user in range(30)
        for time, item in enumerate(rng.permutation(40)[: rng.integers(6, 13)])
    ]
    events = pd.DataFrame(rows, columns=["user", "item", "time"]).assign(
        value=np.float32(1)
    )
    items = pd.DataFrame(
        {
            "item": range(40),
            "title": "film",
            "year": pd.array([2000] * 40, "Int64"),
            "genres": "",
        }
    )
    return leave_last_out(
        Dataset("small", events, items, pd.DataFrame({"user": range(30)}), None)
    )


@pytest.fixture(scope="module")
def ease(on: Split) -> EASE:
    return EASE(5.0).fit(on.train_histories(), on.n_items)


def test_influence_agrees_with_retraining_and_says_what_each_cost(
    on: Split, ease: EASE
) -> None:
    row = influence_table(on, ease, deletions=25).iloc[0]
    assert row["deletions"] == 25 and row["largest_relative_difference"] < 1e-8
    assert row["seconds_ours"] >= 0 and row["seconds_retraining"] >= 0


def test_every_search_is_summed_up(
    on: Split, ease: EASE, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causes, "SHORTEST", 5)
    linear = searched("ease", ease, on, users=12)
    assert len(linear) == 12 * 5 and set(linear["method"]) == {
        *causes.SEARCHES,
        causes.RETRAINED,
    }
    other = searched("dae", Tanh(on.n_items), on, users=5)
    assert len(other) == 5 * 3 and other["held"].isna().all()
    table = summary(pd.concat([linear, other], ignore_index=True)).set_index(
        ["model", "method"]
    )
    exact = table.loc[("ease", causes.EXACT)]
    assert (
        exact["mean_size"] == exact["mean_minimum"]
        and exact["mean_excess"] == 0
        and exact["proven"] == 1
    )
    assert (
        table.loc[("ease", "beam"), "mean_excess"]
        <= table.loc[("ease", "greedy"), "mean_excess"]
    )
    assert table.loc[("ease", causes.RETRAINED), "valid_after_retraining"] == 1
    assert table.loc[("dae", "greedy"), "users"] == 5 and np.isnan(
        table.loc[("dae", "greedy"), "mean_minimum"]
    )


def test_sums_worked_by_hand() -> None:
    columns = ["model", "method", "user", "held", "size", "valid", "minimal", "seconds"]
    rows = pd.DataFrame([
        ("ease", "greedy", 1, True, 3, True, False, 1.0), ("ease", causes.EXACT, 1, True, 2, True, True, 5.0),
        ("ease", "greedy", 2, False, 4, True, False, 2.0), ("ease", causes.EXACT, 2, False, 4, True, True, 5.0),
        ("ease", "greedy", 3, np.nan, 0, False, False, 3.0), ("ease", causes.EXACT, 3, True, 6, True, False, 5.0),
    ], columns=columns)  # fmt: skip
    greedy, exact = summary(rows).to_dict("records")
    assert greedy == {"model": "ease", "method": "greedy", "users": 3, "found": 0.6667, "mean_size": 3.5,
                      "mean_minimum": 3.0, "mean_excess": 0.5, "proven": 0.5, "valid_after_retraining": 0.5,
                      "median_seconds": 2.0}  # fmt: skip
    assert (
        exact["mean_size"] == 4
        and exact["mean_minimum"] == 3
        and exact["proven"] == 0.6667
    )


def test_a_file_is_written_when_its_table_is_complete(
    on: Split,
    ease: EASE,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(causes, "SHORTEST", 5)
    monkeypatch.setattr(causes, "load_movielens", lambda name: name)
    monkeypatch.setattr(causes, "leave_last_out", lambda data: on)
    monkeypatch.setattr(causes.zoo, "split", lambda: on)
    monkeypatch.setattr(causes.zoo, "load", lambda name: ease)
    monkeypatch.setattr(causes.zoo, "build", lambda name, on: EASE(5.0))
    causes.main(["counterfactual"], Store(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {
        "counterfactual.csv",
        "EXPLANATIONS.md",
    }
    monkeypatch.setattr(causes.influence_table, "__defaults__", (10, 0))
    causes.main([], Store(tmp_path))  # only what is missing
    written = pd.read_csv(tmp_path / "influence.csv")
    assert (
        written["deletions"].tolist() == [10]
        and "influence: stored" in capsys.readouterr().out
    )
    assert len(pd.read_csv(tmp_path / "counterfactual.csv")) == 5 + 4 + 4 * 3


def test_the_first_recommendation_is_the_best_unseen_film(
    on: Split, ease: EASE
) -> None:
    history = on.train_histories()[0]
    scores = ease.score([history])[0]
    scores[history] = -np.inf
    assert first(ease, history) == scores.argmax()

"""The table of policies: its numbers by hand, its learners on a tiny scale, and weights
that come back as they went.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from xrec_tools.bench import policy
from xrec_utils.shop import environment, network
from xrec_utils.shop.environment import Crowd
from xrec_utils.shop.policy import Oracle, play
from xrec_utils.shop.shop import Shop


@pytest.fixture
def small(monkeypatch, tmp_path) -> None:
    """Every learner meets two crowds of ten; files go to a folder of the test."""
    for name, value in {
        "CROWD": 10,
        "CUSTOMERS": 12,
        "VALIDATED": 12,
        "FIRST": range(100, 101),
        "SECOND": range(101, 102),
        "SEEDS": (0,),
        "TABLE": tmp_path / "policy.csv",
        "TUNING": tmp_path / "tuning.csv",
    }.items():
        monkeypatch.setattr(policy, name, value)
    monkeypatch.setattr(network, "WEIGHTS", tmp_path / "policy.npz")


def test_the_table_says_means_ratios_and_paired_differences() -> None:
    rewards = {
        "popularity": np.array([1.0, 3]),
        "linucb": np.array([2.0, 6]),
        "network": np.array([3.0, 7]),
    }
    rewards["oracle"] = np.array([9.0, 9])
    table = policy.table(4, rewards, dict.fromkeys(rewards, 1.26)).set_index("policy")
    numbers = table.loc[
        "network", ["shop_seed", "mean", "ratio_to_popularity", "train_seconds"]
    ]
    assert numbers.tolist() == [4, 5, 2.5, 1.3]
    assert table.loc["network minus linucb", ["mean", "low", "high"]].tolist() == [
        1,
        1,
        1,
    ]
    assert table.loc["network minus oracle", "mean"] == -4


def test_a_run_fills_what_is_missing_and_ships_the_first_shop(
    small, monkeypatch, capsys
) -> None:
    monkeypatch.setattr("sys.argv", ["bench_policy"])
    policy.main()
    policy.main()  # nothing is missing any more
    table = pd.read_csv(policy.TABLE)
    assert capsys.readouterr().out.count("shop 0, network") == 1 and len(table) == 9
    columns = [
        "shop_seed",
        "policy",
        "mean",
        "low",
        "high",
        "ratio_to_popularity",
        "train_seconds",
    ]
    assert table.columns.tolist() == columns
    workshop, crowd = policy.Workshop(0), Crowd(Shop(0), 12, environment.TEST)
    shipped = play(network.shipped(workshop.shop, workshop.attributes), crowd)
    stored = table.set_index("policy")["mean"]
    assert shipped.mean() == pytest.approx(stored["network"], abs=1e-3)
    oracle = Crowd(Shop(0), 12, environment.TEST)
    assert play(Oracle(oracle), oracle).mean() == pytest.approx(
        stored["oracle"], abs=1e-3
    )


def test_both_learners_are_tuned_alike(small, monkeypatch) -> None:
    monkeypatch.setattr("sys.argv", ["bench_policy", "tune"])
    # an untrained network plays as well: the run above trains one
    monkeypatch.setattr(policy, "reinforce", lambda *arguments, **options: None)
    policy.main()
    tried = pd.read_csv(policy.TUNING)["policy"].value_counts()
    assert tried["linucb"] == tried["network"] == 3

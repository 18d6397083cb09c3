"""The bench: it goes on where it stopped, and its tables say what its rows say."""

import numpy as np
import pandas as pd
import pytest

from xrec_utils import bench, zoo
from xrec_utils.metrics import mean_interval


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A bench over the closed-form models, into a folder of its own."""
    monkeypatch.setattr(bench, "BENCH", tmp_path)
    for name, file in {"RUNS": "runs.csv", "USERS": "users.csv.gz", "TUNING": "tuning.csv"}.items():
        monkeypatch.setattr(bench, name, tmp_path / file)
    monkeypatch.setattr(bench, "MODELS", ("popularity", "attention"))
    monkeypatch.setattr(bench, "SEEDS", (0,))
    trained = []

    def train(name, *args, **options):
        trained.append(name)
        return zoo.SPECS["popularity"].train(args[0] if args else zoo.split(), 0, {})

    monkeypatch.setattr(zoo, "train", train)
    return trained


def test_bench_goes_on_where_it_stopped(small, capsys):
    bench.run_missing()
    assert len(small) == 6  # two models; leave-last-out under two tie seeds, global time under one
    rows = pd.read_csv(bench.RUNS)
    rows.iloc[:-1].to_csv(bench.RUNS, index=False)
    bench.run_missing()
    assert len(small) == 7
    assert "popularity" in capsys.readouterr().out


def test_tables_follow_from_the_rows(small, capsys):
    bench.run_missing()
    bench.write_tables()
    quality, paired = (pd.read_csv(bench.BENCH / f"{name}.csv") for name in ("quality", "paired"))
    users = pd.read_csv(bench.USERS)
    row = quality.query("protocol == 'leave-last-out' and model == 'popularity' and metric == 'ndcg@10'").iloc[0]
    mine = users.query("protocol == 'leave-last-out' and model == 'popularity'").groupby("user")["ndcg"].mean()
    assert row["mean"] == pytest.approx(mine.mean(), abs=1e-4)
    assert row["low"] == pytest.approx(mean_interval(mine.to_numpy()).low, abs=2e-3)
    assert (paired[["mean", "low", "high"]] == 0).all().all()  # the same model under two names
    assert {"date", "keras"} <= set(pd.read_csv(bench.BENCH / "versions.csv"))
    assert "leave-last-out" in capsys.readouterr().out


def test_every_model_gets_the_same_number_of_settings(small, capsys):
    sizes = {name: len(zoo.spec(name).grid) for name in ("ease", "embedding_mlp", "pooled_mlp", "attention")}
    assert set(sizes.values()) == {4}
    for name in sizes:
        assert zoo.spec(name).settings in zoo.spec(name).grid
    bench.tune_missing()
    bench.tune_missing()
    table = pd.read_csv(bench.TUNING)
    assert len(table) == 4 and np.isfinite(table["validation_ndcg"]).all()


def test_shipped_settings_are_the_best_on_validation():
    table = pd.read_csv(zoo.DATA / "bench" / "tuning.csv")
    best = table.loc[table.groupby("model")["validation_ndcg"].idxmax()].set_index("model")["settings"]
    for name, settings in best.items():
        assert settings == str(zoo.spec(name).settings)


@pytest.mark.parametrize("what", ["tables", "tune", "ship", "all"])
def test_command_line(small, monkeypatch, capsys, what):
    if what == "tables":
        bench.run_missing()
    monkeypatch.setattr(zoo, "ship", lambda name: {"model": name, "epochs": []})
    monkeypatch.setattr("sys.argv", ["bench", what])
    bench.main()
    assert bench.TUNING.exists() == (what in ("tune", "all"))
    assert (bench.BENCH / "quality.csv").exists() == (what in ("tables", "all"))

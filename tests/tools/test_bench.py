"""The bench: it goes on where it stopped, survives a failing model, and its tables say
what its rows say.
"""

import math
import os
import time
from concurrent.futures.process import BrokenProcessPool
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench_by_hand import dataset
from xrec_tools.bench import main
from xrec_tools.bench import plans as bench_plans
from xrec_tools.bench import runs as bench_runs
from xrec_tools.bench import store as bench_store
from xrec_tools.bench.again import compared, draw, task_of_row
from xrec_tools.bench.store import KEY, METRICS, RUNS, TUNING, USERS, Store, Task
from xrec_tools.bench.tables import paired_table
from xrec_utils import zoo
from xrec_utils.data import splits
from xrec_utils.metrics.intervals import mean_interval, paired_interval
from xrec_utils.models import specs
from xrec_utils.models.classic import EASE, Popularity

LEAVE, RECOMMENDERS = "leave-last-out", "recommenders"
NET = ({"size": 1}, {"size": 2})


class Net(Popularity):
    """Stands for a network: it has epochs, a best one, and remembers how it was fitted."""

    calls: ClassVar[list[dict]] = []

    def fit_epochs(self, data, seed=0, validation="default", epochs=4):
        Net.calls.append(
            {
                "seed": seed,
                "validation": validation,
                "epochs": epochs,
                "rows": len(data.train),
            }
        )
        self.fit(data.train_histories(), data.n_items)
        return [{"epoch": n + 1, "validation_ndcg": -abs(n - 1)} for n in range(epochs)]


@pytest.fixture
def store(monkeypatch, tmp_path):
    """A bench over toy ratings and three fast models, into a folder of its own."""
    monkeypatch.setattr(bench_runs, "ratings_of", lambda name: dataset())
    net = specs.Spec(
        lambda data, settings: Net(),
        lambda model, data, **options: model.fit_epochs(data, **options),
        NET[0],
        NET,
    )
    monkeypatch.setitem(specs.SPECS, "net", net)
    models = ("popularity", "ease", "net")
    plans = (
        bench_plans.Plan(*bench_plans.HOME, models, tuned=True),
        bench_plans.Plan("ml-100k", RECOMMENDERS, models, tuned=True),
        bench_plans.Plan("ml-100k", "rmse", ("baseline",), tuned=True),
    )
    monkeypatch.setattr(bench_plans, "PLANS", plans)
    monkeypatch.setattr(main, "PLANS", plans)
    monkeypatch.setattr(Net, "calls", [])
    place = Store(tmp_path)
    place.write("published.csv", main.published(Store()))
    return place


def here(work, task):
    """Do the work in this process: the tests need no other."""
    return work(task)


def run(store, *arguments):
    return main.main(list(arguments), store, here)


def test_bench_goes_on_where_it_stopped(store, capsys):
    assert run(store, "run", "--dataset", "movielens-small", "--seeds", "2") == 0
    assert len(Net.calls) == 2 and capsys.readouterr().out.count("\n") == 6
    rows = store.read(RUNS)
    store.write(RUNS, rows[(rows["model"] != "net") | (rows["seed"] != 1)])
    assert run(store, "run", "--dataset", "movielens-small", "--seeds", "2") == 0
    assert Net.calls[-1]["seed"] == 1 and len(Net.calls) == 3
    assert "net seed 1: ndcg@10" in capsys.readouterr().out
    assert (
        store.read(RUNS)
        .drop(columns=["fit_seconds", "score_seconds", "peak_mb"])
        .equals(rows.drop(columns=["fit_seconds", "score_seconds", "peak_mb"]))
    )
    assert len(store.read(USERS)) == 6 * 40  # no user twice


def test_a_failing_model_is_reported_and_the_rest_goes_on(store, monkeypatch, capsys):
    broken = specs.Spec(
        lambda data, settings: 1 / 0, specs.SPECS["net"].fit, NET[0], NET
    )
    monkeypatch.setitem(specs.SPECS, "net", broken)
    assert run(store, "run", "--dataset", "movielens-small", "--seeds", "1") == 1
    assert (
        "net seed 0: FAILED" in (errors := capsys.readouterr().err)
        and "ZeroDivisionError" in errors
    )
    assert set(store.read(RUNS)["model"]) == {"popularity", "ease"}
    assert run(store, "tune", "net", "--dataset", "movielens-small") == 1
    assert len(store.read(TUNING)) == 0


def test_a_final_fit_learns_from_all_three_quarters_for_the_best_number_of_epochs(
    store, capsys
):
    assert run(store, "run", "net", "--protocol", RECOMMENDERS) == 5  # not tuned yet
    assert (
        "tune net --dataset ml-100k --protocol recommenders" in capsys.readouterr().err
    )
    assert run(store, "tune", "net", "--protocol", RECOMMENDERS) == 0
    assert (
        run(store, "tune", "net", "--protocol", RECOMMENDERS) == 0
        and len(store.read(TUNING)) == 2
    )  # done already
    assert store.read(TUNING)["best_epoch"].tolist() == [2, 2]
    assert run(store, "run", "net", "--protocol", RECOMMENDERS, "--seeds", "1") == 0
    assert Net.calls[-1] == {"seed": 0, "validation": None, "epochs": 2, "rows": 40 * 9}
    assert store.read(RUNS)["epochs"].tolist() == [2]


def test_settings_are_the_best_tried_there_or_those_of_home(store):
    row = {
        "dataset": "ml-100k",
        "protocol": RECOMMENDERS,
        "model": "ease",
        "epochs": 0,
        "best_epoch": 0,
    }
    store.add_tuning(
        [
            {**row, "settings": "{'regularisation': 1.0}", "validation_ndcg": 0.2},
            {**row, "settings": "{'regularisation': 2.0}", "validation_ndcg": 0.3},
        ]
    )
    assert bench_plans.chosen(store, "ml-100k", RECOMMENDERS, "ease") == (
        {"regularisation": 2.0},
        None,
    )
    assert bench_plans.chosen(store, "ml-100k", LEAVE, "ease") == (
        specs.SPECS["ease"].settings,
        None,
    )
    assert bench_plans.chosen(store, *bench_plans.HOME, "popularity") == ({}, None)
    with pytest.raises(LookupError, match="tune cornac_ease"):
        bench_plans.chosen(store, "ml-100k", LEAVE, "cornac_ease")


def test_tables_follow_from_the_rows(store, capsys):
    assert run(store, "all", "--seeds", "3") == 0
    quality, paired = (
        pd.read_csv(store.folder / f"{name}.csv") for name in ("quality", "paired")
    )
    users, runs = store.read(USERS), store.read(RUNS)
    assert list(quality) == [
        "dataset",
        "protocol",
        "model",
        "metric",
        "mean",
        "low",
        "high",
        "fit_seconds",
        "score_seconds",
        "peak_mb",
    ]
    assert set(quality.query("protocol == 'recommenders'")["metric"]) == set(
        bench_store.RANKING
    )
    assert set(quality.query("protocol == 'rmse'")["metric"]) == {"rmse", "mae"}

    def mine(model):
        rows = users[(users["model"] == model) & (users["protocol"] == LEAVE)]
        return rows.groupby("user")["ndcg"].mean().to_numpy()

    row = quality.query(
        "protocol == 'leave-last-out' and model == 'ease' and metric == 'ndcg@10'"
    ).iloc[0]
    by_hand = mean_interval(mine("ease"))
    assert row[["mean", "low", "high"]].tolist() == pytest.approx(
        [by_hand.mean, by_hand.low, by_hand.high], abs=1e-4
    )
    row = paired.query(
        "model == 'popularity' and minus == 'ease' and metric == 'ndcg@10'"
    ).iloc[0]
    by_hand = paired_interval(mine("popularity"), mine("ease"))
    assert row[["mean", "low", "high"]].tolist() == pytest.approx(
        [by_hand.mean, by_hand.low, by_hand.high], abs=1e-4
    )
    row = quality.query("protocol == 'rmse' and metric == 'rmse'").iloc[0]
    folds = runs.query("protocol == 'rmse'")["rmse"]
    low, high = stats.t.interval(0.95, 2, folds.mean(), stats.sem(folds))
    assert row[["mean", "low", "high"]].tolist() == pytest.approx(
        [folds.mean(), low, high], abs=1e-4
    )
    text = (store.folder / "TABLES.md").read_text()
    assert text in capsys.readouterr().out
    assert (
        "## ml-100k, recommenders" in text
        and "| BiVAE (published) | 0.4751 | – |" in text
    )
    assert text.index("SVD++ (Surprise)") < text.index(
        "NMF (Surprise)"
    )  # the smallest error first
    assert {"date", "python", "keras", "cornac"} <= set(
        pd.read_csv(store.folder / "versions.csv")
    )


def test_attention_is_compared_with_every_other(store):
    rows = [
        {
            "dataset": "d",
            "protocol": LEAVE,
            "model": model,
            "seed": 0,
            "user": user,
            "hr": 1.0,
            "ndcg": value,
        }
        for model, value in (("attention", 0.5), ("ease", 0.4), ("net", 0.1))
        for user in range(3)
    ]
    table = paired_table(pd.DataFrame(rows)).query("metric == 'ndcg@10'")
    found = dict(
        zip(
            zip(table["model"], table["minus"], strict=True), table["mean"], strict=True
        )
    )
    assert found == {
        ("attention", "ease"): 0.1,
        ("attention", "net"): 0.4,
        ("net", "ease"): -0.3,
    }
    # three users alike: two of eight changes of signs are as far out; three tests
    assert table["p"].tolist() == [0.25] * 3
    assert table["p_holm"].tolist() == [0.75] * 3


def published_formulas(model, split, k=10):
    """MAP, NDCG, precision and recall at k by the recommenders team's formulas, item by
    item.
    """
    train, test = split.train, split.test
    catalogue, totals = sorted(set(train["item"])), []
    for user, asked in test.groupby("user")["item"]:
        seen, asked = set(train.loc[train["user"] == user, "item"]), set(asked)
        history = train.loc[train["user"] == user, "item"].to_numpy()
        scores = model.score([history])[0]
        ranked = sorted(
            (item for item in catalogue if item not in seen),
            key=lambda item: -scores[item],
        )[:k]
        hits = [rank for rank, item in enumerate(ranked, start=1) if item in asked]
        average = sum((n + 1) / rank for n, rank in enumerate(hits)) / len(asked)
        gain = sum(1 / math.log(rank + 1) for rank in hits)
        best = sum(1 / math.log(rank + 1) for rank in range(1, min(k, len(asked)) + 1))
        found = len(hits)
        totals.append(
            {
                "map": average,
                "ndcg": gain / best,
                "precision": found / k,
                "recall": found / len(asked),
            }
        )
    return pd.DataFrame(totals).mean()


def test_metrics_of_the_recommenders_protocol_are_those_of_the_published_rows(store):
    split = bench_runs.merged(bench_runs.split_of("ml-100k", RECOMMENDERS, 3))
    split = bench_runs.replace(
        split, train=split.train[split.train["item"] != 7]
    )  # only the test part has this item
    model = EASE(5.0).fit(split.train_histories(), split.n_items)
    mine = bench_runs.ranked(model, split, "test", RECOMMENDERS).mean()
    expected = published_formulas(model, split)
    assert mine[expected.index].to_numpy() == pytest.approx(
        expected.to_numpy(), abs=1e-9
    )
    assert (split.test["item"] == 7).any() and len(split.test) == 40 * 3


def test_items_without_training_come_last_for_both_kinds_of_model():
    split = splits.leave_last_out(dataset())
    split = bench_runs.replace(split, train=split.train[split.train["item"] > 4])

    class ByUser:
        name, n_items = "by user", 30

        def score_users(self, users):
            return np.ones((len(users), 30))

    bounded = bench_runs.TrainedItems(ByUser(), split)
    assert (bounded.score_users(np.arange(3))[:, :5] < -1e30).all() and (
        bounded.score_users([0])[:, 5:] == 1
    ).all()
    bounded = bench_runs.TrainedItems(
        Popularity().fit(split.train_histories(), 30), split
    )
    assert (bounded.score([np.array([9])], np.array([2, 9])) < -1e30).tolist() == [
        [True, False]
    ]


def test_ndcg_is_that_of_keras_rs(store):
    from keras_rs.metrics import NDCG

    split = bench_runs.split_of("movielens-small", LEAVE, 0)
    cases, model = (
        split.cases("test"),
        EASE(5.0).fit(split.train_histories(), split.n_items),
    )
    scores, wanted = model.score(cases.histories), np.zeros((len(cases), split.n_items))
    for row, (seen, targets) in enumerate(
        zip(cases.histories, cases.targets, strict=True)
    ):
        scores[row, seen], wanted[row, targets] = -1e6, 1
    metric = NDCG(k=10)
    metric.update_state(wanted, scores)
    mine = bench_runs.ranked(model, split, "test", LEAVE)["ndcg"].mean()
    assert float(metric.result()) == pytest.approx(mine, abs=1e-5)


def test_every_other_protocol_has_its_split(store):
    assert bench_runs.split_of("movielens-small", "global-time", 1).fold_in
    assert bench_runs.split_of("movielens-small", LEAVE, 1).tie_seed == 1


def test_work_apart_is_done_in_a_process_of_its_own():
    assert (
        bench_runs.apart(str, Task(*bench_plans.HOME, "ease", 3))
        == "movielens-small leave-last-out ease seed 3"
    )
    with pytest.raises(BrokenProcessPool):
        bench_runs.apart(os._exit, 3)


def test_work_apart_that_never_ends_is_killed(monkeypatch):
    monkeypatch.setattr(bench_runs, "LONGEST", 0.5)
    start = time.perf_counter()
    with pytest.raises(TimeoutError):
        bench_runs.apart(time.sleep, 300)
    assert time.perf_counter() - start < 60


def test_a_run_is_timed_only_where_it_has_the_machine_for_itself(store, monkeypatch):
    task = Task(*bench_plans.HOME, "popularity", 0)
    others = iter([0.0, 0.0, 5.0, 5.0 + 100 * os.cpu_count()])
    monkeypatch.setattr(bench_runs, "seconds_of_others", lambda: next(others))
    alone, crowded = bench_runs.measure(task).cost, bench_runs.measure(task).cost
    assert (
        alone["fit_seconds"] >= 0
        and alone["peak_mb"] > 100
        and crowded["peak_mb"] > 100
    )
    assert np.isnan([crowded["fit_seconds"], crowded["score_seconds"]]).all()


def test_others_are_all_processes_but_this_one(monkeypatch):
    now = SimpleNamespace(user=10.0, system=2.0, nice=1.0, idle=9.0)
    monkeypatch.setattr(bench_runs.psutil, "cpu_times", lambda: now)
    monkeypatch.setattr(bench_runs.time, "process_time", lambda: 3.0)
    assert bench_runs.seconds_of_others() == 10


def test_seconds_that_are_missing_are_measured_later(store, monkeypatch, capsys):
    clock = iter(range(0, 1000, 100))
    monkeypatch.setattr(
        bench_runs, "seconds_of_others", lambda: 100.0 * next(clock) * os.cpu_count()
    )
    run(
        store,
        "run",
        "ease",
        "popularity",
        "--dataset",
        "movielens-small",
        "--seeds",
        "2",
    )
    before = store.read(RUNS)
    assert before["fit_seconds"].isna().all() and "not timed" in capsys.readouterr().out
    monkeypatch.setattr(bench_runs, "seconds_of_others", lambda: 0.0)
    assert run(store, "cost", "ease") == 0
    after = store.read(RUNS).set_index(["model", "seed"])
    assert after["fit_seconds"].notna().to_dict() == {
        ("ease", 0): True,
        ("ease", 1): False,
        ("popularity", 0): False,
        ("popularity", 1): False,
    }
    cost = ["fit_seconds", "score_seconds", "peak_mb"]
    assert (
        after.reset_index()[list(before)]
        .drop(columns=cost)
        .equals(before.drop(columns=cost))
    )
    assert (
        run(store, "cost", "ease") == 0 and "ease seed 1" not in capsys.readouterr().out
    )


# ---------------------------------------------------------------- runs made again


def test_stored_rows_come_out_again_and_nothing_is_written(store, capsys):
    run(store, "tune")
    run(store, "run", "--seeds", "1")
    before = {path.name: path.read_bytes() for path in store.folder.iterdir()}
    assert run(store, "rerun", "--count", "7", "--draw", "1") == 0
    assert (
        "23 of 23 stored values came out within the tolerance; 0 runs failed"
        in capsys.readouterr().out
    )
    assert before == {path.name: path.read_bytes() for path in store.folder.iterdir()}
    rows = store.read(RUNS)
    rows.loc[rows["model"] == "ease", "ndcg@10"] += 0.01
    store.write(RUNS, rows)
    assert run(store, "rerun", "--count", "7") == 2
    assert "False" in capsys.readouterr().out


def test_quick_makes_its_runs_elsewhere(store, monkeypatch, capsys):
    monkeypatch.setattr(
        main,
        "QUICK",
        ((*bench_plans.HOME, "ease", 0), ("ml-100k", RECOMMENDERS, "net", 0)),
    )
    monkeypatch.setattr(
        main,
        "QUICK_NETWORK",
        Task(*bench_plans.HOME, "net", 0, {"size": 3}, epochs=1),
    )
    assert run(store, "quick") == 1  # net is not tuned
    assert Net.calls[-1]["epochs"] == 1 and Net.calls[-1]["validation"] == "default"
    assert not store.done() and "nothing to compare" in capsys.readouterr().out
    run(store, "tune", "net")
    run(store, "run", "ease", "net", "--seeds", "1", "--dataset", "movielens-small")
    run(store, "run", "net", "--seeds", "1", "--dataset", "ml-100k")
    assert run(store, "quick") == 0
    assert "7 of 7 stored values" in capsys.readouterr().out


def test_fast_rows_are_drawn_first():
    row = dict(zip(KEY, ["d", RECOMMENDERS, "m", 0], strict=True))
    runs = pd.DataFrame(
        [
            {
                **row,
                "model": str(n),
                "settings": "{'a': 1}",
                "epochs": n,
                "fit_seconds": seconds,
            }
            for n, seconds in enumerate([5.0, 900.0, np.nan, 50.0])
        ]
    )
    assert {task.model for task in draw(runs, 2, seed=3)} == {"0", "3"} and len(
        draw(runs, 9, seed=3)
    ) == 4
    assert task_of_row(runs.iloc[3]) == Task("d", RECOMMENDERS, "3", 0, {"a": 1}, 3)
    assert task_of_row(runs.iloc[0]).epochs is None


def test_training_may_differ_more_than_a_closed_form():
    row = {
        **dict(zip(KEY, ["d", LEAVE, "m", 0], strict=True)),
        "settings": "{}",
        "rmse": np.nan,
    }
    rest = {
        name: np.nan for name in ("hr@10", "precision@10", "recall@10", "map@10", "mae")
    }
    stored = pd.DataFrame([{**row, **rest, "epochs": 0, "ndcg@10": 0.05}])
    for epochs, value, within in (
        (0, 0.056, False),
        (0, 0.052, True),
        (9, 0.056, True),
        (9, 0.09, False),
    ):
        new = stored.assign(epochs=epochs, **{"ndcg@10": value})
        assert compared(new, stored)["within"].tolist() == [within]
    assert compared(stored.assign(settings="{'other': 1}"), stored).empty


# ---------------------------------------------------------------- the command line and
# what is shipped


def test_missing_libraries_are_named_with_the_way_to_get_them(
    store, monkeypatch, capsys
):
    monkeypatch.setattr(main, "missing", lambda: ["cornac"])
    run(store, "run", "ease", "--dataset", "movielens-small", "--seeds", "1")
    assert "cornac. `make bench` installs" in capsys.readouterr().err
    assert len(store.done()) == 1


def test_weights_are_shipped_from_here(store, monkeypatch, capsys):
    monkeypatch.setattr(main, "ship", lambda name: {"model": name, "epochs": []})
    assert run(store, "ship", "net") == 0
    assert capsys.readouterr().out == "{'model': 'net'}\n"


def test_every_model_gets_the_same_number_of_settings():
    tuned = {name for plan in bench_plans.PLANS for name in plan.models}
    assert {
        len(bench_runs.grid_of(name, dataset))
        for name in tuned
        for dataset in ("", "ml-100k")
    } <= {0, 4}
    for name in (name for name in bench_plans.HISTORY_MODELS if zoo.spec(name).grid):
        assert zoo.spec(name).settings in zoo.spec(name).grid, name


def test_shipped_settings_are_the_best_on_validation():
    table = (
        Store()
        .read(TUNING)
        .query("dataset == 'movielens-small' and protocol == 'leave-last-out'")
    )
    table = table[table["model"].isin(specs.SPECS)]
    best = table.loc[table.groupby("model")["validation_ndcg"].idxmax()].set_index(
        "model"
    )["settings"]
    assert {name: str(zoo.spec(name).settings) for name in best.index} == best.to_dict()
    assert set(table["model"].value_counts()) == {4}


def test_shipped_rows_agree_with_each_other():
    runs, users = (Store().read(name).set_index(KEY) for name in (RUNS, USERS))
    assert runs.index.is_unique
    means = users.groupby(KEY)[["ndcg", "hr"]].mean()
    listed = runs[runs.index.isin(means.index)].sort_index()
    assert len(listed) == len(means) > 10
    assert (
        np.abs(
            listed[["ndcg@10", "hr@10"]].to_numpy() - means.sort_index().to_numpy()
        ).max()
        < 1e-4
    )


def test_shipped_quality_follows_from_the_shipped_rows():
    runs, quality = Store().read(RUNS), pd.read_csv(Store().folder / "quality.csv")
    names = KEY[:3]
    means = runs.melt([*names, "seed"], list(METRICS), "metric").dropna(subset="value")
    means = means.groupby([*names, "metric"])["value"].mean()
    shipped = quality.set_index([*names, "metric"])["mean"]
    assert shipped.to_dict() == pytest.approx(means.to_dict(), abs=2e-4)

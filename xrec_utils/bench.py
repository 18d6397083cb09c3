"""`make bench`: the tuning and quality tables, one stored row per run, so that an interrupted bench goes on.

    python -m xrec_utils.bench            everything that is still missing, then the tables
    python -m xrec_utils.bench tables     the tables from the stored rows

Rules kept here and nowhere else: every model gets the same number of settings to try; settings and epochs are chosen
on validation; each run reads the test part once; differences are paired by user.
"""

import argparse
import gzip
import resource
import time
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from xrec_utils import zoo
from xrec_utils.data import load_movielens
from xrec_utils.files import replace_bytes
from xrec_utils.metrics import evaluate, mean_interval, paired_interval
from xrec_utils.paths import DATA
from xrec_utils.splits import Split, global_time, k_core, leave_last_out

BENCH = DATA / "bench"
RUNS, TUNING = BENCH / "quality_runs.csv", BENCH / "tuning.csv"
USERS = BENCH / "quality_users.csv.gz"
MODELS = ("popularity", "ease", "embedding_mlp", "pooled_mlp", "attention")
SEEDS, TIE_SEEDS = (0, 1, 2), (0, 1)
METRICS = ("hr", "ndcg")
KEY = ["protocol", "model", "seed", "tie_seed"]


def tune(name: str) -> pd.DataFrame:
    """Try each of a model's settings once, seed 0, on the shared split; validation only."""
    rows = []
    for settings in zoo.spec(name).grid:
        started = time.perf_counter()
        model, epochs = zoo.train(name, settings=settings)
        ndcg = evaluate(model, zoo.split().cases("validation"))["ndcg"].mean()
        rows.append({"model": name, "settings": str(settings), "validation_ndcg": round(float(ndcg), 4),
                     "epochs": len(epochs), "seconds": round(time.perf_counter() - started, 1)})
        print(f"  {rows[-1]}", flush=True)
    return pd.DataFrame(rows)


def tune_missing() -> None:
    """Add to tuning.csv the models it does not hold yet."""
    done = pd.read_csv(TUNING) if TUNING.exists() else pd.DataFrame(columns=["model"])
    for name in MODELS:
        if zoo.spec(name).grid and name not in set(done["model"]):
            done = pd.concat([done, tune(name)], ignore_index=True)
            _write(done, TUNING)


def splits() -> Iterator[tuple[str, int, Split]]:
    """Yield (protocol, tie seed, split): leave-last-out under every tie seed, global time under the first."""
    core = k_core(load_movielens("movielens-small"), 5)
    for tie_seed in TIE_SEEDS:
        yield "leave-last-out", tie_seed, leave_last_out(core, tie_seed)
    yield "global-time", TIE_SEEDS[0], global_time(core, tie_seed=TIE_SEEDS[0])


def one_run(name: str, split: Split, seed: int) -> tuple[dict[str, float], pd.DataFrame]:
    """Train one model and read the test part once: (cost of the run, one row per test user)."""
    started = time.perf_counter()
    model, _ = zoo.train(name, split, seed)
    fitted = time.perf_counter()
    users = evaluate(model, split.cases("test"))[list(METRICS)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "fit_seconds": round(fitted - started, 1),
        "score_seconds": round(time.perf_counter() - fitted, 1),
        "peak_mb": round(peak),
    }, users


def run_missing() -> None:
    """Run whatever (protocol, model, seed, tie seed) is not stored yet."""
    runs = pd.read_csv(RUNS) if RUNS.exists() else pd.DataFrame(columns=KEY)
    users = pd.read_csv(USERS) if USERS.exists() else pd.DataFrame(columns=[*KEY, "user", *METRICS])
    done = set(map(tuple, runs[KEY].itertuples(index=False)))
    for (protocol, tie_seed, split), name, seed in product(splits(), MODELS, SEEDS):
        key = (protocol, name, seed, tie_seed)
        if key in done or (protocol == "global-time" and name == "embedding_mlp"):
            continue  # users who come after the cut have no embedding
        cost, rows = one_run(name, split, seed)
        labels = dict(zip(KEY, key, strict=True))
        runs = pd.concat([runs, pd.DataFrame([{**labels, **cost}])], ignore_index=True)
        users = pd.concat([users, rows.reset_index().assign(**labels)], ignore_index=True)
        _write(users.round(5), USERS)
        _write(runs, RUNS)
        print(f"  {key} ndcg@10 {rows['ndcg'].mean():.4f} {cost}", flush=True)


def by_user(users: pd.DataFrame, protocol: str, model: str, metric: str) -> np.ndarray:
    """Return an array (seeds x tie seeds, users) of one metric, users in one order."""
    rows = users[(users["protocol"] == protocol) & (users["model"] == model)]
    return rows.pivot(index=["seed", "tie_seed"], columns="user", values=metric).to_numpy()


def quality_table(users: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds and tie seeds with a 95% bootstrap interval over users, one row per protocol, model, metric."""
    cost = runs.groupby(["protocol", "model"])[["fit_seconds", "score_seconds", "peak_mb"]].mean().round(1)
    rows = []
    for (protocol, model), metric in product(cost.index, METRICS):
        interval = mean_interval(by_user(users, protocol, model, metric))
        rows.append({"dataset": "movielens-small", "protocol": protocol, "model": model, "metric": f"{metric}@10",
                     "mean": interval.mean, "low": interval.low, "high": interval.high,
                     **cost.loc[(protocol, model)].to_dict()})
    return pd.DataFrame(rows).round(4)


def paired_table(users: pd.DataFrame) -> pd.DataFrame:
    """Mean difference of the attention model to every other, paired by user, with its 95% interval."""
    rows = []
    measured = users.loc[users["model"] == "attention", "protocol"].unique()
    for protocol, metric in product(measured, METRICS):
        attention = by_user(users, protocol, "attention", metric)
        for other in set(users.loc[users["protocol"] == protocol, "model"]) - {"attention"}:
            interval = paired_interval(attention, by_user(users, protocol, other, metric))
            rows.append({"protocol": protocol, "model": "attention", "minus": other, "metric": f"{metric}@10",
                         "mean": interval.mean, "low": interval.low, "high": interval.high,
                         "users": attention.shape[1]})
    return pd.DataFrame(rows).round(4).sort_values(["protocol", "metric", "minus"], ascending=[False, True, True])


def write_tables() -> None:
    """Write quality.csv, paired.csv and versions.csv from the stored runs, and print the first two."""
    runs, users = pd.read_csv(RUNS), pd.read_csv(USERS)
    tables = {"quality": quality_table(users, runs), "paired": paired_table(users)}
    packages = ("tensorflow-cpu", "keras", "numpy", "pandas", "scikit-learn")
    versions = pd.DataFrame([{"date": date.today().isoformat(), **{p: version(p) for p in packages}}])
    for name, table in {**tables, "versions": versions}.items():
        _write(table, BENCH / f"{name}.csv")
    for table in tables.values():
        print(table.to_string(index=False))


def _write(table: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = table.to_csv(index=False).encode()
    replace_bytes(path, gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", default="all", choices=["all", "tune", "ship", "tables"])
    what = parser.parse_args().what
    if what in ("all", "tune"):
        tune_missing()
    if what == "ship":
        for name in zoo.SHIPPED:
            print({k: v for k, v in zoo.ship(name).items() if k != "epochs"}, flush=True)
    if what == "all":
        run_missing()
    if what in ("all", "tables"):
        write_tables()


if __name__ == "__main__":
    main()

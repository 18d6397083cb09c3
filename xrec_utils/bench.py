"""`make bench`: the tuning and quality tables.

There is one stored row per run, so that an interrupted bench goes on.

    python -m xrec_utils.bench                 everything that is still missing, then
                                               the tables
    python -m xrec_utils.bench tune [MODEL..]  try the settings that were not tried yet,
                                               on validation only
    python -m xrec_utils.bench run [MODEL..]   make the runs that are not stored yet
    python -m xrec_utils.bench tables          the tables from the stored rows
    python -m xrec_utils.bench quick           a few fast runs into a temporary folder,
                                               compared with the stored rows
    python -m xrec_utils.bench cost [MODEL..]  time one run of each model that has no
                                               seconds; the machine must be idle
    python -m xrec_utils.bench rerun           random stored rows made again and
                                               compared (--count 5)

`--dataset`, `--protocol` and `--seeds 2` narrow tune, run and cost down. Rules kept
here and nowhere else: every model gets the same number of settings to try; settings and
epochs are chosen on validation; each run reads the test part once.
"""

from __future__ import annotations

import argparse
import ast
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from xrec_utils import zoo
from xrec_utils.bench_again import compared, draw, without_cost
from xrec_utils.bench_peers import PEERS, installed, missing
from xrec_utils.bench_ratings import RATERS
from xrec_utils.bench_runs import apart, grid_of, measure, tune
from xrec_utils.bench_store import RUNS, TUNING, Run, Store, Task
from xrec_utils.bench_tables import write_tables

SEEDS = 5
HISTORY_MODELS = tuple(name for name in zoo.SPECS if name not in zoo.FEATURE_MODELS)
HOME = ("movielens-small", "leave-last-out")  # where the zoo's settings were chosen
Key = tuple[str, str, str, int]  # data set, protocol, model, seed


@dataclass(frozen=True)
class Plan:
    """Which models are measured on a data set under a protocol, with how many seeds.

    tuned: settings are chosen for it anew.
    """

    dataset: str
    protocol: str
    models: tuple[str, ...]
    tuned: bool = False
    seeds: int = SEEDS

    def keys(
        self, models: Iterable[str] = (), seeds: Iterable[int] = (0,)
    ) -> list[Key]:
        """Keys of the runs that can be made here, seed by seed.

        models: those wanted; all for none.
        """
        wanted = [name for name in self.models if not models or name in models]
        wanted = [name for name in wanted if installed(name)]
        keys = []
        # seed by seed: a bench that is interrupted has measured every model once
        for seed in seeds:
            if seed < self.seeds:
                keys += [(self.dataset, self.protocol, name, seed) for name in wanted]
        return keys


# din is in the zoo for its closed form; it waits for a tuning of its own
AT_HOME = tuple(name for name in HISTORY_MODELS if name != "din")
IN_TIME = ("popularity", "ease", "pooled_mlp", "attention")
ON_ML100K = ("popularity", "item_knn", "ease", "vae", "gru", "attention")
ON_RECOMMENDERS = (
    "popularity",
    "user_knn",
    "item_knn",
    "ials",
    "ease",
    "hybrid",
    "embedding_mlp",
    "dae",
    "vae",
)
PLANS = (
    Plan(*HOME, (*AT_HOME, *PEERS), tuned=True),
    Plan("movielens-small", "global-time", IN_TIME, seeds=3),
    Plan("ml-100k", "leave-last-out", (*ON_ML100K, *PEERS)),
    Plan("ml-100k", "recommenders", (*ON_RECOMMENDERS, *PEERS), tuned=True),
    Plan("ml-100k", "rmse", tuple(RATERS), tuned=True),
)
QUICK = (
    (*HOME, "popularity", 0),
    (*HOME, "ease", 0),
    (*HOME, "item_knn", 0),
    (*HOME, "implicit_als", 0),
    (*HOME, "implicit_item_knn", 0),
    ("ml-100k", "recommenders", "popularity", 0),
    ("ml-100k", "recommenders", "ease", 0),
    ("ml-100k", "recommenders", "cornac_ease", 0),
    ("ml-100k", "recommenders", "implicit_bpr", 0),
    ("ml-100k", "rmse", "baseline", 0),
    ("ml-100k", "rmse", "item_neighbours", 0),
)
# to see training work
QUICK_NETWORK = Task(*HOME, "pooled_mlp", 0, {"width": 32, "dropout": 0.3}, epochs=2)


def plans(dataset: str | None = None, protocol: str | None = None) -> list[Plan]:
    """The plans of a data set and a protocol; None stands for all."""
    return [
        plan
        for plan in PLANS
        if dataset in (None, plan.dataset) and protocol in (None, plan.protocol)
    ]


def chosen(
    store: Store, dataset: str, protocol: str, model: str
) -> tuple[dict[str, Any], int | None]:
    """Settings of a model and the epoch that was best with them.

    At home they are those of the zoo (a test compares them with tuning.csv); elsewhere,
    and for what the zoo does not hold, the best tried there, else the best tried at
    home. The epoch is None for models without epochs.

    Raises:
        LookupError: nothing was tried; the message says how to.
    """
    at_home = (dataset, protocol) == HOME
    ours = zoo.SPECS.get(model)
    # a model without a grid has nothing to choose
    if ours and (not ours.grid or at_home):
        return ours.settings, None
    tried = store.read(TUNING)
    tried = tried[tried["model"] == model]
    tried = tried[(tried["dataset"] == dataset) & (tried["protocol"] == protocol)]
    if len(tried):
        return _best(tried)
    if protocol in ("recommenders", "rmse") or at_home:
        raise LookupError(
            f"{model} is not tuned for {dataset}, {protocol}: first run "
            f"`python -m xrec_utils.bench tune {model} --dataset {dataset} "
            f"--protocol {protocol}`"
        )
    return chosen(store, *HOME, model)


def _best(tried: pd.DataFrame) -> tuple[dict[str, Any], int | None]:
    """The settings of the best row of tuning.csv and its best epoch, if it has any."""
    # errors are best when small, ranking is best when large
    quality = tried["validation_ndcg"].fillna(-tried["validation_rmse"])
    best = tried.iloc[quality.argmax()]
    epoch = int(np.nan_to_num(best["best_epoch"]))
    return ast.literal_eval(best["settings"]), epoch or None


def tasks_of(store: Store, keys: Iterable[Key]) -> tuple[list[Task], int]:
    """The runs of some keys with the settings chosen for them.

    Also returned is how many cannot be made for want of settings.
    """
    tasks = []
    failed = 0
    for key in keys:
        try:
            settings, epochs = chosen(store, *key[:3])
        except LookupError as fault:
            print(f"{' '.join(key[:3])} seed {key[3]}: {fault}", file=sys.stderr)
            failed += 1
            continue
        # only this protocol fixes the number of epochs: it fits on everything, nothing
        # is left to stop on
        if key[1] != "recommenders":
            epochs = None
        tasks.append(Task(*key, settings, epochs))
    return tasks, failed


def cost_of(run: Run) -> str:
    """What a run cost, in words."""
    seconds = run.cost["fit_seconds"]
    if np.isfinite(seconds):
        return f"fit {seconds:.1f} s"
    return "not timed (the machine was busy)"


def run_all(
    store: Store,
    tasks: list[Task],
    work: Callable[[Task], Run],
    keep: Callable | None = None,
) -> int:
    """Make the runs, each stored at once; returns how many failed.

    One that fails is reported and the rest goes on. keep: what stores a run,
    `store.add` if nothing else is given.
    """
    failed = 0
    keep = keep or store.add
    for place, task in enumerate(tasks, start=1):
        try:
            run = work(task)
        # whatever a model does wrong, the others are measured
        except Exception as fault:
            failed += 1
            print(f"{task}: FAILED", file=sys.stderr)
            traceback.print_exception(fault)
            continue
        keep(run)
        name, value = next(iter(run.metrics.items()))
        left = len(tasks) - place
        print(f"{task}: {name} {value:.4f}, {cost_of(run)}, {left} left", flush=True)
    return failed


def run_missing(store: Store, keys: Iterable[Key], work: Callable[[Task], Run]) -> int:
    """Make the runs that are not stored yet; returns how many failed."""
    done = store.done()
    tasks, failed = tasks_of(store, [key for key in keys if key not in done])
    return failed + run_all(store, tasks, work)


def time_missing(store: Store, keys: Iterable[Key], work: Callable[[Task], Run]) -> int:
    """Repeat one run of each model that has no seconds yet; returns how many failed.

    Only its cost is stored.
    """
    wanted = {key[:3] for key in keys}
    tasks = [task for task in without_cost(store.read(RUNS)) if task.key[:3] in wanted]
    return run_all(store, tasks, work, store.add_cost)


def tune_missing(
    store: Store, keys: Iterable[Key], work: Callable[[Task], dict]
) -> int:
    """Try every setting of the models that were not tuned yet; returns how many failed.

    Only the validation part is read.
    """
    stored = store.read(TUNING)[["dataset", "protocol", "model"]]
    done = set(stored.itertuples(index=False, name=None))
    failed = 0
    for key in keys:
        dataset, protocol, model, _ = key
        settings_to_try = grid_of(model, dataset)
        if key[:3] in done or not settings_to_try:
            continue
        try:
            tried = [work(Task(*key, settings)) for settings in settings_to_try]
        except Exception as fault:
            failed += 1
            print(f"tune {dataset} {protocol} {model}: FAILED", file=sys.stderr)
            traceback.print_exception(fault)
            continue
        store.add_tuning(tried)
        table = pd.DataFrame(tried).drop(columns=["dataset", "protocol"])
        print(table.to_string(index=False), flush=True)
    return failed


def repeat(store: Store, tasks: list[Task], work: Callable[[Task], Run]) -> int:
    """Make runs in a temporary folder, and compare them with the stored rows.

    Returns how many failed or lie outside the tolerance; the store is only read.
    """
    with tempfile.TemporaryDirectory() as folder:
        here = Store(Path(folder))
        failed = run_all(here, tasks, work)
        # without any run there are no tables
        if failed < len(tasks):
            write_tables(here, published(store))
            print(_tables(here))
        table = compared(here.read(RUNS), store.read(RUNS))
    if len(table):
        print(table.to_string(index=False))
    else:
        print("None of these runs is stored: nothing to compare.")
    within = table["within"].sum()
    print(
        f"{within} of {len(table)} stored values came out within the tolerance; "
        f"{failed} runs failed."
    )
    return failed + int((~table["within"]).sum())


def _tables(store: Store) -> str:
    return (store.folder / "TABLES.md").read_text(encoding="utf-8")


def published(store: Store) -> pd.DataFrame:
    """What others report, as data/bench/published.csv has it."""
    return pd.read_csv(store.folder / "published.csv")


def quick(store: Store, work: Callable[[Task], Run]) -> int:
    """A few fast runs beside the stored ones; returns how many failed or differ."""
    tasks, failed = tasks_of(store, [key for key in QUICK if installed(key[2])])
    return failed + repeat(store, [*tasks, QUICK_NETWORK], work)


def rerun(
    store: Store, work: Callable[[Task], Run], count: int, seed: int | None
) -> int:
    """Random stored rows made again; returns how many failed or differ.

    The seed of the draw is printed.
    """
    if seed is None:
        seed = time.time_ns() % 1_000_000
    print(f"{count} stored rows, drawn with --draw {seed}")
    runs = store.read(RUNS)
    possible = runs[runs["model"].map(installed)]
    return repeat(store, draw(possible, count, seed), work)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m xrec_utils.bench", description=__doc__.splitlines()[0]
    )
    option = parser.add_argument
    verbs = ["all", "tune", "run", "cost", "tables", "quick", "rerun", "ship"]
    option("what", nargs="?", default="all", choices=verbs)
    option("models", nargs="*", help="tune, run, cost, ship: only these models")
    option("--dataset", choices=sorted({plan.dataset for plan in PLANS}))
    option("--protocol", choices=sorted({plan.protocol for plan in PLANS}))
    seeds = f"how many seeds a model (default {SEEDS})"
    option("--seeds", type=int, default=SEEDS, help=seeds)
    option("--count", type=int, default=5, help="rerun: how many rows (default 5)")
    again = "rerun: seed of the draw, to draw the same rows again"
    option("--draw", type=int, help=again)
    return parser.parse_args(arguments)


def main(
    arguments: list[str] | None = None,
    store: Store | None = None,
    place: Callable = apart,
) -> int:
    """Do what the command line says; returns how many runs failed.

    place(work, task) says where work is done.
    """
    asked = parse(arguments)
    store = store or Store()
    if asked.what == "ship":
        return _ship(asked.models or zoo.SHIPPED)
    if missing() and asked.what != "tables":
        print(
            f"Not installed, so not measured: {', '.join(missing())}. "
            "`make bench` installs them, as does "
            "`pip install --require-hashes -r requirements-bench.lock`.",
            file=sys.stderr,
        )

    def make(task: Task) -> Run:
        return place(measure, task)

    failed = 0
    if asked.what in ("all", "tune"):
        failed += tune_missing(
            store, _keys_to_tune(asked), lambda task: place(tune, task)
        )
    if asked.what in ("all", "run"):
        failed += run_missing(store, _keys(asked, range(asked.seeds)), make)
    if asked.what == "cost":
        failed += time_missing(store, _keys(asked, (0,)), make)
    if asked.what in ("all", "tables"):
        write_tables(store, published(store))
        print(_tables(store))
    if asked.what == "quick":
        failed += quick(store, make)
    if asked.what == "rerun":
        failed += rerun(store, make, asked.count, asked.draw)
    return failed


def _keys(asked: argparse.Namespace, seeds: Iterable[int]) -> list[Key]:
    """The keys of the runs that the command line names, plan by plan."""
    keys = []
    for plan in plans(asked.dataset, asked.protocol):
        keys += plan.keys(asked.models, seeds)
    return keys


def _keys_to_tune(asked: argparse.Namespace) -> list[Key]:
    """One key per model to tune, of the plans with a tuning of their own."""
    # a plan named in full is tuned even if its settings are otherwise those of home
    named = asked.dataset and asked.protocol
    keys = []
    for plan in plans(asked.dataset, asked.protocol):
        if plan.tuned or named:
            keys += plan.keys(asked.models)
    return keys


def _ship(models: Iterable[str]) -> int:
    """Train the models and store their weights; nothing is counted as failed."""
    for name in models:
        record = zoo.ship(name)
        # one row per epoch would drown the rest
        record.pop("epochs", None)
        print(record, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(bool(main()))

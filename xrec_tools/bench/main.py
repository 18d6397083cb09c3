"""`make bench`: the tuning and quality tables.

There is one stored row per run, so that an interrupted bench goes on.

    python -m xrec_tools.bench.main                 what is missing, then the tables
    python -m xrec_tools.bench.main tune [MODEL..]  settings not tried yet, on validation
    python -m xrec_tools.bench.main run [MODEL..]   runs that are not stored yet
    python -m xrec_tools.bench.main ship [MODEL..]  weights trained and stored for `zoo`
    python -m xrec_tools.bench.main tables          the tables from the stored rows
    python -m xrec_tools.bench.main quick           a few fast runs beside the stored rows
    python -m xrec_tools.bench.main cost [MODEL..]  seconds of runs without; machine idle
    python -m xrec_tools.bench.main rerun           random stored rows again (--count 5)

`--dataset`, `--protocol` and `--seeds 2` narrow tune, run and cost down. Rules kept
here and nowhere else: every model gets the same number of settings to try; settings and
epochs are chosen on validation; each run reads the test part once.
"""

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from xrec_tools.bench.again import compared, draw, without_cost
from xrec_tools.bench.peers import installed, missing
from xrec_tools.bench.plans import (
    PLANS,
    QUICK,
    QUICK_NETWORK,
    SEEDS,
    Key,
    cost_of,
    plans,
    tasks_of,
)
from xrec_tools.bench.runs import apart, grid_of, measure, tune
from xrec_tools.bench.ship import ship
from xrec_tools.bench.store import RUNS, TUNING, Run, Store, Task
from xrec_tools.bench.tables import write_tables
from xrec_utils import zoo


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
    return run_all(
        store,
        [task for task in without_cost(store.read(RUNS)) if task.key[:3] in wanted],
        work,
        store.add_cost,
    )


def tune_missing(
    store: Store, keys: Iterable[Key], work: Callable[[Task], dict]
) -> int:
    """Try every setting of the models that were not tuned yet; returns how many failed.

    Only the validation part is read.
    """
    tuned = store.read(TUNING)[["dataset", "protocol", "model"]]
    done = set(tuned.itertuples(index=False, name=None))
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
        print(
            pd.DataFrame(tried)
            .drop(columns=["dataset", "protocol"])
            .to_string(index=False),
            flush=True,
        )
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
    return failed + repeat(
        store,
        [*tasks, QUICK_NETWORK],
        work,
    )


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
    return repeat(
        store,
        draw(runs[runs["model"].map(installed)], count, seed),
        work,
    )


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m xrec_tools.bench.main", description=__doc__.splitlines()[0]
    )
    option = parser.add_argument
    option(
        "what",
        nargs="?",
        default="all",
        choices=["all", "tune", "run", "cost", "tables", "quick", "rerun", "ship"],
    )
    option("models", nargs="*", help="tune, run, cost, ship: only these models")
    option("--dataset", choices=sorted({plan.dataset for plan in PLANS}))
    option("--protocol", choices=sorted({plan.protocol for plan in PLANS}))
    option(
        "--seeds",
        type=int,
        default=SEEDS,
        help=f"how many seeds a model (default {SEEDS})",
    )
    option("--count", type=int, default=5, help="rerun: how many rows (default 5)")
    option(
        "--draw",
        type=int,
        help="rerun: seed of the draw, to draw the same rows again",
    )
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
            store, _keys(asked, (0,), to_tune=True), lambda task: place(tune, task)
        )
    if asked.what in ("all", "run"):
        failed += run_missing(
            store,
            _keys(asked, range(asked.seeds)),
            make,
        )
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


def _keys(
    asked: argparse.Namespace, seeds: Iterable[int], to_tune: bool = False
) -> list[Key]:
    """The keys of the runs that the command line names, plan by plan.

    to_tune: only of the plans with a tuning of their own.
    """
    # a plan named in full is tuned even if its settings are otherwise those of home
    named = asked.dataset and asked.protocol
    keys = []
    for plan in plans(asked.dataset, asked.protocol):
        if plan.tuned or named or not to_tune:
            keys += plan.keys(asked.models, seeds)
    return keys


def _ship(models: Iterable[str]) -> int:
    """Train the models and store their weights; nothing is counted as failed."""
    for name in models:
        record = ship(name)
        # one row per epoch would drown the rest
        record.pop("epochs", None)
        print(record, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(bool(main()))

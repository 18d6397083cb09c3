"""`make bench`: the tuning and quality tables, one stored row per run, so that an
interrupted bench goes on.

    python -m xrec_utils.bench                 everything that is still missing, then the tables
    python -m xrec_utils.bench tune [MODEL..]  try the settings that were not tried yet, on validation only
    python -m xrec_utils.bench run [MODEL..]   make the runs that are not stored yet
    python -m xrec_utils.bench tables          the tables from the stored rows
    python -m xrec_utils.bench quick           a few fast runs into a temporary folder, compared with the stored rows
    python -m xrec_utils.bench cost [MODEL..]  time one run of each model that has no seconds; the machine must be idle
    python -m xrec_utils.bench rerun           random stored rows made again and compared (--count 5)

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
HOME = (
    "movielens-small",
    "leave-last-out",
)  # where the settings in the zoo were chosen


@dataclass(frozen=True)
class Plan:
    """Which models are measured on a data set under a protocol, and with how many
    seeds.

    tuned: settings are chosen for it anew.
    """

    dataset: str
    protocol: str
    models: tuple[str, ...]
    tuned: bool = False
    seeds: int = SEEDS

    def keys(
        self, models: Iterable[str] = (), seeds: Iterable[int] = (0,)
    ) -> list[tuple[str, str, str, int]]:
        """Keys of the runs of the named models (of all for none) that can be made here,
        seed by seed.
        """
        wanted = [
            name
            for name in self.models
            if (not models or name in models) and installed(name)
        ]
        return [
            (self.dataset, self.protocol, name, seed)
            for seed in seeds
            if seed < self.seeds
            for name in wanted
        ]


def _of_zoo(*names: str) -> tuple[str, ...]:
    return tuple(name for name in names if name in HISTORY_MODELS)


PLANS = (
    # din is in the zoo for its closed form; it waits for a tuning of its own
    Plan(
        *HOME, (*(name for name in HISTORY_MODELS if name != "din"), *PEERS), tuned=True
    ),
    Plan(
        "movielens-small",
        "global-time",
        _of_zoo("popularity", "ease", "pooled_mlp", "attention"),
        seeds=3,
    ),
    Plan(
        "ml-100k",
        "leave-last-out",
        (*_of_zoo("popularity", "item_knn", "ease", "vae", "gru", "attention"), *PEERS),
    ),
    Plan(
        "ml-100k",
        "recommenders",
        (
            *_of_zoo(
                "popularity",
                "user_knn",
                "item_knn",
                "ials",
                "ease",
                "hybrid",
                "embedding_mlp",
                "dae",
                "vae",
            ),
            *PEERS,
        ),
        tuned=True,
    ),
    Plan("ml-100k", "rmse", tuple(RATERS), tuned=True),
)
QUICK = (
    *(
        (*HOME, name, 0)
        for name in (
            "popularity",
            "ease",
            "item_knn",
            "implicit_als",
            "implicit_item_knn",
        )
    ),
    *(
        ("ml-100k", "recommenders", name, 0)
        for name in ("popularity", "ease", "cornac_ease", "implicit_bpr")
    ),
    *(("ml-100k", "rmse", name, 0) for name in ("baseline", "item_neighbours")),
)
QUICK_NETWORK = Task(
    *HOME, "pooled_mlp", 0, {"width": 32, "dropout": 0.3}, epochs=2
)  # to see training work


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
    """Settings of a model and the epoch that was best with them (None for models
    without epochs).

    At home they are those of the zoo (a test compares them with tuning.csv); elsewhere,
    and for what the zoo does not hold, the best tried there, else the best tried at
    home.

    Raises:
        LookupError: nothing was tried; the message says how to.
    """
    ours, tried = zoo.SPECS.get(model), store.read(TUNING)
    if ours and (not ours.grid or (dataset, protocol) == HOME):
        return ours.settings, None
    tried = tried[
        (tried["model"] == model)
        & (tried["dataset"] == dataset)
        & (tried["protocol"] == protocol)
    ]
    if len(tried):
        best = tried.iloc[
            tried["validation_ndcg"].fillna(-tried["validation_rmse"]).argmax()
        ]
        return ast.literal_eval(best["settings"]), int(
            np.nan_to_num(best["best_epoch"])
        ) or None
    if protocol in ("recommenders", "rmse") or (dataset, protocol) == HOME:
        raise LookupError(
            f"{model} is not tuned for {dataset}, {protocol}: first run `python -m xrec_utils.bench "
            f"tune {model} --dataset {dataset} --protocol {protocol}`"
        )
    return chosen(store, *HOME, model)


def tasks_of(
    store: Store, keys: Iterable[tuple[str, str, str, int]]
) -> tuple[list[Task], int]:
    """The runs of some keys with the settings chosen for them, and how many cannot be
    made for want of settings.

    Only the recommenders protocol fixes the number of epochs: it fits on everything,
    nothing is left to stop on.
    """
    tasks, failed = [], 0
    for key in keys:
        try:
            settings, epochs = chosen(store, *key[:3])
        except LookupError as fault:
            print(f"{' '.join(key[:3])} seed {key[3]}: {fault}", file=sys.stderr)
            failed += 1
        else:
            tasks.append(
                Task(*key, settings, epochs if key[1] == "recommenders" else None)
            )
    return tasks, failed


def cost_of(run: Run) -> str:
    """What a run cost, in words."""
    seconds = run.cost["fit_seconds"]
    return (
        f"fit {seconds:.1f} s"
        if np.isfinite(seconds)
        else "not timed (the machine was busy)"
    )


def run_all(
    store: Store,
    tasks: list[Task],
    work: Callable[[Task], Run],
    keep: Callable | None = None,
) -> int:
    """Make the runs, each stored at once; one that fails is reported and the rest goes
    on. Returns how many failed.

    keep: what stores a run, `store.add` if nothing else is given.
    """
    failed, keep = 0, keep or store.add
    for place, task in enumerate(tasks, start=1):
        try:
            run = work(task)
        except (
            Exception
        ) as fault:  # whatever a model does wrong, the others are measured
            failed += 1
            print(f"{task}: FAILED", file=sys.stderr)
            traceback.print_exception(fault)
        else:
            keep(run)
            name, value = next(iter(run.metrics.items()))
            print(
                f"{task}: {name} {value:.4f}, {cost_of(run)}, {len(tasks) - place} left",
                flush=True,
            )
    return failed


def run_missing(
    store: Store, keys: Iterable[tuple[str, str, str, int]], work: Callable[[Task], Run]
) -> int:
    """Make the runs that are not stored yet; returns how many failed."""
    done = store.done()
    tasks, failed = tasks_of(store, [key for key in keys if key not in done])
    return failed + run_all(store, tasks, work)


def time_missing(
    store: Store, keys: Iterable[tuple[str, str, str, int]], work: Callable[[Task], Run]
) -> int:
    """Repeat one run of each model that has no seconds yet and store its cost alone;
    returns how many failed.
    """
    wanted = {key[:3] for key in keys}
    tasks = [task for task in without_cost(store.read(RUNS)) if task.key[:3] in wanted]
    return run_all(store, tasks, work, store.add_cost)


def tune_missing(
    store: Store,
    keys: Iterable[tuple[str, str, str, int]],
    work: Callable[[Task], dict],
) -> int:
    """Try every setting of the models that were not tuned yet, validation only; returns
    how many failed.
    """
    done, failed = (
        set(
            store.read(TUNING)[["dataset", "protocol", "model"]].itertuples(
                index=False, name=None
            )
        ),
        0,
    )
    for key in (key for key in keys if key[:3] not in done and grid_of(key[2], key[0])):
        try:
            tried = [work(Task(*key, settings)) for settings in grid_of(key[2], key[0])]
        except Exception as fault:
            failed += 1
            print(f"tune {' '.join(key[:3])}: FAILED", file=sys.stderr)
            traceback.print_exception(fault)
        else:
            store.add_tuning(tried)
            print(
                pd.DataFrame(tried)
                .drop(columns=["dataset", "protocol"])
                .to_string(index=False),
                flush=True,
            )
    return failed


def repeat(store: Store, tasks: list[Task], work: Callable[[Task], Run]) -> int:
    """Make runs in a temporary folder, print its tables and the comparison with the
    stored rows.

    Returns how many failed or lie outside the tolerance; the store is only read.
    """
    with tempfile.TemporaryDirectory() as folder:
        here = Store(Path(folder))
        failed = run_all(here, tasks, work)
        if failed < len(tasks):
            write_tables(here, published(store))
            print((here.folder / "TABLES.md").read_text(encoding="utf-8"))
        table = compared(here.read(RUNS), store.read(RUNS))
    print(
        table.to_string(index=False)
        if len(table)
        else "None of these runs is stored: nothing to compare."
    )
    print(
        f"{table['within'].sum()} of {len(table)} stored values came out within the tolerance; {failed} runs failed."
    )
    return failed + int((~table["within"]).sum())


def published(store: Store) -> pd.DataFrame:
    """What others report, as data/bench/published.csv has it."""
    return pd.read_csv(store.folder / "published.csv")


def quick(store: Store, work: Callable[[Task], Run]) -> int:
    """A few fast runs, compared with the stored ones; returns how many failed or
    differ.
    """
    tasks, failed = tasks_of(store, [key for key in QUICK if installed(key[2])])
    return failed + repeat(store, [*tasks, QUICK_NETWORK], work)


def rerun(
    store: Store, work: Callable[[Task], Run], count: int, seed: int | None
) -> int:
    """Random stored rows made again; the seed of the draw is printed. Returns how many
    failed or differ.
    """
    seed = time.time_ns() % 1_000_000 if seed is None else seed
    runs = store.read(RUNS)
    print(f"{count} stored rows, drawn with --draw {seed}")
    return repeat(store, draw(runs[runs["model"].map(installed)], count, seed), work)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m xrec_utils.bench", description=__doc__.splitlines()[0]
    )
    verbs = ["all", "tune", "run", "cost", "tables", "quick", "rerun", "ship"]
    parser.add_argument("what", nargs="?", default="all", choices=verbs)
    parser.add_argument(
        "models", nargs="*", help="tune, run, cost, ship: only these models"
    )
    parser.add_argument("--dataset", choices=sorted({plan.dataset for plan in PLANS}))
    parser.add_argument("--protocol", choices=sorted({plan.protocol for plan in PLANS}))
    parser.add_argument(
        "--seeds",
        type=int,
        default=SEEDS,
        help=f"how many seeds a model (default {SEEDS})",
    )
    parser.add_argument(
        "--count", type=int, default=5, help="rerun: how many rows (default 5)"
    )
    parser.add_argument(
        "--draw", type=int, help="rerun: seed of the draw, to draw the same rows again"
    )
    return parser.parse_args(arguments)


def main(
    arguments: list[str] | None = None,
    store: Store | None = None,
    place: Callable = apart,
) -> int:
    """Do what the command line says; returns how many runs failed. place(work, task)
    says where work is done.
    """
    asked, store, failed = parse(arguments), store or Store(), 0
    if missing() and asked.what not in ("ship", "tables"):
        print(
            f"Not installed, so not measured: {', '.join(missing())}. `make bench` installs them, as does "
            "`pip install --require-hashes -r requirements-bench.lock`.",
            file=sys.stderr,
        )

    def make(task: Task) -> Run:
        return place(measure, task)

    todo = plans(asked.dataset, asked.protocol)
    if asked.what in ("all", "tune"):
        wanted = [
            plan for plan in todo if plan.tuned or (asked.dataset and asked.protocol)
        ]
        keys = [key for plan in wanted for key in plan.keys(asked.models)]
        failed += tune_missing(store, keys, lambda task: place(tune, task))
    if asked.what in ("all", "run"):
        failed += run_missing(
            store,
            [k for plan in todo for k in plan.keys(asked.models, range(asked.seeds))],
            make,
        )
    if asked.what == "cost":
        failed += time_missing(
            store, [key for plan in todo for key in plan.keys(asked.models)], make
        )
    if asked.what in ("all", "tables"):
        write_tables(store, published(store))
        print((store.folder / "TABLES.md").read_text(encoding="utf-8"))
    if asked.what == "quick":
        failed += quick(store, make)
    if asked.what == "rerun":
        failed += rerun(store, make, asked.count, asked.draw)
    if asked.what == "ship":
        for name in asked.models or zoo.SHIPPED:
            print(
                {
                    key: value
                    for key, value in zoo.ship(name).items()
                    if key != "epochs"
                },
                flush=True,
            )
    return failed


if __name__ == "__main__":
    sys.exit(bool(main()))

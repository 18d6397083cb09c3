"""Stored runs made again: which ones, and how far apart old and new may lie."""

import ast

import numpy as np
import pandas as pd

from xrec_tools.bench.store import KEY, METRICS, Task

# A closed form comes out alike on every machine up to rounding; training adds up in
# another order elsewhere. One film more or less among the first ten of one of 671 users
# is 0.0015.
CLOSED_FORM = 0.003
TRAINED = 0.02
FAST = 60.0  # seconds of fitting below which a run is preferred


def task_of_row(row: pd.Series) -> Task:
    """The task that made a stored row; a final fit gets the row's number of epochs."""
    epochs = None
    if row["protocol"] == "recommenders" and row["epochs"] > 0:
        epochs = int(row["epochs"])
    return Task(
        row["dataset"],
        row["protocol"],
        row["model"],
        int(row["seed"]),
        ast.literal_eval(row["settings"]),
        epochs,
    )


def draw(runs: pd.DataFrame, count: int, seed: int) -> list[Task]:
    """`count` random stored rows as tasks, those of fast models first.

    A model none of whose runs has a cost counts as slow.
    """
    order = np.random.default_rng(seed).permutation(len(runs))
    seconds = runs.groupby(KEY[:3])["fit_seconds"].transform("mean").to_numpy()
    # not `seconds > FAST`: NaN must count as slow
    slow = ~(seconds[order] <= FAST)
    fast_first = order[np.argsort(slow, kind="stable")]
    return [task_of_row(runs.iloc[place]) for place in fast_first[:count]]


def without_cost(runs: pd.DataFrame) -> list[Task]:
    """The first run of each data set, protocol and model that has no timed run."""
    timed = runs.groupby(KEY[:3])["fit_seconds"].transform("count") > 0
    first = runs[~timed].drop_duplicates(KEY[:3])
    return [task_of_row(row) for _, row in first.iterrows()]


def compared(new: pd.DataFrame, stored: pd.DataFrame) -> pd.DataFrame:
    """Both values of each metric that two tables hold for the same run and settings.

    Columns: the run's key, metric, value_now, value_stored, tolerance, within.
    """
    before = _by_metric(stored).drop(columns="epochs")
    both = _by_metric(new).merge(
        before, on=[*KEY, "settings", "metric"], suffixes=("_now", "_stored")
    )
    both["tolerance"] = np.where(
        both["epochs"] > 0,
        TRAINED,
        CLOSED_FORM,
    )
    distance = (both["value_now"] - both["value_stored"]).abs()
    both["within"] = distance <= both["tolerance"]
    both = both.drop(columns=["settings", "epochs"])
    return both.sort_values([*KEY, "metric"], ignore_index=True)


def _by_metric(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs with one row per metric that was measured."""
    return runs.melt(
        [*KEY, "settings", "epochs"],
        list(METRICS),
        "metric",
    ).dropna(subset="value")

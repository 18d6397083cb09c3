"""Stored runs made again, to see whether they still come out: which ones, and how far
apart they may lie.
"""

from __future__ import annotations

import ast

import numpy as np
import pandas as pd

from xrec_utils.bench_store import KEY, METRICS, Task

# A closed form comes out alike on every machine up to rounding; training adds up in
# another order elsewhere. One film more or less among the first ten of one of 671 users
# is 0.0015.
CLOSED_FORM, TRAINED = 0.003, 0.02
FAST = 60.0  # seconds of fitting below which a run is preferred


def task_of_row(row: pd.Series) -> Task:
    """The task that made a stored row; a final fit gets the row's number of epochs."""
    final = row["protocol"] == "recommenders" and row["epochs"] > 0
    key = row["dataset"], row["protocol"], row["model"], int(row["seed"])
    return Task(
        *key, ast.literal_eval(row["settings"]), int(row["epochs"]) if final else None
    )


def draw(runs: pd.DataFrame, count: int, seed: int) -> list[Task]:
    """`count` random stored rows as tasks, those of fast models first; a model without
    a cost counts as slow.
    """
    order = np.random.default_rng(seed).permutation(len(runs))
    slow = ~(
        runs.groupby(KEY[:3])["fit_seconds"].transform("mean").to_numpy()[order] <= FAST
    )
    return [
        task_of_row(runs.iloc[place])
        for place in order[np.argsort(slow, kind="stable")][:count]
    ]


def without_cost(runs: pd.DataFrame) -> list[Task]:
    """The first run of each data set, protocol and model none of whose runs has a time."""
    timed = runs.groupby(KEY[:3])["fit_seconds"].transform("count") > 0
    return [
        task_of_row(row) for _, row in runs[~timed].drop_duplicates(KEY[:3]).iterrows()
    ]


def compared(new: pd.DataFrame, stored: pd.DataFrame) -> pd.DataFrame:
    """One row per metric of each run that both tables hold with the same settings: both
    values and the tolerance.
    """
    key = [*KEY, "settings"]
    long = [
        table.melt([*key, "epochs"], list(METRICS), "metric").dropna(subset="value")
        for table in (new, stored)
    ]
    both = long[0].merge(
        long[1].drop(columns="epochs"),
        on=[*key, "metric"],
        suffixes=("_now", "_stored"),
    )
    both["tolerance"] = np.where(both["epochs"] > 0, TRAINED, CLOSED_FORM)
    both["within"] = (both["value_now"] - both["value_stored"]).abs() <= both[
        "tolerance"
    ]
    return both.drop(columns=["settings", "epochs"]).sort_values(
        [*KEY, "metric"], ignore_index=True
    )

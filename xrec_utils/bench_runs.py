"""One run of the bench: the split of its protocol, fit, score, and what both cost.

Protocols
    leave-last-out  each user's last event is asked; models learn from all but the last two, stop early on the second
                    last, and read both of them at test time; ranking against the whole
                    catalogue
    global-time     the same question for users whose last event lies in the newest tenth (`splits.global_time`)
    recommenders    ML-100K as in the recommenders team's benchmark: a random quarter of each user's ratings is asked,
                    every rating is relevant, candidates are the items of the other
                    three quarters; settings and epochs are chosen on a tenth
                    beforehand, then the model learns from all three quarters
    rmse            stars of held-out ratings, 5-fold cross-validation; the seed of a run is the number of its fold

The seed of a run seeds its split (ties, or which ratings are asked) and its training.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

from xrec_utils import zoo
from xrec_utils.bench_peers import PEERS
from xrec_utils.bench_ratings import RATERS, errors, fold, inner
from xrec_utils.bench_store import COST, RANKING, Run, Task
from xrec_utils.data import Dataset, load_movielens
from xrec_utils.metrics import evaluate
from xrec_utils.splits import (
    Split,
    global_time,
    in_place,
    k_core,
    leave_last_out,
    random_per_user,
)

BY_USER_PROTOCOLS = ("leave-last-out", "global-time")
BUSY = 0.1  # the share of the machine that others may use while a run is timed


@lru_cache(maxsize=1)
def ratings_of(dataset: str) -> Dataset:
    """The ratings of a data set of the bench: movielens-small as its 5-core, as
    everywhere in the course.
    """
    loaded = load_movielens(dataset)
    return k_core(loaded, 5) if dataset == "movielens-small" else loaded


def split_of(dataset: str, protocol: str, seed: int) -> Split:
    """The three parts of a ranking protocol."""
    makers: dict[str, Callable[[Dataset], Split]] = {
        "leave-last-out": lambda data: leave_last_out(data, tie_seed=seed),
        "global-time": lambda data: global_time(data, tie_seed=seed),
        "recommenders": lambda data: random_per_user(
            data, validation=0.1, test=0.25, seed=seed
        ),
    }
    return makers[protocol](ratings_of(dataset))


def merged(split: Split) -> Split:
    """The split with its validation part given to training, for a final fit."""
    train = in_place(pd.concat([split.train, split.validation]))
    return replace(split, train=train, validation=split.validation.iloc[:0])


class TrainedItems:
    """A model that may only recommend what its training part holds: every other item
    comes last.
    """

    def __init__(self, model: Any, split: Split) -> None:
        self.model, self.name, self.n_items = model, model.name, model.n_items
        self.strange = np.setdiff1d(np.arange(split.n_items), split.train["item"])
        if hasattr(model, "score_users"):
            self.score_users = lambda users: self._last(model.score_users(users))

    def score(
        self, histories: Sequence[np.ndarray], items: np.ndarray | None = None
    ) -> np.ndarray:
        """Scores (n histories, n items or len(items)); the lowest number there is for
        items without training.
        """
        scores = self._last(self.model.score(histories))
        return scores if items is None else scores[:, items]

    def _last(self, scores: np.ndarray) -> np.ndarray:
        scores = np.array(scores, dtype=np.float32)
        scores[:, self.strange] = np.finfo(np.float32).min
        return scores


def ranked(model: Any, split: Split, part: str, protocol: str) -> pd.DataFrame:
    """All ranking metrics of a part, one row per user, under the rules of a protocol.

    The recommenders team divides average precision by all items asked, not by the at
    most k that fit in the list.
    """
    cases = split.cases(part)
    if protocol != "recommenders":
        return evaluate(model, cases)
    table = evaluate(TrainedItems(model, split), cases)
    asked = np.array([len(target) for target in cases.targets])
    return table.assign(map=table["map"] * np.minimum(asked, 10) / asked)


# The zoo's variational autoencoder is small because its weights are shipped; none are
# for ml-100k.
WIDE = {"units": 600, "latent": 200}
LARGER = {("ml-100k", "vae"): (
    {"dropout": 0.7, "beta": 0.05}, {**WIDE, "dropout": 0.5, "beta": 0.2},
    {**WIDE, "dropout": 0.7, "beta": 0.05}, {**WIDE, "dropout": 0.7, "beta": 0.2},
)}  # fmt: skip


def grid_of(model: str, dataset: str = "") -> tuple[dict[str, Any], ...]:
    """The settings to try for a model on a data set: of the zoo, of another library, or
    of stars.
    """
    other = {**PEERS, **RATERS}.get(model)
    return other.grid if other else LARGER.get((dataset, model), zoo.spec(model).grid)


def train(
    task: Task, split: Split, **options: Any
) -> tuple[Any, list[dict[str, float]]]:
    """Fit the model of a ranking task; returns it with one row per epoch (none for
    closed forms and peers).
    """
    if task.model in PEERS:
        return PEERS[task.model].fit(split, task.seed, **task.settings), []
    return zoo.train(task.model, split, task.seed, task.settings, **options)


def best_epoch(epochs: list[dict[str, float]]) -> int:
    """The epoch with the best validation NDCG, counted from one; 0 for a model without
    epochs.
    """
    return (
        int(np.argmax([row["validation_ndcg"] for row in epochs])) + 1 if epochs else 0
    )


def measure(task: Task) -> Run:
    """Make one run in this process; loading and splitting the data is not part of its
    cost.

    Seconds are NaN if other processes used more than a tenth of the machine meanwhile:
    they would not be this run's.
    """
    fit, score = (rating_task if task.protocol == "rmse" else ranking_task)(task)
    started, others = time.perf_counter(), seconds_of_others()
    model, epochs = fit()
    fitted = time.perf_counter()
    metrics, users = score(model)
    ended = time.perf_counter()
    alone = seconds_of_others() - others <= BUSY * psutil.cpu_count() * max(
        ended - started, 1
    )
    seconds = (fitted - started, ended - fitted) if alone else (np.nan, np.nan)
    cost = dict(zip(COST, (*seconds, peak_mb()), strict=True))
    return Run(
        task,
        len(epochs),
        {name: round(value, 2) for name, value in cost.items()},
        metrics,
        users,
    )


def seconds_of_others() -> float:
    """CPU seconds, over all cores since the machine started, of all processes but this
    one.
    """
    now = psutil.cpu_times()
    return now.user + now.system + getattr(now, "nice", 0.0) - time.process_time()


def ranking_task(task: Task) -> tuple[Callable, Callable]:
    """How a task of a ranking protocol is fitted and scored."""
    split, options = split_of(task.dataset, task.protocol, task.seed), {}
    if task.epochs:
        options["epochs"] = task.epochs
    if task.protocol == "recommenders":
        split = merged(split)
        options |= {"validation": None} if task.epochs else {}

    def score(model: Any) -> tuple[dict[str, float], pd.DataFrame | None]:
        users = ranked(model, split, "test", task.protocol)
        names = RANKING if task.protocol == "recommenders" else RANKING[:2]
        metrics = {
            name: float(users[name.removesuffix("@10")].mean()) for name in names
        }
        return metrics, users if task.protocol in BY_USER_PROTOCOLS else None

    return lambda: train(task, split, **options), score


def rating_task(task: Task) -> tuple[Callable, Callable]:
    """How a task of the rmse protocol is fitted and scored."""
    known, asked = fold(ratings_of(task.dataset), task.seed)
    rater = RATERS[task.model]
    return lambda: (rater.fit(known, task.seed, task.settings), []), lambda model: (
        errors(model, asked),
        None,
    )


def tune(task: Task) -> dict[str, Any]:
    """Try the settings of a task on a validation part of its training data; a row of
    tuning.csv.
    """
    started = time.perf_counter()
    found = (_rmse_of if task.protocol == "rmse" else _ndcg_of)(task)
    return {
        "dataset": task.dataset,
        "protocol": task.protocol,
        "model": task.model,
        "settings": str(task.settings),
        **found,
        "seconds": round(time.perf_counter() - started, 1),
    }


def _ndcg_of(task: Task) -> dict[str, float]:
    split = split_of(task.dataset, task.protocol, task.seed)
    model, epochs = train(task, split)
    ndcg = ranked(model, split, "validation", task.protocol)["ndcg"].mean()
    return {
        "validation_ndcg": round(float(ndcg), 4),
        "epochs": len(epochs),
        "best_epoch": best_epoch(epochs),
    }


def _rmse_of(task: Task) -> dict[str, float]:
    known, asked = inner(fold(ratings_of(task.dataset), task.seed)[0])
    model = RATERS[task.model].fit(known, task.seed, task.settings)
    return {
        "validation_rmse": round(errors(model, asked)["rmse"], 4),
        "epochs": 0,
        "best_epoch": 0,
    }


def apart(work: Callable[[Task], Any], task: Task) -> Any:
    """Do the work in a process of its own, so that its seconds and its memory are its
    own and a crash ends only it.

    The process is started afresh (spawned), since TensorFlow does not survive a fork.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, task).result()


def peak_mb(status: Path = Path("/proc/self/status")) -> float:
    """The most memory this process held so far, in MB; NaN where the system does not
    tell (outside Linux).

    Not `resource.getrusage`: its maximum is inherited from the process that started
    this one.
    """
    lines = status.read_text().splitlines() if status.exists() else []
    return next(
        (int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")),
        np.nan,
    )

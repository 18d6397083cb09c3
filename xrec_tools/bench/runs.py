"""One run of the bench: the split of its protocol, fit, score, and what both cost.

Protocols:

leave-last-out
    Each user's last event is asked. Models learn from all but the last two, stop early
    on the second last, and read both of them at test time; ranking is against the whole
    catalogue.
global-time
    The same question for users whose last event lies in the newest tenth
    (`splits.global_time`).
recommenders
    ML-100K as in the recommenders team's benchmark: a random quarter of each user's
    ratings is asked, every rating is relevant, candidates are the items of the other
    three quarters. Settings and epochs are chosen on a tenth beforehand, then the model
    learns from all three quarters.
rmse
    Stars of held-out ratings, 5-fold cross-validation; the seed of a run is the number
    of its fold.

The seed of a run seeds its split (ties, or which ratings are asked) and its training.
"""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache
from multiprocessing import active_children, get_context
from typing import Any

import numpy as np
import pandas as pd
import psutil

from xrec_tools.bench.peers import PEERS
from xrec_tools.bench.ratings import RATERS, errors, fold, inner
from xrec_tools.bench.store import COST, RANKING, Run, Task
from xrec_tools.memory import peak_mb
from xrec_utils import zoo
from xrec_utils.data.load import Dataset, k_core, load_movielens
from xrec_utils.data.splits import (
    Split,
    global_time,
    in_place,
    leave_last_out,
    random_per_user,
)
from xrec_utils.metrics.evaluation import evaluate

BY_USER_PROTOCOLS = ("leave-last-out", "global-time")
LONGEST = 6 * 3600  # seconds a run in a process of its own may take
BUSY = 0.1  # the share of the machine that others may use while a run is timed


@lru_cache(maxsize=1)
def ratings_of(dataset: str) -> Dataset:
    """The ratings of a data set of the bench; movielens-small comes as its 5-core."""
    loaded = load_movielens(dataset)
    if dataset == "movielens-small":
        return k_core(loaded, 5)
    return loaded


def split_of(dataset: str, protocol: str, seed: int) -> Split:
    """The three parts of a ranking protocol.

    Raises:
        KeyError: there is no such ranking protocol.
    """
    ratings = ratings_of(dataset)
    if protocol == "leave-last-out":
        return leave_last_out(ratings, tie_seed=seed)
    if protocol == "global-time":
        return global_time(ratings, tie_seed=seed)
    if protocol == "recommenders":
        return random_per_user(ratings, validation=0.1, test=0.25, seed=seed)
    raise KeyError(protocol)


def merged(split: Split) -> Split:
    """The split with its validation part given to training, for a final fit."""
    return replace(
        split,
        train=in_place(pd.concat([split.train, split.validation])),
        validation=split.validation.iloc[:0],
    )


class TrainedItems:
    """A model that may only recommend the items of its training part.

    Every other item comes last.
    """

    def __init__(self, model: Any, split: Split) -> None:
        self.model = model
        self.name = model.name
        self.n_items = model.n_items
        self.strange = np.setdiff1d(np.arange(split.n_items), split.train["item"])
        # `evaluate` asks by user wherever a model has this attribute
        if hasattr(model, "score_users"):
            self.score_users = lambda users: self._last(model.score_users(users))

    def score(
        self, histories: Sequence[np.ndarray], items: np.ndarray | None = None
    ) -> np.ndarray:
        """Scores (n histories, n items or len(items)).

        Items without training get the lowest number there is.
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
LARGER = {
    ("ml-100k", "vae"): (
        {"dropout": 0.7, "beta": 0.05},
        {**WIDE, "dropout": 0.5, "beta": 0.2},
        {**WIDE, "dropout": 0.7, "beta": 0.05},
        {**WIDE, "dropout": 0.7, "beta": 0.2},
    )
}


def grid_of(model: str, dataset: str = "") -> tuple[dict[str, Any], ...]:
    """The settings to try for a model on a data set.

    The model is one of the zoo, of another library, or of stars.
    """
    if model in RATERS:
        return RATERS[model].grid
    if model in PEERS:
        return PEERS[model].grid
    return LARGER.get((dataset, model), zoo.spec(model).grid)


def train(
    task: Task, split: Split, **options: Any
) -> tuple[Any, list[dict[str, float]]]:
    """Fit the model of a ranking task.

    Returns the model and one row per epoch (none for closed forms and peers).
    """
    if task.model in PEERS:
        return PEERS[task.model].fit(
            split,
            task.seed,
            **task.settings,
        ), []
    return zoo.train(
        task.model,
        split,
        task.seed,
        task.settings,
        **options,
    )


def best_epoch(epochs: list[dict[str, float]]) -> int:
    """The epoch with the best validation NDCG, counted from one; 0 if there is none."""
    if not epochs:
        return 0
    return int(np.argmax([row["validation_ndcg"] for row in epochs])) + 1


def measure(task: Task) -> Run:
    """Make one run in this process; loading and splitting is not part of its cost.

    Seconds are NaN if other processes used more than a tenth of the machine meanwhile:
    they would not be this run's.
    """
    prepare = rating_task if task.protocol == "rmse" else ranking_task
    fit, score = prepare(task)
    started = time.perf_counter()
    others_before = seconds_of_others()
    model, epochs = fit()
    fitted = time.perf_counter()
    metrics, users = score(model)
    ended = time.perf_counter()
    others = seconds_of_others() - others_before
    seconds = [fitted - started, ended - fitted]
    # a run below a second would be called busy for the least background work
    if others > BUSY * psutil.cpu_count() * max(ended - started, 1):
        seconds = [np.nan, np.nan]
    costs = [round(value, 2) for value in (*seconds, peak_mb(os.getpid()))]
    return Run(
        task,
        epochs=len(epochs),
        cost=dict(zip(COST, costs, strict=True)),
        metrics=metrics,
        users=users,
    )


def seconds_of_others() -> float:
    """CPU seconds of all processes but this one, over all cores, since the start."""
    now = psutil.cpu_times()
    return (
        now.user
        + now.system
        + getattr(
            now,
            "nice",
            0.0,
        )
        - time.process_time()
    )


def ranking_task(task: Task) -> tuple[Callable, Callable]:
    """How a task of a ranking protocol is fitted and scored."""
    split = split_of(task.dataset, task.protocol, task.seed)
    final = task.protocol == "recommenders"
    options: dict[str, Any] = {}
    if task.epochs:
        options["epochs"] = task.epochs
    if final:
        split = merged(split)
        # epochs were fixed beforehand: nothing is left to stop on
        if task.epochs:
            options["validation"] = None

    def fit() -> tuple[Any, list[dict[str, float]]]:
        return train(task, split, **options)

    def score(model: Any) -> tuple[dict[str, float], pd.DataFrame | None]:
        users = ranked(model, split, "test", task.protocol)
        metrics = {}
        for name in RANKING if final else RANKING[:2]:
            metrics[name] = float(users[name.removesuffix("@10")].mean())
        return metrics, users if task.protocol in BY_USER_PROTOCOLS else None

    return fit, score


def rating_task(task: Task) -> tuple[Callable, Callable]:
    """How a task of the rmse protocol is fitted and scored."""
    known, asked = fold(ratings_of(task.dataset), task.seed)
    rater = RATERS[task.model]

    def fit() -> tuple[Any, list]:
        return rater.fit(
            known,
            task.seed,
            task.settings,
        ), []

    def score(model: Any) -> tuple[dict[str, float], None]:
        return errors(model, asked), None

    return fit, score


def tune(task: Task) -> dict[str, Any]:
    """Try a task's settings on a validation part of its training data.

    Returns a row of tuning.csv.
    """
    started = time.perf_counter()
    validate = _rmse_of if task.protocol == "rmse" else _ndcg_of
    result = validate(task)
    return {
        "dataset": task.dataset,
        "protocol": task.protocol,
        "model": task.model,
        "settings": str(task.settings),
        **result,
        "seconds": round(time.perf_counter() - started, 1),
    }


def _ndcg_of(task: Task) -> dict[str, float]:
    split = split_of(task.dataset, task.protocol, task.seed)
    model, epochs = train(task, split)
    ndcg = ranked(
        model,
        split,
        "validation",
        task.protocol,
    )["ndcg"].mean()
    return {
        "validation_ndcg": round(float(ndcg), 4),
        "epochs": len(epochs),
        "best_epoch": best_epoch(epochs),
    }


def _rmse_of(task: Task) -> dict[str, float]:
    train_part, _ = fold(ratings_of(task.dataset), task.seed)
    known, asked = inner(train_part)
    return {
        "validation_rmse": round(
            errors(
                RATERS[task.model].fit(known, task.seed, task.settings),
                asked,
            )["rmse"],
            4,
        ),
        "epochs": 0,
        "best_epoch": 0,
    }


def apart(work: Callable[[Task], Any], task: Task) -> Any:
    """Do the work in a process of its own.

    Its seconds and its memory are then its own, and a crash ends only it. After
    `LONGEST` seconds it is killed, with a TimeoutError.
    """
    # started afresh (spawned), since TensorFlow does not survive a fork
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        future = pool.submit(work, task)
        try:
            return future.result(LONGEST)
        except TimeoutError:
            for child in active_children():
                child.kill()
            raise

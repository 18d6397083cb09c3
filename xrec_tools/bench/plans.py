"""What the bench measures: which models, data, seeds."""

import ast
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from xrec_tools.bench.peers import PEERS, installed
from xrec_tools.bench.ratings import RATERS
from xrec_tools.bench.store import TUNING, Run, Store, Task
from xrec_utils.models import specs

SEEDS = 5
HISTORY_MODELS = tuple(name for name in specs.SPECS if name not in specs.FEATURE_MODELS)
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
        allowed = [seed for seed in seeds if seed < self.seeds]
        # seed by seed: a bench that is interrupted has measured every model once
        return [
            (self.dataset, self.protocol, name, seed)
            for seed in allowed
            for name in wanted
        ]


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
    ours = specs.SPECS.get(model)
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
            f"`python -m xrec_tools.bench.main tune {model} --dataset {dataset} "
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

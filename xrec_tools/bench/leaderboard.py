"""The leaderboard: every explainer on the same recommendations, by every measure.

    python -m xrec_tools.bench.leaderboard            what is missing, then the tables
    python -m xrec_tools.bench.leaderboard gru dae    the same for these parts only
    python -m xrec_tools.bench.leaderboard tables     the tables from the stored rows

Users are the second 40 of the test users with 20 to 50 films; explained is the film
that the model puts first. Models of three training seeds (SEEDED) are explained three
times. Explainers that sample may ask for about as many scores as shap's KernelExplainer
does by default, 2n + 2048. The questions that the tables answer stand in
data/bench/README.md; they were written down before the first run.

Rows per user are stored in leaderboard_users.csv.gz by part (a model and a seed, or a
model of the shop) and explainer: a new explainer, or one whose rows are deleted, is the
only one that computes. Two parts run at a time, each on one core. The tables are means
with 95% bootstrap intervals over users (leaderboard.csv; leaderboard_groups.csv over
models that all rows share) and the answers to the questions: over all models
(leaderboard_tests.csv), for each model (leaderboard_models.csv) and seed
(leaderboard_seeds.csv), and which explainers are as good as each other
(leaderboard_equal.csv).
"""

import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import pandas as pd

from xrec_tools.bench.explainers import (
    EXPLAINERS,
    ORDERS_ONLY,
    SEEDED_EXPLAINERS,
    Asked,
    Explainer,
    can,
    unit_columns,
)
from xrec_tools.bench.explanations import write_explanations
from xrec_tools.bench.questions import (
    COLUMNS,
    MODELS,
    ON_SHOP,
    ROWS,
    by_seed,
    equalities,
    groups,
    tests,
    tests_by_model,
    whole,
)
from xrec_tools.bench.shop_board import shop_rows
from xrec_tools.bench.store import Store
from xrec_utils import zoo
from xrec_utils.contract import top_k
from xrec_utils.downloads import cache_folder
from xrec_utils.explain.choose import explain
from xrec_utils.files import replace_bytes
from xrec_utils.games import Explanation, Game
from xrec_utils.judge import (
    kendall,
    randomised_weights,
    relative_error,
    sensitivity,
    stability,
)
from xrec_utils.judge.deletion import (
    area,
    chance_area,
    deletion_curve,
    insertion_curve,
    oracle_order,
    order,
    share_of_possible,
)
from xrec_utils.judge.faithfulness import (
    completeness,
    films_until_gone,
    infidelity,
    pos_neg,
    ranks,
    sparsity,
)
from xrec_utils.metrics import mean_interval

FIRST = 40  # the users before were asked the third questions
USERS = 40  # of each model
FEW = 12  # for measures that explain again and again
TRUTH = 384  # orders that the true Shapley values may cost, where they are sampled
K = 10
# models trained three times: seeds 1 and 2 beside the shipped one
SEEDED = ("gru", "attention", "dae")


# -- one user --------------------------------------------------------------------------


def questions(model: Any, split: Any, users: int) -> list[Asked]:
    """The first recommendation of `users` test users who have 20 to 50 films."""
    train = split.train_histories()
    counts = np.bincount(np.concatenate(train), minlength=split.n_items)
    columns = unit_columns(train, split.n_items)
    background = [history for history in train if len(history) >= 20][:50]
    tested = split.cases("test").histories
    long = [history for history in tested if 20 <= len(history) <= 50]
    histories = long[FIRST : FIRST + users]
    # (users,): each user's own first recommendation
    items = top_k(model.score(histories), k=1, seen=histories)[:, 0]
    return [
        Asked(model, history, int(item), counts, columns, background)
        for history, item in zip(histories, items, strict=True)
    ]


def marks_of(
    names: Sequence[str], asked: Asked, user: int, other: Asked | None
) -> Iterator[tuple[str, str, float]]:
    """(explainer, measure, value) of the explainers of these names for one user.

    other: the question put to the model with weights drawn anew; None leaves out what
    explains other questions than this.
    """
    scales = _scales(asked.game, user)
    truth = explain(
        asked.model,
        asked.history,
        asked.item,
        permutations=TRUTH,
        seed=10_000,
    )
    for name in names:
        make = EXPLAINERS[name]
        started = time.perf_counter()
        found = make(asked, user)
        yield name, "seconds", time.perf_counter() - started
        for measure, value in _faithful(asked, user, found, scales):
            yield name, measure, value
        yield name, "stability", _stability(name, asked, user, found)
        yield name, "tau with Shapley", kendall(found.values, truth.values)
        if name not in ORDERS_ONLY:
            yield name, "completeness gap", completeness(found, floor=0.1)
            yield name, "Shapley error", relative_error(found.values, truth.values)
        if other is not None:
            yield name, "sensitivity", _sensitivity(make, asked, user)
            yield name, "randomised weights", _randomised(make, other, user, found)


# measure -> its curve, and whether the curve of the best order falls
CURVES = {"deletion": (deletion_curve, True), "insertion": (insertion_curve, False)}


def _scales(game: Game, user: int) -> dict[str, tuple[float, float]]:
    """(area of random orders, area of the best order) of each curve of a game."""
    # removing an order passes the groups that adding its reverse passes: on average
    # over random orders both areas are one
    chance = chance_area(game, deletion_curve, seed=user)
    return {
        measure: (chance, area(curve(game, oracle_order(game, falls))))
        for measure, (curve, falls) in CURVES.items()
    }


def _faithful(
    asked: Asked, user: int, found: Explanation, scales: dict[str, tuple[float, float]]
) -> Iterator[tuple[str, float]]:
    """(measure, value) of how true one explanation is to the model."""
    game = asked.game
    best_first = order(found)
    for measure, (curve, _) in CURVES.items():
        chance, best = scales[measure]
        own = area(curve(game, best_first))
        yield measure, share_of_possible(own, chance, best)
    place = partial(
        ranks,
        asked.model,
        asked.history,
        asked.item,
    )
    stays = pos_neg(place, best_first, K)
    yield "pos@10", stays.pos
    yield "neg@10", stays.neg
    gone = films_until_gone(place, best_first, K)
    # an item that never leaves the list costs the whole history
    yield "films until gone", 1.0 if gone is None else gone / len(asked.history)
    yield "infidelity", infidelity(game, found, seed=user).relative
    yield "sparsity", sparsity(found)


def _stability(name: str, asked: Asked, user: int, found: Explanation) -> float:
    """Jaccard of the top tens under two seeds; 1 for an explainer without chance."""
    if name not in SEEDED_EXPLAINERS:
        return 1.0
    return stability([found, EXPLAINERS[name](asked, user + 1000)]).jaccard


def _sensitivity(make: Explainer, asked: Asked, user: int) -> float:
    """How far the other values move, on average, when one of two films leaves."""

    def explained(history: np.ndarray) -> Explanation:
        return make(asked.with_history(history), user)

    return sensitivity(explained, asked.history, 2, user).mean


def _randomised(make: Explainer, other: Asked, user: int, found: Explanation) -> float:
    """Kendall's tau with the same explainer on the untrained model."""
    # without weights to draw there is nothing to compare
    return randomised_weights(found, make(other, user)) if other.model else np.nan


def trained(name: str, seed: int) -> Any:
    """A model of the zoo as trained from a seed; 0 is the shipped one.

    Others are trained once and kept in the cache of `xrec_utils.downloads`.
    """
    if seed == 0:
        return zoo.load(name)
    model = zoo.build(name, seed=seed)
    path = cache_folder() / f"{name}_{seed}_{zoo.fingerprint(name)[:16]}.npz"
    if not path.exists():
        started = time.perf_counter()
        fitted, _ = zoo.train(name, seed=seed)
        packed = io.BytesIO()
        np.savez(packed, *zoo.network(fitted).get_weights())
        replace_bytes(path, packed.getvalue())
        seconds = time.perf_counter() - started
        print(f"{name}, seed {seed}: trained in {seconds:.0f} s", flush=True)
    with np.load(path) as arrays:
        zoo.network(model).set_weights([arrays[key] for key in arrays.files])
    return model


def model_rows(name: str, seed: int, names: Sequence[str]) -> pd.DataFrame:
    """Marks of explainers on a model of a training seed, in columns COLUMNS.

    Models of other seeds than 0 are asked each question once only.
    """
    model = trained(name, seed)
    # a closed form has no weights to draw
    untrained = None if name == "ease" else zoo.build(name, seed=1)
    cases = questions(model, zoo.split(), USERS)
    for explainer in names:
        # shap and TensorFlow compile at first use: no seconds of an explanation
        EXPLAINERS[explainer](cases[0], 0)
    rows = []
    for user, asked in enumerate(cases, start=FIRST):
        other = replace(asked, model=untrained)
        again = seed == 0 and user < FIRST + FEW
        for mark in marks_of(names, asked, user, other if again else None):
            explainer, measure, value = mark
            rows.append((name, seed, explainer, measure, user, value))
    return pd.DataFrame(rows, columns=COLUMNS).dropna()


# -- parts and tables ------------------------------------------------------------------

# part -> what makes its rows for explainers of some names; the longest first
Rows = Callable[[Sequence[str]], pd.DataFrame]
PARTS: dict[str, Rows] = {
    **{
        f"{name}, seed {seed}": partial(model_rows, name, seed)
        for name in SEEDED
        for seed in (1, 2)
    },
    **{name: partial(model_rows, name, 0) for name in reversed(MODELS)},
    **{f"shop: {name}": partial(shop_rows, name) for name in ("itself", *ON_SHOP)},
}


def applicable(part: str) -> list[str]:
    """The explainers that apply to the model of a part, or to the shop itself."""
    name = part.removeprefix("shop: ").split(",")[0]
    model = None if name == "itself" else zoo.build(name)
    names = [name for name in EXPLAINERS if can(name, model)]
    if part.startswith("shop: "):
        # the shop's questions come without a background to expect over
        names = [name for name in names if name != "expected gradients"]
    return names


def missing(rows: pd.DataFrame, parts: Sequence[str]) -> dict[str, list[str]]:
    """Part -> its explainers without stored rows; parts that are whole are left out.

    Raises:
        SystemExit: there is no part of a name; the message lists them.
    """
    if unknown := set(parts) - set(PARTS):
        raise SystemExit(f"unknown part {min(unknown)}; choose from {', '.join(PARTS)}")
    stored = rows.groupby("part")["explainer"].unique()
    lacking = {}
    for part in parts:
        names = [name for name in applicable(part) if name not in stored.get(part, [])]
        if names:
            lacking[part] = names
    return lacking


def made(part: str, names: list[str]) -> tuple[str, pd.DataFrame, float]:
    """A part's name, its rows for these explainers, and the seconds that they took."""
    started = time.perf_counter()
    rows = PARTS[part](names).assign(part=part).round(4)
    return part, rows, time.perf_counter() - started


def all_made(todo: dict[str, list[str]], workers: int) -> Iterator[tuple]:
    """`made` of every part, as they end; workers: processes, 0 for this one."""
    if not workers:
        yield from (made(part, names) for part, names in todo.items())
        return
    # each process keeps to one core, or they would wait for each other
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), "1")
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        tasks = [pool.submit(made, part, names) for part, names in todo.items()]
        yield from (task.result() for task in as_completed(tasks))


def board(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over users with its 95% bootstrap interval.

    Columns: model, explainer, measure, mean, low, high, users.
    """
    of = ["model", "explainer", "measure"]
    table = []
    for keys, part in rows.dropna().groupby(of, sort=False):
        found = mean_interval(part["value"].to_numpy())
        table.append((*keys, found.mean, found.low, found.high, len(part)))
    return pd.DataFrame(table, columns=[*of, "mean", "low", "high", "users"])


def write_board(store: Store, rows: pd.DataFrame) -> None:
    """The tables of the stored rows; the answers only once every part is there."""
    means = whole(rows)
    store.write("leaderboard.csv", board(means).round(4))
    if set(PARTS) <= set(rows["part"]):
        store.write("leaderboard_groups.csv", groups(means).round(4))
        store.write("leaderboard_tests.csv", tests(means).round(4))
        store.write("leaderboard_models.csv", tests_by_model(means).round(4))
        store.write("leaderboard_equal.csv", equalities(means).round(4))
        store.write("leaderboard_seeds.csv", by_seed(rows).round(4))
    write_explanations(store)


def main(
    arguments: list[str] | None = None, store: Store | None = None, workers: int = 2
) -> None:
    """Make the rows that are not stored yet, part by part; then the tables."""
    asked = sys.argv[1:] if arguments is None else arguments
    store = store or Store()
    rows = store.read(ROWS, ["part", *COLUMNS])
    todo = {} if asked == ["tables"] else missing(rows, asked or list(PARTS))
    for part, found, seconds in all_made(todo, workers):
        rows = pd.concat([frame for frame in (rows, found) if len(frame)])
        rows = rows.sort_values(["part", *COLUMNS[:-1]], ignore_index=True)
        store.write(ROWS, rows)
        names = ", ".join(todo[part])
        print(f"{part}: {seconds:.0f} s for {names}", flush=True)
    print(f"{len(PARTS) - len(todo)} parts were stored already.")
    write_board(store, rows)


if __name__ == "__main__":
    main()

"""Error against seconds: our Shapley estimators beside shap, shapiq and lime.

    python -m xrec_tools.bench.shapley          what is not stored yet (about 25
                                                minutes), into shapley*.csv
    python -m xrec_tools.bench.shapley pairs    one of the tables again, pairs or
                                                support
    python -m xrec_tools.bench.shapley quick    one game of twenty films, printed and
                                                not stored

Curves: every method explains the first recommendation of the same users, on the same
games in the same run. `dae` learned
ML-100K, its game is a NumPy function that all libraries call; attention and gru are the
course's own. Truth for 20 films is brute force over all groups; for more films of dae
the Fourier series, which has its own error below 1e-8; for the others a run of random
orders long enough that its own error (stored beside) is a fraction of what is measured
against it.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from multiprocessing.pool import ThreadPool
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from xrec_tools.bench.explanations import make_parts
from xrec_tools.bench.store import Store
from xrec_tools.bench.ways import SIZES, WAYS, Counted, Played, Way, dae_of_ml100k, play
from xrec_utils import zoo
from xrec_utils.contract import multi_hot
from xrec_utils.data.features import USER
from xrec_utils.explain.choose import explain, quadrature
from xrec_utils.explain.gradients import Reading
from xrec_utils.explain.shap_guard import ExplainerError
from xrec_utils.explain.shap_library import shap_values
from xrec_utils.games.features import feature_game
from xrec_utils.judge.comparisons import relative_error
from xrec_utils.keras_start import keras, tf
from xrec_utils.models import specs
from xrec_utils.models.user_item import UserItemRecommender

LEAST_SECONDS = 0.2  # shorter runs are repeated and the median is kept
ADDS_UP = 0.1  # largest gap of a method whose values add up, as a share of the rise
DRAWS = 20_000  # of shap's GradientExplainer, ten times the most of the curves
APART_SECONDS = 600  # that shap may take for one network in its own process


def timed(
    run: Callable[[], np.ndarray], value: Counted
) -> tuple[np.ndarray, float, int]:
    """The result, the median seconds of a warm run, and the groups one run scored."""
    seconds: list[float] = []
    while not seconds or (sum(seconds) < LEAST_SECONDS and len(seconds) < 9):
        value.calls = 0
        started = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - started)
    # the first run may fill caches: it counts only where it is the only one
    warm = seconds[1:] or seconds
    return np.asarray(result, dtype=float), float(np.median(warm)), value.calls


def curve(games: Sequence[Played], ways: Sequence[Way] = WAYS) -> pd.DataFrame:
    """One row per method and budget: error, seconds and calls, means over the games.

    The error is the relative L2 distance to the truth.
    """
    rows = []
    for way in ways:
        if games[0].name not in way.only:
            continue
        # warm: numba and TensorFlow compile on a first call
        way.run(games[0], way.budgets[0])
        for budget in way.budgets:
            row = _point(games, way, budget)
            rows.append(row)
            print(*map(_short, row.values()), flush=True)
    return pd.DataFrame(rows)


def _point(games: Sequence[Played], way: Way, budget: Any) -> dict[str, Any]:
    """One method under one budget on all games, as a row of the curves."""
    measured = []
    for played in games:
        # bound at once: `partial` does not see the next round's game
        values, spent, asked = timed(
            partial(
                way.run,
                played,
                budget,
            ),
            played.value,
        )
        error = relative_error(values, played.truth)
        measured.append((asked, spent, error, played.truth_error))
    calls, seconds, error, truth_error = np.mean(measured, axis=0)
    return {
        "model": games[0].name,
        "players": games[0].n,
        "method": way.method,
        "library": way.library,
        "budget": budget,
        "calls": int(calls),
        "seconds": seconds,
        "error": error,
        "truth_error": truth_error,
        "users": len(games),
    }


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# -- all users times all items ---------------------------------------------------------


def all_pairs(pairs: int = 200, threads: int = 2) -> pd.DataFrame:
    """Every Shapley value of every user's events for every item of ML-100K: one row.

    gap: |Σ φ - (v(all) - v(none))| / max(|v(all) - v(none)|, 5% of its median). error:
    relative L2 distance to the Fourier series on random pairs of user and item outside
    the history.
    """
    model, split = dae_of_ml100k()
    cases = split.cases("test")
    both = zip(cases.histories, cases.targets, strict=True)
    histories = [np.append(history, target) for history, target in both]

    def sums(history: np.ndarray) -> np.ndarray:
        # (films, items) -> (items,): what the values of each item add up to
        return quadrature(model, history).sum(axis=0, dtype=float)

    quadrature(model, histories[0])  # warm
    started = time.perf_counter()
    # one matrix product per thread, not one for all
    with threadpool_limits(1), ThreadPool(threads) as pool:
        said = np.array(pool.map(sums, histories))
    seconds = time.perf_counter() - started
    gaps = _gaps(model, histories, said)
    errors = _errors_on(model, histories, pairs, threads)
    return pd.DataFrame(
        [
            {
                "users": len(histories),
                "items": model.n_items,
                "values": sum(map(len, histories)) * model.n_items,
                "seconds": seconds,
                "threads": threads,
                "mean_gap": gaps.mean(),
                "worst_gap": gaps.max(),
                "pairs": pairs,
                "mean_error": np.mean(errors),
                "worst_error": np.max(errors),
            }
        ]
    )


def _gaps(model: Any, histories: list[np.ndarray], said: np.ndarray) -> np.ndarray:
    """How far sums of values (users, items) lie from what the histories change."""
    rise = model.score(histories).astype(float) - model.score([np.array([], int)])
    # a share of a change near zero would say nothing
    least = 0.05 * np.median(np.abs(rise))
    return np.abs(rise - said) / np.maximum(np.abs(rise), least)


def _errors_on(
    model: Any, histories: list[np.ndarray], pairs: int, threads: int
) -> list[float]:
    """Errors of the quadrature on random users, each with one item not watched."""
    random = np.random.default_rng(0)
    asked = []
    for user in random.choice(len(histories), pairs, replace=False):
        unseen = np.setdiff1d(np.arange(model.n_items), histories[user])
        asked.append((histories[user], int(random.choice(unseen))))

    def error(history: np.ndarray, item: int) -> float:
        return relative_error(
            quadrature(model, history, np.array([item]))[:, 0],
            explain(model, history, item, method="fourier").values,
        )

    with threadpool_limits(1), ThreadPool(threads) as pool:
        return pool.starmap(error, asked)


# -- who can be explained at all -------------------------------------------------------


def support() -> pd.DataFrame:
    """One row per model of the zoo: our method and its gap, and shap's two beside it.

    Gaps are those of completeness, as shares of the rise from empty to full; shap's
    explainers are Deep and Gradient, on numbers that a gradient can follow.
    """
    return pd.DataFrame([_supported(name) for name in specs.SPECS])


def _supported(name: str) -> dict[str, Any]:
    found = explain(*asked_of(name))
    scale = max(abs(found.score - found.base), 1e-9)
    absent, absent_to_shap = _absent(name)
    row = {
        "model": name,
        "absent means": absent,
        "method": found.method,
        "seconds": found.seconds,
        "gap": abs(found.gap) / scale,
        "stated_error":
        # a closed form states no error
        0.0 if found.error is None else found.error.sum() / scale,
        "absent means to shap": absent_to_shap,
        **_apart(name, "Deep"),
        **_apart(name, "Gradient"),
    }
    print(*row.values(), flush=True)
    return row


def _absent(name: str) -> tuple[str, str]:
    """What it means to our explainers, and to shap's, that a player is absent."""
    if name in specs.FEATURE_MODELS:
        # the same to both: the marginal game of Janzing et al. 2020, arXiv:1910.13413
        return ("values of 20 background rows, averaged",) * 2
    deleted = "deleted, the rest closes up"
    if name not in zoo.SHIPPED:
        return deleted, ""
    if numbers_of(name)[0].ndim == 1:
        return deleted, "0 in a row of ones and zeros"
    return deleted, "a vector of zeros in its place"


def asked_of(name: str) -> tuple:
    """The arguments of `explain` for a model of the zoo.

    They are the running case, or a test row of the feature table.
    """
    if name not in specs.FEATURE_MODELS:
        case = zoo.running_case()
        return zoo.load(name), case.history, case.item
    row, background, score = numbers_of(name)

    def predict(x: np.ndarray) -> np.ndarray:
        return score(x).numpy()

    return (feature_game(predict, row, background, zoo.features().names),)


def _apart(name: str, kind: str) -> dict[str, Any]:
    """What an explainer of shap makes of a model, in few words, and the gap it left."""
    verdict, gap = _tried(name, kind) if name in zoo.SHIPPED else ("no network", np.nan)
    return {f"shap {kind}": verdict, f"shap {kind} gap": gap}


def _tried(name: str, kind: str) -> tuple[str, float]:
    # in a process of its own: a failure spoils TensorFlow
    command = [sys.executable, "-m", __spec__.name, "try", name, kind]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=APART_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"took longer than {APART_SECONDS} s", np.nan
    if done.returncode:
        return f"failed: {done.stderr.strip().splitlines()[-1][:160]}", np.nan
    gap = float(done.stdout.strip().splitlines()[-1])
    return "ran" if gap <= ADDS_UP else "ran, but does not add up", gap


def attempt(name: str, kind: str) -> None:
    """Let shap explain the numbers that one network reads, and print what is missed."""
    row, background, score = numbers_of(name)
    read = keras.Input(row.shape)
    column = keras.layers.Lambda(
        lambda rows: score(rows)[:, None], output_shape=(1,), name=name
    )
    try:
        (found,) = shap_values(
            keras.Model(read, column(read)),
            row[None],
            background,
            kind.lower(),
            budget=DRAWS if kind == "Gradient" else None,
        )
    except ExplainerError as error:
        # what failed; what to use instead is of no matter here
        raise SystemExit(str(error).partition(". ")[0].splitlines()[0]) from error
    print(abs(found.gap / (found.score - found.base)))


def numbers_of(name: str) -> tuple[np.ndarray, np.ndarray, Callable]:
    """What a network reads, in numbers that a gradient can follow, never ids.

    A row (...), the background (m, ...) of those who are absent, and the score (n,) of
    rows (n, ...), in TensorFlow: of the running case, or a test row of the feature
    table.
    """
    model = zoo.load(name)
    if name in specs.FEATURE_MODELS:
        table = zoo.features()
        return (
            table.x("test")[0],
            table.x("train")[:20],
            partial(_probability, model),
        )
    case = zoo.running_case()
    if name == "embedding_mlp":
        row = multi_hot([case.history], model.n_items)[0]
        # solved before the score is traced
        score = partial(_folded_in, model, model.film_vectors(), case.item)
    else:
        reading = Reading(model, case.history, case.item)
        row = reading.numbers(case.history)
        score = reading.score
    return row, np.zeros_like(row)[None], score


def _probability(model: keras.Model, rows: tf.Tensor) -> tf.Tensor:
    """P(like) (n,) of rows (n, columns) of the feature table."""
    k = len(USER)
    inputs = rows if len(model.inputs) == 1 else [rows[:, :k], rows[:, k:]]
    return model(inputs, training=False)[:, -1]


def _folded_in(
    model: UserItemRecommender,
    solution: tuple[np.ndarray, np.ndarray],
    item: int,
    rows: tf.Tensor,
) -> tf.Tensor:
    """The embedding MLP's score (n,) of rows (n, n_items) of ones and zeros."""
    added, average = (part.astype(np.float32) for part in solution)
    films = tf.maximum(tf.reduce_sum(rows, axis=1, keepdims=True), 1)
    users = rows / tf.sqrt(films) @ added + average
    ends = np.cumsum([0, *[end.shape[-1] for end in model.from_vectors.inputs[:-1]]])
    parts = [users[:, start:end] for start, end in pairwise(ends)]
    items = tf.fill([rows.shape[0], 1], item)
    return model.from_vectors([*parts, items])[:, 0]


def curves(store: Store) -> pd.DataFrame:
    """The curves of all games: those of shapley.csv, and what it lacks made anew."""
    table = store.read("shapley.csv", ["model", "players"])
    for name, sizes in SIZES.items():
        for n in sizes:
            if ((table["model"] == name) & (table["players"] == n)).any():
                continue
            table = pd.concat([table, curve(play(name, n))], ignore_index=True)
            # at once: a bench that is interrupted goes on from here
            store.write("shapley.csv", table)
    return table


PARTS = {
    "pairs": ("shapley_pairs.csv", all_pairs),
    "support": ("shapley_support.csv", support),
}


def main(arguments: list[str] | None = None, store: Store | None = None) -> None:
    """Make the tables named; for none the curves and tables that are not stored."""
    asked = sys.argv[1:] if arguments is None else arguments
    store = store or Store()
    if asked[:1] == ["try"]:
        attempt(*asked[1:])
    elif asked == ["quick"]:
        curve(play("dae", 20, users=1))
    else:
        if not asked:
            curves(store)
        make_parts(PARTS, asked, store)


if __name__ == "__main__":
    main()

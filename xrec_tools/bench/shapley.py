"""Shapley values by ways that look inside a model, and what shap makes of the zoo.

python -m xrec_tools.bench.shapley          what is not stored yet, into
                                            shapley_*.csv
python -m xrec_tools.bench.shapley pairs    one of the tables again, pairs or
                                            support
python -m xrec_tools.bench.shapley quick    the race's estimators with 512 scores and
                                            twenty films, printed and not stored
"""

import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise, product
from multiprocessing.pool import ThreadPool
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import shap
from threadpoolctl import threadpool_limits

from xrec_tools.bench import race
from xrec_tools.bench.explanations import make_parts
from xrec_tools.bench.store import Store
from xrec_utils import zoo
from xrec_utils.contract import multi_hot
from xrec_utils.data.features import USER
from xrec_utils.explain import one_hidden
from xrec_utils.explain.choose import explain, quadrature
from xrec_utils.explain.gradients import Reading
from xrec_utils.explain.running_sums import marginal_means
from xrec_utils.explain.shap_guard import ExplainerError
from xrec_utils.explain.shap_library import shap_values
from xrec_utils.games.features import feature_game
from xrec_utils.judge.comparisons import relative_error
from xrec_utils.keras_start import keras, tf
from xrec_utils.models import specs
from xrec_utils.models.user_item import UserItemRecommender

SIZES = (20, 100, 300)
ADDS_UP = 0.1  # largest gap of a method whose values add up, as a share of the rise
DRAWS = 20_000  # of shap's GradientExplainer, ten times the most of the race
APART_SECONDS = 600  # that shap may take for one network in its own process


# -- looking inside the dae ------------------------------------------------------------


def white(
    run: Callable, box: race.Box, budget: int, seed: int
) -> tuple[np.ndarray, float, int]:
    """Values (n,) of a way that looks inside, its seconds, and no scores asked."""
    started = time.perf_counter()
    values = run(box, budget, seed)
    return np.ravel(values), time.perf_counter() - started, 0


@cache
def network(box: race.Box) -> keras.Model:
    """The dae for the films of a history and the item alone."""
    # built once: a warm run does not pay for it
    net = one_hidden(box.model)
    # n inputs, tanh units, one output
    hidden = keras.layers.Dense(len(net.bias), activation="tanh")
    output = keras.layers.Dense(1)
    model = keras.Sequential([keras.Input((len(box.history),)), hidden, output])
    hidden.set_weights([net.rows[box.history], net.bias])
    output.set_weights([net.readout[:, [box.item]], net.constant[[box.item]]])
    return model


def _running_sums(box: race.Box, budget: int, seed: int) -> np.ndarray:
    sums = box.model.sums(box.history, np.array([box.item]))
    return marginal_means(sums, budget, seed)[0]


def _of_network(kind: str, box: race.Box, budget: int, seed: int) -> np.ndarray:
    row = np.ones((1, len(box.history)), np.float32)
    explainer = getattr(shap, kind)(network(box), 0 * row)
    options = {"nsamples": budget, "rseed": seed} if budget else {}
    return explainer.shap_values(row, **options)


# (library, method) -> how, and the budgets: points, terms, orders, none, draws
WHITE: dict[tuple[str, str], tuple[Callable, tuple[int, ...]]] = {
    ("ours", "quadrature"): (
        lambda box, budget, seed: quadrature(
            box.model, box.history, np.array([box.item]), budget
        ),
        (2, 3, 4, 5, 6, 8, 12),
    ),
    # its number of terms is set by `explain`: the budget only labels the row
    ("ours", "Fourier series"): (
        lambda box, budget, seed: (
            explain(box.model, box.history, box.item, method="fourier").values
        ),
        (64,),
    ),
    ("ours", "running sums"): (_running_sums, (16, 128, 1024)),
    ("shap", "DeepExplainer"): (partial(_of_network, "DeepExplainer"), (0,)),
    ("shap", "GradientExplainer"): (
        partial(_of_network, "GradientExplainer"),
        (200, 2000),
    ),
}


# -- all users times all items ---------------------------------------------------------


def all_pairs(pairs: int = 200, threads: int = 2) -> pd.DataFrame:
    """Every Shapley value of every user's events for every item of ML-100K: one row.

    gap: |Σ φ - (v(all) - v(none))| / max(|v(all) - v(none)|, 5% of its median). error:
    relative L2 distance to the Fourier series on random pairs of user and item outside
    the history.
    """
    model, split = race.dae_of_ml100k()
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


PARTS = {
    "pairs": ("shapley_pairs.csv", all_pairs),
    "support": ("shapley_support.csv", support),
}


def main(arguments: list[str] | None = None, store: Store | None = None) -> None:
    """Make the tables named; for none the race and those that are not stored."""
    asked = sys.argv[1:] if arguments is None else arguments
    store = store or Store()
    if asked[:1] == ["try"]:
        attempt(*asked[1:])
    elif asked == ["quick"]:
        quick = {
            of: (partial(race.black, run), (512,)) for of, run in race.BLACK.items()
        }
        with TemporaryDirectory() as folder:
            race.race([("dae", 20)], quick, Store(Path(folder)))
    else:
        if not asked:
            inside = {of: (partial(white, run), b) for of, (run, b) in WHITE.items()}
            race.race(product(["dae"], SIZES), inside, store, "shapley.csv")
            race.main(asked, store)
        make_parts(PARTS, asked, store)


if __name__ == "__main__":
    main()

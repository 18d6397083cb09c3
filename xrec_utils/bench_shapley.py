"""Error against seconds: our Shapley estimators beside shap, shapiq and lime.

    python -m xrec_utils.bench_shapley          what is not stored yet (about 25
                                                minutes), into shapley*.csv
    python -m xrec_utils.bench_shapley pairs    one of the tables again, pairs or
                                                support
    python -m xrec_utils.bench_shapley quick    one game of twenty films, printed and
                                                not stored

Curves: every method explains the first recommendation of the same users, on the same
games in the same run. `dae` learned
ML-100K, its game is a NumPy function that all libraries call; attention and gru are the
course's own. Truth for 20 films is brute force over all groups; for more films of dae
the Fourier series, which has its own error below 1e-8; for the others a run of random
orders long enough that its own error (stored beside) is a fraction of what is measured
against it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
import shap
from threadpoolctl import threadpool_limits

from xrec_utils import zoo
from xrec_utils.agreement import relative_error
from xrec_utils.autoencoders import Autoencoder
from xrec_utils.bench_explanations import make_parts
from xrec_utils.bench_store import Store
from xrec_utils.contract import multi_hot
from xrec_utils.data import load_movielens
from xrec_utils.explain.auto import explain, quadrature
from xrec_utils.explain.estimators import leverage_regression
from xrec_utils.explain.incremental import marginal_means, sums_of
from xrec_utils.explain.lime import lime_history
from xrec_utils.explain.quadrature import one_hidden
from xrec_utils.explain.shapley import brute_force, permutation_sampling
from xrec_utils.features import FILM, USER
from xrec_utils.games import Game, feature_game, history_game
from xrec_utils.keras_start import keras
from xrec_utils.splits import leave_last_out

SIZES = {"dae": (20, 100, 300), "attention": (20, 48), "gru": (20, 48)}
# brute force over 20 films costs a network a minute and more
USERS = {"dae": 3, "attention": 2, "gru": 2}
TRUTH_ORDERS = 10_000  # for attention and gru beyond brute force
LEAST_SECONDS = 0.2  # shorter runs are repeated and the median is kept
APART_SECONDS = 600  # that shap may take for one network in its own process


@dataclass(eq=False)
class Counted:
    """A function of masks (m, n) that counts how many groups it was asked for."""

    value: Callable[[np.ndarray], np.ndarray]
    calls: int = 0

    def __call__(self, masks: np.ndarray) -> np.ndarray:
        masks = np.atleast_2d(np.asarray(masks, dtype=bool))
        self.calls += len(masks)
        return self.value(masks)


@dataclass(eq=False)
class Played:
    """One game to explain: model, history (n,), item, and what is true of it.

    value: score of groups of films; truth: Shapley values (n,), and their own error.
    """

    name: str
    model: Any
    history: np.ndarray
    item: int
    value: Counted
    truth: np.ndarray
    truth_error: float

    @property
    def n(self) -> int:
        """How many films play."""
        return len(self.history)

    @property
    def game(self) -> Game:
        """The game as the estimators of the course take it."""
        players = tuple(str(place) for place in range(self.n))
        return Game(players, "score", self.value, batch=8192)

    @cached_property
    def network(self) -> keras.Model:
        """The dae for the films of the history and the item alone."""
        # built once: a warm run does not pay for it
        return cut_down(self)


@dataclass(frozen=True)
class Way:
    """One method of one library: run(played, budget) -> values (n,), and its budgets.

    only: the models it can do.
    """

    library: str
    method: str
    run: Callable[[Played, Any], np.ndarray]
    budgets: tuple
    only: tuple[str, ...] = tuple(SIZES)


@cache
def dae_of_ml100k() -> tuple[Any, Any]:
    """The zoo's autoencoder trained on ML-100K, and its split (leave-last-out)."""
    split = leave_last_out(load_movielens("ml-100k"))
    return zoo.train("dae", split)[0], split


def restricted(
    model: Any, history: np.ndarray, item: int
) -> Callable[[np.ndarray], np.ndarray]:
    """The dae as a NumPy function of masks over one history: (m, n) -> (m,)."""
    net = one_hidden(model)
    rows = net.rows[history]  # (n, units)
    readout = net.readout[:, item]  # (units,)
    constant = net.constant[item]

    def score(masks: np.ndarray) -> np.ndarray:
        # (m, n) -> (m, units): what each group of films says to the hidden layer
        hidden = np.tanh(masks.astype(np.float32) @ rows + net.bias)
        return hidden @ readout + constant

    return score


def play(name: str, n: int, users: int | None = None) -> list[Played]:
    """The first recommendation of the first test users who have n films or more.

    Their newest n films count.
    """
    if name == "dae":
        model, split = dae_of_ml100k()
    else:
        model = zoo.load(name)
        split = zoo.split()
    histories = split.cases("test").histories
    newest = [history[-n:] for history in histories if len(history) >= n]
    return [_played(name, model, history) for history in newest[: users or USERS[name]]]


def _played(name: str, model: Any, history: np.ndarray) -> Played:
    scores = model.score([history])[0].copy()
    # what was watched is not recommended again
    scores[history] = -np.inf
    item = int(scores.argmax())
    game = history_game(model, history, item, batch=2048)
    truth, error = _truth(name, model, game, history, item)
    off = relative_error(truth + error, truth)
    value = game.value
    if name == "dae":
        # a NumPy function: what is compared is the methods, not calls of TensorFlow
        value = restricted(model, history, item)
    return Played(name, model, history, item, Counted(value), truth, off)


def _truth(
    name: str, model: Any, game: Game, history: np.ndarray, item: int
) -> tuple[np.ndarray, np.ndarray]:
    """Shapley values (n,) as true as we can have them, and how far off each may be."""
    n = len(history)
    if n <= 20:
        return brute_force(game).values, np.zeros(n)
    if name == "dae":
        series = explain(model, history, item, method="fourier")
        return series.values, np.full(n, 1e-9)
    long = permutation_sampling(game, TRUTH_ORDERS, seed=99)
    return long.values, long.error


def _shap(kind: str) -> Callable[[Played, Any], np.ndarray]:
    """A black-box explainer of shap on masks of zeros and ones.

    Its background is the empty history.
    """

    def run(played: Played, budget: Any) -> np.ndarray:
        row = np.ones((1, played.n))
        nothing = np.zeros((1, played.n))
        if kind == "Permutation":
            masker = shap.maskers.Independent(nothing)
            explainer = shap.PermutationExplainer(played.value, masker)
            # the budget counts orders, each up and down again
            calls = budget * (2 * played.n + 1)
            return explainer(row, max_evals=calls, silent=True).values[0]
        if kind == "Sampling":
            explainer = shap.SamplingExplainer(played.value, nothing)
            return np.ravel(explainer.shap_values(row, nsamples=budget))
        explainer = shap.KernelExplainer(played.value, nothing)
        # by default it drops films that a lasso finds useless
        options = {} if kind == "Kernel (default)" else {"l1_reg": False}
        values = explainer.shap_values(row, nsamples=budget, silent=True, **options)
        return np.ravel(values)

    return run


def _shap_network(kind: str) -> Callable[[Played, Any], np.ndarray]:
    """Deep or Gradient of shap on the dae as a Keras network of one history's films."""

    def run(played: Played, budget: Any) -> np.ndarray:
        ends = played.network.inputs, played.network.outputs[0]
        row = np.ones((1, played.n), np.float32)
        nothing = np.zeros((1, played.n), np.float32)
        if kind == "Deep":
            explainer = shap.DeepExplainer(ends, nothing)
            return np.ravel(explainer.shap_values(row))
        explainer = shap.GradientExplainer(ends, nothing)
        return np.ravel(explainer.shap_values(row, nsamples=budget, rseed=0))

    return run


def cut_down(played: Played) -> keras.Model:
    """The dae for one history and one item: n inputs, tanh units, one output."""
    net = one_hidden(played.model)
    seen = keras.Input((played.n,))
    hidden = keras.layers.Dense(len(net.bias), activation="tanh")
    output = keras.layers.Dense(1)
    network = keras.Model(seen, output(hidden(seen)))
    hidden.set_weights([net.rows[played.history], net.bias])
    output.set_weights([net.readout[:, [played.item]], net.constant[[played.item]]])
    return network


def _shapiq(kind: str) -> Callable[[Played, Any], np.ndarray]:
    """An approximator of shapiq, by the name of its class."""

    def run(played: Played, budget: int) -> np.ndarray:
        import shapiq

        approximator = getattr(shapiq, kind)(n=played.n, random_state=0)
        found = approximator.approximate(budget, played.value)
        return np.array([found[(i,)] for i in range(played.n)])

    return run


def _quadrature(played: Played, budget: int) -> np.ndarray:
    items = np.array([played.item])
    return quadrature(played.model, played.history, items, budget)[:, 0]


def _fourier(played: Played, budget: int) -> np.ndarray:
    # its number of terms is set by `explain`: the budget only labels the row
    return explain(played.model, played.history, played.item, method="fourier").values


def _running_sums(played: Played, budget: int) -> np.ndarray:
    sums = sums_of(played.model, played.history, played.item)
    means, _ = marginal_means(sums, budget, 0)
    return means


def _permutations(played: Played, budget: int) -> np.ndarray:
    return permutation_sampling(played.game, budget, 0).values


def _leverage(played: Played, budget: int) -> np.ndarray:
    return leverage_regression(played.game, budget * played.n, 0).values


def _lime(played: Played, budget: int) -> np.ndarray:
    return lime_history(played.game, budget, 0).values


DAE = ("dae",)
OURS = (
    Way("ours", "quadrature", _quadrature, (2, 3, 4, 5, 6, 8, 12), DAE),
    Way("ours", "Fourier series", _fourier, (64,), DAE),
    Way("ours", "running sums", _running_sums, (16, 128, 1024, 8192), DAE),
    Way("ours", "permutations", _permutations, (8, 32, 128, 512)),
    Way("ours", "leverage regression", _leverage, (10, 40, 160, 640)),
)
PLAIN_KERNEL = "KernelExplainer (l1_reg=False)"
OF_SHAP = (
    Way("shap", "KernelExplainer (default)", _shap("Kernel (default)"), ("auto",)),
    Way("shap", PLAIN_KERNEL, _shap("Kernel"), ("auto", 8_192, 32_768)),
    Way("shap", PLAIN_KERNEL, _shap("Kernel"), (131_072,), DAE),
    Way("shap", "PermutationExplainer", _shap("Permutation"), (1, 10, 100)),
    Way("shap", "PermutationExplainer", _shap("Permutation"), (1000, 10_000), DAE),
    Way("shap", "SamplingExplainer", _shap("Sampling"), (20_000,)),
    Way("shap", "SamplingExplainer", _shap("Sampling"), ("auto", 200_000), DAE),
    Way("shap", "DeepExplainer", _shap_network("Deep"), (None,), DAE),
    Way("shap", "GradientExplainer", _shap_network("Gradient"), (200, 2000), DAE),
)


def _way_of_shapiq(kind: str, budgets: tuple, only: tuple[str, ...] = DAE) -> Way:
    return Way("shapiq", kind, _shapiq(kind), budgets, only)


# most ask group by group: too slow for a network
OF_SHAPIQ = (
    _way_of_shapiq("KernelSHAP", (2_500, 20_000), tuple(SIZES)),
    _way_of_shapiq("PermutationSamplingSV", (2_500, 20_000), tuple(SIZES)),
    _way_of_shapiq("OwenSamplingSV", (2_500, 20_000)),
    _way_of_shapiq("StratifiedSamplingSV", (2_500, 20_000)),
    _way_of_shapiq("UnbiasedKernelSHAP", (2_500, 20_000)),
    _way_of_shapiq("SVARM", (2_500,)),
    _way_of_shapiq("PermutationSamplingSV", (160_000,)),
    _way_of_shapiq("StratifiedSamplingSV", (160_000,)),
)
LIME = Way("lime", "LIME weights", _lime, (500, 5_000))
WAYS = (*OURS, *OF_SHAP, *OF_SHAPIQ, LIME)


def timed(
    run: Callable[[], np.ndarray], value: Counted
) -> tuple[np.ndarray, float, int]:
    """The result, the median seconds of a warm run, and the groups one run scored."""
    value.calls = 0
    started = time.perf_counter()
    result = run()
    seconds = [time.perf_counter() - started]
    calls = value.calls
    while sum(seconds) < LEAST_SECONDS and len(seconds) < 9:
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    # the first run may fill caches: it counts only where it is the only one
    warm = seconds[1:] or seconds
    return np.asarray(result, dtype=float), float(np.median(warm)), calls


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
    errors = []
    seconds = []
    calls = []
    for played in games:
        # bound at once: `partial` does not see the next round's game
        values, spent, asked = timed(partial(way.run, played, budget), played.value)
        errors.append(relative_error(values, played.truth))
        seconds.append(spent)
        calls.append(asked)
    return {
        "model": games[0].name,
        "players": games[0].n,
        "method": way.method,
        "library": way.library,
        "budget": budget,
        "calls": int(np.mean(calls)),
        "seconds": np.mean(seconds),
        "error": np.mean(errors),
        "truth_error": np.mean([played.truth_error for played in games]),
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
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        said = np.array(list(pool.map(sums, histories)))
    seconds = time.perf_counter() - started
    gaps = _gaps(model, histories, said)
    errors = _errors_on(model, histories, pairs, threads)
    row = {
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
    return pd.DataFrame([row])


def _gaps(model: Any, histories: list[np.ndarray], said: np.ndarray) -> np.ndarray:
    """How far sums of values (users, items) lie from what the histories change."""
    nothing = model.score([np.array([], int)])
    rise = model.score(histories).astype(float) - nothing
    # a share of a change near zero would say nothing
    least = 0.05 * np.median(np.abs(rise))
    return np.abs(rise - said) / np.maximum(np.abs(rise), least)


def _errors_on(
    model: Any, histories: list[np.ndarray], pairs: int, threads: int
) -> list[float]:
    """Errors of the quadrature on random users, each with one item not watched."""
    random = np.random.default_rng(0)
    asked = []
    items = []
    for user in random.choice(len(histories), pairs, replace=False):
        unseen = np.setdiff1d(np.arange(model.n_items), histories[user])
        asked.append(histories[user])
        items.append(int(random.choice(unseen)))

    def error(history: np.ndarray, item: int) -> float:
        values = quadrature(model, history, np.array([item]))[:, 0]
        series = explain(model, history, item, method="fourier")
        return relative_error(values, series.values)

    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        return list(pool.map(error, asked, items))


# -- who can be explained at all -------------------------------------------------------


def support() -> pd.DataFrame:
    """One row per model of the zoo: our method and its gap, and whether shap's run.

    The gap is that of completeness; shap's explainers are Deep and Gradient.
    """
    return pd.DataFrame([_supported(name) for name in zoo.SPECS])


def _supported(name: str) -> dict[str, Any]:
    found = explain(*asked_of(name))
    scale = max(abs(found.score - found.base), 1e-9)
    # a closed form states no error
    stated = 0.0 if found.error is None else found.error.sum() / scale
    row = {
        "model": name,
        "method": found.method,
        "seconds": found.seconds,
        "gap": abs(found.gap) / scale,
        "stated_error": stated,
        "shap Deep": _apart(name, "Deep"),
        "shap Gradient": _apart(name, "Gradient"),
    }
    print(*row.values(), flush=True)
    return row


def asked_of(name: str) -> tuple:
    """The arguments of `explain` for a model of the zoo.

    They are the running case, or a test row of the feature table.
    """
    model = zoo.load(name)
    if name not in zoo.FEATURE_MODELS:
        case = zoo.running_case()
        return model, case.history, case.item
    table = zoo.features()
    user = [table.names.index(column) for column in USER]
    film = [table.names.index(column) for column in FILM]

    def predict(x: np.ndarray) -> np.ndarray:
        inputs = x if name == "feature_mlp" else [x[:, user], x[:, film]]
        return model(inputs, training=False).numpy()[:, -1]

    row = table.x("test")[0]
    background = table.x("train")[:20]
    return (feature_game(predict, row, background, table.names),)


def _apart(name: str, kind: str) -> str:
    """What an explainer of shap makes of a model, in one line."""
    if name not in zoo.SHIPPED:
        return "no network"
    # in a process of its own: a failure spoils TensorFlow
    command = [sys.executable, "-m", __spec__.name, "try", name, kind]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=APART_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"took longer than {APART_SECONDS} s"
    if done.returncode == 0:
        return done.stdout.strip().splitlines()[-1]
    return done.stderr.strip().splitlines()[-1][:120]


def attempt(name: str, kind: str) -> None:
    """Let shap explain the input of one network, and print what its values miss."""
    network = zoo.network(zoo.load(name))
    row = inputs_of(name)
    nothing = [np.zeros_like(x) for x in row]
    # shap wants inputs of a fixed length
    fixed = [
        keras.Input(x.shape[1:], dtype=each.dtype)
        for x, each in zip(row, network.inputs, strict=True)
    ]
    output = network(_alone(fixed))
    # of a sequence the last place counts, of many outputs the first
    column = output[:, -1, :1] if len(output.shape) == 3 else output[:, :1]
    make = getattr(shap, f"{kind}Explainer")
    explainer = make((_alone(fixed), column), _alone(nothing))
    values = explainer.shap_values(_alone(row))
    parts = values if isinstance(values, list) else [values]
    said = sum(np.sum(part) for part in parts)
    one_output = keras.Model(fixed, column)
    full = float(one_output(row)[0, 0])
    empty = float(one_output(nothing)[0, 0])
    gap = abs((full - empty - said) / (full - empty))
    print(f"ran, completeness gap {gap:.1e}")


def _alone(inputs: list) -> Any:
    """Inputs as shap takes them: one array for one, a list for several."""
    return inputs[0] if len(inputs) == 1 else inputs


def inputs_of(name: str) -> list[np.ndarray]:
    """One row of input for the network of a model, as a list of arrays."""
    if name == "feature_mlp":
        return [zoo.features().x("test")[:1]]
    if name in zoo.FEATURE_MODELS:
        return [side[:1] for side in zoo.features().branches("test")]
    case = zoo.running_case()
    if name == "embedding_mlp":
        return [np.array([case.user]), np.array([case.item])]
    model = zoo.load(name)
    if isinstance(model, Autoencoder):
        return [multi_hot([case.history], model.n_items)]
    return [model.windows([case.history])]


def curves(store: Store) -> pd.DataFrame:
    """The curves of all games: those of shapley.csv, and what it lacks made anew."""
    path = store.folder / "shapley.csv"
    table = pd.DataFrame(columns=["model", "players"])
    if path.exists():
        table = pd.read_csv(path)
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

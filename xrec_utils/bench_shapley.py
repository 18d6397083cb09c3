"""Error against seconds: our Shapley estimators beside shap, shapiq and lime, on the
same games in the same run.

    python -m xrec_utils.bench_shapley             what is not stored yet (about 25 minutes), into shapley*.csv
    python -m xrec_utils.bench_shapley pairs | support             one of these tables again
    python -m xrec_utils.bench_shapley quick       one game of twenty films, printed and not stored

Curves: every method explains the first recommendation of the same users. `dae` learned
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
from functools import cache, cached_property
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
USERS = {
    "dae": 3,
    "attention": 2,
    "gru": 2,
}  # brute force over 20 films costs a network a minute and more
TRUTH_ORDERS = 10_000  # for attention and gru beyond brute force
LEAST_SECONDS = 0.2  # shorter runs are repeated and the median is kept


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
    """One game to explain: who plays it, its value function, its true Shapley values
    and how sure they are.
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
        return len(self.history)

    @property
    def game(self) -> Game:
        return Game(tuple(map(str, range(self.n))), "score", self.value, batch=8192)

    @cached_property
    def network(self) -> keras.Model:
        """The dae for the films of the history and the item alone, built once: a warm
        run does not pay for it.
        """
        return cut_down(self)


@dataclass(frozen=True)
class Way:
    """One method of one library: run(played, budget) -> values (n,), for each budget;
    only: the models it can do.
    """

    library: str
    method: str
    run: Callable[[Played, Any], np.ndarray]
    budgets: tuple
    only: tuple[str, ...] = tuple(SIZES)


@cache
def dae_of_ml100k() -> tuple[Any, Any]:
    """The autoencoder of the zoo, trained on ML-100K (leave-last-out, seed 0), and its
    split.
    """
    split = leave_last_out(load_movielens("ml-100k"))
    return zoo.train("dae", split)[0], split


def restricted(
    model: Any, history: np.ndarray, item: int
) -> Callable[[np.ndarray], np.ndarray]:
    """The dae as a NumPy function of masks over one history: (m, n) -> (m,)."""
    net = one_hidden(model)
    rows, readout, constant = (
        net.rows[history],
        net.readout[:, item],
        net.constant[item],
    )
    return lambda masks: (
        np.tanh(masks.astype(np.float32) @ rows + net.bias) @ readout + constant
    )


def play(name: str, n: int, users: int | None = None) -> list[Played]:
    """The first recommendation of the first test users who have n films or more; their
    newest n count.
    """
    model, split = dae_of_ml100k() if name == "dae" else (zoo.load(name), zoo.split())
    long = [
        history[-n:] for history in split.cases("test").histories if len(history) >= n
    ]
    return [_played(name, model, history) for history in long[: users or USERS[name]]]


def _played(name: str, model: Any, history: np.ndarray) -> Played:
    scores = model.score([history])[0].copy()
    scores[history] = -np.inf
    item, n = int(scores.argmax()), len(history)
    game = history_game(model, history, item, batch=2048)
    if n <= 20:
        truth, error = brute_force(game).values, np.zeros(n)
    elif name == "dae":
        truth, error = (
            explain(model, history, item, method="fourier").values,
            np.full(n, 1e-9),
        )
    else:
        long = permutation_sampling(game, TRUTH_ORDERS, seed=99)
        truth, error = long.values, long.error
    value = Counted(restricted(model, history, item) if name == "dae" else game.value)
    return Played(
        name, model, history, item, value, truth, relative_error(truth + error, truth)
    )


def _shap(kind: str) -> Callable[[Played, Any], np.ndarray]:
    """A black-box explainer of shap on masks of zeros and ones, with the empty history
    as background.
    """

    def run(played: Played, budget: Any) -> np.ndarray:
        row, nothing = np.ones((1, played.n)), np.zeros((1, played.n))
        if kind == "Permutation":
            explainer = shap.PermutationExplainer(
                played.value, shap.maskers.Independent(nothing)
            )
            return explainer(
                row, max_evals=budget * (2 * played.n + 1), silent=True
            ).values[0]
        if kind == "Sampling":
            return np.ravel(
                shap.SamplingExplainer(played.value, nothing).shap_values(
                    row, nsamples=budget
                )
            )
        explainer = shap.KernelExplainer(played.value, nothing)
        options = {} if kind == "Kernel (default)" else {"l1_reg": False}
        return np.ravel(
            explainer.shap_values(row, nsamples=budget, silent=True, **options)
        )

    return run


def _shap_network(kind: str) -> Callable[[Played, Any], np.ndarray]:
    """Deep or Gradient of shap on the dae cut down to one history's films, as a Keras
    network.
    """

    def run(played: Played, budget: Any) -> np.ndarray:
        network = played.network
        row, nothing = (
            np.ones((1, played.n), np.float32),
            np.zeros((1, played.n), np.float32),
        )
        if kind == "Deep":
            return np.ravel(
                shap.DeepExplainer(
                    (network.inputs, network.outputs[0]), nothing
                ).shap_values(row)
            )
        explainer = shap.GradientExplainer(
            (network.inputs, network.outputs[0]), nothing
        )
        return np.ravel(explainer.shap_values(row, nsamples=budget, rseed=0))

    return run


def cut_down(played: Played) -> keras.Model:
    """The dae for the films of one history and one item: n inputs, tanh units, one
    output.
    """
    net, layers = one_hidden(played.model), keras.layers
    seen = keras.Input((played.n,))
    hidden = layers.Dense(len(net.bias), activation="tanh")
    output = layers.Dense(1)
    network = keras.Model(seen, output(hidden(seen)))
    hidden.set_weights([net.rows[played.history], net.bias])
    output.set_weights([net.readout[:, [played.item]], net.constant[[played.item]]])
    return network


def _shapiq(kind: str) -> Callable[[Played, Any], np.ndarray]:
    def run(played: Played, budget: int) -> np.ndarray:
        import shapiq

        found = getattr(shapiq, kind)(n=played.n, random_state=0).approximate(
            budget, played.value
        )
        return np.array([found[(i,)] for i in range(played.n)])

    return run


WAYS = (
    Way(
        "ours",
        "quadrature",
        lambda p, b: quadrature(p.model, p.history, np.array([p.item]), b)[:, 0],
        (2, 3, 4, 5, 6, 8, 12),
        ("dae",),
    ),
    Way(
        "ours",
        "Fourier series",
        lambda p, b: explain(p.model, p.history, p.item, method="fourier").values,
        (64,),
        ("dae",),
    ),
    Way(
        "ours",
        "running sums",
        lambda p, b: marginal_means(sums_of(p.model, p.history, p.item), b, 0)[0],
        (16, 128, 1024, 8192),
        ("dae",),
    ),
    Way(
        "ours",
        "permutations",
        lambda p, b: permutation_sampling(p.game, b, 0).values,
        (8, 32, 128, 512),
    ),
    Way(
        "ours",
        "leverage regression",
        lambda p, b: leverage_regression(p.game, b * p.n, 0).values,
        (10, 40, 160, 640),
    ),
    Way("shap", "KernelExplainer (default)", _shap("Kernel (default)"), ("auto",)),
    Way(
        "shap",
        "KernelExplainer (l1_reg=False)",
        _shap("Kernel"),
        ("auto", 8_192, 32_768),
    ),
    Way(
        "shap", "KernelExplainer (l1_reg=False)", _shap("Kernel"), (131_072,), ("dae",)
    ),
    Way("shap", "PermutationExplainer", _shap("Permutation"), (1, 10, 100)),
    Way("shap", "PermutationExplainer", _shap("Permutation"), (1000, 10_000), ("dae",)),
    Way("shap", "SamplingExplainer", _shap("Sampling"), (20_000,)),
    Way("shap", "SamplingExplainer", _shap("Sampling"), ("auto", 200_000), ("dae",)),
    Way("shap", "DeepExplainer", _shap_network("Deep"), (None,), ("dae",)),
    Way("shap", "GradientExplainer", _shap_network("Gradient"), (200, 2000), ("dae",)),
    *(
        Way("shapiq", kind, _shapiq(kind), (2_500, 20_000))
        for kind in ("KernelSHAP", "PermutationSamplingSV")
    ),
    *(
        Way(
            "shapiq", kind, _shapiq(kind), (2_500, 20_000), ("dae",)
        )  # group by group: too slow for a network
        for kind in ("OwenSamplingSV", "StratifiedSamplingSV", "UnbiasedKernelSHAP")
    ),
    Way("shapiq", "SVARM", _shapiq("SVARM"), (2_500,), ("dae",)),
    *(
        Way("shapiq", kind, _shapiq(kind), (160_000,), ("dae",))
        for kind in ("PermutationSamplingSV", "StratifiedSamplingSV")
    ),
    Way(
        "lime",
        "LIME weights",
        lambda p, b: lime_history(p.game, b, 0).values,
        (500, 5_000),
    ),
)


def timed(
    run: Callable[[], np.ndarray], value: Counted
) -> tuple[np.ndarray, float, int]:
    """The result, the median seconds of a warm run, and the groups scored in one run."""
    value.calls, started = 0, time.perf_counter()
    result = run()
    calls, seconds = value.calls, [time.perf_counter() - started]
    while sum(seconds) < LEAST_SECONDS and len(seconds) < 9:
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return (
        np.asarray(result, dtype=float),
        float(np.median(seconds[1:] or seconds)),
        calls,
    )


def curve(games: Sequence[Played], ways: Sequence[Way] = WAYS) -> pd.DataFrame:
    """One row per method and budget: error (mean over the games of the relative L2
    distance to the truth), seconds.
    """
    rows = []
    for way in (way for way in ways if games[0].name in way.only):
        way.run(
            games[0], way.budgets[0]
        )  # warm: numba and TensorFlow compile on a first call
        for budget in way.budgets:
            found = [
                timed(lambda p=p, w=way, b=budget: w.run(p, b), p.value) for p in games
            ]
            errors = [
                relative_error(values, p.truth)
                for (values, _, _), p in zip(found, games, strict=True)
            ]
            rows.append({
                "model": games[0].name, "players": games[0].n, "method": way.method, "library": way.library,
                "budget": budget, "calls": int(np.mean([calls for _, _, calls in found])),
                "seconds": np.mean([seconds for _, seconds, _ in found]), "error": np.mean(errors),
                "truth_error": np.mean([p.truth_error for p in games]), "users": len(games),
            })  # fmt: skip
            print(
                " ".join(
                    f"{x:.4g}" if isinstance(x, float) else str(x)
                    for x in rows[-1].values()
                ),
                flush=True,
            )
    return pd.DataFrame(rows)


# -- all users times all items
# ------------------------------------------------------------------------------------


def all_pairs(pairs: int = 200, threads: int = 2) -> pd.DataFrame:
    """Every Shapley value of every user's events for every item of ML-100K, and how
    good they are: one row.

    gap: |Σ φ - (v(all) - v(none))| / max(|v(all) - v(none)|, 5% of its median). error:
    relative L2 distance to the Fourier series on random pairs of user and item outside
    the history.
    """
    model, split = dae_of_ml100k()
    cases = split.cases("test")
    histories = [
        np.append(h, t) for h, t in zip(cases.histories, cases.targets, strict=True)
    ]
    quadrature(model, histories[0])  # warm
    started = time.perf_counter()
    with (
        threadpool_limits(1),
        ThreadPoolExecutor(threads) as pool,
    ):  # one matrix product per thread, not one for all
        said = np.array(
            list(
                pool.map(
                    lambda h: quadrature(model, h).sum(axis=0, dtype=float), histories
                )
            )
        )
    seconds = time.perf_counter() - started
    rise = model.score(histories).astype(float) - model.score([np.array([], int)])
    share = np.abs(rise - said) / np.maximum(
        np.abs(rise), 0.05 * np.median(np.abs(rise))
    )
    errors = _errors_on(model, histories, pairs, threads)
    return pd.DataFrame([{
        "users": len(histories), "items": model.n_items, "values": sum(map(len, histories)) * model.n_items,
        "seconds": seconds, "threads": threads, "mean_gap": share.mean(), "worst_gap": share.max(),
        "pairs": pairs, "mean_error": np.mean(errors), "worst_error": np.max(errors),
    }])  # fmt: skip


def _errors_on(
    model: Any, histories: list[np.ndarray], pairs: int, threads: int
) -> list[float]:
    random, drawn = np.random.default_rng(0), []
    for user in random.choice(len(histories), pairs, replace=False):
        drawn.append(
            (
                histories[user],
                int(
                    random.choice(
                        np.setdiff1d(np.arange(model.n_items), histories[user])
                    )
                ),
            )
        )

    def error(history: np.ndarray, item: int) -> float:
        values = quadrature(model, history, np.array([item]))[:, 0]
        return relative_error(
            values, explain(model, history, item, method="fourier").values
        )

    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        return list(pool.map(error, *zip(*drawn, strict=True)))


# -- who can be explained at all
# ----------------------------------------------------------------------------------


def support() -> pd.DataFrame:
    """One row per model of the zoo: our method with its completeness gap, and whether
    shap's Deep and Gradient run.
    """
    return pd.DataFrame([_supported(name) for name in zoo.SPECS])


def _supported(name: str) -> dict[str, Any]:
    found = explain(*asked_of(name))
    scale = max(abs(found.score - found.base), 1e-9)
    stated = 0.0 if found.error is None else found.error.sum() / scale
    row = {
        "model": name,
        "method": found.method,
        "seconds": found.seconds,
        "gap": abs(found.gap) / scale,
        "stated_error": stated,
        **{f"shap {kind}": _apart(name, kind) for kind in ("Deep", "Gradient")},
    }
    print(*row.values(), flush=True)
    return row


def asked_of(name: str) -> tuple:
    """The arguments of `explain` for a model of the zoo: the running case, or a test
    row of the feature table.
    """
    model = zoo.load(name)
    if name not in zoo.FEATURE_MODELS:
        case = zoo.running_case()
        return model, case.history, case.item
    table = zoo.features()

    def predict(x: np.ndarray) -> np.ndarray:
        sides = [x[:, [table.names.index(n) for n in side]] for side in (USER, FILM)]
        return model(x if name == "feature_mlp" else sides, training=False).numpy()[
            :, -1
        ]

    return (
        feature_game(predict, table.x("test")[0], table.x("train")[:20], table.names),
    )


def _apart(name: str, kind: str) -> str:
    """What an explainer of shap makes of a model, tried in a process of its own: a
    failure spoils TensorFlow.
    """
    if name not in zoo.SHIPPED:
        return "no network"
    done = subprocess.run(
        [sys.executable, "-m", __spec__.name, "try", name, kind],
        capture_output=True,
        text=True,
    )
    return (
        done.stdout.strip().splitlines()[-1]
        if done.returncode == 0
        else done.stderr.strip().splitlines()[-1][:120]
    )


def attempt(name: str, kind: str) -> None:
    """Let shap explain the input of one network, and print that it ran and what its
    values miss.
    """
    network, row = zoo.network(zoo.load(name)), inputs_of(name)
    # shap wants inputs of a fixed length, one array for one input and a list for
    # several
    fixed = [
        keras.Input(x.shape[1:], dtype=each.dtype)
        for x, each in zip(row, network.inputs, strict=True)
    ]
    output = network(fixed if len(row) > 1 else fixed[0])
    column = output[:, -1, :1] if len(output.shape) == 3 else output[:, :1]
    nothing = [np.zeros_like(x) for x in row]
    inputs, first, empty = (x[0] if len(row) == 1 else x for x in (fixed, row, nothing))
    values = getattr(shap, f"{kind}Explainer")((inputs, column), empty).shap_values(
        first
    )
    ends = [float(keras.Model(fixed, column)(x)[0, 0]) for x in (row, nothing)]
    missed = (
        ends[0]
        - ends[1]
        - sum(
            np.sum(part) for part in (values if isinstance(values, list) else [values])
        )
    )
    print(f"ran, completeness gap {abs(missed / (ends[0] - ends[1])):.1e}")


def inputs_of(name: str) -> list[np.ndarray]:
    """One row of input for the network of a model, as a list of arrays."""
    if name in zoo.FEATURE_MODELS:
        table = zoo.features()
        return (
            [table.x("test")[:1]]
            if name == "feature_mlp"
            else [side[:1] for side in table.branches("test")]
        )
    case, model = zoo.running_case(), zoo.load(name)
    if name == "embedding_mlp":
        return [np.array([case.user]), np.array([case.item])]
    hot = isinstance(model, Autoencoder)
    return [
        multi_hot([case.history], model.n_items)
        if hot
        else model.windows([case.history])
    ]


def curves(store: Store) -> pd.DataFrame:
    """The curves of all games; those that shapley.csv holds already are kept, and each
    new one is stored at once.
    """
    path = store.folder / "shapley.csv"
    table = (
        pd.read_csv(path)
        if path.exists()
        else pd.DataFrame(columns=["model", "players"])
    )
    for name, n in ((name, n) for name, sizes in SIZES.items() for n in sizes):
        if not ((table["model"] == name) & (table["players"] == n)).any():
            table = pd.concat([table, curve(play(name, n))], ignore_index=True)
            store.write("shapley.csv", table)
    return table


PARTS = {
    "pairs": ("shapley_pairs.csv", all_pairs),
    "support": ("shapley_support.csv", support),
}


def main(arguments: list[str] | None = None, store: Store | None = None) -> None:
    """Make the tables named; for none the curves and tables that are not stored."""
    asked, store = sys.argv[1:] if arguments is None else arguments, store or Store()
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

"""Every way to Shapley values that the bench compares, ours and the libraries."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import shap

from xrec_utils import zoo
from xrec_utils.contract import recommend
from xrec_utils.data import leave_last_out, load_movielens
from xrec_utils.explain import (
    brute_force,
    explain,
    leverage_regression,
    lime_history,
    one_hidden,
    permutation_sampling,
    quadrature,
)
from xrec_utils.explain.running_sums import marginal_means
from xrec_utils.games.game import Game, history_game
from xrec_utils.judge.comparisons import relative_error
from xrec_utils.keras_start import keras

SIZES = {
    "dae": (20, 100, 300),
    "attention": (20, 48),
    "gru": (20, 48),
}
# brute force over 20 films costs a network a minute and more
USERS = {"dae": 3, "attention": 2, "gru": 2}
TRUTH_ORDERS = 10_000  # for attention and gru beyond brute force


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
        return Game(
            tuple(str(place) for place in range(self.n)),
            "score",
            self.value,
            batch=8192,
        )

    @cached_property
    def network(self) -> keras.Model:
        """The dae for the films of the history and the item alone."""
        # built once: a warm run does not pay for it
        net = one_hidden(self.model)
        # n inputs, tanh units, one output
        seen = keras.Input((self.n,))
        hidden = keras.layers.Dense(len(net.bias), activation="tanh")
        output = keras.layers.Dense(1)
        network = keras.Model(seen, output(hidden(seen)))
        hidden.set_weights([net.rows[self.history], net.bias])
        output.set_weights([net.readout[:, [self.item]], net.constant[[self.item]]])
        return network


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
    newest = [
        history[-n:] for history in split.cases("test").histories if len(history) >= n
    ]
    return [
        _played(
            name,
            model,
            history,
        )
        for history in newest[: users or USERS[name]]
    ]


def _played(name: str, model: Any, history: np.ndarray) -> Played:
    item = int(recommend(model, history, k=1)[0])
    game = history_game(model, history, item, batch=2048)
    truth, error = _truth(
        name,
        model,
        game,
        history,
        item,
    )
    value = game.value
    if name == "dae":
        # a NumPy function: what is compared is the methods, not calls of TensorFlow
        value = restricted(model, history, item)
    return Played(
        name,
        model,
        history,
        item,
        Counted(value),
        truth,
        relative_error(truth + error, truth),
    )


def _truth(
    name: str, model: Any, game: Game, history: np.ndarray, item: int
) -> tuple[np.ndarray, np.ndarray]:
    """Shapley values (n,) as true as we can have them, and how far off each may be."""
    n = len(history)
    if n <= 20:
        return brute_force(game).values, np.zeros(n)
    if name == "dae":
        return explain(
            model,
            history,
            item,
            method="fourier",
        ).values, np.full(n, 1e-9)
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
            explainer = shap.PermutationExplainer(
                played.value,
                shap.maskers.Independent(nothing),
            )
            return explainer(
                row,
                # the budget counts orders, each up and down again
                max_evals=budget * (2 * played.n + 1),
                silent=True,
            ).values[0]
        if kind == "Sampling":
            explainer = shap.SamplingExplainer(played.value, nothing)
            return np.ravel(explainer.shap_values(row, nsamples=budget))
        explainer = shap.KernelExplainer(played.value, nothing)
        # by default it drops films that a lasso finds useless
        options = {} if kind == "Kernel (default)" else {"l1_reg": False}
        return np.ravel(
            explainer.shap_values(row, nsamples=budget, silent=True, **options)
        )

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


def _shapiq(kind: str) -> Callable[[Played, Any], np.ndarray]:
    """An approximator of shapiq, by the name of its class."""

    def run(played: Played, budget: int) -> np.ndarray:
        import shapiq

        found = getattr(shapiq, kind)(n=played.n, random_state=0).approximate(
            budget, played.value
        )
        return np.array([found[(i,)] for i in range(played.n)])

    return run


def _quadrature(played: Played, budget: int) -> np.ndarray:
    return quadrature(
        played.model,
        played.history,
        np.array([played.item]),
        budget,
    )[:, 0]


def _fourier(played: Played, budget: int) -> np.ndarray:
    # its number of terms is set by `explain`: the budget only labels the row
    return explain(
        played.model,
        played.history,
        played.item,
        method="fourier",
    ).values


def _running_sums(played: Played, budget: int) -> np.ndarray:
    sums = played.model.sums(played.history, np.array([played.item]))
    means, _ = marginal_means(sums, budget, seed=0)
    return means[0]


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

"""`explain(model, history, item)`: Shapley values by the best method for the model.

One value per film of the history.

    auto picks      for                                                values are
    closed form     popularity, content, item_knn, ease, hybrid, din   exact
    all groups      any model, up to twelve films                      exact
    quadrature      dae, vae                                           approximate
    running sums    user_knn, embedding_mlp, pooled_mlp                sampled
    leverage        ials, attention, gru, gru_attention, any game      sampled
    permutations    the same for more than 100 films                   sampled

Approximate values come with their error, sampled ones with standard errors. din and
pooled_mlp read at most their window of films; in a longer history a removed film lets
an older one in, the closed form and the running sums no longer hold, and the methods
for any game take over.
"""

from collections.abc import Callable, Sequence
from functools import singledispatch
from time import perf_counter
from typing import Any

import numpy as np

from xrec_utils.contract import History, HistoryModel
from xrec_utils.explain import closed_forms
from xrec_utils.explain.hidden_units import (
    fourier_shapley,
    hidden_shapley,
    one_hidden,
    with_errors,
)
from xrec_utils.explain.leverage import leverage_regression
from xrec_utils.explain.running_sums import marginal_means, sums_of
from xrec_utils.explain.shapley import brute_force, permutation_sampling
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game, history_game
from xrec_utils.models.autoencoders import Autoencoder
from xrec_utils.models.classic import ContentBased, ItemToItem, Popularity
from xrec_utils.models.target_attention import TargetAttention

FEW = 12  # players up to which all groups are scored
FIT = 100  # players up to which a regression fits in memory
CHEAP = 4  # times more orders where an order costs one running sum
SPOKEN = {
    "closed form": "exact Shapley (closed form)",
    "quadrature": "Shapley by quadrature",
    "fourier": "Shapley by Fourier series",
    "running sums": "Shapley by running sums",
}
# values (n,) and their errors, None for exact ones
Found = tuple[np.ndarray, np.ndarray | None]


def explain(
    model: HistoryModel | Game,
    history: History | None = None,
    item: int | None = None,
    method: str = "auto",
    titles: Sequence[str] | None = None,
    permutations: int = 256,
    seed: int = 0,
) -> Explanation:
    """Shapley values of the films of a history for the score of one film.

    Or of the players of any Game. The source of each method stands at its function.

    Args:
        model: any that scores a history, or a Game alone.
        history: (n,) item codes, oldest first.
        item: the code of the film explained, outside the history.
        method: "auto" (see the module), or by name "closed form", "all groups",
            "quadrature", "fourier" (dae to nine digits, in seconds), "running sums",
            "leverage", "permutations".
        titles: names by item code; None for 'item 17'.
        permutations: orders drawn by the sampling methods, even and at least 4; running
            sums draw 4 times as many, leverage asks for as many scores as permutations
            would.
        seed: of the sampling methods.

    Returns:
        Explanation with values (n,) in the unit of the score (a logit), `base` the
        score of the empty history and `method` in words. `error` is None for exact
        values.

    Raises:
        ValueError: an empty history, an unknown item or one inside the history, an
            unknown method or one that cannot explain this model.

    Example:
        A linear model: each film adds its weight.

        >>> model = ItemToItem()
        >>> model.name, model.n_items = "by hand", 3
        >>> model.weights = np.array([[0, 0, 0.5], [0, 0, -0.25], [0, 0, 0]])
        >>> explanation = explain(model, np.array([0, 1]), item=2)
        >>> explanation.values.tolist(), explanation.method
        ([0.5, -0.25], 'exact Shapley (closed form)')
    """
    if isinstance(model, Game):
        return solve(None, model, history, item, method, permutations, seed)
    if history is None or item is None:
        raise ValueError(
            "explain needs a model with a history and an item, or a Game alone"
        )
    game = history_game(model, history, item, titles)
    return solve(model, game, history, item, method, permutations, seed)


def solve(
    model: HistoryModel | None,
    game: Game,
    history: History | None,
    item: int | None,
    method: str = "auto",
    permutations: int = 256,
    seed: int = 0,
) -> Explanation:
    """`explain` for a game that is at hand already; arguments and errors as there.

    model is None for any game.
    """
    if method != "auto" and method not in METHODS:
        raise ValueError(
            f"method={method!r} is unknown; choose auto, {', '.join(METHODS)}"
        )
    names = METHODS if method == "auto" else [method]
    start = perf_counter()
    for name in names:
        result = METHODS[name](model, game, history, item, permutations, seed)
        # None: this method cannot explain this model
        if result is not None:
            return named(result, game, name, perf_counter() - start)
    raise ValueError(f"{method} cannot explain {_what(model, game)}: use method='auto'")


def _what(model: HistoryModel | None, game: Game) -> str:
    """The model, or the game's target, and its number of players, in words."""
    name = model.name if model else game.target
    return f"{name} with {game.n_players} players"


def named(
    found: Explanation | Found, game: Game, name: str, seconds: float
) -> Explanation:
    """An Explanation out of a method's result: values and errors, or one already."""
    if isinstance(found, Explanation):
        return found
    values, error = found
    base = game.empty()
    score = game.full()
    method = SPOKEN[name]
    return Explanation(
        game.players, game.target, values, base, score, method, seconds, error
    )


@singledispatch
def closed_form(model: Any, history: History, item: int) -> Found | None:
    """Exact values (n,), or None for a model (or a history) without a closed form."""
    return None


@closed_form.register
def _(model: Popularity, history: History, item: int) -> Found:
    return np.zeros(len(history)), None


@closed_form.register
def _(model: ItemToItem, history: History, item: int) -> Found:
    return closed_forms.linear(model.weights[history, item]), None


@closed_form.register
def _(model: ContentBased, history: History, item: int) -> Found:
    return closed_forms.mean_pool(model.weights[history, item]), None


@closed_form.register
def _(model: TargetAttention, history: History, item: int) -> Found | None:
    if len(history) > model.window:
        return None
    weights, answers = model.parts(history, item)
    # the start token's come first
    start = (weights[0], answers[0])
    return closed_forms.softmax_pool(weights[1:], answers[1:], start=start)


def quadrature(
    model: Autoencoder,
    history: History,
    items: np.ndarray | None = None,
    nodes: int = 0,
) -> np.ndarray:
    """Shapley values of a history for many items at once, for dae and vae.

    The values of the hidden units times their readout: see `hidden_shapley`.

    Args:
        model: a dae or vae.
        history: (n,) item codes.
        items: (k,) codes explained; None for the whole catalogue.
        nodes: points of the outer rule; 0 for as many as the history needs.

    Returns:
        (n, k) or (n, n_items) float32, in the unit of the score (a logit).

    Raises:
        TypeError: the model is neither.

    Example:
        >>> from xrec_utils.models.autoencoders import dae
        >>> values = quadrature(dae(n_items=5, units=3), np.array([0, 2]))
        >>> values.shape, values.dtype.name
        ((2, 5), 'float32')
    """
    net = one_hidden(model)
    hidden = hidden_shapley(net.rows[history], net.bias, net.by_length, nodes or None)
    readout = net.readout if items is None else net.readout[:, items]
    return hidden @ readout


# Each method takes the same six arguments and gives None for what it cannot explain.


def _closed_form(model, game, history, item, permutations, seed) -> Found | None:
    return closed_form(model, history, item)


def _all_groups(model, game, history, item, permutations, seed) -> Explanation | None:
    return brute_force(game) if game.n_players <= FEW else None


def _quadrature(model, game, history, item, permutations, seed) -> Found | None:
    if not isinstance(model, Autoencoder):
        return None
    moved = game.full() - game.empty()
    values, errors = with_errors(
        one_hidden(model), history, np.array([item]), np.array([moved])
    )
    return values[0], errors[0]


def _fourier(model, game, history, item, permutations, seed) -> Found | None:
    if not isinstance(model, Autoencoder):
        return None
    net = one_hidden(model)
    # an input of length one is no sum of waves
    if net.by_length:
        return None
    hidden = fourier_shapley(net.rows[history], net.bias)
    readout = net.readout[:, item].astype(float)
    return hidden @ readout, None


def _running_sums(model, game, history, item, permutations, seed) -> Found | None:
    sums = sums_of(model, history, item)
    if sums is None:
        return None
    return marginal_means(sums, CHEAP * permutations, seed)


def _permutations(model, game, history, item, permutations, seed) -> Explanation:
    return permutation_sampling(game, permutations, seed)


def _leverage(model, game, history, item, permutations, seed) -> Explanation | None:
    if game.n_players > FIT:
        return None
    # one order costs about as many scores as there are players
    samples = permutations * game.n_players
    return leverage_regression(game, samples, seed)


# in the order that auto tries them
METHODS: dict[str, Callable[..., Explanation | Found | None]] = {
    "closed form": _closed_form,
    "all groups": _all_groups,
    "quadrature": _quadrature,
    "fourier": _fourier,
    "running sums": _running_sums,
    "leverage": _leverage,
    "permutations": _permutations,
}

"""`explain(model, history, item)`: the Shapley value of every film of a history, by the
best way for the model.

    auto picks            for                                                values are
    closed form           popularity, content, item_knn, ease, hybrid, din   exact
    all groups            any model, up to twelve films                      exact
    quadrature            dae, vae                                           an approximation with its error
    running sums          user_knn, embedding_mlp, pooled_mlp                sampled, with standard errors
    leverage              ials, attention, gru, gru_attention, any game      sampled, with standard errors
    permutations          the same for more than 100 films                   sampled, with standard errors

din and pooled_mlp read at most their window of films; in a longer history a removed
film lets an older one in, the closed form and the running sums no longer hold, and the
methods for any game take over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import singledispatch
from time import perf_counter
from typing import Any

import numpy as np

from xrec_utils.autoencoders import Autoencoder
from xrec_utils.classic import ContentBased, ItemToItem, Popularity
from xrec_utils.contract import History, HistoryModel
from xrec_utils.explain import closed_forms
from xrec_utils.explain.estimators import leverage_regression
from xrec_utils.explain.incremental import marginal_means, sums_of
from xrec_utils.explain.quadrature import (
    fourier_shapley,
    hidden_shapley,
    one_hidden,
    with_errors,
)
from xrec_utils.explain.shapley import brute_force, permutation_sampling
from xrec_utils.games import Explanation, Game, history_game
from xrec_utils.target_attention import TargetAttention

FEW = 12  # players up to which all groups are scored
FIT = 100  # players up to which a regression fits in memory
CHEAP = 4  # times more orders where an order costs one running sum
SPOKEN = {
    "closed form": "exact Shapley (closed form)",
    "quadrature": "Shapley by quadrature",
    "fourier": "Shapley by Fourier series",
    "running sums": "Shapley by running sums",
}
Found = tuple[
    np.ndarray, np.ndarray | None
]  # values (n,) and their errors, None for exact ones


def explain(
    model: HistoryModel | Game,
    history: History | None = None,
    item: int | None = None,
    method: str = "auto",
    titles: Sequence[str] | None = None,
    permutations: int = 256,
    seed: int = 0,
) -> Explanation:
    """Shapley values of the films of `history` (n,) for the score of `item`, or of the
    players of any Game.

    method: auto, or by name "closed form", "all groups", "quadrature", "fourier" (dae
    to nine digits, in seconds), "running sums", "leverage", "permutations". titles:
    names by item code. permutations: orders drawn by the sampling methods, even and at
    least 4 (running sums draw 4 times as many; leverage asks for as many scores as
    permutations would). Raises ValueError for an empty history, an unknown item or one
    inside the history, and for a method that cannot explain this model.
    """
    if isinstance(model, Game):
        model, game = None, model
    elif history is None or item is None:
        raise ValueError(
            "explain needs a model with a history and an item, or a Game alone"
        )
    else:
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
    """`explain` for a game that is at hand already (model None: for any game);
    arguments and errors as there.
    """
    if method != "auto" and method not in METHODS:
        raise ValueError(
            f"method={method!r} is unknown; choose auto, {', '.join(METHODS)}"
        )
    case, start = (model, game, history, item, permutations, seed), perf_counter()
    for name, way in (
        METHODS.items() if method == "auto" else [(method, METHODS[method])]
    ):
        if found := way(*case):
            return named(found, game, name, perf_counter() - start)
    raise ValueError(f"{method} cannot explain {_what(model, game)}: use method='auto'")


def _what(model: HistoryModel | None, game: Game) -> str:
    return f"{model.name if model else game.target} with {game.n_players} players"


def named(
    found: Explanation | Found, game: Game, name: str, seconds: float
) -> Explanation:
    """An Explanation out of what a method found: values and errors, or one already."""
    if isinstance(found, Explanation):
        return found
    values, error = found
    method = SPOKEN[name]
    return Explanation(
        game.players,
        game.target,
        values,
        game.empty(),
        game.full(),
        method,
        seconds,
        error,
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
    (start_weight, *weights), (start_answer, *answers) = model.parts(history, item)
    return closed_forms.softmax_pool(
        np.array(weights), np.array(answers), start=(start_weight, start_answer)
    )


def quadrature(
    model: Autoencoder,
    history: History,
    items: np.ndarray | None = None,
    nodes: int = 0,
) -> np.ndarray:
    """Shapley values of a history for many items at once: (films, n_items or
    len(items)) float32, for dae and vae.
    """
    net = one_hidden(model)
    hidden = hidden_shapley(net.rows[history], net.bias, net.by_length, nodes or None)
    return hidden @ (net.readout if items is None else net.readout[:, items])


def _closed_form(model, game, history, item, permutations, seed) -> Found | None:
    return closed_form(model, history, item)


def _all_groups(model, game, history, item, permutations, seed) -> Explanation | None:
    return brute_force(game) if game.n_players <= FEW else None


def _quadrature(model, game, history, item, permutations, seed) -> Found | None:
    if not isinstance(model, Autoencoder):
        return None
    values, errors = with_errors(
        one_hidden(model),
        history,
        np.array([item]),
        np.array([game.full() - game.empty()]),
    )
    return values[0], errors[0]


def _fourier(model, game, history, item, permutations, seed) -> Found | None:
    if not isinstance(model, Autoencoder) or (net := one_hidden(model)).by_length:
        return None
    return fourier_shapley(net.rows[history], net.bias) @ net.readout[:, item].astype(
        float
    ), None


def _running_sums(model, game, history, item, permutations, seed) -> Found | None:
    sums = sums_of(model, history, item)
    return sums and marginal_means(sums, CHEAP * permutations, seed)


def _permutations(model, game, history, item, permutations, seed) -> Explanation:
    return permutation_sampling(game, permutations, seed)


def _leverage(model, game, history, item, permutations, seed) -> Explanation | None:
    return (
        leverage_regression(game, permutations * game.n_players, seed)
        if game.n_players <= FIT
        else None
    )


METHODS: dict[str, Callable[..., Explanation | Found | None]] = {
    "closed form": _closed_form,
    "all groups": _all_groups,
    "quadrature": _quadrature,
    "fourier": _fourier,
    "running sums": _running_sums,
    "leverage": _leverage,
    "permutations": _permutations,
}

"""`explain_many`: the reasons for several films that one history was recommended.

For little more than those for one. Closed forms look up one column per film. For an
autoencoder the values of the hidden units do not depend on the film: they are computed
once, and one matrix product hands them on. Sampling methods draw the same groups for
every film (their seed is the same), so a group is shown to the model once and all the
films are scored together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from xrec_utils.contract import History, HistoryModel
from xrec_utils.explain.choose import FEW, named, solve
from xrec_utils.explain.hidden_units import (
    OneHidden,
    fourier_shapley,
    one_hidden,
    with_errors,
)
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game, Masks, history_game
from xrec_utils.models.autoencoders import Autoencoder


def explain_many(
    model: HistoryModel,
    history: History,
    items: Sequence[int] | np.ndarray,
    titles: Sequence[str] | None = None,
    method: str = "auto",
    permutations: int = 256,
    seed: int = 0,
) -> list[Explanation]:
    """One Explanation per film recommended, as `explain` gives it.

    Same values, method and error, for little more work than one of them.

    Args:
        model: any that scores a history.
        history: (n,) item codes, oldest first.
        items: (k,) codes of the films explained, all outside the history.
        titles: names by item code; None for 'item 17'.
        method: "auto" or a name, as in `explain`.
        permutations: orders drawn by the sampling methods, as in `explain`.
        seed: of the sampling methods.

    Returns:
        k Explanations in the order of `items`, each with values (n,) in the unit of the
        score. The seconds of each are an equal share of the whole.

    Raises:
        ValueError: as `explain`.

    Example:
        A linear model: each film adds its weight.

        >>> from xrec_utils.models.classic import ItemToItem
        >>> model = ItemToItem()
        >>> model.name, model.n_items = "by hand", 4
        >>> model.weights = np.array([[0, 0, 0.5, 1], [0, 0, 2, 0], [0] * 4, [0] * 4])
        >>> both = explain_many(model, np.array([0, 1]), [2, 3])
        >>> [explanation.values.tolist() for explanation in both]
        [[0.5, 2.0], [1.0, 0.0]]
    """
    start = perf_counter()
    items = np.asarray(items)
    games = shared_games(model, history, items, titles)
    is_autoencoder = isinstance(model, Autoencoder)
    # what auto would pick for each film, but once for all of them
    if method == "auto" and is_autoencoder and len(history) > FEW:
        method = "quadrature"
    if is_autoencoder and method in HIDDEN:
        explanations = HIDDEN[method](one_hidden(model), history, items, games)
    else:
        explanations = [
            solve(model, game, history, item, method, permutations, seed)
            for game, item in zip(games, items.tolist(), strict=True)
        ]
    seconds = (perf_counter() - start) / len(items)
    return [replace(each, seconds=seconds) for each in explanations]


@dataclass
class _Scores:
    """The scores of all the items for every batch of groups.

    Stored because each item's game asks for the same batches again.
    """

    model: HistoryModel
    history: History
    items: np.ndarray
    stored: dict[bytes, np.ndarray] = field(default_factory=dict)

    def column(self, masks: Masks, place: int) -> np.ndarray:
        """Scores (n,) of items[place] for the groups (n, players)."""
        key = np.packbits(masks, axis=1).tobytes()
        if key not in self.stored:
            histories = [self.history[mask] for mask in masks]
            self.stored[key] = self.model.score(histories, items=self.items)
        return self.stored[key][:, place]


def shared_games(
    model: HistoryModel,
    history: History,
    items: np.ndarray,
    titles: Sequence[str] | None,
) -> list[Game]:
    """The `history_game` of every item, (k,) games.

    A group that one of them scores is scored for all.
    """
    scores = _Scores(model, np.asarray(history), items)

    def value(place: int) -> Callable[[Masks], np.ndarray]:
        """The value function of items[place]."""
        return lambda masks: scores.column(masks, place)

    games = [history_game(model, history, item, titles) for item in items.tolist()]
    return [replace(game, value=value(place)) for place, game in enumerate(games)]


def _quadrature(
    net: OneHidden, history: History, items: np.ndarray, games: list[Game]
) -> list[Explanation]:
    """One Explanation per item, by the quadrature."""
    moved = np.array([game.full() - game.empty() for game in games])
    values, errors = with_errors(net, history, items, moved)
    return [
        named((row, error), game, "quadrature", 0.0)
        for row, error, game in zip(values, errors, games, strict=True)
    ]


def _fourier(
    net: OneHidden, history: History, items: np.ndarray, games: list[Game]
) -> list[Explanation]:
    """One Explanation per item, by the Fourier series."""
    if net.by_length:
        raise ValueError(
            "fourier cannot explain a network whose input has length one: "
            "use method='auto'"
        )
    hidden = fourier_shapley(net.rows[history], net.bias)
    values = hidden @ net.readout[:, items].astype(float)  # (films, items)
    return [
        named((row, None), game, "fourier", 0.0)
        for row, game in zip(values.T, games, strict=True)
    ]


# what an autoencoder's hidden units are explained by, once for all items
HIDDEN = {"quadrature": _quadrature, "fourier": _fourier}

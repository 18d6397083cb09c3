"""`explain_many`: the reasons for several films that one history was recommended, for
little more than those for one.

Closed forms look up one column per film. For an autoencoder the values of the hidden
units do not depend on the film: they are found once, and one matrix product hands them
on. Sampling methods draw the same groups for every film (their seed is the same), so a
group is shown to the model once and all the films are scored together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from xrec_utils.autoencoders import Autoencoder
from xrec_utils.contract import History, HistoryModel
from xrec_utils.explain.auto import FEW, named, solve
from xrec_utils.explain.quadrature import (
    OneHidden,
    fourier_shapley,
    one_hidden,
    with_errors,
)
from xrec_utils.games import Explanation, Game, Masks, history_game


def explain_many(
    model: HistoryModel,
    history: History,
    items: Sequence[int] | np.ndarray,
    titles: Sequence[str] | None = None,
    method: str = "auto",
    permutations: int = 256,
    seed: int = 0,
) -> list[Explanation]:
    """One Explanation per entry of `items` (k,), in their order, as `explain` gives it:
    values, method and error.

    The seconds of each are an equal share of the whole. Arguments and errors as in
    `auto.explain`.
    """
    start, items = perf_counter(), np.asarray(items)
    games = shared_games(model, history, items, titles)
    if method == "auto" and isinstance(model, Autoencoder) and len(history) > FEW:
        method = "quadrature"
    if method in HIDDEN and isinstance(model, Autoencoder):
        found = HIDDEN[method](one_hidden(model), history, items, games)
    else:
        cases = zip(games, items.tolist(), strict=True)
        found = [
            solve(model, game, history, item, method, permutations, seed)
            for game, item in cases
        ]
    seconds = (perf_counter() - start) / len(items)
    return [replace(each, seconds=seconds) for each in found]


@dataclass
class _Scores:
    """The scores of all the items for every batch of groups asked about, kept because
    each item's game asks again.
    """

    model: HistoryModel
    history: History
    items: np.ndarray
    kept: dict[bytes, np.ndarray] = field(default_factory=dict)

    def column(self, masks: Masks, place: int) -> np.ndarray:
        """Scores (n,) of items[place] for the groups (n, players)."""
        key = np.packbits(masks, axis=1).tobytes()
        if key not in self.kept:
            self.kept[key] = self.model.score(
                [self.history[mask] for mask in masks], items=self.items
            )
        return self.kept[key][:, place]


def shared_games(
    model: HistoryModel,
    history: History,
    items: np.ndarray,
    titles: Sequence[str] | None,
) -> list[Game]:
    """The `history_game` of every item; a group that one of them scores is scored for
    all.
    """
    scores = _Scores(model, np.asarray(history), items)

    def value(place: int) -> Callable[[Masks], np.ndarray]:
        return lambda masks: scores.column(masks, place)

    games = [history_game(model, history, item, titles) for item in items.tolist()]
    return [replace(game, value=value(place)) for place, game in enumerate(games)]


def _quadrature(
    net: OneHidden, history: History, items: np.ndarray, games: list[Game]
) -> list[Explanation]:
    moved = np.array([game.full() - game.empty() for game in games])
    rows = zip(*with_errors(net, history, items, moved), strict=True)
    return [
        named(row, game, "quadrature", 0.0)
        for row, game in zip(rows, games, strict=True)
    ]


def _fourier(
    net: OneHidden, history: History, items: np.ndarray, games: list[Game]
) -> list[Explanation]:
    if net.by_length:
        raise ValueError(
            "fourier cannot explain a network whose input has length one: use method='auto'"
        )
    values = (
        fourier_shapley(net.rows[history], net.bias)
        @ net.readout[:, items].astype(float)
    ).T
    return [
        named((row, None), game, "fourier", 0.0)
        for row, game in zip(values, games, strict=True)
    ]


HIDDEN = {"quadrature": _quadrature, "fourier": _fourier}

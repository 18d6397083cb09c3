"""Explanations that any better method must beat."""

from collections.abc import Sequence
from time import perf_counter

import numpy as np
from sklearn.preprocessing import normalize

from xrec_utils.contract import History, multi_hot
from xrec_utils.games import Explanation, Game


def leave_one_out(game: Game) -> Explanation:
    """How far the score falls when one player alone is removed: v(all) - v(all but i).

    Two players who stand in for each other both get nothing, so the values need not add
    up: see `Explanation.gap`.
    """
    start = perf_counter()
    scores = game(
        np.vstack(
            [
                np.ones((1, game.n_players), dtype=bool),
                ~np.eye(game.n_players, dtype=bool),
            ]
        )
    )
    values, base = scores[0] - scores[1:], game.empty()
    return Explanation(
        game.players,
        game.target,
        values,
        base,
        scores[0],
        "leave-one-out",
        perf_counter() - start,
    )


def random_order(game: Game, seed: int = 0) -> Explanation:
    """A random ranking of the players: the values 1..n in seeded random order say
    nothing but an order.

    Over many users give each another seed, or all histories of one length share one
    order.
    """
    values = np.random.default_rng(seed).permutation(game.n_players) + 1.0
    return Explanation(
        game.players, game.target, values, game.empty(), game.full(), "random order"
    )


def most_recent(game: Game) -> Explanation:
    """Later players first: the values 1..n say nothing but an order. For games over a
    history, oldest film first.
    """
    values = np.arange(game.n_players) + 1.0
    return Explanation(
        game.players,
        game.target,
        values,
        game.empty(),
        game.full(),
        "most recent first",
    )


def most_popular(game: Game, history: History, counts: np.ndarray) -> Explanation:
    """Popular films first: the values log(1 + users who have the film) know neither the
    user nor the recommendation.

    history: (players,) item codes of the game's films. counts: (n_items,) users per
    item. Raises ValueError unless the history has a code for each player.
    """
    _check_codes(game, history)
    values = np.log1p(counts[history])
    return Explanation(
        game.players,
        game.target,
        values,
        game.empty(),
        game.full(),
        "most popular first",
    )


def most_similar(
    game: Game, history: History, item: int, columns: np.ndarray
) -> Explanation:
    """Films like the recommended one first: cosines of their columns in the user-item
    matrix, in [0, 1].

    The same for every model. history: (players,) item codes of the game's films. item:
    the recommended code. columns: (users, n_items) from `unit_columns`. Raises
    ValueError unless the history has a code for each player.
    """
    _check_codes(game, history)
    values = columns[:, item] @ columns[:, history]
    return Explanation(
        game.players,
        game.target,
        values,
        game.empty(),
        game.full(),
        "most similar first",
    )


def unit_columns(histories: Sequence[History], n_items: int) -> np.ndarray:
    """The user-item matrix of ones and zeros with columns of length one (unseen items:
    zeros), (users, n_items).
    """
    return normalize(multi_hot(histories, n_items), axis=0)


def _check_codes(game: Game, history: History) -> None:
    if len(history) != game.n_players:
        raise ValueError(
            f"history has {len(history)} item codes for {game.n_players} players of the game"
        )

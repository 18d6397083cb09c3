"""Is an explanation true to its model? Remove, or add, the players in its order and watch the score.

Deletion and insertion curves: Petsiuk, Das & Saenko 2018 (RISE, BMVC). A faithful order makes the score fall fast
when players are deleted, and rise fast when they are inserted. The lower the area under a deletion curve the better;
the higher under an insertion curve.
"""

import numpy as np

from xrec_utils.games import Explanation, Game


def order(explanation: Explanation) -> np.ndarray:
    """All players, highest value first: (players,) positions."""
    return explanation.top()


def deletion_curve(game: Game, order: np.ndarray) -> np.ndarray:
    """Score after removing 0, 1, ..., all players in this order: (players + 1,), from v(all) to v(none).

    Raises ValueError unless `order` names every player once.
    """
    return game(~added(game, order))


def insertion_curve(game: Game, order: np.ndarray) -> np.ndarray:
    """Score after adding 0, 1, ..., all players in this order: (players + 1,), from v(none) to v(all).

    Raises ValueError unless `order` names every player once.
    """
    return game(added(game, order))


def added(game: Game, order: np.ndarray) -> np.ndarray:
    """Masks (players + 1, players): row k holds the first k players of the order."""
    order = np.asarray(order)
    if order.shape != (game.n_players,) or not np.array_equal(np.sort(order), np.arange(game.n_players)):
        raise ValueError(f"order must name each of the players 0..{game.n_players - 1} once, got {order.tolist()}")
    arrival = np.argsort(order)
    return arrival < np.arange(game.n_players + 1)[:, None]


def area(curve: np.ndarray) -> float:
    """Area under a curve whose steps together have length 1 (trapezoids): its mean height, in the unit of the score.

    Curves over the same game share both ends, so their areas compare; across games compare differences or signs.
    """
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))


def advantage_over_random(game: Game, order: np.ndarray, draws: int = 20, seed: int = 0) -> float:
    """Mean area under `draws` random deletion curves minus that under this order's, in the unit of the score.

    Positive: deleting in this order makes the score fall faster than chance. Always 0 with a single player.
    Over many users give each another seed: with one seed all histories of a length meet the same few orders.
    """
    rng = np.random.default_rng(seed)
    chance = [area(deletion_curve(game, rng.permutation(game.n_players))) for _ in range(draws)]
    return float(np.mean(chance)) - area(deletion_curve(game, order))


def falls_faster(game: Game, explanation: Explanation, draws: int = 20, seed: int = 0) -> bool:
    """Does deletion in the order of the explanation beat the mean of `draws` random orders?"""
    return advantage_over_random(game, order(explanation), draws, seed) > 0

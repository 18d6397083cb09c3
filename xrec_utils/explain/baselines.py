"""Explanations that any better method must beat."""

from time import perf_counter

import numpy as np

from xrec_utils.games import Explanation, Game


def leave_one_out(game: Game) -> Explanation:
    """How far the score falls when one player alone is removed: v(all) - v(all but i).

    Two players who stand in for each other both get nothing, so the values need not add up: see `Explanation.gap`.
    """
    start = perf_counter()
    scores = game(np.vstack([np.ones((1, game.n_players), dtype=bool), ~np.eye(game.n_players, dtype=bool)]))
    values, base = scores[0] - scores[1:], game.empty()
    return Explanation(game.players, game.target, values, base, scores[0], "leave-one-out", perf_counter() - start)


def random_order(game: Game, seed: int = 0) -> Explanation:
    """A random ranking of the players: the values 1..n in seeded random order say nothing but an order.

    Over many users give each another seed, or all histories of one length share one order.
    """
    values = np.random.default_rng(seed).permutation(game.n_players) + 1.0
    return Explanation(game.players, game.target, values, game.empty(), game.full(), "random order")


def most_recent(game: Game) -> Explanation:
    """Later players first: the values 1..n say nothing but an order. For games over a history, oldest film first."""
    values = np.arange(game.n_players) + 1.0
    return Explanation(game.players, game.target, values, game.empty(), game.full(), "most recent first")

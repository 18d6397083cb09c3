"""Explanations that any better method must beat."""

from time import perf_counter

import numpy as np

from xrec_utils.contract import History, item_codes
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game


def leave_one_out(game: Game) -> Explanation:
    """How far the score falls when one player alone is removed: v(all) - v(all but i).

    Two players who stand in for each other both get nothing, so the values need not add
    up to score - base: see `Explanation.gap`.

    Args:
        game: any game of n players; n + 3 groups are scored.

    Returns:
        Explanation with values (n,) in the unit of the score, without an error.

    Example:
        One of two equal lamps is enough for light; the door counts by itself.

        >>> def light(masks):
        ...     return 4.0 * masks[:, :2].any(axis=1) + masks[:, 2]
        >>> game = Game(("lamp", "other lamp", "door"), "light", light)
        >>> explanation = leave_one_out(game)
        >>> explanation.values.tolist(), explanation.gap
        ([0.0, 0.0, 1.0], 4.0)
    """
    start = perf_counter()
    everybody = np.ones(game.n_players, dtype=bool)
    # n groups lack one player each: the diagonal is absent
    scores = game(np.vstack([everybody, ~np.diag(everybody)]))
    values = scores[0] - scores[1:]
    return game.explanation(values, "leave-one-out", perf_counter() - start)


def random_order(game: Game, seed: int = 0) -> Explanation:
    """A random ranking of the players: values that say nothing but an order.

    The values are 1..n in seeded random order. Over many users give each another seed,
    or all histories of one length share one order.

    Args:
        game: any game; only nobody and everybody are scored.
        seed: of the order.

    Returns:
        Explanation with values (n,), each of 1..n once, in no unit.

    Example:
        >>> game = Game(("a", "b", "c"), "sum", lambda masks: masks.sum(axis=1))
        >>> sorted(random_order(game, seed=1).values.tolist())
        [1.0, 2.0, 3.0]
    """
    order = np.random.default_rng(seed).permutation(game.n_players)
    return game.explanation(order + 1.0, "random order")


def most_recent(game: Game) -> Explanation:
    """Later players first: the values 1..n say nothing but an order.

    Args:
        game: a game over a history, oldest film first.

    Returns:
        Explanation with values (n,) = 1..n, in no unit.

    Example:
        >>> game = Game(("old", "new"), "sum", lambda masks: masks.sum(axis=1))
        >>> most_recent(game).values.tolist()
        [1.0, 2.0]
    """
    return game.explanation(
        np.arange(game.n_players) + 1.0,
        "most recent first",
    )


def most_popular(game: Game, history: History, counts: np.ndarray) -> Explanation:
    """Popular films first: they know neither the user nor the recommendation.

    The values are log(1 + users who have the film).

    Args:
        game: a game over a history.
        history: (n,) item codes of the game's films.
        counts: (n_items,) users per item; a pandas column is asked by its index.

    Returns:
        Explanation with values (n,), in no unit of the score.

    Raises:
        ValueError: the history does not have one code for each player, or something
            else than codes.
        IndexError, KeyError: `counts` does not know a code.

    Example:
        >>> game = Game(("rare", "hit"), "sum", lambda masks: masks.sum(axis=1))
        >>> users = np.array([99, 0, 7])
        >>> most_popular(game, np.array([1, 0]), users).values.round(2).tolist()
        [0.0, 4.61]
    """
    check_codes(game, history)
    # the logarithm orders as the counts do, and a figure shows the rare ones too
    return game.explanation(
        np.log1p(counts[history]),
        "most popular first",
    )


def check_codes(game: Game, history: History) -> None:
    """Raise ValueError unless there is one item code per player."""
    item_codes("history", history)
    if len(history) != game.n_players:
        raise ValueError(
            f"history has {len(history)} item codes for {game.n_players} players "
            "of the game"
        )

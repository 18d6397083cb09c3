"""Remove the films an explanation names: how fast does the score fall?"""

from collections.abc import Callable

import numpy as np

from xrec_utils.contract import check_count
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game, Masks

Beginning = tuple[float, np.ndarray]  # sum of the scores so far, players in their order


def order(explanation: Explanation) -> np.ndarray:
    """All players of an explanation, highest value first.

    Args:
        explanation: its values (players,) decide; equal ones keep their order.

    Returns:
        Positions (players,) int, what the curves and measures here take as `order`.

    Example:
        >>> said = Explanation(("a", "b", "c"), "score", [1.0, 3.0, -2.0], 0, 2, "hand")
        >>> order(said).tolist()
        [1, 0, 2]
    """
    return explanation.top()


# ------------------------------------------------------- the score along an order


def deletion_curve(game: Game, order: np.ndarray) -> np.ndarray:
    """Score after removing 0, 1, ..., all players in this order.

    Args:
        game: the game explained, n players.
        order: (n,) positions of the players, the first to be removed first.

    Returns:
        (n + 1,) scores from v(all) to v(none), in the unit of the game.

    Raises:
        ValueError: `order` does not name every player once.

    Source: Petsiuk, Das & Saenko 2018, arXiv:1806.07421.

    Example:
        >>> worth = np.array([3.0, 1.0, 2.0])
        >>> game = Game(("a", "b", "c"), "sum", lambda masks: masks @ worth)
        >>> deletion_curve(game, [0, 2, 1]).tolist()
        [6.0, 3.0, 1.0, 0.0]
    """
    return game(~added(game, order))


def insertion_curve(game: Game, order: np.ndarray) -> np.ndarray:
    """Score after adding 0, 1, ..., all players in this order.

    (players + 1,), from v(none) to v(all). Raises ValueError unless `order` names every
    player once.
    """
    return game(added(game, order))


def added(game: Game, order: np.ndarray) -> np.ndarray:
    """Masks (players + 1, players): row k holds the first k players of the order."""
    return first_players(order, game.n_players, np.arange(game.n_players + 1))


def first_players(order: np.ndarray, players: int, counts: np.ndarray) -> Masks:
    """Masks (counts, players): each row holds that many first players of the order.

    Raises ValueError unless `order` names each of the players once.
    """
    order = np.asarray(order)
    if order.shape != (players,) or not np.array_equal(
        np.sort(order), np.arange(players)
    ):
        raise ValueError(
            f"order must name each of the players 0..{players - 1} once, "
            f"got {order.tolist()}"
        )
    return np.argsort(order) < np.asarray(counts)[:, None]


def area(curve: np.ndarray) -> float:
    """Area under a curve whose steps together have length 1: its mean height.

    By trapezoids. Curves over the same game share both ends, so their areas compare;
    across games compare differences or signs.

    Args:
        curve: (steps + 1,) scores, two or more, such as those of `deletion_curve`.

    Returns:
        The area, in the unit of the score.

    Raises:
        ZeroDivisionError: a single score, which has no step.

    Example:
        >>> area(np.array([5.0, 3.0, 1.0]))
        3.0
    """
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))


def advantage_over_random(
    game: Game, order: np.ndarray, draws: int = 20, seed: int = 0
) -> float:
    """How much lower the deletion curve lies than those of random orders.

    The mean area under `draws` random deletion curves minus the area under this
    order's. Always 0 with a single player. Over many users give each another seed: with
    one seed all histories of a length meet the same few orders.

    Args:
        game: the game explained, n players.
        order: (n,) positions of the players, the first to be removed first.
        draws: random orders.
        seed: of these orders.

    Returns:
        The difference, in the unit of the score. Positive: deleting in this order makes
        the score fall faster than chance.

    Raises:
        ValueError: `order` does not name every player once, or `draws` is no whole
            number above 0.

    Source: the curves are those of Petsiuk, Das & Saenko 2018, arXiv:1806.07421.

    Example:
        >>> worth = np.array([3.0, 1.0, 2.0])
        >>> game = Game(("a", "b", "c"), "sum", lambda masks: masks @ worth)
        >>> advantage_over_random(game, [0, 2, 1]) > 0
        True
        >>> advantage_over_random(game, [1, 2, 0]) > 0
        False
    """
    return chance_area(game, deletion_curve, draws, seed) - area(
        deletion_curve(game, order),
    )


def chance_area(
    game: Game,
    curve: Callable[[Game, np.ndarray], np.ndarray],
    draws: int = 20,
    seed: int = 0,
) -> float:
    """Mean area under the curves of random orders: what knowing nothing reaches.

    Args:
        game: the game explained.
        curve: `deletion_curve` or `insertion_curve`.
        draws: random orders.
        seed: of these orders.

    Returns:
        The mean area, in the unit of the score.

    Raises:
        ValueError: `draws` is no whole number above 0.

    Example:
        Players that count alike leave the order without meaning:

        >>> game = Game(("a", "b"), "count", lambda masks: masks.sum(axis=1))
        >>> chance_area(game, deletion_curve)
        1.0
    """
    check_count("draws", draws)
    rng = np.random.default_rng(seed)
    areas = [area(curve(game, rng.permutation(game.n_players))) for _ in range(draws)]
    return float(np.mean(areas))


def share_of_possible(reached: float, chance: float, best: float) -> float:
    """Where an area lies between that of random orders (0) and the oracle's (1).

    (reached - chance) / (best - chance), for deletion and insertion alike.

    Args:
        reached: area under the order's curve, in the unit of the score.
        chance: `chance_area` of the same game.
        best: area under the curve of `oracle_order`.

    Returns:
        The share, without unit; higher is better. Below 0: worse than chance; above 1:
        better than the order that the search found. NaN when the oracle gains nothing over chance: a
        single player, or a score that does not move.

    Example:
        >>> share_of_possible(reached=2.0, chance=3.0, best=1.0)
        0.5
        >>> share_of_possible(reached=2.0, chance=2.0, best=2.0)
        nan
    """
    nothing = np.isclose(chance, best, rtol=1e-6, atol=1e-12)
    return float("nan") if nothing else (reached - chance) / (best - chance)


def oracle_order(game: Game, deleting: bool = True, width: int = 3) -> np.ndarray:
    """The order that a search on the curve itself finds: what could be reached at best.

    From every beginning the next player is the one whose deletion leaves the lowest
    score. The `width` beginnings with the best sum of scores so far go on: 1 is greedy,
    more is a beam search (Lowerre 1976). Costs players² / 2 scores per beginning. Only
    a beam of every beginning is sure to find the best order.

    Args:
        game: the game explained, n players.
        deleting: False searches for the order whose insertion gives the highest scores.
        width: beginnings that go on at each step.

    Returns:
        (n,) positions of the players.

    Raises:
        ValueError: `width` is no whole number above 0.

    Example:
        >>> worth = np.array([3.0, 1.0, 2.0])
        >>> game = Game(("a", "b", "c"), "sum", lambda masks: masks @ worth)
        >>> oracle_order(game).tolist()
        [0, 2, 1]
    """
    check_count("width", width)
    # nobody is chosen yet
    beginnings = [(0.0, np.empty(0, dtype=int))]
    for _ in game.players:
        beginnings = _best_paths(_longer(game, beginnings, deleting), width)
    _, best = beginnings[0]
    return best


def _longer(game: Game, beginnings: list[Beginning], deleting: bool) -> list[Beginning]:
    """Every beginning with each of the players that it lacks."""
    everyone = np.arange(game.n_players)
    totals, paths = [], []
    for total, players in beginnings:
        left = np.setdiff1d(everyone, players)
        totals += [total] * len(left)
        paths += [np.append(players, player) for player in left]
    groups = np.array([np.isin(everyone, path) for path in paths])
    # one call for all beginnings: a model is slow to start
    costs = game(~groups) if deleting else -game(groups)
    return list(zip(totals + costs, paths, strict=True))


def _best_paths(paths: list[Beginning], width: int) -> list[Beginning]:
    """The `width` paths with the lowest sums, one for each set of players."""
    different = {}
    for total, players in sorted(paths, key=lambda path: path[0]):
        # the same players in another order go on alike: the cheapest stands for all
        same_players = np.sort(players).tobytes()
        different.setdefault(same_players, (total, players))
    return list(different.values())[:width]

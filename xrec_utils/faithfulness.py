"""Is an explanation true to its model?

Remove, or add, the players in its order and watch the score or the rank.

Deletion and insertion curves: Petsiuk, Das & Saenko 2018 (RISE, BMVC). A faithful order
makes the score fall fast when players are deleted, and rise fast when they are
inserted. The lower the area under a deletion curve the better; the higher under an
insertion curve.

POS@k and NEG@k watch the rank instead (Barkan et al. 2024,
doi:10.1145/3589334.3645560); infidelity, completeness and sparsity look at the values
and not at their order alone. Every measure here judges one explanation on its own game;
`agreement` compares explanations with each other.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from xrec_utils.contract import HistoryModel
from xrec_utils.games import Explanation, Game, Masks, rank_game
from xrec_utils.metrics import ndcg, places, top_k
from xrec_utils.splits import Split

Ranks = Callable[[Masks], np.ndarray]  # (n, players) bool -> (n,) ranks, 1 is best
Path = tuple[float, np.ndarray]  # sum of the scores so far, players in their order


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
        ValueError: `order` does not name every player once.

    Example:
        >>> worth = np.array([3.0, 1.0, 2.0])
        >>> game = Game(("a", "b", "c"), "sum", lambda masks: masks @ worth)
        >>> advantage_over_random(game, [0, 2, 1]) > 0
        True
        >>> advantage_over_random(game, [1, 2, 0]) > 0
        False
    """
    chance = chance_area(game, deletion_curve, draws, seed)
    reached = area(deletion_curve(game, order))
    return chance - reached


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

    Example:
        Players that count alike leave the order without meaning:

        >>> game = Game(("a", "b"), "count", lambda masks: masks.sum(axis=1))
        >>> chance_area(game, deletion_curve)
        1.0
    """
    rng = np.random.default_rng(seed)
    areas = []
    for _ in range(draws):
        shuffled = rng.permutation(game.n_players)
        areas.append(area(curve(game, shuffled)))
    return float(np.mean(areas))


def falls_faster(
    game: Game, explanation: Explanation, draws: int = 20, seed: int = 0
) -> bool:
    """Does deletion by the explanation beat the mean of `draws` random orders?"""
    return advantage_over_random(game, order(explanation), draws, seed) > 0


def share_of_possible(reached: float, chance: float, best: float) -> float:
    """Where an area lies between that of random orders (0) and the oracle's (1).

    (reached - chance) / (best - chance), for deletion and insertion alike.

    Args:
        reached: area under the order's curve, in the unit of the score.
        chance: `chance_area` of the same game.
        best: area under the curve of `oracle_order`.

    Returns:
        The share, without unit; higher is better. Below 0: worse than chance; above 1:
        better than a greedy oracle. NaN when the oracle gains nothing over chance: a
        single player, or a score that does not move.

    Example:
        >>> share_of_possible(reached=2.0, chance=3.0, best=1.0)
        0.5
        >>> share_of_possible(reached=2.0, chance=2.0, best=2.0)
        nan
    """
    nothing = np.isclose(chance, best, rtol=1e-6, atol=1e-12)
    return float("nan") if nothing else (reached - chance) / (best - chance)


def oracle_order(
    game: Game, deleting: bool = True, width: int = 1, bins: int | None = None
) -> np.ndarray:
    """The order that a search on the curve itself finds: what could be reached at best.

    From every beginning the next player is the one whose deletion leaves the lowest
    score. The `width` beginnings with the best sum of scores so far go on: 1 is greedy,
    more is a beam search (Lowerre 1976). Costs players² / 2 scores per beginning; with
    `bins`, players · bins / 2.

    Args:
        game: the game explained, n players.
        deleting: False searches for the order whose insertion gives the highest scores.
        width: beginnings that go on at each step.
        bins: choose several players at once by their single effects, in that many equal
            steps; None chooses one at a time.

    Returns:
        (n,) positions of the players.

    Example:
        >>> worth = np.array([3.0, 1.0, 2.0])
        >>> game = Game(("a", "b", "c"), "sum", lambda masks: masks @ worth)
        >>> oracle_order(game).tolist()
        [0, 2, 1]
    """
    n = game.n_players
    steps = np.array_split(np.arange(n), min(bins or n, n))
    beginnings: list[Path] = [(0.0, np.empty(0, dtype=int))]
    for step in steps:
        grown: list[Path] = []
        for start in beginnings:
            grown += _grow(game, start, len(step), deleting, width)
        beginnings = _best_paths(grown, width)
    _, best = beginnings[0]
    return best


def _best_paths(paths: list[Path], width: int) -> list[Path]:
    """The `width` paths with the lowest sums, one for each set of players."""
    different: dict[bytes, Path] = {}
    for total, players in sorted(paths, key=lambda path: path[0]):
        # the same players in another order go on alike: the cheapest stands for all
        same_players = np.sort(players).tobytes()
        different.setdefault(same_players, (total, players))
    return list(different.values())[:width]


def _grow(game: Game, start: Path, size: int, deleting: bool, width: int) -> list[Path]:
    """A beginning with `size` more players, the best by their single effects.

    The last of them is varied `width` times.
    """
    total, players = start
    left = np.setdiff1d(np.arange(game.n_players), players)
    one_more = [np.append(players, player) for player in left]
    by_effect = np.argsort(_costs(game, one_more, deleting), kind="stable")
    best = left[by_effect]
    sure = best[: size - 1]
    lasts = best[size - 1 :][:width]
    longer = [np.concatenate([players, sure, [last]]) for last in lasts]
    totals = total + _costs(game, longer, deleting)
    return list(zip(totals, longer, strict=True))


def _costs(game: Game, beginnings: list[np.ndarray], deleting: bool) -> np.ndarray:
    """The score left after deleting each group, or minus the score of each alone."""
    groups = np.zeros((len(beginnings), game.n_players), dtype=bool)
    for group, players in zip(groups, beginnings, strict=True):
        group[players] = True
    return game(~groups) if deleting else -game(groups)


# -------------------------------------------------------- the rank along an order


def ranks(
    model: HistoryModel, history: np.ndarray, item: int, masks: Masks
) -> np.ndarray:
    """Rank of the item when only the films of each mask are left in the history.

    `games.rank_game` in whole places: candidates are the catalogue minus the *full*
    history, whatever is removed, and a tied item takes the middle place of its group,
    rounded down. `partial(ranks, model, history, item)` gives the function of masks
    that the measures below take.

    Args:
        model: scores histories, see `contract.HistoryModel`.
        history: (films,) item codes, oldest first.
        item: the code ranked, outside the history.
        masks: (n, films) bool, True = present.

    Returns:
        (n,) int, 1 is best.

    Raises:
        ValueError: as `rank_game` does.

    Example:
        >>> from types import SimpleNamespace
        >>> def score(histories, items=None):
        ...     scores = np.zeros((len(histories), 4))
        ...     for row, films in enumerate(histories):
        ...         scores[row, 2] = len(films)  # film 2 rises with every film seen
        ...     scores[:, 3] = 1.5
        ...     return scores if items is None else scores[:, items]
        >>> model = SimpleNamespace(name="count", n_items=4, score=score)
        >>> masks = np.array([[True, True], [True, False]])
        >>> ranks(model, np.array([0, 1]), 2, masks).tolist()
        [1, 2]
    """
    logarithm = -rank_game(model, history, item)(masks)
    # the game says -log2(1 + rank); the small number undoes the rounding of exp2
    return np.floor(np.exp2(logarithm) - 1 + 1e-6).astype(int)


class Stays(NamedTuple):
    """Share of the steps at which the item is still in the top k, each in [0, 1].

    pos: the films that matter most go first (lower is better). neg: they go last
    (higher is better).
    """

    pos: float
    neg: float


def pos_neg(ranks: Ranks, order: np.ndarray, k: int = 10, bins: int = 10) -> Stays:
    """POS@k and NEG@k of one user: how long the item stays in the top k.

    Films are removed in `bins` equal steps. POS@k = mean over b = 0..bins of [rank
    after removing the first b/bins of the order <= k]; NEG@k the same for the reversed
    order. As in the authors' code the mean includes the whole and the empty history.
    Average over users. The order is that of the values, so films that speak against the
    item go last in POS.

    Args:
        ranks: masks (n, films) -> ranks (n,), see `ranks`.
        order: (films,) positions, the film that matters most first.
        k: length of the list.
        bins: steps.

    Returns:
        Both shares, in [0, 1]: pos is better low, neg is better high.

    Raises:
        ValueError: `order` does not name every film once.

    Source: Barkan et al. 2024, doi:10.1145/3589334.3645560.

    Example:
        Film 0 alone keeps the item in the list:

        >>> of_masks = lambda masks: np.where(masks[:, 0], 1, 99)
        >>> stays = pos_neg(of_masks, [0, 1], bins=2)
        >>> round(stays.pos, 2), round(stays.neg, 2)
        (0.33, 0.67)
    """
    films = len(order)
    steps = np.array_split(np.arange(films), bins)
    counts = np.cumsum([0, *map(len, steps)])
    first_out = ~first_players(np.asarray(order), films, counts)
    last_out = ~first_players(np.asarray(order)[::-1], films, counts)
    # (2 · (bins + 1), films) in one call: the model is slow to start
    stays = ranks(np.concatenate([first_out, last_out])) <= k
    pos, neg = stays.reshape(2, -1).mean(axis=1).tolist()
    return Stays(pos, neg)


def films_until_gone(ranks: Ranks, order: np.ndarray, k: int = 10) -> int | None:
    """How many films must go until the item has left the top k.

    Counterfactual validity is the share of users with an answer (higher is better),
    counterfactual size the mean of the answers in films (lower is better). It bounds
    the smallest such set from above: the order is followed, not searched.

    Args:
        ranks: masks (n, films) -> ranks (n,), see `ranks`.
        order: (films,) positions, the first to go first.
        k: length of the list.

    Returns:
        Films removed; 0 when the item was not in the top k to begin with, None when it
        never leaves.

    Raises:
        ValueError: `order` does not name every film once.

    Example:
        >>> of_masks = lambda masks: np.where(masks[:, 0], 1, 99)
        >>> films_until_gone(of_masks, [1, 0])
        2
        >>> films_until_gone(lambda masks: np.ones(len(masks)), [1, 0]) is None
        True
    """
    films = len(order)
    removed = first_players(order, films, np.arange(films + 1))
    gone = ranks(~removed) > k
    return int(gone.argmax()) if gone.any() else None


# ---------------------------------------------------------- the values themselves


class Infidelity(NamedTuple):
    """How badly values foretell joint removals; lower is better in each.

    raw, scaled: mean squared error in score². factor: of the values, >= 0. relative:
    scaled divided by what values of zero would get, in [0, 1]; 1 is no better than
    saying nothing.
    """

    raw: float
    scaled: float
    factor: float
    relative: float


def infidelity(
    game: Game, explanation: Explanation, samples: int = 200, seed: int = 0
) -> Infidelity:
    """How badly the values foretell what removing several players together does.

    E over groups R of (Σ_{i in R} φ_i - (v(all) - v(all but R)))², over groups whose
    size is uniform on 1..players. `scaled` first multiplies the values by the factor
    that fits best, as the paper does for methods whose values have another unit; it may
    not be negative, so that values of the wrong sign gain nothing. Larger groups cost
    more whoever is in them, so even equal values for all foretell much: put that
    explanation beside the others.

    Args:
        game: the game explained, n players.
        explanation: of its players, in their order.
        samples: groups drawn.
        seed: of the groups; with one seed, all explanations of a game meet the same.

    Returns:
        The errors in score² and, relative to saying nothing, in [0, 1].

    Source: Yeh et al. 2019, arXiv:1901.09392.

    Example:
        In a game that adds up, half of each worth is wrong by a factor of two only:

        >>> game = Game(("a", "b"), "sum", lambda masks: masks @ np.array([4.0, 2.0]))
        >>> half = Explanation(("a", "b"), "sum", [2.0, 1.0], 0, 6, "half")
        >>> found = infidelity(game, half)
        >>> found.raw > 1, found.factor, found.relative
        (True, 2.0, 0.0)
    """
    players = game.n_players
    rng = np.random.default_rng(seed)
    # argsort twice gives each player its place in a random order: (samples, players)
    places = rng.random((samples, players)).argsort(axis=1).argsort(axis=1)
    sizes = rng.integers(1, players, samples, endpoint=True)
    removed = places < sizes[:, None]
    foretold = removed @ explanation.values
    fell = game.full() - game(~removed)
    factor = _best_factor(foretold, fell)
    raw = _mean_square(foretold - fell)
    scaled = _mean_square(factor * foretold - fell)
    nothing = _mean_square(fell)
    relative = scaled / nothing if nothing else 0.0
    return Infidelity(raw, scaled, factor, relative)


def _best_factor(foretold: np.ndarray, fell: np.ndarray) -> float:
    """The factor, not below 0, that brings the values closest by least squares."""
    length = foretold @ foretold
    if not length:
        return 0.0
    return max(0.0, float(foretold @ fell / length))


def _mean_square(errors: np.ndarray) -> float:
    return float(np.mean(errors**2))


def completeness(explanation: Explanation, floor: float = 0.0) -> float:
    """What the values leave unexplained, as a share of what there is to explain.

    |v(all) - v(none) - Σ φ_i| / max(|v(all) - v(none)|, floor): the axiom of
    Sundararajan et al. 2017, efficiency for Shapley values. Says nothing about methods
    that promise an order only.

    Args:
        explanation: with its score, base and values.
        floor: guards users whose score hardly moves, for example 5% of the median
            |v(all) - v(none)|; in the unit of the score.

    Returns:
        The share, no unit; 0 is best, and values whose sum is zero give 1.

    Source: Sundararajan et al. 2017, arXiv:1703.01365.

    Example:
        >>> said = Explanation(("a", "b"), "score", [2.0, 1.0], 0, 4, "hand")
        >>> completeness(said)
        0.25
    """
    gap = abs(explanation.gap)
    moved = abs(explanation.score - explanation.base)
    return gap / max(moved, floor) if gap else 0.0


def sparsity(explanation: Explanation) -> float:
    """Gini index of |φ|: 0 when all players count alike, 1 - 1/players for one alone.

    1 - 2 Σ_k |φ|_(k) / ‖φ‖₁ · (n - k + ½) / n, smallest first (Chalasani et al. 2020,
    arXiv:1810.06583); 0 for all zeros. No unit. Higher is shorter to read, not truer:
    compare explanations of equal faithfulness.
    """
    sizes = np.sort(np.abs(explanation.values))
    if not sizes.any():
        return 0.0
    n = len(sizes)
    weights = n - np.arange(1, n + 1) + 0.5
    return float(1 - 2 * sizes @ weights / (n * sizes.sum()))


# ------------------------------------------------------------- remove and retrain

# (model, history, item) -> explanation
Explain = Callable[[HistoryModel, np.ndarray, int], Explanation]


def roar(
    explainers: Mapping[str, Explain],
    split: Split,
    fit: Callable[[list[np.ndarray], int], HistoryModel],
    share: float = 0.3,
    seed: int = 0,
) -> pd.DataFrame:
    """Remove the films an explainer names from all training data, and train again.

    Hooker et al. 2019 (arXiv:1806.10758), for recommenders: each training history loses
    that share of its films which count most for the user's own first recommendation;
    `fit(histories, n_items)` trains anew; NDCG@10 on the validation cases is then
    measured from the reduced histories, among candidates outside the full ones. Returns
    one row per user: NDCG@10 in [0, 1] with the columns full (nothing removed), random
    (as many films by lot), and one per explainer. The lower an explainer's column below
    `random`, the better it found what carries information; films that stand in for one
    another hide that. Raises ValueError on a split whose cases are new users.
    """
    if split.fold_in:
        raise ValueError(
            f"split={split.name!r} asks about new users: "
            "roar needs leave_last_out or random_per_user"
        )
    histories = split.train_histories()
    model = fit(histories, split.n_items)
    orders = _removal_orders(explainers, model, histories, seed)
    columns = {"full": _validation_ndcg(model, split, histories)}
    for name, of_user in orders.items():
        reduced = _without_first(histories, of_user, share)
        again = fit(reduced, split.n_items)
        columns[name] = _validation_ndcg(again, split, reduced)
    users = pd.Index(split.cases("validation").users, name="user")
    return pd.DataFrame(columns, index=users)


def _removal_orders(
    explainers: Mapping[str, Explain],
    model: HistoryModel,
    histories: list[np.ndarray],
    seed: int,
) -> dict[str, dict[int, np.ndarray]]:
    """By name, "random" first, then by user: the films, the first to go first."""
    rng = np.random.default_rng(seed)
    users = [user for user, history in enumerate(histories) if len(history)]
    # (users,): each user's own first recommendation is what gets explained
    items = top_k(model.score(histories), 1, histories)[:, 0]
    by_lot = {user: rng.permutation(len(histories[user])) for user in users}
    orders = {"random": by_lot}
    for name, explain in explainers.items():
        orders[name] = {}
        for user in users:
            said = explain(model, histories[user], int(items[user]))
            orders[name][user] = order(said)
    return orders


def _without_first(
    histories: list[np.ndarray], orders: dict[int, np.ndarray], share: float
) -> list[np.ndarray]:
    """The histories without that share of each, first of its order first."""
    reduced = list(histories)
    for user, films in orders.items():
        gone = films[: round(share * len(films))]
        reduced[user] = np.delete(histories[user], gone)
    return reduced


def _validation_ndcg(
    model: HistoryModel, split: Split, histories: list[np.ndarray]
) -> np.ndarray:
    """NDCG@10 (cases,) from these histories.

    Films of the full history are never candidates.
    """
    cases = split.cases("validation")
    scores = model.score([histories[user] for user in cases.users])
    return ndcg(places(scores, cases.targets, cases.histories), 10)

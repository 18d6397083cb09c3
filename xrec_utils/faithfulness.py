"""Is an explanation true to its model? Remove, or add, the players in its order and
watch the score or the rank.

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


def order(explanation: Explanation) -> np.ndarray:
    """All players, highest value first: (players,) positions."""
    return explanation.top()


# ---------------------------------------------------------------- the score along an
# order


def deletion_curve(game: Game, order: np.ndarray) -> np.ndarray:
    """Score after removing 0, 1, ..., all players in this order: (players + 1,), from
    v(all) to v(none).

    Raises ValueError unless `order` names every player once.
    """
    return game(~added(game, order))


def insertion_curve(game: Game, order: np.ndarray) -> np.ndarray:
    """Score after adding 0, 1, ..., all players in this order: (players + 1,), from
    v(none) to v(all).

    Raises ValueError unless `order` names every player once.
    """
    return game(added(game, order))


def added(game: Game, order: np.ndarray) -> np.ndarray:
    """Masks (players + 1, players): row k holds the first k players of the order."""
    return first_players(order, game.n_players, np.arange(game.n_players + 1))


def first_players(order: np.ndarray, players: int, counts: np.ndarray) -> Masks:
    """Masks (counts, players): each row holds that many first players of the order."""
    order = np.asarray(order)
    if order.shape != (players,) or not np.array_equal(
        np.sort(order), np.arange(players)
    ):
        raise ValueError(
            f"order must name each of the players 0..{players - 1} once, got {order.tolist()}"
        )
    return np.argsort(order) < np.asarray(counts)[:, None]


def area(curve: np.ndarray) -> float:
    """Area under a curve whose steps together have length 1 (trapezoids): its mean
    height, in the unit of the score.

    Curves over the same game share both ends, so their areas compare; across games
    compare differences or signs.
    """
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))


def advantage_over_random(
    game: Game, order: np.ndarray, draws: int = 20, seed: int = 0
) -> float:
    """Mean area under `draws` random deletion curves minus that under this order's, in
    the unit of the score.

    Positive: deleting in this order makes the score fall faster than chance. Always 0
    with a single player. Over many users give each another seed: with one seed all
    histories of a length meet the same few orders.
    """
    return chance_area(game, deletion_curve, draws, seed) - area(
        deletion_curve(game, order)
    )


def chance_area(
    game: Game,
    curve: Callable[[Game, np.ndarray], np.ndarray],
    draws: int = 20,
    seed: int = 0,
) -> float:
    """Mean area under the curves (`deletion_curve` or `insertion_curve`) of `draws`
    random orders.
    """
    rng = np.random.default_rng(seed)
    return float(
        np.mean(
            [area(curve(game, rng.permutation(game.n_players))) for _ in range(draws)]
        )
    )


def falls_faster(
    game: Game, explanation: Explanation, draws: int = 20, seed: int = 0
) -> bool:
    """Does deletion in the order of the explanation beat the mean of `draws` random
    orders?
    """
    return advantage_over_random(game, order(explanation), draws, seed) > 0


def share_of_possible(reached: float, chance: float, best: float) -> float:
    """Where an area lies between that of random orders (0) and that of the oracle's
    order (1).

    (reached - chance) / (best - chance), for deletion and insertion alike: `reached` =
    area of the order's curve, `chance` = `chance_area`, `best` = area of the curve of
    `oracle_order`. No unit; higher is better; below 0 worse than chance, above 1 better
    than a greedy oracle. NaN when the oracle gains nothing over chance: a single
    player, or a score that does not move.
    """
    nothing = np.isclose(chance, best, rtol=1e-6, atol=1e-12)
    return float("nan") if nothing else (reached - chance) / (best - chance)


def oracle_order(
    game: Game, deleting: bool = True, width: int = 1, bins: int | None = None
) -> np.ndarray:
    """The order (players,) that a search on the curve itself finds: what an explanation
    could reach at best.

    From every kept beginning the next player is the one whose deletion leaves the
    lowest score (deleting=False: whose insertion gives the highest). `width` beginnings
    with the best sum of scores so far are kept: 1 is greedy, more is a beam search
    (Lowerre 1976). Costs players² / 2 scores per kept beginning; with `bins` that many
    players at once are chosen by their single effects, in as many equal steps, which
    costs players · bins / 2.
    """
    n = game.n_players
    beginnings = [(0.0, np.empty(0, dtype=int))]
    for chosen in np.array_split(np.arange(n), min(bins or n, n)):
        grown = [
            path
            for start in beginnings
            for path in _grow(game, start, len(chosen), deleting, width)
        ]
        different: dict[bytes, tuple[float, np.ndarray]] = {}
        for total, found in sorted(grown, key=lambda path: path[0]):
            different.setdefault(np.sort(found).tobytes(), (total, found))
        beginnings = list(different.values())[:width]
    return beginnings[0][1]


def _grow(
    game: Game, start: tuple[float, np.ndarray], size: int, deleting: bool, width: int
) -> list[tuple[float, np.ndarray]]:
    """A beginning with `size` more players, the best by single effect, the last of them
    varied `width` times.
    """
    total, players = start
    left = np.setdiff1d(np.arange(game.n_players), players)
    alone = _costs(game, [np.append(players, player) for player in left], deleting)
    best = left[np.argsort(alone, kind="stable")]
    longer = [
        np.concatenate([players, best[: size - 1], [last]])
        for last in best[size - 1 :][:width]
    ]
    return list(zip(total + _costs(game, longer, deleting), longer, strict=True))


def _costs(game: Game, beginnings: list[np.ndarray], deleting: bool) -> np.ndarray:
    """The score left after deleting each group of players, or minus the score of each
    group alone.
    """
    groups = np.zeros((len(beginnings), game.n_players), dtype=bool)
    for group, players in zip(groups, beginnings, strict=True):
        group[players] = True
    return game(~groups) if deleting else -game(groups)


# ---------------------------------------------------------------- the rank along an
# order


def ranks(
    model: HistoryModel, history: np.ndarray, item: int, masks: Masks
) -> np.ndarray:
    """Rank (n,) of the item, 1 is best, when only the films of each mask (n, films) are
    left in the history.

    `games.rank_game` in whole places: candidates are the catalogue minus the *full*
    history, whatever is removed, and a tied item takes the middle place of its group,
    rounded down. `partial(ranks, model, history, item)` gives the function of masks
    that the measures below take. Raises ValueError as `rank_game` does.
    """
    logarithm = -rank_game(model, history, item)(masks)
    return np.floor(np.exp2(logarithm) - 1 + 1e-6).astype(int)


class Stays(NamedTuple):
    """Share of the steps at which the item is still in the top k, each in [0, 1].

    pos: the films that matter most go first (lower is better). neg: they go last
    (higher is better).
    """

    pos: float
    neg: float


def pos_neg(ranks: Ranks, order: np.ndarray, k: int = 10, bins: int = 10) -> Stays:
    """POS@k and NEG@k of one user: how long the item stays in the top k while films are
    removed in steps of 10%.

    POS@k = mean over b = 0..bins of [rank after removing the first b/bins of the order
    <= k]; NEG@k the same for the reversed order (Barkan et al. 2024,
    doi:10.1145/3589334.3645560; as in their code the mean includes the whole and the
    empty history). Average over users. The order is that of the values, so films that
    speak against the item go last in POS. Raises ValueError unless `order` names every
    film once.
    """
    n = len(order)
    counts = np.cumsum([0, *map(len, np.array_split(np.arange(n), bins))])
    kept = [
        ~first_players(way, n, counts)
        for way in (np.asarray(order), np.asarray(order)[::-1])
    ]
    return Stays(
        *(ranks(np.concatenate(kept)) <= k).reshape(2, -1).mean(axis=1).tolist()
    )


def films_until_gone(ranks: Ranks, order: np.ndarray, k: int = 10) -> int | None:
    """How many films must go, first of the order first, until the item has left the top
    k; None if it never does.

    Counterfactual validity is the share of users with an answer (higher is better),
    counterfactual size the mean of the answers in films (lower is better). It bounds
    the smallest such set from above: the order is followed, not searched. 0 means that
    the item was not in the top k to begin with.
    """
    n = len(order)
    gone = ranks(~first_players(order, n, np.arange(n + 1))) > k
    return int(gone.argmax()) if gone.any() else None


# ---------------------------------------------------------------- the values themselves


class Infidelity(NamedTuple):
    """Lower is better in each. raw, scaled: mean squared error in score². factor: of
    the values, >= 0.

    relative: scaled divided by what values of zero would get, in [0, 1]; 1 is no better
    than saying nothing.
    """

    raw: float
    scaled: float
    factor: float
    relative: float


def infidelity(
    game: Game, explanation: Explanation, samples: int = 200, seed: int = 0
) -> Infidelity:
    """How badly the values foretell what removing several players together does.

    E over groups R of (Σ_{i in R} φ_i - (v(all) - v(all but R)))² (Yeh et al. 2019,
    arXiv:1901.09392), over `samples` groups whose size is uniform on 1..players.
    `scaled` first multiplies the values by the factor that fits best, as the paper does
    for methods whose values have another unit; it may not be negative, so that values
    of the wrong sign gain nothing. With one seed, all explanations of a game meet the
    same groups. Larger groups cost more whoever is in them, so even equal values for
    all foretell much: put that explanation beside the others.
    """
    n, rng = game.n_players, np.random.default_rng(seed)
    places = rng.random((samples, n)).argsort(axis=1).argsort(axis=1)
    removed = places < rng.integers(1, n, samples, endpoint=True)[:, None]
    said, fell = removed @ explanation.values, game.full() - game(~removed)
    length = said @ said
    factor = max(0.0, float(said @ fell / length)) if length else 0.0
    raw, scaled, nothing = (
        float(np.mean((share * said - fell) ** 2)) for share in (1.0, factor, 0.0)
    )
    return Infidelity(raw, scaled, factor, scaled / nothing if nothing else 0.0)


def completeness(explanation: Explanation, floor: float = 0.0) -> float:
    """What the values leave unexplained, |v(all) - v(none) - Σ φ_i| / max(|v(all) -
    v(none)|, floor).

    The axiom of Sundararajan et al. 2017 (arXiv:1703.01365), efficiency for Shapley
    values. No unit; 0 is best, and the sum of all values being zero gives 1. floor:
    guards users whose score hardly moves, for example 5% of the median |v(all) -
    v(none)|. Says nothing about methods that promise an order only.
    """
    gap, scale = (
        abs(explanation.gap),
        max(abs(explanation.score - explanation.base), floor),
    )
    return gap / scale if gap else 0.0


def sparsity(explanation: Explanation) -> float:
    """Gini index of |φ|: 0 when all players count alike, 1 - 1/players when one counts
    alone; 0 for all zeros.

    1 - 2 Σ_k |φ|_(k) / ‖φ‖₁ · (n - k + ½) / n, smallest first (Chalasani et al. 2020,
    arXiv:1810.06583). No unit. Higher is shorter to read, not truer: compare
    explanations of equal faithfulness.
    """
    sizes = np.sort(np.abs(explanation.values))
    if not sizes.any():
        return 0.0
    n = len(sizes)
    return float(1 - 2 * sizes @ (n - np.arange(1, n + 1) + 0.5) / (n * sizes.sum()))


# ---------------------------------------------------------------- remove and retrain

Explain = Callable[
    [HistoryModel, np.ndarray, int], Explanation
]  # of (model, history, item)


def roar(
    explainers: Mapping[str, Explain],
    split: Split,
    fit: Callable[[list[np.ndarray], int], HistoryModel],
    share: float = 0.3,
    seed: int = 0,
) -> pd.DataFrame:
    """Remove the films that an explainer names from all training data, train again, and
    see what is lost.

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
            f"split={split.name!r} asks about new users: roar needs leave_last_out or random_per_user"
        )
    histories, rng = split.train_histories(), np.random.default_rng(seed)
    model = fit(histories, split.n_items)
    asked = [user for user, history in enumerate(histories) if len(history)]
    items = top_k(model.score(histories), 1, histories)[:, 0]
    orders = {"random": {user: rng.permutation(len(histories[user])) for user in asked}}
    for name, explain in explainers.items():
        orders[name] = {
            user: order(explain(model, histories[user], int(items[user])))
            for user in asked
        }
    columns = {"full": _validation_ndcg(model, split, histories)}
    for name, of_user in orders.items():
        reduced = list(histories)
        for user, found in of_user.items():
            reduced[user] = np.delete(
                histories[user], found[: round(share * len(found))]
            )
        columns[name] = _validation_ndcg(fit(reduced, split.n_items), split, reduced)
    return pd.DataFrame(
        columns, index=pd.Index(split.cases("validation").users, name="user")
    )


def _validation_ndcg(
    model: HistoryModel, split: Split, histories: list[np.ndarray]
) -> np.ndarray:
    """NDCG@10 (cases,) from these histories; films of the full history are never
    candidates.
    """
    cases = split.cases("validation")
    scores = model.score([histories[user] for user in cases.users])
    return ndcg(places(scores, cases.targets, cases.histories), 10)

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

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from xrec_utils.contract import HistoryModel, check_count
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game, Masks, rank_game
from xrec_utils.judge.deletion import first_players

Ranks = Callable[[Masks], np.ndarray]  # (n, players) bool -> (n,) ranks, 1 is best


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
    # the game says -log2(1 + rank)
    rank = np.exp2(-rank_game(model, history, item)(masks)) - 1
    # the small number undoes the rounding of exp2
    return np.floor(rank + 1e-6).astype(int)


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
        ValueError: `order` does not name every film once, or k or bins is no whole
            number above 0.

    Source: Barkan et al. 2024, doi:10.1145/3589334.3645560.

    Example:
        Film 0 alone keeps the item in the list:

        >>> of_masks = lambda masks: np.where(masks[:, 0], 1, 99)
        >>> stays = pos_neg(of_masks, [0, 1], bins=2)
        >>> round(stays.pos, 2), round(stays.neg, 2)
        (0.33, 0.67)
    """
    check_count("k", k)
    check_count("bins", bins)
    films = len(order)
    steps = np.array_split(np.arange(films), bins)
    # (bins + 1,): how many films are gone after each step
    counts = np.cumsum([0, *map(len, steps)])
    removed = np.concatenate(
        [
            first_players(order, films, counts),
            first_players(order[::-1], films, counts),
        ]
    )
    # (2 · (bins + 1), films) in one call: the model is slow to start
    stays = ranks(~removed) <= k
    return Stays(*stays.reshape(2, -1).mean(axis=1).tolist())


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
        ValueError: `order` does not name every film once, or k is no whole number above
            0.

    Example:
        >>> of_masks = lambda masks: np.where(masks[:, 0], 1, 99)
        >>> films_until_gone(of_masks, [1, 0])
        2
        >>> films_until_gone(lambda masks: np.ones(len(masks)), [1, 0]) is None
        True
    """
    check_count("k", k)
    films = len(order)
    # one film more from row to row
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

    Raises:
        ValueError: the explanation is of other players, or of another target, than the
            game; a target may say more before the game's, as "attention behind the
            score of Up" does.

    Source: Yeh et al. 2019, arXiv:1901.09392.

    Example:
        In a game that adds up, half of each worth is wrong by a factor of two only:

        >>> game = Game(("a", "b"), "sum", lambda masks: masks @ np.array([4.0, 2.0]))
        >>> half = Explanation(("a", "b"), "sum", [2.0, 1.0], 0, 6, "half")
        >>> found = infidelity(game, half)
        >>> found.raw > 1, round(found.factor, 6), round(found.relative, 6)
        (True, 2.0, 0.0)
    """
    check_count("samples", samples)
    if explanation.players != tuple(game.players) or not explanation.target.endswith(
        game.target
    ):
        raise ValueError(
            f"{explanation!r} is not of {game!r}: judge it on its own game, whose "
            "players and target have the same names"
        )
    removed = _random_groups(game.n_players, samples, seed)
    foretold = removed @ explanation.values
    fell = game.full() - game(~removed)
    # least squares by a factor that is not negative
    factor = nnls(foretold[:, None], fell)[0].item()
    scaled = np.mean((factor * foretold - fell) ** 2).item()
    nothing = np.mean(fell**2).item()
    return Infidelity(
        raw=np.mean((foretold - fell) ** 2).item(),
        scaled=scaled,
        factor=factor,
        relative=scaled / nothing if nothing else 0.0,
    )


def _random_groups(players: int, samples: int, seed: int) -> Masks:
    """Masks (samples, players) of groups whose size is uniform on 1..players."""
    rng = np.random.default_rng(seed)
    # argsort twice gives each player its place in a random order: (samples, players)
    places = rng.random((samples, players)).argsort(axis=1).argsort(axis=1)
    sizes = rng.integers(1, players, samples, endpoint=True)
    return places < sizes[:, None]


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
    return gap / max(abs(explanation.score - explanation.base), floor) if gap else 0.0


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
    weights = np.arange(n, 0, -1) - 0.5
    return float(1 - 2 * sizes @ weights / (n * sizes.sum()))

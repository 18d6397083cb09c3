"""Explanations against the truth: the simulated shop knows why.

So an explainer can be marked like an exam.

Two errors are told apart. `shop_game` lets an explainer explain the shop's own utility,
whose exact Shapley values are known: what is wrong there is the explainer's error
alone. `train_on_shop` gives a model that learned from the shop's log: explaining *it*
adds the model's error. A model may recommend ink for another reason than the shop's
(both come from offices, or ink is shown more often), and an explanation that says so is
true to the model although it misses the shop's reason. Low agreement there accuses the
pair, not the explainer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from xrec_utils import zoo
from xrec_utils.contract import check_count, item_codes
from xrec_utils.files import require
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game
from xrec_utils.judge.comparisons import kendall, relative_error
from xrec_utils.shop.choices import choices
from xrec_utils.shop.log import ShopData, load_shop
from xrec_utils.shop.shop import Shop

TRAPS = ("need", "redundant pair", "bundle", "suppressor", "saturation")


def shop_game(shop: Shop, owned: Sequence[int], item: int) -> Game:
    """Earlier purchases play for what they change in the shop's utility of an item.

    v(S) = shop.earlier(S)[item]; its Shapley values are shop.true_reasons(owned, item).

    Args:
        shop: the simulated shop.
        owned: (n,) item codes, oldest first; a thing bought twice is two players.
        item: the code looked at.

    Returns:
        A game of n players whose scores are in logits; 0 without any.

    Raises:
        ValueError: nothing is owned, or a code is none of the shop's.

    Example:
        Items 0 to 15 are printers, 16 to 31 ink, which a printer makes useful:

        >>> game = shop_game(Shop(), [0, 200], 16)
        >>> game.full() > 0, game.empty()
        (True, 0.0)
    """
    titles = shop.items["title"]
    owned = item_codes("owned", owned, len(titles))
    item_codes("item", [item], len(titles))

    return Game(
        players=tuple(titles[owned]),
        target=f"what earlier purchases add to {titles[item]}",
        value=lambda masks: np.array([shop.earlier(owned[on])[item] for on in masks]),
    )


@dataclass(frozen=True, eq=False)
class PlantedCase:
    """A customer's choice and the true reasons for it.

    user: code. owned: (n,) item codes, oldest first, no two alike. item: what was
    looked at, not owned yet. truth (n,): exact Shapley values in logits, not all zero.
    trap: one of TRAPS. bought: the game of what is owned for the probability, exact in
    the simulator, that the item is bought.
    """

    user: int
    owned: np.ndarray
    item: int
    truth: np.ndarray
    trap: str
    bought: Game


def _bought(shop: Shop, owned: np.ndarray, item: int, rest: float) -> Game:
    """v(S): the probability that the item is bought by a customer who owns S.

    rest: logits, the other parts of the utility less the threshold of a purchase. The
    noise of the simulator is logistic, so the share of its purchases over all noise
    is σ(rest + earlier(S)): nothing needs to be drawn.
    """
    game = shop_game(shop, owned, item)
    return Game(
        players=game.players,
        target=f"the probability of a purchase after {game.target}",
        value=lambda masks: expit(rest + game.value(masks)),
    )


def planted_cases(
    shop: Shop, data: ShopData, n: int, seed: int = 0
) -> list[PlantedCase]:
    """Draw recorded choices with true reasons, equally many for each trap.

    Only choices from three or more different purchases, of an item not yet owned, are
    drawn: the form that a recommender's history has. At least one purchase has no
    effect, so that there is something to get wrong.

    Args:
        shop: the simulated shop that knows the reasons.
        data: its log.
        n: choices wanted; the first traps of TRAPS get the remainder.
        seed: of the draw.

    Returns:
        n cases, in the order of TRAPS.

    Raises:
        ValueError: the log has too few choices with one of the traps, or n is no whole
            number above 0.

    Example:
        >>> cases = planted_cases(Shop(), load_shop(), 5)
        >>> [case.trap for case in cases]
        ['need', 'redundant pair', 'bundle', 'suppressor', 'saturation']
    """
    check_count("n", n)
    # the traps take turns: so many cases of each, n in all
    wanted = {
        trap: len(range(place, n, len(TRAPS))) for place, trap in enumerate(TRAPS)
    }
    drawn = {trap: [] for trap in TRAPS}
    recorded = list(choices(data))
    for place in np.random.default_rng(seed).permutation(len(recorded)):
        user, owned, item, rest = recorded[place]
        truth = shop.true_reasons(owned, item)
        trap = trap_of(shop, owned, item)
        if 0 < np.count_nonzero(truth) < len(truth) and len(drawn[trap]) < wanted[trap]:
            bought = _bought(shop, owned, item, rest - shop.parameters.buy_threshold)
            drawn[trap].append(PlantedCase(user, owned, item, truth, trap, bought))
    for trap, cases in drawn.items():
        require(
            len(cases) >= wanted[trap],
            f"n={n}: the log has only {len(cases)} choices of the kind "
            f"{trap!r}; choose a smaller n",
        )
    return list(chain.from_iterable(drawn.values()))


def trap_of(shop: Shop, owned: np.ndarray, item: int) -> str:
    """What makes the true reasons hard to find; of several things, the first below.

    bundle: two things count only together. suppressor: a thing counts against the item.
    redundant pair: two or more stand in for each other. need: one thing makes the other
    useful. saturation: the customer has such a thing already.
    """
    kinds = shop.category[np.asarray(owned, dtype=int)]
    target = shop.category[item]
    # those of the item whose things are all owned
    rules = [
        (groups, change)
        for groups, kind, change in shop.rules
        if kind == target and np.isin(groups, kinds).all()
    ]
    if any(len(groups) == 2 for groups, _ in rules):
        return "bundle"
    if any(change < 0 for _, change in rules):
        return "suppressor"
    if not rules:
        return "saturation"
    needed, _ = rules[0]
    return "redundant pair" if np.isin(kinds, needed).sum() > 1 else "need"


# ------------------------------------------------------------------- the mark


class Mark(NamedTuple):
    """Higher is better for tau and found, lower for misplaced and error.

    tau: Kendall's tau-b with the truth, in [-1, 1]. found: share of the true reasons
    that are named with the right sign, in [0, 1]. misplaced: share of Σ|φ| that falls
    on purchases without any effect, in [0, 1], 0 where nothing is said. error: relative
    L2 error, 0 or more.
    """

    tau: float
    found: float
    misplaced: float
    error: float


def agreement_with_truth(explanation: Explanation, truth: np.ndarray) -> Mark:
    """Mark an explanation against the true Shapley values.

    With m non-zero true values, `found` looks at the m largest |φ|: how many are true
    reasons and have their sign. As m are chosen and m are there, this is precision and
    recall at once. Where the unit is another (a trained model, an order), read tau,
    found and misplaced only.

    Args:
        explanation: values (n,) to be marked.
        truth: (n,) the true ones, not all zero, in logits.

    Returns:
        tau in [-1, 1], found and misplaced in [0, 1], error 0 or more; see `Mark`.

    Raises:
        ValueError: the lengths differ, or the truth is not finite or all zero.

    Example:
        >>> said = Explanation(("a", "b", "c"), "logit", [2.0, 1.0, 1.0], 0, 4, "hand")
        >>> mark = agreement_with_truth(said, [2.0, 2.0, 0.0])
        >>> mark.found, mark.misplaced, mark.error
        (1.0, 0.25, 0.5)
    """
    values = explanation.values
    truth = np.asarray(truth, dtype=float)
    require(
        truth.shape == values.shape and truth.any(),
        f"truth {truth.shape} must hold one value for each of {len(values)} "
        "players, not all zero",
    )
    sizes = np.abs(values)
    real = truth != 0
    largest = np.argsort(-sizes, kind="stable")[: real.sum()]
    return Mark(
        tau=kendall(values, truth),
        # a product is positive where both have the same sign
        found=float(np.mean(values[largest] * truth[largest] > 0)),
        misplaced=float(sizes[~real].sum() / sizes.sum()) if sizes.any() else 0.0,
        error=relative_error(values, truth),
    )


def agreement_with_effect(
    explanation: Explanation, case: PlantedCase
) -> dict[str, float]:
    """Mark an explanation against the simulator, run again without purchases.

    This truth is no Shapley value. The noise is the same with and without, and taken
    over all of its values: the effect is a difference of two exact probabilities. Each
    truth has an explainer that is right by definition: leave-one-out of the shop's own
    utility has tau 1 here, as Shapley values have it in `agreement_with_truth`. With m
    planted causes (the purchases that enter the utility: where `case.truth` is not 0),
    `gone` takes away the m largest |φ| together; what has φ = 0 was not named.

    Args:
        explanation: values (n,) to be marked.
        case: the choice that was explained.

    Returns:
        tau: Kendall's tau-b with the effect of each single removal, in [-1, 1]; NaN
        where no single removal changes anything, as with redundant pairs. gone: share
        of what the history does to the purchase that is gone with the purchases named;
        1 is all of it, 0 nothing, below 0 further away than before.

    Example:
        Two cameras stand in for each other: it takes both to see what they do.

        >>> case = planted_cases(Shop(), load_shop(), 2)[1]
        >>> exact = Explanation(case.bought.players, "logit", case.truth, 0, 2, "truth")
        >>> agreement_with_effect(exact, case)
        {'tau': nan, 'gone': 1.0}
    """
    sizes = np.abs(explanation.values)
    nothing, whole = case.bought.ends()
    singles = whole - case.bought(~np.eye(len(sizes), dtype=bool))
    named = np.argsort(-sizes, kind="stable")[: np.count_nonzero(case.truth)]
    kept = np.isin(np.arange(len(sizes)), named, invert=True) | (sizes == 0)
    return {
        "tau": kendall(explanation.values, singles) if singles.any() else float("nan"),
        "gone": 1 - relative_error(whole - case.bought(kept[None]), [whole - nothing]),
    }


# ---------------------------------------------------- models trained on the shop


def train_on_shop(name: str, seed: int = 0, **options: Any) -> Any:
    """Train a history model of the zoo on the shipped log's purchases.

    The customers of `planted_cases` are among the training customers, and their later
    purchases too, as in any shop that explains what it recommends. `embedding_mlp`
    knows its users by code and finds only those.

    Args:
        name: of a model of the zoo.
        seed: of the training.
        options: of the training loop, for example epochs=5.

    Returns:
        The model; it scores the shop's item codes.

    Raises:
        KeyError: the zoo has no such model.

    Example:
        >>> model = train_on_shop("popularity")
        >>> model.score([np.array([0, 1])]).shape == (1, len(load_shop().items))
        True
    """
    return zoo.train(name, load_shop().split(), seed, **options)[0]

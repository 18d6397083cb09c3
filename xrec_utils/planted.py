"""Explanations against the truth: the simulated shop knows why, so an explainer can be
marked like an exam.

Two errors are told apart. `shop_game` lets an explainer explain the shop's own utility,
whose exact Shapley values are known: what is wrong there is the explainer's error
alone. `train_on_shop` gives a model that learned from the shop's log: explaining *it*
adds the model's error. A model may recommend ink for another reason than the shop's
(both come from offices, or ink is shown more often), and an explanation that says so is
true to the model although it misses the shop's reason. Low agreement there accuses the
pair, not the explainer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from xrec_utils import zoo
from xrec_utils.agreement import kendall, relative_error
from xrec_utils.games import Explanation, Game, Masks
from xrec_utils.shop import CATEGORIES, Shop
from xrec_utils.shop_log import ShopData, load_shop
from xrec_utils.splits import Split, leave_last_out

TRAPS = ("need", "redundant pair", "bundle", "suppressor", "saturation")


def shop_game(shop: Shop, owned: Sequence[int], item: int) -> Game:
    """Earlier purchases play for what they change in the shop's utility of an item, in
    logits.

    v(S) = shop.earlier(S)[item]; its Shapley values are shop.true_reasons(owned, item).
    owned: item codes, oldest first; a thing bought twice is two players.
    """
    owned, titles = np.asarray(owned, dtype=int), shop.items["title"]

    def value(masks: Masks) -> np.ndarray:
        return np.array([shop.earlier(owned[mask])[item] for mask in masks])

    return Game(
        tuple(titles[owned]), f"what earlier purchases add to {titles[item]}", value
    )


@dataclass(frozen=True, eq=False)
class PlantedCase:
    """A customer's choice and the true reasons for it.

    user: code. owned: (n,) item codes, oldest first, no two alike. item: what was
    looked at, not owned yet. truth (n,): exact Shapley values in logits, not all zero.
    trap: one of TRAPS. correlated, popular: (n,) the purchases that a shallow explainer
    blames although their true value is zero, see `decoys`.
    """

    user: int
    owned: np.ndarray
    item: int
    truth: np.ndarray
    trap: str
    correlated: np.ndarray
    popular: np.ndarray


def planted_cases(
    shop: Shop, data: ShopData, n: int, seed: int = 0
) -> list[PlantedCase]:
    """Draw `n` recorded choices with true reasons, equally many for each trap (the
    first ones get the remainder).

    Only choices from three or more different purchases, of an item not yet owned, are
    drawn: the form that a recommender's history has. At least one purchase has no
    effect, so that there is something to get wrong. Raises ValueError when the log has
    too few choices with one of the traps.
    """
    found: dict[str, list[PlantedCase]] = {trap: [] for trap in TRAPS}
    sizes = {
        trap: len(part)
        for trap, part in zip(
            TRAPS, np.array_split(np.arange(n), len(TRAPS)), strict=True
        )
    }
    choices = _choices(data)
    for place in np.random.default_rng(seed).permutation(len(choices)):
        user, owned, item = choices[place]
        truth, trap = shop.true_reasons(owned, item), trap_of(shop, owned, item)
        if truth.any() and not truth.all() and len(found[trap]) < sizes[trap]:
            found[trap].append(
                PlantedCase(user, owned, item, truth, trap, *decoys(shop, owned, item))
            )
    short = [trap for trap in TRAPS if len(found[trap]) < sizes[trap]]
    if short:
        count = len(found[short[0]])
        raise ValueError(
            f"n={n}: the log has only {count} choices of the kind {short[0]!r}; choose a smaller n"
        )
    return [case for trap in TRAPS for case in found[trap]]


def _choices(data: ShopData) -> list[tuple[int, np.ndarray, int]]:
    """(customer, purchases of earlier visits, item) of every choice that fits
    `planted_cases`.

    `shown` has the time of the visit, which the events lack: what is bought in a visit
    counts from the next one on.
    """
    picked = []
    for user, shown in data.shown[data.shown["reaction"] > 0].groupby("user"):
        items, times, bought = (
            shown["item"].to_numpy(),
            shown["time"].to_numpy(),
            (shown["reaction"] == 2).to_numpy(),
        )
        for item, time in zip(items, times, strict=True):
            owned = items[bought & (times < time)]
            if (
                len(owned) >= 3
                and len(np.unique(owned)) == len(owned)
                and item not in owned
            ):
                picked.append((int(user), owned, int(item)))
    return picked


def trap_of(shop: Shop, owned: np.ndarray, item: int) -> str:
    """What makes the true reasons hard to find; where several things do, the first of
    this list.

    bundle: two things count only together. suppressor: a thing counts against the item.
    redundant pair: two or more stand in for each other. need: one thing makes the other
    useful. saturation: the customer has such a thing already.
    """
    kinds, target = shop.category[np.asarray(owned, dtype=int)], shop.category[item]
    rules = [
        (groups, change)
        for groups, kind, change in shop.rules
        if kind == target and np.isin(groups, kinds).all()
    ]
    if any(len(groups) == 2 for groups, _ in rules):
        return "bundle"
    if any(change < 0 for _, change in rules):
        return "suppressor"
    if rules:
        return "redundant pair" if np.isin(kinds, rules[0][0]).sum() > 1 else "need"
    return "saturation"


def decoys(shop: Shop, owned: np.ndarray, item: int) -> tuple[np.ndarray, np.ndarray]:
    """Owned things (n,) without a true effect that go with the item all the same:
    correlated, popular.

    correlated: of a category that one lifestyle likes together with the item's, or of
    the same category. popular: in the quarter of the catalogue that is shown most;
    exposure sells without being liked.
    """
    without = shop.true_reasons(owned, item) == 0
    kinds, target = (
        np.array(CATEGORIES)[shop.category[owned]],
        CATEGORIES[shop.category[item]],
    )
    together = {
        kind
        for _, liked in shop.parameters.lifestyles
        if target in liked
        for kind in liked
    } | {target}
    often = shop.exposure[owned] >= np.quantile(shop.exposure, 0.75)
    return without & np.isin(kinds, list(together)), without & often


# ---------------------------------------------------------------- the mark


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
    """Mark an explanation against the true Shapley values (n,), not all zero.

    With m non-zero true values, `found` looks at the m largest |φ|: how many are true
    reasons and have their sign. As m are named and m are there, this is precision and
    recall at once. Where the unit is another (a trained model, an order), read tau,
    found and misplaced only. Raises ValueError when the lengths differ or the truth is
    all zero.
    """
    values, truth = explanation.values, np.asarray(truth, dtype=float)
    if truth.shape != values.shape or not truth.any():
        raise ValueError(
            f"truth {truth.shape} must hold one value for each of {len(values)} players, not all zero"
        )
    sizes, real = np.abs(values), truth != 0
    named = np.argsort(-sizes, kind="stable")[: real.sum()]
    found = np.mean(np.sign(values[named]) * np.sign(truth[named]) > 0)
    misplaced = sizes[~real].sum() / sizes.sum() if sizes.any() else 0.0
    return Mark(
        kendall(values, truth),
        float(found),
        float(misplaced),
        relative_error(values, truth),
    )


# ---------------------------------------------------------------- models trained on the
# shop


def shop_split(data: ShopData) -> Split:
    """The purchases, each customer's last for test and the one before for validation;
    item codes are the shop's own.

    Things nobody bought stay in the catalogue. All are given one year, that of the log,
    because models ask for one.
    """
    split = leave_last_out(data.purchases())
    codes = split.items["item"].to_numpy()
    parts = {part: getattr(split, part) for part in ("train", "validation", "test")}
    own = {
        part: events.assign(item=codes[events["item"]].astype(np.int32))
        for part, events in parts.items()
    }
    items = data.purchases().items.assign(
        year=pd.array([2023] * len(data.items), dtype="Int64")
    )
    return replace(split, items=items.rename_axis("code"), **own)


def train_on_shop(name: str, seed: int = 0, **options: Any) -> Any:
    """Train a history model of the zoo on the shipped log's purchases; it scores the
    shop's item codes.

    options: of the training loop, for example epochs=5. The customers of
    `planted_cases` are among the training customers, and their later purchases too, as
    in any shop that explains what it recommends. `embedding_mlp` knows its users by
    code and finds only those. Raises KeyError for a name that the zoo does not have.
    """
    return zoo.train(name, shop_split(load_shop()), seed, **options)[0]

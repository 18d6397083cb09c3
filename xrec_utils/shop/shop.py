"""A simulated shop whose true reasons are known: who buys what, and exactly why.

A customer's utility for an item is a sum of parts, and every part is recorded for every
event:

    utility = base + appeal + category + brand + price + hour + weekday + earlier

`earlier` comes from what the customer already owns: an accessory is worth more to the
owner of the device (a need), a stove to the owner of a tent and a sleeping bag (a
bundle), a paper book less to the owner of an e-reader (a suppressor), a second device
of one kind less than the first (saturation). Logistic noise turns utility into a
reaction: ignored, browsed or bought; a purchase may be rated and reviewed.

What an explainer can fall for is built in: items shown more often sell more although
nobody likes them more (`exposure`, a confounder); categories are bought together
because one lifestyle likes both, without either causing the other (correlation); two
printers are redundant reasons for ink.

The parameters in `Parameters` are fixed; `tests/shop/test_shop.py` holds them and the
shipped data to it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from xrec_utils.contract import check_count, item_codes

# kinds of goods; the code of a category is its place in here
CATEGORIES = (
    "printer", "ink", "camera", "memory card", "phone", "phone case",
    "coffee machine", "coffee beans", "tent", "sleeping bag", "camping stove",
    "e-reader", "novel", "lamp",
)  # fmt: skip
BRANDS = ("Arbor", "Boreal", "Corvid", "Dune", "Ember", "Fjord", "Grove", "Halcyon")
LIFESTYLES = ("office", "photography", "outdoors", "reading", "kitchen")
# what a utility is the sum of
PARTS = ("base", "appeal", "category", "brand", "price", "hour", "weekday", "earlier")
BEHAVIOURS = ("browse", "purchase", "rate")
DAY = 86_400  # seconds
HOUR = 3_600
START = 1_672_617_600  # Monday, 2 January 2023, 00:00 UTC


@dataclass(frozen=True)
class Parameters:
    """Everything that shapes the shop. Utilities are in logits.

    Args:
        lifestyles: which categories a lifestyle likes.
        needs, suppressors: (owned category, category it changes, change), counted once
            however many are owned.
        bundles: (owned category, other owned category, category, change), counted once
            when both are owned.
        durable: categories where each further piece is worth `saturation` less per
            owned piece.
        hours: (category, first hour, last hour, change).
        weekends: (category, change) on Saturday and Sunday.
    """

    per_category: int = 16
    lifestyles: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("office", ("printer", "ink", "lamp", "phone")),
        ("photography", ("camera", "memory card", "phone case", "tent")),
        ("outdoors", ("tent", "sleeping bag", "camping stove", "camera")),
        ("reading", ("e-reader", "novel", "lamp", "coffee beans")),
        ("kitchen", ("coffee machine", "coffee beans", "camping stove", "phone")),
    )
    needs: tuple[tuple[str, str, float], ...] = (
        ("printer", "ink", 2.5), ("camera", "memory card", 2.0),
        ("phone", "phone case", 2.0), ("coffee machine", "coffee beans", 2.5),
    )  # fmt: skip
    bundles: tuple[tuple[str, str, str, float], ...] = (
        ("tent", "sleeping bag", "camping stove", 2.5),
    )
    suppressors: tuple[tuple[str, str, float], ...] = (
        ("e-reader", "novel", -2.0),
        ("phone", "camera", -1.0),
    )
    durable: tuple[str, ...] = (
        "printer", "camera", "phone", "coffee machine", "tent", "sleeping bag",
        "camping stove", "e-reader", "lamp",
    )  # fmt: skip
    saturation: float = -1.5
    hours: tuple[tuple[str, int, int, float], ...] = (
        ("coffee beans", 6, 10, 1.0), ("coffee machine", 6, 10, 0.7),
        ("novel", 19, 23, 1.0), ("e-reader", 19, 23, 0.7),
        ("printer", 9, 16, 0.5), ("ink", 9, 16, 0.5),
    )  # fmt: skip
    weekends: tuple[tuple[str, float], ...] = (
        ("tent", 0.8),
        ("sleeping bag", 0.8),
        ("camping stove", 0.8),
    )
    intercept: float = -3.5
    appeal_sd: float = 0.4
    lifestyle_sd: float = 1.2
    category_sd: float = 0.5
    brand_sd: float = 0.8
    price_mean: float = 0.8
    price_sd: float = 0.5
    relative_price_sd: float = 0.4
    exposure_sd: float = 1.0
    buy_threshold: float = 1.0
    rate_probability: float = 0.7
    shown: int = 12
    sessions: float = 20.0
    weeks: int = 52


@dataclass(frozen=True, eq=False)
class Customers:
    """Hidden tastes of n customers, in logits.

    Args:
        category: (n, 14), by category.
        brand: (n, 8), by brand.
        price: (n,), per unit of log price.
        lifestyle: (n, 5) how much of each lifestyle; part of category.
        weekend, evening: (n,) probability that a visit falls on a weekend, or after
            five o'clock.
    """

    category: np.ndarray
    brand: np.ndarray
    price: np.ndarray
    lifestyle: np.ndarray
    weekend: np.ndarray
    evening: np.ndarray

    def __len__(self) -> int:
        return len(self.price)


class Shop:
    """The items of a shop, and what any customer thinks of them.

    Args:
        seed: of the items. Customers have seeds of their own, so one shop can meet many
            customers.
        parameters: leave alone unless you study another shop.

    Example:
        Who owns a printer wants ink: +2.5 logits, all of it due to the printer.

        >>> shop = Shop()
        >>> printer = CATEGORIES.index("printer") * shop.parameters.per_category
        >>> ink = CATEGORIES.index("ink") * shop.parameters.per_category
        >>> float(shop.earlier([printer])[ink])
        2.5
        >>> shop.true_reasons([printer], ink).tolist()
        [2.5]
        >>> shop.true_reasons([printer, printer + 1], ink).tolist()  # they share it
        [1.25, 1.25]
    """

    def __init__(self, seed: int = 0, parameters: Parameters | None = None) -> None:
        self.seed = seed
        self.parameters = parameters or Parameters()
        p = self.parameters
        # the stored log hangs on the order of the draws
        random = np.random.default_rng([seed, 1])
        self.n_items = len(CATEGORIES) * p.per_category
        self.category = np.repeat(
            np.arange(len(CATEGORIES)),
            p.per_category,
        )
        self.brand = random.integers(len(BRANDS), size=self.n_items)
        self.appeal = random.normal(0, p.appeal_sd, self.n_items)
        self.relative_price = random.normal(0, p.relative_price_sd, self.n_items)
        pushed = random.normal(0, p.exposure_sd, self.n_items)
        exposure = np.exp(pushed)
        self.exposure = exposure / exposure.sum()
        # euros: what the category costs, times what this item costs beside it
        typical = np.exp(
            random.uniform(
                np.log(10),
                np.log(400),
                len(CATEGORIES),
            )
        )
        beside = np.exp(self.relative_price)
        price = typical[self.category] * beside
        self.price = np.round(price, 2)
        self.rules = _rules(p)
        self._durable = np.isin(CATEGORIES, p.durable)

    def stream(self, use: int, seed: int) -> np.random.Generator:
        """Random numbers for one use alone, so that no use changes those of another.

        2 draws customers, 3 their log; a crowd has 4 (noise), 5 (moods), 6 (visits).
        """
        return np.random.default_rng([self.seed, use, seed])

    @property
    def items(self) -> pd.DataFrame:
        """One row per item.

        Columns: item (code), title, category, brand, price (euros), exposure (share of
        all showings).
        """
        codes = np.arange(self.n_items)
        brand = np.array(BRANDS)[self.brand]
        category = np.array(CATEGORIES)[self.category]
        number = codes % self.parameters.per_category + 1
        return pd.DataFrame(
            {
                "item": codes,
                "title": [f"{brand[n]} {category[n]} {number[n]}" for n in codes],
                "category": category,
                "brand": brand,
                "price": self.price,
                "exposure": self.exposure.round(6),
            }
        )

    def customers(self, n: int, seed: int = 0) -> Customers:
        """Draw n customers with tastes of their own; ValueError for n below 1."""
        check_count("n", n)
        p = self.parameters
        random = self.stream(2, seed)
        likes = _likes(p)
        lifestyle = random.normal(
            scale=p.lifestyle_sd,
            size=(n, len(likes)),
        )
        own_taste = random.normal(
            scale=p.category_sd,
            size=(n, len(CATEGORIES)),
        )
        # the draws go on in this order
        return Customers(
            category=lifestyle @ likes + own_taste,
            brand=random.normal(0, p.brand_sd, (n, len(BRANDS))),
            # nobody likes to pay more
            price=-np.abs(random.normal(p.price_mean, p.price_sd, n)),
            lifestyle=lifestyle,
            weekend=random.beta(2, 3, n),
            evening=random.beta(2, 2, n),
        )

    def parts(
        self, customers: Customers, who: int, owned: Sequence[int], time: int
    ) -> dict[str, np.ndarray]:
        """Every part of one customer's utility for every item.

        Args:
            customers: the customers' tastes.
            who: the customer's number.
            owned: codes of the items bought so far.
            time: seconds since 1970, UTC.

        Returns:
            Name of the part -> (n_items,) in logits.
        """
        p = self.parameters
        hour = (time - START) // HOUR % 24
        weekday = (time - START) // DAY % 7  # Monday is 0
        return {
            "base": np.full(self.n_items, p.intercept),
            "appeal": self.appeal,
            "category": customers.category[who][self.category],
            "brand": customers.brand[who][self.brand],
            "price": customers.price[who] * self.relative_price,
            "hour": self._by_category(
                [(kind, x) for kind, a, b, x in p.hours if a <= hour <= b]
            ),
            "weekday": self._by_category(p.weekends if weekday >= 5 else ()),
            "earlier": self.earlier(owned),
        }

    def _by_category(self, changes: Iterable[tuple[str, float]]) -> np.ndarray:
        """Changes given by name of category, for every item: (n_items,)."""
        change = np.zeros(len(CATEGORIES))
        for category, amount in changes:
            change[CATEGORIES.index(category)] += amount
        return change[self.category]

    def utility(
        self, customers: Customers, who: int, owned: Sequence[int], time: int
    ) -> np.ndarray:
        """The sum of the parts, shape (n_items,), in logits."""
        parts = self.parts(customers, who, owned, time)
        return np.sum(list(parts.values()), axis=0)

    def pieces(self, owned: Sequence[int]) -> np.ndarray:
        """How many of each category are owned, (14,)."""
        kinds = self.category[item_codes("owned", owned, len(self.category))]
        return np.bincount(kinds, minlength=len(CATEGORIES))

    def earlier(self, owned: Sequence[int]) -> np.ndarray:
        """What owning these items changes in the utility of every item.

        Returns:
            (n_items,) in logits.
        """
        count = self.pieces(owned)
        change = np.zeros(len(CATEGORIES))
        for groups, category, amount in self.rules:
            # nothing unless all of them are owned
            change[category] += amount * all(count[group] for group in groups)
        change += self.parameters.saturation * count * self._durable
        return change[self.category]

    def true_reasons(self, owned: Sequence[int], item: int) -> np.ndarray:
        """Exact Shapley values of the owned items for the part `earlier` of one item.

        A need or suppressor is a game "any of group A", worth its change divided by the
        size of A to each member. A bundle is "any of A and any of B" = any A + any B -
        any of A or B, and Shapley values add up.

        Args:
            owned: codes of the owned items.
            item: code of the item whose utility is explained.

        Returns:
            (len(owned),) in logits; their sum is `earlier(owned)[item]`.
        """
        kinds = self.category[item_codes("owned", owned, len(self.category))]
        target = self.category[item_codes("item", [item], len(self.category))[0]]
        # saturation adds up over the pieces, so each piece has its own share
        same_kind = (kinds == target) & self._durable[kinds]
        values = self.parameters.saturation * same_kind
        for groups, category, amount in self.rules:
            # (len(owned),) each: which of the owned items are of the group
            members = [kinds == group for group in groups]
            if category != target or not all(m.any() for m in members):
                continue
            shares = sum(m / m.sum() for m in members)
            values = values + amount * shares
            if len(members) == 2:
                either = members[0] | members[1]
                values = values - amount * either / either.sum()
        return values


def _likes(p: Parameters) -> np.ndarray:
    """(5, 14): 1.0 where the lifestyle likes the category."""
    return np.array(
        [np.isin(CATEGORIES, liked) for _, liked in p.lifestyles],
        dtype=float,
    )


def _rules(p: Parameters) -> list[tuple[tuple[int, ...], int, float]]:
    """Needs, suppressors and bundles in codes, in one form.

    Each is (owned categories that must all be there, category changed, change).
    """
    code = CATEGORIES.index
    of_one = [
        ((code(owned),), code(changed), change)
        for owned, changed, change in (*p.needs, *p.suppressors)
    ]
    of_two = [
        ((code(owned), code(other)), code(changed), change)
        for owned, other, changed, change in p.bundles
    ]
    return of_one + of_two


def react(shop: Shop, utility: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Turn utilities into reactions: 0 ignored, 1 browsed, 2 bought.

    With logistic noise, P(browsed or bought) = σ(utility) and P(bought) = σ(utility -
    buy_threshold).

    Args:
        shop: gives the threshold.
        utility: logits, of any shape.
        random: the source of the noise, one draw per utility.

    Returns:
        Whole numbers of the same shape.
    """
    noise = random.logistic(size=np.shape(utility))
    felt = utility + noise
    interested = felt > 0
    bought = felt > shop.parameters.buy_threshold
    return interested.astype(int) + bought


def stars(parts: dict[str, np.ndarray], item: int, random: np.random.Generator) -> int:
    """A rating of 1 to 5: what the customer thinks of the thing itself.

    Neither the price nor the moment counts.
    """
    category = parts["category"][item]
    brand = parts["brand"][item]
    taste = (category + brand) / 2
    liking = taste + parts["appeal"][item]
    felt = 3.0 + liking + random.normal(0, 0.5)
    return int(np.clip(np.rint(felt), 1, 5))

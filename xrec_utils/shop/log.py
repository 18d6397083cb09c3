"""The log the simulated shop leaves behind: showings, events, reasons and reviews.

`python data/build_shop.py` writes it to data/shop; `load_shop()` reads it. The log is
made with the parameters of `xrec_utils.shop.shop`, by showing random items (the more exposed
ones more often) to customers over one year.
"""

import itertools
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from xrec_utils.data.load import Dataset
from xrec_utils.data.splits import Split, leave_last_out
from xrec_utils.files import DATA
from xrec_utils.shop.shop import (
    BRANDS,
    CATEGORIES,
    DAY,
    HOUR,
    LIFESTYLES,
    PARTS,
    START,
    Customers,
    Shop,
    react,
    stars,
)

FOLDER = DATA / "shop"
TABLES = ("items", "users", "events", "shown", "parts", "reasons", "reviews")
CATEGORY_WORDS = {
    "printer": "prints pages sharply",
    "ink": "fills the cartridge",
    "camera": "takes crisp pictures",
    "memory card": "stores many shots",
    "phone": "rings and charges fast",
    "phone case": "guards the screen",
    "coffee machine": "brews a strong cup",
    "coffee beans": "tastes roasted and round",
    "tent": "keeps the rain out",
    "sleeping bag": "keeps you warm at night",
    "camping stove": "boils water on the trail",
    "e-reader": "reads well in the sun",
    "novel": "tells a gripping story",
    "lamp": "lights the desk softly",
}
BRAND_WORDS = {
    "Arbor": "wooden look",
    "Boreal": "cold steel finish",
    "Corvid": "black and clever",
    "Dune": "sandy colours",
    "Ember": "warm glow",
    "Fjord": "clean nordic lines",
    "Grove": "recycled parts",
    "Halcyon": "calm and quiet",
}
# one star to five
STAR_WORDS = (
    "awful, sent it back",
    "poor",
    "all right",
    "good",
    "excellent, would buy again",
)


@dataclass(frozen=True)
class ShopData:
    """The tables of the shop; times are seconds since 1970, UTC.

    Args:
        items: item, title, category, brand, price, exposure (how likely a showing is
            this item).
        users: user, and the hidden tastes that a real shop never sees.
        events: event, user, item, behaviour (browse, purchase, rate), time, value (1,
            price paid, stars).
        shown: user, item, time (of the visit), reaction (0 ignored, 1 browsed, 2
            bought); a visit shows different items, drawn by exposure.
        parts: event, and the utility that each part gave, in logits.
        reasons: event, purchase (an earlier event), value: its exact share of the part
            `earlier`.
        reviews: event, user, item, time, stars, text.
    """

    items: pd.DataFrame
    users: pd.DataFrame
    events: pd.DataFrame
    shown: pd.DataFrame
    parts: pd.DataFrame
    reasons: pd.DataFrame
    reviews: pd.DataFrame

    def purchases(self) -> Dataset:
        """Each customer's first purchase of each item, as a data set for recommenders.

        The category stands in the column genres.
        """
        bought = self.events[self.events["behaviour"] == "purchase"]
        # events are in the order of time, so the first of a pair is the oldest
        first = bought.drop_duplicates(["user", "item"])
        return Dataset(
            "shop",
            first[["user", "item", "value", "time"]].reset_index(drop=True),
            self.items.assign(
                genres=self.items["category"],
                year=pd.array([pd.NA] * len(self.items), dtype="Int64"),
            ),
            self.users[["user"]],
        )

    def split(self) -> Split:
        """The purchases, each customer's last for test, the one before to validate.

        Item codes are the shop's own. Things nobody bought stay in the catalogue. All
        are given one year, that of the log, because models ask for one.
        """
        purchases = self.purchases()
        split = leave_last_out(purchases)
        codes = split.items["item"].to_numpy()
        own = {}
        for part in ("train", "validation", "test"):
            events = getattr(split, part)
            # the split counts items anew from 0: back to the shop's codes
            own[part] = events.assign(
                item=codes[events["item"]].astype(np.int32),
            )
        items = purchases.items.assign(
            year=pd.array([2023] * len(self.items), dtype="Int64"),
        )
        return replace(
            split,
            items=items.rename_axis("code"),
            **own,
        )


def simulate(shop: Shop, n_customers: int = 400, seed: int = 0) -> ShopData:
    """Let customers visit the shop for a year and record everything.

    Args:
        shop: the shop.
        n_customers: how many customers.
        seed: of the customers and of all they do.

    Returns:
        The tables, customer by customer, oldest visit first.

    Raises:
        ValueError: there is not one customer, or one of the shop's parameters is out of
            its range.

    Example:
        >>> log = simulate(Shop(), n_customers=2)
        >>> log.users["user"].tolist()
        [0, 1]
        >>> sorted(log.events["behaviour"].unique())
        ['browse', 'purchase', 'rate']
        >>> first = log.parts.iloc[0]  # the parts of an event sum to its utility
        >>> float(first["base"])
        -3.5
    """
    customers = shop.customers(n_customers, seed)
    random = shop.stream(3, seed)
    rows: defaultdict[str, list] = defaultdict(list)
    for who in range(n_customers):
        _live(
            shop,
            customers,
            who,
            random,
            rows,
        )
    return ShopData(
        items=shop.items,
        users=_hidden(customers),
        **{
            name: pd.DataFrame(rows[name], columns=columns)
            for name, columns in _COLUMNS.items()
        },
    )


_COLUMNS = {
    "events": ["event", "user", "item", "behaviour", "time", "value"],
    "shown": ["user", "item", "time", "reaction"],
    "parts": ["event", *PARTS],
    "reasons": ["event", "purchase", "value"],
    "reviews": ["event", "user", "item", "time", "stars", "text"],
}


def visits(
    shop: Shop, customers: Customers, who: int, random: np.random.Generator
) -> list[int]:
    """The times at which a customer comes, oldest first.

    Weekends and evenings follow the customer's habits.

    Returns:
        Seconds since 1970, UTC; two visits or more.
    """
    # the stored log hangs on the order of the draws
    count = max(2, random.poisson(shop.parameters.sessions))
    week = random.integers(shop.parameters.weeks, size=count)
    weekend = random.random(count) < customers.weekend[who]
    evening = random.random(count) < customers.evening[who]
    day = np.where(
        weekend,
        # both are drawn for every visit, and one of them is taken
        random.integers(5, 7, count),
        random.integers(5, size=count),
    )
    hour = np.where(
        evening,
        random.integers(17, 24, count),
        random.integers(6, 17, count),
    )
    second = random.integers(HOUR, size=count)
    days = 7 * week + day
    midnight = START + days * DAY
    times = midnight + hour * HOUR + second
    return sorted(times.tolist())


def _live(
    shop: Shop,
    customers: Customers,
    who: int,
    random: np.random.Generator,
    rows: dict[str, list],
) -> None:
    """One customer's year, appended to `rows`.

    What is bought in a visit counts as owned from the next visit on.
    """
    owned: list[int] = []
    bought_in: list[int] = []  # the event of each purchase in `owned`
    for time in visits(shop, customers, who, random):
        parts = shop.parts(
            customers,
            who,
            owned,
            time,
        )
        slate = random.choice(
            shop.n_items, shop.parameters.shown, replace=False, p=shop.exposure
        )
        visit = _Visit(
            shop,
            who,
            parts,
            tuple(owned),
            tuple(bought_in),
            random,
            rows,
        )
        utility = np.sum(list(parts.values()), axis=0)
        reactions = react(
            shop,
            utility[slate],
            random,
        ).tolist()
        # the customer goes on to the next item after 20 seconds
        moments = itertools.count(time, 20)
        for item, reaction, moment in zip(
            slate.tolist(), reactions, moments, strict=False
        ):
            rows["shown"].append((who, item, time, reaction))
            if reaction:
                visit.record(item, "browse", moment, 1.0)
            if reaction == 2:
                owned.append(item)
                bought_in.append(
                    visit.record(item, "purchase", moment + 5, shop.price[item])
                )
                visit.rate(item, moment)


@dataclass(frozen=True)
class _Visit:
    """One visit of one customer: what was felt when it began, and where to write."""

    shop: Shop
    who: int
    parts: dict[str, np.ndarray]
    owned: tuple[int, ...]
    bought_in: tuple[int, ...]
    random: np.random.Generator
    rows: dict[str, list]

    def record(self, item: int, behaviour: str, time: int, value: float) -> int:
        """Write one event with its parts and reasons; return its number."""
        event = len(self.rows["events"])
        self.rows["events"].append(
            (event, self.who, item, behaviour, time, value),
        )
        # four digits, so that the shipped tables stay small
        self.rows["parts"].append(
            (event, *[round(float(self.parts[name][item]), 4) for name in PARTS]),
        )
        shares = self.shop.true_reasons(self.owned, item)
        for place in np.flatnonzero(shares):
            self.rows["reasons"].append(
                (event, self.bought_in[place], round(float(shares[place]), 4))
            )
        return event

    def rate(self, item: int, time: int) -> None:
        """Some purchases are rated a week later, and every rating has a review."""
        if self.random.random() >= self.shop.parameters.rate_probability:
            return
        given = stars(
            self.parts,
            item,
            self.random,
        )
        later = time + 7 * DAY
        event = self.record(
            item,
            "rate",
            later,
            float(given),
        )
        self.rows["reviews"].append(
            (event, self.who, item, later, given, self._review(item, given))
        )

    def _review(self, item: int, given: int) -> str:
        """A sentence on the category, the brand and the stars, not always on all."""
        said = [
            CATEGORY_WORDS[CATEGORIES[self.shop.category[item]]],
            BRAND_WORDS[BRANDS[self.shop.brand[item]]],
        ]
        # each is left out one time in five
        written = [words for words in said if self.random.random() < 0.8]
        return ", ".join([*written, STAR_WORDS[given - 1]])


def _hidden(customers: Customers) -> pd.DataFrame:
    """The hidden tastes, one row per customer."""
    category = pd.DataFrame(customers.category, columns=CATEGORIES)
    brand = pd.DataFrame(customers.brand, columns=BRANDS)
    lifestyle = pd.DataFrame(customers.lifestyle, columns=LIFESTYLES)
    tastes = category.add_prefix("likes ").join(brand.add_prefix("likes "))
    return (
        tastes.join(lifestyle.add_prefix("lifestyle "))
        .assign(
            price=customers.price,
            weekend=customers.weekend,
            evening=customers.evening,
        )
        .rename_axis("user")
        .reset_index()
        .round(4)
    )


def load_shop(folder: Path = FOLDER) -> ShopData:
    """Read the shipped log of the simulated shop.

    Args:
        folder: where the seven tables lie, as items.csv.bz2 and so on.

    Returns:
        The tables; `purchases()` makes a data set for recommenders of them.

    Raises:
        FileNotFoundError: a table is missing.

    Example:
        >>> log = load_shop()
        >>> len(log.users), len(log.items)
        (400, 224)
        >>> log.purchases().name
        'shop'
    """
    return ShopData(
        **{name: _read(folder / f"{name}.csv.bz2") for name in TABLES},
    )


def _read(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing: restore it with git, or make it again with "
            "`python data/build_shop.py`"
        )
    return pd.read_csv(path)

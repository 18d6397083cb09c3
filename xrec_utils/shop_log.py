"""The log the simulated shop leaves behind: what was shown, what customers did, why,
and what they wrote.

`python data/build_shop.py` writes it to data/shop; `load_shop()` reads it. The log is
made with the parameters of `xrec_utils.shop`, by showing random items (the more exposed
ones more often) to customers over one year.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from xrec_utils.data import Dataset
from xrec_utils.paths import DATA
from xrec_utils.shop import (
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
CATEGORY_WORDS = dict(zip(CATEGORIES, (
    "prints pages sharply", "fills the cartridge", "takes crisp pictures", "stores many shots",
    "rings and charges fast", "guards the screen", "brews a strong cup", "tastes roasted and round",
    "keeps the rain out", "keeps you warm at night", "boils water on the trail", "reads well in the sun",
    "tells a gripping story", "lights the desk softly",
), strict=True))  # fmt: skip
BRAND_WORDS = dict(zip(BRANDS, (
    "wooden look", "cold steel finish", "black and clever", "sandy colours", "warm glow", "clean nordic lines",
    "recycled parts", "calm and quiet",
), strict=True))  # fmt: skip
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

    items: item, title, category, brand, price, exposure (how likely a showing is this
    item). users: user, and the hidden tastes that a real shop never sees. events:
    event, user, item, behaviour (browse, purchase, rate), time, value (1, price paid,
    stars). shown: user, item, time (of the visit), reaction (0 ignored, 1 browsed, 2
    bought); a visit shows different items, drawn by exposure. parts: event, and the
    utility that each part gave, in logits. reasons: event, purchase (an earlier event),
    value: its exact share of the part `earlier`. reviews: event, user, item, time,
    stars, text.
    """

    items: pd.DataFrame
    users: pd.DataFrame
    events: pd.DataFrame
    shown: pd.DataFrame
    parts: pd.DataFrame
    reasons: pd.DataFrame
    reviews: pd.DataFrame

    def purchases(self) -> Dataset:
        """The purchases as a data set for recommenders: each customer's first purchase
        of each item.
        """
        bought = self.events[self.events["behaviour"] == "purchase"].drop_duplicates(
            ["user", "item"]
        )
        no_year = pd.array([pd.NA] * len(self.items), dtype="Int64")
        items = self.items.assign(genres=self.items["category"], year=no_year)
        rows = bought[["user", "item", "value", "time"]].reset_index(drop=True)
        return Dataset("shop", rows, items, self.users[["user"]])


def simulate(shop: Shop, n_customers: int = 400, seed: int = 0) -> ShopData:
    """Let customers visit the shop for a year and record everything."""
    customers = shop.customers(n_customers, seed)
    random = np.random.default_rng([shop.seed, 3, seed])
    rows: dict[str, list] = {name: [] for name in TABLES[2:]}
    for who in range(n_customers):
        _live(shop, customers, who, random, rows)
    tables = {
        name: pd.DataFrame(rows[name], columns=columns)
        for name, columns in _COLUMNS.items()
    }
    return ShopData(items=shop.items, users=_hidden(customers), **tables)


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
    """The times at which a customer comes, oldest first; weekends and evenings
    according to habit.
    """
    count = max(2, random.poisson(shop.parameters.sessions))
    week = random.integers(shop.parameters.weeks, size=count)
    weekend, evening = (
        random.random(count) < habit[who]
        for habit in (customers.weekend, customers.evening)
    )
    day = np.where(
        weekend, random.integers(5, 7, count), random.integers(5, size=count)
    )
    hour = np.where(
        evening, random.integers(17, 24, count), random.integers(6, 17, count)
    )
    return sorted(
        (
            START
            + (7 * week + day) * DAY
            + hour * HOUR
            + random.integers(HOUR, size=count)
        ).tolist()
    )


def _live(
    shop: Shop,
    customers: Customers,
    who: int,
    random: np.random.Generator,
    rows: dict[str, list],
) -> None:
    """One customer's year, appended to `rows`. What is bought in a visit counts as
    owned from the next visit on.
    """
    owned: list[int] = []
    bought_in: list[int] = []  # the event of each purchase in `owned`
    for time in visits(shop, customers, who, random):
        parts = shop.parts(customers, who, owned, time)
        slate = random.choice(
            shop.n_items, shop.parameters.shown, replace=False, p=shop.exposure
        )
        reactions = react(shop, np.sum(list(parts.values()), axis=0)[slate], random)
        visit = _Visit(shop, who, parts, tuple(owned), tuple(bought_in), random, rows)
        for place, (item, reaction) in enumerate(
            zip(slate.tolist(), reactions.tolist(), strict=True)
        ):
            rows["shown"].append((who, item, time, reaction))
            if reaction:
                visit.record(item, "browse", time + 20 * place, 1.0)
            if reaction == 2:
                owned.append(item)
                bought_in.append(
                    visit.record(
                        item, "purchase", time + 20 * place + 5, shop.price[item]
                    )
                )
                visit.rate(item, time + 20 * place)


@dataclass(frozen=True)
class _Visit:
    """One visit of one customer: what was felt when it began, and where to write what
    happens.
    """

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
        self.rows["events"].append((event, self.who, item, behaviour, time, value))
        self.rows["parts"].append(
            (event, *(round(float(self.parts[name][item]), 4) for name in PARTS))
        )
        shares = self.shop.true_reasons(self.owned, item)
        for purchase in np.flatnonzero(shares):
            self.rows["reasons"].append(
                (event, self.bought_in[purchase], round(float(shares[purchase]), 4))
            )
        return event

    def rate(self, item: int, time: int) -> None:
        """Some purchases are rated a week later, and every rating comes with a review."""
        if self.random.random() < self.shop.parameters.rate_probability:
            given, later = stars(self.parts, item, self.random), time + 7 * DAY
            event = self.record(item, "rate", later, float(given))
            self.rows["reviews"].append(
                (event, self.who, item, later, given, self._review(item, given))
            )

    def _review(self, item: int, given: int) -> str:
        """A sentence with words of the category, of the brand and of the stars, not
        always all of them.
        """
        category, brand = (
            CATEGORIES[self.shop.category[item]],
            BRANDS[self.shop.brand[item]],
        )
        said = [CATEGORY_WORDS[category], BRAND_WORDS[brand]]
        kept = [words for words in said if self.random.random() < 0.8]
        return ", ".join([*kept, STAR_WORDS[given - 1]])


def _hidden(customers: Customers) -> pd.DataFrame:
    """The hidden tastes, one row per customer."""
    taste = {
        f"likes {name}": customers.category[:, n] for n, name in enumerate(CATEGORIES)
    }
    brand = {f"likes {name}": customers.brand[:, n] for n, name in enumerate(BRANDS)}
    style = {
        f"lifestyle {name}": customers.lifestyle[:, n]
        for n, name in enumerate(LIFESTYLES)
    }
    habits = {
        "price": customers.price,
        "weekend": customers.weekend,
        "evening": customers.evening,
    }
    return pd.DataFrame(
        {"user": np.arange(len(customers)), **taste, **brand, **style, **habits}
    ).round(4)


def load_shop(folder: Path = FOLDER) -> ShopData:
    """Read the shipped log.

    Raises:
        FileNotFoundError: a table is missing.
    """
    missing = [name for name in TABLES if not (folder / f"{name}.csv.bz2").exists()]
    if missing:
        raise FileNotFoundError(
            f"{folder / missing[0]}.csv.bz2 is missing: restore it with git, or make it again with "
            "`python data/build_shop.py`"
        )
    return ShopData(
        **{name: pd.read_csv(folder / f"{name}.csv.bz2") for name in TABLES}
    )

"""The figures and rules on the shop's data card are those of its tables and parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from xrec_utils.files import DATA
from xrec_utils.shop.log import TABLES, ShopData, load_shop
from xrec_utils.shop.shop import (
    BEHAVIOURS,
    BRANDS,
    CATEGORIES,
    PARTS,
    START,
    Parameters,
    Shop,
)

CARD = " ".join((DATA / "shop" / "README.md").read_text(encoding="utf-8").split())
P = Parameters()
HOUR = 3_600


@pytest.fixture(scope="module")
def shop() -> ShopData:
    return load_shop()


@pytest.fixture(scope="module")
def bought(shop: ShopData) -> pd.DataFrame:
    """The purchases with what was felt: columns of events and items, the utility, and
    the part `earlier`.
    """
    parts = shop.parts.assign(utility=shop.parts[list(PARTS)].sum(axis=1))
    purchases = shop.events[shop.events["behaviour"] == "purchase"]
    return purchases.merge(parts[["event", "utility", "earlier"]], on="event").merge(
        shop.items, on="item"
    )


@pytest.fixture(scope="module")
def measured(shop: ShopData, bought: pd.DataFrame) -> dict[str, str]:
    """Sentences and table rows of the card, with the numbers measured anew."""
    visits = len(shop.shown[["user", "time"]].drop_duplicates())
    kinds = shop.events["behaviour"].value_counts()
    customers = bought["user"].value_counts().reindex(shop.users["user"], fill_value=0)
    sold = bought["item"].value_counts().reindex(shop.items["item"], fill_value=0)
    rate = sold / shop.shown["item"].value_counts().reindex(shop.items["item"])
    reasons = shop.reasons[shop.reasons["event"].isin(bought["event"])]
    stars = shop.reviews["stars"].value_counts(normalize=True).sort_index()
    prices = shop.items.groupby("category")["price"].median()
    pieces = bought.pivot_table(
        index="user", columns="category", values="event", aggfunc="size", fill_value=0
    )
    has = (pieces.reindex(shop.users["user"], fill_value=0) > 0).astype(float).corr()
    truth = Shop(seed=0)
    exposure, appeal = pd.Series(truth.exposure), pd.Series(truth.appeal)
    both = int(((pieces["tent"] > 0) & (pieces["sleeping bag"] > 0)).sum())

    def rank(x: pd.Series, y: pd.Series) -> str:
        return f"{x.corr(y, method='spearman'):.2f}"

    return {
        "things": f"| {len(shop.items)}; {shop.items['category'].nunique()}; {shop.items['brand'].nunique()} |",
        "showings": f"| {len(shop.users)}; {visits:,}; {len(shop.shown):,} |",
        "behaviours": "| "
        + "; ".join(f"{kinds[name]:,}" for name in BEHAVIOURS)
        + " |",
        "rates": f"| {(shop.shown['reaction'] == 2).mean():.1%}; {kinds['purchase'] / kinds['browse']:.1%} |",
        "customers": f"| {customers.min()}, {customers.median():.0f}, {customers.max()} |",
        "idle": f"{(customers == 0).sum()} customers bought nothing and {(sold == 0).sum()} items were never sold",
        "sold": f"| {sold.min()}, {sold.median():.0f}, {sold.max()} |",
        "top": f"| {sold.nlargest(len(sold) // 10).sum() / len(bought):.0%} |",
        "repeats": f"| {bought.duplicated(['user', 'item']).mean():.0%} |",
        "reasons": f"| {bought['event'].isin(reasons['event']).mean():.0%} |",
        "several": f"| {(reasons['event'].value_counts() > 1).sum()} |",
        "against": f"| {(reasons['value'] < 0).mean():.0%} |",
        "stars": "| " + ", ".join(f"{share:.1%}" for share in stars) + " |",
        "sales": f"| {rank(exposure, sold)}; {rank(appeal, sold)} |",
        "per showing": f"| {rank(exposure, rate)}; {rank(appeal, rate)} |",
        "rule": f"| {has.loc['printer', 'ink']:.2f} |",
        "no rule": f"| {has.loc['camera', 'tent']:.2f} |",
        "suppressor": f"| {has.loc['e-reader', 'novel']:.2f} |",
        "redundant": f"{(pieces['printer'] > 1).sum()} customers own two printers or more",
        "bundle": f"{both} own a tent and a sleeping bag",
        "noise": f"{(bought['utility'] < 0).mean():.0%} of the purchases have a utility below zero",
        "prices": f"camera costs {prices['camera']:.0f} euros in the median, ink {prices['ink']:.0f}",
        "bytes": f"{sum(path.stat().st_size for path in (DATA / 'shop').glob('*.bz2')):,} bytes together",
        **{
            name: f"| {name}.csv.bz2 | {len(getattr(shop, name)):,} |"
            for name in TABLES
        },
    }


FIGURES = [
    "things",
    "showings",
    "behaviours",
    "rates",
    "customers",
    "idle",
    "sold",
    "top",
    "repeats",
    "reasons",
    "several",
    "against",
    "stars",
    "sales",
    "per showing",
    "rule",
    "no rule",
    "suppressor",
    "redundant",
    "bundle",
    "noise",
    "prices",
    "bytes",
]


@pytest.mark.parametrize("figure", [*FIGURES, *TABLES])
def test_a_figure_on_the_card(measured: dict[str, str], figure: str) -> None:
    assert measured[figure] in CARD


def signed(change: float) -> str:
    return f"{change:+.1f}".replace("-", "−")


RULES = [
    *(f"| need | {owned} | {wanted} | {signed(x)} |" for owned, wanted, x in P.needs),
    *(
        f"| suppressor | {owned} | {wanted} | {signed(x)} |"
        for owned, wanted, x in P.suppressors
    ),
    *(
        f"| bundle | {a} and {b} | {wanted} | {signed(x)} |"
        for a, b, wanted, x in P.bundles
    ),
    *(f"| lifestyle {name} | {', '.join(liked)} |" for name, liked in P.lifestyles),
    *(
        f"| {category} | {first} to {last} h | {signed(x)} |"
        for category, first, last, x in P.hours
    ),
    *(f"| {category} | Saturday, Sunday | {signed(x)} |" for category, x in P.weekends),
    f"| saturation | each {', '.join(P.durable)} | another of its kind | {signed(P.saturation)} each |",
]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_on_the_card(rule: str) -> None:
    assert rule in CARD


@pytest.mark.parametrize("symbol, value", [
    ("appeal", P.appeal_sd), ("lifestyle", P.lifestyle_sd), ("category", P.category_sd), ("brand", P.brand_sd),
    ("relative price", P.relative_price_sd), ("log exposure", P.exposure_sd),
])  # fmt: skip
def test_a_spread_on_the_card(symbol: str, value: float) -> None:
    assert f"| {symbol} | N(0, {value}²) |" in CARD


def test_the_constants_on_the_card() -> None:
    for words in (
        f"base is {P.intercept}".replace("-", "−"), f"|N({P.price_mean}, {P.price_sd}²)|",
        f"utility − {P.buy_threshold:.0f}", f"{P.rate_probability:.0%} of the purchases",
        f"{P.shown} different items", f"Poisson with mean {P.sessions:.0f}", f"{P.weeks} weeks",
    ):  # fmt: skip
        assert words in CARD


def test_every_column_is_described(shop: ShopData) -> None:
    hidden = {
        *(f"likes {name}" for name in (*CATEGORIES, *BRANDS)),
        *(f"lifestyle {name}" for name, _ in P.lifestyles),
    }
    for name in TABLES:
        assert [
            column
            for column in getattr(shop, name)
            if f"`{column}`" not in CARD and column not in hidden
        ] == []


def test_the_traps_of_the_log(shop: ShopData) -> None:
    """Event numbers are not the order of time, and a visit may run into the next hour."""
    steps = shop.events.groupby("user")["time"].diff()
    late = steps.lt(0).groupby(shop.events["user"]).any().sum()
    assert f"for {late} of the {len(shop.users)} customers" in CARD
    seen = shop.events[shop.events["behaviour"] != "rate"].sort_values("time")
    visits = (
        shop.shown[["user", "time"]]
        .drop_duplicates()
        .sort_values("time")
        .rename(columns={"time": "visit"})
    )
    joined = pd.merge_asof(seen, visits, left_on="time", right_on="visit", by="user")
    crossed = (
        (joined["time"] - START) // HOUR != (joined["visit"] - START) // HOUR
    ).mean()
    assert (joined["time"] - joined["visit"]).between(0, 20 * P.shown).all()
    assert f"{crossed:.1%} of the browse and purchase events" in CARD


def test_a_reason_counts_the_copies_where_leaving_one_out_does_not() -> None:
    """The redundant pair: either printer alone makes ink worth as much as both, and
    each is due half.
    """
    truth = Shop(seed=0)
    printers, ink = (
        np.flatnonzero(truth.category == CATEGORIES.index(name))[:2]
        for name in ("printer", "ink")
    )
    assert truth.earlier(printers)[ink[0]] == truth.earlier(printers[:1])[ink[0]] == 2.5
    assert truth.true_reasons(printers, int(ink[0])).tolist() == [1.25, 1.25]
    assert "leaving one out finds 0 for both, the recorded share is 1.25 each" in CARD


def test_the_list_of_the_data_says_the_same(shop: ShopData) -> None:
    rows = (DATA / "README.md").read_text(encoding="utf-8").splitlines()
    row = next(row for row in rows if "shop/README.md" in row)
    assert f"{len(shop.events):,} events of {len(shop.users)} customers" in row

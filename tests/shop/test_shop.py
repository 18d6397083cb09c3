"""The shop does what its card says: its reasons are exact Shapley values, its log is
made by its code, it is frozen.
"""

import hashlib
import itertools
import math
from dataclasses import asdict

import numpy as np
import pytest

from xrec_utils.explain.shapley import brute_force
from xrec_utils.games.game import Game
from xrec_utils.shop import log as shop_log
from xrec_utils.shop.log import TABLES, load_shop, simulate
from xrec_utils.shop.shop import CATEGORIES, DAY, HOUR, PARTS, START, Shop, react, stars

FROZEN = "2c87934a27edbee1"
SHOP = Shop(seed=0)
NOON = START + 12 * HOUR


def code(category: str, number: int = 0) -> int:
    """The code of the n-th item of a category."""
    return int(np.flatnonzero(SHOP.category == CATEGORIES.index(category))[number])


def earlier(owned: list[int], item: int) -> float:
    return float(SHOP.earlier(owned)[item])


def test_the_parameters_are_frozen() -> None:
    """Policies and explainers are tuned on this shop: whoever changes it must say so,
    here and in the data card.
    """
    assert (
        hashlib.sha256(repr(asdict(SHOP.parameters)).encode()).hexdigest()[:16]
        == FROZEN
    )


def test_utility_is_the_sum_of_its_parts() -> None:
    customers = SHOP.customers(3, seed=1)
    parts = SHOP.parts(customers, 2, [code("printer")], NOON)
    assert tuple(parts) == PARTS and all(
        part.shape == (SHOP.n_items,) for part in parts.values()
    )
    assert np.allclose(
        SHOP.utility(customers, 2, [code("printer")], NOON), sum(parts.values())
    )


def test_rules_by_hand() -> None:
    """A need counts once, a bundle needs both, a suppressor takes away, a second device
    is worth less.
    """
    ink, stove, novel, printer = (
        code("ink"),
        code("camping stove"),
        code("novel"),
        code("printer", 3),
    )
    assert earlier([], ink) == 0
    assert (
        earlier([code("printer")], ink)
        == earlier([code("printer"), code("printer", 1)], ink)
        == 2.5
    )
    assert (
        earlier([code("tent")], stove) == 0
        and earlier([code("tent"), code("sleeping bag")], stove) == 2.5
    )
    assert earlier([code("e-reader")], novel) == -2
    assert earlier([code("printer"), code("printer", 1)], printer) == -3
    assert earlier([code("ink")], code("ink", 1)) == 0  # not durable


@pytest.mark.parametrize("names, target", [
    (["printer", "printer", "lamp", "ink"], "ink"), (["tent", "sleeping bag", "tent", "novel"], "camping stove"),
    (["tent", "tent", "sleeping bag", "sleeping bag", "sleeping bag", "camping stove"], "camping stove"),
    (["phone", "camera", "phone"], "camera"), (["lamp", "novel"], "ink"), (["tent", "tent"], "camping stove"),
])  # fmt: skip
def test_true_reasons_are_shapley_values(names: list[str], target: str) -> None:
    owned = [code(name, place) for place, name in enumerate(names)]
    item = code(target, 9)
    game = Game(
        tuple(names[i] + str(i) for i in range(len(names))),
        "earlier",
        lambda masks: np.array(
            [earlier(list(itertools.compress(owned, mask)), item) for mask in masks]
        ),
    )
    assert np.allclose(
        SHOP.true_reasons(owned, item), brute_force(game).values, atol=1e-12
    )


def test_context_by_hand() -> None:
    customers = SHOP.customers(1)
    morning, saturday = START + 7 * HOUR, START + 5 * DAY + 12 * HOUR
    beans, tent = code("coffee beans"), code("tent")
    assert SHOP.parts(customers, 0, [], morning)["hour"][beans] == 1.0
    assert SHOP.parts(customers, 0, [], START + 23 * HOUR)["hour"][beans] == 0
    assert SHOP.parts(customers, 0, [], saturday)["weekday"][tent] == 0.8
    assert SHOP.parts(customers, 0, [], NOON)["weekday"][tent] == 0


def test_reactions_follow_the_sigmoid() -> None:
    reactions = react(SHOP, np.full(40_000, 0.5), np.random.default_rng(0))
    for reaction, utility in ((1, 0.5), (2, 0.5 - SHOP.parameters.buy_threshold)):
        assert np.mean(reactions >= reaction) == pytest.approx(
            1 / (1 + math.exp(-utility)), abs=0.01
        )


def test_stars_rise_with_liking_and_ignore_the_price() -> None:
    random = np.random.default_rng(0)

    def mean(**liking: float) -> float:
        parts = {name: np.array([liking.get(name, 0.0)]) for name in PARTS}
        return float(np.mean([stars(parts, 0, random) for _ in range(500)]))

    assert mean() == pytest.approx(3, abs=0.1) and mean(category=2.0) == pytest.approx(
        4, abs=0.1
    )
    assert mean(appeal=9.0) == 5 and mean(appeal=-9.0) == 1
    assert mean(price=-3.0, base=-3.5, hour=1.0) == pytest.approx(3, abs=0.1)


def test_one_shop_meets_many_customers() -> None:
    again, other = Shop(0).customers(5, seed=0), SHOP.customers(5, seed=1)
    assert np.array_equal(again.category, SHOP.customers(5, seed=0).category)
    assert not np.allclose(again.category, other.category) and len(other) == 5
    assert not np.allclose(Shop(1).appeal, SHOP.appeal)
    assert (SHOP.customers(200).price <= 0).all()


@pytest.fixture(scope="module")
def log() -> shop_log.ShopData:
    return simulate(SHOP, n_customers=30, seed=5)


def test_every_event_sums_up(log: shop_log.ShopData) -> None:
    """The reasons of an event add up to its part `earlier`, and point to purchases of
    the same customer before it.
    """
    parts = log.parts.set_index("event")
    assert np.allclose(
        log.reasons.groupby("event")["value"].sum(),
        parts.loc[log.reasons["event"].unique(), "earlier"],
        atol=1e-3,
    )
    silent = parts.index.difference(log.reasons["event"])
    assert (parts.loc[silent, "earlier"] == 0).all()
    events = log.events.set_index("event")
    now, then = events.loc[log.reasons["event"]], events.loc[log.reasons["purchase"]]
    assert (then["behaviour"] == "purchase").all() and len(log.reasons)
    assert (now["user"].to_numpy() == then["user"].to_numpy()).all()
    assert (now["time"].to_numpy() > then["time"].to_numpy()).all()


def test_behaviours_follow_each_other(log: shop_log.ShopData) -> None:
    counts = (
        log.events.groupby(["user", "item", "behaviour"]).size().unstack(fill_value=0)
    )
    assert (counts["browse"] >= counts["purchase"]).all() and (
        counts["purchase"] >= counts["rate"]
    ).all()
    assert (log.shown["reaction"] > 0).sum() == counts["browse"].sum()
    assert (log.shown["reaction"] == 2).sum() == counts["purchase"].sum()
    assert (
        len(log.reviews) == counts["rate"].sum()
        and log.reviews["stars"].between(1, 5).all()
    )
    shown = log.shown.groupby(["user", "time"])["item"]
    assert (shown.size() % SHOP.parameters.shown == 0).all()


def test_shown_more_sells_more_without_being_liked_more() -> None:
    """The planted confounder: exposure and appeal are independent, and sales follow
    exposure.
    """
    sold = (
        load_shop()
        .purchases()
        .interactions["item"]
        .value_counts()
        .reindex(range(SHOP.n_items), fill_value=0)
    )
    assert abs(np.corrcoef(np.log(SHOP.exposure), SHOP.appeal)[0, 1]) < 0.15
    assert (
        np.corrcoef(SHOP.exposure, sold)[0, 1]
        > np.corrcoef(SHOP.appeal, sold)[0, 1] + 0.3
    )


def test_the_shipped_log_is_what_the_code_makes() -> None:
    made, shipped = simulate(Shop(seed=0), seed=0), load_shop()
    for name in TABLES:
        mine, theirs = getattr(made, name), getattr(shipped, name)
        assert list(mine.columns) == list(theirs.columns) and len(mine) == len(theirs)
        for column in mine:
            same = mine[column].to_numpy() == theirs[column].to_numpy()
            assert (
                same.all()
                if mine[column].dtype.kind not in "f"
                else np.allclose(mine[column], theirs[column])
            )


def test_purchases_are_a_data_set_for_recommenders() -> None:
    data = load_shop().purchases()
    assert (
        data.name == "shop" and not data.interactions.duplicated(["user", "item"]).any()
    )
    assert data.items["genres"].isin(CATEGORIES).all() and data.has_times


def test_a_missing_table_is_named(tmp_path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"items\.csv\.bz2 is missing.*build_shop"
    ):
        load_shop(tmp_path)

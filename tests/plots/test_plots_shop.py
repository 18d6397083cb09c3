"""The shop's figures: what they show is what is in the tables, and their alternative
texts are true.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from xrec_utils.plots import shop as plots_shop
from xrec_utils.plots import style
from xrec_utils.shop.log import ShopData, load_shop
from xrec_utils.shop.shop import PARTS, START

SHOWN, SOLD, APPEAL = (
    np.array([10, 100, 1000, 5000]),
    np.array([0, 4, 30, 200]),
    np.array([1.0, -1, 1, -1]),
)


@pytest.fixture(scope="module")
def shop() -> ShopData:
    return load_shop()


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Figure, str]]:
    """Draws, and returns the figure with its alternative text instead of showing it."""
    figures: list[tuple[Figure, str]] = []
    monkeypatch.setattr(
        style, "show", lambda figure, alt: figures.append((figure, alt))
    )

    def draw(
        function: Callable[..., None], *args: object, **options: object
    ) -> tuple[Figure, str]:
        assert function(*args, **options) is None
        figures[-1][0].canvas.draw()
        return figures[-1]

    return draw


def test_the_recorded_truth_adds_up(shop: ShopData) -> None:
    """For events with and without earlier purchases: parts and purchases together are
    the utility.
    """
    by_hand = shop.parts.set_index("event").sum(axis=1)
    for event in (0, *shop.reasons["event"].unique()[:20]):
        why = plots_shop.recorded(shop, event)
        mine = shop.reasons[shop.reasons["event"] == event]
        assert (
            why.score == pytest.approx(by_hand[event])
            and why.base == -3.5
            and abs(why.gap) < 1e-3
        )
        assert why.players[: len(PARTS) - 2] == PARTS[1:-1]
        assert why.values[len(PARTS) - 2 :].tolist() == mine["value"].tolist()
        titles = [
            player.removeprefix("owns ") for player in why.players[len(PARTS) - 2 :]
        ]
        purchases = (
            shop.events.set_index("event")
            .loc[mine["purchase"]]
            .merge(shop.items, on="item", how="left")
        )
        assert titles == purchases["title"].tolist()


def test_an_unknown_event_is_named(shop: ShopData) -> None:
    with pytest.raises(ValueError, match="event -1 is not in the log"):
        plots_shop.recorded(shop, -1)


def test_sales_has_three_panels(drawn: Callable[..., tuple[Figure, str]]) -> None:
    figure, alt = drawn(plots_shop.sales, SOLD, SHOWN, APPEAL, "What is shown sells.")
    assert alt == (
        "What is shown sells. Three scatter plots of 4 items; rank correlations 1 of pieces sold with times shown, "
        "−0.447 of pieces sold with appeal (logits) and −0.943 of sold per 100 showings with appeal (logits)."
    )
    for axes, x, y in zip(
        figure.axes,
        (SHOWN, APPEAL, APPEAL),
        (SOLD, SOLD, 100 * SOLD / SHOWN),
        strict=True,
    ):
        np.testing.assert_allclose(
            axes.collections[0].get_offsets(), np.column_stack([x, y])
        )
        assert (
            axes.get_xlabel()
            and axes.get_ylabel()
            and axes.get_ylim()[0] < 0 < max(y) < axes.get_ylim()[1]
        )
    assert [axes.get_title() for axes in figure.axes] == [
        f"rank correlation {r}" for r in ("1", "−0.447", "−0.943")
    ]
    assert {"10", "1,000"} <= {
        label.get_text() for label in figure.axes[0].get_xticklabels()
    }
    assert {"0", "10", "100"} <= {
        label.get_text() for label in figure.axes[0].get_yticklabels()
    }


def test_hours_are_those_of_a_loop(
    shop: ShopData, drawn: Callable[..., tuple[Figure, str]]
) -> None:
    grid = plots_shop.hourly(shop)
    figure, alt = drawn(plots_shop.hours, shop, "Novels sell in the evening")
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), grid.to_numpy())
    assert "14 by 18 numbers" in alt
    novels = set(shop.items.loc[shop.items["category"] == "novel", "item"])
    seen = [
        (pd.Timestamp(row.time, unit="s").hour, row.reaction == 2)
        for row in shop.shown.itertuples()
        if row.item in novels
    ]
    at_20 = [bought for hour, bought in seen if hour == 20]
    expected = 100 * (np.mean(at_20) - np.mean([bought for _, bought in seen]))
    assert grid.loc["novel", 20] == pytest.approx(expected) and START % 86_400 == 0

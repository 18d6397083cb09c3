"""Figures of the shop's log: what sells and why, when it sells, and the recorded truth
about one event. See `plots`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from xrec_utils.games import Explanation
from xrec_utils.plots import weight_heatmap
from xrec_utils.plots_base import PALETTE, canvas, listed, number, rank_correlation
from xrec_utils.shop import HOUR, PARTS, START
from xrec_utils.shop_log import ShopData


def recorded(shop: ShopData, event: int) -> Explanation:
    """The true reasons of an event as the log records them: every part of its utility,
    in logits.

    The part `earlier` is split into the customer's earlier purchases; base is the part
    `base`.

    Raises:
        ValueError: no such event.
    """
    rows = shop.events[shop.events["event"] == event].merge(shop.items, on="item")
    if rows.empty:
        raise ValueError(
            f"event {event} is not in the log; the column `event` of shop.events has the numbers."
        )
    parts = shop.parts[shop.parts["event"] == event].iloc[0][list(PARTS)]
    reasons = shop.reasons[shop.reasons["event"] == event]
    items = shop.events.set_index("event").loc[reasons["purchase"], "item"]
    owned = pd.Series(
        reasons["value"].to_numpy(),
        index="owns " + shop.items.set_index("item").loc[items, "title"],
    )
    values = pd.concat([parts.drop(["base", "earlier"]), owned])
    target = f"utility of {rows['title'][0]}"
    return Explanation(
        tuple(values.index),
        target,
        values.to_numpy(),
        parts["base"],
        parts.sum(),
        "recorded truth",
    )


def sales(
    sold: np.ndarray,
    shown: np.ndarray,
    appeal: np.ndarray,
    title: str,
    alt: str | None = None,
) -> None:
    """Draw pieces sold against showings and against appeal, and pieces per showing
    against appeal, side by side.

    sold, shown, appeal: (n items,). Above each panel stands its rank correlation.
    """
    share = 100 * np.asarray(sold) / np.asarray(shown)
    panels = (("times shown", shown, "pieces sold", sold), ("appeal (logits)", appeal, "pieces sold", sold),
              ("appeal (logits)", appeal, "sold per 100 showings", share))  # fmt: skip
    rho = [number(rank_correlation(x, y)) for _, x, _, y in panels]
    spoken = listed(
        [f"{r} of {y} with {x}" for r, (x, _, y, _) in zip(rho, panels, strict=True)]
    )
    alt = (
        alt
        or f"{title.rstrip('.')}. Three scatter plots of {len(sold)} items; rank correlations {spoken}."
    )
    with canvas(title, alt, width=10, height=3.8, panels=3) as drawn:
        for axes, r, (xlabel, x, ylabel, y) in zip(drawn, rho, panels, strict=True):
            axes.scatter(x, y, s=16, lw=0, alpha=0.6, color=PALETTE[0])
            axes.set_title(f"rank correlation {r}")
            axes.set_yscale("symlog", linthresh=1)  # logarithmic, with room for zero
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
            axes.set_ylim(-0.3, 1.6 * max(y))
            axes.set_xlabel(xlabel)
            axes.set_ylabel(ylabel)
        drawn[0].set_xscale("log")
        drawn[0].xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def hours(shop: ShopData, title: str, alt: str | None = None) -> None:
    """Draw how many of 100 showings end in a purchase, by category and hour of the
    visit, minus the category's mean.
    """
    grid = hourly(shop)
    weight_heatmap(
        grid.to_numpy(), rows=list(grid.index), columns=[str(hour) for hour in grid], xlabel="hour of the visit",
        ylabel="category", label="bought per 100 showings, minus mean", title=title, alt=alt,
    )  # fmt: skip


def hourly(shop: ShopData) -> pd.DataFrame:
    """Purchases per 100 showings, minus the category's mean: one line per category, one
    column per hour.
    """
    seen = shop.shown.merge(shop.items, on="item")
    bought = 100.0 * (seen["reaction"] == 2)
    grid = (
        bought.groupby([seen["category"], (seen["time"] - START) // HOUR % 24])
        .mean()
        .unstack()
    )
    return grid.sub(bought.groupby(seen["category"]).mean(), axis=0)

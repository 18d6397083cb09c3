"""Figures of the shop's log: what sells, when, and the recorded truth of one event.

See `plots`.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from xrec_utils.games.explanation import Explanation
from xrec_utils.plots.learning import weight_heatmap
from xrec_utils.plots.style import (
    BLUE,
    canvas,
    listed,
    number,
    plain_ticks,
    rank_correlation,
)
from xrec_utils.shop.log import ShopData
from xrec_utils.shop.shop import HOUR, PARTS, START


def recorded(shop: ShopData, event: int) -> Explanation:
    """The true reasons of an event, as the log records them.

    The players are the parts of the event's utility; the part `earlier` is split into
    the customer's earlier purchases, and the part `base` is the explanation's base.

    Args:
        shop: the log.
        event: an event's number, from the column `event` of shop.events.

    Returns:
        The values of all parts, in logits; their sum is the event's utility.

    Raises:
        ValueError: no such event.

    Example:
        >>> from types import SimpleNamespace
        >>> reason = {"event": [1], "purchase": [0], "value": [0.5]}
        >>> shop = SimpleNamespace(
        ...     events=pd.DataFrame({"event": [0, 1], "item": [5, 6]}),
        ...     items=pd.DataFrame({"item": [5, 6], "title": ["Dune", "Emma"]}),
        ...     parts=pd.DataFrame({"event": [0, 1], **dict.fromkeys(PARTS, 0.5)}),
        ...     reasons=pd.DataFrame(reason),
        ... )
        >>> why = recorded(shop, 1)
        >>> why.target, why.players[-1], why.values.tolist()[-1]
        ('utility of Emma', 'owns Dune', 0.5)
        >>> float(why.score)
        4.0
    """
    rows = shop.events[shop.events["event"] == event].merge(shop.items, on="item")
    if rows.empty:
        raise ValueError(
            f"event {event} is not in the log; "
            "the column `event` of shop.events has the numbers."
        )
    parts = shop.parts[shop.parts["event"] == event].iloc[0][list(PARTS)]
    # each earlier purchase with what it adds, under the title of what was bought
    reasons = shop.reasons[shop.reasons["event"] == event]
    items = shop.events.set_index("event").loc[reasons["purchase"], "item"]
    titles = shop.items.set_index("item").loc[items, "title"]
    owned = pd.Series(reasons["value"].to_numpy(), index="owns " + titles)
    values = pd.concat([parts.drop(["base", "earlier"]), owned])
    return Explanation(
        players=tuple(values.index),
        target=f"utility of {rows['title'][0]}",
        values=values.to_numpy(),
        base=parts["base"],
        score=parts.sum(),
        method="recorded truth",
    )


def sales(
    sold: np.ndarray,
    shown: np.ndarray,
    appeal: np.ndarray,
    title: str,
) -> None:
    """Draw what sells: pieces against showings and appeal, and pieces per showing.

    Three panels side by side; above each stands its rank correlation.

    Args:
        sold: (n items,) pieces sold.
        shown: (n items,) how often each was shown, at least once.
        appeal: (n items,) what the shop's world gave each item, in logits.
        title: the figure's message.

    Example:
        >>> sales([1, 2, 9], [10, 10, 30], [0.1, 0.2, 0.3], "Appeal sells.")
        ... # doctest: +NORMALIZE_WHITESPACE
        Appeal sells. Three scatter plots of 3 items; rank correlations 0.866 of pieces
        sold with times shown, 1 of pieces sold with appeal (logits) and 1 of sold per
        100 showings with appeal (logits).
    """
    # arrays: two Series would be divided by their index
    share = 100 * np.asarray(sold) / np.asarray(shown)
    panels = (
        ("times shown", shown, "pieces sold", sold),
        ("appeal (logits)", appeal, "pieces sold", sold),
        ("appeal (logits)", appeal, "sold per 100 showings", share),
    )
    strengths = [number(rank_correlation(x, y)) for _, x, _, y in panels]
    spoken = [
        f"{rho} of {ylabel} with {xlabel}"
        for rho, (xlabel, _, ylabel, _) in zip(strengths, panels, strict=True)
    ]
    with canvas(
        title=title,
        alt=f"{title.rstrip('.')}. Three scatter plots of {len(sold)} items; "
        f"rank correlations {listed(spoken)}.",
        width=10,
        height=3.8,
        panels=3,
    ) as drawn:
        grid = zip(drawn, strengths, panels, strict=True)
        for axes, rho, (xlabel, x, ylabel, y) in grid:
            _draw_items(axes, x, y)
            axes.set(title=f"rank correlation {rho}", xlabel=xlabel, ylabel=ylabel)
        # so that items seldom shown can be told apart
        drawn[0].set_xscale("log")
        plain_ticks(drawn[0].xaxis)


def _draw_items(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Draw a dot per item, y on a logarithmic scale with room for zero."""
    axes.scatter(x, y, s=16, lw=0, alpha=0.6, color=BLUE)
    axes.set_yscale("symlog", linthresh=1)
    plain_ticks(axes.yaxis)
    axes.set_ylim(-0.3, 1.6 * max(y))


def hours(shop: ShopData, title: str) -> None:
    """Draw when what sells: a heatmap of `hourly`.

    Args:
        shop: the log.
        title: the figure's message.

    Example:
        >>> from types import SimpleNamespace
        >>> shown = {"item": [0, 0], "reaction": [2, 0], "time": [START, START + HOUR]}
        >>> items = {"item": [0], "category": ["book"]}
        >>> shop = SimpleNamespace(
        ...     shown=pd.DataFrame(shown), items=pd.DataFrame(items)
        ... )
        >>> hours(shop, "Books sell at midnight")  # doctest: +NORMALIZE_WHITESPACE
        Heatmap of 1 by 2 numbers (bought per 100 showings, minus mean). The strongest
        is 50, from book to 0; 50% are positive.
    """
    grid = hourly(shop)
    weight_heatmap(
        grid.to_numpy(),
        title,
        xlabel="hour of the visit",
        ylabel="category",
        rows=list(grid.index),
        columns=[str(hour) for hour in grid],
        label="bought per 100 showings, minus mean",
    )


def hourly(shop: ShopData) -> pd.DataFrame:
    """Purchases per 100 showings by category and hour, minus the category's mean.

    Args:
        shop: the log.

    Returns:
        A line per category, a column per hour of the day in which something was shown.

    Example:
        >>> from types import SimpleNamespace
        >>> shown = {"item": [0, 0], "reaction": [2, 0], "time": [START, START + HOUR]}
        >>> items = {"item": [0], "category": ["book"]}
        >>> shop = SimpleNamespace(
        ...     shown=pd.DataFrame(shown), items=pd.DataFrame(items)
        ... )
        >>> hourly(shop).loc["book"].tolist()
        [50.0, -50.0]
    """
    seen = shop.shown.merge(shop.items, on="item")
    category = seen["category"]
    bought = 100.0 * (seen["reaction"] == 2)  # 2: a purchase
    hour = (seen["time"] - START) // HOUR % 24
    grid = bought.groupby([category, hour]).mean().unstack()
    return grid.sub(bought.groupby(category).mean(), axis=0)

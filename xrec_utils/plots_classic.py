"""Figures of the classic recommenders: how two measures order the same models, and what
a rank is worth to each.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from xrec_utils.plots import weight_heatmap
from xrec_utils.plots_base import GREY, MARKERS, PALETTE, VERMILION, canvas, listed


def reasons_by_model(weights: pd.DataFrame, title: str, k: int = 12) -> None:
    """Draw a heatmap of the k largest reasons: a line per film, a column per model,
    divided by its largest.
    """
    shares = weights / weights.max()
    shown = shares.loc[shares.abs().mean(axis=1).nlargest(k).index]
    rows, columns = (list(map(str, axis)) for axis in shown.axes)
    weight_heatmap(
        shown.to_numpy(),
        title,
        "model",
        "film seen",
        rows,
        columns,
        "share of the model's largest reason",
    )


def two_orders(table: pd.DataFrame, title: str, alt: str | None = None) -> None:
    """Draw two columns of a table as two orders of its lines, best on top, a line per
    name.

    Vermilion are those that stand in another place on the right. Raises ValueError
    unless there are two columns.
    """
    if table.shape[1] != 2:
        raise ValueError(f"two_orders compares two columns, got {list(table.columns)}")
    places = table.rank(ascending=False, method="first").to_numpy()
    moved = [
        str(name)
        for name, (left, right) in zip(table.index, places, strict=True)
        if left != right
    ]
    orders = [
        listed([str(name) for name in table[column].sort_values(ascending=False).index])
        for column in table
    ]
    alt = (
        alt
        or f"{title}. Best first by {table.columns[0]}: {orders[0]}; by {table.columns[1]}: {orders[1]}."
    )
    with canvas(title, alt, height=1.2 + 0.36 * len(table), note="best on top") as axes:
        for name, values, ends in zip(
            table.index, table.to_numpy(), places, strict=True
        ):
            colour = VERMILION if str(name) in moved else GREY
            axes.plot([0, 1], ends, "o-", color=colour, lw=2)
            axes.text(
                -0.04,
                ends[0],
                f"{name}  {values[0]:.3f}",
                ha="right",
                va="center",
                color=colour,
            )
            axes.text(
                1.04,
                ends[1],
                f"{values[1]:.3f}  {name}",
                ha="left",
                va="center",
                color=colour,
            )
        axes.set(xlim=(-0.9, 1.9), ylim=(len(table) + 0.6, 0.4), yticks=[])
        axes.set_xticks([0, 1], table.columns)
        axes.grid(False)


def gain_by_rank(
    gains: Mapping[str, np.ndarray],
    title: str,
    ylabel: str = "gain",
    alt: str | None = None,
) -> None:
    """Draw what each true rank 1, 2, ... is worth: {name: gains (ranks,)}, ranks on a
    log scale.
    """
    lasts = [
        int(np.flatnonzero(np.asarray(gain) > 0.01)[-1]) + 1 for gain in gains.values()
    ]
    reach = listed(
        [f"{name} to rank {last}" for name, last in zip(gains, lasts, strict=True)]
    )
    alt = alt or f"{title}. A gain above 0.01 reaches: {reach}."
    with canvas(title, alt) as axes:
        for number, (name, gain) in enumerate(gains.items()):
            ranks = np.arange(1, len(gain) + 1)
            style = {
                "color": PALETTE[number],
                "marker": MARKERS[number],
                "markevery": 0.1,
                "lw": 2,
            }
            axes.plot(ranks, gain, label=name, **style)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set(
            xlabel="rank among all films the user has not seen (log scale)",
            ylabel=ylabel,
        )
        axes.legend(frameon=False)

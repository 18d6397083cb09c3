"""The figure of comparisons: means with intervals, and published values beside them.

See `plots`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from xrec_utils.plots_base import GREY, MARKERS, PALETTE, canvas, listed, number


def ranges(
    table: pd.DataFrame,
    title: str,
    xlabel: str,
    published: pd.DataFrame | None = None,
    alt: str | None = None,
) -> None:
    """Draw a mean with its interval per line and group, and zero as a line.

    Lines and groups come in the order they first appear in.

    Args:
        table: a row per mean, with the columns line, group, mean, low, high.
        title: the figure's message.
        xlabel: what the means are.
        published: what others published, as hollow grey marks below the means; columns
            line, group, value, as many rows per line and group as there are values.
        alt: alternative text; without it, the title and each line's means.

    Example:
        >>> row = {"line": "GRU", "group": "AUC", "mean": 0.1, "low": 0.0, "high": 0.2}
        >>> ranges(pd.DataFrame([row]), "It helps.", "gain")
        It helps. Dots with 95% intervals of gain. GRU: AUC 0.1.
    """
    lines = table["line"].unique()
    groups = table["group"].unique()
    others = [] if published is None else published["group"].unique()
    # every group has a height of its own within a line
    count = len(groups) + len(others)
    heights = np.linspace(-0.32, 0.32, count) * (count > 1)
    steps = dict(zip([*groups, *others], heights, strict=True))
    alt = alt or (
        f"{title.rstrip('.')}. Dots with 95% intervals of {xlabel}. {_spoken(table)}."
    )
    height = 1.3 + 0.24 * len(lines) * (1 + len(steps))
    with canvas(title, alt, width=8.6, height=height) as axes:
        places = {line: place for place, line in enumerate(lines)}
        _draw_means(axes, table, places, steps)
        if published is not None:
            _draw_published(axes, published, places, steps)
        axes.axvline(0, color=GREY, lw=1)
        axes.set(xlabel=xlabel, yticks=range(len(lines)), yticklabels=lines)
        axes.set_ylim(len(lines) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def _draw_means(
    axes: Axes,
    table: pd.DataFrame,
    places: Mapping[str, int],
    steps: Mapping[str, float],
) -> None:
    """Draw the means of each group with their intervals."""
    for n, group in enumerate(table["group"].unique()):
        rows = table[table["group"] == group]
        mean = rows["mean"]
        y = rows["line"].map(places) + steps[group]
        # an interval need not reach equally far to both sides
        ends = (mean - rows["low"], rows["high"] - mean)
        style = {"fmt": MARKERS[n], "color": PALETTE[n], "label": group}
        axes.errorbar(mean, y, xerr=ends, capsize=3, ms=7, **style)


def _draw_published(
    axes: Axes,
    published: pd.DataFrame,
    places: Mapping[str, int],
    steps: Mapping[str, float],
) -> None:
    """Draw what others published, hollow and grey."""
    for n, group in enumerate(published["group"].unique()):
        rows = published[published["group"] == group]
        y = rows["line"].map(places) + steps[group]
        style = {"marker": MARKERS[n], "fc": "white", "ec": GREY, "label": group}
        axes.scatter(rows["value"], y, s=44, **style)


def _spoken(table: pd.DataFrame) -> str:
    """Each line's means in words."""
    spoken = []
    for line, rows in table.groupby("line", sort=False):
        means = [f"{row.group} {number(row.mean)}" for row in rows.itertuples()]
        spoken.append(f"{line}: {listed(means)}")
    return "; ".join(spoken)

"""The figure of comparisons: means with their intervals, and what others published
beside them. See `plots`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from xrec_utils.plots_base import GREY, MARKERS, PALETTE, canvas, listed, number


def ranges(
    table: pd.DataFrame,
    title: str,
    xlabel: str,
    published: pd.DataFrame | None = None,
    alt: str | None = None,
) -> None:
    """Draw a mean with its interval per line and group, zero as a line; `published`
    values as hollow grey marks below.

    table: a row each, columns line, group, mean, low, high. published: columns line,
    group, value, several rows per line and group. Lines and groups come in the order
    they first appear in.
    """
    lines, groups = table["line"].unique(), table["group"].unique()
    others = [] if published is None else published["group"].unique()
    places = {line: place for place, line in enumerate(lines)}
    count = len(groups) + len(others)
    steps = dict(
        zip(
            [*groups, *others],
            np.linspace(-0.32, 0.32, count) * (count > 1),
            strict=True,
        )
    )
    alt = (
        alt
        or f"{title.rstrip('.')}. Dots with 95% intervals of {xlabel}. {_spoken(table)}."
    )
    with canvas(
        title, alt, width=8.6, height=1.3 + 0.24 * len(lines) * (1 + len(steps))
    ) as axes:
        for n, group in enumerate(groups):
            rows = table[table["group"] == group]
            ends = (rows["mean"] - rows["low"], rows["high"] - rows["mean"])
            at = rows["line"].map(places) + steps[group]
            axes.errorbar(
                rows["mean"],
                at,
                xerr=ends,
                fmt=MARKERS[n],
                color=PALETTE[n],
                label=group,
                capsize=3,
                ms=7,
            )
        for n, group in enumerate(others):
            rows = published[published["group"] == group]
            at = rows["line"].map(places) + steps[group]
            axes.scatter(
                rows["value"],
                at,
                s=44,
                marker=MARKERS[n],
                fc="white",
                ec=GREY,
                label=group,
            )
        axes.axvline(0, color=GREY, lw=1)
        axes.set(
            xlabel=xlabel,
            yticks=range(len(lines)),
            yticklabels=lines,
            ylim=(len(lines) - 0.5, -0.5),
        )
        axes.grid(visible=False, axis="y")
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def _spoken(table: pd.DataFrame) -> str:
    """Each line's means in words."""
    return "; ".join(
        f"{line}: {listed([f'{row.group} {number(row.mean)}' for row in rows.itertuples()])}"
        for line, rows in table.groupby("line", sort=False)
    )

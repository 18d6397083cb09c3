"""Figures of a service: how reasons add up, where time goes, what grows with what.

See `plots`.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from xrec_utils.plots.style import (
    BELOW,
    BLACK,
    GREY,
    NEGATIVE,
    PALETTE,
    POSITIVE,
    YELLOW,
    beside,
    canvas,
    columns_chart,
    listed,
    name_rows,
    named,
    number,
    plain_ticks,
    shortened,
)


def waterfall(base: float, parts: Mapping[str, float], title: str) -> None:
    """Draw how parts lead from a base to the score.

    Each part is a bar that begins where the one above it ends.

    Args:
        base: the score of the empty history.
        parts: {name: what it adds}.
        title: the figure's message.

    Example:
        >>> waterfall(-1.0, {"Alien": 2.0, "Heat": -0.5}, "Alien decides")
        Bars that add up: base -1.000, Alien +2.000, Heat -0.500, score 0.500.
    """
    values = np.array([base, *parts.values()])
    ends = values.cumsum()
    spoken = [f"{name} {value:+.3f}" for name, value in parts.items()]
    names = ["base: the empty history", *parts, "score"]
    # the last bar, the score, begins at zero again
    lefts = np.append(ends - values, 0)
    widths = np.append(values, ends[-1])
    with canvas(
        title=title,
        alt=f"Bars that add up: base {base:.3f}, {', '.join(spoken)}, score {ends[-1]:.3f}.",
        width=9,
        height=1 + 0.42 * len(names),
        xlabel="score",
    ) as axes:
        _draw_steps(axes, lefts, widths)
        name_rows(axes, shortened(names))
        axes.margins(x=0.12)  # room for the numbers beside the bars
        axes.grid(False, axis="y")


def _draw_steps(axes: Axes, lefts: np.ndarray, widths: np.ndarray) -> None:
    """Draw bars between two totals, and behind each its number."""
    signs = np.where(widths > 0, POSITIVE, NEGATIVE)
    axes.barh(
        range(len(widths)),
        widths,
        left=lefts,
        color=[GREY, *signs[1:-1], BLACK],
    )
    for row, (left, width) in enumerate(zip(lefts, widths, strict=True)):
        end = max(left, left + width)
        beside(
            axes,
            (end, row),
            number(width, "+.2f"),
            away=(4, 0),
            va="center",
        )


def budget(table: pd.DataFrame, title: str) -> None:
    """Draw milliseconds as stacked bars.

    Args:
        table: milliseconds; a line per bar, a column per step, in their order, at most
            eight steps.
        title: the figure's message.

    Example:
        >>> table = pd.DataFrame({"parse": [1], "score": [20]}, index=["EASE"])
        >>> budget(table, "Most time goes to the score")
        Stacked bars of milliseconds. EASE: parse 1, score 20.
    """
    spoken = [f"{name}: {', '.join(named(row))}" for name, row in table.iterrows()]
    # each step begins where the sum of those before it ends
    starts = table.cumsum(axis=1) - table
    with canvas(
        title=title,
        alt=f"Stacked bars of milliseconds. {'; '.join(spoken)}.",
        width=9,
        height=1.6 + 0.6 * len(table),
        xlabel="milliseconds, on this machine",
        ylim=(len(table) - 0.4, -0.6),
    ) as axes:
        for place, step in enumerate(table):
            axes.barh(
                table.index,
                table[step],
                left=starts[step],
                # bars are wide, so that yellow can be seen as well
                color=[*PALETTE, YELLOW][place],
                ec="white",
                label=step,
            )
        axes.grid(False, axis="y")
        axes.figure.legend(**BELOW, ncols=4)


def latency_curves(panels: Mapping[str, pd.DataFrame], title: str) -> None:
    """Draw tables as lines against their index, a panel each.

    Args:
        panels: {label of the y-axis: table}, a line per column; the index is named and
            goes up by doubling.
        title: the figure's message.

    Example:
        >>> clients = pd.Index([1, 2], name="clients")
        >>> table = pd.DataFrame({"EASE": [10, 15]}, index=clients)
        >>> latency_curves({"milliseconds": table}, "Two take longer")
        Line charts: milliseconds, EASE: 10 at 1 to 15 at 2.
    """
    spoken = []
    for label, table in panels.items():
        first, last = table.index[[0, -1]]
        for name, line in table.items():
            start = f"{number(line[first])} at {first}"
            end = f"{number(line[last])} at {last}"
            spoken.append(f"{label}, {name}: {start} to {end}")
    with canvas(
        title=title,
        alt=f"Line charts: {listed(spoken)}.",
        width=4 + 3.5 * len(panels),
        height=3.8,
        panels=len(panels),
        ylim=(0, None),
    ) as drawn:
        grid = np.atleast_1d(drawn)
        for axes, (label, table) in zip(grid, panels.items(), strict=True):
            _draw_doubling(axes, table)
            axes.set(xlabel=table.index.name, ylabel=label)


def _draw_doubling(axes: Axes, table: pd.DataFrame) -> None:
    """Draw a line per column on a scale of doublings, all of whose steps are named."""
    columns_chart(axes, table)
    # each step doubles: so the steps are equally far apart
    axes.set_xscale("log", base=2)
    axes.set_xticks(table.index)
    plain_ticks(axes.xaxis)
    # what a single line is, the y-axis says
    if table.shape[1] > 1:
        axes.legend(frameon=False)

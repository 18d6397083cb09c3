"""Figures of a service: how reasons add up to a score, where the milliseconds go, what
grows with what. See `plots`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from xrec_utils.plots_base import (
    BLACK,
    GREY,
    MARKERS,
    NEGATIVE,
    PALETTE,
    POSITIVE,
    YELLOW,
    canvas,
    listed,
    number,
    shorten,
)  # fmt: skip


def waterfall(
    base: float, parts: Mapping[str, float], title: str, alt: str | None = None
) -> None:
    """Draw how `parts` lead from `base` to the score, a bar per part from where the one
    above it ends.
    """
    values = np.array([base, *parts.values()])
    ends = values.cumsum()
    names = ["base: the empty history", *parts, "score"]
    said = [f"{name} {value:+.3f}" for name, value in parts.items()]
    alt = (
        alt
        or f"Bars that add up: base {base:.3f}, {', '.join(said)}, score {ends[-1]:.3f}."
    )
    lefts, widths = np.append(ends - values, 0), np.append(values, ends[-1])
    colours = [
        GREY,
        *(POSITIVE if value > 0 else NEGATIVE for value in parts.values()),
        BLACK,
    ]
    with canvas(title, alt, width=9, height=1 + 0.42 * len(names)) as axes:
        axes.barh(range(len(names)), widths, left=lefts, color=colours)
        for row, (left, width) in enumerate(zip(lefts, widths, strict=True)):
            axes.annotate(f"{width:+.2f}".replace("-", "−"), (max(left, left + width), row), xytext=(4, 0),
                          textcoords="offset points", va="center")  # fmt: skip
        axes.set_yticks(range(len(names)), [shorten(name) for name in names])
        axes.margins(x=0.12)
        axes.grid(False, axis="y")
        axes.set(xlabel="score", ylim=(len(names) - 0.4, -0.6))


def budget(table: pd.DataFrame, title: str, alt: str | None = None) -> None:
    """Draw milliseconds as stacked bars: a line of the table per bar, a column per
    step, in their order.
    """
    said = [
        f"{name}: " + ", ".join(f"{step} {number(ms)}" for step, ms in row.items())
        for name, row in table.iterrows()
    ]
    alt = alt or f"Stacked bars of milliseconds. {'; '.join(said)}."
    with canvas(title, alt, width=9, height=1.6 + 0.6 * len(table)) as axes:
        for place, (step, left) in enumerate(
            zip(table, (table.cumsum(axis=1) - table).to_numpy().T, strict=True)
        ):
            axes.barh(
                table.index,
                table[step],
                left=left,
                color=[*PALETTE, YELLOW][place],
                ec="white",
                label=step,
            )
        axes.set(xlabel="milliseconds, on this machine", ylim=(len(table) - 0.4, -0.6))
        axes.grid(False, axis="y")
        axes.figure.legend(loc="outside lower center", ncols=4, frameon=False)


def curves(
    panels: Mapping[str, pd.DataFrame], title: str, alt: str | None = None
) -> None:
    """Draw {label of the y-axis: table}, a panel each: a line per column against the
    index, which doubles.
    """
    said = [
        f"{label}, {name}: "
        + " to ".join(
            f"{number(line[x])} at {x}" for x in (table.index[0], table.index[-1])
        )
        for label, table in panels.items()
        for name, line in table.items()
    ]
    with canvas(
        title,
        alt or f"Line charts: {listed(said)}.",
        4 + 3.5 * len(panels),
        3.8,
        len(panels),
    ) as grid:
        for axes, (label, table) in zip(
            np.atleast_1d(grid), panels.items(), strict=True
        ):
            for place, (name, line) in enumerate(table.items()):
                axes.plot(
                    table.index,
                    line,
                    color=PALETTE[place],
                    marker=MARKERS[place],
                    label=name,
                )
            axes.set_xscale("log", base=2)
            axes.set_xticks(table.index, [f"{x:,}" for x in table.index])
            axes.set(xlabel=table.index.name, ylabel=label, ylim=(0, None))
            if table.shape[1] > 1:
                axes.legend(frameon=False)

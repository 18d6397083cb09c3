"""Figures of estimated Shapley values: what errors cost, whether stated errors hold,
the law of a sum. See `plots`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullFormatter

from xrec_utils.games import Explanation
from xrec_utils.plots_base import (
    BLACK,
    GREY,
    MARKERS,
    PALETTE,
    SKY,
    canvas,
    listed,
    number,
    shorten,
)

Curve = tuple[np.ndarray, np.ndarray]


def error_curves(
    panels: Mapping[str, Mapping[str, Curve]],
    xlabel: str,
    title: str,
    ylabel: str = "relative error",
    alt: str | None = None,
) -> None:
    """Draw errors against what they cost on log scales: {panel: {method: (cost,
    error)}}, one legend for all panels.

    A dashed line marks the error of answering zero, 1, where a method comes near it.
    """
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    ends = [
        f"{panel}: {listed([_ends(name, *curve) for name, curve in curves.items()])}"
        for panel, curves in panels.items()
    ]
    alt = (
        alt
        or f"Line chart of the {ylabel} against {xlabel}, both on log scales. {'; '.join(ends)}."
    )
    with canvas(title, alt, 5 + 2.5 * len(panels), 4.4, len(panels)) as axes:
        for axis, (panel, curves) in zip(
            np.atleast_1d(axes), panels.items(), strict=True
        ):
            for name, (cost, error) in curves.items():
                place = names.index(name)
                style = {
                    "color": PALETTE[place % 7],
                    "marker": MARKERS[place % 7],
                    "ls": "-" if place < 7 else "--",
                }
                axis.loglog(cost, error, label=name, **style)
            if max(np.max(error) for _, error in curves.values()) > 0.5:
                axis.axhline(1, color=GREY, lw=1.2, ls="--", zorder=0)
            axis.set_title(panel)
            axis.set_xlabel(xlabel)
            for side in (axis.xaxis, axis.yaxis):
                _plain(side)
        first = np.atleast_1d(axes)[0]
        handles = {
            line.get_label(): line for axis in first.figure.axes for line in axis.lines
        }
        first.set_ylabel(ylabel)
        first.figure.legend([handles[name] for name in names], names, loc="outside lower center",
                            ncols=min(3, 1 + len(panels)), frameon=False)  # fmt: skip


def estimates(
    truth: np.ndarray,
    found: Mapping[str, Explanation],
    title: str | None = None,
    alt: str | None = None,
) -> None:
    """Draw, per player, the true value (n,) as a black line and each estimate with 2 of
    its standard errors.
    """
    held = {
        name: int((np.abs(each.values - truth) <= 2 * each.error).sum())
        for name, each in found.items()
    }
    said = listed(
        [f"{count} of {len(truth)} by {name}" for name, count in held.items()]
    )
    alt = (
        alt
        or f"Dot chart of Shapley values with 2 standard errors beside the true values; they hold {said}."
    )
    players = next(iter(found.values())).players
    title = title or f"Two standard errors hold the truth for {said}"
    with canvas(title, alt, height=1.9 + 0.34 * len(truth)) as axes:
        rows = np.arange(len(truth))
        axes.scatter(
            truth,
            rows,
            marker="|",
            s=420,
            color=BLACK,
            label="truth (all groups)",
            zorder=3,
        )
        for place, (name, each) in enumerate(found.items()):
            y = rows + 0.36 * ((place + 0.5) / len(found) - 0.5)
            axes.errorbar(each.values, y, xerr=2 * each.error, fmt=MARKERS[place], color=PALETTE[place], label=name,
                          capsize=3, ms=5)  # fmt: skip
        axes.axvline(0, color=GREY, lw=1)
        axes.set_yticks(rows, [shorten(player) for player in players])
        axes.set_ylim(len(truth) - 0.4, -0.6)
        axes.set_xlabel("effect on the score, ± 2 standard errors")
        axes.set_ylabel("reason")
        axes.figure.legend(loc="outside lower center", ncols=3, frameon=False)


def law_of_sum(
    sums: np.ndarray,
    laws: Mapping[str, np.ndarray],
    places: np.ndarray,
    xlabel: str,
    title: str,
) -> None:
    """Draw drawn sums (m,) as a histogram, and densities {name: (k,)} at `places` (k,)
    as lines.
    """
    spoken = [
        f"{name} highest at {number(places[np.argmax(law)])}"
        for name, law in laws.items()
    ]
    alt = f"{title}. Histogram of {len(sums):,} sums around {number(np.mean(sums))}, with densities: {listed(spoken)}."
    with canvas(title, alt, height=3.8) as axes:
        axes.hist(
            sums,
            bins=60,
            density=True,
            color=SKY,
            alpha=0.6,
            label=f"{len(sums):,} random groups",
        )
        for place, (name, law) in enumerate(laws.items()):
            axes.plot(
                places,
                law,
                color=PALETTE[(5, 6)[place % 2]],
                ls=("--", "-")[place % 2],
                lw=2,
                label=name,
            )
        axes.set_xlabel(xlabel)
        axes.set_ylabel("density")
        axes.legend(frameon=False)


def _plain(side: Axis) -> None:
    """Plain numbers on a log scale: every decade, and threes between them where there
    are few decades.
    """
    low, high = side.get_view_interval()
    side.set_major_locator(LogLocator(subs=(1,) if high > 300 * low else (1, 3)))
    side.set_major_formatter(lambda value, _: f"{value:g}")
    side.set_minor_formatter(NullFormatter())


def _ends(name: str, cost: np.ndarray, error: np.ndarray) -> str:
    cost, error = np.asarray(cost), np.asarray(error)
    first, last = np.argmin(cost), np.argmax(cost)
    return f"{name} {number(error[first])} at {number(cost[first])}, {number(error[last])} at {number(cost[last])}"

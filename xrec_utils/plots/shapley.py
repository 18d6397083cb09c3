"""Figures of estimated Shapley values: the cost of errors, their truth, a sum's law.

See `plots`.
"""

from collections.abc import Mapping
from itertools import chain, cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullFormatter

from xrec_utils.games.explanation import Explanation
from xrec_utils.plots.style import (
    BELOW,
    BLACK,
    GREY,
    MARKERS,
    PALETTE,
    SKY,
    VERMILION,
    canvas,
    dashed,
    listed,
    name_rows,
    named,
    number,
    shortened,
)

Curve = tuple[np.ndarray, np.ndarray]  # cost (n,) and error (n,)


def error_curves(
    panels: Mapping[str, Mapping[str, Curve]],
    xlabel: str,
    title: str,
    ylabel: str = "relative error",
) -> None:
    """Draw errors against what they cost, both on log scales.

    A panel per problem, one legend for all. A dashed line marks an error of 1, that of
    answering zero, where a method comes near it.

    Args:
        panels: {panel: {method: (cost (n,), error (n,))}}.
        xlabel: what the cost is.
        title: the figure's message.
        ylabel: what the error is.

    Example:
        >>> curves = {"permutations": (np.array([10, 1000]), np.array([0.5, 0.05]))}
        >>> error_curves({"EASE": curves}, "scores", "More is better")
        ... # doctest: +NORMALIZE_WHITESPACE
        Line chart of the relative error against scores, both on log scales. EASE:
        permutations 0.5 at 10, 0.05 at 1e+03.
    """
    spoken = [f"{panel}: {_ends(curves)}" for panel, curves in panels.items()]
    # a method has one colour in all panels; a dict keeps the order, a set would not
    names = list(dict.fromkeys(chain(*panels.values())))
    with canvas(
        title=title,
        alt=f"Line chart of the {ylabel} against {xlabel}, both on log scales. "
        f"{'; '.join(spoken)}.",
        width=5 + 2.5 * len(panels),
        height=4.4,
        panels=len(panels),
        xlabel=xlabel,
    ) as drawn:
        grid = np.atleast_1d(drawn)
        for axes, (panel, curves) in zip(grid, panels.items(), strict=True):
            _draw_errors(axes, curves, names)
            axes.set_title(panel)
        grid[0].set_ylabel(ylabel)  # the same for all
        # of the lines of a method in several panels one stands in the legend
        lines = {line.get_label(): line for axes in grid for line in axes.lines}
        handles = [lines[name] for name in names]
        grid[0].figure.legend(handles, names, **BELOW, ncols=min(3, 1 + len(panels)))


def _draw_errors(axes: Axes, curves: Mapping[str, Curve], names: list[str]) -> None:
    """Draw the curves of one panel, and the line at 1 where one comes near it."""
    for name, (cost, error) in curves.items():
        place = names.index(name)
        axes.loglog(
            cost,
            error,
            label=name,
            color=PALETTE[place % 7],
            marker=MARKERS[place % 7],
            # from the eighth method on colours repeat, with dashed lines
            ls="-" if place < 7 else "--",
        )
    # elsewhere the line would only squeeze the curves
    if max(np.max(error) for _, error in curves.values()) > 0.5:
        dashed(axes, 1, lw=1.2, zorder=0)
    _plain(axes.xaxis)
    _plain(axes.yaxis)


def estimates(
    truth: np.ndarray,
    found: Mapping[str, Explanation],
    title: str | None = None,
) -> None:
    """Draw estimated values with 2 of their stated errors beside the true ones.

    Args:
        truth: (n,) the true value of each player, drawn as a black line.
        found: {name of the estimator: explanation with errors}, all of the same n
            players.
        title: the figure's message; without it, how often 2 errors hold the truth.

    Example:
        >>> from xrec_utils.games.explanation import Explanation
        >>> values = np.array([1.0, 2.0])
        >>> error = np.array([0.1, 0.1])
        >>> each = Explanation(("a", "b"), "X", values, 0, 3, "sampled", error=error)
        >>> estimates(np.array([1.1, 2.5]), {"sampled": each})
        ... # doctest: +NORMALIZE_WHITESPACE
        Dot chart of Shapley values with 2 stated errors beside the true values; they
        hold 1 of 2 by sampled.
    """
    spoken = []
    for name, each in found.items():
        away = np.abs(each.values - truth)
        inside = (away <= 2 * each.error).sum()
        spoken.append(f"{inside} of {len(truth)} by {name}")
    counts = listed(spoken)
    with canvas(
        title=title or f"Twice the stated error holds the truth for {counts}",
        alt="Dot chart of Shapley values with 2 stated errors beside the true values; "
        f"they hold {counts}.",
        height=1.9 + 0.34 * len(truth),
        xlabel="effect on the score, ± 2 stated errors",
        ylabel="reason",
    ) as axes:
        _draw_truth(axes, truth)
        _draw_estimates(axes, found)
        axes.axvline(0, color=GREY, lw=1)
        # all estimates are of the same players
        name_rows(axes, shortened(each.players))
        axes.figure.legend(**BELOW, ncols=3)


def _draw_estimates(axes: Axes, found: Mapping[str, Explanation]) -> None:
    """Draw the estimates of each player side by side, with 2 stated errors."""
    for place, (name, each) in enumerate(found.items()):
        # around the middle of the player's row
        offset = 0.36 * ((place + 0.5) / len(found) - 0.5)
        axes.errorbar(
            each.values,
            np.arange(len(each.values)) + offset,
            xerr=2 * each.error,
            capsize=3,
            ms=5,
            fmt=MARKERS[place],
            color=PALETTE[place],
            label=name,
        )


def _draw_truth(axes: Axes, truth: np.ndarray) -> None:
    """Draw the true values as upright black lines above everything else."""
    rows = range(len(truth))
    label = "truth (all groups)"
    axes.scatter(truth, rows, s=420, marker="|", color=BLACK, zorder=3, label=label)


def law_of_sum(
    sums: np.ndarray,
    laws: Mapping[str, np.ndarray],
    places: np.ndarray,
    xlabel: str,
    title: str,
) -> None:
    """Draw random sums as a histogram and densities as lines.

    Args:
        sums: (m,) sums over random groups.
        laws: {name: density (k,)}.
        places: (k,) where the densities are given.
        xlabel: what the sums are.
        title: the figure's message.

    Example:
        >>> law = {"normal": np.array([0.1, 0.4, 0.1])}
        >>> places = np.array([-2, 0, 2])
        >>> law_of_sum(np.array([-1, 0, 1]), law, places, "sum", "They agree")
        ... # doctest: +NORMALIZE_WHITESPACE
        They agree. Histogram of 3 sums around 0, with densities: normal highest at 0.
    """
    tops = {f"{name} highest at": places[np.argmax(law)] for name, law in laws.items()}
    with canvas(
        title=title,
        alt=f"{title}. Histogram of {len(sums):,} sums around {number(np.mean(sums))}, "
        f"with densities: {listed(named(tops))}.",
        height=3.8,
        xlabel=xlabel,
        ylabel="density",
    ) as axes:
        # the area of the bars is 1, as that below a density
        label = f"{len(sums):,} random groups"
        axes.hist(sums, bins=60, density=True, color=SKY, alpha=0.6, label=label)
        # in turn; both colours stand out from the blue behind them
        looks = cycle([(VERMILION, "--"), (BLACK, "-")])
        for (name, law), (colour, dashes) in zip(laws.items(), looks, strict=False):
            axes.plot(places, law, color=colour, ls=dashes, lw=2, label=name)
        axes.legend(frameon=False)


def _plain(side: Axis) -> None:
    """Write plain numbers on a log scale: decades, and threes if decades are few."""
    low, high = side.get_view_interval()
    # two and a half decades or less would have too few ticks
    subs = (1,) if high > 300 * low else (1, 3)
    side.set_major_locator(LogLocator(subs=subs))
    side.set_major_formatter(lambda value, _: f"{value:g}")
    side.set_minor_formatter(NullFormatter())


def _ends(curves: Mapping[str, Curve]) -> str:
    """The errors at the lowest and at the highest cost of each curve in words."""
    spoken = []
    for name, (cost, error) in curves.items():
        curve = pd.Series(np.asarray(error), index=cost).sort_index()
        ends = [f"{number(curve.iloc[i])} at {number(curve.index[i])}" for i in (0, -1)]
        spoken.append(f"{name} {', '.join(ends)}")
    return listed(spoken)

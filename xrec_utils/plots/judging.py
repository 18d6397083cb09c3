"""Figures of notebook 15: a leaderboard of explainers, and how many people to ask.

See `plots`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from xrec_utils.plots.style import (
    GREY,
    SEQUENTIAL,
    canvas,
    from_to,
    heatmap,
    line_chart,
    listed,
    number,
    shortened,
)


def leaderboard(
    means: pd.DataFrame,
    marked: pd.DataFrame,
    better: Mapping[str, int],
    title: str,
    alt: str | None = None,
) -> None:
    """Draw a table of means as numbers on colours, darker is better.

    Colours compare within a column: from its worst to its best.

    Args:
        means: (explainers, measures); NaN is left empty.
        marked: booleans of the same shape; where true, the number is bold in a frame.
        better: {measure: +1 if more is better, -1 if less is}.
        title: the figure's message.
        alt: alternative text; without it, the marked explainers of each measure.

    Example:
        >>> names = ["Shapley", "random"]
        >>> means = pd.DataFrame({"deletion": [0.2, 0.5]}, index=names)
        >>> marked = pd.DataFrame({"deletion": [True, False]}, index=names)
        >>> leaderboard(means, marked, {"deletion": -1}, "Shapley is best")
        ... # doctest: +NORMALIZE_WHITESPACE
        Table of 2 explainers by 1 measures. Best, or level: deletion: Shapley.
    """
    spoken = []
    for name in means:
        best = marked.index[marked[name]]
        spoken.append(f"{name}: {listed(best)}")
    with canvas(
        title=title,
        alt=alt
        or f"Table of {len(means)} explainers by {means.shape[1]} measures. "
        f"Best, or level: {'; '.join(spoken)}.",
        width=9.5,
        height=1.9 + 0.34 * len(means),
        note="framed: the best, and what intervals cannot tell from it",
        yticks=range(len(means)),
        yticklabels=shortened(means.index),
    ) as axes:
        _shade(axes, means, better)
        for row, column in np.argwhere(means.notna().to_numpy()):
            _write_mean(
                axes,
                spot=(column, row),
                value=means.iloc[row, column],
                best=marked.iloc[row, column],
            )
        _name_measures(axes, means.columns, better)


def _name_measures(axes: Axes, names: Sequence[str], better: Mapping[str, int]) -> None:
    """Write the measures above their columns, with an arrow to their good side."""
    axes.xaxis.tick_top()
    axes.set_xticks(
        range(len(names)),
        [f"{name} {'↑' if better[name] > 0 else '↓'}" for name in names],
        rotation=35,
        ha="left",
        rotation_mode="anchor",
    )


def _shade(axes: Axes, means: pd.DataFrame, better: Mapping[str, int]) -> None:
    """Colour each cell by how good it is within its column."""
    goodness = means * pd.Series(better)[means.columns]
    low = goodness.min()
    # a column whose means are all equal must not be divided by zero
    span = (goodness.max() - low).replace(0, 1)
    shade = ((goodness - low) / span).to_numpy(float)
    heatmap(
        axes,
        np.ma.masked_invalid(shade),
        cmap=SEQUENTIAL,
        vmin=0,
        # of shades up to 1: black numbers can be read on the lighter half of the colours
        vmax=1.9,
    )


def _write_mean(axes: Axes, spot: tuple[int, int], value: float, best: bool) -> None:
    """Write a mean into its cell, the best ones bold in a frame."""
    rounded = value.round(2) + 0.0  # the sum turns -0.0 into 0.0
    text = axes.text(
        *spot,
        f"{rounded:.2f}".replace("-", "−"),
        ha="center",
        va="center",
    )
    if best:
        frame = {"boxstyle": "round,pad=0.15", "fc": "none", "ec": "black"}
        text.set(weight="bold", bbox=frame)


def power_curves(
    people: np.ndarray,
    curves: Mapping[str, np.ndarray],
    wanted: float = 0.8,
    title: str | None = None,
    alt: str | None = None,
) -> None:
    """Draw the chance of finding an effect against the number of people asked.

    Args:
        people: (n,) numbers of people.
        curves: {name of the effect: power (n,), from 0 to 1}.
        wanted: the power that a study should have, drawn as a line.
        title: the figure's message.
        alt: alternative text; without it, from how many people on each effect is found.

    Example:
        >>> curves = {"large": np.array([0.5, 0.9]), "small": np.array([0.1, 0.2])}
        >>> power_curves(np.array([10, 20]), curves)
        ... # doctest: +NORMALIZE_WHITESPACE
        Lines of power against the number of people. A power of 0.8 is reached by large
        from 20 people on.
    """
    enough = []
    for name, curve in curves.items():
        reached = people[curve >= wanted]
        if len(reached):
            enough.append(f"{name} from {reached[0]} people on")
    with canvas(
        title=title or "A small effect needs many people",
        alt=alt
        or "Lines of power against the number of people. A power of "
        f"{number(wanted)} is reached by {listed(enough) or 'none of them'}.",
        xlabel="people, each meeting every kind",
        ylabel="chance to find the effect",
        ylim=(0, 1.02),
    ) as axes:
        points = {name: (people, curve) for name, curve in curves.items()}
        line_chart(axes, points, marks=8)
        axes.axhline(wanted, color=GREY, lw=1, ls="--")
        axes.legend(title="effect")


def deletion_curve(
    curves: Mapping[str, np.ndarray],
    title: str | None = None,
    ylabel: str = "score",
    xlabel: str = "share of the history removed (%)",
    alt: str | None = None,
) -> None:
    """Draw how a score changes as players are removed in several orders.

    The lower a curve lies, the earlier its order removes what the score depends on.

    Args:
        curves: {name of the order: scores (p + 1,)}, from all p players to none. Each
            curve is stretched over 0 to 100%, so that they may differ in length.
        title: the figure's message; without it, the order with the lowest mean.
        ylabel: what falls.
        xlabel: what is removed.
        alt: alternative text; without it, both ends and the mean of each curve.

    Example:
        >>> orders = {"Shapley": [4.0, 1.0, 0.0], "random": [4.0, 3.0, 0.0]}
        >>> deletion_curve(orders)  # doctest: +NORMALIZE_WHITESPACE
        Line chart of the score against the share of the history removed (%). Shapley
        from 4 to 0, mean 1.67; random from 4 to 0, mean 2.33. Lowest on average:
        Shapley.
    """
    means = {name: float(np.mean(curve)) for name, curve in curves.items()}
    lowest = min(means, key=means.__getitem__)
    spoken = [
        f"{name} {from_to(curve)}, mean {number(means[name])}"
        for name, curve in curves.items()
    ]
    with canvas(
        title=title
        or f"The {ylabel} falls fastest when films go in the order of {lowest}",
        alt=alt
        or f"Line chart of the {ylabel} against the {xlabel}. {'; '.join(spoken)}. "
        f"Lowest on average: {lowest}.",
        xlabel=xlabel,
        ylabel=ylabel,
    ) as axes:
        points = {}
        for name, curve in curves.items():
            points[name] = (np.linspace(0, 100, len(curve)), curve)
        line_chart(axes, points, marks=10, lw=2)
        axes.legend()

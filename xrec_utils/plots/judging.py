"""Figures that judge: a leaderboard of explainers, how many people to ask, what fades as
reasons go, what a rank is worth, and means with their intervals.

See `plots`.
"""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import setp
from matplotlib.axes import Axes

from xrec_utils.plots.style import (
    GREY,
    SEQUENTIAL,
    SKY,
    beside,
    canvas,
    capital,
    columns_chart,
    dashed,
    from_to,
    heatmap,
    line_chart,
    listed,
    number,
    plain_ticks,
    reach,
    rows_from_zero,
    shortened,
)

COLUMNS = ["mean", "low", "high"]  # of a table of means with their intervals


def leaderboard(
    means: pd.DataFrame,
    marked: pd.DataFrame,
    better: Mapping[str, int],
    title: str,
) -> None:
    """Draw a table of means as numbers on colours, darker is better.

    Colours compare within a column: from its worst to its best.

    Args:
        means: (explainers, measures); NaN is left empty.
        marked: booleans of the same shape; where true, the number is bold in a frame.
        better: {measure: +1 if more is better, -1 if less is}.
        title: the figure's message.

    Example:
        >>> names = ["Shapley", "random"]
        >>> means = pd.DataFrame({"deletion": [0.2, 0.5]}, index=names)
        >>> marked = pd.DataFrame({"deletion": [True, False]}, index=names)
        >>> leaderboard(means, marked, {"deletion": -1}, "Shapley is best")
        ... # doctest: +NORMALIZE_WHITESPACE
        Table of 2 explainers by 1 measures. Best, or level: deletion: Shapley.
    """
    spoken = [f"{name}: {listed(marked.index[marked[name]])}" for name in means]
    with canvas(
        title=title,
        alt=f"Table of {len(means)} explainers by {means.shape[1]} measures. "
        f"Best, or level: {'; '.join(spoken)}.",
        width=9.5,
        height=1.9 + 0.34 * len(means),
        note="framed: the best, and what intervals cannot tell from it",
        yticks=range(len(means)),
        yticklabels=shortened(means.index),
    ) as axes:
        _shade(axes, means, better)
        _write_means(axes, means, marked)
        _name_measures(axes, means.columns, better)


def _name_measures(axes: Axes, names: Sequence[str], better: Mapping[str, int]) -> None:
    """Write the measures above their columns, with an arrow to their good side."""
    axes.xaxis.tick_top()
    labels = [f"{name} {'↑' if better[name] > 0 else '↓'}" for name in names]
    axes.set_xticks(
        range(len(names)), labels, rotation=35, ha="left", rotation_mode="anchor"
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


def _write_means(axes: Axes, means: pd.DataFrame, marked: pd.DataFrame) -> None:
    """Write each mean into its cell, the best ones bold in a frame."""
    frame = {"boxstyle": "round,pad=0.15", "fc": "none", "ec": "black"}
    for row, column in np.argwhere(means.notna().to_numpy()):
        rounded = means.iloc[row, column].round(2) + 0.0  # the sum turns -0.0 into 0.0
        text = axes.text(column, row, number(rounded, ".2f"), ha="center", va="center")
        if marked.iloc[row, column]:
            text.set(weight="bold", bbox=frame)


def power_curves(
    people: np.ndarray,
    curves: Mapping[str, np.ndarray],
    wanted: float = 0.8,
    title: str | None = None,
) -> None:
    """Draw the chance of finding an effect against the number of people asked.

    Args:
        people: (n,) numbers of people.
        curves: {name of the effect: power (n,), from 0 to 1}.
        wanted: the power that a study should have, drawn as a line.
        title: the figure's message.

    Example:
        >>> curves = {"large": np.array([0.5, 0.9]), "small": np.array([0.1, 0.2])}
        >>> power_curves(np.array([10, 20]), curves)
        ... # doctest: +NORMALIZE_WHITESPACE
        Lines of power against the number of people. A power of 0.8 is reached by large
        from 20 people on.
    """
    enough = [
        f"{name} from {people[curve >= wanted][0]} people on"
        for name, curve in curves.items()
        if (curve >= wanted).any()
    ]
    with canvas(
        title=title or "A small effect needs many people",
        alt="Lines of power against the number of people. A power of "
        f"{number(wanted)} is reached by {listed(enough) or 'none of them'}.",
        xlabel="people, each meeting every kind",
        ylabel="chance to find the effect",
        ylim=(0, 1.02),
    ) as axes:
        columns_chart(axes, pd.DataFrame(curves, index=people), marks=8)
        dashed(axes, wanted, lw=1)
        axes.legend(title="effect")


def deletion_curve(
    curves: Mapping[str, np.ndarray],
    title: str | None = None,
    ylabel: str = "score",
    xlabel: str = "share of the history removed (%)",
    notes: Mapping[str, str] | None = None,
) -> None:
    """Draw how a score changes as players are removed in several orders.

    The lower a curve lies, the earlier its order removes what the score depends on.

    Args:
        curves: {name of the order: scores (p + 1,)}, from all p players to none. Each
            curve is stretched over 0 to 100%, so that they may differ in length.
        title: the figure's message; without it, the order with the lowest mean.
        ylabel: what falls.
        xlabel: what is removed.
        notes: {words: name of an order}; an arrow with these words leads to that
            curve's largest fall, whose size is written behind them.

    Example:
        >>> orders = {"Shapley": [4.0, 1.0, 0.0], "random": [4.0, 3.0, 0.0]}
        >>> deletion_curve(orders, notes={"the twin goes": "random"})
        ... # doctest: +NORMALIZE_WHITESPACE
        Line chart of the score against the share of the history removed (%). Shapley
        from 4 to 0, mean 1.67; random from 4 to 0, mean 2.33. Lowest on average:
        Shapley. Largest fall of random, at removal 2 of 2: the twin goes, −3.
    """
    means = {name: float(np.mean(curve)) for name, curve in curves.items()}
    lowest = min(means, key=means.__getitem__)
    spoken = [
        f"{name} {from_to(curve)}, mean {number(means[name])}"
        for name, curve in curves.items()
    ]
    falls = [
        _largest_fall(words, curves, name) for words, name in (notes or {}).items()
    ]
    # the ends are all players and none, however many there are
    points = {name: (np.linspace(0, 100, len(y)), y) for name, y in curves.items()}
    with canvas(
        title=title or f"The {ylabel} is lowest on average in the order of {lowest}",
        alt=f"Line chart of the {ylabel} against the {xlabel}. {'; '.join(spoken)}. "
        f"Lowest on average: {lowest}. {' '.join(said for _, _, said in falls)}",
        xlabel=xlabel,
        ylabel=ylabel,
    ) as axes:
        line_chart(axes, points, marks=10, lw=2)
        for place, (spot, words, _) in enumerate(falls):
            _point_out(axes, spot, words, place)
        axes.legend()


def _largest_fall(
    words: str, curves: Mapping[str, np.ndarray], name: str
) -> tuple[tuple[float, float], str, str]:
    """Find the middle (x, y) of a curve's largest fall: the words there and in the text."""
    curve = np.asarray(curves[name])
    steps = np.diff(curve)
    before = int(steps.argmin())
    middle = (100 * (before + 0.5) / len(steps), curve[before : before + 2].mean())
    words = f"{words}, {number(steps[before])}"
    where = f"Largest fall of {name}, at removal {before + 1} of {len(steps)}"
    return middle, words, f"{where}: {words}."


def _point_out(axes: Axes, spot: tuple[float, float], words: str, place: int) -> None:
    """Write words below the middle of falling curves, beside a legend, with an arrow."""
    axes.annotate(
        textwrap.fill(words, 24),
        spot,
        # several notes stand above each other
        xytext=(0.42, 0.04 + 0.2 * place),
        textcoords="axes fraction",
        arrowprops={"arrowstyle": "->", "color": GREY, "lw": 1.5},
    )


def gain_by_rank(
    gains: Mapping[str, np.ndarray],
    title: str,
    ylabel: str = "gain",
) -> None:
    """Draw what each true rank 1, 2, ... is worth to several measures.

    Args:
        gains: {name of the measure: gains (ranks,)}; ranks are on a log scale.
        title: the figure's message.
        ylabel: what the gains are.

    Example:
        >>> gain_by_rank({"HR@2": np.array([1, 1, 0])}, "Two places count")
        Two places count. A gain above 0.01 reaches: HR@2 to rank 2.
    """
    curves = {name: (range(1, len(gain) + 1), gain) for name, gain in gains.items()}
    # 0.01: below, a gain cannot be seen in the figure
    spoken = [
        f"{name} to rank {1 + np.flatnonzero(np.asarray(gain) > 0.01)[-1]}"
        for name, gain in gains.items()
    ]
    with canvas(
        title=title,
        alt=f"{title}. A gain above 0.01 reaches: {listed(spoken)}.",
        xlabel="rank among all films the user has not seen (log scale)",
        ylabel=ylabel,
    ) as axes:
        line_chart(axes, curves, lw=2)
        # a marker every tenth of the axis, however many ranks lie there
        setp(axes.lines, markevery=0.1)
        axes.set_xscale("log")
        plain_ticks(axes.xaxis)
        axes.legend(frameon=False)


def metric_table_bar(
    table: pd.DataFrame,
    title: str | None = None,
    label: str = "NDCG@10",
    ylabel: str = "model",
) -> None:
    """Draw a mean as a bar and its interval as a line, for each line of a table.

    Args:
        table: indexed by name, with the columns mean, low and high.
        title: the figure's message; without it, the name with the highest mean.
        label: what the means are.
        ylabel: what the names are.

    Raises:
        ValueError: the table lacks one of the three columns.

    Example:
        >>> row = {"mean": 0.2, "low": 0.1, "high": 0.3}
        >>> metric_table_bar(pd.DataFrame([row], index=["EASE"]))
        ... # doctest: +NORMALIZE_WHITESPACE
        Horizontal bar chart of NDCG@10 with intervals: EASE 0.200 (0.100 to 0.300).
        Highest: EASE.
    """
    missing = set(COLUMNS) - set(table.columns)
    if missing:
        raise ValueError(
            f"The table has no column {', '.join(sorted(missing))}; "
            "it needs mean, low and high."
        )
    rows = [
        f"{name} {mean:.3f} ({low:.3f} to {high:.3f})"
        for name, mean, low, high in table[COLUMNS].itertuples(name=None)
    ]
    with canvas(
        title=title or capital(f"{table['mean'].idxmax()} has the highest {label}"),
        alt=f"Horizontal bar chart of {label} with intervals: {'; '.join(rows)}. "
        f"Highest: {table['mean'].idxmax()}.",
        height=1.5 + 0.42 * len(table),
        xlabel=f"{label} with its interval",
        ylabel=ylabel,
    ) as axes:
        _draw_intervals(axes, table)


def _draw_intervals(axes: Axes, table: pd.DataFrame) -> None:
    """Draw bars, intervals and, to their right, the means as numbers."""
    rows = range(len(table))
    means = table["mean"]
    axes.barh(rows, means, color=SKY, height=0.66)
    axes.errorbar(
        means, rows, xerr=reach(table), fmt="none", ecolor="black", capsize=4, lw=1.5
    )
    for place, (mean, _, high) in enumerate(table[COLUMNS].to_numpy()):
        beside(
            axes,
            (max(high, 0), place),
            number(mean, ".3f"),
            away=(5, 0),
            va="center",
        )
    rows_from_zero(axes, shortened(table.index))
    _leave_room(axes, table)


def _leave_room(axes: Axes, table: pd.DataFrame) -> None:
    """Let the axes reach over all intervals, with room for the numbers."""
    left = min(0, table["low"].min())
    right = max(0, table["high"].max())
    width = right - left
    # left of zero there is only air, and none is needed if no interval goes there
    left -= 0.03 * width * (left < 0)
    axes.set_xlim(left, right + 0.16 * width)  # the numbers stand on the right
    axes.xaxis.get_major_locator().set_params(nbins=7)

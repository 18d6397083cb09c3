"""Figures of tables: numbers against numbers, groups, splits and correlations.

See `plots`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from xrec_utils.plots.style import (
    ABOVE,
    BLUE,
    DIVERGING,
    MARKERS,
    PALETTE,
    canvas,
    capital,
    heatmap,
    listed,
    name_rows,
    named,
    number,
    plain_ticks,
    rank_correlation,
    shortened,
    trend,
)


def scatter(
    x: np.ndarray,
    y: np.ndarray,
    xlabel: str,
    ylabel: str,
    title: str | None = None,
    log: str = "",
    most: int = 4000,
) -> None:
    """Draw y against x, a dot per pair.

    Of more than `most` points every so-manieth is drawn, and the figure says so.

    Args:
        x: (n,) numbers.
        y: (n,) numbers.
        xlabel: what x is.
        ylabel: what y is.
        title: the figure's message; without it, the rank correlation.
        log: the axes on a log scale: "x", "y", "xy" or "".
        most: how many points are drawn at most.

    Example:
        >>> scatter([1, 2, 3], [2, 4, 8], "age", "price")
        ... # doctest: +NORMALIZE_WHITESPACE
        Scatter plot of price against age, 3 points; rank correlation 1.
    """
    points = np.array([x, y], dtype=float)  # (2, n)
    rho = rank_correlation(*points)
    strength = f"rank correlation {number(rho)}"
    step = ceil(len(x) / most)  # so that never more than `most` are drawn
    drawn = points[:, ::step]
    with canvas(
        title=title or capital(f"{ylabel} {trend(rho)} with {xlabel} ({strength})"),
        alt=f"{_said(title)}Scatter plot of {ylabel} against {xlabel}, {len(x)} points; "
        f"{strength}.",
        note=f"{drawn.shape[1]:,} of {len(x):,} points drawn" if step > 1 else "",
        xlabel=xlabel,
        ylabel=ylabel,
    ) as axes:
        # where many dots overlap, each is pale
        alpha = 0.35 if len(x) > 500 else 0.8
        axes.scatter(*drawn, s=14, lw=0, alpha=alpha, color=BLUE)
        for side in log:
            _log(axes, side)


def box(
    data: Mapping[str, np.ndarray],
    xlabel: str,
    ylabel: str,
    title: str,
    log: bool = False,
) -> None:
    """Draw one horizontal box per named array (or column of a table).

    A box holds the middle half, its line is the median, whiskers end at 5% and 95%.

    Args:
        data: {name: numbers (n,)}; NaN is left out.
        xlabel: what the numbers are.
        ylabel: what the groups are.
        title: the figure's message.
        log: whether the numbers are drawn on a log scale.

    Example:
        >>> prices = {"drama": [1, 2, 3], "comedy": [2, 4, 9]}
        >>> box(prices, "price", "genre", "Laughing costs more.")
        Laughing costs more. Box plot of price by genre. Medians: drama 2 and comedy 4.
    """
    groups = {
        str(name): pd.Series(values, dtype=float).dropna()
        for name, values in data.items()
    }
    medians = pd.Series({name: values.median() for name, values in groups.items()})
    with canvas(
        title=title,
        alt=f"{_said(title)}Box plot of {xlabel} by {ylabel}. "
        f"Medians: {listed(named(medians))}.",
        height=1.6 + 0.36 * len(groups),
        note="whiskers: 5% and 95%",
        xlabel=xlabel,
        ylabel=ylabel,
    ) as axes:
        _draw_boxes(axes, groups)
        if log:
            _log(axes, "x")
        axes.grid(False, axis="y")


def _draw_boxes(axes: Axes, groups: Mapping[str, pd.Series]) -> None:
    """Draw a horizontal box per group, the first on top."""
    axes.boxplot(
        list(groups.values()),
        orientation="horizontal",
        whis=(5, 95),
        showfliers=False,  # thousands of dots would hide the boxes
        widths=0.6,
        patch_artist=True,
        boxprops={"facecolor": PALETTE[4]},
        medianprops={"color": "black", "linewidth": 2},
    )
    # matplotlib counts boxes from 1
    places = range(1, len(groups) + 1)
    axes.set_yticks(places, shortened(groups))
    axes.invert_yaxis()  # the first on top


def split_rows(
    splits: Mapping[str, Sequence[str]],
    title: str,
    xlabel: str = "place in the history, oldest first",
    ylabel: str = "split",
) -> None:
    """Draw one line of marks per split: which part each event belongs to.

    Args:
        splits: {name of the split: part of each event, such as "train", in order}.
        title: the figure's message.
        xlabel: what the order of the events is.
        ylabel: what the lines are.

    Example:
        >>> parts = {"last out": ["train", "train", "test"]}
        >>> split_rows(parts, "One is left out")  # doctest: +NORMALIZE_WHITESPACE
        One is left out. Marks for the events of 1 splits in order. last out: 2 train
        and 1 test.
    """
    spoken = []
    for name, parts in splits.items():
        counts = [f"{n} {part}" for part, n in Counter(parts).most_common()]
        spoken.append(f"{name}: {listed(counts)}")
    with canvas(
        title=title,
        alt=f"{_said(title)}Marks for the events of {len(splits)} splits in order. "
        f"{'; '.join(spoken)}.",
        height=1.9 + 0.4 * len(splits),
        xlabel=xlabel,
        ylabel=ylabel,
    ) as axes:
        _draw_parts(axes, list(splits.values()))
        name_rows(axes, list(splits))
        axes.grid(False)


def _draw_parts(axes: Axes, rows: Sequence[Sequence[str]]) -> None:
    """Draw a mark per event, a colour and a marker per part, and the legend on top."""
    events = pd.DataFrame(
        [(x, y, part) for y, row in enumerate(rows) for x, part in enumerate(row, 1)],
        columns=["x", "y", "part"],
    )
    # in the order in which the parts come in, not by name
    parts = events.groupby("part", sort=False)
    for (part, spots), colour, marker in zip(parts, PALETTE, MARKERS, strict=False):
        axes.scatter(
            spots["x"], spots["y"], color=colour, marker=marker, s=55, lw=0, label=part
        )
    axes.legend(**ABOVE, ncols=parts.ngroups, handletextpad=0.2)


def correlation_heatmap(frame: pd.DataFrame, title: str | None = None) -> None:
    """Draw the rank correlations between the numeric columns of a table.

    Colours go from -1 to 1; up to nine columns have the numbers written in.

    Args:
        frame: a table; columns that are not numeric are left out.
        title: the figure's message; without it, the strongest pair.

    Example:
        >>> table = pd.DataFrame({"age": [1, 2, 3], "price": [3, 2, 1]})
        >>> correlation_heatmap(table)  # doctest: +NORMALIZE_WHITESPACE
        Heatmap of rank correlations between 2 columns. The strongest is −1, between age
        and price.
    """
    table = frame.select_dtypes("number").corr(method="spearman")
    names = shortened(table, 24)
    pair, rho = _strongest(table)
    together = "go together" if rho >= 0 else "go opposite ways"
    strength = f"rank correlation {number(rho)}"
    with canvas(
        title=title or capital(f"{pair} {together} most ({strength})"),
        alt=f"{_said(title)}Heatmap of rank correlations between {len(names)} columns. "
        f"The strongest is {number(rho)}, between {pair}.",
        height=2.6 + 0.3 * len(names),
        xlabel="column",
        ylabel="column",
        yticks=range(len(names)),
        yticklabels=names,
    ) as axes:
        heatmap(axes, table, "rank correlation", cmap=DIVERGING, vmin=-1, vmax=1)
        few = len(names) <= 9
        if few:
            _write_numbers(axes, table.to_numpy())
        axes.set_xticks(
            range(len(names)),
            names,
            rotation_mode="anchor",
            rotation=40 if few else 75,
            ha="right",
        )


def _strongest(table: pd.DataFrame) -> tuple[str, float]:
    """The two columns with the largest |correlation| in words, and that correlation."""
    # NaN is the correlation of a column that never changes
    grid = np.nan_to_num(table)
    # each pair once, without the ones on the diagonal
    pairs = np.abs(np.triu(grid, k=1))
    # the table is square: the place of the largest is a row and a column
    i, j = divmod(pairs.argmax(), len(pairs))
    pair = f"{table.index[i]} and {table.columns[j]}"
    return pair, grid[i, j]


def _write_numbers(axes: Axes, grid: np.ndarray) -> None:
    """Write each correlation into its cell, white on the dark ones."""
    for (row, column), value in np.ndenumerate(grid):
        colour = "white" if abs(value) > 0.6 else "black"
        axes.text(
            column, row, number(value, ".2f"), color=colour, ha="center", va="center"
        )


def _said(title: str | None) -> str:
    """A given title as the first sentence of the alternative text.

    Its author saw something worth saying.
    """
    return f"{title.rstrip('.')}. " if title else ""


def _log(axes: Axes, side: str) -> None:
    """Put one side of the axes, "x" or "y", on a log scale with plain numbers."""
    axes.set(**{f"{side}scale": "log"})
    plain_ticks(getattr(axes, f"{side}axis"))

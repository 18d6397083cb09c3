"""Figures of tables, training and embeddings: see `plots`."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis

from xrec_utils.plots.style import (
    DIVERGING,
    GREY,
    MARKERS,
    PALETTE,
    _rows,
    canvas,
    capital,
    colour_bar,
    listed,
    no_grid,
    number,
    rank_correlation,
    shorten,
    trend,
)


def scatter(
    x: np.ndarray,
    y: np.ndarray,
    xlabel: str,
    ylabel: str,
    title: str | None = None,
    alt: str | None = None,
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
        alt: alternative text; without it, the rank correlation in words.
        log: the axes on a log scale: "x", "y", "xy" or "".
        most: how many points are drawn at most.

    Example:
        >>> scatter([1, 2, 3], [2, 4, 8], "age", "price")
        ... # doctest: +NORMALIZE_WHITESPACE
        Scatter plot of price against age, 3 points; rank correlation 1.
    """
    x = np.asarray(x, dtype=float)
    y = np.asarray(y, dtype=float)
    rho = rank_correlation(x, y)
    step = -(-len(x) // most)  # rounded up, so that never more than `most` are drawn
    drawn = slice(None, None, step)
    note = f"{len(x[drawn]):,} of {len(x):,} points drawn" if len(x) > most else ""
    default = f"{ylabel} {trend(rho)} with {xlabel} (rank correlation {number(rho)})"
    with canvas(
        title=title or capital(default),
        alt=alt
        or f"{_said(title)}Scatter plot of {ylabel} against {xlabel}, {len(x)} points; "
        f"rank correlation {number(rho)}.",
        note=note,
    ) as axes:
        axes.scatter(
            x[drawn],
            y[drawn],
            s=14,
            lw=0,
            alpha=0.35 if len(x) > 500 else 0.8,
            color=PALETTE[0],
        )
        if "x" in log:
            _log(axes.set_xscale, axes.xaxis)
        if "y" in log:
            _log(axes.set_yscale, axes.yaxis)
        axes.set(xlabel=xlabel, ylabel=ylabel)


def box(
    data: Mapping[str, np.ndarray],
    xlabel: str,
    ylabel: str,
    title: str | None = None,
    alt: str | None = None,
    log: bool = False,
) -> None:
    """Draw one horizontal box per named array (or column of a table).

    A box holds the middle half, its line is the median, whiskers end at 5% and 95%.

    Args:
        data: {name: numbers (n,)}; NaN is left out.
        xlabel: what the numbers are.
        ylabel: what the groups are.
        title: the figure's message; without it, the group with the highest median.
        alt: alternative text; without it, all medians.
        log: whether the numbers are drawn on a log scale.

    Example:
        >>> box({"drama": [1, 2, 3], "comedy": [2, 4, 9]}, "price", "genre")
        Box plot of price by genre. Medians: drama 2 and comedy 4.
    """
    groups = {
        str(name): pd.Series(values, dtype=float).dropna().to_numpy()
        for name, values in data.items()
    }
    medians = {name: float(np.median(values)) for name, values in groups.items()}
    top = max(medians, key=medians.__getitem__)
    spoken = listed([f"{name} {number(median)}" for name, median in medians.items()])
    if len(groups) == 1:
        default = f"{xlabel}: {number(medians[top])} in the median"
    else:
        default = f"{xlabel} is highest for {top} (median {number(medians[top])})"
    with canvas(
        title=title or capital(default),
        alt=alt
        or f"{_said(title)}Box plot of {xlabel} by {ylabel}. Medians: {spoken}.",
        height=1.6 + 0.36 * len(groups),
        note="whiskers: 5% and 95%",
    ) as axes:
        _draw_boxes(axes, groups)
        if log:
            _log(axes.set_xscale, axes.xaxis)
        axes.grid(False, axis="y")
        axes.set(xlabel=xlabel, ylabel=ylabel)


def _draw_boxes(axes: Axes, groups: Mapping[str, np.ndarray]) -> None:
    """Draw a horizontal box per group, the first on top."""
    axes.boxplot(
        list(groups.values()),
        orientation="horizontal",
        whis=(5, 95),
        showfliers=False,
        widths=0.6,
        patch_artist=True,
        boxprops={"facecolor": PALETTE[4]},
        medianprops={"color": "black", "linewidth": 2},
    )
    # matplotlib counts boxes from 1
    axes.set_yticks(range(1, len(groups) + 1), [shorten(name) for name in groups])
    axes.invert_yaxis()


def split_rows(
    splits: Mapping[str, Sequence[str]],
    title: str,
    xlabel: str = "place in the history, oldest first",
    ylabel: str = "split",
    alt: str | None = None,
) -> None:
    """Draw one line of marks per split: which part each event belongs to.

    Args:
        splits: {name of the split: part of each event, such as "train", in order}.
        title: the figure's message.
        xlabel: what the order of the events is.
        ylabel: what the lines are.
        alt: alternative text; without it, how many events each part has.

    Example:
        >>> parts = {"last out": ["train", "train", "test"]}
        >>> split_rows(parts, "One is left out")  # doctest: +NORMALIZE_WHITESPACE
        One is left out. Marks for the events of 1 splits in order. last out: 2 train
        and 1 test.
    """
    rows = {name: pd.Series(list(parts), dtype=str) for name, parts in splits.items()}
    spoken = []
    for name, row in rows.items():
        counts = [f"{n} {part}" for part, n in row.value_counts().items()]
        spoken.append(f"{name}: {listed(counts)}")
    with canvas(
        title=title,
        alt=alt
        or f"{_said(title)}Marks for the events of {len(rows)} splits in order. "
        f"{'; '.join(spoken)}.",
        height=1.9 + 0.4 * len(rows),
    ) as axes:
        _draw_parts(axes, list(rows.values()))
        _rows(axes, list(rows))
        axes.grid(False)
        axes.set(xlabel=xlabel, ylabel=ylabel)


def _draw_parts(axes: Axes, rows: Sequence[pd.Series]) -> None:
    """Draw a mark per event, a colour and a marker per part, and the legend on top."""
    # in the order in which the parts come in, not by name
    kinds = list(dict.fromkeys(part for row in rows for part in row))
    for kind, colour, marker in zip(kinds, PALETTE, MARKERS, strict=False):
        places = [np.flatnonzero(row == kind) for row in rows]
        lines = [np.full(len(place), line) for line, place in enumerate(places)]
        x = np.concatenate(places) + 1
        y = np.concatenate(lines)
        axes.scatter(x, y, color=colour, marker=marker, s=55, lw=0, label=kind)
    axes.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1),
        ncols=len(kinds),
        frameon=False,
        handletextpad=0.2,
    )


def correlation_heatmap(
    frame: pd.DataFrame, title: str | None = None, alt: str | None = None
) -> None:
    """Draw the rank correlations between the numeric columns of a table.

    Colours go from -1 to 1; up to nine columns have the numbers written in.

    Args:
        frame: a table; columns that are not numeric are left out.
        title: the figure's message; without it, the strongest pair.
        alt: alternative text; without it, the strongest pair.

    Example:
        >>> table = pd.DataFrame({"age": [1, 2, 3], "price": [3, 2, 1]})
        >>> correlation_heatmap(table)  # doctest: +NORMALIZE_WHITESPACE
        Heatmap of rank correlations between 2 columns. The strongest is −1, between age
        and price.
    """
    table = frame.select_dtypes("number").corr(method="spearman")
    names = [shorten(str(name), 24) for name in table]
    grid = table.to_numpy()
    # each pair once, without the ones on the diagonal
    pairs = np.abs(np.triu(np.nan_to_num(grid), k=1))
    i, j = np.unravel_index(np.argmax(pairs), pairs.shape)
    strongest = f"{table.index[i]} and {table.columns[j]}"
    rho = number(grid[i, j])
    together = "go together" if grid[i, j] >= 0 else "go opposite ways"
    few = len(names) <= 9
    with canvas(
        title=title or capital(f"{strongest} {together} most (rank correlation {rho})"),
        alt=alt
        or f"{_said(title)}Heatmap of rank correlations between {len(names)} columns. "
        f"The strongest is {rho}, between {strongest}.",
        height=2.6 + 0.3 * len(names),
    ) as axes:
        drawn = axes.imshow(grid, cmap=DIVERGING, vmin=-1, vmax=1, aspect="auto")
        colour_bar(axes, drawn, "rank correlation")
        if few:
            _write_numbers(axes, grid)
        axes.set_xticks(
            range(len(names)),
            names,
            rotation_mode="anchor",
            rotation=40 if few else 75,
            ha="right",
        )
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="column", ylabel="column")
        no_grid(axes)


def _write_numbers(axes: Axes, grid: np.ndarray) -> None:
    """Write each correlation into its cell, white on the dark ones."""
    for (row, column), value in np.ndenumerate(grid):
        text = f"{value:.2f}".replace("-", "−")
        axes.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            color="white" if abs(value) > 0.6 else "black",
        )


def metric_table_bar(
    table: pd.DataFrame,
    title: str | None = None,
    label: str = "NDCG@10",
    ylabel: str = "model",
    alt: str | None = None,
) -> None:
    """Draw a mean as a bar and its interval as a line, for each line of a table.

    Args:
        table: indexed by name, with the columns mean, low and high.
        title: the figure's message; without it, the name with the highest mean.
        label: what the means are.
        ylabel: what the names are.
        alt: alternative text; without it, all numbers.

    Raises:
        ValueError: the table lacks one of the three columns.

    Example:
        >>> row = {"mean": 0.2, "low": 0.1, "high": 0.3}
        >>> metric_table_bar(pd.DataFrame([row], index=["EASE"]))
        ... # doctest: +NORMALIZE_WHITESPACE
        Horizontal bar chart of NDCG@10 with intervals: EASE 0.200 (0.100 to 0.300).
        Highest: EASE.
    """
    missing = {"mean", "low", "high"} - set(table.columns)
    if missing:
        raise ValueError(
            f"The table has no column {', '.join(sorted(missing))}; "
            "it needs mean, low and high."
        )
    best = str(table["mean"].idxmax())
    rows = [
        f"{name} {mean:.3f} ({low:.3f} to {high:.3f})"
        for name, mean, low, high in _intervals(table)
    ]
    with canvas(
        title=title or capital(f"{best} has the highest {label}"),
        alt=alt
        or f"Horizontal bar chart of {label} with intervals: {'; '.join(rows)}. "
        f"Highest: {best}.",
        height=1.5 + 0.42 * len(table),
    ) as axes:
        _draw_intervals(axes, table)
        _frame_intervals(axes, table)
        axes.set(xlabel=f"{label} with its interval", ylabel=ylabel)


def _draw_intervals(axes: Axes, table: pd.DataFrame) -> None:
    """Draw bars, intervals and, to their right, the means as numbers."""
    places = np.arange(len(table))
    axes.barh(places, table["mean"], color=PALETTE[4], height=0.66)
    # (2, lines): how far the interval reaches to the left and to the right
    reach = np.abs(table[["low", "high"]].to_numpy().T - table["mean"].to_numpy())
    axes.errorbar(
        table["mean"],
        places,
        xerr=reach,
        fmt="none",
        ecolor="black",
        capsize=4,
        lw=1.5,
    )
    for place, (_, mean, _, high) in zip(places, _intervals(table), strict=True):
        axes.annotate(
            text=f"{mean:.3f}".replace("-", "−"),
            xy=(max(high, 0), place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
        )


def _frame_intervals(axes: Axes, table: pd.DataFrame) -> None:
    """Name the lines, the first on top, and leave room for the numbers."""
    names = [shorten(str(name)) for name in table.index]
    _rows(axes, names)
    left = min(0, table["low"].min())
    right = max(0, table["high"].max())
    width = np.ptp([left, right])
    # left of zero there is only air, and none is needed if no interval goes there
    air = 0.03 * width * (left < 0)
    axes.set_xlim(left - air, right + 0.16 * width)
    axes.xaxis.get_major_locator().set_params(nbins=7)
    axes.axvline(0, color=GREY, lw=1)
    axes.grid(False, axis="y")


def _said(title: str | None) -> str:
    """A given title as the first sentence of the alternative text.

    Its author saw something worth saying.
    """
    return f"{title.rstrip('.')}. " if title else ""


def _log(set_scale: Callable[[str], None], axis: Axis) -> None:
    """Put an axis on a log scale with plain numbers."""
    set_scale("log")
    axis.set_major_formatter(_plain_number)


def _plain_number(value: float, _: int) -> str:
    """A tick's label: 1,000 instead of 10³."""
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _intervals(table: pd.DataFrame) -> list[tuple[str, float, float, float]]:
    """Go through a table as (name, mean, low, high)."""
    columns = (table["mean"], table["low"], table["high"])
    return list(zip(table.index, *columns, strict=True))

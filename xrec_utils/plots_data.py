"""Figures of tables, training and embeddings: see `plots`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axis import Axis

from xrec_utils.plots_base import (
    DIVERGING,
    GREY,
    MARKERS,
    PALETTE,
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
    """Draw y (n,) against x (n,); `log` names the axes on a log scale ('x', 'y' or
    'xy').

    Of more than `most` points every so-manieth is drawn, and the figure says so.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    rho = rank_correlation(x, y)
    kept = slice(None, None, -(-len(x) // most))
    note = f"{len(x[kept]):,} of {len(x):,} points drawn" if len(x) > most else ""
    alt = alt or (
        f"{_said(title)}Scatter plot of {ylabel} against {xlabel}, {len(x)} points; rank correlation {number(rho)}."
    )
    with canvas(
        title
        or capital(
            f"{ylabel} {trend(rho)} with {xlabel} (rank correlation {number(rho)})"
        ),
        alt,
        note=note,
    ) as axes:
        axes.scatter(
            x[kept],
            y[kept],
            s=14,
            lw=0,
            alpha=0.35 if len(x) > 500 else 0.8,
            color=PALETTE[0],
        )
        if "x" in log:
            _log(axes.set_xscale, axes.xaxis)
        if "y" in log:
            _log(axes.set_yscale, axes.yaxis)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)


def box(
    data: Mapping[str, np.ndarray],
    xlabel: str,
    ylabel: str,
    title: str | None = None,
    alt: str | None = None,
    log: bool = False,
) -> None:
    """Draw one horizontal box per named array (or column): median, middle half, and
    whiskers at 5% and 95%.

    `xlabel` is the quantity, `ylabel` what the groups are; `log` puts the quantity on a
    log scale.
    """
    groups = {
        str(name): np.asarray(values, dtype=float) for name, values in data.items()
    }
    groups = {name: values[~np.isnan(values)] for name, values in groups.items()}
    medians = {name: float(np.median(values)) for name, values in groups.items()}
    top = max(medians, key=medians.__getitem__)
    spoken = listed([f"{name} {number(median)}" for name, median in medians.items()])
    alt = alt or f"{_said(title)}Box plot of {xlabel} by {ylabel}. Medians: {spoken}."
    told = f"{xlabel} is highest for {top} (median {number(medians[top])})"
    if len(groups) == 1:
        told = f"{xlabel}: {number(medians[top])} in the median"
    title = title or capital(told)
    with canvas(
        title, alt, height=1.6 + 0.36 * len(groups), note="whiskers: 5% and 95%"
    ) as axes:
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
        axes.set_yticks(range(1, len(groups) + 1), [shorten(name) for name in groups])
        axes.invert_yaxis()
        if log:
            _log(axes.set_xscale, axes.xaxis)
        axes.grid(False, axis="y")
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)


def split_rows(
    splits: Mapping[str, Sequence[str]],
    title: str,
    xlabel: str = "place in the history, oldest first",
    ylabel: str = "split",
    alt: str | None = None,
) -> None:
    """Draw one line of marks per split: {name of the split: the part ('train', 'test',
    ...) of each event in order}.
    """
    rows = {name: pd.Series(list(parts), dtype=str) for name, parts in splits.items()}
    counts = {name: row.value_counts().items() for name, row in rows.items()}
    held = [
        f"{name}: {listed([f'{n} {part}' for part, n in pairs])}"
        for name, pairs in counts.items()
    ]
    alt = (
        alt
        or f"{_said(title)}Marks for the events of {len(rows)} splits in order. {'; '.join(held)}."
    )
    kinds = list(dict.fromkeys(part for row in rows.values() for part in row))
    with canvas(title, alt, height=1.9 + 0.4 * len(rows)) as axes:
        for kind, colour, marker in zip(kinds, PALETTE, MARKERS, strict=False):
            spots = [
                (i + 1, line)
                for line, row in enumerate(rows.values())
                for i in np.flatnonzero(row == kind)
            ]
            axes.scatter(
                *np.transpose(spots),
                color=colour,
                marker=marker,
                s=55,
                lw=0,
                label=kind,
            )
        axes.set_yticks(range(len(rows)), list(rows))
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(False)
        axes.legend(
            loc="lower center",
            bbox_to_anchor=(0.5, 1),
            ncols=len(kinds),
            frameon=False,
            handletextpad=0.2,
        )
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)


def correlation_heatmap(
    frame: pd.DataFrame, title: str | None = None, alt: str | None = None
) -> None:
    """Draw the rank correlations between the numeric columns of a table, on a scale
    from -1 to 1.
    """
    table = frame.select_dtypes("number").corr(method="spearman")
    names, grid = [shorten(str(name), 24) for name in table], table.to_numpy()
    pairs = np.abs(np.triu(np.nan_to_num(grid), k=1))
    i, j = np.unravel_index(np.argmax(pairs), pairs.shape)
    strongest = f"{table.index[i]} and {table.columns[j]}"
    alt = alt or (
        f"{_said(title)}Heatmap of rank correlations between {len(names)} columns. "
        f"The strongest is {number(grid[i, j])}, between {strongest}."
    )
    how = "go together" if grid[i, j] >= 0 else "go opposite ways"
    title = title or capital(
        f"{strongest} {how} most (rank correlation {number(grid[i, j])})"
    )
    with canvas(title, alt, height=2.6 + 0.3 * len(names)) as axes:
        colour_bar(
            axes,
            axes.imshow(grid, cmap=DIVERGING, vmin=-1, vmax=1, aspect="auto"),
            "rank correlation",
        )
        if len(names) <= 9:
            for (row, column), value in np.ndenumerate(grid):
                colour = "white" if abs(value) > 0.6 else "black"
                axes.text(
                    column,
                    row,
                    f"{value:.2f}".replace("-", "−"),
                    ha="center",
                    va="center",
                    color=colour,
                )
        axes.set_xticks(
            range(len(names)),
            names,
            rotation=40 if len(names) <= 9 else 75,
            ha="right",
            rotation_mode="anchor",
        )
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("column")
        axes.set_ylabel("column")
        no_grid(axes)


def training_curve(
    history: Mapping[str, Sequence[float]] | Sequence[Mapping[str, float]],
    title: str | None = None,
    alt: str | None = None,
) -> None:
    """Draw a training, a panel per quantity, from {name: numbers by epoch} as `fit`
    gives it, or from a row per epoch.

    A name that begins with 'val_' or 'validation_' shares its panel with the name that
    follows.
    """
    table = pd.DataFrame(history).drop(columns="epoch", errors="ignore")
    lines = {
        name: (_quantity(name), "training" if name == _quantity(name) else "validation")
        for name in table
    }
    panels = list(dict.fromkeys(quantity for quantity, _ in lines.values()))
    watched = next(
        (name for name in reversed(list(table)) if lines[name][1] == "validation"),
        table.columns[0],
    )
    falls = lines[watched][0].endswith(("loss", "error", "rmse", "mae"))
    place = int(table[watched].idxmin() if falls else table[watched].idxmax())
    best = f"{' '.join(reversed(lines[watched]))} {number(table[watched][place])} in epoch {place + 1}"
    ends = listed(
        [
            f"{name} from {number(line.iloc[0])} to {number(line.iloc[-1])}"
            for name, line in table.items()
        ]
    )
    alt = (
        alt or f"Line chart of a training of {len(table)} epochs: {ends}. Best {best}."
    )
    with canvas(title or f"Best {best}", alt, panels=len(panels)) as axes:
        panel = dict(zip(panels, np.atleast_1d(axes), strict=True))
        for name, (quantity, part) in lines.items():
            style = 0 if part == "training" else 5
            panel[quantity].plot(
                table.index + 1,
                table[name],
                label=part,
                color=PALETTE[style],
                marker=MARKERS[style],
            )
        for quantity, axis in panel.items():
            axis.set_xlabel("epoch")
            axis.set_ylabel(quantity.replace("_", " "))
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.legend()


def embedding_map(
    points: np.ndarray,
    groups: Sequence[str],
    title: str | None = None,
    labels: Mapping[int, str] | None = None,
    xlabel: str = "first direction",
    ylabel: str = "second direction",
    alt: str | None = None,
) -> None:
    """Draw points (n, 2) with a colour and a marker per group (the six largest; the
    rest grey), a few named.

    `labels` maps the index of a point to the text beside it. The composed title names
    the group that keeps closest together: the smallest mean distance to its own centre.
    """
    points, groups = np.asarray(points, dtype=float), pd.Series(list(groups), dtype=str)
    largest = list(groups.value_counts(sort=True).index[:6])
    spread = {
        g: float(np.linalg.norm(p - p.mean(axis=0), axis=1).mean())
        for g in largest
        if len(p := points[groups == g])
    }
    closest = min(spread, key=spread.__getitem__)
    alt = alt or (
        f"Scatter plot of {len(points)} points in two dimensions, coloured by group: {listed(largest)}. {closest} "
        f"lies closest together, {number(spread[closest])} from its centre on average."
    )
    with canvas(
        title or capital(f"{closest} lies closest together"), alt, height=4.8
    ) as axes:
        for place, name in enumerate(largest):
            axes.scatter(
                *points[groups == name].T,
                s=22,
                lw=0,
                alpha=0.75,
                color=PALETTE[place],
                marker=MARKERS[place],
                label=name,
            )
        rest = ~groups.isin(largest).to_numpy()
        if rest.any():
            axes.scatter(
                *points[rest].T, s=12, lw=0, color="#BBBBBB", label="other", zorder=0.5
            )
        for i, text in (labels or {}).items():
            axes.annotate(
                shorten(text, 24),
                points[i],
                xytext=(4, 4),
                textcoords="offset points",
                fontsize=11,
            )
        axes.legend(
            loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, handletextpad=0.2
        )
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)


def metric_table_bar(
    table: pd.DataFrame,
    title: str | None = None,
    label: str = "NDCG@10",
    ylabel: str = "model",
    alt: str | None = None,
) -> None:
    """Draw `mean` as bars and `low`..`high` as intervals for each line of a table
    indexed by name.
    """
    missing = {"mean", "low", "high"} - set(table.columns)
    if missing:
        raise ValueError(
            f"The table has no column {', '.join(sorted(missing))}; it needs mean, low and high."
        )
    best = str(table["mean"].idxmax())
    rows = [f"{n} {m:.3f} ({lo:.3f} to {hi:.3f})" for n, m, lo, hi in _intervals(table)]
    alt = (
        alt
        or f"Horizontal bar chart of {label} with intervals: {'; '.join(rows)}. Highest: {best}."
    )
    with canvas(
        title or capital(f"{best} has the highest {label}"),
        alt,
        height=1.5 + 0.42 * len(table),
    ) as axes:
        places = np.arange(len(table))
        axes.barh(places, table["mean"], color=PALETTE[4], height=0.66)
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
            text, spot = f"{mean:.3f}".replace("-", "−"), (max(high, 0), place)
            axes.annotate(
                text, spot, xytext=(5, 0), textcoords="offset points", va="center"
            )
        axes.set_yticks(places, [shorten(str(name)) for name in table.index])
        axes.set_ylim(len(table) - 0.4, -0.6)
        ends = min(0, table["low"].min()), max(0, table["high"].max())
        axes.set_xlim(
            ends[0] - 0.03 * np.ptp(ends) * (ends[0] < 0), ends[1] + 0.16 * np.ptp(ends)
        )
        axes.xaxis.get_major_locator().set_params(nbins=7)
        axes.axvline(0, color=GREY, lw=1)
        axes.grid(False, axis="y")
        axes.set_xlabel(f"{label} with its interval")
        axes.set_ylabel(ylabel)


def _said(title: str | None) -> str:
    """A given title as the first sentence of the alternative text: its author saw
    something worth saying.
    """
    return f"{title.rstrip('.')}. " if title else ""


def _quantity(name: str) -> str:
    """What a line of a training log measures, without the part it was measured on."""
    return name.removeprefix("val_").removeprefix("validation_")


def _log(set_scale: Callable[[str], None], axis: Axis) -> None:
    """Put an axis on a log scale with plain numbers."""
    set_scale("log")
    axis.set_major_formatter(
        lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"
    )


def _intervals(table: pd.DataFrame) -> list[tuple[str, float, float, float]]:
    """Go through a table as (name, mean, low, high)."""
    return list(
        zip(table.index, table["mean"], table["low"], table["high"], strict=True)
    )

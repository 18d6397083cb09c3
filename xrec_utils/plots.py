"""Every figure of the course. Each function draws one, with a message as its title, and
shows it with alternative text.

Titles and alternative texts are composed from the data unless given. Signed values are
vermilion above zero and blue below, on scales centred on zero. Figures of tables and
training are in `plots_data`, drawings of models in `plots_model`; all can be called
from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from xrec_utils.games import Explanation
from xrec_utils.plots_base import (
    DIVERGING,
    GREY,
    MARKERS,
    NEGATIVE,
    PALETTE,
    POSITIVE,
    SEQUENTIAL,
    canvas,
    capital,
    colour_bar,
    listed,
    no_grid,
    number,
    rank_correlation,
    shorten,
    show,
    symmetric,
    trend,
)
from xrec_utils.plots_data import (
    box,
    correlation_heatmap,
    embedding_map,
    metric_table_bar,
    scatter,
    split_rows,
    training_curve,
)
from xrec_utils.plots_model import decision_path, structure

__all__ = [
    "attention_heatmap",
    "box",
    "correlation_heatmap",
    "decision_path",
    "deletion_curve",
    "dependence",
    "embedding_map",
    "history_reasons",
    "metric_table_bar",
    "scatter",
    "shap_bar",
    "shap_beeswarm",
    "shap_heatmap",
    "show",
    "split_rows",
    "structure",
    "training_curve",
    "weight_heatmap",
    "weight_heatmaps",
]

Values = Sequence[Explanation] | np.ndarray


def history_reasons(
    explanation: Explanation,
    title: str | None = None,
    k: int = 10,
    stars: Sequence[float] | None = None,
    alt: str | None = None,
    xlabel: str = "effect on the score (− against, + for)",
) -> None:
    """Draw the k strongest reasons of one explanation as horizontal bars, with 2
    standard errors where it has them.

    `stars` (p,) are the user's own ratings of the players, written beside the titles.
    What the other players add up to is one grey bar, so that the bars together are the
    whole explanation.
    """
    values = np.asarray(explanation.values)
    order = np.argsort(-np.abs(values), kind="stable")[:k]
    rest = np.setdiff1d(np.arange(len(values)), order)
    names = [shorten(explanation.players[i]) + _stars(stars, i) for i in order]
    bars = [*values[order], values[rest].sum()][: len(order) + (len(rest) > 0)]
    names += [f"the other {len(rest)} together"] * (len(rest) > 0)
    best = explanation.players[order[0]]
    side = "for" if values[order[0]] >= 0 else "against"
    goal = _the(explanation.target)
    title = title or capital(f"{best} is the strongest reason {side} {goal}")
    spoken = listed(
        [f"{explanation.players[i]} {number(values[i])}" for i in order[:3]]
    )
    alt = alt or (
        f"Horizontal bar chart: effects of {len(values)} players on {goal} by {explanation.method}. "
        f"The largest are {spoken}. {int((values < 0).sum())} of {len(values)} effects are negative."
    )
    note = explanation.method + (
        "; lines: ± 2 standard errors" if explanation.error is not None else ""
    )
    with canvas(title, alt, height=1.5 + 0.31 * len(bars), note=note) as axes:
        colours = [POSITIVE if bar >= 0 else NEGATIVE for bar in bars[: len(order)]] + [
            GREY
        ] * (len(rest) > 0)
        _bars(axes, names, bars, colours)
        if explanation.error is not None:
            spread = 2 * np.asarray(explanation.error)[order]
            axes.errorbar(
                values[order],
                range(len(order)),
                xerr=spread,
                fmt="none",
                ecolor="black",
                capsize=3,
            )
        axes.set_xlabel(xlabel)
        axes.set_ylabel("reason")


def shap_bar(
    explanations: Values,
    title: str | None = None,
    k: int = 12,
    names: Sequence[str] | None = None,
    alt: str | None = None,
) -> None:
    """Draw the mean |value| of the k most important players over many explanations, or
    a matrix (n, p) with names.
    """
    values, names, order = _table(explanations, names, k)
    size = np.abs(values).mean(axis=0)[order]
    labels = [names[i] for i in order]
    alt = alt or (
        f"Horizontal bar chart: mean absolute effect over {len(values)} rows. The largest are "
        f"{listed([f'{name} {number(value)}' for name, value in zip(labels[:3], size, strict=False)])}."
    )
    with canvas(
        title or capital(f"{labels[0]} moves the prediction most"),
        alt,
        height=1.4 + 0.31 * len(order),
    ) as axes:
        _bars(
            axes, [shorten(label) for label in labels], size, [PALETTE[0]] * len(order)
        )
        axes.set_xlabel("mean |effect on the prediction|")
        axes.set_ylabel("feature")


def shap_beeswarm(
    explanations: Values,
    features: np.ndarray,
    title: str | None = None,
    k: int = 12,
    names: Sequence[str] | None = None,
    alt: str | None = None,
) -> None:
    """Draw one dot per row and player: where it lies is its effect, its colour the
    feature's rank among the rows.

    `features` (n, p) are the feature values behind the explanations.
    """
    values, names, order = _table(explanations, names, k)
    features = np.asarray(features)
    if features.shape != values.shape:
        raise ValueError(
            f"features has shape {features.shape}, the effects {values.shape}; they must be the same."
        )
    first = order[0]
    direction = (
        "raise"
        if rank_correlation(features[:, first], values[:, first]) >= 0
        else "lower"
    )
    alt = alt or (
        f"Beeswarm chart of the effects of {len(order)} features on {len(values)} predictions. {names[first]} spreads "
        f"widest, from {number(values[:, first].min())} to {number(values[:, first].max())}; its high values mostly "
        f"{direction} the prediction."
    )
    title = title or f"High values of {names[first]} mostly {direction} the prediction"
    with canvas(title, alt, height=1.6 + 0.36 * len(order)) as axes:
        for place, column in enumerate(order):
            shade = pd.Series(features[:, column]).rank(pct=True)
            x = values[:, column]
            dots = axes.scatter(
                x,
                place + _swarm(x, values),
                c=shade,
                cmap="cividis",
                vmin=0,
                vmax=1,
                s=14,
                lw=0,
            )
        colour_bar(axes, dots, "feature value").set_ticks(
            [0, 1], labels=["low", "high"]
        )
        axes.axvline(0, color=GREY, lw=1)
        axes.set_yticks(range(len(order)), [shorten(names[i]) for i in order])
        axes.set_ylim(len(order) - 0.4, -0.6)
        axes.set_xlabel("effect on the prediction")
        axes.set_ylabel("feature")


def shap_heatmap(
    explanations: Values,
    title: str | None = None,
    k: int = 12,
    names: Sequence[str] | None = None,
    alt: str | None = None,
) -> None:
    """Draw effects as colours: a column per row of data, ordered by the sum of its
    effects, a line per feature.
    """
    values, names, order = _table(explanations, names, k)
    sums = values.sum(axis=1)
    grid = values[np.argsort(sums, kind="stable")][:, order].T
    top = names[order[0]]
    alt = alt or (
        f"Heatmap of the effects of {len(order)} features on {len(values)} predictions, from the lowest on the left "
        f"to the highest on the right. {top} is strongest: from {number(grid[0].min())} to {number(grid[0].max())}."
    )
    with canvas(
        title or capital(f"{top} separates low predictions from high ones"),
        alt,
        height=1.5 + 0.3 * len(order),
    ) as axes:
        _coloured(axes, grid, "effect on the prediction", signed=True)
        axes.set_yticks(range(len(order)), [shorten(names[i]) for i in order])
        axes.set_xlabel("row, ordered by the sum of its effects")
        axes.set_ylabel("feature")


def dependence(
    x: np.ndarray,
    values: np.ndarray,
    xlabel: str,
    ylabel: str = "effect on the prediction",
    colour_by: np.ndarray | None = None,
    colour_label: str = "",
    title: str | None = None,
    alt: str | None = None,
) -> None:
    """Draw the effect of one feature (n,) against its value (n,), coloured by a second
    feature if one is given.
    """
    rho = rank_correlation(x, values)
    verb = trend(rho)
    tail = f" Colour shows {colour_label}." if colour_by is not None else ""
    alt = alt or (
        f"Scatter plot of the {ylabel} against {xlabel} for {len(x)} rows. The effect {verb} with {xlabel}: "
        f"rank correlation {number(rho)}.{tail}"
    )
    with canvas(
        title
        or f"The effect of {xlabel} {verb} with it (rank correlation {number(rho)})",
        alt,
    ) as axes:
        colour = PALETTE[0] if colour_by is None else colour_by
        dots = axes.scatter(
            x,
            values,
            c=colour,
            cmap=None if colour_by is None else "cividis",
            s=18,
            lw=0,
            alpha=0.85,
        )
        if colour_by is not None:
            colour_bar(axes, dots, colour_label)
        axes.axhline(0, color=GREY, lw=1)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)


def deletion_curve(
    curves: Mapping[str, np.ndarray],
    title: str | None = None,
    ylabel: str = "score",
    xlabel: str = "share of the history removed (%)",
    alt: str | None = None,
) -> None:
    """Draw how a score changes as players are removed in several orders: {name of the
    order: scores (p + 1,)}.
    """
    heights = {name: float(np.mean(curve)) for name, curve in curves.items()}
    lowest = min(heights, key=heights.__getitem__)
    ends = [
        f"{name} from {number(c[0])} to {number(c[-1])}, mean {number(heights[name])}"
        for name, c in curves.items()
    ]
    alt = (
        alt
        or f"Line chart of the {ylabel} against the {xlabel}. {'; '.join(ends)}. Lowest on average: {lowest}."
    )
    title = (
        title or f"The {ylabel} falls fastest when films go in the order of {lowest}"
    )
    with canvas(title, alt) as axes:
        for place, (name, curve) in enumerate(curves.items()):
            x = np.linspace(0, 100, len(curve))
            axes.plot(
                x,
                curve,
                label=name,
                marker=MARKERS[place % 7],
                markevery=max(1, len(curve) // 10),
                lw=2,
            )
        axes.legend()
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)


def attention_heatmap(
    weights: np.ndarray,
    labels: Sequence[str],
    title: str | None = None,
    k: int = 15,
    alt: str | None = None,
) -> None:
    """Draw one head's weights (L, L) for the k latest positions: a line per position
    that looks.

    `labels` (L,) name the positions, the start token included. Raises ValueError if
    `weights` is not (L, L).
    """
    weights = np.asarray(weights)
    if weights.shape != (len(labels), len(labels)):
        raise ValueError(
            f"weights has shape {weights.shape} for {len(labels)} labels; pick one as weights[layer, head]."
        )
    last, most = weights[-1], int(np.argmax(weights[-1]))
    alt = alt or (
        f"Heatmap of attention weights between {len(labels)} positions, the latest {min(k, len(labels))} shown. The "
        f"last position, {labels[-1]}, gives most to {labels[most]}: {number(last[most])} of 1."
    )
    title = (
        title or f"The last position looks most at {labels[most]} ({last[most]:.0%})"
    )
    names = [shorten(label, 22) for label in labels[-k:]]
    with canvas(title, alt, height=2.9 + 0.27 * len(names)) as axes:
        _coloured(axes, weights[-k:, -k:], "attention weight", signed=False)
        axes.set_xticks(
            range(len(names)),
            names,
            rotation=60,
            ha="right",
            rotation_mode="anchor",
            fontsize=11,
        )
        axes.set_yticks(range(len(names)), names, fontsize=11)
        axes.set_xlabel("looks at")
        axes.set_ylabel("position that looks")


def weight_heatmap(
    kernel: np.ndarray,
    title: str | None = None,
    xlabel: str = "neuron",
    ylabel: str = "input",
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    label: str = "weight",
    alt: str | None = None,
) -> None:
    """Draw a kernel (inputs, neurons) on a scale centred on zero; `rows` and `columns`
    name its lines and columns.

    `label` names the numbers of a matrix that is no kernel, such as cosines or sums
    over paths.
    """
    kernel = np.asarray(kernel)
    if kernel.ndim != 2:
        raise ValueError(
            f"The kernel has shape {kernel.shape}; a heatmap needs two axes. Reshape or slice it first."
        )
    i, j = np.unravel_index(np.argmax(np.abs(kernel)), kernel.shape)
    where = f"{rows[i] if rows else f'{ylabel} {i}'} to {columns[j] if columns else f'{xlabel} {j}'}"
    alt = alt or (
        f"Heatmap of {kernel.shape[0]} by {kernel.shape[1]} numbers ({label}). The strongest is "
        f"{number(kernel[i, j])}, from {where}; {(kernel > 0).mean():.0%} are positive."
    )
    height = 4.2 if rows is None else 1.6 + max(2.0, 0.205 * len(rows))
    with canvas(
        title or f"The strongest weight runs from {where}", alt, height=height
    ) as axes:
        _coloured(axes, kernel, label, signed=True)
        if rows is not None:
            axes.set_yticks(
                range(len(rows)), [shorten(name, 28) for name in rows], fontsize=11
            )
        if columns is not None:
            axes.set_xticks(
                range(len(columns)),
                columns,
                rotation=60,
                ha="right",
                rotation_mode="anchor",
                fontsize=11,
            )
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)


def weight_heatmaps(
    kernels: Mapping[str, np.ndarray],
    title: str,
    xlabel: str = "neuron",
    rows: Sequence[str] | None = None,
    alt: str | None = None,
) -> None:
    """Draw kernels (inputs, neurons) of the same height side by side, on one scale:
    {name: kernel}.

    `rows` names the lines, which all panels share. Raises ValueError for fewer than two
    kernels or unequal heights.
    """
    kernels = {name: np.asarray(kernel) for name, kernel in kernels.items()}
    if len(kernels) < 2 or {kernel.ndim for kernel in kernels.values()} != {2}:
        raise ValueError(
            "kernels must name two or more arrays with two axes; use weight_heatmap for one."
        )
    if len({len(kernel) for kernel in kernels.values()}) > 1:
        raise ValueError(
            "The kernels have different numbers of inputs; side by side they need the same lines."
        )
    limits = symmetric(np.concatenate([kernel.ravel() for kernel in kernels.values()]))
    spoken = listed(
        [
            f"{name} up to {number(np.abs(kernel).max())}"
            for name, kernel in kernels.items()
        ]
    )
    alt = (
        alt
        or f"{len(kernels)} weight heatmaps side by side on one colour scale; largest absolute weights: {spoken}."
    )
    height = 4.2 if rows is None else 1.6 + max(2.0, 0.205 * len(rows))
    with canvas(title, alt, width=9.5, height=height, panels=len(kernels)) as panels:
        for axes, (name, kernel) in zip(panels, kernels.items(), strict=True):
            drawn = axes.imshow(
                kernel, aspect="auto", interpolation="nearest", cmap=DIVERGING, **limits
            )
            axes.set_title(name)
            axes.set_xlabel(xlabel)
            axes.set_ylabel("input")
            axes.set_yticks([])
            no_grid(axes)
        if rows is not None:
            panels[0].set_yticks(
                range(len(rows)), [shorten(name, 28) for name in rows], fontsize=11
            )
        colour_bar(panels[-1], drawn, "weight")


# -- shared pieces
# ------------------------------------------------------------------------------------------------


def _bars(
    axes: Axes, names: Sequence[str], values: Sequence[float], colours: Sequence[str]
) -> None:
    """Draw horizontal bars, the first on top, with a line at zero."""
    axes.barh(range(len(values)), values, color=colours, height=0.72)
    axes.set_yticks(range(len(values)), names)
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.axvline(0, color=GREY, lw=1)
    axes.grid(False, axis="y")


def _coloured(axes: Axes, grid: np.ndarray, label: str, signed: bool) -> None:
    """Draw a matrix as colours with a colour bar: diverging around zero if signed, else
    from zero up.
    """
    limits = symmetric(grid) if signed else {"vmin": 0.0, "vmax": float(grid.max())}
    image = axes.imshow(
        grid,
        aspect="auto",
        interpolation="nearest",
        cmap=DIVERGING if signed else SEQUENTIAL,
        **limits,
    )
    colour_bar(axes, image, label)
    no_grid(axes)


def _table(
    explanations: Values, names: Sequence[str] | None, k: int
) -> tuple[np.ndarray, Sequence[str], np.ndarray]:
    """Return the effects (n, p), the p names, and the k columns with the largest mean
    |effect|, largest first.
    """
    if isinstance(explanations, np.ndarray):
        values = explanations
        names = names or [f"x{i}" for i in range(values.shape[1])]
    else:
        values = np.array([explanation.values for explanation in explanations])
        names = names or explanations[0].players
    return values, names, np.argsort(-np.abs(values).mean(axis=0), kind="stable")[:k]


def _the(target: str) -> str:
    """Put the article before a target such as 'score of Alien (1979)'."""
    return f"the {target}" if target.startswith(("score", "attention")) else target


def _stars(stars: Sequence[float] | None, i: int) -> str:
    return "" if stars is None or np.isnan(stars[i]) else f"  {stars[i]:g}★"


def _swarm(x: np.ndarray, scale: np.ndarray, height: float = 0.36) -> np.ndarray:
    """Move dots with nearly the same x apart, to both sides in turn: offsets (n,)
    within +-height.
    """
    width = (np.ptp(scale) or 1.0) / 90
    cell = np.round(x / width)
    turn = pd.Series(cell).groupby(cell).cumcount().to_numpy()
    offset = np.where(turn % 2, -1, 1) * ((turn + 1) // 2)
    return offset * min(0.09, height / max(1, np.abs(offset).max()))

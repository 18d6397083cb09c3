"""Heatmaps of weights and of attention."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from xrec_utils.plots.style import (
    DIVERGING,
    _coloured,
    canvas,
    colour_bar,
    listed,
    no_grid,
    number,
    shorten,
    symmetric,
)

# Names of positions or columns below a heatmap: slanted, so that they do not overlap.
SLANTED = {"rotation": 60, "ha": "right", "rotation_mode": "anchor", "fontsize": 11}


def attention_heatmap(
    weights: np.ndarray,
    labels: Sequence[str],
    title: str | None = None,
    k: int = 15,
    alt: str | None = None,
) -> None:
    """Draw one head's attention weights for the k latest positions.

    A line per position that looks, a column per position it looks at.

    Args:
        weights: (L, L) weights of one head, each line adding up to 1.
        labels: (L,) names of the positions, the start token included.
        title: the figure's message; without it, what the last position looks at most.
        k: how many of the latest positions are drawn.
        alt: alternative text; without it, the last position's largest weight.

    Raises:
        ValueError: weights is not (L, L).

    Example:
        >>> weights = np.array([[1.0, 0.0], [0.25, 0.75]])
        >>> attention_heatmap(weights, ["start", "Alien"])
        ... # doctest: +NORMALIZE_WHITESPACE
        Heatmap of attention weights between 2 positions, the latest 2 shown. The last
        position, Alien, gives most to Alien: 0.75 of 1.
    """
    weights = np.asarray(weights)
    if weights.shape != (len(labels), len(labels)):
        raise ValueError(
            f"weights has shape {weights.shape} for {len(labels)} labels; "
            "pick one as weights[layer, head]."
        )
    last = weights[-1]
    most = int(np.argmax(last))
    names = [shorten(label, 22) for label in labels[-k:]]
    with canvas(
        title=title
        or f"The last position looks most at {labels[most]} ({last[most]:.0%})",
        alt=alt
        or f"Heatmap of attention weights between {len(labels)} positions, the latest "
        f"{min(k, len(labels))} shown. The last position, {labels[-1]}, gives most to "
        f"{labels[most]}: {number(last[most])} of 1.",
        height=2.9 + 0.27 * len(names),
    ) as axes:
        _coloured(axes, weights[-k:, -k:], "attention weight", signed=False)
        axes.set_xticks(range(len(names)), names, **SLANTED)
        axes.set_yticks(range(len(names)), names, fontsize=11)
        axes.set(xlabel="looks at", ylabel="position that looks")


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
    """Draw a matrix of weights as colours, on a scale centred on zero.

    Args:
        kernel: (inputs, neurons) weights, or any other matrix of signed numbers.
        title: the figure's message; without it, where the strongest weight is.
        xlabel: what the columns are.
        ylabel: what the lines are.
        rows: (inputs,) names of the lines.
        columns: (neurons,) names of the columns.
        label: what the numbers are, of a matrix that is no kernel: cosines, say.
        alt: alternative text; without it, the strongest weight and the signs.

    Raises:
        ValueError: kernel has not two axes.

    Example:
        >>> weight_heatmap(np.array([[0.5, -2.0], [1.0, 0.0]]), rows=["age", "hour"])
        ... # doctest: +NORMALIZE_WHITESPACE
        Heatmap of 2 by 2 numbers (weight). The strongest is −2, from age to neuron 1;
        50% are positive.
    """
    kernel = np.asarray(kernel)
    if kernel.ndim != 2:
        raise ValueError(
            f"The kernel has shape {kernel.shape}; a heatmap needs two axes. "
            "Reshape or slice it first."
        )
    i, j = np.unravel_index(
        np.argmax(np.abs(kernel)),
        kernel.shape,
    )
    start = rows[i] if rows else f"{ylabel} {i}"
    end = columns[j] if columns else f"{xlabel} {j}"
    positive = (kernel > 0).mean()
    with canvas(
        title=title or f"The strongest weight runs from {start} to {end}",
        alt=alt
        or f"Heatmap of {kernel.shape[0]} by {kernel.shape[1]} numbers ({label}). "
        f"The strongest is {number(kernel[i, j])}, from {start} to {end}; "
        f"{positive:.0%} are positive.",
        height=_height(rows),
    ) as axes:
        _coloured(axes, kernel, label, signed=True)
        if rows is not None:
            _name_lines(axes, rows)
        if columns is not None:
            axes.set_xticks(range(len(columns)), columns, **SLANTED)
        axes.set(xlabel=xlabel, ylabel=ylabel)


def weight_heatmaps(
    kernels: Mapping[str, np.ndarray],
    title: str,
    xlabel: str = "neuron",
    rows: Sequence[str] | None = None,
    alt: str | None = None,
) -> None:
    """Draw kernels of the same height side by side, on one colour scale.

    Args:
        kernels: {name: weights (inputs, neurons)}; they may differ in neurons.
        title: the figure's message.
        xlabel: what the columns are.
        rows: (inputs,) names of the lines, which all panels share.
        alt: alternative text; without it, the largest |weight| of each kernel.

    Raises:
        ValueError: fewer than two kernels, or kernels of unequal heights.

    Example:
        >>> kernels = {"first": np.array([[0.5], [-2.0]]), "second": np.eye(2)}
        >>> weight_heatmaps(kernels, "They differ.")  # doctest: +NORMALIZE_WHITESPACE
        2 weight heatmaps side by side on one colour scale; largest absolute weights:
        first up to 2 and second up to 1.
    """
    kernels = {name: np.asarray(kernel) for name, kernel in kernels.items()}
    _check_kernels(kernels)
    largest = [
        f"{name} up to {number(np.abs(kernel).max())}"
        for name, kernel in kernels.items()
    ]
    # one scale for all, so that colours compare between panels
    limits = symmetric(np.concatenate([kernel.ravel() for kernel in kernels.values()]))
    with canvas(
        title=title,
        alt=alt
        or f"{len(kernels)} weight heatmaps side by side on one colour scale; "
        f"largest absolute weights: {listed(largest)}.",
        width=9.5,
        height=_height(rows),
        panels=len(kernels),
    ) as panels:
        for axes, (name, kernel) in zip(panels, kernels.items(), strict=True):
            drawn = axes.imshow(
                kernel, aspect="auto", interpolation="nearest", cmap=DIVERGING, **limits
            )
            axes.set(
                title=name,
                xlabel=xlabel,
                ylabel="input",
            )
            axes.set_yticks([])
            no_grid(axes)
        if rows is not None:
            _name_lines(panels[0], rows)
        colour_bar(panels[-1], drawn, "weight")


def _check_kernels(kernels: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError unless the kernels can stand side by side."""
    axes = {kernel.ndim for kernel in kernels.values()}
    if len(kernels) < 2 or axes != {2}:
        raise ValueError(
            "kernels must name two or more arrays with two axes; "
            "use weight_heatmap for one."
        )
    heights = {len(kernel) for kernel in kernels.values()}
    if len(heights) > 1:
        raise ValueError(
            "The kernels have different numbers of inputs; "
            "side by side they need the same lines."
        )


def _height(rows: Sequence[str] | None) -> float:
    """The height of a heatmap in inches: room for the names of its lines, if any."""
    return 4.2 if rows is None else 1.6 + max(2.0, 0.205 * len(rows))


def _name_lines(axes: Axes, rows: Sequence[str]) -> None:
    """Write the names of a heatmap's lines on its left."""
    names = [shorten(name, 28) for name in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=11)

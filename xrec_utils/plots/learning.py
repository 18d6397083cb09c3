"""Figures of what a network learned: its training, its weights and attention, and the
places of its embeddings.

See `plots`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from xrec_utils.plots.style import (
    BESIDE,
    DIVERGING,
    MARKERS,
    PALETTE,
    SEQUENTIAL,
    beside,
    canvas,
    capital,
    colour_bar,
    from_to,
    heatmap,
    listed,
    named,
    number,
    shorten,
    shortened,
    symmetric,
)

# Names of positions or columns below a heatmap: slanted, so that they do not overlap.
SLANTED = {"rotation": 60, "ha": "right", "rotation_mode": "anchor", "fontsize": 11}


def attention_heatmap(
    weights: np.ndarray,
    labels: Sequence[str],
    title: str | None = None,
    k: int = 15,
) -> None:
    """Draw one head's attention weights for the k latest positions.

    A line per position that looks, a column per position it looks at.

    Args:
        weights: (L, L) weights of one head, each line adding up to 1.
        labels: (L,) names of the positions, the start token included.
        title: the figure's message; without it, what the last position looks at most.
        k: how many of the latest positions are drawn.

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
    last = weights[-1]  # what the next recommendation is made from
    most = last.argmax()
    names = shortened(labels[-k:], 22)
    with canvas(
        title=title
        or f"The last position looks most at {labels[most]} ({last[most]:.0%})",
        alt=f"Heatmap of attention weights between {len(labels)} positions, the latest "
        f"{min(k, len(labels))} shown. The last position, {labels[-1]}, gives most to "
        f"{labels[most]}: {number(last[most])} of 1.",
        height=2.9 + 0.27 * len(names),
        xlabel="looks at",
        ylabel="position that looks",
    ) as axes:
        heatmap(
            axes,
            weights[-k:, -k:],
            "attention weight",
            cmap=SEQUENTIAL,
            vmin=0,
        )
        axes.set_xticks(range(len(names)), names, **SLANTED)
        axes.set_yticks(range(len(names)), names, fontsize=11)


def weight_heatmap(
    kernel: np.ndarray,
    title: str | None = None,
    xlabel: str = "neuron",
    ylabel: str = "input",
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    label: str = "weight",
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
    start = _name(rows, i, ylabel)
    end = _name(columns, j, xlabel)
    with canvas(
        title=title or f"The strongest weight runs from {start} to {end}",
        alt=f"Heatmap of {kernel.shape[0]} by {kernel.shape[1]} numbers ({label}). "
        f"The strongest is {number(kernel[i, j])}, from {start} to {end}; "
        f"{(kernel > 0).mean():.0%} are positive.",
        height=_height(rows),
        xlabel=xlabel,
        ylabel=ylabel,
    ) as axes:
        heatmap(axes, kernel, label)
        _name_lines(axes, rows)
        if columns is not None:
            axes.set_xticks(range(len(columns)), columns, **SLANTED)


def _name(names: Sequence[str] | None, place: int, kind: str) -> str:
    """The name of a line or column, or its kind and number if it has none."""
    return names[place] if names else f"{kind} {place}"


def _name_lines(axes: Axes, rows: Sequence[str] | None) -> None:
    """Write the names of a heatmap's lines beside them, if they have any."""
    if rows is not None:
        axes.set_yticks(
            range(len(rows)),
            shortened(rows, 28),
            fontsize=11,
        )


def weight_heatmaps(
    kernels: Mapping[str, np.ndarray],
    title: str,
    xlabel: str = "neuron",
    rows: Sequence[str] | None = None,
) -> None:
    """Draw kernels of the same height side by side, on one colour scale.

    Args:
        kernels: {name: weights (inputs, neurons)}; they may differ in neurons.
        title: the figure's message.
        xlabel: what the columns are.
        rows: (inputs,) names of the lines, which all panels share.

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
    largest = {f"{name} up to": np.abs(k).max() for name, k in kernels.items()}
    # one scale for all, so that colours compare between panels
    limits = symmetric(np.concatenate([kernel.ravel() for kernel in kernels.values()]))
    with canvas(
        title=title,
        alt=f"{len(kernels)} weight heatmaps side by side on one colour scale; "
        f"largest absolute weights: {listed(named(largest))}.",
        width=9.5,
        height=_height(rows),
        panels=len(kernels),
        xlabel=xlabel,
        ylabel="input",
    ) as panels:
        for axes, (name, kernel) in zip(panels, kernels.items(), strict=True):
            heatmap(axes, kernel, cmap=DIVERGING, **limits)
            axes.set(title=name, yticks=[])
        _name_lines(panels[0], rows)
        last = panels[-1]
        colour_bar(last, last.images[0], "weight")


def _check_kernels(kernels: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError unless the kernels can stand side by side."""
    if len(kernels) < 2 or {kernel.ndim for kernel in kernels.values()} != {2}:
        raise ValueError(
            "kernels must name two or more arrays with two axes; "
            "use weight_heatmap for one."
        )
    if len({len(kernel) for kernel in kernels.values()}) > 1:
        raise ValueError(
            "The kernels have different numbers of inputs; "
            "side by side they need the same lines."
        )


def _height(rows: Sequence[str] | None) -> float:
    """The height of a heatmap in inches: room for the names of its lines, if any."""
    return 4.2 if rows is None else 1.6 + max(2.0, 0.205 * len(rows))


def training_curve(
    history: Mapping[str, Sequence[float]] | Sequence[Mapping[str, float]],
    title: str | None = None,
    alt: str | None = None,
) -> None:
    """Draw a training, a panel per quantity and a line per part it was measured on.

    A name that begins with "val_" or "validation_" shares its panel with the name that
    follows.

    Args:
        history: {name: numbers by epoch}, as Keras gives it, or a row per epoch.
        title: the figure's message; without it, the best epoch.
        alt: alternative text; without it, both ends of each line and the best epoch.

    Example:
        >>> losses = {"loss": [3.0, 2.0, 1.0], "val_loss": [3.0, 2.0, 2.5]}
        >>> training_curve(losses)  # doctest: +NORMALIZE_WHITESPACE
        Line chart of a training of 3 epochs: loss from 3 to 1 and val_loss from 3 to
        2.5. Best validation loss 2 in epoch 2.
    """
    table = pd.DataFrame(history).drop(columns="epoch", errors="ignore")
    best = _best_epoch(table)
    ends = [f"{name} {from_to(line.to_numpy())}" for name, line in table.items()]
    quantities = list(dict.fromkeys(map(_quantity, table)))
    with canvas(
        title=title or f"Best {best}",
        alt=alt
        or f"Line chart of a training of {len(table)} epochs: {listed(ends)}. Best {best}.",
        panels=len(quantities),
        xlabel="epoch",
    ) as axes:
        panels = np.atleast_1d(axes)
        _draw_training(dict(zip(quantities, panels, strict=True)), table)


def _draw_training(panels: Mapping[str, Axes], table: pd.DataFrame) -> None:
    """Draw each column of a training log on the panel of its quantity."""
    for name, line in table.items():
        # blue for training, vermilion for validation
        place = 0 if _part(name) == "training" else 5
        panels[_quantity(name)].plot(
            table.index + 1,
            line,
            label=_part(name),
            color=PALETTE[place],
            marker=MARKERS[place],
        )
    for quantity, panel in panels.items():
        panel.set_ylabel(quantity.replace("_", " "))
        # no half epochs
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.legend()


def _quantity(name: str) -> str:
    """What a line of a training log measures, without the part it was measured on."""
    return name.removeprefix("val_").removeprefix("validation_")


def _part(name: str) -> str:
    """The part a line of a training log was measured on."""
    return "training" if name == _quantity(name) else "validation"


def _best_epoch(table: pd.DataFrame) -> str:
    """The best epoch in words: of the last validation column, else of the first one."""
    validated = [name for name in table if _part(name) == "validation"]
    line = table[validated[-1] if validated else table.columns[0]]
    quantity = _quantity(line.name)
    # of an error less is better, of all other quantities more
    falls = quantity.endswith(("loss", "error", "rmse", "mae"))
    place = line.idxmin() if falls else line.idxmax()
    return f"{_part(line.name)} {quantity} {number(line[place])} in epoch {place + 1}"


def embedding_map(
    points: np.ndarray,
    groups: Sequence[str],
    title: str | None = None,
    labels: Mapping[int, str] | None = None,
    xlabel: str = "first direction",
    ylabel: str = "second direction",
) -> None:
    """Draw points in two dimensions, with a colour and a marker per group.

    The six largest groups have a colour; the rest are grey.

    Args:
        points: (n, 2) places, of embeddings after a projection, say.
        groups: (n,) the group of each point.
        title: the figure's message; without it, the group that lies closest together:
            the smallest mean distance to its own centre.
        labels: {index of a point: the text beside it}.
        xlabel: what the first coordinate is.
        ylabel: what the second coordinate is.

    Example:
        >>> places = [[0, 0], [0, 2], [5, 0], [5, 6]]
        >>> embedding_map(places, ["war", "war", "love", "love"])
        ... # doctest: +NORMALIZE_WHITESPACE
        Scatter plot of 4 points in two dimensions, coloured by group: war and love. war
        lies closest together, 1 from its centre on average.
    """
    points = np.asarray(points, dtype=float)
    groups = pd.Series(list(groups), dtype=str)
    largest = list(groups.value_counts(sort=True).index[:6])
    spread = {name: _spread(points[groups == name]) for name in largest}
    closest = min(spread, key=spread.__getitem__)
    with canvas(
        title=title or capital(f"{closest} lies closest together"),
        alt=f"Scatter plot of {len(points)} points in two dimensions, coloured by group: "
        f"{listed(largest)}. {closest} lies closest together, "
        f"{number(spread[closest])} from its centre on average.",
        height=4.8,
        xlabel=xlabel,
        ylabel=ylabel,
    ) as axes:
        _draw_groups(axes, points, groups, largest)
        for i, text in (labels or {}).items():
            beside(axes, points[i], shorten(text, 24), (4, 4), fontsize=11)
        axes.legend(**BESIDE, handletextpad=0.2)


def _spread(points: np.ndarray) -> float:
    """The mean distance of points (n, 2) to their centre."""
    distances = np.linalg.norm(
        points - points.mean(axis=0),
        axis=1,
    )
    return distances.mean()


def _draw_groups(
    axes: Axes, points: np.ndarray, groups: pd.Series, largest: Sequence[str]
) -> None:
    """Draw the points of the largest groups in colour and all others in grey."""
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
            *points[rest].T,
            s=12,
            lw=0,
            color="#BBBBBB",
            label="other",
            # below the others, which are what the figure is about
            zorder=0.5,
        )

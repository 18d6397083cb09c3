"""Figures of training and of what was learned."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from xrec_utils.plots.style import (
    MARKERS,
    PALETTE,
    canvas,
    capital,
    listed,
    number,
    shorten,
)

# A legend to the right of the axes, which covers no point.
BESIDE = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "frameon": False}


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
    lines = {name: (_quantity(name), _part(name)) for name in table}
    best = _best_epoch(table)
    ends = [
        f"{name} from {number(line.iloc[0])} to {number(line.iloc[-1])}"
        for name, line in table.items()
    ]
    quantities = list(dict.fromkeys(quantity for quantity, _ in lines.values()))
    with canvas(
        title=title or f"Best {best}",
        alt=alt
        or f"Line chart of a training of {len(table)} epochs: {listed(ends)}. Best {best}.",
        panels=len(quantities),
    ) as axes:
        panels = dict(zip(quantities, np.atleast_1d(axes), strict=True))
        for name, (quantity, part) in lines.items():
            place = 0 if part == "training" else 5
            panels[quantity].plot(
                table.index + 1,
                table[name],
                label=part,
                color=PALETTE[place],
                marker=MARKERS[place],
            )
        for quantity, panel in panels.items():
            panel.set(xlabel="epoch", ylabel=quantity.replace("_", " "))
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
    watched = validated[-1] if validated else table.columns[0]
    quantity = _quantity(watched)
    line = table[watched]
    falls = quantity.endswith(("loss", "error", "rmse", "mae"))
    place = int(line.idxmin() if falls else line.idxmax())
    return f"{_part(watched)} {quantity} {number(line[place])} in epoch {place + 1}"


def embedding_map(
    points: np.ndarray,
    groups: Sequence[str],
    title: str | None = None,
    labels: Mapping[int, str] | None = None,
    xlabel: str = "first direction",
    ylabel: str = "second direction",
    alt: str | None = None,
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
        alt: alternative text; without it, the groups and the closest of them.

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
        alt=alt
        or f"Scatter plot of {len(points)} points in two dimensions, coloured by group: "
        f"{listed(largest)}. {closest} lies closest together, "
        f"{number(spread[closest])} from its centre on average.",
        height=4.8,
    ) as axes:
        _draw_groups(axes, points, groups, largest)
        for i, text in (labels or {}).items():
            axes.annotate(
                shorten(text, 24),
                points[i],
                xytext=(4, 4),
                textcoords="offset points",
                fontsize=11,
            )
        axes.legend(**BESIDE, handletextpad=0.2)
        axes.set(xlabel=xlabel, ylabel=ylabel)


def _spread(points: np.ndarray) -> float:
    """The mean distance of points (n, 2) to their centre."""
    distances = np.linalg.norm(
        points - points.mean(axis=0),
        axis=1,
    )
    return float(distances.mean())


def _draw_groups(
    axes: Axes, points: np.ndarray, groups: pd.Series, largest: Sequence[str]
) -> None:
    """Draw the points of the largest groups in colour and all others in grey."""
    for place, name in enumerate(largest):
        x, y = points[groups == name].T
        axes.scatter(
            x,
            y,
            s=22,
            lw=0,
            alpha=0.75,
            color=PALETTE[place],
            marker=MARKERS[place],
            label=name,
        )
    rest = ~groups.isin(largest).to_numpy()
    if rest.any():
        x, y = points[rest].T
        # below the others, which are what the figure is about
        style = {"color": "#BBBBBB", "label": "other", "zorder": 0.5}
        axes.scatter(x, y, s=12, lw=0, **style)

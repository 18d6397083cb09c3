"""Drawings of Keras models: the layers as boxes and arrows, and one decision from input
to score. See `plots`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle

from xrec_utils.plots_base import (
    BLUE,
    DIVERGING,
    GREY,
    canvas,
    listed,
    no_grid,
    number,
    shorten,
    symmetric,
)

if TYPE_CHECKING:  # Keras takes seconds to load, and most figures do without
    import keras

Edge = tuple[str, str]
Step = tuple[str, str, int]


def structure(
    model: keras.Model,
    title: str | None = None,
    skip: Sequence[str] = (),
    alt: str | None = None,
) -> None:
    """Draw a functional or sequential model as boxes and arrows, inputs on top,
    branches side by side.

    Each box has the layer's name and kind, the size it puts out and its number of
    weights. `skip` names kinds of layers to leave out, such as "Dropout"; arrows pass
    through them. Raises ValueError for a model without a graph.
    """
    steps, edges = layer_graph(model, skip)
    levels = _levels(list(steps), edges)
    total = model.count_params()
    chain = "; ".join(f"{name} {shape}" for name, (_, shape, _) in steps.items())
    alt = (
        alt
        or f"Drawing of the model {model.name} with {len(steps)} layers and {total:,} weights: {chain}."
    )
    wide, flat = max(len(level) for level in levels), len(levels) > 8
    width, height = (
        (4.3 * wide, 0.66 * len(levels)) if flat else (2.4 * wide, 0.98 * len(levels))
    )
    title = title or f"{total:,} weights in {len(steps)} layers: {model.name}"
    note = "kind → size of the output; number of weights"
    with canvas(
        title, alt, min(10.2, max(5.5, width)), height + 0.8, note=note
    ) as axes:
        places = _places(levels, edges, wide)
        for source, target in edges:
            _arrow(axes, places[source], places[target])
        for name, place in places.items():
            _layer_box(axes, name, place, steps[name], flat)
        axes.set_xlim(
            0, wide + 0.2 * any(_skips(places[a], places[b]) for a, b in edges)
        )
        axes.set_ylim(-len(levels) + 0.55, 0.45)
        axes.axis("off")


def layer_graph(
    model: keras.Model, skip: Sequence[str] = ()
) -> tuple[dict[str, Step], list[Edge]]:
    """Read a model's layers, {name: (kind, size of the output, number of weights)}, and
    the edges between them.
    """
    layers = _operations(model)
    steps: dict[str, Step] = {
        tensor.name: ("Input", _size(tensor), 0) for tensor in model.inputs
    }
    made_by = {id(tensor): tensor.name for tensor in model.inputs}
    edges: list[Edge] = []
    for layer in layers:
        kind, weights = (
            type(layer).__name__,
            sum(int(np.prod(w.shape)) for w in getattr(layer, "weights", [])),
        )
        # Keras has no public way to ask where a nested model or a shared layer stands
        # in a graph.
        for node in layer._inbound_nodes:
            sources = list(
                dict.fromkeys(made_by.get(id(tensor)) for tensor in node.input_tensors)
            )
            if None in sources:
                continue  # a use of the layer in another model
            name = sources[0] if kind in skip else layer.name
            made_by.update((id(tensor), name) for tensor in node.outputs)
            if kind not in skip:
                steps[name] = (kind, _size(node.outputs[0]), weights)
                edges += [(source, name) for source in sources]
    return steps, list(dict.fromkeys(edges))


def decision_path(
    path: Sequence[tuple[str, np.ndarray]],
    title: str | None = None,
    names: Sequence[str] | None = None,
    top: int = 8,
    alt: str | None = None,
) -> None:
    """Draw what `explain.weights.decision_path` returned: a column of numbers per
    layer, from the input to the score.

    Each column shows the `top` numbers with the largest absolute value, in their own
    colour scale centred on zero, and how many of all are not zero. `names` are the
    names of the first layer's numbers.
    """
    columns = [(name, np.ravel(values)) for name, values in path]
    final = listed([number(value) for value in columns[-1][1][:3]])
    sizes = [
        f"{name} ({np.count_nonzero(v)} of {len(v)} active)" for name, v in columns
    ]
    alt = (
        alt
        or f"Decision path of one row through {len(columns)} steps: {'; '.join(sizes)}. The end is {final}."
    )
    title = title or f"{len(columns)} steps from the input to {final}"
    left = 1.3 if names is not None else 0.0  # room for the names
    with canvas(
        title, alt, width=1.35 * (len(columns) + left) + 0.4, height=1.1 + 0.36 * top
    ) as axes:
        for place, (name, values) in enumerate(columns):
            _column(axes, place, name, values, top)
            if place:
                axes.text(
                    place - 0.5,
                    (top - 1) / 2,
                    "→",
                    ha="center",
                    va="center",
                    fontsize=16,
                    color=GREY,
                )
        for place, i in enumerate(
            _largest(columns[0][1], top) if names is not None else []
        ):
            axes.text(
                -0.44,
                place,
                shorten(names[i], 20),
                ha="right",
                va="center",
                fontsize=11,
            )
        axes.set_xlim(-0.5 - left, len(columns) - 0.5)
        axes.set_ylim(top - 0.4, -1.7)
        axes.axis("off")


def _operations(model: keras.Model) -> list:
    """The layers and operations of a model in the order of computation, inputs left
    out.
    """
    steps = getattr(model, "operations", None) or (
        model.layers if type(model).__name__ == "Sequential" else []
    )
    if not steps:
        raise ValueError(
            f"{type(model).__name__} has no layer graph; pass a functional or sequential Keras model."
        )
    return [step for step in steps if type(step).__name__ != "InputLayer"]


def _size(tensor: keras.KerasTensor) -> str:
    """Write a shape without the batch axis, any length as '?'."""
    sizes = ["?" if size is None else str(size) for size in tensor.shape[1:]]
    return " × ".join(sizes) or "1"


def _levels(names: Sequence[str], edges: Sequence[Edge]) -> list[list[str]]:
    """Sort layers by the longest way from an input; `names` and `edges` come in the
    order of computation.
    """
    depth = dict.fromkeys(names, 0)
    for source, target in edges:
        depth[target] = max(depth[target], depth[source] + 1)
    return [
        [name for name in names if depth[name] == level]
        for level in range(max(depth.values()) + 1)
    ]


def _places(
    levels: Sequence[Sequence[str]], edges: Sequence[Edge], wide: int
) -> dict[str, tuple[float, float]]:
    """Put each layer under the middle of those it reads from, at least one box apart, a
    level per line.
    """
    places: dict[str, tuple[float, float]] = {}
    for depth, level in enumerate(levels):
        above = [
            [places[source][0] for source, target in edges if target == name]
            for name in level
        ]
        wish = [
            np.mean(x) if x else (i + 0.5) * wide / len(level)
            for i, x in enumerate(above)
        ]
        order = np.argsort(wish, kind="stable")
        count = np.arange(len(level))
        x = np.maximum.accumulate(np.asarray(wish)[order] - count) + count
        x = np.minimum(x, wide - 0.5 - count[::-1])
        places.update(
            {level[i]: (float(spot), -depth) for i, spot in zip(order, x, strict=True)}
        )
    return places


def _layer_box(
    axes: Axes, name: str, place: tuple[float, float], step: Step, flat: bool
) -> None:
    """Draw a layer as a box of three lines, or of two if the drawing is to stay flat."""
    (x, y), (kind, size, weights) = place, step
    fill = "#FFFFFF" if kind == "Input" else "#DCEBF5" if weights else "#F2F2F2"
    style = "round,pad=0,rounding_size=0.06"
    axes.add_patch(
        FancyBboxPatch(
            (x - 0.46, y - 0.34), 0.92, 0.68, boxstyle=style, fc=fill, ec=BLUE, zorder=3
        )
    )
    count = f"{weights:,} weights" if weights else ""
    lines = (
        [f"{kind} → {size}" + f"; {count}" * bool(count)]
        if flat
        else [f"{kind} → {size}", count]
    )
    axes.text(
        x,
        y + (0.15 if flat else 0.19),
        shorten(name, 24),
        ha="center",
        va="center",
        fontweight="bold",
        zorder=4,
    )
    for place_in_box, line in zip(
        (-0.15,) if flat else (-0.02, -0.21), lines, strict=True
    ):
        axes.text(
            x, y + place_in_box, line, ha="center", va="center", fontsize=11, zorder=4
        )


def _skips(start: tuple[float, float], end: tuple[float, float]) -> bool:
    return start[1] - end[1] > 1


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw an arrow down to the next level, or round the right side of what lies
    between.
    """
    style = {"arrowstyle": "->", "color": GREY, "lw": 1.5}
    if _skips(start, end):
        bend = style | {"connectionstyle": "arc3,rad=-0.25"}
        axes.annotate(
            "",
            (end[0] + 0.46, end[1]),
            (start[0] + 0.46, start[1]),
            arrowprops=bend,
            zorder=2,
        )
    else:
        axes.annotate(
            "",
            (end[0], end[1] + 0.33),
            (start[0], start[1] - 0.33),
            arrowprops=style,
            zorder=2,
        )


def _column(axes: Axes, x: float, name: str, values: np.ndarray, top: int) -> None:
    """Write one layer: its name, how many numbers are active, and the largest as
    coloured cells.
    """
    axes.text(x, -1.35, shorten(name, 13), ha="center", fontweight="bold")
    axes.text(
        x,
        -0.65,
        f"{np.count_nonzero(values)} of {len(values)}",
        ha="center",
        fontsize=11,
        color=GREY,
    )
    largest = symmetric(values)["vmax"]
    for place, i in enumerate(_largest(values, top)):
        strength = (
            0.5 + 0.4 * values[i] / largest
        )  # stops before the darkest colours, where text is hard to read
        axes.add_patch(
            Rectangle(
                (x - 0.4, place - 0.4), 0.8, 0.8, fc=DIVERGING(strength), ec="white"
            )
        )
        colour = "black" if 0.3 < strength < 0.82 else "white"
        axes.text(
            x,
            place,
            number(values[i]),
            ha="center",
            va="center",
            fontsize=11,
            color=colour,
        )
    no_grid(axes)


def _largest(values: np.ndarray, top: int) -> np.ndarray:
    """Positions of the `top` largest absolute values, without zeros."""
    order = np.argsort(-np.abs(values), kind="stable")[:top]
    return order[values[order] != 0]

"""Drawings of Keras models: the layers, and one decision from input to score.

See `plots`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle

from xrec_utils.plots.style import (
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


Edge = tuple[str, str]  # a layer, and one that reads from it
Step = tuple[str, str, int]  # kind of layer, size of its output, number of weights
Place = tuple[float, float]


def structure(
    model: keras.Model,
    title: str | None = None,
    skip: Sequence[str] = (),
    alt: str | None = None,
) -> None:
    """Draw a model as boxes and arrows, inputs on top, branches side by side.

    Each box has the layer's name and kind, the size it puts out and its number of
    weights.

    Args:
        model: a functional or sequential Keras model.
        title: the figure's message; without it, the number of weights.
        skip: kinds of layers to leave out, such as "Dropout"; arrows pass through them.
        alt: alternative text; without it, the layers in order with their sizes.

    Raises:
        ValueError: the model has no graph of layers.

    Example:
        >>> from xrec_utils.keras_start import keras
        >>> row = keras.Input((3,), name="row")
        >>> score = keras.layers.Dense(1, name="score")(row)
        >>> structure(keras.Model(row, score, name="net"))
        Drawing of the model net with 2 layers and 4 weights: row 3; score 1.
    """
    steps, edges = layer_graph(model, skip)
    levels = _levels(list(steps), edges)
    total = model.count_params()
    chain = "; ".join(f"{name} {size}" for name, (_, size, _) in steps.items())
    wide = max(len(level) for level in levels)
    flat = len(levels) > 8  # a deep model gets wide boxes of two lines
    width = (4.3 if flat else 2.4) * wide
    height = (0.66 if flat else 0.98) * len(levels)
    with canvas(
        title=title or f"{total:,} weights in {len(steps)} layers: {model.name}",
        alt=alt
        or f"Drawing of the model {model.name} with {len(steps)} layers and {total:,} "
        f"weights: {chain}.",
        width=min(10.2, max(5.5, width)),
        height=height + 0.8,
        note="kind → size of the output; number of weights",
    ) as axes:
        places = _places(levels, edges, wide)
        for source, target in edges:
            _arrow(axes, places[source], places[target])
        for name, place in places.items():
            _layer_box(axes, name, place, steps[name], flat)
        # arrows that skip a level bend to the right and need room there
        bends = any(_skips(places[start], places[end]) for start, end in edges)
        axes.set(
            xlim=(0, wide + 0.2 * bends),
            ylim=(-len(levels) + 0.55, 0.45),
        )
        axes.axis("off")


def layer_graph(
    model: keras.Model, skip: Sequence[str] = ()
) -> tuple[dict[str, Step], list[Edge]]:
    """Read a model's layers and the edges between them.

    Returns {name: (kind, size of the output, number of weights)} in the order of
    computation, and pairs of names (a layer, one that reads from it). Kinds in `skip`
    are left out; what reads from them reads from what they read. Raises ValueError for
    a model without a graph.
    """
    layers = _operations(model)
    steps: dict[str, Step] = {}
    made_by = {}  # which layer shown a tensor comes from
    for tensor in model.inputs:
        steps[tensor.name] = ("Input", _size(tensor), 0)
        made_by[id(tensor)] = tensor.name
    edges: list[Edge] = []
    for layer in layers:
        kind = type(layer).__name__
        # Keras has no public way to ask where a nested model or a shared layer stands
        # in a graph.
        for node in layer._inbound_nodes:
            makers = [made_by.get(id(tensor)) for tensor in node.input_tensors]
            sources = list(dict.fromkeys(makers))
            if None in sources:
                continue  # a use of the layer in another model
            name = sources[0] if kind in skip else layer.name
            made_by.update((id(tensor), name) for tensor in node.outputs)
            if kind not in skip:
                steps[name] = (kind, _size(node.outputs[0]), _count_weights(layer))
                edges += [(source, name) for source in sources]
    return steps, list(dict.fromkeys(edges))


def _count_weights(layer: keras.Layer) -> int:
    """How many weights a layer has; an operation such as a sum has none."""
    weights = getattr(layer, "weights", [])
    return sum(int(np.prod(weight.shape)) for weight in weights)


def decision_path(
    path: Sequence[tuple[str, np.ndarray]],
    title: str | None = None,
    names: Sequence[str] | None = None,
    top: int = 8,
    alt: str | None = None,
) -> None:
    """Draw the outputs of all layers for one row, from the input to the score.

    A column per layer, as `explain.weights.neuron_path` returns them. Each column
    shows the `top` numbers with the largest absolute value, in their own colour scale
    centred on zero, and how many of all are not zero.

    Args:
        path: (name of the layer, its output for one row, any shape) in order.
        title: the figure's message; without it, where the path ends.
        names: names of the first layer's numbers.
        top: how many numbers of a layer are drawn at most.
        alt: alternative text; without it, how many numbers of each layer are active.

    Example:
        >>> path = [("row", np.array([1.0, 0.0])), ("score", np.array([0.5]))]
        >>> decision_path(path)  # doctest: +NORMALIZE_WHITESPACE
        Decision path of one row through 2 steps: row (1 of 2 active); score (1 of 1
        active). The end is 0.5.
    """
    columns = [(name, np.ravel(values)) for name, values in path]
    final = listed([number(value) for value in columns[-1][1][:3]])
    sizes = [
        f"{name} ({np.count_nonzero(values)} of {len(values)} active)"
        for name, values in columns
    ]
    left = 1.3 if names is not None else 0.0  # room for the names
    with canvas(
        title=title or f"{len(columns)} steps from the input to {final}",
        alt=alt
        or f"Decision path of one row through {len(columns)} steps: {'; '.join(sizes)}. "
        f"The end is {final}.",
        width=1.35 * (len(columns) + left) + 0.4,
        height=1.1 + 0.36 * top,
    ) as axes:
        middle = (top - 1) / 2
        for place, (name, values) in enumerate(columns):
            _column(axes, place, name, values, top)
            if place:
                axes.text(
                    place - 0.5,
                    middle,
                    "→",
                    ha="center",
                    va="center",
                    fontsize=16,
                    color=GREY,
                )
        if names is not None:
            for place, i in enumerate(_largest(columns[0][1], top)):
                axes.text(
                    -0.44,
                    place,
                    shorten(names[i], 20),
                    ha="right",
                    va="center",
                    fontsize=11,
                )
        axes.set(
            xlim=(-0.5 - left, len(columns) - 0.5),
            ylim=(top - 0.4, -1.7),
        )
        axes.axis("off")


def _operations(model: keras.Model) -> list:
    """The layers and operations of a model in the order of computation, without inputs.

    Raises ValueError if there are none.
    """
    steps = getattr(model, "operations", None)
    # a sequential model has layers, but not always operations
    if not steps and type(model).__name__ == "Sequential":
        steps = model.layers
    if not steps:
        raise ValueError(
            f"{type(model).__name__} has no layer graph; "
            "pass a functional or sequential Keras model."
        )
    return [step for step in steps if type(step).__name__ != "InputLayer"]


def _size(tensor: keras.KerasTensor) -> str:
    """Write a shape without the batch axis, any length as '?'."""
    sizes = ["?" if size is None else str(size) for size in tensor.shape[1:]]
    return " × ".join(sizes) or "1"


def _levels(names: Sequence[str], edges: Sequence[Edge]) -> list[list[str]]:
    """Sort layers by the longest path from an input.

    `names` and `edges` come in the order of computation.
    """
    depth = dict.fromkeys(names, 0)
    for source, target in edges:
        depth[target] = max(depth[target], depth[source] + 1)
    levels: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for name in names:
        levels[depth[name]].append(name)
    return levels


def _places(
    levels: Sequence[Sequence[str]], edges: Sequence[Edge], wide: int
) -> dict[str, Place]:
    """Put each layer under the middle of those it reads from, a level per line.

    Boxes of a level stand at least one box apart.
    """
    places: dict[str, Place] = {}
    for depth, level in enumerate(levels):
        wish = []
        for i, name in enumerate(level):
            above = [places[start][0] for start, end in edges if end == name]
            # inputs read from nothing: they share the width evenly
            wish.append(np.mean(above) if above else (i + 0.5) * wide / len(level))
        order = np.argsort(wish, kind="stable")
        count = np.arange(len(level))
        # each box at least 1 to the right of the one before it ...
        x = np.maximum.accumulate(np.asarray(wish)[order] - count) + count
        # ... and none so far right that the boxes after it do not fit
        x = np.minimum(x, wide - 0.5 - count[::-1])
        for i, spot in zip(order, x, strict=True):
            places[level[i]] = (float(spot), -depth)
    return places


def _layer_box(axes: Axes, name: str, place: Place, step: Step, flat: bool) -> None:
    """Draw a layer as a box of three lines, or of two if the drawing is `flat`."""
    x, y = place
    kind, size, weights = step
    # white for data, blue for what was learned, grey for what has nothing to learn
    fill = "#DCEBF5" if weights else "#F2F2F2"
    if kind == "Input":
        fill = "#FFFFFF"
    axes.add_patch(
        FancyBboxPatch(
            xy=(x - 0.46, y - 0.34),
            width=0.92,
            height=0.68,
            zorder=3,
            boxstyle="round,pad=0,rounding_size=0.06",
            fc=fill,
            ec=BLUE,
        )
    )

    count = f"{weights:,} weights" if weights else ""
    if flat:
        below = f"; {count}" if count else ""
        lines = {-0.15: f"{kind} → {size}{below}"}
    else:
        lines = {-0.02: f"{kind} → {size}", -0.21: count}
    centred = {"ha": "center", "va": "center", "zorder": 4}
    head = 0.15 if flat else 0.19
    axes.text(
        x,
        y + head,
        shorten(name, 24),
        fontweight="bold",
        **centred,
    )
    for height, line in lines.items():
        axes.text(x, y + height, line, fontsize=11, **centred)


def _skips(start: Place, end: Place) -> bool:
    """Whether an arrow passes a level on its way down."""
    return start[1] - end[1] > 1


def _arrow(axes: Axes, start: Place, end: Place) -> None:
    """Draw an arrow to the next level, or round the right side of what lies between."""
    style = {"arrowstyle": "->", "color": GREY, "lw": 1.5}
    if _skips(start, end):
        style["connectionstyle"] = "arc3,rad=-0.25"
        tail = (start[0] + 0.46, start[1])
        tip = (end[0] + 0.46, end[1])
    else:
        tail = (start[0], start[1] - 0.33)
        tip = (end[0], end[1] + 0.33)
    axes.annotate("", tip, tail, arrowprops=style, zorder=2)


def _column(axes: Axes, x: float, name: str, values: np.ndarray, top: int) -> None:
    """Write one layer: its name, how many numbers are active, the largest as cells."""
    active = f"{np.count_nonzero(values)} of {len(values)}"
    axes.text(
        x,
        -1.35,
        shorten(name, 13),
        ha="center",
        fontweight="bold",
    )
    axes.text(
        x,
        -0.65,
        active,
        ha="center",
        fontsize=11,
        color=GREY,
    )
    largest = symmetric(values)["vmax"]
    for place, i in enumerate(_largest(values, top)):
        # 0.4 stops before the darkest colours, where text is hard to read
        strength = 0.5 + 0.4 * values[i] / largest
        axes.add_patch(
            Rectangle(
                xy=(x - 0.4, place - 0.4),
                width=0.8,
                height=0.8,
                fc=DIVERGING(strength),
                ec="white",
            )
        )
        axes.text(
            x,
            place,
            number(values[i]),
            color="black" if 0.3 < strength < 0.82 else "white",
            ha="center",
            va="center",
            fontsize=11,
        )
    no_grid(axes)


def _largest(values: np.ndarray, top: int) -> np.ndarray:
    """Positions of the `top` largest absolute values, without zeros."""
    order = np.argsort(-np.abs(values), kind="stable")[:top]
    return order[values[order] != 0]

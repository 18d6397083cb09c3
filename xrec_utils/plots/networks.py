"""Drawings of Keras models: their layers as boxes and arrows.

See `plots`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from xrec_utils.keras_start import keras
from xrec_utils.plots.style import BLUE, arrow, canvas, shorten

Edge = tuple[str, str]  # a layer, and one that reads from it
Step = tuple[str, str, int]  # kind of layer, size of its output, number of weights
Place = tuple[float, float]


def structure(
    model: keras.Model,
    title: str | None = None,
    skip: Sequence[str] = (),
) -> None:
    """Draw a model as boxes and arrows, inputs on top, branches side by side.

    Each box has the layer's name and kind, the size it puts out and its number of
    weights.

    Args:
        model: a functional or sequential Keras model.
        title: the figure's message; without it, the number of weights.
        skip: kinds of layers to leave out, such as "Dropout"; arrows pass through them.

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
    wide = max(map(len, levels))
    places = _places(levels, edges, wide)
    # arrows that skip a level bend to the right and need room there
    bends = any(_skips(places[start], places[end]) for start, end in edges)
    flat = len(levels) > 8  # a deep model gets wide boxes of two lines
    width = 4.3 if flat else 2.4
    with canvas(
        title=title or f"{total:,} weights in {len(steps)} layers: {model.name}",
        alt=f"Drawing of the model {model.name} with {len(steps)} layers and {total:,} "
        f"weights: {chain}.",
        width=min(10.2, max(5.5, width * wide)),
        height=(0.66 if flat else 0.98) * len(levels) + 0.8,
        note="kind → size of the output; number of weights",
        xlim=(0, wide + 0.2 * bends),
        ylim=(-len(levels) + 0.55, 0.45),
    ) as axes:
        _draw_layers(axes, steps, edges, places, flat)


def _draw_layers(
    axes: Axes,
    steps: Mapping[str, Step],
    edges: Sequence[Edge],
    places: Mapping[str, Place],
    flat: bool,
) -> None:
    """Draw all arrows, and all boxes above them."""
    for source, target in edges:
        _arrow(axes, places[source], places[target])
    for name, place in places.items():
        _layer_box(axes, name, place, steps[name], flat)
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
    steps = {tensor.name: ("Input", _size(tensor), 0) for tensor in model.inputs}
    # which layer shown a tensor comes from
    made_by = {id(tensor): tensor.name for tensor in model.inputs}
    edges: list[Edge] = []
    for layer in layers:
        kind = type(layer).__name__
        # Keras has no public way to ask where a nested model or a shared layer stands
        # in a graph.
        for node in layer._inbound_nodes:
            # each once, in order: a layer may read the same tensor twice
            sources = list(
                dict.fromkeys(made_by.get(id(tensor)) for tensor in node.input_tensors)
            )
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
    return sum(int(np.prod(weight.shape)) for weight in getattr(layer, "weights", []))


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
    return " × ".join(str(size or "?") for size in tensor.shape[1:]) or "1"


def _levels(names: Sequence[str], edges: Sequence[Edge]) -> list[pd.Index]:
    """Sort layers by the longest path from an input.

    `names` and `edges` come in the order of computation.
    """
    # what comes before a layer is complete when the layer's turn comes
    depth = pd.Series(0, index=names)
    for source, target in edges:
        below = depth[source] + 1
        depth[target] = max(depth[target], below)
    return list(depth.groupby(depth).groups.values())


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
        x = np.minimum(
            x,
            wide - 0.5 - count[::-1],
        )
        places |= {level[i]: (spot, -depth) for i, spot in zip(order, x, strict=True)}
    return places


def _layer_box(axes: Axes, name: str, place: Place, step: Step, flat: bool) -> None:
    """Draw a layer as a box of three lines, or of two if the drawing is `flat`."""
    x, y = place
    kind, size, weights = step
    # blue for what was learned, grey for what has nothing to learn, white for data
    fill = "#DCEBF5" if weights else "#F2F2F2"
    axes.add_patch(
        FancyBboxPatch(
            xy=(x - 0.46, y - 0.34),
            width=0.92,
            height=0.68,
            zorder=3,
            boxstyle="round,pad=0,rounding_size=0.06",
            fc="#FFFFFF" if kind == "Input" else fill,
            ec=BLUE,
        )
    )

    words = [f"{kind} → {size}"]
    if weights:
        words.append(f"{weights:,} weights")
    # heights of the lines above and below the middle of the box
    heights = (0.15, -0.15) if flat else (0.19, -0.02, -0.21)
    lines = [shorten(name, 24), *(["; ".join(words)] if flat else words)]
    _write_lines(axes, place, lines, heights)


def _write_lines(
    axes: Axes, place: Place, lines: Sequence[str], heights: Sequence[float]
) -> None:
    """Write the lines of a box, the first one bold."""
    for n, (height, line) in enumerate(zip(heights, lines, strict=False)):
        axes.text(
            place[0],
            place[1] + height,
            line,
            weight="normal" if n else "bold",
            fontsize=11 if n else 12,
            ha="center",
            va="center",
            zorder=4,
        )


def _skips(start: Place, end: Place) -> bool:
    """Whether an arrow passes a level on its way down."""
    return start[1] - end[1] > 1


def _arrow(axes: Axes, start: Place, end: Place) -> None:
    """Draw an arrow to the next level, or round the right side of what lies between."""
    passes = _skips(start, end)
    # from the middle of a box to its right side, or to its lower one
    right = 0.46 if passes else 0.0
    down = 0.0 if passes else 0.33
    # a negative radius bends the arrow to the right on its way down
    arrow(
        axes,
        (start[0] + right, start[1] - down),
        (end[0] + right, end[1] + down),
        bend=-0.25 * passes,
    )

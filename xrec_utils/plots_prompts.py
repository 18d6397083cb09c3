"""Figures of one prompt: its words in colour, and which block looks at which line.

See `plots`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from xrec_utils.plots_base import (
    DIVERGING,
    SEQUENTIAL,
    canvas,
    colour_bar,
    listed,
    no_grid,
    number,
    shorten,
    symmetric,
)


def coloured_text(
    table: pd.DataFrame, title: str, label: str, alt: str | None = None
) -> None:
    """Write a text with every part on the colour of its value.

    Vermilion is above zero, blue below.

    Args:
        table: a row per part (a word or token, spaces included) in reading order, with
            the columns line, text and value.
        title: the figure's message.
        label: what the values are.
        alt: alternative text; without it, the three parts with the largest |value|.

    Example:
        >>> parts = {"line": 0, "text": ["I liked", " Alien"], "value": [0.1, -0.5]}
        >>> coloured_text(pd.DataFrame(parts), "Alien counts.", "effect")
        ... # doctest: +NORMALIZE_WHITESPACE
        Alien counts. Text of 2 parts coloured by effect. Largest: Alien −0.5 and
        I liked 0.1.
    """
    largest = table["value"].abs().sort_values(ascending=False).index[:3]
    spoken = [
        f"{table['text'][row].strip()} {number(table['value'][row])}" for row in largest
    ]
    alt = alt or (
        f"{title.rstrip('.')}. Text of {len(table)} parts coloured by {label}. "
        f"Largest: {listed(spoken)}."
    )
    shade = Normalize(**symmetric(table["value"].to_numpy(float)))
    count = table["line"].nunique()
    with canvas(title, alt, height=1.0 + 0.36 * count) as axes:
        for place, (_, parts) in enumerate(table.groupby("line")):
            _write_line(axes, place, parts, shade)
        axes.set(xlim=(0, 1), ylim=(count - 0.4, -0.9), xticks=[], yticks=[])
        no_grid(axes)
        colour_bar(axes, ScalarMappable(shade, DIVERGING), label)


def _write_line(axes: Axes, place: int, parts: pd.DataFrame, shade: Normalize) -> None:
    """Write the parts of one line side by side, each on its colour."""
    # the first part begins at the axes' edge, every other where the one before ends
    before = "data"
    start = (0, place)
    for text, value in zip(parts["text"], parts["value"], strict=True):
        strength = shade(value)
        ink = "white" if abs(strength - 0.5) > 0.27 else "black"
        box = {"boxstyle": "square,pad=0", "fc": DIVERGING(strength), "lw": 0}
        style = {"va": "bottom", "color": ink, "bbox": box, "size": 15}
        before = axes.annotate(text, start, xycoords=before, **style)
        start = (1, 0)


def blocks_by_line(
    weights: np.ndarray,
    lines: Sequence[str],
    title: str,
    label: str,
    alt: str | None = None,
) -> None:
    """Draw how much each block of a network looks at each line of a text.

    A column per block from first to last, a row per line.

    Args:
        weights: (blocks, lines), zero or more.
        lines: (lines,) names of the lines.
        title: the figure's message.
        label: what the weights are.
        alt: alternative text; without it, the largest weight.

    Example:
        >>> weights = np.array([[0.5, 0.5], [0.1, 0.9]])
        >>> blocks_by_line(weights, ["task", "Alien"], "The last looks.", "attention")
        ... # doctest: +NORMALIZE_WHITESPACE
        The last looks. Heatmap of attention over 2 blocks and 2 lines. Largest: 0.9 in
        block 2 for Alien.
    """
    block, line = np.unravel_index(weights.argmax(), weights.shape)
    alt = alt or (
        f"{title.rstrip('.')}. Heatmap of {label} over {len(weights)} blocks and "
        f"{len(lines)} lines. Largest: {number(weights.max())} in block {block + 1} "
        f"for {lines[line]}."
    )
    with canvas(title, alt, width=8.6, height=1.6 + 0.3 * len(lines)) as axes:
        # readers count blocks from 1, and each has its number below its middle
        extent = (0.5, len(weights) + 0.5, len(lines) - 0.5, -0.5)
        style = {"cmap": SEQUENTIAL, "vmin": 0, "aspect": "auto"}
        drawn = axes.imshow(weights.T, extent=extent, **style)
        axes.set(xlabel="block", ylabel="line of the prompt", yticks=range(len(lines)))
        axes.set_yticklabels([shorten(name, 28) for name in lines])
        no_grid(axes)
        colour_bar(axes, drawn, label)

"""Figures of one prompt: its words in colour, and which block of the network looks at
which line. See `plots`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
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
    """Write a text with every part on the colour of its value: vermilion above zero,
    blue below.

    table: a row per part (a word or token, spaces included) in reading order; columns
    line, text, value.
    """
    order = table["value"].abs().sort_values(ascending=False).index[:3]
    spoken = [
        f"{table['text'][row].strip()} {number(table['value'][row])}" for row in order
    ]
    alt = (
        alt
        or f"{title.rstrip('.')}. Text of {len(table)} parts coloured by {label}. Largest: {listed(spoken)}."
    )
    shade = Normalize(**symmetric(table["value"].to_numpy(float)))
    with canvas(title, alt, height=1.0 + 0.36 * table["line"].nunique()) as axes:
        for place, (_, parts) in enumerate(table.groupby("line")):
            before, start = "data", (0, place)
            for text, value in zip(parts["text"], parts["value"], strict=True):
                box = {
                    "boxstyle": "square,pad=0",
                    "fc": DIVERGING(shade(value)),
                    "lw": 0,
                }
                ink = "white" if abs(shade(value) - 0.5) > 0.27 else "black"
                before = axes.annotate(
                    text,
                    start,
                    xycoords=before,
                    va="bottom",
                    color=ink,
                    bbox=box,
                    size=15,
                )
                start = (1, 0)
        axes.set(
            xlim=(0, 1),
            ylim=(table["line"].nunique() - 0.4, -0.9),
            xticks=[],
            yticks=[],
        )
        no_grid(axes)
        colour_bar(axes, ScalarMappable(shade, DIVERGING), label)


def blocks_by_line(
    weights: np.ndarray,
    lines: Sequence[str],
    title: str,
    label: str,
    alt: str | None = None,
) -> None:
    """Draw weights (blocks, lines), zero or more: a column per block from first to
    last, a row per line of the text.
    """
    block, line = np.unravel_index(weights.argmax(), weights.shape)
    alt = alt or (
        f"{title.rstrip('.')}. Heatmap of {label} over {len(weights)} blocks and {len(lines)} lines. Largest: "
        f"{number(weights.max())} in block {block + 1} for {lines[line]}."
    )
    with canvas(title, alt, width=8.6, height=1.6 + 0.3 * len(lines)) as axes:
        extent = 0.5, len(weights) + 0.5, len(lines) - 0.5, -0.5
        drawn = axes.imshow(
            weights.T, cmap=SEQUENTIAL, vmin=0, aspect="auto", extent=extent
        )
        axes.set(xlabel="block", ylabel="line of the prompt", yticks=range(len(lines)))
        axes.set_yticklabels([shorten(name, 28) for name in lines])
        no_grid(axes)
        colour_bar(axes, drawn, label)

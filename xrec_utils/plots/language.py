"""Figures of language models: prompts with one beginning, what a place in a list does,
the words of a prompt in colour, and which block looks at which line.

See `plots`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable

from xrec_utils.plots.style import (
    BLUE,
    DIVERGING,
    MARKERS,
    SEQUENTIAL,
    SKY,
    boxed,
    canvas,
    colour_bar,
    dashed,
    heatmap,
    link,
    listed,
    named,
    no_grid,
    number,
    reach,
    shortened,
    symmetric,
)


def token_tree(words: Sequence[str], parents: Sequence[int], title: str) -> None:
    """Draw a tree of tokens from left to right.

    Args:
        words: (nodes,) the token of each node.
        parents: (nodes,) the node that each one follows, -1 for none; a parent comes
            before its children.
        title: the figure's message.

    Example:
        >>> token_tree(["The", " Matrix", " Mask"], [-1, 0, 0], "One beginning")
        A tree of 3 tokens: after 'The' comes ' Matrix', after 'The' comes ' Mask'.
    """
    places = _tree_places(parents)
    deepest, last = np.max(places, axis=0)
    links = [(parent, node) for node, parent in enumerate(parents) if parent >= 0]
    spoken = [f"after {words[a]!r} comes {words[b]!r}" for a, b in links]
    with canvas(
        title=title,
        alt=f"A tree of {len(words)} tokens: {', '.join(spoken)}.",
        width=9.5,
        height=1.1 + 0.55 * (last + 1),
        xlim=(-0.5, deepest + 0.5),
        ylim=(last + 0.6, -0.6),
        xticks=[],
        yticks=[],
    ) as axes:
        for start, end in links:
            link(axes, places[start], places[end], lw=1.2)
        for place, word in zip(places, words, strict=True):
            boxed(axes, place, word, boxstyle="round,pad=0.25", ec=BLUE)
        no_grid(axes)


def _tree_places(parents: Sequence[int]) -> list[tuple[int, int]]:
    """Depth and row of each node: a first child stays in its parent's row."""
    places = []
    row = -1
    for node, parent in enumerate(parents):
        # all but first children open a new row below those there are
        row += parent < 0 or parent != node - 1
        places.append((_depth(parents, node), row))
    return places


def _depth(parents: Sequence[int], node: int) -> int:
    """How many nodes lie between a node and the left edge."""
    if parents[node] < 0:
        return 0
    return _depth(parents, parents[node]) + 1


def first_choices(counts: np.ndarray, title: str) -> None:
    """Draw how often the first choice stood at each place of the list shown.

    Args:
        counts: (places,) users whose first choice stood there.
        title: the figure's message.

    Example:
        >>> first_choices(np.array([5, 1]), "The first place wins")
        ... # doctest: +NORMALIZE_WHITESPACE
        Bars: the first choice stood at places 1 to 2 this often: 5 and 1; an even share
        is 3.
    """
    even = counts.mean()
    places = np.arange(1, len(counts) + 1)
    with canvas(
        title=title,
        alt=f"Bars: the first choice stood at places 1 to {len(counts)} this often: "
        f"{listed([str(count) for count in counts])}; an even share is {number(even)}.",
        height=3.4,
        xlabel="place in the list shown, from 1",
        ylabel="users",
        xticks=places,
    ) as axes:
        axes.bar(places, counts, color=SKY)
        # what would be if the place did not matter
        dashed(axes, even, label="even share")
        axes.legend()
        axes.grid(False, axis="x")


def by_place(
    curves: Mapping[str, pd.DataFrame],
    chance: float,
    title: str,
) -> None:
    """Draw NDCG@10 by the target's place in the list, for several ways of asking.

    Args:
        curves: {way of asking: table indexed by the target's place, from 0, with the
            columns mean, low and high}.
        chance: what a random order reaches, drawn as a line.
        title: the figure's message.

    Example:
        >>> row = {"mean": 0.5, "low": 0.4, "high": 0.6}
        >>> by_place({"list": pd.DataFrame([row])}, 0.25, "Early is better")
        ... # doctest: +NORMALIZE_WHITESPACE
        NDCG@10 by the target's place in the list. list: 0.5 at 0; chance: 0.25.
    """
    spoken = []
    for name, table in curves.items():
        means = [f"{number(mean)} at {place}" for place, mean in table["mean"].items()]
        spoken.append(f"{name}: {', '.join(means)}")
    with canvas(
        title=title,
        alt=f"NDCG@10 by the target's place in the list. {'; '.join(spoken)}; "
        f"chance: {number(chance)}.",
        xlabel="the target's place in the list, from 0",
        ylabel="NDCG@10 with its interval",
        ylim=(0, None),
        xticks=list(curves.values())[-1].index,
    ) as axes:
        for n, (name, table) in enumerate(curves.items()):
            # a little to the right of the one before, so that lines do not overlap
            x = table.index + 0.25 * n
            axes.errorbar(
                x, table["mean"], reach(table), label=name, marker=MARKERS[n], capsize=4
            )
        dashed(axes, chance, label="chance")
        axes.legend()


def coloured_text(table: pd.DataFrame, title: str, label: str) -> None:
    """Write a text with every part on the colour of its value.

    Vermilion is above zero, blue below.

    Args:
        table: a row per part (a word or token, spaces included) in reading order, with
            the columns line, text and value.
        title: the figure's message.
        label: what the values are.

    Example:
        >>> parts = {"line": 0, "text": ["I liked", " Alien"], "value": [0.1, -0.5]}
        >>> coloured_text(pd.DataFrame(parts), "Alien counts.", "effect")
        ... # doctest: +NORMALIZE_WHITESPACE
        Alien counts. Text of 2 parts coloured by effect. Largest: Alien −0.5 and
        I liked 0.1.
    """
    order = table["value"].abs().sort_values(ascending=False).index
    largest = table.loc[order[:3]].set_index("text")["value"].rename(str.strip)
    count = table["line"].nunique()
    shade = ScalarMappable(cmap=DIVERGING)
    shade.set_clim(*symmetric(table["value"].to_numpy(float)).values())
    with canvas(
        title=title,
        alt=f"{title.rstrip('.')}. Text of {len(table)} parts coloured by {label}. "
        f"Largest: {listed(named(largest))}.",
        height=1.0 + 0.36 * count,
        xlim=(0, 1),
        ylim=(count - 0.4, -0.9),
        xticks=[],
        yticks=[],
    ) as axes:
        for place, (_, parts) in enumerate(table.groupby("line")):
            _write_line(axes, place, parts, shade)
        no_grid(axes)
        # no picture was drawn that the bar could be taken from: it shows the scale
        colour_bar(axes, shade, label)


def _write_line(
    axes: Axes, place: int, parts: pd.DataFrame, shade: ScalarMappable
) -> None:
    """Write the parts of one line side by side, each on its colour."""
    # the first part begins at the axes' edge, every other where the one before ends
    before = "data"
    start = (0, place)
    for text, value in zip(parts["text"], parts["value"], strict=True):
        strength = shade.norm(value)  # 0.5 is zero, 0 and 1 the darkest
        before = axes.annotate(
            text,
            start,
            xycoords=before,
            va="bottom",
            # white on the dark colours at both ends
            color="white" if abs(strength - 0.5) > 0.27 else "black",
            bbox={"boxstyle": "square,pad=0", "fc": shade.to_rgba(value), "lw": 0},
            size=15,
        )
        start = (1, 0)


def blocks_by_line(
    weights: np.ndarray,
    lines: Sequence[str],
    title: str,
    label: str,
) -> None:
    """Draw how much each block of a network looks at each line of a text.

    A column per block from first to last, a row per line.

    Args:
        weights: (blocks, lines), zero or more.
        lines: (lines,) names of the lines.
        title: the figure's message.
        label: what the weights are.

    Example:
        >>> weights = np.array([[0.5, 0.5], [0.1, 0.9]])
        >>> blocks_by_line(weights, ["task", "Alien"], "The last looks.", "attention")
        ... # doctest: +NORMALIZE_WHITESPACE
        The last looks. Heatmap of attention over 2 blocks and 2 lines. Largest: 0.9 in
        block 2 for Alien.
    """
    block, line = np.unravel_index(
        weights.argmax(),
        weights.shape,
    )
    with canvas(
        title=title,
        alt=f"{title.rstrip('.')}. Heatmap of {label} over {len(weights)} blocks and "
        f"{len(lines)} lines. Largest: {number(weights.max())} in block {block + 1} "
        f"for {lines[line]}.",
        width=8.6,
        height=1.6 + 0.3 * len(lines),
        xlabel="block",
        ylabel="line of the prompt",
        yticks=range(len(lines)),
        yticklabels=shortened(lines, 28),
    ) as axes:
        # readers count blocks from 1, and each has its number below its middle
        extent = (0.5, len(weights) + 0.5, len(lines) - 0.5, -0.5)
        heatmap(axes, weights.T, label, extent=extent, cmap=SEQUENTIAL, vmin=0)

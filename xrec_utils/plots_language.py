"""Figures of notebook 08: prompts with one beginning, and what a place in a list does.

See `plots`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from xrec_utils.plots_base import (
    BLUE,
    GREY,
    MARKERS,
    SKY,
    canvas,
    listed,
    no_grid,
    number,
)


def token_tree(
    words: Sequence[str], parents: Sequence[int], title: str, alt: str | None = None
) -> None:
    """Draw a tree of tokens from left to right.

    Args:
        words: (nodes,) the token of each node.
        parents: (nodes,) the node that each one follows, -1 for none; a parent comes
            before its children.
        title: the figure's message.
        alt: alternative text; without it, what comes after what.

    Example:
        >>> token_tree(["The", " Matrix", " Mask"], [-1, 0, 0], "One beginning")
        A tree of 3 tokens: after 'The' comes ' Matrix', after 'The' comes ' Mask'.
    """
    depth, row = _tree_places(parents)
    links = [(parent, node) for node, parent in enumerate(parents) if parent >= 0]
    spoken = [f"after {words[start]!r} comes {words[end]!r}" for start, end in links]
    alt = alt or f"A tree of {len(words)} tokens: {', '.join(spoken)}."
    height = max(row) + 1
    with canvas(title, alt, width=9.5, height=1.1 + 0.55 * height) as axes:
        for start, end in links:
            x = [depth[start], depth[end]]
            y = [row[start], row[end]]
            axes.plot(x, y, color=GREY, lw=1.2, zorder=1)
        box = {"boxstyle": "round,pad=0.25", "fc": "white", "ec": BLUE}
        style = {"ha": "center", "va": "center", "bbox": box, "zorder": 2}
        for node, word in enumerate(words):
            axes.text(depth[node], row[node], word, **style)
        axes.set(xlim=(-0.5, max(depth) + 0.5), ylim=(height - 0.4, -0.6))
        axes.set(xticks=[], yticks=[])
        no_grid(axes)


def _tree_places(parents: Sequence[int]) -> tuple[list[int], list[int]]:
    """Depth and row of each node: a first child stays in its parent's row."""
    depth: list[int] = []
    row: list[int] = []
    last = -1
    for node, parent in enumerate(parents):
        depth.append(depth[parent] + 1 if parent >= 0 else 0)
        if parent >= 0 and parent == node - 1:
            row.append(row[parent])
        else:
            last += 1
            row.append(last)
    return depth, row


def first_choices(counts: np.ndarray, title: str, alt: str | None = None) -> None:
    """Draw how often the first choice stood at each place of the list shown.

    Args:
        counts: (places,) users whose first choice stood there.
        title: the figure's message.
        alt: alternative text; without it, all counts and what an even share would be.

    Example:
        >>> first_choices(np.array([5, 1]), "The first place wins")
        ... # doctest: +NORMALIZE_WHITESPACE
        Bars: the first choice stood at places 1 to 2 this often: 5 and 1; an even share
        is 3.
    """
    even = counts.sum() / len(counts)
    spoken = listed([str(count) for count in counts])
    alt = alt or (
        f"Bars: the first choice stood at places 1 to {len(counts)} this often: "
        f"{spoken}; an even share is {number(even)}."
    )
    places = np.arange(1, len(counts) + 1)
    with canvas(title, alt, height=3.4) as axes:
        axes.bar(places, counts, color=SKY)
        # what would be if the place did not matter
        axes.axhline(even, color=GREY, ls="--", lw=1.5, label="even share")
        axes.legend()
        axes.set(xlabel="place in the list shown, from 1", ylabel="users")
        axes.set_xticks(places)
        axes.grid(False, axis="x")


def by_place(
    curves: Mapping[str, pd.DataFrame],
    chance: float,
    title: str,
    alt: str | None = None,
) -> None:
    """Draw NDCG@10 by the target's place in the list, for several ways of asking.

    Args:
        curves: {way of asking: table indexed by the target's place, from 0, with the
            columns mean, low and high}.
        chance: what a random order reaches, drawn as a line.
        title: the figure's message.
        alt: alternative text; without it, all means.

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
    alt = alt or (
        f"NDCG@10 by the target's place in the list. {'; '.join(spoken)}; "
        f"chance: {number(chance)}."
    )
    with canvas(title, alt) as axes:
        for n, (name, table) in enumerate(curves.items()):
            ends = table[["low", "high"]].to_numpy().T
            reach = np.abs(ends - table["mean"].to_numpy())  # (2, places)
            # a little to the right of the one before, so that lines do not overlap
            x = table.index + 0.25 * n
            style = {"label": name, "marker": MARKERS[n], "capsize": 4}
            axes.errorbar(x, table["mean"], reach, **style)
        axes.axhline(chance, color=GREY, ls="--", lw=1.5, label="chance")
        axes.set_xlabel("the target's place in the list, from 0")
        axes.set_ylabel("NDCG@10 with its interval")
        axes.set_ylim(0, None)
        axes.set_xticks(table.index)
        axes.legend()

"""Figures of notebook 08: prompts that share their beginning, and what a place in a
list does. See `plots`.
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
    """Draw a tree of tokens from left to right; one word and one parent (-1: none) per
    node, parents first.
    """
    depth, row, last = [], [], -1
    for parent in parents:
        depth.append(depth[parent] + 1 if parent >= 0 else 0)
        follows = parent == len(row) - 1 and parent >= 0
        last += not follows
        row.append(row[parent] if follows else last)
    said = [
        f"after {words[parent]!r} comes {words[node]!r}"
        for node, parent in enumerate(parents)
        if parent >= 0
    ]
    alt = alt or f"A tree of {len(words)} tokens: {', '.join(said)}."
    with canvas(title, alt, width=9.5, height=1.1 + 0.55 * (last + 1)) as axes:
        for node, parent in enumerate(parents):
            if parent >= 0:
                axes.plot(
                    [depth[parent], depth[node]],
                    [row[parent], row[node]],
                    color=GREY,
                    lw=1.2,
                    zorder=1,
                )
            box = {"boxstyle": "round,pad=0.25", "fc": "white", "ec": BLUE}
            axes.text(
                depth[node],
                row[node],
                words[node],
                ha="center",
                va="center",
                bbox=box,
                zorder=2,
            )
        axes.set(
            xlim=(-0.5, max(depth) + 0.5), ylim=(last + 0.6, -0.6), xticks=[], yticks=[]
        )
        no_grid(axes)


def first_choices(counts: np.ndarray, title: str, alt: str | None = None) -> None:
    """Draw how often the first choice stood at each place of the list (places,), beside
    an even share.
    """
    even = counts.sum() / len(counts)
    alt = alt or (
        f"Bars: the first choice stood at places 1 to {len(counts)} this often: "
        f"{listed([str(count) for count in counts])}; an even share is {number(even)}."
    )
    with canvas(title, alt, height=3.4) as axes:
        axes.bar(np.arange(1, len(counts) + 1), counts, color=SKY)
        axes.axhline(even, color=GREY, ls="--", lw=1.5, label="even share")
        axes.legend()
        axes.set(
            xlabel="place in the list shown, from 1",
            ylabel="users",
            xticks=range(1, len(counts) + 1),
        )
        axes.grid(False, axis="x")


def by_place(
    curves: Mapping[str, pd.DataFrame],
    chance: float,
    title: str,
    alt: str | None = None,
) -> None:
    """Draw mean, low and high (lines indexed by the target's place) for each way of
    asking, beside chance.
    """
    said = [f"{name}: " + ", ".join(f"{number(mean)} at {place}" for place, mean in table["mean"].items())
            for name, table in curves.items()]  # fmt: skip
    alt = (
        alt
        or f"NDCG@10 by the target's place in the list. {'; '.join(said)}; chance: {number(chance)}."
    )
    with canvas(title, alt) as axes:
        for n, (name, table) in enumerate(curves.items()):
            reach = np.abs(
                table[["low", "high"]].to_numpy().T - table["mean"].to_numpy()
            )
            axes.errorbar(
                table.index + 0.25 * n,
                table["mean"],
                reach,
                label=name,
                marker=MARKERS[n],
                capsize=4,
            )
        axes.axhline(chance, color=GREY, ls="--", lw=1.5, label="chance")
        axes.set(
            xlabel="the target's place in the list, from 0",
            ylabel="NDCG@10 with its interval",
            ylim=(0, None),
        )
        axes.set_xticks(table.index)
        axes.legend()

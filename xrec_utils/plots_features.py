"""Figures of models that explain themselves: paths, trees, term functions and
importances. See `plots`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from xrec_utils.plots_base import (
    DIVERGING,
    GREY,
    MARKERS,
    PALETTE,
    canvas,
    capital,
    listed,
    number,
    shorten,
)


def coefficient_paths(
    penalties: np.ndarray,
    paths: Mapping[str, np.ndarray],
    title: str | None = None,
    k: int = 6,
    alt: str | None = None,
) -> None:
    """Draw how coefficients grow as the penalty falls: {column: coefficients (n,)} at
    `penalties` (n,), falling.

    The k columns that leave zero first have a colour and a place in the legend, in that
    order; the others are grey.
    """
    start = {
        name: int(np.argmax(path != 0)) if np.any(path) else len(penalties)
        for name, path in paths.items()
    }
    first = sorted(start, key=lambda name: (start[name], -np.abs(paths[name]).max()))[
        :k
    ]
    ends = [
        f"{name} at {number(penalties[min(start[name], len(penalties) - 1)])}"
        for name in first
    ]
    alt = alt or (
        f"Line chart of {len(paths)} coefficients against a falling penalty. First to leave zero: {listed(ends)}."
    )
    with canvas(
        title or f"{capital(first[0])} enters first", alt, width=8.6, height=4.4
    ) as axes:
        for name, path in paths.items():
            if name not in first:
                axes.plot(penalties, path, color="#BBBBBB", lw=0.8, zorder=1)
        for place, name in enumerate(first):
            axes.plot(
                penalties,
                paths[name],
                lw=2,
                color=PALETTE[place % 7],
                label=shorten(name),
                zorder=2,
            )
        axes.set_xscale("log")
        axes.invert_xaxis()
        axes.legend(
            loc="center left",
            bbox_to_anchor=(1, 0.5),
            frameon=False,
            title="in order of entry",
        )
        axes.set_xlabel("penalty α, falling (log scale)")
        axes.set_ylabel("coefficient")


def tree(
    model: BaseEstimator, names: Sequence[str], title: str, alt: str | None = None
) -> None:
    """Draw a fitted decision tree of scikit-learn with two classes, the answer yes to
    the left of each question.

    A leaf says how likely class 1 is there, in colour too, and what share of the
    training rows it holds.
    """
    grown = model.tree_
    inner = np.flatnonzero(grown.feature >= 0)
    question = {
        i: f"{names[grown.feature[i]]}\n≤ {number(grown.threshold[i])}?" for i in inner
    }
    likely, share = (
        grown.value[:, 0, 1],
        grown.weighted_n_node_samples / grown.weighted_n_node_samples[0],
    )
    spots = _spots(grown.children_left, grown.children_right)
    leaves = [i for i in spots if i not in question]
    alt = alt or (
        f"{title.rstrip('.')}. Decision tree of {len(inner)} questions, first: {names[grown.feature[0]]} at most "
        f"{number(grown.threshold[0])}? Its {len(leaves)} leaves give {listed([f'{likely[i]:.0%}' for i in leaves])}."
    )
    size = max(5.0, 1.25 * len(leaves)), 1.2 * (model.get_depth() + 1)
    with canvas(title, alt, *size, note="left: yes, right: no") as axes:
        for i in inner:
            for child in (grown.children_left[i], grown.children_right[i]):
                axes.plot(
                    *np.transpose([spots[i], spots[child]]), color=GREY, lw=1, zorder=1
                )
        for i, (x, y) in spots.items():
            text = question.get(i) or f"{likely[i]:.0%} like it\n{share[i]:.0%} of rows"
            fill = (
                "white" if i in question else DIVERGING(0.5 + 0.6 * (likely[i] - 0.5))
            )
            box = {"boxstyle": "round", "fc": fill, "ec": GREY}
            axes.text(
                x, y, text, ha="center", va="center", fontsize=11, bbox=box, zorder=2
            )
        axes.set_xlim(-0.6, len(leaves) - 0.4)
        axes.set_ylim(-model.get_depth() - 0.4, 0.4)
        axes.axis("off")


def _spots(
    left: np.ndarray, right: np.ndarray, node: int = 0, y: int = 0, x: int = 0
) -> dict[int, tuple]:
    """Places of a node and all below it: leaves side by side from x on, each question
    above the middle of its two.
    """
    if left[node] < 0:
        return {node: (x, y)}
    below = _spots(left, right, left[node], y - 1, x)
    leaves = sum(left[i] < 0 for i in below)
    below |= _spots(left, right, right[node], y - 1, x + leaves)
    return {node: ((below[left[node]][0] + below[right[node]][0]) / 2, y)} | below


def term_functions(
    terms: Mapping[str, tuple[np.ndarray, np.ndarray]],
    title: str,
    ylabel: str = "effect (logits)",
    alt: str | None = None,
) -> None:
    """Draw a step function per panel, on one scale: {column: (edges (bins + 1,),
    effects (bins,))}.
    """
    spoken = [
        f"{name} from {number(min(effect))} to {number(max(effect))}"
        for name, (_, effect) in terms.items()
    ]
    alt = (
        alt
        or f"{title.rstrip('.')}. Step functions of {len(terms)} columns. Effects: {'; '.join(spoken)}."
    )
    low, high = (
        pick([pick(effect) for _, effect in terms.values()]) for pick in (min, max)
    )
    with canvas(
        title, alt, width=2.6 * len(terms), height=3.2, panels=len(terms)
    ) as axes:
        for panel, (name, (edges, effect)) in zip(
            np.atleast_1d(axes), terms.items(), strict=True
        ):
            panel.stairs(effect, edges, baseline=None, lw=2, color=PALETTE[0])
            panel.axhline(0, color=GREY, lw=1)
            panel.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
            panel.set_xlabel(name)
            panel.xaxis.get_major_locator().set_params(nbins=4)
            panel.tick_params(labelleft=panel is np.atleast_1d(axes)[0])
        np.atleast_1d(axes)[0].set_ylabel(ylabel)


def grouped_bars(
    table: pd.DataFrame,
    title: str,
    xlabel: str,
    ylabel: str = "feature",
    alt: str | None = None,
) -> None:
    """Draw a group of horizontal bars per line of a table, one bar per column."""
    spoken = [
        f"{name}: {listed(list(table[name].nlargest(2).index))}" for name in table
    ]
    alt = (
        alt
        or f"{title.rstrip('.')}. Horizontal bars of {len(table)} lines. Longest by {'; '.join(spoken)}."
    )
    thick = 0.8 / table.shape[1]
    with canvas(title, alt, height=1.6 + 0.2 * table.size) as axes:
        for place, name in enumerate(table):
            spots = np.arange(len(table)) - 0.4 + thick * (place + 0.5)
            axes.barh(spots, table[name], thick, label=name, color=PALETTE[place])
        axes.set_yticks(range(len(table)), [shorten(str(name)) for name in table.index])
        axes.set_ylim(len(table) - 0.4, -0.6)
        axes.axvline(0, color=GREY, lw=1)
        axes.grid(False, axis="y")
        axes.legend()
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)


def curves(
    x: np.ndarray,
    lines: Mapping[str, np.ndarray],
    title: str,
    xlabel: str,
    ylabel: str,
    alt: str | None = None,
) -> None:
    """Draw one line per named array (n,) against x (n,)."""
    ends = [
        f"{name} from {number(line[0])} to {number(line[-1])}"
        for name, line in lines.items()
    ]
    alt = (
        alt
        or f"{title.rstrip('.')}. Lines of {ylabel} against {xlabel}: {'; '.join(ends)}."
    )
    with canvas(title, alt, height=3.6) as axes:
        for place, (name, line) in enumerate(lines.items()):
            axes.plot(
                x,
                line,
                label=name,
                lw=2,
                marker=MARKERS[place % 7],
                color=PALETTE[place % 7],
            )
        axes.legend()
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)

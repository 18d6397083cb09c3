"""Figures of the classic recommenders: two orders of models, and what a rank is worth.

See `plots`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from xrec_utils.plots import weight_heatmap
from xrec_utils.plots_base import GREY, MARKERS, PALETTE, VERMILION, canvas, listed


def reasons_by_model(weights: pd.DataFrame, title: str, k: int = 12) -> None:
    """Draw the k largest reasons of several models as a heatmap.

    A line per film, a column per model; each column is divided by its largest value, so
    that models with other units can be compared.

    Args:
        weights: (films, models) what each film adds to the score, indexed by title.
        title: the figure's message.
        k: how many films are drawn, the largest mean |share| on top.

    Example:
        >>> reasons = {"EASE": [2.0, 1.0], "GRU": [0.5, -0.5]}
        >>> weights = pd.DataFrame(reasons, index=["Alien", "Heat"])
        >>> reasons_by_model(weights, "They differ.")  # doctest: +NORMALIZE_WHITESPACE
        Heatmap of 2 by 2 numbers (share of the model's largest reason). The strongest
        is 1, from Alien to EASE; 75% are positive.
    """
    shares = weights / weights.max()
    top = shares.abs().mean(axis=1).nlargest(k).index
    shown = shares.loc[top]
    weight_heatmap(
        shown.to_numpy(),
        title,
        xlabel="model",
        ylabel="film seen",
        rows=[str(film) for film in shown.index],
        columns=[str(model) for model in shown.columns],
        label="share of the model's largest reason",
    )


def two_orders(table: pd.DataFrame, title: str, alt: str | None = None) -> None:
    """Draw two columns of a table as two orders of its lines, best on top.

    Vermilion are the lines that stand in another place on the right.

    Args:
        table: two columns of numbers, more is better, indexed by name.
        title: the figure's message.
        alt: alternative text; without it, the title and both orders.

    Raises:
        ValueError: the table has not two columns.

    Example:
        >>> measures = {"HR": [0.3, 0.2], "NDCG": [0.1, 0.2]}
        >>> table = pd.DataFrame(measures, index=["EASE", "GRU"])
        >>> two_orders(table, "The order turns")  # doctest: +NORMALIZE_WHITESPACE
        The order turns. Best first by HR: EASE and GRU; by NDCG: GRU and EASE.
    """
    if table.shape[1] != 2:
        raise ValueError(f"two_orders compares two columns, got {list(table.columns)}")
    places = table.rank(
        ascending=False, method="first"
    ).to_numpy()  # (lines, 2), from 1
    orders = []
    for column in table:
        best_first = table[column].sort_values(ascending=False).index
        orders.append(listed([str(name) for name in best_first]))
    left, right = table.columns
    alt = alt or f"{title}. Best first by {left}: {orders[0]}; by {right}: {orders[1]}."
    with canvas(title, alt, height=1.2 + 0.36 * len(table), note="best on top") as axes:
        lines = zip(table.index, table.to_numpy(), places, strict=True)
        for name, values, ends in lines:
            colour = GREY if ends[0] == ends[1] else VERMILION
            axes.plot([0, 1], ends, "o-", color=colour, lw=2)
            style = {"va": "center", "color": colour}
            axes.text(-0.04, ends[0], f"{name}  {values[0]:.3f}", ha="right", **style)
            axes.text(1.04, ends[1], f"{values[1]:.3f}  {name}", ha="left", **style)
        # room for the names on both sides
        axes.set(xlim=(-0.9, 1.9), ylim=(len(table) + 0.6, 0.4), yticks=[])
        axes.set_xticks([0, 1], table.columns)
        axes.grid(False)


def gain_by_rank(
    gains: Mapping[str, np.ndarray],
    title: str,
    ylabel: str = "gain",
    alt: str | None = None,
) -> None:
    """Draw what each true rank 1, 2, ... is worth to several measures.

    Args:
        gains: {name of the measure: gains (ranks,)}; ranks are on a log scale.
        title: the figure's message.
        ylabel: what the gains are.
        alt: alternative text; without it, the title and how far each measure reaches.

    Example:
        >>> gain_by_rank({"HR@2": np.array([1, 1, 0])}, "Two places count")
        Two places count. A gain above 0.01 reaches: HR@2 to rank 2.
    """
    spoken = []
    for name, gain in gains.items():
        last = int(np.flatnonzero(np.asarray(gain) > 0.01)[-1]) + 1
        spoken.append(f"{name} to rank {last}")
    alt = alt or f"{title}. A gain above 0.01 reaches: {listed(spoken)}."
    with canvas(title, alt) as axes:
        for place, (name, gain) in enumerate(gains.items()):
            ranks = np.arange(1, len(gain) + 1)
            # a marker every tenth of the axis, however many ranks lie there
            style = {"marker": MARKERS[place], "markevery": 0.1, "lw": 2}
            axes.plot(ranks, gain, label=name, color=PALETTE[place], **style)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_xlabel("rank among all films the user has not seen (log scale)")
        axes.set_ylabel(ylabel)
        axes.legend(frameon=False)

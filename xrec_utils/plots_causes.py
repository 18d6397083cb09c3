"""Figures of causes: two answers about the same films side by side, and how a film's
rank falls as reasons are removed.

See `plots`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from xrec_utils.games import Explanation
from xrec_utils.plots_base import (
    GREY,
    MARKERS,
    PALETTE,
    canvas,
    listed,
    number,
    shorten,
)


def two_answers(
    answers: Mapping[str, Explanation],
    title: str,
    k: int = 10,
    stars: Sequence[float] | None = None,
    xlabel: str = "effect on the score (− against, + for)",
    alt: str | None = None,
) -> None:
    """Draw two explanations of the same players as two dots per player; the line
    between them is their difference.

    Shows the k players with the largest |value| in either, largest first. stars
    (players,): the user's ratings, beside the titles. Raises ValueError unless there
    are two answers about the same players.
    """
    first, second = answers.values() if len(answers) == 2 else (None, None)
    if first is None or first.players != second.players:
        raise ValueError(
            "two_answers compares two explanations of the same players, in the same order"
        )
    values = np.stack([first.values, second.values])
    order = np.argsort(-np.abs(values).max(axis=0), kind="stable")[:k]
    names = [
        shorten(first.players[i]) + ("" if stars is None else f"  {stars[i]:g}★")
        for i in order
    ]
    left, right = answers
    said = [
        f"{first.players[i]} {number(values[0, i])} and {number(values[1, i])}"
        for i in order[:3]
    ]
    alt = (
        alt
        or f"{title.rstrip('.')}. Two dots per film, {left} and {right}: {'; '.join(said)}."
    )
    with canvas(title, alt, height=1.8 + 0.3 * len(order)) as axes:
        places = np.arange(len(order))
        axes.hlines(places, *values[:, order], color=GREY, lw=2, zorder=1)
        for n, name in enumerate(answers):
            axes.scatter(
                values[n, order],
                places,
                s=56,
                marker=MARKERS[n],
                color=PALETTE[n],
                label=name,
                zorder=2,
            )
        axes.set_yticks(places, names)
        axes.set_ylim(len(order) - 0.4, -0.6)
        axes.axvline(0, color=GREY, lw=1)
        axes.grid(visible=False, axis="y")
        axes.set(xlabel=xlabel, ylabel="film of the history")
        axes.figure.legend(loc="outside lower right", ncols=2, frameon=False)


def rank_paths(
    paths: Mapping[str, np.ndarray], k: int, title: str, alt: str | None = None
) -> None:
    """Draw a film's rank after 0, 1, 2, ... films were removed, in several orders, with
    a line below place k.

    paths: {name of the order: ranks (removed + 1,)}; they may differ in length. Ranks
    grow downwards, on a log scale.
    """
    out = {
        name: int(np.argmax(path > k))
        for name, path in paths.items()
        if (path > k).any()
    }
    said = listed(
        [
            f"{name} after {out[name]}" if name in out else f"{name} never"
            for name in paths
        ]
    )
    alt = (
        alt
        or f"{title.rstrip('.')}. Lines of the rank against the films removed; out of the top {k}: {said}."
    )
    with canvas(title, alt, height=3.8) as axes:
        for n, (name, path) in enumerate(paths.items()):
            axes.plot(
                range(len(path)),
                path,
                lw=2,
                marker=MARKERS[n % 7],
                color=PALETTE[n % 7],
                label=name,
            )
        axes.axhline(k + 0.5, color=GREY, lw=1.5, ls="--")
        axes.annotate(
            f"top {k}",
            (0, k + 0.5),
            xytext=(2, 4),
            textcoords="offset points",
            color=GREY,
        )
        axes.set(
            yscale="log",
            xlabel="films removed from the history",
            ylabel="rank (1 = recommended first)",
        )
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.invert_yaxis()
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(loc="upper right")

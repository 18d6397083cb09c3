"""Figures of causes: two answers side by side, and a rank as reasons are removed.

See `plots`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

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
    """Draw two explanations of the same players as two dots per player.

    The line between two dots is the difference of the answers.

    Args:
        answers: {name: explanation}, two of them.
        title: the figure's message.
        k: how many players are drawn: those with the largest |value| in either answer,
            largest first.
        stars: (players,) the user's ratings, written beside the titles.
        xlabel: what the values are.
        alt: alternative text; without it, the title and the first three players.

    Raises:
        ValueError: not two answers, or not about the same players in the same order.

    Example:
        >>> from xrec_utils.games import Explanation
        >>> now = Explanation("ab", "X", np.array([1.0, -2.0]), 0, -1, "removed")
        >>> learned = Explanation("ab", "X", np.array([1.5, 0.5]), 0, 2, "retrained")
        >>> two_answers({"removed": now, "retrained": learned}, "They differ.")
        ... # doctest: +NORMALIZE_WHITESPACE
        They differ. Two dots per film, removed and retrained: b −2 and 0.5; a 1 and
        1.5.
    """
    explanations = list(answers.values())
    if len(explanations) != 2 or explanations[0].players != explanations[1].players:
        raise ValueError(
            "two_answers compares two explanations of the same players, "
            "in the same order"
        )
    players = explanations[0].players
    values = np.stack([each.values for each in explanations])  # (answers, players)
    largest = np.abs(values).max(axis=0)
    order = np.argsort(-largest, kind="stable")[:k]
    spoken = [
        f"{players[i]} {number(values[0, i])} and {number(values[1, i])}"
        for i in order[:3]
    ]
    alt = alt or (
        f"{title.rstrip('.')}. Two dots per film, {' and '.join(answers)}: "
        f"{'; '.join(spoken)}."
    )
    names = [shorten(players[i]) for i in order]
    if stars is not None:
        names = [f"{name}  {stars[i]:g}★" for name, i in zip(names, order, strict=True)]
    with canvas(title, alt, height=1.8 + 0.3 * len(order)) as axes:
        _draw_dots(axes, list(answers), values[:, order])
        axes.set_yticks(range(len(order)), names)
        axes.set_ylim(len(order) - 0.4, -0.6)
        axes.axvline(0, color=GREY, lw=1)
        axes.grid(visible=False, axis="y")
        axes.set(xlabel=xlabel, ylabel="film of the history")
        axes.figure.legend(loc="outside lower right", ncols=2, frameon=False)


def _draw_dots(axes: Axes, names: Sequence[str], values: np.ndarray) -> None:
    """Draw values (2, k) as two dots per line, with a grey line between them."""
    places = np.arange(values.shape[1])
    axes.hlines(places, values[0], values[1], color=GREY, lw=2, zorder=1)
    for n, name in enumerate(names):
        style = {"marker": MARKERS[n], "color": PALETTE[n], "label": name}
        axes.scatter(values[n], places, s=56, zorder=2, **style)


def rank_paths(
    paths: Mapping[str, np.ndarray], k: int, title: str, alt: str | None = None
) -> None:
    """Draw a film's rank as more and more films are removed, in several orders.

    Ranks grow downwards on a log scale; a line marks the end of the top k.

    Args:
        paths: {name of the order: ranks (removed + 1,) after 0, 1, 2, ... films were
            removed}; they may differ in length.
        k: the list's length, below whose last place the film is out.
        title: the figure's message.
        alt: alternative text; without it, the title and when each order gets the film
            out.

    Example:
        >>> ranks = {"Shapley": np.array([1, 12]), "random": np.array([1, 2, 3])}
        >>> rank_paths(ranks, 10, "One film is enough.")
        ... # doctest: +NORMALIZE_WHITESPACE
        One film is enough. Lines of the rank against the films removed; out of the top
        10: Shapley after 1 and random never.
    """
    spoken = []
    for name, path in paths.items():
        outside = path > k
        when = f"after {int(np.argmax(outside))}" if outside.any() else "never"
        spoken.append(f"{name} {when}")
    alt = alt or (
        f"{title.rstrip('.')}. Lines of the rank against the films removed; "
        f"out of the top {k}: {listed(spoken)}."
    )
    with canvas(title, alt, height=3.8) as axes:
        for n, (name, path) in enumerate(paths.items()):
            style = {"marker": MARKERS[n % 7], "color": PALETTE[n % 7], "label": name}
            axes.plot(range(len(path)), path, lw=2, **style)
        _mark_top(axes, k)
        axes.set_yscale("log")
        axes.set_xlabel("films removed from the history")
        axes.set_ylabel("rank (1 = recommended first)")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.invert_yaxis()
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(loc="upper right")


def _mark_top(axes: Axes, k: int) -> None:
    """Draw a dashed line between rank k and the next."""
    height = k + 0.5
    axes.axhline(height, color=GREY, lw=1.5, ls="--")
    style = {"textcoords": "offset points", "color": GREY}
    axes.annotate(f"top {k}", (0, height), xytext=(2, 4), **style)

"""Figures of causes: two answers side by side, a rank as reasons are removed, and means
with intervals beside published values.

See `plots`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from xrec_utils.games.explanation import Explanation
from xrec_utils.plots.style import (
    BESIDE,
    GREY,
    MARKERS,
    PALETTE,
    beside,
    canvas,
    dashed,
    line_chart,
    listed,
    named,
    number,
    rows_from_zero,
    shortened,
)


def two_answers(
    answers: Mapping[str, Explanation],
    title: str,
    k: int = 10,
    stars: Sequence[float] | None = None,
    xlabel: str = "effect on the score (− against, + for)",
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

    Raises:
        ValueError: not two answers, or not about the same players in the same order.

    Example:
        >>> from xrec_utils.games.explanation import Explanation
        >>> now = Explanation(("a", "b"), "X", np.array([1.0, -2.0]), 0, -1, "removed")
        >>> learned = Explanation(("a", "b"), "X", np.array([1.5, 0.5]), 0, 2, "retrained")
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
    values = pd.DataFrame(
        {name: each.values for name, each in answers.items()},
        index=explanations[0].players,
    )
    # a player counts if it does in one of the answers
    largest = values.abs().max(axis=1).to_numpy()
    order = np.argsort(-largest, kind="stable")[:k]
    drawn = values.iloc[order]
    names = shortened(drawn.index)
    if stars is not None:
        names = [f"{name}  {stars[i]:g}★" for name, i in zip(names, order, strict=True)]
    with canvas(
        title=title,
        alt=f"{title.rstrip('.')}. {_dots_in_words(drawn[:3])}.",
        height=1.8 + 0.3 * len(order),
        xlabel=xlabel,
        ylabel="film of the history",
    ) as axes:
        _draw_dots(axes, drawn)
        rows_from_zero(axes, names)
        axes.figure.legend(loc="outside lower right", ncols=2, frameon=False)


def _dots_in_words(values: pd.DataFrame) -> str:
    """The alternative text of `two_answers`; `values` has the players to name."""
    spoken = [
        f"{player} {number(row[0])} and {number(row[1])}"
        for player, row in zip(values.index, values.to_numpy(), strict=True)
    ]
    return f"Two dots per film, {' and '.join(values)}: {'; '.join(spoken)}"


def _draw_dots(axes: Axes, values: pd.DataFrame) -> None:
    """Draw two columns as two dots per line, with a grey line between them."""
    places = range(len(values))
    axes.hlines(
        places,
        *values.to_numpy().T,
        color=GREY,
        lw=2,
        zorder=1,
    )
    for n, name in enumerate(values):
        axes.scatter(
            values[name],
            places,
            s=56,
            zorder=2,
            marker=MARKERS[n],
            color=PALETTE[n],
            label=name,
        )


def rank_paths(paths: Mapping[str, np.ndarray], k: int, title: str) -> None:
    """Draw a film's rank as more and more films are removed, in several orders.

    Ranks grow downwards on a log scale; a line marks the end of the top k.

    Args:
        paths: {name of the order: ranks (removed + 1,) after 0, 1, 2, ... films were
            removed}; they may differ in length.
        k: the list's length, below whose last place the film is out.
        title: the figure's message.

    Example:
        >>> ranks = {"Shapley": np.array([1, 12]), "random": np.array([1, 2, 3])}
        >>> rank_paths(ranks, 10, "One film is enough.")
        ... # doctest: +NORMALIZE_WHITESPACE
        One film is enough. Lines of the rank against the films removed; out of the top
        10: Shapley after 1 and random never.
    """
    spoken = []
    for name, path in paths.items():
        outside = np.flatnonzero(path > k)
        when = f"after {outside[0]}" if len(outside) else "never"
        spoken.append(f"{name} {when}")
    with canvas(
        title=title,
        alt=f"{title.rstrip('.')}. Lines of the rank against the films removed; "
        f"out of the top {k}: {listed(spoken)}.",
        height=3.8,
        xlabel="films removed from the history",
        ylabel="rank (1 = recommended first)",
    ) as axes:
        curves = {name: (range(len(path)), path) for name, path in paths.items()}
        line_chart(axes, curves, lw=2)
        _rank_axis(axes, k)
        dashed(axes, k + 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(loc="upper right")


def _rank_axis(axes: Axes, k: int) -> None:
    """Let ranks grow downwards on a log scale, and name the line below rank k."""
    # from 1st to 10th is as far as from 10th to 100th
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.invert_yaxis()
    beside(axes, (0, k + 0.5), f"top {k}", (2, 4), color=GREY)


def ranges(
    table: pd.DataFrame,
    title: str,
    xlabel: str,
    published: pd.DataFrame | None = None,
) -> None:
    """Draw a mean with its interval per line and group, and zero as a line.

    Lines and groups come in the order they first appear in.

    Args:
        table: a row per mean, with the columns line, group, mean, low, high.
        title: the figure's message.
        xlabel: what the means are.
        published: what others published, as hollow grey marks below the means; columns
            line, group, value, as many rows per line and group as there are values.

    Example:
        >>> row = {"line": "GRU", "group": "AUC", "mean": 0.1, "low": 0.0, "high": 0.2}
        >>> ranges(pd.DataFrame([row]), "It helps.", "gain")
        It helps. Dots with 95% intervals of gain. GRU: AUC 0.1.
    """
    lines = table["line"].unique()
    groups = table["group"].unique()
    if published is not None:
        groups = [*groups, *published["group"].unique()]
    # every group has a height of its own within a line; a single one, the middle
    reach = 0.32 * (len(groups) > 1)
    heights = np.linspace(-reach, reach, len(groups))
    steps = dict(zip(groups, heights, strict=True))
    with canvas(
        title=title,
        alt=f"{title.rstrip('.')}. Dots with 95% intervals of {xlabel}. {_spoken(table)}.",
        width=8.6,
        height=1.3 + 0.24 * len(lines) * (1 + len(steps)),
        xlabel=xlabel,
        yticks=range(len(lines)),
        yticklabels=lines,
        ylim=(len(lines) - 0.5, -0.5),
    ) as axes:
        places = pd.Series(range(len(lines)), index=lines)
        _draw_means(axes, table, places, steps)
        if published is not None:
            _draw_published(axes, published, places, steps)
        axes.axvline(0, color=GREY, lw=1)
        axes.grid(visible=False, axis="y")
        axes.legend(**BESIDE)


def _draw_means(
    axes: Axes,
    table: pd.DataFrame,
    places: pd.Series,
    steps: Mapping[str, float],
) -> None:
    """Draw the means of each group with their intervals."""
    for n, group in enumerate(table["group"].unique()):
        rows = table[table["group"] == group]
        mean = rows["mean"]
        axes.errorbar(
            mean,
            rows["line"].map(places) + steps[group],
            # an interval need not reach equally far to both sides
            xerr=(mean - rows["low"], rows["high"] - mean),
            capsize=3,
            ms=7,
            fmt=MARKERS[n],
            color=PALETTE[n],
            label=group,
        )


def _draw_published(
    axes: Axes,
    published: pd.DataFrame,
    places: pd.Series,
    steps: Mapping[str, float],
) -> None:
    """Draw what others published, hollow and grey."""
    for n, group in enumerate(published["group"].unique()):
        rows = published[published["group"] == group]
        axes.scatter(
            rows["value"],
            rows["line"].map(places) + steps[group],
            s=44,
            marker=MARKERS[n],
            fc="white",  # hollow: not measured here
            ec=GREY,
            label=group,
        )


def _spoken(table: pd.DataFrame) -> str:
    """Each line's means in words."""
    spoken = []
    for line, rows in table.groupby("line", sort=False):
        means = rows.set_index("group")["mean"]
        spoken.append(f"{line}: {listed(named(means))}")
    return "; ".join(spoken)

"""Figures of models that explain themselves: paths, trees, term functions, importances.

See `plots`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from sklearn.base import BaseEstimator

from xrec_utils.plots.style import (
    BESIDE,
    BLUE,
    DIVERGING,
    GREY,
    PALETTE,
    boxed,
    canvas,
    capital,
    columns_chart,
    from_to,
    link,
    listed,
    number,
    rows_from_zero,
    shorten,
    shortened,
)


def coefficient_paths(
    penalties: np.ndarray,
    paths: Mapping[str, np.ndarray],
    title: str | None = None,
    k: int = 6,
) -> None:
    """Draw how the coefficients of a sparse linear model grow as its penalty falls.

    The k columns that leave zero first have a colour and a place in the legend, in that
    order; the others are grey.

    Args:
        penalties: (n,) penalties α, falling.
        paths: {column: coefficients (n,), one for each penalty}.
        title: the figure's message; without it, the column that enters first.
        k: how many columns have a colour.

    Example:
        >>> paths = {"hour": np.array([0, 0, 0.5]), "price": np.array([0, 1.0, 2.0])}
        >>> coefficient_paths(np.array([10, 1, 0.1]), paths)
        ... # doctest: +NORMALIZE_WHITESPACE
        Line chart of 2 coefficients against a falling penalty. First to leave zero:
        price at 1 and hour at 0.1.
    """
    starts = {name: _start(path) for name, path in paths.items()}
    first = sorted(starts, key=starts.get)[:k]
    ends = []
    for name in first:
        # a coefficient that stays zero is said to enter at the last penalty
        place = min(starts[name][0], len(penalties) - 1)
        ends.append(f"{name} at {number(penalties[place])}")
    with canvas(
        title=title or f"{capital(first[0])} enters first",
        alt=f"Line chart of {len(paths)} coefficients against a falling penalty. "
        f"First to leave zero: {listed(ends)}.",
        width=8.6,
        height=4.4,
        xlabel="penalty α, falling (log scale)",
        ylabel="coefficient",
        xscale="log",
    ) as axes:
        _draw_paths(axes, penalties, paths, first)
        axes.invert_xaxis()  # strong penalties on the left: columns enter as one reads
        axes.legend(**BESIDE, title="in order of entry")


def _start(path: np.ndarray) -> tuple[int, float]:
    """The place at which a path leaves zero, past its end if it never does.

    Of two that leave together the one that grows larger comes first: hence the second
    number, minus the largest |coefficient|.
    """
    away = np.flatnonzero(path)
    place = away[0] if len(away) else len(path)
    return place, -np.abs(path).max()


def _draw_paths(
    axes: Axes,
    penalties: np.ndarray,
    paths: Mapping[str, np.ndarray],
    first: Sequence[str],
) -> None:
    """Draw the first columns in colour, above all others in grey."""
    for name, path in paths.items():
        if name not in first:
            axes.plot(
                penalties,
                path,
                color="#BBBBBB",
                lw=0.8,
                zorder=1,
            )
    for place, name in enumerate(first):
        axes.plot(
            penalties,
            paths[name],
            lw=2,
            zorder=2,
            color=PALETTE[place % 7],
            label=shorten(name),
        )


def tree(model: BaseEstimator, names: Sequence[str], title: str) -> None:
    """Draw a decision tree of two classes, the answer yes to the left of each question.

    A leaf says how likely class 1 is there, in colour too, and what share of the
    training rows it holds.

    Args:
        model: a fitted DecisionTreeClassifier of scikit-learn with the classes 0 and 1.
        names: (columns,) names of the columns it was fitted on.
        title: the figure's message.

    Example:
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> stump = DecisionTreeClassifier().fit([[1], [2], [4]], [0, 0, 1])
        >>> tree(stump, ["stars"], "One question is enough.")
        ... # doctest: +NORMALIZE_WHITESPACE
        One question is enough. Decision tree of 1 questions, first: stars at most 3?
        Its 2 leaves give 0% and 100%.
    """
    grown = model.tree_
    likely = grown.value[:, 0, 1]  # (nodes,): share of class 1
    spots = _spots(grown.children_left, grown.children_right)
    questions = np.flatnonzero(grown.feature >= 0)  # leaves have no feature
    leaves = [node for node in spots if node not in questions]
    chances = [f"{likely[node]:.0%}" for node in leaves]
    # the root holds all rows
    shares = grown.weighted_n_node_samples / grown.weighted_n_node_samples[0]
    depth = model.get_depth()
    with canvas(
        title=title,
        alt=f"{title.rstrip('.')}. Decision tree of {len(questions)} questions, first: "
        f"{names[grown.feature[0]]} at most {number(grown.threshold[0])}? "
        f"Its {len(leaves)} leaves give {listed(chances)}.",
        width=max(5.0, 1.25 * len(leaves)),
        height=1.2 * (depth + 1),
        note="left: yes, right: no",
        xlim=(-0.6, len(leaves) - 0.4),
        ylim=(-depth - 0.4, 0.4),
    ) as axes:
        for node in questions:
            _question(axes, model, node, names, spots)
        for node in leaves:
            _leaf(axes, spots[node], likely[node], shares[node])
        axes.axis("off")


def _question(
    axes: Axes,
    model: BaseEstimator,
    node: int,
    names: Sequence[str],
    spots: Mapping[int, tuple],
) -> None:
    """Draw a question, and a line to each of the two nodes below it."""
    grown = model.tree_
    for child in (grown.children_left[node], grown.children_right[node]):
        link(axes, spots[node], spots[child])
    name = names[grown.feature[node]]
    text = f"{name}\n≤ {number(grown.threshold[node])}?"
    boxed(axes, spots[node], text, size=11)


def _leaf(axes: Axes, spot: tuple[float, int], likely: float, share: float) -> None:
    """Draw a leaf: how likely class 1 is there, and what share of the rows it holds."""
    # 0.6: not the darkest colours, on which black text is hard to read
    # 0.5 is the white in the middle of the colours
    strength = 0.5 + 0.6 * (likely - 0.5)
    text = f"{likely:.0%} like it\n{share:.0%} of rows"
    boxed(axes, spot, text, size=11, fc=DIVERGING(strength))


def _spots(
    left: np.ndarray, right: np.ndarray, node: int = 0, y: int = 0, x: int = 0
) -> dict[int, tuple]:
    """Places of a node and all below it, {node: (x, y)}.

    Leaves stand side by side from x on, each question above the middle of its two.
    """
    if left[node] < 0:  # a leaf
        return {node: (x, y)}
    no = right[node]
    yes = left[node]
    below = _spots(left, right, yes, y - 1, x)
    # what is on the right begins where the leaves on the left end
    leaves = sum(left[i] < 0 for i in below)
    below |= _spots(
        left,
        right,
        node=no,
        y=y - 1,
        x=x + leaves,
    )
    middle = (below[yes][0] + below[no][0]) / 2
    return {node: (middle, y)} | below


def term_functions(
    terms: Mapping[str, tuple[np.ndarray, np.ndarray]],
    title: str,
    ylabel: str = "effect (logits)",
) -> None:
    """Draw the terms of an additive model as step functions on one scale.

    Args:
        terms: {column: (edges (bins + 1,), effects (bins,))}, a panel each.
        title: the figure's message.
        ylabel: what the effects are.

    Example:
        >>> terms = {"stars": (np.array([1, 3, 5]), np.array([-1.0, 0.5]))}
        >>> term_functions(terms, "More is better.")  # doctest: +NORMALIZE_WHITESPACE
        More is better. Step functions of 1 columns. Effects: stars from −1 to 0.5.
    """
    ends = {name: [min(effect), max(effect)] for name, (_, effect) in terms.items()}
    spoken = [f"{name} {from_to(both)}" for name, both in ends.items()]
    low = np.min(list(ends.values()))
    high = np.max(list(ends.values()))
    air = 0.1 * (high - low)
    with canvas(
        title=title,
        alt=f"{title.rstrip('.')}. Step functions of {len(terms)} columns. "
        f"Effects: {'; '.join(spoken)}.",
        width=2.6 * len(terms),
        height=3.2,
        panels=len(terms),
        ylim=(low - air, high + air),
    ) as axes:
        panels = np.atleast_1d(axes)
        for panel, (name, term) in zip(panels, terms.items(), strict=True):
            _draw_term(panel, *term)
            panel.set_xlabel(name)
            # the scale is the same for all: one panel shows it
            panel.tick_params(labelleft=panel is panels[0])
        panels[0].set_ylabel(ylabel)


def _draw_term(axes: Axes, edges: np.ndarray, effects: np.ndarray) -> None:
    """Draw one term as steps from edge to edge, and a line at zero."""
    axes.stairs(effects, edges, baseline=None, lw=2, color=BLUE)
    axes.axhline(0, color=GREY, lw=1)
    axes.xaxis.get_major_locator().set_params(nbins=4)


def grouped_bars(
    table: pd.DataFrame,
    title: str,
    xlabel: str,
    ylabel: str = "feature",
) -> None:
    """Draw a group of horizontal bars per line of a table, one bar per column.

    Args:
        table: numbers, indexed by the name of the line.
        title: the figure's message.
        xlabel: what the numbers are.
        ylabel: what the lines are.

    Example:
        >>> table = pd.DataFrame({"gain": [1, 2]}, index=["hour", "price"])
        >>> grouped_bars(table, "Price counts more.", "importance")
        ... # doctest: +NORMALIZE_WHITESPACE
        Price counts more. Horizontal bars of 2 lines. Longest by gain: price and hour.
    """
    longest = [
        f"{name}: {listed(values.nlargest(2).index)}" for name, values in table.items()
    ]
    thick = 0.8 / table.shape[1]  # the bars of a line and a gap of 0.2 fill it
    with canvas(
        title=title,
        alt=f"{title.rstrip('.')}. Horizontal bars of {len(table)} lines. "
        f"Longest by {'; '.join(longest)}.",
        height=1.6 + 0.2 * table.size,
        xlabel=xlabel,
        ylabel=ylabel,
    ) as axes:
        for place, name in enumerate(table):
            # the bars of a line stand around its middle
            rows = np.arange(len(table)) - 0.4 + thick * (place + 0.5)
            axes.barh(rows, table[name], thick, label=name, color=PALETTE[place])
        rows_from_zero(axes, shortened(table.index))
        axes.legend()


def curves(
    x: np.ndarray,
    lines: Mapping[str, np.ndarray],
    title: str,
    xlabel: str,
    ylabel: str,
) -> None:
    """Draw several lines against one x.

    Args:
        x: (n,) places.
        lines: {name: values (n,)}.
        title: the figure's message.
        xlabel: what x is.
        ylabel: what the values are.

    Example:
        >>> curves([1, 2], {"EASE": [0.1, 0.3]}, "It grows.", "users", "NDCG")
        It grows. Lines of NDCG against users: EASE from 0.1 to 0.3.
    """
    ends = [f"{name} {from_to(line)}" for name, line in lines.items()]
    with canvas(
        title=title,
        alt=f"{title.rstrip('.')}. Lines of {ylabel} against {xlabel}: {'; '.join(ends)}.",
        height=3.6,
        xlabel=xlabel,
        ylabel=ylabel,
    ) as axes:
        columns_chart(axes, pd.DataFrame(lines, index=x), lw=2)
        axes.legend()

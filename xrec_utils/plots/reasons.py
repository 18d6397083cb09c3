"""Figures of reasons: of one explanation, and of many over the same players.

See `plots`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from xrec_utils.games.explanation import Explanation
from xrec_utils.plots.style import (
    BLUE,
    GREY,
    NEGATIVE,
    POSITIVE,
    bars,
    canvas,
    capital,
    colour_bar,
    heatmap,
    listed,
    name_rows,
    named,
    number,
    rank_correlation,
    shorten,
    shortened,
    trend,
)

Values = Sequence[Explanation] | np.ndarray


def history_reasons(
    explanation: Explanation,
    title: str | None = None,
    k: int = 10,
    stars: Sequence[float] | None = None,
    xlabel: str = "effect on the score (− against, + for)",
) -> None:
    """Draw the k strongest reasons of one explanation as horizontal bars.

    What the other players add up to is one grey bar, so that the bars together are the
    whole explanation. Estimated effects have a line of 2 stated errors to both sides.

    Args:
        explanation: the effects of p players on one score.
        title: the figure's message; without it, the strongest reason.
        k: how many reasons have a bar of their own.
        stars: (p,) the user's own ratings of the players, written beside the titles;
            NaN for none.
        xlabel: what the effects are.

    Example:
        >>> from xrec_utils.games.explanation import Explanation
        >>> effects = np.array([0.5, -1.0, 0.1])
        >>> found = Explanation(("A", "B", "C"), "score of X", effects, 0, -0.4, "EASE")
        >>> history_reasons(found, k=2)  # doctest: +NORMALIZE_WHITESPACE
        Horizontal bar chart: effects of 3 players on the score of X by EASE. The
        largest are B −1 and A 0.5. 1 of 3 effects are negative.
    """
    order = np.argsort(-np.abs(explanation.values), kind="stable")
    effects = pd.Series(
        explanation.values,
        index=list(explanation.players),
    )
    note = explanation.method
    if explanation.error is not None:
        note += "; lines: ± 2 stated errors"
    with canvas(
        title=title or _strongest_reason(explanation, order[0]),
        alt=_reasons_in_words(explanation, effects.iloc[order[:k]]),
        height=1.5 + 0.31 * min(k + 1, len(order)),
        note=note,
        xlabel=xlabel,
        ylabel="reason",
    ) as axes:
        _draw_reasons(axes, explanation, order, k, stars)


def _draw_reasons(
    axes: Axes,
    explanation: Explanation,
    order: np.ndarray,
    k: int,
    stars: Sequence[float] | None,
) -> None:
    """Draw the first k effects in `order` and the sum of the others as bars."""
    first = order[:k]
    rest = np.sort(order[k:])
    values = np.asarray(explanation.values)
    names = [shorten(explanation.players[i]) + _stars(stars, i) for i in first]
    lengths = list(values[first])
    colours = [POSITIVE if length >= 0 else NEGATIVE for length in lengths]
    if len(rest):
        names.append(f"the other {len(rest)} together")
        # they are added up in the order of the history, as in the explanation
        lengths.append(values[rest].sum())
        colours.append(GREY)
    bars(axes, names, lengths, colours)
    if explanation.error is not None:
        axes.errorbar(
            values[first],
            range(len(first)),
            xerr=2 * np.asarray(explanation.error)[first],
            fmt="none",  # the bars are there
            ecolor="black",
            capsize=3,
        )


def _strongest_reason(explanation: Explanation, best: int) -> str:
    """A title: which player counts most, and for which side."""
    side = "for" if explanation.values[best] >= 0 else "against"
    name = explanation.players[best]
    return capital(f"{name} is the strongest reason {side} {_the(explanation.target)}")


def _reasons_in_words(explanation: Explanation, first: pd.Series) -> str:
    """The alternative text of `history_reasons`; `first` has the largest effects."""
    values = np.asarray(explanation.values)
    return (
        f"Horizontal bar chart: effects of {len(values)} players on {_the(explanation.target)} "
        f"by {explanation.method}. The largest are {listed(named(first[:3]))}. "
        f"{(values < 0).sum()} of {len(values)} effects are negative."
    )


def shap_bar(
    explanations: Values,
    title: str | None = None,
    k: int = 12,
    names: Sequence[str] | None = None,
) -> None:
    """Draw the mean |effect| of the k most important players over many explanations.

    Args:
        explanations: n explanations of the same p players, or their effects (n, p).
        title: the figure's message; without it, the most important player.
        k: how many players are drawn, the most important on top.
        names: (p,) names of the players; without them those of the first explanation,
            or x0, x1, ... for an array.

    Example:
        >>> effects = np.array([[0.5, -1.0], [-0.1, 2.0]])
        >>> shap_bar(effects, names=["hour", "price"])  # doctest: +NORMALIZE_WHITESPACE
        Horizontal bar chart: mean absolute effect over 2 rows. The largest are price
        1.5 and hour 0.3.
    """
    values, names, order = _table(explanations, names, k)
    size = pd.Series(
        np.abs(values).mean(axis=0),
        index=names,
    ).iloc[order]
    with canvas(
        title=title or capital(f"{size.index[0]} moves the prediction most"),
        alt=f"Horizontal bar chart: mean absolute effect over {len(values)} rows. "
        f"The largest are {listed(named(size[:3]))}.",
        height=1.4 + 0.31 * len(order),
        xlabel="mean |effect on the prediction|",
        ylabel="feature",
    ) as axes:
        bars(axes, shortened(size.index), size, BLUE)


def shap_beeswarm(
    explanations: Values,
    features: np.ndarray,
    title: str | None = None,
    k: int = 12,
    names: Sequence[str] | None = None,
) -> None:
    """Draw one dot per row and feature: its place is its effect.

    Its colour is the rank of the feature's value among the rows, so that one outlier
    does not leave all other dots in one colour.

    Args:
        explanations: n explanations of the same p features, or their effects (n, p).
        features: (n, p) the values of the features that were explained.
        title: the figure's message; without it, what high values of the first do.
        k: how many features are drawn, the one with the largest mean |effect| on top.
        names: (p,) names of the features; see `shap_bar`.

    Raises:
        ValueError: features and effects differ in shape.

    Example:
        >>> effects = np.array([[0.5, -1.0], [-0.1, 2.0]])
        >>> values = np.array([[3.0, 10.0], [4.0, 20.0]])
        >>> shap_beeswarm(effects, values)  # doctest: +NORMALIZE_WHITESPACE
        Beeswarm chart of the effects of 2 features on 2 predictions. x1 spreads widest,
        from −1 to 2; its high values mostly raise the prediction.
    """
    values, names, order = _table(explanations, names, k)
    features = np.asarray(features)
    if features.shape != values.shape:
        raise ValueError(
            f"features has shape {features.shape}, the effects {values.shape}; "
            "they must be the same."
        )
    first = names[order[0]]
    widest = values[:, order[0]]
    rho = rank_correlation(features[:, order[0]], widest)
    does = f"mostly {'raise' if rho >= 0 else 'lower'} the prediction"
    with canvas(
        title=title or f"High values of {first} {does}",
        alt=f"Beeswarm chart of the effects of {len(order)} features on {len(values)} "
        f"predictions. {first} spreads widest, from {number(widest.min())} to "
        f"{number(widest.max())}; its high values {does}.",
        height=1.6 + 0.36 * len(order),
        xlabel="effect on the prediction",
        ylabel="feature",
    ) as axes:
        _draw_swarms(axes, values, features, order)
        axes.axvline(0, color=GREY, lw=1)
        name_rows(axes, shortened(names[order]))


def _draw_swarms(
    axes: Axes, values: np.ndarray, features: np.ndarray, order: np.ndarray
) -> None:
    """Draw a line of dots for each column in `order`, with one colour bar for all."""
    for place, column in enumerate(order):
        dots = axes.scatter(
            values[:, column],
            place + _swarm(values[:, column], values),
            c=pd.Series(features[:, column]).rank(pct=True),
            cmap="cividis",
            vmin=0,
            vmax=1,
            s=14,
            lw=0,
        )
    # ranks have no unit, so that the bar says no more than this
    colour_bar(axes, dots, "feature value").set_ticks(
        [0, 1],
        labels=["low", "high"],
    )


def shap_heatmap(
    explanations: Values,
    title: str | None = None,
    k: int = 12,
    names: Sequence[str] | None = None,
) -> None:
    """Draw effects as colours: a column per row of data, a line per feature.

    The rows of data are ordered by the sum of their effects, from the lowest prediction
    on the left to the highest on the right.

    Args:
        explanations: n explanations of the same p features, or their effects (n, p).
        title: the figure's message; without it, the feature with the largest effects.
        k: how many features are drawn, the one with the largest mean |effect| on top.
        names: (p,) names of the features; see `shap_bar`.

    Example:
        >>> effects = np.array([[0.5, -1.0], [-0.1, 2.0]])
        >>> shap_heatmap(effects)  # doctest: +NORMALIZE_WHITESPACE
        Heatmap of the effects of 2 features on 2 predictions, from the lowest on the
        left to the highest on the right. x1 is strongest: from −1 to 2.
    """
    values, names, order = _table(explanations, names, k)
    # the sum of the effects is the prediction, up to the base that all share
    rows = np.argsort(values.sum(axis=1), kind="stable")
    grid = values[rows][:, order].T  # (features, rows of data)
    top = names[order[0]]
    with canvas(
        title=title or capital(f"{top} separates low predictions from high ones"),
        alt=f"Heatmap of the effects of {len(order)} features on {len(values)} predictions,"
        " from the lowest on the left to the highest on the right. "
        f"{top} is strongest: from {number(grid[0].min())} to {number(grid[0].max())}.",
        height=1.5 + 0.3 * len(order),
        xlabel="row, ordered by the sum of its effects",
        ylabel="feature",
        yticks=range(len(order)),
        yticklabels=shortened(names[order]),
    ) as axes:
        heatmap(axes, grid, "effect on the prediction")


def dependence(
    x: np.ndarray,
    values: np.ndarray,
    xlabel: str,
    ylabel: str = "effect on the prediction",
    colour_by: np.ndarray | None = None,
    colour_label: str = "",
    title: str | None = None,
) -> None:
    """Draw the effect of one feature against its value, a dot per row.

    Args:
        x: (n,) values of the feature.
        values: (n,) its effects.
        xlabel: name of the feature.
        ylabel: what the effects are.
        colour_by: (n,) values of a second feature, shown as the dots' colours.
        colour_label: name of the second feature.
        title: the figure's message; without it, the rank correlation.

    Example:
        >>> dependence([1, 2, 3], [0.1, 0.2, 0.4], "hour")
        ... # doctest: +NORMALIZE_WHITESPACE
        Scatter plot of the effect on the prediction against hour for 3 rows. The effect
        rises with hour: rank correlation 1.
    """
    rho = rank_correlation(x, values)
    strength = f"rank correlation {number(rho)}"
    coloured = "" if colour_by is None else f" Colour shows {colour_label}."
    with canvas(
        title=title or f"The effect of {xlabel} {trend(rho)} with it ({strength})",
        alt=f"Scatter plot of the {ylabel} against {xlabel} for {len(x)} rows. "
        f"The effect {trend(rho)} with {xlabel}: {strength}.{coloured}",
        xlabel=xlabel,
        ylabel=ylabel,
    ) as axes:
        look = {"c": BLUE}
        if colour_by is not None:
            look = {"c": colour_by, "cmap": "cividis"}
        dots = axes.scatter(x, values, s=18, lw=0, alpha=0.85, **look)
        if colour_by is not None:
            colour_bar(axes, dots, colour_label)
        axes.axhline(0, color=GREY, lw=1)


def _table(
    explanations: Values, names: Sequence[str] | None, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return effects (n, p), the p names, and the k most important columns.

    Most important is the largest mean |effect|; that column comes first.
    """
    if isinstance(explanations, np.ndarray):
        values = explanations
        names = names or [f"x{i}" for i in range(values.shape[1])]
    else:
        values = np.array([explanation.values for explanation in explanations])
        names = names or explanations[0].players
    importance = np.abs(values).mean(axis=0)
    order = np.argsort(-importance, kind="stable")
    return (
        values,
        np.array(names, dtype=object),  # so that several can be picked at once
        order[:k],
    )


def _the(target: str) -> str:
    """Put the article before a target such as 'score of Alien (1979)'."""
    return f"the {target}" if target.startswith(("score", "attention")) else target


def _stars(stars: Sequence[float] | None, i: int) -> str:
    """The i-th rating as it stands behind a title; nothing if there is none."""
    if stars is None or np.isnan(stars[i]):
        return ""
    return f"  {stars[i]:g}★"


def _swarm(x: np.ndarray, scale: np.ndarray, height: float = 0.36) -> np.ndarray:
    """Move dots with nearly the same x apart: offsets (n,) within +-height."""
    # a cell is about as wide as a dot, on an axis that holds all of `scale`
    width = (np.ptp(scale) or 1.0) / 90
    cell = np.round(x / width)
    # the dots of a cell go up and down in turn: 0, 1, -1, 2, -2, ...
    turn = pd.Series(cell).groupby(cell).cumcount().to_numpy()
    offset = np.where(turn % 2, -1, 1) * ((turn + 1) // 2)
    # closer together where a cell has so many that they would leave their line
    return offset * min(0.09, height / max(1, np.abs(offset).max()))

"""Figures of recommenders: two orders of models, what a model learned about the hour,
memory, latent vectors, and what policies earn.

See `plots`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from scipy.stats import sem

from xrec_utils.plots.learning import weight_heatmap
from xrec_utils.plots.style import (
    BESIDE,
    BLUE,
    GREY,
    ORANGE,
    VERMILION,
    canvas,
    columns_chart,
    dashed,
    line_chart,
    listed,
    named,
    number,
)


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
    # each model has a unit of its own
    shares = weights / weights.max()
    size = shares.abs().mean(axis=1)
    shown = shares.loc[size.nlargest(k).index]
    weight_heatmap(
        shown.to_numpy(),
        title,
        xlabel="model",
        ylabel="film seen",
        rows=list(map(str, shown.index)),
        columns=list(map(str, shown.columns)),
        label="share of the model's largest reason",
    )


def two_orders(table: pd.DataFrame, title: str) -> None:
    """Draw two columns of a table as two orders of its lines, best on top.

    Vermilion are the lines that stand in another place on the right.

    Args:
        table: two columns of numbers, more is better, indexed by name.
        title: the figure's message.

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
    # (lines, 2), from 1
    places = table.rank(ascending=False, method="first").to_numpy()
    orders = [
        f"by {name}: {listed(values.sort_values(ascending=False).index.astype(str))}"
        for name, values in table.items()
    ]
    with canvas(
        title=title,
        alt=f"{title}. Best first {'; '.join(orders)}.",
        height=1.2 + 0.36 * len(table),
        note="best on top",
        # room for the names on both sides
        xlim=(-0.9, 1.9),
        ylim=(len(table) + 0.6, 0.4),
        yticks=[],
        xticks=[0, 1],
        xticklabels=table.columns,
    ) as axes:
        lines = zip(table.index, table.to_numpy(), places, strict=True)
        for name, values, ends in lines:
            _draw_move(axes, name, values, ends)
        axes.grid(False)


def _draw_move(axes: Axes, name: str, values: np.ndarray, ends: np.ndarray) -> None:
    """Draw where a line of a table stands on the left and on the right."""
    colour = GREY if ends[0] == ends[1] else VERMILION
    axes.plot([0, 1], ends, "o-", color=colour, lw=2)
    axes.text(
        -0.04,
        ends[0],
        f"{name}  {values[0]:.3f}",
        ha="right",
        va="center",
        color=colour,
    )
    axes.text(
        1.04, ends[1], f"{values[1]:.3f}  {name}", ha="left", va="center", color=colour
    )


def hour_effects(
    hours: Sequence[int],
    learned: Mapping[str, np.ndarray],
    planted: Mapping[str, np.ndarray],
    title: str | None = None,
) -> None:
    """Draw the learned effect of the hour beside the planted one, a panel per category.

    Learned effects are points, planted ones steps. Both are centred on their mean over
    the hours drawn, because only differences between hours can be learned.

    Args:
        hours: (h,) the hours drawn.
        learned: {category: effects (h,) in logits}.
        planted: {category: effects (h,) in logits}, the same categories.
        title: the figure's message; without it, the hour of each largest effect.

    Example:
        >>> hours = [10, 11, 12]
        >>> learned = {"book": np.array([0.0, 0.1, 0.5])}
        >>> planted = {"book": np.array([0.0, 0.0, 1.0])}
        >>> hour_effects(hours, learned, planted)  # doctest: +NORMALIZE_WHITESPACE
        A panel per category: planted effect of the hour as steps, learned effect as
        points. The learned effect is largest for book at 12 o'clock. Correlation with
        the planted steps: book 0.982.
    """
    learned = _centred(learned)
    planted = _centred(planted)
    tops = listed(
        [f"{name} at {hours[np.argmax(y)]} o'clock" for name, y in learned.items()]
    )
    with canvas(
        title=title or f"Largest effect: {tops}",
        alt="A panel per category: planted effect of the hour as steps, learned effect as "
        f"points. The learned effect is largest for {tops}. "
        f"Correlation with the planted steps: {_likeness(learned, planted)}.",
        width=2.4 * len(learned) + 0.6,
        height=3.6,
        panels=len(learned),
        xlabel="hour of the visit",
        ylim=_limits([*learned.values(), *planted.values()]),
    ) as axes:
        panels = np.atleast_1d(axes)
        for panel, name in zip(panels, learned, strict=True):
            _draw_hours(panel, hours, learned[name], planted[name])
            panel.set_title(name)
        panels[0].set_ylabel("effect (logits)")
        panels[0].legend()


def _centred(effects: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Effects minus their mean over the hours, for each category."""
    return {name: effect - np.mean(effect) for name, effect in effects.items()}


def _likeness(
    learned: Mapping[str, np.ndarray], planted: Mapping[str, np.ndarray]
) -> str:
    """How well the learned effects of each category go with the planted ones."""
    found = {}
    for name, effect in planted.items():
        # with a constant there is no correlation
        if effect.any():
            found[name] = np.corrcoef(learned[name], effect)[0, 1]
    return listed(named(found))


def _draw_hours(
    axes: Axes, hours: Sequence[int], learned: np.ndarray, planted: np.ndarray
) -> None:
    """Draw the effects of one category: planted steps, learned points."""
    axes.step(hours, planted, where="mid", color=VERMILION, lw=2, label="planted")
    axes.plot(hours, learned, "o-", color=BLUE, ms=4, lw=1, label="learned")


def _limits(curves: Sequence[np.ndarray]) -> tuple[float, float]:
    """One scale for all panels, with a little air."""
    values = np.concatenate(curves)
    # lines at the very edge would be cut in half
    air = 0.06 * np.ptp(values)
    return (
        values.min() - air,
        values.max() + air,
    )


def steps_back(
    curves: Mapping[str, np.ndarray],
    title: str,
    ylabel: str,
    steps: np.ndarray | None = None,
    log: bool = False,
) -> None:
    """Draw what fades with the steps back from the latest event.

    Args:
        curves: {name: values (n,) by steps before the latest event}.
        title: the figure's message.
        ylabel: what the values are.
        steps: (n,) which steps; without them 0, 1, 2, ...
        log: whether the values are on a log scale.

    Example:
        >>> steps_back({"GRU": np.array([1.0, 0.5])}, "It fades", "effect")
        Line chart of effect against steps back: GRU from 1 at 0 to 0.5 at 1.
    """
    points = {}
    ends = []
    for name, y in curves.items():
        x = range(len(y)) if steps is None else steps
        points[name] = (x, y)
        start = f"{number(y[0])} at {x[0]}"
        ends.append(f"{name} from {start} to {number(y[-1])} at {x[-1]}")
    with canvas(
        title=title,
        alt=f"Line chart of {ylabel} against steps back: {listed(ends)}.",
        xlabel="steps back from the latest film",
        ylabel=ylabel,
        yscale="log" if log else "linear",
    ) as axes:
        line_chart(axes, points, marks=8)
        axes.legend(**BESIDE)


def information(
    nats: np.ndarray,
    title: str | None = None,
    least: float = 0.1,
) -> None:
    """Draw how many nats each number of a latent vector carries, largest first.

    Args:
        nats: (d,) the KL divergence of each number from its prior, mean over users.
        title: the figure's message; without it, how many numbers are used.
        least: the divergence from which a number counts as used, drawn as a line.

    Example:
        >>> information([0.0, 1.5, 0.2])  # doctest: +NORMALIZE_WHITESPACE
        Bar chart of 3 latent numbers by the nats they carry, from 1.5 down to 0; 2
        carry 0.1 or more.
    """
    # numpy sorts upwards only
    nats = np.sort(np.asarray(nats, dtype=float))[::-1]
    used = int((nats >= least).sum())
    with canvas(
        title=title or f"{used} of {len(nats)} numbers carry {least:g} nats or more",
        alt=f"Bar chart of {len(nats)} latent numbers by the nats they carry, "
        f"from {number(nats[0])} down to {number(nats[-1])}; "
        f"{used} carry {least:g} or more.",
        xlabel="latent number, the fullest first",
        ylabel="KL divergence (nats, mean over users)",
    ) as axes:
        # numbers that carry nothing were not needed: they have another colour
        axes.bar(
            range(1, len(nats) + 1),
            nats,
            color=np.where(nats >= least, BLUE, ORANGE),
            width=0.8,
        )
        dashed(axes, least, lw=1)
        axes.grid(False, axis="x")


def reward_by_visit(
    rewards: Mapping[str, np.ndarray], title: str | None = None
) -> None:
    """Draw each policy's mean reward per visit, with the mean's 95% interval as a band.

    Args:
        rewards: {policy: purchases (n customers, visits)}.
        title: the figure's message; without it, the policy that gains most, as a ratio
            of the last visit to the first.

    Example:
        >>> rewards = {"greedy": np.array([[0, 1], [1, 1]])}
        >>> reward_by_visit(rewards)  # doctest: +NORMALIZE_WHITESPACE
        Lines of purchases per visit, from the first visit to the last: greedy 0.5
        to 1.
    """
    means = pd.DataFrame({name: each.mean(axis=0) for name, each in rewards.items()})
    means.index += 1  # visits
    first = means.iloc[0]
    last = means.iloc[-1]
    # the floor keeps a policy that begins with nothing from dividing by zero
    gains = last / first.clip(lower=1e-9)
    ends = [f"{name} {number(first[name])} to {number(last[name])}" for name in means]
    with canvas(
        title=title or f"From the first visit to the last, {gains.idxmax()} gains most",
        alt="Lines of purchases per visit, from the first visit to the last: "
        f"{listed(ends)}.",
        xlabel="visit",
        ylabel="purchases per visit",
        xticks=means.index,
    ) as axes:
        columns_chart(axes, means)
        for line in axes.lines:
            _draw_band(axes, line, rewards[line.get_label()])
        # 20% of room for the legend on top
        axes.set_ylim(0, 1.2 * axes.get_ylim()[1])
        axes.legend(ncols=4, loc="upper center")


def _draw_band(axes: Axes, line: Line2D, rewards: np.ndarray) -> None:
    """Draw the 95% interval of each mean on a line, in the line's colour."""
    visits, mean = line.get_data()
    # the standard error of a mean of n customers, for each visit
    error = 1.96 * sem(rewards)
    axes.fill_between(
        visits, mean - error, mean + error, color=line.get_color(), alpha=0.18, lw=0
    )

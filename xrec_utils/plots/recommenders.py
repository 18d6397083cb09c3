"""Figures of recommenders: two orders of models, what a rank is worth, what a model
learned about the hour, memory, latent vectors, and what policies earn. See `plots`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from xrec_utils.plots.heatmaps import weight_heatmap
from xrec_utils.plots.style import (
    BLUE,
    GREY,
    MARKERS,
    ORANGE,
    PALETTE,
    VERMILION,
    canvas,
    listed,
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
    # (lines, 2), from 1
    places = table.rank(ascending=False, method="first").to_numpy()
    orders = []
    for column in table:
        best_first = table[column].sort_values(ascending=False).index
        orders.append(listed([str(name) for name in best_first]))
    left, right = table.columns
    with canvas(
        title=title,
        alt=alt
        or f"{title}. Best first by {left}: {orders[0]}; by {right}: {orders[1]}.",
        height=1.2 + 0.36 * len(table),
        note="best on top",
    ) as axes:
        lines = zip(table.index, table.to_numpy(), places, strict=True)
        for name, values, ends in lines:
            colour = GREY if ends[0] == ends[1] else VERMILION
            axes.plot([0, 1], ends, "o-", color=colour, lw=2)
            style = {"va": "center", "color": colour}
            axes.text(
                -0.04,
                ends[0],
                f"{name}  {values[0]:.3f}",
                ha="right",
                **style,
            )
            axes.text(
                1.04,
                ends[1],
                f"{values[1]:.3f}  {name}",
                ha="left",
                **style,
            )
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
    with canvas(
        title=title, alt=alt or f"{title}. A gain above 0.01 reaches: {listed(spoken)}."
    ) as axes:
        for place, (name, gain) in enumerate(gains.items()):
            ranks = np.arange(1, len(gain) + 1)
            # a marker every tenth of the axis, however many ranks lie there
            style = {"marker": MARKERS[place], "markevery": 0.1, "lw": 2}
            axes.plot(ranks, gain, label=name, color=PALETTE[place], **style)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set(
            xlabel="rank among all films the user has not seen (log scale)",
            ylabel=ylabel,
        )
        axes.legend(frameon=False)


def hour_effects(
    hours: Sequence[int],
    learned: Mapping[str, np.ndarray],
    planted: Mapping[str, np.ndarray],
    title: str | None = None,
    alt: str | None = None,
) -> None:
    """Draw the learned effect of the hour beside the planted one, a panel per category.

    Learned effects are points, planted ones steps. Both are centred on their mean over
    the hours drawn, because only differences between hours can be learned.

    Args:
        hours: (h,) the hours drawn.
        learned: {category: effects (h,) in logits}.
        planted: {category: effects (h,) in logits}, the same categories.
        title: the figure's message; without it, the hour of each largest effect.
        alt: alternative text; without it, those hours and how well both agree.

    Example:
        >>> hours = [10, 11, 12]
        >>> learned = {"book": np.array([0.0, 0.1, 0.5])}
        >>> planted = {"book": np.array([0.0, 0.0, 1.0])}
        >>> hour_effects(hours, learned, planted)  # doctest: +NORMALIZE_WHITESPACE
        A panel per category: planted effect of the hour as steps, learned effect as
        points. The learned effect is largest for book at 12 o'clock. Correlation with
        the planted steps: book 0.982.
    """
    learned = {name: effect - np.mean(effect) for name, effect in learned.items()}
    planted = {name: effect - np.mean(effect) for name, effect in planted.items()}
    likeness = []
    for name, effect in planted.items():
        # with a constant there is no correlation
        if effect.any():
            rho = np.corrcoef(learned[name], effect)[0, 1]
            likeness.append(f"{name} {number(rho)}")
    tops = listed(
        [f"{name} at {hours[np.argmax(x)]} o'clock" for name, x in learned.items()]
    )
    with canvas(
        title=title or f"Largest effect: {tops}",
        alt=alt
        or "A panel per category: planted effect of the hour as steps, learned effect as "
        f"points. The learned effect is largest for {tops}. "
        f"Correlation with the planted steps: {listed(likeness)}.",
        width=2.4 * len(learned) + 0.6,
        height=3.6,
        panels=len(learned),
    ) as axes:
        panels = np.atleast_1d(axes)
        limits = _limits([*learned.values(), *planted.values()])
        for panel, name in zip(panels, learned, strict=True):
            panel.step(
                hours,
                planted[name],
                where="mid",
                color=VERMILION,
                lw=2,
                label="planted",
            )
            panel.plot(
                hours,
                learned[name],
                "o-",
                color=BLUE,
                ms=4,
                lw=1,
                label="learned",
            )
            panel.set(title=name, xlabel="hour of the visit", ylim=limits)
        panels[0].set_ylabel("effect (logits)")
        panels[0].legend()


def _limits(curves: Sequence[np.ndarray]) -> tuple[float, float]:
    """One scale for all panels, with a little air."""
    values = np.concatenate(curves)
    air = 0.06 * np.ptp(values)
    return values.min() - air, values.max() + air


def steps_back(
    curves: Mapping[str, np.ndarray],
    title: str,
    ylabel: str,
    steps: np.ndarray | None = None,
    log: bool = False,
    alt: str | None = None,
) -> None:
    """Draw what fades with the steps back from the latest event.

    Args:
        curves: {name: values (n,) by steps before the latest event}.
        title: the figure's message.
        ylabel: what the values are.
        steps: (n,) which steps; without them 0, 1, 2, ...
        log: whether the values are on a log scale.
        alt: alternative text; without it, both ends of each curve.

    Example:
        >>> steps_back({"GRU": np.array([1.0, 0.5])}, "It fades", "effect")
        Line chart of effect against steps back: GRU from 1 at 0 to 0.5 at 1.
    """
    places = {
        name: np.arange(len(y)) if steps is None else np.asarray(steps)
        for name, y in curves.items()
    }
    ends = []
    for name, y in curves.items():
        x = places[name]
        first = f"{number(y[0])} at {x[0]}"
        last = f"{number(y[-1])} at {x[-1]}"
        ends.append(f"{name} from {first} to {last}")
    with canvas(
        title=title,
        alt=alt or f"Line chart of {ylabel} against steps back: {listed(ends)}.",
    ) as axes:
        for place, (name, y) in enumerate(curves.items()):
            # about eight markers per curve
            every = max(1, len(y) // 8)
            axes.plot(
                places[name],
                y,
                label=name,
                markevery=every,
                color=PALETTE[place],
                marker=MARKERS[place],
            )
        if log:
            axes.set_yscale("log")
        axes.set(xlabel="steps back from the latest film", ylabel=ylabel)
        # beside the axes: inside, it would cover a curve
        axes.legend(
            loc="center left",
            bbox_to_anchor=(1, 0.5),
            frameon=False,
        )


def information(
    nats: np.ndarray,
    title: str | None = None,
    least: float = 0.1,
    alt: str | None = None,
) -> None:
    """Draw how many nats each number of a latent vector carries, largest first.

    Args:
        nats: (d,) the KL divergence of each number from its prior, mean over users.
        title: the figure's message; without it, how many numbers are used.
        least: the divergence from which a number counts as used, drawn as a line.
        alt: alternative text; without it, the range and how many are used.

    Example:
        >>> information([0.0, 1.5, 0.2])  # doctest: +NORMALIZE_WHITESPACE
        Bar chart of 3 latent numbers by the nats they carry, from 1.5 down to 0; 2
        carry 0.1 or more.
    """
    nats = np.sort(np.asarray(nats, dtype=float))[::-1]
    used = int((nats >= least).sum())
    with canvas(
        title=title or f"{used} of {len(nats)} numbers carry {least:g} nats or more",
        alt=alt
        or f"Bar chart of {len(nats)} latent numbers by the nats they carry, "
        f"from {number(nats[0])} down to {number(nats[-1])}; "
        f"{used} carry {least:g} or more.",
    ) as axes:
        places = np.arange(1, len(nats) + 1)
        axes.bar(
            places,
            nats,
            color=np.where(nats >= least, BLUE, ORANGE),
            width=0.8,
        )
        axes.axhline(least, color=GREY, lw=1, ls="--")
        axes.grid(False, axis="x")
        axes.set(
            xlabel="latent number, the fullest first",
            ylabel="KL divergence (nats, mean over users)",
        )


def reward_by_visit(
    rewards: Mapping[str, np.ndarray], title: str | None = None, alt: str | None = None
) -> None:
    """Draw each policy's mean reward per visit, with the mean's 95% interval as a band.

    Args:
        rewards: {policy: purchases (n customers, visits)}.
        title: the figure's message; without it, the policy that gains most, as a ratio
            of the last visit to the first.
        alt: alternative text; without it, the first and the last mean of each policy.

    Example:
        >>> rewards = {"greedy": np.array([[0, 1], [1, 1]])}
        >>> reward_by_visit(rewards)  # doctest: +NORMALIZE_WHITESPACE
        Lines of purchases per visit, from the first visit to the last: greedy 0.5
        to 1.
    """
    means = {name: each.mean(axis=0) for name, each in rewards.items()}
    # the floor keeps a policy that begins with nothing from dividing by zero
    gains = {name: mean[-1] / max(mean[0], 1e-9) for name, mean in means.items()}
    best = max(gains, key=gains.get)
    ends = listed(
        [f"{name} {number(m[0])} to {number(m[-1])}" for name, m in means.items()]
    )
    spoken = f"Lines of purchases per visit, from the first visit to the last: {ends}."
    with canvas(
        title=title or f"From the first visit to the last, {best} gains most",
        alt=alt or spoken,
    ) as axes:
        for n, (name, mean) in enumerate(means.items()):
            visits = np.arange(1, len(mean) + 1)
            colour = PALETTE[n % len(PALETTE)]
            axes.plot(
                visits,
                mean,
                marker=MARKERS[n % len(MARKERS)],
                color=colour,
                label=name,
            )
            # the standard error of a mean of n customers, for each visit
            deviation = rewards[name].std(axis=0, ddof=1)
            error = 1.96 * deviation / np.sqrt(len(rewards[name]))
            axes.fill_between(
                visits,
                mean - error,
                mean + error,
                color=colour,
                alpha=0.18,
                lw=0,
            )
        # 20% of room for the legend on top
        top = 1.2 * axes.get_ylim()[1]
        axes.set(
            xlabel="visit",
            ylabel="purchases per visit",
            xticks=visits,
            ylim=(0, top),
        )
        axes.legend(ncols=4, loc="upper center")

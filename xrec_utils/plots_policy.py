"""Figures of policies: what they earn as they come to know a customer. See `plots`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from xrec_utils.plots_base import MARKERS, PALETTE, canvas, listed, number


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
    title = title or f"From the first visit to the last, {best} gains most"
    spoken = f"Lines of purchases per visit, from the first visit to the last: {ends}."
    with canvas(title, alt or spoken) as axes:
        for n, (name, mean) in enumerate(means.items()):
            visits = np.arange(1, len(mean) + 1)
            colour = PALETTE[n % len(PALETTE)]
            marker = MARKERS[n % len(MARKERS)]
            axes.plot(visits, mean, marker=marker, color=colour, label=name)
            # the standard error of a mean of n customers, for each visit
            deviation = rewards[name].std(axis=0, ddof=1)
            error = 1.96 * deviation / np.sqrt(len(rewards[name]))
            band = {"color": colour, "alpha": 0.18, "lw": 0}
            axes.fill_between(visits, mean - error, mean + error, **band)
        # 20% of room for the legend on top
        top = 1.2 * axes.get_ylim()[1]
        axes.set(xlabel="visit", ylabel="purchases per visit", xticks=visits)
        axes.set_ylim(0, top)
        axes.legend(ncols=4, loc="upper center")

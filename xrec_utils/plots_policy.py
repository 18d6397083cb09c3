"""Figures of policies: what they earn as they come to know a customer. See `plots`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from xrec_utils.plots_base import MARKERS, PALETTE, canvas, listed, number


def reward_by_visit(
    rewards: Mapping[str, np.ndarray], title: str | None = None, alt: str | None = None
) -> None:
    """Draw each policy's mean reward per visit, {name: (n, visits)}, with the 95%
    interval of the mean as a band.
    """
    means = {name: each.mean(axis=0) for name, each in rewards.items()}
    gains = {name: mean[-1] / max(mean[0], 1e-9) for name, mean in means.items()}
    said = [
        f"{name} {number(mean[0])} to {number(mean[-1])}"
        for name, mean in means.items()
    ]
    alt = (
        alt
        or f"Lines of purchases per visit, from the first visit to the last: {listed(said)}."
    )
    best = max(gains, key=gains.get)
    with canvas(
        title or f"From the first visit to the last, {best} gains most", alt
    ) as axes:
        for n, (name, mean) in enumerate(means.items()):
            visits, colour = np.arange(1, len(mean) + 1), PALETTE[n % len(PALETTE)]
            error = (
                1.96 * rewards[name].std(axis=0, ddof=1) / np.sqrt(len(rewards[name]))
            )
            axes.plot(
                visits, mean, marker=MARKERS[n % len(MARKERS)], color=colour, label=name
            )
            axes.fill_between(
                visits, mean - error, mean + error, color=colour, alpha=0.18, lw=0
            )
        axes.set(
            xlabel="visit",
            ylabel="purchases per visit",
            xticks=visits,
            ylim=(0, 1.2 * axes.get_ylim()[1]),
        )
        axes.legend(ncols=4, loc="upper center")

"""Figures of models with a memory: what fades with the steps, and what the numbers of a
latent vector carry.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from xrec_utils.plots_base import (
    BLUE,
    GREY,
    MARKERS,
    ORANGE,
    PALETTE,
    canvas,
    listed,
    number,
)


def steps_back(
    curves: Mapping[str, np.ndarray],
    title: str,
    ylabel: str,
    steps: np.ndarray | None = None,
    log: bool = False,
    alt: str | None = None,
) -> None:
    """Draw {name: values by steps before the latest event}; `steps` (n,) says which
    steps, else 0, 1, 2, ...
    """
    ends = []
    with_steps = {
        name: (np.arange(len(y)) if steps is None else np.asarray(steps), y)
        for name, y in curves.items()
    }
    for name, (x, y) in with_steps.items():
        ends.append(
            f"{name} from {number(y[0])} at {x[0]} to {number(y[-1])} at {x[-1]}"
        )
    alt = alt or f"Line chart of {ylabel} against steps back: {listed(ends)}."
    with canvas(title, alt) as axes:
        for place, (name, (x, y)) in enumerate(with_steps.items()):
            axes.plot(
                x,
                y,
                label=name,
                color=PALETTE[place],
                marker=MARKERS[place],
                markevery=max(1, len(x) // 8),
            )
        if log:
            axes.set_yscale("log")
        axes.set_xlabel("steps back from the latest film")
        axes.set_ylabel(ylabel)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def information(
    nats: np.ndarray,
    title: str | None = None,
    least: float = 0.1,
    alt: str | None = None,
) -> None:
    """Draw how many nats each number of a latent vector carries (d,), largest first,
    with a line at `least`.
    """
    nats = np.sort(np.asarray(nats, dtype=float))[::-1]
    used = int((nats >= least).sum())
    alt = alt or (
        f"Bar chart of {len(nats)} latent numbers by the nats they carry, from {number(nats[0])} down to "
        f"{number(nats[-1])}; {used} carry {least:g} or more."
    )
    with canvas(
        title or f"{used} of {len(nats)} numbers carry {least:g} nats or more", alt
    ) as axes:
        axes.bar(
            np.arange(1, len(nats) + 1),
            nats,
            color=np.where(nats >= least, BLUE, ORANGE),
            width=0.8,
        )
        axes.axhline(least, color=GREY, lw=1, ls="--")
        axes.grid(False, axis="x")
        axes.set_xlabel("latent number, the fullest first")
        axes.set_ylabel("KL divergence (nats, mean over users)")

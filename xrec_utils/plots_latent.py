"""Figures of models with a memory, and of what a latent vector carries. See `plots`."""

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
    alt = alt or f"Line chart of {ylabel} against steps back: {listed(ends)}."
    with canvas(title, alt) as axes:
        for place, (name, y) in enumerate(curves.items()):
            # about eight markers per curve
            every = max(1, len(y) // 8)
            style = {"color": PALETTE[place], "marker": MARKERS[place]}
            axes.plot(places[name], y, label=name, markevery=every, **style)
        if log:
            axes.set_yscale("log")
        axes.set_xlabel("steps back from the latest film")
        axes.set_ylabel(ylabel)
        # beside the axes: inside, it would cover a curve
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


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
    alt = alt or (
        f"Bar chart of {len(nats)} latent numbers by the nats they carry, "
        f"from {number(nats[0])} down to {number(nats[-1])}; "
        f"{used} carry {least:g} or more."
    )
    title = title or f"{used} of {len(nats)} numbers carry {least:g} nats or more"
    with canvas(title, alt) as axes:
        places = np.arange(1, len(nats) + 1)
        colours = np.where(nats >= least, BLUE, ORANGE)
        axes.bar(places, nats, color=colours, width=0.8)
        axes.axhline(least, color=GREY, lw=1, ls="--")
        axes.grid(False, axis="x")
        axes.set_xlabel("latent number, the fullest first")
        axes.set_ylabel("KL divergence (nats, mean over users)")

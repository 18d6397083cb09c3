"""Figures of notebook 15: a leaderboard of explainers, and how many people a study
needs. See `plots`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from xrec_utils.plots_base import (
    GREY,
    MARKERS,
    SEQUENTIAL,
    canvas,
    listed,
    no_grid,
    number,
    shorten,
)


def leaderboard(
    means: pd.DataFrame,
    marked: pd.DataFrame,
    better: Mapping[str, int],
    title: str,
    alt: str | None = None,
) -> None:
    """Draw means (explainers x measures) as numbers on colours, darker is better;
    `marked` cells are bold in a frame.

    marked: booleans of the same shape. better: {measure: +1 or -1}, whether more or
    less is better. Colours compare within a column: from its worst to its best. NaN is
    left empty.
    """
    grid = means * pd.Series(better)[means.columns]
    low, high = grid.min(), grid.max()
    shade = ((grid - low) / (high - low).replace(0, 1)).to_numpy(float)
    said = [f"{name}: {listed(list(marked.index[marked[name]]))}" for name in means]
    alt = (
        alt
        or f"Table of {len(means)} explainers by {means.shape[1]} measures. Best, or level: {'; '.join(said)}."
    )
    names = [f"{name} {'↑' if better[name] > 0 else '↓'}" for name in means]
    note = "framed: the best, and what intervals cannot tell from it"
    with canvas(
        title, alt, width=9.5, height=1.9 + 0.34 * len(means), note=note
    ) as axes:
        axes.imshow(
            np.ma.masked_invalid(shade),
            cmap=SEQUENTIAL,
            vmin=0,
            vmax=1.9,
            aspect="auto",
        )
        for row, column in np.argwhere(means.notna().to_numpy()):
            best, text = (
                marked.iloc[row, column],
                f"{means.iloc[row, column].round(2) + 0.0:.2f}".replace("-", "−"),
            )
            frame = (
                {"boxstyle": "round,pad=0.15", "fc": "none", "ec": "black"}
                if best
                else None
            )
            axes.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                weight="bold" if best else "normal",
                bbox=frame,
            )
        axes.xaxis.tick_top()
        axes.set_xticks(
            range(len(names)), names, rotation=35, ha="left", rotation_mode="anchor"
        )
        axes.set_yticks(range(len(means)), [shorten(name) for name in means.index])
        no_grid(axes)


def power_curves(
    people: np.ndarray,
    curves: Mapping[str, np.ndarray],
    wanted: float = 0.8,
    title: str | None = None,
    alt: str | None = None,
) -> None:
    """Draw the chance of finding an effect against the number of people (n,): {name of
    the effect: powers (n,)}.
    """
    first = {
        name: int(people[np.argmax(curve >= wanted)])
        for name, curve in curves.items()
        if curve.max() >= wanted
    }
    said = (
        listed([f"{name} from {count} people on" for name, count in first.items()])
        or "none of them"
    )
    alt = (
        alt
        or f"Lines of power against the number of people. A power of {number(wanted)} is reached by {said}."
    )
    with canvas(title or "A small effect needs many people", alt) as axes:
        for place, (name, curve) in enumerate(curves.items()):
            axes.plot(
                people,
                curve,
                label=name,
                marker=MARKERS[place % 7],
                markevery=max(1, len(people) // 8),
            )
        axes.axhline(wanted, color=GREY, lw=1, ls="--")
        axes.set(
            xlabel="people, each meeting every kind",
            ylabel="chance to find the effect",
            ylim=(0, 1.02),
        )
        axes.legend(title="effect")

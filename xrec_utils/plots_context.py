"""Figures of the moment: what a model learned about the hour, beside what was planted.
See `plots`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from xrec_utils.plots_base import BLUE, VERMILION, canvas, listed, number


def hour_effects(
    hours: Sequence[int],
    learned: Mapping[str, np.ndarray],
    planted: Mapping[str, np.ndarray],
    title: str | None = None,
    alt: str | None = None,
) -> None:
    """Draw a panel per category: the learned effect of the hour as points, the planted
    one as steps, in logits.

    Both (hours,) and both centred on their mean over the hours drawn: only differences
    between hours can be learned.
    """
    learned, planted = (
        {name: x - np.mean(x) for name, x in each.items()}
        for each in (learned, planted)
    )
    effects = [name for name, x in planted.items() if x.any()]
    likeness = [
        f"{name} {number(np.corrcoef(learned[name], planted[name])[0, 1])}"
        for name in effects
    ]
    tops = [
        f"{name} at {hours[int(np.argmax(x))]} o'clock" for name, x in learned.items()
    ]
    text = f"The learned effect is largest for {listed(tops)}. Correlation with the planted steps: {listed(likeness)}."
    alt = (
        alt
        or f"A panel per category: planted effect of the hour as steps, learned effect as points. {text}"
    )
    title, n = title or f"Largest effect: {listed(tops)}", len(learned)
    with canvas(title, alt, width=2.4 * n + 0.6, height=3.6, panels=n) as axes:
        for axis, name in zip(np.atleast_1d(axes), learned, strict=True):
            axis.step(
                hours,
                planted[name],
                where="mid",
                color=VERMILION,
                lw=2,
                label="planted",
            )
            axis.plot(
                hours, learned[name], "o-", color=BLUE, ms=4, lw=1, label="learned"
            )
            axis.set(
                title=name,
                xlabel="hour of the visit",
                ylim=_limits([*learned.values(), *planted.values()]),
            )
        np.atleast_1d(axes)[0].set_ylabel("effect (logits)")
        np.atleast_1d(axes)[0].legend()


def _limits(curves: Sequence[np.ndarray]) -> tuple[float, float]:
    """One scale for all panels, with a little air."""
    values = np.concatenate(curves)
    air = 0.06 * np.ptp(values)
    return values.min() - air, values.max() + air

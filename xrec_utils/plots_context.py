"""Figures of the moment: what a model learned about the hour, and what was planted.

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
    alt = alt or (
        "A panel per category: planted effect of the hour as steps, learned effect as "
        f"points. The learned effect is largest for {tops}. "
        f"Correlation with the planted steps: {listed(likeness)}."
    )
    title = title or f"Largest effect: {tops}"
    size = {"width": 2.4 * len(learned) + 0.6, "height": 3.6, "panels": len(learned)}
    with canvas(title, alt, **size) as axes:
        panels = np.atleast_1d(axes)
        limits = _limits([*learned.values(), *planted.values()])
        steps = {"where": "mid", "color": VERMILION, "lw": 2, "label": "planted"}
        points = {"color": BLUE, "ms": 4, "lw": 1, "label": "learned"}
        for panel, name in zip(panels, learned, strict=True):
            panel.step(hours, planted[name], **steps)
            panel.plot(hours, learned[name], "o-", **points)
            panel.set(title=name, xlabel="hour of the visit", ylim=limits)
        panels[0].set_ylabel("effect (logits)")
        panels[0].legend()


def _limits(curves: Sequence[np.ndarray]) -> tuple[float, float]:
    """One scale for all panels, with a little air."""
    values = np.concatenate(curves)
    air = 0.06 * np.ptp(values)
    return values.min() - air, values.max() + air

"""Checks of the exercises of notebook 07."""

from collections.abc import Mapping

import numpy as np

from xrec_utils.exercises.register import exercise, near, near_unless_slip


@exercise(
    "07.1",
    hint="Mean of learned['novel'] over the hours 19 to 23, minus its mean over the other hours.",
)
def evening_of_the_novel(
    answer: object, planted: Mapping, learned: Mapping
) -> bool | str:
    """How much more a novel is wanted in the evening."""
    evening = planted["novel"] > 0
    curve = learned["novel"]
    return near_unless_slip(
        answer,
        expected=curve[evening].mean() - curve[~evening].mean(),
        slip=curve[evening].mean(),
        hint="that is the level in the evening; an effect is a difference from the other hours",
    )


@exercise("07.2", hint="A = 1 + 1 + 4, b = 0·1 + 1·2; then x·b/A and √(x²/A) at x = 3.")
def estimate_and_bonus(answer: object) -> bool:
    """LinUCB's estimate and bonus of one number."""
    return near(answer, [1.0, np.sqrt(1.5)])


@exercise(
    "07.3", hint="Square the sum of the weights, divide by the sum of their squares."
)
def effective_sample_size(answer: object, weights: np.ndarray) -> bool:
    """The effective sample size of importance weights."""
    return near(
        answer,
        weights.sum() ** 2 / (weights**2).sum(),
    )

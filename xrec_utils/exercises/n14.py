"""Checks of the exercises of notebook 14."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import softmax

from xrec_utils.exercises.register import exercise, near, near_unless_slip
from xrec_utils.games.explanation import Explanation
from xrec_utils.language.citations import Citations


@exercise(
    "14.1",
    hint="np.exp of the scores, divided by its sum over axis=1 with keepdims=True.",
)
def three_classes(answer: Callable) -> bool | str:
    """Probabilities of three classes from their scores."""
    scores = np.random.default_rng(14).normal(size=(5, 3))
    found = np.asarray(answer(scores.copy()))
    if found.shape != scores.shape:
        return f"for scores of shape {scores.shape} it gave {found.shape}; LIME needs one row per text"
    if not near(found, softmax(scores, axis=1)):
        return False
    large = np.array([[1000.0, 999.0, 0.0], [-1000.0, -999.0, 0.0]])
    with np.errstate(all="ignore"):
        sound = near(answer(large.copy()), softmax(large, axis=1))
    return (
        sound
        or "right, but not for scores of 1,000: subtract each row's largest score first"
    )


@exercise(
    "14.2",
    hint="values.argmax() of the attention finds the film; count its values below 0 in truth.",
)
def against(
    answer: object, attention: Sequence[Explanation], exact: Sequence[Explanation]
) -> bool:
    """How often the film with most attention speaks against."""
    negative = [
        e.values[a.values.argmax()] < 0 for a, e in zip(attention, exact, strict=True)
    ]
    return near(answer, sum(negative))


@exercise(
    "14.3",
    hint="Each entry of told has a list `cited` of lines counted from 0; pool them over all users.",
)
def by_place(answer: object, told: Sequence[Citations]) -> bool | str:
    """The share of cited lines that are among the first four."""
    return near_unless_slip(
        answer,
        expected=share_up_to(3, told),
        slip=share_up_to(4, told),
        hint="lines are counted from 0: the first four are 0 to 3",
    )


def share_up_to(last: int, told: Sequence[Citations]) -> float:
    """The share of cited lines, counted from 0, that are no later than `last`."""
    lines = [line for each in told for line in each.cited]
    return np.mean([line <= last for line in lines])

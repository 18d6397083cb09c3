"""The checks of the exercises, one module for each notebook (`n00.py` for notebook 00),
and what they are written with.

A check is a function of the reader's answer (and of whatever the notebook hands over by
keyword), registered under the exercise's name:

    @exercise("00.1", hint="Count the rows of the interactions table.")
    def number_of_ratings(answer: object) -> bool:
        return near(answer, 100_004)

It returns True (correct), False (the hint is shown) or a str (that hint is shown
instead).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Exercise(NamedTuple):
    """A registered check: the hint for a wrong answer, and the function that judges."""

    hint: str
    judge: Callable[..., bool | str]


REGISTRY: dict[str, Exercise] = {}


def exercise(
    name: str, hint: str
) -> Callable[[Callable[..., bool | str]], Callable[..., bool | str]]:
    """Register the decorated function as the check of exercise `name`, such as "00.1".

    Raises:
        ValueError: another function already checks this exercise.
    """

    def register(judge: Callable[..., bool | str]) -> Callable[..., bool | str]:
        """Write the check down and give it back as it is."""
        # a module that is loaded anew registers the same names once more
        known = REGISTRY.get(name, Exercise(hint, judge)).judge
        if known.__module__ != judge.__module__ or (
            known.__qualname__ != judge.__qualname__
        ):
            raise ValueError(
                f'exercise "{name}" has two checks: '
                f"{known.__qualname__} and {judge.__qualname__}"
            )
        REGISTRY[name] = Exercise(hint, judge)
        return judge

    return register


def near(got: Any, expected: Any, tolerance: float = 1e-3) -> bool:
    """Whether numbers agree: same shape, and |got - expected| <= tolerance * (1 +
    |expected|) everywhere.

    Takes numbers, sequences, arrays and Series; NaN agrees with NaN. What is not
    numeric does not agree.
    """
    try:
        left = np.asarray(got, dtype=float)
        right = np.asarray(expected, dtype=float)
    except (TypeError, ValueError):
        return False
    return left.shape == right.shape and np.allclose(
        left,
        right,
        rtol=tolerance,
        atol=tolerance,
        equal_nan=True,
    )


def near_unless_slip(
    answer: Any,
    expected: Any,
    slip: Any,
    hint: str,
    tolerance: float = 1e-3,
) -> bool | str:
    """Judge an answer by `near`, where one slip is so likely that it has its own hint.

    Returns `hint` if the answer is `slip`, else whether it is `expected`.
    """
    if near(answer, slip, tolerance):
        return hint
    return near(answer, expected, tolerance)

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

import math
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


class WrongForm(ValueError):
    """An answer is not of the kind that is asked for, whatever its values; the text is
    the hint.
    """


def numbers(answer: Any) -> np.ndarray:
    """Numbers in whatever form, as floats, without axes of length one.

    Takes numbers, sequences, arrays, columns and Series; texts too: "51%" is 0.51.

    Raises:
        WrongForm: there are other things than numbers.

    Example:
        >>> numbers([["51%"], ["0.5"]])
        array([0.51, 0.5 ])
    """
    try:
        given = np.asarray(answer)
        if given.dtype.kind not in "iuf":
            given = np.vectorize(_number, otypes=[float])(given)
    except (TypeError, ValueError):
        raise WrongForm("numbers are asked for, and only numbers") from None
    return given.astype(float).squeeze()


def _number(part: Any) -> float:
    if isinstance(part, bool | np.bool_):
        raise TypeError("True and False are no numbers")
    if isinstance(part, str) and part.strip().endswith("%"):
        return float(part.strip().removesuffix("%")) / 100
    return float(part)


def near(got: Any, expected: Any, tolerance: float = 1e-4) -> bool:
    """Whether numbers agree: everywhere |got - expected| <= tolerance * |expected|, or
    `got` is `expected` rounded as one writes it.

    Takes all that `numbers` takes; NaN agrees with NaN. Beside large numbers, small ones
    may be off by a millionth of the largest (with the usual tolerance).

    Raises:
        WrongForm: `got` is no numbers, or another number of them.

    Example:
        >>> near(0.67, 2 / 3), near(0.7, 2 / 3), near("66.7%", 2 / 3)
        (True, False, True)
    """
    left, right = numbers(got), numbers(expected)
    if left.shape != right.shape:
        raise WrongForm(f"{_form(right)} asked for; you have the shape {left.shape}")
    size = np.abs(right[np.isfinite(right)]).max(initial=0) or 1
    close = np.isclose(
        left, right, rtol=tolerance, atol=tolerance * size / 100, equal_nan=True
    )
    pairs = zip(left.flat, right.flat, close.flat, strict=True)
    return all(same or rounded(a, b) for a, b, same in pairs)


def _form(array: np.ndarray) -> str:
    return f"numbers of shape {array.shape} are" if array.ndim else "one number is"


def rounded(got: float, exact: float) -> bool:
    """Whether `got` is `exact` rounded to three significant digits or more.

    Two are enough below one, as shares are written. Whole numbers are not rounded: they
    are counts.
    """
    fewest = 2 if abs(exact) < 1 else max(3, len(f"{abs(exact):.0f}"))
    texts = [f"{exact:.{digits}g}" for digits in range(fewest, fewest + 5)]
    return (
        math.isfinite(exact)
        and exact % 1 > 0
        and any(np.isclose(got, float(each), 1e-6, 0) for each in texts)
    )


def near_unless_slip(
    answer: Any,
    expected: Any,
    slip: Any,
    hint: str,
    tolerance: float = 1e-4,
) -> bool | str:
    """Judge an answer by `near`, where one slip is so likely that it has its own hint.

    Returns `hint` if the answer is `slip`, else whether it is `expected`.
    """
    right = near(answer, expected, tolerance)
    return hint if not right and near(answer, slip, tolerance) else right


def same_name(answer: Any, *names: str) -> bool:
    """Whether an answer is one of these names, whatever its capitals and the spaces
    around it; a list or an array of one name will do.

    Raises:
        WrongForm: the answer is no text.
    """
    given = np.ravel(np.asarray(answer, dtype=object))
    if given.size != 1 or not isinstance(given[0], str):
        raise WrongForm("one name is asked for, as a text")
    return given[0].strip().casefold() in [name.casefold() for name in names]

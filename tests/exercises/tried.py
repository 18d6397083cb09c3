"""Answers that readers give, as rows of tables: right ones in many forms, and wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from xrec_utils.exercises import checking

RIGHT = "correct."
WRONG = "the hint of the exercise"
FORM = "asked for"


class Tried(NamedTuple):
    """An answer, and what the check should say: RIGHT, WRONG, or a part of its hint."""

    answer: Any
    says: str = RIGHT


# what the notebook hands over, and the answers tried
Table = tuple[dict[str, Any], list[Tried]]
TABLES: dict[str, Callable[[], Table]] = {}


def table_of(name: str) -> Callable[[Callable[[], Table]], Callable[[], Table]]:
    """Keep the decorated function as the one that makes the table of exercise `name`."""

    def keep(make: Callable[[], Table]) -> Callable[[], Table]:
        assert name not in TABLES, f"two tables of exercise {name}"
        TABLES[name] = make
        return make

    return keep


def judged(name: str, tried: Tried, context: dict[str, Any]) -> str:
    """What is odd about the verdict, '' if it is as it should be."""
    verdict = checking.check(name, tried.answer, **context)
    hint = checking.exercise_named(name).hint
    says = f"Hint: {hint}" if tried.says == WRONG else tried.says
    fits = verdict.text.endswith(says) if tried.says == WRONG else says in verdict.text
    return "" if fits else f"{tried.answer!r}: {verdict.text}"


def one_number(value: float) -> list[Tried]:
    """A number in nine right forms, and six answers that are none."""
    right = [
        float(value),
        np.float32(value),
        np.array(value),
        [value],
        (value,),
        np.array([[value]]),
        pd.Series([value]),
        str(float(value)),
        f"{100 * value:.9f}%",
    ]
    odd = [True, np.bool_(False), "yes", None, [value, value], {"value": value}]
    wrong = [value + 1, 2 * value + 1, -value - 1]
    return _rows(right, odd) + [Tried(each, "Hint") for each in wrong]


def several_numbers(values: Any) -> list[Tried]:
    """Numbers in ten right forms, and seven wrong answers."""
    array = np.asarray(values, dtype=float)
    right = [
        list(array),
        tuple(array),
        array,
        array.astype(np.float32),
        array[:, None],
        array[None],
        pd.Series(array, index=range(3, 3 + len(array))),
        pd.DataFrame({"value": array}),
        [str(each) for each in array],
        [f"{100 * each:.9f}%" for each in array],
    ]
    odd = [array[:-1], [*array, 0], np.stack([array, array]), True, "yes", None]
    return [
        *_rows(right, odd),
        Tried(array + 1, "Hint"),
        Tried(array * 1.01 + 0.01, "Hint"),
    ]


def one_name(name: str, other: str) -> list[Tried]:
    """A name in seven right forms, and six wrong answers."""
    right = [
        name,
        f" {name} ",
        name.upper(),
        np.str_(name),
        [name],
        (name,),
        pd.Series([name]),
    ]
    return [*_rows(right, [3, True, None, [name, other], 0.5]), Tried(other, "Hint")]


def _rows(right: list[Any], odd: list[Any]) -> list[Tried]:
    return [Tried(each) for each in right] + [Tried(each, FORM) for each in odd]

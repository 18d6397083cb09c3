"""Exercises: verdicts, hints for any answer, and reading them out of notebooks."""

from __future__ import annotations

import importlib
import math
import pkgutil

import nbformat
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xrec_utils.exercises
from notebooks_by_hand import CHECK, exercise, solution
from xrec_tools import exercises
from xrec_utils.exercises import checking, register
from xrec_utils.exercises.register import WrongForm, near

JUNK = [
    object(),
    "banana",
    None,
    [],
    {},
    math.nan,
    -987654.321,
    lambda *_: 1 / 0,
    np.array(["x"], dtype=object),
]


class Rude:
    """An object that fails whatever is asked of it."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __len__ = __iter__ = __eq__ = __float__ = __repr__


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry of its own, with one plain exercise and one that looks closer."""
    monkeypatch.setattr(checking, "verdicts", {})
    monkeypatch.setattr(register, "REGISTRY", registered := dict(register.REGISTRY))
    monkeypatch.setattr(checking, "REGISTRY", registered)

    @register.exercise("99.1", hint="count them")
    def count(answer: object) -> bool:
        return near(answer, 3)

    @register.exercise("99.2", hint="sort first")
    def longest(answer: list[str], films: list[str]) -> bool | str:
        return "one is missing" if len(answer) < len(films) else answer == films


def test_the_right_answer_is_correct(capsys: pytest.CaptureFixture[str]) -> None:
    verdict = checking.check("99.1", 3.0)
    assert verdict.correct and verdict.tried and checking.verdicts["99.1"] is verdict
    assert capsys.readouterr().out == "99.1: correct.\n"


def test_a_wrong_answer_shows_itself_and_the_hint(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not checking.check("99.1", 4).correct
    assert capsys.readouterr().out == "99.1: not yet. You have 4. Hint: count them\n"


def test_a_check_can_give_a_hint_of_its_own_and_uses_the_context() -> None:
    assert checking.check("99.2", ["a"], films=["a", "b"]).text.endswith(
        "Hint: one is missing"
    )
    assert checking.check("99.2", ["b", "a"], films=["a", "b"]).text.endswith(
        "Hint: sort first"
    )
    assert checking.check("99.2", ["a", "b"], films=["a", "b"]).correct


def dots(ranked, target): ...


def documented_dots(ranked):
    """Tell how many."""
    ...


def half(ranked):
    best = ...
    return best


@pytest.mark.parametrize(
    "answer",
    [
        ...,
        (1, ...),
        [[...]],
        {"a": ...},
        dots,
        documented_dots,
        half,
        lambda x: ...,
        {1, ...},
    ],
)
def test_dots_are_not_tried_yet(
    answer: object, capsys: pytest.CaptureFixture[str]
) -> None:
    verdict = checking.check("99.1", answer)
    assert not verdict.tried and not verdict.correct
    assert capsys.readouterr().out.startswith("99.1: not tried yet.")


@pytest.mark.parametrize(
    "answer",
    [0, "", None, [], lambda x: x, lambda: 1, len, np.zeros(2), pd.Series([1, 2])],
)
def test_anything_else_is_tried(answer: object) -> None:
    assert not checking.untouched(answer)


@pytest.mark.parametrize(
    "answer", [*JUNK, Rude(), pd.DataFrame({"a": [1]}), "x" * 1000, range(10**6)]
)
def test_odd_answers_meet_a_hint_in_one_short_line(
    answer: object, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("99.1", "99.2"):
        assert not checking.check(
            name, answer, **({"films": ["a"]} if name == "99.2" else {})
        ).correct
        shown = capsys.readouterr().out
        assert (
            shown.startswith(f"{name}: not yet.")
            and shown.count("\n") == 1
            and len(shown) < 300
        )


def test_an_array_is_shown_by_its_shape(capsys: pytest.CaptureFixture[str]) -> None:
    checking.check("99.1", np.zeros((2, 3)))
    assert "You have ndarray of shape (2, 3)." in capsys.readouterr().out


def test_the_verdict_repeats_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    shown = [checking.check("99.1", each) for each in (3, 4, ...)]
    capsys.readouterr()
    assert [repr(each) for each in shown] == [
        "<99.1 correct>",
        "<99.1 wrong>",
        "<99.1 open>",
    ]
    shown[0]._ipython_display_()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["99.9", "no name", "97.1"])
def test_an_unknown_exercise_is_named(name: str) -> None:
    with pytest.raises(KeyError, match=f'no exercise "{name}"'):
        checking.check(name, 1)


def test_a_broken_module_of_checks_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(name: str) -> None:
        raise ModuleNotFoundError("No module named 'typo'", name="typo")

    monkeypatch.setattr(checking.importlib, "import_module", broken)
    with pytest.raises(ModuleNotFoundError, match="typo"):
        checking.check("99.1", 3)


def test_one_exercise_has_one_check() -> None:
    with pytest.raises(ValueError, match=r'"99.1" has two checks'):
        register.exercise("99.1", hint="another")(lambda answer: True)


def test_a_cell_run_twice_registers_once() -> None:
    for _ in range(2):

        @register.exercise("99.3", hint="again")
        def again(answer: object) -> bool:
            return False

    assert register.REGISTRY["99.3"].judge is again


def shipped_exercises() -> list[str]:
    for module in pkgutil.iter_modules(xrec_utils.exercises.__path__):
        importlib.import_module(f"xrec_utils.exercises.{module.name}")
    return sorted(register.REGISTRY)


@pytest.mark.parametrize("name", shipped_exercises())
def test_no_exercise_of_the_course_accepts_junk(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for junk in [*JUNK, Rude()]:
        assert not checking.check(name, junk).correct
        assert capsys.readouterr().out.startswith(f"{name}: not yet.")
    assert len(checking.exercise_named(name).hint.split()) >= 3


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=5))
def test_near_accepts_what_is_equal(values: list[float]) -> None:
    for same in (
        values,
        np.array(values),
        tuple(values),
        pd.Series(values, dtype=float),
    ):
        assert near(same, values)


@given(st.integers(-1000, 1000), st.floats(0.0021, 10))
def test_near_rejects_what_is_farther_than_the_tolerance(
    value: int, factor: float
) -> None:
    assert not near(value + factor * max(1.0, abs(value)), value)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        ([1, 2], [1, 2, 3]),
        ([[1, 2], [3, 4]], [1, 2, 3, 4]),
        ([3, 3], 3),
        ("x", 3),
        ("%", 3),
        (None, 3),
        (True, 1),
        (np.bool_(False), 0),
        ([1, "b"], [1, 2]),
    ],
)
def test_other_forms_are_named(got: object, expected: object) -> None:
    with pytest.raises(WrongForm, match="asked for"):
        near(got, expected)


@pytest.mark.parametrize(
    ("got", "expected", "same"),
    [
        (math.nan, 3, False),
        (3, math.inf, False),
        ("51%", 0.5087, True),
        ("50.9 %", 0.5087, True),
        ("50%", 0.5087, False),
        (0.5, 0.5087, False),
        (np.float32(0.92), 0.9171, True),
        (2100, 2112, False),  # a count
        (34.6, 34.56, True),
        (35, 34.56, False),
        ([[5.0], [6.6]], [5, 6.6], True),
        ([[5.0, 6.6]], [5, 6.6], True),
        ([1000, 0.001], [1000, 0], True),
        ([1000, 0.01], [1000, 0], False),
    ],
)
def test_forms_and_rounding(got: object, expected: object, same: bool) -> None:
    assert near(got, expected) is same


def test_near_takes_a_tolerance() -> None:
    assert near(1.04, 1, tolerance=0.05) and not near(1.06, 1, tolerance=0.05)


def notebook(*sources: str) -> nbformat.NotebookNode:
    """A notebook in which every second and third source is code, as in an exercise."""
    prose = ("#", "<")
    cells = [
        (
            nbformat.v4.new_markdown_cell
            if s.startswith(prose)
            else nbformat.v4.new_code_cell
        )(s)
        for s in sources
    ]
    return nbformat.v4.new_notebook(cells=cells)


def test_an_exercise_is_read_out_of_its_cells() -> None:
    made = notebook(
        "# Title", "x = 1", *exercise("answer_1 = 3"), "## What to remember"
    )
    made.cells[4].outputs = [
        nbformat.v4.new_output("stream", text="99.1: not tried yet.\n")
    ]
    (found,) = exercises.written_in(made)
    assert (found.name, found.answer, found.check) == ("99.1", "answer_1 = ...", CHECK)
    assert (found.solution, found.output) == (
        "answer_1 = 3\n",
        "99.1: not tried yet.\n",
    )


@pytest.mark.parametrize(
    ("cell", "source", "message"),
    [
        (0, None, None),
        (1, "answer_1 = 3", "no `...`"),
        (1, "# prose", "needs a question, an answer"),
        (2, 'exercises.check("99.2", answer_1)', "third cell"),
        (3, "# Solution: 3", "fourth cell"),
        (3, solution("a = 1") + solution("b = 2"), "fourth cell"),
        (3, None, "needs a question, an answer"),
    ],
)
def test_a_badly_written_exercise_says_what_is_wrong(
    cell: int, source: str | None, message: str | None
) -> None:
    cells = list(exercise("answer_1 = 3"))
    cells[cell : cell + 1] = [source] if source else []
    if message is None:
        assert exercises.written_in(notebook(*cells)) == []
        return
    with pytest.raises(ValueError, match=f"exercise 99.1: .*{message}"):
        exercises.written_in(notebook(*cells))

"""Exercises: `exercises.check("00.1", answer)` says *not tried yet*, *correct*, or
gives a hint.

The checks themselves are in `xrec_utils.exercises.register`; here they are run, and the four cells
that make an exercise are read out of a notebook: question, answer with `...`, check,
solution.
"""

import dis
import importlib
import reprlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import EllipsisType, FunctionType
from typing import Any

from xrec_utils.exercises.register import REGISTRY, Exercise, WrongForm


@dataclass(frozen=True, repr=False)
class Verdict:
    """What a check found; `text` was printed already, so showing the verdict itself
    adds nothing.
    """

    name: str
    correct: bool
    tried: bool
    text: str = field(compare=False)

    def __repr__(self) -> str:
        if not self.tried:
            return f"<{self.name} open>"
        return f"<{self.name} {'correct' if self.correct else 'wrong'}>"

    def _ipython_display_(self) -> None:
        """Show nothing as a cell's result: the printed line is there."""


verdicts: dict[str, Verdict] = {}


def check(name: str, answer: Any, **context: Any) -> Verdict:
    """Print one line on the answer to an exercise and return the verdict.

    Odd answers meet the hint, never an exception.

    Args:
        name: of the exercise: notebook, then running number, as "00.1".
        answer: the reader's; with its dots it counts as not tried.
        **context: what the check needs from the notebook.

    Returns:
        Whether the answer was tried and is correct, and the line that was printed.

    Raises:
        KeyError: there is no exercise of this name.

    Example:
        >>> verdict = check("00.1", ...)
        00.1: not tried yet. Put your answer in place of the dots.
        >>> verdict.tried, verdict.correct
        (False, False)
    """
    found = exercise_named(name)
    if untouched(answer):
        verdict = Verdict(
            name=name,
            correct=False,
            tried=False,
            text=f"{name}: not tried yet. Put your answer in place of the dots.",
        )
    else:
        verdict = _judge(name, found, answer, context)
    verdicts[name] = verdict
    print(verdict.text)
    return verdict


def exercise_named(name: str) -> Exercise:
    """The registered check of exercise `name`, such as "00.1"; its module is loaded
    when it is first asked for.

    Raises:
        KeyError: there is no exercise of this name.
    """
    module = f"xrec_utils.exercises.n{str(name).partition('.')[0]}"
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        # the module is there, but something that it imports is missing
        if error.name != module:
            raise
    if name not in REGISTRY:
        raise KeyError(
            f'no exercise "{name}": names look like "00.1", notebook then running number'
        )
    return REGISTRY[name]


def _judge(
    name: str, found: Exercise, answer: Any, context: Mapping[str, Any]
) -> Verdict:
    try:
        outcome = found.judge(answer, **context)
        # a text is a hint of its own; the truth of an array may be an error too
        hint = outcome if isinstance(outcome, str) else found.hint
        correct = bool(outcome) and not isinstance(outcome, str)
    except Exception as error:  # an answer can be anything, so can its failure
        failed = f"{found.hint} ({type(error).__name__}: {_short(str(error))})"
        hint = str(error) if isinstance(error, WrongForm) else failed
        correct = False
    text = f"{name}: correct."
    if not correct:
        text = f"{name}: not yet. You have {_shown(answer)}. Hint: {hint}"
    return Verdict(name, correct, True, text)


def _shown(answer: Any) -> str:
    """A short one-line picture of any object, even of one whose repr fails."""
    if callable(answer) and hasattr(answer, "__name__"):
        return f"the function {answer.__name__}"
    shape = getattr(answer, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"{type(answer).__name__} of shape {shape}"
    return _short(reprlib.repr(answer))


def _short(text: str, width: int = 80) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def untouched(answer: Any) -> bool:
    """Whether the answer still has its dots: is `...`, contains `...`, or is a function
    that has them as its body.
    """
    if isinstance(answer, EllipsisType):
        return True
    if isinstance(answer, FunctionType):
        return _unwritten(answer)
    return any(untouched(part) for part in _inside(answer))


def _inside(answer: Any) -> Collection:
    """What a container holds; nothing of anything else, an array included."""
    if isinstance(answer, Mapping):
        return list(answer.values())
    if isinstance(answer, list | tuple | set | frozenset):
        return answer
    return ()


def _unwritten(function: FunctionType) -> bool:
    """Whether a function still computes with `...`, or does nothing but return None."""
    if Ellipsis in function.__code__.co_consts:
        return True
    # these two do nothing
    steps = [
        step
        for step in dis.get_instructions(function)
        if step.opname not in ("RESUME", "NOP")
    ]
    returning = {"LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
    only_returns = all(step.opname in returning for step in steps)
    return only_returns and steps[0].argval is None

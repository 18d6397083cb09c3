"""What a function is asked about rows, and what it answers, checked.

An explanation is made of the answers afterwards.
"""

from collections.abc import Callable, Iterable

import numpy as np

from xrec_utils.files import require

Predict = Callable[[np.ndarray], np.ndarray]


def refuse_first(
    checks: Iterable[tuple[bool, str]], error: type[Exception] = ValueError
) -> None:
    """Raise `error` with the first message whose check, (wrong, message), is true."""
    for wrong, message in checks:
        require(not wrong, message, error)


def not_whole(name: str, number: object, least: int) -> tuple[bool, str]:
    """The check for `refuse_first` that an argument, if given, is whole and not less."""
    return (
        number is not None
        and (not isinstance(number, int | np.integer) or number < least),
        f"{name}={number!r} must be a whole number, {least} or more.",
    )


def finite_answers(predict: Predict, rows: np.ndarray) -> np.ndarray:
    """Return what `predict` says of rows (n, ...): float64, n answers of any shape.

    Raises ValueError unless there is an answer for each row and all numbers are finite;
    the message shows the first row that got another.
    """
    answers = np.asarray(predict(rows), dtype=np.float64)
    require(
        answers.shape[:1] == (len(rows),),
        f"predict returned shape {answers.shape} for {len(rows)} rows; "
        "it must be (n,) or (n, k) for n rows.",
    )
    wrong = np.argwhere(~np.isfinite(answers))
    if len(wrong):
        raise ValueError(
            f"predict returned {answers[tuple(wrong[0])]} for the row "
            f"{np.array2string(rows[wrong[0, 0]], precision=3, threshold=20)}: every "
            "prediction must be a finite number. Fill what is missing in the row, or "
            "mend the model."
        )
    return answers

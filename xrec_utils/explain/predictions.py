"""What a function answers about rows, checked before an explanation is made of it."""

from collections.abc import Callable

import numpy as np

from xrec_utils.files import require

Predict = Callable[[np.ndarray], np.ndarray]


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

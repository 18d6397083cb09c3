"""Checks of the exercises of notebook 13."""

from collections.abc import Callable

import numpy as np

from xrec_utils.contract import recommend
from xrec_utils.exercises.register import exercise, near, near_unless_slip, numbers
from xrec_utils.explain.covers import minimal_linear
from xrec_utils.models.classic import EASE


@exercise(
    "13.1",
    hint="Make all 2**10 masks, keep those whose rank is above 3, and count the films they lack.",
)
def fewest_of_ten(
    answer: object, model: EASE, history: np.ndarray, item: int
) -> bool | str:
    """The fewest films of ten without which a film leaves the first three."""
    return near_unless_slip(
        answer,
        expected=minimal_linear(model, history, item, k=3).size,
        slip=minimal_linear(model, history, item, k=10).size,
        hint="that is the least for the top ten; the question is about the top three",
    )


@exercise(
    "13.2",
    hint="Subtract model.weights[film, foil] from model.weights[film, item]; below zero that is against.",
)
def another_foil(
    answer: object, model: EASE, history: np.ndarray, item: int, film: int
) -> bool | str:
    """A film that speaks for one recommendation and against another."""
    foil = numbers(answer)
    if foil.ndim or foil not in recommend(model, history):
        return "the code of one of EASE's top ten for this history is asked for"
    return bool(model.weights[film, item] < model.weights[film, int(foil)])


@exercise(
    "13.3",
    hint="With y = P @ x the answer is P plus the outer product of y with itself, divided by a number.",
)
def sherman_morrison(answer: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> bool:
    """The inverse after one user has left."""
    rows, x = np.random.default_rng(0).random((2, 8, 5))
    # the last film is unknown in the second: that table has no inverse, but the formula holds
    for known in ([1, 1, 1, 1, 1], [1, 1, 1, 1, 0]):
        P = (rows * known).T @ (rows * known) / 50
        y = P @ x[0]
        # copies, which the reader's function may write into
        if not near(
            answer(P.copy(), x[0].copy()), P + np.outer(y, y) / (1 - x[0] @ y), 1e-6
        ):
            return False
    return True

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
        return "that film is not among EASE's top ten for this history; give its code, not its title"
    return bool(model.weights[film, item] < model.weights[film, int(foil)])


@exercise(
    "13.3",
    hint="With y = P @ x the answer is P plus the outer product of y with itself, divided by a number.",
)
def sherman_morrison(answer: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> bool:
    """The inverse after one user has left."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        x = rng.random(5)
        rest = rng.random((8, 5))
        smaller = rest.T @ rest + np.eye(5)
        if not near(
            answer(np.linalg.inv(smaller + np.outer(x, x)), x),
            np.linalg.inv(smaller),
            1e-8,
        ):
            return False
    return True

"""Checks of the exercises of notebook 15."""

import numpy as np

from xrec_utils.exercises.register import exercise, near, near_unless_slip, numbers
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game
from xrec_utils.judge.comparisons import holm
from xrec_utils.judge.deletion import area, deletion_curve


@exercise(
    "15.1",
    hint="At how many of the six steps is the rank ten or better? POS@10 is their share.",
)
def pos_by_hand(answer: object, after: np.ndarray) -> bool | str:
    """POS@10 from the ranks after each removal."""
    return near_unless_slip(
        answer,
        expected=np.mean(after <= 10),
        slip=np.mean(after[1:] <= 10),
        hint="the first step, with nothing removed, counts too",
    )


@exercise(
    "15.2",
    hint="Sort; multiply by 5, 4, 3, 2, 1; let none fall below the one before; put back in order.",
)
def holm_by_hand(answer: object, p_values: np.ndarray) -> bool | str:
    """Holm's corrected p-values."""
    if near(answer, np.minimum(5 * p_values, 1), 1e-6):
        return "that is Bonferroni's correction: only the smallest is multiplied by 5, the next by 4"
    return near_unless_slip(
        answer,
        expected=holm(p_values),
        slip=np.sort(holm(p_values)),
        hint="the values are right; give them in the order of p_values",
        tolerance=1e-6,
    )


@exercise(
    "15.3",
    hint="Deletion looks at the order of the values only. What leaves an order as it is?",
)
def broken_referee(answer: object, game: Game, shapley: Explanation) -> bool | str:
    """Values that deletion takes for as good, though they are wrong."""
    values = numbers(answer)
    if values.shape != shapley.values.shape or not np.isfinite(values).all():
        return f"{game.n_players} finite values are asked for"
    if (values <= 0).any():
        return "every film should speak for the film: make all values positive"
    curves = [
        area(deletion_curve(game, np.argsort(-each, kind="stable")))
        for each in (values, shapley.values)
    ]
    rise = shapley.score - shapley.base
    # equal, not near: two films that change places may move the area by little
    same = np.isclose(*curves, rtol=1e-9, atol=0)
    return bool(same) and (
        bool(abs(values.sum() - rise) > 10 * abs(rise))
        or "the area is right; the sum should miss the rise by more than ten times"
    )

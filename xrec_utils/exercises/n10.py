"""Checks of the exercises of notebook 10."""

from collections.abc import Callable, Sequence

import numpy as np

from xrec_utils.data.features import TASTE
from xrec_utils.exercises.register import exercise, near, near_unless_slip
from xrec_utils.explain.shapley import brute_force
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.features import feature_game


@exercise(
    "10.1",
    hint="Write down both orders of arrival, and what each film adds in each of them; then take the mean.",
)
def either_is_enough(answer: object) -> bool | str:
    """Shapley values of a film that either of two films is enough for."""
    return near_unless_slip(
        answer,
        expected=[3, 3],
        slip=[0, 0],
        hint="these are the leave-one-out values; a film that arrives first still adds its full share",
    )


@exercise(
    "10.2",
    hint="Add the first 18 columns up along axis 1, take the absolute value of each sum, then the mean.",
)
def taste_as_one(answer: object, explanations: Sequence[Explanation]) -> bool | str:
    """The mean size of all genre columns taken as one player."""
    values = np.array([explanation.values for explanation in explanations])
    tastes = values[:, np.isin(explanations[0].players, TASTE)]
    return near_unless_slip(
        answer,
        expected=np.abs(tastes.sum(axis=1)).mean(),
        slip=np.abs(tastes).sum(axis=1).mean(),
        hint="you took absolute values before adding; effects of opposite sign should cancel within a row",
    )


@exercise(
    "10.3",
    hint="Build the game with feature_game(predict_ten, row[columns], best[:, columns], ten); brute_force it.",
)
def compared_with_the_best(
    answer: object,
    predict: Callable,
    row: np.ndarray,
    background: np.ndarray,
    names: Sequence[str],
) -> bool:
    """Exact Shapley values against the best rows as background."""
    exact = brute_force(feature_game(predict, row, background, names))
    place = list(names).index("film: mean stars")
    return near(answer, exact.values[place])

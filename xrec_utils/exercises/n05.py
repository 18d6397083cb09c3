"""Checks of the exercises of notebook 05."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from xrec_utils.exercises.register import exercise, near, near_unless_slip
from xrec_utils.games.explanation import Explanation


@exercise(
    "05.1",
    hint="Every place now sees all three films: weights 3 : 1 : 3 in row one, 1 : 3 : 1 in row two.",
)
def without_the_mask(answer: object) -> bool:
    """What three places give when all of them see all."""
    return near(answer, [5, 33 / 5, 5])


@exercise(
    "05.2", hint="Pick the values of the films with case.stars < 3 and add them up."
)
def attention_on_disliked_films(
    answer: object, explanation: Explanation, stars: np.ndarray
) -> bool | str:
    """The share of attention on films with fewer than three stars."""
    return near_unless_slip(
        answer,
        expected=explanation.values[stars < 3].sum(),
        slip=explanation.values[stars <= 3].sum(),
        hint="fewer than 3 stars: films with exactly 3 do not count",
    )


@exercise(
    "05.3",
    hint="NearestNeighbors(n_neighbors=10).fit(z).kneighbors()[1] gives each film's ten, without itself.",
)
def neighbours_kept_by_the_map(
    answer: object, vectors: np.ndarray, points: np.ndarray
) -> bool:
    """The share of ten nearest films that a map keeps."""
    true, shown = (
        NearestNeighbors(n_neighbors=10).fit(each).kneighbors()[1]
        for each in (vectors, points)
    )
    return near(
        answer,
        np.mean(
            [len(np.intersect1d(a, b)) / 10 for a, b in zip(true, shown, strict=True)]
        ),
    )

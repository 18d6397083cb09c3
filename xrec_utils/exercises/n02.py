"""Checks of the exercises of notebook 02."""

import numpy as np

from xrec_utils.exercises.register import exercise, near_unless_slip


@exercise(
    "02.1",
    hint="With two films, B from the first to the second is x1·x2 / (x1·x1 + λ): count users.",
)
def ease_of_two_films(answer: object) -> bool | str:
    """EASE's weight between two films, by hand."""
    return near_unless_slip(
        answer,
        expected=2 / 4,
        slip=2 / 3,
        hint="λ = 1 belongs into the denominator",
    )


@exercise(
    "02.2",
    hint="Each of the 400 films is drawn with probability 99 / 3,400; the target itself is one place.",
)
def expected_sampled_rank(answer: object) -> bool | str:
    """The mean rank among 99 sampled films of one whose full rank is known."""
    return near_unless_slip(
        answer,
        expected=1 + 99 * 400 / 3400,
        slip=99 * 400 / 3400,
        hint="that is how many films stand above; the rank is one more",
    )


@exercise(
    "02.3",
    hint="Add up the weights of the films with case.stars < 3, and divide by the sum of all weights.",
)
def share_of_disliked_films(
    answer: object, weights: np.ndarray, stars: np.ndarray
) -> bool | str:
    """The share of the score that comes from films with fewer than three stars."""
    return near_unless_slip(
        answer,
        expected=weights[stars < 3].sum() / weights.sum(),
        slip=weights[stars <= 3].sum() / weights.sum(),
        hint="fewer than 3 stars: films with exactly 3 do not count",
    )

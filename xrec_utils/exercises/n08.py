"""Checks of the exercises of notebook 08."""

import numpy as np
from scipy.stats import zscore

from xrec_utils.exercises.register import exercise, near, near_unless_slip
from xrec_utils.language import experiment as lang
from xrec_utils.language.results import spread


@exercise(
    "08.1",
    hint="The first is the product of the four numbers, the second the mean of their logarithms.",
)
def product_and_mean(answer: object, probabilities: np.ndarray) -> bool | str:
    """Likelihood of a title, and mean log-likelihood of its tokens."""
    return near_unless_slip(
        answer,
        expected=[probabilities.prod(), np.log(probabilities).mean()],
        slip=[probabilities.prod(), np.log(probabilities).sum()],
        hint="this is the sum of the logarithms; the score is their mean, so that long titles are not punished",
    )


@exercise(
    "08.2",
    hint="Average lang.scores at start and (start + 10) % 20, take lang.ndcg_of, then the spread.",
)
def two_turns(answer: object) -> bool:
    """The spread of NDCG over pairs of opposite orders."""
    ndcg = [lang.ndcg_of(of_two_turns(start)) for start in lang.STARTS]
    return near(answer, spread(np.array(ndcg)))


def of_two_turns(start: int) -> np.ndarray:
    """Scores averaged over two turns, with the target at `start` and at the opposite place."""
    # round the circle: after the last place comes the first
    opposite = (start + 10) % lang.CANDIDATES
    return np.mean(
        [lang.scores(f"target at {start}"), lang.scores(f"target at {opposite}")],
        axis=0,
    )


@exercise(
    "08.3",
    hint="Subtract each row's mean and divide by its standard deviation, in both; then add and rank.",
)
def mixed(answer: object) -> bool | str:
    """What NDCG gains when likelihood is added to popularity."""
    famous = lang.baseline("popularity")
    likely = lang.scores("no list")
    both = zscore(famous, axis=1) + zscore(likely, axis=1)
    return near_unless_slip(
        answer,
        expected=(lang.ndcg_of(both) - lang.ndcg_of(famous)).mean(),
        slip=(lang.ndcg_of(famous + likely) - lang.ndcg_of(famous)).mean(),
        hint="without standardising, the table with the larger numbers decides alone",
    )

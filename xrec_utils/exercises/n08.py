"""Checks of the exercises of notebook 08."""

import numpy as np

from xrec_utils.exercises.register import exercise, near, near_unless_slip
from xrec_utils.language import experiment as lang
from xrec_utils.language.results import spread


@exercise(
    "08.1",
    hint="The first is the product of the four numbers, the second the mean of their logarithms.",
)
def product_and_mean(answer: object, probabilities: np.ndarray) -> bool | str:
    """Likelihood of a title, and mean log-likelihood of its tokens."""
    product, logs = probabilities.prod(), np.log(probabilities)
    return near_unless_slip(
        answer,
        expected=[product, logs.mean()],
        slip=[product, logs.sum()],
        hint="this is the sum of the logarithms; the score is their mean, so that long titles are not punished",
    )


@exercise(
    "08.2",
    hint="Average lang.scores at start and (start + 10) % 20, take lang.ndcg, then the spread.",
)
def two_turns(answer: object) -> bool:
    """The spread of NDCG over pairs of opposite orders."""
    scores = {start: [lang.scores(f"target at {(start + turn) % lang.CANDIDATES}") for turn in (0, 10)]
              for start in lang.STARTS}  # fmt: skip
    return near(
        answer,
        spread(
            np.array([lang.ndcg(np.mean(both, axis=0)) for both in scores.values()])
        ),
    )


@exercise(
    "08.3",
    hint="Subtract each row's mean and divide by its standard deviation, in both; then add and rank.",
)
def mixed(answer: object) -> bool | str:
    """What NDCG gains when likelihood is added to popularity."""
    famous, likely = lang.baseline("popularity"), lang.scores("no list")
    parts = [
        (each - each.mean(axis=1, keepdims=True)) / each.std(axis=1, keepdims=True)
        for each in (famous, likely)
    ]
    return near_unless_slip(
        answer,
        expected=(lang.ndcg(sum(parts)) - lang.ndcg(famous)).mean(),
        slip=(lang.ndcg(famous + likely) - lang.ndcg(famous)).mean(),
        hint="without standardising, the table with the larger numbers decides alone",
    )

"""Checks of the exercises of notebook 06."""

import numpy as np
from scipy.special import logsumexp

from xrec_utils.contract import HistoryModel
from xrec_utils.data.splits import Cases
from xrec_utils.exercises.register import exercise, near, near_unless_slip


@exercise("06.1", hint="Solve 0.9 ** n = 0.5 for n: a quotient of two logarithms.")
def half_lives(answer: object) -> bool:
    """Steps until a gate of 0.9 has forgotten half."""
    return near(answer, [np.log(0.5) / np.log(0.9), 1])


@exercise(
    "06.2",
    hint="gru.score(cases.histories) < the column of the target (np.take_along_axis), then the mean.",
)
def share_below_the_next(answer: object, gru: HistoryModel, cases: Cases) -> bool | str:
    """The share of films scored below the film seen next."""
    scores = gru.score(cases.histories)
    of_target = np.take_along_axis(
        scores,
        # one target for each case: (cases, 1)
        np.stack(cases.targets),
        axis=1,
    )
    return near_unless_slip(
        answer,
        expected=(scores < of_target).mean(),
        slip=(scores > of_target).mean(),
        hint="those are the films above the right one",
    )


@exercise(
    "06.3",
    hint="logsumexp(log_likelihood(draw) - gap) minus the logarithm of the number of draws.",
)
def tighter_bound(
    answer: object, likelihood: np.ndarray, gap: np.ndarray
) -> bool | str:
    """The importance-weighted bound of a history's likelihood."""
    weights = likelihood - gap
    if near(answer, weights.mean()):
        return "that is the ELBO, the mean of the logarithms; take the logarithm of the mean"
    return near_unless_slip(
        answer,
        expected=logsumexp(weights) - np.log(len(weights)),
        slip=logsumexp(weights),
        hint="that is the logarithm of the sum; a mean also divides by the number of draws",
    )

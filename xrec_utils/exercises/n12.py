"""Checks of the exercises of notebook 12."""

from collections.abc import Callable

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from xrec_utils.exercises.register import (
    exercise,
    near,
    near_unless_slip,
    numbers,
    same_name,
)
from xrec_utils.explain.attention_trial import AttentionTrial
from xrec_utils.games.explanation import Explanation


@exercise(
    "12.1",
    hint="p = gru_trial.shares; the entropy is -sum(p ln p), in nats; the answer is e to that power.",
)
def films_attended_to(answer: object, trial: AttentionTrial) -> bool | str:
    """The number of films that attention amounts to: e to its entropy."""
    return near_unless_slip(
        answer,
        expected=np.exp(entropy(trial.shares)),
        slip=entropy(trial.shares),
        hint="this is the entropy in nats; raise e to it, to read it as a number of films",
    )


@exercise(
    "12.2",
    hint="Mean of two sums, each of p ln(p / u) with u = (p + q) / 2; where p is 0 its term is 0.",
)
def divergence_by_hand(answer: Callable) -> bool | str:
    """The Jensen-Shannon divergence of two distributions, in nats."""
    pairs = np.random.default_rng(12).dirichlet(np.ones(5), (4, 2))
    root = [jensenshannon(*pair) for pair in pairs]
    # copies, which the reader's function may write into
    found = [answer(*pair) for pair in pairs.copy()]
    right = near_unless_slip(
        [numbers(each) for each in found],
        expected=np.square(root),
        slip=root,
        hint="this is the square root of the divergence, as scipy gives it",
    )
    zero = answer(np.array([1.0, 0, 0]), np.array([0, 0.5, 0.5]))
    if right is True and not near(zero, np.log(2)):
        return "right where all shares are positive; a share of 0 must add 0, not NaN"
    return right


@exercise(
    "12.3",
    hint="Take table[table['Shapley'] < 0] and look for its largest weight with idxmax.",
)
def praised_but_against(
    answer: object, weights: np.ndarray, exact: Explanation
) -> bool | str:
    """The film with most attention among those that speak against."""
    against = np.where(exact.values < 0, weights, -1)
    right, most = (exact.players[int(each.argmax())] for each in (against, weights))
    if same_name(answer, right, right[:40]):
        return True
    if same_name(answer, most, most[:40]):
        return (
            "this film has the largest weight of all, and its Shapley value is positive"
        )
    return False

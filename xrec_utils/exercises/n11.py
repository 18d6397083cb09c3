"""Checks of the exercises of notebook 11."""

from collections.abc import Callable

import numpy as np

from xrec_utils.exercises.register import exercise, near, same_name
from xrec_utils.explain.baselines import leave_one_out
from xrec_utils.explain.closed_forms import mean_pool
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game


@exercise(
    "11.1",
    hint="game(~np.eye(12, dtype=bool)) scores the twelve groups without one film; take the falls' sum.",
)
def share_of_leave_one_out(answer: object, game: Game) -> bool:
    """The share of the score that leave-one-out credits add up to."""
    credits = leave_one_out(game)
    return near(
        answer,
        credits.values.sum() / (credits.score - credits.base),
    )


@exercise(
    "11.2",
    hint="others = (sum - own) / (n - 1); H_n = sum of 1/k for k from 1 to n; then the table's formula.",
)
def mean_pool_yourself(answer: Callable) -> bool:
    """The closed form of Shapley values of a mean."""
    games = [np.random.default_rng(seed).normal(size=2 + seed) for seed in range(8)]
    # a copy, which the reader's function may write into
    return all(near(answer(each.copy()), mean_pool(each), 1e-6) for each in games)


@exercise(
    "11.3",
    hint="Keep the films whose value is above 0 in one and below 0 in the other; take gru's lowest.",
)
def changed_sides(answer: object, attention: Explanation, gru: Explanation) -> bool:
    """A film that speaks for in one model and against in the other."""
    changed = np.flatnonzero(
        (attention.values > 0) & (gru.values < 0),
    )
    lowest = changed[gru.values[changed].argmin()]
    return same_name(answer, gru.players[lowest])

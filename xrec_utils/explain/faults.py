"""Values are checked before they are given: whether they can be Shapley values at all.

A closed form or a quadrature knows a model from its weights; if it knows it wrongly,
the values do not add up to what the model says.
"""

import os
from collections.abc import Sequence

import numpy as np

from xrec_utils.explain.shapley import brute_force
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game

FEW = 12  # players up to which all groups are scored
ROUGH = 0.02  # of the values: a quadrature with larger errors gives way to samples
ROUNDING = 1e-4  # of scores in float32, as a share of their size


def fault_of(
    method: str, games: Sequence[Game], explanations: Sequence[Explanation] | None
) -> str:
    """Why the answers of a method are not given, "" if they are.

    Shapley values add up to score - base (Shapley 1953). With XREC_DEBUG=1 in the
    environment, those of at most `FEW` players are held against all groups, too.

    Args:
        method: its name, such as "quadrature".
        games: what was explained.
        explanations: one per game, or None where the method has none.

    Returns:
        The fault, in words.
    """
    if explanations is None:
        return "it is not made for that"
    faults = map(_fault, games, explanations)
    found = next(filter(None, faults), "")
    share = max(map(_error_share, explanations))
    # written so that NaN is a fault
    if not found and method == "quadrature" and not share <= ROUGH:
        return f"its error would be {share:.0%} of the values"
    return found


def _fault(game: Game, explanation: Explanation) -> str:
    """Why the values of one explanation cannot be right, "" if they can."""
    error = _error(explanation)
    rounding = _rounding(explanation)
    if not abs(explanation.gap) <= rounding + 2 * error.sum():
        return f"its values miss {explanation.gap:.3g} of score - base"
    if os.environ.get("XREC_DEBUG") == "1" and game.n_players <= FEW:
        apart = np.abs(explanation.values - brute_force(game).values)
        if not (apart <= rounding + 3 * error).all():
            return f"a value is {apart.max():.3g} from that of all groups"
    return ""


def _error(explanation: Explanation) -> np.ndarray:
    """The errors stated, or a zero for values without one."""
    return np.zeros(1) if explanation.error is None else explanation.error


def _rounding(explanation: Explanation) -> float:
    """How far sums of float32 may be off, in the unit of the score."""
    ends = abs(explanation.base) + abs(explanation.score)
    return ROUNDING * (ends + np.abs(explanation.values).sum())


def _error_share(explanation: Explanation) -> float:
    """The errors as a share of the values, both as lengths of vectors."""
    length = np.linalg.norm(explanation.values) + _rounding(explanation)
    # something to divide by, where everything is zero
    return np.linalg.norm(_error(explanation)) / max(length, 1e-12)

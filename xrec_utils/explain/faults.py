"""Values are checked before they are given: whether they can be Shapley values at all.

A closed form or a quadrature knows a model from its weights; if it knows it wrongly,
the values do not add up to what the model says.
"""

from collections.abc import Sequence
from weakref import WeakValueDictionary

import numpy as np

from xrec_utils.contract import History, HistoryModel, fits
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game

ROUGH = 0.02  # of the values: a quadrature with larger errors gives way to samples
ROUNDING = 1e-4  # of scores in float32, as a share of their size
# models that were asked already, by their id
ASKED: WeakValueDictionary[int, HistoryModel] = WeakValueDictionary()


def check_declared(
    model: HistoryModel | None, history: History, items: np.ndarray, games: list[Game]
) -> None:
    """Raise ValueError if the sums that a model declares are not how it scores.

    Games ask for the sums where there are any, so the score itself is asked here, once
    for each model.
    """
    if ASKED.get(id(model)) is model or not fits(model, "sums", history):
        return
    own = model.score([history[:0], history], items=items).T
    declared = np.array([game.ends() for game in games])
    if not np.allclose(own, declared, rtol=1e-3, atol=1e-3 * np.abs(own).max()):
        raise ValueError(
            f"{model.name} scores {own[0]} where the sums it declares give "
            f"{declared[0]}: leave `sums` and `pooling` out of the model"
        )
    ASKED[id(model)] = model


def fault_of(
    method: str, games: Sequence[Game], explanations: Sequence[Explanation] | None
) -> str:
    """Why the answers of a method are not given, "" if they are.

    Shapley values add up to score - base (Shapley 1953).

    Args:
        method: its name, such as "quadrature".
        games: what was explained.
        explanations: one per game, or None where the method has none.

    Returns:
        The fault, in words.
    """
    if explanations is None:
        return "it is not made for that, or not for a film that stands twice"
    faults = [
        _fault(method, game, explanation)
        for game, explanation in zip(games, explanations, strict=True)
    ]
    return next(filter(None, faults), "")


def _fault(method: str, game: Game, explanation: Explanation) -> str:
    """Why the values of one explanation are not given, "" if they are."""
    values = explanation.values
    error = np.zeros(1) if explanation.error is None else explanation.error
    rounding = ROUNDING * np.abs([explanation.base, explanation.score, *values]).sum()
    # these comparisons are written so that NaN is a fault
    if not abs(explanation.gap) <= rounding + 2 * error.sum():
        return f"its values miss {explanation.gap:.3g} of score - base"
    # something to divide by, where everything is zero
    share = np.linalg.norm(error) / max(np.linalg.norm(values) + rounding, 1e-12)
    if method == "quadrature" and not share <= ROUGH:
        return f"its error would be {share:.0%} of the values"
    return ""

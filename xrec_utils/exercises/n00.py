"""Checks of the exercises of notebook 00."""

from xrec_utils.exercises.register import exercise, near, near_unless_slip, same_name
from xrec_utils.explain.baselines import leave_one_out
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game
from xrec_utils.zoo import RunningCase


@exercise("00.1", hint="Compare case.stars with 3 and sum the result.")
def poorly_rated(answer: object, case: RunningCase) -> bool:
    """The number of films of the history with fewer than three stars."""
    return near(answer, (case.stars < 3).sum())


@exercise(
    "00.2",
    hint="The smallest of reasons.values belongs to the player at the same place of reasons.players.",
)
def strongest_against(answer: object, reasons: Explanation) -> bool:
    """The film whose Shapley value is the lowest."""
    return same_name(answer, reasons.players[int(reasons.values.argmin())])


@exercise(
    "00.3",
    hint="Each row of ~np.eye(n, dtype=bool) holds all but one: take game(...) of it from game.full().",
)
def leave_one_out_credits(answer: object, game: Game) -> bool | str:
    """Leave-one-out credits (players,) of a game."""
    credits = leave_one_out(game).values
    return near_unless_slip(
        answer,
        expected=credits,
        slip=-credits,
        hint="the sign is turned round: a film that helped leaves a lower score behind, and gets a positive credit",
    )

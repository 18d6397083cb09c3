"""Does the stated error of sampled Shapley values tell the truth?

They are compared with the exact ones.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from xrec_utils.contract import HistoryModel, recommend
from xrec_utils.explain.shapley import brute_force, permutation_sampling
from xrec_utils.games.game import Game, history_game

# models answer in float32: a smaller difference, relative to the score, is no error of
# sampling
ROUNDING = 1e-6


@dataclass(frozen=True)
class Calibration:
    """Sampled against exact values.

    pairs, values: how many games and how many players in all were compared. settled:
    values whose stated error is nil, as those of one or two players; they count as
    inside only when they are exact up to rounding. inside: share of all values within
    twice the stated error of the exact one (0.95 is promised). rms_z: root mean square
    of error / stated error over the values that are not settled (honest: 1, less where
    there are too few orders to tell how values spread; NaN if none).
    """

    pairs: int
    values: int
    settled: int
    inside: float
    rms_z: float

    @property
    def honest(self) -> bool:
        """At least 93% of the values inside, and rms_z between 0.8 and 1.2."""
        return self.inside >= 0.93 and 0.8 <= self.rms_z <= 1.2


def calibrate(
    games: Iterable[Game], permutations: int = 100, seed: int = 0
) -> Calibration:
    """Explain each game exactly and by sampling, and compare every value.

    Games have up to 20 players; each is sampled with a seed of its own.

    Raises:
        ValueError: there is no game.
    """
    compared = [
        compare(
            game,
            permutations,
            seed + i,
        )
        for i, game in enumerate(games)
    ]
    if not compared:
        raise ValueError("games is empty: nothing to calibrate")
    columns = zip(*compared, strict=True)
    wrong, stated, rounding = (np.concatenate(column) for column in columns)
    # where nothing is left to chance only rounding is allowed
    settled = stated <= rounding
    inside = np.abs(wrong) <= np.where(
        settled,
        rounding,
        2 * stated,
    )
    z = wrong[~settled] / stated[~settled]
    rms_z = float("nan")
    if len(z):
        rms_z = float(np.sqrt(np.mean(z**2)))
    return Calibration(
        pairs=len(compared),
        values=len(wrong),
        settled=int(settled.sum()),
        inside=float(inside.mean()),
        rms_z=rms_z,
    )


def compare(
    game: Game, permutations: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per player: sampled minus exact value, stated error, and what rounding may do."""
    exact = brute_force(game)
    sampled = permutation_sampling(game, permutations, seed)
    wrong = sampled.values - exact.values
    rounding = ROUNDING * max(abs(exact.score), abs(exact.base))
    return wrong, sampled.error, np.full(game.n_players, rounding)


def recommendation_games(
    model: HistoryModel,
    histories: Sequence[np.ndarray],
    pairs: int,
    length: int = 12,
    seed: int = 0,
) -> Iterator[Game]:
    """Games of random users: their last films play for the film recommended first.

    `pairs` users are drawn without repeat, and their last `length` films count. The
    recommendation is made from these films, among all films outside the full history.

    Raises:
        ValueError: there are fewer than `pairs` users with a history.
    """
    users = [user for user, history in enumerate(histories) if len(history)]
    if not 1 <= pairs <= len(users):
        raise ValueError(
            f"pairs={pairs} must lie between 1 and the number of users with a history, "
            f"{len(users)}"
        )
    for user in np.random.default_rng(seed).choice(users, pairs, replace=False):
        recent = histories[user][-length:]
        [item] = recommend(model, recent, k=1, seen=histories[user])
        yield history_game(model, recent, int(item))

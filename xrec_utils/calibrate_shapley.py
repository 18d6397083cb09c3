"""Does the stated error of sampled Shapley values tell the truth? Compare them with the
exact ones.

Run as `python -m xrec_utils.calibrate_shapley --model attention --pairs 200`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from xrec_utils.contract import HistoryModel
from xrec_utils.explain.shapley import brute_force, permutation_sampling
from xrec_utils.games import Game, history_game
from xrec_utils.metrics import top_k

# models answer in float32: a smaller difference, relative to the score, is no error of
# sampling
ROUNDING = 1e-6


@dataclass(frozen=True)
class Calibration:
    """Sampled against exact values.

    pairs, values: how many games and how many players in all were compared. settled:
    values on which all orders agree up to rounding, so that the stated error is nil;
    they count as inside only when they are exact up to rounding too. inside: share of
    all values within two stated standard errors of the exact one (a normal law says
    0.954). rms_z: root mean square of error / stated error over the values that are not
    settled (honest: 1; NaN if none).
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
    """Explain each game (up to 20 players) exactly and by sampling, each with its own
    seed, and compare every value.

    Raises ValueError when there is no game.
    """
    compared = [compare(game, permutations, seed + i) for i, game in enumerate(games)]
    if not compared:
        raise ValueError("games is empty: nothing to calibrate")
    wrong, stated, rounding = (
        np.concatenate(column) for column in zip(*compared, strict=True)
    )
    settled = stated <= rounding
    inside = np.abs(wrong) <= np.where(settled, rounding, 2 * stated)
    z = wrong[~settled] / stated[~settled]
    rms_z = float(np.sqrt(np.mean(z**2))) if len(z) else float("nan")
    return Calibration(
        len(compared), len(wrong), int(settled.sum()), float(inside.mean()), rms_z
    )


def compare(
    game: Game, permutations: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per player: sampled minus exact value, stated standard error, and what rounding
    alone may do.
    """
    exact, sampled = brute_force(game), permutation_sampling(game, permutations, seed)
    rounding = ROUNDING * max(abs(exact.score), abs(exact.base))
    return (
        sampled.values - exact.values,
        sampled.error,
        np.full(game.n_players, rounding),
    )


def recommendation_games(
    model: HistoryModel,
    histories: Sequence[np.ndarray],
    pairs: int,
    length: int = 12,
    seed: int = 0,
) -> Iterator[Game]:
    """For `pairs` users drawn without repeat: their last `length` films play for the
    film recommended first.

    The recommendation is made from these films, among all films outside the full
    history. Raises ValueError when there are fewer than `pairs` users with a history.
    """
    users = [user for user, history in enumerate(histories) if len(history)]
    if not 1 <= pairs <= len(users):
        raise ValueError(
            f"pairs={pairs} must lie between 1 and the number of users with a history, {len(users)}"
        )
    for user in np.random.default_rng(seed).choice(users, pairs, replace=False):
        recent = histories[user][-length:]
        item = top_k(model.score([recent]), 1, [histories[user]])[0, 0]
        yield history_game(model, recent, int(item))


def main(arguments: Sequence[str] | None = None) -> int:
    """Calibrate on a trained model of the course, print the result, and return 0 when
    the stated error is honest.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--model", default="attention", help="a history model of the zoo"
    )
    for name, default in {
        "pairs": 200,
        "length": 12,
        "permutations": 100,
        "seed": 0,
    }.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    chosen = parser.parse_args(arguments)
    from xrec_utils import (
        zoo,
    )  # loads TensorFlow: only when a trained model is asked for

    model, histories = zoo.load(chosen.model), zoo.split().train_histories()
    games = recommendation_games(
        model, histories, chosen.pairs, chosen.length, chosen.seed
    )
    result = calibrate(
        tqdm(games, total=chosen.pairs, disable=None), chosen.permutations, chosen.seed
    )
    print(f"{chosen.model}: {result}\n{'honest' if result.honest else 'NOT honest'}")
    return 0 if result.honest else 1


if __name__ == "__main__":
    sys.exit(main())

"""What two players do together that neither does alone, through the shapiq library.

The Shapley interaction index of a pair (Grabisch & Roubens 1999) averages v(S with
both) - v(S with one) - v(S with the other) + v(S) over the groups S of the others,
sizes counting alike. Above zero the two help each other (a printer and its ink), below
zero one stands in for the other (two films of a series).
"""

import numpy as np
import pandas as pd

from xrec_utils.games import Game

EXACT = 12  # players up to which shapiq scores all groups: about a second
MOST_PLAYERS = 50  # 1,225 pairs; the regression's memory grows with the fourth power


def shapley_interactions(
    game: Game, samples: int | None = None, seed: int = 0
) -> pd.DataFrame:
    """Columns first, second, value: the Shapley interaction of every pair of players,
    largest |value| first.

    Exact up to 12 players. Above, KernelSHAP-IQ (Fumagalli et al. 2024,
    arXiv:2405.10852) on `samples` groups (None: 2048 + 2n(n+1)) drawn by `seed`. Raises
    ValueError below 2 and above 50 players, and below n(n+1) samples, which leave the
    regression over n(n+1)/2 singles and pairs loose.
    """
    n = game.n_players
    samples = 2048 + 2 * n * (n + 1) if samples is None else samples
    if not 2 <= n <= MOST_PLAYERS:
        raise ValueError(
            f"{n} players: interactions need 2 to {MOST_PLAYERS}; explain the last films of the history"
        )
    if n > EXACT and samples < n * (n + 1):
        raise ValueError(
            f"samples={samples} is too few for {n} players: ask for {n * (n + 1)} or more"
        )
    first, second = np.triu_indices(n, 1)
    names = np.array(game.players, dtype=object)
    table = {
        "first": names[first],
        "second": names[second],
        "value": _pairs(game, samples, seed)[first, second],
    }
    return pd.DataFrame(table).sort_values(
        "value", key=lambda v: -v.abs(), kind="stable", ignore_index=True
    )


def _pairs(game: Game, samples: int, seed: int) -> np.ndarray:
    """The index of every pair, (n, n) symmetric."""
    import shapiq  # takes seconds to import

    if game.n_players <= EXACT:
        found = shapiq.ExactComputer(game, game.n_players)(index="SII", order=2)
    else:
        approximator = shapiq.KernelSHAPIQ(
            game.n_players, 2, "SII", pairing_trick=True, random_state=seed
        )
        found = approximator.approximate(samples, game)
    return found.get_n_order_values(2)

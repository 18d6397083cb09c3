"""What two players do together that neither does alone, through the shapiq library.

The Shapley interaction index of a pair (Grabisch & Roubens 1999) averages v(S with
both) - v(S with one) - v(S with the other) + v(S) over the groups S of the others,
sizes counting alike. Above zero the two help each other (a printer and its ink), below
zero one stands in for the other (two films of a series).
"""

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from xrec_utils.contract import check_count
from xrec_utils.games.game import Game

EXACT = 12  # players up to which shapiq scores all groups: about a second
MOST_PLAYERS = 50  # 1,225 pairs; the regression's memory grows with the fourth power
RUNS = 4  # of the regression, each on groups of its own: how they differ is the error


def shapley_interactions(
    game: Game, samples: int | None = None, seed: int = 0
) -> pd.DataFrame:
    """The Shapley interaction of every pair of players, largest |value| first.

    Exact up to 12 players, or where `samples` are all groups (Grabisch and Roubens
    1999, doi:10.1007/s001820050125). Otherwise the mean of four runs of KernelSHAP-IQ
    (Fumagalli et al. 2024, arXiv:2405.10852), which estimates.

    Args:
        game: any game of 2 to 50 players.
        samples: groups scored above 12 players, a quarter by each run; None for 2048 +
            8n(n + 1).
        seed: of the groups drawn above 12 players.

    Returns:
        Table [first, second, value, error] with a row per pair: two players' names and
        their interaction, in the unit of the score. Twice the error holds the exact
        value in 95 cases of 100: it rests on four draws, the runs, by Student's t. It
        is 0 for exact values. Compare it with the value: of steps, such as a majority,
        a few thousand groups say little about pairs.

    Raises:
        ValueError: below 2 or above 50 players, or fewer than 4n(n + 1) samples, which
            leave the regressions over n(n + 1)/2 singles and pairs loose.

    Example:
        A printer and its ink earn 10 only together, paper earns 2 by itself.

        >>> def profit(masks):
        ...     return 10.0 * masks[:, :2].all(axis=1) + 2.0 * masks[:, 2]
        >>> game = Game(("printer", "ink", "paper"), "profit", profit)
        >>> table = shapley_interactions(game)
        >>> table[["first", "second"]].iloc[0].tolist()
        ['printer', 'ink']
        >>> abs(table["value"].round(3)).tolist()
        [10.0, 0.0, 0.0]
    """
    n = game.n_players
    if not 2 <= n <= MOST_PLAYERS:
        raise ValueError(
            f"{n} players: interactions need 2 to {MOST_PLAYERS}; "
            "explain the last films of the history"
        )
    least = RUNS * n * (n + 1)
    if samples is None:
        samples = 2048 + 2 * least
    check_count("seed", seed, 0)
    if n > EXACT:
        check_count("samples", samples, least)
    # (pairs,) each: positions above the diagonal
    first, second = np.triu_indices(n, 1)
    names = np.array(game.players, dtype=object)
    values, errors = _pairs(game, samples, seed)
    return pd.DataFrame(
        {
            "first": names[first],
            "second": names[second],
            "value": values[first, second],
            "error": errors[first, second],
        }
    ).sort_values(
        # stable: equal pairs keep the order of the players
        "value",
        key=abs,
        ascending=False,
        kind="stable",
        ignore_index=True,
    )


def _pairs(game: Game, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The index of every pair and its error, (n, n) symmetric each."""
    import shapiq  # takes seconds to import

    n = game.n_players
    if 2**n <= max(2**EXACT, samples):
        exact = shapiq.ExactComputer(game, n)(index="SII", order=2)
        return exact.get_n_order_values(2), np.zeros((n, n))
    runs = np.empty((RUNS, n, n))
    for run in range(RUNS):
        approximator = shapiq.KernelSHAPIQ(
            n,
            max_order=2,
            index="SII",
            # a group and its complement together: less variance
            pairing_trick=True,
            random_state=RUNS * seed + run,
        )
        runs[run] = approximator.approximate(samples // RUNS, game).get_n_order_values(
            2
        )
    error = stdtrit(RUNS - 1, 0.975) / 2 * runs.std(axis=0, ddof=1) / np.sqrt(RUNS)
    # what no group shows: see `shapley.stated_errors`
    unseen = 1.5 * np.abs(runs).max() / samples
    return runs.mean(axis=0), np.maximum(error, unseen)

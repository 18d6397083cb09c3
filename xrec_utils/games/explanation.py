"""The answer of every explainer: how much each player counts."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

import numpy as np
import pandas as pd

from xrec_utils.checks import check_within, finite
from xrec_utils.files import require


def numbered(players: Sequence[str]) -> tuple[str, ...]:
    """Names that differ: of two alike, the later gets a number.

    Raises ValueError if all of `players` is one text.

    >>> numbered(["Heat", "Up", "Heat"])
    ('Heat', 'Up', 'Heat #2')
    """
    require(
        not isinstance(players, str),
        f"players={players!r} is one text: give a list of names, one per player",
    )
    copies: dict[str, count] = defaultdict(partial(count, 1))
    names = [(str(player), next(copies[str(player)])) for player in players]
    return tuple(name if number == 1 else f"{name} #{number}" for name, number in names)


@dataclass(frozen=True, eq=False)
class Explanation:
    """How much each player counts for the target, by one method.

    Attributes:
        players, target: as in the game; equal names get a number.
        values: (players,), in the unit of the score.
        base: score without players.
        score: score with all players.
        method: in words.
        seconds: time it took.
        error: (players,) of which twice holds the exact value in 95 cases of 100, or
            None for a method that estimates nothing. `method` says how many draws an
            error rests on.

    Raises:
        ValueError: lengths differ, a number is not finite, or an error is below 0.

    Example:
        >>> why = Explanation(("Heat", "Up"), "score of Alien", [2, -1], 0, 1, "hand")
        >>> why.gap
        0.0
        >>> why.top(1).tolist()
        [0]
        >>> why.sentence(1)
        'Score of Alien: 1, from a base of 0. Strongest reasons by hand: Heat (+2).'
    """

    players: tuple[str, ...]
    target: str
    values: np.ndarray
    base: float
    score: float
    method: str
    seconds: float = 0.0
    error: np.ndarray | None = None

    def __post_init__(self) -> None:
        # a frozen dataclass is set through object, once, here
        object.__setattr__(self, "players", numbered(self.players))
        object.__setattr__(self, "values", self._checked("values"))
        if self.error is not None:
            object.__setattr__(self, "error", self._checked("error"))
            check_within("error", self.error, high=np.inf)
        finite("base and score", [self.base, self.score])

    def _checked(self, name: str) -> np.ndarray:
        """A read-only copy of one field, a finite number for each player."""
        numbers = np.array(getattr(self, name), dtype=np.float64)
        require(
            numbers.shape == (len(self.players),) and np.isfinite(numbers).all(),
            f"{name} must hold one finite number for each of {len(self.players)} players",
        )
        numbers.flags.writeable = False
        return numbers

    @property
    def gap(self) -> float:
        """What the values leave unexplained: score - base - sum of values.

        Zero for Shapley values (efficiency).
        """
        return float(self.score - self.base - self.values.sum())

    def top(self, k: int | None = None) -> np.ndarray:
        """Positions of the k players with the highest values (all for None).

        Highest first; ties keep their order.
        """
        return np.argsort(-self.values, kind="stable")[:k]

    def table(self, k: int | None = None) -> pd.DataFrame:
        """Tabulate the k players (all for None) that count most either way.

        Columns player, value, error (NaN if not estimated), by |value|.
        """
        columns = {
            "player": np.array(self.players, dtype=object),
            "value": self.values,
            "error": np.nan if self.error is None else self.error,
        }
        # stable: players that count alike keep their order
        return pd.DataFrame(columns).sort_values(
            "value", key=abs, ascending=False, kind="stable", ignore_index=True
        )[:k]

    def sentence(self, k: int = 3) -> str:
        """Say the k strongest reasons in words."""
        reasons = ", ".join(
            f"{row.player} ({row.value:+.3g})" for row in self.table(k).itertuples()
        )
        target = self.target[:1].upper() + self.target[1:]
        return (
            f"{target}: {self.score:.3g}, from a base of {self.base:.3g}. "
            f"Strongest reasons by {self.method}: {reasons}."
        )

    def __repr__(self) -> str:
        return (
            f"Explanation({self.method} of {self.target!r}: "
            f"{len(self.players)} players, {self.seconds:.2f} s)"
        )

    def _repr_html_(self) -> str:
        """The ten strongest reasons, as a notebook shows them."""
        return self.table(10).round(4).to_html(index=False, na_rep="")

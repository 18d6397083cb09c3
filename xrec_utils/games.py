"""A recommendation is a game: its players are what the model saw, its value is the
score.

A `Game` answers one question, "what is the score when only these players are present?".
An `Explanation` says how much each player counts. Every explainer turns a game into an
explanation; every measure takes an explanation and its game.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from xrec_utils.contract import HistoryModel

Masks = np.ndarray  # (n, players) booleans, True = present


@dataclass(frozen=True)
class Game:
    """Named players and the score of any group of them.

    players: one name each. target: what is scored, in words. value: (n, players) bool
    -> (n,) scores. batch: most groups handed to `value` at once, which bounds the
    memory. Raises ValueError without players.
    """

    players: tuple[str, ...]
    target: str
    value: Callable[[Masks], np.ndarray]
    batch: int = 512

    def __post_init__(self) -> None:
        if not self.players:
            raise ValueError(
                "a game needs at least one player: the history or the list of names is empty"
            )
        if self.batch < 1:
            raise ValueError(f"batch={self.batch} must be 1 or more")

    @property
    def n_players(self) -> int:
        return len(self.players)

    def __call__(self, masks: Masks) -> np.ndarray:
        """Scores (n,) float64 of the groups in `masks` (n, players) bool; a group met
        twice is scored once.

        Raises ValueError on masks of another shape or type, and when the model's answer
        is not n finite numbers.
        """
        masks = np.asarray(masks)
        if masks.ndim != 2 or masks.shape[1] != self.n_players or masks.dtype != bool:
            raise ValueError(
                f"masks must be bool (n, {self.n_players}), got {masks.dtype} {masks.shape}"
            )
        if len(masks) < 2:  # nothing to meet twice
            return self._score(masks) if len(masks) else np.empty(0)
        _, first, back = np.unique(
            np.packbits(masks, axis=1), axis=0, return_index=True, return_inverse=True
        )
        distinct = masks[first]
        parts = [
            self._score(distinct[i : i + self.batch])
            for i in range(0, len(distinct), self.batch)
        ]
        return np.concatenate(parts)[back.ravel()]

    def _score(self, masks: Masks) -> np.ndarray:
        scores = np.asarray(self.value(masks), dtype=np.float64)
        if scores.shape != (len(masks),) or not np.isfinite(scores).all():
            what = f"shape {scores.shape}, {(~np.isfinite(scores)).sum()} of them NaN or infinite"
            raise ValueError(
                f"the game of {self.target!r} must give {len(masks)} finite scores, got {what}"
            )
        return scores

    def full(self) -> float:
        """Score with every player present."""
        return float(self(np.ones((1, self.n_players), dtype=bool))[0])

    def empty(self) -> float:
        """Score with no player present: the base that an explanation starts from."""
        return float(self(np.zeros((1, self.n_players), dtype=bool))[0])

    def __repr__(self) -> str:
        return f"Game({self.n_players} players, target={self.target!r})"


def history_game(
    model: HistoryModel,
    history: np.ndarray,
    item: int,
    titles: Sequence[str] | None = None,
    batch: int = 512,
) -> Game:
    """The films of a history play for the score (logit) of one film.

    Absent means deleted: the remaining films close up in their order. history:
    (players,) item codes, oldest first. item: the code explained; it must lie outside
    the history, because candidates stay fixed while films are removed. titles: names by
    item code. Raises ValueError on an unknown code, an empty history or an item inside
    it; the game does when the model's scores have another shape than the contract's or
    are not finite.
    """
    history, item = _checked_case(model, history, item)
    name = namer(titles)

    def value(masks: Masks) -> np.ndarray:
        return _scores(model, history, masks, np.array([item]))[:, 0]

    return Game(tuple(map(name, history)), f"score of {name(item)}", value, batch)


def contrast_game(
    model: HistoryModel,
    history: np.ndarray,
    item: int,
    other: int,
    titles: Sequence[str] | None = None,
) -> Game:
    """The films of a history play for score(item) - score(other): why is one film above
    another?

    By additivity its Shapley values are the differences between those of the two
    `history_game`s, whose arguments, checks and errors these are.
    """
    history, item = _checked_case(model, history, item)
    _, other = _checked_case(model, history, other)
    name = namer(titles)

    def value(masks: Masks) -> np.ndarray:
        return _scores(model, history, masks, np.array([item, other])) @ np.array(
            [1.0, -1.0]
        )

    return Game(
        tuple(map(name, history)), f"score of {name(item)} above {name(other)}", value
    )


def rank_game(
    model: HistoryModel,
    history: np.ndarray,
    item: int,
    titles: Sequence[str] | None = None,
) -> Game:
    """The films of a history play for a film's place in the list: v(S) = -log2(1 +
    rank), 1 more per halving.

    The rank (1 = best) is among all films outside the full history, however many of its
    films are removed; films with equal scores share the middle of their places.
    Arguments, checks and errors as in `history_game`.
    """
    history, item = _checked_case(model, history, item)
    candidates = np.setdiff1d(np.arange(model.n_items), history)
    own, name = int(np.searchsorted(candidates, item)), namer(titles)

    def value(masks: Masks) -> np.ndarray:
        scores = _scores(model, history, masks, candidates)
        above, level = scores > scores[:, own, None], scores == scores[:, own, None]
        rank = above.sum(axis=1) + (1 + level.sum(axis=1)) / 2
        return -np.log2(1 + rank)

    return Game(tuple(map(name, history)), f"rank of {name(item)}", value)


def _checked_case(
    model: HistoryModel, history: np.ndarray, item: int
) -> tuple[np.ndarray, int]:
    """History and item as codes that the model knows, the item outside the history."""
    history = np.asarray(history)
    if not history.size:
        raise ValueError(
            "history is empty and a game needs at least one player: explain a user who has seen a film"
        )
    if history.ndim != 1 or not np.issubdtype(history.dtype, np.integer):
        raise ValueError(
            f"history must be a 1-D array of item codes, got {history.dtype} {history.shape}"
        )
    codes = np.append(history, item)
    if np.ndim(item) or not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(f"item must be one item code (an integer), got {item!r}")
    if codes.min() < 0 or codes.max() >= model.n_items:
        raise ValueError(
            f"history and item must hold codes from 0 to {model.n_items - 1} ({model.name} knows no other)"
        )
    if item in history:
        raise ValueError(
            f"item {item} is in the history: only a film the user has not seen can be a recommendation"
        )
    return history, int(item)


def namer(titles: Sequence[str] | None) -> Callable[[int], str]:
    return lambda code: f"item {code}" if titles is None else str(titles[code])


def _scores(
    model: HistoryModel, history: np.ndarray, masks: Masks, items: np.ndarray
) -> np.ndarray:
    """Scores (groups, items) of the model for what each group leaves of the history,
    float64.
    """
    scores = np.asarray(
        model.score([history[mask] for mask in masks], items=items), dtype=np.float64
    )
    if scores.shape != (len(masks), len(items)):
        raise ValueError(
            f"{model.name}.score must give one row per history and one column per entry of items, "
            f"{(len(masks), len(items))}, got {scores.shape}"
        )
    if not np.isfinite(scores).all():
        raise ValueError(
            f"{model.name}.score gave NaN or infinite scores: check its weights, or train it again"
        )
    return scores


def feature_game(
    predict: Callable[[np.ndarray], np.ndarray],
    row: np.ndarray,
    background: np.ndarray,
    names: Sequence[str],
    target: str = "P(like)",
    rows: int = 16_384,
) -> Game:
    """The columns of a row play for the prediction.

    Absent means replaced by that column of every background row, and the predictions
    averaged (the interventional value function of Janzing et al. 2020). predict: (n,
    columns) -> (n,). row: (columns,). background: (b, columns). rows: most rows given
    to `predict` at once. Raises ValueError when the shapes do not fit.
    """
    row, background = np.asarray(row), np.asarray(background)
    if (
        row.ndim != 1
        or background.ndim != 2
        or not len(background)
        or background.shape[1] != len(row)
    ):
        raise ValueError(
            f"row (d,) and background (b, d) do not fit: {row.shape} and {background.shape}"
        )
    if len(names) != len(row):
        raise ValueError(f"names has {len(names)} entries for {len(row)} columns")

    def value(masks: Masks) -> np.ndarray:
        mixed = np.where(masks[:, None, :], row, background)
        scores = np.asarray(predict(mixed.reshape(-1, len(row))))
        if scores.shape != (len(masks) * len(background),):
            raise ValueError(
                f"predict must turn (n, {len(row)}) into (n,), got {scores.shape}: pick one output column"
            )
        return scores.reshape(len(masks), len(background)).mean(
            axis=1, dtype=np.float64
        )

    return Game(tuple(map(str, names)), target, value, max(1, rows // len(background)))


@dataclass(frozen=True, eq=False)
class Explanation:
    """How much each player counts for the target, by one method.

    players, target: as in the game. values (players,): in the unit of the score. base:
    score without players. score: score with all. method: in words. seconds: time it
    took. error: standard error of each value, or None. Raises ValueError when the
    lengths differ or a value is not finite.
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
        for name in ("values", "error"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, self._checked(name))
        object.__setattr__(self, "players", tuple(self.players))

    def _checked(self, name: str) -> np.ndarray:
        numbers = np.array(getattr(self, name), dtype=np.float64)
        if numbers.shape != (len(self.players),) or not np.isfinite(numbers).all():
            raise ValueError(
                f"{name} must hold one finite number for each of {len(self.players)} players"
            )
        numbers.flags.writeable = False
        return numbers

    @property
    def gap(self) -> float:
        """What the values leave unexplained: score - base - sum of values. Zero for
        Shapley values (efficiency).
        """
        return float(self.score - self.base - self.values.sum())

    def top(self, k: int | None = None) -> np.ndarray:
        """Positions of the k players with the highest values (all for None), highest
        first; ties keep their order.
        """
        return np.argsort(-self.values, kind="stable")[:k]

    def table(self, k: int | None = None) -> pd.DataFrame:
        """Columns player, value, error: the k players (all for None) that count most
        either way, by |value|.
        """
        order = np.argsort(-np.abs(self.values), kind="stable")[:k]
        error = np.full(len(self.players), np.nan) if self.error is None else self.error
        columns = {
            "player": np.array(self.players, dtype=object),
            "value": self.values,
            "error": error,
        }
        return pd.DataFrame({name: column[order] for name, column in columns.items()})

    def sentence(self, k: int = 3) -> str:
        """The k strongest reasons in words."""
        reasons = ", ".join(
            f"{row.player} ({row.value:+.3g})" for row in self.table(k).itertuples()
        )
        start = f"{self.target[:1].upper()}{self.target[1:]}: {self.score:.3g}, from a base of {self.base:.3g}."
        return f"{start} Strongest reasons by {self.method}: {reasons}."

    def __repr__(self) -> str:
        return f"Explanation({self.method} of {self.target!r}: {len(self.players)} players, {self.seconds:.2f} s)"

    def _repr_html_(self) -> str:
        return self.table(10).round(4).to_html(index=False, na_rep="")

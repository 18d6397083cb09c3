"""`Game`, and those in which the films of a history play: see the room's docstring."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import compress

import numpy as np

from xrec_utils.contract import (
    HistoryModel,
    Sums,
    check_count,
    check_model,
    fits,
    item_codes,
)
from xrec_utils.files import require
from xrec_utils.games.explanation import Explanation, numbered

Masks = np.ndarray  # (n, players) booleans, True = present


@dataclass(frozen=True)
class Game:
    """Named players and the score of any group of them.

    Called with masks, bool (n, players), a game returns their scores, float64 (n,). The
    group of all players is asked for a second time, with the groups that come next: a
    game that answers at random, as a network with its dropout on does, is refused.

    Attributes:
        players: one name each; of two alike, the later gets a number.
        target: what is scored, in words.
        value: turns bool (n, players) into n scores.
        batch: most groups handed to `value` at once, which bounds the memory.

    Raises:
        ValueError: there are no players, players is one text, or batch is below 1.

    Example:
        >>> game = Game(("a", "b"), "size", lambda masks: masks.sum(axis=1))
        >>> game(np.array([[True, False], [True, True]])).tolist()
        [1.0, 2.0]
        >>> game.empty(), game.full()
        (0.0, 2.0)
    """

    players: tuple[str, ...]
    target: str
    value: Callable[[Masks], np.ndarray]
    batch: int = 512
    # scores of all players, until there are two to compare
    _full: list[float] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        # a frozen dataclass is set through object, once, here
        object.__setattr__(self, "players", numbered(self.players))
        require(
            len(self.players) > 0,
            "the history is empty, or the list of names: "
            "a game needs at least one player",
        )
        check_count("batch", self.batch)

    @property
    def n_players(self) -> int:
        """Number of players."""
        return len(self.players)

    def __call__(self, masks: Masks) -> np.ndarray:
        """Score the groups in `masks`: bool (n, players) -> float64 (n,).

        A group met twice is scored once. Raises ValueError on masks of another shape or
        type, and when the model's answer is not n finite numbers, or a random one.
        """
        masks = np.asarray(masks)
        require(
            masks.shape[1:] == (self.n_players,) and masks.dtype == bool,
            f"masks must be bool (n, {self.n_players}), got {masks.dtype} {masks.shape}",
        )
        if len(masks) == 0:
            return np.empty(0)
        # all players once more, where there is a score to compare with
        again = np.ones((int(len(self._full) == 1), self.n_players), dtype=bool)
        both = np.concatenate([masks, again])
        first, back = distinct(both)
        groups = both[first]
        scores = np.concatenate(
            [
                self._score(groups[at : at + self.batch])
                for at in range(0, len(groups), self.batch)
            ]
        )
        self._refuse_chance(groups, scores)
        return scores[back[: len(masks)]]

    def _refuse_chance(self, groups: Masks, scores: np.ndarray) -> None:
        """Raise ValueError if all players together get a second, other score."""
        # all players come last
        if len(self._full) < 2 and groups[-1].all():
            self._full.append(float(scores[-1]))
        seen = np.array([*self._full, scores.min(), scores.max()])
        # less is rounding: a film near another in rank may change places
        most = 0.01 * np.ptp(seen) + 1e-4 * np.abs(seen).max()
        require(
            not self._full or np.ptp(self._full) <= most,
            f"the game of {self.target!r} gave all players two scores, {self._full}: "
            "it is random. Call a network with training=False, without dropout",
        )

    def _score(self, masks: Masks) -> np.ndarray:
        """Ask `value` and check its answer."""
        scores = np.asarray(self.value(masks), dtype=np.float64)
        require(
            scores.shape == (len(masks),),
            f"the game of {self.target!r} must give {len(masks)} finite scores, "
            f"got shape {scores.shape}",
        )
        wrong = ~np.isfinite(scores)
        group = list(compress(self.players, masks[wrong.argmax()]))
        require(
            not wrong.any(),
            f"the game of {self.target!r} gave {wrong.sum()} scores that are NaN or "
            f"infinite, the first for the group {group or 'of nobody'}",
        )
        return scores

    def full(self) -> float:
        """Score with every player present."""
        return float(self(np.ones((1, self.n_players), dtype=bool))[0])

    def empty(self) -> float:
        """Score with no player present: the base that an explanation starts from."""
        return float(self(np.zeros((1, self.n_players), dtype=bool))[0])

    def ends(self) -> list[float]:
        """Score with no player and with every player, asked for together."""
        return self(np.repeat([[False], [True]], self.n_players, axis=1)).tolist()

    def explanation(
        self,
        values: np.ndarray,
        method: str,
        seconds: float = 0.0,
        error: np.ndarray | None = None,
        ends: Sequence[float] | None = None,
    ) -> Explanation:
        """The answer of an explainer: a value (players,) for each of the players.

        method, seconds, error: as in `Explanation`, whose ValueErrors it raises. ends:
        base and score, where known: asked again, float32 scores differ a little.
        """
        base, score = self.ends() if ends is None else ends
        return Explanation(
            self.players, self.target, values, base, score, method, seconds, error
        )

    def __repr__(self) -> str:
        return f"Game({self.n_players} players, target={self.target!r})"


def distinct(masks: Masks) -> tuple[np.ndarray, np.ndarray]:
    """First places of the rows that differ (k,), by bits; which each row is (n,)."""
    # eight players a byte, each row one value: rows are compared at once
    packed = np.ascontiguousarray(np.packbits(masks, axis=1))
    return np.unique(packed.view(f"V{packed.shape[1]}").ravel(), True, True)[1:]


def history_game(
    model: HistoryModel,
    history: np.ndarray,
    item: int,
    *,
    titles: Sequence[str] | None = None,
    batch: int = 512,
) -> Game:
    """The films of a history play for the score (logit) of one film.

    Absent means deleted: the remaining films close up in their order.

    Args:
        model: the recommender.
        history: (players,) item codes, oldest first.
        item: code of the film explained, outside the history, because candidates stay
            fixed while films are removed.
        titles: names by item code; "item 7" and the like if not given.
        batch: most histories scored at once.

    Returns:
        A game with one player per film, in the unit of the model's score. A film that
        stands twice is two players.

    Raises:
        ValueError: no recommender, an unknown code, an empty history or an item inside
            it; when the game is played, scores that are not finite or of a wrong shape.

    Example:
        A model that adds up one weight per film seen (row) and film scored (column):

        >>> from xrec_utils.models.classic import ItemToItem
        >>> model = ItemToItem()
        >>> model.n_items = 3
        >>> model.weights = np.array([[0, 0, 3], [0, 0, 1], [0, 0, 0]])
        >>> game = history_game(model, np.array([0, 1]), 2, titles=["Heat", "Alien", "Up"])
        >>> game.players, game.target
        (('Heat', 'Alien'), 'score of Up')
        >>> game(np.array([[True, False], [True, True]])).tolist()
        [3.0, 4.0]
    """
    history, item = _checked_case(model, history, item)
    name = namer(titles)

    def value(masks: Masks) -> np.ndarray:
        """Values (n,) of groups (n, players)."""
        return scores_of_groups(model, history, masks, np.array([item]))[:, 0]

    return Game([*map(name, history)], f"score of {name(item)}", value, batch)


def contrast_game(
    model: HistoryModel,
    history: np.ndarray,
    item: int,
    other: int,
    *,
    titles: Sequence[str] | None = None,
) -> Game:
    """The films of a history play for score(item) - score(other): why this, not that?

    By additivity its Shapley values are the differences between those of the two
    `history_game`s.

    Args:
        model, history, item, titles: as in `history_game`.
        other: code of the film that `item` is compared with, outside the history.

    Returns:
        A game with one player per film, in the unit of the model's score.

    Raises:
        ValueError: as in `history_game`, for both films.

    Example:
        >>> from xrec_utils.models.classic import ItemToItem
        >>> model = ItemToItem()
        >>> model.n_items = 3
        >>> model.weights = np.array([[0, 2, 3], [0, 0, 0], [0, 0, 0]])
        >>> contrast_game(model, np.array([0]), item=2, other=1).full()
        1.0
    """
    history, item = _checked_case(model, history, item)
    _, other = _checked_case(model, history, other)
    name = namer(titles)

    def value(masks: Masks) -> np.ndarray:
        """Values (n,) of groups (n, players)."""
        scores = scores_of_groups(model, history, masks, np.array([item, other]))
        return scores[:, 0] - scores[:, 1]

    return Game(
        [*map(name, history)], f"score of {name(item)} above {name(other)}", value
    )


def rank_game(
    model: HistoryModel,
    history: np.ndarray,
    item: int,
    *,
    titles: Sequence[str] | None = None,
) -> Game:
    """The films of a history play for a film's place in the list.

    The value is -log2(1 + rank), 1 more per halving. The rank (1 = best) is among all
    films outside the full history, however many of its films are removed; films with
    equal scores share the middle of their places.

    Args:
        model, history, item, titles: as in `history_game`.

    Returns:
        A game with one player per film, in halvings of 1 + rank.

    Raises:
        ValueError: as in `history_game`.

    Example:
        With film 0 seen, film 2 is first of three: -log2(1 + 1). With nothing seen
        all three are equal and share place 2: -log2(1 + 2).

        >>> from xrec_utils.models.classic import ItemToItem
        >>> model = ItemToItem()
        >>> model.n_items = 4
        >>> model.weights = np.array([[0, 0, 3, 1], *np.zeros((3, 4))])
        >>> game = rank_game(model, np.array([0]), 2)
        >>> game.full(), round(game.empty(), 3)
        (-1.0, -1.585)
    """
    history, item = _checked_case(model, history, item)
    candidates = np.setdiff1d(np.arange(model.n_items), history)
    column = int(np.searchsorted(candidates, item))
    name = namer(titles)

    def value(masks: Masks) -> np.ndarray:
        """Values (n,) of groups (n, players)."""
        scores = scores_of_groups(model, history, masks, candidates)
        lead = scores - scores[:, column, None]
        # of those level with it, the film itself is one
        rank = (lead > 0).sum(axis=1) + (1 + (lead == 0).sum(axis=1)) / 2
        return -np.log2(1 + rank)

    return Game([*map(name, history)], f"rank of {name(item)}", value)


def _checked_case(
    model: HistoryModel, history: np.ndarray, item: int
) -> tuple[np.ndarray, int]:
    """History and item as codes that the model knows, the item outside the history."""
    # who looks inside needs no score
    check_model(model, "name", "n_items")
    history = item_codes("history", history, model.n_items)
    # in a list: of codes, one is expected
    [item] = item_codes("[item]", [item], model.n_items)
    require(
        item not in history,
        f"item {item} is in the history: "
        "only a film the user has not seen can be a recommendation",
    )
    return history, int(item)


def namer(titles: Sequence[str] | None) -> Callable[[int], str]:
    """Return a function from item codes to names: titles, or "item 7" without them."""
    return "item {}".format if titles is None else lambda code: str(titles[code])


def scores_of_groups(
    model: HistoryModel, history: np.ndarray, masks: Masks, items: np.ndarray
) -> np.ndarray:
    """Scores of what each group leaves of a history.

    Args:
        model: the recommender; one that declares `sums` is asked for those.
        history: (players,) item codes, oldest first.
        masks: bool (groups, players), True = present.
        items: (k,) codes of the films scored.

    Returns:
        float64 (groups, k), in the unit of the model's score.

    Raises:
        ValueError: the model's answer has another shape, or is not finite.

    Example:
        >>> from xrec_utils.models.classic import ItemToItem
        >>> model = ItemToItem()
        >>> model.n_items = 3
        >>> model.weights = np.array([[0, 2, 3], [0, 0, 1], [0, 0, 0]])
        >>> masks = np.array([[True, False], [True, True]])
        >>> scores_of_groups(model, np.array([0, 1]), masks, np.array([2])).tolist()
        [[3.0], [4.0]]
    """
    check_model(model, "score")
    sums = sums_of(model, history, items)
    if sums is None:
        answer = model.score([history[mask] for mask in masks], items=items)
    else:
        # small whole numbers would overflow
        present = masks.astype(np.result_type(sums.addends, np.float32))
        answer = sums.finish(present @ sums.addends, masks.sum(axis=1))
    scores = np.asarray(answer, dtype=np.float64)
    expected = (len(masks), len(items))
    require(
        scores.shape == expected,
        f"{model.name}.score must give one row per history and one column per "
        f"entry of items, {expected}, got {scores.shape}",
    )
    if not np.isfinite(scores).all():
        films = history[masks[np.isfinite(scores).all(axis=1).argmin()]].tolist()
        raise ValueError(
            f"{model.name}.score gave NaN or infinite scores for "
            f"{f'the history {films}' if films else 'the empty history'}: check its "
            "weights; xrec_utils.contract wants a finite score for every history"
        )
    return scores


def sums_of(
    model: HistoryModel | None, history: np.ndarray, items: np.ndarray
) -> Sums | None:
    """The sums that a model declares for a history (n,) and items (k,).

    None for a model without them, or a history that it does not read as a sum.
    """
    return model.sums(history, items) if fits(model, "sums", history) else None

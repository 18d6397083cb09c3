"""Counterfactuals: the fewest films without which there is no recommendation.

"Had you not watched these two, this film would not be in your top ten." The candidates
stay fixed, the catalogue minus the user's full history, so that a removed film never
competes. A film is out of the top k when k candidates score strictly higher. Finding
the smallest set is a covering problem: `greedy` and `beam` search (after the search of
Tran et al. 2021, ACCENT, doi:10.1145/3404835.3463005, on re-scored histories instead of
estimates); for models that add up weights, `minimal_linear` proves that no smaller set
exists.
"""

from dataclasses import dataclass
from time import perf_counter

import numpy as np

from xrec_utils.contract import History, HistoryModel, check_count, item_codes
from xrec_utils.explain.influence import EaseInfluence, Retrained
from xrec_utils.files import require
from xrec_utils.games.game import history_game

# the strongest competitors, which alone are scored when the next film to remove is
# chosen
SHORTLIST = 100


@dataclass(frozen=True)
class Counterfactual:
    """The films whose removal takes an item out of the top k.

    films: positions in the history, ascending; empty if none was found. valid: the
    model itself, scoring the shortened history, ranks the item below k. minimal: proven
    that no smaller set is valid (not valid: that no set is at all). rank_before,
    rank_after: 1 + candidates with a strictly higher score. calls: histories scored by
    the model. seconds: time it took.
    """

    films: tuple[int, ...]
    valid: bool
    minimal: bool
    rank_before: int
    rank_after: int
    method: str
    calls: int
    seconds: float

    @property
    def size(self) -> int:
        """How many films are removed."""
        return len(self.films)


class Question:
    """A recommendation under removal: shortened histories, scored and counted.

    Attributes:
        competitors: codes of the other candidates, ascending.
        everything: (n,) bool, the mask of the whole history.
        rank_before: rank of the item with the whole history, 1 = best.
        calls: histories scored so far.

    Args:
        model: any that scores a history.
        history: (n,) item codes, oldest first.
        item: the code of the film recommended, outside the history.
        k: length of the list that the film stands in.

    Raises:
        ValueError: a history or item that `history_game` refuses, a k that is no whole
            number between 1 and the number of other candidates, or an item that does not stand
            in the top k to begin with.

    Example:
        Film 2 scores 3 + 1, its only competitor, film 3, scores 1 + 2.

        >>> from xrec_utils.models.classic import ItemToItem
        >>> model = ItemToItem()
        >>> model.name, model.n_items = "by hand", 4
        >>> model.weights = np.array([[0, 0, 3, 1], [0, 0, 1, 2], [0] * 4, [0] * 4])
        >>> question = Question(model, np.array([0, 1]), item=2, k=1)
        >>> question.rank_before, question.competitors.tolist()
        (1, [3])
        >>> without_first = np.array([[False, True]])
        >>> question.ranks(without_first).tolist()
        [2]
    """

    def __init__(
        self, model: HistoryModel, history: History, item: int, k: int
    ) -> None:
        history_game(model, history, item)  # for its checks
        self.model = model
        self.history = np.asarray(history)
        self.item = item
        self.k = k
        self.competitors = np.setdiff1d(
            np.arange(model.n_items),
            np.append(self.history, item),
        )
        check_count("k", k)
        require(
            k <= len(self.competitors),
            f"k={k} must lie between 1 and the number of other candidates, "
            f"{len(self.competitors)}",
        )
        self.start = perf_counter()
        self.calls = 0
        self.everything = np.ones_like(self.history, dtype=bool)
        self.rank_before = int(self.ranks(self.everything[None])[0])
        require(
            self.rank_before <= k,
            f"item {item} has rank {self.rank_before}: "
            f"only a film of the top {k} can drop out of it",
        )

    def _scores(self, kept: np.ndarray, items: np.ndarray | None = None) -> np.ndarray:
        """Scores (m, items) of the m histories whose masks are `kept`, counted."""
        self.calls += len(kept)
        histories = [self.history[mask] for mask in kept]
        return self.model.score(histories, items=items).astype(np.float64)

    def leads(self, kept: np.ndarray) -> np.ndarray:
        """How far each competitor scores above the item: (m, competitors).

        kept: (m, n) bool, the masks of m histories.
        """
        scores = self._scores(kept)
        return scores[:, self.competitors] - scores[:, [self.item]]

    def ranks(self, kept: np.ndarray) -> np.ndarray:
        """Ranks (m,) of the item for m histories `kept` (m, n).

        1 + the number of candidates that score strictly higher.
        """
        return 1 + (self.leads(kept) > 0).sum(axis=1)

    def margins(self, kept: np.ndarray, parent: np.ndarray) -> np.ndarray:
        """Lead of the k-th best competitor for m histories `kept` (m, n): shape (m,).

        Among the competitors who are strongest against the history `parent` (n,) bool.
        Positive only if the item is out: other competitors can but add to those that
        lead.
        """
        strongest = np.argsort(
            -self.leads(parent[None])[0],
            kind="stable",
        )[: max(SHORTLIST, self.k)]
        scores = self._scores(
            kept,
            np.append(self.competitors[strongest], self.item),
        )
        # (m, strongest) and (m, 1): the item's own scores are the last column
        others, own = np.split(scores, [-1], axis=1)
        # own - others, so that the largest lead comes first: the k-th is at k - 1
        return -np.partition(
            own - others,
            self.k - 1,
            axis=1,
        )[:, self.k - 1]

    def search(self, width: int, most: int) -> np.ndarray:
        """Remove up to `most` films, one per level.

        Goes on with the `width` best histories of each level. Returns the mask (n,) of
        the films kept in the first history where the item is out; all are kept if
        there is none.
        """
        films = len(self.history)
        level = self.everything[None]  # (width, films)
        all_but_one = ~np.eye(films, dtype=bool)
        for removed in range(1, most + 1):
            # every history of the level without every one of its films
            wider = np.unique(
                (level[:, None] & all_but_one).reshape(-1, films),
                axis=0,
            )
            # a film that was gone already leaves its history as it was
            wider = wider[wider.sum(axis=1) == films - removed]
            margins = self.margins(wider, level[0])
            best = np.argsort(-margins, kind="stable")
            level = wider[best[:width]]
            if margins.max() > 0:
                return level[0]
        return self.everything

    def answer(
        self, kept: np.ndarray, method: str, proven: bool = False
    ) -> Counterfactual:
        """The films that are not kept, re-scored; all are kept if nothing was found.

        A single film is minimal without proof.
        """
        rank = int(self.ranks(kept[None])[0])
        films = tuple(np.flatnonzero(~kept).tolist())
        valid = rank > self.k
        # a proof is in float64: the model's float32 may undo what holds by a hair
        by_proof = proven and valid == (len(films) > 0)
        by_size = valid and len(films) == 1
        return Counterfactual(
            films=films,
            valid=valid,
            minimal=by_proof or by_size,
            rank_before=self.rank_before,
            rank_after=rank,
            method=method,
            calls=self.calls,
            seconds=perf_counter() - self.start,
        )


def greedy(
    model: HistoryModel,
    history: History,
    item: int,
    k: int = 10,
    order: np.ndarray | None = None,
) -> Counterfactual:
    """Remove film after film until the item is out, each time the most helpful one.

    What helps most is what lifts the k-th best competitor furthest above the item, or
    least below it (after Tran et al. 2021, doi:10.1145/3404835.3463005).

    Args:
        model: any that scores a history.
        history: (n,) item codes, oldest first.
        item: the code of the film recommended, outside the history.
        k: length of the list that it has to leave.
        order: all positions in the history, for example `explanation.top()`; films are
            then removed in this order instead, which judges the explanation.

    Returns:
        Counterfactual; not valid if the item stays in the list without any film.

    Raises:
        ValueError: as `Question`, or when `order` is no permutation.

    Example:
        Film 2 scores 3 + 1, film 3 scores 1 + 2: without the first film 3 leads.

        >>> from xrec_utils.models.classic import ItemToItem
        >>> model = ItemToItem()
        >>> model.name, model.n_items = "by hand", 4
        >>> model.weights = np.array([[0, 0, 3, 1], [0, 0, 1, 2], [0] * 4, [0] * 4])
        >>> reason = greedy(model, np.array([0, 1]), item=2, k=1)
        >>> reason.films, reason.valid, reason.rank_after
        ((0,), True, 2)
    """
    question = Question(model, history, item, k)
    films = len(history)
    if order is None:
        return question.answer(question.search(1, films), "greedy")
    require(
        sorted(order) == list(range(films)),
        f"order must hold each position of the history once, 0 to {films - 1}",
    )
    # (films, films): row r lacks the first r + 1 films of the order
    kept = np.argsort(order) > np.arange(films)[:, None]
    out = question.ranks(kept) > k
    return question.answer(
        kept[out.argmax()] if out.any() else question.everything,
        method="in order",
    )


def beam(
    model: HistoryModel, history: History, item: int, k: int = 10, width: int = 5
) -> Counterfactual:
    """Greedy search, then a wider search for a set smaller than greedy's.

    Follows the `width` best sets of each size (after Tran et al. 2021,
    doi:10.1145/3404835.3463005).

    Args:
        model: any that scores a history.
        history: (n,) item codes, oldest first.
        item: the code of the film recommended, outside the history.
        k: length of the list that it has to leave.
        width: sets of each size that are followed.

    Returns:
        Counterfactual, never with more films than greedy's.

    Raises:
        ValueError: as `Question`, or when `width` is no whole number above 0.

    Example:
        Film 2 scores 3 + 1, film 3 scores 1 + 2: without the first film 3 leads.

        >>> from xrec_utils.models.classic import ItemToItem
        >>> model = ItemToItem()
        >>> model.name, model.n_items = "by hand", 4
        >>> model.weights = np.array([[0, 0, 3, 1], [0, 0, 1, 2], [0] * 4, [0] * 4])
        >>> beam(model, np.array([0, 1]), item=2, k=1).films
        (0,)
    """
    check_count("width", width)
    question = Question(model, history, item, k)
    kept = question.search(1, len(history))
    # a set as large as greedy's is no gain
    most = len(history) if kept.all() else int((~kept).sum()) - 1
    smaller = question.search(width, most)
    return question.answer(
        kept if smaller.all() else smaller,
        method=f"beam of {width}",
    )


def holds_after_retraining(
    found: Counterfactual,
    influence: EaseInfluence,
    user: int,
    history: History,
    item: int,
    k: int = 10,
) -> bool:
    """Would the item be out of the top k had these interactions never happened?

    Neither in training nor in `history`: re-scoring alone asks a model that still
    remembers them. For sets that hold by construction, search on `Retrained` instead of
    the model.

    Args:
        found: the films to forget, as positions in the history.
        influence: the trained EASE that can forget.
        user: whose training row loses the films.
        history: (n,) item codes, oldest first.
        item: the code of the film recommended.
        k: length of the list.

    Returns:
        True if k films outside the history score strictly higher after training again.

    Raises:
        ValueError: no such user, item or position in the history, or k is no whole
            number above 0.

    Example:
        Two films seen by all of the two users who also have film 2.

        >>> from xrec_utils.models.classic import EASE
        >>> users = [np.array([0, 1, 2]), np.array([0, 1, 2]), np.array([0, 3])]
        >>> users.append(np.array([0, 1]))
        >>> model = EASE(regularisation=1.0).fit(users, 4)
        >>> reason = greedy(model, users[3], item=2, k=1)
        >>> influence = EaseInfluence(model, users)
        >>> reason.films, holds_after_retraining(reason, influence, 3, users[3], 2, k=1)
        ((1,), True)
    """
    check_count("k", k)
    item_codes("item", [item], influence.n_items)
    gone = item_codes("found.films", found.films, len(history))
    scores = Retrained(influence, user, history).score(
        [np.delete(history, gone)],
    )[0]
    # films of the history compete with nobody, those removed neither
    ahead = np.delete(scores, history) > scores[item]
    return bool(ahead.sum() >= k)

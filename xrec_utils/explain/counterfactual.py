"""Counterfactuals: the smallest set of films without which the recommendation would not
have been made.

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

from xrec_utils.classic import ItemToItem
from xrec_utils.contract import History, HistoryModel
from xrec_utils.explain.influence import EaseInfluence, Retrained
from xrec_utils.games import history_game

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
    """A recommendation under removal: `history` (n,) without the films of a mask,
    scored and counted.

    Raises ValueError as `history_game` does, and when the item does not stand in the
    top k to begin with.
    """

    def __init__(
        self, model: HistoryModel, history: History, item: int, k: int
    ) -> None:
        history_game(model, history, item)  # for its checks
        self.model, self.history, self.item, self.k = (
            model,
            np.asarray(history),
            item,
            k,
        )
        self.competitors = np.setdiff1d(
            np.arange(model.n_items), np.append(self.history, item)
        )
        if not 1 <= k <= len(self.competitors):
            raise ValueError(
                f"k={k} must lie between 1 and the number of other candidates, {len(self.competitors)}"
            )
        self.start, self.calls = perf_counter(), 0
        self.everything = np.ones(len(self.history), dtype=bool)
        self.rank_before = int(self.ranks(self.everything[None])[0])
        if self.rank_before > k:
            raise ValueError(
                f"item {item} has rank {self.rank_before}: only a film of the top {k} can drop out of it"
            )

    def leads(
        self, kept: np.ndarray, competitors: np.ndarray | None = None
    ) -> np.ndarray:
        """How far each competitor (None: all) scores above the item: (m, competitors)
        for m histories `kept` (m, n).
        """
        self.calls += len(kept)
        items = None if competitors is None else np.append(competitors, self.item)
        scores = self.model.score(
            [self.history[mask] for mask in kept], items=items
        ).astype(np.float64)
        if competitors is None:
            return scores[:, self.competitors] - scores[:, [self.item]]
        return scores[:, :-1] - scores[:, -1:]

    def ranks(self, kept: np.ndarray) -> np.ndarray:
        """1 + the number of candidates that score strictly higher than the item, (m,),
        for m histories.
        """
        return 1 + (self.leads(kept) > 0).sum(axis=1)

    def margins(self, kept: np.ndarray, parent: np.ndarray) -> np.ndarray:
        """Lead of the k-th of the competitors who are strongest against the history
        `parent` (n,) bool: shape (m,).

        Positive only if the item is out: other competitors can but add to those that
        lead.
        """
        nearest = self.competitors[
            np.argsort(-self.leads(parent[None])[0], kind="stable")[
                : max(SHORTLIST, self.k)
            ]
        ]
        return -np.partition(-self.leads(kept, nearest), self.k - 1, axis=1)[
            :, self.k - 1
        ]

    def search(self, width: int, most: int) -> np.ndarray | None:
        """Remove up to `most` films, one per level, going on with the `width` best
        histories of each level.

        Returns the mask of the films kept in the first history where the item is out,
        or None.
        """
        level, films = self.everything[None], len(self.history)
        for removed in range(1, most + 1):
            wider = (level[:, None] & ~np.eye(films, dtype=bool)).reshape(-1, films)
            wider = np.unique(wider[wider.sum(axis=1) == films - removed], axis=0)
            margins = self.margins(wider, level[0])
            level = wider[np.argsort(-margins, kind="stable")[:width]]
            if margins.max() > 0:
                return level[0]
        return None

    def answer(
        self, kept: np.ndarray | None, method: str, proven: bool = False
    ) -> Counterfactual:
        """The films that are not kept, re-scored; None: nothing was found. A single
        film is minimal without proof.
        """
        found, kept = kept is not None, self.everything if kept is None else kept
        rank, films = (
            int(self.ranks(kept[None])[0]),
            tuple(map(int, np.flatnonzero(~kept))),
        )
        valid, seconds = rank > self.k, perf_counter() - self.start
        minimal = (proven and valid == found) or (
            valid and len(films) == 1
        )  # float32 may undo what holds by a hair
        return Counterfactual(
            films, valid, minimal, self.rank_before, rank, method, self.calls, seconds
        )


def greedy(
    model: HistoryModel,
    history: History,
    item: int,
    k: int = 10,
    order: np.ndarray | None = None,
) -> Counterfactual:
    """Remove film after film until the item is out of the top k, each time the one that
    helps most.

    What helps most is what lifts the k-th best competitor furthest above the item, or
    least below it. order: all positions in the history, for example
    `explanation.top()`; films are then removed in this order instead, which judges the
    explanation. Raises ValueError as `Question` does, or when `order` is no
    permutation.
    """
    question, films = Question(model, history, item, k), len(history)
    if order is None:
        return question.answer(question.search(1, films), "greedy")
    if sorted(order) != list(range(films)):
        raise ValueError(
            f"order must hold each position of the history once, 0 to {films - 1}"
        )
    kept = np.argsort(order) > np.arange(films)[:, None]
    out = question.ranks(kept) > k
    return question.answer(kept[out.argmax()] if out.any() else None, "in order")


def beam(
    model: HistoryModel, history: History, item: int, k: int = 10, width: int = 5
) -> Counterfactual:
    """Greedy search, then a search that follows the `width` best sets of each size for
    a set smaller than greedy's.

    Never larger than greedy's set. Raises ValueError as `Question` does.
    """
    question = Question(model, history, item, k)
    kept = question.search(1, len(history))
    smaller = question.search(
        width, len(history) if kept is None else int((~kept).sum()) - 1
    )
    return question.answer(kept if smaller is None else smaller, f"beam of {width}")


def minimal_linear(
    model: ItemToItem, history: History, item: int, k: int = 10, nodes: int = 20_000
) -> Counterfactual:
    """A smallest set, with proof, for a model whose scores are sums of weights: see
    `Cover`.

    ContentBased is welcome too: dividing all scores by the length of the history
    changes no rank. When `nodes` do not suffice, the best set met so far is returned
    with minimal=False. Raises ValueError as `Question` does, or when the model has no
    item-to-item weights.
    """
    if not isinstance(model, ItemToItem):
        raise ValueError(
            f"model {model.name} is no sum of item-to-item weights: use greedy or beam"
        )
    question = Question(model, history, item, k)
    weights = model.weights[question.history].astype(np.float64)
    kept = question.search(1, len(history))
    cover = Cover(
        weights[:, [item]] - weights[:, question.competitors],
        k,
        None if kept is None else ~kept,
    )
    proven = cover.solve(nodes)
    return question.answer(
        None if cover.best is None else ~cover.best, "branch and bound", proven
    )


class Cover:
    """Branch and bound for the fewest films that let k competitors pass at once (Land
    and Doig 1960).

    gains (films, competitors): what removing a film adds to a competitor's lead over
    the item, W_i,item - W_ic. The leads with the whole history are minus the column
    sums. best: (films,) bool, the films to remove in the best solution so far, or None.
    For one competitor alone the best set of m films are the m with the largest gains,
    so the fewest it needs are known; at least k competitors must pass, so the k-th
    smallest of these numbers is a bound.
    """

    def __init__(self, gains: np.ndarray, k: int, best: np.ndarray | None) -> None:
        self.gains, self.k, self.best = gains, k, best
        needed = self._needed(np.ones(len(gains), dtype=bool), -gains.sum(axis=0))
        hopeful = np.argsort(needed, kind="stable")[
            : max(k, int((needed < self.size).sum()))
        ]
        self.gains = gains[:, hopeful]

    @property
    def size(self) -> int:
        """Films in the best solution so far; without one, more than there are."""
        return len(self.gains) + 1 if self.best is None else int(self.best.sum())

    def solve(self, nodes: int) -> bool:
        """Search at most `nodes` nodes, depth first; True when `best` is proven (if
        None: that there is no solution).

        At a node some films are removed, some are kept for good, and the rest are free.
        """
        stack = [
            (
                np.ones(len(self.gains), dtype=bool),
                np.zeros(len(self.gains), dtype=bool),
            )
        ]
        while stack and nodes:
            free, removed = stack.pop()
            nodes -= 1
            lead = -self.gains[~removed].sum(axis=0)
            total = removed.sum() + self._needed(free, lead)
            bound = np.partition(total, self.k - 1)[self.k - 1]
            if bound < self.size and bound == removed.sum():
                self.best = removed
            elif bound < self.size:
                chosen = np.arange(len(free)) == self._most_helpful(
                    free, lead, total < self.size
                )
                stack += [(free & ~chosen, removed), (free & ~chosen, removed | chosen)]
        return not stack

    def _needed(self, free: np.ndarray, lead: np.ndarray) -> np.ndarray:
        """The fewest free films (competitors,) that make each competitor pass alone; if
        none do, far too many.
        """
        falling = -np.sort(-self.gains[free].clip(0), axis=0)
        passed = np.vstack([lead, lead + np.cumsum(falling, axis=0)]) > 0
        return np.where(passed[-1], passed.argmax(axis=0), 2 * len(free) + 1)

    def _most_helpful(
        self, free: np.ndarray, lead: np.ndarray, hopeful: np.ndarray
    ) -> int:
        """The free film that makes up the largest share of what hopeful competitors
        still lack, summed over them.
        """
        behind = hopeful & (lead <= 0)
        shares = (self.gains[:, behind] / np.maximum(-lead[behind], 1e-9)).clip(0, 1)
        return int(np.where(free, shares.sum(axis=1), -1).argmax())


def holds_after_retraining(
    found: Counterfactual,
    influence: EaseInfluence,
    user: int,
    history: History,
    item: int,
    k: int = 10,
) -> bool:
    """Would the item be out of the top k had these interactions never happened: neither
    in training nor in `history`?

    Re-scoring alone asks a model that still remembers them. For sets that hold by
    construction, search on `Retrained` instead of the model.
    """
    scores = Retrained(influence, user, history).score(
        [np.delete(history, list(found.films))]
    )[0]
    return bool((np.delete(scores, history) > scores[item]).sum() >= k)

"""The fewest films whose removal is proven to change a linear recommendation."""

import numpy as np

from xrec_utils.checks import finite
from xrec_utils.contract import History, HistoryModel, check_count, fits
from xrec_utils.explain.counterfactual import Counterfactual, Question
from xrec_utils.files import require


def minimal_linear(
    model: HistoryModel, history: History, item: int, k: int = 10, nodes: int = 20_000
) -> Counterfactual:
    """A smallest set, with proof, for a model whose scores are sums of weights.

    By branch and bound (Land and Doig 1960, doi:10.2307/1910129): see `Cover`.

    Args:
        model: declares, as item_knn, ease and hybrid do, that its score is the sum of
            its `weights`, or as ContentBased that it is their mean: dividing all scores
            by the length of the history changes no rank.
        history: (n,) item codes, oldest first, no two alike.
        item: the code of the film recommended, outside the history.
        k: length of the list that it has to leave.
        nodes: most nodes of the search tree.

    Returns:
        Counterfactual; when `nodes` do not suffice, of the best set met so far, with
        minimal=False.

    Raises:
        ValueError: as `Question`, when the model's score of this history is no sum or
            mean of its weights, or `nodes` is no whole number above 0.

    Example:
        Film 2 scores 3 + 1, film 3 scores 1 + 2: without the first film 3 leads.

        >>> from xrec_utils.models.classic import ItemToItem
        >>> model = ItemToItem()
        >>> model.name, model.n_items = "by hand", 4
        >>> model.weights = np.array([[0, 0, 3, 1], [0, 0, 1, 2], [0] * 4, [0] * 4])
        >>> reason = minimal_linear(model, np.array([0, 1]), item=2, k=1)
        >>> reason.films, reason.minimal
        ((0,), True)
    """
    require(
        fits(model, "pooling", history) and model.pooling in ("sum", "mean"),
        f"the score that model {model.name} gives this history is not declared to be "
        "a sum or mean of its weights: use greedy or beam",
    )
    question = Question(model, history, item, k)
    weights = model.weights[question.history].astype(float)
    # greedy's set is where the search starts from
    kept = question.search(1, len(history))
    cover = Cover(
        weights[:, [item]] - weights[:, question.competitors],
        k,
        best=None if kept.all() else ~kept,
    )
    proven = cover.solve(nodes)
    return question.answer(
        question.everything if cover.best is None else ~cover.best,
        "branch and bound",
        proven,
    )


class Cover:
    """Branch and bound for the fewest films that let k competitors pass at once.

    For one competitor alone the best set of m films are the m with the largest gains,
    so the fewest it needs are known; at least k competitors must pass, so the k-th
    smallest of these numbers is a bound (Land and Doig 1960, doi:10.2307/1910129).

    Attributes:
        best: (films,) bool, the films to remove in the best solution so far, or None.
        size: how many these are.

    Args:
        gains: (films, competitors), what removing a film adds to a competitor's lead
            over the item, W_i,item - W_ic. The leads with the whole history are minus
            the column sums.
        k: competitors that must pass.
        best: a solution to start from, or None.

    Raises:
        ValueError: gains are no table of finite numbers, or k is no whole number from
            1 to that of the competitors.

    Example:
        Each competitor lags by 1, and another film holds it back by 2: one film lets
        one of them pass, two films let both pass.

        >>> gains = np.array([[2.0, 0.0], [0.0, 2.0], [-1.0, -1.0]])
        >>> cover = Cover(gains, k=2, best=None)
        >>> cover.solve(nodes=100), cover.best.tolist()
        (True, [True, True, False])
    """

    def __init__(self, gains: np.ndarray, k: int, best: np.ndarray | None) -> None:
        check_count("k", k)
        self.gains = finite("gains", gains, ndim=2)
        self.k = k
        self.best = best
        needed = self._needed(
            np.ones(len(gains), dtype=bool),
            -self.gains.sum(axis=0),
        )
        # who alone needs as many films as the solution at hand cannot improve it
        n_hopeful = max(
            k,
            int((needed < self.size).sum()),
        )
        hopeful = np.argsort(needed, kind="stable")
        self.gains = gains[:, hopeful[:n_hopeful]]

    @property
    def size(self) -> int:
        """Films in the best solution so far; without one, more than there are."""
        return len(self.gains) + 1 if self.best is None else int(self.best.sum())

    def solve(self, nodes: int) -> bool:
        """Search at most `nodes` nodes, depth first; True when `best` is proven.

        If `best` is None: that there is no solution. At a node some films are removed,
        some are kept for good, and the rest are free.
        """
        check_count("nodes", nodes)
        all_free = np.ones(len(self.gains), dtype=bool)
        stack = [(all_free, ~all_free)]
        while stack and nodes:
            free, removed = stack.pop()
            nodes -= 1
            lead = -self.gains[~removed].sum(axis=0)
            # (competitors,): films gone before each one alone passes
            total = removed.sum() + self._needed(free, lead)
            bound = np.partition(
                total,
                self.k - 1,
            )[self.k - 1]
            # nothing better lies below a node whose bound is the best size or more
            better = bound < self.size
            if better and bound == removed.sum():
                # k competitors have passed already
                self.best = removed
            elif better:
                chosen = self._most_helpful(
                    free,
                    lead,
                    hopeful=total < self.size,
                )
                still_free = free & ~chosen
                stack += [
                    (still_free, removed),
                    # on top of the stack: the film is removed first
                    (still_free, removed | chosen),
                ]
        return not stack

    def _needed(self, free: np.ndarray, lead: np.ndarray) -> np.ndarray:
        """The fewest free films (competitors,) that make each competitor pass alone.

        If none do, far too many.
        """
        falling = -np.sort(
            -self.gains[free].clip(0),
            axis=0,
        )
        # (films + 1, competitors): row m is the lead after the m best removals
        after = np.vstack(
            [lead, lead + np.cumsum(falling, axis=0)],
        )
        passed = after > 0
        return np.where(
            passed[-1],
            # the first row in which it is true
            passed.argmax(axis=0),
            2 * len(free) + 1,
        )

    def _most_helpful(
        self, free: np.ndarray, lead: np.ndarray, hopeful: np.ndarray
    ) -> np.ndarray:
        """The free film that helps most, as a mask (films,).

        It makes up the largest share of what hopeful competitors still lack, summed
        over them.
        """
        behind = hopeful & (lead <= 0)
        # no division by zero for who is level with the item
        lacking = np.maximum(-lead[behind], 1e-9)
        shares = (self.gains[:, behind] / lacking).clip(0, 1)
        helps = np.where(free, shares.sum(axis=1), -1)
        return np.arange(len(free)) == helps.argmax()

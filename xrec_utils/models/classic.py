"""Recommenders without a network. Every deep model of the course stands beside them in
the same table.

ContentBased, ItemKNN, EASE and HybridEASE are one formula, score_j = Σ_i W_ij over the
films i of the history; they differ in where W comes from. Each W_ij is therefore a
reason: what film i adds to the score of film j.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from scipy import linalg

from xrec_utils.contract import (
    History,
    Sums,
    check_count,
    item_codes,
    item_columns,
    multi_hot,
)
from xrec_utils.models.attributes import item_features


class Popularity:
    """Recommends what most people rated; the history only takes films off the list.

    The score of an item is log(1 + number of users who have it), the same for every
    history, the empty one included.
    """

    name = "popularity"
    pooling = "nothing"

    def fit(self, histories: Sequence[History], n_items: int) -> Self:
        """Count, for each of the `n_items` items, the histories that hold it."""
        self.n_items = n_items
        self.count = multi_hot(histories, n_items).sum(axis=0)
        return self

    def score(
        self, histories: Sequence[History], items: np.ndarray | None = None
    ) -> np.ndarray:
        """Return scores of shape (n histories, n items or len(items))."""
        return item_columns(
            np.tile(np.log1p(self.count), (len(histories), 1)),
            items,
        )


class ItemToItem:
    """What the linear models share: `weights` W, float32 (n_items, n_items), row = film
    had, column = film scored.

    The empty history scores zero everywhere.
    """

    name = "item to item"
    pooling = "sum"

    def sums(self, history: History, items: np.ndarray) -> Sums:
        """What each film adds to the scores of `items`; nothing follows the sum."""
        return Sums(
            self.weights[np.ix_(history, items)],
            finish=lambda sums, films: sums,
        )

    def score(
        self, histories: Sequence[History], items: np.ndarray | None = None
    ) -> np.ndarray:
        """Return scores of shape (n histories, n items or len(items)).

        Only the rows of films that occur are read.
        """
        films = [
            item_codes("history", history, len(self.weights)) for history in histories
        ]
        rows = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *films]))
        places = [np.searchsorted(rows, codes) for codes in films]
        return multi_hot(places, len(rows)) @ item_columns(self.weights[rows], items)


class ContentBased(ItemToItem):
    """Recommends films like those of the history (Pazzani & Billsus 2007,
    doi:10.1007/978-3-540-72079-9_10).

    score_j = mean over the history of the cosine between films i and j, which is the
    dot product of the history's mean profile with film j. No ratings are used, so films
    that nobody has rated are scored like all others.

    Args:
        items: title, year and genres by item code.
        year, title: weights of these fields, see `item_features`.
    """

    name = "content"
    pooling = "mean"

    def __init__(
        self, items: pd.DataFrame, year: float = 1.0, title: float = 1.0
    ) -> None:
        self.features = item_features(items, year, title)

    def fit(self, histories: Sequence[History], n_items: int) -> Self:
        """Compare the items with each other; the histories are not needed."""
        self.n_items = n_items
        self.weights = (self.features @ self.features.T).toarray()
        return self

    def score(
        self, histories: Sequence[History], items: np.ndarray | None = None
    ) -> np.ndarray:
        """Return scores of shape (n histories, n items or len(items)), in [0, 1]."""
        return mean_of(
            super().score(histories, items),
            films=np.array([len(history) for history in histories]),
        )

    def sums(self, history: History, items: np.ndarray) -> Sums:
        """The similarities (n, k) of each film, of which the mean is taken."""
        return Sums(super().sums(history, items).addends, finish=mean_of)


def mean_of(sums: np.ndarray, films: np.ndarray) -> np.ndarray:
    """Means (m, k) from sums (m, k) over `films` (m,) films; no film gives zeros."""
    return sums / np.maximum(films, 1)[:, None].astype(np.float32)


@dataclass(eq=False)
class UserKNN:
    """Recommends what people with a like history have (Resnick et al. 1994,
    doi:10.1145/192844.192905).

    score_j = sum of the cosine similarities of those of the `n_neighbours` most similar
    training users who have j. The empty history is similar to nobody and scores zero
    everywhere.
    """

    name = "user_knn"

    n_neighbours: int = 100

    def fit(self, histories: Sequence[History], n_items: int) -> Self:
        """Remember the histories: `seen` is float32 (users, n_items)."""
        check_count("n_neighbours", self.n_neighbours)
        self.n_items = n_items
        self.seen = multi_hot(histories, n_items)
        return self

    def neighbours(self, histories: Sequence[History]) -> np.ndarray:
        """Similarity to every training user, (n histories, users), zero outside each
        history's nearest.
        """
        asked = multi_hot(histories, self.n_items)
        return self._nearest(
            asked @ self.seen.T,
            asked.sum(axis=1),
        )

    def _nearest(self, common: np.ndarray, films: np.ndarray) -> np.ndarray:
        """Cosines (m, users) from films in common, for histories of `films` (m,)."""
        lengths = np.outer(
            films,
            self.seen.sum(axis=1),
        ).astype(np.float32)
        # an empty history has nothing in common: 0/1 instead of 0/0
        cosine = common / np.sqrt(np.maximum(lengths, 1))
        return keep_largest(cosine, self.n_neighbours)

    def score(
        self, histories: Sequence[History], items: np.ndarray | None = None
    ) -> np.ndarray:
        """Return scores of shape (n histories, n items or len(items))."""
        return self.neighbours(histories) @ item_columns(self.seen, items)

    def sums(self, history: History, items: np.ndarray) -> Sums:
        """Films in common (n, users) with each training user."""

        def finish(sums: np.ndarray, films: np.ndarray) -> np.ndarray:
            """Mean similarities (m, k) of groups of films."""
            return self._nearest(sums, films) @ self.seen[:, items]

        # one row per film, whole in memory for the sums
        return Sums(
            np.ascontiguousarray(self.seen[:, history].T),
            finish,
        )


def keep_largest(similarity: np.ndarray, k: int) -> np.ndarray:
    """Set all but the k largest entries of each row to zero."""
    if k < similarity.shape[1]:
        others = np.argpartition(
            -similarity,
            k,
            axis=1,
        )[:, k:]
        np.put_along_axis(similarity, others, 0, axis=1)
    return similarity


@dataclass(eq=False)
class ItemKNN(ItemToItem):
    """Recommends what goes with the films of the history (Sarwar et al. 2001,
    doi:10.1145/371920.372071).

    W_ij = n_ij / (sqrt(n_i n_j) + shrink), with n_i users who have i and n_ij who have
    both: the cosine of two columns of the rating matrix, less trusted when few users
    stand behind it. Of each column the `n_neighbours` largest stay.
    """

    name = "item_knn"

    n_neighbours: int = 100
    shrink: float = 10.0

    def fit(self, histories: Sequence[History], n_items: int) -> Self:
        """Count who has both films of each pair."""
        check_count("n_neighbours", self.n_neighbours)
        self.n_items = n_items
        seen = multi_hot(histories, n_items)
        # (n_items, n_items): users who have both, on the diagonal who has each
        both = seen.T @ seen
        length = np.sqrt(np.maximum(np.diag(both), 1))
        similarity = both / (np.outer(length, length) + np.float32(self.shrink))
        np.fill_diagonal(similarity, 0)
        self.weights = np.ascontiguousarray(
            keep_largest(similarity, self.n_neighbours).T,
        )
        return self


@dataclass(eq=False)
class EASE(ItemToItem):
    """The linear item-to-item model with a closed form (Steck 2019,
    doi:10.1145/3308558.3313710).

    With X the users x items matrix of ones and P = (XᵀX + λI)⁻¹, the weights are B = I
    - P / diag(P), zero on the diagonal, and a history scores an item by the sum of its
    films' weights to it: score_j = Σ_i B_ij. The empty history scores zero everywhere.

    Args:
        regularisation: λ, in units of users who share two films.

    `fit(histories, n_items)` gives the model back, its `weights` B float32 (n_items,
    n_items); `score(histories)` gives float32 (n histories, n_items).

    Raises:
        LinAlgError: λ is zero and a film has no user.

    Example:
        >>> histories = [np.array([0, 1]), np.array([0, 1]), np.array([2])]
        >>> model = EASE(regularisation=1.0).fit(histories, n_items=3)
        >>> int(model.score([np.array([0])])[0].argmax())  # film 1 goes with film 0
        1
    """

    name = "ease"

    regularisation: float = 200.0

    def gram(self, histories: Sequence[History]) -> np.ndarray:
        """XᵀX, float64: how many users have both films of each pair."""
        seen = multi_hot(histories, self.n_items)
        return (seen.T @ seen).astype(np.float64)

    def fit(self, histories: Sequence[History], n_items: int) -> Self:
        """Solve for B, float32 (n_items, n_items); cost grows with n_items cubed."""
        self.n_items = n_items
        gram = self.gram(histories)
        gram[np.diag_indices(n_items)] += self.regularisation
        # P, then B in its place: saves 200 MB
        weights = linalg.inv(gram.T, overwrite_a=True)
        weights /= -np.diag(weights)
        weights[np.diag_indices(n_items)] = 0.0
        self.weights = weights.astype(np.float32)
        return self


class HybridEASE(EASE):
    """EASE that also knows what the films are (Jeunen et al. 2020,
    doi:10.1145/3383313.3418480).

    Attributes stand in X like `weight` more users, each of whom has all films with one
    attribute: the Gram matrix becomes XᵀX + weight · TᵀT, with T attributes x items. A
    film that nobody has rated is reached by films like it.

    Args:
        items: title, year and genres by item code, see `item_features`.
        regularisation: λ, in units of users who share two films.
        weight: how many users a full match of attributes counts for.
    """

    name = "hybrid"

    def __init__(
        self, items: pd.DataFrame, regularisation: float = 200.0, weight: float = 20.0
    ) -> None:
        super().__init__(regularisation)
        self.features = item_features(items)
        self.weight = weight

    def gram(self, histories: Sequence[History]) -> np.ndarray:
        """XᵀX + weight · TᵀT, float64."""
        return (
            super().gram(histories)
            + self.weight * (self.features @ self.features.T).toarray()
        )


@dataclass(eq=False)
class ImplicitALS:
    """Factors of users and films, each solved in turn by ridge regression (Hu et al.
    2008, doi:10.1109/ICDM.2008.22).

    Minimises Σ (1 - w_u·h_i)² over what users have + w0 Σ (w_u·h_i)² over all pairs +
    λ-weighted squared lengths, in the form of Rendle et al. 2022
    (doi:10.1145/3523227.3548486): the penalty of a row grows with its number of films.
    A history is folded in by the same ridge solve that trained the users: score = w ·
    h_j; the empty one gives zeros.

    Args:
        width: length of the vectors.
        w0: weight of "does not have" next to "has", which weighs 1.
        regularisation: λ, in the unit of the summed weights.
        sweeps: how often users and films are solved in turn.
        seed: start of the films' factors.

    `fit(histories, n_items)` gives the model back, its `factors` H float32 (n_items,
    width); `score(histories)` gives float32 (n histories, n_items), near 1 for films
    that go with the history.

    Raises:
        ValueError: a history holds something else than item codes.

    Example:
        >>> histories = [np.array([0, 1]), np.array([0, 1]), np.array([2])]
        >>> model = ImplicitALS(width=2).fit(histories, n_items=3)
        >>> int(model.score([np.array([0])])[0].argmin())  # film 2 comes last
        2
    """

    name = "ials"

    width: int = 64
    w0: float = 0.1
    regularisation: float = 0.01
    sweeps: int = 10
    seed: int = 0

    def fit(self, histories: Sequence[History], n_items: int) -> Self:
        """Alternate between users and films; `factors` H is float32 (n_items, width)."""
        self.n_items = n_items
        # for each film the users who have it: the other side's "histories"
        owners = [np.flatnonzero(column) for column in multi_hot(histories, n_items).T]
        self.factors = np.float32(
            np.random.default_rng(self.seed).normal(
                loc=0,
                scale=self.width**-0.5 / 10,
                size=(n_items, self.width),
            )
        )
        for _ in range(self.sweeps):
            self.factors = self.solve(owners, self.solve(histories, self.factors))
        return self

    def solve(self, histories: Sequence[History], factors: np.ndarray) -> np.ndarray:
        """The best vector of each history, given the other side's `factors`: (n
        histories, width).
        """
        # all pairs weigh w0; what a row has is added to that, so zeros cost nothing
        systems = np.tile(self.w0 * factors.T @ factors, (len(histories), 1, 1))
        unit = np.eye(self.width, dtype=np.float32)
        sums = np.zeros(
            (len(histories), self.width),
            dtype=np.float32,
        )
        for n, history in enumerate(histories):
            mine = factors[item_codes("history", history, len(factors))]
            penalty = self.regularisation * (len(mine) + self.w0 * len(factors))
            systems[n] += mine.T @ mine + penalty * unit
            sums[n] = mine.sum(axis=0)
        return np.linalg.solve(
            systems,
            sums[:, :, None],
        )[:, :, 0]

    def score(
        self, histories: Sequence[History], items: np.ndarray | None = None
    ) -> np.ndarray:
        """Return scores of shape (n histories, n items or len(items))."""
        return self.solve(histories, self.factors) @ item_columns(self.factors.T, items)

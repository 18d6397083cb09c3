"""Influence: what one rating of the training data does to a recommendation.

Exact and without training again. A counterfactual about the *data*: had user u never
rated film i, what would the model say? For EASE the answer has a closed form. Let x be
u's row of X, d the ones at the films to forget, x' = x - d. Then XᵀX + λI changes by
x'x'ᵀ - xxᵀ, a matrix of rank two however many of u's films are forgotten, and with U =
[x, x'] and C = diag(-1, 1)

    P' = P - P U (C⁻¹ + Uᵀ P U)⁻¹ Uᵀ P

(Woodbury 1950, "Inverting modified matrices"), so that one inversion serves every
deletion, each of which then costs O(n_items · length of the histories). The scores
follow from P' alone: B = I - P / diag(P) gives s = h - P'h / diag(P') for a history h
of ones and zeros.
"""

from collections.abc import Sequence
from time import perf_counter

import numpy as np
from scipy import linalg

from xrec_utils.contract import (
    History,
    declares,
    item_codes,
    item_columns,
    multi_hot,
)
from xrec_utils.files import require
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import history_game, namer
from xrec_utils.models.classic import EASE


def inverse_gram(model: EASE, histories: Sequence[History]) -> np.ndarray:
    """Train EASE from the start: P = (XᵀX + λI)⁻¹ of its histories.

    P is all that EASE learns (Steck 2019, doi:10.1145/3308558.3313710): its weights are
    I - P / diag(P).

    Args:
        model: EASE or HybridEASE, with its number of items known.
        histories: item codes, one array per user.

    Returns:
        (n_items, n_items) float64.

    Example:
        One user with both films: XᵀX + I = [[2, 1], [1, 2]].

        >>> users = [np.array([0, 1])]
        >>> model = EASE(regularisation=1.0).fit(users, 2)
        >>> inverse_gram(model, users).round(3).tolist()
        [[0.667, -0.333], [-0.333, 0.667]]
    """
    gram = model.gram(histories)
    gram[np.diag_indices(model.n_items)] += model.regularisation
    # both are symmetric: in LAPACK's order nothing is copied, which saves 280 MB
    return linalg.inv(gram.T, overwrite_a=True).T


def _sum_of_rows(inverse: np.ndarray, films: History) -> np.ndarray:
    """P times the ones at some films, (n_items,): its rows are its columns, too."""
    return inverse[item_codes("films", films, len(inverse))].sum(axis=0)


class EaseInfluence:
    """A trained EASE that can forget: its scores had a user not rated some films.

    Exact, by Woodbury's formula (see the module). Everything is float64: an influence
    is a small difference of large scores. P takes 8 · n_items² bytes.

    Attributes:
        inverse: P (n_items, n_items), from `inverse_gram`.
        diagonal: (n_items,) of P.

    Args:
        model: EASE or HybridEASE, fitted.
        histories: what it was fitted on, by user code; the rows that a user is able to
            forget from.

    Raises:
        ValueError: the model is not fitted, was fitted on other histories, or has a
            score of its own that the formula does not know.

    Example:
        Training again without film 1 of user 0 gives the same scores.

        >>> users = [np.array([0, 1, 2]), np.array([0, 1]), np.array([1, 2])]
        >>> influence = EaseInfluence(EASE(1.0).fit(users, 3), users)
        >>> forgotten = [np.array([1])]
        >>> influence.retrained_scores(0, forgotten, [users[1]]).round(3).tolist()
        [[0.25, 0.25, 0.5]]
        >>> users[0] = np.array([0, 2])
        >>> EASE(1.0).fit(users, 3).score([np.array([0, 1])]).round(3).tolist()
        [[0.25, 0.25, 0.5]]
    """

    def __init__(self, model: EASE, histories: Sequence[History]) -> None:
        require(
            declares(model, "pooling"),
            f"the score of {model.name} is not declared to be that of its weights: "
            "only training again tells what it would be",
        )
        require(
            hasattr(model, "weights"),
            f"model {model.name} has no weights yet: "
            "call fit(histories, n_items) first",
        )
        self.model = model
        self.n_items = model.n_items
        self.histories = histories
        self.inverse = inverse_gram(model, histories)
        self.diagonal = np.diag(self.inverse).copy()
        # I - P / diag(P) less the weights, in place: these matrices are large
        difference = self.inverse / self.diagonal
        difference += model.weights
        difference[np.diag_indices(self.n_items)] -= 1
        require(
            np.abs(difference, out=difference).max() <= 1e-5,
            f"histories are not those that {model.name} was fitted on: "
            "its weights come out otherwise",
        )

    def retrained_scores(
        self, user: int, forgotten: Sequence[np.ndarray], histories: Sequence[History]
    ) -> np.ndarray:
        """Scores (m, n_items) after m separate trainings.

        The r-th is without the films `forgotten[r]` of the user. forgotten: m arrays of
        item codes, each among the user's training films; an empty one forgets nothing.
        histories: what is scored, m of them or one for all. It is given at
        recommendation time and not changed here. Takes about 80 · m · n_items bytes for
        a moment. Raises ValueError when the user's training films lack one, or there is
        no such user.
        """
        row = self.films_of(user)
        strange = np.setdiff1d(np.hstack(forgotten), row)
        require(
            strange.size == 0,
            f"user {user} has no training interaction with {strange.tolist()}: "
            "none to forget",
        )
        left, right = self._update(row, forgotten)
        given = multi_hot(histories, self.n_items).astype(np.float64)
        # (m, 2): V h
        projected = np.matmul(left, given[:, :, None])[:, :, 0]
        # (m, n_items): P'h = P h - (K⁻¹V)ᵀ V h
        answers = np.array(
            [_sum_of_rows(self.inverse, history) for history in histories],
        ) - np.einsum(
            "ms,msn->mn",
            projected,
            right,
        )
        # (m, n_items): the diagonal of P', without the rest of it
        lost = (left * right).sum(axis=1)
        return given - answers / (self.diagonal - lost)

    def films_of(self, user: int) -> np.ndarray:
        """Codes of the films that training saw of a user; ValueError for no such."""
        item_codes("user", [user], len(self.histories))
        return np.asarray(self.histories[user])

    def _update(
        self, row: np.ndarray, forgotten: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """V = UᵀP and K⁻¹V with K = C⁻¹ + UᵀPU, both (m, 2, n_items).

        For each deletion P' = P - Vᵀ(K⁻¹V).
        """
        # Uᵀ, (m, 2, n_items): the user's row before and after
        remaining = [np.setdiff1d(row, films) for films in forgotten]
        ends = np.stack(
            np.broadcast_arrays(
                multi_hot([row], self.n_items),
                multi_hot(remaining, self.n_items),
            ),
            axis=1,
        )
        whole = _sum_of_rows(self.inverse, row)
        # less the few rows forgotten: cheaper than adding up those that remain
        rest = np.array(
            [whole - _sum_of_rows(self.inverse, films) for films in forgotten],
        )
        sides = np.stack([np.broadcast_to(whole, rest.shape), rest], axis=1)
        # K, (m, 2, 2)
        small = np.matmul(sides, ends.transpose(0, 2, 1)) + np.diag([-1.0, 1.0])
        return sides, np.linalg.solve(small, sides)

    def influence(
        self,
        user: int,
        history: History,
        item: int,
        *,
        titles: Sequence[str] | None = None,
        both: bool = False,
    ) -> Explanation:
        """How far the item's score falls when training forgets one film of the user.

        For each of these films. Two questions, which differ for films of `history`.
        both=False: only training forgets the interaction, the history at recommendation
        time stays as it is: what did *learning* from it do? both=True: it never
        happened, so the history lacks it too, and what it says about the user is lost
        as well. Players are the user's training films, oldest first; value = score now
        - score after. Base: the score after forgetting all of them at once. titles:
        names by item code. Raises ValueError as `history_game` does.
        """
        start = perf_counter()
        target = history_game(self.model, history, item, titles=titles).target
        row = self.films_of(user)
        history = np.asarray(history)
        forgotten = [
            row[:0],  # nothing
            row,  # everything
            *row[:, None],  # one film at a time
        ]
        # what the history lacks: one for all, or one for each training
        absent = forgotten if both else forgotten[:1]
        score, base, *after = self.retrained_scores(
            user,
            forgotten,
            [history[~np.isin(history, films)] for films in absent],
        )[:, item]
        return Explanation(
            players=tuple(map(namer(titles), row)),
            target=target,
            values=score - np.array(after),
            base=base,
            score=score,
            method=(
                "influence on training and history" if both else "influence on training"
            ),
            seconds=perf_counter() - start,
        )


class Retrained:
    """EASE as it would be had the films that a history lacks never been rated.

    Trained anew for every history scored. It is a HistoryModel, so that every search
    and game for one works on it, with "absent" meaning absent from training too.

    Attributes:
        known: codes of the user's films that training saw, ascending.

    Args:
        influence: the trained model that can forget.
        user: whose training row loses the films.
        history: the user's history; films of it that a scored history lacks are
            forgotten where training saw them.

    Raises:
        ValueError: training saw no such user.

    Example:
        The whole history: nothing is forgotten, and the scores are EASE's.

        >>> users = [np.array([0, 1, 2]), np.array([0, 1]), np.array([1, 2])]
        >>> model = EASE(1.0).fit(users, 3)
        >>> retrained = Retrained(EaseInfluence(model, users), 1, users[1])
        >>> bool(np.allclose(retrained.score([users[1]]), model.score([users[1]])))
        True
        >>> retrained.score([users[1][:1]], items=np.array([2])).round(3).tolist()
        [[0.125]]
    """

    def __init__(self, influence: EaseInfluence, user: int, history: History) -> None:
        self.name = f"{influence.model.name}, retrained"
        self.n_items = influence.n_items
        self.influence = influence
        self.user = user
        self.known = np.intersect1d(history, influence.films_of(user)).astype(int)

    def score(
        self,
        histories: Sequence[History],
        items: np.ndarray | None = None,
        batch: int = 128,
    ) -> np.ndarray:
        """Return float64 scores of shape (n histories, n items or len(items)).

        `batch` trainings at once.
        """
        parts = []
        for at in range(0, len(histories), batch):
            part = histories[at : at + batch]
            scores = self.influence.retrained_scores(
                self.user,
                [np.setdiff1d(self.known, history) for history in part],
                part,
            )
            parts.append(item_columns(scores, items))
        return np.concatenate(parts)

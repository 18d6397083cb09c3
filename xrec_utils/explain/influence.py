"""Influence: what one rating of the training data does to a recommendation, exact and
without training again.

A counterfactual about the *data*: had user u never rated film i, what would the model
say? For EASE the answer has a closed form. Let x be u's row of X, d the ones at the
films to forget, x' = x - d. Then XᵀX + λI changes by x'x'ᵀ - xxᵀ, a matrix of rank two
however many of u's films are forgotten, and with U = [x, x'] and C = diag(-1, 1)

    P' = P - P U (C⁻¹ + Uᵀ P U)⁻¹ Uᵀ P            (Woodbury 1950, "Inverting modified matrices")

so that one inversion serves every deletion, each of which then costs O(n_items · length
of the histories). The scores follow from P' alone: B = I - P / diag(P) gives s = h -
P'h / diag(P') for a history h of ones and zeros.
"""

from collections.abc import Sequence
from time import perf_counter

import numpy as np
from scipy import linalg

from xrec_utils.classic import EASE
from xrec_utils.contract import History, item_columns, multi_hot
from xrec_utils.games import Explanation, history_game, namer


def inverse_gram(model: EASE, histories: Sequence[History]) -> np.ndarray:
    """P = (XᵀX + λI)⁻¹ of the model trained on `histories`, float64 (n_items, n_items):
    training, from the start.
    """
    gram = model.gram(histories)
    gram[np.diag_indices(model.n_items)] += model.regularisation
    return linalg.inv(gram, overwrite_a=True)


def ease_scores(inverse: np.ndarray, history: History) -> np.ndarray:
    """The scores (n_items,) float64 which EASE with the inverse P gives a history: s =
    h - P h / diag(P).
    """
    films = np.asarray(history, dtype=np.int64)
    return multi_hot([films], len(inverse))[0] - inverse[films].sum(axis=0) / np.diag(
        inverse
    )


class EaseInfluence:
    """A trained EASE or HybridEASE that can forget: its scores after training without
    some of a user's films.

    Everything is float64: an influence is a small difference of large scores. P takes 8
    · n_items² bytes.

    Args:
        model: EASE or HybridEASE, fitted.
        histories: what it was fitted on, by user code; the rows that a user is able to
            forget from.

    Raises:
        ValueError: the model is not fitted, or was fitted on other histories.
    """

    def __init__(self, model: EASE, histories: Sequence[History]) -> None:
        if not hasattr(model, "weights"):
            raise ValueError(
                f"model {model.name} has no weights yet: call fit(histories, n_items) first"
            )
        self.model, self.n_items, self.histories = model, model.n_items, histories
        self.inverse = inverse_gram(model, histories)
        self.diagonal = np.diag(self.inverse).copy()
        apart = self.inverse / self.diagonal
        apart += model.weights  # in place: these matrices are large
        apart[np.diag_indices(self.n_items)] -= 1
        if not np.abs(apart, out=apart).max() <= 1e-5:
            raise ValueError(
                f"histories are not those that {model.name} was fitted on: its weights come out otherwise"
            )

    def retrained_scores(
        self, user: int, forgotten: Sequence[np.ndarray], histories: Sequence[History]
    ) -> np.ndarray:
        """Scores (m, n_items) after m separate trainings, the r-th without the films
        `forgotten[r]` of the user.

        forgotten: m arrays of item codes, each among the user's training films; an
        empty one forgets nothing. histories: what is scored, m of them or one for all.
        It is given at recommendation time and not changed here. Takes about 80 · m ·
        n_items bytes for a moment. Raises ValueError when the user's training films
        lack one.
        """
        row = np.asarray(self.histories[user])
        for films in forgotten:
            if not np.isin(films, row).all():
                raise ValueError(
                    f"user {user} has no training interaction with all of {list(films)}: none to forget"
                )
        update = self._update(row, forgotten)
        given = multi_hot(histories, self.n_items).astype(np.float64)
        answers = np.array(
            [
                self.inverse[np.asarray(history, int)].sum(axis=0)
                for history in histories
            ]
        )
        answers = answers - np.einsum(
            "ms,msn->mn", (update[0] @ given[:, :, None])[:, :, 0], update[1]
        )
        return given - answers / (self.diagonal - (update[0] * update[1]).sum(axis=1))

    def _update(
        self, row: np.ndarray, forgotten: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """V = UᵀP and K⁻¹V with K = C⁻¹ + UᵀPU, both (m, 2, n_items), so that P' = P -
        Vᵀ(K⁻¹V) for each deletion.
        """
        whole = self.inverse[row].sum(axis=0)
        rest = np.array(
            [
                whole - self.inverse[np.asarray(films, int)].sum(axis=0)
                for films in forgotten
            ]
        )
        sides = np.stack([np.broadcast_to(whole, rest.shape), rest], axis=1)
        kept = multi_hot(
            [np.setdiff1d(row, films) for films in forgotten], self.n_items
        )
        ends = np.stack(
            np.broadcast_arrays(multi_hot([row], self.n_items), kept), axis=1
        )
        return sides, np.linalg.solve(
            np.diag([-1.0, 1.0]) + sides @ ends.transpose(0, 2, 1), sides
        )

    def influence(
        self,
        user: int,
        history: History,
        item: int,
        titles: Sequence[str] | None = None,
        both: bool = False,
    ) -> Explanation:
        """How far the item's score falls when training forgets one film of the user,
        for each of these films.

        Two questions, which differ for films of `history`. both=False: only training
        forgets the interaction, the history at recommendation time stays as it is: what
        did *learning* from it do? both=True: it never happened, so the history lacks it
        too, and what it says about the user is lost as well. Players are the user's
        training films, oldest first; value = score now - score after. Base: the score
        after forgetting all of them at once. titles: names by item code. Raises
        ValueError as `history_game` does.
        """
        start, target = (
            perf_counter(),
            history_game(self.model, history, item, titles).target,
        )
        row = np.asarray(self.histories[user])
        forgotten = [row[:0], row, *row[:, None]]
        history = np.asarray(history)
        given = (
            [history[~np.isin(history, films)] for films in forgotten]
            if both
            else [history]
        )
        score, base, *after = self.retrained_scores(user, forgotten, given)[:, item]
        method = f"influence on {'training and history' if both else 'training'}"
        values = score - np.array(after)
        return Explanation(
            tuple(map(namer(titles), row)),
            target,
            values,
            base,
            score,
            method,
            perf_counter() - start,
        )


class Retrained:
    """EASE as it would be had the films that a history lacks never been rated: trained
    anew for every history scored.

    A HistoryModel, so that every search and game for one works on it, with "absent"
    meaning absent from training too.

    Args:
        influence: the trained model that can forget.
        user: whose training row loses the films.
        history: the user's history; films of it that a scored history lacks are
            forgotten where training saw them.
    """

    def __init__(self, influence: EaseInfluence, user: int, history: History) -> None:
        self.name, self.n_items = (
            f"{influence.model.name}, retrained",
            influence.n_items,
        )
        self.influence, self.user = influence, user
        self.known = np.intersect1d(history, influence.histories[user]).astype(np.int64)

    def score(
        self,
        histories: Sequence[History],
        items: np.ndarray | None = None,
        batch: int = 128,
    ) -> np.ndarray:
        """Return float64 scores of shape (n histories, n items or len(items)); `batch`
        trainings at once.
        """
        parts = [
            histories[at : at + batch] for at in range(0, max(len(histories), 1), batch)
        ]
        forgotten = [
            [np.setdiff1d(self.known, history) for history in part] for part in parts
        ]
        scores = map(
            self.influence.retrained_scores, [self.user] * len(parts), forgotten, parts
        )
        return np.concatenate([item_columns(each, items) for each in scores])

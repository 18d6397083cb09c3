"""Attention on trial: would other weights have given the same score?

The experiments of "Attention is not Explanation" (Jain and Wallace 2019,
arXiv:1902.10186) and "Attention is not not Explanation" (Wiegreffe and Pinter 2019,
arXiv:1908.04626) for recommenders. The weights of the last attention's last row are
replaced, all else is held fixed: exact, for the score is a known function of that row.
The start token keeps its share in every head, since an explanation does not name it:
only the films trade places.
"""

from typing import NamedTuple
from unittest.mock import patch

import numpy as np
from scipy.spatial.distance import jensenshannon

from xrec_utils.checks import finite
from xrec_utils.explain.attention import last_row
from xrec_utils.files import require
from xrec_utils.games.game import Game, Masks, history_game
from xrec_utils.models.sequence import HistoryRecommender

# of the stretch between two films; each leaves the mixture on the allowed side
_HALVINGS = 16


class Adversary(NamedTuple):
    """Other attention, and how far it lies from the model's own.

    shares: (films read,) the films' shares. divergence: from the model's shares, of
    Jensen and Shannon, in nats, at most ln 2 = 0.69. change: of the score.
    """

    shares: np.ndarray
    divergence: float
    change: float


class AttentionTrial:
    """One recommendation whose attention over the films is changed at will.

    After Jain and Wallace (2019, arXiv:1902.10186) and Wiegreffe and Pinter (2019,
    arXiv:1908.04626).

    Attributes:
        row: (heads, 1 + films read) the model's own weights, start token first.
        shares: (films read,) their mean over the heads, adding up to one.
        score: the model's own.

    Args:
        model: attention, gru_attention or din: any with `score_of_attention(history,
            item)`.
        history: item codes, oldest first.
        item: the code of a film outside of it.

    Raises:
        TypeError: the model has no attention.
        ValueError: the history or the item is one that `history_game` refuses.

    Example:
        An untrained model of five films: its own weights give its own score.

        >>> from xrec_utils.models.target_attention import TargetAttention
        >>> model = TargetAttention(np.eye(5, 2), width=4)
        >>> trial = AttentionTrial(model, np.array([0, 1, 2]), item=4)
        >>> trial.row.shape, trial.shares.shape
        ((1, 4), (3,))
        >>> bool(abs(trial.with_shares(trial.shares[None])[0] - trial.score) < 1e-5)
        True
    """

    def __init__(
        self, model: HistoryRecommender, history: np.ndarray, item: int
    ) -> None:
        self.model = model
        self.history = np.asarray(history)
        self.item = item
        history_game(model, self.history, item)  # for its checks
        self.row = last_row(model, self.history, item)
        # of the films alone, so that they add up to one without the start token
        films = self.row[:, 1:].astype(np.float64)
        self.shares = films.sum(axis=0) / films.sum()
        self._score = model.score_of_attention(self.history, item)
        self.score = float(
            self.scores(self.row[None])[0],
        )

    def scores(self, weights: np.ndarray) -> np.ndarray:
        """Return the scores (n,) with other weights.

        weights: (n, heads, L), or (n, L) for all heads alike; place 0 is the start
        token. Raises ValueError on another shape and on what is not finite.
        """
        weights = finite("weights", weights, ndim=None).astype(np.float32)
        if weights.ndim == 2:
            # the same row for every head
            weights = np.repeat(weights[:, None], len(self.row), axis=1)
        require(
            weights.shape[1:] == self.row.shape,
            f"weights must be (n, {self.row.shape[1]}) or (n, {self.row.shape}), "
            f"got {weights.shape}",
        )
        return self._score(weights).numpy()

    def with_shares(self, shares: np.ndarray) -> np.ndarray:
        """Return the scores (n,) when every head spreads its attention alike.

        shares: (n, films read); a head keeps what it gives to the start token.
        """
        # (n, heads, films): what the start token leaves of one goes to the films
        films = (1 - self.row[:, :1]) * shares[:, None]
        # the start token's weight goes back to place 0
        return self.scores(
            np.insert(films, 0, self.row[:, 0], axis=2),
        )

    def dealt(self, draws: int = 100, seed: int = 0) -> np.ndarray:
        """Return rows (draws, heads, L) whose films' weights are dealt out at random.

        Alike in all heads; the start token keeps its own. A film then says nothing
        about its weight, and where `scores` hardly change, the weights are no reason.
        Raises ValueError unless there is a draw.
        """
        rng = np.random.default_rng(seed)
        # films stand behind the start token, which stays where it is
        return np.insert(
            [rng.permutation(self.row[:, 1:], axis=1) for _ in range(draws)],
            0,
            self.row[:, 0],
            axis=2,
        )

    def game(self, row: np.ndarray) -> Game:
        """Return the history game in which each film keeps a weight of this row.

        row: (heads, L), start token first. The weights of the films present are brought
        to a sum of one; all else is read anew from these films: the states of a GRU,
        places, and what passes by the attention. In din, with its own row, it is
        `history_game`. Raises ValueError if the history is longer than the window; the
        game does so when it is played if there is more than one layer of attention.
        """

        def value(masks: Masks) -> np.ndarray:
            """Scores (n,) of groups (n, films)."""
            # the start token is always there
            present = np.insert(masks, 0, True, axis=1)
            weights = row * present[:, None]
            weights = weights / weights.sum(axis=2, keepdims=True)
            if self.model.encoder is None:
                return self.scores(weights)
            ids = self.model.windows([self.history[films] for films in masks])
            # padding stands on the left, and has no weight
            places = np.argsort(present, axis=1, kind="stable")[:, -ids.shape[1] :]
            with self.held(np.take_along_axis(weights, places[:, None], axis=2)):
                return self.model.table.logits(
                    self.model.encoder(self.model._inputs(ids), training=False)[:, -1]
                ).numpy()[:, self.item]

        return Game(tuple(map(str, self.history)), "score", value, batch=4096)

    def held(self, weights: np.ndarray) -> patch:
        """A context in which the last place attends with weights (n, heads, places).

        They belong to the n histories read in it. Raises ValueError if the model has
        more than one layer of attention, AttributeError for din, which has none.
        """
        return patch.object(
            # of one layer only: a second name would be refused
            self.model.encoder.get_layer(*self.model.maps.output),
            "_masked_softmax",
            # each place gets the last one's: with one layer nobody reads the others
            lambda scores, mask=None: np.repeat(
                np.float32(weights)[:, :, None], scores.shape[2], axis=2
            ),
        )

    def adversarial(self, eps: float) -> Adversary:
        """Find the most different shares that change the score by at most eps.

        The divergence is convex in the shares. In din the score is linear in them: the
        largest divergence within eps lies at a corner of what is allowed, and the
        corners hold one film, or two whose mixture meets a bound. All are tried, so the
        answer is the worst there is (bounds met to 0.1%). In other models, where every
        head takes the same shares, it is a proven example and others may be worse.
        Nothing is drawn at random. Without any such example the model's own shares come
        back. Raises ValueError unless eps is positive.
        """
        require(
            eps > 0, f"eps={eps} must be positive: it bounds the change of the score"
        )
        corners = np.eye(len(self.shares))
        shares = np.concatenate(
            [
                corners,
                # a little inside, for the scores are float32
                self._mixtures(corners, -0.999 * eps),
                self._mixtures(corners, 0.999 * eps),
            ]
        )
        changes = self.with_shares(shares) - self.score
        divergence = np.where(
            np.abs(changes) <= eps,
            # scipy gives the distance, which is the root of the divergence
            jensenshannon(shares, self.shares[None], axis=1) ** 2,
            -1.0,  # not allowed
        )
        best = divergence.argmax()
        if divergence[best] < 0:
            return Adversary(self.shares, divergence=0.0, change=0.0)
        return Adversary(
            shares[best],
            float(divergence[best]),
            float(changes[best]),
        )

    def _mixtures(self, corners: np.ndarray, bound: float) -> np.ndarray:
        """Mix two films so that the score changes by the bound: (pairs, films).

        For all pairs that lie on two sides of it.
        """
        over = self.with_shares(corners) - self.score > bound
        # (pairs, films) each: the first above the bound, the second below it
        upper, lower = (corners[films] for films in np.nonzero(over[:, None] & ~over))
        # without pairs there is nothing to mix
        for _ in range(_HALVINGS if len(upper) else 0):
            middle = (upper + lower) / 2
            over = self.with_shares(middle) - self.score > bound
            upper = np.where(over[:, None], middle, upper)
            lower = np.where(over[:, None], lower, middle)
        # the end on the allowed side: nearer to no change than the bound is
        return upper if bound < 0 else lower

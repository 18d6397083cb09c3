"""Attention on trial: would other weights have given the same score?

The experiments of "Attention is not Explanation" (Jain and Wallace 2019,
arXiv:1902.10186) and "Attention is not not Explanation" (Wiegreffe and Pinter 2019,
arXiv:1908.04626) for recommenders. The weights of the last attention's last row are
replaced, all else is held fixed: exact, for the score is a known function of that row.
The start token keeps its share in every head, since an explanation does not name it:
only the films trade places.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import jensenshannon

from xrec_utils.checks import finite
from xrec_utils.contract import check_count
from xrec_utils.explain.attention import last_row
from xrec_utils.files import require
from xrec_utils.games.game import history_game
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
        self.shares = self.row[:, 1:].mean(
            axis=0,
            dtype=np.float64,
        )
        self.shares /= self.shares.sum()
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
        # (heads, 1): the start token's own weight
        start = self.row[:, :1]
        # (n, heads, films): what is left of one goes to the films
        films = (1 - start) * shares[:, None]
        # the start token's weight goes back to place 0
        return self.scores(
            np.insert(films, 0, start[:, 0], axis=2),
        )

    def permuted(self, draws: int = 100, seed: int = 0) -> dict[str, float]:
        """Shuffle the weights among the films, alike in all heads.

        A low change makes the weights no reason. Returns max_attention, the largest
        share; median_change, the median of |change of score| over the draws; and
        median_places, that of the places by which the item moves if all other films
        outside the history keep theirs. Raises ValueError unless `draws` is a whole
        number above 0.
        """
        check_count("draws", draws)
        rng = np.random.default_rng(seed)
        # places of films start at 1: the start token stays where it is
        orders = np.array(
            [1 + rng.permutation(len(self.shares)) for _ in range(draws)],
        )
        weights = np.repeat(self.row[None], draws, axis=0)
        # from (heads, draws, films)
        weights[:, :, 1:] = self.row[:, orders].swapaxes(0, 1)
        scores = self.scores(weights)
        others = np.delete(
            self.model.score([self.history])[0],
            np.append(self.history, self.item),
        )
        # (draws + 1,): how many stand above the item, first with its own score
        places = np.sum(
            others > np.append(self.score, scores)[:, None],
            axis=1,
        )
        return {
            "max_attention": float(self.shares.max()),
            "median_change": float(np.median(np.abs(scores - self.score))),
            "median_places": float(np.median(np.abs(places[1:] - places[0]))),
        }

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
        # (films, films): the first above the bound, the second below it
        above, below = np.nonzero(
            over[:, None] & ~over,
        )
        upper = corners[above]
        lower = corners[below]
        if not len(upper):
            return upper
        for _ in range(_HALVINGS):
            middle = (upper + lower) / 2
            over = self.with_shares(middle) - self.score > bound
            upper = np.where(over[:, None], middle, upper)
            lower = np.where(over[:, None], lower, middle)
        # the end on the allowed side: nearer to no change than the bound is
        return upper if bound < 0 else lower

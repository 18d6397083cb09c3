"""Attention on trial: would other weights have given the same score?

The experiments of "Attention is not Explanation" (Jain and Wallace 2019,
arXiv:1902.10186) and "Attention is not not Explanation" (Wiegreffe and Pinter 2019,
arXiv:1908.04626) for recommenders. The weights of the last attention's last row are
replaced, all else is held fixed: exact, for the score is a known function of that row.
The start token keeps its share in every head, since an explanation does not name it:
only the films trade places.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import jensenshannon

from xrec_utils.explain.attention import last_row
from xrec_utils.games import history_game
from xrec_utils.neural import HistoryRecommender

_HALVINGS = (
    16  # of the way between two films; each leaves the mixture on the allowed side
)


class Adversary(NamedTuple):
    """Other attention: the films' shares (films read,), their divergence from the
    model's in nats, the score's change.

    The divergence is that of Jensen and Shannon, at most ln 2 = 0.69.
    """

    shares: np.ndarray
    divergence: float
    change: float


class AttentionTrial:
    """One recommendation whose attention over the films is changed at will.

    row: (heads, 1 + films read) the model's own weights. shares: (films read,) mean
    over heads, adding up to one. score: the model's own. Raises TypeError without
    attention, ValueError on what `history_game` refuses.

    Args:
        model: attention, gru_attention or din: any with `score_of_attention(history,
            item)`.
        history: item codes, oldest first. item: a film outside of it.
    """

    def __init__(
        self, model: HistoryRecommender, history: np.ndarray, item: int
    ) -> None:
        self.model, self.history, self.item = model, np.asarray(history), item
        history_game(model, self.history, item)
        self.row = last_row(model, self.history, item)
        self.shares = self.row[:, 1:].mean(axis=0, dtype=np.float64)
        self.shares /= self.shares.sum()
        self._score = model.score_of_attention(self.history, item)
        self.score = float(self.scores(self.row[None])[0])

    def scores(self, weights: np.ndarray) -> np.ndarray:
        """Return the scores (n,) with other weights: (n, heads, L), or (n, L) for all
        heads alike; place 0 = start.

        Raises ValueError on another shape.
        """
        weights = np.asarray(weights, dtype=np.float32)
        weights = (
            np.repeat(weights[:, None], len(self.row), axis=1)
            if weights.ndim == 2
            else weights
        )
        if weights.shape[1:] != self.row.shape:
            raise ValueError(
                f"weights must be (n, {self.row.shape[1]}) or (n, {self.row.shape}), got {weights.shape}"
            )
        return self._score(weights).numpy()

    def with_shares(self, shares: np.ndarray) -> np.ndarray:
        """Return the scores (n,) when every head spreads what it gives to films by
        shares (n, films read).
        """
        start = np.repeat(self.row[None, :, :1], len(shares), axis=0)
        return self.scores(
            np.concatenate([start, (1 - start) * np.asarray(shares)[:, None]], axis=2)
        )

    def uniform(self) -> float:
        """Return the score when all films get the same attention."""
        return float(
            self.with_shares(np.full((1, len(self.shares)), 1 / len(self.shares)))[0]
        )

    def permuted(self, draws: int = 100, seed: int = 0) -> dict[str, float]:
        """Shuffle the weights among the films, alike in all heads: a low change makes
        the weights no reason.

        Returns max_attention, the largest share; median_change, the median of |change
        of score| over the draws; and median_places, that of the places by which the
        item moves if all other films outside the history keep theirs.
        """
        rng = np.random.default_rng(seed)
        orders = np.array([rng.permutation(len(self.shares)) for _ in range(draws)])
        weights = np.repeat(self.row[None], draws, axis=0)
        weights[:, :, 1:] = self.row[:, 1:][:, orders].swapaxes(0, 1)
        scores = self.scores(weights)
        others = np.delete(
            self.model.score([self.history])[0], np.append(self.history, self.item)
        )
        places = (others > np.append(self.score, scores)[:, None]).sum(axis=1)
        return {
            "max_attention": float(self.shares.max()),
            "median_change": float(np.median(np.abs(scores - self.score))),
            "median_places": float(np.median(np.abs(places[1:] - places[0]))),
        }

    def adversarial(self, eps: float) -> Adversary:
        """Find the shares that differ most from the model's own and change the score by
        at most eps.

        The divergence is convex in the shares. In din the score is linear in them: the
        largest divergence within eps lies at a corner of what is allowed, and the
        corners hold one film, or two whose mixture meets a bound. All are tried, so the
        answer is the worst there is (bounds met to 0.1%). In other models, where every
        head takes the same shares, it is a proven example and others may be worse.
        Nothing is drawn at random. Without any such example the model's own shares come
        back. Raises ValueError unless eps is positive.
        """
        if eps <= 0:
            raise ValueError(
                f"eps={eps} must be positive: it bounds the change of the score"
            )
        corners = np.eye(len(self.shares))
        mixed = [
            self._mixtures(corners, bound) for bound in (-0.999 * eps, 0.999 * eps)
        ]
        shares = np.concatenate([corners, *mixed])
        change = self.with_shares(shares) - self.score
        allowed = np.flatnonzero(np.abs(change) <= eps)
        if not len(allowed):
            return Adversary(self.shares, 0.0, 0.0)
        divergence = jensenshannon(shares[allowed], self.shares[None], axis=1) ** 2
        best = int(divergence.argmax())
        return Adversary(
            shares[allowed[best]], float(divergence[best]), float(change[allowed[best]])
        )

    def _mixtures(self, corners: np.ndarray, bound: float) -> np.ndarray:
        """Mix two films, for all pairs on two sides of the bound, so that the score
        changes by it: (pairs, films).
        """
        over = self.with_shares(corners) - self.score > bound
        upper, lower = (corners[side] for side in np.nonzero(over[:, None] & ~over))
        for _ in range(_HALVINGS if len(upper) else 0):
            middle = (upper + lower) / 2
            over = (self.with_shares(middle) - self.score > bound)[:, None]
            upper, lower = np.where(over, middle, upper), np.where(over, lower, middle)
        return upper if bound < 0 else lower

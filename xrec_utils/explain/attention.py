"""Attention weights read as if they were an explanation, to be tried against real ones.

A weight says how much a position's value vector is mixed in. It has no sign, it is not
in the unit of the score, and whether it says anything about the score is a question to
measure (Jain and Wallace 2019, arXiv:1902.10186; Wiegreffe and Pinter 2019,
arXiv:1908.04626). Three readings: the weights themselves, the weights followed through
all layers (rollout), and the weights times what they do to the score
(gradient-weighted). `attention_trial` tries them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import reduce
from typing import Protocol

import numpy as np

from xrec_utils.explain.gradients import unseen_as_zero
from xrec_utils.games import Explanation, history_game, namer
from xrec_utils.keras_start import tf
from xrec_utils.neural import HistoryRecommender
from xrec_utils.target_attention import TargetAttention


class AttentionModel(Protocol):
    """A history model that shows its attention weights."""

    def attention(self, history: np.ndarray) -> np.ndarray:
        """Return the weights (layers, heads, L, L); row = position that looks, position
        0 = the start token.
        """
        ...


def attention_weights(model: AttentionModel, history: np.ndarray) -> np.ndarray:
    """Return the attention weights (layers, heads, L, L) for a history; each row adds
    up to one.

    L is the start token and the films the model reads. Raises ValueError if the rows do
    not add up to one.
    """
    weights = np.asarray(model.attention(history))
    if weights.ndim != 4 or weights.shape[2] != weights.shape[3]:
        raise ValueError(
            f"The model's attention has shape {weights.shape}; it must be (layers, heads, L, L)."
        )
    if not np.allclose(weights.sum(axis=-1), 1, atol=1e-4):
        raise ValueError(
            "The rows of the model's attention do not add up to one; read the weights after the softmax."
        )
    return weights


def last_row(
    model: AttentionModel | TargetAttention, history: np.ndarray, item: int
) -> np.ndarray:
    """Return the attention (heads, L) behind a score: of the last position in the last
    layer, or of the candidate.

    Only a target attention (din) has weights that depend on `item`. Place 0 is the
    start token.
    """
    if isinstance(model, TargetAttention):
        return model.weights(history, item)[None]
    return attention_weights(model, history)[-1][:, -1]


def attention_explanation(
    model: AttentionModel | TargetAttention,
    history: np.ndarray,
    item: int,
    titles: Sequence[str] | None = None,
) -> Explanation:
    """Take the last position's weights in the last layer, averaged over its heads, as
    the credit of each film.

    The values are shares of attention, not parts of the score: `base` is the start
    token's share and `score` the total of all shares, which is one. They have no
    standard error. They are the same for every `item` where attention is spent before
    the item is scored (attention, gru_attention); in din each candidate spends its own.
    """
    players, started = player_names(history, titles), time.perf_counter()
    shares = last_row(model, history, item).mean(axis=0)
    return _shares(
        players,
        player_names([item], titles)[0],
        shares,
        "attention (share, not signed)",
        started,
    )


def rollout(
    model: AttentionModel,
    history: np.ndarray,
    item: int,
    titles: Sequence[str] | None = None,
) -> Explanation:
    """Follow the attention through all layers (Abnar and Zuidema 2020,
    arXiv:2005.00928).

    The shares are the last row of the product over layers of (A + I) / 2, A the mean
    over heads and I the path around the attention. Each layer thus gives the last film
    at least half of its own share, whatever the model makes of it: with one layer, the
    order of the other films is that of the attention itself. Shares as in
    `attention_explanation`.

    Raises TypeError for a model without attention between films (din, pooled_mlp).
    """
    players, started = player_names(history, titles), time.perf_counter()
    maps = attention_weights(model, history).mean(axis=1)
    flow = reduce(
        lambda below, layer: layer @ below, (maps + np.eye(maps.shape[-1])) / 2
    )
    return _shares(
        players,
        player_names([item], titles)[0],
        flow[-1],
        "attention rollout (share, not signed)",
        started,
    )


def gradient_weighted(
    model: HistoryRecommender,
    history: np.ndarray,
    item: int,
    titles: Sequence[str] | None = None,
) -> Explanation:
    """Multiply the last row of attention by the gradient of the score with respect to
    it, summed over heads.

    phi_i = sum over heads of A_hi * d score / d A_hi, all other parts of the model held
    fixed: attention with a sign, in the unit of the score. Barkan et al. 2021
    (doi:10.1145/3459637.3482126) and Chefer, Gur and Wolf 2021 (arXiv:2103.15679) keep
    the positive part only; here it is signed, and of the last layer only, so that
    `base`, the score when no film gets attention (the start token keeps its weight),
    and the values can add up. In din they do: phi_i = w_i a_i. Elsewhere `gap` says how
    much a straight line misses.

    Raises TypeError for a model without attention, ValueError on a history or item that
    `history_game` refuses.
    """
    game, started = history_game(model, history, item, titles), time.perf_counter()
    row = last_row(model, history, item).astype(np.float32)
    start_alone = row * (np.arange(row.shape[1]) == 0)
    weights = tf.constant(np.stack([row, start_alone]))
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights)
        scores = model.score_of_attention(history, item)(weights)
    slopes = tape.gradient(scores, weights).numpy()[0]
    values = unseen_as_zero(
        (row * slopes).sum(axis=0, dtype=np.float64)[1:], game.n_players
    )
    score, base = scores.numpy().tolist()
    seconds = time.perf_counter() - started
    return Explanation(
        game.players,
        game.target,
        values,
        base,
        score,
        "attention times gradient",
        seconds,
    )


def player_names(
    history: np.ndarray | Sequence[int], titles: Sequence[str] | None
) -> tuple[str, ...]:
    """Name the films of a history by title, or as 'item 17' where no titles are given.

    Raises ValueError for an empty history.
    """
    if not len(history):
        raise ValueError(
            "The history is empty: there is no film whose part in the score could be explained."
        )
    return tuple(map(namer(titles), np.asarray(history).tolist()))


def _shares(
    players: tuple[str, ...], item: str, shares: np.ndarray, method: str, started: float
) -> Explanation:
    shares = shares.astype(np.float64)
    return Explanation(
        players=players,
        target=f"attention behind the score of {item}",
        values=unseen_as_zero(shares[1:], len(players)),
        base=float(shares[0]),
        score=float(shares.sum()),
        method=method,
        seconds=time.perf_counter() - started,
    )

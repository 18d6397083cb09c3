"""Attention weights read as if they were an explanation, to be tried against real ones.

A weight says how much a position's value vector is mixed in. It has no sign, it is not
in the unit of the score, and whether it says anything about the score is a question to
measure (Jain and Wallace 2019, arXiv:1902.10186; Wiegreffe and Pinter 2019,
arXiv:1908.04626). Three readings: the weights themselves, the weights followed through
all layers (rollout), and the weights times what they do to the score
(gradient-weighted). `attention_trial` tries them.
"""

import time
from collections.abc import Sequence

import numpy as np

from xrec_utils.contract import AttentionModel
from xrec_utils.explain.gradients import unseen_as_zero
from xrec_utils.files import require
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import history_game, namer
from xrec_utils.keras_start import tf
from xrec_utils.models.sequence import HistoryRecommender
from xrec_utils.models.target_attention import TargetAttention


def attention_weights(model: AttentionModel, history: np.ndarray) -> np.ndarray:
    """Return the attention weights (layers, heads, L, L) for a history.

    L is the start token and the films the model reads; each row adds up to one. Places
    whose rows are all zeros are padding, as in Keras 3, and are cut off. Raises
    ValueError if other rows do not add up to one, if there are more places than start
    token and films, or if the shape is another.
    """
    weights = np.asarray(model.attention(history))
    require(
        weights.ndim == 4 and weights.shape[2] == weights.shape[3],
        f"The model's attention has shape {weights.shape}; "
        "it must be (layers, heads, L, L).",
    )
    looks = weights.any(axis=(0, 1, 3))
    read = weights[:, :, looks][..., looks]
    sums = read.sum(axis=-1)
    require(
        np.allclose(sums, 1, atol=1e-4),
        "The rows of the model's attention do not add up to one, but to "
        f"{sums.min(initial=1):.3g} to {sums.max(initial=1):.3g}; read the "
        "weights after the softmax, where padding is masked.",
    )
    # a window may leave films out, but then there is no padding
    require(
        read.shape[2] <= 1 + len(history)
        and (read.shape[2] >= 1 + len(history) or looks.all()),
        f"The model's attention is one of {read.shape[2]} places, padding of "
        f"zeros not counted; a history of {len(history)} films has one more, "
        "the start token. Cut other padding off, with keep its "
        "places: weights[:, :, keep][..., keep]. A model without a start token "
        "shows one that nobody looks at: weights = np.pad(weights, [(0, 0), "
        "(0, 0), (1, 0), (1, 0)]); weights[:, :, 0, 0] = 1",
    )
    return read


def last_row(
    model: AttentionModel | TargetAttention, history: np.ndarray, item: int
) -> np.ndarray:
    """Return the attention (heads, L) behind a score.

    That of the last position in the last layer, or of the candidate: only a target
    attention (din) has weights that depend on `item`. Place 0 is the start token.
    """
    if isinstance(model, TargetAttention):
        return model.weights(history, item)[None]
    return attention_weights(model, history)[-1, :, -1]


def attention_explanation(
    model: AttentionModel | TargetAttention,
    history: np.ndarray,
    item: int,
    *,
    titles: Sequence[str] | None = None,
) -> Explanation:
    """Take the last position's attention as the credit of each film.

    Its weights in the last layer are averaged over the heads. They are shares of
    attention, not parts of the score (Jain and Wallace 2019, arXiv:1902.10186), and the
    same for every `item` where attention is spent before the item is scored (attention,
    gru_attention); in din each candidate spends its own.

    Args:
        model: attention, gru_attention or din.
        history: (n,) item codes, oldest first.
        item: the code of the film explained.
        titles: names by item code; None for 'item 17'.

    Returns:
        Explanation with values (n,), each a share of 1. `base` is the start token's
        share and `score` the total of all shares, which is one. There is no error.

    Raises:
        ValueError: the history is empty, or the model's attention does not add up to
            one.

    Example:
        A model that gives half of its attention to the start token.

        >>> class HalfAtStart:
        ...     def attention(self, history):
        ...         return np.tile([0.5, 0.125, 0.375], (1, 1, 3, 1))
        >>> explanation = attention_explanation(HalfAtStart(), [4, 7], item=9)
        >>> explanation.values.tolist(), explanation.base, explanation.score
        ([0.125, 0.375], 0.5, 1.0)
    """
    started = time.perf_counter()
    return _shares(
        history,
        item,
        titles,
        # float32 shares would miss a sum of one by more
        shares=last_row(model, history, item).mean(axis=0, dtype=np.float64),
        method="attention (share, not signed)",
        started=started,
    )


def rollout(
    model: AttentionModel,
    history: np.ndarray,
    item: int,
    *,
    titles: Sequence[str] | None = None,
) -> Explanation:
    """Follow the attention through all layers.

    The shares are the last row of the product over layers of (A + I) / 2, A the mean
    over heads and I the path around the attention (Abnar and Zuidema 2020,
    arXiv:2005.00928). Each layer thus gives the last film at least half of its own
    share, whatever the model makes of it: with one layer, the order of the other films
    is that of the attention itself.

    Args:
        model: one with attention between films: attention or gru_attention.
        history: (n,) item codes, oldest first.
        item: the code of the film explained; it only names the target.
        titles: names by item code; None for 'item 17'.

    Returns:
        Explanation with values (n,), `base` and `score` as in `attention_explanation`.

    Raises:
        TypeError: a model without attention between films (din, pooled_mlp).
        ValueError: as `attention_explanation`.

    Example:
        One layer: half of the path goes through its last row, half stays in place.

        >>> class HalfAtStart:
        ...     def attention(self, history):
        ...         return np.tile([0.5, 0.125, 0.375], (1, 1, 3, 1))
        >>> explanation = rollout(HalfAtStart(), [4, 7], item=9)
        >>> explanation.values.tolist(), explanation.base
        ([0.0625, 0.6875], 0.25)
    """
    started = time.perf_counter()
    # (layers, L, L): one map per layer
    maps = attention_weights(model, history).mean(axis=1)
    # before the first layer, every place is all its own
    flow = stays = np.eye(maps.shape[-1])
    for attention in maps:
        # half goes the way of the attention, half passes by it
        flow = (attention + stays) / 2 @ flow
    return _shares(
        history,
        item,
        titles,
        shares=flow[-1],
        method="attention rollout (share, not signed)",
        started=started,
    )


def gradient_weighted(
    model: HistoryRecommender,
    history: np.ndarray,
    item: int,
    *,
    titles: Sequence[str] | None = None,
    row: np.ndarray | None = None,
) -> Explanation:
    """Multiply the last row of attention by the gradient of the score at it.

    phi_i = sum over heads of A_hi * d score / d A_hi, all other parts of the model held
    fixed: attention with a sign, in the unit of the score. Barkan et al. 2021
    (doi:10.1145/3459637.3482126) and Chefer, Gur and Wolf 2021 (arXiv:2103.15679) keep
    the positive part only; here it is signed, and of the last layer only, so that
    `base` and the values can add up. In din they do: phi_i = w_i a_i.

    Args:
        model: attention, gru_attention or din.
        history: (n,) item codes, oldest first.
        item: the code of the film explained, outside the history.
        titles: names by item code; None for 'item 17'.
        row: other weights (heads, L) to put in the place of the model's own, start
            token first; None for its own.

    Returns:
        Explanation with values (n,) in the unit of the score. `base` is the score when
        no film gets attention (the start token keeps its weight); `gap` says how much a
        straight line misses. There is no error.

    Raises:
        TypeError: the model has no attention.
        ValueError: the history or the item is one that `history_game` refuses.

    Example:
        din is linear in its attention: the untrained model shows it as well.

        >>> model = TargetAttention(np.eye(5, 2), width=4)
        >>> explanation = gradient_weighted(model, np.array([0, 1, 2]), item=4)
        >>> abs(explanation.gap) < 1e-5
        True
    """
    started = time.perf_counter()
    game = history_game(model, history, item, titles=titles)
    row = np.float32(last_row(model, history, item) if row is None else row)
    # the model's own attention, and none but to the start token: score and base
    weights = tf.constant(
        np.stack([row, row * (np.arange(row.shape[1]) == 0)]),
    )
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights)
        scores = model.score_of_attention(history, item)(weights)
    # (heads, L): the slopes at the model's own attention
    slopes = tape.gradient(scores, weights)[0].numpy()
    # place 0 is the start token, which is no film
    credit = (row * slopes)[:, 1:].sum(axis=0, dtype=np.float64)
    return Explanation(
        players=game.players,
        target=game.target,
        values=unseen_as_zero(credit, game.n_players),
        base=float(scores[1]),
        score=float(scores[0]),
        method="attention times gradient",
        seconds=time.perf_counter() - started,
    )


def _shares(
    history: np.ndarray | Sequence[int],
    item: int,
    titles: Sequence[str] | None,
    shares: np.ndarray,
    method: str,
    started: float,
) -> Explanation:
    """The explanation made of shares (L,), the start token's first.

    Raises ValueError for an empty history.
    """
    # not checked by a game: attention alone needs no model that scores
    require(
        len(history),
        "The history is empty: there is no film whose part in the score "
        "could be explained.",
    )
    name = namer(titles)
    return Explanation(
        players=tuple(map(name, history)),
        target=f"attention behind the score of {name(item)}",
        values=unseen_as_zero(shares[1:], len(history)),
        base=float(shares[0]),
        score=float(shares.sum()),
        method=method,
        seconds=time.perf_counter() - started,
    )

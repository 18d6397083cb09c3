"""Small models and games whose Shapley values are known another way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from xrec_utils import set_seed
from xrec_utils.games.game import Game
from xrec_utils.keras_start import tf
from xrec_utils.models.recurrent import gru_attention_recommender
from xrec_utils.models.sequence import HistoryRecommender, attention_recommender
from xrec_utils.models.target_attention import TargetAttention


class HandModel:
    """score = rows of `outputs` (width, items) weighted by `encode(history)` (width,)."""

    def __init__(self, n_items: int = 40, width: int = 5, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.name, self.n_items = type(self).__name__, n_items
        self.inputs = rng.normal(size=(n_items, width))
        self.outputs = rng.normal(size=(width, n_items))

    def score(
        self, histories: Sequence[np.ndarray], items: np.ndarray | None = None
    ) -> np.ndarray:
        hidden = np.array(
            [
                self.encode(self.inputs[np.asarray(history, dtype=int)])
                for history in histories
            ]
        )
        return hidden @ (self.outputs if items is None else self.outputs[:, items])


class Additive(HandModel):
    """Every film adds its own part: the linear game."""

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        return vectors.sum(axis=0)


class MeanPool(HandModel):
    """The mean of the films; an empty history scores 0."""

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        return vectors.mean(axis=0) if len(vectors) else np.zeros(vectors.shape[1])


class Tanh(HandModel):
    """One hidden layer: films saturate one another."""

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        return np.tanh(0.3 + vectors.sum(axis=0) / 2)


class Recent(HandModel):
    """Order matters: a film one step older counts half."""

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        return np.tanh(
            (0.5 ** np.arange(len(vectors))[::-1, None] * vectors).sum(axis=0)
        )


def table_game(scores: np.ndarray) -> Game:
    """The game whose score of a group is looked up: player i present adds 2**i to the
    position.
    """
    n = int(np.log2(len(scores)))
    powers = 2 ** np.arange(n)
    return Game(
        tuple(f"p{i}" for i in range(n)),
        "looked-up score",
        lambda masks: np.asarray(scores)[masks @ powers],
    )


def check_score_vectors(
    model: HistoryRecommender,
    histories: Sequence[np.ndarray],
    place: int,
    tolerance: float,
) -> None:
    """score_vectors says what score says, and its gradient is the slope of a small step
    at one film of three.
    """
    for history in histories:
        vectors = model.vectors(history)
        assert np.allclose(
            model.score_vectors(vectors[None], 7),
            model.score([history])[:, 7],
            atol=1e-5,
        )
    start = tf.constant(model.vectors(np.array([1, 4, 7]))[None])
    with tf.GradientTape() as tape:
        tape.watch(start)
        score = model.score_vectors(start, 7)
    gradient = tape.gradient(score, start).numpy()
    step = np.zeros(start.shape, np.float32)
    step[0, place, 3] = 1e-2
    slope = (
        model.score_vectors(start + step, 7) - model.score_vectors(start - step, 7)
    ).numpy()[0] / 2e-2
    assert (np.abs(gradient).sum(axis=-1) > 0).all()
    assert gradient[0, place, 3] == pytest.approx(slope, rel=0.02, abs=tolerance)


ATTENDING = {
    "attention": attention_recommender,
    "gru_attention": gru_attention_recommender,
    "din": TargetAttention,
}


def attending(name: str) -> HistoryRecommender:
    """An untrained model of 12 items and window 6, its weights large enough for
    attention to be far from even.
    """
    set_seed(0)
    built = ATTENDING[name](np.eye(12, 4, dtype=np.float32), width=8, window=6)
    rng = np.random.default_rng(0)
    built.model.set_weights(
        [rng.normal(size=w.shape) / 2 for w in built.model.get_weights()]
    )
    return built

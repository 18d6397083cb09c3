"""Target attention: every candidate asks the history its own question.

This is the idea of the Deep Interest Network.

    score_j = (a_0 + Σ_i e_i a_i) / (1 + Σ_i e_i) + b_j
    e_i = exp(q_j · (k_i - k_0) / √d),   a_i = v_i · r_j

over the films i of the history: a softmax over the films and the start token 0, whose
weight before normalising is one, so that the empty history scores a_0 + b_j. With x_i
the vector of film i: k_i = K x_i, v_i = V x_i, q_j = Q x_j and r_j = x_j. The e_i and
a_i of a film depend on this film and the candidate alone, neither on its place nor on
the other films, so the score of any part of a history is a ratio of two sums: the key
to exact Shapley values in polynomial time. Keep it in this form.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from xrec_utils.contract import History
from xrec_utils.keras_start import keras, layers, ops, tf
from xrec_utils.models.encoders import ItemTable
from xrec_utils.models.sequence import HistoryRecommender

PAIRS = 5_000_000  # (film, candidate) pairs scored at once: about five arrays of 20 MB
TOTAL = partial(ops.sum, axis=-2)  # over the films of a history


@keras.saving.register_keras_serializable("xrec_utils")
class FilmsForCandidates(layers.Layer):
    """The matrices Q, K, V beside the item table, and the parts e and a of the formula.

    Args:
        table: the item vectors; history and candidates share them.
    """

    def __init__(self, table: ItemTable, name: str = "films_for_candidates") -> None:
        super().__init__(name=name)
        self.table = table

    def build(self, *shapes: tuple) -> None:
        """Create Q, K and V, each (d, d)."""
        square = (self.table.width, self.table.width)
        self.query = self.add_weight(shape=square, name="query")
        self.key = self.add_weight(shape=square, name="key")
        self.value = self.add_weight(shape=square, name="value")

    def start(self) -> tf.Tensor:
        """Return the start token's vector, shape (1, d)."""
        return self.table(
            np.array(
                [self.table.n_items],
                np.int32,
            )
        )

    def parts(
        self, vectors: tf.Tensor, candidates: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return e and a, both (..., length, m).

        vectors: of films (..., length, d). candidates: their vectors (m, d).
        """
        # K is linear: k_i - k_0 = K (x_i - x_0)
        keys = ops.matmul(vectors - self.start(), self.key)
        questions = ops.matmul(candidates, self.query) / self.table.width**0.5
        match = ops.matmul(keys, ops.transpose(questions))
        values = ops.matmul(vectors, self.value)
        return ops.exp(match), ops.matmul(values, ops.transpose(candidates))

    def scores(
        self, vectors: tf.Tensor, films: tf.Tensor, candidates: tf.Tensor, sums: Any
    ) -> tf.Tensor:
        """Return (a_0 + sums(e a)) / (1 + sums(e)).

        `films` (batch, length) is 1 where a film is, else 0; `sums` adds up over films.
        """
        weight, answer = self.parts(vectors, candidates)
        weight = weight * ops.cast(films, weight.dtype)[..., None]
        _, nothing = self.parts(self.start(), candidates)
        return (nothing + sums(weight * answer)) / (1 + sums(weight))

    def call(self, vectors: tf.Tensor, films: tf.Tensor) -> tf.Tensor:
        """Score every item at every place, from the films up to that place.

        Vectors (batch, length, d), films (batch, length): (batch, length, n_items). It
        is what next-item training needs: one pass gives the scores of all places.
        """
        length = ops.shape(vectors)[1]
        # sums so far are a product with a triangle of ones
        triangle = ops.tril(ops.ones((length, length)))
        return self.table.bias + self.scores(
            vectors,
            films,
            candidates=self.table(ops.arange(self.table.n_items)),
            sums=partial(ops.matmul, triangle),
        )


class TargetAttention(HistoryRecommender):
    """Softmax-attention pooling of the history with the candidate as query.

    The Deep Interest Network (Zhou et al. 2018, doi:10.1145/3219819.3219823) weighs the
    history anew for every candidate; here the weights are a softmax, and a film answers
    with a dot product instead of a small network. The films have no order.

    Args:
        attributes: float array (n_items, n_attributes).
        width: length d of the item vectors.
        dropout: part of the numbers in the history's vectors that is left out in
            training.
        window: how many of the most recent films it reads; in a longer history a
            deleted film lets an older one in, so the ratio of sums holds for histories
            that fit.
    """

    pooling = "softmax"
    shows_attention = True

    def __init__(
        self,
        attributes: np.ndarray,
        width: int = 64,
        dropout: float = 0.3,
        window: int = 50,
    ) -> None:
        # made before the table is built: layers draw their seeds in this order
        self.dropout = layers.Dropout(dropout, name="dropout_in")
        table = ItemTable(attributes, width)
        self.mix = FilmsForCandidates(table)
        # no film looks at another: there are no maps
        super().__init__("din", table, encoder=None, window=window)

    def _training_model(self) -> keras.Model:
        """The model from ids (batch, length) to logits (batch, length, n_items)."""
        ids = keras.Input((None,), dtype="int32", name="ids")
        vectors = self.dropout(self.table(ids))
        return keras.Model(
            ids,
            # start token and padding are no films
            outputs=self.mix(vectors, ids < self.n_items),
            name="din",
        )

    def score(
        self, histories: Sequence[History], items: np.ndarray | None = None
    ) -> np.ndarray:
        """Return logits (n histories, n items or len(items)).

        The empty history is the start token alone.
        """
        candidates = self.n_items if items is None else max(1, len(items))
        # so many histories at once that their pairs fit into memory
        fitting = PAIRS // (candidates * (1 + self.window))
        return super().score(
            histories,
            items,
            batch=min(1000, max(1, fitting)),
        )

    def _logits(
        self, ids: np.ndarray, rows: np.ndarray, level: np.ndarray
    ) -> np.ndarray:
        return self._whole(ids, rows).numpy() + level

    # one trace for all lengths and numbers of candidates
    @tf.function(
        input_signature=[
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((None, None), tf.float32),
        ],
        autograph=False,
    )
    def _whole(self, ids: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Scores (n, m), without bias, of windows (n, length) for rows (m, d)."""
        return self.mix.scores(
            self.table(ids),
            films=ids < self.n_items,
            # scaled as the table scales what it looks up
            candidates=rows * self.width**0.5,
            sums=TOTAL,
        )

    def score_vectors(self, vectors: tf.Tensor, item: int) -> tf.Tensor:
        """Score one item for embedded histories (n, length, d): (n,), differentiable.

        `score_vectors(vectors(h)[None], j)` equals `score([h])[0, j]`.
        """
        vectors = ops.cast(
            vectors[:, -self.window :],
            "float32",
        )
        scores = self.mix.scores(
            vectors,
            films=ops.ones(vectors.shape[:2]),
            candidates=self.table(np.array([item], np.int32)),
            sums=TOTAL,
        )
        return scores[:, 0] + self.table.bias[item]

    def parts(self, history: History, item: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (e, a), both (films read + 1,), the start token first.

        score = Σ e a / Σ e + the item's bias. Each film's pair is the same in every
        history that it is part of; the start token's e is one.
        """
        codes = np.append(
            self.start,
            history[-self.window :],
        ).astype(np.int32)
        weight, answer = self.mix.parts(
            vectors=self.table(codes),
            candidates=self.table(np.array([item], np.int32)),
        )
        return weight.numpy()[:, 0], answer.numpy()[:, 0]

    def weights(self, history: History, item: int) -> np.ndarray:
        """Return the attention (films read + 1,) that the candidate pays.

        The start token comes first, then each film.
        """
        weight, _ = self.parts(history, item)
        return weight / weight.sum()

    def score_of_attention(
        self, history: History, item: int
    ) -> Callable[[tf.Tensor], tf.Tensor]:
        """Return the item's score as a function of its attention: Σ w a + bias.

        The function maps weights (n, 1, films read + 1) to scores (n,).
        """
        _, answer = self.parts(history, item)

        def score(weights: tf.Tensor) -> tf.Tensor:
            """Weights (n, 1, films read + 1) -> scores (n,)."""
            mixed = ops.matmul(weights[:, 0], answer[:, None])
            return mixed[:, 0] + self.table.bias[item]

        return score

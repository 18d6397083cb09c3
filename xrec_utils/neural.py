"""Deep recommenders that read a history: one item table, one of two ways to mix the
history, one scoring rule.

The parts are ordinary Keras models that can be looked at, explained and checked one by
one:

    ids -> ItemTable -> vectors -> encoder (attention, or a plain average) -> hidden ->
    hidden · table + bias -> logits

A window is the start token followed by at most `window` items; shorter ones are padded
on the left, and positions are counted from the most recent item, so that deleting a
film closes the gap.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer

from xrec_utils.contract import History, item_columns
from xrec_utils.keras_start import keras, tf

layers, ops = keras.layers, keras.ops


@keras.saving.register_keras_serializable("xrec_utils")
class ItemTable(layers.Layer):
    """One vector per item: a learned embedding plus a projection of the item's
    attributes.

    Two more rows follow the items: the start token (code n_items) and padding (code
    n_items + 1).

    Args:
        attributes: float array (n_items, n_attributes), for example genres and release
            period.
        width: length d of the vectors.
    """

    def __init__(
        self, attributes: np.ndarray, width: int, name: str = "item_table"
    ) -> None:
        super().__init__(name=name)
        attributes = np.asarray(attributes, dtype=np.float32)
        self.n_items, self.width = len(attributes), width
        self.attributes = np.concatenate(
            [attributes, np.zeros((2, attributes.shape[1]), np.float32)]
        )

    def build(self, input_shape: tuple) -> None:
        start = keras.initializers.RandomNormal(stddev=0.05)
        self.embedding = self.add_weight(
            shape=(self.n_items + 2, self.width), initializer=start, name="embedding"
        )
        shape = (self.attributes.shape[1], self.width)
        self.projection = self.add_weight(
            shape=shape,
            initializer=keras.initializers.RandomNormal(stddev=0.02),
            name="attribute_projection",
        )
        self.bias = self.add_weight(
            shape=(self.n_items,), initializer="zeros", name="item_bias"
        )

    def rows(self) -> tf.Tensor:
        """Return all rows, shape (n_items + 2, d)."""
        return self.embedding + ops.matmul(self.attributes, self.projection)

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Look up ids (batch, length) as vectors (batch, length, d), scaled by √d as in
        Vaswani et al. 2017.
        """
        return ops.take(self.rows(), ids, axis=0) * self.width**0.5

    def logits(self, hidden: tf.Tensor) -> tf.Tensor:
        """Score every item for hidden states (..., d): their dot product with the
        item's row, plus its bias.
        """
        return (
            ops.matmul(hidden, ops.transpose(self.rows()[: self.n_items])) + self.bias
        )


@keras.saving.register_keras_serializable("xrec_utils")
class PositionFromEnd(layers.Layer):
    """Adds a learned vector for "how many steps before the most recent item" to each
    vector.
    """

    def __init__(self, longest: int, name: str = "position") -> None:
        super().__init__(name=name)
        self.longest = longest

    def build(self, input_shape: tuple) -> None:
        start = keras.initializers.RandomNormal(stddev=0.05)
        self.table = self.add_weight(
            shape=(self.longest, input_shape[-1]), initializer=start, name="steps_back"
        )

    def call(self, vectors: tf.Tensor) -> tf.Tensor:
        steps_back = ops.minimum(
            ops.arange(ops.shape(vectors)[1] - 1, -1, -1), self.longest - 1
        )
        return vectors + ops.take(self.table, steps_back, axis=0)


@keras.saving.register_keras_serializable("xrec_utils")
class CausalMask(layers.Layer):
    """Turns "which places hold something" (batch, length) into "who may look at whom"
    (batch, length, length).
    """

    def call(self, present: tf.Tensor) -> tf.Tensor:
        length = ops.shape(present)[1]
        places = ops.arange(length)
        earlier = places[:, None] >= places[None, :]
        itself = (
            places[:, None] == places[None, :]
        )  # keeps the softmax of a padded row away from 0/0
        return ops.logical_or(
            ops.logical_and(present[:, None, :], earlier[None]), itself[None]
        )


@keras.saving.register_keras_serializable("xrec_utils")
class CausalMean(layers.Layer):
    """Averages, at every place, the vectors from the start of the history up to it,
    padding left out.
    """

    def call(self, vectors: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        weight = ops.cast(present, vectors.dtype)[..., None]
        return ops.cumsum(vectors * weight, axis=1) / ops.maximum(
            ops.cumsum(weight, axis=1), 1.0
        )


def attention_encoder(
    width: int = 64,
    blocks: int = 2,
    heads: int = 2,
    dropout: float = 0.3,
    window: int = 50,
) -> tuple[keras.Model, keras.Model]:
    """Build the causal self-attention encoder of SASRec (Kang and McAuley 2018,
    arXiv:1808.09781).

    Returns two models over the same layers, both fed with vectors (batch, length,
    width) and present (batch, length): the encoder, giving hidden states (batch,
    length, width), and its attention maps, a dict with one (batch, heads, length,
    length) array per block. Normalisation comes before each sublayer; the feed-forward
    part is twice as wide as the model.
    """
    vectors = keras.Input((None, width), name="vectors")
    present = keras.Input((None,), dtype="bool", name="present")
    mask = CausalMask(name="causal_mask")(present)
    state = layers.Dropout(dropout, name="dropout_in")(
        PositionFromEnd(window + 1)(vectors)
    )
    maps = {}
    for n in range(1, blocks + 1):
        normal = layers.LayerNormalization(epsilon=1e-6, name=f"attention_norm_{n}")(
            state
        )
        attention = layers.MultiHeadAttention(
            heads, width // heads, dropout=dropout, name=f"attention_{n}"
        )
        mixed, weights = attention(
            normal, normal, attention_mask=mask, return_attention_scores=True
        )
        maps[f"attention_{n}"] = weights
        state = layers.Add(name=f"after_attention_{n}")(
            [state, layers.Dropout(dropout)(mixed)]
        )
        state = _feed_forward(state, 2 * width, dropout, n)
    hidden = layers.LayerNormalization(epsilon=1e-6, name="final_norm")(state)
    inputs = [vectors, present]
    return keras.Model(inputs, hidden, name="encoder"), keras.Model(
        inputs, maps, name="maps"
    )


def average_encoder(width: int = 64, dropout: float = 0.3) -> keras.Model:
    """Build the encoder that replaces attention by an average: mean of the vectors,
    then a two-layer MLP.

    The embedding MLP of the history view (compare Covington et al. 2016,
    doi:10.1145/2959100.2959190).
    """
    vectors = keras.Input((None, width), name="vectors")
    present = keras.Input((None,), dtype="bool", name="present")
    mean = CausalMean(name="causal_mean")(vectors, present)
    state = layers.Dropout(dropout, name="dropout_in")(mean)
    hidden = layers.LayerNormalization(epsilon=1e-6, name="final_norm")(
        _feed_forward(state, 2 * width, dropout, 1)
    )
    return keras.Model([vectors, present], hidden, name="encoder")


def _feed_forward(state: tf.Tensor, inner: int, dropout: float, n: int) -> tf.Tensor:
    normal = layers.LayerNormalization(epsilon=1e-6, name=f"feed_forward_norm_{n}")(
        state
    )
    wide = layers.Dense(inner, activation="relu", name=f"feed_forward_{n}_wide")(normal)
    narrow = layers.Dense(state.shape[-1], name=f"feed_forward_{n}_narrow")(wide)
    return layers.Add(name=f"after_feed_forward_{n}")(
        [state, layers.Dropout(dropout)(narrow)]
    )


class HistoryRecommender:
    """A recommender that scores items by (hidden state of the history) · (row of the
    item) + bias.

    Args:
        name: how tables and figures call it.
        table: the item vectors.
        encoder: model from vectors (batch, length, d) and present (batch, length) to
            hidden states (batch, length, d).
        maps: model giving the attention weights on the same inputs, or None for an
            encoder without attention.
        window: how many of the most recent films it reads; older ones have no
            influence.
    """

    def __init__(
        self,
        name: str,
        table: ItemTable,
        encoder: keras.Model,
        maps: keras.Model | None = None,
        window: int = 50,
    ) -> None:
        self.name, self.table, self.encoder, self.maps, self.window = (
            name,
            table,
            encoder,
            maps,
            window,
        )
        self.n_items, self.width = table.n_items, table.width
        self.start, self.padding = self.n_items, self.n_items + 1
        ids = keras.Input((None,), dtype="int32", name="ids")
        hidden = encoder([table(ids), ops.not_equal(ids, self.padding)])
        self.model = keras.Model(
            ids, _TiedLogits(table, name="logits")(hidden), name=name
        )
        # One trace for every length: histories of all sizes share it.
        self._last = tf.function(
            self._last_hidden, input_signature=[tf.TensorSpec((None, None), tf.int32)]
        )

    def _last_hidden(self, ids: tf.Tensor) -> tf.Tensor:
        return self.encoder([self.table(ids), ids != self.padding], training=False)[
            :, -1
        ]

    def windows(self, histories: Sequence[History]) -> np.ndarray:
        """Lay histories out as ids (n, longest + 1): start token, then the last
        `window` items, padded on the left.
        """
        cut = [
            np.asarray(history, dtype=np.int32)[-self.window :] for history in histories
        ]
        longest = (
            max(1, *map(len, cut)) if cut else 1
        )  # Keras warns of a softmax over a single place
        ids = np.full((len(cut), 1 + longest), self.padding, dtype=np.int32)
        for row, history in zip(ids, cut, strict=True):
            row[len(row) - len(history) - 1] = self.start
            row[len(row) - len(history) :] = history
        return ids

    def score(
        self,
        histories: Sequence[History],
        items: np.ndarray | None = None,
        batch: int = 256,
    ) -> np.ndarray:
        """Return logits (n histories, n items or len(items)); the empty history is the
        start token alone.
        """
        rows = [
            self._logits(histories[at : at + batch], items)
            for at in range(0, len(histories), batch)
        ]
        columns = self.n_items if items is None else len(items)
        return (
            np.concatenate(rows) if rows else np.zeros((0, columns), dtype=np.float32)
        )

    def _logits(
        self, histories: Sequence[History], items: np.ndarray | None
    ) -> np.ndarray:
        hidden = self._last(self.windows(histories)).numpy()
        rows, bias = self._item_rows()
        return hidden @ item_columns(rows.T, items) + item_columns(bias[None], items)

    def _item_rows(self) -> tuple[np.ndarray, np.ndarray]:
        return self.table.rows().numpy()[: self.n_items], self.table.bias.numpy()

    def vectors(self, history: History) -> np.ndarray:
        """Return the vectors of a history's films, shape (length, d), before positions
        are added.
        """
        return self.table(np.asarray(history, dtype=np.int32)[None])[0].numpy()

    def score_vectors(self, vectors: tf.Tensor, item: int) -> tf.Tensor:
        """Score one item for embedded histories (n, length, d): shape (n,),
        differentiable.

        `score_vectors(vectors(h)[None], j)` equals `score([h])[0, j]`.
        """
        vectors = ops.cast(vectors[:, -self.window :], "float32")
        first = ops.repeat(
            self.table(np.array([[self.padding, self.start]], np.int32)),
            len(vectors),
            axis=0,
        )
        whole = ops.concatenate([first, vectors], axis=1)
        present = ops.broadcast_to(ops.arange(whole.shape[1]) > 0, whole.shape[:2])
        hidden = self.encoder([whole, present], training=False)[:, -1]
        return ops.matmul(hidden, self.table.rows()[item]) + self.table.bias[item]

    def attention(self, history: History) -> np.ndarray:
        """Return attention weights (blocks, heads, L, L), L = 1 + films read; place 0
        is the start token.

        Row q says how place q spreads its attention over the places up to it; each row
        sums to one.

        Raises:
            TypeError: the encoder of this model has no attention.
        """
        self._needs_attention()
        maps = self.maps(self._read(history), training=False)
        read = 1 + min(len(history), self.window)
        return np.stack(
            [weights.numpy()[0, :, -read:, -read:] for weights in maps.values()]
        )

    def score_of_attention(
        self, history: History, item: int
    ) -> Callable[[tf.Tensor], tf.Tensor]:
        """Return the item's score as a function of the last layer's last row of
        attention: (n, heads, L) -> (n,).

        L = 1 + films read, place 0 the start token, for a history with a film in it.
        All else stays: values, earlier layers and what passes by the attention.
        Differentiable; given the row that `attention` shows, it is `score`.

        Raises:
            TypeError: the encoder of this model has no attention.
        """
        self._needs_attention()
        layer, before, after = self._around_attention
        beside, inside = (x[0] for x in before(self._read(history), training=False))
        *_, kernel, bias, out, shift = layer.weights
        values = ops.einsum("ld,dhe->lhe", inside, kernel) + bias
        row, level = self.table.rows()[item][:, None], self.table.bias[item]

        def score(weights: tf.Tensor) -> tf.Tensor:
            mixed = (
                ops.einsum(
                    "nhe,hed->nd", ops.einsum("nhl,lhe->nhe", weights, values), out
                )
                + shift
            )
            hidden = after(
                [ops.tile(beside[-1:], (len(weights), 1))[:, None], mixed[:, None]],
                training=False,
            )
            return ops.matmul(hidden[:, 0], row)[:, 0] + level

        return score

    @cached_property
    def _around_attention(self) -> tuple[layers.Layer, keras.Model, keras.Model]:
        """The last attention layer, what leads to (past it, into it), and what its
        answer and the past lead to.
        """
        layer = self.encoder.get_layer(max(self.maps.output))
        behind = self.encoder.layers[self.encoder.layers.index(layer) :]
        join = next(
            x for x in behind if isinstance(x, (layers.Add, layers.Concatenate))
        )
        before = keras.Model(self.encoder.inputs, [join.input[0], layer.input[1]])
        return layer, before, keras.Model(join.input, self.encoder.output)

    def _read(self, history: History) -> list[tf.Tensor]:
        ids = ops.convert_to_tensor(self.windows([history]))
        return [self.table(ids), ids != self.padding]

    def _needs_attention(self) -> None:
        if self.maps is None:
            raise TypeError(
                f"{self.name} mixes its history without attention; use the model named 'attention'"
            )


@keras.saving.register_keras_serializable("xrec_utils")
class _TiedLogits(layers.Layer):
    """The item table used a second time, as the output layer."""

    def __init__(self, table: ItemTable, name: str) -> None:
        super().__init__(name=name)
        self.table = table

    def call(self, hidden: tf.Tensor) -> tf.Tensor:
        return self.table.logits(hidden)


def item_attributes(items: pd.DataFrame) -> np.ndarray:
    """Encode films as genres (one column each) and release period (five years a
    column), float32 (n_items, a).
    """
    genres = items["genres"].str.get_dummies("|")
    years = (
        items["year"]
        .astype("Float64")
        .fillna(items["year"].median())
        .to_numpy(dtype=float)
    )
    period = np.clip((years - 1930) // 5, 0, 17).astype(int)
    return np.concatenate(
        [genres.to_numpy(dtype=np.float32), np.eye(18, dtype=np.float32)[period]],
        axis=1,
    )


def review_attributes(
    items: pd.DataFrame, reviews: pd.DataFrame, until: int
) -> np.ndarray:
    """Encode items by the words of their reviews, as TF-IDF, float32 (n_items,
    n_words).

    items: a row per item code, with column item. reviews: columns item, time, text;
    only those written before `until` (seconds since 1970) are read, so that neither
    vocabulary nor weights know the future. No review gives zeros.
    """
    told = reviews[reviews["time"] < until].groupby("item")["text"].agg(" ".join)
    texts = told.reindex(items["item"], fill_value="")
    return (
        TfidfVectorizer(stop_words="english")
        .fit_transform(texts)
        .toarray()
        .astype(np.float32)
    )


def attention_recommender(
    attributes: np.ndarray,
    width: int = 64,
    blocks: int = 2,
    heads: int = 2,
    dropout: float = 0.3,
    window: int = 50,
) -> HistoryRecommender:
    """Build the untrained attention recommender on item attributes (n_items, a)."""
    encoder, maps = attention_encoder(width, blocks, heads, dropout, window)
    return HistoryRecommender(
        "attention", ItemTable(attributes, width), encoder, maps, window
    )


def pooled_mlp(
    attributes: np.ndarray, width: int = 64, dropout: float = 0.3, window: int = 50
) -> HistoryRecommender:
    """Build its untrained sibling: the same table and scoring, the history averaged
    instead of attended to.
    """
    return HistoryRecommender(
        "pooled_mlp",
        ItemTable(attributes, width),
        average_encoder(width, dropout),
        None,
        window,
    )

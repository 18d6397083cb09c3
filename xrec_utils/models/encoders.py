"""Layers and encoders that turn a history of films into vectors."""

import numpy as np

from xrec_utils.checks import finite
from xrec_utils.keras_start import keras, layers, ops, tf


@keras.saving.register_keras_serializable("xrec_utils")
class ItemTable(layers.Layer):
    """One vector per item: a learned embedding plus its projected attributes.

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
        attributes = finite("attributes", attributes, ndim=2).astype(np.float32)
        self.n_items = len(attributes)
        self.width = width
        # start token and padding have no attributes
        self.attributes = np.pad(attributes, ((0, 2), (0, 0)))

    def build(self, input_shape: tuple) -> None:
        """Create the embedding, the projection of the attributes, and the biases."""
        self.embedding = self.add_weight(
            shape=(self.n_items + 2, self.width),
            initializer=keras.initializers.RandomNormal(stddev=0.05),
            name="embedding",
        )
        self.projection = self.add_weight(
            shape=(self.attributes.shape[1], self.width),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
            name="attribute_projection",
        )
        self.bias = self.add_weight(
            shape=(self.n_items,), initializer="zeros", name="item_bias"
        )

    def rows(self, ids: tf.Tensor | None = None) -> tf.Tensor:
        """Return the rows of ids (...), (..., d), or all rows, (n_items + 2, d)."""
        if ids is None:
            return self.embedding + ops.matmul(self.attributes, self.projection)
        # ops.take looks for negative ids first, which costs more than the rows
        attributes = tf.gather(self.attributes, ids)
        return tf.gather(self.embedding, ids) + ops.matmul(attributes, self.projection)

    def call(self, ids: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Look up ids (batch, length) as vectors (batch, length, d).

        They are scaled by √d as in Vaswani et al. 2017.
        """
        # a training step needs all rows anyway, for the logits; else only these few
        rows = ops.take(self.rows(), ids, axis=0) if training else self.rows(ids)
        return rows * self.width**0.5

    def logits(self, hidden: tf.Tensor) -> tf.Tensor:
        """Score every item for hidden states (..., d): (..., n_items).

        The score is the dot product with the item's row, plus its bias.
        """
        # start token and padding, the last two rows, are never recommended
        items = ops.transpose(self.rows()[: self.n_items])
        return ops.matmul(hidden, items) + self.bias


@keras.saving.register_keras_serializable("xrec_utils")
class PositionFromEnd(layers.Layer):
    """Adds a learned vector for "how many steps before the most recent item".

    Args:
        longest: number of positions; a place further back gets the last one's vector.
    """

    def __init__(self, longest: int, name: str = "position") -> None:
        super().__init__(name=name)
        self.longest = longest

    def build(self, input_shape: tuple) -> None:
        """Create the table, one row per number of steps back."""
        self.table = self.add_weight(
            shape=(self.longest, input_shape[-1]),
            initializer=keras.initializers.RandomNormal(stddev=0.05),
            name="steps_back",
        )

    def call(self, vectors: tf.Tensor) -> tf.Tensor:
        """Add each place's position vector to vectors (batch, length, d)."""
        steps_back = ops.minimum(
            ops.arange(ops.shape(vectors)[1] - 1, -1, -1),
            self.longest - 1,
        )
        return vectors + ops.take(self.table, steps_back, axis=0)


@keras.saving.register_keras_serializable("xrec_utils")
class CausalMask(layers.Layer):
    """Says which place may look at which one: itself and what stands before it."""

    def call(self, present: tf.Tensor) -> tf.Tensor:
        """Turn present (batch, length) into a mask (batch, length, length)."""
        places = ops.arange(ops.shape(present)[1])
        earlier = places[:, None] >= places[None, :]
        # keeps the softmax of a padded row away from 0/0
        itself = places[:, None] == places[None, :]
        # (batch, looking place, looked-at place)
        return ops.logical_or(
            ops.logical_and(present[:, None, :], earlier[None]),
            itself[None],
        )


@keras.saving.register_keras_serializable("xrec_utils")
class CausalMean(layers.Layer):
    """Averages, at every place, the vectors from the start of the history up to it."""

    def call(self, vectors: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        """Average vectors (batch, length, d) where present (batch, length) is true."""
        weight = ops.cast(present, vectors.dtype)[..., None]
        # places before the first film have no vector: 0/1 instead of 0/0
        count = ops.maximum(ops.cumsum(weight, axis=1), 1.0)
        return ops.cumsum(vectors * weight, axis=1) / count


def attention_encoder(
    width: int = 64,
    blocks: int = 2,
    heads: int = 2,
    dropout: float = 0.3,
    window: int = 50,
) -> tuple[keras.Model, keras.Model]:
    """Build the causal self-attention encoder of SASRec.

    Source: Kang and McAuley 2018, arXiv:1808.09781. Normalisation comes before each
    sublayer; the feed-forward part is twice as wide as the model.

    Returns:
        Two models over the same layers, both fed with vectors (batch, length, width)
        and present (batch, length): the encoder, giving hidden states (batch, length,
        width), and its attention maps, a dict with one (batch, heads, length, length)
        array per block.
    """
    vectors, present = encoder_inputs(width)
    mask = CausalMask(name="causal_mask")(present)
    # Python makes the outer layer first, and layers draw their seeds in this order.
    state = layers.Dropout(dropout, name="dropout_in")(
        PositionFromEnd(window + 1)(vectors),
    )
    maps = {}
    for n in range(1, blocks + 1):
        state, maps[f"attention_{n}"] = _attend(state, mask, heads, dropout, n)
        state = _feed_forward(state, 2 * width, dropout, n)
    encoder = keras.Model(
        [vectors, present],
        outputs=_norm("final_norm")(state),
        name="encoder",
    )
    return encoder, keras.Model([vectors, present], maps, name="maps")


def average_encoder(width: int = 64, dropout: float = 0.3) -> keras.Model:
    """Build the encoder that replaces attention by an average and a two-layer MLP.

    The embedding MLP of the history view (compare Covington et al. 2016,
    doi:10.1145/2959100.2959190). It maps vectors (batch, length, width) and present
    (batch, length) to hidden states (batch, length, width).
    """
    vectors, present = encoder_inputs(width)
    mean = CausalMean(name="causal_mean")(vectors, present)
    state = _feed_forward(
        layers.Dropout(dropout, name="dropout_in")(mean),
        inner=2 * width,
        dropout=dropout,
        n=1,
    )
    return keras.Model(
        [vectors, present],
        outputs=_norm("final_norm")(state),
        name="encoder",
    )


def encoder_inputs(width: int) -> tuple[tf.Tensor, tf.Tensor]:
    """What every encoder is fed with: vectors, and which places hold one."""
    return (
        keras.Input((None, width), name="vectors"),
        keras.Input((None,), dtype="bool", name="present"),
    )


def _norm(name: str) -> layers.Layer:
    return layers.LayerNormalization(epsilon=1e-6, name=name)


def _attend(
    state: tf.Tensor, mask: tf.Tensor, heads: int, dropout: float, n: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """The attention half of block n: the new state, and the weights."""
    normal = _norm(f"attention_norm_{n}")(state)
    attention = layers.MultiHeadAttention(
        num_heads=heads,
        key_dim=state.shape[-1] // heads,
        dropout=dropout,
        name=f"attention_{n}",
    )
    mixed, weights = attention(
        query=normal,
        value=normal,
        attention_mask=mask,
        return_attention_scores=True,
    )
    mixed = layers.Dropout(dropout)(mixed)
    return layers.Add(name=f"after_attention_{n}")([state, mixed]), weights


def _feed_forward(state: tf.Tensor, inner: int, dropout: float, n: int) -> tf.Tensor:
    """The feed-forward half of block n, with its way past."""
    normal = _norm(f"feed_forward_norm_{n}")(state)
    wide = layers.Dense(
        inner,
        activation="relu",
        name=f"feed_forward_{n}_wide",
    )(normal)
    narrow = layers.Dense(
        state.shape[-1],
        name=f"feed_forward_{n}_narrow",
    )(wide)
    return layers.Add(name=f"after_feed_forward_{n}")(
        [state, layers.Dropout(dropout)(narrow)],
    )


@keras.saving.register_keras_serializable("xrec_utils")
class _TiedLogits(layers.Layer):
    """The item table used a second time, as the output layer."""

    def __init__(self, table: ItemTable, name: str) -> None:
        super().__init__(name=name)
        self.table = table

    def call(self, hidden: tf.Tensor) -> tf.Tensor:
        """Score every item for hidden states (batch, length, d)."""
        return self.table.logits(hidden)

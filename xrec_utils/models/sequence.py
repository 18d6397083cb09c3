"""Deep recommenders that read a history.

They share one item table and one scoring rule, and mix the history in one of two ways.
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

from xrec_utils.contract import History, Sums, check_count, item_codes
from xrec_utils.files import require
from xrec_utils.keras_start import keras, layers, ops, tf
from xrec_utils.models.encoders import (
    ItemTable,
    _TiedLogits,
    attention_encoder,
    average_encoder,
)


class HistoryRecommender:
    """Scores items by (hidden state of the history) · (row of the item) + bias.

    Args:
        name: how tables and figures call it.
        table: the item vectors.
        encoder: model from vectors (batch, length, d) and present (batch, length) to
            hidden states (batch, length, d); None where a subclass scores without.
        maps: model giving the attention weights on the same inputs, or None for an
            encoder without attention.
        window: how many of the most recent films it reads; older ones have no
            influence.

    Raises:
        ValueError: `window` is no whole number above 0.
    """

    def __init__(
        self,
        name: str,
        table: ItemTable,
        encoder: keras.Model | None,
        maps: keras.Model | None = None,
        window: int = 50,
    ) -> None:
        check_count("window", window)
        self.name = name
        self.table = table
        self.encoder = encoder
        self.maps = maps
        self.window = window
        self.n_items = table.n_items
        self.width = table.width
        # two rows of the table follow the items
        self.start = table.n_items
        self.padding = table.n_items + 1
        self.model = self._training_model()

    def _training_model(self) -> keras.Model:
        """The model from ids (batch, length) to logits (batch, length, n_items)."""
        ids = keras.Input((None,), dtype="int32", name="ids")
        hidden = self.encoder(self._inputs(ids))
        return keras.Model(
            ids,
            outputs=_TiedLogits(self.table, name="logits")(hidden),
            name=self.name,
        )

    def _inputs(self, ids: tf.Tensor) -> list[tf.Tensor]:
        """What the encoder is fed with: vectors of ids, and which are no padding."""
        return [
            self.table(ids),
            ops.not_equal(ids, self.padding),
        ]

    # one trace for every length: histories of all sizes share it
    @tf.function(
        input_signature=[tf.TensorSpec((None, None), tf.int32)], autograph=False
    )
    def _last_hidden(self, ids: tf.Tensor) -> tf.Tensor:
        return self.encoder(self._inputs(ids), training=False)[:, -1]

    def windows(self, histories: Sequence[History]) -> np.ndarray:
        """Lay histories out as ids (n, longest + 1), padded on the left.

        Each row holds the start token, then the last `window` items. Raises ValueError
        on codes outside 0 .. n_items - 1: those that follow are start token and padding.
        """
        histories = [
            item_codes("history", history, self.n_items) for history in histories
        ]
        films = np.array(
            [min(len(films), self.window) for films in histories],
            int,
        )
        # at least one place for films: Keras warns of a softmax over a single place
        longest = films.max(initial=1)
        ids = keras.utils.pad_sequences(
            histories,
            maxlen=1 + longest,
            value=self.padding,
        )
        # the place before the films, whatever older film it holds
        ids[np.arange(len(ids)), longest - films] = self.start
        return ids

    def score(
        self,
        histories: Sequence[History],
        items: np.ndarray | None = None,
        batch: int = 256,
    ) -> np.ndarray:
        """Return logits (n histories, n items or len(items)).

        The empty history is the start token alone.
        """
        items = item_codes(
            "items",
            np.arange(self.n_items) if items is None else items,
            self.n_items,
        )
        # read once, whatever the number of batches
        rows = self.table.rows(items).numpy()
        level = self.table.bias.numpy()[items]
        pieces = [np.zeros((0, len(items)), dtype=np.float32)]
        for at in range(0, len(histories), batch):
            ids = self.windows(histories[at : at + batch])
            pieces.append(self._logits(ids, rows, level))
        return np.concatenate(pieces)

    def _logits(
        self, ids: np.ndarray, rows: np.ndarray, level: np.ndarray
    ) -> np.ndarray:
        """Logits (n, m) of windows (n, length) for items with these rows and biases."""
        return self._last_hidden(ids).numpy() @ rows.T + level

    def vectors(self, history: History) -> np.ndarray:
        """Return the vectors of a history's films, (length, d), without positions."""
        return self.table(np.asarray(history, dtype=np.int32)).numpy()

    def score_vectors(self, vectors: tf.Tensor, item: int) -> tf.Tensor:
        """Score one item for embedded histories (n, length, d): (n,), differentiable.

        `score_vectors(vectors(h)[None], j)` equals `score([h])[0, j]`.
        """
        vectors = ops.cast(
            vectors[:, -self.window :],
            "float32",
        )
        # One place of padding keeps the softmax of an empty history from being single.
        tokens = self.table(
            np.array(
                [[self.padding, self.start]],
                np.int32,
            )
        )
        whole = ops.concatenate(
            [ops.repeat(tokens, vectors.shape[0], axis=0), vectors],
            axis=1,
        )
        present = ops.broadcast_to(
            ops.arange(whole.shape[1]) > 0,
            whole.shape[:2],
        )
        hidden = self.encoder([whole, present], training=False)[:, -1]
        return (
            ops.matmul(
                hidden,
                self.table.rows(item),
            )
            + self.table.bias[item]
        )

    @property
    def shows_attention(self) -> bool:
        """Whether its encoder attends, so that there are weights to look at."""
        return self.maps is not None

    def attention(self, history: History) -> np.ndarray:
        """Return attention weights (blocks, heads, L, L), L = 1 + films read.

        Place 0 is the start token. Row q says how place q spreads its attention over
        the places up to it; each row sums to one.

        Raises:
            TypeError: the encoder of this model has no attention.
        """
        self._needs_attention()
        maps = self.maps(self._inputs(self.windows([history])), training=False)
        length = 1 + min(len(history), self.window)
        # padding stands on the left and is cut away
        return np.stack(
            [block.numpy()[0, :, -length:, -length:] for block in maps.values()],
        )

    def score_of_attention(
        self, history: History, item: int
    ) -> Callable[[tf.Tensor], tf.Tensor]:
        """Return the item's score as a function of the last row of attention.

        The function maps the last layer's last row of weights (n, heads, L) to scores
        (n,), with L = 1 + films read and place 0 the start token, for a history with a
        film in it. All else stays: values, earlier layers and what passes by the
        attention. Differentiable; given the row that `attention` shows, it is `score`.

        Raises:
            TypeError: the encoder of this model has no attention.
        """
        self._needs_attention()
        layer, before, after = self._around_attention
        # beside (L, d) passes the attention by, inside (L, d) goes into it
        ids = self.windows([history])
        beside, inside = (x[0] for x in before(self._inputs(ids), training=False))
        *_, kernel, bias, out, shift = layer.weights
        values = ops.einsum("ld,dhe->lhe", inside, kernel) + bias
        row = self.table.rows(item)[:, None]

        def score(weights: tf.Tensor) -> tf.Tensor:
            """Weights (n, heads, L) -> scores (n,)."""
            # (n, heads, e): every head's mixture of values, then back to width d
            heads = ops.einsum("nhl,lhe->nhe", weights, values)
            mixed = ops.einsum("nhe,hed->nd", heads, out) + shift
            last = ops.tile(beside[-1:], (len(weights), 1))
            hidden = after(
                [last[:, None], mixed[:, None]],
                training=False,
            )
            return ops.matmul(hidden[:, 0], row)[:, 0] + self.table.bias[item]

        return score

    @cached_property
    def _around_attention(self) -> tuple[layers.Layer, keras.Model, keras.Model]:
        """The last attention layer, the model before it, and the model after it.

        The first model leads to (past it, into it), the second from its answer and
        the past to the hidden states.
        """
        # the maps stand in the order of the blocks
        layer = self.encoder.get_layer(list(self.maps.output)[-1])
        place = self.encoder.layers.index(layer)
        join = next(
            behind
            for behind in self.encoder.layers[place:]
            if isinstance(behind, (layers.Add, layers.Concatenate))
        )
        before = keras.Model(
            self.encoder.inputs,
            [join.input[0], layer.input[1]],
        )
        after = keras.Model(join.input, self.encoder.output)
        return layer, before, after

    def _needs_attention(self) -> None:
        require(
            self.maps is not None,
            f"{self.name} mixes its history without attention; "
            "use the model named 'attention'",
            error=TypeError,
        )


class AveragingRecommender(HistoryRecommender):
    """What `pooled_mlp` builds: the encoder reads nothing but the films' average."""

    def sums(self, history: History, items: np.ndarray) -> Sums | None:
        """The films' vectors and the network behind their average.

        None for a history longer than the window: there a removed film lets an older
        one in.
        """
        if len(history) > self.window:
            return None
        # the start token's comes first
        vectors = self.vectors([self.start, *history])
        rows = self.table.rows(items).numpy()
        level = self.table.bias.numpy()[items]

        def finish(sums: np.ndarray, films: np.ndarray) -> np.ndarray:
            """Scores (m, k) of sums (m, d)."""
            # the start token is one place more
            mean = ((vectors[0] + sums) / (1 + films)[:, None]).astype(np.float32)
            return self._hidden(mean).numpy() @ rows.T + level

        return Sums(vectors[1:], finish)

    @tf.function(reduce_retracing=True, autograph=False)
    def _hidden(self, mean: tf.Tensor) -> tf.Tensor:
        """What the encoder makes of averages (m, d)."""
        # it reads one place, which is the mean already
        return self.encoder([mean[:, None], ops.ones_like(mean[:, :1], bool)])[:, 0]


def attention_recommender(
    attributes: np.ndarray,
    width: int = 64,
    blocks: int = 2,
    heads: int = 2,
    dropout: float = 0.3,
    window: int = 50,
) -> HistoryRecommender:
    """Build the untrained attention recommender (SASRec, arXiv:1808.09781).

    Args:
        attributes: float array (n_items, a), for example of `item_attributes`.
        width: length d of the item vectors.
        blocks: Transformer blocks, each attention and feed-forward.
        heads: attention heads of each block; they share `width` evenly.
        dropout: share of numbers left out in training.
        window: how many of the most recent films it reads.

    Returns:
        A `HistoryRecommender` named "attention"; `fit_next_item` trains it.

    Raises:
        ValueError: `heads` does not divide `width`, or one of the numbers is no whole
            number above 0.

    Example:
        >>> model = attention_recommender(np.eye(3), width=4, blocks=1, window=2)
        >>> history = np.array([0, 2])
        >>> model.score([history, history[:0]]).shape  # the empty history has a score
        (2, 3)
        >>> weights = model.attention(history)  # block, head, place, place it looks at
        >>> weights.shape
        (1, 2, 3, 3)
        >>> weights[0, 0, 0].tolist()  # the start token sees itself alone
        [1.0, 0.0, 0.0]
    """
    check_count("heads", heads)
    require(
        width % heads == 0,
        f"{heads} heads cannot share a width of {width} evenly: "
        "take a number of heads that divides it",
    )
    encoder, maps = attention_encoder(width, blocks, heads, dropout, window)
    return HistoryRecommender(
        name="attention",
        table=ItemTable(attributes, width),
        encoder=encoder,
        maps=maps,
        window=window,
    )


def pooled_mlp(
    attributes: np.ndarray, width: int = 64, dropout: float = 0.3, window: int = 50
) -> AveragingRecommender:
    """Build the untrained sibling that averages the history.

    Table and scoring are those of `attention_recommender`; attributes (n_items, a).
    """
    return AveragingRecommender(
        name="pooled_mlp",
        table=ItemTable(attributes, width),
        encoder=average_encoder(width, dropout),
        window=window,
    )

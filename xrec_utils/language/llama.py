"""A small language model with its lid off: SmolLM2-135M-Instruct in plain Keras.

Llama's architecture (Touvron et al. 2023, arXiv:2302.13971) in the size of SmolLM2
(Allal et al. 2025, arXiv:2502.02737): 30 blocks of grouped attention and a gated layer.
The weights come out of a GGUF file, a quarter of a float each, and are unpacked one
tensor at a time. Attention and gradients are ordinary Keras from there on.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xrec_utils.keras_start import keras, tf
from xrec_utils.language.writer import package

ops = keras.ops
FAR = -1e9  # added to the attention score of a token that may not be seen


@dataclass(frozen=True)
class Size:
    """Shape of the network, by default that of SmolLM2-135M.

    `groups` heads hold keys and values, each shared by heads / groups heads of queries.
    wavelength: of the rotary embedding's slowest turn. epsilon: of the norms.
    """

    vocabulary: int = 49_152
    width: int = 576
    hidden: int = 1_536
    blocks: int = 30
    heads: int = 9
    groups: int = 3
    wavelength: float = 100_000.0
    epsilon: float = 1e-5

    @property
    def head(self) -> int:
        """Numbers in one head's query, key or value."""
        return self.width // self.heads


SMOLLM2 = Size()
# our name of a layer: the name of its weights in a GGUF file
NAMES = {
    "query": "attn_q",
    "key": "attn_k",
    "value": "attn_v",
    "out": "attn_output",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
    "attention_norm": "attn_norm",
    "hidden_norm": "ffn_norm",
}


def rotate(x: Any, positions: Any, wavelength: float) -> Any:
    """Rotary position embedding (Su et al. 2021, arXiv:2104.09864).

    Pair i of x (n, t, heads, d) turns by an angle. The angle is position *
    wavelength**(-2i/d), so that the product of a query and a key depends on their
    distance alone. Neighbouring columns form a pair, as GGUF files store them.
    positions: (n, t).
    """
    half = x.shape[-1] // 2
    pair = np.arange(half, dtype=np.float32)
    speed = wavelength ** (-pair / half)
    # (n, t, 1, d / 2): the same for all heads
    angle = ops.cast(positions, "float32")[:, :, None, None] * speed
    even = x[..., 0::2]
    odd = x[..., 1::2]
    turned = [
        even * ops.cos(angle) - odd * ops.sin(angle),
        even * ops.sin(angle) + odd * ops.cos(angle),
    ]
    # (n, t, heads, d / 2, 2) back to (n, t, heads, d)
    return ops.reshape(
        ops.stack(turned, axis=-1),
        ops.shape(x),
    )


class Block(keras.layers.Layer):
    """One block of the network: grouped attention, then a gated layer.

    x += attention(norm(x)), then x += down(silu(gate(norm(x))) * up(norm(x))).
    """

    def __init__(self, size: Size, **named: Any) -> None:
        super().__init__(**named)
        self.size = size
        self.attention_norm = _norm(size, "attention_norm")
        self.hidden_norm = _norm(size, "hidden_norm")
        shared = size.groups * size.head
        self.query = _dense(size.width, "query")
        self.key = _dense(shared, "key")
        self.value = _dense(shared, "value")
        self.out = _dense(size.width, "out")
        self.gate = _dense(size.hidden, "gate")
        self.up = _dense(size.hidden, "up")
        self.down = _dense(size.width, "down")

    def build(self, shape: Any) -> None:
        """Make all weights; `shape` is Keras' and not needed."""
        for name in NAMES:
            # all read vectors of the width, but for the last of the gated layer
            width = self.size.hidden if name == "down" else self.size.width
            getattr(self, name).build((None, None, width))
        self.built = True

    def call(self, x: Any, positions: Any, mask: Any) -> tuple[Any, Any]:
        """x (n, t, width) -> x of the same shape and attention (n, heads, t, t).

        positions (n, t); mask (n, t, t) with 1 = sees.
        """
        mixed, weights = self.attend(
            self.attention_norm(x),
            positions,
            mask,
        )
        # each half of the block adds to what came in
        x = x + mixed
        inside = self.hidden_norm(x)
        # near 0 the gate holds back what goes up
        gated = ops.silu(self.gate(inside)) * self.up(inside)
        return x + self.down(gated), weights

    def attend(self, x: Any, positions: Any, mask: Any) -> tuple[Any, Any]:
        """Normed x (n, t, width) -> mixed values (n, t, width) and weights.

        The weights are (n, heads, t, t); row i says where token i looks.
        """
        n, t = ops.shape(x)[:2]
        size = self.size
        in_heads = (n, t, -1, size.head)
        # values are not turned: where a token stands matters to its weight only
        value = ops.reshape(self.value(x), in_heads)
        key = rotate(
            ops.reshape(self.key(x), in_heads),
            positions,
            size.wavelength,
        )
        query = rotate(
            ops.reshape(self.query(x), in_heads),
            positions,
            size.wavelength,
        )
        # (n, t, groups, heads of the group, head): a group shares its key and value
        query = ops.reshape(
            query,
            (n, t, size.groups, size.heads // size.groups, size.head),
        )
        scores = ops.einsum("ntgrd,nsgd->ngrts", query, key)
        # a large negative number is a weight of 0 after the softmax
        weights = ops.softmax(
            scores / size.head**0.5 + FAR * (1.0 - mask[:, None, None]),
            axis=-1,
        )
        mixed = ops.einsum("ngrts,nsgd->ntgrd", weights, value)
        return (
            self.out(ops.reshape(mixed, (n, t, size.width))),
            ops.reshape(weights, (n, size.heads, t, t)),
        )


def _norm(size: Size, name: str) -> keras.layers.Layer:
    """A layer that brings each vector to one length."""
    return keras.layers.RMSNormalization(epsilon=size.epsilon, name=name)


def _dense(width: int, name: str) -> keras.layers.Layer:
    """A matrix of weights, zero until a file fills it."""
    return keras.layers.Dense(
        width, use_bias=False, kernel_initializer="zeros", name=name
    )


class Llama(keras.Model):
    """The network from token vectors to the last hidden state.

    `embed` and `logits` share one matrix of words.
    """

    def __init__(self, size: Size = SMOLLM2, **named: Any) -> None:
        super().__init__(**named)
        self.size = size
        self.words = keras.layers.Embedding(
            size.vocabulary, size.width, embeddings_initializer="zeros", name="words"
        )
        self.blocks = [
            # the names must differ for Keras to store the weights
            Block(size, name=f"block_{n}")
            for n in range(size.blocks)
        ]
        self.norm = _norm(size, "norm")

    def build(self, shape: Any = None) -> None:
        """Make all weights; `shape` is Keras' and not needed."""
        self.words.build(())
        for block in self.blocks:
            block.build(None)
        self.norm.build((None, None, self.size.width))
        self.built = True

    def embed(self, tokens: Any) -> Any:
        """Token ids (n, t) -> vectors (n, t, width): what gradients are taken at."""
        return self.words(tokens)

    def call(self, vectors: Any, positions: Any, mask: Any) -> Any:
        """Vectors (n, t, width) -> hidden states (n, t, width).

        positions (n, t); mask (n, t, t) with 1 = sees.
        """
        for block in self.blocks:
            vectors, _ = block(vectors, positions, mask)
        return self.norm(vectors)

    def attention(self, vectors: Any, positions: Any, mask: Any) -> list[Any]:
        """The attention weights (n, heads, t, t) of every block, first to last.

        Row i says where token i looks.
        """
        by_block = []
        for block in self.blocks:
            vectors, weights = block(vectors, positions, mask)
            by_block.append(weights)
        return by_block

    def logits(self, hidden: Any) -> Any:
        """Hidden states (..., width) -> scores (..., vocabulary) of next tokens."""
        return ops.matmul(hidden, ops.transpose(self.words.embeddings))


def tensors(path: Path) -> dict[str, Any]:
    """The tensors of a GGUF file by name, still packed.

    `unpack` makes a float32 array (out, in) of one. Needs the package gguf.
    """
    return {each.name: each for each in package("gguf").GGUFReader(path).tensors}


def unpack(tensor: Any) -> np.ndarray:
    """Dequantise one tensor of a GGUF file to float32."""
    return package("gguf").dequantize(tensor.data, tensor.tensor_type)


def load_llama(path: Path, size: Size = SMOLLM2) -> Llama:
    """Build the network and fill it from a GGUF file.

    One tensor at a time: at most one is held twice. Needs the package gguf. Raises
    KeyError when the file lacks a tensor, ValueError when one has another shape.
    """
    packed = tensors(path)
    model = Llama(size)
    model.build()
    model.words.embeddings.assign(unpack(packed["token_embd.weight"]))
    model.norm.scale.assign(unpack(packed["output_norm.weight"]))
    for n, block in enumerate(model.blocks):
        for ours, theirs in NAMES.items():
            layer = getattr(block, ours)
            # GGUF holds (out, in), Keras (in, out); each layer has one array
            weight = unpack(packed[f"blk.{n}.{theirs}.weight"])
            layer.weights[0].assign(weight.T)
    model.trainable = False
    return model


def load_tokenizer(path: Path) -> Any:
    """SmolLM2's tokeniser out of the GGUF file, a `tokenizers.Tokenizer`.

    Digits one by one, then byte pairs. Needs the packages gguf and tokenizers.
    """
    library = package("tokenizers")
    fields = package("gguf").GGUFReader(path).fields
    words = fields["tokenizer.ggml.tokens"].contents()
    merges = fields["tokenizer.ggml.merges"].contents()
    kinds = fields["tokenizer.ggml.token_type"].contents()
    pairs = library.models.BPE(
        vocab={word: n for n, word in enumerate(words)},
        merges=[tuple(merge.split(" ")) for merge in merges],
    )
    tokenizer = library.Tokenizer(pairs)
    tokenizer.pre_tokenizer = library.pre_tokenizers.Sequence(
        [
            library.pre_tokenizers.Digits(individual_digits=True),
            library.pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = library.decoders.ByteLevel()
    control = [
        library.AddedToken(word, special=True)
        for word, kind in zip(words, kinds, strict=True)
        # GGUF's number for tokens that are not text
        if kind == 3
    ]
    tokenizer.add_special_tokens(control)
    return tokenizer


def compiled(model: Llama) -> Any:
    """`model` as one TensorFlow graph for every length.

    The graph takes (tokens, positions, mask, rows) and gives log-probabilities. tokens,
    positions (n, t) int32; mask (n, t, t) float32; rows (r, 2) int32 of (sequence,
    place) pairs whose next token is asked about. Returns (r, vocabulary) float32. Only
    those rows are ever turned into words.
    """
    ids = tf.TensorSpec((None, None), tf.int32)
    square = tf.TensorSpec((None, None, None), tf.float32)

    @tf.function(input_signature=(ids, ids, square, ids))
    def log_probabilities(tokens: Any, positions: Any, mask: Any, rows: Any) -> Any:
        """Of the words that may follow each of `rows`."""
        hidden = model(model.embed(tokens), positions, mask)
        # the matrix of words is the largest step: only for the rows asked about
        followed = tf.gather_nd(hidden, rows)
        return tf.nn.log_softmax(model.logits(followed))

    return log_probabilities

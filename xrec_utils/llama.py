"""A small language model with its lid off: SmolLM2-135M-Instruct as a plain Keras
model.

Llama's architecture (Touvron et al. 2023, arXiv:2302.13971) in the size of SmolLM2
(Allal et al. 2025, arXiv:2502.02737): 30 blocks of grouped attention and a gated layer.
The weights come out of a GGUF file, a quarter of a float each, and are unpacked one
tensor at a time. Attention and gradients are ordinary Keras from there on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xrec_utils.keras_start import keras, tf

ops = keras.ops
FAR = -1e9  # added to the attention score of a token that may not be seen


@dataclass(frozen=True)
class Size:
    """Shape of the network: `groups` heads hold keys and values, each shared by heads /
    groups heads of queries.
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
        return self.width // self.heads


SMOLLM2 = Size()


def rotate(x: Any, positions: Any, wavelength: float) -> Any:
    """Rotary position embedding (Su et al. 2021, arXiv:2104.09864): pair i of x (n, t,
    heads, d) turns by an angle.

    The angle is position * wavelength**(-2i/d), so that the product of a query and a
    key depends on their distance alone. Neighbouring columns form a pair, as GGUF files
    store them. positions: (n, t).
    """
    half = x.shape[-1] // 2
    speed = wavelength ** (-np.arange(half, dtype=np.float32) / half)
    angle = ops.cast(positions, "float32")[:, :, None, None] * speed
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = [
        even * ops.cos(angle) - odd * ops.sin(angle),
        even * ops.sin(angle) + odd * ops.cos(angle),
    ]
    return ops.reshape(ops.stack(turned, axis=-1), ops.shape(x))


class Block(keras.layers.Layer):
    """One block: x += attention(norm(x)), then x += down(silu(gate(norm(x))) *
    up(norm(x))).
    """

    def __init__(self, size: Size, **named: Any) -> None:
        super().__init__(**named)
        self.size = size
        self.attention_norm = keras.layers.RMSNormalization(
            epsilon=size.epsilon, name="attention_norm"
        )
        self.hidden_norm = keras.layers.RMSNormalization(
            epsilon=size.epsilon, name="hidden_norm"
        )
        both = size.groups * size.head
        widths = {"query": size.width, "key": both, "value": both, "out": size.width}
        widths |= {"gate": size.hidden, "up": size.hidden, "down": size.width}
        for name, width in widths.items():
            setattr(
                self,
                name,
                keras.layers.Dense(
                    width, use_bias=False, kernel_initializer="zeros", name=name
                ),
            )

    def build(self, shape: Any) -> None:
        width = (None, None, self.size.width)
        for name in (
            "attention_norm",
            "hidden_norm",
            "query",
            "key",
            "value",
            "out",
            "gate",
            "up",
        ):
            getattr(self, name).build(width)
        self.down.build((None, None, self.size.hidden))
        self.built = True

    def call(self, x: Any, positions: Any, mask: Any) -> tuple[Any, Any]:
        """x (n, t, width), positions (n, t), mask (n, t, t) with 1 = sees -> x and
        attention (n, heads, t, t).
        """
        mixed, weights = self.attend(self.attention_norm(x), positions, mask)
        x = x + mixed
        inside = self.hidden_norm(x)
        return x + self.down(ops.silu(self.gate(inside)) * self.up(inside)), weights

    def attend(self, x: Any, positions: Any, mask: Any) -> tuple[Any, Any]:
        n, t = ops.shape(x)[0], ops.shape(x)[1]
        size = self.size
        split = {
            name: ops.reshape(getattr(self, name)(x), (n, t, -1, size.head))
            for name in ("query", "key", "value")
        }
        query = rotate(split["query"], positions, size.wavelength)
        query = ops.reshape(
            query, (n, t, size.groups, size.heads // size.groups, size.head)
        )
        key = rotate(split["key"], positions, size.wavelength)
        scores = ops.einsum("ntgrd,nsgd->ngrts", query, key) / size.head**0.5
        weights = ops.softmax(scores + FAR * (1.0 - mask[:, None, None]), axis=-1)
        mixed = ops.einsum("ngrts,nsgd->ntgrd", weights, split["value"])
        return self.out(ops.reshape(mixed, (n, t, size.width))), ops.reshape(
            weights, (n, size.heads, t, t)
        )


class Llama(keras.Model):
    """The network from token vectors to the last hidden state; `embed` and `logits`
    share one matrix of words.
    """

    def __init__(self, size: Size = SMOLLM2, **named: Any) -> None:
        super().__init__(**named)
        self.size = size
        self.words = keras.layers.Embedding(
            size.vocabulary, size.width, embeddings_initializer="zeros", name="words"
        )
        self.blocks = [Block(size, name=f"block_{n}") for n in range(size.blocks)]
        self.norm = keras.layers.RMSNormalization(epsilon=size.epsilon, name="norm")

    def build(self, shape: Any = None) -> None:
        self.words.build(())
        for block in self.blocks:
            block.build(None)
        self.norm.build((None, None, self.size.width))
        self.built = True

    def embed(self, tokens: Any) -> Any:
        """Token ids (n, t) -> vectors (n, t, width): what gradients are taken at."""
        return self.words(tokens)

    def call(self, vectors: Any, positions: Any, mask: Any) -> Any:
        """Vectors (n, t, width), positions (n, t), mask (n, t, t) -> hidden states (n,
        t, width).
        """
        for block in self.blocks:
            vectors, _ = block(vectors, positions, mask)
        return self.norm(vectors)

    def attention(self, vectors: Any, positions: Any, mask: Any) -> list[Any]:
        """The attention weights (n, heads, t, t) of every block, first to last; row i
        says where token i looks.
        """
        seen = []
        for block in self.blocks:
            vectors, weights = block(vectors, positions, mask)
            seen.append(weights)
        return seen

    def logits(self, hidden: Any) -> Any:
        """Hidden states (..., width) -> scores of every next token (..., vocabulary)."""
        return ops.matmul(hidden, ops.transpose(self.words.embeddings))


NAMES = {"query": "attn_q", "key": "attn_k", "value": "attn_v", "out": "attn_output",
         "gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down",
         "attention_norm": "attn_norm", "hidden_norm": "ffn_norm"}  # fmt: skip


def tensors(path: Path) -> dict[str, Any]:
    """The tensors of a GGUF file by name, still packed; `unpack` makes a float32 array
    (out, in) of one.
    """
    from gguf import GGUFReader

    return {tensor.name: tensor for tensor in GGUFReader(path).tensors}


def unpack(tensor: Any) -> np.ndarray:
    """Dequantise one tensor of a GGUF file to float32."""
    from gguf import dequantize

    return dequantize(tensor.data, tensor.tensor_type)


def load_llama(path: Path, size: Size = SMOLLM2) -> Llama:
    """Build the network and fill it from a GGUF file, one tensor at a time: at most one
    is held twice.
    """
    packed, model = tensors(path), Llama(size)
    model.build()
    model.words.embeddings.assign(unpack(packed["token_embd.weight"]))
    model.norm.scale.assign(unpack(packed["output_norm.weight"]))
    for n, block in enumerate(model.blocks):
        for ours, theirs in NAMES.items():
            found, layer = (
                unpack(packed[f"blk.{n}.{theirs}.weight"]),
                getattr(block, ours),
            )
            if found.ndim == 1:
                layer.scale.assign(found)
            else:
                layer.kernel.assign(found.T)
    model.trainable = False
    return model


def load_tokenizer(path: Path) -> Any:
    """SmolLM2's tokeniser out of the GGUF file: digits one by one, then byte pairs (a
    `tokenizers.Tokenizer`).
    """
    from gguf import GGUFReader
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    fields = GGUFReader(path).fields
    words, pairs, kinds = (
        fields[f"tokenizer.ggml.{name}"].contents()
        for name in ("tokens", "merges", "token_type")
    )
    model = models.BPE(
        {word: n for n, word in enumerate(words)},
        [tuple(pair.split(" ")) for pair in pairs],
    )
    tokenizer = Tokenizer(model)
    digits, letters = (
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, letters])
    tokenizer.decoder = decoders.ByteLevel()
    control = 3  # GGUF's number for tokens that are not text
    tokenizer.add_special_tokens([AddedToken(w, special=True) for w, kind in zip(words, kinds, strict=True)
                                  if kind == control])  # fmt: skip
    return tokenizer


def compiled(model: Llama) -> Any:
    """`model` as one TensorFlow graph for every length: (tokens, positions, mask, rows)
    -> log-probabilities.

    tokens, positions (n, t) int32; mask (n, t, t) float32; rows (r, 2) int32 of
    (sequence, place) pairs whose next token is asked about. Returns (r, vocabulary)
    float32. Only those rows are ever turned into words.
    """
    ids, square = (
        tf.TensorSpec((None, None), tf.int32),
        tf.TensorSpec((None, None, None), tf.float32),
    )

    @tf.function(input_signature=(ids, ids, square, ids))
    def log_probabilities(tokens: Any, positions: Any, mask: Any, rows: Any) -> Any:
        hidden = model(model.embed(tokens), positions, mask)
        return tf.nn.log_softmax(model.logits(tf.gather_nd(hidden, rows)))

    return log_probabilities

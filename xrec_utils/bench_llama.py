"""How near the Keras model is to two others with the same weights: NumPy, written here,
and llama.cpp.

The forward pass in NumPy, in float32, goes token by token and head by head, and turns
pairs as complex numbers: as unlike the Keras model as the same formulas allow.
llama.cpp also rounds what flows between the layers, to 8 bits.
"""

from __future__ import annotations

import numpy as np

from xrec_utils import language as lang
from xrec_utils.fetch import model_file
from xrec_utils.llama import SMOLLM2, Size, tensors, unpack
from xrec_utils.llm import KerasLM, Tree

Weights = dict[str, np.ndarray]  # GGUF names, matrices as (out, in)


def norm(x: np.ndarray, scale: np.ndarray, epsilon: float = 1e-5) -> np.ndarray:
    return (
        x
        / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(epsilon))
        * scale
    )


def turned(x: np.ndarray, wavelength: float) -> np.ndarray:
    """x (t, d): pair (2i, 2i + 1) of row p times exp(1j p wavelength^(-2i/d))."""
    t, d = x.shape
    angle = np.arange(t)[:, None] * wavelength ** (-np.arange(0, d, 2) / d)
    pairs = (x[:, 0::2] + 1j * x[:, 1::2]) * np.exp(1j * angle)
    return np.stack([pairs.real, pairs.imag], axis=-1).reshape(t, d).astype(np.float32)


def attention(x: np.ndarray, layer: Weights, size: Size) -> np.ndarray:
    d = size.head
    query, key, value = (x @ layer[name].T for name in ("attn_q", "attn_k", "attn_v"))
    mixed = np.zeros_like(x)
    for head in range(size.heads):
        group = head // (size.heads // size.groups)
        mine, theirs = (
            slice(head * d, (head + 1) * d),
            slice(group * d, (group + 1) * d),
        )
        q, k = (turned(x, size.wavelength) for x in (query[:, mine], key[:, theirs]))
        for at in range(len(x)):
            scores = k[: at + 1] @ q[at] / np.sqrt(np.float32(d))
            weights = np.exp(scores - scores.max())
            mixed[at, mine] = weights / weights.sum() @ value[: at + 1, theirs]
    return mixed @ layer["attn_output"].T


def logits(tokens: list[int], weights: Weights, size: Size = SMOLLM2) -> np.ndarray:
    """Scores (t, vocabulary) of the token after each of `tokens`."""
    x = weights["token_embd.weight"][tokens]
    for n in range(size.blocks):
        prefix = f"blk.{n}."
        layer = {
            name.removeprefix(prefix).removesuffix(".weight"): value
            for name, value in weights.items()
            if name.startswith(prefix)
        }
        x = x + attention(norm(x, layer["attn_norm"]), layer, size)
        inside = norm(x, layer["ffn_norm"])
        gate = inside @ layer["ffn_gate"].T
        x = (
            x
            + (gate / (1 + np.exp(-gate)) * (inside @ layer["ffn_up"].T))
            @ layer["ffn_down"].T
        )
    return norm(x, weights["output_norm.weight"]) @ weights["token_embd.weight"].T


def prompts(count: int = 20) -> list[str]:
    """Prompts of the panel with three films of history, so that the loops above take
    seconds.
    """
    return lang.words(lang.Question(listed=False, length=3), count)


def to_numpy(model: KerasLM) -> np.ndarray:
    """Largest absolute difference of any logit after any token, for each of 20 prompts."""
    weights = {
        name: unpack(tensor) for name, tensor in tensors(model_file("smollm2")).items()
    }
    gaps = []
    for prompt in prompts():
        tokens = model.tokens(prompt)
        ids, positions = (
            np.array([tokens], np.int32),
            np.arange(len(tokens), dtype=np.int32)[None],
        )
        mask = np.tril(np.ones((1, len(tokens), len(tokens)), np.float32))
        ours = model.model.logits(model.model(model.model.embed(ids), positions, mask))[
            0
        ]
        gaps.append(np.abs(ours - logits(tokens, weights)).max())
    return np.array(gaps)


def to_llama_cpp(
    model: KerasLM, top: int = 20, every: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """Absolute differences of log-probabilities to llama.cpp, and whether the likeliest
    token is the same.

    Asked after every eighth token of 20 prompts, for the `top` tokens that llama.cpp
    finds likeliest.
    """
    from xrec_utils.llm_text import LocalLM

    local, gaps, same = LocalLM(), [], []
    for prompt in prompts():
        tokens, tree = model.tokens(prompt), Tree()
        path = tree.add(tokens)
        places = range(every, len(tokens), every)
        found = model.following(tree, [path[at] for at in places])
        for row, at in zip(found, places, strict=True):
            ids, theirs = local.log_probabilities(tokens[: at + 1], top)
            gaps.append(np.abs(row[ids] - theirs))
            same.append(row.argmax() == ids[0])
    return np.concatenate(gaps), np.array(same)

"""How near the Keras language model is to two others with the same weights.

    python -m tests.support.llama_numpy    measures it again, into record.json of
                                           data/language (needs `make llm`)

They are NumPy, written here, and llama.cpp. The forward pass in NumPy, in float32, goes
token by token and head by head, and turns pairs as complex numbers: as unlike the Keras
model as the same formulas allow. llama.cpp also rounds what flows between the layers,
to 8 bits.
"""

import numpy as np

from xrec_tools.bench.language import note
from xrec_utils.language import experiment as lang
from xrec_utils.language.llama import SMOLLM2, Size, tensors, unpack
from xrec_utils.language.ranker import KerasLM, Tree
from xrec_utils.language.weights import model_file

Weights = dict[str, np.ndarray]  # GGUF names, matrices as (out, in)


def norm(x: np.ndarray, scale: np.ndarray, epsilon: float = 1e-5) -> np.ndarray:
    """Rows of x (t, d) divided by their root mean square, times scale (d,)."""
    mean_square = np.mean(
        x * x,
        axis=-1,
        keepdims=True,
    )
    return x / np.sqrt(mean_square + np.float32(epsilon)) * scale


def turned(x: np.ndarray, wavelength: float) -> np.ndarray:
    """x (t, d): pair (2i, 2i + 1) of row p times exp(1j p wavelength^(-2i/d))."""
    t, d = x.shape
    speed = wavelength ** (
        -np.arange(
            0,
            d,
            2,
        )
        / d
    )
    angle = np.arange(t)[:, None] * speed  # (t, d/2)
    pairs = x[:, 0::2] + 1j * x[:, 1::2]
    pairs = pairs * np.exp(1j * angle)
    return np.stack([pairs.real, pairs.imag], axis=-1).reshape(t, d).astype(np.float32)


def attention(x: np.ndarray, layer: Weights, size: Size) -> np.ndarray:
    """Causal self-attention of x (t, width), head by head and token by token."""
    query = x @ layer["attn_q"].T
    key = x @ layer["attn_k"].T
    value = x @ layer["attn_v"].T
    mixed = np.zeros_like(x)
    for head in range(size.heads):
        # several heads share one group of keys and values
        group = head // (size.heads // size.groups)
        mine = slice(head * size.head, (head + 1) * size.head)
        theirs = slice(group * size.head, (group + 1) * size.head)
        q = turned(query[:, mine], size.wavelength)
        k = turned(key[:, theirs], size.wavelength)
        for at in range(len(x)):
            # a token reads itself and those before it
            scores = k[: at + 1] @ q[at] / np.sqrt(np.float32(size.head))
            weights = np.exp(scores - scores.max())
            weights = weights / weights.sum()
            mixed[at, mine] = weights @ value[: at + 1, theirs]
    return mixed @ layer["attn_output"].T


def logits(tokens: list[int], weights: Weights, size: Size = SMOLLM2) -> np.ndarray:
    """Scores (t, vocabulary) of the token after each of `tokens`."""
    x = weights["token_embd.weight"][tokens]
    for n in range(size.blocks):
        layer = _layer(weights, n)
        x = x + attention(
            norm(x, layer["attn_norm"]),
            layer,
            size,
        )
        inside = norm(x, layer["ffn_norm"])
        gate = inside @ layer["ffn_gate"].T
        wide = (gate / (1 + np.exp(-gate))) * (inside @ layer["ffn_up"].T)
        x = x + wide @ layer["ffn_down"].T
    # the embedding serves as output layer, too
    return norm(x, weights["output_norm.weight"]) @ weights["token_embd.weight"].T


def _layer(weights: Weights, number: int) -> Weights:
    """The weights of one block, under their names within it."""
    prefix = f"blk.{number}."
    layer = {}
    for name, value in weights.items():
        if name.startswith(prefix):
            layer[name.removeprefix(prefix).removesuffix(".weight")] = value
    return layer


def prompts(count: int = 20) -> list[str]:
    """Prompts of the panel with three films of history."""
    # short ones, so that the loops above take seconds
    return lang.words(lang.Question(listed=False, length=3), count)


def to_numpy(model: KerasLM) -> np.ndarray:
    """Largest absolute difference of any logit after any token, for 20 prompts."""
    weights = {
        name: unpack(tensor) for name, tensor in tensors(model_file("smollm2")).items()
    }
    network = model.model
    gaps = []
    for prompt in prompts():
        tokens = model.tokens(prompt)
        n = len(tokens)
        hidden = network(
            # one prompt at a time, as a batch of one
            network.embed(np.array([tokens], np.int32)),
            np.arange(n, dtype=np.int32)[None],
            np.tril(np.ones((1, n, n), np.float32)),
        )
        gaps.append(np.abs(network.logits(hidden)[0] - logits(tokens, weights)).max())
    return np.array(gaps)


def to_llama_cpp(
    model: KerasLM, top: int = 20, every: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """Absolute differences of log-probabilities to llama.cpp.

    Also returned is whether the likeliest token is the same. Asked after every eighth
    token of 20 prompts, for the `top` tokens that llama.cpp finds likeliest.
    """
    from xrec_utils.language.writer import LocalLM

    local = LocalLM()
    gaps = []
    same = []
    for prompt in prompts():
        tokens = model.tokens(prompt)
        tree = Tree()
        path = tree.add(tokens)
        places = range(every, len(tokens), every)
        found = model.following(tree, [path[at] for at in places])
        for row, at in zip(found, places, strict=True):
            ids, theirs = local.log_probabilities(tokens[: at + 1], top)
            gaps.append(np.abs(row[ids] - theirs))
            same.append(row.argmax() == ids[0])
    return np.concatenate(gaps), np.array(same)


def agreement(model: KerasLM, every: int = 8) -> dict[str, float]:
    """The distances in words: from NumPy in logits, from llama.cpp in nats."""
    gaps, same = to_llama_cpp(model, every=every)
    found = {
        "NumPy, largest logit difference": to_numpy(model).max(),
        "llama.cpp, median difference": np.median(gaps),
        "llama.cpp, 99th percentile": np.quantile(gaps, 0.99),
        "llama.cpp, same top token": same.mean(),
        "llama.cpp, tokens asked about": len(same),
    }
    return {name: round(float(value), 6) for name, value in found.items()}


if __name__ == "__main__":
    note("agreement", model_file("smollm2").name, agreement(lang.model()))

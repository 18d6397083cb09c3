"""A language model of the same make as SmolLM2, small enough to check by hand: letters
for tokens, random weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xrec_utils.language.llama import Llama, Size
from xrec_utils.language.ranker import KerasLM

LETTERS = [chr(n) for n in range(32, 127)] + ["\n"]
SIZE = Size(
    vocabulary=len(LETTERS),
    width=16,
    hidden=24,
    blocks=2,
    heads=4,
    groups=2,
    wavelength=100.0,
)


@dataclass
class Encoded:
    ids: list[int]
    offsets: list[tuple[int, int]]


class Letters:
    """Every letter is a token."""

    def encode(self, text: str) -> Encoded:
        return Encoded(
            [LETTERS.index(letter) for letter in text],
            [(n, n + 1) for n in range(len(text))],
        )

    def decode(self, ids: list[int]) -> str:
        return "".join(LETTERS[n] for n in ids)


def tiny_network(seed: int = 0) -> Llama:
    """Random weights, norms near one."""
    model, rng = Llama(SIZE), np.random.default_rng(seed)
    model.build()
    for weight in model.weights:
        scale = "norm" in weight.path.rsplit("/", 1)[0].rsplit("/", 1)[-1]
        weight.assign(
            1 + 0.1 * rng.normal(size=weight.shape)
            if scale
            else 0.5 * rng.normal(size=weight.shape)
        )
    return model


def tiny_lm() -> KerasLM:
    """A `KerasLM` that needs no installation."""
    model = KerasLM()
    model.__dict__.update(model=tiny_network(), tokenizer=Letters())
    return model


def by_name(model: Llama) -> dict[str, np.ndarray]:
    """The weights under the names that a GGUF file gives them, matrices as (out, in)."""
    from xrec_utils.language.llama import NAMES

    found = {
        "token_embd.weight": model.words.embeddings.numpy(),
        "output_norm.weight": model.norm.scale.numpy(),
    }
    for n, block in enumerate(model.blocks):
        for ours, theirs in NAMES.items():
            layer = getattr(block, ours)
            found[f"blk.{n}.{theirs}.weight"] = (
                layer.scale.numpy() if "norm" in ours else layer.kernel.numpy().T
            )
    return found

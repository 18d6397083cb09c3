"""Checks of the exercises of notebook 09."""

from collections.abc import Mapping, Sequence

import numpy as np

from xrec_utils import zoo
from xrec_utils.exercises.register import exercise, near, near_unless_slip, numbers
from xrec_utils.keras_start import keras


@exercise(
    "09.1",
    hint="x @ W + b has two numbers, x @ W.T + b has three; then 1 / (1 + exp(-z)).",
)
def two_layers_by_hand(answer: Sequence[np.ndarray]) -> bool | str:
    """Two layers of sigmoid units, computed by hand."""
    before = [2.3, 3.0], [0.6, 1.3, 2.0]
    first, second = answer
    if near(first, before[0]) and near(second, before[1]):
        return "these are the sums; the sigmoid is still missing"
    return all(
        near(got, 1 / (1 + np.exp(-np.array(z))))
        for got, z in zip((first, second), before, strict=True)
    )


@exercise(
    "09.2",
    hint="64 positive numbers: give a large one to a neuron in which this input is largest.",
)
def film_noir_on_top(
    answer: np.ndarray, mlp: keras.Model, names: Sequence[str]
) -> bool | str:
    """A scaling of neurons that puts one input on top of the map."""
    kernel, bias, following, *_ = mlp.get_weights()
    with np.errstate(all="ignore"):
        # as the network holds them: in 32 bits
        scale = numbers(answer).astype(np.float32)
        if scale.shape != (64,) or not (scale > 0).all():
            return "64 scales are asked for, one for each neuron, all above zero"
        # what one input alone sends into the second layer, before and after
        own, twin = (
            np.maximum((kernel + bias) * each, 0) @ (following.T / each).T
            for each in (np.ones(64, dtype=np.float32), scale)
        )
    if not near(twin, own, tolerance=0.01):
        return (
            "no twin: so far from 1, scales overflow in 32 bits, and predictions change"
        )
    # (inputs, neurons)
    sums = (np.abs(kernel) * scale.astype(np.float64)).sum(axis=1)
    winner = names[int(sums.argmax())]
    return winner == "film: Film-Noir" or f"the largest sum is now on {winner!r}"


@exercise(
    "09.3",
    hint="Keep the other parts as they are. stream[-1] less this part; part('final_norm'); the film's row and bias.",
)
def attention_taken_out(
    answer: float, parts: Mapping[str, np.ndarray], item: int
) -> bool | str:
    """A film's score without the part of one attention layer."""
    model = zoo.load("attention")
    stream = sum(part[-1] for part in parts.values())
    # (2, width), as if they were two places of one history
    both = np.stack(
        [stream - parts["attention"][-1], stream],
    )
    normed = model.encoder.get_layer("final_norm")(
        both[None].astype(np.float32),
    )
    logits = model.table.logits(normed).numpy()
    without, score = logits[0, :, item]
    return near_unless_slip(
        answer,
        expected=without - score,
        slip=score - without,
        hint="the sign: below zero means that the score falls when attention goes",
    )

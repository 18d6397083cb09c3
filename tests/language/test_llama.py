"""The Keras model against a forward pass in NumPy, on random weights and on SmolLM2's."""

from __future__ import annotations

import llama_numpy
import numpy as np
import pytest

import tiny_llm
from xrec_utils.keras_start import tf
from xrec_utils.language import experiment as lang
from xrec_utils.language.llama import (
    SMOLLM2,
    compiled,
    load_llama,
    load_tokenizer,
    rotate,
    tensors,
    unpack,
)
from xrec_utils.language.ranker import KerasLM
from xrec_utils.language.weights import model_file


@pytest.fixture(scope="module")
def network():
    return tiny_llm.tiny_network()


def inputs(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions and a causal mask."""
    n, t = tokens.shape
    return np.tile(np.arange(t, dtype=np.int32), (n, 1)), np.tile(
        np.tril(np.ones((t, t), np.float32)), (n, 1, 1)
    )


def test_logits_are_those_of_the_forward_pass_by_hand(network) -> None:
    tokens = (
        np.random.default_rng(1)
        .integers(0, tiny_llm.SIZE.vocabulary, (3, 11))
        .astype(np.int32)
    )
    ours = network.logits(network(network.embed(tokens), *inputs(tokens))).numpy()
    weights = tiny_llm.by_name(network)
    for row, sequence in zip(ours, tokens, strict=True):
        np.testing.assert_allclose(
            row, llama_numpy.logits(sequence, weights, tiny_llm.SIZE), atol=2e-5
        )


def test_the_graph_gives_log_probabilities_of_the_rows_asked_for(network) -> None:
    tokens = np.array([[5, 3, 8, 1]], np.int32)
    rows = np.array([[0, 3], [0, 1]], np.int32)
    found = compiled(network)(tokens, *inputs(tokens), rows).numpy()
    by_hand = llama_numpy.logits(tokens[0], tiny_llm.by_name(network), tiny_llm.SIZE)[
        [3, 1]
    ]
    np.testing.assert_allclose(found, tf.nn.log_softmax(by_hand), atol=2e-5)


def test_rotation_keeps_length_and_depends_on_distance_alone() -> None:
    rng = np.random.default_rng(2)
    query, key = rng.normal(size=(2, 1, 1, 1, 8)).astype(np.float32)
    at = [
        (rotate(query, np.array([[p]]), 100.0), rotate(key, np.array([[p + 3]]), 100.0))
        for p in (0, 5, 40)
    ]
    products = [float(np.sum(q * k)) for q, k in at]
    np.testing.assert_allclose(products, products[0], atol=1e-4)
    assert np.linalg.norm(at[1][0]) == pytest.approx(np.linalg.norm(query), rel=1e-5)


def test_attention_looks_back_only_and_adds_up_to_one(network) -> None:
    tokens = np.array([[4, 9, 2, 7, 7]], np.int32)
    for weights in network.attention(network.embed(tokens), *inputs(tokens)):
        assert weights.shape == (1, tiny_llm.SIZE.heads, 5, 5)
        np.testing.assert_allclose(tf.reduce_sum(weights, axis=-1), 1, atol=1e-5)
        assert float(tf.reduce_max(np.triu(np.ones((5, 5)), 1) * weights)) == 0


@pytest.mark.needs("llm")
def test_smollm2_agrees_with_numpy_and_with_llama_cpp() -> None:
    """To a thousandth on every logit after every token of 20 prompts; llama.cpp rounds
    activations and is farther.
    """
    model = KerasLM()
    found = llama_numpy.agreement(model, every=20)
    [stored] = lang.record()["agreement"].values()
    assert found["NumPy, largest logit difference"] < 1e-3
    for figure, most in (("median difference", 0.05), ("same top token", 0.1)):
        assert found[f"llama.cpp, {figure}"] == pytest.approx(
            stored[f"llama.cpp, {figure}"], abs=most
        )


@pytest.mark.needs("llm")
def test_the_file_is_read_as_the_names_say() -> None:
    packed = tensors(model_file("smollm2"))
    assert len(packed) == 2 + 9 * SMOLLM2.blocks
    assert unpack(packed["blk.3.ffn_down.weight"]).shape == (
        SMOLLM2.width,
        SMOLLM2.hidden,
    )
    model = load_llama(model_file("smollm2"))
    np.testing.assert_array_equal(
        model.blocks[3].down.kernel, unpack(packed["blk.3.ffn_down.weight"]).T
    )
    assert model.count_params() == 134_515_008


@pytest.mark.needs("llm")
def test_the_tokeniser_gives_llama_cpps_ids() -> None:
    from xrec_utils.language.writer import LocalLM

    tokenizer, local = load_tokenizer(model_file("smollm2")), LocalLM(context=512)
    for text in (
        "Se7en (a.k.a. Seven) 1995",
        "<|im_start|>user\nnaïve  café\t12<|im_end|>\n",
        "don't I'LL 3.5",
    ):
        assert tokenizer.encode(text).ids == local.tokens(text)
        assert (
            tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False)
            == text
        )

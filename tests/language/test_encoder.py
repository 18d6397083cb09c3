"""The sentence encoder: pooling against plain numpy, meaning against known relations."""

from __future__ import annotations

import numpy as np
import pytest

from xrec_utils.language.encoder import LONGEST, SentenceEncoder
from xrec_utils.language.weights import model_file

TEXTS = [
    "A man is eating food.",
    "The stock market fell sharply today, and with it the hopes of everybody who had bought shares the day before.",
    "A man eats something.",
    "",
    "Toy Story (1995): Animation, Children, Comedy",
]


pytestmark = pytest.mark.needs("llm")


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder(threads=1)


def by_hand(text: str) -> np.ndarray:
    """One text at a time, token by token: mean of the vectors between and including
    [CLS] and [SEP], length 1.
    """
    import onnxruntime
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(model_file("minilm-tokenizer")))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    ids = np.array([tokenizer.encode(text).ids[: LONGEST - 1]])
    session = onnxruntime.InferenceSession(
        model_file("minilm"), providers=["CPUExecutionProvider"]
    )
    feeds = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }
    hidden = session.run(None, feeds)[0][0]
    total = sum(vector.astype(np.float64) for vector in hidden)
    return total / np.sqrt((total**2).sum())


def test_vectors_are_the_mean_of_their_own_tokens_in_any_batch(
    encoder: SentenceEncoder,
) -> None:
    expected = np.array([by_hand(text) for text in TEXTS])
    for batch in (1, 2, 32):  # in a batch of two, short texts stand beside padding
        vectors = encoder.encode(TEXTS, batch)
        assert vectors.dtype == np.float32 and vectors.shape == (5, 384)
        assert (vectors * expected).sum(
            axis=1
        ).min() > 0.999  # 8-bit activations are scaled per batch
    np.testing.assert_allclose(encoder.encode(TEXTS, 1), expected, atol=1e-5)


def test_what_means_the_same_lies_close(encoder: SentenceEncoder) -> None:
    eats, falls, food = encoder.encode(TEXTS[:3])
    assert eats @ food > 0.8 and abs(eats @ falls) < 0.2
    np.testing.assert_allclose(
        np.linalg.norm(encoder.encode(TEXTS), axis=1), 1, atol=1e-5
    )


def test_a_score_is_the_mean_cosine_to_the_history(encoder: SentenceEncoder) -> None:
    history = ["Toy Story (1995): Animation", "Finding Nemo (2003): Animation"]
    films = ["Heat (1995): Crime", "Shrek (2001): Animation", "Scarface (1983): Crime"]
    scores = encoder.score(history, films)
    assert scores.argmax() == 1 and scores.shape == (3,)
    cosines = encoder.encode(films) @ encoder.encode(history).T
    np.testing.assert_allclose(scores, cosines.mean(axis=1), atol=0.02)
    assert encoder.score([], films).tolist() == [0, 0, 0]
    assert encoder.encode([]).shape == (0, 384)


def test_a_long_text_is_read_to_its_limit(encoder: SentenceEncoder) -> None:
    long = encoder.encode(["film " * 300, "film " * 254 + "market " * 50])
    np.testing.assert_allclose(long[0], long[1], atol=1e-6)

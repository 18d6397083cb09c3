"""Titles as answers: what they share is read once, and the scores are those of reading
everything apart.
"""

from __future__ import annotations

import llama_numpy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny_llm
from xrec_utils.language import ranker
from xrec_utils.language.prompts import chat, message
from xrec_utils.language.ranker import Tree, bundles, shared_beginning

SEQUENCES = st.lists(
    st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=12
)


@pytest.fixture(scope="module")
def model():
    return tiny_llm.tiny_lm()


@given(SEQUENCES)
def test_a_tree_holds_every_beginning_once(sequences: list[list[int]]) -> None:
    tree = Tree()
    paths = [tree.add(sequence) for sequence in sequences]
    beginnings = {tuple(s[: n + 1]) for s in sequences for n in range(len(s))}
    assert len(tree.tokens) == len(beginnings)
    sees = tree.mask()
    for path, sequence in zip(paths, sequences, strict=True):
        assert [tree.tokens[node] for node in path] == sequence
        assert [tree.depths[node] for node in path] == list(range(len(sequence)))
        assert set(np.flatnonzero(sees[path[-1]])) == set(path)


@given(SEQUENCES, st.integers(3, 20))
def test_bundles_hold_everything_once_and_keep_to_the_limit(
    sequences: list[list[int]], largest: int
) -> None:
    found = bundles(sequences, largest)
    assert sorted(n for bundle in found for n in bundle) == list(range(len(sequences)))
    for bundle in found:
        tree = Tree()
        for n in bundle:
            tree.add(sequences[n])
        assert len(tree.tokens) <= max(largest, len(sequences[bundle[0]]))


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_shared_beginning(a: list[int], b: list[int]) -> None:
    n = shared_beginning(a, b)
    assert a[:n] == b[:n] and (n in (len(a), len(b)) or a[n] != b[n])


def by_hand(model: ranker.KerasLM, prompt: str, answer: str) -> float:
    """Mean log-probability of the answer's tokens, the sequence read alone and in
    NumPy.
    """
    start, end = model.tokens(prompt), model.tokens(f" {answer}")
    scores = llama_numpy.logits(
        start + end, tiny_llm.by_name(model.model), tiny_llm.SIZE
    ).astype(np.float64)
    log_probabilities = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return float(
        np.mean(
            [
                log_probabilities[len(start) - 1 + n, token]
                for n, token in enumerate(end)
            ]
        )
    )


def test_likelihood_is_that_of_each_answer_alone(
    model, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts, answers = (
        ["I saw A, B", "I saw A", "Nothing"],
        [["Heat", "Hea", "Up"], ["Heat"], ["Big", "Big Fish"]],
    )
    expected = [
        [by_hand(model, p, a) for a in films]
        for p, films in zip(prompts, answers, strict=True)
    ]
    for largest in (640, 20, 1):
        monkeypatch.setattr(ranker, "LARGEST", largest)
        for found, wanted in zip(
            model.likelihood(prompts, answers), expected, strict=True
        ):
            np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_an_empty_title_is_refused(model) -> None:
    with pytest.raises(ValueError, match="give each candidate a title"):
        model.likelihood(["What?"], [["Heat", " "]])
    assert model.likelihood([], []) == []


@pytest.mark.needs("llm")
def test_smollm2_knows_a_sequel() -> None:
    """Not every film is as likely after every list: the third part follows the first
    two.
    """
    prompt = chat(message(["The Godfather", "The Godfather: Part II"]))
    first, other = ranker.KerasLM().likelihood(
        [prompt], [["The Godfather: Part III", "Toy Story"]]
    )[0]
    assert first > other

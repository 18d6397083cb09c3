"""The small language model in llama.cpp: the same words each time, true probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from xrec_utils.language import writer
from xrec_utils.language.writer import (
    LanguageModelError,
    LocalLM,
    chat_request,
    package,
)

QUESTION = "Name three films like Toy Story (1995)."
CAPITAL = "The capital of France is"


@pytest.fixture(scope="module")
def model() -> LocalLM:
    return LocalLM(context=512, threads=1)


@pytest.mark.needs("llm")
def test_equal_prompts_give_equal_text_whatever_was_asked_between(
    model: LocalLM,
) -> None:
    first = model.generate(QUESTION, 24)
    model.generate(
        "Name three films like Toy Story 2.", 8
    )  # shares a prefix, which a cache would keep
    assert model.generate([{"role": "user", "content": QUESTION}], 24) == first != ""


@pytest.mark.needs("llm")
def test_the_likeliest_token_is_what_it_writes_next(model: LocalLM) -> None:
    ids, log_probabilities = model.log_probabilities(CAPITAL, 5)
    assert model.tokens(f"{CAPITAL} Paris") == [*model.tokens(CAPITAL), ids[0]]
    assert -1 < log_probabilities[0] < 0 and (np.diff(log_probabilities) <= 0).all()


@pytest.mark.needs("llm")
def test_tokens_say_the_same_as_their_text_and_all_probabilities_sum_to_one(
    model: LocalLM,
) -> None:
    ids, log_probabilities = model.log_probabilities(model.tokens(CAPITAL), 49_152)
    assert len(set(ids)) == 49_152 and np.exp(log_probabilities).sum() == pytest.approx(
        1, abs=1e-3
    )
    np.testing.assert_array_equal(
        model.log_probabilities(CAPITAL, 5)[1], log_probabilities[:5]
    )


@pytest.mark.needs("llm")
def test_what_llama_refuses_is_said(model: LocalLM) -> None:
    with pytest.raises(
        LanguageModelError,
        match=r"\d+ tokens\) exceeds the available context size \(512 tokens\)",
    ):
        model.generate("word " * 600)


@pytest.mark.needs("llm")
def test_a_file_that_is_no_model_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "model_file", lambda name: __file__)
    with pytest.raises(
        LanguageModelError, match=r"cannot start with .*test_writer\.py"
    ):
        LocalLM()


def test_without_the_packages_the_way_out_is_named() -> None:
    with pytest.raises(
        LanguageModelError,
        match=r"xrec_no_such_package is not installed .*run `make llm`",
    ):
        package("xrec_no_such_package")


def test_a_question_becomes_a_message_of_the_user() -> None:
    body = chat_request("Hi", 5)
    assert body["messages"] == [{"role": "user", "content": "Hi"}]
    assert (body["temperature"], body["max_tokens"]) == (0, 5)
    assert chat_request(body["messages"], 5) == body

"""Behaviour as text: titles as people say them, three designs, and a budget of tokens."""

from __future__ import annotations

import pytest

from xrec_utils.language import prompts
from xrec_utils.language.prompts import (
    chat,
    fingerprint,
    message,
    numbered,
    spoken,
    within,
)

FILMS = ["Alien", "Big", "Cube"]


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("Matrix, The (1999)", "The Matrix"),
        ("Seven (a.k.a. Se7en) (1995)", "Seven"),
        ("Avventura, L' (Adventure, The) (1960)", "L'Avventura"),
        (
            "City of Lost Children, The (Cité des enfants perdus, La) (1995)",
            "The City of Lost Children",
        ),
        ("1984 (1984)", "1984"),
        ("(500) Days of Summer (2009)", "(500) Days of Summer"),
        ("Once Upon a Time in America", "Once Upon a Time in America"),
        ("(2010)", "(2010)"),
    ],
)
def test_titles_are_said_as_people_say_them(title: str, said: str) -> None:
    assert spoken(title) == said


def test_the_designs_differ_where_they_should() -> None:
    assert numbered(FILMS) == "1. Alien\n2. Big\n3. Cube"
    assert prompts.sequential(FILMS) in prompts.recency_focused(FILMS)
    assert prompts.recency_focused(FILMS).endswith("Cube.")
    example = prompts.in_context(FILMS)
    assert "recommended Cube" in example and "3. Cube" not in example
    assert prompts.in_context(["Alien"]) == prompts.sequential(["Alien"])
    assert {design([]) for design in prompts.DESIGNS.values()} == {
        "I have watched no film."
    }
    with pytest.raises(KeyError, match="there are sequential"):
        message(FILMS, design="best")


def test_a_message_lists_candidates_only_if_there_are_any() -> None:
    assert "1. Dune" in message(FILMS, ["Dune"]) and "of these films" in message(
        FILMS, ["Dune"]
    )
    assert "next:" not in message(FILMS)


def test_the_template_ends_where_the_title_begins() -> None:
    text = chat("Hello", answer="Watch", system="Be kind.")
    assert text == ("<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
                    "<|im_start|>assistant\nWatch")  # fmt: skip


def test_the_oldest_films_go_first() -> None:
    count = len
    whole = chat(message(FILMS))
    assert within(len(whole), count, FILMS, (), "sequential") == whole
    assert within(len(whole) - 1, count, FILMS, (), "sequential") == chat(
        message(FILMS[1:])
    )
    with pytest.raises(ValueError, match="offer fewer candidates"):
        within(10, count, FILMS, FILMS, "sequential")


def test_fingerprints_know_order_and_borders() -> None:
    assert fingerprint(["a", "b"]) == fingerprint(["a", "b"])
    assert (
        len(
            {
                fingerprint(texts)
                for texts in (["a", "b"], ["b", "a"], ["ab"], ["a", "b", ""])
            }
        )
        == 4
    )

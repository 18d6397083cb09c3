"""Behaviour as text: what a language model is told about a user, in several designs.

The three designs are those of Hou et al. 2024 (arXiv:2305.08845): the films in order,
the same with the last film named again, and the same with one step of the user's own
past as an example. Every design works with a list of candidates or without one;
without, the model is only asked what comes next.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from hashlib import sha256

SYSTEM = "You recommend films. You answer with the title of one film and nothing else."
ANSWER = "The next film to watch is:"  # how the model's answer is made to begin; a space and a title follow
YEAR = re.compile(r"\s*\((\d{4})(-\d{0,4})?\)\s*$")
ALIAS = re.compile(r"\s+\([^()]*\)")  # another title of the same film, in brackets
MOVED = re.compile(
    r"^(?P<title>.+), (?P<article>The|A|An|Les|Le|La|L'|El|Los|Las|Il|Das|Der|Die)$"
)
Count = Callable[[str], int]


def spoken(title: str) -> str:
    """A MovieLens title as people say it: "Matrix, The (1999)" becomes "The Matrix".

    Year and other titles in brackets go: SmolLM2 spends six tokens on a year, as many
    as on the title.
    """
    plain = ALIAS.sub("", YEAR.sub("", title)).strip() or title
    found = MOVED.match(plain)
    if not found:
        return plain
    return f"{found['article']}{'' if found['article'].endswith(chr(39)) else ' '}{found['title']}"


def numbered(films: Sequence[str]) -> str:
    """One film a line, counted from 1."""
    return "\n".join(f"{n}. {film}" for n, film in enumerate(films, 1))


def sequential(history: Sequence[str]) -> str:
    """The films in the order watched."""
    return (
        f"I have watched these films, in this order:\n{numbered(history)}"
        if history
        else "I have watched no film."
    )


def recency_focused(history: Sequence[str]) -> str:
    """The same, and the last film named again."""
    return sequential(history) + (
        f"\nNote that the film I watched last is {history[-1]}." if history else ""
    )


def in_context(history: Sequence[str]) -> str:
    """The user's own last step as a worked example: after all films but the last, the
    last was right.
    """
    if len(history) < 2:
        return sequential(history)
    return (f"{sequential(history[:-1])}\nThen you should have recommended {history[-1]}, "
            f"and now that I have watched it:")  # fmt: skip


DESIGNS: dict[str, Callable[[Sequence[str]], str]] = {
    "sequential": sequential,
    "recency-focused": recency_focused,
    "in-context": in_context,
}


def message(
    history: Sequence[str], candidates: Sequence[str] = (), design: str = "sequential"
) -> str:
    """What the user says: history (oldest first), the list to choose from if there is
    one, and the question.

    Raises KeyError when no design has that name.
    """
    if design not in DESIGNS:
        raise KeyError(
            f"no prompt design named {design!r}; there are {', '.join(DESIGNS)}"
        )
    choice = (
        f"\nThese are the films I can watch next:\n{numbered(candidates)}"
        if len(candidates)
        else ""
    )
    which = "of these films" if len(candidates) else "film"
    return f"{DESIGNS[design](history)}{choice}\nWhich {which} should I watch next?"


def chat(said: str, answer: str = ANSWER, system: str = SYSTEM) -> str:
    """The message in SmolLM2's template, with the beginning of the model's answer."""
    turns = (("system", system), ("user", said))
    before = "".join(f"<|im_start|>{who}\n{words}<|im_end|>\n" for who, words in turns)
    return f"{before}<|im_start|>assistant\n{answer}"


def within(
    budget: int,
    count: Count,
    history: Sequence[str],
    candidates: Sequence[str],
    design: str,
) -> str:
    """The longest chat prompt of at most `budget` tokens: the oldest films go first,
    candidates never.

    Raises ValueError when the prompt is too long without any film.
    """
    for start in range(len(history) + 1):
        text = chat(message(history[start:], candidates, design))
        if count(text) <= budget:
            return text
    raise ValueError(f"{len(candidates)} candidates alone need {count(text)} tokens, more than budget={budget}: offer "
                     "fewer candidates or raise the budget")  # fmt: skip


def fingerprint(texts: Sequence[str]) -> str:
    """sha256 over prompts in their order: ties a stored answer to the words that led to
    it.
    """
    return sha256("\x00".join(texts).encode("utf-8")).hexdigest()

"""Behaviour as text: what a language model is told about a user, in several designs.

The three designs are those of Hou et al. 2024 (arXiv:2305.08845): the films in order,
the same with the last film named again, and the same with one step of the user's own
past as an example. Every design works with a list of candidates or without one;
without, the model is only asked what comes next.
"""

import re
from collections.abc import Callable, Sequence
from hashlib import sha256

SYSTEM = "You recommend films. You answer with the title of one film and nothing else."
# how the model's answer is made to begin; a space and a title follow
ANSWER = "The next film to watch is:"
# in brackets: the year, or another title of the same film
ALIAS = re.compile(r"\s+\([^()]*\)")
MOVED = re.compile(
    r"^(?P<title>.+), (?P<article>The|A|An|Les|Le|La|L'|El|Los|Las|Il|Das|Der|Die)$"
)


def spoken(title: str) -> str:
    """A MovieLens title as people say it: "Matrix, The (1999)" becomes "The Matrix".

    Year and other titles in brackets go: SmolLM2 spends six tokens on a year, as many
    as on the title.

    Example:
        >>> spoken("Matrix, The (1999)")
        'The Matrix'
    """
    name = ALIAS.sub("", title).strip() or title
    article_first = MOVED.sub(r"\g<article> \g<title>", name)
    # "L'" stands before its word without a space
    return re.sub("^L' ", "L'", article_first)


def numbered(films: Sequence[str]) -> str:
    """One film a line, counted from 1."""
    lines = [f"{n}. {film}" for n, film in enumerate(films, 1)]
    return "\n".join(lines)


def sequential(history: Sequence[str]) -> str:
    """The films in the order watched."""
    if not history:
        return "I have watched no film."
    return f"I have watched these films, in this order:\n{numbered(history)}"


def recency_focused(history: Sequence[str]) -> str:
    """The same, and the last film named again."""
    if not history:
        return sequential(history)
    return f"{sequential(history)}\nNote that the film I watched last is {history[-1]}."


def in_context(history: Sequence[str]) -> str:
    """The user's own last step as a worked example.

    After all films but the last, the last was right.
    """
    if len(history) < 2:
        return sequential(history)
    *before, last = history
    return (
        f"{sequential(before)}\nThen you should have recommended {last}, "
        "and now that I have watched it:"
    )


# by name: titles of a history, oldest first -> the first part of the message
DESIGNS: dict[str, Callable[[Sequence[str]], str]] = {
    "sequential": sequential,
    "recency-focused": recency_focused,
    "in-context": in_context,
}


def message(
    history: Sequence[str], candidates: Sequence[str] = (), design: str = "sequential"
) -> str:
    """What the user says: history, the list to choose from, and the question.

    Args:
        history: titles, oldest first.
        candidates: titles to choose from; none leaves the choice open.
        design: a name in DESIGNS.

    Returns:
        The text, several lines.

    Raises:
        KeyError: no prompt design has that name.

    Source: Hou et al. 2024, arXiv:2305.08845.

    Example:
        >>> print(message(["Heat", "Alien"], candidates=["Ran", "Big"]))
        I have watched these films, in this order:
        1. Heat
        2. Alien
        These are the films I can watch next:
        1. Ran
        2. Big
        Which of these films should I watch next?
    """
    if design not in DESIGNS:
        known = ", ".join(DESIGNS)
        raise KeyError(f"no prompt design named {design!r}; there are {known}")
    told = DESIGNS[design](history)
    # an array has no truth of its own: ask for its length
    if len(candidates) == 0:
        return f"{told}\nWhich film should I watch next?"
    return (
        f"{told}\n"
        f"These are the films I can watch next:\n{numbered(candidates)}\n"
        "Which of these films should I watch next?"
    )


def chat(said: str, answer: str = ANSWER, system: str = SYSTEM) -> str:
    """A message in SmolLM2's template, with the beginning of the model's answer.

    Args:
        said: what the user says, see `message`.
        answer: how the model's answer begins.
        system: what the model is told before.

    Returns:
        The raw prompt that the model continues.

    Example:
        >>> chat("Hello!", answer="Well,", system="Be kind.").splitlines()[-2:]
        ['<|im_start|>assistant', 'Well,']
    """
    return (
        f"<|im_start|>system\n{system}<|im_end|>\n"
        f"<|im_start|>user\n{said}<|im_end|>\n"
        # open: the model goes on from here
        f"<|im_start|>assistant\n{answer}"
    )


def within(
    budget: int,
    count: Callable[[str], int],
    history: Sequence[str],
    candidates: Sequence[str],
    design: str,
) -> str:
    """The longest chat prompt of at most `budget` tokens.

    The oldest films go first, candidates never.

    Args:
        budget: tokens at most.
        count: text -> how many tokens it has.
        history: titles, oldest first.
        candidates: titles to choose from.
        design: a name in DESIGNS.

    Returns:
        The prompt, see `chat`.

    Raises:
        ValueError: the prompt is too long without any film.
        KeyError: no prompt design has that name.

    Example:
        With every line a token, the whole prompt has nine, and eight leave out Heat:

        >>> lines = lambda text: len(text.splitlines())
        >>> short = within(8, lines, ["Heat", "Alien"], [], "sequential")
        >>> "Heat" in short, "Alien" in short
        (False, True)
    """
    for start in range(len(history) + 1):
        said = message(history[start:], candidates, design)
        text = chat(said)
        if count(text) <= budget:
            return text
    raise ValueError(
        f"{len(candidates)} candidates alone need {count(text)} tokens, more than "
        f"budget={budget}: offer fewer candidates or raise the budget"
    )


def fingerprint(texts: Sequence[str]) -> str:
    """sha256 over prompts in their order.

    Ties a stored answer to the words that led to it.
    """
    # a mark that no text holds, so that ["ab"] is not ["a", "b"]
    joined = "\x00".join(texts)
    return sha256(joined.encode("utf-8")).hexdigest()


def belong(stored: str, texts: Sequence[str], otherwise: str) -> None:
    """Raise ValueError unless a stored fingerprint is that of today's texts.

    Other words would have had other answers. otherwise: what the error says.
    """
    if stored != fingerprint(texts):
        raise ValueError(f"{otherwise}: run python -m xrec_tools.bench.language")

"""Which films of the history a text names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from xrec_utils.data.titles import SKIPPED, YEAR, Catalogue, plain
from xrec_utils.language.prompts import spoken
from xrec_utils.language.replies import LIST_MARK, QUOTED, SMALL, _clean, _like_a_title

# small words within a title
JOINS = "(?:of|the|and|in|a|to|for|at|on|with|from)"
# "The" or "A" amid a sentence, and the capitals that follow: "... in The Boy Who Fell"
AMID = re.compile(
    r"(?<=[a-z,:] )(?:The|A|An) [A-Z][\w'’-]*"
    rf"(?::? (?:{JOINS} ){{0,2}}[A-Z\d][\w'’-]*)*"
)


@dataclass(frozen=True)
class Citations:
    """Films a text mentions.

    cited: codes of the history. others: codes of further films. invented: no film's
    title.
    """

    cited: list[int] = field(default_factory=list)
    others: list[int] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)


def cited(text: str, catalogue: Catalogue, history: Sequence[int]) -> Citations:
    """The films that a free text mentions, each once.

    Taken for a title, and counted as invented if it is no film's: what stands in
    quotes, in bold, in a list or before a year in brackets, and capitals after a
    capital article amid a sentence. Films of the history are also found by their bare
    title in its own capitals; other films are not, for "Big", "Once" and "Before the
    Rain" are also words.

    Args:
        text: such as a model's reason.
        catalogue: the films there are.
        history: codes of the films that the text may be about.

    Returns:
        Codes of the history in its order, other codes in the order of the text, and
        invented titles.

    Example:
        >>> films = Catalogue(["Heat (1995)", "Alien (1979)", "Ran (1985)"])
        >>> text = 'Because you liked Heat, "Ran" and "The Fall of Nobody".'
        >>> cited(text, films, history=[0, 1])
        Citations(cited=[0], others=[2], invented=['The Fall of Nobody'])
    """
    spans, rest = _marked(text, catalogue)
    named = set()
    # longest first: "Alien" is part of "Alien Nation"
    for code in sorted(history, key=lambda code: -len(catalogue.titles[code])):
        rest, times = _bare_pattern(catalogue.titles[code]).subn(" ", rest)
        if times:
            named.add(code)
    spans += AMID.findall(rest)
    matches = catalogue.match(spans, likely=history)
    mentioned = dict.fromkeys(matches.codes.tolist())
    named.update(mentioned)
    return Citations(
        # each once
        cited=[int(code) for code in dict.fromkeys(history) if code in named],
        others=[
            code
            for code in mentioned
            # -1 is no film
            if code >= 0 and code not in history
        ],
        invented=list(dict.fromkeys(matches.invented)),
    )


def _marked(text: str, catalogue: Catalogue) -> tuple[list[str], str]:
    """What a text marks as titles, and the text without them and accents.

    Marks are lists, quotes, bold type and years, taken out in this order.
    """
    spans: list[str] = []
    for line in text.splitlines():
        title = _clean(line) if LIST_MARK.match(line) else ""
        # a title with a year is found by its year, below
        if _like_a_title(title) and not YEAR.search(line):
            spans.append(title)
            rest = LIST_MARK.sub("", line).removeprefix(title)
            text = text.replace(line, rest, 1)
    # all at once, for the text changes on the way
    for match in list(QUOTED.finditer(text)):
        if _like_a_title(match["title"]):
            spans.append(match["title"] + match["year"])
            text = text.replace(match[0], " ", 1)
    while dated := YEAR.search(text):
        before = text[: dated.start()]
        # an abbreviation such as "Dr." ends no sentence, so two small letters are asked
        sentence = re.split(r"(?<=[a-z]{2}[.!?])\s+|\n", before)[-1]
        title = _title_at_end(sentence, dated[0], catalogue)
        if title:
            spans.append(title + dated[0])
        text = f"{before.removesuffix(title)} {text[dated.end() :]}"
    return spans, plain(text)


def _title_at_end(sentence: str, year: str, catalogue: Catalogue) -> str:
    """The longest end of a sentence that is a film's title, else its capitals."""
    capitals = re.finditer(r"(?<!\S)[\"'(]?[A-Z0-9]", sentence)
    tries = [
        sentence[word.start() :]
        # no title has more words with a capital
        for word in list(capitals)[-12:]
    ]
    codes = catalogue.match([each + year for each in tries]).codes
    for each, code in zip(tries, codes, strict=True):
        if code >= 0:
            return each
    return _capitals(LIST_MARK.sub("", sentence))


def _capitals(sentence: str) -> str:
    """The run of capitalised and small words at a sentence's end.

    Small words in front of it are left out.
    """
    run: list[str] = []
    for word in sentence.split():
        if word.lower() not in SMALL and word[0].islower():
            # begin anew: no word of a title
            run = []
        elif run or (word not in SMALL and word[0].isalnum()):
            run.append(word)
    return " ".join(run)


def _bare_pattern(title: str) -> re.Pattern[str]:
    """A title in running text: its words in its own capitals, no number after it.

    A title of one word counts only mid-sentence or in a numbered list.
    """
    words = re.findall(r"[^\W_]+", plain(spoken(title)))
    if len(words) > 1 and words[0].lower() in SKIPPED:
        words = words[1:]
    before = r"(?:(?<=[a-z,] )|(?<=\d[.)] ))" if len(words) == 1 else r"(?<!\w)"
    name = r"\W+".join(map(re.escape, words))
    after = r"(?!\w)(?!:? (?:\d|[IVX]+\b|Part\b))"
    return re.compile(before + name + after)

"""From what a language model writes to films of the catalogue.

Lists are parsed, titles matched, invented ones counted.

A title matches a film when three things agree. Numbers: the two titles have the same,
so that "Toy Story 2" is never "Toy Story". Years: equal, or one apart if the titles are
as good as equal. Letters: a similarity (rapidfuzz' ratio of common letters, without
accents, articles and punctuation) of `threshold`, which is 80 of 100 where the years
are equal, 5 more where one has no year, 15 more where the years are one apart.

Why 80: each of the course's 3,496 titles was spoilt by one random typo, and the 5,565
films of MovieLens that the course leaves out were asked for (a test repeats it with
every fourth). With years 95.5% of the typos are forgiven and 0.2% of the other films
mistaken (at 75: 96.8% and 0.5%; at 85: 91.0% and 0.1%); without, 88.2% and 5.0%, of
which 2.9% have the very same title.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from xrec_utils.data.titles import ARTICLES, YEAR, Catalogue

# "- ", "12. ", "#3: " before an entry
LIST_MARK = re.compile(r"^\s*(?:[-*•–+]|\d{1,3}[.)]|#\d{1,3}[.:)]?)\s+")
# a line that counts within itself: "1) Heat 2) Big"
INLINE = re.compile(r"^(?:.*?\s)?1([.)])\s.*[\s,;]2\1\s")
# in quotes or bold type, with a year behind
QUOTED = re.compile(
    r"(?P<mark>[\"“]|\*{1,3})(?=\S)(?P<title>.+?)(?:(?P=mark)|”)(?!\w)"
    r"(?P<year>(?:\s*\(\d{4}\))?)"
)
# what leads to a list: "I recommend", "The next film is:"
INTRO = re.compile(
    r"^.*?\b(?:(?:recommend|suggest)(?: watching)?"
    r"|(?:is|are|[Ff]ilms?|[Mm]ovies?|list|next|order):)\s+"
)
# where a title ends and the reason for it begins
REASON = re.compile(
    r"\s+[-–—]+\s+|:\s+|,?\s+(?=(?:because|since|as it|which|for its)\b)"
)
# a comma between titles, not the one of "Matrix, The"
COMMA = re.compile(
    r",\s+(?!(?:The|A|An|Les|Le|La|L'|El|Los|Las|Il|Das|Der|Die)\b"
    r"\s*(?:[,.(\[]|$))(?:and\s+)?"
)
# words that a title may write small
SMALL = frozenset(
    (
        *ARTICLES,
        *("of", "in", "to", "for", "with", "on", "at", "from", "by", "de", "du"),
        *("and", "or", "vs"),
    )
)


def films_in(text: str) -> list[str]:
    """The films a model lists, without marks, quotes and reasons.

    Understood: JSON (strings, objects with a title; also cut short), numbered and
    bulleted lists, one film a line, lists with commas or semicolons, and MovieLens'
    "Matrix, The (1999)" in all of them.

    Args:
        text: what the model wrote.

    Returns:
        Titles in its order and as it writes them; [] if it lists none.

    Example:
        >>> films_in("1. **Heat** (1995) - a classic\\n2. Matrix, The (1999)")
        ['Heat (1995)', 'Matrix, The (1999)']
    """
    entries = list(_titles(_json(text))) or _items(text)
    cleaned = map(_clean, entries)
    return [title for title in cleaned if title]


def _json(text: str) -> Any:
    """The first JSON list or object in a text; None if there is none.

    It is closed where the model stopped too early.
    """
    begin = re.search(r"[\[{]\s*[\"\[{]", text)
    if begin is None:
        return None
    rest = text[begin.start() :]
    while rest:
        for closing in ("", "]", "]}", "}]", "}]}"):
            with suppress(ValueError):
                # "raw", because the model may go on after its list
                return json.JSONDecoder().raw_decode(rest + closing)[0]
        # drop the entry that was cut short, and try again
        rest = rest.rpartition(",")[0]
    return None


def _titles(value: Any) -> Iterator[str]:
    """The titles in decoded JSON, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _titles(each)
    elif isinstance(value, dict):
        yield from _titles_of_object(value)


def _titles_of_object(value: dict[str, Any]) -> Iterator[str]:
    """The title of an object that is a film, else those of what it holds."""
    labels = ("title", "film", "movie", "name")
    name = next(
        # the first of these labels that it has
        (value[label] for label in labels if label in value),
        None,
    )
    if isinstance(name, str):
        undated = value.get("year") and not YEAR.search(name)
        yield f"{name} ({value['year']})" if undated else name
        return
    for label, each in value.items():
        # {"1": "Heat"} is a list too; {"note": "Enjoy!"} is not
        if isinstance(each, list | dict) or label.isdigit():
            yield from _titles(each)


def _items(text: str) -> list[str]:
    """The entries of a list in prose.

    Its marked lines if it has any, else what commas and line ends divide.
    """
    lines = [
        line for whole in text.splitlines() for line in _unrolled(whole.strip()) if line
    ]
    marked = list(filter(LIST_MARK.match, lines))
    if marked:
        return [LIST_MARK.sub("", line) for line in marked]
    bare = [
        INTRO.sub("", line)
        for line in lines
        # "My list:" is none of its entries
        if not line.endswith(":")
    ]
    if len(bare) == 1:
        return _divided(bare[0])
    return list(filter(_not_prose, bare))


def _divided(line: str) -> list[str]:
    """The entries of a list on one line.

    They end with quotes, else with years, else with semicolons or commas.
    """
    quoted = list(QUOTED.finditer(line))
    if len(quoted) > 1:
        return [match["title"] + match["year"] for match in quoted]
    dated = re.findall(r".+?[(\[](?:18|19|20)\d\d[)\]]", line)
    if len(dated) > 1:
        # without the comma or the "and" before it
        return [re.sub(r"^\W*(?:\band\s)?\s*", "", each) for each in dated]
    pieces = line.split(";") if ";" in line else COMMA.split(line)
    return list(filter(_not_prose, pieces))


def _not_prose(entry: str) -> bool:
    """Whether an entry can be a title: dated, quoted, or short with capitals."""
    if YEAR.search(entry) or QUOTED.match(entry):
        return True
    # what is longer is a sentence
    return len(entry.split()) <= 12 and _like_a_title(_clean(entry), share=0.5)


def _unrolled(line: str) -> list[str]:
    """A numbered list on one line, as lines.

    A number begins an entry if it continues the count and stands outside brackets, so
    that "2) Alien³ (a.k.a. Alien 3) (1992)" stays whole.
    """
    inline = INLINE.match(line)
    if not inline:
        return [line]
    starts = [0]
    begin = 0
    for number in re.finditer(rf"(?<![^\s,;])(\d{{1,2}})\{inline[1]}\s", line):
        entry = line[begin : number.start()]
        inside = any(entry.count(a) > entry.count(b) for a, b in ("()", "[]"))
        if int(number[1]) == len(starts) and not inside:
            starts.append(number.start())
            # the bracket of "1)" opens or closes nothing
            begin = number.end()
    return [
        line[start:end].rstrip(" \t,;") for start, end in pairwise([*starts, len(line)])
    ]


def _clean(item: str) -> str:
    """One entry without list mark, quotes, bold type and whatever follows the title."""
    item = LIST_MARK.sub("", item.strip(" \t,;")).strip()
    quoted = QUOTED.match(item)
    dated = YEAR.search(item)
    if quoted:
        title = quoted["title"] + quoted["year"]
    elif dated:
        title = item[: dated.end()]
    else:
        title = _without_reason(item)
    return title.strip(' \t,;"“”').removesuffix("**").removesuffix(".")


def _without_reason(item: str) -> str:
    """An entry up to the first dash, colon or "because" that no title follows."""
    for reason in REASON.finditer(item):
        following = REASON.split(item[reason.end() :])[0]
        # a title may hold a colon: go on while the next piece looks like a title too
        if not _like_a_title(following):
            return item[: reason.start()]
    return item


def _like_a_title(text: str, share: float = 1.0) -> bool:
    """Whether that share of the words begins with a capital or a digit, as in titles.

    Small words are left out.
    """
    every = re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text)
    # a title may hold no others
    words = [word for word in every if word.lower() not in SMALL] or every
    high = [
        word
        for word in words
        # a capital further on makes a title too: "xXx", "eXistenZ"
        if not (word[0].islower() and word.islower())
    ]
    return bool(words) and len(high) >= share * len(words)


@dataclass(frozen=True)
class Ranking:
    """A full ranking out of a reply.

    codes (k,): best first. filled: how many of them the model did not write. invented:
    titles of no film. refused: films that were seen, or not among the candidates.
    """

    codes: np.ndarray
    filled: int
    invented: list[str]
    refused: list[int]


def ranked(
    reply: str,
    candidates: Sequence[int],
    catalogue: Catalogue,
    seen: Sequence[int],
    k: int,
) -> Ranking:
    """The first k films of a reply that are candidates and unseen.

    Filled up in the order of the candidates where the reply has too few.

    Args:
        reply: what the model wrote.
        candidates: codes that may be recommended.
        catalogue: the films there are.
        seen: codes never recommended.
        k: length of the ranking.

    Returns:
        k codes, best first, and what else the reply held.

    Raises:
        ValueError: fewer than k candidates are unseen.

    Example:
        >>> films = Catalogue(["Heat (1995)", "Alien (1979)", "Ran (1985)"])
        >>> reply = "1. Ran\\n2. Heat\\n3. Nobody"
        >>> found = ranked(reply, [0, 1, 2], films, seen=[0], k=2)
        >>> found.codes.tolist(), found.filled, found.invented, found.refused
        ([2, 1], 1, ['Nobody'], [0])
    """
    watched = set(seen)
    allowed = [
        int(code)
        # each once, in the order given
        for code in dict.fromkeys(candidates)
        if code not in watched
    ]
    if len(allowed) < k:
        raise ValueError(
            f"k={k}, but only {len(allowed)} candidates are not in `seen`: "
            "pass more, or a smaller k"
        )
    matches = catalogue.match(films_in(reply), likely=candidates)
    written = [
        code
        for code in dict.fromkeys(matches.codes.tolist())
        # -1 is no film
        if code >= 0
    ]
    good = [code for code in written if code in allowed][:k]
    # what the model left out follows in the order of the candidates
    full = dict.fromkeys(good + allowed)
    return Ranking(
        codes=np.array(list(full)[:k], dtype=np.int64),
        filled=k - len(good),
        invented=matches.invented,
        refused=[code for code in written if code not in allowed],
    )

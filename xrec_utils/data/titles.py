"""Titles of films as people write them: years, and the catalogue that finds
the film meant.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz import fuzz, process

THRESHOLD = 80.0
UNDATED = 5  # how much more it takes without a year
NEXT_YEAR = 15  # or with one a year off
# for one half of a title such as "Star Wars: Episode IV - A New Hope", and only with
# its year
PART = 90.0
YEAR = re.compile(r"\s*[(\[]((?:18|19|20)\d\d)\b[^)\]]*[)\]]")
BRACKETS = re.compile(r"\(([^()]*)\)")
TWIN = re.compile(r"(?<=\)) \[\d+\]$")  # the id that tells two films of one name apart
ROMAN = {
    "i": "1",
    "ii": "2",
    "iii": "3",
    "iv": "4",
    "v": "5",
    "vi": "6",
    "vii": "7",
    "viii": "8",
    "ix": "9",
    "x": "10",
}
ARTICLES = ("a", "an", "the", "le", "la", "les", "l", "el", "il", "der", "das")
SKIPPED = frozenset((*ARTICLES, "part", "episode", "vol", "volume", "chapter"))


def plain(text: str) -> str:
    """The text without accents."""
    letters = unicodedata.normalize("NFKD", text.replace("½", " 1/2"))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def key(title: str) -> str:
    """The words that make a title, without year, articles, accents and punctuation.

    "Godfather: Part II, The" and "the godfather 2" are both "godfather 2".
    """
    every = _words(title)
    # a title of nothing but such words keeps them
    words = [word for word in every if word not in SKIPPED] or every
    # the first word is a name even where it could be a number: "X", "I, Robot"
    later = [ROMAN.get(word, word) for word in words[1:]]
    return " ".join(words[:1] + later)


def _words(title: str) -> list[str]:
    """The words in small letters, without accents and marks."""
    small = plain(title).casefold().replace("&", " and ")
    # "L'Avventura" has two words, "Ocean's" and "E.T." are one each
    apart = re.sub(r"\bl['’](?=\w)", "l ", small)
    without_marks = re.sub(r"['’.]", "", apart)
    return re.findall(r"[^\W_]+", without_marks)


def split_year(title: str) -> tuple[str, int]:
    """A title and its year, 0 if it has none: "Heat (1995)" is ("Heat", 1995)."""
    last = max(YEAR.finditer(title), key=re.Match.start, default=None)
    if last is None:
        return title, 0
    return title[: last.start()], int(last[1])


def _numbers(words: str) -> str:
    """The words of a key that begin with a digit, in one order."""
    return " ".join(
        sorted(word for word in words.split() if word[0].isdigit()),
    )


@dataclass(frozen=True)
class Matches:
    """What titles match.

    codes (n,): the film of each title, -1 for none. scores (n,): similarity from 0 to
    100. invented: the titles without a film.
    """

    codes: np.ndarray
    scores: np.ndarray
    invented: list[str]


class Catalogue:
    """The films there are, by every name they go by.

    A film goes by its title, other titles in brackets after it, and its parts.

    Args:
        titles: (n_items,) such as "Matrix, The (1999)"; a code is a place in them.

    Example:
        >>> catalogue = Catalogue(["Matrix, The (1999)", "Heat (1995)"])
        >>> found = catalogue.match(["the matrix", "Heat", "Heat 2"])
        >>> found.codes.tolist(), found.invented
        ([0, 1, -1], ['Heat 2'])
    """

    def __init__(self, titles: Sequence[str]) -> None:
        """titles (n_items,): such as "Matrix, The (1999)"; a code is a place."""
        self.titles = [TWIN.sub("", str(title)) for title in titles]
        names = [
            (code, *name)
            for code, title in enumerate(self.titles)
            for name in _names(title)
        ]
        # one entry per name, all of the same length
        codes, self._keys, years, parts = zip(*names, strict=True)
        self._codes = np.array(codes)
        self._years = np.array(years)
        self._parts = np.array(parts)
        self._numbers = np.array(
            [_numbers(words) for words in self._keys],
        )

    def match(
        self,
        titles: Sequence[str],
        threshold: float = THRESHOLD,
        likely: Sequence[int] = (),
    ) -> Matches:
        """The best film for each title, if it is good enough.

        Args:
            titles: (n,) as somebody writes them, with or without year.
            threshold: the similarity needed where the years are equal, from 0 to 100
                (see the module).
            likely: codes that win where two films fit equally well, as remakes do when
                the year is missing; else the first of the catalogue wins.

        Returns:
            One code and one similarity per title, and the titles without a film.
        """
        dated = [split_year(title) for title in titles]
        # without what stands in brackets, unless nothing is left
        wanted = [key(BRACKETS.sub(" ", name)) or key(name) for name, _ in dated]
        # (titles, names): from 0 to 100
        scores = process.cdist(
            wanted,
            self._keys,
            scorer=fuzz.ratio,
            dtype=np.float64,
        )
        bonus = 0.001 * np.isin(
            self._codes,
            np.asarray(likely, dtype=np.int64),
        )
        codes = np.full(len(titles), -1)
        best = np.zeros(len(titles))
        for row, words in enumerate(wanted):
            _, year = dated[row]
            spare = scores[row] - self._needed(year, threshold)
            spare[self._numbers != _numbers(words)] = -np.inf
            # equal letters: the film of the year wins, then a likely one
            rank = scores[row] + bonus + 0.01 * (self._years == year)
            winner = np.argmax(np.where(spare >= 0, rank, -1))
            if words and spare[winner] >= 0:
                codes[row] = self._codes[winner]
                best[row] = scores[row, winner]
        return Matches(
            codes,
            scores=best,
            invented=[titles[row] for row in np.flatnonzero(codes < 0)],
        )

    def _needed(self, year: int, threshold: float) -> np.ndarray:
        """The similarity that each name must have to a title of this year (0: none)."""
        undated = (self._years == 0) | (year == 0)
        apart = np.where(undated, -1, abs(self._years - year))
        whole = np.select(
            [apart == 0, apart == -1, apart == 1],
            [threshold, threshold + UNDATED, threshold + NEXT_YEAR],
            np.inf,
        )
        return np.where(
            self._parts,
            np.where(apart == 0, max(PART, threshold), np.inf),
            whole,
        )


def _names(title: str) -> list[tuple[str, int, bool]]:
    """The names of one film as (key, year, whether it is only a part of the title)."""
    name, year = split_year(title)
    main = BRACKETS.sub(" ", name).strip() or name
    others = [
        re.sub(r"^a\.?k\.?a\.?:? ", "", other) for other in BRACKETS.findall(name)
    ]
    whole = set(map(key, [main, name, *others]))
    parts = set(map(key, re.split(r":\s+|\s+-\s+", main)))
    # "" is the key of a name without a letter
    return [
        *((words, year, False) for words in sorted(whole - {""})),
        *((words, year, True) for words in sorted(parts - whole - {""})),
    ]

"""Films by id, by title with typing errors, and by the first letters: from what people write to item codes."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

from xrec_utils.splits import Split

SIMILAR = 0.8  # one typing error in five letters; numbers in a title must be right


class Match(NamedTuple):
    """A film found by title: its MovieLens id, its code (None: no model here knows it), and how alike the names are."""

    item: int
    code: int | None
    similarity: float


def plain(title: str) -> str:
    """A title without case, accents, articles and punctuation: "Matrix, The (1999)" -> "matrix 1999"."""
    text = unicodedata.normalize("NFKD", title.casefold()).replace("&", " and ")
    text = "".join(c for c in text if not unicodedata.combining(c))
    text = re.sub(r", (the|an?)(?= \(|$)", "", text.strip())
    words = re.sub(r"[\W_]+", " ", text.replace("'", "")).split()
    return " ".join(words[1:] if words[:1] in (["the"], ["a"], ["an"]) and len(words) > 1 else words)


def spellings(title: str, year: int | None) -> list[str]:
    """The ways to write a film: its title, its other titles in brackets, each with and without the year."""
    other = [re.sub(r"a\.k\.a\. ", "", name) for name in re.findall(r"\(([^)]*)\)", title)]
    names = [plain(name) for name in (title, re.sub(r"\([^)]*\)", "", title), *other)]
    dated = [f"{name} {year}" for name in names if name and year is not None]
    return [name for name in dict.fromkeys([*names, *dated]) if name]


class Films:
    """The catalogue of the models (a split) within all films the data set knows (items: item, title, year).

    titles: (n_items,) by code. ids: (n_items,) MovieLens ids by code. users: (n_items,) training users by code.
    """

    def __init__(self, split: Split, items: pd.DataFrame) -> None:
        self.titles, self.ids = split.titles, split.items["item"].to_numpy()
        self.genres = split.items["genres"].tolist()
        pairs = zip(self.ids.tolist(), self.titles.tolist(), strict=True)
        self.names = [{"item": item, "title": title} for item, title in pairs]
        self.users = np.bincount(split.train["item"], minlength=split.n_items)
        self.codes = {int(item): code for code, item in enumerate(self.ids)}
        self.known = dict(zip(items["item"].tolist(), items["title"].tolist(), strict=True))
        self._keys = [plain(title) for title in self.titles]
        self._short = [plain(re.sub(r" \(.*", "", title)) for title in self.titles]
        self._by_name: dict[str, list[int]] = {}
        for item, title, year in items.dropna(subset=["title"])[["item", "title", "year"]].itertuples(index=False):
            for name in spellings(title, None if pd.isna(year) else int(year)):
                self._by_name.setdefault(name, []).append(item)
        self._names = list(self._by_name)
        self.find = lru_cache(4096)(self._find)

    def _find(self, title: str) -> Match | None:
        """The film a title means; of several alike the most rated; None if none is alike."""
        wanted = plain(title)
        if wanted in self._by_name:
            return max((self._match(item, 1.0) for item in self._by_name[wanted]), key=self._rank)
        alike = OSA.normalized_similarity
        # the library drops scores that equal its cutoff, so it gets a lower one
        close = process.extract(wanted, self._names, scorer=alike, score_cutoff=SIMILAR - 0.01, limit=20)
        numbers = re.findall(r"\d+", wanted)
        found = [
            self._match(item, score)
            for name, score, _ in close
            if score > SIMILAR - 1e-9 and re.findall(r"\d+", name) == numbers
            for item in self._by_name[name]
        ]
        return max(found, key=self._rank, default=None)

    def _match(self, item: int, similarity: float) -> Match:
        return Match(item, self.codes.get(item), round(similarity, 3))

    def _rank(self, match: Match) -> tuple[float, int]:
        return match.similarity, -1 if match.code is None else int(self.users[match.code])

    def search(self, typed: str, limit: int = 8) -> list[int]:
        """Codes of films for what is typed so far: that title itself, then words that begin so, then the alike."""
        wanted = plain(typed)
        exact = np.array([name == wanted for name in self._short])
        popular = np.lexsort((-self.users, ~exact))
        begin = [code for code in popular.tolist() if f" {wanted}" in f" {self._keys[code]}"][:limit]
        if len(begin) == limit or not wanted:
            return begin
        alike = process.extract(wanted, self._keys, scorer=fuzz.WRatio, score_cutoff=75, limit=limit)
        return list(dict.fromkeys([*begin, *(code for _, _, code in alike)]))[:limit]

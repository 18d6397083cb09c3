"""Films by id, by title with typing errors, and by the first letters: from what people
write to item codes.
"""

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from rapidfuzz import fuzz, process

from xrec_utils.data.splits import Split
from xrec_utils.data.titles import Catalogue, key


class Match(NamedTuple):
    """A film found by title: its MovieLens id, its code (None: no model here knows it),
    and how alike the names are.
    """

    item: int
    code: int | None
    similarity: float


class Films:
    """The catalogue of the models (a split) within all films the data set knows (items:
    item, title, year).

    titles: (n_items,) by code. ids: (n_items,) MovieLens ids by code. users: (n_items,)
    training users by code.
    """

    def __init__(self, split: Split, items: pd.DataFrame) -> None:
        self.titles = split.titles
        self.ids = split.items["item"].to_numpy()
        self.genres = split.items["genres"].tolist()
        self.names = [
            {"item": item, "title": title}
            for item, title in zip(self.ids.tolist(), self.titles.tolist(), strict=True)
        ]
        self.users = np.bincount(split.train["item"], minlength=split.n_items)
        self.codes = {int(item): code for code, item in enumerate(self.ids)}
        self.known = dict(
            zip(items["item"].tolist(), items["title"].tolist(), strict=True)
        )
        self._keys = [key(title) for title in self.titles]
        self._short = [key(re.sub(r" \(.*", "", title)) for title in self.titles]
        named = items.dropna(subset=["title"])
        rated = named["item"].map(
            lambda item: -self.users[self.codes[item]] if item in self.codes else 1
        )
        # of films of one name the most rated comes first
        named = named.iloc[np.argsort(rated, kind="stable")]
        self._items = named["item"].tolist()
        self._catalogue = Catalogue(
            [
                title if pd.isna(year) else f"{title} ({year})"
                for title, year in zip(named["title"], named["year"], strict=True)
            ]
        )
        self.find = lru_cache(4096)(self._find)

    def _find(self, title: str) -> Match | None:
        """The film a title means (see `replies` for how alike it must be); of several
        the most rated; None for none.
        """
        found = self._catalogue.match([title])
        if found.codes[0] < 0:
            return None
        item = self._items[found.codes[0]]
        return Match(item, self.codes.get(item), round(float(found.scores[0]) / 100, 3))

    def search(self, typed: str, limit: int = 8) -> list[int]:
        """Codes of films for what is typed so far: that title itself, then words that
        begin so, then the alike.
        """
        wanted = key(typed)
        exact = np.array([name == wanted for name in self._short])
        popular = np.lexsort((-self.users, ~exact))
        begin = [
            code for code in popular.tolist() if f" {wanted}" in f" {self._keys[code]}"
        ][:limit]
        if len(begin) == limit or not wanted:
            return begin
        alike = process.extract(
            wanted, self._keys, scorer=fuzz.WRatio, score_cutoff=75, limit=limit
        )
        return list(dict.fromkeys([*begin, *(code for _, _, code in alike)]))[:limit]

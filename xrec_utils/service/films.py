"""Films by id, by title with typing errors, and by the first letters: from what people
write to item codes.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from rapidfuzz import fuzz, process

from xrec_utils.data.splits import Split
from xrec_utils.data.titles import Catalogue, key
from xrec_utils.service.schema import Correction, LeftOut, Refusal


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
        self.known = items.set_index("item")["title"].to_dict()
        self._keys = [key(title) for title in self.titles]
        # without the year
        self._short = [key(re.sub(r" \(.*", "", title)) for title in self.titles]
        named = items.dropna(subset=["title"])
        # of films of one name the most rated comes first, those without a code last
        order = named["item"].map(
            lambda item: -self.users[self.codes[item]] if item in self.codes else 1
        )
        named = named.iloc[np.argsort(order, kind="stable")]
        self._items = named["item"].tolist()
        self._catalogue = Catalogue(
            [
                title if pd.isna(year) else f"{title} ({year})"
                for title, year in zip(named["title"], named["year"], strict=True)
            ]
        )
        # the same titles are asked for again and again, and a search takes milliseconds
        self.find = lru_cache(4096)(self._find)

    def _find(self, title: str) -> tuple[int, float] | None:
        """The MovieLens id of the film a title means, and how alike the names are, from
        0 to 1 (see `Catalogue` for how alike they must be).

        Of several the most rated; None for none.
        """
        found = self._catalogue.match([title])
        if found.codes[0] < 0:
            return None
        return self._items[found.codes[0]], round(float(found.scores[0]) / 100, 3)

    def search(self, typed: str, limit: int = 8) -> list[int]:
        """Find films for what is typed so far.

        Args:
            typed: the start of a title; nothing for the films most rated.
            limit: how many films are found at most.

        Returns:
            Their codes: of that title itself, then those with a word that begins so,
            then the alike.
        """
        wanted = key(typed)
        exact = np.array([name == wanted for name in self._short])
        # the last key counts first: exact ones, then the most rated
        popular = np.lexsort((-self.users, ~exact))
        begin = [
            code for code in popular.tolist() if f" {wanted}" in f" {self._keys[code]}"
        ][:limit]
        if len(begin) == limit or not wanted:
            return begin
        # typing errors: looked for only if too few films begin as typed
        alike = process.extract(
            wanted, self._keys, scorer=fuzz.WRatio, score_cutoff=75, limit=limit
        )
        return list(dict.fromkeys([*begin, *(code for _, _, code in alike)]))[:limit]

    def understand(
        self, history: Sequence[int | str]
    ) -> tuple[list[int], list[Correction], list[LeftOut]]:
        """Turn a history as people write it into item codes.

        Args:
            history: MovieLens ids or titles, oldest first.

        Returns:
            The codes, each once; what was read otherwise than written; what was left
            out.

        Raises:
            Refusal: a film is not in MovieLens.
        """
        codes: list[int] = []
        corrections = []
        left_out = []
        for place, given in enumerate(history):
            field = f"history[{place}]"
            item, similarity = self._id(given, field)
            code = self.codes.get(item)
            if code is None or code in codes:
                why = "is in the history already" if code in codes else self._rare(item)
                left_out.append(LeftOut(field=field, given=given, why=why))
                continue
            if similarity < 1:
                corrections.append(
                    Correction(
                        field=field,
                        given=str(given),
                        similarity=similarity,
                        **self.names[code],
                    )
                )
            codes.append(code)
        return codes, corrections, left_out

    def _id(self, given: int | str, field: str) -> tuple[int, float]:
        """The MovieLens id of a film given by id or by title, and how alike the title
        is.
        """
        if isinstance(given, int):
            if given not in self.known:
                raise Refusal(
                    "unknown_film",
                    f"{field}: MovieLens (small) has no film {given}; "
                    "GET /films?q=... finds ids by title",
                    field,
                )
            return given, 1.0
        if match := self.find(given):
            return match
        near = " or ".join(self.titles[self.search(given, 3)])
        hint = "; an id is a number without quotes" if given.strip().isdecimal() else ""
        raise Refusal(
            "unknown_film",
            f"{field}: no film has a title like {given!r}; "
            f"try {near or 'GET /films?q=...'}{hint}",
            field,
        )

    def _rare(self, item: int) -> str:
        """Why a film that MovieLens knows has no code."""
        return (
            f"{self.known[item]} has too few ratings (fewer than 5), "
            "so that no model has learned it"
        )

    def unseen(self, given: int | str, history: np.ndarray) -> int:
        """Code of the film to explain; it must not be in the history (codes)."""
        item, _ = self._id(given, "item")
        code = self.codes.get(item)
        if code is None:
            raise Refusal("unknown_film", f"item: {self._rare(item)}", "item")
        if code in history:
            raise Refusal(
                "item_in_history",
                f"item: {self.titles[code]} is in the history; "
                "explain a film that the user has not seen",
                "item",
            )
        return code

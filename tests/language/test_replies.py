"""Lists written in every style come back; titles match their own film and no other;
what is no film is counted.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrec_utils import zoo
from xrec_utils.data.load import load_movielens
from xrec_utils.data.titles import TWIN, Catalogue, key, split_year
from xrec_utils.language.citations import cited
from xrec_utils.language.prompts import spoken
from xrec_utils.language.replies import films_in, ranked

SPLIT = zoo.split()
TITLES = [TWIN.sub("", str(title)) for title in SPLIT.titles]
CATALOGUE = Catalogue(SPLIT.titles)
CODES = {title: code for code, title in enumerate(TITLES)}
REASON = "a film that you, who like crime (and jokes), will love"

STYLES: dict[str, Callable[[list[str]], str]] = {
    "numbered": lambda films: (
        "Sure! My list:\n\n"
        + "\n".join(f"{n}. {film}" for n, film in enumerate(films, 1))
    ),
    "numbered on one line": lambda films: " ".join(
        f"{n}) {film}" for n, film in enumerate(films, 1)
    ),
    "bulleted": lambda films: (
        "\n".join(f"* {film}" for film in films) + "\n\nEnjoy them!"
    ),
    "with reasons": lambda films: "\n".join(f"- {film} - {REASON}" for film in films),
    "with reasons after a colon": lambda films: "\n".join(
        f"#{n} {film}: {REASON}" for n, film in enumerate(films)
    ),
    "quoted": lambda films: "\n".join(
        f'{n}. "{film}" because it is {REASON}' for n, film in enumerate(films, 1)
    ),
    "bold": lambda films: "\n".join(
        f"{n}. **{film}** – {REASON}" for n, film in enumerate(films, 1)
    ),
    "lines": lambda films: "Here are the films:\n" + "\n".join(films),
    "quotes and commas": lambda films: (
        "I recommend " + ", ".join(f"“{film}”" for film in films) + "."
    ),
    "semicolons": lambda films: "; ".join(films),
    "json": json.dumps,
    "json object": lambda films: json.dumps(
        {"films": films, "why": "because"}, indent=1
    ),
    "json objects": lambda films: (
        f"```json\n{json.dumps([{'title': film, 'why': REASON} for film in films])}\n```"
    ),
    "json by place": lambda films: json.dumps(
        {str(n): film for n, film in enumerate(films, 1)}
    ),
}
DATED = {
    "commas": ", ".join,
    "commas and": lambda films: f"{', '.join(films[:-1])}, and {films[-1]}.",
}
films = st.lists(st.sampled_from(TITLES), min_size=2, max_size=6, unique=True)


def essence(title: str) -> tuple[str, int]:
    name, year = split_year(title)
    return key(name), year


@pytest.mark.parametrize("style", [*STYLES, *DATED])
@given(films)
def test_a_list_with_years_comes_back_from_every_style(
    style: str, titles: list[str]
) -> None:
    text = (STYLES | DATED)[style](titles)
    assert [essence(title) for title in films_in(text)] == [
        essence(title) for title in titles
    ]


@pytest.mark.parametrize("style", STYLES)
@given(films)
def test_a_list_without_years_comes_back(style: str, titles: list[str]) -> None:
    names = [spoken(title) for title in titles]
    assert [key(title) for title in films_in(STYLES[style](names))] == [
        key(name) for name in names
    ]


@pytest.mark.parametrize(("text", "expected"), [
    ("Heat, The Matrix, and Big", ["Heat", "The Matrix", "Big"]),
    ("Matrix, The, Heat, Beautiful Mind, A", ["Matrix, The", "Heat", "Beautiful Mind, A"]),
    ("The next film to watch is: Heat.", ["Heat"]),
    ("I recommend watching Heat (1995) because it is good.", ["Heat (1995)"]),
    ('{"films": ["Heat", "Big", "Toy St', ["Heat", "Big"]),
    ('[{"title": "Heat", "year": 1995}, {"title": "Big"', ["Heat (1995)", "Big"]),
    ('{"film": "Heat"}', ["Heat"]),
    ("1. Toy Story 2\n2. 12 Angry Men\n3. 300: Rise", ["Toy Story 2", "12 Angry Men", "300: Rise"]),
    ("I am glad you liked the films, but I would rather not say which of them you should see next.", []),
    ("1) Jumanji (1995) 2) Alien³ (a.k.a. Alien 3) (1992) 3) Big (1988)",
     ["Jumanji (1995)", "Alien³ (a.k.a. Alien 3) (1992)", "Big (1988)"]),
    ("1) Up 2) Jumanji 3) Alien³ [Alien 3) or 4) it] 4) Big", ["Up", "Jumanji", "Alien³ [Alien 3) or 4) it]", "Big"]),
    ("1. Heat,2. Big; 3. Up", ["Heat", "Big", "Up"]),
    ("1. Apollo 13. 2. Big 12. May 3. Up", ["Apollo 13", "Big 12. May", "Up"]),
    ("xXx\neXistenZ\nHeat", ["xXx", "eXistenZ", "Heat"]), ("xXx, Heat; or not", ["xXx, Heat"]),
    ("[nothing", []), ("", []),
])  # fmt: skip
def test_replies_seen_in_the_wild(text: str, expected: list[str]) -> None:
    assert films_in(text) == expected


@given(st.text(max_size=200))
def test_no_text_breaks_the_parser(text: str) -> None:
    assert all(films_in(text))
    cited(text, CATALOGUE, [0, 1])


def test_every_film_is_its_own_best_match() -> None:
    np.testing.assert_array_equal(CATALOGUE.match(TITLES).codes, np.arange(len(TITLES)))
    undated = CATALOGUE.match([spoken(title) for title in TITLES])
    assert (
        undated.invented == []
        and (undated.codes == np.arange(len(TITLES))).mean() > 0.97
    )  # the rest are remakes


def typo(title: str, rng: random.Random) -> str:
    """One letter changed, added, lost, or swapped with the next."""
    at, letter = rng.randrange(len(title)), rng.choice("abcdefghijklmnopqrstuvwxyz")
    before, here, after = title[:at], title[at], title[at + 1 :]
    swapped = before + after[:1] + here + after[1:]
    return rng.choice(
        [
            before + letter + after,
            before + letter + here + after,
            before + after,
            swapped,
        ]
    )


def trade_off(dated: bool) -> tuple[float, float]:
    """Shares: titles found in spite of one typo, and films of MovieLens beyond the
    catalogue taken for one in it.
    """
    rng = random.Random(0)
    # a fourth of both, for all of them take four times as long
    titles = TITLES[::4]
    years = [
        f" ({year})" if dated and year else "" for _, year in map(split_year, titles)
    ]
    spoilt = CATALOGUE.match(
        [typo(spoken(t), rng) + year for t, year in zip(titles, years, strict=True)]
    )
    items = load_movielens("movielens-small").items.dropna(subset=["year"])
    beyond = items[~items["item"].isin(SPLIT.items["item"])][::4]
    others = CATALOGUE.match(
        [
            f"{t} ({y})" if dated else t
            for t, y in zip(beyond.title, beyond.year, strict=True)
        ]
    )
    found = spoilt.codes == np.arange(0, len(TITLES), 4)
    mistaken = others.codes >= 0
    return float(found.mean()), float(mistaken.mean())


def test_the_threshold_forgives_typos_and_keeps_films_apart() -> None:
    (dated, mistaken), (undated, remakes) = trade_off(True), trade_off(False)
    assert dated > 0.95 and mistaken < 0.003
    assert undated > 0.87 and remakes < 0.055


@pytest.mark.parametrize(("title", "film"), [
    ("The Matrix (1999)", "Matrix, The (1999)"), ("matrx", "Matrix, The (1999)"),
    ("Matrix, The", "Matrix, The (1999)"), ("Cité des enfants perdus, La", None),
    ("The Godfather 2", "Godfather: Part II, The (1974)"), ("The Godfather", "Godfather, The (1972)"),
    ("Toy Story 2", "Toy Story 2 (1999)"), ("Toy Story (1995)", "Toy Story (1995)"),
    ("Star Wars (1977)", "Star Wars: Episode IV - A New Hope (1977)"), ("12 Monkeys", None),
    ("The Lion King (1995)", "Lion King, The (1994)"), ("(500) Days of Summer", "(500) Days of Summer (2009)"),
    ("500 Days of Summer (2009)", "(500) Days of Summer (2009)"), ("Sabrina (1954)", "Sabrina (1954)"),
])  # fmt: skip
def test_the_film_meant_is_found(title: str, film: str | None) -> None:
    match = CATALOGUE.match([title])
    assert match.invented == [] and (film is None or TITLES[match.codes[0]] == film)


@pytest.mark.parametrize(
    "title",
    [
        "Toy Story 9",
        "The Lion King (2014)",
        "Rocky 7",
        "Violet Kiwi",
        "",
        "!",
        "(1995)",
    ],
)
def test_what_is_no_film_is_invented(title: str) -> None:
    match = CATALOGUE.match([title])
    assert (
        match.invented == [title]
        and match.codes.tolist() == [-1]
        and match.scores.tolist() == [0]
    )


def test_sequels_are_never_mistaken_for_each_other() -> None:
    own = Catalogue(["Toy Story (1995)", "Alien (1979)"])
    assert (
        own.match(
            ["Toy Story 2", "Toy Story II", "Toy Story 2 (1995)", "Aliens (1986)"]
        ).codes.tolist()
        == [-1] * 4
    )
    assert own.match(
        ["toy storry", "Toy Story (1996)", "Toy Story (1997)"]
    ).codes.tolist() == [0, 0, -1]


def test_of_remakes_the_likely_one_wins() -> None:
    old, new = CODES["Sabrina (1954)"], CODES["Sabrina (1995)"]
    for likely in (old, new):
        assert CATALOGUE.match(["Sabrina"], likely=[likely]).codes.tolist() == [likely]


HISTORY = [
    CODES[title]
    for title in (
        "Toy Story (1995)",
        "Heat (1995)",
        "Matrix, The (1999)",
        "Godfather, The (1972)",
        "Big (1988)",
        "Good, the Bad and the Ugly, The (Buono, il brutto, il cattivo, Il) (1966)",
    )
]


@pytest.mark.parametrize(("text", "past", "others", "invented"), [
    ("As you liked Toy Story and The Matrix (1999), and Heat is a crime film, big films suit you.", [0, 1, 2], [], []),
    ('See "Casino" (1995), for you saw “The Godfather” and "The Iron Maiden of Oz". You said "I like it".', [3],
     ["Casino (1995)"], ["The Iron Maiden of Oz"]),
    ("You enjoyed Toy Story 2 and The Godfather: Part II.", [], ["Godfather: Part II, The (1974)"], []),
    ("In Matrix, The (1999), the Lion King (2014) wins. The Good, the Bad and the Ugly is a Western.", [2, 5], [],
     ["Lion King (2014)"]),
    ("1. Toy Story (1995)\n2. The Purple Banana (2001)\n3. **Fargo** (1996)", [0], ["Fargo (1996)"],
     ["The Purple Banana (2001)"]),
    ("1. The Boy Who Fell\n2. Heat: a crime film\n- Toy Story 2\n3. you like crime", [1], ["Toy Story 2 (1999)"],
     ["The Boy Who Fell"]),
    ("It is like the Purple Banana of Doom (2003), and *not* much else.", [], [], ["Purple Banana of Doom (2003)"]),
    ("The films are: 1. Big, 2. Heat, 3. The Matrix. Heat 2 and 3.5 Big are none.", [1, 2, 4], [], []),
    ("", [], [], []),
])  # fmt: skip
def test_films_mentioned_in_free_text(
    text: str, past: list[int], others: list[str], invented: list[str]
) -> None:
    found = cited(text, CATALOGUE, HISTORY)
    assert found.cited == [HISTORY[place] for place in past]
    assert [TITLES[code] for code in found.others] == others
    assert found.invented == invented


@given(films, films, st.integers(1, 8), st.data())
def test_a_ranking_is_full_without_duplicates_and_in_the_models_order(
    named: list[str], offered: list[str], k: int, data: st.DataObject
) -> None:
    candidates = [CODES[title] for title in dict.fromkeys([*offered, *TITLES[:9]])]
    seen = data.draw(st.lists(st.sampled_from(candidates), max_size=1))
    ranking = ranked(
        "\n".join(f"- {title}" for title in [*named, "Zebra Quux (1903)"]),
        candidates,
        CATALOGUE,
        seen,
        k,
    )
    good = [
        CODES[title]
        for title in named
        if CODES[title] in candidates and CODES[title] not in seen
    ][:k]
    rest = [code for code in candidates if code not in {*good, *seen}]
    assert ranking.codes.tolist() == [*good, *rest][:k]
    assert ranking.filled == k - len(good) and ranking.invented == ["Zebra Quux (1903)"]
    assert ranking.refused == [
        CODES[title]
        for title in named
        if CODES[title] not in set(candidates) - set(seen)
    ]


def test_too_few_candidates_are_said() -> None:
    with pytest.raises(
        ValueError, match="k=2, but only 1 candidates are not in `seen`"
    ):
        ranked("Heat", [0, 1], CATALOGUE, [1], 2)

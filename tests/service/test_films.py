"""Films found by what people write: every title as it stands, most with a typing error,
no title for nonsense.
"""

from __future__ import annotations

import random

import numpy as np
import pytest

from xrec_utils import zoo
from xrec_utils.data.load import load_movielens
from xrec_utils.service.films import Films


@pytest.fixture(scope="module")
def films() -> Films:
    return Films(zoo.split(), load_movielens("movielens-small").items)


def test_every_title_finds_its_film(films: Films) -> None:
    for title in films.titles.tolist():
        found = films.find(title)
        if (
            " [" not in title
        ):  # films of the same name and year have their id in brackets
            item, similarity = found
            assert similarity == 1, title
            assert films.titles[films.codes[item]] == title, title


def test_a_typing_error_in_ten_letters_or_more_is_forgiven(films: Films) -> None:
    draw = random.Random(0)
    long = [
        title
        for title in films.titles.tolist()
        if len(title[:-7]) >= 12 and " [" not in title
    ]
    asked = draw.sample(long, 150)
    right = sum(
        films.titles[films.codes[found[0]]] == title
        for title in asked
        if (found := films.find(typo(title, draw))) and found[0] in films.codes
    )
    assert right >= 0.97 * len(asked)


def typo(title: str, draw: random.Random) -> str:
    """One letter of a title doubled, lost, or swapped with the next."""
    at = draw.choice(
        [n for n in range(1, len(title) - 8) if title[n : n + 2].isalpha()]
    )
    kind = draw.randrange(3)
    middle = (title[at] * 2 + title[at + 1], title[at + 1], title[at + 1] + title[at])[
        kind
    ]
    return title[:at] + middle + title[at + 2 :]


def test_nonsense_finds_nothing(films: Films) -> None:
    draw = random.Random(1)
    for _ in range(60):
        assert (
            films.find(
                "".join(
                    draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randrange(8, 30))
                )
            )
            is None
        )


@pytest.mark.parametrize(
    ("written", "item"),
    [
        ("Aliien", 1214),
        ("toy storry", 1),
        ("Hamlet", 1411),
        ("12 monkeys", 32),
        ("star wars episode iv new hope", 260),
    ],
)
def test_what_people_write(written: str, item: int, films: Films) -> None:
    assert films.find(written)[0] == item
    assert films.find(written)[1] >= 0.85


@pytest.mark.parametrize(
    "written", ["Toy Story 5", "Ocean's 14", "2002: A Space Odyssey"]
)
def test_a_wrong_number_is_another_film(written: str, films: Films) -> None:
    assert films.find(written) is None


def test_of_films_of_one_name_the_most_rated_is_meant(films: Films) -> None:
    named = [
        code
        for code, title in enumerate(films.titles.tolist())
        if title.startswith("Hamlet (")
    ]
    assert len(named) > 1 and films.codes[films.find("hamlet")[0]] == max(
        named, key=lambda code: films.users[code]
    )


def test_suggestions_begin_with_what_is_typed_and_then_are_alike(films: Films) -> None:
    titles = [str(films.titles[code]) for code in films.search("godfa")]
    assert titles[0] == "Godfather, The (1972)" and len(titles) <= 8
    assert films.titles[films.search("alien")[0]] == "Alien (1979)"
    assert "Amelie" in films.titles[films.search("ameli")[0]]
    assert films.search("amelei") and films.search("zzzzzz") == []
    users = films.users[films.search("")]
    assert (np.diff(users) <= 0).all() and users[0] == films.users.max()

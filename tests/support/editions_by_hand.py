"""Three users, four films and six ratings in each layout of MovieLens, and a reader of
error messages.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from xrec_utils.files import DataError

RATINGS = [
    (1, 10, 4.0, 900_000_000),
    (1, 20, 3.0, 900_000_060),
    (2, 10, 5.0, 900_000_120),
    (2, 30, 1.0, 900_000_000),
    (3, 20, 2.0, 950_000_000),
    (3, 30, 4.0, 950_000_001),
]
FILMS = [
    (10, "Léon: The Professional (1994)", "Action|Crime"),
    (20, 'Say "Yes", Please (2001)', "Comedy"),
    (30, "Big Bang, The (2007-)", ""),
    (40, "", ""),
]
GENRES_OF_10 = (1, 6)  # places of Action and Crime among the 19 flags of u.item


def csv_layout(none: str = "(no genres listed)") -> dict[str, str]:
    """latest-small, latest, 20m, 25m, 32m."""
    quoted = [
        (item, '"' + title.replace('"', '""') + '"', genres or none)
        for item, title, genres in FILMS
    ]
    return {
        "ratings.csv": lines(
            ["userId,movieId,rating,timestamp", *joined(RATINGS, ",")]
        ),
        "movies.csv": lines(["movieId,title,genres", *joined(quoted, ",")]),
        "links.csv": lines(["movieId,imdbId,tmdbId", "10,0110413,101", "20,0000002,"]),
        "tags.csv": lines(
            ["userId,movieId,tag,timestamp", '1,10,"dark, funny",900000100']
        ),
    }


def dat_layout() -> dict[str, str]:
    """1m (with users) and 10m (with tags)."""
    films = [
        (item, title, genres or "(no genres listed)") for item, title, genres in FILMS
    ]
    return {
        "ratings.dat": lines(
            joined([(u, i, int(r), t) for u, i, r, t in RATINGS], "::")
        ),
        "movies.dat": lines(joined(films, "::")),
        "users.dat": lines(
            ["1::F::1::10::48067", "2::M::56::16::70072", "3::M::25::15::55117"]
        ),
        "tags.dat": lines(["1::10::dark::900000100", "2::30::a::b::900000200"]),
    }


def tab_layout() -> dict[str, str]:
    """100k."""

    def flags(item: int) -> str:
        return "|".join(
            "1" if item == 10 and place in GENRES_OF_10 else "0" for place in range(19)
        )

    return {
        "u.data": lines(joined([(u, i, int(r), t) for u, i, r, t in RATINGS], "\t")),
        "u.item": lines(
            [
                f"{item}|{title}|01-Jan-1995||http://x|{flags(item)}"
                for item, title, _ in FILMS
            ]
        ),
        "u.user": lines(
            ["1|24|M|technician|85711", "2|53|F|other|94043", "3|23|M|writer|T8H1N"]
        ),
    }


LAYOUTS = {"csv": csv_layout, "dat": dat_layout, "tab": tab_layout}
RATINGS_FILE = {"csv": "ratings.csv", "dat": "ratings.dat", "tab": "u.data"}


def joined(rows: list[tuple], sep: str) -> list[str]:
    """Each row as one line."""
    return [sep.join(str(field) for field in row) for row in rows]


def lines(rows: list[str]) -> str:
    """Rows as a text."""
    return "\n".join(rows) + "\n"


def folder_of(path: Path, files: dict[str, str], encoding: str = "utf-8") -> Path:
    """Write the files into a folder."""
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name).write_bytes(text.encode(encoding))
    return path


def zip_of(
    path: Path,
    files: dict[str, str],
    encoding: str = "utf-8",
    compression: int = zipfile.ZIP_DEFLATED,
) -> Path:
    """Write the files into an archive as GroupLens does, below one folder."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{path.stem}/", "")
        for name, text in files.items():
            archive.writestr(f"{path.stem}/{name}", text.encode(encoding))
            archive.writestr(f"__MACOSX/{path.stem}/._{name}", b"\x00\x05")
    return path


def message(call, *arguments, **named) -> str:
    """What a call that must fail says."""
    with pytest.raises(DataError) as caught:
        call(*arguments, **named)
    return str(caught.value)


def says(text: str, *parts: str) -> None:
    """Assert that a message holds all the parts."""
    assert [part for part in parts if part not in text] == [], text

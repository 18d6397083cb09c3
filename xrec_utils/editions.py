"""The file layouts in which MovieLens has been published since 1998, read into one
form.

| layout | editions | files | |---|---|---| | csv | latest-small, latest, 20m, 25m, 32m
| ratings.csv, movies.csv, tags.csv, links.csv | | dat | 1m, 10m | ratings.dat,
movies.dat, users.dat, tags.dat, fields separated by `::` | | tab | 100k | u.data,
u.item, u.user, fields separated by tabs and bars |
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from xrec_utils.tables import (
    OPENERS,
    DataError,
    Layout,
    TextFile,
    check_events,
    check_unique,
    demand,
    read_numbers,
)

STARS = (0.5, 5.0)
# (1995), (1995) (V), (1975-1979), (2007-)
YEAR = r"\s*\((\d{4})(?:\s*[-–]\s*(?:\d{4})?\s*)?\)\s*(?:\(V\)\s*)?$"
GENRES_100K = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
NUMBERS = {"user": "int32", "item": "int32", "value": "float32", "time": "int64"}
WHOLE = {
    "user": "int32",
    "item": "int32",
    "time": "int64",
    "age": "Int64",
    "imdb": "Int64",
    "tmdb": "Int64",
}


@dataclass(frozen=True)
class Tables:
    """The tables of an edition as read: ratings, items (title still with its year),
    users and tags if present.
    """

    ratings: pd.DataFrame
    items: pd.DataFrame
    users: pd.DataFrame | None = None
    tags: pd.DataFrame | None = None


def read_edition(path: Path) -> Tables:
    """Read a MovieLens folder or zip archive of any layout.

    Raises:
        DataError: the path is neither, has no ratings file of a known layout, or a file
            in it has a fault.
    """
    files = _files(path)
    for ratings_file, read in READERS.items():
        if ratings_file in files:
            return read(files)
    found = ", ".join(sorted(files)[:8]) or "nothing"
    raise DataError(
        f"{path}: none of {', '.join(READERS)} is in it (found: {found}). Give the folder or zip of a "
        "MovieLens edition; for a table of your own use load_interactions"
    )


def clean_items(items: pd.DataFrame) -> pd.DataFrame:
    """Take the year out of the titles; "(no genres listed)" becomes the empty text, a
    missing title "film <id>".
    """
    title = items["title"].fillna("").astype(str)
    year = pd.to_numeric(title.str.extract(YEAR, expand=False)).astype("Int64")
    plain = title.str.replace(YEAR, "", regex=True).str.strip()
    named = plain.where(plain != "", "film " + items["item"].astype(str))
    genres = items["genres"].fillna("").astype(str).replace("(no genres listed)", "")
    rest = [column for column in items if column not in ("item", "title", "genres")]
    return (
        items[["item"]].assign(title=named, year=year, genres=genres).join(items[rest])
    )


def _files(path: Path) -> dict[str, TextFile]:
    """The files of a folder or archive by their plain name, without folder and
    compression suffix.
    """
    if path.is_dir():
        inside = [
            file for file in (*path.iterdir(), *path.glob("*/*")) if file.is_file()
        ]
        return {_plain(file.name): TextFile(file) for file in reversed(inside)}
    try:
        with zipfile.ZipFile(path) as archive:
            members = [
                name for name in archive.namelist() if not name.startswith("__MACOSX")
            ]
    except zipfile.BadZipFile as fault:
        raise DataError(
            f"{path}: not a whole zip archive ({fault}); download it again, or give the folder or zip of "
            "a MovieLens edition (for a table of your own use load_interactions)"
        ) from fault
    return {PurePosixPath(name).name: TextFile(path, name) for name in members}


def _plain(name: str) -> str:
    return (
        name.removesuffix(Path(name).suffix) if Path(name).suffix in OPENERS else name
    )


def _read_csv(files: dict[str, TextFile]) -> Tables:
    ratings = _ratings(
        Layout(files["ratings.csv"]), ("userId", "movieId", "rating", "timestamp")
    )
    items = _csv(
        files, "movies.csv", {"movieId": "item", "title": "title", "genres": "genres"}
    )
    if "links.csv" in files:
        links = _csv(
            files, "links.csv", {"movieId": "item", "imdbId": "imdb", "tmdbId": "tmdb"}
        )
        items = items.merge(links, on="item", how="left", validate="many_to_one")
    users = (
        _csv(
            files,
            "users.csv",
            {
                "userId": "user",
                "age": "age",
                "gender": "gender",
                "occupation": "occupation",
                "zip": "zip",
            },
        )
        if "users.csv" in files
        else None
    )
    tags = (
        _csv(
            files,
            "tags.csv",
            {"userId": "user", "movieId": "item", "tag": "tag", "timestamp": "time"},
        )
        if "tags.csv" in files
        else None
    )
    return Tables(ratings, items, users, tags)


def _read_dat(files: dict[str, TextFile]) -> Tables:
    names = ("UserID", "MovieID", "Rating", "Timestamp")
    ratings = _ratings(Layout(files["ratings.dat"], "::", names), names)
    items = _lines(files, "movies.dat", "::", ("item", "title", "genres"))
    users = (
        _lines(files, "users.dat", "::", ("user", "gender", "age", "occupation", "zip"))
        if "users.dat" in files
        else None
    )
    tags = (
        _lines(files, "tags.dat", "::", ("user", "item", "tag", "time"))
        if "tags.dat" in files
        else None
    )
    return Tables(ratings, items, users, tags)


def _read_100k(files: dict[str, TextFile]) -> Tables:
    names = ("user id", "item id", "rating", "timestamp")
    ratings = _ratings(Layout(files["u.data"], "\t", names), names)
    flags = tuple(f"flag {genre}" for genre in GENRES_100K)
    raw = _lines(
        files, "u.item", "|", ("item", "title", "released", "video", "imdb url", *flags)
    )
    held = raw[list(flags)].to_numpy() == "1"
    genres = ["|".join(np.array(GENRES_100K)[1:][row[1:]]) for row in held]
    users = (
        _lines(files, "u.user", "|", ("user", "age", "gender", "occupation", "zip"))
        if "u.user" in files
        else None
    )
    return Tables(ratings, raw[["item", "title"]].assign(genres=genres), users)


READERS: dict[str, Callable[[dict[str, TextFile]], Tables]] = {
    "ratings.csv": _read_csv,
    "ratings.dat": _read_dat,
    "u.data": _read_100k,
}


def _ratings(layout: Layout, names: tuple[str, ...]) -> pd.DataFrame:
    """Ratings as columns user, item, value, time, checked."""
    columns = dict(zip(NUMBERS, names, strict=True))
    events = read_numbers(
        layout, {names[place]: dtype for place, dtype in enumerate(NUMBERS.values())}
    )
    events.columns = list(NUMBERS)
    check_events(events, layout, columns, STARS)
    check_unique(
        events, ["user", "item"], layout, columns, "delete one of the two lines"
    )
    return events


def _csv(
    files: dict[str, TextFile], name: str, columns: dict[str, str]
) -> pd.DataFrame:
    """A small table with a header line; `columns` maps the names in the file to ours."""
    layout = Layout(_present(files, name))
    layout.require(list(columns))
    with layout.file.open() as stream:
        table = pd.read_csv(
            stream,
            usecols=list(columns),
            dtype=str,
            keep_default_na=False,
            index_col=False,
            encoding=layout.file.encoding(),
        )
    return _typed(table[list(columns)], layout, columns)


def _lines(
    files: dict[str, TextFile], name: str, sep: str, columns: tuple[str, ...]
) -> pd.DataFrame:
    """A small table without a header line; a separator within a title or tag is taken
    as part of it.
    """
    layout = Layout(_present(files, name), sep, columns)
    text = next(
        (place for place, column in enumerate(columns) if column in ("title", "tag")), 0
    )
    rows = []
    for line, fields in layout.rows():
        surplus = len(fields) - len(columns)
        if surplus < 0:
            raise DataError(
                f"{layout.file.name}, line {line}: {len(fields)} fields instead of {len(columns)} "
                f"({', '.join(columns)}); get the file again"
            )
        rows.append(
            [
                *fields[:text],
                sep.join(fields[text : text + surplus + 1]),
                *fields[text + surplus + 1 :],
            ]
        )
    return _typed(
        pd.DataFrame(rows, columns=list(columns), dtype=str),
        layout,
        {name: name for name in columns},
    )


def _typed(
    table: pd.DataFrame, layout: Layout, columns: dict[str, str]
) -> pd.DataFrame:
    """Rename the columns and turn those named in WHOLE into whole numbers; only the
    nullable ones may be empty.
    """
    typed = {}
    for theirs, ours in columns.items():
        typed[ours] = table[theirs]
        if ours in WHOLE:
            number = pd.to_numeric(table[theirs], errors="coerce")
            empty = (table[theirs] == "") & (WHOLE[ours] == "Int64")
            demand(
                (number % 1 == 0) | empty,
                layout,
                theirs,
                "is not a whole number; correct or delete the line",
            )
            typed[ours] = number.astype(WHOLE[ours])
    return pd.DataFrame(typed)


def _present(files: dict[str, TextFile], name: str) -> TextFile:
    if name not in files:
        place = next(iter(files.values())).path
        raise DataError(
            f"{place}: {name} is missing; it belongs beside the ratings, so get the whole edition again"
        )
    return files[name]

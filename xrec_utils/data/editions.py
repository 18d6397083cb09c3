"""The file layouts of MovieLens since 1998, read into one form.

| layout | editions                            | files                          |
|--------|-------------------------------------|--------------------------------|
| csv    | latest-small, latest, 20m, 25m, 32m | ratings, movies, tags, links   |
| dat    | 1m, 10m                             | ratings, movies, users, tags   |
| tab    | 100k                                | u.data, u.item, u.user         |

csv has commas and a header line; dat has fields separated by `::`; of 100k, u.data has
tabs, the others bars.
"""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from xrec_utils.data.textfile import (
    OPENERS,
    Layout,
    TextFile,
    check_events,
    check_unique,
    demand,
    read_numbers,
)
from xrec_utils.files import DataError

STARS = (0.5, 5.0)
# as in (1995), (1995) (V), (1975-1979), (2007-)
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
# columns of ratings, and those of the other tables that hold whole numbers
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
    """The tables of an edition as read.

    Args:
        ratings: user, item, value (stars), time (seconds since 1970, UTC).
        items: item, title still with its year, genres, and links where there are any.
        users, tags: if present.
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
    present = ", ".join(sorted(files)[:8]) or "nothing"
    raise DataError(
        f"{path}: none of {', '.join(READERS)} is in it (found: {present}). "
        "Give the folder or zip of a MovieLens edition; "
        "for a table of your own use load_interactions"
    )


def clean_items(items: pd.DataFrame) -> pd.DataFrame:
    """Take the year out of the titles and give every item a title and genres.

    "(no genres listed)" becomes the empty text, a missing title "film <id>".

    Args:
        items: item, title, genres and any other columns.

    Returns:
        item, title, year (Int64), genres and the other columns.
    """
    title = items["title"].fillna("").astype(str)
    year = pd.to_numeric(title.str.extract(YEAR, expand=False))
    plain = title.str.replace(YEAR, "", regex=True).str.strip()
    by_id = "film " + items["item"].astype(str)
    genres = items["genres"].fillna("").astype(str)
    clean = items[["item"]].assign(
        title=plain.where(plain != "", by_id),
        year=year.astype("Int64"),
        genres=genres.replace("(no genres listed)", ""),
    )
    rest = [column for column in items if column not in ("item", "title", "genres")]
    return clean.join(items[rest])


def _files(path: Path) -> dict[str, TextFile]:
    """The files of a folder or archive by their plain name.

    That is the name without folder and compression suffix.
    """
    if path.is_dir():
        # reversed, so that of two equal names the file nearer to the top stays
        inside = [*path.iterdir(), *path.glob("*/*")]
        inside = [file for file in inside if file.is_file()]
        return {_plain(file.name): TextFile(file) for file in reversed(inside)}
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as fault:
        raise DataError(
            f"{path}: not a whole zip archive ({fault}); download it again, or give "
            "the folder or zip of a MovieLens edition "
            "(for a table of your own use load_interactions)"
        ) from fault
    # a Mac adds a shadow of every file to the archives it makes
    members = [name for name in names if not name.startswith("__MACOSX")]
    return {PurePosixPath(name).name: TextFile(path, name) for name in members}


def _plain(name: str) -> str:
    """The name of a file without its compression suffix."""
    suffix = Path(name).suffix
    return name.removesuffix(suffix) if suffix in OPENERS else name


def _read_csv(files: dict[str, TextFile]) -> Tables:
    """The editions with commas."""
    names = ("userId", "movieId", "rating", "timestamp")
    ratings = _ratings(Layout(files["ratings.csv"]), names)
    columns = {"movieId": "item", "title": "title", "genres": "genres"}
    items = _csv(files, "movies.csv", columns)
    if "links.csv" in files:
        columns = {"movieId": "item", "imdbId": "imdb", "tmdbId": "tmdb"}
        links = _csv(files, "links.csv", columns)
        items = items.merge(links, on="item", how="left", validate="many_to_one")
    users = tags = None
    if "users.csv" in files:
        attributes = {name: name for name in ("age", "gender", "occupation", "zip")}
        users = _csv(files, "users.csv", {"userId": "user", **attributes})
    if "tags.csv" in files:
        columns = {"userId": "user", "movieId": "item", "tag": "tag"}
        tags = _csv(files, "tags.csv", {**columns, "timestamp": "time"})
    return Tables(ratings, items, users, tags)


def _read_dat(files: dict[str, TextFile]) -> Tables:
    """The editions with `::`."""
    names = ("UserID", "MovieID", "Rating", "Timestamp")
    ratings = _ratings(Layout(files["ratings.dat"], "::", names), names)
    items = _lines(files, "movies.dat", "::", ("item", "title", "genres"))
    users = tags = None
    if "users.dat" in files:
        columns = ("user", "gender", "age", "occupation", "zip")
        users = _lines(files, "users.dat", "::", columns)
    if "tags.dat" in files:
        tags = _lines(files, "tags.dat", "::", ("user", "item", "tag", "time"))
    return Tables(ratings, items, users, tags)


def _read_100k(files: dict[str, TextFile]) -> Tables:
    """The first edition, with tabs and bars."""
    names = ("user id", "item id", "rating", "timestamp")
    ratings = _ratings(Layout(files["u.data"], "\t", names), names)
    flags = [f"flag {genre}" for genre in GENRES_100K]
    columns = ("item", "title", "released", "video", "imdb url", *flags)
    raw = _lines(files, "u.item", "|", columns)
    # (films, 18): the flag "unknown" is no genre
    held = raw[flags[1:]].to_numpy() == "1"
    genres = ["|".join(np.array(GENRES_100K[1:])[row]) for row in held]
    items = raw[["item", "title"]].assign(genres=genres)
    users = None
    if "u.user" in files:
        columns = ("user", "age", "gender", "occupation", "zip")
        users = _lines(files, "u.user", "|", columns)
    return Tables(ratings, items, users)


# the file that tells a layout, and what reads it
READERS: dict[str, Callable[[dict[str, TextFile]], Tables]] = {
    "ratings.csv": _read_csv,
    "ratings.dat": _read_dat,
    "u.data": _read_100k,
}


def _ratings(layout: Layout, names: tuple[str, ...]) -> pd.DataFrame:
    """Ratings as columns user, item, value, time, checked."""
    columns = dict(zip(NUMBERS, names, strict=True))
    dtypes = dict(zip(names, NUMBERS.values(), strict=True))
    events = read_numbers(layout, dtypes)
    events.columns = list(NUMBERS)
    check_events(events, layout, columns, STARS)
    cure = "delete one of the two lines"
    check_unique(events, ["user", "item"], layout, columns, cure)
    return events


def _csv(
    files: dict[str, TextFile], name: str, columns: dict[str, str]
) -> pd.DataFrame:
    """A small table with a header line; `columns` maps its names to ours."""
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
    """A small table without a header line.

    A separator within a title or tag is taken as part of it.
    """
    layout = Layout(_present(files, name), sep, columns)
    free = [place for place, name in enumerate(columns) if name in ("title", "tag")]
    text = free[0] if free else 0
    rows = []
    for line, fields in layout.rows():
        surplus = len(fields) - len(columns)
        if surplus < 0:
            raise DataError(
                f"{layout.file.name}, line {line}: {len(fields)} fields instead of "
                f"{len(columns)} ({', '.join(columns)}); get the file again"
            )
        after = text + surplus + 1
        whole = sep.join(fields[text:after])
        rows.append([*fields[:text], whole, *fields[after:]])
    table = pd.DataFrame(rows, columns=list(columns), dtype=str)
    return _typed(table, layout, {name: name for name in columns})


def _typed(
    table: pd.DataFrame, layout: Layout, columns: dict[str, str]
) -> pd.DataFrame:
    """Rename the columns and turn those named in WHOLE into whole numbers.

    Only the nullable ones may be empty.
    """
    typed = {}
    for theirs, ours in columns.items():
        typed[ours] = table[theirs]
        if ours in WHOLE:
            number = pd.to_numeric(table[theirs], errors="coerce")
            may_be_empty = WHOLE[ours] == "Int64"
            empty = (table[theirs] == "") & may_be_empty
            problem = "is not a whole number; correct or delete the line"
            demand((number % 1 == 0) | empty, layout, theirs, problem)
            typed[ours] = number.astype(WHOLE[ours])
    return pd.DataFrame(typed)


def _present(files: dict[str, TextFile], name: str) -> TextFile:
    """The file of that name, or DataError."""
    if name not in files:
        place = next(iter(files.values())).path
        raise DataError(
            f"{place}: {name} is missing; it belongs beside the ratings, "
            "so get the whole edition again"
        )
    return files[name]

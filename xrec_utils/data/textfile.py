"""Text files in folders and archives, compressed or not, and their encoding."""

import bz2
import codecs
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from xrec_utils.files import DataError, require

OPENERS = {
    ".bz2": bz2.open,
    ".gz": gzip.open,
    ".xz": lzma.open,
}
# what the standard library raises at a file that is cut short, spoiled or locked
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    UnicodeError,
    RuntimeError,
)


@dataclass(frozen=True)
class TextFile:
    """A text file in a folder or in a zip archive, compressed or not."""

    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """What messages call it: its path, with the name in the archive if in one."""
        return f"{self.path}: {self.member}" if self.member else str(self.path)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open for reading bytes; damage is reported as DataError."""
        try:
            if self.member is None:
                opener = OPENERS.get(self.path.suffix.lower(), open)
                with opener(self.path, "rb") as stream:
                    yield stream
            else:
                with (
                    zipfile.ZipFile(self.path) as archive,
                    archive.open(self.member) as stream,
                ):
                    yield stream
        except PermissionError:
            # an OSError, too, but the file is not damaged
            raise
        except DAMAGE as fault:
            raise DataError(
                f"{self.name}: damaged or cut short ({fault}); get the file again"
            ) from fault

    def encoding(self, lines: int | None = None) -> str:
        """UTF-8 or UTF-16, or Windows' Latin-1 if that alone fits, as in old editions.

        Args:
            lines: how many lines to look at; None looks at all.

        Raises:
            DataError: no encoding fits every line.
        """
        with self.open() as stream:
            mark = stream.peek(3)[:3]
            # kind of line -> the last of that kind; line by line, as a large file need
            # not be in memory as a whole
            last = {
                _encoding_of(line): number
                for number, line in enumerate(islice(stream, lines), start=1)
                if not line.isascii() or b"\0" in line
            }
        if mark[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        if last.keys() == {"cp1252"} and mark != codecs.BOM_UTF8:
            return "cp1252"
        odd = [line for kind, line in last.items() if kind != "utf-8-sig"]
        require(
            not odd,
            f"{self.name}, line {max(odd, default=0)}: is not UTF-8, as the rest of "
            "the file is, or no text at all: save the file as UTF-8, and unpack it "
            "first if it is an archive or a workbook",
            error=DataError,
        )
        return "utf-8-sig"


def _encoding_of(line: bytes) -> str:
    """The encoding of a line, "" if it is no text in any."""
    for encoding in ("utf-8-sig", "cp1252"):
        with suppress(UnicodeDecodeError):
            if "\0" not in line.decode(encoding):
                return encoding
    return ""


def members(archive: Path) -> list[str]:
    """The names of the files in a zip archive.

    Raises:
        DataError: it is no whole archive.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            # a Mac adds a shadow of every file to the archives it makes
            return [
                name
                for name in opened.namelist()
                if not name.startswith("__MACOSX") and name[-1] != "/"
            ]
    except zipfile.BadZipFile as fault:
        raise DataError(
            f"{archive}: not a whole zip archive ({fault}); download it again, or give "
            "the folder or zip of a MovieLens edition "
            "(for a table of your own use load_interactions)"
        ) from fault


def own_file(path: Path) -> TextFile:
    """The file of a path, or the only one in the archive of that path.

    Raises:
        DataError: there is no file, or an archive of none or several.
    """
    require(
        path.is_file(),
        f"{path}: a folder; give a file in it, or call load_movielens"
        if path.is_dir()
        else f"{path}: no such file (looked in {path.absolute().parent})",
        error=DataError,
    )
    if path.suffix.lower() != ".zip" and not zipfile.is_zipfile(path):
        return TextFile(path)
    names = members(path)
    require(
        len(names) == 1,
        f"{path} is a zip archive, or a workbook, of {len(names)} files "
        f"({', '.join(names[:4])}): unpack it and give the path of the table, as CSV",
        error=DataError,
    )
    return TextFile(path, names[0])

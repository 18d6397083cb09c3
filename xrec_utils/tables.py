"""Reading tables of numbers fast, and saying exactly where one is wrong.

A good file is read once by pandas' C parser. Only when that fails, or a check finds a
fault, is the file read a second time, slowly, to name the line and the column.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import lzma
import math
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

EARLIEST = 631_152_000  # 1990-01-01 00:00:00 UTC: no recommender log is older
OPENERS = {".bz2": bz2.open, ".gz": gzip.open, ".xz": lzma.open}
WIDE = {
    "int32": "int64"
}  # read wide, then narrowed: pandas before 3 wraps too large numbers without a word
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError)


class DataError(ValueError):
    """Data that cannot be used as they are; the message says which file, line or
    column, and what to do.
    """


@dataclass(frozen=True)
class TextFile:
    """A text file in a folder or in a zip archive, compressed or not. `name` is what
    messages call it.
    """

    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """The file's name, after its archive's if it has one."""
        return str(self.path) if self.member is None else f"{self.path}: {self.member}"

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open for reading bytes; a damaged file or archive is reported as DataError."""
        try:
            if self.member is not None:
                with (
                    zipfile.ZipFile(self.path) as archive,
                    archive.open(self.member) as stream,
                ):
                    yield stream
            else:
                with OPENERS.get(self.path.suffix, open)(self.path, "rb") as stream:
                    yield stream
        except PermissionError:
            raise
        except DAMAGE as fault:
            raise DataError(
                f"{self.name}: damaged or cut short ({fault}); get the file again"
            ) from fault

    def encoding(self) -> str:
        """UTF-8 if every byte fits it, else Latin-1 as in the older editions."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            with self.open() as stream:
                for block in iter(lambda: stream.read(1 << 20), b""):
                    decoder.decode(block)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
        return "utf-8-sig"

    def lines(self) -> Iterator[str]:
        """The lines of the text, each as UTF-8 if it fits, else as Latin-1; read as
        they are asked for.
        """
        with self.open() as stream:
            for line in stream:
                try:
                    yield line.decode("utf-8-sig")
                except UnicodeDecodeError:
                    yield line.decode("latin-1")


@dataclass(frozen=True)
class Layout:
    """How the rows of a text file are written. names: the columns in order, or None if
    the first line has them.
    """

    file: TextFile
    sep: str = ","
    names: tuple[str, ...] | None = None

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Line number and fields of every row that is not blank, without the header
        line.
        """
        return islice(self._filled_lines(), 0 if self.names else 1, None)

    def columns(self) -> list[str]:
        """The names of the columns, from the first line unless they are given."""
        return list(self.names or next(self._filled_lines())[1])

    def _filled_lines(self) -> Iterator[tuple[int, list[str]]]:
        split = self._split_lines() if self.sep == "::" else self._csv_lines()
        return (
            (number, row)
            for number, row in split
            if len(row) > 1 or any(field.strip() for field in row)
        )

    def _split_lines(self) -> Iterator[tuple[int, list[str]]]:
        return (
            (number, line.rstrip("\r\n").split("::"))
            for number, line in enumerate(self.file.lines(), 1)
        )

    def _csv_lines(self) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(self.file.lines(), delimiter=self.sep, quoting=self.quoting)
        try:
            for row in reader:
                yield reader.line_num, row
        except csv.Error as fault:
            raise DataError(
                f"{self.file.name}, line {reader.line_num}: {fault}; look for a quotation mark that is "
                "never closed"
            ) from fault

    @property
    def quoting(self) -> int:
        """Quotation marks mean something only in files with a header line."""
        return csv.QUOTE_NONE if self.names else csv.QUOTE_MINIMAL

    def require(self, columns: list[str]) -> None:
        """Raise DataError if the file is empty, lacks a column, or has more fields in
        its first row than columns.
        """
        if next(self._filled_lines(), None) is None:
            raise DataError(f"{self.file.name}: the file is empty; get it again")
        present = self.columns()
        missing = [column for column in columns if column not in present]
        if missing:
            other = next(
                (sep for sep in ";\t|," if sep != self.sep and sep in present[0]), None
            )
            hint = (
                f"it looks separated by {other!r}: pass sep={other!r}"
                if other
                else "name or rename the column"
            )
            raise DataError(
                f"{self.file.name}, line 1: no column {', '.join(map(repr, missing))} "
                f"among {present}; {hint}"
            )
        line, fields = next(self.rows(), (0, []))
        if self.names is None and len(fields) > len(present):
            raise DataError(
                f"{self.file.name}, line {line}: {len(fields)} fields below {len(present)} column names; "
                "name every column in the first line"
            )

    def fault(self, column: str, row: int, problem: str) -> DataError:
        """A DataError for the row (0 = first below the header) and column of the file."""
        line, fields = next(islice(self.rows(), row, None))
        position = self.columns().index(column)
        value = fields[position] if position < len(fields) else ""
        return DataError(
            f"{self.file.name}, line {line}, column {column!r}: {value!r} {problem}"
        )


def read_numbers(layout: Layout, dtypes: dict[str, str]) -> pd.DataFrame:
    """Read the named columns of a text file as numbers, at the C parser's speed and
    with no detour through text.

    Raises:
        DataError: a column is missing, a field is not a number, the file is empty or
            damaged.
    """
    layout.require(list(dtypes))
    columns, step = (
        layout.columns(),
        len(layout.sep),
    )  # to the C parser "::" is ":" twice, with nothing in between
    place = {name: columns.index(name) * step for name in dtypes}
    try:
        with layout.file.open() as stream:
            table = pd.read_csv(
                stream,
                sep=layout.sep[0],
                header=None if layout.names else 0,
                index_col=False,
                names=range((len(columns) - 1) * step + 1),
                usecols=list(place.values()),
                engine="c",
                dtype={
                    place[name]: WIDE.get(dtype, dtype)
                    for name, dtype in dtypes.items()
                },
                encoding="latin-1",
                quoting=layout.quoting,
            )
        return pd.DataFrame(
            {
                name: _narrow(table.pop(place[name]), dtype)
                for name, dtype in dtypes.items()
            }
        )
    except DataError:
        raise
    except (ValueError, OverflowError) as fault:
        raise _first_bad_number(layout, dtypes, fault) from fault


def _narrow(column: pd.Series, dtype: str) -> pd.Series:
    """The column in its final type.

    Raises:
        OverflowError: a number does not fit.
    """
    if (
        dtype in WIDE
        and not column.between(np.iinfo(dtype).min, np.iinfo(dtype).max).all()
    ):
        raise OverflowError(f"a number is too large for {dtype}")
    return column.astype(dtype)


def _first_bad_number(
    layout: Layout, dtypes: dict[str, str], fault: Exception
) -> DataError:
    columns = layout.columns()
    checks = [
        (name, columns.index(name), _number_check(np.dtype(dtype)))
        for name, dtype in dtypes.items()
    ]
    for line, fields in layout.rows():
        for name, place, is_number in checks:
            value = fields[place] if place < len(fields) else ""
            if not is_number(value):
                kind = "a number" if "float" in dtypes[name] else "a whole number"
                return DataError(
                    f"{layout.file.name}, line {line}, column {name!r}: {value!r} is not {kind}; "
                    "correct or delete the line"
                )
    return DataError(f"{layout.file.name}: {fault}; get the file again")


def _number_check(dtype: np.dtype) -> Callable[[str], bool]:
    """A quick test of one field; Python alone would take 9_00 for a number."""
    bound = None if dtype.kind == "f" else int(np.iinfo(dtype).max)

    def is_number(value: str) -> bool:
        try:
            fits = (
                math.isfinite(float(value))
                if bound is None
                else abs(int(value)) <= bound
            )
        except ValueError:
            return False
        return fits and "_" not in value

    return is_number


def check_events(
    events: pd.DataFrame,
    layout: Layout,
    columns: dict[str, str],
    limits: tuple[float, float] = (-np.inf, np.inf),
) -> None:
    """Check values and times of events (user, item, value, time); `columns` maps these
    to the file's names.

    Raises:
        DataError: no row at all, a value outside `limits` or not finite, an impossible
            time.
    """
    if events.empty:
        raise DataError(
            f"{layout.file.name}: not a single row below the header; get the file again"
        )
    low, high = limits
    if "value" in columns:
        value, name = events["value"], columns["value"]
        demand(
            np.isfinite(value),
            layout,
            name,
            "is not a number; correct or delete the line",
        )
        demand(
            value.between(low, high),
            layout,
            name,
            f"is not within {low:g} to {high:g}; correct or delete the line",
        )
    if "time" in columns:
        _check_times(events["time"], layout, columns["time"])


def check_unique(
    events: pd.DataFrame,
    keys: list[str],
    layout: Layout,
    columns: dict[str, str],
    cure: str,
) -> None:
    """Raise DataError if two events agree in all the keys."""
    if not _has_twins(events, keys):
        return
    twin = int(np.flatnonzero(events.duplicated(keys))[0])
    same = np.logical_and.reduce(
        [events[key] == events[key].iloc[twin] for key in keys]
    )
    first = next(islice(layout.rows(), int(np.flatnonzero(same)[0]), None))[0]
    what = ", ".join(
        f"{columns[key]} {events[key].iloc[twin]}" for key in keys if key in columns
    )
    raise layout.fault(
        columns["user"], twin, f"repeats line {first}: {what} is there twice; {cure}"
    )


def _has_twins(events: pd.DataFrame, keys: list[str]) -> bool:
    """Whether rows repeat; pairs of small integers are packed into one and sorted,
    which saves memory at 25 million.
    """
    if keys != ["user", "item"] or any(events[key].dtype != np.int32 for key in keys):
        return bool(events.duplicated(keys).any())
    pairs = (events["user"].to_numpy(np.int64) << 32) + events["item"].to_numpy()
    pairs.sort()
    return bool((pairs[1:] == pairs[:-1]).any())


def _check_times(times: pd.Series, layout: Layout, column: str) -> None:
    tomorrow = int(time.time()) + 86_400
    milliseconds = times.between(EARLIEST * 1000, tomorrow * 1000)
    demand(
        ~milliseconds,
        layout,
        column,
        "looks like milliseconds; divide the column by 1000",
    )
    demand(times >= 0, layout, column, "is negative; times are seconds since 1970, UTC")
    demand(
        times >= EARLIEST,
        layout,
        column,
        "lies before 1990; times are seconds since 1970, UTC",
    )
    demand(
        times <= tomorrow,
        layout,
        column,
        "lies in the future; times are seconds since 1970, UTC",
    )


def demand(good: pd.Series, layout: Layout, column: str, problem: str) -> None:
    """Raise the fault of the first row that is not good."""
    if not good.all():
        raise layout.fault(column, int(np.flatnonzero(~good.to_numpy())[0]), problem)

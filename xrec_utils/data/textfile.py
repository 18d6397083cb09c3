"""Reading tables of numbers fast, and saying exactly where one is wrong.

A good file is read once by pandas' C parser. Only when that fails, or a check finds a
fault, is the file read a second time, slowly, to name the line and the column.
"""

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

from xrec_utils.files import DataError

EARLIEST = 631_152_000  # 1990-01-01 00:00:00 UTC: no recommender log is older
OPENERS = {".bz2": bz2.open, ".gz": gzip.open, ".xz": lzma.open}
# read wide, then narrowed: pandas before 3 wraps too large numbers without a word
WIDE = {"int32": "int64"}
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError)


@dataclass(frozen=True)
class TextFile:
    """A text file in a folder or in a zip archive, compressed or not."""

    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """What messages call it: its path, with the name in the archive if in one."""
        return str(self.path) if self.member is None else f"{self.path}: {self.member}"

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open for reading bytes; damage is reported as DataError."""
        try:
            if self.member is None:
                opener = OPENERS.get(self.path.suffix, open)
                with opener(self.path, "rb") as stream:
                    yield stream
            else:
                with (
                    zipfile.ZipFile(self.path) as archive,
                    archive.open(self.member) as stream,
                ):
                    yield stream
        except PermissionError:
            raise
        except DAMAGE as fault:
            raise DataError(
                f"{self.name}: damaged or cut short ({fault}); get the file again"
            ) from fault

    def encoding(self) -> str:
        """UTF-8 if every byte fits it, else Latin-1 as in the older editions."""
        # in blocks: a file of 25 million ratings need not be in memory as a whole
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
        """The lines of the text, one at a time, as UTF-8 if it fits, else Latin-1."""
        with self.open() as stream:
            for line in stream:
                try:
                    yield line.decode("utf-8-sig")
                except UnicodeDecodeError:
                    yield line.decode("latin-1")


@dataclass(frozen=True)
class Layout:
    """How the rows of a text file are written.

    Args:
        file: the file.
        sep: what separates fields; "::" in the older editions of MovieLens.
        names: the columns in order, or None if the first line has them.
    """

    file: TextFile
    sep: str = ","
    names: tuple[str, ...] | None = None

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Line number and fields of every row that is neither blank nor the header."""
        header_lines = 0 if self.names else 1
        return islice(self._filled_lines(), header_lines, None)

    def columns(self) -> list[str]:
        """The names of the columns, from the first line unless they are given."""
        if self.names:
            return list(self.names)
        _, first = next(self._filled_lines())
        return list(first)

    def _filled_lines(self) -> Iterator[tuple[int, list[str]]]:
        """Line number and fields of every line that is not blank."""
        # Python's csv reader takes separators of one character only
        split = self._split_lines() if self.sep == "::" else self._csv_lines()
        for number, row in split:
            if len(row) > 1 or any(field.strip() for field in row):
                yield number, row

    def _split_lines(self) -> Iterator[tuple[int, list[str]]]:
        """Lines separated by "::", without any quotation."""
        for number, line in enumerate(self.file.lines(), 1):
            yield number, line.rstrip("\r\n").split("::")

    def _csv_lines(self) -> Iterator[tuple[int, list[str]]]:
        """Rows of a csv file, each with the number of its last line."""
        reader = csv.reader(self.file.lines(), delimiter=self.sep, quoting=self.quoting)
        try:
            for row in reader:
                yield reader.line_num, row
        except csv.Error as fault:
            raise DataError(
                f"{self.file.name}, line {reader.line_num}: {fault}; "
                "look for a quotation mark that is never closed"
            ) from fault

    @property
    def quoting(self) -> int:
        """Quotation marks mean something only in files with a header line."""
        return csv.QUOTE_NONE if self.names else csv.QUOTE_MINIMAL

    def require(self, columns: list[str]) -> None:
        """Raise DataError unless the file has these columns.

        It must not be empty either, nor have more fields in its first row than columns.
        """
        if next(self._filled_lines(), None) is None:
            raise DataError(f"{self.file.name}: the file is empty; get it again")
        present = self.columns()
        missing = [column for column in columns if column not in present]
        if missing:
            names = ", ".join(map(repr, missing))
            raise DataError(
                f"{self.file.name}, line 1: no column {names} "
                f"among {present}; {self._hint(present[0])}"
            )
        line, fields = next(self.rows(), (0, []))
        if self.names is None and len(fields) > len(present):
            raise DataError(
                f"{self.file.name}, line {line}: {len(fields)} fields below "
                f"{len(present)} column names; name every column in the first line"
            )

    def _hint(self, first: str) -> str:
        """What to do about a missing column, judged by the first column's name."""
        for sep in ";\t|,":
            if sep != self.sep and sep in first:
                return f"it looks separated by {sep!r}: pass sep={sep!r}"
        return "name or rename the column"

    def fault(self, column: str, row: int, problem: str) -> DataError:
        """A DataError for a row (0 = first below the header) and column."""
        line, fields = next(islice(self.rows(), row, None))
        position = self.columns().index(column)
        value = fields[position] if position < len(fields) else ""
        return DataError(
            f"{self.file.name}, line {line}, column {column!r}: {value!r} {problem}"
        )


def read_numbers(layout: Layout, dtypes: dict[str, str]) -> pd.DataFrame:
    """Read the named columns of a text file as numbers, at the C parser's speed.

    Args:
        layout: the file and how it is written.
        dtypes: name of the column -> NumPy type.

    Raises:
        DataError: a column is missing, a field is not a number, the file is empty or
            damaged.
    """
    layout.require(list(dtypes))
    columns = layout.columns()
    # to the C parser "::" is ":" twice, with nothing in between
    step = len(layout.sep)
    place = {name: columns.index(name) * step for name in dtypes}
    wide = {place[name]: WIDE.get(dtype, dtype) for name, dtype in dtypes.items()}
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
                dtype=wide,
                encoding="latin-1",
                quoting=layout.quoting,
            )
        narrow = {}
        for name, dtype in dtypes.items():
            # popped, so that wide and narrow columns are not all in memory at once
            narrow[name] = _narrow(table.pop(place[name]), dtype)
        return pd.DataFrame(narrow)
    except DataError:
        raise
    except (ValueError, OverflowError) as fault:
        raise _first_bad_number(layout, dtypes, fault) from fault


def _narrow(column: pd.Series, dtype: str) -> pd.Series:
    """The column in its final type.

    Raises:
        OverflowError: a number does not fit.
    """
    if dtype in WIDE:
        bounds = np.iinfo(dtype)
        if not column.between(bounds.min, bounds.max).all():
            raise OverflowError(f"a number is too large for {dtype}")
    return column.astype(dtype)


def _first_bad_number(
    layout: Layout, dtypes: dict[str, str], fault: Exception
) -> DataError:
    """The error of the first field that is not a number, found line by line."""
    columns = layout.columns()
    place = {name: columns.index(name) for name in dtypes}
    check = {name: _number_check(np.dtype(dtype)) for name, dtype in dtypes.items()}
    for line, fields in layout.rows():
        for name, dtype in dtypes.items():
            value = fields[place[name]] if place[name] < len(fields) else ""
            if not check[name](value):
                kind = "a number" if "float" in dtype else "a whole number"
                return DataError(
                    f"{layout.file.name}, line {line}, column {name!r}: "
                    f"{value!r} is not {kind}; correct or delete the line"
                )
    return DataError(f"{layout.file.name}: {fault}; get the file again")


def _number_check(dtype: np.dtype) -> Callable[[str], bool]:
    """A quick test of one field; Python alone would take 9_00 for a number."""
    bound = None if dtype.kind == "f" else int(np.iinfo(dtype).max)

    def is_number(value: str) -> bool:
        """Whether the text is a number that fits the type."""
        if "_" in value:
            return False
        try:
            if bound is None:
                return math.isfinite(float(value))
            return abs(int(value)) <= bound
        except ValueError:
            return False

    return is_number


def check_events(
    events: pd.DataFrame,
    layout: Layout,
    columns: dict[str, str],
    limits: tuple[float, float] = (-np.inf, np.inf),
) -> None:
    """Check values and times of events.

    Args:
        events: columns user, item, value, time.
        layout: the file they come from.
        columns: our name of a column -> the file's.
        limits: smallest and largest value.

    Raises:
        DataError: no row at all, a value outside `limits` or not finite, an impossible
            time.
    """
    if events.empty:
        raise DataError(
            f"{layout.file.name}: not a single row below the header; get the file again"
        )
    if "value" in columns:
        low, high = limits
        name = columns["value"]
        value = events["value"]
        problem = "is not a number; correct or delete the line"
        demand(np.isfinite(value), layout, name, problem)
        problem = f"is not within {low:g} to {high:g}; correct or delete the line"
        demand(value.between(low, high), layout, name, problem)
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
    repeated = events.duplicated(keys).to_numpy()
    second = int(np.flatnonzero(repeated)[0])
    same = np.ones(len(events), dtype=bool)
    for key in keys:
        same &= (events[key] == events[key].iloc[second]).to_numpy()
    first = int(np.flatnonzero(same)[0])
    first_line, _ = next(islice(layout.rows(), first, None))
    named = [key for key in keys if key in columns]
    what = ", ".join(f"{columns[key]} {events[key].iloc[second]}" for key in named)
    problem = f"repeats line {first_line}: {what} is there twice; {cure}"
    raise layout.fault(columns["user"], second, problem)


def _has_twins(events: pd.DataFrame, keys: list[str]) -> bool:
    """Whether two rows agree in all the keys."""
    small = all(events[key].dtype == np.int32 for key in keys)
    if keys != ["user", "item"] or not small:
        return bool(events.duplicated(keys).any())
    # packed into one number and sorted, which saves memory at 25 million
    pairs = (events["user"].to_numpy(np.int64) << 32) + events["item"].to_numpy()
    pairs.sort()
    return bool((pairs[1:] == pairs[:-1]).any())


def _check_times(times: pd.Series, layout: Layout, column: str) -> None:
    """Raise DataError for times that cannot be those of ratings."""
    tomorrow = int(time.time()) + 86_400
    unit = "times are seconds since 1970, UTC"
    milliseconds = times.between(EARLIEST * 1000, tomorrow * 1000)
    problem = "looks like milliseconds; divide the column by 1000"
    demand(~milliseconds, layout, column, problem)
    demand(times >= 0, layout, column, f"is negative; {unit}")
    demand(times >= EARLIEST, layout, column, f"lies before 1990; {unit}")
    demand(times <= tomorrow, layout, column, f"lies in the future; {unit}")


def demand(good: pd.Series, layout: Layout, column: str, problem: str) -> None:
    """Raise the fault of the first row that is not good."""
    if not good.all():
        bad = np.flatnonzero(~good.to_numpy())
        raise layout.fault(column, int(bad[0]), problem)

"""Reading tables of text, and saying exactly where one is wrong.

Ratings are numbers and many: a good file is read once, by pandas' C parser. Only when
that fails, or a check finds a fault, is the file read a second time, slowly, to name the
line and the column.
"""

import bz2
import csv
import gzip
import lzma
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from xrec_utils.files import DataError

EARLIEST = 631_152_000  # 1990-01-01 00:00:00 UTC: no recommender log is older
OPENERS = {
    ".bz2": bz2.open,
    ".gz": gzip.open,
    ".xz": lzma.open,
}
# the types that numbers are read as, and the largest of each
LARGEST = {
    "int32": np.iinfo("int32").max,
    "int64": np.iinfo("int64").max,
    "float32": np.finfo("float32").max,
}
# what the standard library raises at a file that is cut short or spoiled
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
)


@dataclass(frozen=True)
class TextFile:
    """A text file in a folder or in a zip archive, compressed or not."""

    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """What messages call it: its path, with the name in the archive if in one."""
        parts = [self.path, self.member]
        return ": ".join(str(part) for part in parts if part is not None)

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
            # an OSError, too, but the file is not damaged
            raise
        except DAMAGE as fault:
            raise DataError(
                f"{self.name}: damaged or cut short ({fault}); get the file again"
            ) from fault

    def encoding(self) -> str:
        """UTF-8 if every byte fits it, else Latin-1 as in the older editions."""
        try:
            with self.open() as stream:
                # line by line: a large file need not be in memory as a whole
                for line in stream:
                    line.decode("utf-8")
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

    @property
    def quoting(self) -> int:
        """Quotation marks mean something only in files with a header line."""
        return csv.QUOTE_NONE if self.names else csv.QUOTE_MINIMAL

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Line number and fields of every row that is neither blank nor the header."""
        return islice(
            self._filled_lines(),
            0 if self.names else 1,
            None,
        )

    def columns(self) -> list[str]:
        """The names of the columns, from the first line unless they are given."""
        if self.names:
            return list(self.names)
        _, first = next(self._filled_lines())
        return first

    def table(self) -> pd.DataFrame:
        """Every field as text, for tables that are small.

        A separator too many is taken as part of the title or tag.

        Raises:
            DataError: a row has fewer fields than there are columns.
        """
        names = self.columns()
        text = next(
            (place for place, name in enumerate(names) if name in ("title", "tag")),
            0,
        )
        rows = []
        for line, fields in self.rows():
            surplus = len(fields) - len(names)
            if surplus < 0:
                raise DataError(
                    f"{self.file.name}, line {line}: {len(fields)} fields instead of "
                    f"{len(names)} ({', '.join(names)}); get the file again"
                )
            after = text + surplus + 1
            fields[text:after] = [self.sep.join(fields[text:after])]
            rows.append(fields)
        return pd.DataFrame(rows, columns=names, dtype=str)

    def require(self, columns: list[str]) -> None:
        """Raise DataError unless the file has these columns.

        It must not be empty either, nor have more fields in its first row than columns.
        """
        if next(self._filled_lines(), None) is None:
            raise DataError(f"{self.file.name}: the file is empty; get it again")
        present = self.columns()
        missing = [repr(column) for column in columns if column not in present]
        if missing:
            raise DataError(
                f"{self.file.name}, line 1: no column {', '.join(missing)} "
                f"among {present}; {self._hint(present[0])}"
            )
        line, fields = next(self.rows(), (0, []))
        if self.names is None and len(fields) > len(present):
            raise DataError(
                f"{self.file.name}, line {line}: {len(fields)} fields below "
                f"{len(present)} column names; name every column in the first line"
            )

    def fault(self, column: str, row: int, problem: str) -> DataError:
        """A DataError for a row (0 = first below the header) and column."""
        line, fields = next(islice(self.rows(), row, None))
        position = self.columns().index(column)
        value = fields[position] if position < len(fields) else ""
        return DataError(
            f"{self.file.name}, line {line}, column {column!r}: {value!r} {problem}"
        )

    def _filled_lines(self) -> Iterator[tuple[int, list[str]]]:
        """Fields of every line that is not blank, with the number of its last line."""
        lines = self.file.lines()
        sep = self.sep
        if sep == "::":
            # the csv reader takes one character only: a control character no title has
            sep = "\x1f"
            lines = (line.replace("::", sep) for line in lines)
        reader = csv.reader(lines, delimiter=sep, quoting=self.quoting)
        try:
            for row in reader:
                if len(row) > 1 or any(field.strip() for field in row):
                    yield reader.line_num, row
        except csv.Error as fault:
            raise DataError(
                f"{self.file.name}, line {reader.line_num}: {fault}; "
                "look for a quotation mark that is never closed"
            ) from fault

    def _hint(self, first: str) -> str:
        """What to do about a missing column, judged by the first column's name."""
        for sep in ";\t|,":
            if sep != self.sep and sep in first:
                return f"it looks separated by {sep!r}: pass sep={sep!r}"
        return "name or rename the column"


def read_numbers(layout: Layout, dtypes: dict[str, str]) -> pd.DataFrame:
    """Read the named columns of a text file as numbers, at the C parser's speed.

    Args:
        layout: the file and how it is written.
        dtypes: name of the column -> a type of `LARGEST`.

    Raises:
        DataError: a column is missing, a field is not a finite number of its type, the
            file is empty or damaged.
    """
    layout.require(list(dtypes))
    try:
        return _parse(layout, dtypes)
    except DataError:
        # a ValueError, too, but it names the damage
        raise
    except (ValueError, OverflowError) as fault:
        raise _first_bad_number(layout, dtypes, fault) from fault


def _parse(layout: Layout, dtypes: dict[str, str]) -> pd.DataFrame:
    """Read the columns as they should be.

    Raises:
        ValueError, OverflowError: a field is not a finite number of its type.
    """
    columns = layout.columns()
    # to the C parser "::" is ":" twice, with nothing in between
    step = len(layout.sep)
    place = {name: columns.index(name) * step for name in dtypes}
    with layout.file.open() as stream:
        table = pd.read_csv(
            stream,
            sep=layout.sep[0],
            header=None if layout.names else 0,
            index_col=False,
            names=range((len(columns) - 1) * step + 1),
            usecols=list(place.values()),
            engine="c",
            # wide, as pandas before 3 wraps too large numbers without a word
            dtype={
                place[name]: dtype.replace("int32", "int64")
                for name, dtype in dtypes.items()
            },
            encoding="latin-1",
            quoting=layout.quoting,
        )
    narrow = {}
    for name, dtype in dtypes.items():
        # popped, so that wide and narrow columns are not all in memory at once
        column = table.pop(place[name])
        if not column.between(-LARGEST[dtype], LARGEST[dtype]).all():
            raise OverflowError(f"a number is not finite or too large for {dtype}")
        narrow[name] = column.astype(dtype)
    return pd.DataFrame(narrow)


def _first_bad_number(
    layout: Layout, dtypes: dict[str, str], fault: Exception
) -> DataError:
    """The error of the first field that is not a number, found line by line."""
    columns = layout.columns()
    for line, fields in layout.rows():
        found = dict(zip(columns, fields, strict=False))
        for name, dtype in dtypes.items():
            value = found.get(name, "")
            if not _is_number(value, dtype):
                kind = "a number" if "float" in dtype else "a whole number"
                return DataError(
                    f"{layout.file.name}, line {line}, column {name!r}: "
                    f"{value!r} is not {kind}; correct or delete the line"
                )
    return DataError(f"{layout.file.name}: {fault}; get the file again")


def _is_number(text: str, dtype: str) -> bool:
    """Whether a field is a finite number that fits the type."""
    try:
        number = float(text) if "float" in dtype else int(text)
    except ValueError:
        return False
    # Python alone would take 9_00 for a number
    return "_" not in text and abs(number) <= LARGEST[dtype]


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
        DataError: no row at all, a value outside `limits`, an impossible time.
    """
    if events.empty:
        raise DataError(
            f"{layout.file.name}: not a single row below the header; get the file again"
        )
    if "value" in columns:
        low, high = limits
        demand(
            events["value"].between(low, high),
            layout,
            columns["value"],
            f"is not within {low:g} to {high:g}; correct or delete the line",
        )
    if "time" in columns:
        _check_times(events["time"], layout, columns["time"])


def _check_times(times: pd.Series, layout: Layout, column: str) -> None:
    """Raise DataError for times that cannot be those of ratings."""
    tomorrow = int(time.time()) + 86_400
    unit = "times are seconds since 1970, UTC"
    demand(
        # first, as milliseconds also lie in the future
        ~times.between(EARLIEST * 1000, tomorrow * 1000),
        layout,
        column,
        "looks like milliseconds; divide the column by 1000",
    )
    demand(times >= 0, layout, column, f"is negative; {unit}")
    demand(times >= EARLIEST, layout, column, f"lies before 1990; {unit}")
    demand(times <= tomorrow, layout, column, f"lies in the future; {unit}")


def demand(good: pd.Series, layout: Layout, column: str, problem: str) -> None:
    """Raise the fault of the first row that is not good."""
    if not good.all():
        raise layout.fault(column, int(np.argmin(good)), problem)


def check_unique(
    events: pd.DataFrame,
    keys: list[str],
    layout: Layout,
    columns: dict[str, str],
    cure: str,
) -> None:
    """Raise DataError if two events agree in all the keys."""
    repeated = events.duplicated(keys)
    if not repeated.any():
        return
    second = int(np.argmax(repeated))
    pair = events[keys].iloc[second]
    same = events[keys].eq(pair).all(axis=1)
    first_line, _ = next(
        islice(layout.rows(), int(np.argmax(same)), None),
    )
    named = [key for key in keys if key in columns]
    twice = ", ".join(f"{columns[key]} {pair[key]}" for key in named)
    raise layout.fault(
        columns["user"],
        second,
        f"repeats line {first_line}: {twice} is there twice; {cure}",
    )

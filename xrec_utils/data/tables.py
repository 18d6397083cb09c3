"""Reading tables of text, and saying exactly where one is wrong.

Ratings are numbers and many: a good file is read once, by pandas' C parser. Only when
that fails, or a check finds a fault, is the file read a second time, slowly, to name the
line and the column.
"""

import csv
import io
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from xrec_utils.data.textfile import TextFile
from xrec_utils.files import DataError, require

EARLIEST = 631_152_000  # 1990-01-01 00:00:00 UTC: no recommender log is older
# the types that numbers are read as, and the largest of each
LARGEST = {
    "int32": np.iinfo("int32").max,
    "int64": np.iinfo("int64").max,
    "float32": np.finfo("float32").max,
}
# parsers want one character between fields: this one no title has
UNIT_SEPARATOR = "\x1f"


class _OneCharacter(io.TextIOWrapper):
    """A text that is read with one character in the place of a longer separator."""

    replaced: tuple[str, str]

    def read(self, size: int | None = -1) -> str:
        """About `size` characters: up to the end of a line, so no separator is cut."""
        return (super().read(size) + self.readline()).replace(*self.replaced)


@dataclass(frozen=True)
class Layout:
    """How the rows of a text file are written.

    Args:
        file: the file.
        sep: what separates fields; "::" in the older editions of MovieLens.
        names: the columns in order, or None if the first line has them.
        encoding: of the whole file, see `TextFile.encoding`.
    """

    file: TextFile
    sep: str = ","
    names: tuple[str, ...] | None = None
    encoding: str = "utf-8-sig"

    @cached_property
    def quoting(self) -> int:
        """Quotation marks mean something only below a header line.

        There they do between commas, and where the first line begins with one.
        """
        with self.text() as text:
            quotes = self.sep in (",", ";") or text.readline(1) == '"'
        return csv.QUOTE_MINIMAL if quotes and not self.names else csv.QUOTE_NONE

    @property
    def delimiter(self) -> str:
        """The one character between the fields of `text`."""
        return self.sep if len(self.sep) == 1 else UNIT_SEPARATOR

    @contextmanager
    def text(self) -> Iterator[TextIO]:
        """Open the text; lines end as they are written, with \\n, \\r\\n or \\r."""
        with self.file.open() as stream:
            text = _OneCharacter(stream, self.encoding, newline="")
            text.replaced = (self.sep, self.delimiter)
            yield text

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
        return next(self._filled_lines())[1]

    def table(self) -> pd.DataFrame:
        """Every field as text, for tables that are small.

        A separator too many is taken as part of the title or tag, where no quotation
        marks can hold it.

        Raises:
            DataError: a row has fewer fields than there are columns, or more.
        """
        names = self.columns()
        text = next(
            (place for place, name in enumerate(names) if name in ("title", "tag")),
            0,
        )
        rows = []
        for line, fields in self.rows():
            surplus = len(fields) - len(names)
            if surplus < 0 or (surplus and self.names is None):
                raise DataError(
                    f"{self.file.name}, line {line}: {len(fields)} fields instead of "
                    f"{len(names)} ({', '.join(names)}); get the file again, or put "
                    f"quotation marks around fields with {self.sep!r}"
                )
            after = text + surplus + 1
            fields[text:after] = [self.sep.join(fields[text:after])]
            rows.append(fields)
        return pd.DataFrame(rows, columns=names, dtype=str)

    def need(self, columns: list[str]) -> None:
        """Raise DataError unless the file has each of these columns once."""
        require(
            next(self._filled_lines(), None) is not None,
            f"{self.file.name}: the file is empty; get it again",
            error=DataError,
        )
        present = self.columns()
        wrong = [column for column in columns if present.count(column) != 1]
        require(
            not wrong,
            f"{self.file.name}, line 1: no column {', '.join(map(repr, wrong))}, "
            f"or more than one, among {present}; {self._hint(present[0], columns)}",
            error=DataError,
        )

    def fault(self, column: str, row: int, problem: str) -> DataError:
        """A DataError for a row (0 = first below the header) and column."""
        line, fields = next(islice(self.rows(), row, None))
        # a short row has no field there
        value = dict(zip(self.columns(), fields, strict=False)).get(column, "")
        return DataError(
            f"{self.file.name}, line {line}, column {column!r}: {value!r} {problem}"
        )

    def _filled_lines(self) -> Iterator[tuple[int, list[str]]]:
        """Fields of every line that is not blank, with the number of its last line."""
        done = 0
        with self.text() as lines:
            reader = csv.reader(
                (line.replace(self.sep, self.delimiter) for line in lines),
                delimiter=self.delimiter,
                quoting=self.quoting,
                strict=True,
            )
            try:
                for row in reader:
                    if reader.line_num > done + 1 and self._swallows(row):
                        raise csv.Error("a field holds lines that look like rows")
                    if len(row) > 1 or any(field.strip() for field in row):
                        yield reader.line_num, row
                    done = reader.line_num
            except csv.Error as fault:
                raise DataError(
                    f"{self.file.name}, line {done + 1}: {fault} (down to line "
                    f"{reader.line_num}); look in {Path(self.file.name).name} for a "
                    "quotation mark that is never closed, and write one that belongs "
                    'to a text twice: ""'
                ) from fault

    def _swallows(self, row: list[str]) -> bool:
        """Whether a line in a field has as many fields, and numbers in the same places."""
        lines = [line for field in row for line in field.splitlines()[1:]]
        rows = [row, *(line.split(self.delimiter) for line in lines)]
        shapes = [[_is_number(field, "float32") for field in fields] for fields in rows]
        return shapes[0] in shapes[1:]

    def _hint(self, first: str, columns: list[str]) -> str:
        """What to do about a missing column, judged by the first column's name."""
        for sep in ("::", ";", "\t", "|", ","):
            if sep != self.sep and sep in first:
                return (
                    f"it looks separated by {sep!r}: pass sep={sep!r} to "
                    f"load_interactions, or save the file with {self.sep!r} instead"
                )
        return (
            "name or rename the column, or, if the first line is a row already, "
            f"write a header above it: {self.sep.join(columns)}"
        )


def read_columns(layout: Layout, dtypes: dict[str, str]) -> pd.DataFrame:
    """Read the named columns of a text file at the C parser's speed.

    Args:
        layout: the file and how it is written.
        dtypes: name of the column -> a type of `LARGEST`, "str" for text as it is, or
            "any" for what pandas takes it for.

    Raises:
        DataError: a column is missing, a field is not a finite number of its type, a
            row has too many fields, the file is empty or damaged, a quotation mark
            swallows rows.
    """
    layout.need(list(dtypes))
    columns = layout.columns()
    if "str" in dtypes.values() or len(columns) > len(dtypes):
        with layout.file.open() as stream:
            blocks = iter(partial(stream.read, 1 << 20), b"")
            quoted = any(b'"' in block for block in blocks)
        if quoted:
            # reading the rows checks their quotation marks
            deque(layout.rows(), maxlen=0)
    try:
        return _parse(layout, columns, dtypes)
    except (ValueError, OverflowError) as fault:
        raise _first_fault(layout, columns, dtypes, fault) from fault


def _parse(layout: Layout, columns: list[str], dtypes: dict[str, str]) -> pd.DataFrame:
    """Read the columns as they should be.

    Raises:
        ValueError, OverflowError: a field is not a finite number of its type, or a row
            has too many fields.
    """
    # pandas takes the width of the first row for that of the table
    require(
        len(next(layout.rows(), (0, []))[1]) <= len(columns),
        "the first row is too long",
    )
    place = {name: columns.index(name) for name in dtypes}
    with layout.text() as stream:
        # all columns: with `usecols` pandas would pass over a surplus field
        table = pd.read_csv(
            stream,
            sep=layout.delimiter,
            header=None if layout.names else 0,
            index_col=False,
            names=range(len(columns)),
            engine="c",
            # wide, as pandas before 3 wraps too large numbers without a word
            dtype={
                place[name]: dtype.replace("int32", "int64")
                for name, dtype in dtypes.items()
                if dtype != "any"
            },
            keep_default_na=False,
            # in one piece where a column that nobody asked for may hold anything
            low_memory="str" not in dtypes.values(),
            quoting=layout.quoting,
        )
    # popped, so that wide and narrow columns are not all in memory at once
    return pd.DataFrame(
        {name: _as(table.pop(place[name]), dtype) for name, dtype in dtypes.items()}
    )


def _as(column: pd.Series, dtype: str) -> pd.Series:
    """A column in its final type; what a short row lacks is the empty text."""
    if dtype not in LARGEST:
        return column.fillna("") if dtype == "str" else column
    require(
        column.between(-LARGEST[dtype], LARGEST[dtype]).all(),
        f"a number is not finite or too large for {dtype}",
        error=OverflowError,
    )
    return column.astype(dtype)


def _first_fault(
    layout: Layout, columns: list[str], dtypes: dict[str, str], fault: Exception
) -> DataError:
    """The error of the first row that is too long or has no number where one belongs."""
    for row, (line, fields) in enumerate(layout.rows()):
        if len(fields) > len(columns):
            return DataError(
                f"{layout.file.name}, line {line}: {len(fields)} fields instead of "
                f"{len(columns)}; name every column in the first line, and put "
                f"quotation marks around fields with {layout.sep!r}, so that every "
                "line has as many fields as the first"
            )
        found = dict(zip(columns, fields, strict=False))
        for name, dtype in dtypes.items():
            if dtype in LARGEST and not _is_number(found.get(name, ""), dtype):
                kind = "number" if "float" in dtype else "whole number"
                return layout.fault(
                    name, row, f"is not a {kind}; correct or delete the line"
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
    cure: str = "correct or delete them",
) -> None:
    """Check values and times of events.

    Args:
        events: columns user, item, value, time.
        layout: the file they come from.
        columns: our name of a column -> the file's.
        limits: smallest and largest value.
        cure: what to do about values outside.

    Raises:
        DataError: no row at all, a value outside `limits`, an impossible time.
    """
    require(
        not events.empty,
        f"{layout.file.name}: not a single row below the header; get the file again",
        error=DataError,
    )
    if "value" in columns:
        within = events["value"].between(*limits)
        demand(
            within,
            layout,
            columns["value"],
            f"is not within {limits[0]:g} to {limits[1]:g}, the first of "
            f"{(~within).sum():,} lines that are not; {cure}",
        )
    if "time" in columns:
        _check_times(events["time"], layout, columns["time"])


def _check_times(times: pd.Series, layout: Layout, column: str) -> None:
    """Raise DataError for times that cannot be those of ratings."""
    tomorrow = int(time.time()) + 86_400
    unit = "times are seconds since 1970, UTC"
    wrong = {
        # first, as these also lie in the future
        f"looks like {name}seconds; divide the column by {factor}": times.between(
            EARLIEST * factor, tomorrow * factor
        )
        for name, factor in (("milli", 10**3), ("micro", 10**6), ("nano", 10**9))
    } | {
        f"is negative; {unit}": times < 0,
        f"lies before 1990; {unit}, or dates such as 2016-10-16; to numbers that give "
        "an order and nothing else add 1000000000": times < EARLIEST,
        f"lies in the future; {unit}": times > tomorrow,
    }
    for problem, found in wrong.items():
        demand(~found, layout, column, problem)


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
    if repeated.any():
        pair = events[keys].loc[repeated].iloc[0]
        first = int(np.argmax(events[keys].eq(pair).all(axis=1)))
        line, _ = next(islice(layout.rows(), first, None))
        twice = [f"{columns[key]} {pair[key]}" for key in keys if key in columns]
        raise layout.fault(
            columns[keys[0]],
            int(np.argmax(repeated)),
            f"repeats line {line}: {', '.join(twice)} is there twice; {cure}",
        )

"""Loading and checking ratings: the set that ships with the course, every MovieLens
edition, your own tables.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from xrec_utils import fetch
from xrec_utils.editions import Tables, clean_items, read_edition
from xrec_utils.paths import DATA
from xrec_utils.tables import (
    DataError,
    Layout,
    TextFile,
    check_events,
    check_unique,
    demand,
)

__all__ = ["DataError", "Dataset", "load_interactions", "load_movielens"]

BUNDLED = "movielens-small"


@dataclass(frozen=True)
class Dataset:
    """Who did what when, with what is known of the items and the users.

    interactions: columns user, item, value (float32; stars, or 1 where there is none),
    time (int64 seconds since 1970, UTC; 0 throughout where there is none) and
    behaviour, if the source has it. items: item, title (without the year), year
    (Int64), genres ("A|B" or ""), and imdb, tmdb where linked; every item of the
    interactions has a row. users: user and the attributes the source has. tags: user,
    item, tag, time, or None.
    """

    name: str
    interactions: pd.DataFrame
    items: pd.DataFrame
    users: pd.DataFrame
    tags: pd.DataFrame | None = None

    @property
    def has_times(self) -> bool:
        """Whether the events can be put into an order."""
        return bool((self.interactions["time"] != 0).any())


def load_movielens(path_or_name: str | os.PathLike[str] = BUNDLED) -> Dataset:
    """Load the bundled set, an edition by name, or any official MovieLens folder or zip
    you have.

    path_or_name: "movielens-small" (bundled); "ml-100k" (fetched once, checked and
    cached, see `fetch`); or the path of an edition from 100K to 32M, as folder or zip.
    MovieLens data may be used but, ML-100K and ML-1M above all, not passed on: each
    edition's README has the terms.

    Source: Harper and Konstan 2015, doi:10.1145/2827872.

    Raises:
        DataError: unknown name, no such path, or a fault in a file, named with its line
            and column.
    """
    path = Path(path_or_name)
    if str(path_or_name) == BUNDLED:
        return _dataset(BUNDLED, read_edition(DATA / BUNDLED))
    if path.exists():
        return _dataset(path.name.removesuffix(".zip"), read_edition(path))
    if str(path_or_name) in fetch.EDITIONS:
        found = fetch.fetch(
            str(path_or_name),
            lambda place: check_content(str(path_or_name), read_edition(place)),
        )
        return _dataset(str(path_or_name), read_edition(found))
    raise _not_found(path_or_name)


def load_interactions(
    file: str | os.PathLike[str],
    user: str = "user",
    item: str = "item",
    value: str | None = None,
    time: str | None = None,
    behaviour: str | None = None,
    *,
    sep: str = ",",
    limits: tuple[float, float] = (-np.inf, np.inf),
    duplicates: Literal["error", "last", "keep"] = "error",
) -> Dataset:
    """Load your own CSV file (plain, .gz, .bz2 or .xz; UTF-8 or Latin-1); the arguments
    name its columns.

    value: numbers within `limits`; without it every event counts 1. time: seconds since
    1970 or ISO 8601 dates, taken as UTC unless they say otherwise; without it only
    `random_per_user` can split. behaviour: such as browse or buy. duplicates: two
    events are duplicates if user and item are equal (with a behaviour column: if time
    and behaviour are, too). "error" refuses them, "last" keeps the newest (of equally
    new ones the lowest in the file), "keep" keeps all. Ids that are all whole numbers
    become int64, others stay text ("007" is not 7).

    Raises:
        DataError: no such file, a missing column, a fault in a line, duplicates.
        ValueError: `duplicates` is none of the three.
    """
    if duplicates not in ("error", "last", "keep"):
        raise ValueError(f"duplicates={duplicates!r}: choose 'error', 'last' or 'keep'")
    path = Path(file)
    if not path.is_file():
        raise DataError(f"{path}: no such file (looked in {path.absolute().parent})")
    named = {
        "user": user,
        "item": item,
        "value": value,
        "time": time,
        "behaviour": behaviour,
    }
    columns = {ours: theirs for ours, theirs in named.items() if theirs is not None}
    layout = Layout(TextFile(path), sep)
    events = _typed_events(_read_own(layout, columns), layout, columns)
    check_events(events, layout, columns, limits)
    events = _without_duplicates(events, layout, columns, duplicates)
    return _own_dataset(path.name.split(".")[0], events)


def check_content(name: str, tables: Tables) -> None:
    """Raise DataError unless the ratings are exactly those known for a fetched edition,
    in whatever order and file.
    """
    expected = fetch.EDITIONS[name].content_sha256
    if (found := content_sha256(tables.ratings)) != expected:
        raise DataError(
            f"{name}: {len(tables.ratings):,} ratings with sha256 {found}, not the edition's {expected}"
        )


def content_sha256(ratings: pd.DataFrame) -> str:
    """SHA-256 of the rows (user, item, 2 x stars, time) as little-endian int64, sorted
    by user and item.
    """
    ordered = ratings.sort_values(["user", "item"])
    rows = np.column_stack(
        [
            ordered["user"],
            ordered["item"],
            np.rint(ordered["value"] * 2),
            ordered["time"],
        ]
    )
    return hashlib.sha256(np.ascontiguousarray(rows, dtype="<i8").tobytes()).hexdigest()


def _dataset(name: str, tables: Tables) -> Dataset:
    """Clean the items and give every rated item and every user a row."""
    events = tables.ratings
    items = clean_items(_with_all(tables.items, "item", events["item"]))
    users = (
        pd.DataFrame({"user": np.unique(events["user"])})
        if tables.users is None
        else tables.users
    )
    return Dataset(
        name, events, items, _with_all(users, "user", events["user"]), tables.tags
    )


def _with_all(table: pd.DataFrame, key: str, ids: pd.Series) -> pd.DataFrame:
    """Add a row for each id the table lacks and sort by id."""
    missing = np.setdiff1d(ids.unique(), table[key])
    added = pd.DataFrame({key: missing.astype(table[key].dtype)})
    return pd.concat([table, added] if len(added) else [table]).sort_values(
        key, ignore_index=True
    )


def _own_dataset(name: str, events: pd.DataFrame) -> Dataset:
    ids = np.unique(events["item"].to_numpy())
    items = pd.DataFrame(
        {"item": ids, "title": pd.Series(ids).astype(str), "genres": ""}
    )
    items.insert(2, "year", pd.array([pd.NA] * len(ids), dtype="Int64"))
    return Dataset(
        name,
        events,
        items,
        pd.DataFrame({"user": np.unique(events["user"].to_numpy())}),
    )


def _read_own(layout: Layout, columns: dict[str, str]) -> pd.DataFrame:
    """The named columns under our names, the ids as the text they are."""
    layout.require(list(columns.values()))
    text = {
        theirs: str
        for ours, theirs in columns.items()
        if ours in ("user", "item", "behaviour")
    }
    try:
        with (
            layout.file.open() as stream
        ):  # all columns: with `usecols` pandas would pass over a surplus field
            table = pd.read_csv(
                stream,
                sep=layout.sep,
                dtype=text,
                keep_default_na=False,
                low_memory=False,
                encoding=layout.file.encoding(),
            )
    except pd.errors.ParserError as fault:
        raise DataError(
            f"{layout.file.name}: {fault}; put quotation marks around fields with {layout.sep!r}, so that "
            "every line has as many fields as the first"
        ) from fault
    return pd.DataFrame(
        {ours: table[theirs].fillna("") for ours, theirs in columns.items()}
    )


def _typed_events(
    table: pd.DataFrame, layout: Layout, columns: dict[str, str]
) -> pd.DataFrame:
    """Columns user, item, value, time (, behaviour) of their final types."""
    typed: dict[str, object] = {}
    for key in ("user", "item"):
        demand(
            table[key] != "",
            layout,
            columns[key],
            "is no id; fill it in or delete the line",
        )
        typed[key] = _ids(table[key])
    typed["value"] = (
        _values(table["value"], layout, columns["value"])
        if "value" in table
        else np.float32(1)
    )
    typed["time"] = (
        _times(table["time"], layout, columns["time"])
        if "time" in table
        else np.int64(0)
    )
    if "behaviour" in table:
        typed["behaviour"] = table["behaviour"].astype(str)
    return pd.DataFrame(typed, index=table.index)


def _ids(column: pd.Series) -> np.ndarray:
    """Ids as int64 if writing them as whole numbers gives the same text again, else as
    text.
    """
    codes, names = pd.factorize(column.to_numpy(dtype=object))
    whole = all(
        name.isdecimal()
        and name.isascii()
        and str(int(name)) == name
        and len(name) < 19
        for name in names
    )
    return names.astype(np.int64 if whole else object)[codes]


def _values(column: pd.Series, layout: Layout, name: str) -> pd.Series:
    number = pd.to_numeric(column, errors="coerce")
    demand(number.notna(), layout, name, "is not a number; correct or delete the line")
    return number.astype(np.float32)


def _times(column: pd.Series, layout: Layout, name: str) -> pd.Series:
    """Seconds since 1970 from whole or broken seconds, or from ISO 8601 texts."""
    number = pd.to_numeric(column, errors="coerce")
    if number.notna().any():
        demand(
            np.isfinite(number),
            layout,
            name,
            "is not a number of seconds since 1970, but other lines have one",
        )
        return np.floor(number).astype(np.int64)
    moment = pd.to_datetime(column, format="ISO8601", utc=True, errors="coerce")
    demand(
        moment.notna(),
        layout,
        name,
        "is neither seconds since 1970 nor an ISO date such as 2016-10-16T09:30:00",
    )
    return moment.dt.tz_localize(None).astype("datetime64[s]").astype(np.int64)


def _without_duplicates(
    events: pd.DataFrame, layout: Layout, columns: dict[str, str], wish: str
) -> pd.DataFrame:
    keys = ["user", "item", *(["time", "behaviour"] if "behaviour" in events else [])]
    if wish == "error":
        check_unique(
            events,
            keys,
            layout,
            columns,
            "delete one, or pass duplicates='last' or duplicates='keep'",
        )
    if wish == "last":
        newest = events.sort_values("time", kind="stable").drop_duplicates(
            keys, keep="last"
        )
        return newest.sort_index().reset_index(drop=True)
    return events


def _not_found(wanted: str | os.PathLike[str]) -> DataError:
    """Say what is missing: a path if it looks like one, else a name, with the nearest
    known one.
    """
    text, path = str(wanted), Path(wanted)
    if isinstance(wanted, Path) or path.suffix or len(path.parts) > 1:
        return DataError(
            f"{text}: no such file or folder (looked for {path.absolute()})"
        )
    names = [BUNDLED, *fetch.EDITIONS]
    close = difflib.get_close_matches(text.lower(), names, n=1)
    guess = f"; did you mean {close[0]!r}?" if close else "."
    return DataError(
        f"unknown data set {text!r}{guess} Known names: {', '.join(names)}; or give the path of a folder "
        "or zip of a MovieLens edition"
    )

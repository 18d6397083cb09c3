"""Loading and checking ratings: the shipped set, any MovieLens edition, your own."""

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from xrec_utils.data import fetch
from xrec_utils.data.editions import Tables, clean_items, read_edition
from xrec_utils.data.tables import (
    Layout,
    check_events,
    check_unique,
    demand,
    read_columns,
)
from xrec_utils.data.textfile import own_file
from xrec_utils.files import DATA, DataError, require

BUNDLED = "movielens-small"
# what programs write for an id that they do not know, in small letters
MISSING = ("na", "n/a", "nan", "<na>", "null", "none", "nil", "\\n", "#n/a")


@dataclass(frozen=True)
class Dataset:
    """Who did what when, with what is known of the items and the users.

    Args:
        name: of the data set, for messages and figures.
        interactions: columns user, item, value (float32; stars, or 1 where there is
            none), time (int64 seconds since 1970, UTC; 0 throughout where there is
            none) and behaviour, if the source has it.
        items: item, title (without the year), year (Int64), genres ("A|B" or ""), and
            imdb, tmdb where linked; every item of the interactions has a row.
        users: user and the attributes the source has.
        tags: user, item, tag, time, or None.
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
    """Load the shipped ratings, an edition by name, or a MovieLens folder or zip.

    MovieLens data may be used but, ML-100K and ML-1M above all, not passed on: each
    edition's README has the terms.

    Source: Harper and Konstan 2015, doi:10.1145/2827872.

    Args:
        path_or_name: "movielens-small" (shipped); "ml-100k" (fetched once, checked and
            cached, see `fetch`); or the path of an edition from 100K to 32M, as folder
            or zip.

    Returns:
        Ratings in stars (0.5 to 5), films and users.

    Raises:
        DataError: unknown name, no such path, or a fault in a file, named with its line
            and column.

    Example:
        >>> ratings = load_movielens()
        >>> len(ratings.interactions), len(ratings.users)
        (100004, 671)
        >>> first = ratings.items.iloc[0]
        >>> print(first["item"], first["title"], first["year"], first["genres"][:9])
        1 Toy Story 1995 Adventure
    """
    name = str(path_or_name)
    path = DATA / BUNDLED if name == BUNDLED else Path(path_or_name)
    if name == BUNDLED or path.exists():
        return _dataset(path.name.removesuffix(".zip"), read_edition(path))
    if name in fetch.EDITIONS:
        return _dataset(name, fetch.fetch(name))
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
    missing: Sequence[str] = MISSING,
) -> Dataset:
    """Load your own CSV file; the arguments name its columns.

    The file may be plain, .gz, .bz2, .xz or alone in a .zip, in UTF-8, UTF-16 or
    Latin-1. Quotation marks count where commas or semicolons separate. Ids that are all
    whole numbers become int64, others stay text ("007" is not 7).

    Args:
        file: path of the file, with the names of the columns in its first line.
        user, item: columns of ids.
        value: column of numbers within `limits`; without it every event counts 1.
        time: column of seconds since 1970 or ISO 8601 dates, taken as UTC unless they
            say otherwise; without it only `random_per_user` can split.
        behaviour: column such as browse or buy.
        sep: what separates fields, such as ";" or "::".
        limits: smallest and largest value.
        duplicates: two events are duplicates if user and item are equal (with a
            behaviour column: if time and behaviour are, too). "error" refuses them,
            "last" keeps the newest (of equally new ones the lowest in the file), "keep"
            keeps all.
        missing: words, in small letters, that are no id and no behaviour; () takes
            every word for one, "NA" too. A blank never is one.

    Returns:
        The events, with items and users that have an id and nothing else.

    Raises:
        DataError: no such file, a missing column, a fault in a line, duplicates.
        ValueError: `duplicates` is none of the three, `sep` is empty, or a column is
            named twice.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "log.csv")
        ...     length = path.write_text("who,what,stars\\nann,7,4.5\\nbob,7,3\\n")
        ...     log = load_interactions(path, user="who", item="what", value="stars")
        >>> log.interactions["user"].tolist(), log.interactions["item"].tolist()
        (['ann', 'bob'], [7, 7])
        >>> log.interactions["value"].tolist(), log.has_times
        ([4.5, 3.0], False)
    """
    require(
        duplicates in ("error", "last", "keep"),
        f"duplicates={duplicates!r}: choose 'error', 'last' or 'keep'",
    )
    named = {
        "user": user,
        "item": item,
        "value": value,
        "time": time,
        "behaviour": behaviour,
    }
    columns = {ours: theirs for ours, theirs in named.items() if theirs is not None}
    require(
        bool(sep) and len(set(columns.values())) == len(columns),
        f"sep={sep!r}, columns {columns}: name what separates the fields, and a "
        "column of its own for each argument",
    )
    source = own_file(Path(file))
    layout = Layout(source, sep, encoding=source.encoding())
    events = _typed_events(layout, columns, missing)
    check_events(
        events,
        layout,
        columns,
        limits,
        cure="correct or delete them, or, if they say 'not rated', leave value= out: "
        "then each event counts 1",
    )
    return _own_dataset(
        source.path.name.split(".")[0],
        events=_without_duplicates(events, layout, columns, duplicates),
    )


def k_core(dataset: Dataset, k: int = 5) -> Dataset:
    """Drop users and items with fewer than k events, until all that are left have k.

    Dropping an item takes events from its users, so it is done again and again.

    Args:
        dataset: any ratings.
        k: the least number of events of a user and of an item.

    Returns:
        A data set with the remaining events, items and users.

    Raises:
        DataError: nothing is left.

    Example:
        User 3 has one event only; without it, film 30 has none.

        >>> events = pd.DataFrame({"user": [1, 1, 2, 2, 3]})
        >>> events["item"] = [10, 20, 10, 20, 30]
        >>> items = pd.DataFrame({"item": [10, 20, 30]})
        >>> users = pd.DataFrame({"user": [1, 2, 3]})
        >>> small = k_core(Dataset("log", events, items, users), k=2)
        >>> small.name, small.items["item"].tolist(), small.users["user"].tolist()
        ('log, 2-core', [10, 20], [1, 2])
    """
    events = core(dataset.interactions, k)
    require(
        not events.empty,
        f"{dataset.name}: no user and item have {k} events each; choose a smaller k",
        error=DataError,
    )
    item_is_left = dataset.items["item"].isin(events["item"])
    user_is_left = dataset.users["user"].isin(events["user"])
    return replace(
        dataset,
        name=f"{dataset.name}, {k}-core",
        interactions=events.reset_index(drop=True),
        items=dataset.items[item_is_left].reset_index(drop=True),
        users=dataset.users[user_is_left].reset_index(drop=True),
    )


def core(events: pd.DataFrame, k: int) -> pd.DataFrame:
    """The events of the k-core, from a table with columns user and item.

    The result may be empty.
    """
    while True:
        kept = events[at_least(events["user"], k) & at_least(events["item"], k)]
        if len(kept) == len(events):
            return kept
        events = kept


def at_least(ids: pd.Series, k: int) -> pd.Series:
    """Whether the id of each row occurs k times or more: a boolean per row."""
    return ids.groupby(ids).transform("size") >= k


def _dataset(name: str, tables: Tables) -> Dataset:
    """Clean the items and give every rated item and every user a row."""
    events = tables.ratings
    users = events[["user"]].drop_duplicates() if tables.users is None else tables.users
    return Dataset(
        name,
        interactions=events,
        items=clean_items(_with_all(tables.items, "item", events["item"])),
        users=_with_all(users, "user", events["user"]),
        tags=tables.tags,
    )


def _with_all(table: pd.DataFrame, key: str, ids: pd.Series) -> pd.DataFrame:
    """The table sorted by id, with an empty row for each id it lacks."""
    return pd.merge(
        pd.DataFrame({key: np.union1d(table[key], ids)}),
        table,
        on=key,
        how="left",
    )


def _own_dataset(name: str, events: pd.DataFrame) -> Dataset:
    """Events with items and users of which nothing but the id is known."""
    ids = np.unique(events["item"].to_numpy())
    return Dataset(
        name,
        interactions=events,
        items=pd.DataFrame(
            {
                "item": ids,
                "title": pd.Series(ids).astype(str),
                "year": pd.array([pd.NA] * len(ids), dtype="Int64"),
                "genres": "",
            }
        ),
        users=pd.DataFrame({"user": np.unique(events["user"].to_numpy())}),
    )


def _typed_events(
    layout: Layout, columns: dict[str, str], missing: Sequence[str]
) -> pd.DataFrame:
    """Columns user, item, value, time (, behaviour) of their final types."""
    dtypes = {
        # ids are read as text ("007" is not 7), times are seconds or dates
        theirs: {"value": "float32", "time": "any"}.get(ours, "str")
        for ours, theirs in columns.items()
    }
    table = read_columns(layout, dtypes)
    table.columns = list(columns)
    for key in table.columns.intersection(["user", "item", "behaviour"]):
        names = table[key].unique()
        gaps = [name for name in names if {name, name.strip().lower()} & {"", *missing}]
        # files that were joined have a header in the middle
        odd = [
            name
            for name in names
            if name != name.strip().strip("\ufeff\u200b") or name == columns[key]
        ]
        problems = {
            "is no id; fill it in or delete the line (if it is one, missing=())": gaps,
            "has blanks around it, or repeats the header; correct or delete it": odd,
        }
        for problem, wrong in problems.items():
            demand(~table[key].isin(wrong), layout, columns[key], problem)
    return table.assign(
        user=_ids(table["user"]),
        item=_ids(table["item"]),
        # a single number fills its column
        value=table.get("value", np.float32(1)),
        time=_times(table["time"], layout, columns["time"])
        if "time" in table
        else np.int64(0),
    ).filter(["user", "item", "value", "time", "behaviour"])


def _ids(column: pd.Series) -> pd.Series:
    """Ids as int64 if all are whole numbers as one writes them, else as text."""
    names = pd.Series(column.unique(), dtype=str)
    # 18 digits always fit int64
    whole = names.str.fullmatch("0|[1-9][0-9]{0,17}").all()
    return column.astype(np.int64) if whole else column


def _times(column: pd.Series, layout: Layout, name: str) -> pd.Series:
    """Seconds since 1970 from whole or broken seconds, or from ISO 8601 texts."""
    number = pd.to_numeric(column, errors="coerce")
    # one number is enough to tell that seconds are meant
    if number.notna().any():
        demand(
            np.isfinite(number),
            layout,
            name,
            "is not a number of seconds since 1970, but other lines have one",
        )
        # a number beyond int64 stays one in the future
        return np.floor(number).clip(upper=2**62).astype(np.int64)
    # ISO 8601 writes Z for what many logs call UTC or GMT
    iso = column.astype(str).str.replace(
        r"\s*(?:UTC|GMT)\s*$", "Z", regex=True, case=False
    )
    moment = pd.to_datetime(iso, format="ISO8601", utc=True, errors="coerce")
    demand(
        # to pandas "now" and "today" are dates
        moment.notna() & iso.str.match(r"\d{4}"),
        layout,
        name,
        "is neither seconds since 1970 nor an ISO date such as 2016-10-16T09:30:00, "
        "with Z or an offset such as +02:00 behind it if it is not in UTC",
    )
    # pandas gives whole seconds only without a time zone
    return moment.dt.tz_localize(None).astype("datetime64[s]").astype(np.int64)


def _without_duplicates(
    events: pd.DataFrame, layout: Layout, columns: dict[str, str], wish: str
) -> pd.DataFrame:
    """The events after refusing, dropping or keeping duplicates."""
    more = ["time", "behaviour"] if "behaviour" in events else []
    keys = ["user", "item", *more]
    if wish == "error":
        check_unique(
            events,
            keys,
            layout,
            columns,
            cure="delete one, or pass duplicates='last' or duplicates='keep'",
        )
    if wish == "last":
        # stable: of equally new ones the lowest in the file comes last
        return (
            events.sort_values("time", kind="stable")
            .drop_duplicates(keys, keep="last")
            .sort_index()
            .reset_index(drop=True)
        )
    return events


def _not_found(wanted: str | os.PathLike[str]) -> DataError:
    """Say what is missing: a path if it looks like one, else a name.

    A name is answered with the nearest known one.
    """
    text = str(wanted)
    path = Path(wanted)
    if isinstance(wanted, Path) or path.suffix or len(path.parts) > 1:
        return DataError(
            f"{text}: no such file or folder (looked for {path.absolute()})"
        )
    names = [BUNDLED, *fetch.EDITIONS]
    close = difflib.get_close_matches(text.lower(), names, n=1)
    guess = f"; did you mean {close[0]!r}?" if close else "."
    return DataError(
        f"unknown data set {text!r}{guess} Known names: {', '.join(names)}; "
        "or give the path of a folder or zip of a MovieLens edition"
    )

"""A table of your own: what is read from it, and messages that say which line to mend."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from editions_by_hand import message, says
from xrec_utils.data.load import load_interactions


def own(
    tmp_path: Path, text: str, encoding: str = "utf-8", name: str = "log.csv"
) -> Path:
    """A file with the text."""
    (tmp_path / name).write_bytes(text.encode(encoding))
    return tmp_path / name


SHOP = "who,what,stars,when,did\nann,tea,4,2020-01-01T10:00:00Z,buy\nbob,007,2.5,2020-01-01 12:00:00+02:00,look\n"


def test_own_table_with_everything(tmp_path: Path) -> None:
    dataset = load_interactions(
        own(tmp_path, SHOP), "who", "what", "stars", "when", "did", limits=(1, 5)
    )
    assert dataset.name == "log"
    assert dataset.interactions.columns.tolist() == [
        "user",
        "item",
        "value",
        "time",
        "behaviour",
    ]
    assert dataset.interactions.values.tolist() == [
        ["ann", "tea", 4.0, 1577872800, "buy"],
        ["bob", "007", 2.5, 1577872800, "look"],
    ]
    assert dataset.items.columns.tolist() == ["item", "title", "year", "genres"]
    assert dataset.items.title.tolist() == ["007", "tea"]
    assert dataset.users.user.tolist() == ["ann", "bob"]


def test_own_table_with_users_and_items_only(tmp_path: Path) -> None:
    dataset = load_interactions(own(tmp_path, "item,user\n5,1\n7,1\n"))
    assert dataset.interactions.values.tolist() == [[1, 5, 1, 0], [1, 7, 1, 0]]
    assert [str(kind) for kind in dataset.interactions.dtypes] == [
        "int64",
        "int64",
        "float32",
        "int64",
    ]
    assert not dataset.has_times


def test_ids_stay_as_they_are_written(tmp_path: Path) -> None:
    text = "user,item\n1,MA\n1,7\n2,007\n2,Café\n"
    for encoding in ("utf-8", "utf-8-sig", "latin-1", "utf-16"):
        dataset = load_interactions(own(tmp_path, text, encoding))
        assert dataset.interactions.item.tolist() == ["MA", "7", "007", "Café"]
        assert dataset.interactions.user.tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize(
    "moments",
    [
        ("1577872800", "1577872860"),
        ("1577872800.25", "1577872860.5"),
        ("2020-01-01T10:00:00", "2020-01-01 10:01"),
        ("2020-01-01T11:00+01:00", "2020-01-01T10:01:00.5Z"),
    ],
)
def test_times_in_seconds_or_iso(tmp_path: Path, moments: tuple[str, str]) -> None:
    file = own(tmp_path, f"user,item,time\n1,1,{moments[0]}\n1,2,{moments[1]}\n")
    assert load_interactions(file, time="time").interactions.time.tolist() == [
        1577872800,
        1577872860,
    ]


OWN_FAULTS = [
    ("u1,,3,1577872800", "item", "'' is no id"),
    (",i,3,1577872800", "user", "'' is no id"),
    ("u1,i,many,1577872800", "value", "'many' is not a number"),
    ("u1,i,,1577872800", "value", "'' is not a number"),
    ("u1,i,11,1577872800", "value", "'11' is not within 0 to 10"),
    (
        "u1,i,3,yesterday",
        "time",
        "'yesterday' is not a number of seconds since 1970, but other lines have one",
    ),
    ("u1,i,3,1577872800000", "time", "'1577872800000' looks like milliseconds"),
    ("u1,i,3,inf", "time", "'inf' is not a number of seconds"),
    ("u1,i,3,-1", "time", "'-1' is negative"),
]


@pytest.mark.parametrize("line, column, problem", OWN_FAULTS)
def test_a_fault_in_an_own_table_is_named(
    tmp_path: Path, line: str, column: str, problem: str
) -> None:
    text = f'user,item,value,time,note\nu0,i,3,1577872800,"two\nlines"\n{line},x\nu9,i,3,1577872800,y\n'
    got = message(
        load_interactions,
        own(tmp_path, text),
        value="value",
        time="time",
        limits=(0, 10),
    )
    says(got, "log.csv", "line 4,", f"column {column!r}", problem)


def test_a_bad_date_among_dates(tmp_path: Path) -> None:
    file = own(tmp_path, "user,item,time\n1,1,2020-01-01\n1,2,2020-13-01\n")
    says(
        message(load_interactions, file, time="time"),
        "line 3, column 'time': '2020-13-01'",
        "ISO date",
    )


def test_duplicates_of_an_own_table(tmp_path: Path) -> None:
    text = "user,item,time,value\n1,1,1577872860,5\n1,2,1577872800,4\n1,1,1577872800,3\n1,2,1577872800,2\n"
    file, named = own(tmp_path, text), {"time": "time", "value": "value"}
    says(
        message(load_interactions, file, **named),
        "line 4",
        "repeats line 2",
        "duplicates='last'",
        "'keep'",
    )
    assert load_interactions(
        file, **named, duplicates="last"
    ).interactions.value.tolist() == [5, 2]
    assert load_interactions(
        file, **named, duplicates="keep"
    ).interactions.value.tolist() == [5, 4, 3, 2]
    with pytest.raises(ValueError, match="choose 'error', 'last' or 'keep'"):
        load_interactions(file, duplicates="first")


def test_a_behaviour_log_may_repeat_user_and_item(tmp_path: Path) -> None:
    head = "user,item,time,did\n1,1,1577872800,look\n1,1,1577872860,look\n1,1,1577872860,buy\n"
    columns = {"time": "time", "behaviour": "did"}
    assert len(load_interactions(own(tmp_path, head), **columns).interactions) == 3
    text = message(
        load_interactions, own(tmp_path, head + "1,1,1577872860,buy\n"), **columns
    )
    says(text, "line 5", "repeats line 4", "did buy")


def test_missing_columns_and_other_separators(tmp_path: Path) -> None:
    file = own(tmp_path, "user;item\n1;2\n")
    says(
        message(load_interactions, file),
        "log.csv, line 1: no column 'user', 'item'",
        "pass sep=';'",
    )
    assert len(load_interactions(file, sep=";").interactions) == 1
    says(
        message(load_interactions, own(tmp_path, "user,thing\n1,2\n")),
        "no column 'item'",
        "'thing'",
        "rename",
    )


def test_empty_ragged_and_absent_files(tmp_path: Path) -> None:
    says(message(load_interactions, own(tmp_path, "")), "log.csv", "empty")
    says(message(load_interactions, own(tmp_path, "user,item\n")), "not a single row")
    says(
        message(load_interactions, own(tmp_path, "user,item\n1,2\n1,2,3,4\n")),
        "log.csv",
        "line 3",
        "as many fields",
    )
    says(
        message(load_interactions, own(tmp_path, "user,item\n1,2,3\n1,2\n")),
        "line 2: 3 fields instead of 2; name every column",
    )
    says(
        message(load_interactions, own(tmp_path, "user,item\n1,2\n1\n")),
        "line 3, column 'item': '' is no id",
    )
    says(
        message(load_interactions, tmp_path / "none.csv"),
        "none.csv",
        "no such file",
        str(tmp_path),
    )


def test_compressed_own_table(tmp_path: Path) -> None:
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(b"user,item\n1,2\n"))
    assert load_interactions(tmp_path / "log.csv.gz").name == "log"


def test_a_quotation_mark_that_is_never_closed(tmp_path: Path) -> None:
    text = 'user,item,note\n1,2,"so\n' + "3,4,x\n" * 30_000
    says(
        message(load_interactions, own(tmp_path, text)),
        "log.csv",
        "line ",
        "quotation mark",
    )

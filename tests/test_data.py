"""Every layout of MovieLens, your own tables, and messages that say which line to mend."""

from __future__ import annotations

import bz2
import gzip
import lzma
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from editions_by_hand import FILMS, LAYOUTS, RATINGS, RATINGS_FILE, csv_layout, folder_of, lines, tab_layout, zip_of

from xrec_utils.data import DataError, content_sha256, load_interactions, load_movielens
from xrec_utils.tables import Layout, TextFile, _first_bad_number

EXPECTED = pd.DataFrame(RATINGS, columns=["user", "item", "value", "time"])
layouts = pytest.mark.parametrize("layout", LAYOUTS)


def message(call, *arguments, **named) -> str:
    """What a call that must fail says."""
    with pytest.raises(DataError) as caught:
        call(*arguments, **named)
    return str(caught.value)


def says(text: str, *parts: str) -> None:
    """Assert that a message holds all the parts."""
    assert [part for part in parts if part not in text] == [], text


# --- editions ---------------------------------------------------------------------------------------------------------


@layouts
@pytest.mark.parametrize("write", [folder_of, zip_of])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_every_layout_gives_the_same_tables(tmp_path: Path, layout: str, write, encoding: str) -> None:
    place = write(tmp_path / ("ml-try.zip" if write is zip_of else "ml-try"), LAYOUTS[layout](), encoding)
    dataset = load_movielens(place)
    assert dataset.name == "ml-try"
    pd.testing.assert_frame_equal(dataset.interactions, EXPECTED, check_dtype=False)
    assert [str(kind) for kind in dataset.interactions.dtypes] == ["int32", "int32", "float32", "int64"]
    films = dataset.items.set_index("item")
    assert films.title.tolist() == ["Léon: The Professional", 'Say "Yes", Please', "Big Bang, The", "film 40"]
    assert films.year.tolist()[:3] == [1994, 2001, 2007]
    assert films.year.isna().tolist() == [False, False, False, True]
    assert films.genres.tolist()[0] == "Action|Crime"
    assert films.genres.tolist()[2:] == ["", ""]
    assert dataset.users.user.tolist() == [1, 2, 3]
    assert dataset.has_times


def test_links_tags_and_users_come_along(tmp_path: Path) -> None:
    csv = load_movielens(folder_of(tmp_path / "csv", LAYOUTS["csv"]()))
    assert csv.items.imdb.tolist()[:2] == [110413, 2]
    assert csv.items.tmdb.isna().tolist() == [False, True, True, True]
    assert csv.tags.values.tolist() == [[1, 10, "dark, funny", 900000100]]
    dat = load_movielens(folder_of(tmp_path / "dat", LAYOUTS["dat"]()))
    assert dat.tags.tag.tolist() == ["dark", "a::b"]
    assert dat.users.values.tolist()[0] == [1, "F", 1, "10", "48067"]
    tab = load_movielens(folder_of(tmp_path / "tab", LAYOUTS["tab"]()))
    assert tab.users.values.tolist()[2] == [3, 23, "M", "writer", "T8H1N"]
    assert tab.tags is None


def test_optional_files_may_be_missing(tmp_path: Path) -> None:
    for layout, files in LAYOUTS.items():
        needed = {name: text for name, text in files().items() if name.split(".")[0] not in ("links", "tags", "users")
                  and name != "u.user"}
        dataset = load_movielens(folder_of(tmp_path / layout, needed))
        assert dataset.users.columns.tolist() == ["user"]
        assert dataset.tags is None


def test_a_folder_within_the_folder_and_a_path_as_text(tmp_path: Path) -> None:
    folder_of(tmp_path / "download" / "ml-25m", csv_layout())
    assert len(load_movielens(str(tmp_path / "download")).interactions) == 6


@pytest.mark.parametrize("suffix, module", [(".bz2", bz2), (".gz", gzip), (".xz", lzma)])
def test_files_of_a_folder_may_be_compressed(tmp_path: Path, suffix: str, module) -> None:
    tmp_path.joinpath("ml").mkdir()
    for name, text in csv_layout().items():
        tmp_path.joinpath("ml", name + suffix).write_bytes(module.compress(text.encode()))
    pd.testing.assert_frame_equal(load_movielens(tmp_path / "ml").interactions, EXPECTED, check_dtype=False)


def test_windows_line_ends_byte_order_mark_and_blank_lines(tmp_path: Path) -> None:
    files = csv_layout()
    files["ratings.csv"] = "\ufeff" + files["ratings.csv"].replace("\n", "\r\n") + "\r\n"
    pd.testing.assert_frame_equal(load_movielens(folder_of(tmp_path / "ml", files)).interactions, EXPECTED,
                                  check_dtype=False)


def test_a_rated_film_without_a_row_gets_one(tmp_path: Path) -> None:
    files = csv_layout() | {"movies.csv": "movieId,title,genres\n10,Heat (1995),Crime\n"}
    items = load_movielens(folder_of(tmp_path / "ml", files)).items
    assert items[["item", "title"]].values.tolist() == [[10, "Heat"], [20, "film 20"], [30, "film 30"]]


def test_the_bundled_set_has_the_published_figures() -> None:
    dataset = load_movielens()
    events = dataset.interactions
    assert (len(events), events.user.nunique(), events.item.nunique()) == (100_004, 671, 9_066)
    assert (len(dataset.items), len(dataset.users)) == (9_066, 671)
    assert dataset.items.year.isna().sum() == 5
    assert pd.to_datetime(events.time.agg(["min", "max"]), unit="s").dt.strftime("%Y-%m-%d").tolist() == [
        "1995-01-09", "2016-10-16"]
    assert dataset.items.set_index("item").loc[1].tolist() == [
        "Toy Story", 1995, "Adventure|Animation|Children|Comedy|Fantasy"]


# --- faults in an edition ---------------------------------------------------------------------------------------------


def spoiled(tmp_path: Path, layout: str, line: int, change) -> Path:
    """An edition whose ratings file has one line changed; the line counts from 1."""
    files = LAYOUTS[layout]()
    rows = files[RATINGS_FILE[layout]].splitlines()
    rows[line - 1] = change(rows[line - 1])
    return folder_of(tmp_path / "ml", files | {RATINGS_FILE[layout]: lines(rows)})


def with_field(layout: str, place: int, value: str):
    """A change of one field of a line."""
    sep = {"csv": ",", "dat": "::", "tab": "\t"}[layout]

    def change(row: str) -> str:
        fields = row.split(sep)
        fields[place] = value
        return sep.join(fields)
    return change


FAULTS = [
    (2, "good", "'good' is not a number; correct or delete"),
    (2, "", "'' is not a number"),
    (2, "nan", "'nan' is not"),
    (2, "7", "'7' is not within 0.5 to 5"),
    (2, "0", "'0' is not within 0.5 to 5"),
    (2, "inf", "'inf' is not"),
    (0, "1.5", "'1.5' is not a whole number"),
    (1, "99999999999", "'99999999999' is not a whole number"),
    (3, "-5", "is negative; times are seconds"),
    (3, "1000", "lies before 1990"),
    (3, "900000000000", "looks like milliseconds; divide the column by 1000"),
    (3, str(int(time.time()) + 10_000_000), "lies in the future"),
    (3, "9_00000000", "'9_00000000' is not a whole number"),
    (3, "2001-01-01", "'2001-01-01' is not a whole number"),
]


@layouts
@pytest.mark.parametrize("place, value, problem", FAULTS)
def test_a_bad_field_is_named_by_line_and_column(tmp_path: Path, layout: str, place: int, value: str,
                                                problem: str) -> None:
    column = {"csv": ("userId", "movieId", "rating", "timestamp"), "dat": ("UserID", "MovieID", "Rating", "Timestamp"),
              "tab": ("user id", "item id", "rating", "timestamp")}[layout][place]
    text = message(load_movielens, spoiled(tmp_path, layout, 5, with_field(layout, place, value)))
    says(text, RATINGS_FILE[layout], "line 5,", f"column {column!r}", problem)


@layouts
def test_a_short_line_is_named(tmp_path: Path, layout: str) -> None:
    sep = {"csv": ",", "dat": "::", "tab": "\t"}[layout]
    text = message(load_movielens, spoiled(tmp_path, layout, 4, lambda row: row.rpartition(sep)[0]))
    says(text, RATINGS_FILE[layout], "line 4,", "imestamp", "'' is not a whole number")


@layouts
def test_a_duplicate_names_both_lines(tmp_path: Path, layout: str) -> None:
    start = 2 if layout == "csv" else 1
    text = message(load_movielens, spoiled(tmp_path, layout, start + 1, with_field(layout, 1, "10")))
    says(text, RATINGS_FILE[layout], f"line {start + 1},", f"repeats line {start}:", " 1,", " 10 is there twice")


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    files = csv_layout()
    files["ratings.csv"] = files["ratings.csv"].replace("\n2,10", "\n\n\n2,10").replace("2.0,", "9.0,")
    says(message(load_movielens, folder_of(tmp_path / "ml", files)), "line 8,", "'9.0'")


@layouts
def test_an_empty_ratings_file(tmp_path: Path, layout: str) -> None:
    files = LAYOUTS[layout]() | {RATINGS_FILE[layout]: ""}
    says(message(load_movielens, folder_of(tmp_path / "ml", files)), RATINGS_FILE[layout], "empty", "get it again")


def test_a_header_and_nothing_else(tmp_path: Path) -> None:
    files = csv_layout() | {"ratings.csv": "userId,movieId,rating,timestamp\n"}
    says(message(load_movielens, folder_of(tmp_path / "ml", files)), "ratings.csv", "not a single row")


def test_a_missing_column(tmp_path: Path) -> None:
    files = csv_layout()
    files["ratings.csv"] = files["ratings.csv"].replace("rating,", "stars,")
    text = message(load_movielens, folder_of(tmp_path / "ml", files))
    says(text, "ratings.csv, line 1", "no column 'rating'", "'stars'")


@pytest.mark.parametrize("layout, name", [("csv", "movies.csv"), ("dat", "movies.dat"), ("tab", "u.item")])
def test_a_missing_film_table(tmp_path: Path, layout: str, name: str) -> None:
    files = {key: text for key, text in LAYOUTS[layout]().items() if key != name}
    says(message(load_movielens, folder_of(tmp_path / "ml", files)), str(tmp_path), f"{name} is missing", "again")


def test_faults_in_the_small_tables(tmp_path: Path) -> None:
    files = csv_layout() | {"tags.csv": "userId,movieId,tag,timestamp\n1,10,fun,900000100\n1,ten,fun,900000100\n"}
    says(message(load_movielens, folder_of(tmp_path / "a", files)), "tags.csv, line 3, column 'movieId': 'ten'")
    files = tab_layout()
    files["u.item"] = files["u.item"].replace("|01-Jan-1995||http://x", "", 1)
    says(message(load_movielens, folder_of(tmp_path / "b", files)), "u.item, line 1: 21 fields instead of 24")


@layouts
@pytest.mark.parametrize("kept", [0, 40, 0.5, -30])
def test_a_truncated_zip(tmp_path: Path, layout: str, kept: float) -> None:
    whole = zip_of(tmp_path / "ml.zip", LAYOUTS[layout]()).read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole[:int(len(whole) * kept) if isinstance(kept, float) else kept])
    says(message(load_movielens, cut), "cut.zip", "not a whole zip archive", "download it again")


def test_a_zip_whose_content_has_changed(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "ml.zip", csv_layout(), compression=zipfile.ZIP_STORED)
    archive.write_bytes(archive.read_bytes().replace(b"1,20,3.0,", b"1,20,4.0,"))
    says(message(load_movielens, archive), "ml.zip: ml/ratings.csv", "damaged or cut short", "get the file again")


@pytest.mark.parametrize("suffix, module", [(".bz2", bz2), (".gz", gzip), (".xz", lzma)])
def test_a_truncated_compressed_file(tmp_path: Path, suffix: str, module) -> None:
    folder = folder_of(tmp_path / "ml", {"movies.csv": csv_layout()["movies.csv"]})
    (folder / f"ratings.csv{suffix}").write_bytes(module.compress(csv_layout()["ratings.csv"].encode())[:-12])
    says(message(load_movielens, folder), f"ratings.csv{suffix}", "damaged or cut short", "get the file again")


def test_damage_far_below_the_first_lines(tmp_path: Path) -> None:
    rows = [f"{user},{item},{1 + user * item % 5},{900_000_000 + user * item}" for user in range(300) for item in range(90)]
    text = lines(["userId,movieId,rating,timestamp", *rows])
    folder = folder_of(tmp_path / "ml", {"movies.csv": csv_layout()["movies.csv"]})
    (folder / "ratings.csv.gz").write_bytes(gzip.compress(text.encode())[:-2000])
    says(message(load_movielens, folder), "ratings.csv.gz", "damaged or cut short")


def test_a_quotation_mark_that_is_never_closed(tmp_path: Path) -> None:
    text = 'user,item,note\n1,2,"so\n' + "3,4,x\n" * 30_000
    says(message(load_interactions, own(tmp_path, text)), "log.csv", "line ", "quotation mark")


def test_what_only_pandas_refuses_is_passed_on(tmp_path: Path) -> None:
    layout = Layout(TextFile(own(tmp_path, "a\n1\n")))
    fault = _first_bad_number(layout, {"a": "int32"}, ValueError("its own words"))
    says(str(fault), "log.csv: its own words; get the file again")


def test_a_folder_or_file_that_is_no_edition(tmp_path: Path) -> None:
    says(message(load_movielens, folder_of(tmp_path / "x", {"notes.txt": "a"})), "none of ratings.csv", "notes.txt",
         "load_interactions")
    says(message(load_movielens, folder_of(tmp_path / "y", {})), "found: nothing")
    says(message(load_movielens, tmp_path / "x" / "notes.txt"), "not a whole zip", "load_interactions")


def test_names_and_paths_that_are_not_there(tmp_path: Path) -> None:
    says(message(load_movielens, "ml-100"), "unknown data set 'ml-100'; did you mean 'ml-100k'?", "movielens-small")
    says(message(load_movielens, "zzz"), "unknown data set 'zzz'.", "Known names:")
    for place in (tmp_path / "nothing", str(tmp_path / "nothing"), "ml-25m.zip"):
        says(message(load_movielens, place), "no such file or folder", str(Path(place).absolute()))


def test_an_unreadable_file_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_):
        raise PermissionError("no")
    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("xrec_utils.tables.OPENERS", {})
    with pytest.raises(PermissionError), TextFile(tmp_path / "f").open():
        pass


# --- your own tables --------------------------------------------------------------------------------------------------


def own(tmp_path: Path, text: str, encoding: str = "utf-8", name: str = "log.csv") -> Path:
    """A file with the text."""
    (tmp_path / name).write_bytes(text.encode(encoding))
    return tmp_path / name


SHOP = "who,what,stars,when,did\nann,tea,4,2020-01-01T10:00:00Z,buy\nbob,007,2.5,2020-01-01 12:00:00+02:00,look\n"


def test_own_table_with_everything(tmp_path: Path) -> None:
    dataset = load_interactions(own(tmp_path, SHOP), "who", "what", "stars", "when", "did", limits=(1, 5))
    assert dataset.name == "log"
    assert dataset.interactions.columns.tolist() == ["user", "item", "value", "time", "behaviour"]
    assert dataset.interactions.values.tolist() == [["ann", "tea", 4.0, 1577872800, "buy"],
                                                    ["bob", "007", 2.5, 1577872800, "look"]]
    assert dataset.items.columns.tolist() == ["item", "title", "year", "genres"]
    assert dataset.items.title.tolist() == ["007", "tea"]
    assert dataset.users.user.tolist() == ["ann", "bob"]


def test_own_table_with_users_and_items_only(tmp_path: Path) -> None:
    dataset = load_interactions(own(tmp_path, "item,user\n5,1\n7,1\n"))
    assert dataset.interactions.values.tolist() == [[1, 5, 1, 0], [1, 7, 1, 0]]
    assert [str(kind) for kind in dataset.interactions.dtypes] == ["int64", "int64", "float32", "int64"]
    assert not dataset.has_times


def test_ids_stay_as_they_are_written(tmp_path: Path) -> None:
    text = "user,item\n1,NA\n1,7\n2,007\n2,Café\n"
    for encoding in ("utf-8", "utf-8-sig", "latin-1"):
        dataset = load_interactions(own(tmp_path, text, encoding))
        assert dataset.interactions.item.tolist() == ["NA", "7", "007", "Café"]
        assert dataset.interactions.user.tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize("moments", [("1577872800", "1577872860"), ("1577872800.25", "1577872860.5"),
                                     ("2020-01-01T10:00:00", "2020-01-01 10:01"), ("2020-01-01T11:00+01:00",
                                                                                  "2020-01-01T10:01:00.5Z")])
def test_times_in_seconds_or_iso(tmp_path: Path, moments: tuple[str, str]) -> None:
    file = own(tmp_path, f"user,item,time\n1,1,{moments[0]}\n1,2,{moments[1]}\n")
    assert load_interactions(file, time="time").interactions.time.tolist() == [1577872800, 1577872860]


OWN_FAULTS = [
    ("u1,,3,1577872800", "item", "'' is no id"),
    (",i,3,1577872800", "user", "'' is no id"),
    ("u1,i,many,1577872800", "value", "'many' is not a number"),
    ("u1,i,,1577872800", "value", "'' is not a number"),
    ("u1,i,11,1577872800", "value", "'11' is not within 0 to 10"),
    ("u1,i,3,yesterday", "time", "'yesterday' is not a number of seconds since 1970, but other lines have one"),
    ("u1,i,3,1577872800000", "time", "'1577872800000' looks like milliseconds"),
    ("u1,i,3,inf", "time", "'inf' is not a number of seconds"),
    ("u1,i,3,-1", "time", "'-1' is negative"),
]


@pytest.mark.parametrize("line, column, problem", OWN_FAULTS)
def test_a_fault_in_an_own_table_is_named(tmp_path: Path, line: str, column: str, problem: str) -> None:
    text = f'user,item,value,time,note\nu0,i,3,1577872800,"two\nlines"\n{line},x\nu9,i,3,1577872800,y\n'
    got = message(load_interactions, own(tmp_path, text), value="value", time="time", limits=(0, 10))
    says(got, "log.csv", "line 4,", f"column {column!r}", problem)


def test_a_bad_date_among_dates(tmp_path: Path) -> None:
    file = own(tmp_path, "user,item,time\n1,1,2020-01-01\n1,2,2020-13-01\n")
    says(message(load_interactions, file, time="time"), "line 3, column 'time': '2020-13-01'", "ISO date")


def test_duplicates_of_an_own_table(tmp_path: Path) -> None:
    text = "user,item,time,value\n1,1,1577872860,5\n1,2,1577872800,4\n1,1,1577872800,3\n1,2,1577872800,2\n"
    file, named = own(tmp_path, text), {"time": "time", "value": "value"}
    says(message(load_interactions, file, **named), "line 4", "repeats line 2", "duplicates='last'", "'keep'")
    assert load_interactions(file, **named, duplicates="last").interactions.value.tolist() == [5, 2]
    assert load_interactions(file, **named, duplicates="keep").interactions.value.tolist() == [5, 4, 3, 2]
    with pytest.raises(ValueError, match="choose 'error', 'last' or 'keep'"):
        load_interactions(file, duplicates="first")


def test_a_behaviour_log_may_repeat_user_and_item(tmp_path: Path) -> None:
    head = "user,item,time,did\n1,1,1577872800,look\n1,1,1577872860,look\n1,1,1577872860,buy\n"
    columns = {"time": "time", "behaviour": "did"}
    assert len(load_interactions(own(tmp_path, head), **columns).interactions) == 3
    text = message(load_interactions, own(tmp_path, head + "1,1,1577872860,buy\n"), **columns)
    says(text, "line 5", "repeats line 4", "did buy")


def test_missing_columns_and_other_separators(tmp_path: Path) -> None:
    file = own(tmp_path, "user;item\n1;2\n")
    says(message(load_interactions, file), "log.csv, line 1: no column 'user', 'item'", "pass sep=';'")
    assert len(load_interactions(file, sep=";").interactions) == 1
    says(message(load_interactions, own(tmp_path, "user,thing\n1,2\n")), "no column 'item'", "'thing'", "rename")


def test_empty_ragged_and_absent_files(tmp_path: Path) -> None:
    says(message(load_interactions, own(tmp_path, "")), "log.csv", "empty")
    says(message(load_interactions, own(tmp_path, "user,item\n")), "not a single row")
    says(message(load_interactions, own(tmp_path, "user,item\n1,2\n1,2,3,4\n")), "log.csv", "line 3", "as many fields")
    says(message(load_interactions, own(tmp_path, "user,item\n1,2,3\n1,2\n")), "line 2: 3 fields below 2 column names")
    says(message(load_interactions, own(tmp_path, "user,item\n1,2\n1\n")), "line 3, column 'item': '' is no id")
    says(message(load_interactions, tmp_path / "none.csv"), "none.csv", "no such file", str(tmp_path))


def test_compressed_own_table(tmp_path: Path) -> None:
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(b"user,item\n1,2\n"))
    assert load_interactions(tmp_path / "log.csv.gz").name == "log"


# --- small parts ------------------------------------------------------------------------------------------------------


def test_the_content_digest_ignores_order_and_sees_every_number() -> None:
    shuffled = EXPECTED.sample(frac=1, random_state=1)
    assert content_sha256(shuffled) == content_sha256(EXPECTED)
    for column in EXPECTED:
        other = EXPECTED.copy()
        other.loc[3, column] += 1
        assert content_sha256(other) != content_sha256(EXPECTED)


def test_rows_of_a_file_are_read_lazily_and_numbered(tmp_path: Path) -> None:
    layout = Layout(TextFile(own(tmp_path, "a::b\n\nc::d::e\n")), "::", ("x", "y"))
    assert list(layout.rows()) == [(1, ["a", "b"]), (3, ["c", "d", "e"])]
    assert layout.columns() == ["x", "y"]


def test_films_of_the_hand_written_editions_cover_the_ratings() -> None:
    assert {item for _, item, *_ in RATINGS} < {item for item, *_ in FILMS}
    assert np.isin([value for *_, value, _ in RATINGS], np.arange(1, 6)).all()

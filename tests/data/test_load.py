"""Every layout of MovieLens, and messages that say which line to mend."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from editions_by_hand import (
    FILMS,
    LAYOUTS,
    RATINGS,
    RATINGS_FILE,
    csv_layout,
    folder_of,
    lines,
    message,
    says,
    tab_layout,
    zip_of,
)
from xrec_utils.data.fetch import content_sha256
from xrec_utils.data.load import load_movielens
from xrec_utils.data.tables import Layout, _first_fault
from xrec_utils.data.textfile import TextFile

EXPECTED = pd.DataFrame(RATINGS, columns=["user", "item", "value", "time"])
layouts = pytest.mark.parametrize("layout", LAYOUTS)


# --- editions
# ---------------------------------------------------------------------------------------------------------


@layouts
@pytest.mark.parametrize("write", [folder_of, zip_of])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_every_layout_gives_the_same_tables(
    tmp_path: Path, layout: str, write, encoding: str
) -> None:
    place = write(
        tmp_path / ("ml-try.zip" if write is zip_of else "ml-try"),
        LAYOUTS[layout](),
        encoding,
    )
    dataset = load_movielens(place)
    assert dataset.name == "ml-try"
    pd.testing.assert_frame_equal(dataset.interactions, EXPECTED, check_dtype=False)
    assert [str(kind) for kind in dataset.interactions.dtypes] == [
        "int32",
        "int32",
        "float32",
        "int64",
    ]
    films = dataset.items.set_index("item")
    assert films.title.tolist() == [
        "Léon: The Professional",
        'Say "Yes", Please',
        "Big Bang, The",
        "film 40",
    ]
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
        needed = {
            name: text
            for name, text in files().items()
            if name.split(".")[0] not in ("links", "tags", "users") and name != "u.user"
        }
        dataset = load_movielens(folder_of(tmp_path / layout, needed))
        assert dataset.users.columns.tolist() == ["user"]
        assert dataset.tags is None


def test_a_folder_within_the_folder_and_a_path_as_text(tmp_path: Path) -> None:
    folder_of(tmp_path / "download" / "ml-25m", csv_layout())
    assert len(load_movielens(str(tmp_path / "download")).interactions) == 6


@pytest.mark.parametrize(
    "suffix, module", [(".bz2", bz2), (".gz", gzip), (".xz", lzma)]
)
def test_files_of_a_folder_may_be_compressed(
    tmp_path: Path, suffix: str, module
) -> None:
    tmp_path.joinpath("ml").mkdir()
    for name, text in csv_layout().items():
        tmp_path.joinpath("ml", name + suffix).write_bytes(
            module.compress(text.encode())
        )
    pd.testing.assert_frame_equal(
        load_movielens(tmp_path / "ml").interactions, EXPECTED, check_dtype=False
    )


def test_windows_line_ends_byte_order_mark_and_blank_lines(tmp_path: Path) -> None:
    files = csv_layout()
    files["ratings.csv"] = (
        "\ufeff" + files["ratings.csv"].replace("\n", "\r\n") + "\r\n"
    )
    pd.testing.assert_frame_equal(
        load_movielens(folder_of(tmp_path / "ml", files)).interactions,
        EXPECTED,
        check_dtype=False,
    )


def test_a_rated_film_without_a_row_gets_one(tmp_path: Path) -> None:
    files = csv_layout() | {
        "movies.csv": "movieId,title,genres\n10,Heat (1995),Crime\n"
    }
    items = load_movielens(folder_of(tmp_path / "ml", files)).items
    assert items[["item", "title"]].values.tolist() == [
        [10, "Heat"],
        [20, "film 20"],
        [30, "film 30"],
    ]


def test_the_bundled_set_has_the_published_figures() -> None:
    dataset = load_movielens()
    events = dataset.interactions
    assert (len(events), events.user.nunique(), events.item.nunique()) == (
        100_004,
        671,
        9_066,
    )
    assert (len(dataset.items), len(dataset.users)) == (9_066, 671)
    assert dataset.items.year.isna().sum() == 5
    assert pd.to_datetime(events.time.agg(["min", "max"]), unit="s").dt.strftime(
        "%Y-%m-%d"
    ).tolist() == ["1995-01-09", "2016-10-16"]
    assert dataset.items.set_index("item").loc[1].tolist() == [
        "Toy Story",
        1995,
        "Adventure|Animation|Children|Comedy|Fantasy",
    ]


# --- faults in an edition
# ---------------------------------------------------------------------------------------------


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
    (3, "4000000000", "lies in the future"),
    (3, "9_00000000", "'9_00000000' is not a whole number"),
    (3, "2001-01-01", "'2001-01-01' is not a whole number"),
]


@layouts
@pytest.mark.parametrize("place, value, problem", FAULTS)
def test_a_bad_field_is_named_by_line_and_column(
    tmp_path: Path, layout: str, place: int, value: str, problem: str
) -> None:
    column = {
        "csv": ("userId", "movieId", "rating", "timestamp"),
        "dat": ("UserID", "MovieID", "Rating", "Timestamp"),
        "tab": ("user id", "item id", "rating", "timestamp"),
    }[layout][place]
    text = message(
        load_movielens, spoiled(tmp_path, layout, 5, with_field(layout, place, value))
    )
    says(text, RATINGS_FILE[layout], "line 5,", f"column {column!r}", problem)


@layouts
def test_a_short_line_is_named(tmp_path: Path, layout: str) -> None:
    sep = {"csv": ",", "dat": "::", "tab": "\t"}[layout]
    text = message(
        load_movielens, spoiled(tmp_path, layout, 4, lambda row: row.rpartition(sep)[0])
    )
    says(text, RATINGS_FILE[layout], "line 4,", "imestamp", "'' is not a whole number")


@layouts
def test_a_duplicate_names_both_lines(tmp_path: Path, layout: str) -> None:
    start = 2 if layout == "csv" else 1
    text = message(
        load_movielens,
        spoiled(tmp_path, layout, start + 1, with_field(layout, 1, "10")),
    )
    says(
        text,
        RATINGS_FILE[layout],
        f"line {start + 1},",
        f"repeats line {start}:",
        " 1,",
        " 10 is there twice",
    )


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    files = csv_layout()
    files["ratings.csv"] = (
        files["ratings.csv"].replace("\n2,10", "\n\n\n2,10").replace("2.0,", "9.0,")
    )
    says(message(load_movielens, folder_of(tmp_path / "ml", files)), "line 8,", "'9.0'")


@layouts
def test_an_empty_ratings_file(tmp_path: Path, layout: str) -> None:
    files = LAYOUTS[layout]() | {RATINGS_FILE[layout]: ""}
    says(
        message(load_movielens, folder_of(tmp_path / "ml", files)),
        RATINGS_FILE[layout],
        "empty",
        "get it again",
    )


def test_a_header_and_nothing_else(tmp_path: Path) -> None:
    files = csv_layout() | {"ratings.csv": "userId,movieId,rating,timestamp\n"}
    says(
        message(load_movielens, folder_of(tmp_path / "ml", files)),
        "ratings.csv",
        "not a single row",
    )


def test_a_missing_column(tmp_path: Path) -> None:
    files = csv_layout()
    files["ratings.csv"] = files["ratings.csv"].replace("rating,", "stars,")
    text = message(load_movielens, folder_of(tmp_path / "ml", files))
    says(text, "ratings.csv, line 1", "no column 'rating'", "'stars'")


@pytest.mark.parametrize(
    "layout, name", [("csv", "movies.csv"), ("dat", "movies.dat"), ("tab", "u.item")]
)
def test_a_missing_film_table(tmp_path: Path, layout: str, name: str) -> None:
    files = {key: text for key, text in LAYOUTS[layout]().items() if key != name}
    says(
        message(load_movielens, folder_of(tmp_path / "ml", files)),
        str(tmp_path),
        f"{name} is missing",
        "again",
    )


def test_faults_in_the_small_tables(tmp_path: Path) -> None:
    files = csv_layout() | {
        "tags.csv": "userId,movieId,tag,timestamp\n1,10,fun,900000100\n1,ten,fun,900000100\n"
    }
    says(
        message(load_movielens, folder_of(tmp_path / "a", files)),
        "tags.csv, line 3, column 'movieId': 'ten'",
    )
    files = tab_layout()
    files["u.item"] = files["u.item"].replace("|01-Jan-1995||http://x", "", 1)
    says(
        message(load_movielens, folder_of(tmp_path / "b", files)),
        "u.item, line 1: 21 fields instead of 24",
    )
    files = csv_layout() | {"movies.csv": "movieId,title,genres\n10,Heat (1995)\n"}
    says(
        message(load_movielens, folder_of(tmp_path / "c", files)),
        "movies.csv, line 2: 2 fields instead of 3",
    )


def test_a_file_in_two_encodings_is_refused(tmp_path: Path) -> None:
    """Files joined on Windows hold both; which letters are meant cannot be known."""
    folder = folder_of(tmp_path / "ml", csv_layout())
    latin, head = "10,Café,\n".encode("latin-1"), b"movieId,title,genres\n"
    for films, line in (
        (b"\xef\xbb\xbf" + head + latin, 2),
        (head + "20,Thé,\n".encode() + latin, 3),
    ):
        (folder / "movies.csv").write_bytes(films)
        says(
            message(load_movielens, folder),
            f"movies.csv, line {line}: is not UTF-8",
            "save the file as UTF-8",
        )


@layouts
@pytest.mark.parametrize("kept", [0, 40, 0.5, -30])
def test_a_truncated_zip(tmp_path: Path, layout: str, kept: float) -> None:
    whole = zip_of(tmp_path / "ml.zip", LAYOUTS[layout]()).read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(
        whole[: int(len(whole) * kept) if isinstance(kept, float) else kept]
    )
    says(
        message(load_movielens, cut),
        "cut.zip",
        "not a whole zip archive",
        "download it again",
    )


def test_a_zip_whose_content_has_changed(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "ml.zip", csv_layout(), compression=zipfile.ZIP_STORED)
    archive.write_bytes(archive.read_bytes().replace(b"1,20,3.0,", b"1,20,4.0,"))
    says(
        message(load_movielens, archive),
        "ml.zip: ml/ratings.csv",
        "damaged or cut short",
        "get the file again",
    )


@pytest.mark.parametrize(
    "suffix, module", [(".bz2", bz2), (".gz", gzip), (".xz", lzma)]
)
def test_a_truncated_compressed_file(tmp_path: Path, suffix: str, module) -> None:
    folder = folder_of(tmp_path / "ml", {"movies.csv": csv_layout()["movies.csv"]})
    (folder / f"ratings.csv{suffix}").write_bytes(
        module.compress(csv_layout()["ratings.csv"].encode())[:-12]
    )
    says(
        message(load_movielens, folder),
        f"ratings.csv{suffix}",
        "damaged or cut short",
        "get the file again",
    )


def test_damage_far_below_the_first_lines(tmp_path: Path) -> None:
    pairs = [(user, item) for user in range(300) for item in range(90)]
    rows = [
        f"{user},{item},{1 + user * item % 5},{900_000_000 + user * item}"
        for user, item in pairs
    ]
    text = lines(["userId,movieId,rating,timestamp", *rows])
    folder = folder_of(tmp_path / "ml", {"movies.csv": csv_layout()["movies.csv"]})
    (folder / "ratings.csv.gz").write_bytes(gzip.compress(text.encode())[:-2000])
    says(message(load_movielens, folder), "ratings.csv.gz", "damaged or cut short")


def test_what_only_pandas_refuses_is_passed_on(tmp_path: Path) -> None:
    layout = Layout(TextFile(folder_of(tmp_path, {"a.csv": "a\n1\n"}) / "a.csv"))
    fault = _first_fault(layout, ["a"], {"a": "int32"}, ValueError("its own words"))
    says(str(fault), "a.csv: its own words; get the file again")


def test_a_folder_or_file_that_is_no_edition(tmp_path: Path) -> None:
    says(
        message(load_movielens, folder_of(tmp_path / "x", {"notes.txt": "a"})),
        "none of ratings.csv",
        "notes.txt",
        "load_interactions",
    )
    says(message(load_movielens, folder_of(tmp_path / "y", {})), "found: nothing")
    says(
        message(load_movielens, tmp_path / "x" / "notes.txt"),
        "not a whole zip",
        "load_interactions",
    )


def test_names_and_paths_that_are_not_there(tmp_path: Path) -> None:
    says(
        message(load_movielens, "ml-100"),
        "unknown data set 'ml-100'; did you mean 'ml-100k'?",
        "movielens-small",
    )
    says(message(load_movielens, "zzz"), "unknown data set 'zzz'.", "Known names:")
    for place in (tmp_path / "nothing", str(tmp_path / "nothing"), "ml-25m.zip"):
        says(
            message(load_movielens, place),
            "no such file or folder",
            str(Path(place).absolute()),
        )


def test_an_unreadable_file_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_):
        raise PermissionError("no")

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("xrec_utils.data.textfile.OPENERS", {})
    with pytest.raises(PermissionError), TextFile(tmp_path / "f").open():
        pass


# --- small parts
# ------------------------------------------------------------------------------------------------------


def test_the_content_digest_ignores_order_and_sees_every_number() -> None:
    shuffled = EXPECTED.sample(frac=1, random_state=1)
    assert content_sha256(shuffled) == content_sha256(EXPECTED)
    for column in EXPECTED:
        other = EXPECTED.copy()
        other.loc[3, column] += 1
        assert content_sha256(other) != content_sha256(EXPECTED)


def test_rows_of_a_file_are_read_lazily_and_numbered(tmp_path: Path) -> None:
    layout = Layout(
        TextFile(folder_of(tmp_path, {"a.dat": "a::b\n\nc::d::e\n"}) / "a.dat"),
        "::",
        ("x", "y"),
    )
    assert list(layout.rows()) == [(1, ["a", "b"]), (3, ["c", "d", "e"])]
    assert layout.columns() == ["x", "y"]


def test_films_of_the_hand_written_editions_cover_the_ratings() -> None:
    assert {item for _, item, *_ in RATINGS} < {item for item, *_ in FILMS}
    assert np.isin([value for *_, value, _ in RATINGS], np.arange(1, 6)).all()

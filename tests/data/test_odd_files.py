"""Files as people have them: stray quotation marks, other line ends and encodings,
archives, no header, words for nothing. Each is read as it is meant, or refused by line.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from editions_by_hand import csv_layout, folder_of, message, says, zip_of
from xrec_utils.data.load import load_interactions, load_movielens

PAIRS = [[1, 2], [1, 3]]
PLAIN = "user,item\n1,2\n1,3\n"


def own(tmp_path: Path, content: str | bytes, name: str = "log.csv") -> Path:
    """A file of that content."""
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def pairs(path: Path, **named: object) -> list[list]:
    """User and item of each event of a table."""
    events = load_interactions(path, **named).interactions
    return [list(pair) for pair in zip(events["user"], events["item"], strict=True)]


# --- quotation marks


def test_between_tabs_a_quotation_mark_is_a_letter(tmp_path: Path) -> None:
    text = (
        'user\titem\ttitle\n1\tA\tx\n2\tB\t"Nameless\n3\tC\tx\n4\tD\t"Nobody\n5\tE\tx\n'
    )
    wanted = [[1, "A"], [2, "B"], [3, "C"], [4, "D"], [5, "E"]]
    assert pairs(own(tmp_path, text), sep="\t") == wanted
    assert pairs(own(tmp_path, text.replace("\t", "::")), sep="::") == wanted


def test_between_tabs_they_count_where_the_header_has_them(tmp_path: Path) -> None:
    text = '"user"\t"item"\t"title"\n"1"\t"2"\t"a\tb"\n"1"\t"3"\t"c"\n'
    assert pairs(own(tmp_path, text), sep="\t") == PAIRS


@pytest.mark.parametrize(
    "rows, line",
    [
        # closed by a mark of another row, which is closed well, or not, or never
        ('1,2,3,"So\n2,3,4,x\n3,4,5,So"\n', 2),
        ('0,9,3,x\n1,2,3,"So\n2,3,4,So"\n', 3),
        ('1,2,3,"So\n2,3,4,x\n3,4,5,"So\n', 2),
        ('1,2,3,"So\n2,3,4,x\n', 2),
        ('1,2,3,"So" long\n', 2),
    ],
)
def test_a_stray_mark_never_swallows_rows(tmp_path: Path, rows: str, line: int) -> None:
    path = own(tmp_path, "user,item,stars,title\n" + rows + "7,8,1,end\n")
    says(
        message(load_interactions, path, value="stars"),
        f"log.csv, line {line}: ",
        "look in log.csv for a quotation mark",
    )


def test_a_text_of_several_lines_is_no_stray_mark(tmp_path: Path) -> None:
    text = (
        'user,item,note\n1,2,"Good, really,\nI said, it, well\n"\n1,3,"say ""yes"""\n'
    )
    assert pairs(own(tmp_path, text)) == PAIRS


def test_a_stray_mark_in_a_table_of_an_edition(tmp_path: Path) -> None:
    films = 'movieId,title,genres\n10,A,Drama\n20,"B,Drama\n30,C,Drama\n40,D",Drama\n'
    folder = folder_of(tmp_path / "a", csv_layout() | {"movies.csv": films})
    says(message(load_movielens, folder), "movies.csv, line 3: ", "quotation mark")
    ratings = csv_layout()["ratings.csv"].splitlines()
    noted = [ratings[0] + ",note", ratings[1] + ',"so', ratings[2] + ',so"']
    folder = folder_of(
        tmp_path / "b", csv_layout() | {"ratings.csv": "\n".join(noted) + "\n"}
    )
    says(message(load_movielens, folder), "ratings.csv, line 2: ", "quotation mark")


# --- line ends and separators


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
@pytest.mark.parametrize("sep", [",", "\t", "::"])
def test_lines_may_end_as_they_like(tmp_path: Path, end: str, sep: str) -> None:
    text = PLAIN.replace("\n", end, 2).replace(",", sep)
    assert pairs(own(tmp_path, text), sep=sep) == PAIRS
    says(
        message(load_interactions, own(tmp_path, text + f"1{sep}{end}"), sep=sep),
        "line 4, column 'item': ''",
    )


def test_a_long_separator_is_read_across_blocks(tmp_path: Path) -> None:
    lines = [f"{n}::{n}:7::2020-01-01T10:00:00Z" for n in range(40_000)]
    path = own(tmp_path, "user::item::time\n" + "\n".join(lines))
    events = load_interactions(path, sep="::", time="time").interactions
    assert events["item"].tolist() == [f"{n}:7" for n in range(40_000)]
    assert set(events["time"]) == {1577872800}


def test_a_row_too_long_is_named_wherever_it_stands(tmp_path: Path) -> None:
    for layout, rows in (
        ("user,item\n", "1,2,3\n1,2\n"),
        ("user,item\n", "1,2\n1,2,3\n"),
    ):
        line = 2 if rows.startswith("1,2,3") else 3
        says(
            message(load_interactions, own(tmp_path, layout + rows)),
            f"log.csv, line {line}: 3 fields instead of 2",
        )
    files = csv_layout()
    files["ratings.csv"] = files["ratings.csv"].replace("1,20,3.0,", "1,20,3,0,")
    says(
        message(load_movielens, folder_of(tmp_path / "ml", files)),
        "ratings.csv, line 3: 5 fields instead of 4",
    )


def test_a_separator_or_column_that_cannot_be_meant(tmp_path: Path) -> None:
    path = own(tmp_path, PLAIN)
    for named in ({"sep": ""}, {"item": "user"}, {"value": "item"}):
        with pytest.raises(ValueError, match=r"sep=.*a column of its own"):
            load_interactions(path, **named)
    path = own(tmp_path, "user,item,user\n1,2,3\n")
    says(message(load_interactions, path), "no column 'user', or more than one")


# --- encodings


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_the_encoding_is_found(tmp_path: Path, encoding: str) -> None:
    text = "user,item\n1,café\n2,thé\n"
    path = own(tmp_path, text.encode(encoding))
    assert pairs(path) == [[1, "café"], [2, "thé"]]


@pytest.mark.parametrize(
    "content, line",
    [
        (b"\xef\xbb\xbfuser,item\n1,caf\xe9\n", 2),
        (b"\xef\xbb\xbfuser,item,\xe9\n1,2,3\n", 1),
        (b"user,item\n1,th\xc3\xa9\n2,caf\xe9\n", 3),
        (b"user,item\n1,2\n1,\x81\n", 3),
        (b"user,item\n1,2\n\0\0\0\0", 3),
        ("user,item\n1,2\n".encode("utf-16-le"), 3),
        (gzip.compress(PLAIN.encode(), mtime=0), 1),
    ],
)
def test_what_no_encoding_fits_is_refused(
    tmp_path: Path, content: bytes, line: int
) -> None:
    says(
        message(load_interactions, own(tmp_path, content)),
        f"log.csv, line {line}: is not UTF-8",
        "save the file as UTF-8",
    )


def test_utf_16_that_is_cut_short(tmp_path: Path) -> None:
    says(
        message(load_interactions, own(tmp_path, PLAIN.encode("utf-16")[:-1])),
        "log.csv: damaged or cut short",
    )


# --- archives


def test_suffixes_in_capitals(tmp_path: Path) -> None:
    content = gzip.compress(PLAIN.encode())
    assert pairs(own(tmp_path, content, "LOG.CSV.GZ")) == PAIRS
    folder = folder_of(tmp_path / "ml", {})
    for name, text in csv_layout().items():
        (folder / f"{name.upper()}.GZ").write_bytes(gzip.compress(text.encode()))
    assert len(load_movielens(folder).interactions) == 6


def test_a_zip_with_one_table_is_read(tmp_path: Path) -> None:
    assert pairs(zip_of(tmp_path / "a.ZIP", {"log.csv": PLAIN})) == PAIRS
    assert pairs(zip_of(tmp_path / "log.csv", {"log.csv": PLAIN})) == PAIRS


def test_other_archives_are_refused_by_name(tmp_path: Path) -> None:
    two = zip_of(tmp_path / "two.zip", {"a.csv": PLAIN, "b.csv": PLAIN})
    says(
        message(load_interactions, two),
        "two.zip is a zip archive",
        "of 2 files (two/a.csv, two/b.csv)",
        "unpack it",
    )
    cut = own(tmp_path, two.read_bytes()[:-30], "cut.zip")
    says(message(load_interactions, cut), "cut.zip: not a whole zip archive")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("log.csv")
        entry.size = len(PLAIN)
        archive.addfile(entry, io.BytesIO(PLAIN.encode()))
    tar = own(tmp_path, packed.getvalue(), "log.tar.gz")
    says(message(load_interactions, tar), "log.tar.gz", "unpack it first")
    says(message(load_interactions, tmp_path), "a folder", "call load_movielens")


def test_a_locked_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object) -> None:
        raise RuntimeError("File 'log.csv' is encrypted, password required")

    path = zip_of(tmp_path / "log.zip", {"log.csv": PLAIN})
    monkeypatch.setattr(zipfile.ZipFile, "open", locked)
    says(message(load_interactions, path), "log.zip: log/log.csv", "is encrypted")


# --- headers, ids, times, ratings


@pytest.mark.parametrize("sep", [",", "::"])
def test_without_a_header_the_message_says_so(tmp_path: Path, sep: str) -> None:
    says(
        message(load_interactions, own(tmp_path, f"U-A{sep}0132{sep}5.0\n"), sep=sep),
        "line 1: no column 'user', 'item'",
        f"if the first line is a row already, write a header above it: user{sep}item",
    )


@pytest.mark.parametrize(
    "word", ["NA", "nan", "NULL", "None", "N/A", "#N/A", "\\N", " "]
)
@pytest.mark.parametrize("column", ["user", "item", "did"])
def test_a_word_for_nothing_is_no_id(tmp_path: Path, word: str, column: str) -> None:
    row = {"user": "1", "item": "2", "did": "buy"} | {column: word}
    path = own(tmp_path, f"user,item,did\n3,4,look\n{','.join(row.values())}\n")
    says(
        message(load_interactions, path, behaviour="did"),
        f"line 3, column {column!r}: {word!r} is no id; fill it in or delete the line",
        "missing=()",
    )


def test_such_words_are_ids_where_one_says_so(tmp_path: Path) -> None:
    path = own(tmp_path, "user,item\nNA,1\nNULL,2\n")
    assert pairs(path, missing=()) == [["NA", 1], ["NULL", 2]]
    says(message(load_interactions, path, missing=("null",)), "line 3", "'NULL'")
    says(
        message(load_interactions, own(tmp_path, "user,item\n1,\n"), missing=()),
        "'' is no id",
    )


@pytest.mark.parametrize(
    "written, seconds",
    [
        ("2019-10-01 00:00:00 UTC", 1569888000),
        ("2019-10-01 00:00:00 gmt", 1569888000),
        ("2019-10-01 00:00:00Z", 1569888000),
        ("2019-10-01 02:00:00 +0200", 1569888000),
        ("2019-09-30 19:00:00-05:00", 1569888000),
    ],
)
def test_zones_behind_a_date(tmp_path: Path, written: str, seconds: int) -> None:
    path = own(tmp_path, f"user,item,time\n1,2,{written}\n")
    assert load_interactions(path, time="time").interactions["time"][0] == seconds


@pytest.mark.parametrize(
    "written, problem",
    [
        ("1", "to numbers that give an order and nothing else add 1000000000"),
        ("20191001", "lies before 1990; times are seconds since 1970, UTC, or dates"),
        ("1569888000000000", "looks like microseconds; divide the column by 1000000"),
        ("1569888000000000000", "looks like nanoseconds"),
        ("9" * 25, "lies in the future"),
        ("2019-10-01 00:00:00 CET", "with Z or an offset such as +02:00"),
        ("03/04/2019", "nor an ISO date"),
        ("now", "nor an ISO date"),
        ("", "nor an ISO date"),
    ],
)
def test_what_is_no_time_says_what_would_be(
    tmp_path: Path, written: str, problem: str
) -> None:
    path = own(tmp_path, f"user,item,time\n1,2,{written}\n")
    says(
        message(load_interactions, path, time="time"), "line 2, column 'time'", problem
    )


def test_values_that_mean_not_rated_are_counted(tmp_path: Path) -> None:
    path = own(tmp_path, "user,item,stars\n1,2,-1\n1,3,8\n2,2,0\n2,3,-1\n")
    says(
        message(load_interactions, path, value="stars", limits=(1, 10)),
        "line 2, column 'stars': '-1' is not within 1 to 10",
        "the first of 3 lines that are not",
        "leave value= out: then each event counts 1",
    )


# --- editions


@pytest.mark.parametrize(
    "name, line",
    [
        ("movies.csv", "10,Heat (1995),Crime"),
        ("links.csv", "10,3,4"),
        ("users.csv", "10,20,F,writer,1"),
    ],
)
def test_a_line_that_is_there_twice_in_a_small_table(
    tmp_path: Path, name: str, line: str
) -> None:
    users = "userId,age,gender,occupation,zip\n10,20,F,writer,1\n"
    files = {"users.csv": users} | csv_layout()
    files[name] += line + "\n"
    last = len(files[name].splitlines())
    says(
        message(load_movielens, folder_of(tmp_path / "ml", files)),
        f"{name}, line {last}, column",
        "repeats line 2",
        "10 is there twice",
        f"delete one of the two lines of {name}",
    )


def test_a_tag_may_be_given_again(tmp_path: Path) -> None:
    files = csv_layout()
    files["tags.csv"] += "1,10,again,900000100\n"
    assert len(load_movielens(folder_of(tmp_path / "ml", files)).tags) == 2


def test_an_id_too_large_in_a_small_table(tmp_path: Path) -> None:
    files = csv_layout()
    files["movies.csv"] += "99999999999,Heat (1995),Crime\n"
    says(
        message(load_movielens, folder_of(tmp_path / "ml", files)),
        "movies.csv, line 6, column 'movieId': '99999999999' is not a whole number",
    )


def test_semicolons_in_an_edition(tmp_path: Path) -> None:
    files = csv_layout()
    files["ratings.csv"] = files["ratings.csv"].replace(",", ";")
    says(
        message(load_movielens, folder_of(tmp_path / "ml", files)),
        "it looks separated by ';'",
        "save the file with ',' instead",
    )


def backup(files: dict[str, str]) -> dict[str, str]:
    """The files, and a folder with other ratings below them, first in the archive."""
    ratings = files["ratings.csv"].replace("5.0", "1.0")
    return {"backup/ratings.csv": ratings, **files, "z/ratings.csv": ratings}


@pytest.mark.parametrize("packed", [True, False])
def test_what_lies_deeper_is_a_backup(tmp_path: Path, packed: bool) -> None:
    files = backup(csv_layout())
    if packed:
        place = zip_of(tmp_path / "ml.zip", files)
    else:
        place = tmp_path / "ml"
        for name in ("backup", "z"):
            (place / name).mkdir(parents=True)
        folder_of(place, files)
    assert load_movielens(place).interactions["value"].max() == 5.0


def test_an_archive_may_begin_its_places_with_a_dot(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "ml.zip", "w") as archive:
        for name, text in csv_layout().items():
            archive.writestr(f"./ml/{name}", text)
    assert len(load_movielens(tmp_path / "ml.zip").interactions) == 6


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "other", ["z/ratings.csv", "ratings.csv.gz", "RATINGS.CSV", "ratings.csv"]
)
def test_of_two_as_near_to_the_top_none_is_chosen(tmp_path: Path, other: str) -> None:
    files = csv_layout()
    if "/" in other:
        files = {f"a/{name}": text for name, text in files.items()}
    with zipfile.ZipFile(tmp_path / "ml.zip", "w") as archive:
        for name, text in [*files.items(), (other, csv_layout()["ratings.csv"])]:
            archive.writestr(name, text)
    says(
        message(load_movielens, tmp_path / "ml.zip"),
        "ml.zip: a table is in it twice",
        other,
        "leave one of each",
    )


@pytest.mark.parametrize("row", ["ann ,7", "\ufeffann,7", "user,item", "ann\u00a0,7"])
def test_ids_that_only_look_like_others_are_refused(tmp_path: Path, row: str) -> None:
    path = own(tmp_path, f"user,item\nann,7\n{row}\n")
    says(message(load_interactions, path), "line 3", "blanks around it")


def test_a_comma_too_many_in_a_table_of_films_is_refused(tmp_path: Path) -> None:
    films = "movieId,title,genres\n1,Toy Story (1995),Comedy, Drama\n"
    place = folder_of(tmp_path / "ml", csv_layout() | {"movies.csv": films})
    says(message(load_movielens, place), "movies.csv, line 2", "quotation marks")

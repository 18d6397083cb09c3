"""Storing outputs: what is written in, what is taken out, what is refused."""

from __future__ import annotations

import datetime
from pathlib import Path

import nbformat
import pytest

from notebooks_by_hand import write
from xrec_tools import course, publish

TODAY = datetime.date(2026, 11, 21)
HEAD = "# Any title\n\nWhy.\n\n**Cost:** not measured yet"
FIRST = course.LESSONS[0]


def published(folder: Path, *sources: str) -> nbformat.NotebookNode:
    path = write(folder / FIRST.file, HEAD, *sources)
    publish.publish(path, TODAY)
    return nbformat.read(path, as_version=4)


def test_a_published_notebook_is_complete_and_stays_the_same(tmp_path: Path) -> None:
    made = published(tmp_path, "print('a', end='')\nprint('b')", "1 + 1")
    assert made.cells[0].source.startswith(f"{FIRST.heading}\n\nWhy.\n\n**Cost:** ")
    assert made.cells[0].source.endswith(" MB on 2 cores (measured 2026-11-21)")
    assert made.cells[-1].source == course.foot(FIRST)
    assert [cell.execution_count for cell in made.cells[1:3]] == [1, 2]
    assert [output.text for output in made.cells[1].outputs] == ["ab\n"]
    assert made.metadata == publish.METADATA and (
        made.nbformat,
        made.nbformat_minor,
    ) == (4, 5)
    first = (tmp_path / FIRST.file).read_text(encoding="utf-8")
    publish.publish(tmp_path / FIRST.file, TODAY)
    second = (tmp_path / FIRST.file).read_text(encoding="utf-8")
    assert [line for line in first.splitlines() if "**Cost:**" not in line] == [
        line for line in second.splitlines() if "**Cost:**" not in line
    ]
    assert first.endswith("}\n") and len(made.cells) == 4


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", "cell 1: ZeroDivisionError"),
        (
            "import sys\nprint('careful', file=sys.stderr)",
            "cell 1 writes to stderr: careful",
        ),
        (
            "import warnings\nwarnings.warn('old')",
            "cell 1 writes to stderr: .*UserWarning: old",
        ),
    ],
)
def test_errors_and_stderr_are_refused(
    source: str, message: str, tmp_path: Path
) -> None:
    path = write(tmp_path / FIRST.file, HEAD, source)
    before = path.read_bytes()
    with pytest.raises(publish.Refused, match=rf"00_start_here\.ipynb: {message}"):
        publish.publish(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_stored_error_that_was_let_through_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / FIRST.file, HEAD, "1 / 0")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].metadata.tags = ["raises-exception"]
    nbformat.write(notebook, path)
    with pytest.raises(publish.Refused, match="stores the error ZeroDivisionError"):
        publish.publish(path)


def test_a_notebook_outside_the_map_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match=r"98_x\.ipynb is not in the map"):
        publish.publish(write(tmp_path / "98_x.ipynb", HEAD))


def test_a_foot_is_replaced_and_metadata_thinned(tmp_path: Path) -> None:
    made = nbformat.read(
        write(tmp_path / "a.ipynb", "# Only a title", "x = 1", "**Previous:** old"),
        as_version=4,
    )
    made.cells[1].metadata = nbformat.from_dict(
        {"tags": ["keep"], "execution": {"iopub.execute_input": "2026"}}
    )
    tidied = publish.tidy(made, FIRST, "**Cost:** 1 s")
    assert [cell.source for cell in tidied.cells] == [
        FIRST.heading,
        "x = 1",
        course.foot(FIRST),
    ]
    assert tidied.cells[1].metadata == {"tags": ["keep"]}
    nbformat.validate(tidied)


def test_ids_follow_content_and_not_place_or_cost(tmp_path: Path) -> None:
    def ids(*sources: str) -> list[str]:
        notebook = nbformat.read(write(tmp_path / "a.ipynb", *sources), as_version=4)
        publish.give_ids(notebook)
        return [cell.id for cell in notebook.cells]

    before, after = (
        ids("**Cost:** 1 s", "x = 1", "x = 1"),
        ids("new = 1", "**Cost:** 2 s", "x = 1", "x = 1"),
    )
    assert after[1:] == before and len(set(after)) == 4


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n", "plain\n"),
        ("10%\r50%\r100%\ndone\n", "100%\ndone\n"),
        ("windows\r\nline\n", "windows\r\nline\n"),
        ("ab\b\bcd\n", "cd\n"),
        ("\bx", "x"),
    ],
)
def test_overwritten_progress_is_dropped(text: str, shown: str) -> None:
    assert publish.as_terminal(text) == shown


def test_pieces_of_a_stream_are_joined_and_empty_ones_dropped() -> None:
    def stream(text: str, name: str = "stdout") -> nbformat.NotebookNode:
        return nbformat.v4.new_output("stream", name=name, text=text)

    picture = nbformat.v4.new_output("display_data", data={"text/plain": "x"})
    pieces = [
        stream("a"),
        stream("b"),
        picture,
        stream("c"),
        stream("d", "other"),
        stream("x\b", "z"),
    ]
    merged = publish.merge_streams(pieces)
    assert [output.get("text", "picture") for output in merged] == [
        "ab",
        "picture",
        "c",
        "d",
    ]


def test_the_cost_rounds_up_seconds() -> None:
    line = publish.cost_line(20.2, 787.0, TODAY)
    assert line == "**Cost:** 21 s and 790 MB on 2 cores (measured 2026-11-21)"


def test_main_tells_written_from_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / FIRST.file, HEAD, "1")
    write(tmp_path / course.LESSONS[1].file, HEAD, "1 / 0")
    assert publish.main([], tmp_path) == 1
    good, bad = capsys.readouterr().out.splitlines()
    assert good.startswith("00_start_here: **Cost:** ")
    assert bad.startswith(
        "NOT WRITTEN 01_data_preparation.ipynb: cell 1: ZeroDivisionError"
    )
    assert publish.main(["00"], tmp_path) == 0

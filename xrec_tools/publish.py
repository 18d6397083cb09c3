"""Re-execute notebooks and store their outputs (`make execute NB=04`).

    python -m xrec_tools.publish [04]

A notebook is written only if its whole run left no error and nothing on stderr. Its
heading and foot come from the course map, its cost line from the measurement; ids,
metadata and stream outputs are made the same on every machine.
"""

import argparse
import copy
import datetime
import hashlib
import math
import re
import sys
from pathlib import Path

import nbformat

from xrec_tools.course import FOOT, Lesson, foot, lesson_of
from xrec_tools.run import chosen, execute
from xrec_utils.files import NOTEBOOKS, replace_text

COST = re.compile(r"^\*\*Cost:\*\*.*$", re.MULTILINE)
METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}
KEPT_METADATA = {"tags", "jupyter"}


class Refused(Exception):
    """A notebook that must not be stored; the message says which cell and why."""


def publish(path: Path, today: datetime.date | None = None) -> str:
    """Run one notebook and write it back in place; returns its cost line.

    Raises:
        KeyError: the course map does not list the notebook.
        Refused: the run failed or left something on stderr; the file is unchanged.
    """
    lesson = lesson_of(path.name)
    notebook = nbformat.read(path, as_version=4)
    run = execute(notebook, path.parent)
    if run.error:
        raise Refused(f"{path.name}: {run.error}")
    refuse_noise(notebook, path.name)
    cost = cost_line(
        run.seconds,
        run.peak_mb,
        today or datetime.date.today(),
    )
    replace_text(
        path,
        nbformat.writes(
            tidy(
                notebook,
                lesson,
                cost,
            )
        )
        + "\n",
    )
    return cost


def cost_line(seconds: float, peak_mb: float, today: datetime.date) -> str:
    """A notebook's cost as its readers see it: seconds rounded up, memory to 10 MB."""
    whole_seconds = math.ceil(seconds)
    tens_of_mb = round(peak_mb, -1)
    return (
        f"**Cost:** {whole_seconds} s and {tens_of_mb:.0f} MB on 2 cores "
        f"(measured {today})"
    )


def refuse_noise(notebook: nbformat.NotebookNode, name: str) -> None:
    """Raise Refused if a cell wrote to stderr or raised."""
    for place, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            where = f"{name}: cell {place}"
            if output.output_type == "error":
                fault = f"{output.ename}: {output.evalue}"
                raise Refused(f"{where} stores the error {fault}")
            if output.get("name") == "stderr":
                raise Refused(f"{where} writes to stderr: {output.text.strip()[:200]}")


def tidy(
    notebook: nbformat.NotebookNode, lesson: Lesson, cost: str
) -> nbformat.NotebookNode:
    """The notebook as it is stored.

    Heading, cost and foot are written in, everything that varies by machine is taken
    out.
    """
    tidied = copy.deepcopy(notebook)
    tidied.metadata = nbformat.from_dict(METADATA)
    # cells have ids since format 4.5
    tidied.nbformat = 4
    tidied.nbformat_minor = 5
    _write_heading(tidied, lesson)
    for cell in tidied.cells:
        if cell.cell_type == "markdown":
            cell.source = COST.sub(cost, cell.source)
    _write_foot(tidied, lesson)
    for cell in tidied.cells:
        cell.metadata = {
            key: value for key, value in cell.metadata.items() if key in KEPT_METADATA
        }
        if cell.cell_type == "code":
            cell.outputs = merge_streams(cell.outputs)
    give_ids(tidied)
    return tidied


def _write_heading(notebook: nbformat.NotebookNode, lesson: Lesson) -> None:
    first = notebook.cells[0]
    _, _, below = first.source.partition("\n")
    first.source = f"{lesson.heading}\n{below}" if below else lesson.heading


def _write_foot(notebook: nbformat.NotebookNode, lesson: Lesson) -> None:
    if not notebook.cells[-1].source.startswith(FOOT):
        notebook.cells.append(nbformat.v4.new_markdown_cell())
    notebook.cells[-1].source = foot(lesson)


def merge_streams(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Join neighbouring pieces of a stream, and keep what a terminal would show.

    Overwritten progress lines go, and so do streams that hold nothing else.
    """
    # nbclient's `coalesce_streams` also joins pieces across a picture, which moves text
    # in front of it, and (0.11) leaves backspaces in
    merged: list[nbformat.NotebookNode] = []
    for output in outputs:
        if (
            output.output_type == "stream"
            and merged
            and merged[-1].get("name") == output.name
        ):
            merged[-1].text += output.text
        else:
            merged.append(output)
    for output in merged:
        if output.output_type == "stream":
            output.text = as_terminal(output.text)
    return [output for output in merged if output.get("text", "shown")]


def as_terminal(text: str) -> str:
    """The text without what a carriage return or a backspace has overwritten."""
    # \r\n is the end of a line, not a return to its start
    text = re.sub(r"[^\n]*\r(?!\n)", "", text)
    # a backspace takes one character, so several in a row take several rounds
    while (shorter := re.sub(r"[^\n\x08]\x08", "", text)) != text:
        text = shorter
    return text.replace("\x08", "")


def give_ids(notebook: nbformat.NotebookNode) -> None:
    """Name each cell by its content, so that ids change only where cells do.

    The measured cost does not count.
    """
    taken: set[str] = set()
    for cell in notebook.cells:
        source = COST.sub("", cell.source)
        content = f"{cell.cell_type}\n{source}"
        # equal cells are numbered
        repeat = 0
        while (name := _short_hash(f"{content}\n{repeat}")) in taken:
            repeat += 1
        taken.add(name)
        cell.id = name


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def main(arguments: list[str] | None = None, folder: Path = NOTEBOOKS) -> int:
    """Publish the notebooks asked for; returns 1 if one was refused, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m xrec_tools.publish", description="Run notebooks, store outputs."
    )
    parser.add_argument(
        "notebooks",
        nargs="*",
        metavar="NB",
        help="numbers such as 04, or paths; all if none",
    )
    refused = 0
    for path in chosen(parser.parse_args(arguments).notebooks, folder):
        try:
            print(f"{path.stem}: {publish(path)}", flush=True)
        except Refused as problem:
            refused += 1
            print(f"NOT WRITTEN {problem}", flush=True)
    return int(refused > 0)


if __name__ == "__main__":
    sys.exit(main())

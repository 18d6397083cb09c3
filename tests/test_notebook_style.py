"""Every notebook as its reader meets it: in order, quiet, short cells, described
pictures, CONTRIBUTING's anatomy.
"""

from __future__ import annotations

import ast
import json
import re
import statistics
from pathlib import Path

import nbformat
import pytest

from xrec_tools import course, exercises, publish
from xrec_utils.exercises import checking
from xrec_utils.files import NOTEBOOKS

FILES = sorted(NOTEBOOKS.glob("*.ipynb"))
ANATOMY = [
    "# ",
    "**You will be able to**",
    "**Before this**",
    "**Cost:**",
    "## Exercises",
    "## What to remember",
    "## Pitfalls",
    "## References",
    course.FOOT,
]
COST = re.compile(
    r"^\*\*Cost:\*\* \d+ s and \d+ MB on 2 cores \(measured \d{4}-\d\d-\d\d\)$",
    re.MULTILINE,
)
FORBIDDEN = {
    "a warning filter": r"filterwarnings|simplefilter|catch_warnings",
    "an installation": r"^\s*[!%]\s*(pip|conda|mamba)\b",
    "an absolute path": r"[\"'](/(home|root|tmp|work|Users|opt|usr)\b|[A-Za-z]:\\\\)",
}
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")

pytestmark = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def prose(path: Path) -> str:
    return "\n\n".join(
        cell.source for cell in read(path).cells if cell.cell_type == "markdown"
    )


def outputs(path: Path) -> list[nbformat.NotebookNode]:
    return [output for cell in code(path) for output in cell.outputs]


def test_executed_once_from_top_to_bottom(path: Path) -> None:
    cells = code(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


def test_quiet(path: Path) -> None:
    assert [
        output.ename for output in outputs(path) if output.output_type == "error"
    ] == []
    assert [
        output.text for output in outputs(path) if output.get("name") == "stderr"
    ] == []


def test_outputs_hold_no_debris(path: Path) -> None:
    texts = [
        output.get("text", "") + output.get("data", {}).get("text/plain", "")
        for output in outputs(path)
    ]
    assert [
        text
        for text in texts
        if re.search(r"[\r\x08\x1b]", text) or ADDRESS.search(text)
    ] == []
    kinds = {kind for output in outputs(path) for kind in output.get("data", {})}
    assert {kind for kind in kinds if "javascript" in kind or "widget" in kind} == set()


def test_length(path: Path) -> None:
    most = 40 if path.name == course.LESSONS[0].file else 45
    assert 25 <= len(read(path).cells) <= most


def test_cells_are_short(path: Path) -> None:
    lengths = sorted(
        sum(bool(line.strip()) for line in cell.source.splitlines())
        for cell in code(path)
    )
    assert statistics.median(lengths) <= 4
    assert lengths[int(0.9 * (len(lengths) - 1))] <= 12
    assert lengths[-1] <= 25


def test_anatomy(path: Path) -> None:
    lines = prose(path).splitlines()
    places = [
        next((n for n, line in enumerate(lines) if line.startswith(part)), None)
        for part in ANATOMY
    ]
    assert [
        part for part, place in zip(ANATOMY, places, strict=True) if place is None
    ] == []
    assert places == sorted(places)


def test_what_the_map_says(path: Path) -> None:
    lesson, cells = course.lesson_of(path.name), read(path).cells
    assert cells[0].source.splitlines()[0] == lesson.heading
    assert cells[-1].source == course.foot(lesson)


def test_promises_three_to_five_abilities(path: Path) -> None:
    below = prose(path).partition("**You will be able to**")[2]
    assert (
        3
        <= len(
            re.match(r"[^\n]*\n+((?:[-*] [^\n]*\n(?:  [^\n]*\n)*)*)", below)[1]
            .strip()
            .split("\n- ")
        )
        <= 5
    )


def test_the_cost_was_measured(path: Path) -> None:
    assert COST.search(prose(path))


def test_references_have_a_doi(path: Path) -> None:
    assert re.search(
        r"doi(\.org/|:)\s?10\.\d{4,}", prose(path).partition("## References")[2]
    )


def test_links_between_notebooks_lead_somewhere(path: Path) -> None:
    links = [
        link.partition("#")[0]
        for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)\s]+)\)", prose(path))
    ]
    assert [link for link in links if link and not (path.parent / link).exists()] == []


def test_pictures_are_described(path: Path) -> None:
    pictures = [
        output for output in outputs(path) if "image/png" in output.get("data", {})
    ]
    described = [
        len(output.metadata.get("image/png", {}).get("alt", "")) >= 20
        for output in pictures
    ]
    assert all(described), (
        f"{described.count(False)} of {len(pictures)} pictures have no alternative text"
    )
    assert not re.search(r"!\[\s*\]\(|<img(?![^>]*\balt=\"[^\"]+\")", prose(path))


def test_small_enough_to_load(path: Path) -> None:
    assert path.stat().st_size <= 1_500_000


def test_nothing_forbidden(path: Path) -> None:
    sources = "\n".join(cell.source for cell in code(path))
    assert [
        name
        for name, pattern in FORBIDDEN.items()
        if re.search(pattern, sources, re.MULTILINE)
    ] == []


def test_exercises(path: Path) -> None:
    found = exercises.written_in(read(path))
    number = course.lesson_of(path.name).number
    assert [exercise.name for exercise in found] == [
        f"{number}.{n}" for n in range(1, len(found) + 1)
    ]
    assert len(found) >= 3
    assert [
        exercise.name
        for exercise in found
        if f"{exercise.name}: not tried yet" not in exercise.output
    ] == []
    for exercise in found:
        checking.exercise_named(exercise.name)
        ast.parse(exercise.solution)


def test_solutions_fill_the_answer_that_is_checked(path: Path) -> None:
    for exercise in exercises.written_in(read(path)):
        asked, filled = (
            assigned(ast.parse(source))
            for source in (exercise.answer, exercise.solution)
        )
        used = {
            node.id
            for node in ast.walk(ast.parse(exercise.check))
            if isinstance(node, ast.Name)
        }
        assert asked & filled & used, (
            f"{exercise.name}: the solution does not fill the name that is checked"
        )


def assigned(tree: ast.Module) -> set[str]:
    """Names a piece of code binds at its top level: variables, functions, classes."""
    names = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    targets = [
        target
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
    ]
    return names | {
        node.id
        for target in targets
        for node in ast.walk(target)
        if isinstance(node, ast.Name)
    }


def test_stored_as_the_publisher_stores_it(path: Path) -> None:
    notebook = read(path)
    cost = publish.COST.search(prose(path))[0]
    assert nbformat.writes(
        publish.tidy(notebook, course.lesson_of(path.name), cost)
    ) == nbformat.writes(notebook)
    assert json.loads(path.read_text(encoding="utf-8"))["nbformat_minor"] == 5

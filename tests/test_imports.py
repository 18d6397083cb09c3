"""The house is easy to see: imports run one way, rooms have faces, nothing is too large."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from xrec_utils.files import ROOT

LIBRARY = ROOT / "xrec_utils"
WORKSHOP = ROOT / "xrec_tools"
FILES = sorted([*LIBRARY.rglob("*.py"), *WORKSHOP.rglob("*.py")])
DOOR = "xrec_utils.__main__"  # hands the reader's commands on, the workshop's too


def name_of(path: Path) -> str:
    """The dotted name of a file: xrec_utils/explain/lime.py is xrec_utils.explain.lime."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


NAMES = {name_of(path) for path in FILES}


def room(name: str) -> str:
    """The room a module belongs to; the workshop is one room, the package itself ''."""
    package, _, rest = name.partition(".")
    return package if package == "xrec_tools" else rest.partition(".")[0]


def table_of_rooms() -> list[str]:
    """The rooms in CONTRIBUTING's table, from the foundation up."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = re.search(r"<!-- rooms: begin -->(.*)<!-- rooms: end -->", text, re.DOTALL)
    return re.findall(r"^\| `(\w+)[^`]*` \|", table[1], re.MULTILINE)


ORDER = table_of_rooms()


def imported(node: ast.AST) -> list[str]:
    """The modules of ours that an import statement may mean, the longest name first."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports relatively: write xrec_utils.…"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def module_of(dotted: str) -> str | None:
    """The module of ours that a dotted name lies in, None for other packages."""
    while dotted and dotted not in NAMES:
        dotted = dotted.rpartition(".")[0]
    return dotted or None


def imports(path: Path) -> set[str]:
    """The modules of ours that a file imports, at its top or inside its functions."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    modules = {module_of(dotted) for node in nodes for dotted in imported(node)}
    return modules - {None, "xrec_utils", name_of(path)}


GRAPH = {name_of(path): imports(path) for path in FILES}


def test_the_table_holds_every_room_once() -> None:
    rooms = {room(name) for name in GRAPH} - {"", "__main__"}
    assert sorted(ORDER) == sorted(rooms)


def test_imports_never_run_upwards() -> None:
    height = {name: level for level, name in enumerate(ORDER)}
    upwards = []
    for name, others in GRAPH.items():
        if name in ("xrec_utils", DOOR):
            continue
        for other in others:
            if height[room(other)] > height[room(name)]:
                upwards.append(f"{name} imports {other}")
    assert upwards == []


def test_there_is_no_circle() -> None:
    left = dict(GRAPH)
    while free := [name for name, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    assert left == {}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_file_is_too_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


APART = {  # counted by themselves, by the beginning of a name; the rest is the library
    "figures": ["plots"],
    # the page of the service and notebook 09 draw decision paths
    "service": ["service", "explain.path"],
    "language": ["language"],
    "language results": [
        "language.prompt_game",
        "language.results",
        "language.weights",
    ],
    "shop": ["shop"],
    "exercises": ["exercises"],
    "workshop": ["xrec_tools"],
}
CEILINGS = {
    "library": 4_000,
    "figures": 1_200,
    "service": 800,
    "language": 850,
    "language results": 400,
    "shop": 900,
    "exercises": 450,
    "workshop": 2_700,
}


def part(path: Path) -> str:
    """The part a file is counted in: that of the longest beginning of its name."""
    name = name_of(path).removeprefix("xrec_utils.")
    fitting = {
        beginning: part
        for part, beginnings in APART.items()
        for beginning in beginnings
        if name.startswith(beginning)
    }
    return fitting[max(fitting, key=len)] if fitting else "library"


def statements(path: Path) -> int:
    """Logical lines of a file: statements, without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    return sum(not is_text(node) for node in nodes)


def is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@pytest.mark.parametrize("name", CEILINGS)
def test_the_package_is_small(name: str) -> None:
    parts = [path for path in FILES if part(path) == name]
    assert sum(map(statements, parts)) <= CEILINGS[name]


LIGHT = [
    "xrec_utils",
    "xrec_utils.games",
    "xrec_utils.judge",
    "xrec_utils.judge.comparisons",
    "xrec_utils.judge.faithfulness",
    "xrec_utils.judge.asking",
    "xrec_utils.metrics",
    "xrec_utils.data",
    "xrec_utils.data.load",
    "xrec_utils.service.schema",
]


@pytest.mark.parametrize("name", LIGHT)
def test_tensorflow_is_not_loaded_by(name: str) -> None:
    code = f"import sys, {name}; print('tensorflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout.strip(), done.stderr) == ("False", "")

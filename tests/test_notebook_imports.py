"""Notebooks take few names, from the package and the faces of its rooms only."""

import ast
import statistics
from pathlib import Path

import nbformat
import pytest

from xrec_utils.files import NOTEBOOKS, ROOT

FILES = sorted(NOTEBOOKS.glob("*.ipynb"))
FACES = {"xrec_utils"} | {
    f"xrec_utils.{path.parent.name}" for path in ROOT.glob("xrec_utils/*/__init__.py")
}


def imports(path: Path) -> list[ast.Import | ast.ImportFrom]:
    """Every import statement in the code cells of a notebook."""
    cells = nbformat.read(path, as_version=4).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    # what begins with % or ! is IPython's, not Python's
    lines = [
        "" if line.startswith(("%", "!")) else line
        for line in "\n".join(code).split("\n")
    ]
    nodes = ast.walk(ast.parse("\n".join(lines)))
    return [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


def names(node: ast.Import | ast.ImportFrom) -> set[str]:
    """What a statement imports, with the module it comes from."""
    module = getattr(node, "module", "")
    return {f"{module}.{alias.name}".lstrip(".") for alias in node.names}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_at_most_eight_imports(path: Path) -> None:
    assert len(imports(path)) <= 8


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_only_faces_are_imported(path: Path) -> None:
    modules = set()
    for node in imports(path):
        from_one = isinstance(node, ast.ImportFrom)
        modules |= {node.module} if from_one else names(node)
    ours = {name for name in modules if name.startswith("xrec_")}
    assert ours <= FACES


def test_most_import_less() -> None:
    assert statistics.median(len(imports(path)) for path in FILES) <= 7


def test_the_names_imported_are_few() -> None:
    imported = {
        name for path in FILES for node in imports(path) for name in names(node)
    }
    assert len({name for name in imported if name.startswith("xrec_utils")}) <= 180

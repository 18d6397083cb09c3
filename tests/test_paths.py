"""What the text of the course names is there: files, and modules that are called."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from xrec_utils.files import ROOT

TEXTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
    *sorted((ROOT / "data").rglob("*.md")),
]
PATH = re.compile(r"\b(?:tests|xrec_utils|xrec_tools|data)/[\w/.-]+\.\w+\b")
MODULE = re.compile(r"python -m (xrec_\w+(?:\.\w+)*)")


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_files_and_modules_named_are_there(text: Path) -> None:
    content = text.read_text(encoding="utf-8")
    # nNN stands for the number of any notebook
    files = {path for path in PATH.findall(content) if "nNN" not in path}
    absent = {path for path in files if not (ROOT / path).exists()}
    modules = set(MODULE.findall(content))
    assert absent | {name for name in modules if find_spec(name) is None} == set()

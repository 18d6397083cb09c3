"""Small notebooks for the tests of the tools."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ANSWER = "answer_1 = ..."
CHECK = 'exercises.check("99.1", answer_1)'


def write(path: Path, *sources: str) -> Path:
    """Write a notebook: a source that begins with "#" and a space, "**" or "<" is
    prose, any other is code.
    """
    prose = ("# ", "## ", "### ", "**", "<")
    cells = [
        new_markdown_cell(each) if each.startswith(prose) else new_code_cell(each)
        for each in sources
    ]
    nbformat.write(new_notebook(cells=cells), path)
    return path


def solution(code: str) -> str:
    """The fourth cell of an exercise."""
    return f"<details><summary>Solution</summary>\n\nBecause.\n\n```python\n{code}\n```\n\n</details>"


def exercise(code: str) -> tuple[str, str, str, str]:
    """The four cells of exercise 99.1, solved by `code`."""
    return "### Exercise 99.1\n\nHow many?", ANSWER, CHECK, solution(code)

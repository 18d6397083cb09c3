"""The exercises of a notebook, read out of its cells."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TITLE = re.compile(r"^### Exercise (\d\d\.\d+)\b")
SOLUTION = re.compile(
    r"<details>\s*<summary>Solution</summary>.*?```python\n(?P<code>.*?)```.*?</details>",
    re.DOTALL,
)


@dataclass(frozen=True)
class Written:
    """An exercise as it stands in a notebook: the sources of its cells and the code of
    its solution.
    """

    name: str
    question: str
    answer: str
    check: str
    solution: str
    output: str


def written_in(notebook: Mapping[str, Any]) -> list[Written]:
    """The exercises of a notebook (nbformat 4), in order.

    Raises:
        ValueError: a question is not followed by its answer, check and solution cells.
    """
    cells = notebook["cells"]
    prose = [
        (place, cell)
        for place, cell in enumerate(cells)
        if cell["cell_type"] == "markdown"
    ]
    titles = [(place, TITLE.match(cell["source"])) for place, cell in prose]
    return [
        _read(title[1], cells[place : place + 4]) for place, title in titles if title
    ]


def _read(name: str, cells: list[Mapping[str, Any]]) -> Written:
    kinds = [cell["cell_type"] for cell in cells]
    if kinds != ["markdown", "code", "code", "markdown"]:
        raise ValueError(
            f"exercise {name}: cells are {kinds}; it needs a question, an answer, a check and a solution"
        )
    question, answer, check_, solution = (cell["source"] for cell in cells)
    code = SOLUTION.search(solution)
    if "..." not in answer:
        raise ValueError(f"exercise {name}: the answer cell has no `...`")
    if f'exercises.check("{name}"' not in check_:
        raise ValueError(
            f'exercise {name}: the third cell does not call exercises.check("{name}", ...)'
        )
    if not code or solution.count("```python") != 1:
        raise ValueError(
            f"exercise {name}: the fourth cell needs <details>, Solution, one ```python block"
        )
    return Written(
        name,
        question,
        answer,
        check_,
        code["code"],
        "".join(each.get("text", "") for each in cells[2].get("outputs", [])),
    )

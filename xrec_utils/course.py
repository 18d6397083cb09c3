"""The map of the course in one place: README's table and the foot of every notebook are made from it.

`python -m xrec_utils.course` rewrites README's table; `make execute` rewrites the notebooks' titles and feet.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from xrec_utils.files import replace_text
from xrec_utils.paths import ROOT

BEGIN, END = "<!-- map: begin (python -m xrec_utils.course) -->", "<!-- map: end -->"
FOOT = "**Previous:**"


@dataclass(frozen=True)
class Lesson:
    """A notebook: number in reading order, file, title, what it teaches, topics covered, reading minutes."""

    number: str
    file: str
    title: str
    line: str
    rows: str
    minutes: int

    @property
    def heading(self) -> str:
        """The first line of the notebook."""
        return f"# {self.number} · {self.title}"

    @property
    def link(self) -> str:
        """A markdown link from another notebook."""
        return f"[{self.number} · {self.title}]({self.file})"


LESSONS = (
    Lesson(
        "00",
        "00_start_here.ipynb",
        "Start here",
        "The whole story in five minutes: data, model, recommendation, reason, is it true? And the map",
        "",
        10,
    ),
    Lesson(
        "01",
        "01_data_preparation.ipynb",
        "Data preparation",
        "Load, check, clean, split and look at ratings, and what these ratings forbid you to claim",
        "1",
        45,
    ),
    Lesson(
        "04",
        "04_mlp_recommenders.ipynb",
        "MLP recommenders",
        "Two-branch MLP, feature MLP and embedding MLP, next to popularity and EASE in one table",
        "5, 6, 7, 30",
        60,
    ),
    Lesson(
        "05",
        "05_attention_recommenders.ipynb",
        "Attention recommenders",
        "Self-attention from the formula in NumPy to a trained sequence recommender",
        "8",
        60,
    ),
    Lesson(
        "09",
        "09_weight_heatmaps.ipynb",
        "Weight heatmaps",
        "Weights, neurons, structure and decision paths: what they show and what they cannot",
        "16, 18, 23",
        60,
    ),
    Lesson(
        "10",
        "10_lime_and_shap.ipynb",
        "LIME and SHAP",
        "Both methods from scratch, then by the libraries; one row, all rows, and a leak they find",
        "17, 19, 20",
        75,
    ),
)


def lesson_of(file: str) -> Lesson:
    """The lesson in a notebook file, found by the file's name.

    Raises:
        KeyError: the map does not list the file.
    """
    for lesson in LESSONS:
        if lesson.file == Path(file).name:
            return lesson
    raise KeyError(f"{Path(file).name} is not in the map of xrec_utils/course.py: add a Lesson for it")


def foot(lesson: Lesson) -> str:
    """The last cell of a notebook: the way back, the map, the way on."""
    place = LESSONS.index(lesson)
    before = LESSONS[place - 1].link if place else "none, this is the first"
    after = LESSONS[place + 1].link if place + 1 < len(LESSONS) else "none yet, this is the last"
    return f"{FOOT} {before} · **Map:** [README](../README.md#the-notebooks) · **Next:** {after}"


def table() -> str:
    """README's table of the notebooks, as markdown."""
    rows = [
        f"| [{lesson.number} · {lesson.title}](notebooks/{lesson.file}) | {lesson.line} | {lesson.minutes} |"
        for lesson in LESSONS
    ]
    return "\n".join(["| Notebook | What you learn | Minutes |", "|---|---|---:|", *rows])


def with_table(readme: str) -> str:
    """README's text with the table between its two marks replaced.

    Raises:
        ValueError: the marks are missing.
    """
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md has lost the marks of its map: put {BEGIN} and {END} back")
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


def main(root: Path = ROOT) -> None:
    """Rewrite README's table."""
    readme = root / "README.md"
    replace_text(readme, with_table(readme.read_text(encoding="utf-8")))
    print("README.md: map rewritten.")


if __name__ == "__main__":
    main()

"""The map of the course in one place: README's table and the foot of every notebook are made from it.

`python -m xrec_utils.course` rewrites README's tables, of the notebooks and of the benchmark; `make execute` rewrites
the notebooks' titles and feet.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from xrec_utils.files import replace_text
from xrec_utils.paths import DATA, ROOT

BEGIN, END = "<!-- map: begin (python -m xrec_utils.course) -->", "<!-- map: end -->"
RESULTS = "<!-- results: begin (python -m xrec_utils.course) -->", "<!-- results: end -->"
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


def results() -> str:
    """README's table of the benchmark, as markdown: NDCG@10 of each model, from data/bench."""
    quality, paired = (_ndcg(DATA / "bench" / f"{name}.csv") for name in ("quality", "paired"))
    protocols = list(dict.fromkeys(row["protocol"] for row in quality))[::-1]
    behind = {(row["protocol"], row["minus"]): row for row in paired}
    rows = []
    for protocol in protocols:
        for row in sorted((r for r in quality if r["protocol"] == protocol), key=lambda r: -float(r["mean"])):
            lead = behind.get((protocol, row["model"]))
            rows.append(f"| {protocol} | {row['model']} | {_interval(row)} | {_interval(lead) if lead else ''} |")
    head = "| Split | Model | NDCG@10 [95% interval] | Lead of attention, paired by user |"
    return "\n".join([head, "|---|---|---|---|", *rows])


def _ndcg(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["metric"] == "ndcg@10"]


def _interval(row: dict[str, str]) -> str:
    return "{:.3f} [{:.3f}, {:.3f}]".format(*(float(row[end]) for end in ("mean", "low", "high")))


def with_tables(readme: str) -> str:
    """README's text with both tables between their marks replaced.

    Raises:
        ValueError: the marks are missing.
    """
    return _between(_between(readme, (BEGIN, END), table()), RESULTS, results())


def _between(readme: str, marks: tuple[str, str], text: str) -> str:
    begin, end = marks
    head, found, rest = readme.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"README.md has lost the marks of a table: put {begin} and {end} back")
    return f"{head}{begin}\n{text}\n{end}{tail}"


def main(root: Path = ROOT) -> None:
    """Rewrite README's tables."""
    readme = root / "README.md"
    replace_text(readme, with_tables(readme.read_text(encoding="utf-8")))
    print("README.md: map and results rewritten.")


if __name__ == "__main__":
    main()

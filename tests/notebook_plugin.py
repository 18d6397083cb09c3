"""What the course adds to nbval: its notebooks run offline, within a memory cap, and
with their exercises solved.

After a notebook's last cell the same kernel runs the solution of each exercise and its
check, which must say "correct"; then the kernel's seconds and peak memory are taken,
and shown in a table at the end.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import nbformat
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

from xrec_tools.exercises import Written, written_in
from xrec_tools.memory import peak_mb

OFFLINE = Path(__file__).resolve().parent / "offline"
ROOT = OFFLINE.parent.parent
COST = "notebook cost"
costs: dict[str, tuple[float, float]] = {}


class CourseNotebook(IPyNbFile):
    """A notebook whose kernel is offline and is measured, and whose exercises are
    solved after its last cell.
    """

    started = 0.0

    def setup(self) -> None:
        paths = [str(OFFLINE), str(ROOT), os.environ.get("PYTHONPATH", "")]
        with mock.patch.dict(
            os.environ, PYTHONPATH=os.pathsep.join(filter(None, paths)), XREC_QUIET="1"
        ):
            self.started = time.perf_counter()
            super().setup()

    def collect(self) -> Iterator[pytest.Item]:
        number = 0
        for number, cell in enumerate(super().collect(), start=1):  # noqa: B007
            yield cell
        for exercise in written_in(self.nb):
            yield self.hidden_cell(
                f"Solution {exercise.name}", number, solved(exercise)
            )
            number += 1
        yield KernelCost.from_parent(self, name="Cost")

    def hidden_cell(self, name: str, number: int, source: str) -> IPyNbCell:
        """A cell that is run and not compared with any stored output."""
        cell = nbformat.v4.new_code_cell(source)
        return IPyNbCell.from_parent(
            self, name=name, cell_num=number, cell=cell, options=defaultdict(bool)
        )


def solved(exercise: Written) -> str:
    """Code that runs an exercise's solution and check, and fails unless the verdict is
    "correct".
    """
    verdict = f'__import__("xrec_utils.exercises.checking", fromlist=["verdicts"]).verdicts["{exercise.name}"]'
    return f"{exercise.solution}\n{exercise.check}\nassert {verdict}.correct, {verdict}.text"


class KernelCost(pytest.Item):
    """The last item of a notebook: takes the kernel's seconds and peak memory, and
    holds it to the cap.
    """

    def runtest(self) -> None:
        seconds = time.perf_counter() - self.parent.started
        peak = peak_mb(self.parent.kernel.km.provisioner.pid)
        self.user_properties.append((COST, (self.path.name, seconds, peak)))
        cap = self.config.option.notebook_cap
        if peak > cap:
            pytest.fail(
                f"the kernel needed {peak:.0f} MB, the cap is {cap:.0f} MB",
                pytrace=False,
            )

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, f"cost of {self.path.name}"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the cap be lowered, for a test of the cap."""
    parser.addoption(
        "--notebook-cap",
        type=float,
        default=1500.0,
        help="peak memory of a notebook's kernel, in MB",
    )


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Iterator[None]:
    """Put a CourseNotebook in the place of each notebook nbval collects."""
    found = yield
    ours = CourseNotebook.from_parent
    return [
        ours(parent, path=file_path) if isinstance(each, IPyNbFile) else each
        for each in found
    ]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Gather the costs, from workers of pytest-xdist as well."""
    for name, value in report.user_properties:
        if name == COST and report.when == "call":
            notebook, seconds, peak = value
            costs[notebook] = (seconds, peak)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of costs."""
    if costs:
        terminalreporter.section("notebooks, with the solutions of their exercises")
        width = max(map(len, costs))
        for notebook, (seconds, peak) in sorted(costs.items()):
            terminalreporter.line(
                f"{notebook:<{width}}  {seconds:5.0f} s  {peak:6.0f} MB"
            )

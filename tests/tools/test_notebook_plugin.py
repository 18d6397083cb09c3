"""The plugin, tried on small notebooks in a pytest of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from notebooks_by_hand import exercise, write

ROOT = Path(__file__).resolve().parents[2]
# a check of its own, so that these notebooks depend on no lesson
REGISTER = """from xrec_utils import exercises
from xrec_utils.exercises.register import exercise, near

@exercise("99.1", hint="count them")
def films(answer):
    return near(answer, 3)"""
CONNECT = "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=1)"
LOOK_UP = "import urllib.request\nurllib.request.urlopen('http://example.org')"
LOCAL = """import socket
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()"""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest prints about five notebooks, one of them faultless."""
    folder = tmp_path_factory.mktemp("small notebooks")
    write(folder / "connects.ipynb", CONNECT)
    write(folder / "looks_up.ipynb", LOOK_UP)
    write(folder / "good.ipynb", REGISTER, LOCAL, *exercise("answer_1 = 3"))
    write(folder / "wrong.ipynb", REGISTER, *exercise("answer_1 = 4"))
    write(
        folder / "hungry.ipynb",
        "import numpy as np\nfilled = np.ones((400, 1000, 125))",
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rA",
        "-p",
        "nbval.plugin",
        "-p",
        "notebook_plugin",
        "-p",
        "no:cacheprovider",
    ]
    command += [
        "--nbval-lax",
        "--nbval-current-env",
        "--notebook-cap=350",
        "-c",
        str(ROOT / "pyproject.toml"),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "tests"),
        # the plugins named above are enough
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    return subprocess.run(
        [*command, str(folder)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    ).stdout


def line(outcome: str, notebook: str, item: str) -> str:
    """The first word on one item in pytest's summary: PASSED or FAILED."""
    return re.search(
        rf"^(\w+) \S*.*{notebook}\.ipynb::{item}(?: - .*)?$", outcome, re.MULTILINE
    )[1]


def test_a_good_notebook_passes_with_its_solution(outcome: str) -> None:
    items = ["Cell 0", "Cell 1", "Cell 2", "Cell 3", "Solution 99.1", "Cost"]
    assert [line(outcome, "good", item) for item in items] == ["PASSED"] * 6


def test_a_wrong_solution_fails_though_its_cells_pass(outcome: str) -> None:
    assert line(outcome, "wrong", "Cell 2") == "PASSED"
    assert line(outcome, "wrong", "Solution 99.1") == "FAILED"
    assert "99.1: not yet. You have 4. Hint: count them" in outcome


def test_connections_are_blocked_with_a_clear_error(outcome: str) -> None:
    assert line(outcome, "connects", "Cell 0") == "FAILED"
    assert line(outcome, "looks_up", "Cell 0") == "FAILED"
    assert "the course runs offline: a connection to 192.0.2.1 was blocked" in outcome
    assert "the course runs offline: a connection to example.org was blocked" in outcome


def test_memory_is_capped(outcome: str) -> None:
    assert line(outcome, "hungry", "Cell 0") == "PASSED"
    assert line(outcome, "hungry", "Cost") == "FAILED"
    assert re.search(r"the kernel needed \d{3} MB, the cap is 350 MB", outcome)


def test_the_costs_are_listed(outcome: str) -> None:
    rows = re.findall(r"^(\w+)\.ipynb +\d+ s +(\d+) MB$", outcome, re.MULTILINE)
    assert {name for name, _ in rows} == {
        "connects",
        "looks_up",
        "good",
        "wrong",
        "hungry",
    }
    assert all(30 < int(peak) < 350 for name, peak in rows if name != "hungry")

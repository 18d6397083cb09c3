"""Tests that need a part are skipped, chosen or failed as tests/conftest.py says, tried
on three small tests in a pytest of their own, with nothing on its PATH.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from xrec_utils.files import ROOT

THREE = """import pytest

def test_free():
    pass

@pytest.mark.needs("curl")
def test_asks():
    raise AssertionError("this test was to be skipped")

@pytest.mark.needs("curl")
@pytest.mark.needs("chromium")
def test_looks():
    raise AssertionError("this test was to be skipped")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "test_three.py").write_text(THREE)
    return tmp_path


def tried(folder: Path, *options: str, **environment: str) -> str:
    """What pytest prints about the tests of a folder."""
    command = [sys.executable, "-m", "pytest", "-p", "conftest"]
    command += ["-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    bare = {name: each for name, each in os.environ.items() if name[:5] != "XREC_"}
    bare |= {"PYTHONPATH": str(ROOT / "tests"), "PATH": ""}
    # to load every plugin there is takes ten times as long as the tests
    bare |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [*command, *options, str(folder)],
        cwd=folder,
        env=bare | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    ).stdout


@pytest.mark.parametrize("options", [(), ("-p", "xdist.plugin", "-n", "2")])
def test_skips_are_counted_with_the_way_out(
    folder: Path, options: tuple[str, ...]
) -> None:
    printed = tried(folder, *options)
    assert "1 passed, 2 skipped" in printed
    for line in (
        "1 test skipped for want of Chromium: apt install chromium adds",
        "1 test skipped for want of curl: apt install curl adds",
    ):
        assert line in printed


def test_where_all_is_required_nothing_is_skipped(folder: Path) -> None:
    printed = tried(folder, "--needs", "chromium,curl", XREC_REQUIRE_ALL="1")
    assert "1 deselected" in printed and "2 errors" in printed
    assert "skipped" not in printed
    assert "chromium not there: apt install chromium" in printed


def test_what_ci_does_not_add_may_be_skipped_there(folder: Path) -> None:
    free = THREE.replace("chromium", "bench").replace('"curl"', '"bench"')
    (folder / "test_three.py").write_text(free)
    printed = tried(folder, XREC_REQUIRE_ALL="1")
    assert "failed" not in printed and "error" not in printed


def test_a_part_that_there_is_not_is_refused(folder: Path) -> None:
    (folder / "test_three.py").write_text(THREE.replace("chromium", "chrome"))
    assert "test_looks needs chrome; the parts are llm, chromium" in tried(folder)

"""The check of the installation: each FAIL can be provoked, names its mend, and a bare
Python can run it.
"""

from __future__ import annotations

import builtins
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from xrec_tools import check
from xrec_utils import files
from xrec_utils.files import ROOT, replace_text


def test_python() -> None:
    assert (
        not check.check_python((3, 11, 0)).mend
        and not check.check_python((3, 13, 2)).mend
    )
    assert check.check_python((3, 10, 9)).mend and check.check_python((3, 14, 0)).mend


@pytest.mark.parametrize(
    ("system", "machine", "libc", "says"),
    [
        ("Linux", "x86_64", "glibc", ""),
        ("Linux", "aarch64", "glibc", ""),
        ("Darwin", "arm64", "", ""),
        ("Windows", "AMD64", "", ""),
        ("Darwin", "x86_64", "", "no TensorFlow for Intel Macs"),
        ("Windows", "ARM64", "", "no TensorFlow for Windows on ARM64"),
        ("Linux", "x86_64", "musl", "without glibc"),
    ],
)
def test_platform(system: str, machine: str, libc: str, says: str) -> None:
    finding = check.check_platform(system, machine, libc)
    assert bool(finding.mend) is bool(says) and says in finding.found


def test_intel_macs_are_shown_the_way_to_binder() -> None:
    assert "Without installing" in check.check_platform("Darwin", "x86_64").mend
    assert "### Without installing" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_memory_and_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check.memory_gb() > 0.5
    assert "close other programs" in check.check_memory(1.0).mend
    assert (
        not check.check_memory(1.95).mend and not check.check_memory(float("nan")).mend
    )
    assert int(check.check_cores().found.split()[0]) >= 1
    monkeypatch.setattr(check.os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert "twice" in check.check_cores().found


def test_memory_of_a_container_is_its_limit(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("2000000000\n")
    assert check._read_limit(limit) == 2_000_000_000
    limit.write_text("max\n")
    assert check._read_limit(limit) is None
    assert check._read_limit(tmp_path / "none") is None


def test_memory_without_sysconf_comes_from_psutil(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    direct = check._machine_memory()
    monkeypatch.delattr(check.os, "sysconf")
    assert check._machine_memory() == pytest.approx(direct, rel=0.01)
    hide(monkeypatch, "psutil")
    assert check._machine_memory() is None


def hide(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Make importing a package fail as if it were not installed."""
    real = builtins.__import__

    def without(name: str, *rest: object, **more: object) -> object:
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)


def test_this_installation_is_fine() -> None:
    found = list(check.check_packages())
    assert [str(finding) for finding in found if finding.mend] == []
    assert {"numpy", "keras", "shap"} <= {finding.subject for finding in found}


def test_a_missing_and_an_outdated_package_fail() -> None:
    assert (
        check.check_package(Requirement("no-such-package>=1")).found
        == "is not installed"
    )
    old = check.check_package(Requirement("numpy<1"))
    assert (
        f"{metadata.version('numpy')} is outside <1" == old.found
        and "make lab" in old.mend
    )


def test_two_tensorflows_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_version", lambda name: "2.21.0")
    assert list(check.check_packages())[-1].found.startswith("installed twice")


def test_nothing_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "packaging")
    (finding,) = check.check_packages()
    assert finding.found == "nothing is installed yet" and "make lab" in finding.mend


def test_the_course_is_found_from_any_folder(tmp_path: Path) -> None:
    assert check.check_course() == check.Finding("xrec_utils", f"in {ROOT}")
    other = check.check_course(tmp_path)
    assert f"in {ROOT}" == other.found and str(tmp_path) in other.mend


def test_a_course_that_is_not_installed_is_told_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python without the course beside it, as conda makes it from packages alone."""
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setattr(check.sys, "executable", str(bare))
    finding = check.check_course()
    assert finding.found.startswith("is not installed") and "make lab" in finding.mend


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A small data folder with its sums."""
    (tmp_path / "set" / "__pycache__").mkdir(parents=True)
    (tmp_path / "set" / "ratings.csv").write_bytes(b"user,item\r\n")
    (tmp_path / "weights.npz").write_bytes(b"123")
    (tmp_path / "set" / "__pycache__" / "x.pyc").write_bytes(b"")
    check.write_sums(tmp_path)
    return tmp_path


def test_sums_cover_every_file_and_hold(data: Path) -> None:
    sums = json.loads((data / check.SUMS).read_text())
    assert list(sums) == ["set/ratings.csv", "weights.npz"]
    assert (
        sums["weights.npz"]
        == "a665a45920422f9d417e4867efdc4fb8a04a1f3fff1fa07e998e86f7f7a27ae3"
    )  # of "123"
    assert all(not finding.mend for finding in check.check_data(data))


def test_a_changed_a_missing_and_a_strange_file_fail(data: Path) -> None:
    (data / "weights.npz").write_bytes(b"124")
    (data / "set" / "ratings.csv").unlink()
    (data / "mine.csv").write_bytes(b"")
    failed = {
        finding.subject: finding.found
        for finding in check.check_data(data)
        if finding.mend
    }
    assert failed == {
        "data/set/ratings.csv": "is missing",
        "data/weights.npz": "has changed",
        "data/mine.csv": "is not listed",
    }


def test_missing_sums_fail(tmp_path: Path) -> None:
    (finding,) = check.check_data(tmp_path)
    assert finding.found == "is missing" and finding.mend


def test_the_shipped_data_is_as_recorded() -> None:
    assert [str(finding) for finding in check.check_data() if finding.mend] == []


def test_the_report_counts_failures_and_shows_mends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert (
        check.report(
            [check.Finding("a", "fine"), check.Finding("b", "broken", "repair it")]
        )
        == 1
    )
    assert capsys.readouterr().out.splitlines() == [
        "OK    a                          fine",
        "FAIL  b                          broken",
        "      -> repair it",
    ]


@pytest.mark.parametrize(
    ("mend", "code", "last"),
    [("", 0, "Everything is in place."), ("x", 1, "1 to mend")],
)
def test_main_exits_by_what_it_found(
    mend: str,
    code: int,
    last: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        check, "findings", lambda platform_only: [check.Finding("a", "found", mend)]
    )
    assert check.main([]) == code
    assert capsys.readouterr().out.splitlines()[-1].startswith(last)


def test_main_writes_sums(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check.write_sums, "__defaults__", (data,))
    monkeypatch.setattr(check.data_files, "__defaults__", (data,))
    (data / "new.csv").write_bytes(b"")
    assert check.main(["--write-sums"]) == 0
    assert "new.csv" in (data / check.SUMS).read_text()
    assert "3 files recorded" in capsys.readouterr().out


def test_findings_are_complete() -> None:
    subjects = [finding.subject for finding in check.findings()]
    assert (
        subjects[:4] == ["Python", "platform", "memory", "cores"]
        and "numpy" in subjects
        and "xrec_utils" in subjects
    )
    assert [finding.subject for finding in check.findings(platform_only=True)] == [
        "Python",
        "platform",
    ]


def test_a_bare_python_runs_the_check() -> None:
    command = [sys.executable, "-S", "-m", "xrec_tools.check"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1 and run.stderr == ""
    assert "FAIL  packages                   nothing is installed yet" in run.stdout


def full(*_: object) -> None:
    raise OSError("disk full")


def test_a_file_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    replace_text(path, "old\n")
    path.chmod(0o755)
    with monkeypatch.context() as broken, pytest.raises(OSError, match="disk full"):
        broken.setattr(files.os, "replace", full)
        replace_text(path, "new")
    assert path.read_text() == "old\n" and list(tmp_path.iterdir()) == [path]
    replace_text(path, "new\r\n")
    assert path.read_bytes() == b"new\r\n" and path.stat().st_mode & 0o777 == 0o755

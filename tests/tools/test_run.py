"""Running notebooks without a window: verdicts, memory, interruption, and nothing left
behind. And starting the lab.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import psutil
import pytest

from notebooks_by_hand import write
from xrec_tools import lab, run
from xrec_utils.files import ROOT
from xrec_utils.processes import end, first_line


def executed(path: Path, folder: Path, **options: float) -> run.Run:
    return run.execute(nbformat.read(path, as_version=4), folder, **options)


def test_a_notebook_runs_in_this_python_and_that_folder(tmp_path: Path) -> None:
    source = "import os, sys, xrec_utils\nprint(sys.executable)\nprint(os.getcwd())\nprint(os.environ['XREC_QUIET'])"
    done = executed(
        write(
            tmp_path / "a.ipynb", "# Title", source, "filled = bytes(50_000_000) + b'1'"
        ),
        tmp_path,
    )
    assert done.verdict == "OK" and done.error == ""
    assert done.notebook.cells[1].outputs[0].text.split("\n")[:3] == [
        sys.executable,
        str(tmp_path),
        "1",
    ]
    assert [cell.execution_count for cell in done.notebook.cells[1:]] == [1, 2]
    assert 80 < done.peak_mb < 1000 and done.seconds > 0


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("1 / 0", "cell 1: ZeroDivisionError: division by zero"),
        ("import time\ntime.sleep(60)", "cell 1: took too long"),
        ("import os\nos._exit(1)", "cell 1: Kernel died"),
    ],
)
def test_a_failure_names_its_cell(source: str, error: str, tmp_path: Path) -> None:
    done = executed(
        write(tmp_path / "a.ipynb", "x = 1", source, "y = 1"), tmp_path, cell_timeout=2
    )
    assert done.verdict.startswith(f"FAILED {error}")
    assert done.notebook.cells[2].execution_count is None


def test_peak_memory_is_the_peak() -> None:
    code = "x = bytearray(b'1') * 200_000_000; del x; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        first_line(process)
        peak, now = (
            run.peak_mb(process.pid),
            psutil.Process(process.pid).memory_info().rss / 1e6,
        )
        process.communicate(b"\n", timeout=30)
    assert 200 < peak < 400
    assert now < 100


def test_peak_memory_without_proc_is_the_current_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run.Path, "exists", lambda self: False)
    now = psutil.Process().memory_info().rss / 1e6
    assert run.peak_mb(os.getpid()) == pytest.approx(now, rel=0.2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three small notebooks, one of which fails."""
    write(tmp_path / "00_good.ipynb", "1 + 1", "open('left.txt', 'w').write('here')")
    write(tmp_path / "04_bad.ipynb", "1 / 0")
    write(tmp_path / "05_good.ipynb", "2")
    return tmp_path


def test_notebooks_are_chosen_by_number_or_path(folder: Path) -> None:
    assert [path.stem for path in run.chosen([], folder)] == [
        "00_good",
        "04_bad",
        "05_good",
    ]
    assert [path.stem for path in run.chosen(["05", "00"], folder)] == [
        "05_good",
        "00_good",
    ]
    assert run.chosen([str(folder / "04_bad.ipynb")], folder / "elsewhere") == [
        folder / "04_bad.ipynb"
    ]
    with pytest.raises(
        SystemExit, match='no notebook "07": there are 00_good, 04_bad, 05_good'
    ):
        run.chosen(["07"], folder)
    with pytest.raises(SystemExit, match="no notebooks in"):
        run.chosen([], folder / "elsewhere")


def test_each_notebook_gets_a_line_and_nothing_changes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert run.run_all(run.chosen(["00", "04"], folder)) == 1
    good, bad = capsys.readouterr().out.splitlines()
    assert good.startswith("00_good ") and good.endswith(" MB  OK")
    assert bad.startswith("04_bad ") and bad.endswith(
        " MB  FAILED cell 0: ZeroDivisionError: division by zero"
    )
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_main_returns_whether_all_ran(folder: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert run.main([str(folder / "05_good.ipynb")]) == 0
    assert run.main([str(folder / "04_bad.ipynb")]) == 1
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.fixture
def heard() -> Iterator[None]:
    """Children started meanwhile hear SIGINT, though pytest itself may have been
    started in the background, where it is ignored and every child inherits that.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_the_kernel_and_changes_nothing(
    kill: signal.Signals, tmp_path: Path
) -> None:
    repository, temporary = tmp_path / "repository", tmp_path / "temporary"
    repository.mkdir()
    temporary.mkdir()
    source = f"""import os, pathlib, time
pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))"""
    path = write(repository / "00_slow.ipynb", source, "time.sleep(100)")
    before = path.read_bytes()
    command = [sys.executable, "-m", "xrec_tools.run", str(path)]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            kernel = wait_for(tmp_path / "pid")
            process.send_signal(kill)
            printed = process.communicate(timeout=30)[0]
        finally:
            end(process)
    assert (
        process.returncode == 130 and "nothing in the repository was changed" in printed
    )
    assert path.read_bytes() == before and list(repository.iterdir()) == [path]
    assert list(temporary.glob("xrec-*")) == []
    assert (
        not psutil.pid_exists(kernel)
        or psutil.Process(kernel).status() == psutil.STATUS_ZOMBIE
    )


def wait_for(path: Path, seconds: float = 30) -> int:
    """The number a kernel has written to a file."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if path.exists() and path.read_text():
            return int(path.read_text())
        time.sleep(0.05)
    raise TimeoutError(path)


@pytest.mark.parametrize(
    ("root_user", "display", "flags"),
    [
        (False, True, set()),
        (False, False, {"--no-browser"}),
        (True, True, {"--allow-root", "--no-browser"}),
        (True, False, {"--allow-root", "--no-browser"}),
    ],
)
def test_the_lab_opens_a_browser_only_where_one_can_open(
    root_user: bool, display: bool, flags: set[str]
) -> None:
    line = lab.command(9999, "localhost", root_user, display)
    assert {"--port=9999", "--ip=localhost"} <= set(line)
    assert "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb" in line
    assert {"--allow-root", "--no-browser"} & set(line) == flags


def test_a_display_is_recognised() -> None:
    assert lab.has_display("darwin", {}) and lab.has_display("win32", {})
    assert lab.has_display("linux", {"DISPLAY": ":0"}) and lab.has_display(
        "linux", {"WAYLAND_DISPLAY": "wayland-0"}
    )
    assert not lab.has_display("linux", {"DISPLAY": ""})


def test_the_lab_starts_in_the_repository_with_the_package_in_reach(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    code = (
        "import os; print(os.getcwd(), os.environ['PYTHONPATH']); raise SystemExit(3)"
    )
    monkeypatch.setattr(lab, "command", lambda *_: [sys.executable, "-c", code])
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    assert lab.main(["--port", "9998"]) == 3
    printed = capfd.readouterr().out
    assert f"{ROOT} {ROOT}{os.pathsep}elsewhere\n" in printed
    assert "Ctrl-C" in printed


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGTERM])
def test_the_lab_ends_what_it_started(kill: signal.Signals, tmp_path: Path) -> None:
    """JupyterLab asks back on Ctrl-C; here a stand-in for it never hears SIGINT."""
    jupyter = f"""
import os, pathlib, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
time.sleep(100)
"""
    code = f"""
import sys
from xrec_tools import lab
lab.command = lambda *_: [sys.executable, "-c", {jupyter!r}]
sys.exit(lab.main([]))
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as process:
        try:
            child = wait_for(tmp_path / "pid")
            process.send_signal(kill)
            assert process.wait(timeout=30) == 0
        finally:
            end(process)
    assert not psutil.pid_exists(child)

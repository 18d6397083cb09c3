"""Children end, whether they want to or not, and say their first line in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from xrec_utils.processes import end, first_line, sigterm_interrupts

DEAF = """import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("here", flush=True)
time.sleep(100)"""


def child(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    )


def test_a_child_ends_by_sigterm() -> None:
    with child("import time; print('here', flush=True); time.sleep(100)") as process:
        assert first_line(process) == "here\n"
        assert end(process) == -signal.SIGTERM


def test_a_child_that_does_not_listen_is_killed() -> None:
    with child(DEAF) as process:
        assert first_line(process) == "here\n"
        assert end(process, patience=0.1) == -signal.SIGKILL


def test_a_child_that_has_ended_keeps_its_exit_code() -> None:
    with child("raise SystemExit(3)") as process:
        assert first_line(process) == ""
        process.wait(timeout=30)
        assert end(process) == 3


def test_a_child_that_says_nothing_is_not_waited_for() -> None:
    with child("import time; time.sleep(100)") as process:
        assert first_line(process, patience=0.1) == ""
        assert process.wait(timeout=30) == -signal.SIGKILL


def test_sigterm_is_an_interruption_and_then_what_it_was() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), sigterm_interrupts():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)  # it arrives meanwhile
    assert signal.getsignal(signal.SIGTERM) == before

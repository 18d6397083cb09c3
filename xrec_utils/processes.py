"""Ending processes: a child is told to end and, if it does not, killed; a program that
is told to end does so as on Ctrl-C.
"""

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 15  # seconds that a child may take to end by itself


def end(process: subprocess.Popen, patience: float = PATIENCE) -> int:
    """End a child: SIGTERM, and SIGKILL if it still runs after `patience` seconds.

    Never SIGINT: what was started in the background may ignore it. Returns the exit
    code, minus the number of the signal if that ended the child.
    """
    process.terminate()
    try:
        return process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(PATIENCE)


def first_line(process: subprocess.Popen, patience: float = 120) -> str:
    """The first line a child prints into its pipe, as it comes.

    Empty if the child ends before; one that says nothing for `patience` seconds is
    killed.
    """
    # killing the child ends the wait for its line
    watch = threading.Timer(patience, process.kill)
    watch.start()
    try:
        return process.stdout.readline()
    finally:
        watch.cancel()


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Within, SIGTERM raises KeyboardInterrupt, so that one way out serves both.

    SIGINT stays as it is: whoever starts a program in the background lets it be
    ignored.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

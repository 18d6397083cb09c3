"""Run notebooks without a window: `python -m xrec_utils run [04 10]` (`make run
NB=04`).

Each notebook runs in a fresh kernel of this Python, in a temporary folder: nothing in
the repository changes, whatever happens. One line says name, seconds, peak memory of
the kernel, and the verdict.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from xrec_tools.memory import peak_mb
from xrec_utils.files import NOTEBOOKS, ROOT
from xrec_utils.processes import sigterm_interrupts

CELL_TIMEOUT = 600  # seconds
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Run:
    """A notebook after its run, with its outputs; seconds, peak memory in MB, and what
    went wrong ("" if nothing).
    """

    notebook: nbformat.NotebookNode
    seconds: float
    peak_mb: float
    error: str

    @property
    def verdict(self) -> str:
        """One word, or the failure in one line."""
        return f"FAILED {self.error}" if self.error else "OK"


def environment() -> dict[str, str]:
    """The environment of a kernel: this one, with the package within reach even where
    it is not installed (conda).
    """
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def execute(
    notebook: nbformat.NotebookNode, folder: Path, cell_timeout: float = CELL_TIMEOUT
) -> Run:
    """Run a notebook top to bottom in a fresh kernel of this Python whose working
    directory is `folder`.

    The notebook given is changed: its outputs are those of the run, up to the cell that
    failed.
    """
    # no kernel folders: a "python3" that another environment installed must not take
    # this one's place
    manager = AsyncKernelManager(
        kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[])
    )
    client = NotebookClient(
        notebook, km=manager, timeout=cell_timeout, record_timing=False
    )
    client.reset_execution_trackers()
    start, peak, error = time.perf_counter(), float("nan"), ""
    quiet = {**environment(), "XREC_QUIET": "1"}  # progress bars are for people
    with client.setup_kernel(
        cleanup_kc=True, cwd=str(folder), env=quiet, stderr=subprocess.DEVNULL
    ):
        pid = manager.provisioner.pid
        for place, cell in enumerate(notebook.cells):
            try:
                client.execute_cell(cell, place)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as problem:
                error = f"cell {place}: {_reason(problem)}"
                break
        if psutil.pid_exists(pid):
            peak = peak_mb(pid)
    return Run(notebook, time.perf_counter() - start, peak, error)


def _reason(problem: Exception) -> str:
    """The last line of a failure, which names the exception."""
    if isinstance(problem, CellExecutionError):
        return f"{problem.ename}: {problem.evalue}".splitlines()[0]
    if isinstance(problem, CellTimeoutError):
        return "took too long"
    return ANSI.sub("", str(problem)).strip().splitlines()[-1]


def chosen(names: Sequence[str], folder: Path = NOTEBOOKS) -> list[Path]:
    """The notebooks meant: all for no names, else those whose file begins with a name
    such as "04", or paths.

    Raises:
        SystemExit: a name fits no notebook (the message lists those there are), or
            there are none at all.
    """
    everything = sorted(folder.glob("*.ipynb"))
    if not everything and not names:
        sys.exit(f"no notebooks in {folder}")
    found = []
    for name in names:
        given = name.endswith(".ipynb") and Path(name).exists()
        fits = (
            [Path(name)]
            if given
            else [path for path in everything if path.name.startswith(name)]
        )
        if not fits:
            sys.exit(
                f'no notebook "{name}": there are {", ".join(n.stem for n in everything) or "none"}'
            )
        found += fits
    return found if names else everything


def run_all(notebooks: Sequence[Path]) -> int:
    """Run each notebook and print a line for it; returns the number of failures."""
    failures = 0
    width = max((len(path.stem) for path in notebooks), default=0)
    for path in notebooks:
        print(
            f"{path.stem:<{width}}  ",
            end="",
            flush=True,
        )
        with tempfile.TemporaryDirectory(prefix="xrec-") as folder:
            run = execute(nbformat.read(path, as_version=4), Path(folder))
        print(f"{run.seconds:5.0f} s {run.peak_mb:6.0f} MB  {run.verdict}", flush=True)
        failures += bool(run.error)
    return failures


def main(arguments: list[str] | None = None) -> int:
    """Run the notebooks asked for; returns 1 if one fails, 130 if interrupted, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m xrec_utils run", description="Run notebooks; change nothing."
    )
    parser.add_argument(
        "notebooks",
        nargs="*",
        metavar="NB",
        help="numbers such as 04, or paths; all if none",
    )
    names = parser.parse_args(arguments).notebooks
    try:
        with sigterm_interrupts():
            return int(run_all(chosen(names)) > 0)
    except KeyboardInterrupt:
        print("\nInterrupted; nothing in the repository was changed.")
        return 130


if __name__ == "__main__":
    sys.exit(main())

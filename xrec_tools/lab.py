"""Open JupyterLab at the first notebook, wherever it runs: `python -m xrec_utils lab`
(`make lab`).

As root (a container) and without a display it prints its address instead of opening a
browser.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping

from xrec_tools.course import LESSONS
from xrec_tools.run import environment
from xrec_utils.files import ROOT
from xrec_utils.processes import end, sigterm_interrupts


def command(port: int, address: str, root_user: bool, display: bool) -> list[str]:
    """The command line that starts JupyterLab."""
    first = f"/lab/tree/notebooks/{LESSONS[0].file}"
    line = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--port={port}",
        f"--ip={address}",
        f"--LabApp.default_url={first}",
    ]
    line.append("--log-level=WARN")  # the address is printed at any level
    line += ["--allow-root"] if root_user else []
    return line if display and not root_user else [*line, "--no-browser"]


def has_display(system: str, environment: Mapping[str, str]) -> bool:
    """Whether a browser window can open here."""
    return system in ("darwin", "win32") or bool(
        environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    )


def main(arguments: list[str] | None = None) -> int:
    """Start JupyterLab in the repository and stay until it ends; returns its exit code.

    Ctrl-C and SIGTERM end it, which returns 0.
    """
    parser = argparse.ArgumentParser(
        prog="python -m xrec_utils lab", description="Open JupyterLab."
    )
    parser.add_argument("--port", type=int, default=8888)
    parser.add_argument(
        "--ip",
        default="localhost",
        help="0.0.0.0 serves beyond this machine, from a container say",
    )
    chosen = parser.parse_args(arguments)
    root_user = hasattr(os, "geteuid") and os.geteuid() == 0
    line = command(
        chosen.port, chosen.ip, root_user, has_display(sys.platform, os.environ)
    )
    print(
        "Starting JupyterLab; stop it with Ctrl-C."
        + (" Its address follows." if "--no-browser" in line else "")
    )
    with (
        sigterm_interrupts(),
        subprocess.Popen(line, cwd=ROOT, env=environment()) as process,
    ):
        try:
            return process.wait()  # as long as people work in it
        except KeyboardInterrupt:
            return 0
        finally:
            end(process)


if __name__ == "__main__":
    sys.exit(main())

"""The most memory a process ever held."""

import re
from pathlib import Path

import psutil


def peak_mb(pid: int) -> float:
    """Peak resident memory of a process so far, in MB (10^6 bytes).

    Where the system keeps no peak (macOS) it is the memory held now.

    Args:
        pid: number of the process.

    Raises:
        psutil.NoSuchProcess: there is no such process.
    """
    # not `resource.getrusage`: its maximum is inherited from the process that started
    # this one
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)
        if found:
            return int(found[1]) * 1024 / 1e6
    memory = psutil.Process(pid).memory_info()
    return getattr(memory, "peak_wset", memory.rss) / 1e6

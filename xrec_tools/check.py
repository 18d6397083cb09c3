"""Is everything in place? `python -m xrec_utils check` says OK or FAIL line by line,
with the mend for each FAIL.

Python, platform, memory and cores, every package against pyproject.toml, the course
itself seen from another folder, every data file against its SHA-256. Nothing is
imported that the check is about, so it runs on a bare Python too. `--platform` stops
after what an installation needs; `--write-sums` records the sums of the data files.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from xrec_utils.files import DATA, ROOT, replace_text, sha256

SUMS = "SHA256SUMS.json"
BINDER = "run the course in the browser instead: README, section 'Without installing'"
INSTALL = "`make lab` installs what is missing (with conda: `conda env update -f environment.yml`)"
WHEELS = {
    ("Linux", "x86_64"),
    ("Linux", "aarch64"),
    ("Darwin", "arm64"),
    ("Windows", "AMD64"),
}
NEEDED_GB = 2.0


class Finding(NamedTuple):
    """One line of the report; `mend` is empty when all is well."""

    subject: str
    found: str
    mend: str = ""

    def __str__(self) -> str:
        line = f"{'FAIL' if self.mend else 'OK':<5} {self.subject:<26} {self.found}"
        return f"{line}\n      -> {self.mend}" if self.mend else line


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Whether this Python is one the locks are made for."""
    mend = "" if (3, 11) <= version[:2] <= (3, 13) else "use Python 3.11, 3.12 or 3.13"
    return Finding("Python", ".".join(map(str, version)), mend)


def check_platform(
    system: str | None = None, machine: str | None = None, libc: str | None = None
) -> Finding:
    """Whether a TensorFlow wheel exists here (none for Intel Macs, Windows on ARM and
    systems without glibc).
    """
    system, machine = system or platform.system(), machine or platform.machine()
    libc = platform.libc_ver()[0] if libc is None else libc
    if (system, machine) not in WHEELS:
        what = (
            "Intel Macs"
            if (system, machine) == ("Darwin", "x86_64")
            else f"{system} on {machine}"
        )
        return Finding("platform", f"there is no TensorFlow for {what}", BINDER)
    if system == "Linux" and libc != "glibc":
        return Finding(
            "platform",
            "there is no TensorFlow for Linux without glibc",
            "use a Debian or Fedora image",
        )
    return Finding("platform", f"{system} on {machine}")


def memory_gb() -> float:
    """Memory this process may use, in GB: the machine's, or the container's limit where
    that is lower.
    """
    limits = [_read_limit(Path("/sys/fs/cgroup/memory.max")), _machine_memory()]
    return min(filter(None, limits), default=float("nan")) / 1e9


def _read_limit(path: Path) -> int | None:
    text = path.read_text().strip() if path.exists() else ""
    return int(text) if text.isdigit() else None


def _machine_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        pass
    try:
        import psutil
    except ModuleNotFoundError:
        return None
    return psutil.virtual_memory().total


def check_memory(gb: float) -> Finding:
    """Whether the memory is enough for one notebook beside the browser (a machine sold
    with 2 GB shows a bit less).
    """
    if gb != gb:
        return Finding("memory", "not known on this system")
    mend = "" if gb >= 0.95 * NEEDED_GB else f"close other programs or {BINDER}"
    return Finding(
        "memory",
        f"{gb:.1f} GB of at least {NEEDED_GB:.0f} GB",
        mend,
    )


def check_cores() -> Finding:
    """How many cores there are; one is enough, only slower than the cost lines of the
    notebooks say.
    """
    cores = (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1
    )
    return Finding(
        "cores", "1 (expect twice the stated times)" if cores == 1 else str(cores)
    )


def check_packages(root: Path = ROOT) -> Iterator[Finding]:
    """Each requirement of pyproject.toml that holds on this platform, against what is
    installed.
    """
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:
        yield Finding("packages", "nothing is installed yet", INSTALL)
        return
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    for requirement in map(Requirement, project["dependencies"]):
        if not requirement.marker or requirement.marker.evaluate():
            yield check_package(requirement)
    if _version("tensorflow") and _version("tensorflow-cpu"):
        mend = "they overwrite each other: delete .venv, then `make lab`"
        yield Finding(
            "tensorflow", "installed twice, as tensorflow and as tensorflow-cpu", mend
        )


def check_package(requirement: Any) -> Finding:
    """One requirement (a `packaging` Requirement) against the installed version."""
    version = _version(requirement.name)
    if version is None:
        return Finding(requirement.name, "is not installed", INSTALL)
    if version not in requirement.specifier:
        return Finding(
            requirement.name, f"{version} is outside {requirement.specifier}", INSTALL
        )
    return Finding(requirement.name, version)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def check_course(root: Path = ROOT) -> Finding:
    """Whether `import xrec_utils` finds this course from any folder, not its own only."""
    look = "import importlib.util as u; print(u.find_spec('xrec_utils').origin)"
    with tempfile.TemporaryDirectory() as elsewhere:
        run = subprocess.run(
            [sys.executable, "-c", look],
            cwd=elsewhere,
            capture_output=True,
            text=True,
        )
    if run.returncode:
        return Finding("xrec_utils", "is not installed, so only found here", INSTALL)
    found = Path(run.stdout.strip()).resolve().parents[1]
    mend = "" if found == root.resolve() else f"the course here is {root}: {INSTALL}"
    return Finding("xrec_utils", f"in {found}", mend)


def data_files(data: Path = DATA) -> list[Path]:
    """Every file shipped in the data folder, sorted; the list of sums itself and caches
    are left out.
    """
    return sorted(
        path
        for path in data.rglob("*")
        if path.is_file() and path.name != SUMS and "__pycache__" not in path.parts
    )


def write_sums(data: Path = DATA) -> None:
    """Record the SHA-256 of every data file in SHA256SUMS.json, by path below the data
    folder.
    """
    replace_text(
        data / SUMS,
        json.dumps(
            {
                path.relative_to(data).as_posix(): sha256(path)
                for path in data_files(data)
            },
            indent=1,
            sort_keys=True,
        )
        + "\n",
    )


def check_data(data: Path = DATA) -> Iterator[Finding]:
    """Each file listed in SHA256SUMS.json against its sum, then the files it does not
    list.
    """
    mend = "restore it: `git checkout -- data`"
    if not (data / SUMS).exists():
        yield Finding(f"data/{SUMS}", "is missing", mend)
        return
    sums = json.loads((data / SUMS).read_text(encoding="utf-8"))
    for name, expected in sums.items():
        path = data / name
        found = (
            "is missing"
            if not path.exists()
            else "sha256 agrees"
            if sha256(path) == expected
            else "has changed"
        )
        yield Finding(
            f"data/{name}",
            found,
            "" if found == "sha256 agrees" else mend,
        )
    for path in data_files(data):
        if path.relative_to(data).as_posix() not in sums:
            hint = "move your own files elsewhere; a file of the course: `python -m xrec_utils check --write-sums`"
            yield Finding(
                f"data/{path.relative_to(data).as_posix()}", "is not listed", hint
            )


def report(findings: Iterable[Finding]) -> int:
    """Print the findings as they come; returns the number of failures."""
    failures = 0
    for finding in findings:
        print(finding, flush=True)
        failures += bool(finding.mend)
    return failures


def findings(platform_only: bool = False) -> Iterator[Finding]:
    """All findings in order; with `platform_only` just those an installation depends
    on.
    """
    yield check_python()
    yield check_platform()
    if not platform_only:
        yield check_memory(memory_gb())
        yield check_cores()
        yield from check_packages()
        yield check_course()
        yield from check_data()


def main(arguments: list[str] | None = None) -> int:
    """Print the report; returns 1 if anything fails, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m xrec_utils check", description="Check the installation."
    )
    parser.add_argument(
        "--platform", action="store_true", help="only Python and platform"
    )
    parser.add_argument(
        "--write-sums",
        action="store_true",
        help=f"record the data files in data/{SUMS}",
    )
    chosen = parser.parse_args(arguments)
    if chosen.write_sums:
        write_sums()
        print(f"data/{SUMS}: {len(data_files())} files recorded.")
        return 0
    failures = report(findings(chosen.platform))
    print(
        "Everything is in place."
        if not failures
        else f"{failures} to mend: see the arrows."
    )
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())

"""The house agrees with itself: locks, environments, scripts and shipped files, checked
offline.
"""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from xrec_tools import lock
from xrec_utils.files import ROOT

LOCKS = [lock.BUILD_LOCK, lock.LOCK, lock.DEV_LOCK, lock.BENCH_LOCK, lock.LLM_LOCK]
PLATFORMS = [
    {
        "sys_platform": "linux",
        "platform_machine": "x86_64",
        "platform_system": "Linux",
        "os_name": "posix",
    },
    {
        "sys_platform": "linux",
        "platform_machine": "aarch64",
        "platform_system": "Linux",
        "os_name": "posix",
    },
    {
        "sys_platform": "darwin",
        "platform_machine": "arm64",
        "platform_system": "Darwin",
        "os_name": "posix",
    },
    {
        "sys_platform": "win32",
        "platform_machine": "AMD64",
        "platform_system": "Windows",
        "os_name": "nt",
    },
]
PYTHONS = ["3.11", "3.12", "3.13"]
COURSE = [lock.requirements(), lock.requirements(group="test")]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def machines() -> list[dict[str, str]]:
    """Every platform with every Python the course supports, as marker environments."""
    return [
        {
            **platform,
            "python_version": python,
            "python_full_version": f"{python}.7",
            "implementation_name": "cpython",
        }
        for platform, python in itertools.product(PLATFORMS, PYTHONS)
    ]


def holds(requirement: Requirement, machine: dict[str, str]) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(machine)


def pinned(name: str, machine: dict[str, str]) -> dict[str, str]:
    """Package -> version that pip would take from a lock on a machine; a second pin of
    a package fails.
    """
    pins = [
        (lock.canonical(pin.name), lock.version(pin))
        for pin in lock.pins(read(name))
        if holds(pin, machine)
    ]
    assert len(dict(pins)) == len(pins)
    return dict(pins)


@pytest.mark.parametrize(
    "machine", machines(), ids=lambda each: "-".join(list(each.values())[:2])
)
def test_every_requirement_has_a_pin_within_its_range(machine: dict[str, str]) -> None:
    pins = pinned(lock.LOCK, machine)
    for requirement in map(Requirement, itertools.chain(*COURSE)):
        if holds(requirement, machine):
            assert pins[lock.canonical(requirement.name)] in requirement.specifier, (
                requirement
            )


@pytest.mark.parametrize(
    "machine", machines(), ids=lambda each: "-".join(list(each.values())[:2])
)
def test_exactly_one_tensorflow_is_installed(machine: dict[str, str]) -> None:
    expected = (
        "tensorflow-cpu" if machine["platform_machine"] == "x86_64" else "tensorflow"
    )
    asked = {
        each.name
        for each in map(Requirement, lock.requirements())
        if holds(each, machine)
    }
    for names in (asked, set(pinned(lock.LOCK, machine))):
        assert names & {"tensorflow", "tensorflow-cpu"} == {expected}


def test_intel_macs_get_no_tensorflow() -> None:
    machine = {
        **machines()[0],
        "sys_platform": "darwin",
        "platform_machine": "x86_64",
        "platform_system": "Darwin",
    }
    assert not pinned(lock.LOCK, machine).keys() & {
        "tensorflow",
        "tensorflow-cpu",
        "numba",
    }


OTHER = {
    lock.BUILD_LOCK: lock.BUILD_TOOLS,
    lock.DEV_LOCK: lock.requirements(group="dev"),
    lock.BENCH_LOCK: lock.requirements(group="bench"),
    lock.LLM_LOCK: lock.requirements(group="llm"),
}


@pytest.mark.parametrize(("name", "wanted"), OTHER.items())
def test_the_other_locks_hold_what_they_should(name: str, wanted: list[str]) -> None:
    pins = pinned(name, machines()[0])
    assert all(
        pins[lock.canonical(each.name)] in each.specifier
        for each in map(Requirement, wanted)
    )


def test_the_lock_of_language_models_holds_what_is_named_and_nothing_the_course_has() -> (
    None
):
    """It is installed without what its packages declare, so that none of it may be left
    to chance or set back.
    """
    named = {
        lock.canonical(Requirement(each).name)
        for each in lock.requirements(group="llm")
    }
    for machine in machines():
        pins = pinned(lock.LLM_LOCK, machine)
        assert pins.keys() == named and not named & pinned(lock.LOCK, machine).keys()


@pytest.mark.needs("llm")
def test_what_the_language_models_import_is_there() -> None:
    """All that the packages of that lock declare is in one of the two locks, but for a
    hub's client, not used.
    """
    code = "import gguf, tokenizers, onnxruntime, xllamacpp, openai; openai.OpenAI(api_key='none')"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    there = pinned(lock.LOCK, machines()[0]) | pinned(lock.LLM_LOCK, machines()[0])
    declared = [
        Requirement(each)
        for name in pinned(lock.LLM_LOCK, machines()[0])
        for each in requires(name) or ()
    ]
    needed = [
        each
        for each in declared
        if each.marker is None or each.marker.evaluate(machines()[0] | {"extra": ""})
    ]
    absent = [
        each
        for each in needed
        if there.get(lock.canonical(each.name), "0") not in each.specifier
    ]
    assert [each.name for each in absent] == ["huggingface-hub"]


def test_the_locks_agree_with_each_other() -> None:
    together: dict[str, set[str]] = {}
    for name, version in itertools.chain(
        *(pinned(each, machines()[0]).items() for each in LOCKS)
    ):
        together.setdefault(name, set()).add(version)
    assert {
        name: versions for name, versions in together.items() if len(versions) > 1
    } == {}


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_is_hashed_and_nothing_else_stands_there(name: str) -> None:
    entries = re.split(r"\n(?=\S)", read(name).strip())
    shape = re.compile(
        r"[a-z0-9-]+==[\w.!+]+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+"
    )
    assert len(entries) >= 4
    assert [
        entry.splitlines()[0] for entry in entries if not shape.fullmatch(entry)
    ] == []


def test_locks_name_no_host_and_no_path() -> None:
    for name in LOCKS:
        assert not re.search(r"://|index|find-links|^/|\s/", read(name)), name


def test_environments_are_what_the_generator_makes() -> None:
    assert lock.environments() == {
        name: read(name) for name in ("environment.yml", "binder/environment.yml")
    }


def test_the_environment_pins_python_and_build_tools() -> None:
    text = lock.environment(
        "pip==1.2 \\\n    --hash=sha256:00\nsetuptools==3\nwheel==4\npackaging==5\n",
        ["-r some.lock", "-e ."],
    )
    lines = text.splitlines()
    assert lines[lines.index("dependencies:") + 1 :] == [
        "  - python=3.11",
        "  - pip=1.2",
        "  - setuptools=3",
        "  - wheel=4",
        "  - pip:",
        "      - -r some.lock",
        "      - -e .",
    ]


def test_conda_installs_what_the_lock_holds_and_the_course_itself() -> None:
    """pip takes no folder, such as the course, where it asks packages for hashes."""
    *wanted, course = read("environment.yml").partition("  - pip:\n")[2].splitlines()
    assert course.strip() == "- -e ." and "--hash" not in read("environment.yml")
    assert [line.strip().removeprefix("- ") for line in wanted] == [
        str(pin) for pin in lock.pins(read(lock.LOCK))
    ]
    assert "-e ." in read("binder/postBuild")


def fake_uv(
    command: list[str], input: str, text: bool, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Write what was asked for and under which constraints, in the place of a lock."""
    constraints = Path(command[command.index("--constraint") + 1]).read_text()
    Path(command[command.index("--output-file") + 1]).write_text(
        f"{input}\n# under {constraints.split()}\n"
    )
    return subprocess.CompletedProcess(command, returncode=int("impossible" in input))


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with the real pyproject.toml and locks, and a stand-in for uv."""
    for name in ["pyproject.toml", *LOCKS]:
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "binder").mkdir()
    monkeypatch.setattr(lock.subprocess, "run", fake_uv)
    return tmp_path


def test_each_lock_is_made_from_pyproject_under_the_locks_below(copy: Path) -> None:
    lock.compile_lock(lock.LOCK, ["numpy>=2"], [lock.BUILD_LOCK], until=None, root=copy)
    assert (copy / lock.LOCK).read_text().startswith("numpy>=2\n# under ['packaging==")


def test_relocking_rewrites_locks_and_environments(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="unchanged"):
        lock.compile_lock(lock.LOCK, ["impossible"], [], until="2026-01-01", root=copy)
    lock.main(["--until", "2026-01-01"], root=copy)
    assert "Wrote requirements-build.lock" in capsys.readouterr().out
    assert (copy / lock.BUILD_LOCK).read_text().splitlines()[
        : len(lock.BUILD_TOOLS)
    ] == list(lock.BUILD_TOOLS)
    assert (
        (copy / lock.DEV_LOCK).read_text().startswith(lock.requirements(group="dev")[0])
    )
    assert (
        (copy / lock.LLM_LOCK).read_text().startswith(lock.requirements(group="llm")[0])
    )
    assert (copy / "binder/environment.yml").read_text() == lock.environments(copy)[
        "binder/environment.yml"
    ]


def test_python_range_is_the_one_the_tools_check() -> None:
    stated = SpecifierSet(
        tomllib.loads(read("pyproject.toml"))["project"]["requires-python"]
    )
    assert [minor for minor in range(8, 18) if f"3.{minor}" in stated] == [11, 12, 13]
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in read("Makefile")


@pytest.mark.parametrize("name", [".ci/run", "binder/postBuild", "binder/start"])
def test_scripts_run(name: str) -> None:
    assert (ROOT / name).stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", str(ROOT / name)], timeout=10).returncode == 0


def test_binder_start_limits_threads_and_passes_the_command_on() -> None:
    command = [
        str(ROOT / "binder/start"),
        "sh",
        "-c",
        "echo $OMP_NUM_THREADS $TF_NUM_INTRAOP_THREADS 'a b'",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    assert done.stdout == "2 2 a b\n"


def test_setuptools_is_told_every_package() -> None:
    told = tomllib.loads(read("pyproject.toml"))["tool"]["setuptools"]["packages"]
    there = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for path in ROOT.glob("xrec_*/**/*.py")
    }
    assert set(told) == there


def shipped() -> list[Path]:
    """Files git would ship: those it tracks or would add; without git, all but the
    ignored folders.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    if listed.returncode == 0:
        return [
            path
            for name in listed.stdout.split("\0")
            if name and (path := ROOT / name).is_file()
        ]
    hidden = {
        ".venv",
        ".git",
        "__pycache__",
        ".pytest_cache",
        ".ruff_cache",
        ".hypothesis",
        ".ipynb_checkpoints",
    }
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not hidden & set(path.parts)
    ]


def test_no_large_file_is_shipped() -> None:
    large = {
        path.relative_to(ROOT).as_posix(): path.stat().st_size for path in shipped()
    }
    assert {name: size for name, size in large.items() if size > 3_000_000} == {}
    assert (
        sum(size for name, size in large.items() if name.startswith("data/"))
        <= 10_000_000
    )


def test_licence_says_what_applies_where() -> None:
    text = read("LICENSE")
    for needed in (
        "Apache License 2.0",
        "CC BY 4.0",
        "GroupLens",
        "xrec_utils/",
        "xrec_tools/",
        "data/",
        "weights",
    ):
        assert needed in text
    assert "Apache License" in read("LICENSES/Apache-2.0.txt")
    assert "doi:10.1145/2827872" in read("LICENSES/MovieLens.md")

"""The unit tests run offline, without a window, and try the same examples every time.

What a test needs beyond `make lab` and `make test` it says by a mark, such as
`@pytest.mark.needs("llm")`: where that part is not there the test is skipped, and the
last lines of the run say how many were and what adds the part.
"""

from __future__ import annotations

import os
import runpy
import shutil
from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import settings

from xrec_utils.language.weights import MODELS, model_path

os.environ.setdefault("MPLBACKEND", "Agg")
# Two workers share two cores: further threads only wait for one another, which makes
# linear algebra several times slower. NumPy and TensorFlow read this when they load.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
    os.environ.setdefault(variable, "1")
runpy.run_path(str(Path(__file__).parent / "offline" / "sitecustomize.py"))
settings.register_profile("course", deadline=None, derandomize=True)
settings.load_profile("course")

# --doctest-modules imports every file, but on some systems Python has started with
# another sitecustomize, and one name cannot stand for two files.
collect_ignore = ["offline"]
SKIPPED = "skipped for want of"


class Part(NamedTuple):
    """Something that README's two commands do not install, though some tests need it.

    absent: what of it is not on this machine. in_ci: whether .ci/run adds it.
    """

    title: str
    command: str
    absent: Callable[[], list[str]]
    in_ci: bool = True


def packages(*names: str) -> list[str]:
    """Those of the packages that are not installed."""
    return [name for name in names if find_spec(name) is None]


def programs(*names: str) -> list[str]:
    """Those of the programs that are not on the PATH."""
    return [name for name in names if shutil.which(name) is None]


def language_models() -> list[str]:
    """Packages and files of the language models that are not there."""
    absent = packages("gguf", "tokenizers", "onnxruntime", "xllamacpp", "openai")
    absent += [name for name in MODELS if not model_path(name).exists()]
    return absent


# The libraries of the bench are compiled for few machines and no lesson needs them, so
# .ci/run does not add them, and tests of them may be skipped even there.
PARTS = {
    "llm": Part("language models", "make llm", language_models),
    "chromium": Part("Chromium", "apt install chromium", partial(programs, "chromium")),
    "curl": Part("curl", "apt install curl", partial(programs, "curl")),
    "bench": Part(
        "libraries to compare with",
        "make .venv/.bench",
        partial(packages, "implicit", "cornac"),
        in_ci=False,
    ),
}


@cache
def missing(name: str) -> str:
    """What of a part is not here, and what adds it; empty if nothing is missing."""
    absent = PARTS[name].absent()
    if not absent:
        return ""
    return f"{', '.join(absent)} not there: {PARTS[name].command} adds what is missing"


def may_be_skipped(name: str) -> bool:
    """Whether tests that need a part may be skipped: under XREC_REQUIRE_ALL=1, which
    .ci/run sets after it has added all it adds, only those of parts it does not add.
    """
    return os.environ.get("XREC_REQUIRE_ALL") != "1" or not PARTS[name].in_ci


def needed(item: pytest.Item) -> set[str]:
    """The names of the parts that a test needs.

    Raises:
        pytest.UsageError: a mark names a part that there is not.
    """
    names = {name for mark in item.iter_markers("needs") for name in mark.args}
    if unknown := names - PARTS.keys():
        wrong, right = ", ".join(sorted(unknown)), ", ".join(PARTS)
        raise pytest.UsageError(f"{item.nodeid} needs {wrong}; the parts are {right}")
    return names


def chosen(text: str) -> set[str]:
    """The parts named by --needs."""
    names = set(text.split(","))
    if not names <= PARTS.keys():
        raise ValueError(text)  # pytest adds the help
    return names


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let .ci/run choose the tests that were skipped before it added a part."""
    parser.addoption(
        "--needs",
        type=chosen,
        metavar="PARTS",
        help=f"only tests that need one of these parts, with commas: {','.join(PARTS)}",
    )


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Read every mark, so that a wrong one is found; under --needs keep what needs one
    of the parts.
    """
    needs = {item: needed(item) for item in items}
    wanted = config.getoption("--needs")
    if wanted:
        left = [item for item in items if not wanted & needs[item]]
        items[:] = [item for item in items if wanted & needs[item]]
        config.hook.pytest_deselected(items=left)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test for want of a part, or fail it, before its fixtures are made."""
    for name in sorted(needed(item)):
        reason = missing(name)
        if not reason:
            continue
        if not may_be_skipped(name):
            pytest.fail(f"{reason} (XREC_REQUIRE_ALL=1 allows no skip)", pytrace=False)
        item.user_properties.append((SKIPPED, name))
        pytest.skip(reason)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were skipped for want of what, and what adds it."""
    counts = Counter(
        value
        for report in terminalreporter.stats.get("skipped", [])
        for key, value in report.user_properties
        if key == SKIPPED
    )
    if counts:
        terminalreporter.section("not tried on this machine")
    for name, count in sorted(counts.items()):
        part = PARTS[name]
        tests = "1 test" if count == 1 else f"{count} tests"
        lacking = f"{tests} skipped for want of {part.title}"
        terminalreporter.line(f"{lacking}: {part.command} adds what is missing")

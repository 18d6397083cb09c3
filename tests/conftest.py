"""The unit tests run offline, without a window, and try the same examples every time."""

import os
import runpy
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

from xrec_utils.fetch import MODELS, model_path

os.environ.setdefault("MPLBACKEND", "Agg")
runpy.run_path(str(Path(__file__).parent / "offline" / "sitecustomize.py"))
settings.register_profile("course", deadline=None, derandomize=True)
settings.load_profile("course")

LLM = ("gguf", "tokenizers", "onnxruntime", "xllamacpp", "openai")


def missing(what: str) -> str:
    """What of `what` ("chromium" or "llm") is not on this machine and how to get it;
    empty if nothing is missing.
    """
    if what == "chromium":
        return (
            ""
            if shutil.which("chromium")
            else "no chromium on the PATH: apt install chromium"
        )
    absent = [name for name in {"llm": LLM}[what] if find_spec(name) is None]
    absent += [name for name in MODELS if not model_path(name).exists()]
    return f"{', '.join(absent)} not there: make llm" if absent else ""


@pytest.fixture(scope="session")
def needs() -> Callable[[str], None]:
    """`needs("chromium")`, `needs("llm")`: skip the test for want of it, or fail where
    XREC_REQUIRE_ALL=1 (in CI).
    """

    def check(what: str) -> None:
        if reason := missing(what):
            (pytest.fail if os.environ.get("XREC_REQUIRE_ALL") == "1" else pytest.skip)(
                reason
            )

    return check

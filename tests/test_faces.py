"""What a room hands to its readers explains itself: each name on a face says what it
takes and gives, and shows it.
"""

import importlib
import inspect
from types import ModuleType

import pytest

from xrec_utils.files import ROOT

FACES = [
    "xrec_utils",
    *sorted(
        f"xrec_utils.{path.parent.name}"
        for path in ROOT.glob("xrec_utils/*/__init__.py")
    ),
]


def names_on(face: str) -> list[tuple[str, str]]:
    module = importlib.import_module(face)
    return [(face, name) for name in sorted(module.__all__)]


NAMES = [pair for face in FACES for pair in names_on(face)]


def parameters(thing: object) -> list[str]:
    """What a caller hands in; nothing for what takes no arguments of its own."""
    try:
        return [name for name in inspect.signature(thing).parameters if name != "self"]
    except ValueError:
        return []


@pytest.mark.parametrize(("face", "name"), NAMES, ids=lambda text: text)
def test_a_name_explains_itself(face: str, name: str) -> None:
    thing = getattr(importlib.import_module(face), name)
    if not callable(thing) or isinstance(thing, ModuleType):
        return
    text = inspect.getdoc(thing) or ""
    missing = []
    if ">>>" not in text:
        missing.append("an example")
    if parameters(thing) and not ("Args:" in text or "Attributes:" in text):
        missing.append("Args")
    gives = (
        inspect.isfunction(thing)
        and inspect.signature(thing).return_annotation is not None
    )
    if gives and not ("Returns:" in text or "Yields:" in text):
        missing.append("Returns")
    assert missing == []

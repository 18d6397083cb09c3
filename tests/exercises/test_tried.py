"""Every check is tried with answers in many forms: none is judged wrongly."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
import tables_by_hand  # noqa: F401  its tables are registered when it is imported
import tables_of_explanations  # noqa: F401
import tables_of_the_course  # noqa: F401
from tried import TABLES, judged

import xrec_utils.exercises
from xrec_utils.exercises.register import REGISTRY


@pytest.mark.parametrize("name", sorted(TABLES))
def test_no_tried_answer_is_judged_wrongly(name: str) -> None:
    context, answers = TABLES[name]()
    assert len(answers) >= 10
    assert [odd for each in answers if (odd := judged(name, each, context))] == []


def test_every_exercise_has_a_table() -> None:
    for module in pkgutil.iter_modules(xrec_utils.exercises.__path__):
        importlib.import_module(f"xrec_utils.exercises.{module.name}")
    assert sorted(TABLES) == sorted(REGISTRY)

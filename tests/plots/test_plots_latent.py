"""Figures of memory and of latent numbers: they show what they are given, and their
alternative texts are true.
"""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from xrec_utils.plots import recommenders, style

CURVES = {"rnn": np.array([1.0, 0.1, 0.001]), "gru": np.array([1.0, 0.9, 0.8])}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Figure, str]]:
    """Every figure with its alternative text, kept instead of shown."""
    figures: list[tuple[Figure, str]] = []
    monkeypatch.setattr(
        style, "show", lambda figure, alt: figures.append((figure, alt))
    )
    return figures


def test_steps_back_draws_every_curve_at_its_steps(
    drawn: list[tuple[Figure, str]],
) -> None:
    recommenders.steps_back(
        CURVES, "A message", "gradient", np.array([0, 4, 9]), log=True
    )
    (figure, alt), axes = drawn[0], drawn[0][0].axes[0]
    assert figure.get_suptitle() == "A message" and axes.get_yscale() == "log"
    lines = {line.get_label(): line.get_xydata() for line in axes.lines}
    assert all(
        np.array_equal(lines[name], np.column_stack([[0, 4, 9], y]))
        for name, y in CURVES.items()
    )
    assert "rnn from 1 at 0 to 0.001 at 9 and gru from 1 at 0 to 0.8 at 9" in alt
    assert axes.get_xlabel() and axes.get_ylabel() == "gradient"


def test_without_steps_they_count_from_zero(drawn: list[tuple[Figure, str]]) -> None:
    recommenders.steps_back(CURVES, "A message", "gradient")
    axes = drawn[0][0].axes[0]
    assert axes.get_yscale() == "linear"
    assert axes.lines[0].get_xdata().tolist() == [0, 1, 2]


def test_information_sorts_and_counts(drawn: list[tuple[Figure, str]]) -> None:
    recommenders.information(np.array([0.05, 2.0, 0.1]))
    figure, alt = drawn[0]
    assert [bar.get_height() for bar in figure.axes[0].patches] == [2.0, 0.1, 0.05]
    assert figure.get_suptitle() == "2 of 3 numbers carry 0.1 nats or more"
    assert "from 2 down to 0.05; 2 carry 0.1 or more" in alt

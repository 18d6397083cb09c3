"""The figures of notebook 19 draw what they are given, and say it in words."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.figure import Figure

from xrec_utils.plots import service, style
from xrec_utils.plots.style import BLACK, GREY, NEGATIVE, POSITIVE


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Figure, str]]:
    figures: list[tuple[Figure, str]] = []
    monkeypatch.setattr(
        style, "show", lambda figure, alt: figures.append((figure, alt))
    )
    return figures


def test_a_waterfall_ends_at_the_score(shown) -> None:
    service.waterfall(0.5, {"Alien": 1.0, "Heat": -0.25}, "They add up")
    [(figure, alt)] = shown
    bars = [(bar.get_x(), bar.get_width()) for bar in figure.axes[0].patches]
    assert bars == [(0, 0.5), (0.5, 1.0), (1.5, -0.25), (0, 1.25)]
    colours = [bar.get_facecolor() for bar in figure.axes[0].patches]
    assert colours == [
        style.mpl.colors.to_rgba(colour) for colour in (GREY, POSITIVE, NEGATIVE, BLACK)
    ]
    assert [text.get_text() for text in figure.axes[0].texts] == [
        "+0.50",
        "+1.00",
        "−0.25",
        "+1.25",
    ]
    assert "base 0.500, Alien +1.000, Heat -0.250, score 1.250" in alt


def test_a_budget_stacks_its_steps(shown) -> None:
    table = pd.DataFrame({"score": [1.0, 2.0], "reasons": [3.0, 10.0]}, ["ease", "dae"])
    service.budget(table, "Reasons cost most")
    [(figure, alt)] = shown
    assert [(bar.get_x(), bar.get_width()) for bar in figure.axes[0].patches] == [
        (0, 1),
        (0, 2),
        (1, 3),
        (2, 10),
    ]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "score",
        "reasons",
    ]
    assert "ease: score 1, reasons 3; dae: score 2, reasons 10" in alt


def test_curves_in_panels(shown) -> None:
    table = pd.DataFrame(
        {"old": [1.0, 4.0], "new": [1.0, 2.0]}, pd.Index([10, 2000], name="films")
    )
    service.latency_curves({"ms": table, "MB": table[["new"]]}, "It grows")
    [(figure, alt)] = shown
    left, right = figure.axes
    assert [line.get_ydata().tolist() for line in left.lines] == [
        [1, 4],
        [1, 2],
    ] and len(right.lines) == 1
    assert [text.get_text() for text in left.get_xticklabels()] == ["10", "2,000"]
    assert left.get_legend() is not None and right.get_legend() is None
    assert (left.get_xlabel(), right.get_ylabel(), left.get_ylim()[0]) == (
        "films",
        "MB",
        0,
    )
    assert (
        "ms, old: 1 at 10 to 4 at 2000" in alt
        and "MB, new: 1 at 10 to 2 at 2000" in alt
    )

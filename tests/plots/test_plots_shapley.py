"""Figures of estimated Shapley values: they show what they are given, and their
alternative texts are true.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from xrec_utils.games.explanation import Explanation
from xrec_utils.plots import shapley, style


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Figure, str]]:
    """Every figure with its alternative text, kept instead of shown."""
    figures: list[tuple[Figure, str]] = []
    monkeypatch.setattr(
        style, "show", lambda figure, alt: figures.append((figure, alt))
    )
    return figures


def test_error_curves_share_one_legend_and_mark_the_error_of_zero(
    drawn: list[tuple[Figure, str]],
) -> None:
    cost = np.array([1.0, 10.0])
    panels = {
        "few": {"a": (cost, cost / 100)},
        "many": {"b": (cost, 20 / cost), "a": (cost, cost / 50)},
    }
    shapley.error_curves(panels, "seconds", "A message")
    figure, alt = drawn[0]
    few, many = figure.axes
    assert (
        few.get_xscale() == few.get_yscale() == "log" and few.get_xlabel() == "seconds"
    )
    assert [text.get_text() for text in figure.legends[0].texts] == ["a", "b"]
    assert [len(axes.lines) for axes in (few, many)] == [
        1,
        3,
    ]  # the dashed line at 1 only where errors are large
    assert (
        few.lines[0].get_color()
        == many.lines[1].get_color()
        != many.lines[0].get_color()
    )
    assert np.array_equal(many.lines[0].get_ydata(), [20, 2])
    assert "few: a 0.01 at 1, 0.1 at 10" in alt and "b 20 at 1, 2 at 10" in alt


def test_one_panel_takes_series_in_any_order(drawn: list[tuple[Figure, str]]) -> None:
    curve = pd.Series([4.0, 1.0], [7, 9]), pd.Series([0.1, 0.2], [7, 9])
    shapley.error_curves({"one": {"a": curve}}, "scores", "A message")
    assert "a 0.2 at 1, 0.1 at 4" in drawn[0][1]


def test_estimates_count_what_their_intervals_hold(
    drawn: list[tuple[Figure, str]],
) -> None:
    truth, spread = np.array([1.0, -2.0, 0.0]), np.array([0.1, 0.1, 0.1])
    near = Explanation(
        ("a", "b", "c"), "score", truth + 0.15, 0, 0, "near", error=spread
    )
    far = Explanation(
        ("a", "b", "c"),
        "score",
        truth + np.array([0, 0.3, 0.3]),
        0,
        0,
        "far",
        error=spread,
    )
    shapley.estimates(truth, {"near": near, "far": far})
    figure, alt = drawn[0]
    said = "3 of 3 by near and 1 of 3 by far"
    assert (
        " ".join(figure.get_suptitle().split())
        == f"Twice the stated error holds the truth for {said}"
        and said in alt
    )
    axes = figure.axes[0]
    assert np.array_equal(axes.collections[0].get_offsets()[:, 0], truth)
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "a",
        "b",
        "c",
    ] and figure.legends
    assert [bars.get_label() for bars in axes.containers] == ["near", "far"]


def test_law_of_sum_draws_each_density(drawn: list[tuple[Figure, str]]) -> None:
    places = np.linspace(-1, 1, 5)
    laws = {"normal": np.array([0, 1, 2, 1, 0.0]), "other": np.array([0, 3, 2, 1, 0.0])}
    shapley.law_of_sum(np.zeros(100), laws, places, "sum", "A message")
    figure, alt = drawn[0]
    assert [line.get_label() for line in figure.axes[0].lines] == ["normal", "other"]
    assert "normal highest at 0 and other highest at −0.5" in alt and "100 sums" in alt

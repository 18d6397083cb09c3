"""The figure of comparisons draws what it is given and says it in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from xrec_utils.plots import causes, style

TABLE = pd.DataFrame(
    [
        ("sizes", "bag", 0.5, 0.4, 0.7),
        ("sizes", "GRU", -0.2, -0.3, 0.1),
        ("signs", "bag", 0.1, 0.0, 0.2),
    ],
    columns=["line", "group", "mean", "low", "high"],
)
PUBLISHED = pd.DataFrame(
    [("signs", "text", 0.6), ("signs", "text", 0.8), ("sizes", "text", 0.7)],
    columns=["line", "group", "value"],
)


@pytest.fixture
def shown(monkeypatch) -> list:
    figures = []
    monkeypatch.setattr(
        style, "show", lambda figure, alt: figures.append((figure, alt))
    )
    return figures


def test_dots_lie_on_their_lines_between_the_ends_of_their_intervals(shown) -> None:
    causes.ranges(TABLE, "Sizes agree", "tau")
    axes = shown[0][0].axes[0]
    bag, gru = (bars for bars, *_ in axes.containers)
    assert bag.get_xdata() == pytest.approx(
        [0.5, 0.1]
    ) and gru.get_xdata() == pytest.approx([-0.2])
    above, below = (np.array(dots.get_ydata(), dtype=float) for dots in (bag, gru))
    assert (
        np.round(above).tolist() == [0, 1]
        and np.round(below).tolist() == [0]
        and above[0] < below[0]
    )
    (segments,) = axes.containers[0].lines[2]
    assert segments.get_segments()[0][:, 0] == pytest.approx([0.4, 0.7])
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "sizes",
        "signs",
    ] and axes.get_xlabel() == "tau"


def test_published_values_are_marks_without_an_interval(shown) -> None:
    causes.ranges(TABLE, "Beside the text", "tau", PUBLISHED)
    axes = shown[0][0].axes[0]
    [marks] = [drawn for drawn in axes.collections if drawn.get_label() == "text"]
    values, places = np.array(marks.get_offsets(), dtype=float).T
    assert values.tolist() == [0.6, 0.8, 0.7] and np.round(places).tolist() == [1, 1, 0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "text",
        "bag",
        "GRU",
    ]


def test_the_figure_says_its_means(shown) -> None:
    causes.ranges(TABLE, "Sizes agree.", "tau")
    assert shown[0][1] == (
        "Sizes agree. Dots with 95% intervals of tau. sizes: bag 0.5 and GRU −0.2; signs: bag 0.1."
    )


def test_a_single_group_lies_on_its_line(shown) -> None:
    causes.ranges(TABLE[TABLE["group"] == "bag"], "The bag", "tau")
    [bag] = [bars[0] for bars in shown[0][0].axes[0].containers]
    assert np.array(bag.get_ydata(), dtype=float).tolist() == [0, 1]

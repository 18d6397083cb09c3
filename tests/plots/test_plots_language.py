"""The figures of notebook 08 draw what they are given, and say it in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from xrec_utils.plots import language, style


@pytest.fixture
def shown(monkeypatch) -> list:
    figures: list = []
    monkeypatch.setattr(
        style, "show", lambda figure, alt: figures.append((figure, alt))
    )
    return figures


def test_a_tree_puts_branches_below_each_other(shown) -> None:
    language.token_tree(
        ["next:", "The", "Matrix", "Godfather", "Heat"], [-1, 0, 1, 1, 0], "Read once"
    )
    [(figure, alt)] = shown
    spots = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    assert spots == {
        "next:": (0, 0),
        "The": (1, 0),
        "Matrix": (2, 0),
        "Godfather": (2, 1),
        "Heat": (1, 2),
    }
    assert len(figure.axes[0].lines) == 4
    assert "5 tokens" in alt and "after 'The' comes 'Godfather'" in alt


def test_two_trees_without_a_common_root(shown) -> None:
    language.token_tree(["a", "b"], [-1, -1], "Two")
    assert [text.get_position() for text in shown[0][0].axes[0].texts] == [
        (0, 0),
        (0, 1),
    ]


def test_first_choices_beside_an_even_share(shown) -> None:
    language.first_choices(np.array([6, 1, 2]), "The first place wins")
    [(figure, alt)] = shown
    assert [bar.get_height() for bar in figure.axes[0].patches] == [6, 1, 2]
    assert figure.axes[0].lines[0].get_ydata()[0] == 3
    assert "6, 1 and 2" in alt and "even share is 3" in alt


def test_places_with_intervals(shown) -> None:
    table = pd.DataFrame(
        {"mean": [0.5, 0.2], "low": [0.4, 0.1], "high": [0.7, 0.3]}, [0, 19]
    )
    language.by_place(
        {"one order": table, "mean of four turns": table - 0.1}, 0.25, "Places matter"
    )
    [(figure, alt)] = shown
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "chance",
        "one order",
        "mean of four turns",
    ]
    assert axes.containers[0].lines[0].get_ydata().tolist() == [0.5, 0.2]
    assert "one order: 0.5 at 0, 0.2 at 19" in alt and "chance: 0.25" in alt

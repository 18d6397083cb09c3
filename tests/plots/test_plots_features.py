"""Figures of models that explain themselves: what they draw is what the models hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.tree import DecisionTreeClassifier

from xrec_utils.plots import features, style


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Figure, str]]:
    """Figures and alternative texts, in the order shown; each is rendered once."""
    drawn: list[tuple[Figure, str]] = []
    monkeypatch.setattr(style, "show", lambda figure, alt: drawn.append((figure, alt)))
    return drawn


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_paths_are_named_in_the_order_of_entry(shown) -> None:
    paths = {
        "never": np.zeros(3),
        "late": np.array([0, 0, 0.1]),
        "soon": np.array([0, -0.2, 0.1]),
    }
    features.coefficient_paths(np.array([1.0, 0.1, 0.01]), paths, k=2)
    [(figure, alt)] = shown
    assert alt.endswith("First to leave zero: soon at 0.1 and late at 0.01.")
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "soon",
        "late",
    ]
    assert (
        figure.axes[0].xaxis_inverted() and figure.get_suptitle() == "Soon enters first"
    )


def test_ties_of_entry_go_to_the_larger_weight(shown) -> None:
    features.coefficient_paths(
        np.array([1.0, 0.1]),
        {"small": np.array([0, 0.1]), "large": np.array([0, -0.2])},
    )
    assert shown[0][0].get_suptitle() == "Large enters first"


def test_a_tree_says_its_questions_and_leaves(shown) -> None:
    model = DecisionTreeClassifier(random_state=0).fit(
        [[0.0], [1.0], [2.0], [3.0]], [0, 1, 1, 0]
    )
    features.tree(model, ["stars"], "A small tree")
    figure, alt = shown[0]
    said = texts(figure)
    assert (
        "100% like it\n50% of rows" in said and sum("?" in text for text in said) == 2
    )
    assert (
        alt.startswith("A small tree. Decision tree of 2 questions")
        and "3 leaves" in alt
    )


def test_a_tree_puts_yes_left_and_questions_in_the_middle(shown) -> None:
    tree = DecisionTreeClassifier().fit([[0.0], [1.0]], [0, 1])
    spots = features._spots(tree.tree_.children_left, tree.tree_.children_right)
    assert spots == {0: (0.5, 0), 1: (0, -1), 2: (1, -1)}


def test_term_functions_share_one_scale(shown) -> None:
    terms = {
        "age": (np.array([0.0, 1, 3]), np.array([-1.0, 1])),
        "year": (np.array([0.0, 1]), np.array([0.2])),
    }
    features.term_functions(terms, "Two terms")
    figure, alt = shown[0]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert "age from −1 to 1; year from 0.2 to 0.2" in alt


def test_grouped_bars_draw_every_number(shown) -> None:
    table = pd.DataFrame(
        {"impurity": [0.6, 0.4], "permutation": [1.0, -0.1]}, index=["stars", "noise"]
    )
    features.grouped_bars(table, "Two kinds", "share")
    figure, alt = shown[0]
    widths = [bar.get_width() for bars in figure.axes[0].containers for bar in bars]
    assert widths == [0.6, 0.4, 1.0, -0.1] and "permutation: stars and noise" in alt


def test_curves_draw_every_line(shown) -> None:
    features.curves(
        np.arange(3), {"a": np.array([0, 1, 2.0]), "b": np.ones(3)}, "Lines", "x", "y"
    )
    figure, alt = shown[0]
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [
        [0, 1, 2],
        [1, 1, 1],
    ]
    assert alt == "Lines. Lines of y against x: a from 0 to 2; b from 1 to 1."

"""The figures of notebook 15 draw what they are given, and say it in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from xrec_utils.plots import judging, style

MEANS = pd.DataFrame(
    {"deletion": [0.9, -0.1, 0.5], "seconds": [2.0, 0.1, np.nan]},
    ["one", "two", "three"],
)
MARKED = pd.DataFrame(
    {"deletion": [True, False, False], "seconds": [False, True, False]}, MEANS.index
)


@pytest.fixture
def shown(monkeypatch) -> list:
    figures: list = []
    monkeypatch.setattr(
        style, "show", lambda figure, alt: figures.append((figure, alt))
    )
    return figures


def test_the_leaderboard_frames_what_is_marked_and_darkens_what_is_better(
    shown,
) -> None:
    judging.leaderboard(MEANS, MARKED, {"deletion": 1, "seconds": -1}, "One wins")
    [(figure, alt)] = shown
    axes = figure.axes[0]
    texts = {text.get_text(): text.get_weight() == "bold" for text in axes.texts}
    assert texts == {
        "0.90": True,
        "−0.10": False,
        "0.50": False,
        "2.00": False,
        "0.10": True,
    }
    assert np.allclose(
        axes.images[0].get_array().filled(np.nan),
        [[1, 0], [0, 1], [0.6, np.nan]],
        equal_nan=True,
    )
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "deletion ↑",
        "seconds ↓",
    ]
    assert "3 explainers by 2 measures" in alt and "deletion: one; seconds: two" in alt


def test_a_column_of_equal_means_divides_by_nothing(shown) -> None:
    same = pd.DataFrame({"stability": [1.0, 1.0]}, ["one", "two"])
    judging.leaderboard(same, same > 0, {"stability": 1}, "All level")
    assert np.allclose(shown[0][0].axes[0].images[0].get_array(), 0)


def test_power_curves_say_where_each_suffices(shown) -> None:
    people = np.array([10, 20, 30])
    judging.power_curves(
        people, {"0.5": np.array([0.3, 0.8, 0.9]), "0.1": np.array([0.1, 0.1, 0.2])}
    )
    [(figure, alt)] = shown
    assert "0.5 from 20 people on." in alt and "0.1 from" not in alt
    assert (
        len(figure.axes[0].lines) == 3
        and figure.axes[0].get_ylabel() == "chance to find the effect"
    )
    judging.power_curves(people, {"0.1": np.array([0.1, 0.1, 0.2])}, title="Too few")
    assert "none of them" in shown[1][1] and shown[1][0].get_suptitle() == "Too few"


def test_a_note_leads_to_the_largest_fall_of_its_curve_and_is_said_in_words(
    shown,
) -> None:
    curves = {"Shapley": [4.0, 3.5, 1.0, 0.5, 0.0], "random": [4.0, 3.9, 3.0, 2.0, 0.0]}
    notes = {"the last twin goes": "Shapley", "the first goes": "random"}
    judging.deletion_curve(curves, notes=notes)
    judging.deletion_curve(curves)
    [(figure, alt), (plain, plain_alt)] = shown
    first, second = figure.axes[0].texts
    # between removals 1 and 2 of 4, and between 3 and 4
    assert first.xy == (37.5, 2.25) and second.xy == (87.5, 1.0)
    assert first.get_text().replace("\n", " ") == "the last twin goes, −2.5"
    assert first.xyann != second.xyann
    assert (
        "Largest fall of Shapley, at removal 2 of 4: the last twin goes, −2.5." in alt
    )
    assert "Largest fall of random, at removal 4 of 4: the first goes, −2." in alt
    assert len(plain.axes[0].texts) == 0 and "Largest fall" not in plain_alt

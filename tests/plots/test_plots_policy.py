"""The figure of policies says in words what it draws."""

from __future__ import annotations

import numpy as np
import pytest

from xrec_utils.plots import recommenders, style


def test_reward_by_visit_names_ends_and_the_largest_gain(monkeypatch) -> None:
    drawn = []
    monkeypatch.setattr(
        style,
        "display",
        lambda data, **options: drawn.append((data, options["metadata"])),
    )
    monkeypatch.setattr(recommenders, "canvas", style.canvas)
    rewards = {
        "list": np.array([[1.0, 1, 1], [1, 1, 1]]),
        "network": np.array([[1.0, 2, 4], [1, 2, 6]]),
    }
    recommenders.reward_by_visit(rewards)
    [(data, metadata)] = drawn
    assert (
        data["text/plain"] == metadata["image/png"]["alt"]
        and data["image/png"][1:4] == b"PNG"
    )
    assert "list 1 to 1 and network 1 to 5" in data["text/plain"]


def test_the_axes_are_labelled_and_start_at_zero(monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(style, "show", lambda figure, alt: seen.append(figure))
    recommenders.reward_by_visit(
        {"network": np.array([[1.0, 3], [2, 3]])}, title="It learns"
    )
    axes = seen[0].axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "visit",
        "purchases per visit",
    ) and axes.get_ylim()[0] == 0
    assert axes.lines[0].get_ydata() == pytest.approx(
        [1.5, 3]
    ) and axes.get_xticks().tolist() == [1, 2]
    assert seen[0].get_suptitle() == "It learns"

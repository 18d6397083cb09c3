"""Figures of a prompt show every word on its colour, and every block and line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from xrec_utils.plots import language, style

TEXT = pd.DataFrame(
    {"line": [0, 0, 1], "text": ["Big ", "Fish", "Cube"], "value": [0.2, -0.1, 0.0]}
)


@pytest.fixture
def shown(monkeypatch) -> list:
    figures = []
    monkeypatch.setattr(
        style, "show", lambda figure, alt: figures.append((figure, alt))
    )
    return figures


def test_every_part_is_written_on_the_colour_of_its_value(shown) -> None:
    language.coloured_text(TEXT, "Two words matter.", "weight")
    figure, alt = shown[0]
    figure.canvas.draw()
    parts = {text.get_text(): text for text in figure.axes[0].texts}
    assert list(parts) == ["Big ", "Fish", "Cube"]
    red, blue, white = (
        to_rgb(text.get_bbox_patch().get_facecolor()) for text in parts.values()
    )
    assert red[0] > red[2] and blue[2] > blue[0] and min(white) > 0.98
    boxes = [text.get_window_extent() for text in parts.values()]
    assert boxes[0].x1 <= boxes[1].x0 + 1 and boxes[0].y0 == pytest.approx(
        boxes[1].y0, abs=4
    )
    assert boxes[2].y1 < boxes[0].y0
    assert (
        alt
        == "Two words matter. Text of 3 parts coloured by weight. Largest: Big 0.2, Fish −0.1 and Cube 0."
    )


def test_blocks_lie_from_left_to_right_and_lines_from_top_to_bottom(shown) -> None:
    weights = np.array([[0.1, 0.2], [0.0, 0.4], [0.3, 0.1]])
    language.blocks_by_line(
        weights, ["Big Fish", "Cube"], "Block 2 looks at Cube", "share"
    )
    figure, alt = shown[0]
    [image] = figure.axes[0].images
    np.testing.assert_array_equal(image.get_array(), weights.T)
    assert tuple(image.get_extent()) == (0.5, 3.5, 1.5, -0.5)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        "Big Fish",
        "Cube",
    ]
    assert alt.endswith("3 blocks and 2 lines. Largest: 0.4 in block 2 for Cube.")

"""Buttons are pressed and read; the picture and the line of text are what a stored
notebook keeps.
"""

from __future__ import annotations

import html
import re

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from paths_by_hand import HISTORIES, ITEM, TITLES, built
from xrec_utils.explain.path import DecisionPath, Step, decision_path
from xrec_utils.plots.path import decision_picture, decision_widget, step_html

PATH = DecisionPath(
    "ease",
    3,
    "Tom & Jerry <1>",
    -0.25,
    (
        Step("input", "One film goes in.", ("place", "film"), ((1, "A < B"),)),
        Step(
            "weights",
            "It has a weight.",
            ("film", "weight"),
            (("A < B", -0.25), ("2 other films", 0.0)),
        ),
        Step("score", "It is the score.", ("part", "value"), (("score", -0.25),)),
    ),
)


def plain(markup: str) -> str:
    """What a reader sees of HTML, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def picture(path: DecisionPath, title: str | None = None) -> tuple[bytes, str]:
    """The PNG and its alternative text."""
    InteractiveShell.instance()
    with capture_output() as captured:
        decision_picture(path, title)
    (output,) = captured.outputs
    return output.data["image/png"], output.metadata["image/png"]["alt"]


def test_the_input_is_open_at_first() -> None:
    shown = decision_widget(PATH)
    assert (
        plain(shown.detail.value)
        == "input (1 of 3). One film goes in. place film 1 A < B"
    )
    assert [button.description for button in shown.buttons] == [
        "input",
        "weights",
        "score",
    ]
    assert plain(shown.children[0].value) == "Tom & Jerry <1> : score −0.25 by ease"


def test_a_press_opens_the_step_and_marks_its_button() -> None:
    shown = decision_widget(PATH)
    for place in (1, 2, 0, 1):
        shown.buttons[place].click()
        step = PATH.steps[place]
        assert plain(shown.detail.value).startswith(
            f"{step.name} ({place + 1} of 3). {step.sentence}"
        )
        assert [button.button_style for button in shown.buttons].index(
            "primary"
        ) == place
        assert [bool(button.icon) for button in shown.buttons] == [
            n == place for n in range(3)
        ]
    assert plain(shown.detail.value).endswith(
        "film weight A < B -0.250 2 other films 0.000"
    )


def test_arrows_stand_between_the_buttons_and_only_buttons_take_the_focus() -> None:
    row = decision_widget(PATH).children[1].children
    assert [type(each).__name__ for each in row] == [
        "Button",
        "Label",
        "Button",
        "Label",
        "Button",
    ]
    assert {each.value for each in row[1::2]} == {"→"}
    assert [each.tooltip for each in row[::2]] == [step.sentence for step in PATH.steps]


def test_two_widgets_do_not_share_their_state() -> None:
    one, other = decision_widget(PATH), decision_widget(PATH)
    one.buttons[2].click()
    assert "weights" not in one.detail.value and "(1 of 3)" in other.detail.value


@pytest.mark.parametrize("name", ["ease", "dae", "attention", "by hand"])
def test_every_step_of_a_real_path_shows_its_numbers(name: str) -> None:
    path = decision_path(
        built(name), np.array(HISTORIES["longer than the window"]), ITEM, titles=TITLES
    )
    shown = decision_widget(path)
    for button, step in zip(shown.buttons, path.steps, strict=True):
        button.click()
        cells = [
            html.unescape(cell)
            for cell in re.findall(r"<td[^>]*>([^<]*)</td>", shown.detail.value)
        ]
        width = len(step.columns)
        rows = [cells[at : at + width] for at in range(0, len(cells), width)]
        assert len(rows) == len(step.rows)
        for seen, row in zip(rows, step.rows, strict=True):
            for cell, value in zip(seen, row, strict=True):
                assert cell == (
                    ""
                    if value is None
                    else f"{value:.3f}"
                    if isinstance(value, float)
                    else str(value)
                )
    assert plain(shown.detail.value).endswith(f"score {path.score:.3f}")


def test_html_is_escaped_and_has_column_headers() -> None:
    markup = step_html(Step("<b>", "a & b", ("x<y",), (("<script>",),)), "1 of 1")
    assert (
        "<script>" not in markup
        and "&lt;script&gt;" in markup
        and "a &amp; b" in markup
    )
    assert re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', markup) == ["x&lt;y"]


def test_a_notebook_that_is_stored_keeps_text_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XREC_QUIET", "1")
    assert decision_widget(PATH)._repr_mimebundle_() == {
        "text/plain": "Run this cell for buttons: input → weights → score"
    }


def test_a_reader_gets_buttons_and_the_same_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("XREC_QUIET", raising=False)
    shown = decision_widget(PATH)
    bundle = shown._repr_mimebundle_()
    assert (
        bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == shown.model_id
    )
    assert bundle["text/plain"].startswith("Run this cell for buttons: input →")


def test_the_picture_tells_the_path_in_words_too() -> None:
    png, alt = picture(PATH)
    assert png.startswith(b"\x89PNG")
    assert alt == (
        "Decision path of Tom & Jerry <1> by ease in 3 steps: input, weights and score. The first rows of each: "
        "1, A < B; A < B, -0.250; score, -0.250. The score is −0.25."
    )


def test_the_picture_holds_the_first_rows_and_all_of_the_score(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []
    monkeypatch.setattr(
        "xrec_utils.plots.style.show", lambda figure, alt: seen.append(figure)
    )
    rows = tuple((letter, float(place)) for place, letter in enumerate("abcde"))
    steps = (
        Step("first", "Five rows.", ("part", "share"), rows),
        Step("last", "Five.", ("end", "value"), rows),
    )
    decision_picture(
        DecisionPath("ease", 3, "Heat", 1.5, steps), "What the picture says"
    )
    (figure,) = seen
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert figure.get_suptitle() == "What the picture says"
    assert texts == [
        *("first", "part", *"abc", "share", "0", "1", "2"),
        *("last", "end", *"abcde", "value", "0", "1", "2", "3", "4"),
        "",  # the arrow between the two
    ]


@pytest.mark.parametrize("name", ["popularity", "vae", "din", "gru", "by hand"])
def test_every_kind_of_path_can_be_drawn(name: str) -> None:
    png, alt = picture(
        decision_path(
            built(name), np.array(HISTORIES["one film"]), ITEM, titles=TITLES
        ),
        "A title",
    )
    assert png.startswith(b"\x89PNG") and "by " in alt

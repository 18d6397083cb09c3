"""The figures of causes draw what they are given and say it in words."""

from __future__ import annotations

import numpy as np
import pytest

from xrec_utils.games.explanation import Explanation
from xrec_utils.plots import causes, style


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list:
    seen: list = []
    monkeypatch.setattr(
        style,
        "show",
        lambda figure, alt: (figure.canvas.draw(), seen.append((figure, alt))),
    )
    return seen


def explanation(values: list[float], players: str = "abc") -> Explanation:
    return Explanation(
        tuple(players), "score of Alien", values, 0.0, sum(values), "by hand"
    )


@pytest.mark.parametrize(
    ("stars", "label"), [(None, "b"), ([3.0, 4.5, 1.0], "b  4.5★")]
)
def test_two_answers_stand_in_order_of_the_largest_with_a_line_between_them(
    drawn, stars, label
) -> None:
    answers = {
        "now": explanation([0.1, -2.0, 0.5]),
        "learned": explanation([1.0, 0.25, 0.0]),
    }
    causes.two_answers(answers, "They differ.", k=2, stars=stars)
    [(figure, alt)] = drawn
    [axes] = figure.axes
    assert (
        alt
        == "They differ. Two dots per film, now and learned: b −2 and 0.25; a 0.1 and 1."
    )
    assert next(text.get_text() for text in axes.get_yticklabels()) == label
    lines, now, learned = axes.collections
    assert now.get_offsets()[:, 0].tolist() == [-2.0, 0.1] and learned.get_offsets()[
        :, 0
    ].tolist() == [0.25, 1.0]
    assert [sorted(segment[:, 0]) for segment in lines.get_segments()] == [
        [-2.0, 0.25],
        [0.1, 1.0],
    ]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "now",
        "learned",
    ]


def test_answers_about_other_players_are_refused() -> None:
    one = explanation([1, 2, 3])
    for answers in ({"a": one, "b": explanation([1, 2, 3], "abd")}, {"a": one}):
        with pytest.raises(ValueError, match="same players"):
            causes.two_answers(answers, "no")


def test_rank_paths_say_when_the_film_is_out(drawn) -> None:
    causes.rank_paths(
        {"greedy": np.array([1, 5, 11]), "random": np.array([1, 1, 2, 3])},
        10,
        "Greedy is shorter",
    )
    [(figure, alt)] = drawn
    [axes] = figure.axes
    assert alt.endswith("out of the top 10: greedy after 2 and random never.")
    assert [line.get_ydata().tolist() for line in axes.lines[:2]] == [
        [1, 5, 11],
        [1, 1, 2, 3],
    ]
    assert (
        axes.lines[2].get_ydata() == [10.5, 10.5]
        and axes.get_yscale() == "log"
        and axes.yaxis_inverted()
    )

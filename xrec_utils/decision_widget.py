"""The decision path of a recommendation behind buttons, and as a picture where buttons
cannot work.

Buttons need a kernel. What a notebook stores, and GitHub shows, is the picture and one
line of text.
"""

from __future__ import annotations

import os
import textwrap
from functools import partial
from html import escape
from typing import Any

import ipywidgets as widgets
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle

from xrec_utils.decision_path import DecisionPath, Row, Step, shown
from xrec_utils.plots_base import (
    BLUE,
    GREY,
    NEGATIVE,
    POSITIVE,
    canvas,
    listed,
    number,
    shorten,
)

SHOWN = 3  # rows of each step in the picture
UNSIGNED = ("length", "share", "users")  # columns that push neither up nor down
VIEW = "application/vnd.jupyter.widget-view+json"


def decision_widget(path: DecisionPath) -> PathButtons:
    """Show a path as a row of buttons, one for each step; a press (mouse, Enter or
    space) opens the step's numbers.
    """
    return PathButtons(path)


class PathButtons(widgets.VBox):
    """The buttons of a path in order, arrows between them, and below the step that is
    open; at first the input.
    """

    def __init__(self, path: DecisionPath) -> None:
        self.path = path
        self.buttons = [
            widgets.Button(
                description=step.name,
                tooltip=step.sentence,
                layout=widgets.Layout(width="auto"),
            )
            for step in path.steps
        ]
        self.detail = widgets.HTML()
        row: list[widgets.Widget] = []
        for place, button in enumerate(self.buttons):
            button.on_click(partial(self._open, place))
            row += [widgets.Label("→"), button] if place else [button]
        title = widgets.HTML(
            f"<b>{escape(path.title)}</b>: score {number(path.score)} by {escape(path.model)}"
        )
        super().__init__(
            [
                title,
                widgets.HBox(row, layout=widgets.Layout(flex_flow="row wrap")),
                self.detail,
            ]
        )
        self._open(0)

    def _open(self, place: int, _: widgets.Button | None = None) -> None:
        for n, button in enumerate(self.buttons):
            button.button_style, button.icon = (
                ("primary", "check") if n == place else ("", "")
            )
        self.detail.value = step_html(
            self.path.steps[place], f"{place + 1} of {len(self.buttons)}"
        )

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """What a notebook keeps: a line of text, and the buttons unless outputs are
        made for storing (XREC_QUIET=1).
        """
        bundle = super()._repr_mimebundle_(**options)
        steps = " → ".join(step.name for step in self.path.steps)
        bundle["text/plain"] = f"Run this cell for buttons: {steps}"
        return {
            kind: data
            for kind, data in bundle.items()
            if kind != VIEW or os.environ.get("XREC_QUIET") != "1"
        }


def step_html(step: Step, place: str) -> str:
    """A step as a heading, its sentence and its table in HTML."""
    head = "".join(
        f'<th scope="col" style="text-align:left;padding:0 1em 0 0">{escape(c)}</th>'
        for c in step.columns
    )
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in step.rows)
    sentence = f"<p><b>{escape(step.name)}</b> ({place}). {escape(step.sentence)}</p>"
    return (
        f"{sentence}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _cell(value: Any) -> str:
    side = "left" if isinstance(value, str) else "right"
    return (
        f'<td style="text-align:{side};padding:0 1em 0 0">{escape(shown(value))}</td>'
    )


def decision_picture(path: DecisionPath, title: str | None = None) -> None:
    """Draw the path downwards: a box for each step, beside it the first rows of its
    table (of the last step all).

    Red bars push the score up, blue bars down; grey ones are sizes. title: the
    picture's message.
    """
    tables = [
        step.rows if step is path.steps[-1] else step.rows[:SHOWN]
        for step in path.steps
    ]
    starts = [
        sum(len(rows) + 1.4 for rows in tables[:n]) for n in range(len(tables) + 1)
    ]
    names = listed([step.name for step in path.steps])
    alt = f"Decision path of {path.title} by {path.model} in {len(path.steps)} steps: {names}. The first rows of each: "
    alt += (
        "; ".join(", ".join(map(shown, rows[0])) for rows in tables)
        + f". The score is {number(path.score)}."
    )
    title = (
        title
        or f"{len(path.steps)} steps to the score {number(path.score)} of {path.title}"
    )
    with canvas(
        title,
        alt,
        width=8.6,
        height=0.5 + 0.27 * starts[-1],
        note="the first rows of each step",
    ) as axes:
        for step, rows, start, end in zip(
            path.steps, tables, starts, starts[1:], strict=False
        ):
            _draw(axes, step, rows, start)
            if step is not path.steps[-1]:
                arrow = {"arrowstyle": "->", "color": GREY, "lw": 1.5}
                axes.annotate(
                    "", (0.11, end - 0.1), (0.11, start + 1.9), arrowprops=arrow
                )
        axes.set_xlim(0, 1)
        axes.set_ylim(starts[-1], -0.3)
        axes.axis("off")


def _draw(axes: Axes, step: Step, rows: tuple[Row, ...], top: float) -> None:
    """A step's box and, to its right, the words of each row, a bar for its last number,
    and that number.
    """
    axes.add_patch(
        FancyBboxPatch(
            (0.01, top),
            0.2,
            1.9,
            "round,pad=0,rounding_size=0.01",
            fc="white",
            ec=BLUE,
            lw=1.5,
        )
    )
    axes.text(
        0.11,
        top + 0.95,
        textwrap.fill(step.name, 16),
        ha="center",
        va="center",
        fontsize=11,
        weight="bold",
    )
    words = [n for n, cell in enumerate(rows[0]) if isinstance(cell, str)]
    lines = [step.columns, *rows]
    for place, row in enumerate(lines):
        text = shorten(" · ".join(shown(row[n]) for n in words), 54)
        axes.text(
            0.25,
            top + place + 0.3,
            text,
            va="center",
            fontsize=11,
            color="black" if place else GREY,
        )
    if isinstance(rows[0][-1], str):
        return
    axes.text(
        1, top + 0.3, step.columns[-1], ha="right", va="center", fontsize=11, color=GREY
    )
    largest = max(abs(row[-1]) for row in rows) or 1.0
    for place, row in enumerate(rows, start=1):
        colour = (
            GREY
            if step.columns[-1] in UNSIGNED
            else POSITIVE
            if row[-1] > 0
            else NEGATIVE
        )
        width, height = 0.12 * abs(row[-1]) / largest, top + place + 0.3
        axes.add_patch(Rectangle((0.79, height - 0.3), width, 0.6, color=colour))
        axes.text(1, height, number(row[-1]), ha="right", va="center", fontsize=11)

"""The decision path of a recommendation behind buttons, and as a picture without them.

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

from xrec_utils.explain.path import DecisionPath, Row, Step, shown
from xrec_utils.plots.style import (
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
    """Show a path as a row of buttons, one for each step.

    A press (mouse, Enter or space) opens the step's numbers.

    Args:
        path: what `decision_path` returned.

    Returns:
        A widget; it works where a kernel runs, elsewhere use `decision_picture`.

    Example:
        >>> from xrec_utils.explain.path import DecisionPath, Step
        >>> step = Step("input", "One film goes in.", ("film",), (("Alien",),))
        >>> path = DecisionPath("EASE", 7, "Aliens", 0.5, (step,))
        >>> [button.description for button in decision_widget(path).buttons]
        ['input']
    """
    return PathButtons(path)


class PathButtons(widgets.VBox):
    """The buttons of a path in order, and below them the step that is open.

    At first that is the input.
    """

    def __init__(self, path: DecisionPath) -> None:
        self.path = path
        self.buttons = [_button(step) for step in path.steps]
        self.detail = widgets.HTML()
        row: list[widgets.Widget] = []
        for place, button in enumerate(self.buttons):
            button.on_click(partial(self._open, place))
            if place:
                row.append(widgets.Label("→"))
            row.append(button)
        name = escape(path.title)
        model = escape(path.model)
        title = widgets.HTML(f"<b>{name}</b>: score {number(path.score)} by {model}")
        # on a narrow screen the buttons go on in the next line
        line = widgets.HBox(row, layout=widgets.Layout(flex_flow="row wrap"))
        super().__init__([title, line, self.detail])
        self._open(0)

    def _open(self, place: int, _: widgets.Button | None = None) -> None:
        """Mark one button, by colour and a tick, and show the numbers of its step."""
        for n, button in enumerate(self.buttons):
            button.button_style = "primary" if n == place else ""
            button.icon = "check" if n == place else ""
        count = f"{place + 1} of {len(self.buttons)}"
        self.detail.value = step_html(
            self.path.steps[place],
            count,
        )

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """What a notebook keeps: a line of text, and the buttons.

        Outputs that are made for storing (XREC_QUIET=1) have no buttons.
        """
        bundle = super()._repr_mimebundle_(**options)
        steps = " → ".join(step.name for step in self.path.steps)
        bundle["text/plain"] = f"Run this cell for buttons: {steps}"
        if os.environ.get("XREC_QUIET") == "1":
            bundle.pop(VIEW, None)
        return bundle


def _button(step: Step) -> widgets.Button:
    """A button as wide as the step's name; its sentence is the tooltip."""
    return widgets.Button(
        description=step.name,
        tooltip=step.sentence,
        layout=widgets.Layout(width="auto"),
    )


def step_html(step: Step, place: str) -> str:
    """A step as a heading, its sentence and its table in HTML."""
    style = "text-align:left;padding:0 1em 0 0"
    head = "".join(
        f'<th scope="col" style="{style}">{escape(column)}</th>'
        for column in step.columns
    )
    body = ""
    for row in step.rows:
        cells = "".join(_cell(value) for value in row)
        body += f"<tr>{cells}</tr>"
    sentence = f"<p><b>{escape(step.name)}</b> ({place}). {escape(step.sentence)}</p>"
    return (
        f"{sentence}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _cell(value: Any) -> str:
    """A cell of a table: words on the left, numbers on the right."""
    side = "left" if isinstance(value, str) else "right"
    text = escape(shown(value))
    return f'<td style="text-align:{side};padding:0 1em 0 0">{text}</td>'


def decision_picture(path: DecisionPath, title: str | None = None) -> None:
    """Draw the path downwards: a box for each step, beside it the first rows.

    Of the last step all rows are drawn. Red bars push the score up, blue bars down;
    grey ones are sizes.

    Args:
        path: what `decision_path` returned.
        title: the figure's message; without it, the score.

    Example:
        >>> from xrec_utils.explain.path import DecisionPath, Step
        >>> step = Step("score", "It is given.", ("part", "value"), (("bias", 0.5),))
        >>> path = DecisionPath("EASE", 7, "Aliens", 0.5, (step,))
        >>> decision_picture(path)  # doctest: +NORMALIZE_WHITESPACE
        Decision path of Aliens by EASE in 1 steps: score. The first rows of each: bias,
        0.500. The score is 0.5.
    """
    count = len(path.steps)
    score = number(path.score)
    tables = [step.rows[:SHOWN] for step in path.steps[:-1]]
    tables.append(path.steps[-1].rows)
    # a step is as high as its rows, its heading and a gap
    starts = [0.0]
    for rows in tables:
        starts.append(starts[-1] + (len(rows) + 1.4))
    names = listed([step.name for step in path.steps])
    firsts = [", ".join(map(shown, rows[0])) for rows in tables]
    alt = (
        f"Decision path of {path.title} by {path.model} in {count} steps: {names}. "
        f"The first rows of each: {'; '.join(firsts)}. The score is {score}."
    )
    with canvas(
        title=title or f"{count} steps to the score {score} of {path.title}",
        alt=alt,
        width=8.6,
        height=0.5 + 0.27 * starts[-1],
        note="the first rows of each step",
    ) as axes:
        for n, step in enumerate(path.steps):
            _draw(axes, step, tables[n], starts[n])
            if n < count - 1:
                axes.annotate(
                    "",
                    xy=(0.11, starts[n + 1] - 0.1),
                    xytext=(0.11, starts[n] + 1.9),
                    arrowprops={"arrowstyle": "->", "color": GREY, "lw": 1.5},
                )
        axes.set(xlim=(0, 1), ylim=(starts[-1], -0.3))
        axes.axis("off")


def _draw(axes: Axes, step: Step, rows: tuple[Row, ...], top: float) -> None:
    """Draw a step's box and its rows: words, a bar for the last number, the number."""
    axes.add_patch(
        FancyBboxPatch(
            (0.01, top),
            0.2,
            1.9,
            lw=1.5,
            boxstyle="round,pad=0,rounding_size=0.01",
            fc="white",
            ec=BLUE,
        )
    )
    name = textwrap.fill(step.name, 16)
    axes.text(
        0.11,
        top + 0.95,
        name,
        weight="bold",
        ha="center",
        va="center",
        fontsize=11,
    )

    words = [n for n, cell in enumerate(rows[0]) if isinstance(cell, str)]
    for place, row in enumerate([step.columns, *rows]):
        text = shorten(
            " · ".join(shown(row[n]) for n in words),
            54,
        )
        colour = "black" if place else GREY  # the heading is grey
        axes.text(
            0.25,
            top + place + 0.3,
            text,
            va="center",
            fontsize=11,
            color=colour,
        )
    if not isinstance(rows[0][-1], str):
        _draw_bars(axes, step.columns[-1], [row[-1] for row in rows], top)


def _draw_bars(axes: Axes, heading: str, values: list[float], top: float) -> None:
    """Draw the last numbers of a table as bars, with the numbers at the right edge."""
    style = {"ha": "right", "va": "center", "fontsize": 11}
    axes.text(1, top + 0.3, heading, color=GREY, **style)
    largest = max(abs(value) for value in values) or 1.0
    for place, value in enumerate(values, start=1):
        colour = POSITIVE if value > 0 else NEGATIVE
        if heading in UNSIGNED:
            colour = GREY
        width = 0.12 * abs(value) / largest
        height = top + place + 0.3
        axes.add_patch(Rectangle((0.79, height - 0.3), width, 0.6, color=colour))
        axes.text(1, height, number(value), **style)

"""The decision path of a recommendation behind buttons, and as a picture without them.

Buttons need a kernel. What a notebook stores, and GitHub shows, is the picture and one
line of text.
"""

import os
import textwrap
from collections.abc import Sequence
from functools import partial
from html import escape
from itertools import pairwise
from typing import Any

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle

from xrec_utils.explain.path import DecisionPath, Row, Step, shown
from xrec_utils.plots.style import (
    BLUE,
    GREY,
    NEGATIVE,
    POSITIVE,
    arrow,
    canvas,
    listed,
    number,
    shorten,
)

SHOWN = 3  # rows of each step in the picture
UNSIGNED = ("length", "share", "users")  # columns that push neither up nor down
VIEW = "application/vnd.jupyter.widget-view+json"


class PathButtons(widgets.VBox):
    """The buttons of a path in order, and below them the step that is open.

    At first that is the input.
    """

    def __init__(self, path: DecisionPath) -> None:
        self.path = path
        self.buttons = [
            widgets.Button(
                description=step.name,
                tooltip=step.sentence,
                # as wide as the name
                layout=widgets.Layout(width="auto"),
            )
            for step in path.steps
        ]
        self.detail = widgets.HTML()
        title = widgets.HTML(
            f"<b>{escape(path.title)}</b>: "
            f"score {number(path.score)} by {escape(path.model)}"
        )
        super().__init__([title, self._row(), self.detail])
        self._open(0)

    def _row(self) -> widgets.HBox:
        """The buttons with arrows between them."""
        row: list[widgets.Widget] = []
        for place, button in enumerate(self.buttons):
            button.on_click(partial(self._open, place))
            if place:
                row.append(widgets.Label("→"))
            row.append(button)
        # on a narrow screen the buttons go on in the next line
        return widgets.HBox(row, layout=widgets.Layout(flex_flow="row wrap"))

    def _open(self, place: int, _: widgets.Button | None = None) -> None:
        """Mark one button, by colour and a tick, and show the numbers of its step."""
        for n, button in enumerate(self.buttons):
            button.button_style = "primary" if n == place else ""
            button.icon = "check" if n == place else ""
        self.detail.value = step_html(
            self.path.steps[place], f"{place + 1} of {len(self.buttons)}"
        )

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """What a notebook keeps: a line of text, and the buttons.

        Outputs that are made for storing (XREC_QUIET=1) have no buttons.
        """
        bundle = super()._repr_mimebundle_(**options)
        steps = " → ".join(step.name for step in self.path.steps)
        bundle["text/plain"] = f"Run this cell for buttons: {steps}"
        # without a kernel a stored button would be an empty box
        if os.environ.get("XREC_QUIET") == "1":
            bundle.pop(VIEW, None)
        return bundle


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


def step_html(step: Step, place: str) -> str:
    """A step as a heading, its sentence and its table in HTML."""
    style = "text-align:left;padding:0 1em 0 0"
    head = "".join(
        f'<th scope="col" style="{style}">{escape(column)}</th>'
        for column in step.columns
    )
    # titles are texts of others: escaped, they cannot be read as HTML
    body = ""
    for row in step.rows:
        body += f"<tr>{''.join(map(_cell, row))}</tr>"
    sentence = f"<p><b>{escape(step.name)}</b> ({place}). {escape(step.sentence)}</p>"
    return (
        f"{sentence}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _cell(value: Any) -> str:
    """A cell of a table: words on the left, numbers on the right."""
    side = "left" if isinstance(value, str) else "right"
    style = f"text-align:{side};padding:0 1em 0 0"
    return f'<td style="{style}">{escape(shown(value))}</td>'


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
    tables = [step.rows[:SHOWN] for step in path.steps]
    tables[-1] = path.steps[-1].rows
    # a step is as high as its rows, its heading and a gap
    heights = [len(rows) + 1.4 for rows in tables]
    starts = np.cumsum([0.0, *heights])
    score = number(path.score)
    with canvas(
        title=title or f"{len(tables)} steps to the score {score} of {path.title}",
        alt=_path_in_words(path, tables),
        width=8.6,
        height=0.5 + 0.27 * starts[-1],
        note="the first rows of each step",
        xlim=(0, 1),
        ylim=(starts[-1], -0.3),
    ) as axes:
        for step, rows, top in zip(path.steps, tables, starts[:-1], strict=True):
            _draw_box(axes, step.name, top)
            _draw_rows(axes, step.columns, rows, top)
        for above, below in pairwise(starts[:-1]):
            arrow(axes, (0.11, above + 1.9), (0.11, below - 0.1))
        axes.axis("off")


def _path_in_words(path: DecisionPath, tables: Sequence[Sequence[Row]]) -> str:
    """The alternative text of a path; `tables` has the rows drawn of each step."""
    firsts = [", ".join(map(shown, rows[0])) for rows in tables]
    return (
        f"Decision path of {path.title} by {path.model} in {len(tables)} steps: "
        f"{listed([step.name for step in path.steps])}. "
        f"The first rows of each: {'; '.join(firsts)}. The score is {number(path.score)}."
    )


def _draw_box(axes: Axes, name: str, top: float) -> None:
    """Draw a step as a box with its name."""
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
    axes.text(
        0.11,
        top + 0.95,
        textwrap.fill(name, 16),
        weight="bold",
        ha="center",
        va="center",
        fontsize=11,
    )


def _draw_rows(axes: Axes, columns: Row, rows: Sequence[Row], top: float) -> None:
    """Draw a step's table: words, a bar for the last number, the number."""
    words = [n for n, cell in enumerate(rows[0]) if isinstance(cell, str)]
    for place, row in enumerate([columns, *rows]):
        text = " · ".join(shown(row[n]) for n in words)
        axes.text(
            0.25,
            top + place + 0.3,
            shorten(text, 54),
            va="center",
            fontsize=11,
            color="black" if place else GREY,  # the heading is grey
        )
    if not isinstance(rows[0][-1], str):
        values = [row[-1] for row in rows]
        _draw_bars(axes, columns[-1], values, top)


def _draw_bars(axes: Axes, heading: str, values: list[float], top: float) -> None:
    """Draw the last numbers of a table as bars, with the numbers at the right edge."""
    style = {"ha": "right", "va": "center", "fontsize": 11}
    axes.text(1, top + 0.3, heading, color=GREY, **style)
    # bars of zeros have no length: 1 keeps them from dividing by zero
    largest = max(map(abs, values)) or 1.0
    for place, value in enumerate(values, start=1):
        colour = POSITIVE if value > 0 else NEGATIVE
        axes.add_patch(
            Rectangle(
                xy=(0.79, top + place),
                width=0.12 * abs(value) / largest,
                height=0.6,
                color=GREY if heading in UNSIGNED else colour,
            )
        )
        axes.text(
            1,
            top + place + 0.3,
            number(value),
            **style,
        )

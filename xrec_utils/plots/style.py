"""What all figures share: a palette, a style, a message as title, alternative text."""

import io
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from PIL import Image

# Okabe and Ito (2008), "Color universal design": eight colours told apart with every
# kind of colour vision.
BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
PINK = "#CC79A7"
SKY = "#56B4E9"
VERMILION = "#D55E00"
YELLOW = "#F0E442"
BLACK = "#000000"

# Yellow is left out: on white paper a thin line of it cannot be seen.
PALETTE = (BLUE, ORANGE, GREEN, PINK, SKY, VERMILION, BLACK)
MARKERS = "osD^vPX"
GREY = "#595959"
POSITIVE = VERMILION
NEGATIVE = BLUE

# An odd number of colours, so that zero has the white one to itself.
DIVERGING = mpl.colors.LinearSegmentedColormap.from_list(
    "xrec_diverging", ["#00304D", BLUE, "#FFFFFF", VERMILION, "#5C2900"], N=101
)
SEQUENTIAL = mpl.colors.LinearSegmentedColormap.from_list(
    "xrec_sequential", ["#FFFFFF", SKY, BLUE, "#001F33"], N=64
)

# A legend beside the axes or above them, where it covers nothing that is drawn.
BESIDE = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "frameon": False}
ABOVE = {"loc": "lower center", "bbox_to_anchor": (0.5, 1), "frameon": False}
# A figure's legend below all its axes.
BELOW = {"loc": "outside lower center", "frameon": False}

STYLE = {
    **sns.axes_style("whitegrid"),
    "figure.dpi": 100,
    "savefig.dpi": 100,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 12,
    "axes.labelsize": 12,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "legend.fontsize": 12,
    "figure.titlesize": 14,
    "figure.titleweight": "bold",
    "axes.prop_cycle": mpl.cycler(color=PALETTE),
    "grid.color": "#E0E0E0",
    "axes.edgecolor": GREY,
    # heatmaps: as wide as the axes, and each number keeps its own colour, nothing is
    # blended at the edges
    "image.aspect": "auto",
    "image.interpolation": "nearest",
}


@contextmanager
def canvas(
    title: str,
    alt: str,
    width: float = 7.5,
    height: float = 4.2,
    panels: int = 1,
    note: str = "",
    **settings: Any,
) -> Iterator[Axes | np.ndarray]:
    """Give an empty figure's axes, and show the figure at the end of the block.

    Args:
        title: the figure's message.
        alt: alternative text.
        width: in inches.
        height: in inches, for a title of one line.
        panels: how many axes stand side by side; several come as an array.
        note: a small line below.
        **settings: what `Axes.set` takes, such as xlabel or ylim, of all axes; they are
            set after the block, so that what is drawn there does not change them.

    Yields:
        The axes to draw on.

    Raises:
        ValueError: alt is empty.

    Example:
        >>> with canvas("It grows.", "A line from 1 to 2.", xlabel="day") as axes:
        ...     lines = axes.plot([1, 2])
        A line from 1 to 2.
    """
    with mpl.rc_context(STYLE):
        # 8.4 bold letters of the title fit into an inch
        lines = textwrap.fill(title, int(width * 8.4))
        # a title of several lines makes the figure higher, not the axes lower
        room = 0.22 * lines.count("\n")
        figure = Figure(figsize=(width, height + room), layout="constrained")
        figure.suptitle(lines, x=0.012, ha="left")
        if note:
            figure.supxlabel(note, x=0.988, ha="right", fontsize=11, color=GREY)
        axes = figure.subplots(1, panels)
        yield axes
        for each in np.atleast_1d(axes):
            each.set(**settings)
        show(figure, alt)


def show(figure: Figure, alt: str) -> None:
    """Display a figure as PNG, with its alternative text in the output's metadata.

    Outside IPython, where a picture cannot be displayed, the alternative text is
    printed. Raises ValueError if that text is empty.
    """
    if not alt.strip():
        raise ValueError("alt is empty; say in a sentence or two what the figure shows")
    alt = " ".join(alt.split())
    picture = _Bundle({"image/png": _png(figure), "text/plain": alt})
    display(picture, raw=True, metadata={"image/png": {"alt": alt}})


class _Bundle(dict):
    """A picture and its text; outside IPython, `display` prints the text alone."""

    def __repr__(self) -> str:
        return self["text/plain"]


def _png(figure: Figure) -> bytes:
    """Draw a figure as PNG with at most 256 colours, the same bytes every time.

    They are a third of what all colours would take.
    """
    drawn = io.BytesIO()
    # matplotlib would write its version, and with it other bytes after an update
    figure.savefig(drawn, format="png", metadata={"Software": None})
    # without transparency, on which a dark page would show through
    image = Image.open(drawn).convert("RGB")
    # no dithering: it would put dots on even areas and make the file larger
    image = image.quantize(256, dither=Image.Dither.NONE)
    small = io.BytesIO()
    image.save(small, format="png", optimize=True)
    return small.getvalue()


def shorten(text: str, width: int = 34) -> str:
    """Cut a long title at `width` characters.

    Example:
        >>> shorten("The Lord of the Rings", 9)
        'The Lord…'
    """
    if len(text) <= width:
        return text
    return text[: width - 1].rstrip() + "…"


def shortened(names: Iterable[object], width: int = 34) -> list[str]:
    """Cut each name that is too long at `width` characters."""
    return [shorten(str(name), width) for name in names]


def listed(parts: Sequence[str]) -> str:
    """Join words as 'a, b and c'.

    Example:
        >>> listed(["Alien", "Heat", "Up"])
        'Alien, Heat and Up'
    """
    if len(parts) <= 1:
        return "".join(parts)
    before = ", ".join(parts[:-1])
    return f"{before} and {parts[-1]}"


def capital(text: str) -> str:
    """Begin a sentence with a capital letter."""
    return text[:1].upper() + text[1:]


def trend(rho: float) -> str:
    """Say a rank correlation as a verb."""
    if abs(rho) < 0.1:
        return "hardly changes"
    return "rises" if rho > 0 else "falls"


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation; zero if one side is constant."""
    values = {"x": np.asarray(x), "y": np.asarray(y)}
    ranks = pd.DataFrame(values, dtype=float).rank()
    rho = ranks["x"].corr(ranks["y"])
    # of a constant there is no correlation: pandas says NaN
    return 0.0 if np.isnan(rho) else float(rho)


def colour_bar(axes: Axes, drawn: mpl.cm.ScalarMappable, label: str) -> Colorbar:
    """Put a colour bar of the same width beside axes of any height."""
    # aspect is length over width, and the length follows the figure's height
    return axes.figure.colorbar(
        drawn, ax=axes, label=label, pad=0.01, aspect=7 * axes.figure.get_figheight()
    )


def number(value: float, form: str = ".3g") -> str:
    """Write a number with a true minus sign, in three significant digits or as `form`.

    Example:
        >>> number(-0.12345), number(2.0), number(2.0, ".2f")
        ('−0.123', '2', '2.00')
    """
    return format(value, form).replace("-", "−")


def named(values: Mapping[str, float] | pd.Series) -> list[str]:
    """Write each number behind its name: 'hour 0.3'."""
    return [f"{name} {number(value)}" for name, value in values.items()]


def from_to(values: Sequence[float]) -> str:
    """Say where a line begins and where it ends."""
    return f"from {number(values[0])} to {number(values[-1])}"


def symmetric(values: np.ndarray) -> dict[str, float]:
    """Return colour limits centred on zero: {'vmin': -m, 'vmax': m}.

    m is the largest absolute value, NaN left out, or 1 if all are zero.
    """
    largest = float(np.nanmax(np.abs(values), initial=0)) or 1.0
    return {"vmin": -largest, "vmax": largest}


def no_grid(axes: Axes) -> None:
    """Take the grid and the frame away, for drawings and heatmaps."""
    axes.grid(False)
    # spines are what matplotlib calls the four sides of the frame
    for side in axes.spines.values():
        side.set_visible(False)


# -- what several figures draw


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows of a figure, the first on top, with a little room around them."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)


def link(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], lw: float = 1
) -> None:
    """Draw a line from one place (x, y) to another, below what stands there."""
    x, y = zip(start, end, strict=True)
    axes.plot(x, y, color=GREY, lw=lw, zorder=1)


def boxed(
    axes: Axes, spot: tuple[float, float], text: str, size: int = 12, **box: Any
) -> None:
    """Write a text in a box, above the links; `box` is what a text's bbox takes."""
    frame = {"boxstyle": "round", "fc": "white", "ec": GREY, **box}
    axes.text(
        *spot, text, bbox=frame, ha="center", va="center", fontsize=size, zorder=2
    )


def beside(
    axes: Axes,
    spot: tuple[float, float],
    text: str,
    away: tuple[float, float],
    **style: Any,
) -> None:
    """Write a text some points to the right of and above a spot, such as a bar's end.

    `style` is what `Axes.annotate` takes.
    """
    axes.annotate(text, spot, xytext=away, textcoords="offset points", **style)


def arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], bend: float = 0
) -> None:
    """Draw an arrow from one place to another, to the right by a negative `bend`."""
    look = {"arrowstyle": "->", "color": GREY, "lw": 1.5}
    look["connectionstyle"] = f"arc3,rad={bend}"
    # an annotation without a text is its arrow
    axes.annotate("", end, start, arrowprops=look, zorder=2)


def dashed(axes: Axes, height: float, **style: Any) -> None:
    """Draw a dashed line across the axes, to compare with."""
    axes.axhline(height, **{"color": GREY, "ls": "--", "lw": 1.5, **style})


def rows_from_zero(axes: Axes, names: Sequence[str]) -> None:
    """Name rows of bars or dots, whose values are read from a line at zero."""
    name_rows(axes, names)
    axes.axvline(0, color=GREY, lw=1)
    axes.grid(False, axis="y")


def bars(
    axes: Axes,
    names: Sequence[str],
    values: Sequence[float],
    colours: Sequence[str] | str,
) -> None:
    """Draw horizontal bars, the first on top, with a line at zero."""
    places = range(len(names))
    axes.barh(places, values, color=colours, height=0.72)
    rows_from_zero(axes, names)


def line_chart(
    axes: Axes,
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    marks: int | None = None,
    **style: Any,
) -> None:
    """Draw a line per curve {name: (x, y)}, each in its colour and with its marker.

    `marks` is about how many markers a line has, where one per point would hide it;
    `style` is what `Axes.plot` takes.
    """
    axes.set_prop_cycle(color=PALETTE, marker=list(MARKERS))
    for name, (x, y) in curves.items():
        every = max(1, len(y) // marks) if marks else None
        axes.plot(x, y, label=name, markevery=every, **style)


def columns_chart(axes: Axes, table: pd.DataFrame, **style: Any) -> None:
    """Draw a line per column of a table against its index; see `line_chart`."""
    curves = {name: (table.index, values) for name, values in table.items()}
    line_chart(axes, curves, **style)


def plain_ticks(side: Axis) -> None:
    """Write plain numbers on a log scale: 1,000 instead of 10³, and 0.1."""
    side.set_major_formatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:g}")


def reach(table: pd.DataFrame) -> np.ndarray:
    """How far the intervals of a table (mean, low, high) reach: (2, lines), down and up."""
    ends = table[["low", "high"]].to_numpy().T
    return np.abs(ends - table["mean"].to_numpy())


def heatmap(axes: Axes, grid: np.ndarray, label: str = "", **scale: Any) -> None:
    """Draw a matrix as colours, with a colour bar if it has a label.

    `scale` is what `Axes.imshow` takes: colours and limits. Without it, the colours are
    diverging, on a scale centred on zero.
    """
    scale = scale or {"cmap": DIVERGING, **symmetric(grid)}
    drawn = axes.imshow(grid, **scale)
    if label:
        colour_bar(axes, drawn, label)
    no_grid(axes)

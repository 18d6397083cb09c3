"""What all figures share: one palette, one style, a message as the title, and
alternative text.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image

# Okabe and Ito (2008), "Color universal design": eight colours told apart with every
# kind of colour vision.
BLUE, ORANGE, GREEN, PINK, SKY, VERMILION, YELLOW, BLACK = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#F0E442",
    "#000000",
)
PALETTE = (BLUE, ORANGE, GREEN, PINK, SKY, VERMILION, BLACK)
MARKERS = "osD^vPX"
GREY = "#595959"
POSITIVE, NEGATIVE = VERMILION, BLUE
DIVERGING = LinearSegmentedColormap.from_list(
    "xrec_diverging", ["#00304D", BLUE, "#FFFFFF", VERMILION, "#5C2900"], N=101
)
SEQUENTIAL = LinearSegmentedColormap.from_list(
    "xrec_sequential", ["#FFFFFF", SKY, BLUE, "#001F33"], N=64
)

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
}


@contextmanager
def canvas(
    title: str,
    alt: str,
    width: float = 7.5,
    height: float = 4.2,
    panels: int = 1,
    note: str = "",
) -> Iterator[Axes | np.ndarray]:
    """Give an empty figure's axes (an array of them for several panels), and show the
    figure at the end of the block.

    `title` is the figure's message, `alt` the alternative text, `note` a small line
    below; sizes are in inches.
    """
    with mpl.rc_context(STYLE):
        lines = textwrap.fill(title, int(width * 8.4))
        figure = Figure(
            figsize=(width, height + 0.22 * lines.count("\n")), layout="constrained"
        )
        figure.suptitle(lines, x=0.012, ha="left")
        if note:
            figure.supxlabel(note, x=0.988, ha="right", fontsize=11, color=GREY)
        yield figure.subplots(1, panels)
        show(figure, alt)


def show(figure: Figure, alt: str) -> None:
    """Display a figure as PNG with alternative text in the output's metadata; raises
    ValueError if that is empty.
    """
    if not alt.strip():
        raise ValueError(
            "alt is empty; say in a sentence or two what the figure shows."
        )
    alt = " ".join(alt.split())
    display(
        {"image/png": _png(figure), "text/plain": alt},
        raw=True,
        metadata={"image/png": {"alt": alt}},
    )


def _png(figure: Figure) -> bytes:
    """Draw a figure as PNG with at most 256 colours, a third of the bytes of a
    full-colour one; the same every time.
    """
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    image = (
        Image.open(drawn)
        .convert("RGB")
        .quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    )
    image.save(small, format="png", optimize=True)
    return small.getvalue()


def shorten(text: str, width: int = 34) -> str:
    """Cut a long title at `width` characters."""
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def listed(parts: Sequence[str]) -> str:
    """Join words as 'a, b and c'."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def capital(text: str) -> str:
    """Begin a sentence with a capital letter."""
    return text[:1].upper() + text[1:]


def trend(rho: float) -> str:
    """Say a rank correlation as a verb."""
    return "hardly changes" if abs(rho) < 0.1 else "rises" if rho > 0 else "falls"


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation; zero if one side is constant."""
    rho = (
        pd.Series(np.asarray(x, dtype=float))
        .rank()
        .corr(pd.Series(np.asarray(y, dtype=float)).rank())
    )
    return 0.0 if np.isnan(rho) else float(rho)


def colour_bar(axes: Axes, drawn: ScalarMappable, label: str) -> Colorbar:
    """Put a colour bar of the same width beside axes of any height."""
    return axes.figure.colorbar(
        drawn, ax=axes, label=label, pad=0.01, aspect=7 * axes.figure.get_figheight()
    )


def number(value: float) -> str:
    """Write a number with three significant digits and a true minus sign."""
    return f"{value:.3g}".replace("-", "−")


def symmetric(values: np.ndarray) -> dict[str, float]:
    """Return colour limits centred on zero: {'vmin': -m, 'vmax': m}, m the largest
    absolute value.
    """
    largest = float(np.nanmax(np.abs(values), initial=0)) or 1.0
    return {"vmin": -largest, "vmax": largest}


def no_grid(axes: Axes) -> None:
    """Take the grid and the frame away, for drawings and heatmaps."""
    axes.grid(False)
    for side in axes.spines.values():
        side.set_visible(False)

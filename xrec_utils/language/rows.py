"""A row of data/bench/language.csv: a figure with its interval."""

from dataclasses import astuple
from typing import NamedTuple

import numpy as np

from xrec_utils.metrics.intervals import mean_interval

SMALL = "SmolLM2-135M-Instruct, stored answers"


class Row(NamedTuple):
    """One figure with its interval.

    figure: what was measured. of: of what. value, low, high: in the unit of the figure.
    n: users. source: whose answers.
    """

    figure: str
    of: str
    value: float
    low: float
    high: float
    n: int
    source: str


def row(figure: str, of: str, by_user: np.ndarray, source: str = SMALL) -> Row:
    """The mean over users as a row."""
    mean, low, high = astuple(mean_interval(by_user))
    return Row(figure, of, mean, low, high, len(by_user), source)

"""The parts that every decision path is made of: a step, its case, its tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xrec_utils.contract import History
from xrec_utils.models.sequence import HistoryRecommender

ROWS = 9  # rows of a table, before one that stands for the others
Row = tuple[Any, ...]  # text, whole numbers, floats, or None for "does not apply"


@dataclass(frozen=True)
class Step:
    """One step: what happens in a sentence, and its numbers as `columns` and `rows`."""

    name: str
    sentence: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


class Case(NamedTuple):
    """What the steps are made from.

    films: (n,) codes of the history, oldest first. names: (n,) theirs. item, title: the
    film whose score is followed. titles: names by item code, if there are any.
    """

    films: History
    names: tuple[str, ...]
    item: int
    title: str
    titles: Sequence[str] | None


def places_read(model: HistoryRecommender, case: Case) -> tuple[str, ...]:
    """What the model reads: a start token, and the films that fit into its window."""
    return ("start token", *case.names[-model.window :])


def film_bias(model: HistoryRecommender, case: Case) -> tuple[str, float]:
    """The film's own bias as a part of the score."""
    biases = model.table.bias.numpy()
    return "bias of the film", float(biases[case.item])


def strongest(
    names: Sequence[str], *columns: np.ndarray, what: str = "films"
) -> tuple[Row, ...]:
    """The rows with the largest |last column|, and one more for all others.

    names (n,) and columns (n,) each; the row of the others holds their sum in the last
    column and nothing in the columns before it.
    """
    last = columns[-1]
    # stable: films that count alike keep their order
    order = np.argsort(-np.abs(last), kind="stable")
    rows: list[Row] = []
    for n in order[:ROWS]:
        rows.append(
            (
                str(names[n]),
                # floats of Python: JSON knows no others
                *[float(column[n]) for column in columns],
            )
        )
    others = order[ROWS:]
    if len(others):
        rows.append(
            (
                f"{len(others)} other {what}",
                *[None] * (len(columns) - 1),
                float(last[others].sum()),
            )
        )
    return tuple(rows)


def signed(
    sentence: str, what: str, parts: np.ndarray, *more: tuple[str, float]
) -> Step:
    """The last step of a score that is a sum of many parts (n,), up and down apart."""
    up_and_down = [
        (f"{what} that push it up", parts[parts > 0].sum()),
        (f"{what} that push it down", parts[parts < 0].sum()),
    ]
    return summed(sentence, [*up_and_down, *more])


def summed(sentence: str, parts: Sequence[tuple[str, float]]) -> Step:
    """The last step: named parts, and the score as their sum."""
    rows = [(name, float(value)) for name, value in parts]
    score = sum(value for _, value in rows)
    return Step(
        "score", sentence, columns=("part", "value"), rows=(*rows, ("score", score))
    )

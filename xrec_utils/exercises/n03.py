"""Checks of the exercises of notebook 03."""

import numpy as np
import pandas as pd

from xrec_utils.data.features import FeatureTable
from xrec_utils.exercises.register import exercise, near, near_unless_slip


@exercise(
    "03.1",
    hint="Call posterior(0.3, 0.7, ...) with the third number equal to the second.",
)
def a_clue_that_says_nothing(answer: object) -> bool:
    """Bayes' rule with a clue as likely either way."""
    return near(answer, 0.3)


@exercise(
    "03.2",
    hint="Fit np.linalg.lstsq to [1, user, item] on the training rows; compare mean absolute errors.",
)
def ids_as_numbers(answer: object, table: FeatureTable) -> bool | str:
    """How far a regression on bare ids is from the mean of all."""
    ids = table.ratings[["user", "item"]].to_numpy(dtype=float)
    rows = np.column_stack([np.ones(len(ids)), ids])
    train, test = (table.part == part for part in ("train", "test"))
    stars = table.ratings["value"].to_numpy(dtype=float)
    weights = np.linalg.lstsq(rows[train], stars[train], rcond=None)[0]
    by_ids = np.abs(rows[test] @ weights - stars[test]).mean()
    gain = by_ids - np.abs(stars[train].mean() - stars[test]).mean()
    return near_unless_slip(
        answer,
        expected=gain,
        slip=-gain,
        hint="the other way round: the error of the ids minus that of the mean",
        tolerance=1e-4,
    )


@exercise(
    "03.3",
    hint="Group the index by what stands before the colon, and add up each group in every model.",
)
def groups_of_columns(answer: object, effects: pd.DataFrame) -> bool | str:
    """The effects of columns added up by group, in every model."""
    expected = effects.groupby(
        effects.index.str.partition(":").get_level_values(0)
    ).sum()
    if not isinstance(answer, pd.DataFrame) or set(answer.index) != set(expected.index):
        return f"a table with one line for each of {', '.join(expected.index)} is asked for"
    return near(answer.loc[expected.index, expected.columns], expected, 1e-6)

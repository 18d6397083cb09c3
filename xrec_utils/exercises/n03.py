"""Checks of the exercises of notebook 03."""

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

from xrec_utils.data.features import FeatureTable
from xrec_utils.exercises.register import exercise, near, near_unless_slip
from xrec_utils.metrics.ratings import mae


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
    by_ids, by_mean = errors_of_bare_ids(table)
    gain = by_ids - by_mean
    return near_unless_slip(
        answer,
        expected=gain,
        slip=-gain,
        hint="the other way round: the error of the ids minus that of the mean",
        tolerance=1e-4,
    )


def errors_of_bare_ids(table: FeatureTable) -> tuple[float, float]:
    """Mean absolute error, on the test ratings, of a regression on bare ids, and of the
    mean of all training ratings.
    """
    ids = ["user", "item"]
    train = table.ratings[table.part == "train"]
    test = table.ratings[table.part == "test"]
    model = LinearRegression().fit(
        train[ids],
        train["value"],
    )
    constant = np.full(
        len(test),
        train["value"].mean(),
    )
    return (
        mae(test["value"], model.predict(test[ids])),
        mae(test["value"], constant),
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
    if isinstance(answer, pd.DataFrame) and set(answer.index) == set(expected):
        answer = answer.T
    if not isinstance(answer, pd.DataFrame) or set(answer.index) != set(expected.index):
        return f"a table with one line for each of {', '.join(expected.index)} is asked for"
    return near(answer.loc[expected.index, expected.columns], expected, 1e-6)

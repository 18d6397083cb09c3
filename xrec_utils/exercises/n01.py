"""Checks of the exercises of notebook 01."""

import pandas as pd

from xrec_utils.data.features import FeatureTable
from xrec_utils.data.splits import Split
from xrec_utils.exercises.register import exercise, near, near_unless_slip
from xrec_utils.shop.log import ShopData

DAY = 86_400  # seconds


@exercise(
    "01.1",
    hint='Ask bought["event"].isin(shop.reasons["event"]), and take the mean of the result.',
)
def share_with_an_owned_reason(answer: object, shop: ShopData) -> bool | str:
    """The share of purchases whose reason was bought earlier."""
    explained = shop.events["event"].isin(shop.reasons["event"])
    if near(answer, explained.mean()):
        return "that is the share of all events; only purchases are asked for"
    bought = explained[shop.events["behaviour"] == "purchase"]
    return near_unless_slip(
        answer,
        expected=bought.mean(),
        slip=bought.sum(),
        hint="that is the number of purchases; a share is asked for",
    )


@exercise(
    "01.2",
    hint='Put the ratings with user == early["user"] and time < early["time"] into the formula.',
)
def mean_stars_as_of(
    answer: object, inputs: FeatureTable, row: pd.Series
) -> bool | str:
    """A user's shrunk mean of stars before one rating."""
    mine = inputs.ratings[inputs.ratings["user"] == row["user"]]
    return near_unless_slip(
        answer,
        expected=shrunk_mean(mine.loc[mine["time"] < row["time"], "value"]),
        slip=shrunk_mean(mine["value"]),
        hint="this mean contains the row's own rating: take only those strictly before its second",
        tolerance=1e-6,
    )


@exercise(
    "01.3",
    hint="Subtract from each test time the latest time of that user in train and validation together.",
)
def next_times(answer: object, split: Split) -> bool | str:
    """Test ratings more than a day after the user's latest known one."""
    return near_unless_slip(
        answer,
        expected=waits(split, pd.concat([split.train, split.validation])),
        slip=waits(split, split.train),
        hint="the validation rating is known too: take the latest of both parts",
    )


def shrunk_mean(stars: pd.Series) -> float:
    """The mean with five pretended ratings of 3.5, as in the notebook."""
    return 3.5 + float((stars - 3.5).sum()) / (len(stars) + 5)


def waits(split: Split, known: pd.DataFrame) -> int:
    """How many test ratings came more than a day after the user's latest known one."""
    latest = known.groupby("user")["time"].max()
    before = split.test["user"].map(latest)
    pause = split.test["time"] - before
    return int((pause > DAY).sum())

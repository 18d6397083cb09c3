"""Checks of the exercises of notebook 01."""

import pandas as pd

from xrec_utils.data.features import FeatureTable
from xrec_utils.data.splits import Split
from xrec_utils.exercises.register import exercise, near
from xrec_utils.shop.log import ShopData

DAY = 86_400  # seconds


@exercise(
    "01.1",
    hint='Ask bought["event"].isin(shop.reasons["event"]), and take the mean of the result.',
)
def share_with_an_owned_reason(answer: object, shop: ShopData) -> bool | str:
    numbers = shop.events.loc[shop.events["behaviour"] == "purchase", "event"]
    if near(answer, shop.events["event"].isin(shop.reasons["event"]).mean()):
        return "that is the share of all events; only purchases are asked for"
    if near(answer, numbers.isin(shop.reasons["event"]).sum()):
        return "that is the number of purchases; a share is asked for"
    return near(answer, numbers.isin(shop.reasons["event"]).mean())


@exercise(
    "01.2",
    hint='Put the ratings with user == row["user"] and time < row["time"] into the formula.',
)
def mean_stars_as_of(
    answer: object, inputs: FeatureTable, row: pd.Series
) -> bool | str:
    mine = inputs.ratings[inputs.ratings["user"] == row["user"]]
    if near(answer, shrunk_mean(mine["value"])):
        return "this mean contains the row's own rating: take only those strictly before its second"
    return near(answer, shrunk_mean(mine.loc[mine["time"] < row["time"], "value"]))


@exercise(
    "01.3",
    hint="Subtract from each test time the latest time of that user in train and validation together.",
)
def next_times(answer: object, split: Split) -> bool | str:
    latest = pd.concat([split.train, split.validation]).groupby("user")["time"].max()
    if near(answer, waits(split, split.train.groupby("user")["time"].max())):
        return "the validation rating is known too: take the latest of both parts"
    return near(answer, waits(split, latest))


def shrunk_mean(stars: pd.Series) -> float:
    """The mean with five pretended ratings of 3.5, as in the notebook."""
    return 3.5 + float((stars - 3.5).sum()) / (len(stars) + 5)


def waits(split: Split, latest: pd.Series) -> int:
    """How many test ratings came more than a day after the latest known one."""
    return int((split.test["time"] - split.test["user"].map(latest) > DAY).sum())

"""The k-core: users and items with at least k ratings among themselves."""

from dataclasses import replace

import pandas as pd

from xrec_utils.data.load import Dataset
from xrec_utils.files import DataError


def k_core(dataset: Dataset, k: int = 5) -> Dataset:
    """Drop users and items with fewer than k events, until all that are left have k.

    Dropping an item takes events from its users, so it is done again and again.

    Args:
        dataset: any ratings.
        k: the least number of events of a user and of an item.

    Returns:
        A data set with the remaining events, items and users.

    Raises:
        DataError: nothing is left.

    Example:
        User 3 has one event only; without it, film 30 has none.

        >>> events = pd.DataFrame({"user": [1, 1, 2, 2, 3]})
        >>> events["item"] = [10, 20, 10, 20, 30]
        >>> items = pd.DataFrame({"item": [10, 20, 30]})
        >>> users = pd.DataFrame({"user": [1, 2, 3]})
        >>> small = k_core(Dataset("log", events, items, users), k=2)
        >>> small.name, small.items["item"].tolist(), small.users["user"].tolist()
        ('log, 2-core', [10, 20], [1, 2])
    """
    events = core(dataset.interactions, k)
    if events.empty:
        raise DataError(
            f"{dataset.name}: no user and item have {k} events each; choose a smaller k"
        )
    item_is_left = dataset.items["item"].isin(events["item"])
    user_is_left = dataset.users["user"].isin(events["user"])
    return replace(
        dataset,
        name=f"{dataset.name}, {k}-core",
        interactions=events.reset_index(drop=True),
        items=dataset.items[item_is_left].reset_index(drop=True),
        users=dataset.users[user_is_left].reset_index(drop=True),
    )


def core(events: pd.DataFrame, k: int) -> pd.DataFrame:
    """The events of the k-core, from a table with columns user and item.

    The result may be empty.
    """
    while True:
        kept = events[at_least(events["user"], k) & at_least(events["item"], k)]
        if len(kept) == len(events):
            return kept
        events = kept


def at_least(ids: pd.Series, k: int) -> pd.Series:
    """Whether the id of each row occurs k times or more: a boolean per row."""
    return ids.groupby(ids).transform("size") >= k

"""Splitting ratings into training, validation and test, without a leak.

Many MovieLens ratings share their second, and files list them by film within a user, so
breaking such ties by file order would hand the film's id to every sequence model. Here
ties are broken by a seeded hash of (user, item) instead: the same whatever the order of
the rows, different for every `tie_seed`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from xrec_utils.data.load import Dataset
from xrec_utils.data.order import in_time_order, tie_hash
from xrec_utils.files import DataError, require


@dataclass(frozen=True)
class Cases:
    """What a recommender is asked, one case per user.

    Args:
        users: (n,) user codes.
        histories: n arrays of int32 item codes, oldest first, never empty.
        targets: n arrays of int32 item codes that should be recommended.
        left_out: how many users have something held out but an empty history.

    Example:
        User 7 saw films 0 and 3 and then film 2, which is to be recommended.

        >>> seen = np.array([0, 3], dtype=np.int32)
        >>> wanted = np.array([2], dtype=np.int32)
        >>> cases = Cases(np.array([7]), [seen], [wanted])
        >>> len(cases), cases.targets[0].tolist(), cases.left_out
        (1, [2], 0)
    """

    users: np.ndarray
    histories: list[np.ndarray]
    targets: list[np.ndarray]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True)
class Split:
    """Ratings in three disjoint parts, in codes 0..n-1 instead of the ids of the file.

    Args:
        name: of the way of splitting.
        items, users: one row per code (index `code`), columns as in the Dataset. Codes
            follow the sorted ids.
        train, validation, test: columns user, item, value, time (and behaviour, if
            there is one), user by user, oldest first, and place, the number of the
            event in its user's whole history.
        tie_seed: the seed that ordered events of the same second.
        fold_in: True if a case asks for a user's very last item given everything before
            it (`global_time`).
    """

    name: str
    items: pd.DataFrame
    users: pd.DataFrame
    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    tie_seed: int = 0
    fold_in: bool = False

    @property
    def n_items(self) -> int:
        """How many items have at least one rating."""
        return len(self.items)

    @property
    def n_users(self) -> int:
        """How many users have at least one rating."""
        return len(self.users)

    @cached_property
    def titles(self) -> np.ndarray:
        """(n_items,) names such as "Toy Story (1995)".

        Films that would share a name get their id in brackets.
        """
        films = self.items[["item", "title", "year"]].astype("string")
        # films without a year have no brackets either
        names = films["title"] + (" (" + films["year"] + ")").fillna("")
        with_id = names + " [" + films["item"] + "]"
        return names.where(~names.duplicated(keep=False), with_id).to_numpy(dtype=str)

    def train_histories(self) -> list[np.ndarray]:
        """The training items of every user code, as int32 arrays, oldest first.

        A user without training events has an empty array.
        """
        return _by_user(self.train, self.n_users)

    def cases(self, part: Literal["validation", "test"]) -> Cases:
        """The users of a part with what is known of them and what is asked.

        leave_last_out and random_per_user: history = training items (for "test" also
        the validation items), targets = all items of the part. global_time: users whose
        last event lies in the part; history = all they did before, target = that last
        item. A target may be an item which the training part never shows.

        Args:
            part: "validation" or "test".

        Raises:
            ValueError: the part is neither "validation" nor "test".
        """
        parts = {
            "train": self.train,
            "validation": self.validation,
            "test": self.test,
        }
        require(
            part in ("validation", "test"),
            f"part={part!r}: choose 'validation' or 'test'",
        )
        if self.fold_in:
            # one table, each row with the name of its part
            events = in_place(
                pd.concat(parts, names=["part"]).reset_index("part"),
            )
            last = ~events["user"].duplicated(keep="last")
            return self._ask(
                known=events[~last],
                asked=events[last & (events["part"] == part)],
            )
        # the final models are asked about the test part with all that came before it
        before = ["train"] if part == "validation" else ["train", "validation"]
        return self._ask(
            known=pd.concat([parts[name] for name in before]),
            asked=parts[part],
        )

    def _ask(self, known: pd.DataFrame, asked: pd.DataFrame) -> Cases:
        """The users with something asked and something known, as cases."""
        histories = _by_user(in_place(known), self.n_users)
        targets = _by_user(asked, self.n_users)
        held_out = [user for user in range(self.n_users) if len(targets[user])]
        # without a history there is nothing to recommend from: counted, not asked
        users = [user for user in held_out if len(histories[user])]
        return Cases(
            users=np.array(users, dtype=np.int64),
            histories=[histories[user] for user in users],
            targets=[targets[user] for user in users],
            left_out=len(held_out) - len(users),
        )


def leave_last_out(dataset: Dataset, tie_seed: int = 0) -> Split:
    """Hold out each user's last event for test and the one before it for validation.

    Users with fewer than three events stay in the training part whole: nothing would be
    left to predict from.

    Args:
        dataset: ratings with times.
        tie_seed: orders events of the same second.

    Returns:
        The three parts, in codes.

    Raises:
        DataError: the data set has no times.

    Example:
        >>> events = pd.DataFrame({"user": [1] * 4, "item": [10, 20, 30, 40]})
        >>> events["time"] = [4, 3, 2, 1]
        >>> items = pd.DataFrame({"item": [10, 20, 30, 40]})
        >>> users = pd.DataFrame({"user": [1]})
        >>> split = leave_last_out(Dataset("log", events, items, users))
        >>> split.train["item"].tolist()  # codes: film 40 is 3, film 10 is 0
        [3, 2]
        >>> split.validation["item"].tolist(), split.test["item"].tolist()
        ([1], [0])
    """
    events = _ordered(dataset, "leave_last_out", tie_seed)
    by_user = events.groupby("user")["item"]
    too_few = by_user.transform("size") < 3
    from_end = by_user.cumcount(ascending=False)
    # 0 = train, 1 = validation, 2 = test; the first that holds counts
    part = np.select(
        [too_few, from_end == 0, from_end == 1],
        [0, 2, 1],
        default=0,
    )
    return _split("leave-last-out", dataset, events, part, tie_seed)


def global_time(
    dataset: Dataset, validation: float = 0.1, test: float = 0.1, tie_seed: int = 0
) -> Split:
    """Cut the calendar twice: the newest events are for test, those before validate.

    Models learn from events before the first cut only, so no parameter has seen the
    future; see `Split.cases` for what is asked. Events in the second of a cut all go to
    the later part. Users without earlier events are left out of the cases and counted
    there.

    Args:
        dataset: ratings with times.
        validation, test: shares of all events, above 0, together below 1.
        tie_seed: orders events of the same second.

    Returns:
        The three parts, in codes.

    Raises:
        DataError: the data set has no times, or so few that a part would be empty.
        ValueError: the shares are not between 0 and 1.

    Example:
        >>> events = pd.DataFrame({"user": [1, 1, 1, 2], "item": [10, 20, 30, 10]})
        >>> events["time"] = [1, 2, 4, 3]
        >>> items = pd.DataFrame({"item": [10, 20, 30]})
        >>> users = pd.DataFrame({"user": [1, 2]})
        >>> log = Dataset("log", events, items, users)
        >>> split = global_time(log, validation=0.25, test=0.25)
        >>> split.train["time"].tolist(), split.validation["time"].tolist()
        ([1, 2], [3])
        >>> split.cases("validation").left_out  # user 2 has done nothing before
        1
    """
    check_shares(validation, test)
    events = _ordered(dataset, "global_time", tie_seed)
    time = events["time"].to_numpy()
    first_rows = np.floor(
        [
            len(events) * (1 - validation - test),
            len(events) * (1 - test),
        ]
    )
    cuts = np.sort(time)[first_rows.astype(np.int64)]
    # side="right": the second of a cut belongs to the later part
    part = np.searchsorted(cuts, time, side="right")
    require(
        len(np.unique(part)) >= 3,
        f"{dataset.name}: too few different times for global_time; use random_per_user",
        error=DataError,
    )
    return _split(
        "global time",
        dataset,
        events,
        part,
        tie_seed,
        fold_in=True,
    )


def random_per_user(
    dataset: Dataset, validation: float = 0.1, test: float = 0.25, seed: int = 0
) -> Split:
    """Hold out random shares of each user's events, rounded half up.

    A user who would be left without a training event stays in the training part whole.
    The past may be predicted from the future here: right for questions about taste,
    wrong for claims about forecasting.

    Args:
        dataset: ratings, with times or without.
        validation, test: shares of a user's events, above 0, together below 1.
        seed: chooses the events.

    Returns:
        The three parts, in codes.

    Raises:
        ValueError: the shares are not between 0 and 1.

    Example:
        >>> events = pd.DataFrame({"user": [1] * 8, "item": range(8), "time": [0] * 8})
        >>> items = pd.DataFrame({"item": range(8)})
        >>> users = pd.DataFrame({"user": [1]})
        >>> split = random_per_user(Dataset("log", events, items, users))
        >>> len(split.train), len(split.validation), len(split.test)
        (5, 1, 2)
    """
    check_shares(validation, test)
    events = in_time_order(dataset.interactions, seed)
    draw = tie_hash(
        events["user"],
        events["item"],
        # not the seed of the order, else the first of every tie would be drawn
        seed + 1,
    )
    by_user = pd.Series(draw).groupby(events["user"])
    rank = by_user.rank(method="first").to_numpy() - 1
    count = by_user.transform("size").to_numpy()
    # np.rint would round halves to the even number
    tested = np.floor(count * test + 0.5)
    held_out = tested + np.floor(count * validation + 0.5)
    # 0 = train, 1 = validation, 2 = test; the first that holds counts
    part = np.select(
        [held_out >= count, rank < tested, rank < held_out],
        [0, 2, 1],
        default=0,
    )
    return _split("random per user", dataset, events, part, seed)


def _split(
    name: str,
    dataset: Dataset,
    events: pd.DataFrame,
    part: np.ndarray,
    seed: int,
    fold_in: bool = False,
) -> Split:
    """Number users and items by their sorted ids and take the parts apart.

    part: 0 (train), 1 (validation) or 2 (test) for each event.
    """
    users, user_ids = pd.factorize(events["user"], sort=True)
    items, item_ids = pd.factorize(events["item"], sort=True)
    coded = events.assign(
        user=users.astype(np.int32),
        item=items.astype(np.int32),
        place=events.groupby("user").cumcount().astype(np.int32),
    )
    return Split(
        name,
        items=_by_code(dataset.items, "item", item_ids),
        users=_by_code(dataset.users, "user", user_ids),
        train=coded[part == 0].reset_index(drop=True),
        validation=coded[part == 1].reset_index(drop=True),
        test=coded[part == 2].reset_index(drop=True),
        tie_seed=seed,
        fold_in=fold_in,
    )


def _by_code(table: pd.DataFrame, key: str, ids: pd.Index) -> pd.DataFrame:
    """The rows of the ids, in their order; the index is the code."""
    return table.set_index(key).reindex(ids).reset_index(names=key).rename_axis("code")


def in_place(events: pd.DataFrame) -> pd.DataFrame:
    """Events of several parts in each user's own order, as the split numbered them."""
    return events.sort_values(
        ["user", "place"],
        kind="stable",
        ignore_index=True,
    )


def _by_user(events: pd.DataFrame, n_users: int) -> list[np.ndarray]:
    """Item codes of each user as int32 arrays; the events must be sorted by user."""
    counts = np.bincount(events["user"], minlength=n_users)
    items = events["item"].to_numpy(dtype=np.int32)
    # np.split wants the places between users; behind the last there is none
    return np.split(items, np.cumsum(counts)[:-1])


def _ordered(dataset: Dataset, name: str, tie_seed: int) -> pd.DataFrame:
    """The events in time order, for the way of splitting of that name.

    Raises:
        DataError: the data set has no times.
    """
    require(
        dataset.has_times,
        f"{dataset.name} has no times, so {name} cannot order it: use "
        "random_per_user, or load it "
        "with load_interactions(..., time='your time column')",
        error=DataError,
    )
    return in_time_order(dataset.interactions, tie_seed)


def check_shares(validation: float, test: float) -> None:
    """Raise ValueError unless each part would get something."""
    require(
        min(validation, test) > 0 and validation + test < 1,
        f"validation={validation} and test={test}: both must be above 0 "
        "and together below 1, to leave rows to train on",
    )

"""Splitting ratings into training, validation and test without letting the future leak.

Many MovieLens ratings share their second, and files list them by film within a user, so
breaking such ties by file order would hand the film's id to every sequence model. Here
ties are broken by a seeded hash of (user, item) instead: the same whatever the order of
the rows, different for every `tie_seed`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from xrec_utils.data import DataError, Dataset

Part = Literal["validation", "test"]


@dataclass(frozen=True)
class Cases:
    """What a recommender is asked, one case per user.

    users: (n,) user codes. histories: n arrays of int32 item codes, oldest first, never
    empty. targets: n arrays of int32 item codes that should be recommended. left_out:
    users with something held out but an empty history.
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

    items, users: one row per code (index `code`), columns as in the Dataset. Codes
    follow the sorted ids. train, validation, test: columns user, item, value, time (and
    behaviour, if there is one), user by user, oldest first, and place, the number of
    the event in its user's whole history. fold_in: True if a case asks for a user's
    very last item given everything before it (`global_time`).
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
        """(n_items,) names such as "Toy Story (1995)"; films that would share a name
        get their id in brackets.
        """
        year = self.items["year"].astype("string")
        names = self.items["title"].astype("string") + (" (" + year + ")").fillna("")
        twins = names.duplicated(keep=False)
        return names.where(
            ~twins, names + " [" + self.items["item"].astype("string") + "]"
        ).to_numpy(dtype=str)

    def train_histories(self) -> list[np.ndarray]:
        """The training items of every user code as int32 arrays, oldest first; empty
        for users without any.
        """
        return _by_user(self.train, self.n_users)

    def cases(self, part: Part) -> Cases:
        """The users of a part with what is known of them and what is asked.

        leave_last_out and random_per_user: history = training items (for "test" also
        the validation items), targets = all items of the part. global_time: users whose
        last event lies in the part; history = all they did before, target = that last
        item. A target may be an item which the training part never shows.

        Raises:
            ValueError: the part is neither "validation" nor "test".
        """
        if part not in ("validation", "test"):
            raise ValueError(f"part={part!r}: choose 'validation' or 'test'")
        if self.fold_in:
            return self._last_items(part)
        known = [self.train] if part == "validation" else [self.train, self.validation]
        return self._ask(pd.concat(known), getattr(self, part))

    def _last_items(self, part: Part) -> Cases:
        """Cases of `global_time`: the last item of each user whose last event lies in
        the part.
        """
        parts = ("train", "validation", "test")
        events = in_place(
            pd.concat([getattr(self, name).assign(part=name) for name in parts])
        )
        last = ~events["user"].duplicated(keep="last")
        return self._ask(events[~last], events[last & (events["part"] == part)])

    def _ask(self, known: pd.DataFrame, asked: pd.DataFrame) -> Cases:
        histories = _by_user(in_place(known), self.n_users)
        targets = _by_user(asked, self.n_users)
        held_out = [user for user in range(self.n_users) if len(targets[user])]
        users = [user for user in held_out if len(histories[user])]
        chosen = [histories[user] for user in users], [targets[user] for user in users]
        return Cases(
            np.array(users, dtype=np.int64),
            *chosen,
            left_out=len(held_out) - len(users),
        )


def k_core(dataset: Dataset, k: int = 5) -> Dataset:
    """Drop users and items with fewer than k events, again and again until nobody is
    left to drop.

    Raises:
        DataError: nothing is left.
    """
    events = core(dataset.interactions, k)
    if events.empty:
        raise DataError(
            f"{dataset.name}: no user and item have {k} events each; choose a smaller k"
        )
    items = dataset.items[dataset.items["item"].isin(events["item"])].reset_index(
        drop=True
    )
    users = dataset.users[dataset.users["user"].isin(events["user"])].reset_index(
        drop=True
    )
    return replace(
        dataset,
        name=f"{dataset.name}, {k}-core",
        interactions=events.reset_index(drop=True),
        items=items,
        users=users,
    )


def core(events: pd.DataFrame, k: int) -> pd.DataFrame:
    """The k-core of a table of events: what is left when nobody is left to drop; it may
    be nothing.
    """
    while True:
        kept = events[at_least(events["user"], k) & at_least(events["item"], k)]
        if len(kept) == len(events):
            return kept
        events = kept


def at_least(ids: pd.Series, k: int) -> pd.Series:
    """Whether the id of each row is there k times or more."""
    return ids.groupby(ids).transform("size") >= k


def in_time_order(interactions: pd.DataFrame, tie_seed: int = 0) -> pd.DataFrame:
    """Sort by user, then time, then a seeded hash of (user, item): independent of the
    order of the rows.
    """
    keyed = interactions.assign(
        tie=tie_hash(interactions["user"], interactions["item"], tie_seed)
    )
    rest = [
        column for column in interactions if column not in ("user", "time")
    ]  # repeated events of a log
    return keyed.sort_values(["user", "time", "tie", *rest], ignore_index=True).drop(
        columns="tie"
    )


def tie_hash(user: pd.Series, item: pd.Series, seed: int) -> np.ndarray:
    """(n,) uint64 pseudo-random numbers which depend on nothing but (user, item, seed).

    Source: the finaliser of SplitMix64 (Steele, Lea and Flood 2014,
    doi:10.1145/2660193.2660195), chained.
    """
    state = _mix(np.full(len(user), seed, dtype=np.int64).astype(np.uint64))
    for ids in (user, item):
        state = _mix(state ^ _as_numbers(ids))
    return state


def leave_last_out(dataset: Dataset, tie_seed: int = 0) -> Split:
    """Hold out each user's last event for test and the one before it for validation.

    Users with fewer than three events stay in the training part whole: nothing would be
    left to predict from.

    Raises:
        DataError: the data set has no times.
    """
    _need_times(dataset, "leave_last_out")
    events = in_time_order(dataset.interactions, tie_seed)
    from_end = events.groupby("user").cumcount(ascending=False).to_numpy()
    count = events.groupby("user")["item"].transform("size").to_numpy()
    part = np.where(count < 3, 0, np.select([from_end == 0, from_end == 1], [2, 1], 0))
    return _split("leave-last-out", dataset, events, part, tie_seed)


def global_time(
    dataset: Dataset, validation: float = 0.1, test: float = 0.1, tie_seed: int = 0
) -> Split:
    """Cut the calendar twice: the newest `test` share of all events, the `validation`
    share before it, the rest.

    Models learn from events before the first cut only, so no parameter has seen the
    future; see `Split.cases` for what is asked. Events in the second of a cut all go to
    the later part. Users without earlier events are left out of the cases and counted
    there.

    Raises:
        DataError: the data set has no times, or so few that a part would be empty.
        ValueError: the shares are not between 0 and 1.
    """
    _check_shares(validation, test)
    _need_times(dataset, "global_time")
    events = in_time_order(dataset.interactions, tie_seed)
    shares = np.array([1 - validation - test, 1 - test])
    cuts = np.sort(events["time"].to_numpy())[
        np.floor(len(events) * shares).astype(np.int64)
    ]
    part = np.searchsorted(cuts, events["time"].to_numpy(), side="right")
    if len(np.unique(part)) < 3:
        raise DataError(
            f"{dataset.name}: too few different times for global_time; use random_per_user"
        )
    return _split("global time", dataset, events, part, tie_seed, fold_in=True)


def random_per_user(
    dataset: Dataset, validation: float = 0.1, test: float = 0.25, seed: int = 0
) -> Split:
    """Hold out random shares of each user's events (stratified by user, rounded half
    up).

    A user who would be left without a training event stays in the training part whole.
    The past may be predicted from the future here: right for questions about taste,
    wrong for claims about forecasting.

    Raises:
        ValueError: the shares are not between 0 and 1.
    """
    _check_shares(validation, test)
    events = in_time_order(dataset.interactions, seed)
    draw = pd.Series(tie_hash(events["user"], events["item"], seed + 1)).groupby(
        events["user"]
    )
    rank = draw.rank(method="first").to_numpy() - 1
    count = draw.transform("size").to_numpy()
    tested, validated = (np.floor(count * share + 0.5) for share in (test, validation))
    part = np.select([rank < tested, rank < tested + validated], [2, 1], 0)
    part[tested + validated >= count] = 0
    return _split("random per user", dataset, events, part, seed)


def _split(
    name: str,
    dataset: Dataset,
    events: pd.DataFrame,
    part: np.ndarray,
    seed: int,
    fold_in: bool = False,
) -> Split:
    """Number users and items by their sorted ids and take the parts 0 (train), 1
    (validation), 2 (test) apart.
    """
    user_ids, users = np.unique(events["user"].to_numpy(), return_inverse=True)
    item_ids, items = np.unique(events["item"].to_numpy(), return_inverse=True)
    place = events.groupby("user").cumcount().astype(np.int32)
    coded = events.assign(
        user=users.astype(np.int32), item=items.astype(np.int32), place=place
    )
    train, validation, test = (
        coded[part == number].reset_index(drop=True) for number in range(3)
    )
    return Split(
        name,
        _by_code(dataset.items, "item", item_ids),
        _by_code(dataset.users, "user", user_ids),
        train,
        validation,
        test,
        seed,
        fold_in,
    )


def _by_code(table: pd.DataFrame, key: str, ids: np.ndarray) -> pd.DataFrame:
    """The rows of the ids, in their order; the index is the code."""
    return (
        table.set_index(key)
        .reindex(ids)
        .rename_axis(key)
        .reset_index()
        .rename_axis("code")
    )


def in_place(events: pd.DataFrame) -> pd.DataFrame:
    """Events of several parts in each user's own order, ties as broken once by the
    split.
    """
    return events.sort_values(["user", "place"], kind="stable", ignore_index=True)


def _by_user(events: pd.DataFrame, n_users: int) -> list[np.ndarray]:
    """Item codes of each user as int32 arrays; the events must be sorted by user."""
    ends = np.cumsum(np.bincount(events["user"], minlength=n_users))
    return np.split(events["item"].to_numpy(dtype=np.int32), ends[:-1])


def _mix(state: np.ndarray) -> np.ndarray:
    """One step of SplitMix64 on uint64, wrapping on overflow."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def _as_numbers(ids: pd.Series) -> np.ndarray:
    """Integer ids as uint64; text ids hashed to uint64, equal in every process."""
    if pd.api.types.is_integer_dtype(ids):
        return ids.to_numpy(dtype=np.int64).astype(np.uint64)
    return pd.util.hash_array(ids.astype(str).to_numpy(dtype=object), categorize=False)


def _need_times(dataset: Dataset, name: str) -> None:
    if not dataset.has_times:
        raise DataError(
            f"{dataset.name} has no times, so {name} cannot order it: use random_per_user, or load it "
            "with load_interactions(..., time='your time column')"
        )


def _check_shares(validation: float, test: float) -> None:
    if not (0 < validation < 1 and 0 < test < 1 and validation + test < 1):
        raise ValueError(
            f"validation={validation} and test={test}: both must be above 0 and together below 1"
        )

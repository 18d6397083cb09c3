"""Nothing leaks, whatever the order of the rows: properties that hold for every small
log hypothesis can think of.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrec_utils.data.load import Dataset, k_core, load_movielens
from xrec_utils.data.order import _mix, in_time_order, tie_hash
from xrec_utils.data.splits import Split, global_time, leave_last_out, random_per_user
from xrec_utils.files import DataError

SPLITTERS = {"last": leave_last_out, "time": global_time, "random": random_per_user}
few = settings(max_examples=25)  # each builds tables, some milliseconds apiece
every_split = pytest.mark.parametrize("splitter", SPLITTERS.values(), ids=SPLITTERS)
EVENT = ["user", "item", "value", "time"]


def dataset_of(rows: list[tuple[int, int, int]]) -> Dataset:
    """A data set from (user, item, time); the value numbers the events."""
    events = pd.DataFrame(rows, columns=["user", "item", "time"], dtype=np.int64)
    events.insert(2, "value", np.arange(len(rows), dtype=np.float32))
    items = pd.DataFrame({"item": np.unique(events["item"])}).assign(
        title="film", year=pd.NA, genres=""
    )
    return Dataset(
        "log",
        events,
        items.astype({"year": "Int64"}),
        pd.DataFrame({"user": np.unique(events["user"])}),
    )


def logs(
    users: int = 6, items: int = 8, times: int = 5, size: int = 3
) -> st.SearchStrategy[Dataset]:
    """Small logs with many ties and no repeated (user, item)."""
    pairs = st.dictionaries(
        st.tuples(st.integers(1, users), st.integers(1, items)),
        st.integers(1, times),
        min_size=size,
        max_size=30,
    )
    return pairs.map(
        lambda found: dataset_of([(u, i, t) for (u, i), t in found.items()])
    )


def shuffled(dataset: Dataset, seed: int) -> Dataset:
    """The same events in another order."""
    events = dataset.interactions.sample(frac=1, random_state=seed).reset_index(
        drop=True
    )
    return Dataset(dataset.name, events, dataset.items, dataset.users)


def split_or_none(splitter, dataset: Dataset, **named) -> Split | None:
    """The split, or None where global_time refuses a log with too few different times."""
    try:
        return splitter(dataset, **named)
    except DataError as refusal:
        assert splitter is global_time and "too few different times" in str(refusal)
        return None


def parts_of(split: Split) -> pd.DataFrame:
    """All events with the ids of the source and the number of their part."""
    parts = [
        part.assign(part=number)
        for number, part in enumerate((split.train, split.validation, split.test))
    ]
    events = pd.concat(parts, ignore_index=True)
    return events.assign(
        user_id=split.users["user"].to_numpy()[events["user"]],
        item_id=split.items["item"].to_numpy()[events["item"]],
    )


# --- properties of every split
# ----------------------------------------------------------------------------------------


@every_split
@few
@given(dataset=logs())
def test_parts_are_disjoint_and_cover_everything(splitter, dataset: Dataset) -> None:
    if (split := split_or_none(splitter, dataset)) is None:
        return
    found = parts_of(split)[["user_id", "item_id", "value", "time"]].set_axis(
        EVENT, axis=1
    )
    order = {"by": ["user", "item"], "ignore_index": True}
    pd.testing.assert_frame_equal(
        found.sort_values(**order),
        dataset.interactions.sort_values(**order),
        check_dtype=False,
    )


@every_split
@few
@given(dataset=logs(), seed=st.integers(0, 99))
def test_the_order_of_the_rows_changes_nothing(
    splitter, dataset: Dataset, seed: int
) -> None:
    first, second = (
        split_or_none(splitter, data) for data in (dataset, shuffled(dataset, seed))
    )
    assert (first is None) == (second is None)
    if first is not None:
        for part in ("train", "validation", "test", "items", "users"):
            pd.testing.assert_frame_equal(getattr(first, part), getattr(second, part))


@every_split
@few
@given(dataset=logs())
def test_histories_and_targets_belong_to_their_user_and_never_meet(
    splitter, dataset: Dataset
) -> None:
    if (split := split_or_none(splitter, dataset)) is None:
        return
    everything = parts_of(split).groupby("user")["item"].agg(set)
    for part in ("validation", "test"):
        cases = split.cases(part)
        assert len(cases) == len(cases.histories) == len(cases.targets)
        assert np.all(np.diff(cases.users) > 0)
        for user, history, targets in zip(
            cases.users, cases.histories, cases.targets, strict=True
        ):
            assert (
                len(history)
                and len(targets)
                and history.dtype == targets.dtype == np.int32
            )
            assert set(history) | set(targets) <= everything[user]
            assert not set(history) & set(targets)
            assert len(set(history)) == len(history)


@every_split
@few
@given(dataset=logs())
def test_training_histories_are_the_training_part_oldest_first(
    splitter, dataset: Dataset
) -> None:
    if (split := split_or_none(splitter, dataset)) is None:
        return
    histories = split.train_histories()
    assert len(histories) == split.n_users
    for user, history in enumerate(histories):
        mine = split.train[split.train["user"] == user]
        assert history.tolist() == mine["item"].tolist()
        assert (
            mine["time"].is_monotonic_increasing
            and mine["place"].is_monotonic_increasing
        )


# --- leave last out
# ---------------------------------------------------------------------------------------------------


@few
@given(dataset=logs())
def test_what_is_held_out_last_is_never_older_than_what_is_known(
    dataset: Dataset,
) -> None:
    split = leave_last_out(dataset)
    for user, events in parts_of(split).groupby("user"):
        counts = events["part"].value_counts()
        assert (counts.get(1, 0), counts.get(2, 0)) == (
            (1, 1) if len(events) >= 3 else (0, 0)
        ), user
        assert events.sort_values("part", kind="stable")["time"].is_monotonic_increasing
    assert split.cases("validation").left_out == split.cases("test").left_out == 0


@few
@given(dataset=logs(), seed=st.integers(0, 9))
def test_cases_of_leave_last_out_are_the_ordered_log_cut_at_the_end(
    dataset: Dataset, seed: int
) -> None:
    split = leave_last_out(dataset, tie_seed=seed)
    code = {item: place for place, item in enumerate(split.items["item"])}
    ordered = (
        in_time_order(dataset.interactions, seed).groupby("user")["item"].agg(list)
    )
    long = [[code[item] for item in items] for items in ordered if len(items) >= 3]
    for part, cut in (("validation", -2), ("test", -1)):
        cases = split.cases(part)
        assert [history.tolist() for history in cases.histories] == [
            items[:cut] for items in long
        ]
        assert [targets.tolist() for targets in cases.targets] == [
            [items[cut]] for items in long
        ]


# --- global time
# ------------------------------------------------------------------------------------------------------


@few
@given(dataset=logs(times=40, size=12))
def test_no_part_of_the_calendar_reaches_into_the_next(dataset: Dataset) -> None:
    if (split := split_or_none(global_time, dataset, validation=0.2, test=0.2)) is None:
        return
    assert split.train["time"].max() < split.validation["time"].min()
    assert split.validation["time"].max() < split.test["time"].min()
    assert len(split.test) >= 0.2 * len(dataset.interactions) - 1e-9


@few
@given(dataset=logs(times=40, size=12), seed=st.integers(0, 9))
def test_cases_of_global_time_ask_for_each_users_last_event(
    dataset: Dataset, seed: int
) -> None:
    if (split := split_or_none(global_time, dataset, tie_seed=seed)) is None:
        return
    part_of = {"validation": 1, "test": 2}
    events = parts_of(split).sort_values(["user", "place"])
    ordered = in_time_order(dataset.interactions, seed)["item"].to_numpy()
    assert events["item_id"].tolist() == ordered.tolist()
    for part, number in part_of.items():
        cases, expected, alone = split.cases(part), {}, 0
        for user, mine in events.groupby("user"):
            if mine["part"].iloc[-1] == number:
                alone += len(mine) == 1
                expected |= {user: mine["item"].tolist()} if len(mine) > 1 else {}
        assert cases.left_out == alone
        assert {
            user: [*history, *target]
            for user, history, target in zip(
                cases.users, cases.histories, cases.targets, strict=True
            )
        } == expected


def test_events_of_one_second_are_never_torn_apart() -> None:
    split = global_time(
        dataset_of(
            [
                (user, 1, time)
                for user, time in enumerate([1, 2, 3, 3, 3, 3, 3, 3, 3, 9])
            ]
        )
    )
    assert split.train["time"].tolist() == [1, 2]
    assert split.validation["time"].tolist() == [3] * 7
    assert split.test["time"].tolist() == [9]


# --- random per user
# --------------------------------------------------------------------------------------------------


@few
@given(
    dataset=logs(items=20),
    validation=st.sampled_from([0.1, 0.3]),
    test=st.sampled_from([0.25, 0.5]),
)
def test_every_user_gives_the_same_share(
    dataset: Dataset, validation: float, test: float
) -> None:
    split = random_per_user(dataset, validation, test)
    for _, events in parts_of(split).groupby("user"):
        n = len(events)
        wanted = [int(n * share + 0.5) for share in (validation, test)]
        counts = [int((events["part"] == part).sum()) for part in (1, 2)]
        assert counts == (wanted if sum(wanted) < n else [0, 0])


def test_random_seeds_draw_other_events_and_need_no_times() -> None:
    dataset = dataset_of([(user, item, 0) for user in range(30) for item in range(10)])
    drawn = [
        set(zip(split.test["user"], split.test["item"], strict=True))
        for split in (random_per_user(dataset, seed=seed) for seed in (0, 0, 1))
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 90
    share = pd.Series([item for _, item in drawn[0] | drawn[2]]).value_counts()
    assert len(share) == 10  # every film has its turn


# --- order and ties
# ---------------------------------------------------------------------------------------------------


def test_ties_differ_between_seeds_and_do_not_follow_the_item_id() -> None:
    events = dataset_of(
        [(user, item, 7) for user in range(200) for item in range(40)]
    ).interactions
    orders = [
        in_time_order(events, seed)["item"].to_numpy().reshape(200, 40)
        for seed in (0, 1)
    ]
    place = np.arange(40)
    for first, second in (
        (orders[0], orders[1]),
        (orders[0], np.tile(place, (200, 1))),
    ):
        correlation = np.mean(
            [np.corrcoef(a, b)[0, 1] for a, b in zip(first, second, strict=True)]
        )
        assert abs(correlation) < 4 / np.sqrt(
            200 * 39
        )  # four standard errors of the mean
    assert (
        len({tuple(row) for row in orders[0]}) == 200
    )  # and each user has an order of its own


def test_ties_come_in_every_order_equally_often() -> None:
    users = pd.Series(np.repeat(np.arange(6000), 3))
    items = pd.Series(np.tile([10, 20, 30], 6000))
    orders = np.argsort(tie_hash(users, items, 0).reshape(6000, 3), axis=1)
    counts = pd.Series([tuple(order) for order in orders]).value_counts()
    chi_squared = ((counts - 1000) ** 2 / 1000).sum()
    assert (
        len(counts) == 6 and chi_squared < 20.5
    )  # 99.9% of the chi-squared distribution with 5 degrees of freedom


def test_the_hash_is_splitmix64() -> None:
    """Known answers of the published generator: the first three outputs for the seed
    1234567.
    """
    golden = 0x9E3779B97F4A7C15
    states = np.array(
        [(1234567 + step * golden) % 2**64 for step in range(3)], dtype=np.uint64
    )
    assert _mix(states).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


def test_time_goes_before_ties_and_text_ids_work() -> None:
    rows = [("b", "x", 2), ("a", "z", 5), ("a", "y", 3), ("a", "w", 3)]
    events = pd.DataFrame(rows, columns=["user", "item", "time"]).assign(value=1.0)
    ordered = in_time_order(events, 3)
    assert ordered["user"].tolist() == ["a", "a", "a", "b"]
    assert ordered["time"].tolist() == [3, 3, 5, 2]
    pd.testing.assert_frame_equal(ordered, in_time_order(events.iloc[::-1], 3))
    assert {in_time_order(events, seed)["item"].iloc[0] for seed in range(20)} == {
        "w",
        "y",
    }


def test_repeated_events_of_a_behaviour_log_have_one_order() -> None:
    rows = [
        (1, 5, 7, 1.0, "look"),
        (1, 5, 7, 1.0, "buy"),
        (1, 5, 7, 2.0, "buy"),
        (1, 6, 7, 1.0, "look"),
    ]
    events = pd.DataFrame(rows, columns=["user", "item", "time", "value", "behaviour"])
    for seed in range(5):
        pd.testing.assert_frame_equal(
            in_time_order(events),
            in_time_order(events.sample(frac=1, random_state=seed)),
        )


# --- k-core
# -----------------------------------------------------------------------------------------------------------


def slow_core(rows: set[tuple[int, int]], k: int) -> set[tuple[int, int]]:
    """Take away one event of one too rare user or item at a time."""
    while True:
        counts = [Counter(row[side] for row in rows) for side in (0, 1)]
        rare = next(
            (row for row in rows if counts[0][row[0]] < k or counts[1][row[1]] < k),
            None,
        )
        if rare is None:
            return rows
        rows = rows - {rare}


@few
@given(dataset=logs(users=4, items=4), k=st.integers(1, 3))
def test_the_core_is_the_largest_set_in_which_all_have_k_events(
    dataset: Dataset, k: int
) -> None:
    expected = slow_core(
        set(
            zip(dataset.interactions["user"], dataset.interactions["item"], strict=True)
        ),
        k,
    )
    if not expected:
        with pytest.raises(DataError, match="choose a smaller k"):
            k_core(dataset, k)
        return
    core = k_core(dataset, k)
    assert (
        set(zip(core.interactions["user"], core.interactions["item"], strict=True))
        == expected
    )
    assert core.items["item"].tolist() == sorted({item for _, item in expected})
    assert core.users["user"].tolist() == sorted({user for user, _ in expected})


def test_the_five_core_of_the_bundled_set() -> None:
    core = k_core(load_movielens(), 5)
    assert (len(core.interactions), len(core.users), len(core.items)) == (
        90_072,
        671,
        3_496,
    )
    assert core.name == "movielens-small, 5-core"
    split = leave_last_out(core)
    assert (
        split.n_users,
        split.n_items,
        len(split.cases("test")),
        len(split.train),
    ) == (671, 3496, 671, 88_730)


# --- codes, titles, errors
# --------------------------------------------------------------------------------------------


def test_codes_follow_the_sorted_ids_and_titles_tell_twins_apart() -> None:
    dataset = dataset_of([(9, 30, 1), (9, 10, 2), (9, 20, 3), (4, 10, 4)])
    items = pd.DataFrame(
        {
            "item": [10, 20, 30, 99],
            "title": ["Hamlet", "Heat", "Hamlet", "Unseen"],
            "year": pd.array([2000, None, 2000, 1999], dtype="Int64"),
            "genres": "",
        }
    )
    split = leave_last_out(Dataset("log", dataset.interactions, items, dataset.users))
    assert split.titles.tolist() == ["Hamlet (2000) [10]", "Heat", "Hamlet (2000) [30]"]
    assert split.items["item"].tolist() == [10, 20, 30]
    assert split.items.index.name == "code"
    assert split.users["user"].tolist() == [4, 9]
    assert [history.tolist() for history in split.train_histories()] == [[0], [2]]


def test_faults_say_what_to_do() -> None:
    dataset = dataset_of([(1, item, 0) for item in range(5)])
    for splitter in (leave_last_out, global_time):
        with pytest.raises(
            DataError, match=r"has no times.*random_per_user.*time='your time column'"
        ):
            splitter(dataset)
    with pytest.raises(DataError, match="too few different times"):
        global_time(dataset_of([(1, item, 5) for item in range(5)]))
    for shares in (
        {"test": 0},
        {"test": 1},
        {"validation": 0.5, "test": 0.5},
        {"validation": -0.1},
        {"validation": np.nan},
    ):
        for splitter in (random_per_user, global_time):
            with pytest.raises(ValueError, match="together below 1"):
                splitter(dataset, **shares)
    with pytest.raises(ValueError, match="choose 'validation' or 'test'"):
        random_per_user(dataset).cases("train")

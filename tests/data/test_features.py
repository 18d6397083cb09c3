"""The feature table: worked by hand, and nothing from the future (property)."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrec_utils.data import features
from xrec_utils.data.load import Dataset

ITEMS = pd.DataFrame(
    {
        "item": [10, 20, 30],
        "title": list("abc"),
        "year": pd.array([1990, 2000, None], dtype="Int64"),
        "genres": ["Drama", "Drama|Comedy", ""],
    }
)
START = 1_000_000_000  # September 2001


def dataset(rows):
    table = pd.DataFrame(rows, columns=["user", "item", "value", "time"]).astype(
        {"value": "float32", "time": "int64"}
    )
    return Dataset("tiny", table, ITEMS, pd.DataFrame({"user": table["user"].unique()}))


def test_where_no_item_has_a_year_none_has_an_age():
    table = dataset([(1, 10, 5.0, START), (1, 20, 2.0, START + 5), (1, 30, 2.0, START)])
    none = table.items.assign(year=pd.array([pd.NA] * 3, dtype="Int64"))
    raw = features.feature_table(replace(table, items=none), 0.3, 0.3).raw
    assert np.isfinite(raw.to_numpy()).all() and not raw["film: age"].any()


def test_worked_by_hand():
    rows = [
        (1, 10, 5.0, START),
        (2, 10, 2.0, START + 5),
        (1, 20, 3.0, START + 60),
        (1, 30, 4.0, START + 60),
    ]
    table = features.feature_table(dataset(rows), 0.25, 0.25)
    first, _, third, fourth = (table.raw.loc[n] for n in range(4))
    assert len(table.names) == 42 and table.liked.tolist() == [1, 0, 0, 1]
    assert (
        first["user: mean stars"] == features.MIDDLE and first["user: films rated"] == 0
    )
    assert (
        third["taste: Drama"]
        == pytest.approx((5 - 3.5) / (1 + 5))
        == fourth["taste: Drama"]
    )
    assert third["user: mean stars"] == pytest.approx(
        3.5 + 1.5 / 6
    )  # the rating of the same second is not counted
    assert third["user: pause"] == pytest.approx(np.log1p(60)) == fourth["user: pause"]
    assert table.raw.loc[1, "film: raters"] == pytest.approx(np.log(2))
    assert table.raw.loc[1, "film: mean stars"] == pytest.approx(3.5 + 1.5 / 6)
    assert (third["film: Drama"], third["film: Comedy"], first["film: Comedy"]) == (
        1,
        1,
        0,
    )
    assert (first["film: age"], third["film: age"], fourth["film: age"]) == (
        11,
        1,
        6,
    )  # unknown year: the median


EVENTS = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.sampled_from([10, 20, 30]),
        st.integers(1, 10),
        st.integers(0, 4),
    ),
    min_size=6,
    max_size=14,
    unique_by=lambda e: e[:2],
)


@given(EVENTS, st.integers(0, 4), st.integers(1, 10))
def test_the_present_and_the_future_leave_no_trace(events, moment, stars):
    """Changing every rating at or after a moment changes no feature at or before it."""
    rows = [(user, item, value / 2, START + 100 * t) for user, item, value, t in events]
    changed = [
        (u, i, stars / 2 if t >= START + 100 * moment else v, t) for u, i, v, t in rows
    ]
    before, after = (
        features.feature_table(dataset(x), 0.2, 0.2) for x in (rows, changed)
    )
    until = before.ratings["time"] <= START + 100 * moment
    assert np.array_equal(before.raw[until], after.raw[until])


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(-5, 5)),
        min_size=1,
        max_size=20,
    )
)
def test_earlier_sum_is_the_literal_sum(rows):
    key, time, value = (np.array(column) for column in zip(*rows, strict=True))
    literal = [
        value[(key == k) & (time < t)].sum() for k, t in zip(key, time, strict=True)
    ]
    assert np.allclose(features.earlier_sum(key, time, value[:, None])[:, 0], literal)


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(0)
    rows = [
        (
            u,
            i,
            float(random.integers(1, 11)) / 2,
            START + int(random.integers(0, 10**6)),
        )
        for u in range(8)
        for i in (10, 20, 30)
    ]
    return features.feature_table(dataset(rows), 0.25, 0.25)


def test_parts_follow_time(table):
    times = {
        part: table.ratings["time"][table.part == part]
        for part in ("train", "validation", "test")
    }
    assert [len(t) for t in times.values()] == [12, 6, 6]
    assert (
        times["train"].max() <= times["validation"].min()
        and times["validation"].max() <= times["test"].min()
    )


def test_training_rows_are_standardised_and_branches_split_them(table):
    x = table.x("train")
    varies = table.raw[table.part == "train"].std(ddof=0).to_numpy() > 1e-6
    assert np.allclose(x.mean(axis=0), 0, atol=1e-4) and np.allclose(
        x[:, varies].std(axis=0), 1, atol=1e-3
    )
    user, film = table.branches("train")
    assert user.shape == (12, 21) and np.array_equal(np.hstack([user, film]), x)
    assert len(table.y("test")) == len(table.x("test")) == 6


def test_the_leak_is_the_rating(table):
    leaky = table.with_leak()
    assert leaky.names == [*table.names, features.LEAK]
    assert np.array_equal(leaky.raw[features.LEAK] >= 4, leaky.liked == 1)


def test_wrong_arguments(table):
    with pytest.raises(ValueError, match="'train', 'validation' or 'test'"):
        table.x("tets")
    with pytest.raises(ValueError, match=r"validation=0.5 and test=0.5"):
        features.feature_table(dataset([(1, 10, 1.0, START)]), 0.5, 0.5)

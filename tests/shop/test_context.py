"""The moment as an input: columns worked by hand, no look at the future, planted
effects found, measures checked.
"""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from xrec_utils import keras_start
from xrec_utils.data.features import GENRES, FeatureTable
from xrec_utils.data.load import Dataset
from xrec_utils.plots import recommenders
from xrec_utils.shop import context
from xrec_utils.shop import moments as shop_moments
from xrec_utils.shop.log import ShopData, simulate
from xrec_utils.shop.shop import CATEGORIES, DAY, HOUR, START, Parameters, Shop


@pytest.fixture(scope="module")
def small() -> ShopData:
    return simulate(Shop(0), n_customers=25, seed=3)


def seconds(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp())


def test_columns_of_three_moments_by_hand() -> None:
    saturday, sunday = (
        seconds(2024, 6, 1, 6),
        seconds(2024, 6, 2, 18, 30),
    )  # 1 June 2024 was a Saturday
    columns = shop_moments.context_features(
        np.array([sunday, saturday, START]), np.array([7, 7, 8])
    )
    assert columns["hour: sin 1"].tolist() == pytest.approx([-1, 1, 0])
    assert columns["hour: cos 2"].tolist() == pytest.approx([-1, -1, 1])
    assert columns["weekday: weekend"].tolist() == [1, 1, 0]
    assert columns["recency: first"].tolist() == [0, 1, 1]
    assert columns["recency: log seconds"].tolist() == pytest.approx(
        np.log([36.5 * HOUR, DAY, DAY])
    )


def test_weekday_agrees_with_the_calendar() -> None:
    times = np.random.default_rng(0).integers(0, 2_000_000_000, 200)
    columns = shop_moments.context_features(times, np.arange(200))
    calendar = pd.to_datetime(times, unit="s")
    assert (
        columns["weekday: weekend"].tolist()
        == (calendar.day_of_week >= 5).astype(float).tolist()
    )
    assert columns["hour: cos 1"].to_numpy() == pytest.approx(
        np.cos(2 * np.pi * calendar.hour / 24)
    )


def test_rows_of_one_moment_share_their_pause() -> None:
    pause = shop_moments.since_previous(
        np.array([50, 10, 50, 40, 10]), np.array([1, 1, 1, 2, 2])
    )
    assert pause.tolist() == pytest.approx([40, np.nan, 40, 30, np.nan], nan_ok=True)


def test_midnight_is_between_eleven_and_one() -> None:
    late, midnight, early = shop_moments.hour_columns([23, 0, 1]).to_numpy()
    assert np.linalg.norm(late - midnight) == pytest.approx(
        np.linalg.norm(early - midnight)
    )
    assert shop_moments.hour_columns(range(24), harmonics=3).shape == (24, 6)


def test_shop_table_by_brute_force(small: ShopData) -> None:
    table, category = shop_moments.shop_table(small), small.items["category"]
    assert table.names[:14] == [f"category: {name}" for name in CATEGORIES]
    for n in np.random.default_rng(0).choice(len(table.ratings), 40, replace=False):
        row, shown = table.ratings.loc[n], small.shown
        earlier = shown[(shown["user"] == row["user"]) & (shown["time"] < row["time"])]
        same = earlier[earlier["item"].map(category) == category[row["item"]]]
        bought = earlier[earlier["reaction"] == 2]["item"].map(category).value_counts()
        rate = ((same["reaction"] > 0).sum() + 1) / (len(same) + 10)
        assert table.raw.loc[n, "past: showings"] == pytest.approx(
            np.log1p(len(earlier))
        )
        assert table.raw.loc[n, "past: reactions, this category"] == pytest.approx(rate)
        assert {name: table.raw.loc[n, f"owned: {name}"] for name in CATEGORIES} == {
            name: bought.get(name, 0) for name in CATEGORIES
        }
        assert table.liked[n] == (row["value"] > 0)


def test_the_future_cannot_be_seen(small: ShopData) -> None:
    cut, random = small.shown["time"].median(), np.random.default_rng(0)
    later = (small.shown["time"] > cut).to_numpy()
    reaction = small.shown["reaction"].to_numpy().copy()
    reaction[later] = random.permutation(2 - reaction[later])
    before, after = (shop_moments.shop_table(replace(small, shown=small.shown.assign(reaction=r))).raw
                     for r in (small.shown["reaction"], reaction))  # fmt: skip
    known = np.sort(small.shown["time"]) <= cut
    assert before[known].equals(after[known]) and not before[~known].equals(
        after[~known]
    )


def test_parts_are_cut_by_time_and_no_visit_is_cut_in_two(small: ShopData) -> None:
    table = shop_moments.shop_table(small)
    ends = table.ratings.groupby(table.part)["time"].agg(["min", "max"])
    assert ends.loc["train", "max"] < ends.loc["validation", "min"]
    assert ends.loc["validation", "max"] < ends.loc["test", "min"]
    assert (table.part == "test").mean() == pytest.approx(0.3, abs=0.02)


def test_planted_hours_are_those_of_the_shop() -> None:
    shop = Shop(0)
    customers = shop.customers(1)
    for hour in range(24):
        part = shop.parts(customers, 0, [], START + hour * HOUR)["hour"]
        for n, name in enumerate(CATEGORIES):
            assert shop_moments.planted_hours(name)[hour] == part[shop.category == n][0]
    assert (
        shop_moments.planted_hours(
            "lamp", Parameters(hours=(("lamp", 2, 3, 0.5),))
        ).sum()
        == 1.0
    )


def test_measures_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(0)
    users, labels = np.repeat([3, 5, 9], 40), random.integers(0, 2, 120)
    labels[80:] = 1
    logits = random.normal(size=120).round(1)  # rounded, so that some are tied
    table = context.by_user(users, labels, logits)
    for user in (3, 5):
        mine = users == user
        assert table.loc[user, "log loss"] == pytest.approx(
            log_loss(labels[mine], expit(logits[mine]))
        )
        assert table.loc[user, "auc"] == pytest.approx(
            roc_auc_score(labels[mine], logits[mine])
        )
    assert np.isnan(table.loc[9, "auc"])


def moments(n: int = 12_000, effect: float = 1.0) -> FeatureTable:
    """Two kinds of item; the second is worth `effect` logits more from noon on, at
    every user's every visit.
    """
    random = np.random.default_rng(1)
    kind, times = (
        random.integers(0, 2, n),
        START + np.sort(random.integers(0, 300 * DAY, n)),
    )
    users = random.integers(0, 60, n)
    logit = -0.5 + effect * kind * (times // HOUR % 24 >= 12)
    kinds = pd.DataFrame({"category: a": 1.0 - kind, "category: b": 1.0 * kind})
    raw = kinds.join(shop_moments.context_features(times, users)).astype(np.float32)
    part = np.where(np.arange(n) < 0.7 * n, "train", "test")
    labels = (random.random(n) < expit(logit)).astype(int)
    return FeatureTable(raw, labels, pd.DataFrame({"user": users, "time": times}), part)


@pytest.fixture(scope="module")
def learned() -> tuple[FeatureTable, list]:
    table = moments()
    return table, context.fit_variants(
        table, 2, seeds=[0, 1], epochs=8, batch=512, penalty=1e-4
    )


def test_a_planted_effect_is_found_and_only_where_it_is(learned: tuple) -> None:
    table, models = learned
    gains = context.gains(context.measure(models, table))
    assert (
        gains.loc[("log loss", "hour"), "high"] < 0 < gains.loc[("auc", "hour"), "low"]
    )
    assert gains.loc[("log loss", "all"), "high"] < 0
    assert (
        abs(gains.loc[("log loss", "recency"), "mean"])
        < 0.003
        > abs(gains.loc[("log loss", "weekday"), "mean"])
    )
    assert (gains["lowest seed"] <= gains["mean"]).all() and (
        gains["mean"] <= gains["highest seed"]
    ).all()


def test_partial_dependence_agrees_with_a_logistic_regression(learned: tuple) -> None:
    table, models = learned
    changes, rows = (
        shop_moments.hour_columns(range(24)),
        table.raw["category: b"][table.part == "test"].to_numpy() == 1,
    )
    curve = context.partial_dependence(models[0], "hour", table, changes, rows)
    train = (table.part == "train") & (table.raw["category: b"] == 1).to_numpy()
    rival = LogisticRegression(C=1e6, max_iter=500).fit(
        table.raw.loc[train, list(changes)], table.liked[train]
    )
    assert curve == pytest.approx(rival.decision_function(changes), abs=0.15)
    assert curve[15:21].mean() - curve[3:9].mean() == pytest.approx(1.0, abs=0.25)
    assert np.ptp(
        context.partial_dependence(models[0], "none", table, changes, rows)
    ) == pytest.approx(0, abs=1e-6)


def test_head_is_its_formula() -> None:
    x = keras_start.keras.Input((5,))
    model = keras_start.keras.Model(x, context.product_head(x, 2, 0.0))
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=w.shape) for w in model.get_weights()])
    by_shape = {w.shape: w for w in model.get_weights()}
    v, w, c = by_shape[2, 5], by_shape[5, 1][:, 0], by_shape[1,]
    rows = random.normal(size=(7, 5)).astype("float32")
    expected = [w @ r + (r[:2] @ v) @ r + c[0] for r in rows]
    assert model(rows).numpy()[:, 0] == pytest.approx(expected, abs=1e-4)


def test_only_long_users_are_kept_and_cut_in_their_own_time() -> None:
    random = np.random.default_rng(0)
    users, spans = np.repeat([1, 2, 3], 30), np.repeat([100 * DAY, DAY, 60 * DAY], 30)
    times = 1_000_000_000 + (random.random(90) * spans).astype(int)
    ratings = pd.DataFrame(
        {"user": users, "item": np.tile(np.arange(30), 3), "value": 4.0, "time": times}
    )
    films = pd.DataFrame({"item": range(30), "title": "x", "genres": "War"})
    films["year"] = pd.array([1990] * 30, dtype="Int64")
    table = shop_moments.long_span_table(
        Dataset("tiny", ratings, films, pd.DataFrame({"user": [1, 2, 3]}))
    )
    assert set(table.ratings["user"]) == {1, 3} and "user: pause" not in table.names
    assert table.names[:18] == [f"film: {genre}" for genre in GENRES]
    for _, mine in table.ratings.assign(part=table.part).groupby("user"):
        assert mine.groupby("part").size().to_dict() == {
            "train": 18,
            "validation": 3,
            "test": 9,
        }
        assert (
            mine[mine["part"] == "train"]["time"].max()
            < mine[mine["part"] == "test"]["time"].min()
        )


def test_figure_of_hours_tells_the_largest(capsys: pytest.CaptureFixture) -> None:
    hours = [6, 12, 18]
    recommenders.hour_effects(
        hours, {"ink": np.array([0, 2.0, 1])}, {"ink": np.array([0, 1.0, 0])}
    )
    assert "ink at 12 o'clock" in capsys.readouterr().out

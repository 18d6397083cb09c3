"""The race of Shapley estimators on games small enough to know the answer."""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest

from xrec_tools.bench import explanations, race, shapley
from xrec_tools.bench.race import Box
from xrec_tools.bench.store import Store
from xrec_utils import zoo
from xrec_utils.explain.shapley import brute_force
from xrec_utils.games.game import history_game
from xrec_utils.judge.comparisons import relative_error


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """One user, two seeds; n films of the running case instead of those of ML-100K."""
    case = zoo.running_case()
    monkeypatch.setattr(race, "SEEDS", 2)
    monkeypatch.setattr(
        race,
        "cases",
        lambda name, n, users: [(zoo.load(name), case.history[:n], case.item)],
    )


@pytest.fixture
def box(short: None, tmp_path) -> Box:
    """The shipped dae on ten films of the running case."""
    return race.boxes("dae", 10, Store(tmp_path))[0]


def test_the_numpy_function_is_the_model(box: Box) -> None:
    game = history_game(box.model, box.history, box.item)
    masks = np.random.default_rng(0).random((50, 10)) < 0.5
    np.testing.assert_allclose(box.score(masks), game(masks), atol=1e-5)
    truth = brute_force(race.game_of(box.score, 10)).values
    np.testing.assert_allclose(box.truth, truth, atol=1e-5)
    assert 0 < box.truth_error < 1e-6 and box.cost > 0


@pytest.mark.parametrize("of", race.BLACK, ids=" ".join)
def test_every_black_box_explains_the_game(of: tuple[str, str], box: Box) -> None:
    values, own, asked = race.black(race.BLACK[of], box, 1000, 0)
    assert values.shape == (10,) and own > 0
    limit = 0.3 if of[1] in ("LIME weights", "UnbiasedKernelSHAP") else 0.15
    assert relative_error(values, box.truth) < limit
    assert asked <= 1.2 * 1000


# the support table tries DeepExplainer in a process of its own
INSIDE = [of for of in shapley.WHITE if of[1] != "DeepExplainer"]


@pytest.mark.parametrize("of", INSIDE, ids=" ".join)
def test_every_white_box_explains_the_game(of: tuple[str, str], box: Box) -> None:
    run, budgets = shapley.WHITE[of]
    values, own, asked = shapley.white(run, box, budgets[-1], 0)
    assert values.shape == (10,) and own > 0 and asked == 0
    assert relative_error(values, box.truth) < 0.1


def alone(score, n: int, budget: int, seed: int) -> np.ndarray:
    """What each player scores alone, a third in a first call and the rest one by one."""
    masks = np.eye(n, dtype=bool)
    first = score(masks[: n // 3])
    rest = [score(mask)[0] for mask in masks[n // 3 :]]
    return np.append(first, rest)


def test_a_row_by_hand_and_rows_are_not_made_twice(short: None, tmp_path) -> None:
    store = Store(tmp_path)
    asked = {("mine", "alone"): (partial(race.black, alone), (6,))}
    race.race([("dae", 6)], asked, store)
    rows = store.read("race.csv.gz")
    assert rows["seed"].tolist() == [0, 1] and (rows["asked"] == 6).all()
    case, model = zoo.running_case(), zoo.load("dae")
    game = history_game(model, case.history[:6], case.item)
    truth, scores = brute_force(game).values, game(np.eye(6, dtype=bool))
    error = np.linalg.norm(scores - truth) / np.linalg.norm(truth)
    assert rows["error"].to_numpy() == pytest.approx(error, rel=1e-4)
    cost = (rows["seconds"] - rows["own"]) / 6
    assert cost[0] == pytest.approx(cost[1]) and cost[0] > 0
    again = {("mine", "alone"): (pytest.fail, (6,))}
    race.race([("dae", 6)], again, store)
    pd.testing.assert_frame_equal(store.read("race.csv.gz"), rows)


def test_scores_are_asked_together_whatever_the_second_run_asks(box: Box) -> None:
    calls = []
    box.score = lambda masks: calls.append(len(masks)) or masks.sum(axis=1) / 2.0
    np.testing.assert_array_equal(race.black(alone, box, 10, 0)[0], np.full(10, 0.5))
    assert calls == [10]

    def adaptive(score, n: int, budget: int, seed: int) -> np.ndarray:
        # the whole is recorded as 1, and scores 5
        whole = score(np.ones((1, n)))[0]
        return whole * score(np.arange(n)[None] < whole)

    assert race.black(adaptive, box, 10, 0)[0] == pytest.approx(5 * 5 / 2)
    assert calls == [10, 2, 1]


def test_beyond_brute_force_the_truth_measures_its_error(
    short: None, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setattr(race, "TRUTH_GROUPS", 1_000)
    (rough,) = race.boxes("attention", 22, Store(tmp_path / "rough"))
    monkeypatch.setattr(race, "TRUTH_GROUPS", 8_000)
    (fine,) = race.boxes("attention", 22, Store(tmp_path / "fine"))
    assert 0.001 < fine.truth_error < rough.truth_error < 0.2
    assert relative_error(rough.truth, fine.truth) < 3 * rough.truth_error


def test_another_python_is_asked_over_a_line(
    short: None, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setattr(race, "NEWEST", {"KernelSHAP": {"pairing_trick": True}})
    monkeypatch.setattr(race, "budgets", lambda name, n: [40])
    store = Store(tmp_path)
    race.race_newest(sys.executable, [("dae", 6)], store)
    (game,) = race.boxes("dae", 6, store)
    here = race.BLACK["shapiq", "KernelSHAP (pairs)"]
    rows = store.read("race.csv.gz")
    errors = [
        relative_error(race.black(here, game, 40, seed)[0], game.truth)
        for seed in (0, 1)
    ]
    assert rows["error"].to_numpy() == pytest.approx(errors)
    assert (rows["library"] == "shapiq 1.6").all() and (rows["asked"] <= 40).all()


@pytest.mark.parametrize(
    ("error", "before", "own", "left", "goes_on"),
    [
        (0.1, np.inf, 0.1, 16, True),
        (0.004, 0.01, 0.1, 16, False),  # the smallest error asked for is reached
        (0.5, np.inf, 0.1, 16, True),  # how it falls is not known yet
        (0.3, 0.6, 0.1, 16, False),  # halved twice it would be above 5%
        (0.3, 0.9, 0.1, 16, True),  # a ninth of it would not
        (0.1, 0.105, 0.1, 16, False),  # does not come down
        (0.1, 0.3, 2.0, 16, False),  # slow
    ],
)
def test_when_a_larger_budget_is_tried(
    error: float, before: float, own: float, left: float, goes_on: bool
) -> None:
    assert race._goes_on(error, before, own, left) == goes_on


def rows_of_a_race(truth_error: float = 0.0) -> pd.DataFrame:
    """Errors of two users that halve with each fourfold budget: 8%, 4% and 2%."""
    rows = [
        ("m", 5, "ours", "e", budget, user, budget, budget / 1000, error * spread)
        for budget, error in ((100, 0.08), (400, 0.04), (1600, 0.02))
        for user, spread in enumerate((0.75, 1.25))
    ]
    keys = [*explanations.ESTIMATOR, "budget", "user", "asked", "seconds", "error"]
    return pd.DataFrame(rows, columns=keys).assign(truth_error=truth_error)


def test_scores_needed_are_read_between_budgets_and_never_beyond() -> None:
    table = explanations.needed(rows_of_a_race(), (0.05, 0.02, 0.01, 0.1))
    table = table.set_index("target")
    # error = 0.8 / sqrt(scores)
    assert table.loc[0.05, "scores"] == pytest.approx((0.8 / 0.05) ** 2)
    assert table.loc[0.05, "seconds"] == pytest.approx(0.256)
    # the ends of the interval are the two users, a quarter above and below the mean
    assert table.loc[0.05, "low"] == pytest.approx(0.75**2 * 256)
    assert table.loc[0.05, "high"] == pytest.approx(1.25**2 * 256)
    assert table.loc[0.02, "scores"] == pytest.approx(1600)
    assert np.isnan(table.loc[0.02, "high"]) and table.loc[0.02, "how"] == ""
    assert np.isnan(table.loc[0.01, "scores"])
    assert table.loc[0.01, "how"] == "not by 1,600: 0.02"
    # reached at the first budget: no guess of how few would do
    assert table.loc[0.1, "scores"] == pytest.approx(100)
    assert table.loc[0.1, "how"] == "at most "


def test_what_the_truth_cannot_tell_is_not_told() -> None:
    table = explanations.needed(rows_of_a_race(0.01), (0.05, 0.02)).set_index("target")
    assert table.loc[0.05, "scores"] == pytest.approx(256)
    assert np.isnan(table.loc[0.02, "scores"])
    assert table.loc[0.02, "how"] == "the truth's own error is too large"


def test_the_table_has_a_column_for_each_error() -> None:
    table = explanations.needed_at_a_glance(rows_of_a_race())
    assert list(table) == ["error 5%", "error 2%", "error 1%"]
    assert table.iloc[0].tolist() == [
        "256 [144, 400], 0.26 s",
        "1,600 [900, more], 1.6 s",
        "not by 1,600: 0.02",
    ]

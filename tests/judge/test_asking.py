"""The kit for asking people: a balanced plan, power as simulated studies have it, an
analysis that finds effects.
"""

from __future__ import annotations

import runpy
from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from xrec_utils.files import DATA
from xrec_utils.judge import asking
from xrec_utils.judge.asking import (
    AIMS,
    KINDS,
    aims,
    compare,
    load_answers,
    orders,
    people_needed,
    plan,
    power,
)

CARD = " ".join((DATA / "study" / "README.md").read_text(encoding="utf-8").split())
BUILD = runpy.run_path(str(DATA / "build_study.py"))
simulate = BUILD["simulate"]


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 7])
def test_every_kind_stands_everywhere_and_follows_every_other_equally_often(
    n: int,
) -> None:
    every = orders(tuple("abcdefg"[:n]))
    assert len(every) == n * (1 + n % 2)
    places = Counter((place, kind) for one in every for place, kind in enumerate(one))
    follows = Counter(pair for one in every for pair in pairwise(one))
    assert len(places) == n * n and len(set(places.values())) == 1
    assert len(follows) == n * (n - 1) and len(set(follows.values())) == 1


def test_a_plan_deals_the_orders_equally_often_by_lot() -> None:
    table = plan(12)
    assert Counter(table.groupby("person")["kind"].agg(tuple)) == dict.fromkeys(
        orders(), 2
    )
    assert not table.equals(plan(12, seed=1))
    with pytest.raises(ValueError, match="multiple of the 6 orders"):
        plan(10)
    with pytest.raises(ValueError, match="two or more kinds"):
        orders(("alone",))


def test_power_is_the_share_of_simulated_studies_that_find_the_effect() -> None:
    random = np.random.default_rng(0)
    for effect, people in ((0.5, 20), (0.0, 10), (-0.8, 8)):
        p = ttest_1samp(random.normal(effect, 1, (20_000, people)), 0, axis=1).pvalue
        assert power(effect, people) == pytest.approx((p < 0.05).mean(), abs=0.012)


def test_power_stays_a_number_far_out() -> None:
    assert all(
        0 < power(effect, people) < 1 + 1e-9
        for effect in (0.3, 0.8, -0.8, 1.5)
        for people in range(2, 300)
    )


def test_people_needed_is_the_first_number_that_suffices() -> None:
    assert (
        people_needed(0.5) == 34
    )  # as tabulated for d_z = 0.5, 80%, 5% two-sided (G*Power)
    assert power(0.3, people_needed(0.3)) >= 0.8 > power(0.3, people_needed(0.3) - 1)
    assert people_needed(-0.5, alpha=0.05 / 12) > 34
    with pytest.raises(ValueError, match=r"below 0\.02"):
        people_needed(0.0)
    with pytest.raises(ValueError, match="people=1"):
        power(0.5, 1)


def test_marks_turn_statements_back_and_count_the_distance_of_the_stars() -> None:
    answers = plan(6).assign(t1=6, t2=2, u1=1, u2=2, p1=7, p2=1, expected=5, given=3)
    marks = aims(answers)
    assert marks["trust"].eq(6).all(axis=None) and marks["understanding"].eq(1.5).all(
        axis=None
    )
    assert marks["persuasiveness"].eq(7).all(axis=None) and marks["effectiveness"].eq(
        -2
    ).all(axis=None)
    with pytest.raises(ValueError, match="did not meet every kind"):
        aims(answers[1:])
    with pytest.raises(
        ValueError, match="trust: Shapley values and popular films differ by the same"
    ):
        compare(marks)


def test_the_comparison_is_within_persons() -> None:
    answers = simulate(12)
    lifted = answers.assign(
        t1=answers["t1"] + 100 * answers["person"]
    )  # a huge difference between people cancels
    table, same = compare(aims(answers)), compare(aims(lifted))
    columns = ["mean", "low", "high", "p"]
    assert np.allclose(table[columns], same[columns])
    difference = (
        aims(answers)["trust", "Shapley values"]
        - aims(answers)["trust", "popular films"]
    )
    assert table["p"][0] == pytest.approx(ttest_1samp(difference, 0).pvalue)
    assert table["effect"][0] == pytest.approx(
        difference.mean() / difference.std(ddof=1)
    )
    assert (table["p_holm"] >= table["p"]).all() and len(table) == 3 * len(AIMS)


def test_large_planted_effects_are_found_and_none_where_none_is() -> None:
    nothing = dict.fromkeys(AIMS, (0.0, 0.0))
    found = compare(aims(simulate(60, {**nothing, "trust": (0.0, 1.5)})))
    assert set(found["aim"][found["p_holm"] < 0.05]) == {"trust"}
    false = [
        (compare(aims(simulate(24, nothing, seed)))["p_holm"] < 0.05).any()
        for seed in range(60)
    ]
    assert np.mean(false) <= 0.12  # at most 0.05 in the long run


def test_the_file_is_what_the_code_makes_and_says_that_it_is_simulated() -> None:
    assert (
        asking.STUDY.read_bytes() == BUILD["content"]()
        and len(BUILD["content"]()) < 20_000
    )
    assert BUILD["content"]().startswith(b"# SIMULATED")
    pd.testing.assert_frame_equal(load_answers(), simulate())


def test_a_file_without_a_column_is_refused(tmp_path) -> None:
    simulate().drop(columns="u1").to_csv(tmp_path / "mine.csv")
    with pytest.raises(ValueError, match=r"mine\.csv lacks u1"):
        load_answers(tmp_path / "mine.csv")


def test_building_writes_and_verifies(tmp_path, monkeypatch, capsys) -> None:
    main = BUILD["main"]
    monkeypatch.setitem(main.__globals__, "STUDY", tmp_path / "answers.csv")
    monkeypatch.setattr("sys.argv", ["build_study.py"])
    main()
    monkeypatch.setattr("sys.argv", ["build_study.py", "--verify"])
    for same in (True, False):
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == (not same)
        (tmp_path / "answers.csv").write_text("other")
    assert "answers.csv: 3,790 bytes" in capsys.readouterr().out


def test_the_card_says_what_the_file_holds() -> None:
    answers, counts = (
        load_answers(),
        plan(36).groupby("person")["kind"].agg(tuple).value_counts(),
    )
    people = answers["person"].nunique()
    assert (
        f"{len(answers)} rows: {people} people" in CARD
        and f"{asking.STUDY.stat().st_size:,} bytes" in CARD
    )
    assert f"each of the {len(counts)} orders is met by {counts.iloc[0]} people" in CARD
    assert all(statement.text in CARD for statement in asking.QUESTIONNAIRE.values())
    assert all(kind in CARD for kind in KINDS) and "Nobody was asked" in CARD
    for aim, (popular, shapley) in BUILD["EFFECTS"].items():
        row = CARD.partition("What was planted")[2].partition(f"| {aim}")[2]
        assert f"| {popular} | {shapley} |".replace("-", "−") in row[:70]

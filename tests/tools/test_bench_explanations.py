"""The benches of explanations on games small enough to know the answer, and the tables
made from their rows.
"""

from __future__ import annotations

import subprocess

import numpy as np
import pandas as pd
import pytest

from xrec_tools.bench import (
    leaderboard,
    questions,
    shapley,
    shop_board,
)
from xrec_tools.bench.store import Store
from xrec_utils import zoo
from xrec_utils.keras_start import tf
from xrec_utils.models import specs


def test_all_pairs_adds_up(monkeypatch: pytest.MonkeyPatch) -> None:
    split = zoo.split()
    cases = split.cases("test")
    small = type(
        "Few",
        (),
        {
            "cases": lambda self, part: type(cases)(
                cases.users[:4],
                cases.histories[:4],
                cases.targets[:4],
            )
        },
    )()
    monkeypatch.setattr(shapley.race, "dae_of_ml100k", lambda: (zoo.load("dae"), small))
    row = shapley.all_pairs(pairs=2).iloc[0]
    assert row["values"] == sum(len(h) + 1 for h in cases.histories[:4]) * split.n_items
    assert (
        row["mean_gap"] < 1e-3 and row["worst_gap"] < 0.02 and row["worst_error"] < 1e-3
    )


def test_support_of_a_model_without_a_network() -> None:
    row = shapley._supported("item_knn")
    assert (
        row["shap Deep"] == "no network"
        and row["gap"] < 1e-5
        and "closed form" in row["method"]
    )


def test_shap_is_tried_in_its_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    command = []

    def says(out: str, code: int = 0, err: str = "") -> None:
        done = subprocess.CompletedProcess([], code, out, err)
        monkeypatch.setattr(
            shapley.subprocess, "run", lambda asked, **_: command.append(asked) or done
        )

    says("a line of something else\n1e-7\n")
    assert shapley._apart("gru", "Deep") == {
        "shap Deep": "ran",
        "shap Deep gap": 1e-7,
    }
    assert command[-1][-3:] == ["try", "gru", "Deep"]
    says("", 1, "Traceback\nNo rule for the operation Neg.\n")
    failed = shapley._apart("gru", "Gradient")
    assert failed["shap Gradient"] == "failed: No rule for the operation Neg."
    assert np.isnan(failed["shap Gradient gap"])


@pytest.mark.parametrize(
    ("gap", "verdict"),
    [
        (0.0999, "ran"),
        (0.1001, "ran, but does not add up"),
        (1.0, "ran, but does not add up"),
        (np.nan, "ran, but does not add up"),
    ],
)
def test_what_does_not_add_up_did_not_simply_run(
    gap: float, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = subprocess.CompletedProcess([], 0, f"{gap}\n", "")
    monkeypatch.setattr(shapley.subprocess, "run", lambda *_, **__: done)
    assert shapley._apart("vae", "Gradient")["shap Gradient"] == verdict


# those that ship weights are the networks
@pytest.mark.parametrize("name", zoo.SHIPPED)
def test_shap_is_given_numbers_that_score_as_the_model_does(name: str) -> None:
    row, background, score = shapley.numbers_of(name)
    assert row.dtype == background.dtype == np.float32
    assert row.shape == background.shape[1:]
    found = score(tf.constant(row[None])).numpy()
    if name in specs.FEATURE_MODELS:
        assert found == pytest.approx(zoo_feature_score(name), abs=1e-6)
        return
    case, model = zoo.running_case(), zoo.load(name)
    scores = model.score([case.history, case.history[:0]])[:, case.item]
    assert found == pytest.approx(scores[:1], abs=1e-4)
    if row.ndim == 1:
        # a row of zeros is the empty history; vectors of zeros are something else
        assert score(tf.constant(background)).numpy() == pytest.approx(
            scores[1:], abs=1e-4
        )


def zoo_feature_score(name: str) -> np.ndarray:
    features = zoo.features()
    row = [features.x("test")[:1]]
    if name == "two_branch":
        row = [side[:1] for side in features.branches("test")]
    return zoo.load(name)(row[0] if len(row) == 1 else row)[:, -1].numpy()


def test_an_attempt_prints_what_shap_misses(capsys: pytest.CaptureFixture) -> None:
    shapley.main(["try", "din", "Deep"])
    assert float(capsys.readouterr().out) < 1e-5
    with pytest.raises(SystemExit, match="no rule for the operation"):
        shapley.main(["try", "pooled_mlp", "Deep"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("two_branch", ("20 background rows", "20 background rows")),
        ("ease", ("deleted", "")),
        ("dae", ("deleted", "ones and zeros")),
        ("gru", ("deleted", "vector of zeros")),
    ],
)
def test_the_table_says_what_absent_means(name: str, words: tuple[str, str]) -> None:
    for found, word in zip(shapley._absent(name), words, strict=True):
        assert word in found


def test_feature_models_are_explained_by_the_same_call() -> None:
    (game,) = shapley.asked_of("two_branch")
    assert game.n_players == 42 and 0 < game.full() < 1


def test_parts_are_stored_and_not_made_twice(
    monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    made = []
    parts = {
        "pairs": (
            "shapley_pairs.csv",
            lambda: made.append(1) or pd.DataFrame([{"users": 2, "seconds": 0.5}]),
        )
    }
    monkeypatch.setattr(shapley, "PARTS", parts)
    monkeypatch.setattr(shapley, "SIZES", ())
    monkeypatch.setattr(shapley.race, "PLAYERS", ())
    shapley.main([], Store(tmp_path))
    shapley.main([], Store(tmp_path))
    assert made == [1]
    assert "| users | 2 |" in (tmp_path / "EXPLANATIONS.md").read_text()


# -- tables
# -------------------------------------------------------------------------------------------------------


def rows_of_board() -> pd.DataFrame:
    random, rows = np.random.default_rng(0), []
    for number, measure, one, other, models, sign in questions.QUESTIONS:
        for model in models:
            for user in range(30):
                noise = random.normal(0, 0.1)
                lead = 0 if number == 31 else -sign if number == 32 else sign
                rows += [
                    (model, one, measure, user, lead + noise),
                    (model, other, measure, user, noise / 2),
                ]
    table = pd.DataFrame(
        rows, columns=["model", "explainer", "measure", "user", "value"]
    )
    return table.drop_duplicates(["model", "explainer", "measure", "user"])


def test_questions_get_their_verdicts() -> None:
    verdict = questions.tests(rows_of_board()).set_index("question")["verdict"]
    assert (
        verdict[37] == "holds"
        and verdict[32] == "the reverse holds"
        and verdict[33] == "holds"
    )
    assert set(verdict) <= {"holds", "the reverse holds", "not shown"}


def test_a_mean_does_not_hide_the_model_that_says_the_opposite() -> None:
    rows = rows_of_board()
    turned = (rows["model"] == "dae") & (rows["measure"] == "deletion")
    rows.loc[turned & (rows["explainer"] == "Shapley (ours)"), "value"] -= 3
    same = (rows["model"] == "ease") & rows["explainer"].isin(["LIME"])
    rows.loc[same & (rows["measure"] == "deletion"), "value"] = rows.loc[
        (rows["model"] == "ease")
        & (rows["explainer"] == "Shapley (ours)")
        & (rows["measure"] == "deletion"),
        "value",
    ].to_numpy()
    table = questions.tests_by_model(rows).set_index(["question", "models"])
    verdict = table["verdict"]
    assert questions.tests(rows).set_index("question")["verdict"][27] == "holds"
    assert verdict[27, "dae"] == "the reverse holds" and verdict[27, "gru"] == "holds"
    assert verdict[26, "ease"] == "no user differs"
    asked = sum(len(models) for *_, models, _ in questions.QUESTIONS)
    assert len(table) == asked
    smallest = table["p"].idxmin()
    assert table.loc[smallest, "p_holm"] == pytest.approx(
        asked * table.loc[smallest, "p"]
    )


def test_rows_of_a_group_share_their_models() -> None:
    marks = [
        (model, "e", "deletion", user, value + user)
        for model, value in zip(questions.ATTENTIVE, (0.0, 1.0, 5.0), strict=True)
        for user in (0, 1)
    ]
    # no mark on the third model
    marks += [(model, "f", "deletion", 0, 9.0) for model in questions.ATTENTIVE[:2]]
    keys = ["model", "explainer", "measure", "user", "value"]
    rows = pd.DataFrame(marks, columns=keys)
    table = questions.groups(rows)
    assert table["explainer"].tolist() == ["e"]
    assert table["models"].tolist() == ["three with attention"]
    row = table.iloc[0]
    assert (row["mean"], row["low"], row["high"], row["users"]) == (2.5, 2, 3, 2)


def test_the_board_is_a_mean_with_its_interval() -> None:
    rows = pd.DataFrame(
        {
            "model": "m",
            "explainer": "e",
            "measure": "x",
            "user": range(50),
            "value": np.arange(50.0),
        }
    )
    row = leaderboard.board(rows).iloc[0]
    assert (
        row["mean"] == 24.5
        and 19 < row["low"] < 22
        and 27 < row["high"] < 30
        and row["users"] == 50
    )


def test_marks_of_a_user_are_means_over_the_training_seeds() -> None:
    rows = pd.DataFrame(
        [
            ("gru", 0, "e", "deletion", 0, 0.5),
            ("gru", 1, "e", "deletion", 0, 1.5),
            ("gru", 0, "e", "stability", 0, 0.25),
        ],
        columns=questions.COLUMNS,
    )
    means = questions.whole(rows).set_index("measure")["value"]
    assert means["deletion"] == 1.0 and means["stability"] == 0.25
    # one of the two seeds lies above what the search reached
    assert means["deletion above 1"] == 0.5


def test_equal_needs_the_whole_interval_inside_the_margin() -> None:
    random = np.random.default_rng(0)
    rows = []
    for number, measure, one, other, models, sign in questions.EQUAL:
        for model in models:
            far = 0.2 if (number, model) == (42, "dae") else 0.0
            wide = 3.0 if number == 41 else 0.02
            for user in range(40):
                mark = random.normal(0, 0.1)
                gap = far + random.normal(0, wide)
                rows.append((model, one, measure, user, mark))
                rows.append((model, other, measure, user, mark + sign * gap))
    keys = ["model", "explainer", "measure", "user", "value"]
    # the pairs share their first explainer: the last row of each stands
    table = pd.DataFrame(rows, columns=keys).drop_duplicates(keys[:4], keep="last")
    found = questions.equalities(table).set_index(["question", "models"])
    everywhere = " ".join(questions.MODELS)
    assert found.loc[(42, everywhere), "level"] == pytest.approx(1 - 0.1 / 4)
    assert found.loc[(42, "gru"), "level"] == pytest.approx(1 - 0.1 / 32)
    assert found.loc[(42, "gru"), "verdict"] == "equal"
    assert found.loc[(42, "dae"), "verdict"] == "not shown"
    assert found.loc[(41, everywhere), "verdict"] == "not shown"


def test_each_training_seed_answers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "EQUAL", ())
    rows = rows_of_board().assign(seed=0)
    turned = rows[rows["model"] == "gru"].assign(seed=1)
    turned["value"] = -turned["value"]
    table = questions.by_seed(pd.concat([rows, turned]))
    assert set(table["models"]) == {"gru"} and set(table["seed"]) == {0, 1}
    means = table[table["question"] == 27].set_index("seed")["mean"]
    assert means[0] == pytest.approx(-means[1])


def test_a_new_explainer_computes_only_its_own_rows(
    monkeypatch: pytest.MonkeyPatch, tmp_path, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(leaderboard, "USERS", 2)
    monkeypatch.setattr(leaderboard, "FEW", 2)
    store = Store(tmp_path)
    every = leaderboard.EXPLAINERS
    old = {name: make for name, make in every.items() if name != "leave-one-out"}
    monkeypatch.setattr(leaderboard, "EXPLAINERS", old)
    leaderboard.main(["din"], store, workers=0)
    before = store.read(questions.ROWS)
    monkeypatch.setattr(leaderboard, "EXPLAINERS", every)
    capsys.readouterr()
    leaderboard.main(["din"], store, workers=0)
    printed = capsys.readouterr().out
    assert "s for leave-one-out\n" in printed and "LIME" not in printed
    after = store.read(questions.ROWS)
    # the others keep even their seconds
    kept = after[after["explainer"] != "leave-one-out"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before)
    board = pd.read_csv(tmp_path / "leaderboard.csv").set_index(
        ["explainer", "measure"]
    )["mean"]
    assert board["Shapley (ours)", "Shapley error"] < 1e-6
    assert board["Shapley (ours)", "stability"] == 1
    assert np.isfinite(board["leave-one-out", "deletion"])
    stored = (tmp_path / questions.ROWS).read_bytes()
    # nothing is missing: nothing is made again
    leaderboard.main(["din"], store, workers=0)
    assert (tmp_path / questions.ROWS).read_bytes() == stored


def test_parts_are_made_in_processes_of_their_own(tmp_path) -> None:
    store = Store(tmp_path)
    columns = ["part", *questions.COLUMNS]
    names = leaderboard.applicable("ease")
    stored = [
        ("ease", "ease", 0, name, "deletion", user, 1.0)
        for name in names[1:]
        for user in (40, 41)
    ]
    store.write(questions.ROWS, pd.DataFrame(stored, columns=columns))
    leaderboard.main(["ease"], store, workers=1)
    rows = store.read(questions.ROWS)
    made = rows[rows["explainer"] == names[0]]
    assert made.query("measure == 'deletion'")["user"].nunique() == leaderboard.USERS


def test_a_part_that_does_not_exist_is_named(tmp_path) -> None:
    with pytest.raises(SystemExit, match="unknown part magic; choose from gru, seed 1"):
        leaderboard.main(["magic"], Store(tmp_path), workers=0)


def test_the_shop_itself_is_explained_without_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shop_board, "CASES", 5)
    rows = shop_board.shop_rows("itself", leaderboard.applicable("shop: itself"))
    rows = rows.set_index(["explainer", "measure"])["value"]
    assert (rows["Shapley (ours)", "planted found"] == 1).all()
    assert (rows["leave-one-out", "planted found, redundant pair"] == 0).all()


def test_an_unknown_part_is_named(tmp_path) -> None:
    with pytest.raises(
        SystemExit, match="unknown part magic; choose from pairs, support"
    ):
        shapley.main(["magic"], Store(tmp_path))

"""LIME: what is written here equals the library draw for draw, and finds a straight
line where there is one.
"""

import numpy as np
import pytest
from lime.lime_text import LimeTextExplainer

from code_lines import code_lines
from models_by_hand import Additive, Recent
from xrec_utils.explain.lime import lime_from_scratch, lime_history, lime_tabular
from xrec_utils.explain.shap_library import shap_values
from xrec_utils.games.game import history_game

RNG = np.random.default_rng(3)
SLOPES = np.array([0.05, -0.03, 0.0, 0.02])
BACKGROUND = RNG.normal(size=(200, 4)) * [1.0, 2.0, 0.5, 3.0] + [0.0, 1.0, -1.0, 2.0]
ROW = BACKGROUND[7]
NAMES = ["age", "year", "stars", "hour"]


def linear(rows):
    return 0.5 + rows @ SLOPES


def curved(rows):
    return 1 / (1 + np.exp(-rows @ SLOPES * 10 - rows[:, 0] * rows[:, 1]))


def scaled_row():
    return (ROW - BACKGROUND.mean(axis=0)) / BACKGROUND.std(axis=0)


def far_linear(rows):
    return np.clip(linear(rows), 0, 1)


@pytest.mark.parametrize("seed", [0, 5])
def test_written_out_equals_the_library_draw_for_draw(seed):
    coefficients, intercept = lime_from_scratch(
        curved, ROW, BACKGROUND, samples=800, seed=seed
    )
    library = lime_tabular(curved, ROW, BACKGROUND, NAMES, samples=800, seed=seed)
    np.testing.assert_allclose(library.values, coefficients * scaled_row(), atol=1e-9)
    assert library.base == pytest.approx(intercept, abs=1e-9)


def test_straight_line_is_recovered():
    coefficients, intercept = lime_from_scratch(linear, ROW, BACKGROUND, samples=5000)
    np.testing.assert_allclose(coefficients, SLOPES * BACKGROUND.std(axis=0), atol=2e-3)
    assert intercept == pytest.approx(
        linear(BACKGROUND.mean(axis=0)[None])[0], abs=5e-3
    )


def test_surrogate_adds_up_and_states_its_fit():
    found = lime_tabular(far_linear, ROW, BACKGROUND, NAMES)
    assert found.players == tuple(NAMES)
    assert found.score == pytest.approx(far_linear(ROW[None])[0])
    assert found.base + found.values.sum() == pytest.approx(found.score, abs=0.02)
    assert "R2 0.9" in found.method or "R2 1.0" in found.method
    assert found.error is None and found.seconds > 0


def test_gap_shows_a_line_that_does_not_fit():
    def step(rows):
        return (np.abs(rows[:, 0] - ROW[0]) < 0.1).astype(float)

    found = lime_tabular(step, ROW, BACKGROUND, NAMES)
    assert found.gap > 0.5
    assert "R2 0.0" in found.method


def test_seed_decides():
    one, same, other = (
        lime_from_scratch(curved, ROW, BACKGROUND, 300, seed)[0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


def test_constant_column_gets_no_credit():
    background = BACKGROUND.copy()
    background[:, 2] = 4.0
    row = np.append(ROW[:2], [4.0, ROW[3]])
    found = lime_tabular(curved, row, background, NAMES)
    assert found.values[2] == 0
    coefficients, _ = lime_from_scratch(curved, row, background)
    np.testing.assert_allclose(
        found.values[[0, 1, 3]], (coefficients * scaled_row())[[0, 1, 3]], atol=1e-9
    )


def test_constant_column_in_single_precision_is_no_huge_deviation():
    background = BACKGROUND.astype(np.float32)
    background[
        :, 2
    ] = (
        -0.12166709
    )  # its mean in float32 is a little off, and so its deviation is not quite zero
    row = np.append(ROW[:2], [0.5, ROW[3]]).astype(np.float32)
    assert 0 < background[:, 2].std() < 1e-6
    coefficients, intercept = lime_from_scratch(curved, row, background)
    sd = np.where(np.arange(4) == 2, 1.0, background.std(axis=0))
    scaled = (row - background.mean(axis=0, dtype=float)) / sd
    library = lime_tabular(curved, row, background, NAMES)
    np.testing.assert_allclose(library.values, coefficients * scaled, atol=1e-5)
    assert library.base == pytest.approx(intercept, abs=1e-5)


def test_wrong_answers_are_named():
    with pytest.raises(ValueError, match="pick one column"):
        lime_tabular(lambda rows: linear(rows)[:, None], ROW, BACKGROUND, NAMES)
    with pytest.raises(ValueError, match=r"probabilities in 0\.\.1"):
        lime_tabular(lambda rows: rows @ SLOPES * 100, ROW, BACKGROUND, NAMES)
    with pytest.raises(ValueError, match="3 names"):
        lime_tabular(linear, ROW, BACKGROUND, NAMES[:3])
    with pytest.raises(ValueError, match="row has shape"):
        lime_tabular(linear, ROW[None], BACKGROUND, NAMES)


def test_written_out_fits_on_one_screen():
    assert code_lines(lime_from_scratch) <= 25


@pytest.mark.parametrize("seed", [0, 5])
def test_a_history_is_explained_as_the_library_explains_a_text(seed):
    game = history_game(Recent(), np.arange(9), 20)

    def answers(texts):
        words = [set(text.split()) for text in texts]
        return np.tile(
            game(np.array([[f"w{n}" in held for n in range(9)] for held in words]))[
                :, None
            ],
            2,
        )

    text = " ".join(f"w{n}" for n in range(9))
    explainer = LimeTextExplainer(feature_selection="none", random_state=seed)
    library = explainer.explain_instance(
        text, answers, labels=(0,), num_features=9, num_samples=300
    )
    found = lime_history(game, samples=300, seed=seed)
    np.testing.assert_allclose(
        found.values, [value for _, value in sorted(library.local_exp[0])], atol=1e-9
    )
    assert (
        found.base == pytest.approx(library.intercept[0])
        and f"R2 {library.score:.2f}" in found.method
    )


def test_a_linear_game_is_nearly_found():
    model = Additive()
    found = lime_history(
        history_game(model, np.arange(8), 20), samples=4000, kernel_width=100
    )
    np.testing.assert_allclose(
        found.values, model.inputs[:8] @ model.outputs[:, 20], atol=0.05
    )
    assert (
        found.score == pytest.approx(model.score([np.arange(8)])[0, 20])
        and "R2 1.00" in found.method
    )
    assert abs(found.gap) < 0.05 and abs(found.base) < 0.05 and found.error is None


def test_seeds_move_a_curved_game():
    game = history_game(Recent(), np.arange(30), 35)
    one, same, other = (lime_history(game, 200, seed).values for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other, atol=1e-3) and not np.array_equal(
        np.argsort(one), np.argsort(other)
    )


def test_one_sample_is_no_neighbourhood():
    with pytest.raises(ValueError, match="samples=1 must be a whole number, 2 or"):
        lime_history(history_game(Recent(), np.arange(3), 20), samples=1)
    with pytest.raises(ValueError, match=r"samples=2\.5 must be a whole number"):
        lime_tabular(far_linear, ROW, BACKGROUND, NAMES, samples=2.5)
    for width in (0, -1, np.nan):
        with pytest.raises(ValueError, match=f"kernel_width={width} must be above 0"):
            lime_history(history_game(Recent(), np.arange(3), 20), kernel_width=width)


def test_a_softmax_rounded_beyond_one_is_a_probability():
    def rounded(rows):
        answers = far_linear(rows)
        answers[:2] = np.float32(1.0000001), -1e-7
        return answers

    assert lime_tabular(rounded, ROW, BACKGROUND, NAMES).score == 1
    with pytest.raises(ValueError, match=r"to 1\.00001; LIME needs"):
        lime_tabular(lambda rows: np.full(len(rows), 1.00001), ROW, BACKGROUND, NAMES)


def test_stars_and_logits_have_three_ways_out():
    def logits(rows):
        return rows @ SLOPES * 20

    def stars(rows):
        return 1 + 4 / (1 + np.exp(-logits(rows)))

    for predict in (logits, stars):
        with pytest.raises(
            ValueError, match=r"0\.\.1.*\(stars - 1\) / 4.*sigmoid.*shap_values"
        ):
            lime_tabular(predict, ROW, BACKGROUND, NAMES)
        (found,) = shap_values(predict, ROW[None], BACKGROUND, "permutation")
        assert found.gap == pytest.approx(0, abs=1e-9)
    scaled = lime_tabular(lambda rows: (stars(rows) - 1) / 4, ROW, BACKGROUND, NAMES)
    squeezed = lime_tabular(
        lambda rows: 1 / (1 + np.exp(-logits(rows))), ROW, BACKGROUND, NAMES
    )
    np.testing.assert_allclose(scaled.values, squeezed.values, atol=1e-9)


def test_missing_numbers_are_blamed_on_those_who_brought_them():
    def fails(rows):
        return np.where(np.arange(len(rows)) == 5, np.nan, far_linear(rows))

    with pytest.raises(ValueError, match=r"predict returned nan for the row \["):
        lime_tabular(fails, ROW, BACKGROUND, NAMES)
    holes = BACKGROUND.copy()
    holes[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"background holds NaN .* column 'year'"):
        lime_tabular(far_linear, ROW, holes, NAMES)
    with pytest.raises(ValueError, match="row holds NaN or infinity in column 'year'"):
        lime_tabular(far_linear, holes[3], BACKGROUND, NAMES)

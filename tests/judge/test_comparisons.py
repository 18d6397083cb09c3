"""Agreement by hand, against loops, and at its known extremes."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from models_by_hand import Additive, MeanPool, Recent, Tanh
from xrec_utils.explain.baselines import random_order
from xrec_utils.explain.shapley import brute_force, permutation_sampling
from xrec_utils.games import features
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import history_game
from xrec_utils.judge import comparisons as agree
from xrec_utils.keras_start import tf


def said(*values: float, players: str = "abcdefghij") -> Explanation:
    return Explanation(
        tuple(players[: len(values)]), "score", np.array(values), 0.0, 1.0, "by hand"
    )


def test_agreement_by_hand():
    one, other = said(4, 3, 2, 1), said(4, 2, 3, 1)  # one of six pairs swapped
    assert agree.agreement(one, other, k=2) == pytest.approx((4 / 6, 1 / 3))
    assert agree.agreement(one, one) == (1, 1) and agree.agreement(
        one, said(1, 2, 3, 4)
    ) == (-1, 1)
    with pytest.raises(ValueError, match="same players"):
        agree.agreement(one, said(1, 2, 3, 4, players="wxyz"))


@given(
    st.lists(st.integers(-3, 3), min_size=2, max_size=8),
    st.randoms(use_true_random=False),
)
def test_kendall_is_the_count_of_pairs(values, random):
    others = random.sample(values, len(values))
    signs = np.array(
        [
            (np.sign(values[i] - values[j]), np.sign(others[i] - others[j]))
            for i, j in itertools.combinations(range(len(values)), 2)
        ]
    )
    untied = np.abs(signs).sum(axis=0)
    expected = (
        signs.prod(axis=1).sum() / np.sqrt(untied.prod()) if untied.all() else 0.0
    )
    assert agree.kendall(np.array(values), np.array(others)) == pytest.approx(expected)


def test_relative_error_by_hand():
    assert agree.relative_error([3, 0], [3, 4]) == pytest.approx(4 / 5)
    assert agree.relative_error([0, 0], [3, 4]) == 1
    assert (
        agree.relative_error([0, 0], [0, 0]) == 0
        and agree.relative_error([1, 0], [0, 0]) == np.inf
    )


def test_stability_is_the_mean_over_pairs():
    three = said(3, 2, 1), said(3, 1, 2), said(1, 2, 3)
    taus = [
        agree.kendall(a.values, b.values) for a, b in itertools.combinations(three, 2)
    ]
    assert agree.stability(three, k=1) == pytest.approx((np.mean(taus), 1 / 3))
    with pytest.raises(ValueError, match="two or more"):
        agree.stability(three[:1])


def test_more_permutations_are_more_stable():
    game = history_game(Tanh(), np.arange(15), 20)
    few, many = (
        agree.stability([permutation_sampling(game, n, seed) for seed in range(4)])
        for n in (4, 200)
    )
    assert many.tau > few.tau and many.jaccard >= few.jaccard


def test_weights_drawn_anew_change_an_explanation_but_not_an_order_by_place():
    history = np.arange(10)
    seeds = [
        [brute_force(history_game(Tanh(seed=seed), history, item)) for seed in (0, 1)]
        for item in range(11, 40)
    ]
    assert abs(np.mean([agree.randomised_weights(*pair) for pair in seeds])) < 0.15
    blind = [
        random_order(history_game(Tanh(seed=seed), history, 12), seed=7)
        for seed in (0, 1)
    ]
    assert agree.randomised_weights(*blind) == pytest.approx(1)


# ---------------------------------------------------------------- a change of the
# question


def test_values_of_an_additive_model_do_not_move():
    model = Additive()
    found = agree.sensitivity(
        lambda h: brute_force(history_game(model, h, 30)), np.arange(6)
    )
    assert found.mean < 1e-12 and found.largest < 1e-12


def test_sensitivity_is_the_change_of_the_films_that_stay():
    model, history = MeanPool(), np.array([4, 8, 15, 16])

    def explain(films: np.ndarray) -> Explanation:
        return brute_force(history_game(model, films, 30))

    whole, moved = explain(history).values, []
    for i in range(4):
        rest = [j for j in range(4) if j != i]
        moved.append(
            np.linalg.norm(explain(history[rest]).values - whole[rest])
            / np.linalg.norm(whole[rest])
        )
    assert agree.sensitivity(explain, history) == pytest.approx(
        (np.mean(moved), max(moved))
    )
    assert agree.sensitivity(explain, history, edits=1).largest in moved
    with pytest.raises(ValueError, match="history has 1 films"):
        agree.sensitivity(explain, history[:1])


class Embedded(Recent):
    """The hand model with its embedding layer shown: the score of vectors is that of
    `encode`.
    """

    def vectors(self, history: np.ndarray) -> np.ndarray:
        return self.inputs[np.asarray(history, dtype=int)].astype(np.float32)

    def score_vectors(self, vectors: tf.Tensor, item: int) -> tf.Tensor:
        return tf.constant(
            [
                self.encode(row) @ self.outputs[:, item]
                for row in vectors.numpy().astype(float)
            ]
        )


def test_an_imputed_film_keeps_its_place():
    model, history = Embedded(), np.array([3, 1, 2])
    game = features.imputed_game(model, history, 9)
    assert game.full() == pytest.approx(
        history_game(model, history, 9).full(), abs=1e-5
    )
    average = model.inputs.mean(axis=0)
    without_one = (
        model.encode(np.array([model.inputs[3], average, model.inputs[2]]))
        @ model.outputs[:, 9]
    )
    assert game(np.array([[True, False, True]]))[0] == pytest.approx(
        without_one, abs=1e-5
    )
    nothing = features.imputed_game(model, history, 9, fill=np.zeros(5))
    assert (
        nothing.empty() == pytest.approx(0, abs=1e-6)
        and "films replaced" in nothing.target
    )
    with pytest.raises(TypeError, match="shows no vectors"):
        features.imputed_game(Tanh(), history, 9)


def test_the_two_kinds_of_removal_agree_where_places_do_not_count():
    """Replacing by a zero vector is removal for a sum, and something else for a model
    that counts steps back.
    """
    history, zero = np.arange(8), np.zeros(5)

    def agreed(model) -> float:
        games = [
            (
                history_game(model, history, item),
                features.imputed_game(model, history, item, fill=zero),
            )
            for item in range(20, 30)
        ]
        return np.mean(
            [agree.removal_agreement(brute_force, *pair).tau for pair in games]
        )

    bag = type("Bag", (Embedded,), {"encode": Additive.encode})
    assert agreed(bag()) == pytest.approx(1) and agreed(Embedded()) < 0.99


def test_the_imputed_game_of_a_real_model_starts_at_its_score():
    from xrec_utils.models import sequence

    model = sequence.pooled_mlp(np.eye(12, 3), width=8)
    game = features.imputed_game(model, np.array([1, 5, 7]), 2)
    assert game.full() == pytest.approx(
        float(model.score([np.array([1, 5, 7])])[0, 2]), abs=1e-5
    )


# ---------------------------------------------------------------- tests


def test_holm_by_hand():
    """Worked: 0.01·4, 0.02·3, 0.03·2 = 0.06 (no less than the one before), 0.9·1."""
    assert agree.holm(np.array([0.02, 0.9, 0.01, 0.03])) == pytest.approx(
        [0.06, 0.9, 0.04, 0.06]
    )
    assert agree.holm(np.array([0.6, 0.7])).tolist() == [1, 1]


def test_paired_tests_find_the_difference_and_keep_quiet_without():
    rng = np.random.default_rng(0)
    user = rng.normal(0, 5, 60)
    table = pd.DataFrame(
        {
            "a": user + rng.normal(0.8, 1, 60),
            "b": user + rng.normal(0, 1, 60),
            "c": user,
        }
    )
    tests = agree.paired_tests(table, resamples=2000).set_index(["one", "other"])
    assert tests.loc[("a", "b"), "p_holm"] < 0.01 and tests.loc[("b", "c"), "p"] > 0.05
    for pair, row in tests.iterrows():
        assert row["low"] < row["mean"] < row["high"] and row["p"] <= row["p_holm"]
        assert row["mean"] == pytest.approx((table[pair[0]] - table[pair[1]]).mean())
        assert row["p"] == pytest.approx(
            ttest_rel(table[pair[0]], table[pair[1]]).pvalue, abs=0.03
        )


def test_equal_columns_do_not_differ():
    table = pd.DataFrame({"a": np.arange(5.0), "b": np.arange(5.0)})
    assert agree.paired_tests(table, resamples=100)[
        ["mean", "p", "p_holm"]
    ].to_numpy().tolist() == [[0, 1, 1]]

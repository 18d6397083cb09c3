"""The regression estimator against brute force, against games it must solve exactly,
and against the shap library.
"""

from math import comb

import numpy as np
import pytest
import shap
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from code_lines import code_lines
from models_by_hand import Recent, Tanh, table_game
from xrec_utils.explain import leverage
from xrec_utils.explain.closed_forms import mean_pool
from xrec_utils.explain.leverage import draw_pairs, leverage_regression
from xrec_utils.explain.shapley import brute_force, permutation_sampling
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game, history_game

HISTORY, ITEM = np.random.default_rng(0).permutation(40)[:12], 33
tables = st.integers(1, 6).flatmap(
    lambda n: arrays(float, 2**n, elements=st.floats(-10, 10, allow_subnormal=False))
)


def game_of(value, n):
    return Game(tuple(map(str, range(n))), "score", value)


def relative(found, exact):
    return np.linalg.norm(found.values - exact.values) / np.linalg.norm(exact.values)


@given(tables)
def test_all_groups_give_the_exact_values(scores):
    game = table_game(scores)
    found = leverage_regression(game)
    np.testing.assert_allclose(found.values, brute_force(game).values, atol=1e-9)
    assert found.error.max() == 0
    assert found.method == f"Shapley by regression on {len(scores) - 2} groups"


@pytest.mark.parametrize("n", [7, 30, 31])
def test_few_groups_solve_what_is_linear_in_pairs_and_sizes(n):
    """Own weights, what pairs earn together and any function of the size leave the
    regression nothing to miss; that other groups are not missed either is not proved.
    """
    rng = np.random.default_rng(n)
    weights, together = rng.normal(size=n), rng.normal(size=(n, n))

    def value(m):
        return (
            m @ weights
            + np.einsum("gi,ij,gj->g", m, np.triu(together, 1), m)
            + 50 * np.sqrt(m.sum(axis=1))
        )

    found = leverage_regression(game_of(value, n), samples=4 * n)
    pairs = np.triu(together, 1) + np.triu(together, 1).T
    np.testing.assert_allclose(
        found.values, weights + pairs.sum(axis=1) / 2 + 50 / np.sqrt(n), atol=1e-9
    )
    largest = np.abs(found.values).max()
    assert (found.error > 0).all() and found.error.max() < largest * 20 / n


@given(tables, st.integers(0, 99))
def test_efficiency(scores, seed):
    n = int(np.log2(len(scores)))
    assert leverage_regression(
        table_game(scores), max(4 * n, 20), seed
    ).gap == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("model", [Tanh(), Recent()], ids=lambda model: model.name)
def test_more_samples_come_nearer(model):
    game = history_game(model, HISTORY, ITEM)
    exact = brute_force(game)
    errors = [
        np.mean(
            [
                relative(leverage_regression(game, samples, seed), exact)
                for seed in range(8)
            ]
        )
        for samples in (60, 240, 960)
    ]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


@pytest.mark.parametrize("n", [11, 12])
def test_stated_error_is_the_spread_over_seeds(n):
    """An odd number of players has no middle size, an even one has: both draw and weigh
    the groups rightly.
    """
    game = history_game(Tanh(), HISTORY[:n], ITEM)
    exact = brute_force(game).values
    runs = [leverage_regression(game, 400, seed) for seed in range(200)]
    missed = np.array([run.values - exact for run in runs])
    spread = np.sqrt((missed**2).mean(axis=0))
    stated = np.sqrt(np.mean([run.error**2 for run in runs], axis=0))
    np.testing.assert_allclose(stated / spread, 1.08, atol=0.25)
    assert (np.abs(missed.mean(axis=0)) < 0.35 * spread).all()


def kernel_explainer(game, budget, seed):
    n = game.n_players
    np.random.seed(seed)  # it draws from the global generator
    explainer = shap.KernelExplainer(
        lambda rows: game(rows > 0), np.zeros((1, n)), seed=seed
    )
    values = explainer.shap_values(
        np.ones((1, n)), nsamples=budget, l1_reg=False, silent=True
    )[0]
    return Explanation(
        game.players, game.target, values, game.empty(), game.full(), "kernel"
    )


METHODS = {
    "ours": leverage_regression,
    "a fifth": lambda game, budget, seed: leverage_regression(game, budget // 5, seed),
    "permutations": lambda game, budget, seed: permutation_sampling(
        game, 2 * round(budget / 26), seed
    ),
    "kernel": kernel_explainer,
}


@pytest.mark.parametrize("saturating", [False, True])
def test_it_beats_the_kernel_explainer_and_permutations_on_the_same_budget(saturating):
    """Random hidden layers on fourteen players. When films saturate one another, a
    fifth of the calls is enough.
    """
    missed = []
    for seed in range(8):
        weights = np.random.default_rng(seed).normal(size=(14, 6)) / 4
        weights = np.abs(weights) if saturating else weights
        game = game_of(
            lambda m, weights=weights: np.tanh(0.5 + m @ weights).sum(axis=1), 14
        )
        exact = brute_force(game)
        missed.append(
            {
                name: relative(method(game, 600, seed), exact)
                for name, method in METHODS.items()
            }
        )
    mean = {name: np.mean([errors[name] for errors in missed]) for name in METHODS}
    assert mean["ours"] < 0.9 * min(mean["kernel"], mean["permutations"])
    assert mean["a fifth"] < mean["kernel"] or not saturating


def test_weights_that_bend_with_the_size_are_no_noise():
    """In an average a film counts the less, the more there are. As many orders, and the
    regression without curves, miss at least twice as much.
    """
    answers = np.random.default_rng(0).normal(size=40)
    exact = mean_pool(answers)
    game = game_of(lambda m: m @ answers / np.maximum(m.sum(axis=1), 1), 40)
    missed = {"curves": [], "orders": [], "none": []}
    for seed in range(4):
        missed["curves"].append(leverage_regression(game, 2_000, seed).values - exact)
        missed["orders"].append(permutation_sampling(game, 50, seed).values - exact)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(leverage, "_curves", lambda n, size: np.empty((0, len(size))))
            missed["none"].append(leverage_regression(game, 2_000, seed).values - exact)
    error = {name: np.linalg.norm(each) for name, each in missed.items()}
    assert 2 * error["curves"] < min(error["orders"], error["none"])


@pytest.mark.parametrize("n", [1, 2, 3, 6, 7, 100])
def test_curves_say_nothing_of_the_mean_over_sizes(n):
    curves = leverage._curves(n, np.arange(1, n))
    np.testing.assert_allclose(curves.sum(axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(curves, curves[:, ::-1], atol=1e-9)
    np.testing.assert_allclose(
        curves @ curves.T, (n - 1) * np.eye(len(curves)), atol=1e-9
    )


# ---------------------------------------------------------------- drawing


@pytest.mark.parametrize(
    ("n", "pairs"), [(1, 5), (2, 1), (5, 12), (6, 31), (9, 40), (10, 300), (40, 500)]
)
def test_groups_differ_and_sizes_share_alike(n, pairs):
    drawn = draw_pairs(n, pairs, np.random.default_rng(1))
    assert (drawn.groups.sum(axis=1) == drawn.size).all() and (
        2 * drawn.size <= n
    ).all()
    both = np.concatenate([drawn.groups, ~drawn.groups])
    assert len(np.unique(both, axis=0)) == len(both) <= 2 * pairs
    assert len(drawn.groups) >= min(pairs, 2 ** (n - 1) - 1) - 1
    most = {s: comb(n, s) // (2 if 2 * s == n else 1) for s in range(1, n // 2 + 1)}
    count = {s: int((drawn.size == s).sum()) for s in most}
    share = {s: count[s] * (2 if 2 * s == n else 1) for s in most if count[s] < most[s]}
    assert max(share.values(), default=0) - min(share.values(), default=0) <= 2
    for s in most:
        np.testing.assert_allclose(
            drawn.missing[drawn.size == s], 1 - count[s] / most[s]
        )


@pytest.mark.parametrize("n", [9, 10])
def test_weights_are_the_kernel_divided_by_the_chance_of_being_drawn(n):
    runs = [draw_pairs(n, 20, np.random.default_rng(seed)) for seed in range(400)]
    for s in range(1, n // 2 + 1):
        mass = (n - 1) / (s * (n - s)) / (2 if 2 * s == n else 1)
        assert np.mean(
            [run.weight[run.size == s].sum() for run in runs]
        ) == pytest.approx(mass, rel=0.05)
    met = np.mean([run.groups[run.size == n // 2].sum(axis=0) for run in runs], axis=0)
    first = (
        1 if n % 2 else 0
    )  # with an even number, player 0 stands in every group of the middle size
    np.testing.assert_allclose(met[1 - first :], met[1 - first :].mean(), rtol=0.15)


def test_a_thousand_players_overflow_nothing():
    drawn = draw_pairs(1200, 100, np.random.default_rng(0))
    assert (
        len(drawn.groups) in (99, 100)
        and np.isfinite(drawn.weight).all()
        and (drawn.missing > 0.9).all()
    )


def test_the_result_depends_on_the_seed_and_on_nothing_else():
    game = history_game(Recent(), HISTORY, ITEM)
    found = leverage_regression(game, 100, seed=1)
    assert np.array_equal(found.values, leverage_regression(game, 100, seed=1).values)
    assert not np.array_equal(
        found.values, leverage_regression(game, 100, seed=2).values
    )
    assert found.seconds > 0
    # a group scored alone is rounded otherwise than one of a hundred
    assert np.allclose(
        [found.base, found.score],
        [game.empty(), game.full()],
        rtol=1e-12,
    )


def test_the_budget_is_the_number_of_groups():
    scored = []

    def value(masks):
        scored.append(len(masks))
        return masks.sum(axis=1)

    leverage_regression(game_of(value, 20), 500)
    # nobody, everybody, and everybody once more to look for chance
    assert 498 <= sum(scored) - 3 <= 500


@pytest.mark.parametrize("samples", [30, 60.0, np.nan, -1])
def test_too_few_samples_are_refused(samples):
    with pytest.raises(
        ValueError,
        match=f"samples={samples} must be a whole number, 48 or more",
    ):
        leverage_regression(history_game(Tanh(), HISTORY, ITEM), samples)


def test_it_is_short_enough_to_show():
    assert code_lines(leverage_regression) <= 25

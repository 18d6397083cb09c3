"""Pairwise interactions against their definition and against games that say them
outright.
"""

from itertools import combinations
from math import comb, factorial

import numpy as np
import pandas as pd
import pytest

from models_by_hand import Tanh
from xrec_utils.explain.interactions import shapley_interactions
from xrec_utils.games.game import Game, history_game

HISTORY, ITEM = np.random.default_rng(0).permutation(40)[:14], 33


def pair_game(n, seed=0):
    """2 + own weights + <v_i, v_j> for every pair present: the game and its vectors (n,
    3).
    """
    rng = np.random.default_rng(seed)
    weights, vectors = rng.normal(size=n), rng.normal(size=(n, 3))
    squares = (vectors**2).sum(axis=1)

    def value(m):
        return 2 + m @ weights + (((m @ vectors) ** 2).sum(axis=1) - m @ squares) / 2

    return Game(tuple(f"p{i}" for i in range(n)), "pairs", value), vectors


def by_definition(game):
    """Grabisch and Roubens, word by word: {(i, j): index}."""
    n, found = game.n_players, {}
    for i, j in combinations(range(n), 2):
        others, total = [k for k in range(n) if k not in (i, j)], 0.0
        for size in range(n - 1):
            weight = factorial(size) * factorial(n - size - 2) / factorial(n - 1)
            for group in combinations(others, size):
                masks = np.zeros((4, n), dtype=bool)
                masks[:, list(group)] = True
                masks[[0, 1], i], masks[[0, 2], j] = True, True
                both, one, other, neither = game(masks)
                total += weight * (both - one - other + neither)
        found[game.players[i], game.players[j]] = total
    return found


def from_all_groups(game):
    """The same from one table of all 2^n scores."""
    n = game.n_players
    groups = np.arange(2**n)
    present = (groups[:, None] >> np.arange(n) & 1).astype(bool)
    scores, found = game(present), {}
    weight = np.array([1 / ((n - 1) * comb(n - 2, size)) for size in range(n - 1)])
    for i, j in combinations(range(n), 2):
        without = groups[~present[:, i] & ~present[:, j]]
        one, other = without | 1 << i, without | 1 << j
        earned = scores[one | other] - scores[one] - scores[other] + scores[without]
        sizes = present[without].sum(axis=1)
        found[game.players[i], game.players[j]] = weight[sizes] @ earned
    return found


def as_dict(table):
    return {(row.first, row.second): row.value for row in table.itertuples()}


def test_exact_interactions_are_the_definition():
    game = history_game(Tanh(), HISTORY[:6], ITEM)
    found, expected = as_dict(shapley_interactions(game)), by_definition(game)
    assert found.keys() == expected.keys()
    np.testing.assert_allclose(
        [found[pair] for pair in expected], list(expected.values()), atol=1e-12
    )
    np.testing.assert_allclose(
        list(from_all_groups(game).values()), list(expected.values()), atol=1e-12
    )
    assert (shapley_interactions(game).error == 0).all()


@pytest.mark.parametrize("n", [2, 7, 16])
def test_what_pairs_earn_together_is_their_interaction(n):
    """Exact and sampled alike: the bilinear game lies inside what the regression fits."""
    game, vectors = pair_game(n)
    table = shapley_interactions(game)
    assert (
        table.columns.tolist() == ["first", "second", "value", "error"]
        and len(table) == n * (n - 1) // 2
    )
    assert table.value.abs().is_monotonic_decreasing
    # above 12 players, groups that were not scored may say something else
    assert (table.error > 0).all() == (table.error > 0).any() == (n > 12)
    for (first, second), value in as_dict(table).items():
        assert value == pytest.approx(
            vectors[int(first[1:])] @ vectors[int(second[1:])], abs=1e-4
        )


def test_a_pair_that_helps_and_a_pair_that_repeats():
    """Printer and ink count only together, either of two films of a series is enough,
    the fifth player stands alone.
    """

    def value(m):
        printer, ink, part_one, part_two, alone = m.T.astype(float)
        return printer * ink + np.maximum(part_one, part_two) + alone

    found = as_dict(
        shapley_interactions(
            Game(("printer", "ink", "one", "two", "alone"), "score", value)
        )
    )
    expected = {("printer", "ink"): 1.0, ("one", "two"): -1.0}
    for pair, value in found.items():
        assert value == pytest.approx(expected.get(pair, 0.0), abs=1e-12)


def test_sampling_comes_nearer_and_depends_on_the_seed_alone():
    game = history_game(Tanh(), HISTORY, ITEM)
    exact = from_all_groups(game)

    def missed(samples, seed):
        found = as_dict(shapley_interactions(game, samples, seed))
        return np.linalg.norm([found[pair] - exact[pair] for pair in exact])

    few, many = (
        np.mean([missed(samples, seed) for seed in range(3)]) for samples in (900, 8000)
    )
    assert many < few / 2 and many < 0.2 * np.linalg.norm(list(exact.values()))
    pd.testing.assert_frame_equal(
        shapley_interactions(game, 900, 1), shapley_interactions(game, 900, 1)
    )
    assert missed(900, 1) != missed(900, 2)


@pytest.mark.parametrize("samples", [728, 3504])
def test_twice_the_error_holds_in_95_cases_of_100(samples):
    """Smooth scores, and majorities of which a few thousand groups say little."""
    rng, held = np.random.default_rng(0), []
    for seed in range(4):
        weights, hidden = rng.exponential(size=13), rng.normal(size=(13, 4))
        for value in (
            lambda m, w=weights: m @ w > 0.6 * w.sum(),
            lambda m, h=hidden: np.tanh(0.3 + m @ h / 2).sum(axis=1),
        ):
            game = Game(tuple(map(str, range(13))), "score", value)
            exact, table = (
                from_all_groups(game),
                shapley_interactions(game, samples, seed),
            )
            assert (table.error > 0).all()
            missed = [
                row.value - exact[row.first, row.second] for row in table.itertuples()
            ]
            held.append(np.abs(missed) <= 2 * table.error)
    assert np.mean(held) >= 0.94


@pytest.mark.parametrize(
    ("n", "samples", "message"),
    [
        (1, None, "1 players: interactions need 2 to 50"),
        (51, None, "51 players: .* explain the last films of the history"),
        (16, 1000, "samples=1000 must be a whole number, 1088 or more"),
        (16, 2000.5, "samples=2000.5 must be a whole number"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_model_is_asked(n, samples, message):
    with pytest.raises(ValueError, match=message):
        shapley_interactions(
            Game(tuple(map(str, range(n))), "score", pytest.fail), samples
        )

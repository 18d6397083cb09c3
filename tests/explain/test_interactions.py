"""Pairwise interactions against their definition and against games that say them
outright.
"""

from itertools import combinations
from math import factorial

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


def as_dict(table):
    return {(row.first, row.second): row.value for row in table.itertuples()}


def test_exact_interactions_are_the_definition():
    game = history_game(Tanh(), HISTORY[:6], ITEM)
    found, expected = as_dict(shapley_interactions(game)), by_definition(game)
    assert found.keys() == expected.keys()
    np.testing.assert_allclose(
        [found[pair] for pair in expected], list(expected.values()), atol=1e-12
    )


@pytest.mark.parametrize("n", [2, 7, 16])
def test_what_pairs_earn_together_is_their_interaction(n):
    """Exact and sampled alike: the bilinear game lies inside what the regression fits."""
    game, vectors = pair_game(n)
    table = shapley_interactions(game)
    assert (
        table.columns.tolist() == ["first", "second", "value"]
        and len(table) == n * (n - 1) // 2
    )
    assert table.value.abs().is_monotonic_decreasing
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
    exact = as_dict(
        shapley_interactions(game, 2**14)
    )  # all groups: nothing is left to sample

    def missed(samples, seed):
        found = as_dict(shapley_interactions(game, samples, seed))
        return np.linalg.norm([found[pair] - exact[pair] for pair in exact])

    few, many = (
        np.mean([missed(samples, seed) for seed in range(3)]) for samples in (400, 4000)
    )
    assert many < few / 2 and many < 0.2 * np.linalg.norm(list(exact.values()))
    pd.testing.assert_frame_equal(
        shapley_interactions(game, 400, 1), shapley_interactions(game, 400, 1)
    )
    assert missed(400, 1) != missed(400, 2)


@pytest.mark.parametrize(
    ("n", "samples", "message"),
    [
        (1, None, "1 players: interactions need 2 to 50"),
        (51, None, "51 players: .* explain the last films of the history"),
        (16, 200, "samples=200 is too few for 16 players: ask for 272 or more"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_model_is_asked(n, samples, message):
    with pytest.raises(ValueError, match=message):
        shapley_interactions(
            Game(tuple(map(str, range(n))), "score", pytest.fail), samples
        )

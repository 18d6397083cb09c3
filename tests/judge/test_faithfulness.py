"""Measures of one explanation: by hand, against loops, at their known extremes, and
Shapley order against chance.
"""

from dataclasses import replace
from functools import partial
from itertools import combinations, permutations

import numpy as np
import pytest
from calibration import recommendation_games
from hypothesis import given
from hypothesis import strategies as st

from models_by_hand import Additive, Recent, Tanh, table_game
from xrec_utils.explain.baselines import random_order
from xrec_utils.explain.shapley import brute_force, permutation_sampling
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game, history_game
from xrec_utils.judge import deletion
from xrec_utils.judge import faithfulness as fidelity

TABLE = table_game(
    np.array([0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
)  # player i adds 2**i to the position


def advantage(game: Game, said: Explanation) -> float:
    """How much faster the score falls in the order of an explanation than by lot."""
    return deletion.advantage_over_random(game, deletion.order(said))


def test_curves_by_hand():
    assert deletion.deletion_curve(TABLE, [2, 0, 1]).tolist() == [64, 4, 2, 0]
    assert deletion.insertion_curve(TABLE, [2, 0, 1]).tolist() == [0, 8, 16, 64]


def test_area_is_the_mean_height():
    assert deletion.area(np.array([64, 4, 2, 0])) == pytest.approx((34 + 3 + 1) / 3)
    assert deletion.area(np.full(9, 2.5)) == pytest.approx(2.5)
    assert deletion.area(np.linspace(1, 0, 50)) == pytest.approx(0.5)


@given(st.permutations(range(6)))
def test_inserting_is_deleting_backwards(order):
    game = history_game(Tanh(), np.arange(6), 9)
    back = deletion.deletion_curve(game, order[::-1])[::-1]
    assert np.array_equal(deletion.insertion_curve(game, order), back)


@given(st.integers(0, 500))
def test_in_an_additive_game_no_order_beats_the_values(seed):
    model = Additive(seed=seed)
    game = history_game(model, np.arange(7), 20)
    best = deletion.area(
        deletion.deletion_curve(game, deletion.order(brute_force(game)))
    )
    other = deletion.deletion_curve(game, np.random.default_rng(seed).permutation(7))
    assert best <= deletion.area(other) + 1e-12
    assert advantage(game, brute_force(game)) > 0


@pytest.mark.parametrize("order", [[0, 1], [0, 1, 1], [0, 1, 3], [[0, 1, 2]]])
def test_orders_must_name_every_player_once(order):
    for curve in (deletion.deletion_curve, deletion.insertion_curve):
        with pytest.raises(
            ValueError, match=r"order must name each of the players 0\.\.2 once"
        ):
            curve(TABLE, order)


def test_advantage_is_the_mean_of_the_random_areas_less_this_area():
    rng = np.random.default_rng(4)
    chance = [
        deletion.area(deletion.deletion_curve(TABLE, rng.permutation(3)))
        for _ in range(5)
    ]
    expected = np.mean(chance) - 38 / 3
    assert deletion.advantage_over_random(
        TABLE, [2, 0, 1], draws=5, seed=4
    ) == pytest.approx(expected)


def test_a_single_player_has_no_order_to_win_with():
    game = Game(("a",), "t", lambda masks: masks[:, 0].astype(float))
    assert deletion.advantage_over_random(game, [0]) == 0


def test_deletion_by_shapley_order_falls_faster_than_random_for_almost_all_users():
    rng = np.random.default_rng(0)
    histories = [rng.choice(40, 15, replace=False) for _ in range(60)]
    games = list(recommendation_games(Tanh(), histories, pairs=60, length=15))
    shapley = [advantage(game, permutation_sampling(game, 20)) > 0 for game in games]
    chance = [
        advantage(game, random_order(game, seed)) > 0 for seed, game in enumerate(games)
    ]
    assert np.mean(shapley) >= 0.95
    assert 0.3 < np.mean(chance) < 0.7


# ---------------------------------------------------------------- the oracle and the
# share of what is possible


def areas(game: Game, curve) -> np.ndarray:
    """The areas of all orders."""
    return np.array(
        [
            deletion.area(curve(game, np.array(o)))
            for o in permutations(range(game.n_players))
        ]
    )


@pytest.mark.parametrize("seed", range(15))
def test_in_an_additive_game_the_greedy_oracle_is_the_best_of_all_orders(seed):
    game = history_game(Additive(seed=seed), np.arange(5), 20)
    for deleting, curve, best in (
        (True, deletion.deletion_curve, min),
        (False, deletion.insertion_curve, max),
    ):
        found = deletion.area(curve(game, deletion.oracle_order(game, deleting)))
        assert found == pytest.approx(best(areas(game, curve)))


def test_a_beam_sees_what_greed_misses():
    """Taking a (to 9) looks best, but only without b and c together the score falls to
    0.
    """
    scores = np.full(8, 10.0)
    scores[[0b110, 0b100, 0b010, 0b000, 0b001]] = [9, 9, 9, 0, 0]
    game = table_game(scores)
    greedy, beam = (deletion.oracle_order(game, width=width) for width in (1, 6))
    assert greedy[0] == 0 and set(beam[:2].tolist()) == {1, 2}
    assert deletion.area(deletion.deletion_curve(game, beam)) == min(
        areas(game, deletion.deletion_curve)
    )


def test_a_full_beam_is_the_best_of_all_orders():
    game = history_game(Recent(), np.arange(5), 20)
    for deleting, curve, best in (
        (True, deletion.deletion_curve, min),
        (False, deletion.insertion_curve, max),
    ):
        found = deletion.area(
            curve(game, deletion.oracle_order(game, deleting, width=200))
        )
        assert found == pytest.approx(best(areas(game, curve)))


def test_the_oracle_asks_once_a_step_and_beats_chance():
    asked, model = [], Tanh()
    whole = history_game(model, np.arange(30), 35)
    game = Game(
        whole.players,
        "counted",
        lambda masks: asked.append(len(masks)) or whole.value(masks),
    )
    order = deletion.oracle_order(game, width=3)
    assert len(asked) == 30 and sum(asked) <= 3 * 30 * 31 / 2
    assert sorted(order) == list(range(30))
    assert deletion.advantage_over_random(whole, order) > 0


def test_random_orders_have_one_area_whether_films_leave_or_come():
    """Removing an order passes the groups that adding its reverse passes."""
    game = history_game(Tanh(), np.arange(12), 13)
    order = np.random.default_rng(0).permutation(12)
    leaving = deletion.area(deletion.deletion_curve(game, order))
    coming = deletion.area(deletion.insertion_curve(game, order[::-1]))
    assert leaving == pytest.approx(coming)


def test_shares_of_what_is_possible_at_the_ends():
    assert deletion.share_of_possible(reached=3.0, chance=5.0, best=1.0) == 0.5
    assert (
        deletion.share_of_possible(5.0, 5.0, 1.0) == 0
        and deletion.share_of_possible(6.0, 5.0, 9.0) == 0.25
    )
    assert np.isnan(deletion.share_of_possible(5.0, 5.0, 5.0))


@pytest.mark.parametrize("deleting", [True, False])
def test_random_orders_reach_no_share_and_shapley_values_much_of_it(deleting):
    curve, shares = (
        deletion.deletion_curve if deleting else deletion.insertion_curve,
        [],
    )
    for seed in range(28):
        game = history_game(Tanh(), np.arange(12), 12 + seed)
        chance = deletion.chance_area(game, curve, seed=seed)
        best = deletion.area(curve(game, deletion.oracle_order(game, deleting)))
        ways = random_order(game, seed + 100), permutation_sampling(game, 40)
        reached = [deletion.area(curve(game, deletion.order(way))) for way in ways]
        shares.append(
            [deletion.share_of_possible(each, chance, best) for each in reached]
        )
    lot, shapley = np.mean(shares, axis=0)
    assert abs(lot) < 0.15 and 0.7 < shapley <= 1.01


# ---------------------------------------------------------------- ranks


def test_ranks_are_counted_among_films_outside_the_full_history():
    model, history, item = Tanh(), np.array([3, 5, 8, 13]), 21
    masks = np.random.default_rng(0).random((9, 4)) < 0.5
    for mask, rank in zip(
        masks, fidelity.ranks(model, history, item, masks), strict=True
    ):
        scores = model.score([history[mask]])[0]
        others = [j for j in range(model.n_items) if j not in history and j != item]
        assert rank == 1 + sum(scores[j] > scores[item] for j in others)


def test_a_tied_film_takes_the_middle_place():
    model = Additive()  # the empty history scores all 40 films 0; 3 of them are seen
    assert (
        fidelity.ranks(model, np.arange(3), 9, np.zeros((1, 3), dtype=bool))
        == (37 + 1) // 2
    )


def test_a_film_of_the_history_has_no_rank():
    with pytest.raises(ValueError, match="in the history"):
        fidelity.ranks(Tanh(), np.arange(3), 2, np.ones((1, 3), dtype=bool))


def by_score(masks: np.ndarray) -> np.ndarray:
    """Films a, b, c, d lift the item by 8, 4, 2, 1 places from rank 16."""
    return 16 - masks @ np.array([8, 4, 2, 1])


def test_pos_and_neg_by_hand():
    """Ranks along abcd: 1 9 13 15 16, along dcba: 1 2 4 8 16; bins hold whole films."""
    assert fidelity.pos_neg(by_score, [0, 1, 2, 3], k=4, bins=4) == (1 / 5, 3 / 5)
    assert fidelity.pos_neg(by_score, [3, 2, 1, 0], k=4, bins=4) == (3 / 5, 1 / 5)
    assert fidelity.pos_neg(by_score, [0, 1, 2, 3], k=8, bins=2) == (1 / 3, 2 / 3)
    assert fidelity.pos_neg(by_score, [0, 1, 2, 3], k=16) == (1, 1)
    with pytest.raises(ValueError, match="once"):
        fidelity.pos_neg(by_score, [0, 0, 1, 2])


def test_shapley_order_leaves_the_top_sooner_than_chance():
    model, kept = Tanh(), []
    for seed in range(20):
        history = np.random.default_rng(seed).choice(40, 12, replace=False)
        game = next(recommendation_games(model, [history], pairs=1))
        item = int(game.target.split()[-1])
        rank = partial(fidelity.ranks, model, history, item)
        ways = [permutation_sampling(game, 20), random_order(game, seed)]
        kept.append([fidelity.pos_neg(rank, deletion.order(way), k=3) for way in ways])
    (ours, our_neg), (chance, their_neg) = np.mean(kept, axis=0)
    assert ours < chance and our_neg > their_neg


def test_films_until_gone_by_hand():
    assert fidelity.films_until_gone(by_score, [0, 1, 2, 3], k=8) == 1
    assert fidelity.films_until_gone(by_score, [3, 2, 1, 0], k=8) == 4
    assert fidelity.films_until_gone(by_score, [3, 2, 1, 0], k=3) == 2
    assert fidelity.films_until_gone(by_score, [0, 1, 2, 3], k=16) is None
    assert (
        fidelity.films_until_gone(lambda masks: by_score(masks) + 9, [0, 1, 2, 3], k=8)
        == 0
    )


# ---------------------------------------------------------------- values


def explanation(values, base: float = 0.0, score: float = 1.0) -> Explanation:
    return Explanation(
        tuple("abcdefgh"[: len(values)]),
        "score",
        np.array(values, float),
        base,
        score,
        "by hand",
    )


def test_additive_values_have_no_infidelity():
    game = history_game(Additive(), np.arange(6), 20)
    exact = brute_force(game)
    assert fidelity.infidelity(game, exact) == pytest.approx((0, 0, 1, 0), abs=1e-12)
    tripled = fidelity.infidelity(game, replace(exact, values=3 * exact.values))
    assert tripled.raw > 0 and tripled[1:] == pytest.approx((0, 1 / 3, 0), abs=1e-12)
    reversed_ = fidelity.infidelity(game, replace(exact, values=-exact.values))
    assert (reversed_.factor, reversed_.relative) == (0, 1)


def test_infidelity_is_the_mean_squared_error_of_the_drops():
    game, values = TABLE, np.array([3.0, 1.0, 40.0])
    found = fidelity.infidelity(
        game, game.explanation(values, "by hand"), samples=20_000
    )
    error, nothing = 0.0, 0.0
    for size in (1, 2, 3):
        groups = list(combinations(range(3), size))
        for group in groups:
            left = np.ones((1, 3), dtype=bool)
            left[0, list(group)] = False
            fell = 64 - game(left)[0]
            error += (values[list(group)].sum() - fell) ** 2 / len(groups) / 3
            nothing += fell**2 / len(groups) / 3
    assert found.raw == pytest.approx(error, rel=0.02)
    assert (
        found.relative == pytest.approx(found.scaled / nothing, rel=0.02)
        and found.scaled <= found.raw
    )


def test_saying_nothing_is_the_worst_relative_infidelity():
    nothing = fidelity.infidelity(TABLE, TABLE.explanation([0, 0, 0], "by hand"))
    assert nothing.relative == 1 and nothing.factor == 0
    flat = table_game(np.ones(8))
    assert (
        fidelity.infidelity(flat, flat.explanation([1, 2, 3], "by hand")).relative == 0
    )


def test_completeness_by_hand():
    assert fidelity.completeness(explanation([0.5, 0.25])) == 0.25
    assert fidelity.completeness(explanation([0.0, 0.0])) == 1
    assert fidelity.completeness(explanation([0.5, 0.25]), floor=5) == 0.05
    assert fidelity.completeness(explanation([0.0], score=0.0)) == 0
    assert fidelity.completeness(explanation([1.0], score=0.0), floor=0.5) == 2


def test_sparsity_is_the_gini_index():
    values = np.array([3.0, -1.0, 0.5, 2.0, 0.0])
    sizes = np.abs(values)
    gini = np.abs(sizes[:, None] - sizes).mean() / (2 * sizes.mean())
    assert fidelity.sparsity(explanation(values)) == pytest.approx(gini)
    assert fidelity.sparsity(explanation([2, -2, 2, 2])) == pytest.approx(0)
    assert fidelity.sparsity(explanation([0, 0, 5, 0])) == pytest.approx(1 - 1 / 4)
    assert fidelity.sparsity(explanation([0, 0])) == 0

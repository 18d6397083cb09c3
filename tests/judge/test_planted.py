"""The shop's truth: its game has its reasons as Shapley values, its cases are recorded
events, its traps are traps.
"""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from scipy.special import logit

from xrec_tools.bench.explainers import most_similar, unit_columns
from xrec_utils import zoo
from xrec_utils.data.splits import leave_last_out
from xrec_utils.explain.baselines import (
    leave_one_out,
    most_popular,
    random_order,
)
from xrec_utils.explain.shapley import brute_force, permutation_sampling
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import history_game
from xrec_utils.judge import planted
from xrec_utils.shop.log import load_shop
from xrec_utils.shop.shop import CATEGORIES, Shop, react

SHOP, DATA = Shop(seed=0), load_shop()
CASES = planted.planted_cases(SHOP, DATA, 50)


def code(category: str, number: int = 0) -> int:
    """The code of the n-th item of a category."""
    return int(np.flatnonzero(SHOP.category == CATEGORIES.index(category))[number])


def codes(*names: str) -> np.ndarray:
    return np.array([code(name, place) for place, name in enumerate(names)])


def game_of(case: planted.PlantedCase):
    return planted.shop_game(SHOP, case.owned, case.item)


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.trap}, {len(case.owned)} owned"
)
def test_the_true_reasons_are_the_shapley_values_of_the_game(case: planted.PlantedCase):
    """Above 10 purchases those without effect are left out: null players, who change
    nobody's value.
    """
    kept = np.sort(np.argsort(-np.abs(case.truth), kind="stable")[:10])
    exact = brute_force(planted.shop_game(SHOP, case.owned[kept], case.item))
    assert np.abs(exact.values - case.truth[kept]).max() < 1e-10
    assert exact.base == 0 and case.truth.sum() == pytest.approx(
        game_of(case).full(), abs=1e-10
    )


def test_the_game_names_what_it_is_about():
    game = planted.shop_game(SHOP, codes("printer", "novel"), code("ink"))
    titles = SHOP.items["title"]
    assert (
        game.players == (titles[code("printer")], titles[code("novel", 1)])
        and titles[code("ink")] in game.target
    )


def test_cases_are_recorded_choices_with_recorded_reasons():
    """Every case is an event of the log: its truth is what the log wrote down, purchase
    by purchase.
    """
    events = DATA.events.set_index("event")
    reasons = DATA.reasons.assign(
        item=events.loc[DATA.reasons["purchase"], "item"].to_numpy()
    )
    for case in CASES:
        of_pair = events[
            (events["user"] == case.user) & (events["item"] == case.item)
        ].index
        told = reasons[reasons["event"].isin(of_pair)].groupby("event")
        mine = {
            int(item): round(value, 4)
            for item, value in zip(case.owned, case.truth, strict=True)
            if value
        }
        recorded = [
            {int(i): v for i, v in zip(rows["item"], rows["value"], strict=True)}
            for _, rows in told
        ]
        assert any(mine == pytest.approx(one) for one in recorded)
        assert (
            len(set(case.owned)) == len(case.owned) >= 3 and case.item not in case.owned
        )
        assert case.truth.any() and not case.truth.all()


def test_cases_are_balanced_and_drawn_by_seed():
    assert Counter(case.trap for case in CASES) == dict.fromkeys(planted.TRAPS, 10)
    assert [case.trap for case in planted.planted_cases(SHOP, DATA, 7)] == sorted(
        [*planted.TRAPS, *planted.TRAPS[:2]], key=planted.TRAPS.index)  # fmt: skip
    again, other = (planted.planted_cases(SHOP, DATA, 50, seed) for seed in (0, 1))
    assert [(c.user, c.item) for c in again] == [(c.user, c.item) for c in CASES]
    assert [(c.user, c.item) for c in other] != [(c.user, c.item) for c in CASES]
    with pytest.raises(ValueError, match="choose a smaller n"):
        planted.planted_cases(SHOP, DATA, 1000)


@pytest.mark.parametrize("owned, item, trap", [
    (["printer", "novel"], "ink", "need"), (["printer", "printer", "lamp"], "ink", "redundant pair"),
    (["tent", "sleeping bag", "novel"], "camping stove", "bundle"), (["e-reader", "ink"], "novel", "suppressor"),
    (["lamp", "ink"], "lamp", "saturation"), (["phone", "camera"], "camera", "suppressor"),
    (["tent", "camping stove"], "camping stove", "saturation"),
])  # fmt: skip
def test_traps_by_hand(owned: list[str], item: str, trap: str):
    assert planted.trap_of(SHOP, codes(*owned), code(item, 9)) == trap


def test_each_trap_bites():
    """What makes a trap: twins share a reason, a bundle needs both, a suppressor and
    saturation take away.
    """
    for case in CASES:
        if case.trap == "redundant pair":
            assert (leave_one_out(game_of(case)).values[case.truth > 0] == 0).all()
        if case.trap == "bundle":
            alone = game_of(case)(np.eye(len(case.owned), dtype=bool))
            assert (alone <= 0).all() and (case.truth > 0).sum() >= 2
        if case.trap in ("suppressor", "saturation"):
            assert case.truth.min() < 0
        if case.trap == "need":
            assert (case.truth > 0).sum() == 1


def said(*values: float) -> Explanation:
    return Explanation(
        tuple("abcdef"[: len(values)]), "score", np.array(values), 0.0, 1.0, "by hand"
    )


def test_marks_by_hand():
    truth = np.array([2.0, 0.0, -1.0, 0.0])
    assert planted.agreement_with_truth(said(2, 0, -1, 0), truth) == (1, 1, 0, 0)
    swapped = planted.agreement_with_truth(
        said(2, 0, 1, 0), truth
    )  # the right two, one with the wrong sign
    assert (swapped.found, swapped.misplaced) == (
        0.5,
        0,
    ) and swapped.error == pytest.approx(2 / 5**0.5)
    astray = planted.agreement_with_truth(said(1, 3, -1, -5), truth)
    assert (astray.found, astray.misplaced) == (0, 0.8)
    assert planted.agreement_with_truth(said(0, 0, 0, 0), truth) == (0, 0, 0, 1)
    for wrong in (np.zeros(4), np.ones(3)):
        with pytest.raises(ValueError, match="not all zero"):
            planted.agreement_with_truth(said(1, 2, 3, 4), wrong)


def test_effects_by_hand():
    """A pair of cameras, a need: σ(0) with nothing owned, σ(2) with what counts."""
    some, sigma = codes("camera", "camera", "novel"), 1 / (1 + np.exp(-2))
    card = code("memory card")
    pair, need = (
        planted.PlantedCase(
            0, owned, card, SHOP.true_reasons(owned, card), trap,
            planted._bought(SHOP, owned, card, 0.0),
        )
        for owned, trap in ((some, "redundant pair"), (some[1:], "need"))
    )  # fmt: skip
    assert pair.truth.tolist() == [1, 1, 0] and need.truth.tolist() == [2, 0]
    assert need.bought.ends() == pytest.approx([0.5, sigma])
    assert (leave_one_out(pair.bought).values == 0).all()  # either stands in
    both = planted.agreement_with_effect(said(1, 1, 0), pair)
    assert np.isnan(both["tau"]) and both["gone"] == 1
    one, none = (
        planted.agreement_with_effect(said(*x), pair)["gone"]
        for x in ((1, 0, 0), (0, 0, 0))
    )
    assert (one, none) == (0, 0)
    assert planted.agreement_with_effect(said(3, 0), need) == pytest.approx(
        {"tau": 1, "gone": 1}
    )
    assert planted.agreement_with_effect(said(0, 3), need) == pytest.approx(
        {"tau": -1, "gone": 0}
    )


def test_the_probability_is_what_the_simulator_does():
    """The same noise for the whole history and for none: the shares of purchases."""
    for case in CASES[::10]:
        rest = logit(case.bought.empty()) + SHOP.parameters.buy_threshold
        for end, owned in zip(case.bought.ends(), ([], case.owned), strict=True):
            felt = np.full(40_000, rest + SHOP.earlier(owned)[case.item])
            drawn = react(SHOP, felt, np.random.default_rng(0)) == 2
            assert drawn.mean() == pytest.approx(end, abs=0.01)


def test_the_causes_are_what_changes_the_purchase_in_some_group():
    for case in [case for case in CASES if len(case.owned) <= 8]:
        n = len(case.owned)
        groups = np.array(list(product([False, True], repeat=n)))
        for place, share in enumerate(case.truth):
            without = groups.copy()
            without[:, place] = False
            changes = np.abs(case.bought(groups) - case.bought(without)).max()
            assert (changes > 1e-12) == (share != 0)


def test_better_explainers_get_better_marks():
    """Sampled Shapley values, then leave-one-out, then what lot, popularity and cosine
    get without asking the shop.
    """
    histories = DATA.split().train_histories()
    columns = unit_columns(histories, SHOP.n_items)
    counts = (columns > 0).sum(axis=0)

    def mean(explain) -> np.ndarray:
        marks = [
            planted.agreement_with_truth(explain(n, case, game_of(case)), case.truth)
            for n, case in enumerate(CASES)
        ]
        return np.mean(marks, axis=0)

    sampled = mean(lambda n, case, game: permutation_sampling(game, 20, n))
    single = mean(lambda n, case, game: leave_one_out(game))
    lot = mean(lambda n, case, game: random_order(game, n))
    popular = mean(lambda n, case, game: most_popular(game, case.owned, counts))
    cosine = mean(
        lambda n, case, game: most_similar(game, case.owned, case.item, columns)
    )
    assert (
        sampled[1] > 0.95 > single[1] > 0.6 and sampled[2] < 0.01 and sampled[3] < 0.1
    )
    for tau, found, misplaced, _ in (lot, popular, cosine):
        assert sampled[0] > single[0] > tau + 0.3 and found < 0.3 and misplaced > 0.5


def test_the_split_keeps_the_codes_of_the_shop():
    split, own = DATA.split(), leave_last_out(DATA.purchases())
    assert (
        split.n_items == SHOP.n_items
        and (split.items["item"] == np.arange(SHOP.n_items)).all()
    )
    ids = own.items["item"].to_numpy()
    for mine, theirs in zip(
        split.train_histories(), own.train_histories(), strict=True
    ):
        assert np.array_equal(mine, ids[theirs])
    for mine, theirs in zip(
        split.cases("test").targets, own.cases("test").targets, strict=True
    ):
        assert np.array_equal(mine, ids[theirs])


@pytest.mark.parametrize("name, options", [
    ("ease", {}), ("item_knn", {}), ("content", {}), ("dae", {"epochs": 1}),
])  # fmt: skip
def test_models_of_the_zoo_learn_from_the_shop_and_can_be_explained(
    name: str, options: dict
):
    model, case = (
        planted.train_on_shop(name, **options),
        min(CASES, key=lambda case: len(case.owned)),
    )
    exact = brute_force(
        history_game(model, case.owned, case.item, titles=SHOP.items["title"])
    )
    assert model.n_items == SHOP.n_items and exact.players == game_of(case).players
    assert (
        planted.agreement_with_truth(exact, case.truth).error > 0.5
    )  # another unit, and another reason


def test_models_that_ask_for_attributes_can_be_built_on_the_shop():
    """Trained in seconds to minutes elsewhere: here only what the split has to offer
    them is tried.
    """
    model = zoo.build("pooled_mlp", DATA.split())
    assert model.score([CASES[0].owned]).shape == (1, SHOP.n_items)

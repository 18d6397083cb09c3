"""The shop as an environment, its policies, and estimates from logs, held to the shop
and to closed forms.
"""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from gymnasium.utils.env_checker import check_env
from scipy.special import expit, softmax

from xrec_utils.shop import bandits, environment, off_policy, policy
from xrec_utils.shop.bandits import LinUCB
from xrec_utils.shop.environment import N_OBSERVED, SIGNALS, Crowd, ShopEnv
from xrec_utils.shop.policy import Fixed, Random, play
from xrec_utils.shop.shop import BRANDS, CATEGORIES, DAY, HOUR, START, Shop, stars

SHOP = Shop(0)
NOBODY = np.zeros((3, N_OBSERVED), dtype=np.float32)


def test_gymnasium_accepts_the_environment() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(ShopEnv(SHOP), skip_render_check=True)


def test_a_seed_decides_the_customer_and_what_follows() -> None:
    env, actions = (
        ShopEnv(SHOP),
        np.random.default_rng(0).integers(SHOP.n_items, size=60),
    )

    def run(seed: int | None) -> list:
        seen = [env.reset(seed=seed)[0]]
        for action in actions:
            observation, reward, terminated, truncated, _ = env.step(action)
            seen.append(np.append(observation, reward))
        assert terminated and not truncated
        return seen

    first, again, other = run(7), run(7), run(None)
    assert all(map(np.array_equal, first, again)) and not all(
        map(np.array_equal, first, other)
    )


def test_the_environment_is_a_crowd_of_one() -> None:
    env = ShopEnv(SHOP)
    observation, info = env.reset(seed=3)
    crowd = Crowd(
        SHOP,
        1,
        int(
            np.random.Generator(np.random.PCG64(np.random.SeedSequence(3))).integers(
                100, 2**31
            )
        ),
    )
    actions = np.random.default_rng(1)
    while not crowd.done:
        assert np.array_equal(observation, crowd.observation()[0])
        assert np.array_equal(info["mask"], crowd.mask[0]) and np.array_equal(
            info["utility"], crowd.utility[0]
        )
        action = actions.choice(SHOP.n_items)
        observation, reward, terminated, _, info = env.step(action)
        assert reward == crowd.step(np.array([action]))[0] and terminated == crowd.done


def by_hand(
    shop: Shop, crowd: Crowd, n: int, seed: int, shown: np.ndarray
) -> tuple[list, np.ndarray]:
    """Serve the same customers one by one with the shop's own functions: rewards and
    what was seen at the end.
    """
    noise, mood = (
        np.random.default_rng([shop.seed, stream, seed]) for stream in (4, 5)
    )
    customers, steps = shop.customers(n, seed), crowd.steps
    owned: list[list[int]] = [[] for _ in range(n)]
    seen, rewards = np.zeros((n, len(CATEGORIES) + len(BRANDS), len(SIGNALS))), []
    for t, items in enumerate(shown):
        if t % steps == 0:
            visit = [
                shop.parts(
                    customers, who, owned[who], int(crowd.times[who, t // steps])
                )
                for who in range(n)
            ]
            fresh: list[set[int]] = [set() for _ in range(n)]
        moods, reward = noise.logistic(size=n), np.zeros(n)
        for who, item in enumerate(items.tolist()):
            if item in fresh[who]:
                continue
            fresh[who].add(item)
            felt = sum(part[item] for part in visit[who].values()) + moods[who]
            groups = [shop.category[item], len(CATEGORIES) + shop.brand[item]]
            seen[who, groups, :3] += [1, felt > 0, felt > 1]
            if felt > 1:
                reward[who] = 1
                owned[who] = [*owned[who], item]
                if mood.random() < shop.parameters.rate_probability:
                    seen[who, groups, 3] += stars(visit[who], item, mood) - 3
        rewards.append(reward)
    return rewards, seen


@pytest.mark.parametrize("seed", [0, 5])
def test_the_crowd_does_what_the_shop_says_for_each_customer_alone(seed: int) -> None:
    shop, random = Shop(seed), np.random.default_rng(seed)
    crowd = Crowd(shop, 6, seed, visits=4, steps=8)
    tempting = np.argsort(-crowd.utility, axis=1)[:, :12]
    shown = np.array(
        [tempting[np.arange(6), random.integers(12, size=6)] for _ in range(32)]
    )
    rewards = [crowd.step(items) for items in shown]
    expected, seen = by_hand(shop, crowd, 6, seed, shown)
    assert np.array_equal(rewards, expected) and np.sum(rewards) > 10
    assert np.allclose(crowd.seen, seen) and seen[..., 3].any()
    with pytest.raises(RuntimeError, match="reset"):
        crowd.step(shown[0])


def test_purchases_follow_the_sigmoid() -> None:
    crowd = Crowd(SHOP, 20_000, 9, visits=1, steps=1)
    items = np.random.default_rng(0).integers(SHOP.n_items, size=crowd.n)
    probability = expit(
        crowd.utility[np.arange(crowd.n), items] - SHOP.parameters.buy_threshold
    )
    bought = crowd.step(items)
    for low, high in itertools.pairwise([0, 0.02, 0.1, 0.3, 1]):
        here = (probability > low) & (probability <= high)
        error = np.sqrt((probability[here] * (1 - probability[here])).sum())
        assert (
            here.sum() > 100
            and abs(bought[here].sum() - probability[here].sum()) < 4 * error
        )


def test_what_the_shop_sees() -> None:
    crowd = Crowd(SHOP, 1, 4, visits=2, steps=2)
    crowd.utility[:] = -50.0
    crowd.utility[0, 7] = 50.0
    assert (
        crowd.step(np.array([7])) == 1 and crowd.step(np.array([7])) == 0
    )  # the second time it is ignored
    seen = crowd.observation()[0]
    shown, browsed, bought, _ = seen[:88].reshape(22, 4)[SHOP.category[7]]
    assert (shown, browsed, bought, seen[88 + SHOP.category[7]], seen[-1]) == (
        1,
        1,
        1,
        1,
        0.5,
    )
    assert (
        seen[102] == pytest.approx(environment.relative_prices(SHOP)[7])
        and seen[103] == 0
    )
    time = int(crowd.times[0, 1])
    assert off_policy.hours(seen[None]) == (time - START) // HOUR % 24
    assert seen[-8:-1].argmax() == (time - START) // DAY % 7 and crowd.mask.all()


def test_relative_prices_are_centred_per_category() -> None:
    relative = pd.Series(environment.relative_prices(SHOP)).groupby(SHOP.category)
    assert np.allclose(relative.mean(), 0)
    assert np.allclose(relative.corr(pd.Series(SHOP.relative_price)), 1, atol=1e-3)


LOG = pd.DataFrame({"item": [0, 0, 0, 0, 1, 1, 2], "reaction": [2, 2, 1, 0, 2, 0, 0]})


def test_popularity_and_buy_rate_disagree_where_exposure_does() -> None:
    assert policy.popularity(LOG, 4).scores.tolist() == [2, 1, 0, 0]
    assert policy.buy_rates(LOG, 4, trust=0.7) == pytest.approx(
        [2.3 / 4.7, 1.3 / 2.7, 0.3 / 1.7, 3 / 7]
    )


def test_policies_show_only_what_is_left() -> None:
    random, mask = np.random.default_rng(0), np.zeros((3, SHOP.n_items), dtype=bool)
    mask[:, 5:8] = True
    rates = np.linspace(0.01, 0.2, SHOP.n_items)
    linear = LinUCB(SHOP, bandits.item_attributes(SHOP, rates))
    for each in (
        Random(),
        Fixed(rates),
        bandits.EpsilonGreedy(SHOP.n_items, 0.5),
        linear,
    ):
        assert set(each.act(NOBODY, mask, random)) <= {5, 6, 7}
    assert Fixed(rates).act(NOBODY, mask, random).tolist() == [7, 7, 7]
    assert np.allclose(Random().probabilities(NOBODY, mask)[:, 5:8], 1 / 3)


def test_epsilon_greedy_explores_as_often_as_it_says() -> None:
    bandit, mask = (
        bandits.EpsilonGreedy(50, epsilon=0.2),
        np.ones((5000, 50), dtype=bool),
    )
    bandit.learn(NOBODY, np.array([4, 4, 9]), np.array([1, 1, 0]))
    assert bandit.rates[[4, 9, 0]] == pytest.approx([2.1 / 3, 0.05, 0.1])
    share = (bandit.act(NOBODY, mask, np.random.default_rng(0)) == 4).mean()
    assert share == pytest.approx(0.8 + 0.2 / 50, abs=0.025)


def test_linucb_is_ridge_regression_with_a_bonus() -> None:
    shop = Shop(1)
    linear = LinUCB(
        shop,
        bandits.item_attributes(shop, np.full(shop.n_items, 0.05)),
        alpha=0.7,
        ridge=2.0,
    )
    crowd, random, rows, rewards = (
        Crowd(shop, 5, 3, visits=2),
        np.random.default_rng(0),
        [],
        [],
    )
    for _ in range(20):
        observation, items = crowd.observation(), random.integers(shop.n_items, size=5)
        shared, own = linear.features(observation, items[None])
        x = np.concatenate([shared, own[0]], axis=1)
        rows.append(
            np.eye(len(CATEGORIES))[shop.category[items]][:, :, None] * x[:, None]
        )  # category times x
        rewards.append(crowd.step(items))
        linear.learn(observation, items, rewards[-1])
    linear.refresh()
    design = np.concatenate(rows).reshape(100, -1).astype(float)
    a = 2.0 * np.eye(design.shape[1]) + design.T @ design
    theta = np.linalg.solve(a, design.T @ np.concatenate(rewards))
    observation = crowd.observation()
    scores = linear.scores(observation)
    for item in (0, 57, 223):
        shared, own = linear.features(observation, np.full((1, 5), item))
        for n, x in enumerate(np.concatenate([shared, own[0]], axis=1)):
            phi = (
                np.outer(np.eye(len(CATEGORIES))[shop.category[item]], x)
                .ravel()
                .astype(float)
            )
            bound = phi @ theta + 0.7 * np.sqrt(phi @ np.linalg.solve(a, phi))
            assert scores[n, item] == pytest.approx(bound, abs=1e-4)


def test_linucb_reads_the_brand_and_the_price_of_the_item() -> None:
    shop, observation = SHOP, np.zeros((1, N_OBSERVED), dtype=np.float32)
    linear = LinUCB(shop, bandits.item_attributes(shop, np.full(shop.n_items, 0.05)))
    brand = len(CATEGORIES) + shop.brand[30]
    observation[0, 4 * brand : 4 * brand + 4], observation[0, 102:104] = (
        [3, 2, 1, -1],
        [0.5, -0.25],
    )
    own = linear.features(observation, np.array([[30]]))[1][0, 0]
    price = environment.relative_prices(shop)[30]
    assert own[8] == pytest.approx(price)
    assert own[-6:-2] == pytest.approx(np.log([4, 3, 2, 0.5]))
    assert own[-2:] == pytest.approx(
        [np.log(1.5) * price, -np.log(1.25) * price], abs=1e-6
    )


def test_knowing_more_earns_more() -> None:
    crowds = [Crowd(SHOP, 200, environment.VALIDATION, visits=2) for _ in range(3)]
    taste = crowds[0].liking.mean(axis=0)
    rewards = {
        "random": play(Random(), crowds[0]),
        "best on average": play(Fixed(taste), crowds[1]),
    }
    rewards["oracle"] = play(policy.Oracle(crowds[2]), crowds[2])
    table = policy.compare(rewards, base="random")
    assert table.index.tolist() == ["random", "best on average", "oracle"]
    assert (
        table.loc["oracle", "difference_low"] > 2 and table.loc["random", "ratio"] == 1
    )


def test_a_learning_policy_is_told_what_happened() -> None:
    bandit = bandits.EpsilonGreedy(SHOP.n_items, epsilon=1.0)
    reward = play(bandit, Crowd(SHOP, 50, 1, visits=1), learn=True)
    assert bandit.tries.sum() == 50 * 12 and bandit.bought.sum() == reward.sum()
    linear = LinUCB(SHOP, bandits.item_attributes(SHOP, np.full(SHOP.n_items, 0.05)))
    before = linear.weights.copy()
    play(linear, Crowd(SHOP, 20, 1, visits=1), learn=True)
    assert not np.array_equal(before, linear.weights)


# ---------------------------------------------------------------- estimates from a log

OLD = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]])  # context, item
NEW = np.array([[0.1, 0.1, 0.8], [0.3, 0.3, 0.4]])
BOUGHT = np.array([[0.1, 0.5, 0.7], [0.9, 0.2, 0.4]])
PREDICTED = np.array([0.3, 0.3, 0.9])  # a wrong model of the reward
TRUTH = (NEW * BOUGHT).sum(axis=1).mean()


def expected(estimate) -> float:
    """The mean of an estimator over every log of one showing: two contexts, three
    items, bought or not.
    """
    total = 0.0
    for context, item, reward in itertools.product(range(2), range(3), (0.0, 1.0)):
        chance = (
            OLD[context, item]
            * (BOUGHT[context, item] if reward else 1 - BOUGHT[context, item])
            / 2
        )
        weight = NEW[context, item] / OLD[context, item]
        total += chance * estimate(
            np.array([reward]), np.array([weight]), np.array([item]), NEW[[context]]
        )
    return total


def test_ips_and_doubly_robust_are_unbiased_whatever_the_model() -> None:
    assert expected(lambda r, w, i, t: off_policy.ips(r, w)) == pytest.approx(TRUTH)
    assert expected(
        lambda r, w, i, t: off_policy.doubly_robust(r, w, i, PREDICTED, t)
    ) == pytest.approx(TRUTH)
    assert expected(
        lambda r, w, i, t: off_policy.direct(PREDICTED, t)
    ) != pytest.approx(TRUTH, abs=0.02)


def test_snips_is_a_weighted_mean_and_ips_is_not() -> None:
    rewards, weights = np.array([1.0, 1.0, 1.0]), np.array([0.5, 4.0, 2.0])
    assert off_policy.snips(rewards, weights) == 1 and off_policy.ips(
        rewards, weights
    ) == pytest.approx(6.5 / 3)


def test_a_true_model_leaves_doubly_robust_nothing_to_mend() -> None:
    rewards, items = np.array([0.2, 0.7]), np.array([0, 2])
    target = np.array([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]])
    value = off_policy.doubly_robust(
        rewards, np.array([9.0, 9.0]), items, np.array([0.2, 0.4, 0.7]), target
    )
    assert value == pytest.approx((0.1 + 0.1 + 0.175 + 0.7) / 2)


@pytest.fixture(scope="module")
def logged() -> tuple[Crowd, off_policy.Log]:
    crowd = Crowd(SHOP, 20_000, 3, visits=1, steps=1)
    return crowd, off_policy.record(
        crowd, off_policy.OldPolicy(SHOP), np.random.default_rng(0)
    )


def test_the_log_is_drawn_with_the_propensities_it_states(logged) -> None:
    crowd, log = logged
    old = off_policy.OldPolicy(SHOP).probabilities(crowd.observation(), crowd.mask)
    assert np.array_equal(
        old[np.arange(crowd.n), log.items], log.propensities
    ) and np.allclose(old.sum(axis=1), 1)
    for late in (log.hour < 17, log.hour >= 17):
        shares = np.bincount(SHOP.category[log.items[late]], minlength=14) / late.sum()
        true = np.bincount(SHOP.category, old[late][0], minlength=14)
        assert np.abs(shares - true).max() < 4 * np.sqrt(0.25 / late.sum())


def test_the_true_value_is_what_a_policy_earns(logged) -> None:
    crowd, log = logged
    old = off_policy.OldPolicy(SHOP).probabilities(crowd.observation(), crowd.mask)
    value = off_policy.true_value(crowd, old)
    assert log.rewards.mean() == pytest.approx(value, abs=4 * np.sqrt(value / crowd.n))
    assert np.allclose(log.weights(old), 1)


def test_propensities_can_be_learned_from_the_log(logged) -> None:
    _, log = logged
    modelled = off_policy.modelled_propensities(log, SHOP.category)
    counted = off_policy.counted_propensities(log, SHOP.n_items)
    error = [
        np.abs(np.log(each / log.propensities)).mean() for each in (modelled, counted)
    ]
    assert error[0] < 0.2 < error[1]
    assert counted[0] == (np.sum(log.items == log.items[0]) + 1) / (
        20_000 + SHOP.n_items
    )


def test_a_top_list_shares_its_places() -> None:
    mask = np.ones((2, 5), dtype=bool)
    mask[1, 3] = False
    share = off_policy.TopList(np.array([1, 5, 2, 9, 3.0]), k=2).probabilities(
        NOBODY[:2], mask
    )
    assert share.tolist() == [[0, 0.5, 0, 0.5, 0], [0, 0.5, 0, 0, 0.5]]


def test_category_rates_are_rates_of_the_category() -> None:
    log = off_policy.Log(
        np.zeros(3), np.array([0, 1, 40]), np.array([1.0, 0, 0]), np.ones(3)
    )
    rates = off_policy.category_rates(log, SHOP.category)
    assert rates[[0, 15, 40, 220]] == pytest.approx(
        [(1 + 1 / 3) / 3] * 2 + [(1 / 3) / 2, 1 / 3]
    )


def test_drawing_follows_the_probabilities() -> None:
    p = softmax(np.random.default_rng(1).normal(size=6))
    drawn = off_policy.draw(np.tile(p, (20_000, 1)), np.random.default_rng(0))
    assert np.abs(np.bincount(drawn, minlength=6) / 20_000 - p).max() < 0.015


def test_errors_are_mean_and_spread_per_hundred() -> None:
    table = off_policy.estimate_errors(
        [{"a": 0.5, "b": 0.1}, {"a": 0.7, "b": 0.1}], truth=0.4
    )
    assert table["bias"].tolist() == pytest.approx([20, -30]) and table.loc[
        "b", "spread"
    ] == pytest.approx(0)
    assert table.loc["a", ["±", "spread"]].tolist() == pytest.approx([20, 200**0.5])


def test_the_estimators_agree_on_the_old_policy_itself(logged) -> None:
    """With all weights 1, every weighted estimator is the mean reward of the log."""
    crowd, log = logged
    old = off_policy.OldPolicy(SHOP).probabilities(crowd.observation(), crowd.mask)
    found, guessed = (
        off_policy.estimates(log, old, SHOP.category),
        off_policy.by_propensity(log, old, SHOP.category),
    )
    assert [found["IPS"], found["SNIPS"], guessed["known"]] == pytest.approx(
        [log.rewards.mean()] * 3
    )
    assert (
        found["doubly robust"] == pytest.approx(found["IPS"], abs=0.003)
        and found["replay"] != found["IPS"]
    )
    assert guessed["softmax on the hour"] == pytest.approx(guessed["known"], abs=0.003)

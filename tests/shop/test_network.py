"""The Keras policy: its gradient against the closed form, its scores against its parts,
its lessons on a tiny scale.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from xrec_utils import set_seed
from xrec_utils.keras_start import tf
from xrec_utils.shop import network as net
from xrec_utils.shop.bandits import LinUCB, item_attributes
from xrec_utils.shop.environment import GROUPS, N_OBSERVED, Crowd
from xrec_utils.shop.policy import play
from xrec_utils.shop.shop import Shop

SHOP = Shop(0)
ATTRIBUTES = item_attributes(SHOP, np.linspace(0.02, 0.1, SHOP.n_items))


@pytest.fixture(scope="module")
def policy() -> net.NetworkPolicy:
    """A network that adds something to a teacher who has seen a little."""
    set_seed(0)
    network, teacher = (
        net.policy_network(ATTRIBUTES, width=8),
        LinUCB(SHOP, ATTRIBUTES, alpha=0.0),
    )
    play(teacher, Crowd(SHOP, 50, 100), learn=True)
    for name in ("wanted", "evidence"):
        layer = network.get_layer(name)
        layer.set_weights(
            [
                np.random.default_rng(0).normal(size=each.shape)
                for each in layer.get_weights()
            ]
        )
    return net.NetworkPolicy(network, teacher)


def gradient(
    logits: np.ndarray, actions: np.ndarray, advantages: np.ndarray
) -> np.ndarray:
    x = tf.Variable(logits.astype("float32"))
    with tf.GradientTape() as tape:
        loss = net.reinforce_loss(
            x, tf.constant(actions), tf.constant(advantages.astype("float32"))
        )
    return tape.gradient(loss, x).numpy()


def test_the_gradient_is_advantage_times_chosen_minus_probability() -> None:
    random = np.random.default_rng(0)
    logits, actions, advantages = (
        random.normal(size=(6, 4)),
        random.integers(4, size=6),
        random.normal(size=6),
    )
    expected = -advantages[:, None] * (np.eye(4)[actions] - softmax(logits, axis=1)) / 6
    assert np.allclose(gradient(logits, actions, advantages), expected, atol=1e-6)


def test_its_mean_over_actions_is_the_gradient_of_the_expected_reward() -> None:
    """For a softmax bandit with rewards r: d(π·r)/d logits = π(r - π·r), whatever the
    baseline.
    """
    logits, rewards = np.array([0.3, -1.0, 0.8]), np.array([1.0, 4.0, 2.0])
    p = softmax(logits)
    for baseline in (0.0, 2.5):
        each = [
            gradient(logits[None], np.array([a]), rewards[[a]] - baseline)[0]
            for a in range(3)
        ]
        assert np.allclose(
            -(p @ np.array(each)), p * (rewards - p @ rewards), atol=1e-6
        )


def test_returns_count_later_rewards_less() -> None:
    rewards = np.array([[1.0, 0], [0, 2], [4, 0]])
    assert net.returns(rewards, 0.5).tolist() == [[2, 1], [2, 2], [4, 0]]


def test_a_new_network_does_what_its_teacher_does(policy) -> None:
    crowd = Crowd(SHOP, 5, 3)
    crowd.mask[:, ::2] = False
    new = net.NetworkPolicy(net.policy_network(ATTRIBUTES), policy.teacher, greedy=True)
    random, seen = np.random.default_rng(0), crowd.observation()
    assert np.array_equal(
        new.act(seen, crowd.mask, random), policy.teacher.act(seen, crowd.mask, random)
    )
    expected = np.where(crowd.mask, 60 * policy.teacher.scores(seen), net.NEVER)
    assert np.allclose(new.logits(seen, crowd.mask), expected)


def test_the_network_scores_an_item_by_its_attributes_alone() -> None:
    twins = np.concatenate([ATTRIBUTES, ATTRIBUTES[[3]]])
    network = net.policy_network(twins)
    network.get_layer("wanted").set_weights([np.ones((64, 24)), np.arange(24.0)])
    added = network(np.ones((2, N_OBSERVED), np.float32))[0].numpy()
    assert (
        added.shape == (2, SHOP.n_items + 1)
        and np.allclose(added[:, 3], added[:, -1])
        and np.ptp(added) > 1
    )


def test_what_is_seen_of_one_brand_moves_no_other_brand_through_the_shared_part(
    policy,
) -> None:
    """With the rest of the network silenced, evidence about a group changes the items
    of that group only.
    """
    layer = policy.network.get_layer("wanted")
    kept = layer.get_weights()
    layer.set_weights([0 * each for each in kept])
    seen = np.zeros((2, N_OBSERVED), np.float32)
    seen[1, 4 * 15 : 4 * 15 + 4] = 1.0  # the second brand
    low, high = policy.network(seen)[0].numpy()
    layer.set_weights(kept)
    assert GROUPS == 22 and set(np.flatnonzero(np.abs(high - low) > 1e-5)) == set(
        np.flatnonzero(SHOP.brand == 1)
    )


def test_the_policy_draws_with_its_probabilities(policy) -> None:
    crowd = Crowd(SHOP, 1, 3)
    crowd.mask[:, 10:] = False
    observation, mask = (
        np.repeat(each, 4000, axis=0) for each in (crowd.observation(), crowd.mask)
    )
    p = policy.probabilities(observation[:1], mask[:1])[0]
    drawn = policy.act(observation, mask, np.random.default_rng(0))
    assert p.sum() == pytest.approx(1, abs=1e-5) and p[10:].max() < 1e-6
    assert np.abs(np.bincount(drawn, minlength=10) / 4000 - p[:10]).max() < 0.03
    greedy = net.NetworkPolicy(policy.network, policy.teacher, greedy=True)
    assert (
        greedy.act(observation[:9], mask[:9], np.random.default_rng(0)) == p.argmax()
    ).all()
    assert (
        greedy.probabilities(observation[:1], mask[:1])[0].tolist()
        == np.eye(SHOP.n_items)[p.argmax()].tolist()
    )


def test_reinforce_finds_the_better_items() -> None:
    """Where only one brand is ever bought, the probability of that brand grows."""
    set_seed(0)
    shop, attributes = Shop(0), ATTRIBUTES
    shop.appeal = np.where(shop.brand == 2, 8.0, -20.0)
    policy = net.NetworkPolicy(
        net.policy_network(attributes, width=8), LinUCB(shop, attributes, alpha=0.0)
    )
    crowd = Crowd(shop, 4, 3)
    before = policy.probabilities(crowd.observation(), crowd.mask)[
        :, shop.brand == 2
    ].sum(axis=1)
    rewards = net.reinforce(policy, shop, range(100, 108), customers=30, rate=2e-2)
    after = policy.probabilities(crowd.observation(), crowd.mask)[
        :, shop.brand == 2
    ].sum(axis=1)
    assert (
        len(rewards) == 8
        and (after > 1.5 * before).all()
        and rewards[-1] > 3 * rewards[0]
    )

"""A Keras policy for the shop, trained with REINFORCE and a learned baseline (Williams
1992, doi:10.1007/BF00992696).

    observation -> state encoder -> what is wanted (one number per attribute) ·
    attributes of the items logits = sharpness · teacher's scores + what the network
    adds

A new network adds nothing: it starts as a softer copy of its teacher, a trained LinUCB,
and learns what to do otherwise (residual policy learning, Silver et al. 2018,
arXiv:1812.06298). It never sees an item's code, only attributes.
"""

from collections.abc import Callable

import numpy as np

from xrec_utils.keras_start import keras, tf
from xrec_utils.policy import GROUPS, N_OBSERVED, SIGNALS, Crowd, LinUCB, squash
from xrec_utils.shop import Shop

layers, ops = keras.layers, keras.ops
NEVER = -1e9


def policy_network(attributes: np.ndarray, width: int = 64) -> keras.Model:
    """Two answers to (n, N_OBSERVED): what to add to the item logits (n, n_items), and
    the reward to come (n,).

    What was seen of a category or brand is read by one small network, the same for all;
    the whole state adds to it.
    """
    seen = keras.Input((N_OBSERVED,), name="observation")
    groups = layers.Reshape((GROUPS, len(SIGNALS)), name="groups")(
        seen[:, : GROUPS * len(SIGNALS)]
    )
    hidden = layers.Dense(16, "relu", name="evidence_hidden")(groups)
    evidence = layers.Dense(1, kernel_initializer="zeros", name="evidence")(hidden)
    state = layers.Dense(width, "relu", name="state")(seen)
    wanted = layers.Dense(
        attributes.shape[1], kernel_initializer="zeros", name="wanted"
    )(state)
    wanted = wanted + ops.pad(
        evidence[..., 0], [[0, 0], [0, attributes.shape[1] - GROUPS]]
    )
    added = ops.matmul(wanted, np.ascontiguousarray(attributes.T))
    ahead = layers.Dense(1, name="reward_ahead")(
        layers.Dense(width, "relu", name="outlook")(seen)
    )
    return keras.Model(seen, [added, ahead[:, 0]], name="policy_network")


class NetworkPolicy:
    """Draws items from the softmax of teacher and network together, or takes the best
    one if `greedy`.
    """

    def __init__(
        self,
        network: keras.Model,
        teacher: LinUCB,
        sharpness: float = 60.0,
        greedy: bool = False,
    ) -> None:
        self.network, self.teacher, self.sharpness, self.greedy = (
            network,
            teacher,
            sharpness,
            greedy,
        )
        self.run = tf.function(network, reduce_retracing=True)

    def start(self, observation: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """The logits before the network adds to them, (n, n_items); NEVER where the
        mask forbids.
        """
        return np.where(
            mask, self.sharpness * self.teacher.scores(observation), NEVER
        ).astype(np.float32)

    def logits(self, observation: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(n, n_items)."""
        return self.start(observation, mask) + self.run(squash(observation))[0].numpy()

    def probabilities(self, observation: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(n, n_items), rows add up to one."""
        logits = self.logits(observation, mask)
        return (
            np.eye(logits.shape[1])[logits.argmax(axis=1)]
            if self.greedy
            else ops.softmax(logits).numpy()
        )

    def act(
        self, observation: np.ndarray, mask: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        logits = self.logits(observation, mask)
        return (
            logits if self.greedy else logits + random.gumbel(size=logits.shape)
        ).argmax(axis=1)


def returns(rewards: np.ndarray, discount: float) -> np.ndarray:
    """G_t = r_t + discount · G_(t+1), for rewards (steps, n)."""
    ahead = np.zeros_like(rewards)
    for t in range(len(rewards) - 1, -1, -1):
        ahead[t] = rewards[t] + discount * (ahead[t + 1] if t + 1 < len(rewards) else 0)
    return ahead


def reinforce_loss(
    logits: tf.Tensor, actions: tf.Tensor, advantages: tf.Tensor
) -> tf.Tensor:
    """-mean(advantage · log π(action)): its gradient is minus the policy gradient;
    advantages are constants.
    """
    chosen = ops.take_along_axis(ops.log_softmax(logits), actions[:, None], axis=1)[
        :, 0
    ]
    return -ops.mean(ops.stop_gradient(advantages) * chosen)


def episode(
    policy: NetworkPolicy, crowd: Crowd, random: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Serve a crowd; returns squashed observations (steps, n, ...), the logits' start,
    actions, rewards (steps, n).
    """
    happened = []
    while not crowd.done:
        observation = crowd.observation()
        start, seen = policy.start(observation, crowd.mask), squash(observation)
        actions = (
            start + policy.run(seen)[0].numpy() + random.gumbel(size=start.shape)
        ).argmax(axis=1)
        happened.append((seen, start, actions, crowd.step(actions)))
    return tuple(np.stack(each) for each in zip(*happened, strict=True))


def reinforce(
    policy: NetworkPolicy,
    shop: Shop,
    seeds: range,
    customers: int = 100,
    discount: float = 0.9,
    rate: float = 3e-3,
    seed: int = 0,
) -> list[float]:
    """Train the policy's network in place: after each crowd one step up the policy
    gradient.

    seeds: of the crowds of new customers. discount: what a purchase counts one step
    later. Returns the mean reward of each crowd.
    """
    random, history = np.random.default_rng(seed), []
    update = step_of(
        policy.network, keras.optimizers.Adam(rate, global_clipnorm=1.0), policy_loss
    )
    for each in seeds:
        seen, start, actions, rewards = episode(
            policy, Crowd(shop, customers, each), random
        )
        batch = seen, start, actions, returns(rewards, discount)
        update(
            *(part.reshape(-1, *part.shape[2:]) for part in batch)
        )  # joins steps and customers
        history.append(float(rewards.sum(axis=0).mean()))
    return history


def policy_loss(
    network: keras.Model,
    seen: tf.Tensor,
    start: tf.Tensor,
    actions: tf.Tensor,
    ahead: tf.Tensor,
) -> tf.Tensor:
    """REINFORCE with the network's own forecast as baseline, plus the squared error of
    that forecast.
    """
    added, expected = network(seen)
    surprise = ahead - expected
    advantages = surprise / (ops.std(surprise) + 1e-6)
    return reinforce_loss(start + added, actions, advantages) + ops.mean(
        ops.square(surprise)
    )


def step_of(
    network: keras.Model, optimiser: keras.optimizers.Optimizer, loss: Callable
) -> Callable:
    """Compile one step down the gradient of loss(network, *batch)."""

    @tf.function(reduce_retracing=True)
    def step(*batch: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            value = loss(network, *batch)
        gradients = tape.gradient(value, network.trainable_variables)
        optimiser.apply_gradients(
            zip(gradients, network.trainable_variables, strict=True)
        )

    return step

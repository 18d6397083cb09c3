"""A Keras policy for the shop, trained with REINFORCE and a learned baseline.

Source: Williams 1992, doi:10.1007/BF00992696.

    observation -> state encoder -> what is wanted (one number per attribute)
    what the network adds = what is wanted · attributes of the items
    logits = sharpness · teacher's scores + what the network adds

A new network adds nothing: it starts as a softer copy of its teacher, a trained LinUCB,
and learns what to do otherwise (residual policy learning, Silver et al. 2018,
arXiv:1812.06298). It never sees an item's code, only attributes.
"""

from collections.abc import Callable

import numpy as np

from xrec_utils.files import DATA
from xrec_utils.keras_start import keras, tf
from xrec_utils.shop.bandits import LinUCB, squash
from xrec_utils.shop.environment import COUNTS, GROUPS, N_OBSERVED, SIGNALS, Crowd
from xrec_utils.shop.shop import Shop

layers = keras.layers
ops = keras.ops
NEVER = -1e9


def policy_network(attributes: np.ndarray, width: int = 64) -> keras.Model:
    """Build the untrained network: what to add to the item logits, and the outlook.

    What was seen of a category or brand is read by one small network, the same for all;
    the whole state adds to it.

    Args:
        attributes: (n_items, a), of `policy.item_attributes`: the first columns are
            categories and brands.
        width: neurons of the two hidden layers.

    Returns:
        A model from squashed observations (n, N_OBSERVED) to two outputs: what to add
        to the item logits (n, n_items), zero at first, and the reward to come (n,).

    Raises:
        ValueError: there are fewer attributes than categories and brands.

    Example:
        >>> network = policy_network(np.eye(22), width=4)
        >>> added, ahead = network(np.ones((3, N_OBSERVED)))
        >>> tuple(added.shape), tuple(ahead.shape)
        ((3, 22), (3,))
        >>> float(abs(added.numpy()).max())
        0.0
    """
    seen = keras.Input((N_OBSERVED,), name="observation")
    n_attributes = attributes.shape[1]
    # (n, groups, signals): one row for each category and brand
    groups = layers.Reshape(
        (GROUPS, len(SIGNALS)),
        name="groups",
    )(seen[:, COUNTS])
    hidden = layers.Dense(
        16,
        "relu",
        name="evidence_hidden",
    )(groups)
    evidence = layers.Dense(
        1,
        kernel_initializer="zeros",
        name="evidence",
    )(hidden)
    state = layers.Dense(
        width,
        "relu",
        name="state",
    )(seen)
    to_wanted = layers.Dense(
        n_attributes,
        kernel_initializer="zeros",
        name="wanted",
    )
    wanted = to_wanted(state) + ops.pad(
        evidence[..., 0],
        # the other attributes (price, buy rate) have no evidence of their own
        [[0, 0], [0, n_attributes - GROUPS]],
    )
    # Made before the hidden layer: layers draw their seeds in the order they are made.
    to_reward = layers.Dense(1, name="reward_ahead")
    ahead = to_reward(
        layers.Dense(
            width,
            "relu",
            name="outlook",
        )(seen)
    )[:, 0]
    return keras.Model(
        seen,
        [ops.matmul(wanted, np.ascontiguousarray(attributes.T)), ahead],
        name="policy_network",
    )


class NetworkPolicy:
    """Draws items from the softmax of teacher and network together.

    Args:
        network: of `policy_network`.
        teacher: a trained LinUCB.
        sharpness: factor of the teacher's scores; higher leaves less to chance.
        greedy: take the best item instead of drawing.

    Raises:
        ValueError: a method gets observations that do not have N_OBSERVED columns.

    Example:
        >>> from xrec_utils.shop.bandits import item_attributes
        >>> shop = Shop(0)
        >>> attributes = item_attributes(shop, np.full(shop.n_items, 0.05))
        >>> teacher = LinUCB(shop, attributes)
        >>> policy = NetworkPolicy(policy_network(attributes), teacher, greedy=True)
        >>> crowd = Crowd(shop, 2)
        >>> observation = crowd.observation()
        >>> items = policy.act(observation, crowd.mask, np.random.default_rng(0))
        >>> as_taught = teacher.act(observation, crowd.mask, None)
        >>> items.tolist() == as_taught.tolist()  # a new network adds nothing
        True
    """

    def __init__(
        self,
        network: keras.Model,
        teacher: LinUCB,
        sharpness: float = 60.0,
        greedy: bool = False,
    ) -> None:
        self.network = network
        self.teacher = teacher
        self.sharpness = sharpness
        self.greedy = greedy
        self.run = tf.function(network, reduce_retracing=True)

    def start(self, observation: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """The logits before the network adds to them, (n, n_items).

        NEVER stands where the mask forbids.
        """
        return np.where(
            mask,
            self.sharpness * self.teacher.scores(observation),
            NEVER,
        ).astype(np.float32)

    def logits(self, observation: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(n, n_items)."""
        added, _ = self.run(squash(observation))
        return self.start(observation, mask) + added.numpy()

    def probabilities(self, observation: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(n, n_items), rows add up to one."""
        logits = self.logits(observation, mask)
        if self.greedy:
            # all the probability is on one item
            chosen = logits.argmax(axis=1)
            return np.eye(logits.shape[1])[chosen]
        return ops.softmax(logits).numpy()

    def act(
        self, observation: np.ndarray, mask: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        """Choose one item for each customer: codes (n,)."""
        logits = self.logits(observation, mask)
        if not self.greedy:
            # the largest logit plus Gumbel noise is a draw from the softmax
            logits = logits + random.gumbel(size=logits.shape)
        return logits.argmax(axis=1)


def returns(rewards: np.ndarray, discount: float) -> np.ndarray:
    """G_t = r_t + discount · G_(t+1), for rewards (steps, n)."""
    ahead = np.zeros_like(rewards)
    later = 0  # nothing comes after the last step
    for t in range(len(rewards) - 1, -1, -1):
        later = rewards[t] + discount * later
        ahead[t] = later
    return ahead


def reinforce_loss(
    logits: tf.Tensor, actions: tf.Tensor, advantages: tf.Tensor
) -> tf.Tensor:
    """-mean(advantage · log π(action)); its gradient is minus the policy gradient.

    logits: (n, n_items). actions: codes (n,). advantages: (n,), taken as constants.
    """
    chosen = ops.take_along_axis(ops.log_softmax(logits), actions[:, None], axis=1)[
        :, 0
    ]
    return -ops.mean(ops.stop_gradient(advantages) * chosen)


def episode(
    policy: NetworkPolicy, crowd: Crowd, random: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Serve a crowd to the end, and return what a step of training needs.

    Squashed observations (steps, n, N_OBSERVED), the logits' start (steps, n, n_items),
    actions and rewards (steps, n).
    """
    happened = []
    while not crowd.done:
        observation = crowd.observation()
        start = policy.start(observation, crowd.mask)
        seen = squash(observation)
        added, _ = policy.run(seen)
        logits = start + added.numpy()
        # Gumbel noise makes it a draw from the softmax
        noise = random.gumbel(size=logits.shape)
        actions = (logits + noise).argmax(axis=1)
        rewards = crowd.step(actions)
        happened.append((seen, start, actions, rewards))
    return tuple(
        np.stack(each)
        for each in zip(
            *happened,
            strict=True,
        )
    )


def reinforce(
    policy: NetworkPolicy,
    shop: Shop,
    seeds: range,
    customers: int = 100,
    discount: float = 0.9,
    rate: float = 3e-3,
    seed: int = 0,
) -> list[float]:
    """Train the policy's network in place with REINFORCE.

    After each crowd of new customers it makes one step up the policy gradient, with
    Adam. The teacher stays as it is.

    Args:
        policy: the policy in training.
        shop: where the customers come from.
        seeds: one crowd for each; from `policy.TRAINING` on.
        customers: of each crowd.
        discount: what a purchase counts one step later, from 0 to 1.
        rate: learning rate.
        seed: of the actions.

    Returns:
        The mean reward of each crowd, in purchases per customer.

    Example:
        >>> from xrec_utils.shop.bandits import item_attributes
        >>> shop = Shop(0)
        >>> attributes = item_attributes(shop, np.full(shop.n_items, 0.05))
        >>> network = policy_network(attributes, width=4)
        >>> policy = NetworkPolicy(network, LinUCB(shop, attributes, alpha=0.0))
        >>> rewards = reinforce(policy, shop, range(100, 101), customers=2)
        >>> len(rewards)  # one per crowd
        1
    """
    random = np.random.default_rng(seed)
    update = step_of(
        policy.network,
        keras.optimizers.Adam(rate, global_clipnorm=1.0),
        policy_loss,
    )
    history = []
    for each in seeds:
        seen, start, actions, rewards = episode(
            policy,
            Crowd(shop, customers, each),
            random,
        )
        batch = (seen, start, actions, returns(rewards, discount))
        update(*map(_joined, batch))
        history.append(float(rewards.sum(axis=0).mean()))
    return history


def _joined(part: np.ndarray) -> np.ndarray:
    """Steps and customers in one axis: (steps, n, ...) as (steps · n, ...)."""
    return part.reshape(-1, *part.shape[2:])


def policy_loss(
    network: keras.Model,
    seen: tf.Tensor,
    start: tf.Tensor,
    actions: tf.Tensor,
    ahead: tf.Tensor,
) -> tf.Tensor:
    """REINFORCE with the network's own forecast as baseline, plus its squared error.

    seen: (n, N_OBSERVED). start: (n, n_items). actions, ahead: (n,), the rewards that
    came, discounted.
    """
    added, expected = network(seen)
    surprise = ahead - expected
    # of about the same size in every batch
    advantage = surprise / (ops.std(surprise) + 1e-6)
    missed = ops.mean(ops.square(surprise))
    return reinforce_loss(start + added, actions, advantage) + missed


def step_of(
    network: keras.Model, optimiser: keras.optimizers.Optimizer, loss: Callable
) -> Callable:
    """Compile one step down the gradient of loss(network, *batch)."""

    @tf.function(reduce_retracing=True)
    def step(*batch: tf.Tensor) -> None:
        """Move the weights once, against the gradient on one batch."""
        variables = network.trainable_variables
        with tf.GradientTape() as tape:
            value = loss(network, *batch)
        gradients = tape.gradient(value, variables)
        optimiser.apply_gradients(
            zip(
                gradients,
                variables,
                strict=True,
            )
        )

    return step


WEIGHTS = DATA / "weights" / "policy.npz"
ALPHA = 0.8  # chosen by `tune`, as is the rate


def shipped(shop: Shop, attributes: np.ndarray) -> NetworkPolicy:
    """The policy trained for shop 0, from its shipped weights.

    Args:
        shop: the shop it decides in.
        attributes: (n_items, d) of the items, as `item_attributes` gives them.

    Returns:
        A policy that takes the action with the highest logit.

    Raises:
        ValueError: the weights are of another number of items or attributes.

    Example:
        >>> from xrec_utils.shop.bandits import item_attributes
        >>> shop = Shop(0)
        >>> attributes = item_attributes(shop, np.full(shop.n_items, 0.05))
        >>> shipped(shop, attributes).greedy
        True
    """
    teacher = LinUCB(shop, attributes, alpha=0.0)
    network = policy_network(attributes)
    with np.load(WEIGHTS) as stored:
        arrays = [stored[name] for name in stored.files]
    # the teacher's come first in the file
    teacher.weights, *weights = arrays
    network.set_weights(weights)
    return NetworkPolicy(network, teacher, greedy=True)

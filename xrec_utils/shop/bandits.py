"""Contextual bandits for the shop."""

import numpy as np

from xrec_utils.shop.environment import (
    COUNTS,
    GROUPS,
    MEAN_PRICES,
    N_OBSERVED,
    SIGNALS,
    relative_prices,
)
from xrec_utils.shop.policy import best
from xrec_utils.shop.shop import BRANDS, CATEGORIES, Shop


class EpsilonGreedy:
    """Shows the item with the best buy rate so far, or, at times, any item.

    It sees no context.

    Args:
        n_items: size of the catalogue.
        epsilon: probability of any item, each the same.
        start: purchases that each item is taken to have from one pretended showing.
    """

    def __init__(self, n_items: int, epsilon: float = 0.1, start: float = 0.1) -> None:
        self.epsilon = epsilon
        self.start = start
        self.tries = np.zeros(n_items)
        self.bought = np.zeros(n_items)

    @property
    def rates(self) -> np.ndarray:
        """Buy rates (n_items,), with the pretended showing."""
        return (self.bought + self.start) / (self.tries + 1)

    def act(
        self, observation: np.ndarray, mask: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        """Choose one item for each customer: codes (n,)."""
        return np.where(
            random.random(len(mask)) < self.epsilon,
            best(random.random(mask.shape), mask),
            best(self.rates, mask),
        )

    def learn(
        self, observation: np.ndarray, items: np.ndarray, rewards: np.ndarray
    ) -> None:
        """Count what happened: items (n,) shown, rewards (n,)."""
        # add.at, because an item may be there more than once
        np.add.at(self.tries, items, 1)
        np.add.at(self.bought, items, rewards)


def item_attributes(shop: Shop, rates: np.ndarray) -> np.ndarray:
    """What a shop knows of its items, as columns.

    Args:
        shop: the shop.
        rates: buy rates (n_items,) from a log, above 0 and below 1.

    Returns:
        float32 (n_items, 24): category (14) and brand (8), one-hot; relative price
        (logarithm); logit of the buy rate, minus the mean of all items.

    Raises:
        ValueError: there is not one rate per item.

    Example:
        >>> shop = Shop(0)
        >>> attributes = item_attributes(shop, np.full(shop.n_items, 0.05))
        >>> attributes.shape
        (224, 24)
        >>> attributes[:, :14].argmax(axis=1).tolist() == shop.category.tolist()
        True
        >>> round(float(attributes[0, 23]), 3)  # a rate like that of all others
        0.0
    """
    one_hot = [
        np.eye(len(CATEGORIES))[shop.category],
        np.eye(len(BRANDS))[shop.brand],
    ]
    numbers = [relative_prices(shop), centred_logits(rates)]
    return np.column_stack(one_hot + numbers).astype(np.float32)


def centred_logits(rates: np.ndarray) -> np.ndarray:
    """Logits of rates (n,), minus their mean: 0 is a rate like the others."""
    logit = np.log(rates / (1 - rates))
    return logit - logit.mean()


def squash(observation: np.ndarray) -> np.ndarray:
    """Counts on a log scale with their sign: sign(x) log(1 + |x|)."""
    size = np.log1p(np.abs(observation))
    return np.sign(observation) * size


def quadratic(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """xᵀ M x for each row of x (..., n, d): (..., n)."""
    return ((x @ matrix) * x).sum(axis=-1)


class LinUCB:
    """LinUCB with the item's category as the arm.

    Source: Li et al. 2010, doi:10.1145/1772690.1772758, algorithm 1. For an item of
    category c, x holds the whole observation, the item's own attributes, what was seen
    of its brand, and its price times the customer's mean prices. Each arm is a ridge
    regression of the reward on x,

        A_c = ridge I + Σ x xᵀ,  b_c = Σ reward x,
        score = x·A_c⁻¹b_c + alpha √(xᵀ A_c⁻¹ x),

    which equals one ridge regression on all products of the category with x.

    Args:
        shop: the shop.
        attributes: (n_items, 24), of `item_attributes`.
        alpha: how much what is not known counts for an item; 0 explores nothing.
        ridge: penalty of the regressions.

    Raises:
        ValueError: `scores` for observations that do not have N_OBSERVED columns.

    Example:
        >>> shop = Shop(0)
        >>> attributes = item_attributes(shop, np.full(shop.n_items, 0.05))
        >>> from xrec_utils.shop import TRAINING, VALIDATION, Crowd, play
        >>> linucb = LinUCB(shop, attributes)
        >>> customers = Crowd(shop, 3, TRAINING, visits=1, steps=1)
        >>> rewards = play(linucb, customers, learn=True)
        >>> crowd = Crowd(shop, 2, VALIDATION)
        >>> linucb.scores(crowd.observation()).shape
        (2, 224)
    """

    def __init__(
        self, shop: Shop, attributes: np.ndarray, alpha: float = 0.3, ridge: float = 1.0
    ) -> None:
        self.shop = shop
        self.alpha = alpha
        # the category is the arm, and no column of x
        self.own = attributes[:, len(CATEGORIES) :]
        size = (
            1  # for the intercept
            + N_OBSERVED
            + self.own.shape[1]
            + len(SIGNALS)  # what was seen of the item's brand
            + 2  # the item's price times two mean prices
        )
        self.a = np.tile(
            ridge * np.eye(size),
            (len(CATEGORIES), 1, 1),
        )
        self.b = np.zeros((len(CATEGORIES), size))
        self.refresh()

    def refresh(self) -> None:
        """Invert A and solve for the weights.

        Between two calls the policy acts on what it knew before.
        """
        inverse = np.linalg.inv(self.a)
        # solved in float64; float32 is enough to choose by
        self.inverse = inverse.astype(np.float32)
        self.weights = np.linalg.solve(
            self.a,
            self.b[..., None],
        ).astype(np.float32)

    def features(
        self, observation: np.ndarray, items: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """x in two pieces, for n customers and (m, n) items.

        The first, (n, shared), is the same for every item; the second is (m, n, own).
        """
        seen = squash(observation)
        n = len(seen)
        own = self.own[items]
        # what was seen of the item's brand, (m, n, signals)
        counted = seen[:, COUNTS].reshape(
            n,
            GROUPS,
            len(SIGNALS),
        )
        shared = np.concatenate(
            [np.ones((n, 1)), seen],
            axis=1,
        )
        alone = np.concatenate(
            [
                own,
                counted[np.arange(n), len(CATEGORIES) + self.shop.brand[items]],
                # the price follows the brands in an item's own attributes
                seen[:, MEAN_PRICES] * own[..., [len(BRANDS)]],
            ],
            axis=-1,
        )
        return shared.astype(np.float32), alone.astype(np.float32)

    def scores(self, observation: np.ndarray) -> np.ndarray:
        """Upper confidence bounds of the buy probability, (n, n_items)."""
        n = len(observation)
        every = np.arange(self.shop.n_items)[:, None]
        shared, own = self.features(
            observation,
            np.tile(every, (1, n)),
        )
        # items are sorted by category: (arms, items of an arm, n, own)
        own = own.reshape(
            len(CATEGORIES),
            -1,
            *own.shape[1:],
        )
        score = self._expected(shared, own)
        if self.alpha:
            unknown = np.sqrt(self._variance(shared, own))
            score = score + self.alpha * unknown
        return score.reshape(-1, n).T

    def _expected(self, shared: np.ndarray, own: np.ndarray) -> np.ndarray:
        """x·A_c⁻¹b_c, (arms, items of an arm, n)."""
        k = shared.shape[1]
        weights = self.weights
        by_state = shared @ weights[:, :k]
        by_item = own @ weights[:, None, k:]
        # (arms, 1, n, 1) and (arms, items, n, 1)
        return (by_state[:, None] + by_item)[..., 0]

    def _variance(self, shared: np.ndarray, own: np.ndarray) -> np.ndarray:
        """xᵀ A_c⁻¹ x, (arms, items of an arm, n).

        In pieces, so that the large shared one is done once per arm, not per item.
        """
        k = shared.shape[1]
        # the rows and columns of A⁻¹ that the two pieces of x meet
        of_shared = self.inverse[:, :k]
        of_own = self.inverse[:, None, k:, k:]
        once = quadratic(shared, of_shared[..., :k])
        crossed = shared @ of_shared[..., k:]
        mixed = 2 * (own * crossed[:, None]).sum(axis=-1)
        alone = quadratic(own, of_own)
        # rounding can push it below zero
        return np.maximum(once[:, None] + mixed + alone, 0)

    def act(
        self, observation: np.ndarray, mask: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        """The item with the highest bound, for each customer: codes (n,)."""
        return best(self.scores(observation), mask)

    def learn(
        self, observation: np.ndarray, items: np.ndarray, rewards: np.ndarray
    ) -> None:
        """Add what happened to A and b: items (n,) shown, rewards (n,)."""
        shared, own = self.features(observation, items[None])
        x = np.concatenate(
            [shared, own[0]],
            axis=1,
        ).astype(float)
        arms = self.shop.category[items]
        for c in np.unique(arms):
            here = arms == c
            rows = x[here]
            self.a[c] += rows.T @ rows
            self.b[c] += rewards[here] @ rows

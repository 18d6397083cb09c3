"""The shop as a decision problem: an environment, and policies for what to show.

An episode is one customer: `visits` visits with `steps` recommendations each, one item
at a time. The customer reacts as `shop.react` says, with the utility at the beginning
of the visit; what is bought counts as owned from the next visit on; a purchase may be
rated, at once. The reward is 1 for a purchase, else 0. An item shown twice in one visit
is ignored: the step is spent, and `mask` says which items are left.

A policy has `act(observation, mask, random) -> items` for n customers at once (Sutton
and Barto 2018 is the textbook).
"""

from typing import Any, Protocol

import gymnasium
import numpy as np
import pandas as pd

from xrec_utils.metrics import mean_interval, paired_interval
from xrec_utils.shop import BRANDS, CATEGORIES, DAY, HOUR, START, Shop, react, stars
from xrec_utils.shop_log import visits as visit_times

VISITS = 5
STEPS = 12
# Seeds of customers; 0 are those of the shipped log, from TRAINING on they train.
VALIDATION = 1
TEST = 2
TRAINING = 100
GROUPS = len(CATEGORIES) + len(BRANDS)
SIGNALS = ("shown", "browsed", "bought", "stars")
# counts of the groups, pieces owned, two mean prices, hour, weekday, share left
N_OBSERVED = 4 * GROUPS + len(CATEGORIES) + 2 + 24 + 7 + 1


class Crowd:
    """n customers who visit the shop side by side, each in a world of their own.

    It is the simulator behind `ShopEnv`. Two policies that meet the same crowd, made
    anew with the same seed, meet the same customers and the same noise.

    Args:
        shop: the shop.
        n: how many customers.
        seed: of the customers, their visits and their moods; see VALIDATION, TEST and
            TRAINING.
        visits: visits per customer, the first of a year.
        steps: recommendations per visit.

    Attributes:
        mask: bool (n, n_items), what may still be shown in this visit.
        utility: (n, n_items), logits, as they are in this visit.
        clock: steps done so far.
        visit: number of the visit, from 0.
        done: whether the episode is over.

    Example:
        >>> crowd = Crowd(Shop(0), n=2, seed=VALIDATION, visits=1, steps=3)
        >>> crowd.observation().shape == (2, N_OBSERVED)
        True
        >>> rewards = crowd.step(np.array([7, 40]))  # an item for each customer
        >>> crowd.mask[0, 7], crowd.clock, crowd.done
        (np.False_, 1, False)
    """

    def __init__(
        self,
        shop: Shop,
        n: int = 1,
        seed: int = 0,
        visits: int = VISITS,
        steps: int = STEPS,
    ) -> None:
        self.shop = shop
        self.n = n
        self.steps = steps
        self.length = visits * steps
        self.customers = shop.customers(n, seed)
        # streams 4, 5, 6: no other draw of the shop uses them
        self.noise = np.random.default_rng([shop.seed, 4, seed])
        self.mood = np.random.default_rng([shop.seed, 5, seed])
        calendar = np.random.default_rng([shop.seed, 6, seed])
        times = [self._calendar(who, visits, calendar) for who in range(n)]
        self.times = np.array(times)  # (n, visits)
        self.relative_price = relative_prices(shop)
        self.liking = self._liking()
        # every item belongs to two groups: its category and its brand, (2, n_items)
        self.groups = np.stack([shop.category, len(CATEGORIES) + shop.brand])
        self._forget()
        self._begin_visit()

    def _forget(self) -> None:
        """Nothing has happened yet."""
        self.clock = 0
        self.owned: list[list[int]] = [[] for _ in range(self.n)]
        self.seen = np.zeros((self.n, GROUPS, len(SIGNALS)), dtype=np.float32)
        # of items bought, of items ignored: sum of relative prices, number
        self.prices = np.zeros((self.n, 2, 2))

    def _calendar(self, who: int, count: int, random: np.random.Generator) -> list[int]:
        times: list[int] = []
        while len(times) < count:
            times = visit_times(self.shop, self.customers, who, random)
        return times[:count]

    def _liking(self) -> np.ndarray:
        """The parts of the utility that never change, (n, n_items)."""
        shop = self.shop
        them = self.customers
        taste = them.category[:, shop.category] + them.brand[:, shop.brand]
        price = them.price[:, None] * shop.relative_price
        return shop.parameters.intercept + shop.appeal + taste + price

    def _begin_visit(self) -> None:
        self.mask = np.ones((self.n, self.shop.n_items), dtype=bool)
        owned = [self._pieces(items) for items in self.owned]
        self.before = np.array(owned)  # (n, categories)
        moment = [self._moment(time) for time in self.times[:, self.visit].tolist()]
        earlier = [self.shop.earlier(items) for items in self.owned]
        self.utility = self.liking + moment + earlier

    def _pieces(self, owned: list[int]) -> np.ndarray:
        """Number of owned items of each category."""
        return np.bincount(self.shop.category[owned], minlength=len(CATEGORIES))

    def _moment(self, time: int) -> np.ndarray:
        """The part of the utility that hour and weekday make, (n_items,)."""
        parts = self.shop.parts(self.customers, 0, [], time)
        return parts["hour"] + parts["weekday"]

    @property
    def visit(self) -> int:
        """Number of the current visit, from 0; the last one when all is over."""
        return min(self.clock, self.length - 1) // self.steps

    @property
    def done(self) -> bool:
        """Whether the episode is over."""
        return self.clock >= self.length

    def observation(self) -> np.ndarray:
        """What the shop sees of each customer, (n, N_OBSERVED) float32.

        Per category and brand: times shown, browsed, bought, and stars given (3 stars
        count 0); pieces owned per category when the visit began; mean relative price of
        what was bought and of what was ignored; hour and weekday (one-hot); the share
        of the episode that is left.
        """
        seen = self.seen.reshape(self.n, -1)
        means = self.prices[..., 0] / np.maximum(self.prices[..., 1], 1)
        since = self.times[:, self.visit] - START
        hour = np.eye(24)[since // HOUR % 24]
        day = np.eye(7)[since // DAY % 7]
        left = np.full((self.n, 1), 1 - self.clock / self.length)
        columns = [seen, self.before, means, hour, day, left]
        return np.concatenate(columns, axis=1).astype(np.float32)

    def step(self, items: np.ndarray) -> np.ndarray:
        """Show each customer one item and let time go on.

        Args:
            items: codes (n,).

        Returns:
            Rewards float32 (n,): 1 for a purchase, else 0.

        Raises:
            RuntimeError: the episode is over.
        """
        if self.done:
            raise RuntimeError(
                "the episode is over: make a new Crowd, or reset the environment"
            )
        everyone = np.arange(self.n)
        fresh = self.mask[everyone, items]
        # what was shown before in this visit is ignored
        reaction = react(self.shop, self.utility[everyone, items], self.noise) * fresh
        self.mask[everyone, items] = False
        self._remember(items, reaction, fresh)
        self.clock += 1
        if not self.done and self.clock % self.steps == 0:
            self._begin_visit()
        return (reaction == 2).astype(np.float32)

    def _remember(
        self, items: np.ndarray, reaction: np.ndarray, fresh: np.ndarray
    ) -> None:
        bought = reaction == 2
        ignored = fresh & (reaction == 0)
        # the first three signals, (n, 3)
        happened = np.stack([fresh, reaction > 0, bought], axis=1)
        for group in self.groups[:, items]:
            self.seen[np.arange(self.n), group, :3] += happened
        for kind, here in enumerate((bought, ignored)):
            price = self.relative_price[items[here]]
            self.prices[here, kind] += np.stack([price, np.ones(len(price))], axis=1)
        for who in np.flatnonzero(bought):
            self._buy(who, int(items[who]))

    def _buy(self, who: int, item: int) -> None:
        self.owned[who].append(item)
        if self.mood.random() >= self.shop.parameters.rate_probability:
            return
        parts = {
            "category": self.customers.category[who][self.shop.category],
            "brand": self.customers.brand[who][self.shop.brand],
            "appeal": self.shop.appeal,
        }
        rating = stars(parts, item, self.mood)
        # three stars are neither praise nor blame
        self.seen[who, self.groups[:, item], 3] += rating - 3


def relative_prices(shop: Shop) -> np.ndarray:
    """Log price minus the category's mean log price, (n_items,).

    It is what a shop knows of its prices without asking customers.
    """
    # items are sorted by category: a row per category
    price = np.log(shop.price).reshape(len(CATEGORIES), -1)
    relative = price - price.mean(axis=1, keepdims=True)
    return relative.ravel()


class ShopEnv(gymnasium.Env):
    """The shop behind the gymnasium interface: one episode is one customer.

    An action is the code of the item shown, the observation that of
    `Crowd.observation` (N_OBSERVED,). `info` holds the "mask" of items not yet shown
    in this visit and, for an oracle only, the "utility" of every item, both (n_items,).
    `reset(seed=...)` decides the customer and everything after.

    Args:
        shop: the shop; Shop(0) if None.
        visits: visits of an episode.
        steps: recommendations per visit.

    Raises:
        RuntimeError: `step` after the end of the episode.

    Example:
        >>> env = ShopEnv(visits=1, steps=2)
        >>> observation, info = env.reset(seed=0)
        >>> observation, reward, ended, cut_short, info = env.step(5)
        >>> ended, bool(info["mask"][5])
        (False, False)
        >>> env.step(6)[2]  # the second step of two
        True
    """

    def __init__(
        self, shop: Shop | None = None, visits: int = VISITS, steps: int = STEPS
    ) -> None:
        self.shop = shop or Shop(0)
        self.visits = visits
        self.steps = steps
        self.action_space = gymnasium.spaces.Discrete(self.shop.n_items)
        self.observation_space = gymnasium.spaces.Box(
            -500.0, 500.0, (N_OBSERVED,), np.float32
        )

    def reset(
        self, *, seed: int | None = None, options: dict | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin with a new customer: (observation, info)."""
        super().reset(seed=seed)
        # from TRAINING on: never a customer of validation or test
        customer = int(self.np_random.integers(TRAINING, 2**31))
        self.crowd = Crowd(self.shop, 1, customer, self.visits, self.steps)
        return self.crowd.observation()[0], self._info()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Show an item: (observation, reward, ended, cut short, info)."""
        reward = float(self.crowd.step(np.array([action]))[0])
        observation = self.crowd.observation()[0]
        return observation, reward, self.crowd.done, False, self._info()

    def _info(self) -> dict[str, Any]:
        return {
            "mask": self.crowd.mask[0].copy(),
            "utility": self.crowd.utility[0].copy(),
        }


class Policy(Protocol):
    """What decides.

    A policy may have `learn(observation, items, rewards)`, which takes what happened
    after each step, and `refresh()`, called after each visit of a crowd.
    """

    def act(
        self, observation: np.ndarray, mask: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        """Choose one item for each of n customers: codes (n,).

        observation: (n, N_OBSERVED). mask: bool (n, n_items).
        """
        ...


def best(scores: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The item with the highest score among those the mask allows, for each row."""
    return np.where(mask, scores, -np.inf).argmax(axis=1)


class Random:
    """Any item that is left, each with the same probability.

    Example:
        >>> mask = np.array([[True, False, True]])
        >>> Random().probabilities(None, mask).tolist()
        [[0.5, 0.0, 0.5]]
        >>> item = Random().act(None, mask, np.random.default_rng(0))
        >>> bool(mask[0, item[0]])
        True
    """

    def probabilities(self, observation: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(n, n_items), rows add up to one; NaN where nothing is left."""
        return mask / mask.sum(axis=1, keepdims=True)

    def act(
        self, observation: np.ndarray, mask: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        """Draw one item for each customer: codes (n,)."""
        return best(random.random(mask.shape), mask)


class Fixed:
    """The same list for everybody: the items in the order of fixed scores.

    Args:
        scores: (n_items,), highest first.

    Example:
        >>> mask = np.array([[True, True, True], [True, False, True]])
        >>> Fixed([1, 3, 2]).act(None, mask, None).tolist()
        [1, 2]
    """

    def __init__(self, scores: np.ndarray) -> None:
        self.scores = np.asarray(scores, dtype=float)

    def act(
        self, observation: np.ndarray, mask: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        """The first item of the list that is left, for each customer: codes (n,)."""
        return best(self.scores, mask)


class Oracle:
    """The item with the highest true utility now.

    It looks one step ahead only: it knows tastes, and plans nothing.

    Args:
        crowd: the customers it serves, and no others.

    Example:
        >>> crowd = Crowd(Shop(0), n=3, visits=1, steps=1)
        >>> items = Oracle(crowd).act(crowd.observation(), crowd.mask, None)
        >>> items.tolist() == crowd.utility.argmax(axis=1).tolist()
        True
    """

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd

    def act(
        self, observation: np.ndarray, mask: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        """The best item that is left, for each customer of the crowd: codes (n,)."""
        return best(self.crowd.utility, mask)


def counts(shown: pd.DataFrame, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each item was shown and bought, (n_items,) each.

    shown: a log with the columns item and reaction (2 is bought).
    """
    bought = shown.loc[shown["reaction"] == 2, "item"]
    tries = np.bincount(shown["item"], minlength=n_items)
    return tries, np.bincount(bought, minlength=n_items)


def popularity(shown: pd.DataFrame, n_items: int) -> Fixed:
    """Most bought first: what was shown more, sold more.

    Args:
        shown: a log, one row per showing, with the columns item (code) and reaction (2
            is bought).
        n_items: size of the catalogue.

    Returns:
        The policy whose scores are the purchases of each item.

    Raises:
        KeyError: a column is missing.

    Example:
        >>> log = pd.DataFrame({"item": [0, 0, 2], "reaction": [2, 2, 1]})
        >>> popularity(log, n_items=3).scores.tolist()
        [2.0, 0.0, 0.0]
    """
    _, bought = counts(shown, n_items)
    return Fixed(bought)


def buy_rates(shown: pd.DataFrame, n_items: int, trust: float = 50.0) -> np.ndarray:
    """Purchases per showing, drawn towards the mean rate of all items.

    Args:
        shown: a log, one row per showing, with the columns item (code) and reaction (2
            is bought).
        n_items: size of the catalogue.
        trust: the mean rate counts as much as so many showings.

    Returns:
        Rates from 0 to 1, (n_items,); an item never shown has the mean rate.

    Raises:
        KeyError: a column is missing.

    Example:
        >>> log = pd.DataFrame({"item": [0, 0, 1, 1], "reaction": [2, 2, 0, 0]})
        >>> buy_rates(log, n_items=3, trust=2).tolist()  # (2 + 1) / (2 + 2), ...
        [0.75, 0.25, 0.5]
    """
    tries, bought = counts(shown, n_items)
    pretended = trust * bought.sum() / tries.sum()
    return (bought + pretended) / (tries + trust)


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
        explore = random.random(len(mask)) < self.epsilon
        anything = best(random.random(mask.shape), mask)
        return np.where(explore, anything, best(self.rates, mask))

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
    category = np.eye(len(CATEGORIES))[shop.category]
    brand = np.eye(len(BRANDS))[shop.brand]
    logit = np.log(rates / (1 - rates))
    columns = [category, brand, relative_prices(shop), logit - logit.mean()]
    return np.column_stack(columns).astype(np.float32)


def squash(observation: np.ndarray) -> np.ndarray:
    """Counts on a log scale with their sign: sign(x) log(1 + |x|)."""
    return np.sign(observation) * np.log1p(np.abs(observation))


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
        size = 1 + N_OBSERVED + self.own.shape[1] + len(SIGNALS) + 2
        self.a = np.tile(ridge * np.eye(size), (len(CATEGORIES), 1, 1))
        self.b = np.zeros((len(CATEGORIES), size))
        self.refresh()

    def refresh(self) -> None:
        """Invert A and solve for the weights.

        Between two calls the policy acts on what it knew before.
        """
        self.inverse = np.linalg.inv(self.a).astype(np.float32)
        weights = np.linalg.solve(self.a, self.b[..., None])
        self.weights = weights.astype(np.float32)

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
        counted = seen[:, : 4 * GROUPS].reshape(n, GROUPS, len(SIGNALS))
        brand = counted[np.arange(n), len(CATEGORIES) + self.shop.brand[items]]
        # the two mean prices stand behind the counts and the pieces owned
        first = 4 * GROUPS + len(CATEGORIES)
        means = seen[:, first : first + 2] * own[..., [len(BRANDS)]]
        shared = np.concatenate([np.ones((n, 1)), seen], axis=1)
        alone = np.concatenate([own, brand, means], axis=-1)
        return shared.astype(np.float32), alone.astype(np.float32)

    def scores(self, observation: np.ndarray) -> np.ndarray:
        """Upper confidence bounds of the buy probability, (n, n_items)."""
        n = len(observation)
        every = np.arange(self.shop.n_items)[:, None]
        shared, own = self.features(observation, np.tile(every, (1, n)))
        # items are sorted by category: (arms, items of an arm, n, own)
        own = own.reshape(len(CATEGORIES), -1, *own.shape[1:])
        k = shared.shape[1]
        # (arms, 1, n) and (arms, items, n)
        by_state = (shared @ self.weights[:, :k])[:, None, :, 0]
        by_item = (own @ self.weights[:, None, k:])[..., 0]
        score = by_state + by_item
        if self.alpha:
            score = score + self.alpha * np.sqrt(self._variance(shared, own))
        return score.reshape(-1, n).T

    def _variance(self, shared: np.ndarray, own: np.ndarray) -> np.ndarray:
        """xᵀ A_c⁻¹ x, (arms, items of an arm, n).

        In pieces, so that the large shared one is done once per arm, not per item.
        """
        k = shared.shape[1]
        inverse = self.inverse
        once = ((shared @ inverse[:, :k, :k]) * shared).sum(axis=-1)[:, None]
        crossed = (shared @ inverse[:, :k, k:])[:, None]
        mixed = 2 * (own * crossed).sum(axis=-1)
        alone = ((own @ inverse[:, None, k:, k:]) * own).sum(axis=-1)
        # rounding can push it below zero
        return np.maximum(once + mixed + alone, 0)

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
        x = np.concatenate([shared, own[0]], axis=1).astype(float)
        arms = self.shop.category[items]
        for c in np.unique(arms):
            here = arms == c
            rows = x[here]
            self.a[c] += rows.T @ rows
            self.b[c] += rewards[here] @ rows


def play(
    policy: Policy, crowd: Crowd, seed: int = 0, learn: bool = False
) -> np.ndarray:
    """Let a policy serve a crowd to the end.

    Args:
        policy: what decides.
        crowd: the customers, at the beginning of their episode; they are used up.
        seed: of the policy's own draws.
        learn: whether the policy learns from what happens.

    Returns:
        Purchases of each customer, (n,); zeros where the episode was over before.

    Raises:
        AttributeError: `learn` for a policy that cannot.

    Example:
        >>> crowd = Crowd(Shop(0), n=3, visits=1, steps=4)
        >>> rewards = play(Random(), crowd)
        >>> rewards.shape, bool(rewards.max() <= 4), crowd.done
        ((3,), True, True)
    """
    return by_visit(policy, crowd, seed, learn).sum(axis=1)


def by_visit(
    policy: Policy, crowd: Crowd, seed: int = 0, learn: bool = False
) -> np.ndarray:
    """`play`, with a reward for each visit of each customer.

    Args:
        policy: what decides.
        crowd: the customers, at the beginning of their episode; they are used up.
        seed: of the policy's own draws.
        learn: whether the policy learns from what happens.

    Returns:
        Purchases (n, visits).

    Raises:
        AttributeError: `learn` for a policy that cannot.

    Example:
        >>> crowd = Crowd(Shop(0), n=3, visits=2, steps=4)
        >>> by_visit(Random(), crowd).shape
        (3, 2)
    """
    random = np.random.default_rng(seed)
    earned = np.zeros((crowd.n, crowd.times.shape[1]))
    while not crowd.done:
        observation = crowd.observation()
        items = policy.act(observation, crowd.mask, random)
        visit = crowd.visit  # before the step, which may begin the next one
        rewards = crowd.step(items)
        earned[:, visit] += rewards
        if learn:
            policy.learn(observation, items, rewards)
            ends = crowd.clock % crowd.steps == 0
            if ends and hasattr(policy, "refresh"):
                policy.refresh()
    return earned


def compare(rewards: dict[str, np.ndarray], base: str = "popularity") -> pd.DataFrame:
    """Compare what policies earned from the same customers.

    Args:
        rewards: {policy: reward of each customer (n,)}, the same customers for all.
        base: the policy that the others are compared with.

    Returns:
        A row per policy, the best last: mean reward, low and high of its 95% interval
        over customers, ratio of the mean to that of `base`, difference_low and
        difference_high of the paired 95% interval of the difference to `base`.

    Raises:
        KeyError: `base` is none of the policies.

    Example:
        >>> few = np.array([1.0, 3.0, 2.0])
        >>> table = compare({"good": few + 2, "popularity": few})
        >>> table["mean"].to_dict()
        {'popularity': 2.0, 'good': 4.0}
        >>> table.loc["good", ["ratio", "difference_low", "difference_high"]].tolist()
        [2.0, 2.0, 2.0]
    """
    rows = {}
    for name, reward in rewards.items():
        mean = mean_interval(reward)
        pair = paired_interval(reward, rewards[base])
        rows[name] = {
            "mean": mean.mean,
            "low": mean.low,
            "high": mean.high,
            "ratio": mean.mean / rewards[base].mean(),
            "difference_low": pair.low,
            "difference_high": pair.high,
        }
    return pd.DataFrame(rows).T.sort_values("mean")

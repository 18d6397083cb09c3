"""The shop as a decision problem: an environment, and policies that decide what to
show.

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

VISITS, STEPS = 5, 12
VALIDATION, TEST, TRAINING = (
    1,
    2,
    100,
)  # seeds of customers; 0 are those of the shipped log, from 100 on they train
GROUPS = len(CATEGORIES) + len(BRANDS)
SIGNALS = ("shown", "browsed", "bought", "stars")
N_OBSERVED = 4 * GROUPS + len(CATEGORIES) + 2 + 24 + 7 + 1


class Crowd:
    """n customers who visit the shop side by side, each in a world of their own: the
    simulator behind `ShopEnv`.

    Args:
        shop: the shop.
        n: how many customers.
        seed: of the customers, their visits and their moods. Two policies that meet the
            same crowd meet the same noise.
        visits, steps: visits per customer (the first of a year), recommendations per
            visit.

    Attributes: mask (n, n_items) bool, what may still be shown in this visit; utility
    (n, n_items), logits; done.
    """

    def __init__(
        self,
        shop: Shop,
        n: int = 1,
        seed: int = 0,
        visits: int = VISITS,
        steps: int = STEPS,
    ) -> None:
        self.shop, self.n, self.steps, self.length = shop, n, steps, visits * steps
        self.customers = shop.customers(n, seed)
        self.noise, self.mood, calendar = (
            np.random.default_rng([shop.seed, stream, seed]) for stream in (4, 5, 6)
        )
        self.times = np.array(
            [self._calendar(who, visits, calendar) for who in range(n)]
        )
        self.clock, self.owned = 0, [[] for _ in range(n)]
        self.seen = np.zeros((n, GROUPS, len(SIGNALS)), dtype=np.float32)
        self.prices = np.zeros(
            (n, 2, 2)
        )  # of items bought, of items ignored: sum of relative prices, number
        self.groups = np.stack([shop.category, len(CATEGORIES) + shop.brand])
        self.relative_price = relative_prices(shop)
        self.liking = self._liking()
        self._begin_visit()

    def _calendar(self, who: int, count: int, random: np.random.Generator) -> list[int]:
        times: list[int] = []
        while len(times) < count:
            times = visit_times(self.shop, self.customers, who, random)
        return times[:count]

    def _liking(self) -> np.ndarray:
        """The parts of the utility that never change, (n, n_items)."""
        shop, them = self.shop, self.customers
        taste = them.category[:, shop.category] + them.brand[:, shop.brand]
        return (
            shop.parameters.intercept
            + shop.appeal
            + taste
            + them.price[:, None] * shop.relative_price
        )

    def _begin_visit(self) -> None:
        self.mask = np.ones((self.n, self.shop.n_items), dtype=bool)
        self.before = np.array(
            [
                np.bincount(self.shop.category[o], minlength=len(CATEGORIES))
                for o in self.owned
            ]
        )
        moment = [self._moment(time) for time in self.times[:, self.visit].tolist()]
        self.utility = (
            self.liking + moment + [self.shop.earlier(owned) for owned in self.owned]
        )

    def _moment(self, time: int) -> np.ndarray:
        hour, day = (
            self.shop.parts(self.customers, 0, [], time)[name]
            for name in ("hour", "weekday")
        )
        return hour + day

    @property
    def visit(self) -> int:
        return min(self.clock, self.length - 1) // self.steps

    @property
    def done(self) -> bool:
        return self.clock >= self.length

    def observation(self) -> np.ndarray:
        """What the shop sees of each customer, (n, N_OBSERVED) float32.

        Per category and brand: times shown, browsed, bought, and stars given (3 stars
        count 0); pieces owned per category when the visit began; mean relative price of
        what was bought and of what was ignored; hour and weekday (one-hot); the share
        of the episode that is left.
        """
        now = self.times[:, self.visit]
        means = self.prices[..., 0] / np.maximum(self.prices[..., 1], 1)
        hour, day = (
            np.eye(24)[(now - START) // HOUR % 24],
            np.eye(7)[(now - START) // DAY % 7],
        )
        left = np.full((self.n, 1), 1 - self.clock / self.length)
        seen = self.seen.reshape(self.n, -1)
        return np.concatenate(
            [seen, self.before, means, hour, day, left], axis=1
        ).astype(np.float32)

    def step(self, items: np.ndarray) -> np.ndarray:
        """Show each customer one item, (n,) codes; returns the rewards (n,): 1 for a
        purchase, else 0.
        """
        if self.done:
            raise RuntimeError(
                "the episode is over: make a new Crowd, or reset the environment"
            )
        everyone = np.arange(self.n)
        fresh = self.mask[everyone, items]
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
        happened = np.stack([fresh, reaction > 0, reaction == 2], axis=1)
        for group in self.groups[:, items]:
            self.seen[np.arange(self.n), group, :3] += happened
        for kind, here in enumerate((reaction == 2, fresh & (reaction == 0))):
            self.prices[here, kind] += np.stack(
                [self.relative_price[items[here]], np.ones(here.sum())], axis=1
            )
        for who in np.flatnonzero(reaction == 2):
            self._buy(who, int(items[who]))

    def _buy(self, who: int, item: int) -> None:
        self.owned[who].append(item)
        if self.mood.random() < self.shop.parameters.rate_probability:
            them, shop = self.customers, self.shop
            parts = {
                "category": them.category[who][shop.category],
                "brand": them.brand[who][shop.brand],
            }
            self.seen[who, self.groups[:, item], 3] += (
                stars({**parts, "appeal": shop.appeal}, item, self.mood) - 3
            )


def relative_prices(shop: Shop) -> np.ndarray:
    """Log price minus the category's mean log price, (n_items,): what a shop knows
    without asking.
    """
    price = np.log(shop.price).reshape(len(CATEGORIES), -1)
    return (price - price.mean(axis=1, keepdims=True)).ravel()


class ShopEnv(gymnasium.Env):
    """The shop behind the gymnasium interface: one episode is one customer, an action
    is the code of the item shown.

    Observation: `Crowd.observation`. `info` holds the "mask" of items not yet shown in
    this visit and, for an oracle only, the "utility" of every item. `reset(seed=...)`
    decides the customer and everything after.
    """

    def __init__(
        self, shop: Shop | None = None, visits: int = VISITS, steps: int = STEPS
    ) -> None:
        self.shop, self.visits, self.steps = shop or Shop(0), visits, steps
        self.action_space = gymnasium.spaces.Discrete(self.shop.n_items)
        self.observation_space = gymnasium.spaces.Box(
            -500.0, 500.0, (N_OBSERVED,), np.float32
        )

    def reset(
        self, *, seed: int | None = None, options: dict | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.crowd = Crowd(
            self.shop,
            1,
            int(self.np_random.integers(TRAINING, 2**31)),
            self.visits,
            self.steps,
        )
        return self.crowd.observation()[0], self._info()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        reward = self.crowd.step(np.array([action]))[0]
        return (
            self.crowd.observation()[0],
            float(reward),
            self.crowd.done,
            False,
            self._info(),
        )

    def _info(self) -> dict[str, Any]:
        return {
            "mask": self.crowd.mask[0].copy(),
            "utility": self.crowd.utility[0].copy(),
        }


class Policy(Protocol):
    """What decides; `learn`, where a policy has it, takes what happened after each
    step.
    """

    def act(
        self, observation: np.ndarray, mask: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        """Choose one item for each of n customers: (n, N_OBSERVED), (n, n_items) bool
        -> (n,) codes.
        """
        ...


def best(scores: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The item with the highest score among those the mask allows, for each row."""
    return np.where(mask, scores, -np.inf).argmax(axis=1)


class Random:
    """Any item that is left, each with the same probability."""

    def probabilities(self, observation: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(n, n_items), rows add up to one."""
        return mask / mask.sum(axis=1, keepdims=True)

    def act(
        self, observation: np.ndarray, mask: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        return best(random.random(mask.shape), mask)


class Fixed:
    """The same list for everybody: the items in the order of fixed scores (n_items,)."""

    def __init__(self, scores: np.ndarray) -> None:
        self.scores = np.asarray(scores, dtype=float)

    def act(
        self, observation: np.ndarray, mask: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        return best(self.scores, mask)


class Oracle:
    """The item with the highest true utility now. It looks one step ahead only: it
    knows tastes, and plans nothing.
    """

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd

    def act(
        self, observation: np.ndarray, mask: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        return best(self.crowd.utility, mask)


def counts(shown: pd.DataFrame, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each item was shown and bought in a log with the columns item and
    reaction.
    """
    bought = shown.loc[shown["reaction"] == 2, "item"]
    return np.bincount(shown["item"], minlength=n_items), np.bincount(
        bought, minlength=n_items
    )


def popularity(shown: pd.DataFrame, n_items: int) -> Fixed:
    """Most bought first: what was shown more, sold more."""
    return Fixed(counts(shown, n_items)[1])


def buy_rates(shown: pd.DataFrame, n_items: int, trust: float = 50.0) -> np.ndarray:
    """Purchases per showing, (n_items,), drawn towards the mean rate as if by `trust`
    more showings.
    """
    tries, bought = counts(shown, n_items)
    return (bought + trust * bought.sum() / tries.sum()) / (tries + trust)


class EpsilonGreedy:
    """Shows the item with the best buy rate so far, or with probability epsilon any
    item; it sees no context.
    """

    def __init__(self, n_items: int, epsilon: float = 0.1, start: float = 0.1) -> None:
        self.epsilon, self.start = epsilon, start
        self.tries, self.bought = np.zeros(n_items), np.zeros(n_items)

    @property
    def rates(self) -> np.ndarray:
        """Buy rates (n_items,), as if each item had been shown once before and bought
        `start` times.
        """
        return (self.bought + self.start) / (self.tries + 1)

    def act(
        self, observation: np.ndarray, mask: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        explore = random.random(len(mask)) < self.epsilon
        return np.where(
            explore, best(random.random(mask.shape), mask), best(self.rates, mask)
        )

    def learn(
        self, observation: np.ndarray, items: np.ndarray, rewards: np.ndarray
    ) -> None:
        """Count what happened."""
        np.add.at(self.tries, items, 1)
        np.add.at(self.bought, items, rewards)


def item_attributes(shop: Shop, rates: np.ndarray) -> np.ndarray:
    """(n_items, 24): category and brand (one-hot), relative price, logit of the buy
    rate in the log (centred).
    """
    logit = np.log(rates / (1 - rates))
    one_hot = np.eye(len(CATEGORIES))[shop.category], np.eye(len(BRANDS))[shop.brand]
    return np.column_stack(
        [*one_hot, relative_prices(shop), logit - logit.mean()]
    ).astype(np.float32)


def squash(observation: np.ndarray) -> np.ndarray:
    """Counts on a log scale with their sign: sign(x) log(1 + |x|)."""
    return np.sign(observation) * np.log1p(np.abs(observation))


class LinUCB:
    """LinUCB (Li et al. 2010, doi:10.1145/1772690.1772758, algorithm 1) with the item's
    category as the arm.

    For an item of category c, x holds the whole observation, the item's own attributes,
    what was seen of its brand, and its price times the customer's mean prices. Each arm
    is a ridge regression of the reward on x,

        A_c = ridge I + Σ x xᵀ,  b_c = Σ reward x,  score = x·A_c⁻¹b_c + alpha √(xᵀ A_c⁻¹ x),

    which equals one ridge regression on all products of the category with x.
    """

    def __init__(
        self, shop: Shop, attributes: np.ndarray, alpha: float = 0.3, ridge: float = 1.0
    ) -> None:
        self.shop, self.alpha = shop, alpha
        self.own = attributes[:, len(CATEGORIES) :]
        size = 1 + N_OBSERVED + self.own.shape[1] + len(SIGNALS) + 2
        self.a = np.tile(ridge * np.eye(size), (len(CATEGORIES), 1, 1))
        self.b = np.zeros((len(CATEGORIES), size))
        self.refresh()

    def refresh(self) -> None:
        """Invert A and solve for the weights; between two calls the policy acts on what
        it knew before.
        """
        self.inverse = np.linalg.inv(self.a).astype(np.float32)
        self.weights = np.linalg.solve(self.a, self.b[..., None]).astype(np.float32)

    def features(
        self, observation: np.ndarray, items: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """x in two pieces, for n customers and (m, n) items: (n, shared), the same for
        every item, and (m, n, own).
        """
        seen, own = squash(observation), self.own[items]
        groups = seen[:, : 4 * GROUPS].reshape(len(seen), GROUPS, len(SIGNALS))
        brand = groups[np.arange(len(seen)), len(CATEGORIES) + self.shop.brand[items]]
        means = seen[:, 4 * GROUPS + len(CATEGORIES) :][:, :2] * own[..., [len(BRANDS)]]
        shared = np.concatenate([np.ones((len(seen), 1)), seen], axis=1)
        return shared.astype(np.float32), np.concatenate(
            [own, brand, means], axis=-1
        ).astype(np.float32)

    def scores(self, observation: np.ndarray) -> np.ndarray:
        """Upper confidence bounds of the buy probability, (n, n_items)."""
        n, every = (
            len(observation),
            np.arange(self.shop.n_items)[:, None],
        )  # items are sorted by category
        shared, own = self.features(observation, np.tile(every, (1, n)))
        own, k = own.reshape(len(CATEGORIES), -1, *own.shape[1:]), shared.shape[1]
        weights, inverse = self.weights, self.inverse
        score = (shared @ weights[:, :k])[:, None, :, 0] + (own @ weights[:, None, k:])[
            ..., 0
        ]
        if self.alpha:  # x'Ix in pieces: the shared one once per arm, not once per item
            once = ((shared @ inverse[:, :k, :k]) * shared).sum(axis=-1)[:, None]
            mixed = 2 * (own * (shared @ inverse[:, :k, k:])[:, None]).sum(axis=-1)
            alone = ((own @ inverse[:, None, k:, k:]) * own).sum(axis=-1)
            score = score + self.alpha * np.sqrt(np.maximum(once + mixed + alone, 0))
        return score.reshape(-1, n).T

    def act(
        self, observation: np.ndarray, mask: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        return best(self.scores(observation), mask)

    def learn(
        self, observation: np.ndarray, items: np.ndarray, rewards: np.ndarray
    ) -> None:
        """Add what happened to A and b."""
        shared, own = self.features(observation, items[None])
        x, arms = (
            np.concatenate([shared, own[0]], axis=1).astype(float),
            self.shop.category[items],
        )
        for c in np.unique(arms):
            rows = x[arms == c]
            self.a[c] += rows.T @ rows
            self.b[c] += rewards[arms == c] @ rows


def play(
    policy: Policy, crowd: Crowd, seed: int = 0, learn: bool = False
) -> np.ndarray:
    """Let a policy serve a crowd to the end; returns the reward per customer, (n,)."""
    return by_visit(policy, crowd, seed, learn).sum(axis=1)


def by_visit(
    policy: Policy, crowd: Crowd, seed: int = 0, learn: bool = False
) -> np.ndarray:
    """`play`, with a reward for each visit of each customer, (n, visits)."""
    random, earned = (
        np.random.default_rng(seed),
        np.zeros((crowd.n, crowd.times.shape[1])),
    )
    while not crowd.done:
        observation = crowd.observation()
        items = policy.act(observation, crowd.mask, random)
        visit, rewards = crowd.visit, crowd.step(items)
        earned[:, visit] += rewards
        if learn:
            policy.learn(observation, items, rewards)
            if crowd.clock % crowd.steps == 0 and hasattr(policy, "refresh"):
                policy.refresh()
    return earned


def compare(rewards: dict[str, np.ndarray], base: str = "popularity") -> pd.DataFrame:
    """Mean reward with its 95% interval over customers, and the paired difference to
    `base`; the best last.
    """
    rows = {}
    for name, reward in rewards.items():
        mean, pair = mean_interval(reward), paired_interval(reward, rewards[base])
        rows[name] = {
            "mean": mean.mean,
            "low": mean.low,
            "high": mean.high,
            "ratio": mean.mean / rewards[base].mean(),
            "difference_low": pair.low,
            "difference_high": pair.high,
        }
    return pd.DataFrame(rows).T.sort_values("mean")

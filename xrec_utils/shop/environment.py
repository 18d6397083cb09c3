"""The shop as an environment of gymnasium: crowds of customers, visits, rewards."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from xrec_utils.shop.log import visits as visit_times
from xrec_utils.shop.shop import (
    BRANDS,
    CATEGORIES,
    DAY,
    HOUR,
    START,
    Shop,
    react,
    stars,
)

VISITS = 5
STEPS = 12
# Seeds of customers; 0 are those of the shipped log, from TRAINING on they train.
VALIDATION = 1
TEST = 2
TRAINING = 100
GROUPS = len(CATEGORIES) + len(BRANDS)
SIGNALS = ("shown", "browsed", "bought", "stars")
# Where an observation has what: counts of the groups, pieces owned of each category,
# two mean prices, hour and weekday (one-hot), share of the episode that is left.
COUNTS = slice(0, len(SIGNALS) * GROUPS)
OWNED = slice(COUNTS.stop, COUNTS.stop + len(CATEGORIES))
MEAN_PRICES = slice(OWNED.stop, OWNED.stop + 2)
HOURS = slice(MEAN_PRICES.stop, MEAN_PRICES.stop + 24)
WEEKDAYS = slice(HOURS.stop, HOURS.stop + 7)
N_OBSERVED = WEEKDAYS.stop + 1


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
        self.noise = shop.stream(4, seed)
        self.mood = shop.stream(5, seed)
        calendar = shop.stream(6, seed)
        # (n, visits)
        self.times = np.array(
            [self._calendar(who, visits, calendar) for who in range(n)],
        )
        self.relative_price = relative_prices(shop)
        self.liking = self._liking()
        # every item belongs to two groups: its category and its brand, (2, n_items)
        self.groups = np.stack(
            [shop.category, len(CATEGORIES) + shop.brand],
        )
        self.clock = 0
        self.owned: list[list[int]] = [[] for _ in range(n)]
        self.seen = np.zeros(
            (n, GROUPS, len(SIGNALS)),
            dtype=np.float32,
        )
        # of items bought, of items ignored: sum of relative prices, number
        self.prices = np.zeros((n, 2, 2))
        self._begin_visit()

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
        """Everything may be shown again, and what was bought counts as owned."""
        self.mask = np.ones_like(self.liking, dtype=bool)
        self.before = np.array(
            [self.shop.pieces(items) for items in self.owned],
        )
        self.utility = self._utility()

    def _utility(self) -> np.ndarray:
        """What the items are worth in this visit, (n, n_items)."""
        moment = [self._moment(time) for time in self.now]
        earlier = [self.shop.earlier(items) for items in self.owned]
        return self.liking + moment + earlier

    def _moment(self, time: int) -> np.ndarray:
        """The part of the utility that hour and weekday make, (n_items,)."""
        # these two are the same for every customer, whatever is owned
        parts = self.shop.parts(self.customers, 0, [], time)
        return parts["hour"] + parts["weekday"]

    @property
    def visit(self) -> int:
        """Number of the current visit, from 0; the last one when all is over."""
        last = self.length - 1
        return min(self.clock, last) // self.steps

    @property
    def now(self) -> np.ndarray:
        """When each customer's current visit began, (n,) seconds since 1970, UTC."""
        return self.times[:, self.visit]

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
        since = self.now - START
        return np.concatenate(
            [
                self.seen.reshape(self.n, -1),
                self.before,
                self.prices[..., 0] / np.maximum(self.prices[..., 1], 1),
                # the hour, the weekday, the share that is left
                np.eye(24)[since // HOUR % 24],
                np.eye(7)[since // DAY % 7],
                np.full((self.n, 1), 1 - self.clock / self.length),
            ],
            axis=1,
        ).astype(np.float32)

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
        reaction = (
            react(
                self.shop,
                self.utility[everyone, items],
                self.noise,
            )
            * fresh
        )
        self.mask[everyone, items] = False
        self._remember(items, reaction, fresh)
        self.clock += 1
        if not self.done and self.clock % self.steps == 0:
            self._begin_visit()
        return (reaction == 2).astype(np.float32)

    def _remember(
        self, items: np.ndarray, reaction: np.ndarray, fresh: np.ndarray
    ) -> None:
        everyone = np.arange(self.n)
        bought = reaction == 2
        # the first three signals, (n, 3)
        happened = np.stack(
            [fresh, reaction > 0, bought],
            axis=1,
        )
        for group in self.groups[:, items]:
            self.seen[everyone, group, :3] += happened
        ignored = fresh & (reaction == 0)
        for kind, here in enumerate((bought, ignored)):
            price = self.relative_price[items[here]]
            self.prices[here, kind, 0] += price
            self.prices[here, kind, 1] += 1
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
        # three stars are neither praise nor blame
        self.seen[who, self.groups[:, item], 3] += (
            stars(
                parts,
                item,
                self.mood,
            )
            - 3
        )


def relative_prices(shop: Shop) -> np.ndarray:
    """Log price minus the category's mean log price, (n_items,).

    It is what a shop knows of its prices without asking customers.
    """
    # items are sorted by category: a row per category
    price = np.log(shop.price).reshape(
        len(CATEGORIES),
        -1,
    )
    return (price - price.mean(axis=1, keepdims=True)).ravel()


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
        self.action_space = Discrete(self.shop.n_items)
        self.observation_space = Box(-500.0, 500.0, (N_OBSERVED,))

    def reset(
        self, *, seed: int | None = None, options: dict | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin with a new customer: (observation, info)."""
        super().reset(seed=seed)
        self.crowd = Crowd(
            self.shop,
            # from TRAINING on: never a customer of validation or test
            seed=int(self.np_random.integers(TRAINING, 2**31)),
            visits=self.visits,
            steps=self.steps,
        )
        return self.crowd.observation()[0], self._info()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Show an item: (observation, reward, ended, cut short, info)."""
        rewards = self.crowd.step(np.array([action]))
        reward = float(rewards[0])
        observation = self.crowd.observation()[0]
        return observation, reward, self.crowd.done, False, self._info()

    def _info(self) -> dict[str, Any]:
        return {
            "mask": self.crowd.mask[0].copy(),
            "utility": self.crowd.utility[0].copy(),
        }

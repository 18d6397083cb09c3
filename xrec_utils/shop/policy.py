"""The shop as a decision problem: an environment, and policies for what to show.

An episode is one customer: `visits` visits with `steps` recommendations each, one item
at a time. The customer reacts as `shop.react` says, with the utility at the beginning
of the visit; what is bought counts as owned from the next visit on; a purchase may be
rated, at once. The reward is 1 for a purchase, else 0. An item shown twice in one visit
is ignored: the step is spent, and `mask` says which items are left.

A policy has `act(observation, mask, random) -> items` for n customers at once (Sutton
and Barto 2018 is the textbook).
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import pandas as pd

from xrec_utils.metrics.intervals import mean_interval, paired_interval
from xrec_utils.shop.environment import Crowd


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
    return np.where(
        mask,
        scores,
        -np.inf,
    ).argmax(axis=1)


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


@dataclass(frozen=True)
class Oracle:
    """The item with the highest true utility now.

    It looks one step ahead only: it knows tastes, and plans nothing.

    Args:
        crowd: the customers it serves, and no others; None until they are known.

    Attributes:
        needs_crowd: True, so that a comparison of policies makes it anew for its crowd.

    Example:
        >>> from xrec_utils.shop import Shop
        >>> crowd = Crowd(Shop(0), n=3, visits=1, steps=1)
        >>> items = Oracle(crowd).act(crowd.observation(), crowd.mask, None)
        >>> items.tolist() == crowd.utility.argmax(axis=1).tolist()
        True
    """

    crowd: Crowd | None = None
    needs_crowd: ClassVar[bool] = True

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
        >>> from xrec_utils.shop import Shop
        >>> crowd = Crowd(Shop(0), n=3, visits=1, steps=4)
        >>> rewards = play(Random(), crowd)
        >>> rewards.shape, bool(rewards.max() <= 4), crowd.done
        ((3,), True, True)
    """
    return by_visit(
        policy,
        crowd,
        seed,
        learn,
    ).sum(axis=1)


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
        >>> from xrec_utils.shop import Shop
        >>> crowd = Crowd(Shop(0), n=3, visits=2, steps=4)
        >>> by_visit(Random(), crowd).shape
        (3, 2)
    """
    random = np.random.default_rng(seed)
    earned = np.zeros(crowd.times.shape)
    while not crowd.done:
        observation = crowd.observation()
        items = policy.act(
            observation,
            crowd.mask,
            random,
        )
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

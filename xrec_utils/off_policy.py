"""What would another policy have earned? Answers from a log in which each customer was
shown one item.

A log has the hours, the items shown, the rewards, and the propensities: with which
probability the old policy showed just that item. The new policy is known by its
probabilities `target` (n, n_items). With the weights w = target / propensity of the
item shown, four estimators of its mean reward are a line each (Dudík, Langford and Li
2011, arXiv:1103.4601; for SNIPS, Swaminathan and Joachims 2015).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from xrec_utils.policy import Crowd
from xrec_utils.shop import CATEGORIES, Shop, react

PROMOTED = tuple(CATEGORIES.index(name) for name in ("novel", "e-reader", "lamp"))
EVENING = 17


@dataclass(frozen=True)
class Log:
    """n customers: hour of the visit (n,), items (n,) codes, rewards (n,) 0 or 1,
    propensities (n,).
    """

    hour: np.ndarray
    items: np.ndarray
    rewards: np.ndarray
    propensities: np.ndarray

    def weights(
        self, target: np.ndarray, propensities: np.ndarray | None = None
    ) -> np.ndarray:
        """target / propensity of the items shown, (n,); with the known propensities
        unless others are given.
        """
        shown = target[np.arange(len(self.items)), self.items]
        return shown / (self.propensities if propensities is None else propensities)


def hours(observation: np.ndarray) -> np.ndarray:
    """The hour of each observation, 0 to 23."""
    return observation[:, -32:-8].argmax(axis=1)


class OldPolicy:
    """Shows items by their exposure; after five o'clock, what one reads by is shown
    `promotion` times as often.
    """

    def __init__(self, shop: Shop, promotion: float = 5.0) -> None:
        self.day = shop.exposure
        self.evening = shop.exposure * np.where(
            np.isin(shop.category, PROMOTED), promotion, 1.0
        )

    def probabilities(self, observation: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(n, n_items), rows add up to one."""
        share = (
            np.where((hours(observation) >= EVENING)[:, None], self.evening, self.day)
            * mask
        )
        return share / share.sum(axis=1, keepdims=True)

    def act(
        self, observation: np.ndarray, mask: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        return draw(self.probabilities(observation, mask), random)


class TopList:
    """Shows one of the k items with the highest fixed scores, each with probability
    1/k: a list seen from far away.
    """

    def __init__(self, scores: np.ndarray, k: int = 12) -> None:
        self.scores, self.k = np.asarray(scores), k

    def probabilities(self, observation: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(n, n_items), rows add up to one."""
        ranked = np.argsort(
            -np.where(mask, self.scores, -np.inf), axis=1, kind="stable"
        )[:, : self.k]
        share = np.zeros(mask.shape)
        np.put_along_axis(share, ranked, 1 / self.k, axis=1)
        return share


def draw(probabilities: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One column for each row of probabilities (n, m)."""
    edges = probabilities.cumsum(axis=1)
    return (random.random((len(edges), 1)) * edges[:, -1:] < edges).argmax(axis=1)


def record(crowd: Crowd, policy: OldPolicy, random: np.random.Generator) -> Log:
    """Show every customer one item and write down what happened; the crowd does not
    change, so ask it again.
    """
    observation, everyone = crowd.observation(), np.arange(crowd.n)
    probabilities = policy.probabilities(observation, crowd.mask)
    items = draw(probabilities, random)
    rewards = react(crowd.shop, crowd.utility[everyone, items], random) == 2
    return Log(
        hours(observation), items, rewards.astype(float), probabilities[everyone, items]
    )


def true_value(crowd: Crowd, target: np.ndarray) -> float:
    """The mean reward that a policy's probabilities (n, n_items) really earn: the
    simulator knows P(bought).
    """
    bought = expit(crowd.utility - crowd.shop.parameters.buy_threshold)
    return float((target * bought).sum(axis=1).mean())


def ips(rewards: np.ndarray, weights: np.ndarray) -> float:
    """Inverse propensity score (Horvitz and Thompson 1952): unbiased where propensities
    are true and positive.
    """
    return float(np.mean(weights * rewards))


def snips(rewards: np.ndarray, weights: np.ndarray) -> float:
    """Self-normalised IPS: divides by the sum of the weights; a little bias for less
    variance.
    """
    return float(np.sum(weights * rewards) / np.sum(weights))


def direct(predicted: np.ndarray, target: np.ndarray) -> float:
    """The direct method: what a model of the reward, (n_items,) or (n, n_items), says;
    as biased as the model.
    """
    return float((target * predicted).sum(axis=1).mean())


def doubly_robust(
    rewards: np.ndarray,
    weights: np.ndarray,
    items: np.ndarray,
    predicted: np.ndarray,
    target: np.ndarray,
) -> float:
    """The model's answer plus the weighted mistakes it made on the log; predicted
    (n_items,).
    """
    return direct(predicted, target) + float(
        np.mean(weights * (rewards - predicted[items]))
    )


def category_rates(log: Log, category: np.ndarray) -> np.ndarray:
    """A coarse model of the reward, (n_items,): the buy rate of the item's category in
    the log.
    """
    shown = np.bincount(category[log.items], minlength=len(CATEGORIES))
    bought = np.bincount(category[log.items], log.rewards, minlength=len(CATEGORIES))
    return ((bought + log.rewards.mean()) / (shown + 1))[category]


def counted_propensities(log: Log, n_items: int) -> np.ndarray:
    """Propensities (n,) as shares of all showings, blind to context."""
    share = (np.bincount(log.items, minlength=n_items) + 1) / (len(log.items) + n_items)
    return share[log.items]


def modelled_propensities(log: Log, category: np.ndarray) -> np.ndarray:
    """Propensities (n,): a softmax regression of the category on the hour, times the
    item's share in its category.
    """
    kinds, clock = category[log.items], np.eye(24)
    (hour, kind), repeated = np.unique(
        np.stack([log.hour, kinds]), axis=1, return_counts=True
    )
    model = LogisticRegression(C=10.0, max_iter=500).fit(
        clock[hour], kind, sample_weight=repeated
    )
    by_category = model.predict_proba(clock)[
        log.hour, np.searchsorted(model.classes_, kinds)
    ]
    times = np.bincount(log.items, minlength=len(category)) + 1
    return by_category * (times / np.bincount(category, times)[category])[log.items]


def estimates(log: Log, target: np.ndarray, category: np.ndarray) -> dict[str, float]:
    """What naive replay and the four estimators say of a policy, by one log; the model
    is `category_rates`.
    """
    weights, model = log.weights(target), category_rates(log, category)
    matches = target[np.arange(len(weights)), log.items]
    return {
        "replay": snips(log.rewards, matches),
        "IPS": ips(log.rewards, weights),
        "SNIPS": snips(log.rewards, weights),
        "direct": direct(model, target),
        "doubly robust": doubly_robust(log.rewards, weights, log.items, model, target),
    }


def by_propensity(
    log: Log, target: np.ndarray, category: np.ndarray
) -> dict[str, float]:
    """SNIPS with known propensities and with two estimates of them."""
    guesses = {
        "known": log.propensities,
        "share of showings": counted_propensities(log, len(category)),
        "softmax on the hour": modelled_propensities(log, category),
    }
    return {
        name: snips(log.rewards, log.weights(target, p)) for name, p in guesses.items()
    }


def errors(found: Sequence[dict[str, float]], truth: float) -> pd.DataFrame:
    """Bias with twice its standard error, and spread, of estimates from many logs, per
    100 showings.
    """
    each = 100 * (pd.DataFrame(found) - truth)
    return pd.DataFrame(
        {"bias": each.mean(), "±": 2 * each.sem(), "spread": each.std()}
    )

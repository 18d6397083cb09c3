"""What would another policy have earned? Answers from a log.

In the log each customer was shown one item. It has the hours, the items shown, the
rewards, and the propensities: with which probability the old policy showed just that
item. The new policy is known by its probabilities `target` (n, n_items). With the
weights w = target / propensity of the item shown, four estimators of its mean reward
are a line each (Dudík, Langford and Li 2011, arXiv:1103.4601; for SNIPS, Swaminathan
and Joachims 2015).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from xrec_utils.shop.environment import HOURS, Crowd
from xrec_utils.shop.shop import CATEGORIES, Shop, react

PROMOTED = tuple(CATEGORIES.index(name) for name in ("novel", "e-reader", "lamp"))
EVENING = 17


@dataclass(frozen=True)
class Log:
    """n customers who were shown one item each.

    hour: of the visit (n,), 0 to 23. items: codes (n,). rewards: (n,), 0 or 1.
    propensities: (n,), above 0.
    """

    hour: np.ndarray
    items: np.ndarray
    rewards: np.ndarray
    propensities: np.ndarray

    def weights(
        self, target: np.ndarray, propensities: np.ndarray | None = None
    ) -> np.ndarray:
        """target / propensity of the items shown, (n,).

        target: (n, n_items). propensities: (n,), the log's own unless given.
        """
        if propensities is None:
            propensities = self.propensities
        return self.matches(target) / propensities

    def matches(self, target: np.ndarray) -> np.ndarray:
        """Probability of the item shown under target (n, n_items): (n,)."""
        everyone = np.arange(len(self.items))
        return target[everyone, self.items]


def hours(observation: np.ndarray) -> np.ndarray:
    """The hour of each observation, 0 to 23."""
    return observation[:, HOURS].argmax(axis=1)


class OldPolicy:
    """Shows items by their exposure, and in the evening promotes three categories.

    After five o'clock, what one reads by (novel, e-reader, lamp) is shown `promotion`
    times as often.

    Args:
        shop: the shop.
        promotion: factor of the evening.

    Example:
        >>> from xrec_utils.shop.shop import Shop
        >>> crowd = Crowd(Shop(0), n=3, visits=1, steps=1)
        >>> old = OldPolicy(crowd.shop)
        >>> share = old.probabilities(crowd.observation(), crowd.mask)
        >>> share.shape, share.sum(axis=1).round(6).tolist()
        ((3, 224), [1.0, 1.0, 1.0])
    """

    def __init__(self, shop: Shop, promotion: float = 5.0) -> None:
        self.day = shop.exposure
        self.evening = shop.exposure * np.where(
            np.isin(shop.category, PROMOTED), promotion, 1.0
        )

    def probabilities(self, observation: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(n, n_items), rows add up to one."""
        late = hours(observation)[:, None] >= EVENING
        exposure = np.where(late, self.evening, self.day)
        # what is left shares the probability of what was shown before
        share = exposure * mask
        return share / share.sum(axis=1, keepdims=True)

    def act(
        self, observation: np.ndarray, mask: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        """Draw one item for each customer: codes (n,)."""
        return draw(self.probabilities(observation, mask), random)


class TopList:
    """Shows one of the k items with the highest fixed scores, each with 1/k.

    It is a list of k places seen from far away.

    Args:
        scores: (n_items,), highest first; of equal ones the lower code.
        k: length of the list.

    Raises:
        ValueError: `probabilities` for a mask with other items than `scores`.

    Example:
        >>> mask = np.array([[True, True, True], [True, True, False]])
        >>> TopList([1, 5, 9], k=2).probabilities(None, mask).tolist()
        [[0.0, 0.5, 0.5], [0.5, 0.5, 0.0]]
    """

    def __init__(self, scores: np.ndarray, k: int = 12) -> None:
        self.scores = np.asarray(scores)
        self.k = k

    def probabilities(self, observation: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(n, n_items), rows add up to one where k items are left."""
        scores = np.where(mask, self.scores, -np.inf)
        ranked = np.argsort(-scores, axis=1, kind="stable")
        first = ranked[:, : self.k]
        share = np.zeros(mask.shape)
        np.put_along_axis(share, first, 1 / self.k, axis=1)
        return share


def draw(probabilities: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One column for each row of probabilities (n, m): (n,)."""
    edges = probabilities.cumsum(axis=1)
    # up to the last edge, not to one: rounding must not leave a gap
    last = edges[:, -1:]
    place = random.random(last.shape) * last
    return (place < edges).argmax(axis=1)


def record(crowd: Crowd, policy: OldPolicy, random: np.random.Generator) -> Log:
    """Show every customer one item and write down what happened.

    The crowd does not change, so the same customers can be asked again.

    Args:
        crowd: n customers at the beginning of a visit.
        policy: shows the items; any policy with `probabilities`.
        random: draws items and reactions.

    Returns:
        The `Log` of n showings, with the true propensities.

    Example:
        >>> from xrec_utils.shop.shop import Shop
        >>> crowd = Crowd(Shop(0), n=4, visits=1, steps=1)
        >>> log = record(crowd, OldPolicy(crowd.shop), np.random.default_rng(0))
        >>> log.items.shape, set(log.rewards.tolist()) <= {0.0, 1.0}
        ((4,), True)
        >>> bool((log.propensities > 0).all()), crowd.clock
        (True, 0)
    """
    observation = crowd.observation()
    everyone = np.arange(crowd.n)
    probabilities = policy.probabilities(observation, crowd.mask)
    items = draw(probabilities, random)
    utility = crowd.utility[everyone, items]
    reactions = react(crowd.shop, utility, random)
    return Log(
        hour=hours(observation),
        items=items,
        rewards=(reactions == 2).astype(float),
        propensities=probabilities[everyone, items],
    )


def true_value(crowd: Crowd, target: np.ndarray) -> float:
    """The mean reward that a policy's probabilities really earn.

    The simulator knows P(bought) = σ(utility - buy threshold).

    Args:
        crowd: n customers.
        target: probabilities (n, n_items) of one showing.

    Returns:
        Purchases per showing, from 0 to 1.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> from xrec_utils.shop.shop import Shop
        >>> crowd = Crowd(Shop(0), n=2, visits=1, steps=1)
        >>> target = np.zeros((2, 224))
        >>> target[:, 7] = 1.0  # everybody is shown item 7
        >>> utility = crowd.utility[:, 7] - crowd.shop.parameters.buy_threshold
        >>> chance = 1 / (1 + np.exp(-utility))
        >>> bool(np.isclose(true_value(crowd, target), chance.mean()))
        True
    """
    threshold = crowd.shop.parameters.buy_threshold
    bought = expit(crowd.utility - threshold)
    return float((target * bought).sum(axis=1).mean())


def ips(rewards: np.ndarray, weights: np.ndarray) -> float:
    """Inverse propensity score (Horvitz and Thompson 1952), the mean reward.

    Unbiased where propensities are true and positive. Rewards and weights (n,).
    """
    return float(np.mean(weights * rewards))


def snips(rewards: np.ndarray, weights: np.ndarray) -> float:
    """Self-normalised IPS: a little bias for less variance.

    It divides by the sum of the weights. Rewards and weights (n,).
    """
    return float(np.sum(weights * rewards) / np.sum(weights))


def direct(predicted: np.ndarray, target: np.ndarray) -> float:
    """The direct method: what a model of the reward says, as biased as the model.

    predicted: (n_items,) or (n, n_items). target: (n, n_items).
    """
    return float((target * predicted).sum(axis=1).mean())


def doubly_robust(
    rewards: np.ndarray,
    weights: np.ndarray,
    items: np.ndarray,
    predicted: np.ndarray,
    target: np.ndarray,
) -> float:
    """The model's answer plus the weighted mistakes it made on the log.

    Rewards, weights and items (n,), predicted (n_items,), target (n, n_items).
    """
    return direct(predicted, target) + float(
        np.mean(weights * (rewards - predicted[items]))
    )


def category_rates(log: Log, category: np.ndarray) -> np.ndarray:
    """A coarse model of the reward, (n_items,): the buy rate of the item's category.

    category: code (n_items,) of each item. Each category is taken to have one more
    showing in the log, with the mean reward.
    """
    kinds = category[log.items]
    bought = np.bincount(kinds, log.rewards, minlength=len(CATEGORIES))
    # with the one more showing of each
    shown = np.bincount(kinds, minlength=len(CATEGORIES)) + 1
    rates = (bought + log.rewards.mean()) / shown
    return rates[category]


def counted_propensities(log: Log, n_items: int) -> np.ndarray:
    """Propensities (n,) as shares of all showings, blind to context."""
    times = np.bincount(log.items, minlength=n_items) + 1
    return times[log.items] / times.sum()


def modelled_propensities(log: Log, category: np.ndarray) -> np.ndarray:
    """Propensities (n,) from a softmax regression of the category on the hour.

    The category's probability is multiplied by the item's share in its category.
    category: code (n_items,) of each item.
    """
    kinds = category[log.items]
    clock = np.eye(24)
    (hour, kind), repeated = np.unique(
        # equal rows are joined: at most 24 hours times 14 categories
        np.stack([log.hour, kinds]),
        axis=1,
        return_counts=True,
    )
    model = LogisticRegression(C=10.0, max_iter=500)
    model.fit(clock[hour], kind, sample_weight=repeated)
    # (hours, categories that were shown)
    chances = model.predict_proba(clock)
    column = np.searchsorted(model.classes_, kinds)
    by_category = chances[log.hour, column]
    times = np.bincount(log.items, minlength=len(category)) + 1
    of_category = np.bincount(category, times)
    share = times / of_category[category]
    return by_category * share[log.items]


def estimates(log: Log, target: np.ndarray, category: np.ndarray) -> dict[str, float]:
    """What naive replay and the four estimators say of a policy, by one log.

    Args:
        log: n showings of the old policy.
        target: the new policy's probabilities (n, n_items).
        category: code (n_items,) of each item; the model of the reward is
            `category_rates`.

    Returns:
        The mean reward, in purchases per showing, by replay (the rewards weighted with
        target alone), IPS, SNIPS, direct, doubly robust. Replay and SNIPS are NaN where
        the new policy shows nothing of what is in the log.

    Raises:
        IndexError: the log has an item that `target` or `category` do not know.

    Example:
        >>> log = Log(
        ...     hour=np.array([9, 9]),
        ...     items=np.array([0, 1]),
        ...     rewards=np.array([1.0, 0.0]),
        ...     propensities=np.array([0.5, 0.5]),
        ... )
        >>> target = np.array([[0.75, 0.25], [0.75, 0.25]])
        >>> both = estimates(log, target, category=np.array([0, 1]))
        >>> both["IPS"]  # (1 * 0.75 / 0.5 + 0) / 2
        0.75
        >>> both["direct"]  # both categories: (bought + 0.5) / (1 + 1)
        0.625
    """
    weights = log.weights(target)
    model = category_rates(log, category)
    return {
        "replay": snips(log.rewards, log.matches(target)),
        "IPS": ips(log.rewards, weights),
        "SNIPS": snips(log.rewards, weights),
        "direct": direct(model, target),
        "doubly robust": doubly_robust(log.rewards, weights, log.items, model, target),
    }


def by_propensity(
    log: Log, target: np.ndarray, category: np.ndarray
) -> dict[str, float]:
    """SNIPS with known propensities and with two estimates of them.

    Args:
        log: n showings of the old policy.
        target: the new policy's probabilities (n, n_items).
        category: code (n_items,) of each item.

    Returns:
        The mean reward, in purchases per showing, by the propensities "known", "share
        of showings" (`counted_propensities`) and "softmax on the hour"
        (`modelled_propensities`).

    Raises:
        ValueError: the log shows items of one category only, so that there is nothing
            to model.

    Example:
        >>> log = Log(
        ...     hour=np.array([9, 20]),
        ...     items=np.array([0, 1]),
        ...     rewards=np.array([1.0, 0.0]),
        ...     propensities=np.array([0.5, 0.5]),
        ... )
        >>> target = np.array([[0.75, 0.25], [0.75, 0.25]])
        >>> values = by_propensity(log, target, category=np.array([0, 1]))
        >>> list(values)
        ['known', 'share of showings', 'softmax on the hour']
        >>> values["known"], values["share of showings"]  # 0.75 of the weight
        (0.75, 0.75)
    """
    guesses = {
        "known": log.propensities,
        "share of showings": counted_propensities(log, len(category)),
        "softmax on the hour": modelled_propensities(log, category),
    }
    return {
        name: snips(log.rewards, log.weights(target, propensities))
        for name, propensities in guesses.items()
    }


def estimate_errors(found: Sequence[dict[str, float]], truth: float) -> pd.DataFrame:
    """Bias and spread of estimates from many logs, per 100 showings.

    Args:
        found: {estimator: mean reward} of each log, or a table with a row per log.
        truth: the true mean reward.

    Returns:
        A row per estimator: bias, "±" (twice the standard error of the bias) and
        spread (standard deviation over the logs); the last two are NaN for one log.

    Example:
        >>> table = estimate_errors([{"IPS": 0.5}, {"IPS": 0.7}], truth=0.4)
        >>> table.loc["IPS", ["bias", "±"]].round(6).tolist()
        [20.0, 20.0]
    """
    each = 100 * (pd.DataFrame(found) - truth)
    return pd.DataFrame(
        {"bias": each.mean(), "±": 2 * each.sem(), "spread": each.std()}
    )

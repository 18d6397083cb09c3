"""The table of policies in the shop: `python -m xrec_tools.bench.policy`.

With `tune` the settings are tried again. Each shop seed has items, a log and training
customers of its own. What is chosen, is chosen on validation customers of seed 0, once
for all seeds. Test customers are met once, by every policy with the same noise.
"""

import argparse
import io
import time
from collections.abc import Callable
from copy import deepcopy
from itertools import chain

import numpy as np
import pandas as pd

from xrec_utils import set_seed
from xrec_utils.files import DATA, replace_bytes, replace_text
from xrec_utils.metrics.intervals import Interval, mean_interval, paired_interval
from xrec_utils.shop import TEST, TRAINING, VALIDATION, Crowd, Shop, simulate
from xrec_utils.shop import network as shop_network
from xrec_utils.shop.bandits import EpsilonGreedy, LinUCB, item_attributes
from xrec_utils.shop.network import (
    ALPHA,
    NetworkPolicy,
    policy_network,
    reinforce,
)
from xrec_utils.shop.policy import (
    Fixed,
    Oracle,
    Policy,
    Random,
    buy_rates,
    play,
    popularity,
)

BENCH = DATA / "bench"
TABLE = BENCH / "policy.csv"
TUNING = BENCH / "policy_tuning.csv"
SEEDS = (0, 1, 2)
CUSTOMERS = 1000
VALIDATED = 500
CROWD = 100  # every learner meets 40 crowds of 100 customers, in two halves
FIRST = range(TRAINING, TRAINING + 20)
SECOND = range(TRAINING + 20, TRAINING + 40)
RATE = 1e-2


class Workshop:
    """A shop, what its log says about its items, and the training of each learner.

    Every learner meets the same number of customers.
    """

    def __init__(self, seed: int) -> None:
        self.shop = Shop(seed)
        self.seed = seed
        self.log = simulate(self.shop).shown
        self.rates = buy_rates(self.log, self.shop.n_items)
        self.attributes = item_attributes(self.shop, self.rates)

    def epsilon_greedy(self) -> EpsilonGreedy:
        """Explores one time in ten while it learns, then no more."""
        bandit = self._taught(
            EpsilonGreedy(self.shop.n_items),
            FIRST,
            SECOND,
        )
        bandit.epsilon = 0.0
        return bandit

    def teacher(self, alpha: float = ALPHA) -> LinUCB:
        """LinUCB after the first half of the customers."""
        return self._taught(
            LinUCB(
                self.shop,
                self.attributes,
                alpha,
            ),
            FIRST,
        )

    def linucb(self, teacher: LinUCB) -> LinUCB:
        """LinUCB after all customers, without its bonus."""
        bandit = self._taught(deepcopy(teacher), SECOND)
        bandit.alpha = 0.0
        return bandit

    def network(self, teacher: LinUCB, rate: float = RATE) -> NetworkPolicy:
        """The network after the second half of the customers, greedy.

        Its teacher met the first half.
        """
        set_seed(self.seed)
        teacher = deepcopy(teacher)
        teacher.alpha = 0.0
        policy = NetworkPolicy(policy_network(self.attributes), teacher)
        reinforce(policy, self.shop, SECOND, CROWD, rate=rate)
        policy.greedy = True
        return policy

    def _taught(self, bandit: Policy, *seeds: range) -> Policy:
        for seed in chain(*seeds):
            play(
                bandit,
                Crowd(self.shop, CROWD, seed),
                seed,
                learn=True,
            )
        return bandit


def reward(policy: Policy, shop: Shop, customers: int, seed: int) -> np.ndarray:
    """Purchases per customer, (customers,)."""
    crowd = Crowd(shop, customers, seed)
    # the oracle has to know the crowd
    if getattr(policy, "needs_crowd", False):
        policy = type(policy)(crowd)
    return play(policy, crowd)


def tune() -> pd.DataFrame:
    """Try three settings of LinUCB and three of the network once, on shop 0.

    They serve its validation customers.
    """
    workshop = Workshop(0)
    rows = []

    def note(name: str, setting: str, policy: Policy) -> None:
        row = {"policy": name, "setting": setting}
        mean = reward(policy, workshop.shop, VALIDATED, VALIDATION).mean()
        row["validation_reward"] = round(float(mean), 3)
        rows.append(row)
        print(row, flush=True)

    for alpha in (0.05, 0.2, 0.8):
        teacher = workshop.teacher(alpha)
        teacher.alpha = 0.0
        note("linucb", f"alpha={alpha}", teacher)
    teacher = workshop.teacher()
    for rate in (1e-3, 3e-3, 1e-2):
        note("network", f"rate={rate}", workshop.network(teacher, rate))
    return pd.DataFrame(rows)


def one_shop(seed: int) -> pd.DataFrame:
    """Train every policy for one shop and let it serve the test customers.

    Returns the rows of the table.
    """
    workshop = Workshop(seed)
    rewards: dict[str, np.ndarray] = {}
    seconds: dict[str, float] = {}
    started = time.process_time()
    teacher = workshop.teacher()
    first_half = time.process_time() - started
    builders: dict[str, Callable[[], Policy]] = {
        "random": Random,
        "popularity": lambda: popularity(workshop.log, workshop.shop.n_items),
        "buy rate": lambda: Fixed(workshop.rates),
        "epsilon-greedy": workshop.epsilon_greedy,
        "linucb": lambda: workshop.linucb(teacher),
        "network": lambda: workshop.network(teacher),
        "oracle": Oracle,
    }
    for name, build in builders.items():
        started = time.process_time()
        policy = build()
        seconds[name] = time.process_time() - started
        # both go on from the teacher, whose lessons count for each
        if name in ("linucb", "network"):
            seconds[name] += first_half
        rewards[name] = reward(
            policy,
            workshop.shop,
            CUSTOMERS,
            TEST,
        )
        mean = rewards[name].mean()
        print(f"  shop {seed}, {name}: {mean:.2f}, {seconds[name]:.0f} s", flush=True)
        # the weights of shop 0 are those that the course ships
        if name == "network" and seed == 0:
            save(policy)
    return table(seed, rewards, seconds)


def table(
    seed: int, rewards: dict[str, np.ndarray], seconds: dict[str, float]
) -> pd.DataFrame:
    """Means with 95% intervals over customers, and what the network is ahead.

    The latter are its paired differences to its two rivals.
    """
    base = rewards["popularity"].mean()
    rows = []
    for name, each in rewards.items():
        rows.append(
            _row(
                seed,
                name,
                mean_interval(each),
                each.mean() / base,
                seconds[name],
            )
        )
    for rival in ("linucb", "oracle"):
        # a difference has no ratio and costs no training
        rows.append(
            _row(
                seed,
                f"network minus {rival}",
                paired_interval(rewards["network"], rewards[rival]),
                np.nan,
                np.nan,
            )
        )
    digits = {"mean": 3, "low": 3, "high": 3}
    digits |= {"ratio_to_popularity": 2, "train_seconds": 1}
    return pd.DataFrame(rows).round(digits)


def _row(
    seed: int, name: str, interval: Interval, ratio: float, seconds: float
) -> dict[str, object]:
    return {
        "shop_seed": seed,
        "policy": name,
        "mean": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "ratio_to_popularity": ratio,
        "train_seconds": seconds,
    }


def save(policy: NetworkPolicy) -> None:
    """Ship the weights of the teacher, then those of the network.

    The latter stand in the order of `network.get_weights()`.
    """
    content = io.BytesIO()
    np.savez_compressed(
        content,
        policy.teacher.weights,
        *policy.network.get_weights(),
    )
    replace_bytes(shop_network.WEIGHTS, content.getvalue())


def main() -> None:
    """Run what the table lacks, a shop at a time; with `tune`, the settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", default="run", choices=["run", "tune"])
    if parser.parse_args().what == "tune":
        return replace_text(TUNING, tune().to_csv(index=False))
    rows = pd.DataFrame({"shop_seed": pd.Series(dtype=int)})
    if TABLE.exists():
        rows = pd.read_csv(TABLE)
    for seed in set(SEEDS) - set(rows["shop_seed"]):
        rows = pd.concat([rows, one_shop(seed)], ignore_index=True)
        replace_text(TABLE, rows.to_csv(index=False))


if __name__ == "__main__":
    main()

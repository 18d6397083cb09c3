"""The table of policies in the shop: `python -m xrec_utils.bench_policy` (`tune` tries
the settings again).

Each shop seed has items, a log and training customers of its own. What is chosen, is
chosen on validation customers of seed 0, once for all seeds. Test customers are met
once, by every policy with the same noise.
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
from xrec_utils.files import replace_bytes, replace_text
from xrec_utils.metrics import mean_interval, paired_interval
from xrec_utils.paths import DATA
from xrec_utils.policy import (
    TEST,
    TRAINING,
    VALIDATION,
    Crowd,
    EpsilonGreedy,
    Fixed,
    LinUCB,
    Oracle,
    Policy,
    Random,
    buy_rates,
    item_attributes,
    play,
    popularity,
)  # fmt: skip
from xrec_utils.policy_network import NetworkPolicy, policy_network, reinforce
from xrec_utils.shop import Shop
from xrec_utils.shop_log import simulate

BENCH, WEIGHTS = DATA / "bench", DATA / "weights" / "policy.npz"
TABLE, TUNING = BENCH / "policy.csv", BENCH / "policy_tuning.csv"
SEEDS, CUSTOMERS, VALIDATED = (0, 1, 2), 1000, 500
CROWD = 100  # every learner meets 40 crowds of 100 customers, in two halves
FIRST, SECOND = range(TRAINING, TRAINING + 20), range(TRAINING + 20, TRAINING + 40)
ALPHA, RATE = 0.8, 1e-2  # chosen by `tune`


class Workshop:
    """A shop, what its log says about its items, and a way to train each learner on the
    same number of customers.
    """

    def __init__(self, seed: int) -> None:
        self.shop, self.seed = Shop(seed), seed
        self.log = simulate(self.shop).shown
        self.rates = buy_rates(self.log, self.shop.n_items)
        self.attributes = item_attributes(self.shop, self.rates)

    def epsilon_greedy(self) -> EpsilonGreedy:
        """Explores one time in ten while it learns, then no more."""
        bandit = self._taught(EpsilonGreedy(self.shop.n_items), FIRST, SECOND)
        bandit.epsilon = 0.0
        return bandit

    def teacher(self, alpha: float = ALPHA) -> LinUCB:
        """LinUCB after the first half of the customers."""
        return self._taught(LinUCB(self.shop, self.attributes, alpha), FIRST)

    def linucb(self, teacher: LinUCB) -> LinUCB:
        """LinUCB after all customers, without its bonus."""
        bandit = self._taught(deepcopy(teacher), SECOND)
        bandit.alpha = 0.0
        return bandit

    def network(self, teacher: LinUCB, rate: float = RATE) -> NetworkPolicy:
        """The network after the second half of the customers, greedy; its teacher met
        the first half.
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
            play(bandit, Crowd(self.shop, CROWD, seed), seed, learn=True)
        return bandit


def reward(policy: Policy, shop: Shop, customers: int, seed: int) -> np.ndarray:
    """Purchases per customer, (customers,); the oracle is given the crowd it must know."""
    crowd = Crowd(shop, customers, seed)
    return play(Oracle(crowd) if policy is ORACLE else policy, crowd)


ORACLE = Fixed(np.zeros(1))  # stands for the oracle until there is a crowd


def tune() -> pd.DataFrame:
    """Try three settings of LinUCB and three of the network once, on shop 0 and its
    validation customers.
    """
    workshop, rows = Workshop(0), []

    def note(name: str, setting: str, policy: Policy) -> None:
        mean = reward(policy, workshop.shop, VALIDATED, VALIDATION).mean()
        rows.append(
            {
                "policy": name,
                "setting": setting,
                "validation_reward": round(float(mean), 3),
            }
        )
        print(rows[-1], flush=True)

    for alpha in (0.05, 0.2, 0.8):
        teacher = workshop.teacher(alpha)
        teacher.alpha = 0.0
        note("linucb", f"alpha={alpha}", teacher)
    teacher = workshop.teacher()
    for rate in (1e-3, 3e-3, 1e-2):
        note("network", f"rate={rate}", workshop.network(teacher, rate))
    return pd.DataFrame(rows)


def one_shop(seed: int) -> pd.DataFrame:
    """Train every policy for one shop and let it serve the test customers; returns the
    rows of the table.
    """
    workshop, rewards, seconds = Workshop(seed), {}, {}
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
        "oracle": lambda: ORACLE,
    }
    for name, build in builders.items():
        started = time.process_time()
        policy = build()
        seconds[name] = (
            time.process_time() - started + first_half * (name in ("linucb", "network"))
        )
        rewards[name] = reward(policy, workshop.shop, CUSTOMERS, TEST)
        print(
            f"  shop {seed}, {name}: {rewards[name].mean():.2f}, {seconds[name]:.0f} s",
            flush=True,
        )
        if name == "network" and seed == 0:
            save(policy)
    return table(seed, rewards, seconds)


def table(
    seed: int, rewards: dict[str, np.ndarray], seconds: dict[str, float]
) -> pd.DataFrame:
    """Means with 95% intervals over customers, and the paired differences of the
    network to its two rivals.
    """
    base = rewards["popularity"].mean()
    rows = [
        (name, mean_interval(each), each.mean() / base, seconds[name])
        for name, each in rewards.items()
    ]
    for rival in ("linucb", "oracle"):
        rows.append(
            (
                f"network minus {rival}",
                paired_interval(rewards["network"], rewards[rival]),
                np.nan,
                np.nan,
            )
        )
    return pd.DataFrame(
        [
            {
                "shop_seed": seed,
                "policy": name,
                "mean": i.mean,
                "low": i.low,
                "high": i.high,
                "ratio_to_popularity": ratio,
                "train_seconds": spent,
            }
            for name, i, ratio, spent in rows
        ]
    ).round(
        {"mean": 3, "low": 3, "high": 3, "ratio_to_popularity": 2, "train_seconds": 1}
    )


def save(policy: NetworkPolicy) -> None:
    """Ship the weights of the teacher and, in the order of `network.get_weights()`, of
    the network.
    """
    content = io.BytesIO()
    np.savez_compressed(content, policy.teacher.weights, *policy.network.get_weights())
    replace_bytes(WEIGHTS, content.getvalue())


def shipped(shop: Shop, attributes: np.ndarray) -> NetworkPolicy:
    """The policy trained for shop 0."""
    teacher, network = LinUCB(shop, attributes, alpha=0.0), policy_network(attributes)
    with np.load(WEIGHTS) as stored:
        teacher.weights, *weights = (stored[name] for name in stored.files)
    network.set_weights(weights)
    return NetworkPolicy(network, teacher, greedy=True)


def main() -> None:
    """Run what is missing from the table, a shop at a time; with `tune`, the settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", default="run", choices=["run", "tune"])
    if parser.parse_args().what == "tune":
        return replace_text(TUNING, tune().to_csv(index=False))
    rows = (
        pd.read_csv(TABLE)
        if TABLE.exists()
        else pd.DataFrame({"shop_seed": pd.Series(dtype=int)})
    )
    for seed in set(SEEDS) - set(rows["shop_seed"]):
        rows = pd.concat([rows, one_shop(seed)], ignore_index=True)
        replace_text(TABLE, rows.to_csv(index=False))


if __name__ == "__main__":
    main()

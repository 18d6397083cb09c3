"""Tables of tried answers to exercises whose numbers are made by hand here."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
from scipy.spatial.distance import jensenshannon
from scipy.special import softmax
from tried import (
    FORM,
    WRONG,
    Table,
    Tried,
    one_name,
    one_number,
    several_numbers,
    table_of,
)

from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game

STARS = np.array([1.0, 3, 4, 2.5, 5])
VALUES = np.array([0.4, -0.3, 0.1, 0.25, -0.05])
NAMES = ["Alien (1979)", "Heat (1995)", "Big (1988)", "Up (2009)", "Jaws (1975)"]
REASONS = Explanation(
    values=VALUES, players=NAMES, base=0.0, score=0.4, target="film", method="by hand"
)
PAIR = Game(
    players=["a", "b", "c"],
    value=lambda masks: masks @ np.array([1.0, -2, 0.5]) + masks[:, 0] * masks[:, 1],
    target="film",
)
EFFECTS = pd.DataFrame(
    {"linear": [0.25, 0.5, -0.125], "mlp": [0.5, -1, 0.375]},
    index=["user: mean stars", "film: mean stars", "film: raters"],
)
SUMS = pd.DataFrame(
    {"linear": [0.25, 0.375], "mlp": [0.5, -0.625]},
    index=["user", "film"],
)
SHOP = SimpleNamespace(
    events=pd.DataFrame(
        {"event": range(5), "behaviour": ["purchase"] * 3 + ["rate", "browse"]}
    ),
    reasons=pd.DataFrame({"event": [0, 0, 2]}),
)
AGAINST = replace(REASONS, values=-VALUES)
HIDDEN = 1 / (1 + np.exp(-np.array([2.3, 3.0])))
BACK = 1 / (1 + np.exp(-np.array([0.6, 1.3, 2.0])))
WEIGHTS = np.array([0.2, 0.1, 0.4, 0.1, 0.3])
P_VALUES = np.array([0.040, 0.001, 0.300, 0.012, 0.020])
AFTER = np.array([1, 2, 4, 12, 9, 300])
PROBABILITIES = np.array([0.2, 0.9, 0.5, 1.0])
MISSES = np.linspace(20, 60, 1000)
FEW = "films with exactly 3 do not count"


def kl(p: np.ndarray, q: np.ndarray) -> float:
    """Kullback and Leibler's divergence, which is NaN if a share is zero."""
    with np.errstate(all="ignore"):
        return (p * np.log(p / q)).sum()


# name: what the notebook hands over, and the answers tried
BY_HAND: dict[str, Table] = {
    "00.1": (
        {"case": SimpleNamespace(stars=STARS)},
        [*one_number(2), Tried(3, WRONG), Tried(np.int64(2))],
    ),
    "00.2": ({"reasons": REASONS}, one_name(NAMES[1], NAMES[0])),
    "00.3": (
        {"game": PAIR},
        [*several_numbers([2, -1, 0.5]), Tried([-2, 1, -0.5], "sign")],
    ),
    "02.1": ({}, [*one_number(0.5), Tried(2 / 3, "λ = 1"), Tried(0.4, WRONG)]),
    "02.2": (
        {},
        [
            *one_number(1 + 99 * 400 / 3400),
            Tried(12.6),
            Tried(99 * 400 / 3400, "one more"),
            Tried(1 + 99 * 401 / 3400, WRONG),
        ],
    ),
    "02.3": (
        {"weights": WEIGHTS, "stars": STARS},
        [*one_number(3 / 11), Tried("27%"), Tried(4 / 11, FEW), Tried(0.3, WRONG)],
    ),
    "03.1": ({}, [*one_number(0.3), Tried(0.7, WRONG), Tried(0.301, WRONG)]),
    "04.2": (
        {"n_items": 3496, "seen": 27},
        [
            *several_numbers([0.1, 10 / 3469]),
            Tried(("10%", "0.29%")),
            Tried((0.1, 10 / 3468), WRONG),
            Tried((0.1, 10 / 3470), WRONG),
            Tried((10 / 99, 10 / 3469), "candidate too"),
        ],
    ),
    "05.1": ({}, [*several_numbers([5, 6.6, 5]), Tried([4, 7, 5], WRONG)]),
    "05.2": (
        {"explanation": REASONS, "stars": STARS},
        [*one_number(0.65), Tried(0.35, FEW), Tried(0.66, WRONG)],
    ),
    "06.1": (
        {},
        [*several_numbers([6.5788135, 1]), Tried([6.58, 1]), Tried([7, 1], WRONG)],
    ),
    "07.2": ({}, [*several_numbers([1, np.sqrt(1.5)]), Tried([1, 1.5], WRONG)]),
    "07.3": (
        {"weights": np.array([1.0, 2, 4])},
        [*one_number(49 / 21), Tried(2.33), Tried(3, WRONG), Tried(21 / 49, WRONG)],
    ),
    "08.1": (
        {"probabilities": PROBABILITIES},
        [
            *several_numbers([0.09, np.log(0.09) / 4]),
            Tried([0.09, np.log(0.09)], "their mean"),
        ],
    ),
    "10.1": ({}, [*several_numbers([3, 3]), Tried([0, 0], "leave-one-out")]),
    "10.2": (
        {
            "explanations": [
                Explanation(
                    values=each,
                    players=["taste: Drama", "taste: War", "x"],
                    base=0.0,
                    score=0.0,
                    target="film",
                    method="by hand",
                )
                for each in np.array([[1, -2, 5], [3.0, -1, 5]])
            ]
        },
        [*one_number(1.5), Tried(3.5, "before adding"), Tried(0.5, WRONG)],
    ),
    "03.3": (
        {"effects": EFFECTS},
        [
            Tried(SUMS),
            Tried(SUMS.T),
            Tried(SUMS[::-1]),
            Tried(SUMS[["mlp", "linear"]]),
            Tried(SUMS.astype(np.float32)),
            Tried(SUMS.rename_axis("group")),
            Tried(SUMS.map(str)),
            Tried(SUMS / 2, WRONG),
            Tried(-SUMS, WRONG),
            Tried(SUMS.iloc[:1], FORM),
            Tried(EFFECTS, FORM),
            Tried(SUMS["mlp"], "Hint"),
            Tried(SUMS.to_numpy(), "Hint"),
        ],
    ),
    "04.1": (
        {},
        [
            Tried({(): 2112, (671,): 1_374_272}.get),
            Tried({(): 2112.0, (671,): 1_374_272.0}.get),
            Tried({(): np.int64(2112), (671,): np.int64(1_374_272)}.get),
            Tried({(): "2112", (671,): "1374272"}.get),
            Tried({(): [2112], (671,): [1_374_272]}.get),
            Tried({(): 23_584, (671,): 1_395_744}.get, "whole model"),
            Tried({(): 2048, (671,): 1_374_208}.get, WRONG),
            Tried({(): 2100, (671,): 1_374_272}.get, WRONG),
            Tried({(): 2112, (671,): 2112}.get, WRONG),
            Tried({(): None, (671,): None}.get, FORM),
            Tried({(): True, (671,): True}.get, FORM),
            Tried((2112, 1_374_272), "Hint"),
        ],
    ),
    "13.3": (
        {},
        [
            Tried(lambda p, x: p + np.outer(p @ x, p @ x) / (1 - x @ p @ x)),
            Tried(lambda p, x: p + np.outer(y := p @ x, y).astype("f4") / (1 - x @ y)),
            Tried(
                lambda p, x: np.add(p, np.outer(p @ x, p @ x) / (1 - x @ p @ x), out=p)
            ),
            # the question says: invert nothing
            Tried(
                lambda p, x: np.linalg.inv(np.linalg.inv(p) - np.outer(x, x)),
                "Singular matrix",
            ),
            Tried(
                lambda p, x: np.linalg.pinv(np.linalg.pinv(p) - np.outer(x, x)), WRONG
            ),
            Tried(lambda p, x: (p + np.outer(p @ x, x @ p) / (1 - x @ p @ x)).tolist()),
            Tried(
                lambda p, x: pd.DataFrame(p + np.outer(p @ x, p @ x) / (1 - x @ p @ x))
            ),
            Tried(lambda p, x: p - np.outer(p @ x, p @ x) / (1 + x @ p @ x), WRONG),
            Tried(lambda p, x: p - np.outer(p @ x, p @ x) / (1 - x @ p @ x), WRONG),
            Tried(lambda p, x: p + np.outer(p @ x, p @ x) / (1 + x @ p @ x), WRONG),
            Tried(lambda p, x: p + np.outer(x, x) / (1 - x @ p @ x), WRONG),
            Tried(lambda p, x: p, WRONG),
            Tried(lambda p, x: p @ x, FORM),
            Tried(lambda p, x: None if x is p else "inverse", FORM),
        ],
    ),
    "14.1": (
        {},
        [
            Tried(lambda s: softmax(s, axis=1)),
            Tried(lambda s: softmax(s, axis=1).tolist()),
            Tried(lambda s: softmax(s, axis=-1).astype(np.float32)),
            Tried(lambda s: pd.DataFrame(softmax(s, axis=1))),
            Tried(lambda s: np.exp(s) / np.exp(s).sum(axis=1, keepdims=True), "1,000"),
            Tried(lambda s: softmax(s, axis=0), WRONG),
            Tried(lambda s: softmax(s), WRONG),
            Tried(lambda s: 1 / (1 + np.exp(-s)), WRONG),
            Tried(lambda s: s, WRONG),
            Tried(lambda s: softmax(s, axis=1)[:, 0], "one row per text"),
            Tried(lambda s: softmax(s, axis=1).T, "one row per text"),
            Tried(lambda s: True if s.size else None, "one row per text"),
        ],
    ),
    "01.1": (
        {"shop": SHOP},
        [
            *one_number(2 / 3),
            Tried("67%"),
            Tried(0.4, "all events"),
            Tried(2, "number of"),
        ],
    ),
    "06.3": (
        {"likelihood": np.log([1.0, 2, 3]), "gap": np.zeros(3)},
        [
            *one_number(np.log(2)),
            Tried(0.693),
            Tried(np.log(6) / 3, "ELBO"),
            Tried(np.log(6), "logarithm of the sum"),
        ],
    ),
    "11.1": (
        {"game": PAIR},
        [*one_number(3), Tried(np.int64(3)), Tried(1, WRONG), Tried(1.5, WRONG)],
    ),
    "12.2": (
        {},
        [
            Tried(lambda p, q: jensenshannon(p, q) ** 2),
            Tried(lambda p, q: [jensenshannon(p, q) ** 2]),
            Tried(lambda p, q: np.float32(jensenshannon(p, q) ** 2)),
            Tried(lambda p, q: str(jensenshannon(p, q) ** 2)),
            Tried(
                lambda p, q: (kl(p, p / 2 + q / 2) + kl(q, p / 2 + q / 2)) / 2, "NaN"
            ),
            Tried(lambda p, q: jensenshannon(p, q), "square root"),
            Tried(lambda p, q: jensenshannon(p, q, 2) ** 2, WRONG),
            Tried(lambda p, q: kl(p, q), WRONG),
            Tried(lambda p, q: kl(p, p / 2 + q / 2), WRONG),
            Tried(lambda p, q: np.abs(p - q).sum() / 2, WRONG),
            Tried(lambda p, q: p - q, FORM),
            Tried(lambda p, q: p is q, FORM),
        ],
    ),
    "07.1": (
        {
            "planted": {"novel": np.array([0, 0, 1, 1])},
            "learned": {"novel": np.array([0.1, 0.2, 0.6, 0.7])},
        },
        [*one_number(0.5), Tried(0.65, "difference"), Tried(-0.5, WRONG)],
    ),
    "09.1": (
        {},
        [
            Tried((HIDDEN, BACK)),
            Tried([HIDDEN, BACK]),
            Tried((list(HIDDEN), tuple(BACK))),
            Tried((HIDDEN[:, None], BACK[:, None])),
            Tried((HIDDEN.astype(np.float32), BACK.astype(np.float32))),
            Tried((HIDDEN.round(3), BACK.round(3))),
            Tried(([2.3, 3.0], [0.6, 1.3, 2.0]), "sigmoid is still missing"),
            Tried((BACK, HIDDEN), FORM),
            Tried((HIDDEN, BACK[:2]), FORM),
            Tried((HIDDEN[::-1], BACK), WRONG),
            Tried((HIDDEN, BACK + 0.01), WRONG),
            Tried(HIDDEN, FORM),
        ],
    ),
    "11.3": (
        {
            "attention": REASONS,
            "gru": replace(REASONS, values=np.array([-0.1, -0.9, -0.4, 0.2, 0.3])),
        },
        [*one_name(NAMES[2], NAMES[0]), Tried(NAMES[1], WRONG)],
    ),
    "12.1": (
        {"trial": SimpleNamespace(shares=np.array([0.25, 0.25, 0.5]))},
        [*one_number(2**1.5), Tried(2.83), Tried(1.5 * np.log(2), "in nats")],
    ),
    "12.3": (
        {"weights": WEIGHTS, "exact": REASONS},
        [*one_name(NAMES[4], NAMES[2]), Tried(NAMES[1], WRONG)],
    ),
    "14.2": (
        {"attention": [REASONS] * 3, "exact": [REASONS, AGAINST, AGAINST]},
        [*one_number(2), Tried(np.int64(2)), Tried(1, WRONG), Tried(2 / 3, WRONG)],
    ),
    "14.3": (
        {"told": [SimpleNamespace(cited=[0, 3, 4]), SimpleNamespace(cited=[7])]},
        [*one_number(0.5), Tried("50%"), Tried(0.75, "0 to 3"), Tried(2, WRONG)],
    ),
    "15.1": (
        {"after": AFTER},
        [*one_number(4 / 6), Tried("67%"), Tried(3 / 5, "counts too"), Tried(4, WRONG)],
    ),
    "15.2": (
        {"p_values": P_VALUES},
        [
            *several_numbers([0.08, 0.005, 0.3, 0.048, 0.06]),
            Tried([0.2, 0.005, 1, 0.06, 0.1], "Bonferroni"),
            Tried([0.005, 0.048, 0.06, 0.08, 0.3], "in the order"),
        ],
    ),
    "19.1": (
        {"rate": 90.5, "wait": 0.2},
        [*one_number(923.1), Tried(923), Tried(905, WRONG), Tried(18.1, WRONG)],
    ),
    "19.2": (
        {"misses": MISSES},
        [
            *several_numbers([1, np.quantile(np.append(MISSES, np.ones(4000)), 0.99)]),
            Tried([1, np.quantile(MISSES, 0.99)], "hits included"),
        ],
    ),
}

for name, made in BY_HAND.items():
    table_of(name)(lambda made=made: made)

"""Tables of tried answers to exercises that explain models of the course.

Each is made when its test runs: what the notebook hands over, and the answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from tried import FORM, WRONG, Table, Tried, one_number, table_of

from xrec_utils import zoo
from xrec_utils.contract import recommend
from xrec_utils.explain.baselines import leave_one_out
from xrec_utils.explain.choose import explain
from xrec_utils.explain.closed_forms import mean_pool
from xrec_utils.explain.covers import minimal_linear
from xrec_utils.explain.shapley import brute_force, permutation_sampling
from xrec_utils.games.features import feature_game
from xrec_utils.games.game import history_game
from xrec_utils.models.by_hand import dense, multi_head, normal
from xrec_utils.service.core import Service
from xrec_utils.service.schema import RecommendRequest

ANOTHER = "is another question"
TEN = [  # the columns of notebook 10's game
    "film: mean stars",
    "taste: Musical",
    "taste: Crime",
    "user: mean stars",
    "taste: Comedy",
    "film: Romance",
    "taste: Fantasy",
    "user: pause",
    "film: raters",
    "taste: Drama",
]


@table_of("09.2")
def scales_of_a_twin() -> Table:
    mlp, names = zoo.load("feature_mlp"), zoo.features().names
    size = np.abs(mlp.get_weights()[0])
    place = names.index("film: Film-Noir")
    best = (size[place] / size.max(axis=0)).argmax()
    right = np.where(np.arange(64) == best, 1e4, 1.0)
    one_above = np.where(np.arange(64) == best, 2.0, 1.0)
    other = np.where(np.arange(64) == size[names.index(TEN[0])].argmax(), 1e4, 1.0)
    answers = [
        Tried(right),
        Tried(list(right)),
        Tried(tuple(right.astype(int))),
        Tried(right.astype(np.float32)),
        Tried(right[:, None]),
        Tried(pd.Series(right)),
        Tried([str(each) for each in right]),
        Tried(right / 100),
        Tried(right**2),
        Tried(2.5 * right),
        Tried(size[place]),
        Tried(np.ones(64), "largest sum is now on"),
        Tried(one_above, "largest sum is now on"),
        Tried(other, "largest sum is now on"),
        Tried(1 / size[place], "largest sum is now on"),
        Tried(right * 1e300, "no twin"),
        Tried(np.where(right > 1, 1e300, 1), "no twin"),
        Tried(right * 1e-300, "64 scales"),
        Tried(right / 1e44, "no twin"),
        Tried(right * 1e37, "no twin"),
        Tried(np.where(right > 1, np.inf, 1), "no twin"),
        Tried(np.where(right > 1, np.nan, 1), "64 scales"),
        Tried(-right, "64 scales"),
        Tried(np.where(right > 1, 1, 0), "64 scales"),
        Tried(right[:63], "64 scales"),
        Tried([*right, 1], "64 scales"),
        Tried([], "64 scales"),
        Tried(1e4, "64 scales"),
        Tried("film: Film-Noir", FORM),
        Tried(None, FORM),
    ]
    return {"mlp": mlp, "names": names}, answers


@table_of("09.3")
def without_attention() -> Table:
    model, case = zoo.load("attention"), zoo.running_case()
    ids, part = model.windows([case.history]), model.encoder.get_layer
    rows, bias = model.table.rows().numpy(), model.table.bias.numpy()
    parts = {
        "last film": rows[ids[0]] * 8,
        "position": part("position").table.numpy()[: ids.size][::-1],
    }

    def attended(stream: np.ndarray) -> np.ndarray:
        normed = normal(stream, part("attention_norm_1"))
        return multi_head(normed, part("attention_1"))[0]

    def forward(stream: np.ndarray) -> np.ndarray:
        normed = normal(stream, part("feed_forward_norm_1"))
        wide = dense(normed, part("feed_forward_1_wide"))
        return dense(np.maximum(wide, 0), part("feed_forward_1_narrow"))

    before = sum(parts.values())
    parts["attention"] = attended(before)
    parts["feed-forward"] = forward(before + parts["attention"])
    stream = sum(parts.values())

    def score(last: np.ndarray) -> float:
        hidden = normal(last, part("final_norm"))
        return float(hidden @ rows[case.item] + bias[case.item])

    left = stream[-1] - parts["attention"][-1]
    change = score(left) - score(stream[-1])
    gain = part("final_norm").get_weights()[0]
    added = parts["attention"][-1]
    bar = gain * (added - added.mean()) / stream[-1].std() @ rows[case.item]
    anew = before + forward(before)
    answers = [
        *one_number(change),
        Tried(round(change, 3)),
        Tried(-change, "the sign"),
        Tried(score(anew[-1]) - score(stream[-1]), WRONG),
        Tried(score(left), WRONG),
        Tried(-bar, WRONG),
        Tried(bar, WRONG),
        Tried(-added @ rows[case.item], WRONG),
        Tried(score(stream[-1] - parts["feed-forward"][-1]) - score(stream[-1]), WRONG),
        Tried(change / score(stream[-1]), WRONG),
        Tried(0, WRONG),
    ]
    return {"parts": parts, "item": case.item}, answers


@table_of("10.3")
def among_the_best_liked() -> Table:
    table, model = zoo.features(), zoo.load("feature_mlp")
    train, names = table.x("train"), table.names
    ratings = table.ratings[table.part == "test"]
    asked = (ratings["user"] == 213) & (ratings["item"] == 1035)
    row = table.x("test")[np.flatnonzero(asked)[0]]
    columns = [names.index(name) for name in TEN]
    by_stars = np.argsort(-train[:, columns[0]])
    best, worst = train[by_stars[:100]], train[by_stars[-100:]]
    usual = np.random.default_rng(0).choice(train, 100, replace=False)

    def predict(rows: np.ndarray) -> np.ndarray:
        return model(rows.astype("float32"), training=False).numpy()[:, 0]

    def predict_ten(rows: np.ndarray, columns: list[int] = columns) -> np.ndarray:
        whole = np.tile(row, (len(rows), 1))
        whole[:, columns] = rows
        return predict(whole)

    def exact(others: np.ndarray, columns: list[int] = columns) -> Any:
        ten = [names[column] for column in columns]
        asks = partial(predict_ten, columns=columns)
        return brute_force(feature_game(asks, row[columns], others[:, columns], ten))

    game = feature_game(predict_ten, row[columns], best[:, columns], TEN)
    whole = feature_game(predict, row, best, names)
    first = exact(best)
    answers = [
        *one_number(first.values[0]),
        Tried(round(first.values[0], 3)),
        Tried(exact(best, columns[::-1]).values[-1]),
        Tried(exact(usual).values[0], WRONG),
        Tried(exact(worst).values[0], WRONG),
        Tried(exact(best, columns[:5]).values[0], WRONG),
        Tried(exact(best, [columns[0], *range(9)]).values[0], WRONG),
        Tried(first.values[1], WRONG),
        Tried(-first.values[0], WRONG),
        Tried(leave_one_out(game).values[0], WRONG),
        Tried(first.score - first.base, WRONG),
        # the game of all columns, and an estimate where the exact value is asked for
        Tried(permutation_sampling(whole, 400).values[columns[0]], WRONG),
        Tried(permutation_sampling(whole, 2000).values[columns[0]], WRONG),
        Tried(permutation_sampling(game, 400).values[0], WRONG),
    ]
    handed = {"row": row[columns], "background": best[:, columns], "names": TEN}
    return {"predict": predict_ten, **handed}, answers


@table_of("11.2")
def mean_pools() -> Table:
    def pool(
        answers: np.ndarray, n: int = 0, others: Callable | None = None, last: int = 0
    ) -> np.ndarray:
        """The closed form, where something may be wrong."""
        count = len(answers)
        rest = (answers.sum() - answers) / (count - 1)
        harmonic = (1 / np.arange(1, count + 1 - last)).sum()
        return (answers + (answers - rest) * (harmonic - 1)) / (n or count)

    def in_place(answers: np.ndarray) -> np.ndarray:
        answers[:] = pool(answers)
        return answers

    def with_mean(answers: np.ndarray) -> np.ndarray:
        harmonic = (1 / np.arange(1, len(answers) + 1)).sum()
        return (answers + (answers - answers.mean()) * (harmonic - 1)) / len(answers)

    answers = [
        Tried(mean_pool),
        Tried(pool),
        Tried(in_place),
        Tried(lambda a: pool(a).tolist()),
        Tried(lambda a: tuple(pool(a))),
        Tried(lambda a: pd.Series(pool(a), index=a)),
        Tried(lambda a: pool(a)[:, None]),
        Tried(lambda a: pool(a).astype(np.float32)),
        Tried(lambda a: [str(each) for each in pool(a)]),
        Tried(lambda a: pool(pd.Series(a))),
        Tried(with_mean, WRONG),
        Tried(lambda a: pool(a, n=1), WRONG),
        Tried(lambda a: pool(a, last=1), WRONG),
        Tried(lambda a: -pool(a), WRONG),
        Tried(lambda a: pool(a)[::-1], WRONG),
        Tried(lambda a: a / len(a), WRONG),
        Tried(lambda a: a - (a.sum() - a) / (len(a) - 1), WRONG),
        Tried(lambda a: a.mean() - (a.sum() - a) / (len(a) - 1), WRONG),
        Tried(lambda a: a, WRONG),
        Tried(lambda a: pool(a) * np.nan, WRONG),
        Tried(lambda a: pool(a).sum(), FORM),
        Tried(lambda a: pool(a)[1:], FORM),
        Tried(lambda a: None if len(a) else 0, FORM),
        Tried(mean_pool([1.0, 2]), "Hint"),
    ]
    return {}, answers


@table_of("13.1")
def fewest_films() -> Table:
    ease, history = zoo.load("ease"), zoo.running_case().history[:10]
    item = int(recommend(ease, history, 1)[0])
    right = minimal_linear(ease, history, item, k=3).size
    answers = [
        *one_number(right),
        Tried(np.int64(right)),
        Tried(minimal_linear(ease, history, item, k=10).size, "top ten"),
        Tried(right + 1, WRONG),
        Tried(right - 1, WRONG),
        Tried(10 - right, WRONG),
        Tried(2**10, WRONG),
        Tried(history[:right], FORM),
    ]
    return {"model": ease, "history": history, "item": item}, answers


@table_of("13.2")
def foils() -> Table:
    ease, history = zoo.load("ease"), zoo.running_case().history
    ten = recommend(ease, history)
    item = int(ten[1])
    against = ease.weights[1429, ten] > ease.weights[1429, item]
    [right] = ten[against].tolist()
    outside = int(ease.weights[1429].argmax())
    assert outside not in ten
    answers = [
        *one_number(right),
        Tried(np.int32(right)),
        *(Tried(int(each), WRONG) for each in ten[~against]),
        Tried(1429, FORM),
        Tried(outside, FORM),
        Tried(int(np.flatnonzero(ten == right)[0]), FORM),
        Tried(right + 0.4, FORM),
        Tried(zoo.split().titles[right], FORM),
        Tried(ten, FORM),
    ]
    handed = {"model": ease, "history": history, "item": item, "film": 1429}
    return handed, answers


@table_of("15.3")
def broken_referees() -> Table:
    attention, case = zoo.load("attention"), zoo.running_case()
    game = history_game(attention, case.history, case.item)
    shapley = explain(game)
    values, order = shapley.values, shapley.top()
    places = (-values).argsort().argsort()

    def swapped(place: int) -> np.ndarray:
        other = values + 100
        pair = order[[place, place + 1]]
        other[pair] = other[pair[::-1]]
        return other

    right = values + 100
    answers = [
        Tried(right),
        Tried(list(right)),
        Tried(tuple(right)),
        Tried(right[:, None]),
        Tried(pd.Series(right)),
        Tried([str(each) for each in right]),
        Tried(right.astype(np.float32)),
        Tried(27 - places),
        Tried(1e6 * np.exp(values)),
        Tried(values + 2),
        Tried(values + 1, "the area is right"),
        Tried(np.exp(values) / 100, "the area is right"),
        *(Tried(swapped(place), WRONG) for place in range(26)),
        Tried(100 - values, WRONG),
        Tried(np.full(27, 100.0), WRONG),
        Tried(1e308 + values, WRONG),
        Tried(1 + places, WRONG),
        Tried(np.abs(values) * 1e3, WRONG),
        Tried(np.sort(right), WRONG),
        Tried(values, "positive"),
        Tried(1e3 * values, "positive"),
        Tried(values - values.min(), "positive"),
        Tried(right[:26], FORM),
        Tried([*right, 1], FORM),
        Tried(np.where(places, right, np.nan), FORM),
        Tried(np.where(places, right, np.inf), FORM),
        Tried(100, FORM),
        Tried([], FORM),
        Tried(shapley, FORM),
    ]
    return {"game": game, "shapley": shapley}, answers


@table_of("19.3")
def keys() -> Table:
    service = Service(models=("ease", "dae"))

    def codes(request: RecommendRequest) -> tuple[int, ...]:
        return tuple(service.understand(request.history)[0])

    def rest(request: RecommendRequest) -> tuple:
        version = service.versions[request.model]
        return request.model, version, request.explainer, request.k

    def key(request: RecommendRequest) -> tuple:
        return codes(request), *rest(request)

    def less(*left_out: int) -> Callable[[RecommendRequest], tuple]:
        """A key without some of: codes, model, version, explainer, k."""
        return lambda asked: tuple(np.delete(np.array(key(asked), object), left_out))

    def other(name: str, change: Callable) -> Callable[[RecommendRequest], tuple]:
        """A key to which something else is put for the codes or the version."""
        places = {"codes": 0, "version": 2}

        def changed(asked: RecommendRequest) -> tuple:
            parts = list(key(asked))
            parts[places[name]] = change(asked)
            return tuple(parts)

        return changed

    answers = [
        Tried(key),
        Tried(lambda asked: (codes(asked), rest(asked)[::-1])),
        Tried(lambda asked: str(key(asked))),
        Tried(lambda asked: repr(key(asked)).encode()),
        Tried(lambda asked: frozenset(enumerate(key(asked)))),
        Tried(lambda asked: json.dumps(key(asked))),
        Tried(other("codes", lambda asked: np.array(codes(asked)).tobytes())),
        Tried(less(1)),  # a version belongs to one model
        Tried(lambda asked: asked.model_copy(update={"history": key(asked)})),
        Tried(lambda asked: asked, "one history"),
        Tried(other("codes", lambda asked: asked.history), "one history"),
        Tried(other("codes", id), "one history"),
        Tried(other("codes", lambda asked: tuple(sorted(codes(asked)))), ANOTHER),
        Tried(other("codes", lambda asked: frozenset(codes(asked))), ANOTHER),
        Tried(other("codes", lambda asked: len(codes(asked))), ANOTHER),
        Tried(less(0), ANOTHER),
        Tried(less(1, 2), ANOTHER),
        Tried(less(3), ANOTHER),
        Tried(less(4), ANOTHER),
        Tried(codes, ANOTHER),
        Tried(lambda asked: 1 if asked else 2, ANOTHER),
        # without the version, with another model's, or with one that nobody can read
        Tried(less(2), WRONG),
        Tried(other("version", lambda asked: service.versions["ease"]), WRONG),
        Tried(lambda asked: hash(key(asked)), WRONG),
        Tried(lambda asked: list(key(asked)), "unhashable"),
        Tried(lambda asked: {"codes": codes(asked)}, "unhashable"),
        Tried(key(RecommendRequest(history=(1, 260))), "not callable"),
    ]
    return {"service": service}, answers

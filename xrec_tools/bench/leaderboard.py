"""The leaderboard: every explainer on the same recommendations, by every measure.

    python -m xrec_tools.bench.leaderboard          missing models, then the tables
                                                    (37 minutes when last run)
    python -m xrec_tools.bench.leaderboard tables   the tables from the stored rows

Users are the first 40 test users with 20 to 50 films; explained is the film that the
model puts first. Explainers that sample may ask for about as many scores as shap's
KernelExplainer does by default, 2n + 2048. The questions that the tables answer stand
in data/bench/README.md; they were written down before the first run. Rows per user are
stored in leaderboard_users.csv.gz, means with 95% bootstrap intervals over users in
leaderboard.csv and, over models that all rows share, in leaderboard_groups.csv; the
questions' paired differences with Holm's correction in leaderboard_tests.csv, and for
each model alone in leaderboard_models.csv.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from xrec_tools.bench.explainers import (
    BLACK_BOX,
    EXPLAINERS,
    LOOKS_AT,
    ORDERS_ONLY,
    SEEDED,
    Asked,
    Explainer,
    can,
    unit_columns,
)
from xrec_tools.bench.explanations import write_explanations
from xrec_tools.bench.questions import (
    COLUMNS,
    MODELS,
    ON_SHOP,
    ROWS,
    groups,
    tests,
    tests_by_model,
)
from xrec_tools.bench.store import Store
from xrec_utils import zoo
from xrec_utils.contract import top_k
from xrec_utils.explain.choose import explain
from xrec_utils.games import Explanation, Game
from xrec_utils.judge import (
    agreement_with_effect,
    agreement_with_truth,
    kendall,
    planted_cases,
    randomised_weights,
    relative_error,
    sensitivity,
    shop_game,
    stability,
    train_on_shop,
)
from xrec_utils.judge.deletion import (
    area,
    chance_area,
    deletion_curve,
    insertion_curve,
    oracle_order,
    order,
    share_of_possible,
)
from xrec_utils.judge.faithfulness import (
    completeness,
    films_until_gone,
    infidelity,
    pos_neg,
    ranks,
    sparsity,
)
from xrec_utils.shop import Shop, load_shop

USERS = 40  # of each model
FEW = 12  # for measures that explain again and again
CASES = 60  # choices in the shop
K = 10


# -- one user --------------------------------------------------------------------------


def questions(model: Any, split: Any, users: int) -> list[Asked]:
    """The first recommendation of the first test users who have 20 to 50 films."""
    train = split.train_histories()
    counts = np.bincount(np.concatenate(train), minlength=split.n_items)
    columns = unit_columns(train, split.n_items)
    background = [history for history in train if len(history) >= 20][:50]
    tested = split.cases("test").histories
    histories = [history for history in tested if 20 <= len(history) <= 50][:users]
    # (users,): each user's own first recommendation
    items = top_k(model.score(histories), k=1, seen=histories)[:, 0]
    return [
        Asked(model, history, int(item), counts, columns, background)
        for history, item in zip(histories, items, strict=True)
    ]


def marks_of(
    asked: Asked, user: int, model: Any, again: Asked | None
) -> Iterator[tuple[str, str, float]]:
    """(explainer, measure, value) for one user.

    again: the question put to the model with weights drawn anew; None leaves out what
    has to explain several times.
    """
    scales = _scales(asked.game, user)
    truth = explain(
        model,
        asked.history,
        asked.item,
        permutations=512,
        seed=10_000,
    )
    for name, make in EXPLAINERS.items():
        if not can(name, model):
            continue
        started = time.perf_counter()
        found = make(asked, user)
        yield name, "seconds", time.perf_counter() - started
        for measure, value in _faithful(asked, user, found, scales):
            yield name, measure, value
        yield name, "tau with Shapley", kendall(found.values, truth.values)
        if name not in ORDERS_ONLY:
            yield name, "completeness gap", completeness(found, floor=0.1)
            yield name, "Shapley error", relative_error(found.values, truth.values)
        if again is not None:
            yield from _again(name, make, asked, user, found, again)


# measure -> its curve, and whether the curve of the best order falls
CURVES = {"deletion": (deletion_curve, True), "insertion": (insertion_curve, False)}


def _scales(game: Game, user: int) -> dict[str, tuple[float, float]]:
    """(area of random orders, area of the best order) of each curve of a game."""
    scales = {}
    for measure, (curve, falls) in CURVES.items():
        scales[measure] = (
            chance_area(game, curve, seed=user),
            area(curve(game, oracle_order(game, falls, bins=10))),
        )
    return scales


def _faithful(
    asked: Asked, user: int, found: Explanation, scales: dict[str, tuple[float, float]]
) -> Iterator[tuple[str, float]]:
    """(measure, value) of how true one explanation is to the model."""
    game = asked.game
    best_first = order(found)
    for measure, (curve, _) in CURVES.items():
        chance, best = scales[measure]
        own = area(curve(game, best_first))
        yield measure, share_of_possible(own, chance, best)
    place = partial(
        ranks,
        asked.model,
        asked.history,
        asked.item,
    )
    stays = pos_neg(place, best_first, K)
    yield "pos@10", stays.pos
    yield "neg@10", stays.neg
    gone = films_until_gone(place, best_first, K)
    # an item that never leaves the list costs the whole history
    yield "films until gone", 1.0 if gone is None else gone / len(asked.history)
    yield "infidelity", infidelity(game, found, seed=user).relative
    yield "sparsity", sparsity(found)


def _again(
    name: str,
    make: Explainer,
    asked: Asked,
    user: int,
    found: Explanation,
    again: Asked,
) -> Iterator[tuple[str, str, float]]:
    """Measures for which the explainer works several times."""
    others = [found]
    if name in SEEDED | {"random"}:
        others = [make(asked, user + 1000 * n) for n in (1, 2)]
    yield name, "stability", stability([found, *others]).jaccard

    def explained(history: np.ndarray) -> Explanation:
        return make(asked.with_history(history), user)

    yield (
        name,
        "sensitivity",
        sensitivity(
            explained,
            asked.history,
            2,
            user,
        ).mean,
    )
    yield name, "randomised weights", randomised_weights(found, make(again, user))


def model_rows(name: str) -> pd.DataFrame:
    """All marks of all explainers on one model, in columns COLUMNS."""
    model = zoo.load(name)
    # a closed form has no weights to draw
    untrained = None if name == "ease" else zoo.build(name, seed=1)
    rows = []
    for user, asked in enumerate(questions(model, zoo.split(), USERS)):
        again = asked if untrained is None else replace(asked, model=untrained)
        for explainer, measure, value in marks_of(
            asked, user, model, again if user < FEW else None
        ):
            if untrained is None and measure == "randomised weights":
                continue
            rows.append((name, explainer, measure, user, value))
    return pd.DataFrame(rows, columns=COLUMNS)


# -- the planted truth -----------------------------------------------------------------


def shop_rows(name: str) -> pd.DataFrame:
    """Marks against the shop's true reasons.

    Explained is the shop itself ("itself"), or a model trained on its log.
    """
    shop = Shop()
    data = load_shop()
    model = None if name == "itself" else train_on_shop(name)
    purchases = [
        part["item"].to_numpy()
        for _, part in data.purchases().interactions.groupby("user")
    ]
    counts = np.bincount(np.concatenate(purchases), minlength=shop.n_items)
    columns = unit_columns(purchases, shop.n_items)
    rows = []
    for user, case in enumerate(planted_cases(shop, data, CASES)):
        own = shop_game(shop, case.owned, case.item) if model is None else None
        asked = Asked(
            model,
            case.owned,
            case.item,
            counts,
            columns,
            [],
            own,
        )
        for explainer in _on_shop(model):
            found = EXPLAINERS[explainer](asked, user)
            for measure, value in _true_to_shop(found, case).items():
                rows.append((f"shop: {name}", explainer, measure, user, value))
    return pd.DataFrame(rows, columns=COLUMNS)


def _true_to_shop(found: Explanation, case: Any) -> dict[str, float]:
    """Measure -> value of an explanation of a choice in the shop."""
    mark = agreement_with_truth(found, case.truth)
    effect = agreement_with_effect(found, case)
    return {
        "planted effect tau": effect["tau"],
        "planted effect gone": effect["gone"],
        "planted tau": mark.tau,
        "planted found": mark.found,
        "planted misplaced": mark.misplaced,
        f"planted found, {case.trap}": mark.found,
    }


def _on_shop(model: Any | None) -> list[str]:
    """The explainers that apply to a model of the shop's log, or to the shop itself."""
    names = [name for name in (*BLACK_BOX, *LOOKS_AT) if can(name, model)]
    # the shop's questions come without a background to expect over
    return [name for name in names if name != "expected gradients"]


def board(rows: pd.DataFrame, resamples: int = 2000) -> pd.DataFrame:
    """Mean over users with its 95% bootstrap interval.

    Columns: model, explainer, measure, mean, low, high, users.
    """
    random = np.random.default_rng(0)
    of = ["model", "explainer", "measure"]
    table = []
    for keys, part in rows.dropna().groupby(of, sort=False):
        values = part["value"].to_numpy()
        n = len(values)
        # (resamples, users): users drawn with repeats
        means = values[random.integers(n, size=(resamples, n))].mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        table.append((*keys, values.mean(), low, high, n))
    return pd.DataFrame(table, columns=[*of, "mean", "low", "high", "users"])


PARTS: dict[str, Callable[[], pd.DataFrame]] = {
    **{name: partial(model_rows, name) for name in MODELS},
    **{f"shop: {name}": partial(shop_rows, name) for name in ("itself", *ON_SHOP)},
}


def main(arguments: list[str] | None = None, store: Store | None = None) -> None:
    """Make the parts that are not stored yet, each stored when whole; then tables."""
    asked = sys.argv[1:] if arguments is None else arguments
    store = store or Store()
    rows = store.read(ROWS, ["part"])
    missing = [name for name in asked or PARTS if name not in set(rows["part"])]
    if asked == ["tables"]:
        missing = []
    for name in missing:
        started = time.perf_counter()
        rows = pd.concat(
            [
                rows,
                PARTS[name]().assign(part=name).round(4),
            ],
            ignore_index=True,
        )
        store.write(ROWS, rows)
        print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
    store.write("leaderboard.csv", board(rows).round(4))
    if set(PARTS) <= set(rows["part"]):
        store.write("leaderboard_groups.csv", groups(rows).round(4))
        store.write("leaderboard_tests.csv", tests(rows).round(4))
        store.write("leaderboard_models.csv", tests_by_model(rows).round(4))
    write_explanations(store)


if __name__ == "__main__":
    main()

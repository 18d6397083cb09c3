"""The leaderboard: every explainer on the same recommendations of the same users,
marked by every measure.

    python -m xrec_utils.bench_leaderboard          missing models, then the tables (about half an hour)
    python -m xrec_utils.bench_leaderboard tables   the tables from the stored rows

Users are the first 40 test users with 20 to 50 films; explained is the film that the
model puts first. Explainers that sample may ask for about as many scores as shap's
KernelExplainer does by default, 2n + 2048. The questions that the tables answer stand
in data/bench/README.md; they were written down before the first run. Rows per user are
stored in leaderboard_users.csv.gz, means with 95% bootstrap intervals over users in
leaderboard.csv, the questions' paired differences with Holm's correction in
leaderboard_tests.csv.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
import shap

from xrec_utils import zoo
from xrec_utils.agreement import (
    holm,
    kendall,
    paired_tests,
    randomised_weights,
    relative_error,
    sensitivity,
    stability,
)
from xrec_utils.bench_explanations import write_explanations
from xrec_utils.bench_store import Store
from xrec_utils.classic import EASE
from xrec_utils.explain.attention import attention_explanation, gradient_weighted
from xrec_utils.explain.auto import explain
from xrec_utils.explain.baselines import (
    leave_one_out,
    most_popular,
    most_recent,
    most_similar,
    random_order,
    unit_columns,
)
from xrec_utils.explain.gradients import (
    expected_gradients,
    gradient_times_input,
    integrated_gradients,
)
from xrec_utils.explain.lime import lime_history
from xrec_utils.faithfulness import (
    area,
    chance_area,
    completeness,
    deletion_curve,
    films_until_gone,
    infidelity,
    insertion_curve,
    oracle_order,
    order,
    pos_neg,
    ranks,
    roar,
    share_of_possible,
    sparsity,
)
from xrec_utils.games import Explanation, Game, history_game
from xrec_utils.planted import (
    agreement_with_truth,
    planted_cases,
    shop_game,
    train_on_shop,
)
from xrec_utils.shop import Shop
from xrec_utils.shop_log import load_shop

MODELS = (
    "ease",
    "dae",
    "vae",
    "din",
    "pooled_mlp",
    "attention",
    "gru",
    "gru_attention",
)
ON_SHOP = ("ease", "dae", "din", "gru")
USERS, FEW, CASES = (
    40,
    12,
    60,
)  # asked of each model; for measures that explain again and again; shop choices
K = 10
ROWS = "leaderboard_users.csv.gz"


@dataclass(eq=False)
class Asked:
    """One recommendation to explain: model, history (n,), item, and what the baselines
    know of all users.
    """

    model: Any
    history: np.ndarray
    item: int
    counts: np.ndarray
    columns: np.ndarray
    background: list[np.ndarray]
    own_game: Game | None = None

    @cached_property
    def game(self) -> Game:
        """The history game, or the shop's own."""
        return self.own_game or history_game(
            self.model, self.history, self.item, batch=2048
        )

    @property
    def samples(self) -> int:
        """Scores that a sampling explainer may ask for."""
        return 2 * len(self.history) + 2048

    def with_history(self, history: np.ndarray) -> Asked:
        """The same question from another history."""
        return replace(self, history=history)


def _shapley(asked: Asked, seed: int) -> Explanation:
    orders = max(4, asked.samples // len(asked.history) // 2 * 2)
    what = (asked.game,) if asked.own_game else (asked.model, asked.history, asked.item)
    return explain(*what, permutations=orders, seed=seed)


def _kernel(asked: Asked, seed: int) -> Explanation:
    game, n = asked.game, len(asked.history)
    np.random.seed(seed)  # shap draws from NumPy's global generator
    explainer = shap.KernelExplainer(lambda x: game(x > 0.5), np.zeros((1, n)))
    values = np.ravel(explainer.shap_values(np.ones((1, n)), silent=True))
    return Explanation(
        game.players,
        game.target,
        values,
        game.empty(),
        game.full(),
        "shap.KernelExplainer",
    )


def _permutation(asked: Asked, seed: int) -> Explanation:
    game, n = asked.game, len(asked.history)
    masker = shap.maskers.Independent(np.zeros((1, n)))
    explainer = shap.PermutationExplainer(lambda x: game(x > 0.5), masker, seed=seed)
    rounds = max(1, asked.samples // (2 * n + 1))
    values = explainer(
        np.ones((1, n)), max_evals=rounds * (2 * n + 1), silent=True
    ).values[0]
    return Explanation(
        game.players,
        game.target,
        values,
        game.empty(),
        game.full(),
        "shap.PermutationExplainer",
    )


EXPLAINERS: dict[str, Callable[[Asked, int], Explanation]] = {
    "Shapley (ours)": _shapley,
    "shap.PermutationExplainer": _permutation,
    "shap.KernelExplainer": _kernel,
    "LIME": lambda a, seed: lime_history(a.game, a.samples, seed),
    "leave-one-out": lambda a, seed: leave_one_out(a.game),
    "integrated gradients": lambda a, seed: integrated_gradients(
        a.model, a.history, a.item
    ),
    "expected gradients": lambda a, seed: expected_gradients(
        a.model, a.history, a.item, a.background, seed=seed
    ),
    "gradient x input": lambda a, seed: gradient_times_input(
        a.model, a.history, a.item
    ),
    "attention": lambda a, seed: attention_explanation(a.model, a.history, a.item),
    "gradient-weighted attention": lambda a, seed: gradient_weighted(
        a.model, a.history, a.item
    ),
    "most similar": lambda a, seed: most_similar(a.game, a.history, a.item, a.columns),
    "most popular": lambda a, seed: most_popular(a.game, a.history, a.counts),
    "most recent": lambda a, seed: most_recent(a.game),
    "random": lambda a, seed: random_order(a.game, seed),
}
SEEDED = {
    "Shapley (ours)",
    "shap.PermutationExplainer",
    "shap.KernelExplainer",
    "LIME",
    "expected gradients",
}
ORDERS_ONLY = {"attention", "most similar", "most popular", "most recent", "random"}
BLACK_BOX = tuple(
    name for name in EXPLAINERS if "gradient" not in name and "attention" not in name
)
NUMBERS = ("ease",)  # models without numbers to follow a gradient through


def can(name: str, model: Any) -> bool:
    """Does an explainer apply to a model: gradients need a network, attention needs
    weights.
    """
    if "attention" in name:
        return model.name in ("attention", "gru_attention", "din")
    return "gradient" not in name or model.name not in NUMBERS


# -- one user
# -----------------------------------------------------------------------------------------------------


def questions(model: Any, split: Any, users: int) -> list[Asked]:
    """The first recommendation of the first `users` test users who have 20 to 50 films."""
    train = split.train_histories()
    counts = np.bincount(np.concatenate(train), minlength=split.n_items)
    columns = unit_columns(train, split.n_items)
    background = [history for history in train if len(history) >= 20][:50]
    histories = [h for h in split.cases("test").histories if 20 <= len(h) <= 50][:users]
    scores = model.score(histories)
    for row, history in zip(scores, histories, strict=True):
        row[history] = -np.inf
    return [Asked(model, h, int(row.argmax()), counts, columns, background)
            for h, row in zip(histories, scores, strict=True)]  # fmt: skip


def marks_of(
    asked: Asked, user: int, model: Any, again: Asked | None
) -> Iterator[tuple[str, str, float]]:
    """(explainer, measure, value) for one user; again: the question put to the model
    with weights drawn anew.
    """
    game, place = asked.game, partial(ranks, asked.model, asked.history, asked.item)
    curves = {"deletion": (deletion_curve, True), "insertion": (insertion_curve, False)}
    chance = {
        name: chance_area(game, curve, seed=user) for name, (curve, _) in curves.items()
    }
    best = {
        name: area(curve(game, oracle_order(game, way, bins=10)))
        for name, (curve, way) in curves.items()
    }
    truth = explain(
        model, asked.history, asked.item, permutations=512, seed=10_000
    ).values
    for name, make in EXPLAINERS.items():
        if not can(name, model):
            continue
        started = time.perf_counter()
        found = make(asked, user)
        yield name, "seconds", time.perf_counter() - started
        for measure, (curve, _) in curves.items():
            yield (
                name,
                measure,
                share_of_possible(
                    area(curve(game, order(found))), chance[measure], best[measure]
                ),
            )
        stays = pos_neg(place, order(found), K)
        gone = films_until_gone(place, order(found), K)
        yield name, "pos@10", stays.pos
        yield name, "neg@10", stays.neg
        yield (
            name,
            "films until gone",
            1.0 if gone is None else gone / len(asked.history),
        )
        yield name, "infidelity", infidelity(game, found, seed=user).relative
        yield name, "sparsity", sparsity(found)
        yield name, "tau with Shapley", kendall(found.values, truth)
        if name not in ORDERS_ONLY:
            yield name, "completeness gap", completeness(found, floor=0.1)
            yield name, "Shapley error", relative_error(found.values, truth)
        if again is not None:
            yield from _again(name, make, asked, user, found, again)


def _again(
    name: str, make: Callable, asked: Asked, user: int, found: Explanation, again: Asked
) -> Iterator[tuple]:
    """Measures for which the explainer works several times."""
    others = (
        [make(asked, user + 1000 * n) for n in (1, 2)]
        if name in SEEDED | {"random"}
        else [found]
    )
    yield name, "stability", stability([found, *others]).jaccard
    yield (
        name,
        "sensitivity",
        sensitivity(
            lambda h: make(asked.with_history(h), user), asked.history, 2, user
        ).mean,
    )
    yield name, "randomised weights", randomised_weights(found, make(again, user))


def model_rows(name: str) -> pd.DataFrame:
    """All marks of all explainers on one model: model, explainer, measure, user, value."""
    model, untrained = (
        zoo.load(name),
        None if name == "ease" else zoo.build(name, seed=1),
    )
    rows = []
    for user, asked in enumerate(questions(model, zoo.split(), USERS)):
        again = asked if untrained is None else replace(asked, model=untrained)
        marks = marks_of(asked, user, model, again if user < FEW else None)
        rows += [
            (name, explainer, measure, user, value)
            for explainer, measure, value in marks
            if not (untrained is None and measure == "randomised weights")
        ]
    return pd.DataFrame(
        rows, columns=["model", "explainer", "measure", "user", "value"]
    )


# -- the planted truth
# --------------------------------------------------------------------------------------------


def shop_rows(name: str) -> pd.DataFrame:
    """Marks against the shop's true reasons: explaining the shop itself, or a model
    trained on its log.
    """
    shop, data, rows = Shop(), load_shop(), []
    model = None if name == "itself" else train_on_shop(name)
    purchases = [
        part["item"].to_numpy()
        for _, part in data.purchases().interactions.groupby("user")
    ]
    counts = np.bincount(np.concatenate(purchases), minlength=shop.n_items)
    columns = unit_columns(purchases, shop.n_items)
    for user, case in enumerate(planted_cases(shop, data, CASES)):
        own = shop_game(shop, case.owned, case.item) if model is None else None
        asked = Asked(model, case.owned, case.item, counts, columns, [], own)
        white = [
            n
            for n in EXPLAINERS
            if n not in BLACK_BOX
            and n != "expected gradients"
            and model
            and can(n, model)
        ]
        for explainer in (*BLACK_BOX, *white):
            mark = agreement_with_truth(EXPLAINERS[explainer](asked, user), case.truth)
            for measure, value in zip(
                ("tau", "found", "misplaced"), mark[:3], strict=True
            ):
                rows.append(
                    (f"shop: {name}", explainer, f"planted {measure}", user, value)
                )
            rows.append(
                (
                    f"shop: {name}",
                    explainer,
                    f"planted found, {case.trap}",
                    user,
                    mark.found,
                )
            )
    return pd.DataFrame(
        rows, columns=["model", "explainer", "measure", "user", "value"]
    )


def roar_rows() -> pd.DataFrame:
    """Remove-and-retrain once, with EASE: NDCG@10 of validation users after a third of
    each history went.
    """
    explainers = {
        "Shapley (ours)": explain,
        "most recent": lambda m, h, i: most_recent(history_game(m, h, i)),
        "least Shapley": lambda m, h, i: _turned(explain(m, h, i)),
    }
    setting = zoo.spec("ease").settings
    table = roar(
        explainers, zoo.split(), lambda h, n: EASE(**setting).fit(h, n), share=1 / 3
    )
    rows = table.reset_index().melt("user", var_name="explainer")
    return rows.assign(model="ease", measure="ROAR NDCG@10")[
        ["model", "explainer", "measure", "user", "value"]
    ]


def _turned(found: Explanation) -> Explanation:
    return Explanation(
        found.players,
        found.target,
        -found.values,
        found.base,
        found.score,
        found.method,
    )


# -- tables
# -------------------------------------------------------------------------------------------------------

# (question in data/bench/README.md, measure, better explainer, other explainer, models,
# +1 when more is better)
ATTENTIVE = ("din", "attention", "gru_attention")
NETWORKS = tuple(name for name in MODELS if name not in NUMBERS)
QUESTIONS: tuple[tuple[int, str, str, str, tuple[str, ...], int], ...] = (
    (11, "deletion", "Shapley (ours)", "leave-one-out", MODELS, 1),
    (12, "deletion", "Shapley (ours)", "LIME", MODELS, 1),
    (13, "deletion", "Shapley (ours)", "shap.KernelExplainer", MODELS, 1),
    (14, "deletion", "integrated gradients", "gradient x input", NETWORKS, 1),
    (15, "deletion", "attention", "random", ATTENTIVE, 1),
    (16, "deletion", "gradient-weighted attention", "attention", ATTENTIVE, 1),
    (17, "deletion", "most similar", "random", MODELS, 1),
    (18, "deletion", "most recent", "random", ("attention", "gru", "gru_attention"), 1),
    (19, "stability", "LIME", "shap.KernelExplainer", MODELS, 1),
    (20, "pos@10", "Shapley (ours)", "leave-one-out", MODELS, -1),
    (21, "films until gone", "Shapley (ours)", "LIME", MODELS, -1),
    (
        22,
        "planted found, redundant pair",
        "Shapley (ours)",
        "leave-one-out",
        ("shop: itself",),
        1,
    ),
    (23, "planted found", "Shapley (ours)", "random", ("shop: din", "shop: gru"), 1),
    (
        24,
        "planted found",
        "Shapley (ours)",
        "most similar",
        ("shop: din", "shop: gru"),
        1,
    ),
)


def tests(rows: pd.DataFrame) -> pd.DataFrame:
    """Each question's paired difference (in favour of the explainer named first), its
    interval, p and Holm's p.

    A user counts once, with the mean over the models of the question.
    """
    found = []
    for number, measure, one, other, models, sign in QUESTIONS:
        part = rows[
            (rows["measure"] == measure)
            & rows["model"].isin(models)
            & rows["explainer"].isin([one, other])
        ]
        table = part.pivot_table(values="value", index="user", columns="explainer")[
            [one, other]
        ].dropna()
        test = paired_tests(sign * table).iloc[0]
        found.append(
            {
                "question": number,
                "measure": measure,
                "better": one,
                "than": other,
                "models": " ".join(models),
                "users": len(table),
                **test[["mean", "low", "high", "p"]],
            }
        )
    table = pd.DataFrame(found)
    table["p_holm"] = holm(table["p"].to_numpy())
    return table.assign(verdict=np.where((table["low"] > 0) & (table["p_holm"] < 0.05), "holds",
                                         np.where((table["high"] < 0) & (table["p_holm"] < 0.05), "the reverse holds",
                                                  "not shown")))  # fmt: skip


def board(rows: pd.DataFrame, resamples: int = 2000) -> pd.DataFrame:
    """Mean over users with its 95% bootstrap interval: model, explainer, measure, mean,
    low, high, users.
    """
    random, table = np.random.default_rng(0), []
    for keys, part in rows.dropna().groupby(
        ["model", "explainer", "measure"], sort=False
    ):
        values = part["value"].to_numpy()
        means = values[
            random.integers(len(values), size=(resamples, len(values)))
        ].mean(axis=1)
        table.append(
            (*keys, values.mean(), *np.quantile(means, [0.025, 0.975]), len(values))
        )
    return pd.DataFrame(
        table, columns=["model", "explainer", "measure", "mean", "low", "high", "users"]
    )


PARTS: dict[str, Callable[[], pd.DataFrame]] = {
    **{name: partial(model_rows, name) for name in MODELS},
    **{f"shop: {name}": partial(shop_rows, name) for name in ("itself", *ON_SHOP)},
    "ROAR": roar_rows,
}


def main(arguments: list[str] | None = None, store: Store | None = None) -> None:
    """Make the parts that are not stored yet, each stored when it is whole, then the
    tables.
    """
    asked, store = sys.argv[1:] if arguments is None else arguments, store or Store()
    path = store.folder / ROWS
    rows = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["part"])
    for name in (
        []
        if asked == ["tables"]
        else [n for n in asked or PARTS if n not in set(rows["part"])]
    ):
        started = time.perf_counter()
        rows = pd.concat(
            [rows, PARTS[name]().assign(part=name).round(4)], ignore_index=True
        )
        store.write(ROWS, rows)
        print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
    store.write("leaderboard.csv", board(rows).round(4))
    if set(PARTS) <= set(rows["part"]):
        store.write("leaderboard_tests.csv", tests(rows).round(4))
    write_explanations(store)


if __name__ == "__main__":
    main()

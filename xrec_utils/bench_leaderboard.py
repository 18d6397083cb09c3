"""The leaderboard: every explainer on the same recommendations, by every measure.

    python -m xrec_utils.bench_leaderboard          missing models, then the tables
                                                    (about half an hour)
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
USERS = 40  # of each model
FEW = 12  # for measures that explain again and again
CASES = 60  # choices in the shop
K = 10
ROWS = "leaderboard_users.csv.gz"
COLUMNS = ["model", "explainer", "measure", "user", "value"]


@dataclass(eq=False)
class Asked:
    """One recommendation to explain: model, history (n,) and item.

    counts, columns and background are what the baselines know of all users.
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
        if self.own_game:
            return self.own_game
        return history_game(self.model, self.history, self.item, batch=2048)

    @property
    def samples(self) -> int:
        """Scores that a sampling explainer may ask for."""
        return 2 * len(self.history) + 2048

    def with_history(self, history: np.ndarray) -> Asked:
        """The same question from another history."""
        return replace(self, history=history)


Explainer = Callable[[Asked, int], Explanation]  # (question, seed) -> explanation


def _shapley(asked: Asked, seed: int) -> Explanation:
    # orders come in pairs, each beside its reverse
    orders = max(4, asked.samples // len(asked.history) // 2 * 2)
    if asked.own_game:
        return explain(asked.game, permutations=orders, seed=seed)
    return explain(
        asked.model, asked.history, asked.item, permutations=orders, seed=seed
    )


def _kernel(asked: Asked, seed: int) -> Explanation:
    game = asked.game
    n = len(asked.history)
    # shap draws from NumPy's global generator
    np.random.seed(seed)
    nothing = np.zeros((1, n))
    explainer = shap.KernelExplainer(lambda x: game(x > 0.5), nothing)
    values = explainer.shap_values(np.ones((1, n)), silent=True)
    return _of_game(game, np.ravel(values), "shap.KernelExplainer")


def _permutation(asked: Asked, seed: int) -> Explanation:
    game = asked.game
    n = len(asked.history)
    masker = shap.maskers.Independent(np.zeros((1, n)))
    explainer = shap.PermutationExplainer(lambda x: game(x > 0.5), masker, seed=seed)
    # shap asks for 2n + 1 scores per random order: fill the budget with whole ones
    per_order = 2 * n + 1
    orders = max(1, asked.samples // per_order)
    said = explainer(np.ones((1, n)), max_evals=orders * per_order, silent=True)
    return _of_game(game, said.values[0], "shap.PermutationExplainer")


def _of_game(game: Game, values: np.ndarray, method: str) -> Explanation:
    """What a method said of a game, with the scores of nothing and of everything."""
    return Explanation(
        game.players, game.target, values, game.empty(), game.full(), method
    )


def _of_model(method: Callable[..., Explanation]) -> Explainer:
    """A method that looks into the model and draws nothing, as an explainer."""
    return lambda a, seed: method(a.model, a.history, a.item)


def _expected_gradients(asked: Asked, seed: int) -> Explanation:
    return expected_gradients(
        asked.model, asked.history, asked.item, asked.background, seed=seed
    )


EXPLAINERS: dict[str, Explainer] = {
    "Shapley (ours)": _shapley,
    "shap.PermutationExplainer": _permutation,
    "shap.KernelExplainer": _kernel,
    "LIME": lambda a, seed: lime_history(a.game, a.samples, seed),
    "leave-one-out": lambda a, seed: leave_one_out(a.game),
    "integrated gradients": _of_model(integrated_gradients),
    "expected gradients": _expected_gradients,
    "gradient x input": _of_model(gradient_times_input),
    "attention": _of_model(attention_explanation),
    "gradient-weighted attention": _of_model(gradient_weighted),
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


# -- one user --------------------------------------------------------------------------


def questions(model: Any, split: Any, users: int) -> list[Asked]:
    """The first recommendation of the first test users who have 20 to 50 films."""
    train = split.train_histories()
    counts = np.bincount(np.concatenate(train), minlength=split.n_items)
    columns = unit_columns(train, split.n_items)
    background = [history for history in train if len(history) >= 20][:50]
    tested = split.cases("test").histories
    histories = [history for history in tested if 20 <= len(history) <= 50][:users]
    # (users, films): one row per user
    scores = model.score(histories)
    asked = []
    for row, history in zip(scores, histories, strict=True):
        # what was watched is not recommended again
        row[history] = -np.inf
        item = int(row.argmax())
        asked.append(Asked(model, history, item, counts, columns, background))
    return asked


def marks_of(
    asked: Asked, user: int, model: Any, again: Asked | None
) -> Iterator[tuple[str, str, float]]:
    """(explainer, measure, value) for one user.

    again: the question put to the model with weights drawn anew; None leaves out what
    has to explain several times.
    """
    scales = _scales(asked.game, user)
    truth = explain(model, asked.history, asked.item, permutations=512, seed=10_000)
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
        chance = chance_area(game, curve, seed=user)
        best = curve(game, oracle_order(game, falls, bins=10))
        scales[measure] = chance, area(best)
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
    place = partial(ranks, asked.model, asked.history, asked.item)
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

    moved = sensitivity(explained, asked.history, 2, user)
    yield name, "sensitivity", moved.mean
    yield name, "randomised weights", randomised_weights(found, make(again, user))


def model_rows(name: str) -> pd.DataFrame:
    """All marks of all explainers on one model, in columns COLUMNS."""
    model = zoo.load(name)
    # a closed form has no weights to draw
    untrained = None if name == "ease" else zoo.build(name, seed=1)
    rows = []
    for user, asked in enumerate(questions(model, zoo.split(), USERS)):
        again = asked if untrained is None else replace(asked, model=untrained)
        marks = marks_of(asked, user, model, again if user < FEW else None)
        for explainer, measure, value in marks:
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
    by_user = data.purchases().interactions.groupby("user")
    purchases = [part["item"].to_numpy() for _, part in by_user]
    counts = np.bincount(np.concatenate(purchases), minlength=shop.n_items)
    columns = unit_columns(purchases, shop.n_items)
    rows = []
    for user, case in enumerate(planted_cases(shop, data, CASES)):
        own = None
        if model is None:
            own = shop_game(shop, case.owned, case.item)
        asked = Asked(model, case.owned, case.item, counts, columns, [], own)
        for explainer in _on_shop(model):
            found = EXPLAINERS[explainer](asked, user)
            for measure, value in _true_to_shop(found, case).items():
                rows.append((f"shop: {name}", explainer, measure, user, value))
    return pd.DataFrame(rows, columns=COLUMNS)


def _true_to_shop(found: Explanation, case: Any) -> dict[str, float]:
    """Measure -> value of an explanation of a choice in the shop."""
    mark = agreement_with_truth(found, case.truth)
    return {
        "planted tau": mark.tau,
        "planted found": mark.found,
        "planted misplaced": mark.misplaced,
        f"planted found, {case.trap}": mark.found,
    }


def _on_shop(model: Any | None) -> list[str]:
    """The explainers that apply to a model of the shop's log, or to the shop itself."""
    names = list(BLACK_BOX)
    if model is None:
        return names
    for name in EXPLAINERS:
        # the shop's questions come without a background to expect over
        if name in BLACK_BOX or name == "expected gradients":
            continue
        if can(name, model):
            names.append(name)
    return names


def roar_rows() -> pd.DataFrame:
    """Remove-and-retrain once, with EASE, in columns COLUMNS.

    The value is NDCG@10 of a validation user after a third of each history went.
    """
    explainers = {
        "Shapley (ours)": explain,
        "most recent": lambda m, h, i: most_recent(history_game(m, h, i)),
        "least Shapley": lambda m, h, i: _turned(explain(m, h, i)),
    }
    settings = zoo.spec("ease").settings

    def train(histories: list[np.ndarray], n_items: int) -> EASE:
        return EASE(**settings).fit(histories, n_items)

    table = roar(explainers, zoo.split(), train, share=1 / 3)
    rows = table.reset_index().melt("user", var_name="explainer")
    return rows.assign(model="ease", measure="ROAR NDCG@10")[COLUMNS]


def _turned(found: Explanation) -> Explanation:
    """An explanation with its order turned round: the least film first."""
    return Explanation(
        found.players,
        found.target,
        -found.values,
        found.base,
        found.score,
        found.method,
    )


# -- tables ----------------------------------------------------------------------------

ATTENTIVE = ("din", "attention", "gru_attention")
RECURRENT_OR_ATTENTIVE = ("attention", "gru", "gru_attention")
ON_SHOP_NETWORKS = ("shop: din", "shop: gru")
NETWORKS = tuple(name for name in MODELS if name not in NUMBERS)
# (question in data/bench/README.md, measure, better explainer, other explainer, models,
# +1 when more is better)
QUESTIONS: tuple[tuple[int, str, str, str, tuple[str, ...], int], ...] = (
    (11, "deletion", "Shapley (ours)", "leave-one-out", MODELS, 1),
    (12, "deletion", "Shapley (ours)", "LIME", MODELS, 1),
    (13, "deletion", "Shapley (ours)", "shap.KernelExplainer", MODELS, 1),
    (14, "deletion", "integrated gradients", "gradient x input", NETWORKS, 1),
    (15, "deletion", "attention", "random", ATTENTIVE, 1),
    (16, "deletion", "gradient-weighted attention", "attention", ATTENTIVE, 1),
    (17, "deletion", "most similar", "random", MODELS, 1),
    (18, "deletion", "most recent", "random", RECURRENT_OR_ATTENTIVE, 1),
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
    (23, "planted found", "Shapley (ours)", "random", ON_SHOP_NETWORKS, 1),
    (24, "planted found", "Shapley (ours)", "most similar", ON_SHOP_NETWORKS, 1),
)


def tests(rows: pd.DataFrame) -> pd.DataFrame:
    """Each question's paired difference, its interval, p, Holm's p and the verdict.

    Differences are in favour of the explainer named first. A user counts once, with the
    mean over the models of the question.
    """
    answers = []
    for number, measure, one, other, models, sign in QUESTIONS:
        part = rows[(rows["measure"] == measure) & rows["model"].isin(models)]
        part = part[part["explainer"].isin([one, other])]
        # (users, 2): only users who have both
        both = part.pivot_table(values="value", index="user", columns="explainer")
        both = both[[one, other]].dropna()
        test = paired_tests(sign * both).iloc[0]
        answer = {
            "question": number,
            "measure": measure,
            "better": one,
            "than": other,
            "models": " ".join(models),
            "users": len(both),
            **test[["mean", "low", "high", "p"]],
        }
        answers.append(answer)
    table = pd.DataFrame(answers)
    table["p_holm"] = holm(table["p"].to_numpy())
    return table.assign(verdict=_verdicts(table))


def _verdicts(table: pd.DataFrame) -> np.ndarray:
    """In words, whether the questions' claims hold at 5%."""
    significant = table["p_holm"] < 0.05
    holds = significant & (table["low"] > 0)
    reverse = significant & (table["high"] < 0)
    return np.select([holds, reverse], ["holds", "the reverse holds"], "not shown")


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
        drawn = random.integers(n, size=(resamples, n))
        means = values[drawn].mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        table.append((*keys, values.mean(), low, high, n))
    return pd.DataFrame(table, columns=[*of, "mean", "low", "high", "users"])


PARTS: dict[str, Callable[[], pd.DataFrame]] = {
    **{name: partial(model_rows, name) for name in MODELS},
    **{f"shop: {name}": partial(shop_rows, name) for name in ("itself", *ON_SHOP)},
    "ROAR": roar_rows,
}


def main(arguments: list[str] | None = None, store: Store | None = None) -> None:
    """Make the parts that are not stored yet, each stored when whole; then tables."""
    asked = sys.argv[1:] if arguments is None else arguments
    store = store or Store()
    path = store.folder / ROWS
    rows = pd.DataFrame(columns=["part"])
    if path.exists():
        rows = pd.read_csv(path)
    missing = [name for name in asked or PARTS if name not in set(rows["part"])]
    if asked == ["tables"]:
        missing = []
    for name in missing:
        started = time.perf_counter()
        part = PARTS[name]().assign(part=name).round(4)
        rows = pd.concat([rows, part], ignore_index=True)
        store.write(ROWS, rows)
        print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
    store.write("leaderboard.csv", board(rows).round(4))
    if set(PARTS) <= set(rows["part"]):
        store.write("leaderboard_tests.csv", tests(rows).round(4))
    write_explanations(store)


if __name__ == "__main__":
    main()

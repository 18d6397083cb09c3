"""What was expected of the leaderboard, written down before its first run, and what held."""

import numpy as np
import pandas as pd

from xrec_utils.judge.comparisons import holm, paired_tests
from xrec_utils.metrics import mean_interval

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
ROWS = "leaderboard_users.csv.gz"
COLUMNS = ["model", "seed", "explainer", "measure", "user", "value"]


# -- tables ----------------------------------------------------------------------------

ATTENTIVE = ("din", "attention", "gru_attention")
RECURRENT_OR_ATTENTIVE = ("attention", "gru", "gru_attention")
ON_SHOP_NETWORKS = ("shop: din", "shop: gru")
NETWORKS = tuple(name for name in MODELS if name != "ease")
Question = tuple[int, str, str, str, tuple[str, ...], int]
# models that one row of README's table may be compared over
GROUPS = {
    "all eight": MODELS,
    "seven networks": NETWORKS,
    "three with attention": ATTENTIVE,
}
MARKS = (
    "deletion",
    "films until gone",
    "Shapley error",
    "stability",
    "deletion above 1",
)
IDENTICAL = 1e-4  # the stored values are rounded to that
# (question in data/bench/README.md, measure, better explainer, other explainer, models,
# +1 when more is better)
QUESTIONS: tuple[Question, ...] = (
    (25, "deletion", "Shapley (ours)", "leave-one-out", MODELS, 1),
    (26, "deletion", "Shapley (ours)", "LIME", MODELS, 1),
    (27, "deletion", "Shapley (ours)", "shap.KernelExplainer", MODELS, 1),
    (28, "deletion", "integrated gradients", "gradient x input", NETWORKS, 1),
    (29, "deletion", "attention", "random", ATTENTIVE, 1),
    (30, "deletion", "gradient-weighted attention", "attention", ATTENTIVE, 1),
    (31, "deletion", "most similar", "random", MODELS, 1),
    (32, "deletion", "most recent", "random", RECURRENT_OR_ATTENTIVE, 1),
    (33, "stability", "LIME", "shap.KernelExplainer", MODELS, 1),
    (34, "insertion", "LIME", "Shapley (ours)", MODELS, 1),
    (35, "infidelity", "LIME", "Shapley (ours)", MODELS, -1),
    (36, "films until gone", "most recent", "most similar", RECURRENT_OR_ATTENTIVE, -1),
    (37, "planted found", "Shapley (ours)", "random", ON_SHOP_NETWORKS, 1),
    (38, "planted found", "Shapley (ours)", "most similar", ON_SHOP_NETWORKS, 1),
)
# claims that two explainers are as good as each other, within MARGIN
EQUAL: tuple[Question, ...] = (
    (39, "films until gone", "Shapley (ours)", "leave-one-out", MODELS, -1),
    (40, "films until gone", "Shapley (ours)", "LIME", MODELS, -1),
    (41, "pos@10", "Shapley (ours)", "leave-one-out", MODELS, -1),
    (42, "pos@10", "Shapley (ours)", "LIME", MODELS, -1),
)
MARGIN = 0.05  # one film in twenty of a history, half a step of ten
# measures that say how far a verdict hangs on the training seed
BY_SEED = ("deletion", "films until gone", "pos@10")


def whole(rows: pd.DataFrame) -> pd.DataFrame:
    """The stored rows as the tables want them: a mean over the training seeds.

    Columns: model, explainer, measure, user, value. Added is the measure "deletion
    above 1": 1 where an order beats the one that the search for the best found.
    """
    above = rows[rows["measure"] == "deletion"]
    above = above.assign(
        measure="deletion above 1",
        value=(above["value"] > 1 + IDENTICAL).astype(float),
    )
    keys = ["model", "explainer", "measure", "user"]
    both = pd.concat([rows, above])
    return both.groupby(keys, sort=False)["value"].mean().reset_index()


def tests(rows: pd.DataFrame) -> pd.DataFrame:
    """Each question's paired difference, its interval, p, Holm's p and the verdict.

    Differences are in favour of the explainer named first. A user counts once, with the
    mean over the models of the question.
    """
    return _judged([_answer(rows, question) for question in QUESTIONS])


def tests_by_model(rows: pd.DataFrame) -> pd.DataFrame:
    """The same for each model of each question alone, with Holm's p over all of them.

    A mean over models may hide that one of them says the opposite.
    """
    return _judged([_answer(rows, each) for each in _for_each_model(QUESTIONS)])


def _for_each_model(questions: tuple[Question, ...]) -> list[Question]:
    return [
        (number, measure, one, other, (model,), sign)
        for number, measure, one, other, models, sign in questions
        for model in models
    ]


def equalities(rows: pd.DataFrame) -> pd.DataFrame:
    """Are two explainers as good as each other, over all models and on each?

    Two one-sided tests (Schuirmann 1987, doi:10.1007/BF01068419) at 5% over all rows of
    one kind (Bonferroni): equal within MARGIN if the whole interval lies inside.
    """
    table = []
    for questions in (EQUAL, _for_each_model(EQUAL)):
        level = 1 - 2 * 0.05 / len(questions)
        for question in questions:
            found = mean_interval(_differences(rows, question), level=level)
            inside = max(-found.low, found.high) < MARGIN
            table.append(
                {
                    **_named(question),
                    **vars(found),
                    "level": level,
                    "margin": MARGIN,
                    "verdict": "equal" if inside else "not shown",
                }
            )
    return pd.DataFrame(table)


def by_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """Each question's difference for each training seed of the models that have three.

    rows: as stored. Columns: as `tests` without p, and seed.
    """
    seeds = rows.groupby("model")["seed"].nunique()
    table = []
    for question in _for_each_model(QUESTIONS + EQUAL):
        [model] = question[4]
        if question[1] not in BY_SEED or seeds[model] == 1:
            continue
        for seed, part in rows[rows["model"] == model].groupby("seed"):
            difference = mean_interval(_differences(part, question))
            table.append({**_named(question), "seed": seed, **vars(difference)})
    return pd.DataFrame(table)


def _named(question: Question) -> dict[str, object]:
    """A question as the first columns of a table."""
    number, measure, one, other, models, _ = question
    return {
        "question": number,
        "measure": measure,
        "better": one,
        "than": other,
        "models": " ".join(models),
    }


def _pairs(rows: pd.DataFrame, question: Question) -> pd.DataFrame:
    """(users, 2): the marks of both explainers, larger is better, of users with both."""
    _, measure, one, other, models, sign = question
    part = rows[(rows["measure"] == measure) & rows["model"].isin(models)]
    part = part[part["explainer"].isin([one, other])]
    both = part.pivot_table(values="value", index="user", columns="explainer")
    return sign * both[[one, other]].dropna()


def _differences(rows: pd.DataFrame, question: Question) -> pd.Series:
    pairs = _pairs(rows, question)
    return pairs.iloc[:, 0] - pairs.iloc[:, 1]


def _answer(rows: pd.DataFrame, question: Question) -> dict[str, object]:
    """One question's paired difference over users, as a row of the tables."""
    pairs = _pairs(rows, question)
    found = paired_tests(pairs).iloc[0]
    return {
        **_named(question),
        "users": len(pairs),
        **found[["mean", "low", "high", "p"]],
    }


def _judged(answers: list[dict[str, object]]) -> pd.DataFrame:
    """The answers as a table, with Holm's p over all of them and the verdicts."""
    table = pd.DataFrame(answers)
    table["p_holm"] = holm(table["p"].to_numpy(dtype=float))
    return table.assign(verdict=_verdicts(table))


def _verdicts(table: pd.DataFrame) -> np.ndarray:
    """In words, whether the questions' claims hold at 5%."""
    significant = table["p_holm"] < 0.05
    ends = table[["low", "high"]].abs().max(axis=1)
    return np.select(
        [
            significant & (table["low"] > 0),
            significant & (table["high"] < 0),
            # such as leave-one-out and Shapley values in EASE, which is a sum
            ends < IDENTICAL,
        ],
        ["holds", "the reverse holds", "no user differs"],
        "not shown",
    )


def groups(rows: pd.DataFrame) -> pd.DataFrame:
    """Each explainer's marks over models that every row of its group shares.

    Columns: models (a name of GROUPS), explainer, measure, mean, low, high (95%
    bootstrap interval over users), users. An explainer is in a group if it can explain
    all of its models; a user counts once, with the mean over them.
    """
    table = []
    for label, models in GROUPS.items():
        part = rows[rows["model"].isin(models) & rows["measure"].isin(MARKS)]
        for (explainer, measure), own in part.groupby(["explainer", "measure"]):
            # (users, models): only users who have all
            users = own.pivot_table(values="value", index="user", columns="model")
            users = users.dropna()
            if users.shape[1] == len(models) and len(users):
                interval = mean_interval(users.mean(axis=1).to_numpy())
                ends = interval.mean, interval.low, interval.high
                table.append((label, explainer, measure, *ends, len(users)))
    columns = ["models", "explainer", "measure", "mean", "low", "high", "users"]
    return pd.DataFrame(table, columns=columns)

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
COLUMNS = ["model", "explainer", "measure", "user", "value"]


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
MARKS = ("deletion", "films until gone", "Shapley error", "stability")
IDENTICAL = 1e-4  # the stored values are rounded to that
# (question in data/bench/README.md, measure, better explainer, other explainer, models,
# +1 when more is better)
QUESTIONS: tuple[Question, ...] = (
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
    (23, "planted found", "Shapley (ours)", "random", ON_SHOP_NETWORKS, 1),
    (24, "planted found", "Shapley (ours)", "most similar", ON_SHOP_NETWORKS, 1),
)


def tests(rows: pd.DataFrame) -> pd.DataFrame:
    """Each question's paired difference, its interval, p, Holm's p and the verdict.

    Differences are in favour of the explainer named first. A user counts once, with the
    mean over the models of the question. Question 22 is not among them: it compared the
    Shapley values of a game with themselves and could not fail.
    """
    return _judged([_answer(rows, question) for question in QUESTIONS])


def tests_by_model(rows: pd.DataFrame) -> pd.DataFrame:
    """The same for each model of each question alone, with Holm's p over all of them.

    A mean over models may hide that one of them says the opposite.
    """
    answers = [
        _answer(rows, (number, measure, one, other, (model,), sign))
        for number, measure, one, other, models, sign in QUESTIONS
        for model in models
    ]
    return _judged(answers)


def _answer(rows: pd.DataFrame, question: Question) -> dict[str, object]:
    """One question's paired difference over users, as a row of the tables."""
    number, measure, one, other, models, sign = question
    part = rows[(rows["measure"] == measure) & rows["model"].isin(models)]
    part = part[part["explainer"].isin([one, other])]
    # (users, 2): only users who have both
    both = part.pivot_table(values="value", index="user", columns="explainer")
    both = both[[one, other]].dropna()
    return {
        "question": number,
        "measure": measure,
        "better": one,
        "than": other,
        "models": " ".join(models),
        "users": len(both),
        **paired_tests(sign * both).iloc[0][["mean", "low", "high", "p"]],
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

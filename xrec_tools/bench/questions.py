"""What was expected of the leaderboard, written down before its first run, and what held."""

import numpy as np
import pandas as pd

from xrec_utils.judge.comparisons import holm, paired_tests

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
        answers.append(
            {
                "question": number,
                "measure": measure,
                "better": one,
                "than": other,
                "models": " ".join(models),
                "users": len(both),
                **paired_tests(sign * both).iloc[0][["mean", "low", "high", "p"]],
            }
        )
    table = pd.DataFrame(answers)
    table["p_holm"] = holm(table["p"].to_numpy())
    return table.assign(verdict=_verdicts(table))


def _verdicts(table: pd.DataFrame) -> np.ndarray:
    """In words, whether the questions' claims hold at 5%."""
    significant = table["p_holm"] < 0.05
    return np.select(
        [
            significant & (table["low"] > 0),
            significant & (table["high"] < 0),
        ],
        ["holds", "the reverse holds"],
        "not shown",
    )

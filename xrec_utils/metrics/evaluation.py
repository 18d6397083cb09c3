"""A recommender measured on the cases of a split."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from xrec_utils.contract import HistoryModel, Ids, check_count
from xrec_utils.data.splits import Cases
from xrec_utils.files import require
from xrec_utils.metrics.ranking import (
    Places,
    auc,
    average_precision,
    hit_rate,
    ndcg,
    places,
    precision,
    recall,
    reciprocal_rank,
)

# ---------------------------------------------------------------- a table per model


def ranking_table(places: Places, k: int = 10) -> pd.DataFrame:
    """Compute all ranking metrics of each row.

    Args:
        places: where the targets stand.
        k: length of the list that hr, ndcg, recall, precision and map look at.

    Returns:
        One row per row of the scores, columns hr, ndcg, mrr, recall, precision, map,
        auc; all in [0, 1], auc NaN where every candidate is a target.

    Raises:
        ValueError: k is no whole number above 0.

    Example:
        Of four films the second best is the target:

        >>> table = ranking_table(places(np.array([[4, 3, 2, 1]]), [[1]]), k=2)
        >>> table[["hr", "mrr", "precision"]].values.tolist()
        [[1.0, 0.5, 0.5]]
    """
    return pd.DataFrame(
        {
            "hr": hit_rate(places, k),
            "ndcg": ndcg(places, k),
            "mrr": reciprocal_rank(places),
            "recall": recall(places, k),
            "precision": precision(places, k),
            "map": average_precision(places, k),
            "auc": auc(places),
        }
    )


def evaluate(
    model: HistoryModel,
    cases: Cases,
    k: int = 10,
    negatives: int | None = None,
    batch: int = 256,
    seed: int = 0,
) -> pd.DataFrame:
    """Score every case and rank its targets among all items outside its history.

    A model that knows users by code (`score_users`) is given the users, every other
    one their histories. Ranking against a few drawn items instead of all of them is
    there only to show what that hides (Krichene & Rendle 2020,
    doi:10.1145/3394486.3403226).

    Args:
        model: the recommender.
        cases: users, histories and targets, see `Split.cases`.
        k: length of the list.
        negatives: how many items to draw per user; None ranks against all.
        batch: histories scored at once, which bounds the memory.
        seed: start of the draw of negatives.

    Returns:
        One row per case, indexed by user code, columns as in `ranking_table`.

    Raises:
        ValueError: cases are empty, or scores have another shape than the model
            promises; also all errors of `places` and `ranking_table`.

    Example:
        Most training users have film 0, then film 1; the target is film 1.

        >>> from types import SimpleNamespace
        >>> from xrec_utils.models.classic import Popularity
        >>> model = Popularity().fit([np.array([0, 1]), np.array([0])], n_items=4)
        >>> cases = SimpleNamespace(users=[7], histories=[[3]], targets=[[1]])
        >>> evaluate(model, cases, k=2)["mrr"].to_dict()
        {7: 0.5}
    """
    require(
        len(cases.users),
        "cases is empty: no user of this split has both a history and a target",
    )
    check_count("batch", batch)
    tables = []
    # a part at a time, so that its scores (batch, items) fit into the memory
    for start in range(0, len(cases.users), batch):
        part = slice(start, start + batch)
        placed = places(
            _case_scores(model, cases.histories[part], cases.users[part]),
            cases.targets[part],
            seen=cases.histories[part],
            negatives=negatives,
            seed=seed,
            users=cases.users[part],
        )
        tables.append(ranking_table(placed, k))
    return pd.concat(tables).set_index(
        pd.Index(cases.users, name="user"),
    )


def _case_scores(
    model: HistoryModel, histories: Ids, users: Sequence[int]
) -> np.ndarray:
    """Scores (cases, items) of a model, by user code where it knows users."""
    scores = np.asarray(
        model.score_users(users)
        if hasattr(model, "score_users")
        else model.score(histories),
    )
    expected = (len(histories), model.n_items)
    require(
        scores.shape == expected,
        f"{type(model).__name__}.score gave {scores.shape}, expected {expected}",
    )
    return scores

"""Remove and retrain: which films did the model learn from?"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from xrec_utils.contract import HistoryModel, top_k
from xrec_utils.data.splits import Split
from xrec_utils.games import Explanation
from xrec_utils.judge import order
from xrec_utils.metrics import ndcg, places

# (model, history, item) -> explanation
Explain = Callable[[HistoryModel, np.ndarray, int], Explanation]


def roar(
    explainers: Mapping[str, Explain],
    split: Split,
    fit: Callable[[list[np.ndarray], int], HistoryModel],
    share: float = 0.3,
    seed: int = 0,
) -> pd.DataFrame:
    """Remove the films an explainer names from all training data, and train again.

    Hooker et al. 2019 (arXiv:1806.10758), for recommenders: each training history loses
    that share of its films which count most for the user's own first recommendation;
    `fit(histories, n_items)` trains anew; NDCG@10 on the validation cases is then
    measured from the reduced histories, among candidates outside the full ones. Returns
    one row per user: NDCG@10 in [0, 1] with the columns full (nothing removed), random
    (as many films by lot), and one per explainer. The lower an explainer's column below
    `random`, the better it found what carries information; films that stand in for one
    another hide that. Raises ValueError on a split whose cases are new users.
    """
    if split.fold_in:
        raise ValueError(
            f"split={split.name!r} asks about new users: "
            "roar needs leave_last_out or random_per_user"
        )
    histories = split.train_histories()
    model = fit(histories, split.n_items)
    # (users,): each user's own first recommendation is what gets explained
    items = top_k(
        model.score(histories),
        k=1,
        seen=histories,
    )[:, 0]
    rng = np.random.default_rng(seed)
    removals = {"random": [rng.permutation(len(history)) for history in histories]}
    for name, explain in explainers.items():
        removals[name] = [
            _named(explain, model, history, int(item))
            for history, item in zip(histories, items, strict=True)
        ]
    columns = {"full": _validation_ndcg(model, split, histories)}
    for name, orders in removals.items():
        # without that share of the films, the first of the order
        reduced = [
            np.delete(history, films[: round(share * len(films))])
            for history, films in zip(histories, orders, strict=True)
        ]
        again = fit(reduced, split.n_items)
        columns[name] = _validation_ndcg(again, split, reduced)
    return pd.DataFrame(
        columns,
        index=pd.Index(split.cases("validation").users, name="user"),
    )


def _named(
    explain: Explain, model: HistoryModel, history: np.ndarray, item: int
) -> np.ndarray:
    """Places (films,) in the history, the first to go first."""
    # an empty history has nothing to explain
    if not len(history):
        return history
    return order(explain(model, history, item))


def _validation_ndcg(
    model: HistoryModel, split: Split, histories: list[np.ndarray]
) -> np.ndarray:
    """NDCG@10 (cases,) from these histories.

    Films of the full history are never candidates.
    """
    cases = split.cases("validation")
    scores = model.score([histories[user] for user in cases.users])
    return ndcg(places(scores, cases.targets, cases.histories), 10)

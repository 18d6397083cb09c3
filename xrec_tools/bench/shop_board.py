"""The leaderboard's marks of explanations of choices in the shop, whose reasons are known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from xrec_tools.bench.explainers import EXPLAINERS, Asked, unit_columns
from xrec_tools.bench.questions import COLUMNS
from xrec_utils.games import Explanation
from xrec_utils.judge import (
    agreement_with_effect,
    agreement_with_truth,
    planted_cases,
    shop_game,
    train_on_shop,
)
from xrec_utils.shop import Shop, load_shop

CASES = 60  # choices in the shop, some of one customer


def shop_rows(name: str, names: Sequence[str]) -> pd.DataFrame:
    """Marks of explainers against the shop's true reasons, in columns COLUMNS.

    Explained is the shop itself ("itself"), or a model trained on its log. The user is
    the customer: who made several of the choices counts once.
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
    for seed, case in enumerate(planted_cases(shop, data, CASES)):
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
        for explainer in names:
            found = EXPLAINERS[explainer](asked, seed)
            for measure, value in _true_to_shop(found, case).items():
                rows.append((f"shop: {name}", 0, explainer, measure, case.user, value))
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

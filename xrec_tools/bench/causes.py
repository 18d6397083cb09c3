"""The tables of causes: `python -m xrec_tools.bench.causes [influence|counterfactual]`.

Without a name what is missing is made, with a name that table is made again.

influence.csv: what EASE forgets by low-rank update against EASE trained again, on
ML-100K (fetched once). counterfactual.csv: smallest sets of films found for the first
recommendation of test users of movielens-small, k = 10. Users have 20 to 150 films: the
search costs about the square of the history. Networks get half as many users.
"""

import sys
from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np
import pandas as pd
from tqdm import tqdm

from xrec_tools.bench.explanations import make_parts
from xrec_tools.bench.store import Store
from xrec_utils import zoo
from xrec_utils.contract import HistoryModel, multi_hot, recommend
from xrec_utils.data.load import load_movielens
from xrec_utils.data.splits import Split, leave_last_out
from xrec_utils.explain import leave_one_out, minimal_linear
from xrec_utils.explain.counterfactual import (
    Counterfactual,
    beam,
    greedy,
    holds_after_retraining,
)
from xrec_utils.explain.influence import (
    EaseInfluence,
    Retrained,
    inverse_gram,
)
from xrec_utils.games.game import history_game
from xrec_utils.models.classic import EASE

LINEAR = ("ease", "item_knn")
NETWORKS = ("dae", "din", "attention", "gru")
SHORTEST = 20  # films in the history of a user who is asked
LONGEST = 150
USERS = 100
EXACT = "branch and bound"
RETRAINED = "greedy, retrained"
Search = Callable[[HistoryModel, np.ndarray, int], Counterfactual]


def influence_table(
    on: Split, model: EASE, deletions: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Forget training ratings by update and by training again, and compare.

    Whole rows, film by film, of users in random order. The influence is that on the
    score of the film recommended first. Difference: |ours - truth| / |truth|, at its
    largest. Seconds of ours hold the one inversion; seconds of retraining hold nothing
    but the trainings.
    """
    histories = on.train_histories()
    start = perf_counter()
    influence = EaseInfluence(model, histories)
    seconds_ours = perf_counter() - start
    seconds_retraining = 0.0
    ours: list[float] = []
    truth: list[float] = []
    progress = tqdm(total=deletions, disable=None)
    for user, row in _rows_to_delete(histories, on.n_users, deletions, seed):
        item = first(model, histories[user])
        found = influence.influence(user, histories[user], item)
        seconds_ours += found.seconds
        ours += list(found.values[: len(row)])
        for film in row:
            score, seconds = _retrained(
                model,
                histories,
                user,
                film,
                item,
            )
            seconds_retraining += seconds
            truth.append(found.score - score)
            progress.update()
    wrong = np.max(np.abs(np.array(ours) / np.array(truth) - 1))
    return pd.DataFrame(
        [
            {
                "deletions": len(truth),
                "largest_relative_difference": float(f"{wrong:.2g}"),
                "seconds_ours": round(seconds_ours, 3),
                "seconds_retraining": round(seconds_retraining, 1),
                "speedup": round(seconds_retraining / seconds_ours),
            }
        ]
    )


def _rows_to_delete(
    histories: list[np.ndarray], n_users: int, deletions: int, seed: int
) -> list[tuple[int, np.ndarray]]:
    """(user, films) of users in random order, until so many ratings are deleted."""
    rows = []
    left = deletions
    for user in np.random.default_rng(seed).permutation(n_users):
        if left == 0:
            break
        # the last user's row may be longer than what is still to delete
        row = histories[user][:left]
        rows.append((user, row))
        left -= len(row)
    return rows


def ease_scores(inverse: np.ndarray, history: np.ndarray) -> np.ndarray:
    """The scores (n_items,) float64 which EASE with the inverse P gives a history.

    s = h - P h / diag(P).
    """
    given = multi_hot([history], len(inverse))[0]
    return given - inverse @ given / np.diag(inverse)


def _retrained(
    model: EASE, histories: list[np.ndarray], user: int, film: int, item: int
) -> tuple[float, float]:
    """(score of an item, seconds of training) of EASE trained without one rating.

    The user is scored with the full history: only the training forgets.
    """
    start = perf_counter()
    without = list(histories)
    without[user] = np.setdiff1d(histories[user], film)
    inverse = inverse_gram(model, without)
    seconds = perf_counter() - start
    return ease_scores(inverse, histories[user])[item], seconds


def first(model: HistoryModel, history: np.ndarray) -> int:
    """The film that the model recommends first."""
    return int(recommend(model, history, k=1)[0])


def in_order(model: HistoryModel, history: np.ndarray, item: int) -> Counterfactual:
    """Films removed in the order of their leave-one-out values."""
    return greedy(
        model,
        history,
        item,
        order=leave_one_out(history_game(model, history, item)).top(),
    )


SEARCHES: dict[str, Search] = {
    "leave-one-out order": in_order,
    "greedy": greedy,
    "beam": beam,
    EXACT: minimal_linear,
}


def searched(
    name: str, model: HistoryModel, on: Split, users: int, seed: int = 0
) -> pd.DataFrame:
    """One row per search and user, for up to `users` random users.

    Their histories are neither too short nor too long. held: whether the set is valid
    after retraining, too (EASE only; the last method retrains at every step).
    """
    cases = on.cases("test")
    lengths = np.array([len(history) for history in cases.histories])
    fitting = np.flatnonzero((lengths >= SHORTEST) & (lengths <= LONGEST))
    influence = None
    if name == "ease":
        influence = EaseInfluence(model, on.train_histories())
    rows = []
    for place in tqdm(
        np.random.default_rng(seed).permutation(fitting)[:users],
        desc=name,
        disable=None,
    ):
        user = int(cases.users[place])
        history = cases.histories[place]
        item = first(model, history)
        for method, search, asked in _searches(name, model, influence, user, history):
            found = search(asked, history, item)
            held = np.nan
            if influence is not None and found.valid:
                held = holds_after_retraining(found, influence, user, history, item)
            rows.append(
                {
                    "model": name,
                    "method": method,
                    "user": user,
                    "held": held,
                    "size": found.size,
                    "valid": found.valid,
                    "minimal": found.minimal,
                    "seconds": found.seconds,
                }
            )
    return pd.DataFrame(rows)


def _searches(
    name: str,
    model: HistoryModel,
    influence: EaseInfluence | None,
    user: int,
    history: np.ndarray,
) -> list[tuple[str, Search, HistoryModel]]:
    """(method, search, what it asks) of all searches that a model can do."""
    searches = []
    for method, search in SEARCHES.items():
        # branch and bound needs scores that add up over films
        if method != EXACT or name in LINEAR:
            searches.append((method, search, model))
    if influence is not None:
        searches.append(
            (
                RETRAINED,
                greedy,
                Retrained(
                    influence,
                    user,
                    history,
                ),
            )
        )
    return searches


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per model and method from those of `searched`.

    found, seconds: over all users. Everything else is over users for whom the method
    found a set: mean_minimum and mean_excess (films more than the minimum) where that
    is proven; proven: share of sets known to be minimal.
    """
    rows = _beside_minimum(rows)
    sets = rows[rows["valid"]].assign(
        excess=rows["size"] - rows["minimum"],
        proven=rows["minimal"] | (rows["size"] == rows["minimum"]),
        # a column of booleans and NaN holds objects, which have no mean
        held=rows["held"].astype(float),
    )
    of = ["model", "method"]
    return (
        pd.concat(
            [
                rows.groupby(of, sort=False).agg(
                    users=("user", "size"),
                    found=("valid", "mean"),
                ),
                sets.groupby(of).agg(
                    mean_size=("size", "mean"),
                    mean_minimum=("minimum", "mean"),
                    mean_excess=("excess", "mean"),
                    proven=("proven", "mean"),
                    valid_after_retraining=("held", "mean"),
                ),
                rows.groupby(of)["seconds"].median().rename("median_seconds"),
            ],
            axis=1,
        )
        .reset_index()
        .round(4)
    )


def _beside_minimum(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the proven smallest size for their model and user, NaN if none."""
    key = ["model", "user"]
    proof = (rows["method"] == EXACT) & rows["valid"] & rows["minimal"]
    minimum = rows[proof].set_index(key)["size"].rename("minimum")
    rows = rows.join(minimum, on=key)
    # a set that must hold after retraining is asked for more than the others
    rows.loc[rows["method"] == RETRAINED, "minimum"] = np.nan
    return rows


def counterfactual_table(users: int = USERS) -> pd.DataFrame:
    """All models and methods on movielens-small; networks get half as many users."""
    on = zoo.split()
    parts = [
        searched(
            name,
            zoo.load(name),
            on,
            users,
        )
        for name in LINEAR
    ]
    parts += [
        searched(
            name,
            zoo.load(name),
            on,
            users // 2,
        )
        for name in NETWORKS
    ]
    return summary(pd.concat(parts, ignore_index=True))


def influence_on_ml100k() -> pd.DataFrame:
    """1,000 deletions on ML-100K, leave-last-out, with the zoo's regularisation."""
    on = leave_last_out(load_movielens("ml-100k"))
    return influence_table(
        on,
        zoo.build("ease", on).fit(on.train_histories(), on.n_items),
    )


PARTS = {
    "influence": ("influence.csv", influence_on_ml100k),
    "counterfactual": ("counterfactual.csv", counterfactual_table),
}


def main(arguments: Sequence[str] | None = None, store: Store | None = None) -> None:
    """Make the tables named, or for none those that are not stored yet."""
    if arguments is None:
        arguments = sys.argv[1:]
    make_parts(PARTS, arguments, store or Store())


if __name__ == "__main__":
    main()

"""The tables of causes: `python -m xrec_utils.bench_causes`, or one again with
`influence` or `counterfactual`.

influence.csv: what EASE forgets by low-rank update against EASE trained again, on
ML-100K (fetched once). counterfactual.csv: smallest sets of films found for the first
recommendation of test users of movielens-small, k = 10. Users have 20 to 150 films: the
search costs about the square of the history. Networks get half as many users.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np
import pandas as pd
from tqdm import tqdm

from xrec_utils import zoo
from xrec_utils.bench_explanations import make_parts
from xrec_utils.bench_store import Store
from xrec_utils.classic import EASE
from xrec_utils.contract import HistoryModel
from xrec_utils.data import load_movielens
from xrec_utils.explain.baselines import leave_one_out
from xrec_utils.explain.counterfactual import (
    Counterfactual,
    beam,
    greedy,
    holds_after_retraining,
    minimal_linear,
)
from xrec_utils.explain.influence import (
    EaseInfluence,
    Retrained,
    ease_scores,
    inverse_gram,
)
from xrec_utils.games import history_game
from xrec_utils.metrics import top_k
from xrec_utils.splits import Split, leave_last_out

LINEAR, NETWORKS = ("ease", "item_knn"), ("dae", "din", "attention", "gru")
SHORTEST, LONGEST, USERS = 20, 150, 100
EXACT, RETRAINED = "branch and bound", "greedy, retrained"
Search = Callable[[HistoryModel, np.ndarray, int], Counterfactual]


def influence_table(
    on: Split, model: EASE, deletions: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Forget whole training rows, film by film, of users in random order; train again
    for each film; compare.

    The influence is that on the score of the film recommended first. Difference: |ours
    - truth| / |truth|, at its largest. Seconds of ours hold the one inversion; seconds
    of retraining hold nothing but the trainings.
    """
    histories = on.train_histories()
    start = perf_counter()
    influence = EaseInfluence(model, histories)
    ours, spent, truth, trained = [], perf_counter() - start, [], 0.0
    progress = tqdm(total=deletions, disable=None)
    for user in np.random.default_rng(seed).permutation(on.n_users):
        if len(truth) == deletions:
            break
        row = histories[user][: deletions - len(truth)]
        item = first(model, histories[user])
        found = influence.influence(user, histories[user], item)
        ours, spent = [*ours, *found.values[: len(row)]], spent + found.seconds
        for film in row:
            start = perf_counter()
            without = [
                *histories[:user],
                np.setdiff1d(histories[user], film),
                *histories[user + 1 :],
            ]
            inverse = inverse_gram(model, without)
            trained += perf_counter() - start
            truth.append(found.score - ease_scores(inverse, histories[user])[item])
            progress.update()
    wrong = np.max(np.abs(np.array(ours) / np.array(truth) - 1))
    return pd.DataFrame([{
        "deletions": len(truth), "largest_relative_difference": float(f"{wrong:.2g}"), "seconds_ours": round(spent, 3),
        "seconds_retraining": round(trained, 1), "speedup": round(trained / spent),
    }])  # fmt: skip


def first(model: HistoryModel, history: np.ndarray) -> int:
    """The film that the model recommends first."""
    return int(top_k(model.score([history]), 1, [history])[0, 0])


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
    """One row per search and user, for up to `users` random users whose history is
    neither too short nor too long.

    held: whether the set is valid after retraining, too (EASE only; the last method
    retrains at every step).
    """
    cases = on.cases("test")
    fitting = [
        n
        for n, history in enumerate(cases.histories)
        if SHORTEST <= len(history) <= LONGEST
    ]
    influence = EaseInfluence(model, on.train_histories()) if name == "ease" else None
    rows = []
    for place in tqdm(
        np.random.default_rng(seed).permutation(fitting)[:users],
        desc=name,
        disable=None,
    ):
        user, history = int(cases.users[place]), cases.histories[place]
        item = first(model, history)
        searches = {
            each: (SEARCHES[each], model)
            for each in SEARCHES
            if each != EXACT or name in LINEAR
        }
        if influence:
            searches[RETRAINED] = greedy, Retrained(influence, user, history)
        for method, (search, asked) in searches.items():
            found = search(asked, history, item)
            retrain = influence is not None and found.valid
            held = (
                holds_after_retraining(found, influence, user, history, item)
                if retrain
                else np.nan
            )
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


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per model and method from those of `searched`.

    found, seconds: over all users. Everything else is over users for whom the method
    found a set: mean_minimum and mean_excess (films more than the minimum) where that
    is proven; proven: share of sets known to be minimal.
    """
    key = ["model", "user"]
    exact = rows[(rows["method"] == EXACT) & rows["valid"] & rows["minimal"]].set_index(
        key
    )["size"]
    rows = rows.join(exact.rename("minimum"), on=key)
    rows.loc[rows["method"] == RETRAINED, "minimum"] = (
        np.nan
    )  # it is asked for more than the others
    sets = rows[rows["valid"]].assign(
        excess=rows["size"] - rows["minimum"],
        proven=rows["minimal"] | (rows["size"] == rows["minimum"]),
    )
    of = ["model", "method"]
    return pd.concat([
        rows.groupby(of, sort=False).agg(users=("user", "size"), found=("valid", "mean")),
        sets.groupby(of).agg(
            mean_size=("size", "mean"), mean_minimum=("minimum", "mean"), mean_excess=("excess", "mean"),
            proven=("proven", "mean"), valid_after_retraining=("held", lambda held: held.astype(float).mean()),
        ),
        rows.groupby(of)["seconds"].median().rename("median_seconds"),
    ], axis=1).reset_index().round(4)  # fmt: skip


def counterfactual_table(users: int = USERS) -> pd.DataFrame:
    """All models and methods on movielens-small; networks are asked by half as many
    users.
    """
    on = zoo.split()
    parts = [searched(name, zoo.load(name), on, users) for name in LINEAR]
    parts += [searched(name, zoo.load(name), on, users // 2) for name in NETWORKS]
    return summary(pd.concat(parts, ignore_index=True))


def influence_on_ml100k() -> pd.DataFrame:
    """1,000 deletions on ML-100K, leave-last-out, with the zoo's regularisation."""
    on = leave_last_out(load_movielens("ml-100k"))
    return influence_table(
        on, zoo.build("ease", on).fit(on.train_histories(), on.n_items)
    )


PARTS = {
    "influence": ("influence.csv", influence_on_ml100k),
    "counterfactual": ("counterfactual.csv", counterfactual_table),
}


def main(arguments: Sequence[str] | None = None, store: Store | None = None) -> None:
    """Make the tables named, or for none those that are not stored yet."""
    make_parts(
        PARTS, sys.argv[1:] if arguments is None else arguments, store or Store()
    )


if __name__ == "__main__":
    main()

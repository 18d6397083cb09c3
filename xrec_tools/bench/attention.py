"""Attention beside its witnesses, and beside itself dealt out among the films.

    python -m xrec_tools.bench.attention          users that are not stored yet
    python -m xrec_tools.bench.attention quick    one model and user again, beside the
                                                  stored row; nothing is written

attention_trial.csv has a row for each user and model. What is asked of it was written
into data/bench/README.md before the run; notebook 12 makes the tests. "own": Kendall's
tau of the model's attention, and of explainers, with what a witness says: sizes (|x|),
or signs. "shuffled": the mean of the same over models whose weights were dealt out
among the films at random, so that a film's answer says nothing about its weight: the
agreement that is built in. "frozen": with the model's own weights, held as they are
when films are deleted: what holding alone does. "deletion": share of the possible.
"""

import sys
from unittest.mock import patch

import numpy as np
import pandas as pd

from xrec_tools.bench.store import Store
from xrec_utils import contract, explain, judge, zoo
from xrec_utils.explain.attention import last_row
from xrec_utils.games import Game, history_game

MODELS = ("din", "attention", "gru_attention")
WITNESSES = ("gradient, attention held", "leave-one-out", "Shapley")
TABLE = "attention_trial.csv"
SHUFFLES = 5
ORDERS = 128  # of the Shapley values, which are sampled alike in all games
BATCH = 8192  # groups scored at once
Asked = tuple[contract.HistoryModel, np.ndarray, int]  # model, history, item
Said = dict[str, np.ndarray]  # by explainer, its values (films,)


def jury() -> np.ndarray:
    """The test users with 10 to 30 films who were not looked at before.

    Not while notebook 12 was written, not in its first run, not on the leaderboard.
    """
    films = pd.Series([len(films) for films in zoo.split().cases("test").histories])
    short, fit, board = (
        films.index[films.between(*limits)] for limits in ((10, 30), (10, 50), (20, 50))
    )
    draws = (
        np.random.default_rng(0).choice(*draw)
        for draw in ((fit, 40, 0), (short, 25, 0))
    )
    left = np.setdiff1d(short, np.concatenate([*draws]))
    first = np.random.default_rng(1).choice(left, 40, replace=False)
    return np.setdiff1d(left, [*first, *board[:40]])


def held(asked: Asked, weights: np.ndarray) -> patch:
    """A context in which the last place attends with weights (n, heads, 1 + films).

    For what `score_vectors` reads, which has one place of padding before them.
    """
    weights = np.float32(np.pad(weights, [(0, 0), (0, 0), (1, 0)]))[:, :, None]
    return patch.object(
        asked[0].encoder.get_layer("attention_1"),
        "_masked_softmax",
        # every place gets the last one's: with one block nobody reads the others
        lambda scores, mask=None: np.repeat(weights, scores.shape[2], axis=2),
    )


def frozen(asked: Asked, row: np.ndarray) -> Game:
    """The history game in which a film keeps its weight, whoever else is there.

    row: (heads, 1 + films) the weights, start token first. Those of the films present
    are brought to a sum of one. All else is read anew from the films present: the
    states of a GRU, places, and what passes by the attention.
    """
    model, history, item = asked

    def value(masks: np.ndarray) -> np.ndarray:
        weights = row * np.insert(masks, 0, True, axis=1)[:, None]
        weights = weights / weights.sum(axis=2, keepdims=True)
        if model.encoder is None:
            return model.score_of_attention(history, item)(np.float32(weights))
        scores = np.empty(len(masks))
        # groups of as many films fill arrays without padding
        for size in set(masks.sum(axis=1)):
            same = masks.sum(axis=1) == size
            films = np.nonzero(masks[same])[1].reshape(same.sum(), size)
            places = np.insert(films + 1, 0, 0, axis=1)[:, None]
            with held(asked, np.take_along_axis(weights[same], places, axis=2)):
                scores[same] = model.score_vectors(model.vectors(history)[films], item)
        return scores

    return Game(tuple(map(str, history)), "score, attention held", value, BATCH)


def heard(asked: Asked, game: Game, row: np.ndarray) -> Said:
    """What attention, this row (heads, 1 + films), and its witnesses say of a game."""
    share = row.mean(axis=0)[1:]
    said = {
        "attention": share,
        # half goes by the attention, half stays at the last film
        "rollout": share / 2 + np.eye(len(share))[-1] / 2,
        "attention × gradient": explain.gradient_weighted(*asked, row=row).values,
        "leave-one-out": explain.leave_one_out(game).values,
        "Shapley": explain.explain(game, permutations=ORDERS).values,
    }
    if asked[0].encoder is None:
        return said | {"gradient, attention held": said["attention × gradient"]}
    with held(asked, row[None]):
        gradient = explain.gradient_times_input(*asked).values
    return said | {"gradient, attention held": gradient}


def taus(said: Said) -> dict[str, float]:
    """Kendall's tau of attention with its witnesses' sizes, and of all with Shapley."""
    sizes = {
        f"|attention| ~ |{name}|": judge.kendall(said["attention"], abs(said[name]))
        for name in WITNESSES
    }
    signed = {f"{x} ~ Shapley": judge.kendall(said[x], said["Shapley"]) for x in said}
    return sizes | signed


def deletion(game: Game, said: Said, seed: int) -> dict[str, float]:
    """Share of the possible: 0 is chance, 1 what a beam search on the score finds."""
    best, *areas = (
        judge.area(judge.deletion_curve(game, order))
        for order in (
            judge.oracle_order(game),
            *(np.argsort(-x, kind="stable") for x in said.values()),
        )
    )
    chance = judge.chance_area(game, judge.deletion_curve, seed=seed)
    shares = [judge.share_of_possible(own, chance, best) for own in areas]
    return dict(zip(said, shares, strict=True))


def row_of(name: str, user: int) -> pd.Series:
    """A row of the table: a model's first recommendation to a user."""
    model, history = zoo.load(name), zoo.split().cases("test").histories[user]
    asked = model, history, int(contract.recommend(model, history, 1)[0])
    game, row = history_game(*asked, batch=BATCH), last_row(*asked)
    rng = np.random.default_rng(user)
    orders = [np.append(0, 1 + rng.permutation(len(history))) for _ in range(SHUFFLES)]
    as_held = [
        taus(heard(asked, frozen(asked, x), x))
        for x in (row, *(row[:, o] for o in orders))
    ]
    own = heard(asked, game, row) | {
        "most recent": np.arange(len(history)),
        "gradient": explain.gradient_times_input(*asked).values,
        "integrated gradients": explain.integrated_gradients(*asked).values,
        "Shapley, other seed": explain.explain(
            game, permutations=ORDERS, seed=1
        ).values,
    }
    adversary = explain.AttentionTrial(*asked).adversarial(0.04)
    found = {
        "own": taus(own),
        "frozen": as_held[0],
        "shuffled": pd.DataFrame(as_held[1:]).mean(),
        "deletion": deletion(game, own, user),
        "adversary": {"divergence": adversary.divergence},
    }
    columns = {
        f"{kind}: {x}": value
        for kind, part in found.items()
        for x, value in part.items()
    }
    return pd.Series({"user": user, "model": name} | columns)


def main(arguments: list[str] | None = None, store: Store | None = None) -> None:
    """Fill what is missing; `quick` shows a row made again beside the stored one."""
    store = store or Store()
    table = store.read(TABLE, ["user", "model"])
    users = jury()
    if "quick" in (sys.argv[1:] if arguments is None else arguments):
        again = row_of(MODELS[0], users[0])
        stored = table[(table["user"] == users[0]) & (table["model"] == MODELS[0])]
        return print(
            pd.DataFrame({"again": again, "stored": stored.squeeze()}).to_string()
        )
    for user in np.setdiff1d(users, table["user"]):
        rows = pd.DataFrame([row_of(name, user) for name in MODELS])
        table = pd.concat([table, rows.round(4)], ignore_index=True)
        store.write(TABLE, table)


if __name__ == "__main__":
    main()

"""Attention beside its witnesses, and beside itself dealt out among the films.

    python -m xrec_tools.bench.attention

attention_trial.csv says who is asked: a row for each user and model. The command fills
the rows that hold nothing else yet, and stores each at once; to ask again, empty a row.
What is asked was written into data/bench/README.md before the run; notebook 12 makes
the tests.

Columns are Kendall's tau of two explainers, of sizes (|x|) or with signs, in three kinds
of games. "own": the model itself. "dealt": the mean over games in which each film keeps
a weight that was dealt to it at random, so that what a film answers says nothing about
its weight: the agreement that is built in. "frozen": the same with the model's own
weights, which shows what holding alone does. "deletion" is the share of the possible.
"""

import numpy as np
import pandas as pd

from xrec_tools.bench.store import Store
from xrec_utils import Game, contract, explain, history_game, judge, zoo

TABLE = "attention_trial.csv"


def heard(asked: tuple, game: Game, row: np.ndarray) -> dict[str, np.ndarray]:
    """What attention, this row (heads, 1 + films), and its witnesses say of a game.

    asked: model, history, item. Returns values (films,) by explainer.
    """
    share = row.mean(axis=0)[1:]
    said = {
        "attention": share,
        # half goes by the attention, half stays at the last film
        "rollout": share / 2 + np.eye(len(share))[-1] / 2,
        "attention × gradient": explain.gradient_weighted(*asked, row=row).values,
        "leave-one-out": explain.leave_one_out(game).values,
        # 128 orders in every game, so that chance is alike in all
        "Shapley": explain.explain(game, permutations=128).values,
        "most recent": np.arange(len(share)),
    }
    if asked[0].encoder is None:
        return said | {"gradient, attention held": said["attention × gradient"]}
    # the model puts one place of padding before what it reads
    with explain.AttentionTrial(*asked).held(np.pad(row, [(0, 0), (1, 0)])[None]):
        return said | {
            "gradient, attention held": explain.gradient_times_input(*asked).values
        }


def taus(said: dict[str, np.ndarray]) -> dict[str, float]:
    """Kendall's tau of sizes, and of what has a sign with Shapley values."""
    sizes = {
        f"|{one}| ~ |{other}|": judge.kendall(abs(said[one]), abs(said[other]))
        for one, other in (
            ("attention", "gradient, attention held"),
            ("attention", "leave-one-out"),
            ("attention", "Shapley"),
            ("attention", "most recent"),
            ("leave-one-out", "most recent"),
        )
    }
    return sizes | {
        f"{name} ~ Shapley": judge.kendall(values, said["Shapley"])
        for name, values in said.items()
        if name != "Shapley"
    }


def deletion(game: Game, said: dict[str, np.ndarray], seed: int) -> dict[str, float]:
    """Share of the possible: 0 is chance, 1 what a beam search on the score finds."""
    chance = judge.chance_area(game, judge.deletion_curve, seed=seed)
    *areas, best = [
        judge.area(judge.deletion_curve(game, np.argsort(-values, kind="stable")))
        # the best order comes as values: high is removed first
        for values in (*said.values(), -np.argsort(judge.oracle_order(game)))
    ]
    return {
        name: judge.share_of_possible(area, chance, best)
        for name, area in zip(said, areas, strict=True)
    }


def answers(user: int, name: str, deals: int = 5) -> dict[str, float]:
    """A row of the table: a model's first recommendation to a user."""
    model, history = zoo.load(name), zoo.split().cases("test").histories[user]
    asked = model, history, int(contract.recommend(model, history, k=1)[0])
    game, trial = history_game(*asked, batch=4096), explain.AttentionTrial(*asked)
    frozen, *dealt = [
        taus(heard(asked, trial.game(row), row))
        for row in (trial.row, *trial.dealt(deals, seed=user))
    ]
    own = heard(asked, game, trial.row) | {
        "gradient": explain.gradient_times_input(*asked).values,
        "integrated gradients": explain.integrated_gradients(*asked).values,
        "Shapley, other seed": explain.explain(game, permutations=128, seed=1).values,
    }
    twin = explain.attention_explanation(zoo.build(name, seed=1), *asked[1:])
    parts = {
        "own": taus(own),
        "frozen": frozen,
        "dealt": pd.DataFrame(dealt).mean(),
        "deletion": deletion(game, own, user),
        "adversary": {"divergence": trial.adversarial(0.04).divergence},
        "twin": {"tau": judge.kendall(own["attention"], twin.values)},
    }
    return {
        f"{kind}: {name}": round(value, 4)
        for kind, part in parts.items()
        for name, value in part.items()
    }


def fill(store: Store) -> None:
    """Make the rows that are not there yet."""
    table = store.read(TABLE)
    for place in table.index[table["own: attention ~ Shapley"].isna()]:
        row = table.loc[place]
        table.loc[place] = row.fillna(answers(row["user"], row["model"]))
        store.write(TABLE, table)


if __name__ == "__main__":
    fill(Store())

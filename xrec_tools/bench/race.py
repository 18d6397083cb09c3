"""The race of Shapley estimators: errors at equal budgets.

    python -m xrec_tools.bench.race                what race.csv.gz lacks (an hour)
    python -m xrec_tools.bench.race newest PYTHON  the newest shapiq, in a Python of its
                                                   own, for race.csv.gz

Every estimator explains the first recommendation to the same users, under the same
seeds. Black boxes see no more than the scores of groups, from the same function in the
same batches: an estimator of this Python runs twice, and the first run only records
what it asks for, so that nobody loses time by asking group by group. Seconds are those
of its second run, and those of as many scores as it asked.

An error is the L2 distance to the true values, relative to them. Truth for 20 films is
brute force; for the dae a Fourier series, whose error is its distance to one of half as
many terms; for more films of a network the mean of two regressions on many groups,
whose error is half their distance.
"""

import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from multiprocessing.connection import Connection, Listener
from time import perf_counter
from timeit import repeat
from typing import Any

import numpy as np
import pandas as pd
import shap
import shapiq

from xrec_tools.bench.explanations import ESTIMATOR, TARGETS, write_explanations
from xrec_tools.bench.store import Store
from xrec_utils import explain, zoo
from xrec_utils.contract import recommend
from xrec_utils.data import leave_last_out, load_movielens
from xrec_utils.explain.fourier import fourier_shapley
from xrec_utils.explain.leverage import draw_pairs
from xrec_utils.files import DATA
from xrec_utils.games.game import Game, history_game
from xrec_utils.judge.comparisons import relative_error

Score = Callable[[np.ndarray], np.ndarray]  # groups bool (m, n) -> scores (m,)
PLAYERS = (20, 48, 100)
USERS = 5
SEEDS = 5
BATCH = 2048
TRUTH_GROUPS = 131_072  # of each of two regressions
SLOW = 1.5  # own seconds of an explanation; the next would take several times as long
KEY = [*ESTIMATOR, "budget"]


@dataclass(eq=False)
class Box:
    """A score to explain: model, history (n,), item, and what is true of it.

    score: of groups (m, n), and the seconds each costs; truth: Shapley values (n,), and
    how far off they may be, relative to them.
    """

    model: Any
    history: np.ndarray
    item: int
    score: Score
    truth: np.ndarray
    truth_error: float
    cost: float


# box, budget, seed -> values (n,), own seconds, scores asked
Estimator = Callable[[Box, int, int], tuple[np.ndarray, float, int]]


def budgets(name: str, n: int) -> list[int]:
    """The budgets of black boxes on a model with n players."""
    if name == "dae":
        return [512, 2048, 8192, 32_768, 131_072]
    # a network's scores cost more; with 100 films 8,192 of them are too few
    return [512, 2048, 8192] + [16_384, 32_768] * (n > 50)


# -- estimators: score, n, budget, seed -> values (n,) ---------------------------------


def game_of(score: Score, n: int) -> Game:
    """The game as the estimators of the course take it."""
    return Game(tuple(map(str, range(n))), "score", score, batch=10**6)


def _of_shap(
    kind: str, options: dict, score: Score, n: int, budget: int, seed: int
) -> np.ndarray:
    explainer = getattr(shap, kind)(score, np.zeros((1, n)))
    options = {"nsamples": budget, "silent": True} | options
    return np.ravel(explainer.shap_values(np.ones((1, n)), **options))


def _of_shapiq(
    kind: str, options: dict, score: Score, n: int, budget: int, seed: int
) -> np.ndarray:
    approximator = getattr(shapiq, kind)(n=n, random_state=seed, **options)
    found = approximator.approximate(budget, score)
    return np.array([found[(i,)] for i in range(n)])


BLACK: dict[tuple[str, str], Callable] = {
    # both ends, and the whole once more
    ("ours", "leverage regression"): lambda score, n, budget, seed: (
        explain.leverage_regression(game_of(score, n), budget - 3, seed).values
    ),
    # in pairs, two at least
    ("ours", "permutations"): lambda score, n, budget, seed: (
        explain.permutation_sampling(
            game_of(score, n), 2 * max(2, (budget - 3) // (2 * (n - 1))), seed
        ).values
    ),
    ("shap", "PermutationExplainer"): lambda score, n, budget, seed: (
        shap.PermutationExplainer(
            score, shap.maskers.Independent(np.zeros((1, n))), seed=seed
        )(np.ones((1, n)), max_evals=budget, silent=True).values[0]
    ),
    # by default it drops films that a lasso finds useless
    ("shap", "KernelExplainer (default)"): partial(_of_shap, "KernelExplainer", {}),
    ("shap", "KernelExplainer (l1_reg=False)"): partial(
        _of_shap, "KernelExplainer", {"l1_reg": False}
    ),
    # each of its samples asks for two scores
    ("shap", "SamplingExplainer"): lambda score, n, budget, seed: _of_shap(
        "SamplingExplainer", {"nsamples": budget // 2}, score, n, budget, seed
    ),
    ("lime", "LIME weights"): lambda score, n, budget, seed: (
        explain.lime_history(game_of(score, n), budget, seed).values
    ),
    ("shapiq", "KernelSHAP (pairs)"): partial(
        _of_shapiq, "KernelSHAP", {"pairing_trick": True}
    ),
}
BLACK |= {
    ("shapiq", kind): partial(_of_shapiq, kind, {})
    for kind in (
        "KernelSHAP",
        "PermutationSamplingSV",
        "StratifiedSamplingSV",
        "OwenSamplingSV",
        "SVARM",
        "UnbiasedKernelSHAP",
    )
}
# class of the newest shapiq -> options. ProxySHAP's first order is RegressionMSR's
NEWEST: dict[str, dict] = {"RegressionMSR": {"index": "SV"}, "OddSHAP": {}}


def black(
    run: Callable, box: Box, budget: int, seed: int
) -> tuple[np.ndarray, float, int]:
    """Values (n,) of an estimator, its seconds without the scores, and scores asked."""
    known: dict[bytes, float] = {}
    shares = partial(np.mean, axis=1)
    # the first run records what it asks for, the second gets the scores of that
    _, groups, _ = _asked(run, shares, box, budget, seed)
    answer = partial(_remembered, known, box.score)
    answer(np.concatenate(groups))
    values, groups, seconds = _asked(run, answer, box, budget, seed)
    return values, seconds, sum(map(len, groups))


def _asked(
    run: Callable, answer: Score, box: Box, budget: int, seed: int
) -> tuple[np.ndarray, list[np.ndarray], float]:
    """Values, the groups asked for, and the seconds without the answers."""
    groups: list[np.ndarray] = []
    waited: list[float] = []

    def score(asked: np.ndarray) -> np.ndarray:
        started = perf_counter()
        groups.append(np.atleast_2d(asked).astype(bool))
        answers = answer(groups[-1])
        waited.append(perf_counter() - started)
        return answers

    # shap draws from NumPy's global generator
    np.random.seed(seed)
    started = perf_counter()
    values = run(score, len(box.history), budget, seed)
    return values, groups, perf_counter() - started - sum(waited)


def _remembered(
    known: dict[bytes, float], score: Score, groups: np.ndarray
) -> np.ndarray:
    """Scores (m,) of groups (m, n); those not known yet are asked together."""
    names = [row.tobytes() for row in np.packbits(groups, axis=1)]
    # adaptive estimators ask for others in their second run
    if new := {name: at for at, name in enumerate(names) if name not in known}:
        known.update(zip(new, score(groups[list(new.values())]), strict=True))
    return np.array([known[name] for name in names])


def newest(
    line: Connection, kind: str, box: Box, budget: int, seed: int
) -> tuple[np.ndarray, float, int]:
    """An approximator of another Python's shapiq, at the other end of the line."""
    line.send((kind, NEWEST[kind], len(box.history), budget, seed))
    while isinstance(answer := line.recv(), np.ndarray):
        line.send(box.score(answer))
    return answer


@cache
def dae_of_ml100k() -> tuple[Any, Any]:
    """The zoo's autoencoder trained on ML-100K, and its split (leave-last-out)."""
    split = leave_last_out(load_movielens("ml-100k"))
    return zoo.train("dae", split)[0], split


def cases(name: str, n: int, users: int) -> list[tuple[Any, np.ndarray, int]]:
    """Model, history (n,) and first recommendation of the first test users.

    They have n films or more, of which the newest n count.
    """
    model, split = dae_of_ml100k() if name == "dae" else (zoo.load(name), zoo.split())
    histories = split.cases("test").histories
    newest = [history[-n:] for history in histories if len(history) >= n][:users]
    return [(model, each, int(recommend(model, each, k=1)[0])) for each in newest]


def restricted(model: Any, history: np.ndarray, item: int) -> Score:
    """The dae as a NumPy function of masks over one history: (m, n) -> (m,)."""
    net = explain.one_hidden(model)
    rows, readout = net.rows[history], net.readout[:, item]  # (n, units), (units,)
    # (m, n) -> (m, units): what each group of films says to the hidden layer
    return lambda masks: (
        np.tanh(masks.astype(np.float32) @ rows + net.bias) @ readout
        + net.constant[item]
    )


def series(model: Any, history: np.ndarray, item: int) -> tuple[np.ndarray, np.ndarray]:
    """The dae's Shapley values (n,) by a Fourier series, and how far off each may be.

    That is the distance to a series of half as many terms.
    """
    net = explain.one_hidden(model)
    rows, readout = net.rows[history], net.readout[:, item]
    # a unit that no film moves and that reaches twice as far doubles the terms of all
    far = 2 * (np.abs(net.bias) + np.abs(rows).sum(axis=0)).max()
    wider = fourier_shapley(np.pad(rows, [(0, 0), (0, 1)]), np.append(net.bias, far))
    many = wider[:, :-1] @ readout
    return many, many - fourier_shapley(rows, net.bias) @ readout


def in_batches(score: Score, masks: np.ndarray) -> np.ndarray:
    """Scores (m,) of groups (m, n), alike in size in each batch: networks pad."""
    by_size = masks.sum(axis=1).argsort(kind="stable")
    answers = np.empty(len(masks))
    for part in np.array_split(by_size, -(-len(masks) // BATCH)):
        answers[part] = score(masks[part])
    return answers


@cache
def boxes(name: str, n: int, store: Store) -> list[Box]:
    """The scores to explain of a model's users with n films; their truths are stored."""
    found = []
    # groups of all sizes alike
    groups = draw_pairs(n, BATCH, np.random.default_rng(0)).groups
    both = np.vstack([groups, ~groups])
    for user, case in enumerate(cases(name, n, USERS)):
        # a NumPy function: what is compared is the methods, not calls of TensorFlow
        inside = restricted(*case) if name == "dae" else history_game(*case).value
        score = partial(in_batches, inside)
        key = {"model": name, "players": n, "user": user}
        mine = stored(store, "race_truth.csv.gz", key, partial(_truth, *case, score))
        truth, off = mine[["value", "off"]].to_numpy().T
        error = relative_error(truth + off, truth)
        seconds = np.median(repeat(partial(score, both), number=1, repeat=3))
        found.append(Box(*case, score, truth, error, seconds / len(both)))
    return found


def _truth(model: Any, history: np.ndarray, item: int, score: Score) -> pd.DataFrame:
    """Shapley values as true as we can have them, and how far off each may be."""
    game = game_of(score, len(history))
    if model.name == "dae":
        values, off = series(model, history, item)
    elif len(history) <= 20:
        values, off = explain.brute_force(game).values, 0.0
    else:
        # seeds that no run of the race has
        one, other = (
            explain.leverage_regression(game, TRUTH_GROUPS, s).values for s in (98, 99)
        )
        values, off = (one + other) / 2, (one - other) / 2
    return pd.DataFrame({"value": values, "off": off})


def stored(
    store: Store, file: str, key: dict[str, Any], make: Callable[[], pd.DataFrame]
) -> pd.DataFrame:
    """The rows of a file under a key, made and added if there are none."""
    table = store.read(file, list(key))
    rows = table[(table[list(key)] == list(key.values())).all(axis=1)]
    if not len(rows):
        rows = make().assign(**key)
        store.write(file, pd.concat([table, rows] if len(table) else [rows]))
    return rows


# -- the race --------------------------------------------------------------------------


def race(
    games: Iterable[tuple[str, int]],
    estimators: dict[tuple[str, str], tuple[Estimator, tuple[int, ...]]],
    store: Store,
    file: str = "race.csv.gz",
) -> None:
    """Add to a file the rows that it lacks, of estimators with their budgets.

    Without budgets an estimator has those of black boxes, as far as they are of use.
    """
    for (name, n), (of, (run, only)) in product(games, estimators.items()):
        error = np.inf
        for budget in only or budgets(name, n):
            key = dict(zip(KEY, (name, n, *of, budget), strict=True))
            make = partial(_runs, run, name, n, store, budget)
            rows = stored(store, file, key, make)
            before, error = error, rows["error"].mean()
            print(*key.values(), f"{error:.2g}", flush=True)
            own, largest = rows["own"].mean(), budgets(name, n)[-1]
            if not only and not _goes_on(error, before, own, largest / budget):
                break


def _runs(run: Estimator, name: str, n: int, store: Store, budget: int) -> pd.DataFrame:
    """One row for each user and seed."""
    rows = []
    games = boxes(name, n, store)
    run(games[0], budget, 0)  # warm
    for (user, box), seed in product(enumerate(games), range(SEEDS)):
        values, own, asked = run(box, budget, seed)
        rows.append(
            {
                "user": user,
                "seed": seed,
                "asked": asked,
                "own": own,
                "seconds": own + asked * box.cost,
                "error": relative_error(values, box.truth),
                "truth_error": box.truth_error,
            }
        )
    return pd.DataFrame(rows)


def _goes_on(error: float, before: float, own: float, left: float) -> bool:
    """Whether a larger budget is tried: neither needless, nor hopeless, nor slow.

    before: the error at the budget before; left: how many times larger the largest is.
    """
    # where it would come by the largest budget, were it to fall on as it last did
    at_last = error * (error / before) ** (np.log(left) / np.log(4))
    hopeless = at_last > 1.25 * max(TARGETS) or error > 0.9 * before
    return error > min(TARGETS) / 2 and not hopeless and own < SLOW


def main(arguments: list[str] | None = None, store: Store | None = None) -> None:
    """Run what is missing, and write the tables."""
    asked = sys.argv[1:] if arguments is None else arguments
    store = store or Store()
    games = tuple(product(("dae", "gru", "attention"), PLAYERS))
    if asked[:1] == ["newest"]:
        race_newest(asked[1], games, store)
    else:
        here = {of: (partial(black, run), ()) for of, run in BLACK.items()}
        race(games, here, store)
    write_explanations(store)


def race_newest(python: str, games: Iterable[tuple[str, int]], store: Store) -> None:
    """The race of another Python's shapiq, on one thread as the others."""
    script = DATA / "bench" / "newest_shapiq.py"
    with Listener() as listener:
        command = ["env", "OMP_NUM_THREADS=1", python, script, listener.address]
        with subprocess.Popen(command), listener.accept() as line:
            kinds = {
                ("shapiq 1.6", kind): (partial(newest, line, kind), ())
                for kind in NEWEST
            }
            race(games, kinds, store)
            line.send(None)


if __name__ == "__main__":
    main()

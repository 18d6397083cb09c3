"""LIME for the rows of a table, written out once and through the lime library, and for
the films of a history.

Ribeiro, Singh and Guestrin (2016), "Why should I trust you?",
doi:10.1145/2939672.2939778. All draw samples around what is explained, weigh each by
its nearness and fit a weighted ridge regression to the model's answers. For a row the
samples are normal with the background's standard deviations, and columns are measured
in standard deviations from their mean; for a history films are taken away at random, as
the library does with the words of a text.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from lime.lime_base import LimeBase
from lime.lime_tabular import LimeTabularExplainer

from xrec_utils.games import Explanation, Game

Predict = Callable[[np.ndarray], np.ndarray]


def lime_from_scratch(
    predict: Predict,
    row: np.ndarray,
    background: np.ndarray,
    samples: int = 5000,
    seed: int = 0,
) -> tuple[np.ndarray, float]:
    """Fit a local linear model to `predict` around `row`: LIME's tabular explainer
    without discretising.

    `predict` maps (n, d) to (n,); `row` is (d,), `background` (m, d). Returns the
    coefficients (d,), each the change of the prediction per standard deviation of its
    column, and the intercept: the surrogate at the background mean.
    """
    mean, sd = background.mean(axis=0, dtype=float), background.std(axis=0, dtype=float)
    sd = np.where(np.ptp(background, axis=0) > 0, sd, 1.0)
    near = row + sd * np.random.RandomState(seed).normal(size=(samples, len(row)))
    near[0] = row
    scaled = (near - mean) / sd
    distance = np.linalg.norm(scaled - scaled[0], axis=1)
    width = 0.75 * np.sqrt(len(row))
    weight = np.exp(-(distance**2) / (2 * width**2))
    answer = predict(near)
    centre, level = (
        np.average(scaled, axis=0, weights=weight),
        np.average(answer, weights=weight),
    )
    x, y = scaled - centre, answer - level
    penalty = np.eye(len(row))
    coefficients = np.linalg.solve(
        x.T @ (weight[:, None] * x) + penalty, x.T @ (weight * y)
    )
    return coefficients, float(level - centre @ coefficients)


def lime_tabular(
    predict: Predict,
    row: np.ndarray,
    background: np.ndarray,
    names: Sequence[str],
    samples: int = 5000,
    seed: int = 0,
    target: str = "P(like)",
) -> Explanation:
    """Explain one prediction by LIME, through the lime library.

    `predict` maps (n, d) to the (n,) probabilities of the class explained; `row` is
    (d,), `background` (m, d), and `names` the d column names. A value is coefficient *
    (row - mean) / sd: what the column adds to the surrogate's prediction when it moves
    from its background mean to the row. `base` is the surrogate at the mean, so `base`
    plus the values is the surrogate's prediction for the row, and `gap` is how far the
    model itself is from it. The surrogate's weighted R2 stands in `method`; a low one
    says that no straight line fits here.

    Raises ValueError if the shapes disagree or `predict` does not return probabilities
    of shape (n,).
    """
    started = time.perf_counter()
    row, background = (
        np.asarray(row, dtype=np.float64),
        np.asarray(background, dtype=np.float64),
    )
    _check_shapes(row, background, names)
    explainer = LimeTabularExplainer(
        background,
        feature_names=list(names),
        discretize_continuous=False,
        sample_around_instance=True,
        feature_selection="none",
        random_state=seed,
    )
    found = explainer.explain_instance(
        row, _two_columns(predict), num_features=len(row), num_samples=samples
    )
    coefficients = np.array([value for _, value in sorted(found.local_exp[1])])
    return Explanation(
        players=tuple(names),
        target=target,
        values=coefficients * (row - explainer.scaler.mean_) / explainer.scaler.scale_,
        base=float(found.intercept[1]),
        score=float(found.predict_proba[1]),
        method=f"LIME ({samples} samples, local R2 {found.score:.2f})",
        seconds=time.perf_counter() - started,
        error=None,
    )


def lime_history(
    game: Game, samples: int = 1000, seed: int = 0, kernel_width: float = 25.0
) -> Explanation:
    """Explain a game by LIME: a straight line in "player present", fitted near the
    whole history.

    As the lime library does with a text: a number of players drawn evenly from 1..n is
    taken away at random, a sample weighs sqrt(exp(-d^2 / kernel_width^2)) at the cosine
    distance d = 100 (1 - sqrt(share of players present)), and the library's ridge
    regression fits all players at once. `base` is the line's intercept, its score for
    no player; base plus the values is its score for all, and `gap` is how far the model
    itself is from it. The weighted R2 stands in `method`. Another seed gives other
    values: compare several before you trust their order.

    Raises ValueError for fewer than two samples.
    """
    if samples < 2:
        raise ValueError(
            f"samples={samples} must be 2 or more: the first is the whole history"
        )
    started, draw = time.perf_counter(), np.random.RandomState(seed)
    masks = np.ones((samples, game.n_players), dtype=bool)
    for row, removed in zip(
        masks[1:], draw.randint(1, game.n_players + 1, samples - 1), strict=True
    ):
        row[draw.choice(game.n_players, removed, replace=False)] = False
    answers, distance = game(masks), 100 * (1 - np.sqrt(masks.mean(axis=1)))
    near = LimeBase(
        lambda d: np.sqrt(np.exp(-(d**2) / kernel_width**2)), random_state=draw
    )
    base, found, r2, _ = near.explain_instance_with_data(
        masks.astype(float),
        answers[:, None],
        distance,
        0,
        game.n_players,
        feature_selection="none",
    )
    values, method = (
        np.array([value for _, value in sorted(found)]),
        f"LIME ({samples} samples, local R2 {r2:.2f})",
    )
    seconds = time.perf_counter() - started
    return Explanation(
        game.players,
        game.target,
        values,
        float(base),
        float(answers[0]),
        method,
        seconds,
    )


def _two_columns(predict: Predict) -> Predict:
    """Turn P(yes) of shape (n,) into the (n, 2) matrix of P(no), P(yes) that lime asks
    for.
    """

    def both(rows: np.ndarray) -> np.ndarray:
        yes = np.asarray(predict(rows), dtype=np.float64)
        if yes.shape != (len(rows),):
            raise ValueError(
                f"predict returned shape {yes.shape} for {len(rows)} rows; LIME needs ({len(rows)},): pick one column."
            )
        if yes.min() < 0 or yes.max() > 1:
            raise ValueError(
                f"predict returned {yes.min():.3g} to {yes.max():.3g}; LIME needs probabilities in 0..1."
            )
        return np.column_stack([1 - yes, yes])

    return both


def _check_shapes(
    row: np.ndarray, background: np.ndarray, names: Sequence[str]
) -> None:
    if (
        row.ndim != 1
        or background.ndim != 2
        or background.shape[1] != len(row)
        or len(names) != len(row)
    ):
        raise ValueError(
            f"row has shape {row.shape}, background {background.shape} and there are {len(names)} names; "
            "they must be (d,), (m, d) and d."
        )

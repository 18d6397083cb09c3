"""Games whose players are the columns of a row."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import compress

import numpy as np
import pandas as pd

from xrec_utils.contract import EmbeddingModel
from xrec_utils.files import require
from xrec_utils.games.game import Game, Masks, history_game
from xrec_utils.keras_start import tf


def imputed_game(
    model: EmbeddingModel,
    history: np.ndarray,
    item: int,
    *,
    titles: Sequence[str] | None = None,
    fill: np.ndarray | None = None,
) -> Game:
    """The history game in which a removed film keeps its place and loses its vector.

    Absent means: the vector becomes `fill`. In `history_game` the rest closes up
    instead. Films before the model's window count for nothing here, while in
    `history_game` they move in when a later one goes.

    Args:
        model: with `vectors` and `score_vectors`, see `contract.EmbeddingModel`.
        history: (films,) item codes, oldest first.
        item: the code scored, outside the history.
        titles: names by item code; None shows the codes.
        fill: (d,) the vector of an absent film; None takes the mean vector of the
            catalogue, an average film.

    Returns:
        A game of the films whose scores are the model's, in logits.

    Raises:
        TypeError: the model shows no vectors.
        ValueError: as `history_game` does.

    Example:
        Films are one number each, and the score is their sum:

        >>> from types import SimpleNamespace
        >>> numbers = np.array([[1.0], [2.0], [3.0], [6.0]], np.float32)
        >>> model = SimpleNamespace(
        ...     name="sum", n_items=4, score=None, vectors=lambda codes: numbers[codes],
        ...     score_vectors=lambda vectors, item: tf.reduce_sum(vectors, axis=(1, 2)),
        ... )
        >>> game = imputed_game(model, np.array([0, 1]), 3)
        >>> game.full(), game.empty()  # 1 + 2, and twice the mean 3
        (3.0, 6.0)
    """
    packed = history_game(model, history, item, titles=titles)
    require(
        hasattr(model, "score_vectors"),
        f"{model.name} shows no vectors to replace; "
        "use a model with `vectors` and `score_vectors`",
        TypeError,
    )
    vectors = model.vectors(np.asarray(history))
    if fill is None:
        fill = model.vectors(np.arange(model.n_items)).mean(axis=0)
    absent = np.asarray(fill, np.float32)
    require(
        absent.shape == vectors.shape[1:] and np.isfinite(absent).all(),
        f"fill must hold {vectors.shape[1]} finite numbers, got {absent}",
    )

    def value(masks: Masks) -> np.ndarray:
        """Scores (n,) of groups (n, films)."""
        # (n, films, d): each group's films, absent ones replaced
        shown = np.where(masks[:, :, None], vectors, absent)
        return model.score_vectors(tf.constant(shown), item).numpy()

    return replace(
        packed, target=f"{packed.target}, films replaced", value=value, batch=64
    )


def feature_game(
    predict: Callable[[np.ndarray], np.ndarray],
    row: np.ndarray,
    background: np.ndarray,
    names: Sequence[str],
    target: str = "P(like)",
    rows: int = 16_384,
) -> Game:
    """The columns of a row play for the prediction.

    Absent means replaced by that column of every background row, and the predictions
    averaged: the interventional value function (Janzing et al. 2020, "Feature relevance
    quantification in explainable AI", AISTATS).

    Args:
        predict: turns (n, columns) into (n,) predictions.
        row: (columns,), the row explained.
        background: (b, columns), rows that absent columns are taken from.
        names: one per column.
        target: what is predicted, in words.
        rows: most rows given to `predict` at once.

    Returns:
        A game with one player per column, in the unit of the prediction.

    Raises:
        ValueError: shapes do not fit, or a number is missing; when the game is played,
            `predict` gives another shape than (n,).

    Example:
        Without its second column (2) the row takes the mean of 0 and 1 there:

        >>> background = np.array([[0.0, 0.0], [0.0, 1.0]])
        >>> predict = lambda x: x.sum(axis=1)
        >>> game = feature_game(predict, np.array([5.0, 2.0]), background, ["a", "b"])
        >>> game(np.array([[True, True], [True, False]])).tolist()
        [7.0, 5.5]
    """
    row = np.asarray(row)
    background = np.asarray(background)
    require(
        background.ndim == 2
        and len(background) > 0
        and background[0].shape == row.shape,
        "row (d,) and background (b, d) do not fit: "
        f"{row.shape} and {background.shape}",
    )
    require(
        len(names) == len(row),
        f"names has {len(names)} entries for {len(row)} columns",
    )
    missing = pd.isna(np.vstack([row, background])).any(axis=0)
    require(
        not missing.any(),
        "row or background lacks numbers (NaN) in "
        f"{list(compress(names, missing))}: fill them in as in training",
    )
    n_rows, n_columns = background.shape

    def value(masks: Masks) -> np.ndarray:
        """Mean predictions (n,) of groups (n, columns)."""
        # (groups, background rows, columns), then all rows below each other
        mixed = np.where(masks[:, None, :], row, background)
        scores = np.asarray(predict(mixed.reshape(-1, n_columns)))
        require(
            scores.shape == (len(masks) * n_rows,),
            f"predict must turn (n, {n_columns}) into (n,), "
            f"got {scores.shape}: pick one output column",
        )
        # (groups, background rows)
        return scores.reshape(-1, n_rows).mean(axis=1, dtype=np.float64)

    return Game(names, target, value, max(1, rows // n_rows))

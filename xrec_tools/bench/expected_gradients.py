"""Expected gradients, which the leaderboard compares with the explainers of the course."""

import time
from collections.abc import Sequence

import numpy as np

from xrec_utils import tf
from xrec_utils.contract import EmbeddingModel, History
from xrec_utils.explain.gradients import Reading, unseen_as_zero
from xrec_utils.games import Explanation, history_game
from xrec_utils.models.autoencoders import Autoencoder


def expected_gradients(
    model: EmbeddingModel | Autoencoder,
    history: np.ndarray,
    item: int,
    background: Sequence[History],
    samples: int = 200,
    seed: int = 0,
    titles: Sequence[str] | None = None,
) -> Explanation:
    """Integrated gradients from other users' histories instead of zeros, averaged.

    phi_i = E sum_k (x_ik - x'_ik) * d score(x' + t (x - x')) / d x_ik, with x' a
    history of the background and t uniform in [0, 1] (Erion et al. 2021,
    doi:10.1038/s42256-021-00343-w), by `samples` seeded draws of both; `error` is the
    standard error. An embedded history x' is cut to its latest L films or repeated up
    to L; an empty one gives the zero baseline. base: the mean score of the baselines,
    plus the credit of their films where the history has none (rows of ones and zeros
    only); so `gap` is the sampling error of the whole.

    Raises ValueError for fewer than two samples, without background, and on what
    `history_game` refuses.
    """
    if samples < 2 or not len(background):
        raise ValueError(
            f"{samples} samples of {len(background)} background histories; "
            "needs 2 and 1 at least"
        )
    started = time.perf_counter()
    game = history_game(model, history, item, titles=titles)
    reading = Reading(model, history, item)
    rng = np.random.default_rng(seed)
    origins = _baselines(reading, background, samples, rng)
    line = reading.numbers(history) - origins
    credit = line * _slopes_on_the_way(reading, origins, line, rng)
    films = reading.by_film(credit)  # (samples, films read)
    base = reading.score(tf.constant(origins))
    # credit of films that only the baselines have
    elsewhere = (credit.sum() - films.sum()) / samples
    score = reading.score(
        tf.constant((origins + line)[:1]),
    )
    return Explanation(
        players=game.players,
        target=game.target,
        values=unseen_as_zero(films.mean(axis=0), game.n_players),
        base=float(base.numpy().mean() + elsewhere),
        score=float(score[0]),
        method=f"expected gradients ({samples} samples)",
        seconds=time.perf_counter() - started,
        error=unseen_as_zero(
            films.std(axis=0, ddof=1) / np.sqrt(samples),
            game.n_players,
        ),
    )


def _baselines(
    reading: Reading,
    background: Sequence[History],
    samples: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """What the model reads of histories drawn from the background: (samples, ...)."""
    # the same one may come up twice: each is read once
    read = np.stack(list(map(reading.numbers, background)))
    return read[rng.integers(len(background), size=samples)]


def _slopes_on_the_way(
    reading: Reading, origins: np.ndarray, line: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The slopes at one random point of each line that starts at an origin.

    origins, line (samples, ...) -> (samples, ...).
    """
    # one share of the line for all numbers of a sample
    shares = rng.random(
        (len(line), *[1] * (line.ndim - 1)),
    )
    points = origins + shares * line
    return reading.gradients(points)[1]

"""Influence against its definition: training again without the interaction, with
numpy's own inverse.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from xrec_tools.bench.causes import ease_scores
from xrec_utils.explain.influence import (
    EaseInfluence,
    Retrained,
    inverse_gram,
)
from xrec_utils.models.classic import EASE, HybridEASE

N_ITEMS = 15
ITEMS = pd.DataFrame(
    {
        "title": [f"film number {n}" for n in range(N_ITEMS)],
        "year": pd.array([1990 + n % 4 for n in range(N_ITEMS)], dtype="Int64"),
        "genres": [("Drama", "Comedy|Drama", "War")[n % 3] for n in range(N_ITEMS)],
    }
)


def some_histories(users: int = 25, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        rng.permutation(N_ITEMS)[: rng.integers(2, 9)].astype(np.int32)
        for _ in range(users)
    ]


def trained_again(
    model: EASE, histories: list[np.ndarray], history: np.ndarray
) -> np.ndarray:
    """All scores of `history`, from the formula of the paper: B = I - P / diag(P), zero
    on the diagonal.
    """
    x = np.zeros((len(histories), N_ITEMS))
    for row, films in zip(x, histories, strict=True):
        row[films] = 1.0
    gram = x.T @ x + model.regularisation * np.eye(N_ITEMS)
    if isinstance(model, HybridEASE):
        gram += model.weight * (model.features @ model.features.T).toarray()
    inverse = np.linalg.inv(gram)
    weights = np.eye(N_ITEMS) - inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights[history].sum(axis=0)


def without(
    histories: list[np.ndarray], user: int, films: np.ndarray
) -> list[np.ndarray]:
    return [h[~np.isin(h, films)] if u == user else h for u, h in enumerate(histories)]


@pytest.fixture(params=["ease", "hybrid"])
def model(request: pytest.FixtureRequest) -> EASE:
    build = {"ease": lambda: EASE(3.0), "hybrid": lambda: HybridEASE(ITEMS, 3.0, 2.0)}
    return build[request.param]().fit(some_histories(), N_ITEMS)


@pytest.mark.parametrize("both", [False, True])
def test_influence_is_what_training_again_says(model: EASE, both: bool) -> None:
    histories = some_histories()
    influence = EaseInfluence(model, histories)
    for user in range(10):
        row = histories[user]
        new = np.setdiff1d(np.arange(N_ITEMS), row)
        history, item = (
            np.append(row, new[0]),
            int(new[1]),
        )  # a film which training never saw
        found = influence.influence(user, history, item, both=both)
        now = trained_again(model, histories, history)[item]
        after = []
        for film in row:
            given = history[history != film] if both else history
            after.append(
                trained_again(model, without(histories, user, film), given)[item]
            )
        base = trained_again(
            model,
            without(histories, user, row),
            np.setdiff1d(history, row) if both else history,
        )
        assert np.allclose(found.values, now - np.array(after), rtol=1e-9, atol=1e-13)
        assert np.isclose(found.score, now) and np.isclose(found.base, base[item])


def test_any_set_of_films_is_forgotten_at_once(model: EASE) -> None:
    histories = some_histories()
    user = int(np.argmax([len(h) for h in histories]))
    row, history = histories[user], np.array([0, 3, 5])
    sets = [row[:0], row[:1], row[1:4], row]
    scores = EaseInfluence(model, histories).retrained_scores(user, sets, [history])
    truth = [
        trained_again(model, without(histories, user, films), history) for films in sets
    ]
    assert np.allclose(scores, truth, rtol=1e-10, atol=1e-14)
    assert np.allclose(scores[0], model.score([history])[0], atol=1e-6)


def test_a_model_that_is_retrained_for_every_history(model: EASE) -> None:
    histories = some_histories()
    row = histories[3]
    history = np.append(
        row[1:], np.setdiff1d(np.arange(N_ITEMS), row)[:2]
    )  # row[0] is trained on and stays
    again = Retrained(EaseInfluence(model, histories), 3, history)
    asked = [history, history[2:], history[:0], history[::2]]
    truth = [
        trained_again(model, without(histories, 3, np.setdiff1d(history, part)), part)
        for part in asked
    ]
    assert again.n_items == N_ITEMS and again.name == f"{model.name}, retrained"
    for batch in (3, 128):
        assert np.allclose(again.score(asked, batch=batch), truth, atol=1e-13)
    assert np.allclose(
        again.score(asked, np.array([4, 2])), np.array(truth)[:, [4, 2]], atol=1e-13
    )


def test_training_from_the_start_gives_the_scores_of_the_formula(model: EASE) -> None:
    for history in (np.array([1, 7]), np.array([], dtype=np.int32)):
        found = ease_scores(inverse_gram(model, some_histories()), history)
        assert np.allclose(
            found, trained_again(model, some_histories(), history), atol=1e-13
        )


def test_the_two_questions_have_their_names_and_titles_theirs(model: EASE) -> None:
    histories = some_histories()
    influence, row = EaseInfluence(model, histories), histories[0]
    item = int(np.setdiff1d(np.arange(N_ITEMS), row)[0])
    learned, both = (
        influence.influence(0, row, item, titles=ITEMS["title"], both=each)
        for each in (False, True)
    )
    assert (
        learned.method == "influence on training"
        and both.method == "influence on training and history"
    )
    assert learned.players == tuple(f"film number {n}" for n in row)
    assert learned.target == both.target == f"score of film number {item}"
    assert influence.influence(0, row, item).players[0] == f"item {row[0]}"
    assert not np.allclose(learned.values, both.values)


class SquaredEASE(EASE):
    """A score of its own: what the weights say is not what it says."""

    def score(
        self, histories: list[np.ndarray], items: np.ndarray | None = None
    ) -> np.ndarray:
        return super().score(histories, items) ** 2


def test_a_score_that_the_formula_does_not_know_is_refused() -> None:
    histories = some_histories()
    squared = SquaredEASE(3.0).fit(histories, N_ITEMS)
    with pytest.raises(ValueError, match="not declared to be that of its weights"):
        EaseInfluence(squared, histories)


def test_what_cannot_be_forgotten_is_named() -> None:
    histories = some_histories()
    model = EASE(3.0)
    with pytest.raises(ValueError, match="call fit"):
        EaseInfluence(model, histories)
    model.fit(histories, N_ITEMS)
    with pytest.raises(ValueError, match="not those that ease was fitted on"):
        EaseInfluence(model, histories[1:])
    influence, row = EaseInfluence(model, histories), histories[0]
    missing = int(np.setdiff1d(np.arange(N_ITEMS), row)[0])
    with pytest.raises(ValueError, match="user 0 has no training interaction"):
        influence.retrained_scores(0, [np.array([missing])], [row])
    with pytest.raises(ValueError, match="in the history"):
        influence.influence(0, row, int(row[0]))

"""Counterfactuals against all subsets of small histories."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from models_by_hand import MeanPool, Recent, Tanh
from xrec_utils.contract import HistoryModel
from xrec_utils.explain.baselines import leave_one_out
from xrec_utils.explain.counterfactual import (
    Counterfactual,
    beam,
    greedy,
    holds_after_retraining,
)
from xrec_utils.explain.covers import Cover, minimal_linear
from xrec_utils.explain.influence import EaseInfluence, Retrained
from xrec_utils.games.game import history_game
from xrec_utils.models.classic import EASE, ContentBased, ItemToItem

N_ITEMS = 30


class Linear(ItemToItem):
    """Random weights, some of them zero and some equal, so that ties occur; some films
    work against the item.
    """

    name = "linear"

    def __init__(self, seed: int, shift: float = 0.0) -> None:
        self.n_items = N_ITEMS
        rng = np.random.default_rng(seed)
        self.weights = (
            np.round(rng.normal(shift, 1, (N_ITEMS, N_ITEMS)) * 4) / 4
        ).astype(np.float32)


class Mean(Linear, ContentBased):
    """The mean of the weights: `ContentBased` scoring on random weights."""

    pooling = "mean"

    def score(
        self, histories: list[np.ndarray], items: np.ndarray | None = None
    ) -> np.ndarray:
        return ContentBased.score(self, histories, items)


class SquaredEASE(EASE):
    """Its weights do not say its score, and it does not declare that they do."""

    def score(
        self, histories: list[np.ndarray], items: np.ndarray | None = None
    ) -> np.ndarray:
        return super().score(histories, items) ** 2


def question(
    model: HistoryModel, seed: int, k: int, length: int = 8
) -> tuple[np.ndarray, int]:
    """A history and a film of its top k."""
    rng = np.random.default_rng(seed)
    history = rng.permutation(N_ITEMS)[:length]
    scores = model.score([history])[0].astype(float)
    scores[history] = -np.inf
    return history, int(np.argsort(-scores, kind="stable")[rng.integers(k)])


def rank(
    model: HistoryModel, history: np.ndarray, item: int, films: tuple[int, ...]
) -> int:
    """The item's rank by its definition, film by film."""
    scores = model.score([np.delete(history, list(films))])[0]
    return 1 + sum(
        scores[c] > scores[item]
        for c in range(N_ITEMS)
        if c != item and c not in history
    )


def true_minimum(
    model: HistoryModel, history: np.ndarray, item: int, k: int
) -> int | None:
    """The size of the smallest subset that works, by trying all of them."""
    for size in range(1, len(history) + 1):
        if any(
            rank(model, history, item, films) > k
            for films in combinations(range(len(history)), size)
        ):
            return size
    return None


def check(
    found: Counterfactual, model: HistoryModel, history: np.ndarray, item: int, k: int
) -> None:
    """The counterfactual says of itself what re-scoring says."""
    assert found.rank_before == rank(model, history, item, ())
    assert found.rank_after == rank(model, history, item, found.films)
    assert found.valid == (found.rank_after > k) == (found.size > 0)
    assert (
        list(found.films) == sorted(set(found.films))
        and found.calls > 0
        and found.seconds > 0
    )


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("kind", [Linear, Mean])
def test_branch_and_bound_finds_the_true_minimum_of_linear_models(
    kind: type, k: int
) -> None:
    sizes = set()
    for seed in range(12):
        model = kind(seed)
        history, item = question(model, seed, k)
        exact, step, wide = (
            search(model, history, item, k) for search in (minimal_linear, greedy, beam)
        )
        for found in (exact, step, wide):
            check(found, model, history, item, k)
        truth = true_minimum(model, history, item, k)
        assert (
            exact.minimal
            and exact.valid == (truth is not None)
            and exact.size == (truth or 0)
        )
        assert not step.valid or exact.size <= wide.size <= step.size
        sizes.add(exact.size)
    assert len(sizes) >= 2


@pytest.mark.parametrize("kind", [MeanPool, Tanh, Recent])
def test_greedy_and_beam_on_models_that_are_not_linear(kind: type) -> None:
    for seed in range(8):
        model = kind(N_ITEMS, seed=seed)
        history, item = question(model, seed, 3)
        step, wide = (
            greedy(model, history, item, 3),
            beam(model, history, item, 3, width=8),
        )
        truth = true_minimum(model, history, item, 3)
        for found in (step, wide):
            check(found, model, history, item, 3)
            assert not found.valid or found.size >= truth
            assert found.minimal == (found.size == 1)
        assert not step.valid or wide.size <= step.size


def test_a_film_that_nothing_removes_is_reported_as_such() -> None:
    model = Linear(0)
    model.weights[:, 7] = -1.0
    model.weights[:, 3] = 5.0
    model.weights[:, 11] = 0.0
    history = np.array([0, 1, 2])
    for search in (greedy, beam, minimal_linear):
        found = search(
            model, history, 3, 10
        )  # even the empty history, where all tie, leaves it in front
        assert (
            not found.valid
            and found.films == ()
            and found.rank_after == found.rank_before == 1
        )
        assert found.minimal == (search is minimal_linear)


def test_films_are_removed_in_the_order_of_an_explanation() -> None:
    for seed in range(8):
        model = Linear(seed, shift=0.5)
        history, item = question(model, seed, 3)
        order = leave_one_out(history_game(model, history, item)).top()
        found = greedy(model, history, item, 3, order)
        ranks = [
            rank(model, history, item, tuple(order[:size]))
            for size in range(1, len(order) + 1)
        ]
        sizes = [size for size, place in enumerate(ranks, start=1) if place > 3]
        assert found.films == (tuple(sorted(order[: sizes[0]])) if sizes else ())


def test_without_enough_nodes_nothing_is_claimed() -> None:
    found = []
    for seed in range(6):
        model = Linear(seed)
        history, item = question(model, seed, 10)
        few, many = (
            minimal_linear(model, history, item, 10, nodes) for nodes in (1, 20_000)
        )
        check(few, model, history, item, 10)
        assert many.minimal and (not few.valid or many.size <= few.size)
        found.append(few.minimal)
    assert not all(found)


@pytest.mark.parametrize(("k", "films"), [(1, 1), (2, 1), (3, 3)])
def test_a_cover_worked_by_hand(k: int, films: int) -> None:
    """Lacking 1, 2 and 1: film 1 brings the outer two past the item; for the middle one
    it takes the first three.
    """
    gains = np.array(
        [[2.0, 1.0, -1.0], [2.0, 1.0, 3.0], [1.0, 1.0, 3.0], [-4.0, -1.0, -4.0]]
    )
    cover = Cover(gains, k, None)
    assert cover.solve(100) and cover.size == films
    assert ((-gains[~cover.best].sum(axis=0)) > 0).sum() >= k


def test_validity_after_training_again() -> None:
    rng = np.random.default_rng(1)
    histories = [
        rng.permutation(N_ITEMS)[: rng.integers(4, 12)].astype(np.int32)
        for _ in range(40)
    ]
    model = EASE(5.0).fit(histories, N_ITEMS)
    influence, held = EaseInfluence(model, histories), []
    for user in range(20):
        new = np.setdiff1d(np.arange(N_ITEMS), histories[user])[0]
        history = np.append(histories[user], new)  # the last film was not trained on
        scores = model.score([history])[0]
        scores[history] = -np.inf
        item = int(scores.argmax())
        found = minimal_linear(model, history, item, 3)
        gone = history[list(found.films)]
        changed = [
            h[~np.isin(h, gone)] if u == user else h for u, h in enumerate(histories)
        ]
        truth = rank(EASE(5.0).fit(changed, N_ITEMS), history, item, found.films) > 3
        assert holds_after_retraining(found, influence, user, history, item, 3) == truth
        held.append(truth)
        robust = greedy(Retrained(influence, user, history), history, item, 3)
        assert (
            holds_after_retraining(robust, influence, user, history, item, 3)
            == robust.valid
        )
    assert any(held)


def test_questions_without_an_answer_are_refused() -> None:
    model = Linear(0)
    history, item = question(model, 0, 1)
    last = int(
        np.argmin(
            np.where(
                np.isin(np.arange(N_ITEMS), history), np.inf, model.score([history])[0]
            )
        )
    )
    with pytest.raises(ValueError, match="only a film of the top 3"):
        greedy(model, history, last, 3)
    with pytest.raises(ValueError, match="k=40 must lie between"):
        beam(model, history, item, 40)
    with pytest.raises(ValueError, match="each position of the history once, 0 to 7"):
        greedy(model, history, item, 3, order=np.array([0, 0, 1, 2, 3, 4, 5, 6]))
    for other in (Tanh(N_ITEMS), SquaredEASE(5.0).fit([history], N_ITEMS)):
        with pytest.raises(ValueError, match="use greedy or beam"):
            minimal_linear(other, history, item)
    # copies count once in the score, and would count twice in the proof
    with pytest.raises(ValueError, match="use greedy or beam"):
        minimal_linear(model, np.append(history, history[0]), item, 1)
    with pytest.raises(ValueError, match="in the history"):
        greedy(model, history, int(history[0]))

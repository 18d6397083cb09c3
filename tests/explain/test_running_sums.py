"""Running sums: the same orders give the same values as asking the model group by
group.
"""

from __future__ import annotations

import numpy as np
import pytest

from xrec_utils import zoo
from xrec_utils.contract import Sums
from xrec_utils.explain import running_sums
from xrec_utils.explain.running_sums import marginal_means
from xrec_utils.explain.shapley import permutation_sampling
from xrec_utils.games.game import history_game, sums_of


@pytest.fixture(scope="module")
def case() -> zoo.RunningCase:
    return zoo.running_case()


@pytest.mark.parametrize(
    "name", ["dae", "vae", "user_knn", "embedding_mlp", "pooled_mlp"]
)
def test_same_orders_same_values(name: str, case: zoo.RunningCase) -> None:
    model = zoo.load(name)
    sums = sums_of(model, case.history, np.array([case.item]))
    (values,), (error,) = marginal_means(sums, 8, seed=3)
    slow = permutation_sampling(history_game(model, case.history, case.item), 8, seed=3)
    scale = np.abs(slow.values).max()
    np.testing.assert_allclose(values, slow.values, atol=2e-5 * scale)
    np.testing.assert_allclose(error, slow.error, atol=2e-5 * scale)


@pytest.mark.parametrize("name", ["attention", "gru", "din", "ials"])
def test_other_models_are_not_of_this_form(name: str, case: zoo.RunningCase) -> None:
    assert sums_of(zoo.load(name), case.history, np.array([case.item])) is None


def test_a_history_beyond_the_window_is_not_of_this_form() -> None:
    long = np.arange(60)
    assert sums_of(zoo.load("pooled_mlp"), long, np.array([100])) is None


def test_orders_go_through_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = Sums(
        np.random.default_rng(0).normal(size=(5, 4)),
        lambda s, films: np.tanh(s).sum(axis=1, keepdims=True),
    )
    whole = marginal_means(sums, 20, seed=1)
    monkeypatch.setattr(running_sums, "NUMBERS", 1)
    np.testing.assert_allclose(marginal_means(sums, 20, seed=1), whole, atol=1e-12)


@pytest.mark.parametrize("permutations", [2, 5])
def test_orders_come_in_pairs(permutations: int) -> None:
    with pytest.raises(ValueError, match="must be even and at least 4"):
        marginal_means(Sums(np.ones((2, 1)), lambda s, films: s), permutations, seed=0)

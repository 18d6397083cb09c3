"""One call explains every model of the zoo: exactly, or within the error it states."""

from __future__ import annotations

import numpy as np
import pytest

from xrec_utils import zoo
from xrec_utils.explain.choose import METHODS, explain, quadrature
from xrec_utils.explain.methods import NAMES
from xrec_utils.explain.shapley import brute_force
from xrec_utils.games.game import Game, history_game
from xrec_utils.models import specs

HISTORY = [name for name in specs.SPECS if name not in specs.FEATURE_MODELS]
EXACT = {"popularity", "content", "item_knn", "ease", "hybrid", "din"}


@pytest.fixture(scope="module")
def case() -> zoo.RunningCase:
    return zoo.running_case()


@pytest.mark.parametrize("name", HISTORY)
def test_values_are_brute_force_within_the_stated_error(
    name: str, case: zoo.RunningCase
) -> None:
    model, history = (
        zoo.load(name),
        case.history[-13:],
    )  # one more than `all groups` takes
    found = explain(model, history, case.item, permutations=64)
    truth = brute_force(history_game(model, history, case.item)).values
    scale = np.abs(truth).max()
    error = np.zeros(13) if found.error is None else found.error
    assert (np.abs(found.values - truth) <= 1e-5 * scale + 5 * error).all()
    if name in EXACT:
        assert error.max() <= 1e-6 * scale and "closed form" in found.method


@pytest.mark.parametrize("name", HISTORY)
def test_values_add_up(name: str, case: zoo.RunningCase) -> None:
    found = explain(zoo.load(name), case.history, case.item, permutations=4)
    assert abs(found.gap) <= 1e-3 * max(abs(found.score - found.base), 1e-9)


@pytest.mark.parametrize("name", ["dae", "attention"])
def test_few_films_are_exact(name: str, case: zoo.RunningCase) -> None:
    found = explain(
        zoo.load(name),
        case.history[:12],
        case.item,
        method="all groups" if name == "dae" else "auto",
    )
    truth = brute_force(history_game(zoo.load(name), case.history[:12], case.item))
    np.testing.assert_array_equal(found.values, truth.values)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_by_name_finds_the_same(
    method: str, case: zoo.RunningCase
) -> None:
    name = "ease" if method == "closed form" else "dae"
    history = case.history[:12]
    found = explain(
        zoo.load(name), history, case.item, method=method, titles=zoo.split().titles
    )
    truth = brute_force(history_game(zoo.load(name), history, case.item)).values
    assert np.linalg.norm(found.values - truth) <= 0.02 * np.linalg.norm(truth)
    assert found.players == tuple(zoo.split().titles[history])


def test_a_game_alone_is_explained(case: zoo.RunningCase) -> None:
    weights = np.arange(14.0)
    found = explain(
        Game(tuple("abcdefghijklmn"), "sum", lambda masks: masks @ weights),
        permutations=4,
    )
    np.testing.assert_allclose(found.values, weights, atol=1e-12)


def test_a_long_history_of_din_is_sampled() -> None:
    found = explain(zoo.load("din"), np.arange(55), 100, permutations=4)
    assert found.error is not None and len(found.values) == 55


def test_one_pass_explains_all_items(case: zoo.RunningCase) -> None:
    model = zoo.load("dae")
    every = quadrature(model, case.history)
    assert every.shape == (len(case.history), model.n_items)
    alone = explain(model, case.history, case.item, method="quadrature")
    np.testing.assert_allclose(every[:, case.item], alone.values, atol=1e-5)


def test_the_error_of_the_quadrature_covers_its_error() -> None:
    split = zoo.split()
    history = max(split.cases("test").histories, key=len)
    found = explain(
        zoo.load("vae"), history[:400], int(np.setdiff1d(np.arange(50), history)[0])
    )
    assert abs(found.gap) <= found.error.sum()


def test_wrong_calls_say_what_to_do(case: zoo.RunningCase) -> None:
    ease = zoo.load("ease")
    with pytest.raises(ValueError, match="a history and an item, or a Game alone"):
        explain(ease)
    with pytest.raises(ValueError, match="choose auto, closed form"):
        explain(ease, case.history, case.item, method="magic")
    with pytest.raises(
        ValueError,
        match="quadrature cannot explain ease with 27 players: use method='auto'",
    ):
        explain(ease, case.history, case.item, method="quadrature")
    with pytest.raises(ValueError, match="fourier cannot explain vae"):
        explain(zoo.load("vae"), case.history, case.item, method="fourier")
    with pytest.raises(ValueError, match="at least one player"):
        explain(ease, case.history[:0], case.item)
    with pytest.raises(ValueError, match=r"item -1|codes from 0"):
        explain(ease, case.history, -1)
    with pytest.raises(ValueError, match="is in the history"):
        explain(ease, case.history, int(case.history[0]))


def test_the_methods_stand_in_the_order_of_their_names():
    assert tuple(METHODS) == NAMES

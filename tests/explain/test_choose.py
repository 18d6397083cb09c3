"""One call explains every model of the zoo: exactly, or within the error it states."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from xrec_utils import zoo
from xrec_utils.contract import declares
from xrec_utils.explain.choose import METHODS, explain, explain_many, quadrature
from xrec_utils.explain.methods import NAMES
from xrec_utils.explain.shapley import brute_force
from xrec_utils.games.game import Game, history_game
from xrec_utils.models import specs
from xrec_utils.models.autoencoders import Autoencoder, dae
from xrec_utils.models.classic import EASE, UserKNN

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


MASKED = ["ease", "item_knn", "content", "hybrid", "user_knn", "dae", "vae"]


@pytest.mark.parametrize("name", [*MASKED, "pooled_mlp", "embedding_mlp"])
def test_groups_as_masks_score_as_their_histories(
    name: str, case: zoo.RunningCase
) -> None:
    model = zoo.load(name)
    history, items = case.history[-20:], np.array([case.item])
    masks = np.random.default_rng(0).random((300, 20)) < 0.5
    masks[:2] = np.array([[False], [True]])
    one_by_one = model.score([history[mask] for mask in masks], items=items)[:, 0]
    assert declares(model, "sums")
    np.testing.assert_allclose(
        history_game(model, history, case.item)(masks),
        one_by_one,
        atol=2e-6 * max(1, np.abs(one_by_one).max()),
    )


class AtMostHalf(EASE):
    """EASE with a score of its own, which no closed form of EASE fits."""

    def score(self, histories, items=None):
        return np.minimum(super().score(histories, items), 0.5)


def test_a_score_of_its_own_ends_what_the_parent_declared() -> None:
    rng = np.random.default_rng(0)
    model = AtMostHalf()
    model.n_items = 9
    model.weights = rng.random((9, 9))
    found = explain(model, np.arange(5), 7)
    game = Game(
        tuple("abcde"),
        "capped sum",
        lambda masks: np.minimum(masks @ model.weights[:5, 7], 0.5),
    )
    np.testing.assert_allclose(found.values, brute_force(game).values, atol=1e-12)
    with pytest.raises(ValueError, match="closed form cannot explain ease"):
        explain(model, np.arange(5), 7, method="closed form")


class Sharper(UserKNN):
    """Users' neighbours found in another way; the score itself is the parent's."""

    def neighbours(self, histories):
        return super().neighbours(histories) ** 2


def test_a_part_of_the_score_of_its_own_ends_it_too() -> None:
    rng = np.random.default_rng(0)
    seen = [rng.choice(12, 5, replace=False) for _ in range(30)]
    model = Sharper(n_neighbours=10).fit(seen, 12)
    history = np.arange(4)
    game = history_game(model, history, 7)
    assert game.full() == pytest.approx(float(model.score([history])[0, 7]), abs=1e-6)
    assert not declares(model, "sums")


def quantised(model: Autoencoder) -> None:
    model.model.quantize("int8")


def adapted(model: Autoencoder) -> None:
    model.model.get_layer("hidden").enable_lora(2)


@pytest.mark.parametrize("change", [quantised, adapted])
def test_changed_layers_are_no_longer_summed(change: Callable) -> None:
    model, history = dae(n_items=20, units=6), np.arange(13)
    change(model)
    game = history_game(model, history, 17)
    assert game.full() == pytest.approx(float(model.score([history])[0, 17]), abs=1e-6)
    found = explain(model, history, 17, permutations=4)
    assert "quadrature" not in found.method and "sums" not in found.method


@pytest.mark.parametrize("name", ["ease", "dae", "attention"])
def test_codes_of_any_whole_type_are_the_same_film(
    name: str, case: zoo.RunningCase
) -> None:
    model, history = zoo.load(name), case.history[:5]
    wide = explain(model, history, 100).values
    for kind in (np.uint16, np.int32, np.uint64):
        np.testing.assert_array_equal(explain(model, history, kind(100)).values, wide)
        several = explain_many(model, history, np.array([100, 200], kind))
        np.testing.assert_allclose(several[0].values, wide, atol=1e-6)


def test_what_is_no_code_is_refused(case: zoo.RunningCase) -> None:
    ease = zoo.load("ease")
    for item in (True, 3.0, [3]):
        with pytest.raises(ValueError, match=r"item\] must be a 1-D array of codes"):
            explain(ease, case.history, item)
    with pytest.raises(ValueError, match="items is empty"):
        explain_many(ease, case.history, [])


def test_a_film_that_stands_twice_is_scored_as_the_model_does() -> None:
    ease = zoo.load("ease")
    twice = np.array([5, 9, 5])
    found = explain(ease, twice, 30)
    assert found.score == pytest.approx(float(ease.score([twice])[0, 30]), abs=1e-6)
    assert found.gap == pytest.approx(0, abs=1e-6)


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
        match="quadrature cannot explain ease with 27 players: it is not made for that",
    ):
        explain(ease, case.history, case.item, method="quadrature")
    with pytest.raises(ValueError, match="fourier cannot explain vae"):
        explain(zoo.load("vae"), case.history, case.item, method="fourier")
    with pytest.raises(ValueError, match="at least one player"):
        explain(ease, case.history[:0], case.item)
    with pytest.raises(ValueError, match=r"codes in 0"):
        explain(ease, case.history, -1)
    with pytest.raises(ValueError, match="is in the history"):
        explain(ease, case.history, int(case.history[0]))


def test_the_methods_stand_in_the_order_of_their_names():
    assert tuple(METHODS) == NAMES

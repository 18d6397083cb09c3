"""Many films of one history, explained at once as they are one at a time."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest

from xrec_utils import zoo
from xrec_utils.explain.choose import explain, explain_many, shared_games
from xrec_utils.explain.shapley import brute_force
from xrec_utils.games.game import history_game
from xrec_utils.models import specs

NAMES = [name for name in specs.SPECS if name not in specs.FEATURE_MODELS]


@pytest.fixture(scope="module")
def history() -> np.ndarray:
    return zoo.running_case().history


@pytest.fixture(scope="module")
def items(history: np.ndarray) -> np.ndarray:
    return np.setdiff1d(np.arange(40, 60), history)[:3]


@pytest.mark.parametrize("films", [5, 15])  # all groups, and more
@pytest.mark.parametrize("name", NAMES)
def test_many_are_as_one_at_a_time(
    name: str, films: int, history: np.ndarray, items: np.ndarray
) -> None:
    model, titles = zoo.load(name), zoo.split().titles
    for item, found in zip(
        items,
        explain_many(model, history[:films], items, titles=titles, permutations=4),
        strict=True,
    ):
        alone = explain(
            model, history[:films], int(item), titles=titles, permutations=4
        )
        scale = max(np.abs(alone.values).max(), 1e-9)
        np.testing.assert_allclose(found.values, alone.values, atol=2e-5 * scale)
        np.testing.assert_allclose(
            [found.base, found.score], [alone.base, alone.score], rtol=1e-5, atol=1e-6
        )
        assert (found.players, found.target, found.method) == (
            alone.players,
            alone.target,
            alone.method,
        )
        assert (found.error is None) == (alone.error is None)
        if (
            found.error is not None
        ):  # the share of the completeness gap is a difference of float32 scores
            np.testing.assert_allclose(
                found.error, alone.error, rtol=1e-3, atol=1e-5 * scale
            )


@pytest.mark.parametrize("name", NAMES)
def test_few_films_are_brute_force(
    name: str, history: np.ndarray, items: np.ndarray
) -> None:
    model = zoo.load(name)
    for item, found in zip(items, explain_many(model, history[:5], items), strict=True):
        truth = brute_force(history_game(model, history[:5], int(item))).values
        np.testing.assert_allclose(
            found.values, truth, atol=2e-5 * max(np.abs(truth).max(), 1e-9)
        )


@pytest.mark.parametrize(
    "method",
    ["quadrature", "fourier", "running sums", "leverage", "permutations", "all groups"],
)
def test_a_method_by_name(method: str, history: np.ndarray, items: np.ndarray) -> None:
    model = zoo.load("dae")
    for item, found in zip(
        items,
        explain_many(model, history[:8], items, method=method, permutations=4),
        strict=True,
    ):
        alone = explain(model, history[:8], int(item), method=method, permutations=4)
        np.testing.assert_allclose(
            found.values, alone.values, atol=2e-5 * np.abs(alone.values).max()
        )


def test_a_group_is_shown_to_the_model_once(
    history: np.ndarray, items: np.ndarray
) -> None:
    model = zoo.load("attention")
    with patch.object(model, "score", wraps=model.score) as score:
        explain_many(model, history[:20], items[:1], permutations=8)
        alone = score.call_count
        explain_many(model, history[:20], items, permutations=8)
    assert score.call_count == 2 * alone


def test_batches_that_look_alike_are_told_apart(
    history: np.ndarray, items: np.ndarray
) -> None:
    game = shared_games(zoo.load("ease"), history[:3], items, titles=None)[0]
    nobody = np.zeros((2, 3), dtype=bool)
    np.testing.assert_array_equal(game.value(nobody[:1]), game.value(nobody)[:1])
    assert game.value(nobody).shape == (2,)


def test_the_seconds_are_shared(history: np.ndarray, items: np.ndarray) -> None:
    found = explain_many(zoo.load("dae"), history, items)
    assert len({each.seconds for each in found}) == 1 and found[0].seconds > 0


@pytest.mark.parametrize(
    ("name", "method", "words"),
    [
        ("ease", "quadrature", "cannot explain ease"),
        ("vae", "fourier", "cannot explain vae"),
        ("ease", "magic", "is unknown"),
    ],
)
def test_a_method_that_does_not_fit(
    name: str, method: str, words: str, history: np.ndarray, items: np.ndarray
) -> None:
    with pytest.raises(ValueError, match=words):
        explain_many(zoo.load(name), history, items, method=method)

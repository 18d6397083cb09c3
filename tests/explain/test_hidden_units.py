"""Owen's integral against brute force over all groups: the quadrature, its size-by-size
sibling, the Fourier series.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks_by_hand import brute

from xrec_utils import zoo
from xrec_utils.explain import hidden_units as q
from xrec_utils.explain.fourier import fourier_shapley
from xrec_utils.models.autoencoders import dae, vae
from xrec_utils.models.hidden_layer import one_hidden


def network(
    n: int, h: int = 6, scale: float = 0.05, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(scale / 5, scale, (n, h)), random.normal(0, 0.3, h)


def apart(values: np.ndarray, truth: np.ndarray) -> float:
    return float(np.linalg.norm(values - truth) / np.linalg.norm(truth))


@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_small_weights_are_right_to_the_last_digit_of_float32(n: int) -> None:
    rows, bias = network(n)
    assert apart(q.hidden_shapley(rows, bias, nodes=12), brute(rows, bias)) < 2e-6


def test_the_normal_law_errs_where_single_films_saturate_a_unit() -> None:
    rows, bias = network(10, scale=2.0)
    assert 1e-3 < apart(q.hidden_shapley(rows, bias, nodes=16), brute(rows, bias)) < 0.2


# with three others the sum has no bell shape yet, and no fourth cumulant is taken
@pytest.mark.parametrize(
    ("n", "tolerance"), [(1, 2e-6), (2, 2e-6), (4, 2e-2), (12, 1e-5)]
)
def test_groups_of_an_input_of_length_one_are_taken_size_by_size(
    n: int, tolerance: float
) -> None:
    rows, bias = network(n, scale=0.1, seed=1)
    assert (
        apart(
            q.hidden_shapley(rows, bias, by_length=True, nodes=12),
            brute(rows, bias, True),
        )
        < tolerance
    )


@given(st.integers(1, 9), st.floats(0.01, 3.0), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_the_fourier_series_is_brute_force_to_eight_digits(
    n: int, scale: float, seed: int
) -> None:
    rows, bias = network(n, 3, scale, seed)
    np.testing.assert_allclose(
        fourier_shapley(rows, bias), brute(rows, bias), atol=2e-8
    )


def test_the_quadrature_meets_the_fourier_series_on_long_histories() -> None:
    rows, bias = network(150, 20, 0.04)
    assert apart(q.hidden_shapley(rows, bias), fourier_shapley(rows, bias)) < 2e-4
    assert (
        apart(q.hidden_shapley(rows, bias, nodes=16), fourier_shapley(rows, bias))
        < 1e-5
    )


@pytest.mark.parametrize("k", range(8))
def test_cumulants_of_a_drawn_sum_are_those_of_all_draws(k: int) -> None:
    numbers = np.random.default_rng(3).gamma(0.5, size=7)
    sums = np.array([sum(chosen) for chosen in combinations(numbers, k)])
    centred = [((sums - sums.mean()) ** r).mean() for r in (2, 3, 4)]
    moments = [
        numbers.mean(),
        *(((numbers - numbers.mean()) ** r).mean() for r in (2, 3, 4)),
    ]
    expected = [sums.mean(), centred[0], centred[1], centred[2] - 3 * centred[0] ** 2]
    np.testing.assert_allclose(q._drawn(k, 7, *moments), expected, atol=1e-9)


@pytest.mark.parametrize("build", [dae, vae])
def test_one_hidden_reads_the_network(build) -> None:
    model = build(30)
    net, history = one_hidden(model), np.array([3, 9, 27])
    scale = 3**-0.5 if net.by_length else 1.0
    scores = (
        np.tanh(net.bias + scale * net.rows[history].sum(axis=0)) @ net.readout
        + net.constant
    )
    np.testing.assert_allclose(scores, model.score([history])[0], atol=1e-5)
    assert net.by_length == (model.name == "vae")


def test_one_hidden_refuses_other_models() -> None:
    with pytest.raises(TypeError, match="ease is not one layer of hidden units"):
        one_hidden(zoo.load("ease"))


def test_longer_histories_get_more_points() -> None:
    assert [q.default_nodes(n) for n in (1, 100, 5000)] == [5, 7, 20]
    assert [q.inner_nodes(n) for n in (1, 300, 5000)] == [6, 8, 12]

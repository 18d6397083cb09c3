"""A stated error is a promise: twice the error of the quadrature holds 95% of the time,
on random networks of many kinds, and what cannot be promised is left to other methods.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from networks_by_hand import (
    FAMILIES,
    as_model,
    as_network,
    brute,
    networks,
)

from xrec_utils import keras
from xrec_utils.contract import Sums
from xrec_utils.explain import hidden_units as q
from xrec_utils.explain.choose import explain, explain_many
from xrec_utils.explain.fourier import fourier_shapley
from xrec_utils.explain.running_sums import marginal_means
from xrec_utils.explain.shapley import brute_force
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import history_game
from xrec_utils.models.autoencoders import Autoencoder, Latent
from xrec_utils.models.classic import ItemToItem
from xrec_utils.models.hidden_layer import ACTIVATIONS, one_hidden

SCALES = (0.02, 0.05, 0.1, 0.3, 1.0, 2.0, 5.0)


def stated(network, truth: np.ndarray) -> np.ndarray:
    """Whether each value lies within twice the error stated for it."""
    history = np.arange(len(network.rows))
    values, errors = q.with_errors(network, history, np.arange(2))
    assert np.isfinite(values).all() and np.isfinite(errors).all()
    return np.abs(values - truth.T) <= 2 * errors


def stated_of(answer: Explanation) -> np.ndarray:
    """The errors stated, zeros where values are exact."""
    nothing = np.zeros(len(answer.values))
    return nothing if answer.error is None else answer.error


@pytest.mark.parametrize("family", FAMILIES)
def test_the_error_of_the_quadrature_holds(family: str) -> None:
    held = []
    for rows, bias, readout in networks(family, (5, 12, 20, 60), SCALES):
        truth = fourier_shapley(rows, bias) @ readout
        held.append(stated(as_network(rows, bias, readout), truth).ravel())
    assert np.concatenate(held).mean() >= 0.95


@pytest.mark.parametrize("family", FAMILIES)
def test_it_holds_for_two_thousand_films(family: str) -> None:
    for rows, bias, readout in networks(family, (2000,), (0.02,)):
        truth = fourier_shapley(rows, bias, chances=24) @ readout
        assert stated(as_network(rows, bias, readout), truth).mean() >= 0.95


@pytest.mark.parametrize("activation", [*ACTIVATIONS.values(), np.arctan])
@pytest.mark.parametrize("by_length", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_it_holds_for_other_units_and_inputs_of_length_one(
    family: str, by_length: bool, activation: Callable
) -> None:
    held = []
    for rows, bias, readout in networks(family, (5, 8, 11), SCALES):
        truth = brute(rows, bias, by_length, activation) @ readout
        network = as_network(rows, bias, readout, activation, by_length)
        held.append(stated(network, truth).ravel())
    assert np.concatenate(held).mean() >= 0.95


def test_it_holds_where_only_some_sizes_are_taken() -> None:
    held = []
    for rows, bias, readout in networks("normal", (40, 200), (0.05, 0.3, 1.0)):
        network = as_network(rows, bias, readout, by_length=True)
        values, errors = q.with_errors(network, np.arange(len(rows)), np.arange(2))
        sums = Sums(
            rows,
            lambda sums, films, net=network: net.units(sums, films) @ net.readout,
        )
        sampled, doubt = marginal_means(sums, 4000, seed=1)
        held.append(np.abs(values - sampled) <= 2 * errors + 3 * doubt)
    assert np.concatenate([each.ravel() for each in held]).mean() >= 0.95


@pytest.mark.parametrize("family", FAMILIES)
def test_auto_is_right_whatever_the_weights(family: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rows, bias, readout in networks(family, (13,), (0.05, 1.0, 50.0)):
            items = [13, 14]
            answers = explain_many(as_model(rows, bias, readout), np.arange(13), items)
            truth = (brute(rows, bias) @ readout).T
            values = np.array([answer.values for answer in answers])
            error = np.array([stated_of(answer) for answer in answers])
            slack = 1e-5 * np.abs(truth).sum()
            assert (np.abs(values - truth) <= 2 * error + slack).mean() >= 0.9
            assert "regression" not in answers[0].method


def test_a_rough_quadrature_gives_way_and_says_so_by_name() -> None:
    rows = np.full((13, 4), 0.1)
    rows[:2] = [[10.0], [-10.0]]
    model = as_model(rows, np.zeros(4), np.ones((4, 2)))
    assert explain(model, np.arange(13), 13).method == "Shapley by Fourier series"
    with pytest.raises(ValueError, match=r"error would be \d+% of the values"):
        explain(model, np.arange(13), 13, method="quadrature")


def test_a_series_of_too_many_terms_gives_way_too() -> None:
    rng = np.random.default_rng(0)
    model = as_model(rng.normal(0, 60, (80, 40)), np.zeros(40), np.ones((40, 2)))
    found = explain(model, np.arange(80), 80, permutations=32)
    assert found.method == "Shapley by running sums of 128 orders"
    assert np.isfinite(found.values).all()


# --------------------------------------------------- autoencoders that are not ours

NAMES = [
    "relu",
    "sigmoid",
    "softplus",
    "selu",
    "gelu",
    "linear",
    "softmax",
    "leaky_relu",
    "relu6",
    "hard_tanh",
]


def outside(*behind: keras.layers.Layer, bias: bool = True, **hidden) -> Autoencoder:
    """Fifteen films, one layer of six units, then what is given, then the scores."""
    keras.utils.set_random_seed(3)
    seen = keras.Input((15,))
    state = keras.layers.Dense(6, use_bias=bias, kernel_initializer="normal", **hidden)(
        seen
    )
    for layer in behind:
        state = layer(state)
    network = keras.Model(seen, keras.layers.Dense(15, use_bias=bias)(state))
    rng = np.random.default_rng(0)
    network.set_weights(
        [rng.uniform(0.1, 0.9, part.shape) for part in network.get_weights()]
    )
    return Autoencoder("outside", network)


SHAPES = {
    **{name: lambda name=name: outside(activation=name) for name in NAMES},
    "no bias": lambda: outside(activation="tanh", bias=False),
    "two hidden layers": lambda: outside(
        keras.layers.Dense(5, activation="tanh"), activation="tanh"
    ),
    "two linear layers": lambda: outside(keras.layers.Dense(5), activation="tanh"),
    "batch normalisation": lambda: outside(
        keras.layers.BatchNormalization(), activation="tanh"
    ),
    "dropout": lambda: outside(keras.layers.Dropout(0.5), activation="tanh"),
    "an activation by itself": lambda: outside(keras.layers.ReLU()),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_autoencoders_from_outside_are_right_within_their_error(shape: str) -> None:
    model, history = SHAPES[shape](), np.arange(13)
    truth = brute_force(history_game(model, history, 14))
    found = explain(model, history, 14)
    size = np.abs(truth.values).sum()
    error = 0 if found.error is None else found.error
    assert (np.abs(found.values - truth.values) <= 3 * error + 1e-5 * size).all()
    assert truth.score == pytest.approx(float(model.score([history])[0, 14]), abs=1e-4)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_activations_are_those_of_keras(activation: Callable) -> None:
    x = np.linspace(-9, 9, 41, dtype=np.float32)
    units = ACTIVATIONS[activation](x)
    np.testing.assert_allclose(units, np.asarray(activation(x)), atol=1e-6)
    assert units.dtype == np.float32


@pytest.mark.parametrize(
    "shape", ["softmax", "gelu", "two hidden layers", "batch normalisation"]
)
def test_a_shape_that_the_rule_does_not_cover_is_not_explained_by_it(
    shape: str,
) -> None:
    with pytest.raises(ValueError, match="quadrature cannot explain outside"):
        explain(SHAPES[shape](), np.arange(13), 14, method="quadrature")


def test_layers_side_by_side_are_no_chain() -> None:
    seen = keras.Input((15,))
    left = keras.layers.Dense(4, activation="tanh")(seen)
    right = keras.layers.Dense(4, activation="tanh")(seen)
    both = keras.layers.Add()([left, right])
    model = Autoencoder("two ways", keras.Model(seen, keras.layers.Dense(15)(both)))
    with pytest.raises(TypeError, match="two ways is not one layer of hidden units"):
        one_hidden(model)


# ------------------------------------------------------------ what does not add up


class Doubled(ItemToItem):
    """A model that declares sums but scores by something else."""

    pooling = "sum"

    def score(self, histories, items=None):
        return 2 * super().score(histories, items)


def doubled() -> Doubled:
    model = Doubled()
    model.name = "doubled"
    model.n_items = 4
    model.weights = np.eye(4)[::-1].copy()
    return model


def test_an_exact_answer_that_does_not_add_up_is_refused_with_the_gap() -> None:
    with pytest.raises(ValueError, match=r"its values miss 1 of score - base"):
        explain(doubled(), np.array([0, 1]), 3, method="closed form")
    assert explain(doubled(), np.array([0, 1]), 3).values.tolist() == [2.0, 0.0]


class Contradiction(ItemToItem):
    """A model whose sums say another thing than its score."""

    def score(self, histories, items=None):
        return 1 + super().score(histories, items)

    def sums(self, history, items):
        return super().sums(history, items)


def test_declared_sums_that_are_not_the_score_are_refused() -> None:
    model = Contradiction()
    model.name = "contradiction"
    model.n_items = 4
    model.weights = np.eye(4)[::-1].copy()
    with pytest.raises(ValueError, match="where the sums it declares give"):
        explain(model, np.array([0, 1]), 3)


class Tripled(keras.Model):
    """A functional model that does something else when called."""

    def call(self, inputs, training=None, mask=None):
        return 3 * super().call(inputs, training=training, mask=mask)


def test_a_call_of_its_own_is_no_chain_of_layers() -> None:
    seen = keras.Input((15,))
    hidden = keras.layers.Dense(4, activation="tanh")(seen)
    model = Autoencoder("tripled", Tripled(seen, keras.layers.Dense(15)(hidden)))
    found = explain(model, np.arange(8), 14)
    assert found.score == pytest.approx(float(model.score([np.arange(8)])[0, 14]))


def test_only_the_input_itself_is_brought_to_length_one() -> None:
    seen = keras.Input((15,))
    units = keras.layers.Dense(4, activation="tanh")(seen)
    aside = keras.layers.Dense(3)(keras.layers.UnitNormalization()(units))
    z = Latent(0.2, 300)(keras.layers.Dense(3)(units), aside)
    model = Autoencoder("aside", keras.Model(seen, keras.layers.Dense(15)(z)))
    assert not one_hidden(model).by_length
    explain(model, np.arange(13), 14)


def test_long_histories_get_more_points() -> None:
    rows = np.random.default_rng(0).normal(1, 0.3, (900, 1))
    bias = np.array([-420.0])
    exact = fourier_shapley(rows, bias, chances=400)
    found = fourier_shapley(rows, bias)
    assert np.linalg.norm(found - exact) <= 1e-8 * np.linalg.norm(exact)

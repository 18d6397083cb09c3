"""The opened model: every number is recomputed by NumPy from the weights."""

import numpy as np
import pytest

from xrec_utils.explain.weights import (
    activations,
    layer_kernels,
    named_kernel,
    neuron_path,
    top_activations,
    weighted_sum,
)
from xrec_utils.keras_start import keras

layers = keras.layers
X = np.random.default_rng(1).normal(size=(12, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def dense():
    keras.utils.set_random_seed(0)
    row = keras.Input((5,), name="row")
    hidden = layers.Dense(
        4, activation="relu", bias_initializer="normal", name="hidden"
    )(row)
    hidden = layers.Dropout(0.5, name="dropout")(hidden)
    hidden = layers.Dense(3, activation="tanh", use_bias=False, name="second")(hidden)
    return keras.Model(
        row,
        layers.Dense(1, activation="sigmoid", bias_initializer="normal", name="score")(
            hidden
        ),
        name="net",
    )


@pytest.fixture(scope="module")
def two_branch():
    keras.utils.set_random_seed(1)
    user, film = (
        keras.Input((1,), dtype="int32", name="user"),
        keras.Input((5,), name="film"),
    )
    left = layers.Flatten(name="flat")(layers.Embedding(7, 4, name="table")(user))
    right = layers.Dense(4, activation="relu", name="branch")(film)
    return keras.Model(
        [user, film],
        layers.Dense(2, name="out")(layers.Multiply(name="product")([left, right])),
    )


def test_decision_path_is_what_numpy_computes(dense):
    path = dict(neuron_path(dense, X[3]))
    assert list(path) == ["row", "hidden", "dropout", "second", "score"]
    kernels, bias = layer_kernels(dense), dense.get_layer("hidden").bias.numpy()
    hidden = np.maximum(X[3] @ kernels["hidden"] + bias, 0)
    second = np.tanh(hidden @ kernels["second"])
    score = 1 / (
        1 + np.exp(-(second @ kernels["score"] + dense.get_layer("score").bias.numpy()))
    )
    for name, value in {
        "row": X[3],
        "hidden": hidden,
        "dropout": hidden,
        "second": second,
        "score": score,
    }.items():
        np.testing.assert_allclose(path[name], value, atol=1e-5)
    np.testing.assert_allclose(path["score"], dense(X, training=False)[3], atol=1e-6)


def test_path_of_one_row_in_a_batch_of_one(dense):
    np.testing.assert_array_equal(
        neuron_path(dense, X[:1])[-1][1], neuron_path(dense, X[0])[-1][1]
    )
    with pytest.raises(ValueError, match="follows one"):
        neuron_path(dense, X)


def test_two_inputs(two_branch):
    path = dict(neuron_path(two_branch, [np.array([3]), X[0]]))
    product = layer_kernels(two_branch)["table"][3] * path["branch"]
    np.testing.assert_allclose(path["product"], product, atol=1e-6)
    np.testing.assert_allclose(
        path["out"], product @ named_kernel(two_branch, "out"), atol=1e-5
    )
    with pytest.raises(ValueError, match="2 inputs and x has 1"):
        neuron_path(two_branch, X[0])


def test_layers_with_several_outputs_give_their_first():
    x = keras.Input((3, 4), name="x")
    mixed, maps = layers.MultiHeadAttention(2, 2, name="look")(
        x, x, return_attention_scores=True
    )
    model = keras.Model(x, [mixed, maps])
    rows = X[:3, :4][None]
    np.testing.assert_allclose(
        dict(neuron_path(model, rows))["look"], model(rows)[0][0], atol=1e-6
    )
    assert activations(model, "look", rows).shape == (1, 3, 4)


def test_kernels_by_name(dense, two_branch):
    assert {name: kernel.shape for name, kernel in layer_kernels(dense).items()} == {
        "hidden": (5, 4),
        "second": (4, 3),
        "score": (3, 1),
    }
    assert named_kernel(two_branch, "table").shape == (7, 4)
    with pytest.raises(ValueError, match="hidden, second, score"):
        named_kernel(dense, "dropout")


def test_several_kernels_in_a_layer_keep_their_names():
    model = keras.Sequential(
        [keras.Input((3, 2)), layers.GRU(4, name="gru"), layers.Dense(2, name="out")],
        name="seq",
    )
    kernels = layer_kernels(model)
    assert {"gru/gru_cell/recurrent_kernel", "out"} <= set(kernels)
    assert kernels["out"].shape == (4, 2)


def test_changing_a_returned_kernel_leaves_the_model_alone(dense):
    named_kernel(dense, "hidden")[:] = 99
    assert np.abs(named_kernel(dense, "hidden")).max() < 9


@pytest.mark.parametrize("layer", ["hidden", "second", "score"])
def test_weighted_sum_adds_up_to_the_neuron(dense, layer):
    table = weighted_sum(dense, layer, X[5], neuron=0)
    undo = {
        "hidden": lambda v: np.maximum(v, 0),
        "second": np.tanh,
        "score": lambda v: 1 / (1 + np.exp(-v)),
    }
    neuron = dict(neuron_path(dense, X[5]))[layer][0]
    assert undo[layer](table["product"].sum()) == pytest.approx(neuron, abs=1e-5)
    np.testing.assert_allclose(table["product"], table["input"] * table["weight"])
    assert table["source"].iloc[-1] == "bias"
    assert (table["weight"].iloc[-1] == 0) == (layer == "second")


def test_weighted_sum_needs_a_dense_layer(dense):
    with pytest.raises(ValueError, match="only a Dense layer"):
        weighted_sum(dense, "dropout", X[0])
    with pytest.raises(ValueError, match="No such layer: third"):
        weighted_sum(dense, "third", X[0])


def test_top_activations_by_brute_force(dense):
    labels = [f"film {i}" for i in range(len(X))]
    table = top_activations(dense, "second", X, labels, k=3)
    values = activations(dense, "second", X)
    assert len(table) == 9
    for neuron, part in table.groupby("neuron"):
        best = sorted(zip(-values[:, neuron], labels, strict=True))[:3]
        assert part["label"].tolist() == [label for _, label in best]
        np.testing.assert_allclose(part["activation"], [-value for value, _ in best])
        assert part["rank"].tolist() == [1, 2, 3]


def test_top_activations_refuses_what_does_not_fit(dense):
    with pytest.raises(ValueError, match="2 labels"):
        top_activations(dense, "second", X, ["a", "b"])
    with pytest.raises(ValueError, match="No such layer: nowhere"):
        top_activations(dense, "nowhere", X, ["a"] * 12)

"""SHAP through the library: right values, quiet, and unable to break TensorFlow for the
rest of the process.
"""

import warnings

import numpy as np
import pytest

from xrec_utils.explain import shap_library
from xrec_utils.explain.shap_guard import ExplainerError, untouched_tensorflow
from xrec_utils.explain.shap_library import global_importance, shap_values
from xrec_utils.explain.shapley import brute_force
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.features import feature_game
from xrec_utils.keras_start import keras

layers = keras.layers
RNG = np.random.default_rng(0)
BACKGROUND = RNG.normal(size=(40, 5)).astype(np.float32)
ROWS = RNG.normal(size=(3, 5)).astype(np.float32)
NAMES = ["a", "b", "c", "d", "e"]
HISTORIES = RNG.normal(size=(12, 4, 6)).astype(np.float32)


def mlp(outputs=1, activation="sigmoid", hidden="relu"):
    keras.utils.set_random_seed(2)
    row = keras.Input((5,))
    inner = layers.Dense(12, activation=hidden)(row)
    return keras.Model(row, layers.Dense(outputs, activation=activation)(inner))


def attention_model():
    keras.utils.set_random_seed(3)
    history = keras.Input((4, 6))
    mixed = layers.MultiHeadAttention(2, 3, name="look")(history, history)
    mixed = layers.LayerNormalization(name="norm")(history + mixed)
    return keras.Model(history, layers.Dense(1)(layers.GlobalAveragePooling1D()(mixed)))


def gru_model():
    keras.utils.set_random_seed(4)
    history = keras.Input((4, 6))
    return keras.Model(history, layers.Dense(1)(layers.GRU(5, name="memory")(history)))


def predict(rows):
    return 1 / (1 + np.exp(-(rows[:, 0] + 2 * rows[:, 1] * rows[:, 2] - rows[:, 4])))


def exact(function, row):
    return brute_force(feature_game(function, row, BACKGROUND, NAMES)).values


@pytest.mark.parametrize(
    ("method", "tolerance"), [("kernel", 1e-6), ("permutation", 0.03)]
)
def test_function_against_brute_force(method, tolerance):
    found = shap_values(
        predict,
        ROWS,
        BACKGROUND,
        method,
        NAMES,
        budget=60 if method == "permutation" else None,
    )
    for explanation, row in zip(found, ROWS, strict=True):
        np.testing.assert_allclose(
            explanation.values, exact(predict, row), atol=tolerance
        )
        assert explanation.score == pytest.approx(predict(row[None])[0], abs=1e-6)
        assert explanation.base == pytest.approx(predict(BACKGROUND).mean(), abs=1e-6)
        assert explanation.gap == pytest.approx(0, abs=1e-6)
        assert explanation.players == tuple(NAMES) and method in explanation.method


@pytest.mark.parametrize("method", ["deep", "gradient"])
def test_linear_model_is_exact(method):
    model = mlp(activation=None, hidden=None)
    found = shap_values(
        model, ROWS, BACKGROUND, method, budget=20_000 if method == "gradient" else None
    )
    first, last = (layer.kernel.numpy() for layer in model.layers[1:])
    truth = (ROWS - BACKGROUND.mean(axis=0)) * (first @ last)[:, 0]
    slack = (
        4 * np.array([e.error for e in found]) + 1e-5 if method == "gradient" else 1e-5
    )
    assert (np.abs([e.values for e in found] - truth) <= slack).all()
    assert found[0].players == ("x0", "x1", "x2", "x3", "x4")


def test_deep_adds_up_and_gradient_nearly_so():
    model = mlp()
    for explanation in shap_values(model, ROWS, BACKGROUND, "deep"):
        assert (
            explanation.gap == pytest.approx(0, abs=1e-5) and explanation.error is None
        )
    for explanation in shap_values(model, ROWS, BACKGROUND, "gradient"):
        assert abs(explanation.gap) < 4 * np.linalg.norm(explanation.error)


def test_stated_errors_of_gradient_hold():
    model = mlp()
    runs = [
        shap_values(model, ROWS[:1], BACKGROUND, "gradient", seed=seed, budget=200)[0]
        for seed in range(20)
    ]
    spread = np.std([run.values for run in runs], axis=0, ddof=1)
    stated = np.mean([run.error for run in runs], axis=0)
    assert 0.6 < np.median(spread / stated) < 1.5


@pytest.mark.parametrize("method", ["deep", "gradient", "permutation", "kernel"])
def test_last_output_is_explained_and_the_other_mirrors_it(method):
    model = mlp(outputs=2, activation="softmax")
    yes = shap_values(model, ROWS[:1], BACKGROUND, method)[0]
    no = shap_values(model, ROWS[:1], BACKGROUND, method, output=0)[0]
    assert yes.score == pytest.approx(float(model(ROWS[:1])[0, 1]), abs=1e-6)
    np.testing.assert_allclose(yes.values, -no.values, atol=1e-5)


def of_ids(dtype):
    keras.utils.set_random_seed(6)
    ids = keras.Input((3,), dtype=dtype, name="user_and_films")
    vectors = layers.Embedding(9, 3, name="table")(ids)
    return keras.Model(ids, layers.Dense(1)(layers.Flatten()(vectors)))


IDS = RNG.integers(0, 9, (10, 3))


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_ids_are_named_and_both_ways_out_work(dtype):
    model = of_ids(dtype)
    (permuted,) = shap_values(model, IDS[:1], IDS, "permutation")
    assert permuted.gap == pytest.approx(0, abs=1e-5)
    # the words of the message
    layer = model.get_layer("table")
    behind = keras.Model(layer.output, model.output)
    vectors = keras.Model(model.inputs, layer.output)(IDS).numpy()
    for method in ("deep", "gradient"):
        with pytest.raises(
            ExplainerError,
            match=rf"user_and_films.*{dtype} ids.*embedded by table.*permutation.*vect",
        ):
            shap_values(model, IDS[:1], IDS, method)
        (found,) = shap_values(behind, vectors[:1], vectors, method, budget=5000)
        # the model adds up its positions: all methods agree
        np.testing.assert_allclose(found.values, permuted.values, atol=5e-3)


def test_one_column_of_ids_among_numbers_is_not_left_without_credit():
    row = keras.Input((5,), name="row")
    film = layers.Flatten()(layers.Embedding(9, 3)(row[:, :1]))
    model = keras.Model(row, layers.Dense(1)(layers.Concatenate()([film, row[:, 1:]])))
    with pytest.raises(ExplainerError, match="'row' holds float32 ids"):
        shap_values(model, np.abs(ROWS), np.abs(BACKGROUND), "gradient")


@pytest.mark.parametrize("method", ["deep", "gradient"])
def test_whole_numbers_on_the_way_stop_the_gradient(method):
    class Bins(layers.Layer):
        def call(self, rows):
            return keras.ops.one_hot(keras.ops.cast(rows[:, 0] > 0, "int32"), 2)

    row = keras.Input((5,))
    model = keras.Model(row, layers.Dense(1)(Bins()(row)))
    with pytest.raises(
        ExplainerError, match=r"No gradient flows.*Use method='permutation'\.$"
    ):
        shap_values(model, ROWS, BACKGROUND, method)
    assert shap_values(model, ROWS, BACKGROUND, "permutation")[0].values[0] != 0


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("method", ["deep", "permutation"])
def test_two_inputs_are_named_and_a_function_of_one_array_works(by_name, method):
    ends = [keras.Input((1,), name="film"), keras.Input((1,), name="user")]
    rows = [layers.Flatten()(layers.Embedding(9, 3)(end)) for end in ends]
    output = layers.Dense(1)(layers.Concatenate()(rows))
    model = keras.Model(dict(film=ends[0], user=ends[1]) if by_name else ends, output)
    with pytest.raises(ExplainerError, match=r"2 inputs, 'film', 'user'.*function"):
        shap_values(model, IDS[:1, :2], IDS[:, :2], method)

    def together(rows):
        parts = [rows[:, :1], rows[:, 1:]]
        return model(dict(film=parts[0], user=parts[1]) if by_name else parts)

    (found,) = shap_values(together, IDS[:1, :2], IDS[:, :2], "permutation")
    assert found.gap == pytest.approx(0, abs=1e-5) and (found.values != 0).all()


@pytest.mark.parametrize("method", ["deep", "gradient", "kernel"])
def test_two_outputs_are_named_and_one_of_them_works(method):
    row = keras.Input((5,))
    model = keras.Model(row, [layers.Dense(1)(row), layers.Dense(2)(row)])
    with pytest.raises(ExplainerError, match="2 outputs"):
        shap_values(model, ROWS, BACKGROUND, method)
    one = keras.Model(model.inputs, model.outputs[0])
    assert shap_values(one, ROWS, BACKGROUND, method)[0].score == pytest.approx(
        float(model(ROWS)[0][0, 0])
    )


@pytest.mark.parametrize("method", ["permutation", "kernel"])
def test_rows_of_vectors_are_named_and_flat_ones_work(method):
    model, rows = gru_model(), HISTORIES
    with pytest.raises(
        ExplainerError,
        match=r"not \(2, 4, 6\).*gradient.*flat\.reshape\(-1, \*\(4, 6\)\)",
    ):
        shap_values(model, rows[:2], rows, method)
    flat, others = rows[:2].reshape(2, -1), rows.reshape(len(rows), -1)
    found = shap_values(
        lambda flat: model(flat.reshape(-1, *(4, 6))), flat, others, method
    )
    values = found[0].values.reshape(4, 6).sum(axis=1)
    (slopes,) = shap_values(model, rows[:1], rows, "gradient", budget=3000)
    np.testing.assert_allclose(values, slopes.values, atol=0.03)


def test_advice_after_a_failure_fits_the_rows():
    with pytest.raises(ExplainerError, match=r"or method='permutation' on flattened"):
        shap_values(gru_model(), HISTORIES[:1], HISTORIES, "deep")
    silu = mlp(activation=None, hidden="silu")
    with pytest.raises(ExplainerError, match=r"or method='permutation'\.$"):
        shap_values(silu, ROWS * 4, BACKGROUND, "deep")


def test_an_output_for_each_position_is_named_and_the_last_one_works():
    history = keras.Input((4, 6))
    model = keras.Model(history, layers.Dense(2)(history))
    for method in ("deep", "gradient"):
        with pytest.raises(ValueError, match="an output for each of 4 positions"):
            shap_values(model, HISTORIES[:1], HISTORIES, method)
        last = keras.Model(model.inputs, model.outputs[0][:, -1])
        (found,) = shap_values(last, HISTORIES[:1], HISTORIES, method)
        assert (found.values[:3] == 0).all() and found.values[3] != 0

    def each(rows):
        return np.stack([rows, rows], axis=1)

    with pytest.raises(ValueError, match="an output for each of 2 positions"):
        shap_values(each, ROWS, BACKGROUND, "permutation")
    (found,) = shap_values(
        lambda rows: each(rows)[:, -1], ROWS[:1], BACKGROUND, "permutation"
    )
    assert found.values[4] == pytest.approx(ROWS[0, 4] - BACKGROUND[:, 4].mean())


@pytest.mark.parametrize("method", ["deep", "gradient", "permutation"])
def test_one_number_for_each_row_is_an_output_too(method):
    row = keras.Input((5,))
    model = keras.Model(row, layers.Dense(1)(row)[:, 0])
    (found,) = shap_values(model, ROWS[:1], BACKGROUND, method)
    truth = (ROWS[0] - BACKGROUND.mean(axis=0)) * model.weights[0].numpy()[:, 0]
    np.testing.assert_allclose(found.values, truth, atol=0.1)


def test_what_is_no_prediction_is_blamed_on_predict_and_the_row_shown():
    def fails(rows):
        return np.where(rows[:, 0] == ROWS[1, 0], np.nan, rows[:, 0])

    with pytest.raises(ValueError, match=r"predict returned nan for the row \["):
        shap_values(fails, ROWS, BACKGROUND, "permutation")
    holes = BACKGROUND.copy()
    holes[3, 2] = np.nan
    for method in ("deep", "gradient", "kernel"):
        with pytest.raises(ValueError, match=r"returned nan for the row .* nan"):
            shap_values(mlp(), ROWS, holes, method)
    with pytest.raises(ValueError, match=r"returned shape \(1,\) for 3 rows"):
        shap_values(lambda rows: rows[:1, 0], ROWS, BACKGROUND, "kernel")


def test_a_random_model_is_refused():
    random = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"another prediction.*training=False"):
        shap_values(
            lambda rows: random.normal(size=len(rows)), ROWS, BACKGROUND, "kernel"
        )


@pytest.mark.parametrize("method", ["deep", "gradient", "permutation", "kernel"])
def test_output_and_budget_are_whole_numbers_in_range(method):
    for output in (1, -2):
        with pytest.raises(ValueError, match=f"output is {output}, but.*0 to 0"):
            shap_values(mlp(), ROWS, BACKGROUND, method, output=output)
    for budget in (0, -1, 2.5, np.nan):
        with pytest.raises(ValueError, match=r"budget=.* must be a whole number, 1 or"):
            shap_values(mlp(), ROWS, BACKGROUND, method, budget=budget)


@pytest.mark.parametrize("method", ["deep", "gradient"])
def test_explaining_again_and_again_is_quiet(method, capfd, caplog):
    for row in (*ROWS, *ROWS, *ROWS):
        shap_values(mlp(), row[None], BACKGROUND, method)
    assert capfd.readouterr() == ("", "") and not caplog.records


def test_models_without_a_graph_are_named():
    class Own(keras.Model):
        def call(self, rows):
            return rows[:, :1]

    with pytest.raises(ExplainerError, match="not Own"):
        shap_values(Own(), ROWS, BACKGROUND, "deep")
    assert shap_values(Own(), ROWS, BACKGROUND, "kernel")[0].values[
        1:
    ] == pytest.approx(0, abs=1e-6)
    with pytest.raises(ExplainerError, match="not function"):
        shap_values(predict, ROWS, BACKGROUND, "gradient")


def test_silu_is_reported_instead_of_wrong_values():
    model = mlp(activation=None, hidden="silu")
    with pytest.raises(ExplainerError, match="miss the model's output by up to"):
        shap_values(model, ROWS * 4, BACKGROUND, "deep")


def test_any_other_failure_names_itself(monkeypatch):
    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(shap_library.shap, "DeepExplainer", broken)
    with pytest.raises(ExplainerError, match="OSError: disk full"):
        shap_values(mlp(), ROWS, BACKGROUND, "deep")


def counted_model():
    """Can only be traced for a known number of rows."""
    history = keras.Input((4, 6))

    def halves(rows):
        return rows / keras.ops.repeat(keras.ops.ones((1, 1, 6)), rows.shape[0], axis=0)

    halved = layers.Lambda(halves, output_shape=(4, 6))(history)
    mixed = layers.LayerNormalization(name="norm")(halved)
    return keras.Model(history, layers.Dense(1)(layers.GlobalAveragePooling1D()(mixed)))


def nested_model():
    """The attention model inside another one, called there a second time."""
    history = keras.Input((4, 6))
    return keras.Model(history, layers.Dense(1)(attention_model()(history)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (nested_model, r"operation Neg \(layer 'norm'\)"),
        (counted_model, r"operation Neg \(layer 'norm'\)"),
        (attention_model, r"operation Neg \(layer 'norm'\)"),
        (gru_model, r"operation TensorList\w+ \(layer 'memory'\)"),
    ],
)
def test_failed_deep_leaves_gradients_and_training_alive(build, message):
    model = build()
    with pytest.raises(ExplainerError, match=message):
        shap_values(model, HISTORIES[:2], HISTORIES, "deep")
    found = shap_values(model, HISTORIES[:2], HISTORIES, "gradient", budget=100)
    assert found[0].values.shape == (4,) and np.abs(found[0].values).max() > 0
    for fresh in (attention_model(), gru_model()):
        fresh.compile("adam", "mse")
        losses = fresh.fit(HISTORIES, np.ones(12), epochs=3, verbose=0).history["loss"]
        assert losses[-1] < losses[0]


def test_the_guard_is_what_keeps_training_alive():
    from tensorflow.python.eager import execute

    before = execute.record_gradient
    model = gru_model()
    with pytest.raises(Exception, match="shap_TensorList"), untouched_tensorflow():
        explainer = shap_library.shap.DeepExplainer(
            (model.inputs, model.outputs[0]), HISTORIES
        )
        try:
            explainer.shap_values(HISTORIES[:1])
        finally:
            assert execute.record_gradient is not before
    assert execute.record_gradient is before


def test_registry_is_put_back_entry_by_entry():
    from tensorflow.python.framework import ops

    registry = ops._gradient_registry._registry
    before = {name: dict(entry) for name, entry in registry.items()}
    with pytest.raises(KeyError), untouched_tensorflow():
        registry["Relu"]["type"] = None
        registry["shap_Relu"] = {"type": None, "location": None}
        raise KeyError
    assert registry is ops._gradient_registry._registry
    assert dict(registry) == before


def test_no_warning_and_no_output(capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for method in ("deep", "gradient", "permutation", "kernel"):
            shap_values(mlp(), ROWS, BACKGROUND, method)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("form", [lambda end: [end], lambda end: {"row": end}])
def test_one_input_in_a_list_or_under_a_name_is_quiet(form):
    row = keras.Input((5,), name="row")
    model = keras.Model(form(row), layers.Dense(1)(row))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for method in ("deep", "gradient", "permutation", "kernel"):
            (found,) = shap_values(model, ROWS[:1], BACKGROUND, method)
            assert abs(found.gap) < 0.2


def test_other_warnings_pass():
    with pytest.warns(UserWarning, match="5k background"):
        shap_values(mlp(), ROWS[:1], np.tile(BACKGROUND, (126, 1)), "deep")


@pytest.mark.parametrize("method", ["gradient", "permutation", "kernel"])
def test_seed_decides_and_the_global_state_stays(method):
    model = mlp() if method == "gradient" else predict
    np.random.seed(11)
    before = np.random.get_state()[1].copy()
    one, same = (
        shap_values(model, ROWS, BACKGROUND, method, seed=5, budget=20)
        for _ in range(2)
    )
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    np.testing.assert_array_equal([e.values for e in one], [e.values for e in same])


def test_wrong_arguments_are_named():
    with pytest.raises(
        ValueError,
        match="'shapley' is unknown; choose one of deep, gradient, kernel, permutation",
    ):
        shap_values(predict, ROWS, BACKGROUND, "shapley")
    with pytest.raises(ValueError, match=r"row\[None\]"):
        shap_values(predict, ROWS[0], BACKGROUND, "kernel")
    with pytest.raises(ValueError, match="2 names for 5 columns"):
        shap_values(predict, ROWS, BACKGROUND, "kernel", ["a", "b"])
    with pytest.raises(ValueError, match="background has 120 rows"):
        shap_values(predict, ROWS, np.tile(BACKGROUND, (3, 1)), "kernel")


def test_global_importance_is_the_sorted_mean():
    def explanation(values, players=("a", "b")):
        return Explanation(players, "P(like)", np.array(values), 0.0, 1.0, "by hand")

    table = global_importance([explanation([1.0, -3.0]), explanation([-2.0, 1.0])])
    assert table["player"].tolist() == ["b", "a"]
    assert table["importance"].tolist() == [2.0, 1.5]
    with pytest.raises(ValueError, match="different players"):
        global_importance(
            [explanation([1.0, 2.0]), explanation([1.0, 2.0], ("a", "c"))]
        )


@pytest.mark.parametrize("method", ["deep", "gradient", "permutation"])
def test_a_sequential_model_never_called_is_explained(method: str) -> None:
    keras.utils.set_random_seed(0)
    layers = [keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1)]
    rows = np.random.default_rng(0).normal(size=(9, 3)).astype("float32")
    found = shap_values(keras.Sequential(layers), rows[:1], rows[1:], method)
    assert abs(found[0].gap) < 0.1 * abs(found[0].score - found[0].base) + 1e-4

"""The autoencoders: loss and divergence against NumPy, the forward pass by hand, the
contract, gradients, training.
"""

import numpy as np
import pytest

from xrec_utils import set_seed
from xrec_utils.contract import HistoryModel, multi_hot
from xrec_utils.data.splits import Cases
from xrec_utils.keras_start import tf
from xrec_utils.models.autoencoders import (
    MultiHot,
    dae,
    fit_autoencoder,
    kl_to_standard_normal,
    multinomial_loss,
    vae,
)

N_ITEMS = 12
EMPTY = np.array([], dtype=np.int32)
HISTORIES = [EMPTY, np.array([3]), np.array([1, 4, 7]), np.arange(9)]
BUILD = {
    "dae": lambda: dae(N_ITEMS, units=5),
    "vae": lambda: vae(N_ITEMS, units=5, latent=3),
}


@pytest.fixture(params=list(BUILD))
def model(request):
    set_seed(0)
    built = BUILD[request.param]()
    built.model.get_layer("logits").bias.assign(np.linspace(-1, 1, N_ITEMS))
    return built


def weights(model, name):
    return [w.numpy() for w in model.model.get_layer(name).weights]


def test_contract(model):
    assert isinstance(model, HistoryModel) and model.n_items == N_ITEMS
    whole = model.score(HISTORIES, batch=3)
    assert (
        whole.shape == (4, N_ITEMS)
        and whole.dtype == np.float32
        and np.isfinite(whole).all()
    )
    assert np.allclose(
        model.score(HISTORIES, np.array([5, 2])), whole[:, [5, 2]], atol=1e-6
    )
    assert np.allclose(model.score(HISTORIES[2:3]), whole[2], atol=1e-6)
    assert model.score([]).shape == (0, N_ITEMS) and model.score(
        [], np.array([1])
    ).shape == (0, 1)


def test_the_order_of_a_history_does_not_count(model):
    assert np.array_equal(
        model.score([np.array([1, 4, 7])]), model.score([np.array([7, 1, 4])])
    )


def test_dae_is_two_matrices_and_a_tanh_on_the_raw_history():
    set_seed(0)
    model = BUILD["dae"]()
    (w_in, b_in), (w_out, b_out) = weights(model, "hidden"), weights(model, "logits")
    for history, got in zip(HISTORIES, model.score(HISTORIES), strict=True):
        by_hand = np.tanh(b_in + w_in[history].sum(axis=0)) @ w_out + b_out
        assert np.allclose(got, by_hand, atol=1e-5)


def test_vae_reads_a_history_of_length_one_and_scores_by_its_mean():
    set_seed(0)
    model = BUILD["vae"]()
    (w_in, b_in), (w_mean, b_mean), (w_out, b_out) = (
        weights(model, name) for name in ("hidden", "mean", "logits")
    )
    for history, got in zip(HISTORIES, model.score(HISTORIES), strict=True):
        state = np.tanh(
            b_in + w_in[history].sum(axis=0) / max(np.sqrt(len(history)), 1)
        )
        assert np.allclose(got, (state @ w_mean + b_mean) @ w_out + b_out, atol=1e-5)


def test_multinomial_loss_by_hand():
    logits = (
        np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]], dtype=np.float32)) + 3
    )
    seen = np.array([[1, 0, 1], [0, 0, 1]], dtype=np.float32)
    assert multinomial_loss(seen, logits).numpy() == pytest.approx(
        [-np.log(0.5 * 0.25), -np.log(0.7)], abs=1e-6
    )


def test_divergence_against_monte_carlo():
    """KL(q‖p) is the mean of log q(z) - log p(z) under q, whose normal densities are
    written out here.
    """
    mean, log_variance = np.array([0.5, -1.0, 0.0]), np.array([0.3, -0.7, 0.0])
    deviation = np.exp(log_variance / 2)
    z = mean + deviation * np.random.default_rng(0).normal(size=(200_000, 3))
    gap = -((z - mean) ** 2) / (2 * deviation**2) - np.log(deviation) + z**2 / 2
    got = float(kl_to_standard_normal(mean, log_variance))
    assert got == pytest.approx(gap.sum(axis=1).mean(), abs=0.01)
    assert float(kl_to_standard_normal(np.zeros(3), np.zeros(3))) == 0


def test_latent_draws_mean_and_deviation_and_adds_the_weighted_divergence():
    set_seed(0)
    z = vae(N_ITEMS, units=5, latent=3, beta=0.4, anneal=4).model.get_layer("z")
    mean, log_variance = (
        np.tile([[1.0, 0.0, -2.0]], (20_000, 1)),
        np.tile([[0.0, 2.0, -3.0]], (20_000, 1)),
    )
    assert np.array_equal(z(mean, log_variance, training=False), mean)
    divergence = float(kl_to_standard_normal(mean[0], log_variance[0]))
    for step in range(1, 7):  # the weight grows over four steps, then stays
        drawn = z(mean, log_variance, training=True).numpy()
        assert float(z.losses[0]) == pytest.approx(
            0.4 * min(step / 4, 1) * divergence, rel=1e-5
        )
    assert np.allclose(drawn.mean(axis=0), mean[0], atol=0.1)
    assert np.allclose(drawn.std(axis=0), np.exp(log_variance[0] / 2), rtol=0.05)


def test_the_draw_lets_gradients_through():
    """With z = μ + σ ⊙ ε, dz/dμ = 1 and dz/d log σ² = (z - μ)/2."""
    layer = vae(N_ITEMS, units=5, latent=3).model.get_layer("z")
    mean, log_variance = (
        tf.constant([[0.5, -1.0, 2.0]]),
        tf.constant([[0.1, -0.2, 0.4]]),
    )
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([mean, log_variance])
        z = layer(mean, log_variance, training=True)
    assert np.allclose(tape.gradient(z, mean), 1)
    assert np.allclose(tape.gradient(z, log_variance), (z - mean) / 2, atol=1e-6)


def test_score_inputs_is_score_and_has_the_right_gradient(model):
    inputs = tf.constant(multi_hot(HISTORIES, N_ITEMS))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        scores = model.score_inputs(inputs, 5)
    assert np.allclose(scores, model.score(HISTORIES)[:, 5], atol=1e-6)
    gradient = tape.gradient(scores, inputs).numpy()
    assert np.isfinite(gradient).all()
    step = 1e-2 * np.eye(N_ITEMS, dtype=np.float32)[6]
    for row in (
        1,
        2,
        3,
    ):  # at the row of zeros, "divide by the length" has no derivative
        up, down = (
            model.score_inputs(inputs[row : row + 1] + sign * step, 5).numpy()[0]
            for sign in (1, -1)
        )
        assert gradient[row, 6] == pytest.approx((up - down) / 0.02, abs=2e-3)


def test_every_batch_has_the_same_shape_and_every_user_comes():
    data = MultiHot([*HISTORIES, np.array([0]), np.array([11])], N_ITEMS, batch=4)
    rows = [data[n] for n in range(len(data))]
    assert all(x.shape == (4, N_ITEMS) and np.array_equal(x, y) for x, y in rows)
    known = {
        tuple(row)
        for row in multi_hot([*HISTORIES[1:], np.array([0]), np.array([11])], N_ITEMS)
    }
    assert {tuple(row) for x, _ in rows for row in x} == known
    before = data.columns[0]
    data.on_epoch_end()
    (after,) = data.columns
    assert len(after) == len(before) and not np.array_equal(after, before)


def test_training_finds_two_kinds_of_taste_and_repeats_itself(model):
    random = np.random.default_rng(0)
    histories = [random.choice(6, 4, replace=False) + 6 * (n % 2) for n in range(80)]
    missing = [
        np.setdiff1d(np.arange(6) + 6 * (n % 2), history)
        for n, history in enumerate(histories)
    ]
    cases = Cases(np.arange(80), histories, missing)
    start = model.model.get_weights()
    options = {"rate": 0.05, "batch": 16, "epochs": 20, "patience": 20}
    rows = fit_autoencoder(model, histories, cases, **options)
    assert (
        max(row["validation_ndcg"] for row in rows) > 0.95
        and rows[-1]["loss"] < rows[0]["loss"] + 1
    )
    trained = model.score(HISTORIES)

    set_seed(0)
    again = BUILD[model.name]()
    again.model.set_weights(start)
    assert fit_autoencoder(again, histories, cases, **options)[0] == rows[0]
    assert np.allclose(again.score(HISTORIES), trained, atol=1e-4)

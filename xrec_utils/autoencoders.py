"""Autoencoders: the whole history goes in as one row of ones and zeros, and comes out
as a score for every film.

    multi-hot (n, n_items) -> encoder -> hidden (dae) or μ and log σ² (vae) -> decoder
    -> logits (n, n_items)

Both are trained to give the films of a history a high share of one softmax over the
catalogue, from an input in which dropout has hidden a part of them. They know which
films a history holds, not in which order.

Source: Liang, Krishnan, Hoffman and Jebara 2018, "Variational autoencoders for
collaborative filtering", doi:10.1145/3178876.3186150.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from xrec_utils.contract import History, multi_hot
from xrec_utils.keras_start import keras, tf
from xrec_utils.splits import Cases
from xrec_utils.training import fit_network

layers, ops = keras.layers, keras.ops


class Autoencoder:
    """A recommender around a Keras model from multi-hot histories (n, n_items) to
    logits (n, n_items).
    """

    def __init__(self, name: str, model: keras.Model) -> None:
        self.name, self.model, self.n_items = name, model, int(model.input_shape[1])
        self.decoder = model.get_layer(
            "logits"
        )  # linear: a few items need a few of its columns
        self.code = keras.Model(model.input, self.decoder.input)

    def score(
        self,
        histories: Sequence[History],
        items: np.ndarray | None = None,
        batch: int = 256,
    ) -> np.ndarray:
        """Return logits (n histories, n items or len(items)); the empty history is the
        row of zeros.
        """
        starts = range(0, max(len(histories), 1), batch)
        rows = [multi_hot(histories[at : at + batch], self.n_items) for at in starts]
        if items is None:
            return np.concatenate([self.model(x, training=False).numpy() for x in rows])
        kernel, bias = (
            tf.gather(w, items, axis=-1).numpy()
            for w in (self.decoder.kernel, self.decoder.bias)
        )
        return (
            np.concatenate([self.code(x, training=False).numpy() for x in rows])
            @ kernel
            + bias
        )

    def score_inputs(self, inputs: tf.Tensor, item: int) -> tf.Tensor:
        """Score one item for inputs (n, n_items), whole or fractional: shape (n,),
        differentiable.

        `score_inputs(multi_hot([h], n_items), j)` equals `score([h])[:, j]`.
        """
        return self.model(inputs, training=False)[:, item]


def dae(n_items: int, units: int = 200, dropout: float = 0.5) -> Autoencoder:
    """Build the untrained denoising autoencoder, Mult-DAE: one hidden layer of tanh
    units, a linear decoder.

    The paper divides the input by its length; here it stays ones and zeros, so that
    each film adds its own row of weights to the hidden units whatever else the history
    holds.
    """
    seen = keras.Input((n_items,), name="seen")
    hidden = layers.Dense(units, activation="tanh", name="hidden")(
        layers.Dropout(dropout, name="hide")(seen)
    )
    return Autoencoder(
        "dae",
        keras.Model(seen, layers.Dense(n_items, name="logits")(hidden), name="dae"),
    )


def vae(
    n_items: int,
    units: int = 128,
    latent: int = 64,
    dropout: float = 0.5,
    beta: float = 0.2,
    anneal: int = 300,
) -> Autoencoder:
    """Build the untrained variational autoencoder, Mult-VAE, with a linear decoder.

    Args:
        n_items: size of the catalogue.
        units: tanh units of the encoder.
        latent: numbers in the latent vector z.
        dropout: share of the (length-one) input hidden in training.
        beta: final weight of the KL term in the loss; 1 gives the ELBO.
        anneal: training steps over which that weight grows from 0 to beta.
    """
    seen = keras.Input((n_items,), name="seen")
    state = layers.Dropout(dropout, name="hide")(
        layers.UnitNormalization(name="length_one")(seen)
    )
    state = layers.Dense(units, activation="tanh", name="hidden")(state)
    mean, log_variance = (
        layers.Dense(latent, name="mean")(state),
        layers.Dense(latent, name="log_variance")(state),
    )
    z = Latent(beta, anneal, name="z")(mean, log_variance)
    return Autoencoder(
        "vae", keras.Model(seen, layers.Dense(n_items, name="logits")(z), name="vae")
    )


class Latent(layers.Layer):
    """In training draws z = μ + σ ⊙ ε and adds the weighted KL term to the loss;
    afterwards gives μ.
    """

    def __init__(self, beta: float, anneal: int, name: str = "z") -> None:
        super().__init__(name=name)
        self.beta, self.anneal = beta, anneal
        self.random = keras.random.SeedGenerator()

    def build(self, mean_shape: tuple, log_variance_shape: tuple) -> None:
        self.steps = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="steps"
        )

    def call(
        self, mean: tf.Tensor, log_variance: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        if not training:
            return mean
        self.steps.assign_add(1.0)
        weight = self.beta * ops.minimum(self.steps / self.anneal, 1.0)
        self.add_loss(weight * ops.mean(kl_to_standard_normal(mean, log_variance)))
        noise = keras.random.normal(ops.shape(mean), seed=self.random)
        return mean + ops.exp(log_variance / 2) * noise


def kl_to_standard_normal(mean: tf.Tensor, log_variance: tf.Tensor) -> tf.Tensor:
    """KL divergence of N(μ, σ²) from N(0, 1), summed over the last axis: ½ Σ (μ² + σ² -
    log σ² - 1), in nats.
    """
    return ops.sum(mean**2 + ops.exp(log_variance) - log_variance - 1, axis=-1) / 2


def multinomial_loss(seen: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Minus the multinomial log-likelihood of each history, -Σ_i x_i log
    softmax(logits)_i, in nats: shape (n,).
    """
    return -ops.sum(seen * ops.log_softmax(logits, axis=-1), axis=-1)


class MultiHot(keras.utils.PyDataset):
    """Batches of whole histories as rows of ones and zeros, input and target alike, in
    a new order every epoch.

    The last batch is filled up with users drawn at random, so that all batches have one
    shape.
    """

    def __init__(
        self, histories: Sequence[History], n_items: int, batch: int = 64, seed: int = 0
    ) -> None:
        super().__init__()
        self.histories, self.n_items, self.batch = (
            [h for h in histories if len(h)],
            n_items,
            batch,
        )
        self.random = np.random.default_rng(seed)
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        count = len(self.histories)
        filling = self.random.choice(count, -count % self.batch)
        self.order = np.concatenate([self.random.permutation(count), filling])

    def __len__(self) -> int:
        return len(self.order) // self.batch

    def __getitem__(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        users = self.order[n * self.batch : (n + 1) * self.batch]
        rows = multi_hot([self.histories[user] for user in users], self.n_items)
        return rows, rows


def fit_autoencoder(
    model: Autoencoder,
    histories: Sequence[History],
    validation: Cases | None,
    rate: float = 1e-3,
    batch: int = 64,
    seed: int = 0,
    **options: Any,
) -> list[dict[str, float]]:
    """Train to give back whole histories from partly hidden ones.

    What is measured and kept is the moving average of the weights over about the last
    hundred steps (Polyak and Juditsky 1992, doi:10.1137/0330046): it hardly depends on
    the epoch at which training stops. options: epochs, patience and callbacks of
    `fit_network`. Returns one row per epoch; the loss is in nats per user, with the
    weighted KL term for the vae.
    """
    model.model.compile(
        keras.optimizers.Adam(rate, use_ema=True, ema_momentum=0.99), multinomial_loss
    )
    # Keras itself puts the averages in place at the end; to score them after each
    # epoch, they are swapped in there too.
    swap = (
        []
        if validation is None
        else [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)]
    )
    callbacks = [*swap, *options.pop("callbacks", ())]
    batches = MultiHot(histories, model.n_items, batch, seed)
    return fit_network(model, batches, validation, callbacks=callbacks, **options)

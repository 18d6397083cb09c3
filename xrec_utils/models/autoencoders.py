"""Autoencoders: a history goes in as ones and zeros, and comes out as scores.

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

from xrec_utils.contract import History, Sums, item_columns, multi_hot
from xrec_utils.data.splits import Cases
from xrec_utils.keras_start import keras, layers, ops, tf
from xrec_utils.models.hidden_layer import chain_of_dense, one_hidden
from xrec_utils.models.training import Batches, fit_network


class Autoencoder:
    """A recommender around a Keras model of multi-hot histories.

    Args:
        name: how tables and figures call it.
        model: from multi-hot histories (n, n_items) to logits (n, n_items).
    """

    def __init__(self, name: str, model: keras.Model) -> None:
        self.name = name
        self.model = model
        self.n_items = int(model.input_shape[1])

    def score(
        self,
        histories: Sequence[History],
        items: np.ndarray | None = None,
        batch: int = 256,
    ) -> np.ndarray:
        """Return logits (n histories, n items or len(items)).

        The empty history is the row of zeros.
        """
        pieces = []
        # at least one batch, so that no histories give no rows of the right length
        for at in range(0, max(len(histories), 1), batch):
            seen = multi_hot(
                histories[at : at + batch],
                self.n_items,
            )
            scores = self.model(seen, training=False).numpy()
            pieces.append(item_columns(scores, items))
        return np.concatenate(pieces)

    def score_inputs(self, inputs: tf.Tensor, item: int) -> tf.Tensor:
        """Score one item for inputs (n, n_items): (n,), differentiable.

        The inputs may be whole or fractional. `score_inputs(multi_hot([h], n_items),
        j)` equals `score([h])[:, j]`.
        """
        return self.model(inputs, training=False)[:, item]

    @property
    def dense_layers(self) -> list[layers.Layer]:
        """The layer of hidden units and the linear ones behind it; [] in other networks.

        Before them at most the input is brought to length one.
        """
        return chain_of_dense(self.model, passing=(Latent,))

    @property
    def pooling(self) -> str:
        """How it pools its films."""
        return "hidden units" if self.dense_layers else "unknown"

    def sums(self, history: History, items: np.ndarray) -> Sums | None:
        """What each film adds to the units, and the network behind them.

        None for a network that is not one layer of hidden units.
        """
        if not self.dense_layers:
            return None
        net = one_hidden(self)
        readout = net.readout[:, items]

        def finish(sums: np.ndarray, films: np.ndarray) -> np.ndarray:
            """Scores (m, k) of sums (m, units)."""
            return net.units(sums, films) @ readout + net.constant[items]

        return Sums(net.rows[history], finish)


def dae(n_items: int, units: int = 200, dropout: float = 0.5) -> Autoencoder:
    """Build the untrained denoising autoencoder, Mult-DAE: one hidden layer.

    Tanh units, and a linear decoder. The paper divides the input by its length; here it
    stays ones and zeros, so that each film adds its own row of weights to the hidden
    units whatever else the history holds.
    """
    seen = keras.Input((n_items,), name="seen")
    # Python makes the outer layer first, and layers draw their seeds in this order.
    hidden = layers.Dense(units, activation="tanh", name="hidden")(
        layers.Dropout(dropout, name="hide")(seen),
    )
    logits = layers.Dense(n_items, name="logits")(hidden)
    return Autoencoder("dae", keras.Model(seen, logits, name="dae"))


def vae(
    n_items: int,
    units: int = 128,
    latent: int = 64,
    dropout: float = 0.5,
    beta: float = 0.2,
    anneal: int = 300,
) -> Autoencoder:
    """Build the untrained variational autoencoder, Mult-VAE, with a linear decoder.

    Source: Liang et al. 2018, doi:10.1145/3178876.3186150.

    Args:
        n_items: size of the catalogue.
        units: tanh units of the encoder.
        latent: numbers in the latent vector z.
        dropout: share of the (length-one) input hidden in training.
        beta: final weight of the KL term in the loss; 1 gives the ELBO.
        anneal: training steps over which that weight grows from 0 to beta.

    Returns:
        An `Autoencoder` named "vae"; `fit_autoencoder` trains it. It scores by the mean
        of z, so that scores do not change from call to call.

    Raises:
        ValueError: a size is not positive.

    Example:
        >>> model = vae(n_items=3, units=4, latent=2)
        >>> model.score([np.array([0, 2]), np.array([], dtype=int)]).shape
        (2, 3)
        >>> tuple(model.model.get_layer("logits").kernel.shape)  # from z to the films
        (2, 3)
    """
    seen = keras.Input((n_items,), name="seen")
    # Made in this order, because layers draw their seeds in the order they are made.
    state = layers.Dropout(dropout, name="hide")(
        layers.UnitNormalization(name="length_one")(seen),
    )
    state = layers.Dense(units, activation="tanh", name="hidden")(state)
    mean = layers.Dense(latent, name="mean")(state)
    log_variance = layers.Dense(latent, name="log_variance")(state)
    z = Latent(beta, anneal, name="z")(mean, log_variance)
    logits = layers.Dense(n_items, name="logits")(z)
    return Autoencoder("vae", keras.Model(seen, logits, name="vae"))


class Latent(layers.Layer):
    """In training draws z = μ + σ ⊙ ε, afterwards gives μ.

    The draw adds the weighted KL term to the loss; the weight grows from 0 to `beta`
    over `anneal` steps.
    """

    def __init__(self, beta: float, anneal: int, name: str = "z") -> None:
        super().__init__(name=name)
        self.beta = beta
        self.anneal = anneal
        self.random = keras.random.SeedGenerator()

    def build(self, mean_shape: tuple, log_variance_shape: tuple) -> None:
        """Create the counter of training steps."""
        self.steps = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="steps"
        )

    def call(
        self, mean: tf.Tensor, log_variance: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        """Mean and log variance (batch, latent) -> z (batch, latent)."""
        if not training:
            return mean
        self.steps.assign_add(1.0)
        weight = self.beta * ops.minimum(self.steps / self.anneal, 1.0)
        self.add_loss(weight * ops.mean(kl_to_standard_normal(mean, log_variance)))
        noise = keras.random.normal(ops.shape(mean), seed=self.random)
        return mean + ops.exp(log_variance / 2) * noise


def kl_to_standard_normal(mean: tf.Tensor, log_variance: tf.Tensor) -> tf.Tensor:
    """KL divergence of N(μ, σ²) from N(0, 1), in nats, summed over the last axis.

    ½ Σ (μ² + σ² - log σ² - 1), for mean and log variance (..., d): (...,).
    """
    return (
        ops.sum(
            mean**2 + ops.exp(log_variance) - log_variance - 1,
            axis=-1,
        )
        / 2
    )


def multinomial_loss(seen: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Minus the multinomial log-likelihood of each history, in nats, (n,).

    -Σ_i x_i log softmax(logits)_i, for seen x and logits, both (n, n_items).
    """
    return -ops.sum(
        seen * ops.log_softmax(logits, axis=-1),
        axis=-1,
    )


class MultiHot(Batches):
    """Batches of whole histories as rows of ones and zeros, in a new order every epoch.

    Input and target are the same. The last batch is filled up with users drawn at
    random, so that all batches have one shape.
    """

    def __init__(
        self, histories: Sequence[History], n_items: int, batch: int = 64, seed: int = 0
    ) -> None:
        self.histories = [history for history in histories if len(history)]
        self.n_items = n_items
        super().__init__(batch, seed)

    def draw(self) -> tuple[np.ndarray]:
        """Shuffle the users, and fill up the last batch."""
        count = len(self.histories)
        filling = self.random.choice(
            count,
            -count % self.batch,
        )
        return (np.concatenate([self.random.permutation(count), filling]),)

    def __getitem__(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        (users,) = super().__getitem__(n)
        rows = multi_hot(
            [self.histories[user] for user in users],
            self.n_items,
        )
        return rows, rows


def fit_autoencoder(
    model: Autoencoder,
    histories: Sequence[History],
    validation: Cases | None,
    rate: float = 1e-3,
    batch: int = 64,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    **options: Any,
) -> list[dict[str, float]]:
    """Train, in place, to give back whole histories from partly hidden ones.

    What is measured and kept is the moving average of the weights over about the last
    hundred steps (Polyak and Juditsky 1992, doi:10.1137/0330046): it hardly depends on
    the epoch at which training stops. The loss is `multinomial_loss`, the optimiser
    Adam.

    Args:
        model: of `dae` or `vae`.
        histories: one training history per user; empty ones are left out.
        validation: the cases by whose NDCG@10 the best epoch is kept, or None to train
            all epochs.
        rate: learning rate.
        batch: users per step.
        seed: of the order; weights and dropout follow `set_seed`.
        callbacks: any further ones, for example keras.callbacks.TensorBoard.
        options: epochs and patience of `fit_network`.

    Returns:
        One row per epoch: epoch, loss (nats per user, with the weighted KL term for the
        vae), and validation_ndcg with validation cases.

    Example:
        >>> histories = [np.array([0, 1]), np.array([1, 2])]
        >>> model = dae(n_items=3, units=2)
        >>> log = fit_autoencoder(model, histories, None, batch=2, epochs=2)
        >>> [row["epoch"] for row in log]
        [1, 2]
    """
    model.model.compile(
        optimizer=keras.optimizers.Adam(rate, use_ema=True, ema_momentum=0.99),
        loss=multinomial_loss,
    )
    # Keras itself puts the averages in place at the end; to score them after each
    # epoch, they are swapped in there too.
    if validation is not None:
        callbacks = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True), *callbacks]
    return fit_network(
        model,
        batches=MultiHot(histories, model.n_items, batch, seed),
        validation=validation,
        callbacks=callbacks,
        **options,
    )

"""MLPs over a user-item row.

The two-branch MLP and the feature MLP read columns; the embedding MLP, with its NeuMF
extension, reads a user's and an item's id.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.kernel_ridge import KernelRidge
from sklearn.preprocessing import normalize

from xrec_utils.contract import History, Sums, item_codes, multi_hot
from xrec_utils.data.splits import Cases
from xrec_utils.keras_start import keras, layers
from xrec_utils.models.training import Negatives, fit_epochs, fit_network

USER_TABLES = ("user_embedding", "user_factors")  # the second one only in NeuMF
FOLD_IN = 0.1  # ridge penalty of the regression from histories to user vectors


def two_branch_mlp(n_user: int, n_film: int, width: int = 32) -> keras.Model:
    """Build the two-branch MLP, whose user and film meet in a product.

    p = softmax(W3 (ReLU(W1 u + b1) ⊙ ReLU(W2 i + b2)) + b3). It is compiled for
    categorical cross-entropy over the two classes.

    Args:
        n_user: columns of the user input u.
        n_film: columns of the film input i.
        width: neurons of each branch.

    Returns:
        An untrained model from [u (n, n_user), i (n, n_film)] to probabilities (n, 2);
        column 1 is the probability of "liked".

    Raises:
        ValueError: `width` is not positive.

    Example:
        >>> model = two_branch_mlp(3, 2, width=4)
        >>> [tuple(weights.shape) for weights in model.weights[::2]]  # the kernels
        [(3, 4), (2, 4), (4, 2)]
        >>> p = model([np.ones((5, 3)), np.zeros((5, 2))]).numpy()
        >>> p.tolist()[0]  # biases start at zero: no film, no preference
        [0.5, 0.5]
    """
    user = keras.Input((n_user,), name="user")
    film = keras.Input((n_film,), name="film")
    branches = [
        layers.Dense(width, activation="relu", name="user_branch")(user),
        layers.Dense(width, activation="relu", name="film_branch")(film),
    ]
    product = layers.Multiply(name="product")(branches)
    output = layers.Dense(2, activation="softmax", name="classes")(product)
    model = keras.Model([user, film], output, name="two_branch")
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def feature_mlp(n_features: int) -> keras.Model:
    """Build the feature MLP: n_features -> 64 -> 32 -> 1.

    ReLU twice, a sigmoid at the end. It is compiled for binary cross-entropy.

    Args:
        n_features: columns of the input.

    Returns:
        An untrained model from columns (n, n_features) to the probability of "liked",
        (n, 1).

    Example:
        >>> model = feature_mlp(3)
        >>> model.count_params() == (3 + 1) * 64 + (64 + 1) * 32 + (32 + 1)
        True
        >>> model(np.zeros((2, 3))).numpy().tolist()  # biases start at zero
        [[0.5], [0.5]]
    """
    features = keras.Input((n_features,), name="features")
    state = layers.Dense(64, activation="relu", name="hidden_1")(features)
    state = layers.Dense(32, activation="relu", name="hidden_2")(state)
    output = layers.Dense(1, activation="sigmoid", name="output")(state)
    model = keras.Model(features, output, name="feature_mlp")
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def fit_features(
    model: keras.Model,
    train: tuple,
    validation: tuple,
    epochs: int = 30,
    batch: int = 1024,
    patience: int = 4,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> list[dict[str, float]]:
    """Fit a feature model in place, stopping early on the validation loss.

    Args:
        model: a compiled model, for example `feature_mlp`.
        train: (x, y), x float32 (n, n_features), y (n,) of zeros and ones.
        validation: the same for validation rows.
        epochs: at most so many.
        batch: rows per step.
        patience: epochs to wait for a gain; the weights of the best epoch come back.
        callbacks: any further ones, for example keras.callbacks.TensorBoard.

    Returns:
        One row per epoch: epoch, and what Keras logs: loss, accuracy, val_loss (nats),
        val_accuracy.

    Raises:
        ValueError: x does not have the columns the model reads.

    Example:
        >>> x = np.array([[0.0], [1.0]], dtype="float32")
        >>> rows = x, x[:, 0]
        >>> log = fit_features(feature_mlp(1), rows, rows, epochs=2)
        >>> [row["epoch"] for row in log]
        [1, 2]
        >>> sorted(log[0])
        ['accuracy', 'epoch', 'loss', 'val_accuracy', 'val_loss']
    """
    return fit_epochs(
        model,
        *train,
        epochs=epochs,
        callbacks=[
            keras.callbacks.EarlyStopping(
                monitor="val_loss",
                patience=patience,
                restore_best_weights=True,
            ),
            *callbacks,
        ],
        validation_data=validation,
        batch_size=batch,
    )


def embedding_mlp(
    n_users: int, n_items: int, width: int = 32, product_width: int = 0
) -> keras.Model:
    """Build the embedding MLP: user and item embeddings, dense layers, one logit.

    With `product_width` > 0 a second pair of embeddings is multiplied elementwise and
    joined before the output: that is NeuMF (He et al. 2017,
    doi:10.1145/3038912.3052569). Inputs are one id per row, shape (n,); the output
    (n, 1) is the logit, so that the sigmoid belongs to the loss.
    """
    user = keras.Input((), dtype="int32", name="user")
    item = keras.Input((), dtype="int32", name="item")

    def embed(
        ids: keras.KerasTensor, count: int, size: int, name: str
    ) -> keras.KerasTensor:
        """The vectors (batch, size) of ids (batch,)."""
        table = layers.Embedding(
            int(count), size, embeddings_initializer="normal", name=name
        )
        return table(ids)

    pair = [
        embed(user, n_users, width, "user_embedding"),
        embed(item, n_items, width, "item_embedding"),
    ]
    state = layers.Concatenate(name="pair")(pair)
    for n, size in enumerate((64, 32, 16), start=1):
        state = layers.Dense(size, activation="relu", name=f"hidden_{n}")(state)
    if product_width:
        factors = [
            embed(user, n_users, product_width, "user_factors"),
            embed(item, n_items, product_width, "item_factors"),
        ]
        product = layers.Multiply(name="product")(factors)
        state = layers.Concatenate(name="joined")([product, state])
    logit = layers.Dense(1, name="logit")(state)
    return keras.Model([user, item], logit, name="embedding_mlp")


class UserItemRecommender:
    """A vector for every training user, and a way to fold in every other history.

    `score_users` answers for the users it was trained on. `score` answers for any
    history: each training user's vectors are predicted from that user's history by
    kernel ridge regression on the cosine of histories, and the same regression gives
    the vectors of a history never seen. The empty history gets the average user.

    Args:
        name: how tables and figures call it.
        model: an `embedding_mlp`.
        histories: one training history per user code.
        n_items: size of the catalogue.
    """

    def __init__(
        self, name: str, model: keras.Model, histories: Sequence[History], n_items: int
    ) -> None:
        self.name = name
        self.model = model
        self.n_items = n_items
        self.known = multi_hot(histories, n_items)
        self.solved_for = np.empty(0)
        self.tables = [layer for layer in model.layers if layer.name in USER_TABLES]
        # the same network, fed with user vectors in place of a user's id
        self.from_vectors = keras.Model(
            [*[table.output for table in self.tables], model.inputs[1]],
            model.output,
        )

    def film_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what each film adds to a folded-in user, and the average user.

        The regression is linear in the history's direction: vectors = average + Σ_i
        added_i / √(number of films). Shapes (n_items, d) and (d,).
        """
        # (n_users, d): all tables side by side
        vectors = np.concatenate(
            [table.get_weights()[0] for table in self.tables],
            axis=1,
        )
        # solved again only when training has changed the tables
        if not np.array_equal(vectors, self.solved_for):
            average = vectors.mean(axis=0)
            regression = KernelRidge(alpha=FOLD_IN, kernel="cosine").fit(
                self.known,
                vectors - average,
            )
            self.solution = normalize(self.known).T @ regression.dual_coef_, average
            self.solved_for = vectors
        return self.solution

    def fold_in(self, histories: Sequence[History]) -> np.ndarray:
        """Return user vectors (n histories, d), all embeddings side by side."""
        added, average = self.film_vectors()
        asked = multi_hot(histories, self.n_items)
        # a row of n ones is √n long; the empty one stays zero
        lengths = np.sqrt(asked.sum(axis=1, keepdims=True).clip(min=1))
        return (asked / lengths @ added + average).astype(np.float32)

    def score(
        self,
        histories: Sequence[History],
        items: np.ndarray | None = None,
        batch: int = 65536,
    ) -> np.ndarray:
        """Return logits (n histories, n items or len(items)) of folded-in histories."""
        return self.score_vectors(
            self.fold_in(histories),
            items,
            batch,
        )

    def sums(self, history: History, items: np.ndarray) -> Sums:
        """What each film adds to the vectors of a folded-in user."""
        added, average = self.film_vectors()

        def finish(sums: np.ndarray, films: np.ndarray) -> np.ndarray:
            """Scores (m, k) of sums (m, d)."""
            length = np.sqrt(np.maximum(films, 1))[:, None]
            return self.score_vectors(
                average + sums / length,
                items,
            )

        return Sums(added[history], finish)

    def score_vectors(
        self, vectors: np.ndarray, items: np.ndarray | None = None, batch: int = 65536
    ) -> np.ndarray:
        """Return logits (n, n items or len(items)) of the vectors that `fold_in` gives.

        vectors: (n, d).
        """
        widths = [table.output.shape[-1] for table in self.tables]
        return self._pairs(
            self.from_vectors,
            users=np.split(
                vectors.astype(np.float32),
                np.cumsum(widths)[:-1],
                axis=1,
            ),
            items=items,
            batch=batch,
        )

    def score_users(self, users: np.ndarray, batch: int = 65536) -> np.ndarray:
        """Return logits (n users, n_items) for user codes of the training part."""
        return self._pairs(
            self.model,
            users=[item_codes("users", users, len(self.known)).astype(np.int32)],
            items=None,
            batch=batch,
        )

    def _pairs(
        self,
        network: keras.Model,
        users: list[np.ndarray],
        items: np.ndarray | None,
        batch: int,
    ) -> np.ndarray:
        """Score every user (rows of each array) with every item."""
        items = item_codes(
            "items",
            np.arange(self.n_items) if items is None else items,
            self.n_items,
        )
        # users scored at once, so that a batch has about `batch` pairs
        rows = max(1, batch // max(1, len(items)))
        pieces = [np.zeros((0, 1), dtype=np.float32)]
        for at in range(0, len(users[0]), rows):
            here = [part[at : at + rows] for part in users]
            # each user's row once per item, and the items once per user
            inputs = [
                *[np.repeat(part, len(items), axis=0) for part in here],
                np.tile(items, len(here[0])),
            ]
            pieces.append(network(inputs, training=False).numpy())
        return np.concatenate(pieces).reshape(
            len(users[0]),
            len(items),
        )


def fit_pairs(
    model: UserItemRecommender,
    histories: Sequence[History],
    validation: Cases | None,
    rate: float = 1e-3,
    seed: int = 0,
    **options: Any,
) -> list[dict[str, float]]:
    """Train on seen pairs against four drawn ones with binary cross-entropy.

    options: epochs, patience and callbacks of `fit_network`. Returns one row per epoch.
    """
    model.model.compile(
        optimizer=keras.optimizers.Adam(rate),
        # the network gives logits, not probabilities
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    return fit_network(
        model,
        batches=Negatives(histories, model.n_items, seed=seed),
        validation=validation,
        **options,
    )

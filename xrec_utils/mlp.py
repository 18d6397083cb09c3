"""MLPs over a user-item row: the two-branch MLP, the feature MLP, and the embedding MLP
with its NeuMF extension.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.kernel_ridge import KernelRidge
from sklearn.preprocessing import normalize

from xrec_utils.contract import History, multi_hot
from xrec_utils.keras_start import keras
from xrec_utils.splits import Cases
from xrec_utils.training import Progress, fit_network

layers = keras.layers
FOLD_IN = 0.1  # ridge penalty of the regression from histories to user vectors


def two_branch_mlp(n_user: int, n_film: int, width: int = 32) -> keras.Model:
    """Build p = softmax(W3 (ReLU(W1 u + b1) ⊙ ReLU(W2 i + b2)) + b3).

    Inputs u (n, n_user) and i (n, n_film), output (n, 2). Column 1 of the output is the
    probability of "liked"; the loss is categorical cross-entropy over two classes.
    """
    user, film = (
        keras.Input((n_user,), name="user"),
        keras.Input((n_film,), name="film"),
    )
    user_branch = layers.Dense(width, activation="relu", name="user_branch")(user)
    film_branch = layers.Dense(width, activation="relu", name="film_branch")(film)
    product = layers.Multiply(name="product")([user_branch, film_branch])
    output = layers.Dense(2, activation="softmax", name="classes")(product)
    model = keras.Model([user, film], output, name="two_branch")
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def feature_mlp(n_features: int) -> keras.Model:
    """Build n_features -> 64 -> 32 -> 1: ReLU twice, a sigmoid at the end, binary
    cross-entropy; output (n, 1).
    """
    features = keras.Input((n_features,), name="features")
    state = layers.Dense(64, activation="relu", name="hidden_1")(features)
    state = layers.Dense(32, activation="relu", name="hidden_2")(state)
    model = keras.Model(
        features,
        layers.Dense(1, activation="sigmoid", name="output")(state),
        name="feature_mlp",
    )
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
    """Fit a feature model on (x, y), stopping early on the validation loss; return a
    row per epoch.
    """
    stop = keras.callbacks.EarlyStopping(
        "val_loss", patience=patience, restore_best_weights=True
    )
    progress = Progress(model.name, epochs)
    log = model.fit(
        *train,
        validation_data=validation,
        epochs=epochs,
        batch_size=batch,
        verbose=0,
        callbacks=[stop, progress, *callbacks],
    )
    return [
        {"epoch": n + 1, **{key: v[n] for key, v in log.history.items()}}
        for n in range(len(log.epoch))
    ]


def embedding_mlp(
    n_users: int, n_items: int, width: int = 32, product_width: int = 0
) -> keras.Model:
    """Build the embedding MLP: user and item embeddings, concatenated, dense layers,
    one logit.

    With `product_width` > 0 a second pair of embeddings is multiplied elementwise and
    joined before the output: that is NeuMF (He et al. 2017,
    doi:10.1145/3038912.3052569). Inputs are one id per row, shape (n,); the output (n,
    1) is the logit, so that the sigmoid belongs to the loss.
    """
    user, item = (
        keras.Input((), dtype="int32", name="user"),
        keras.Input((), dtype="int32", name="item"),
    )

    def embed(
        ids: keras.KerasTensor, count: int, size: int, name: str
    ) -> keras.KerasTensor:
        return layers.Embedding(
            int(count), size, embeddings_initializer="normal", name=name
        )(ids)

    state = layers.Concatenate(name="pair")(
        [
            embed(user, n_users, width, "user_embedding"),
            embed(item, n_items, width, "item_embedding"),
        ]
    )
    for n, size in enumerate((64, 32, 16), start=1):
        state = layers.Dense(size, activation="relu", name=f"hidden_{n}")(state)
    if product_width:
        factors = (
            embed(user, n_users, product_width, "user_factors"),
            embed(item, n_items, product_width, "item_factors"),
        )
        state = layers.Concatenate(name="joined")(
            [layers.Multiply(name="product")(factors), state]
        )
    return keras.Model(
        [user, item], layers.Dense(1, name="logit")(state), name="embedding_mlp"
    )


class UserItemRecommender:
    """A recommender that has a vector for every training user, and folds in every other
    history.

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
        self.name, self.model, self.n_users, self.n_items = (
            name,
            model,
            len(histories),
            n_items,
        )
        self.known = multi_hot(histories, n_items)
        self.tables = [
            layer
            for layer in model.layers
            if layer.name in ("user_embedding", "user_factors")
        ]
        item = model.inputs[1]
        self.from_vectors = keras.Model(
            [*(table.output for table in self.tables), item], model.output
        )

    def film_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what each film adds to a folded-in user, (n_items, d), and the average
        user (d,).

        The regression is linear in the history's direction: vectors = average + Σ_i
        added_i / √(number of films).
        """
        vectors = np.concatenate(
            [table.get_weights()[0] for table in self.tables], axis=1
        )
        average = vectors.mean(axis=0)
        regression = KernelRidge(alpha=FOLD_IN, kernel="cosine").fit(
            self.known, vectors - average
        )
        return normalize(self.known).T @ regression.dual_coef_, average

    def fold_in(self, histories: Sequence[History]) -> np.ndarray:
        """Return user vectors of shape (n histories, d), all of the user's embeddings
        side by side.
        """
        added, average = self.film_vectors()
        return (normalize(multi_hot(histories, self.n_items)) @ added + average).astype(
            np.float32
        )

    def score(
        self,
        histories: Sequence[History],
        items: np.ndarray | None = None,
        batch: int = 65536,
    ) -> np.ndarray:
        """Return logits (n histories, n items or len(items)) of folded-in histories."""
        return self.score_vectors(self.fold_in(histories), items, batch)

    def score_vectors(
        self, vectors: np.ndarray, items: np.ndarray | None = None, batch: int = 65536
    ) -> np.ndarray:
        """Return logits (n, n items or len(items)) of user vectors (n, d), as `fold_in`
        gives them.
        """
        cuts = np.cumsum([table.output.shape[-1] for table in self.tables])[:-1]
        parts = np.split(vectors.astype(np.float32), cuts, axis=1)
        return self._pairs(self.from_vectors, parts, self._items(items), batch)

    def score_users(self, users: np.ndarray, batch: int = 65536) -> np.ndarray:
        """Return logits (n users, n_items) for user codes of the training part."""
        return self._pairs(
            self.model, [np.asarray(users, dtype=np.int32)], self._items(None), batch
        )

    def _items(self, items: np.ndarray | None) -> np.ndarray:
        return (
            np.arange(self.n_items, dtype=np.int32)
            if items is None
            else np.asarray(items, dtype=np.int32)
        )

    @staticmethod
    def _pairs(
        network: keras.Model, users: list[np.ndarray], items: np.ndarray, batch: int
    ) -> np.ndarray:
        """Score every user (rows of each array) with every item."""
        n, rows = len(users[0]), max(1, batch // len(items))
        pieces = [np.zeros((0, 1), dtype=np.float32)]
        for at in range(0, n, rows):
            inputs = [
                np.repeat(part[at : at + rows], len(items), axis=0) for part in users
            ]
            inputs.append(np.tile(items, len(inputs[0]) // len(items)))
            pieces.append(network(inputs, training=False).numpy())
        return np.concatenate(pieces).reshape(n, len(items))


class Negatives(keras.utils.PyDataset):
    """User-item pairs with label 1, each with `negatives` random pairs with label 0,
    drawn anew every epoch.
    """

    def __init__(
        self,
        histories: Sequence[History],
        n_items: int,
        negatives: int = 4,
        batch: int = 4096,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.users = np.repeat(
            np.arange(len(histories)), [len(h) for h in histories]
        ).astype(np.int32)
        self.items = np.concatenate(histories).astype(np.int32)
        self.known = np.unique(self.users.astype(np.int64) * n_items + self.items)
        self.n_items, self.negatives, self.batch = n_items, negatives, batch
        self.random = np.random.default_rng(seed)
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        users = np.tile(self.users, 1 + self.negatives)
        items = np.concatenate([self.items, self._strangers()])
        labels = np.repeat(
            np.array([1.0, 0.0], np.float32),
            [len(self.items), len(items) - len(self.items)],
        )
        order = self.random.permutation(len(items))
        self.rows = users[order], items[order], labels[order]

    def _strangers(self) -> np.ndarray:
        """Draw items the user has not rated, by rejection."""
        users = np.tile(self.users, self.negatives).astype(np.int64)
        items = self.random.integers(self.n_items, size=len(users))
        wrong = np.isin(users * self.n_items + items, self.known)
        while wrong.any():
            items[wrong] = self.random.integers(self.n_items, size=wrong.sum())
            wrong[wrong] = np.isin(
                users[wrong] * self.n_items + items[wrong], self.known
            )
        return items.astype(np.int32)

    def __len__(self) -> int:
        return -(-len(self.rows[0]) // self.batch)

    def __getitem__(self, n: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        users, items, labels = (
            column[n * self.batch : (n + 1) * self.batch] for column in self.rows
        )
        return (users, items), labels[:, None]


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
        keras.optimizers.Adam(rate), keras.losses.BinaryCrossentropy(from_logits=True)
    )
    return fit_network(
        model, Negatives(histories, model.n_items, seed=seed), validation, **options
    )

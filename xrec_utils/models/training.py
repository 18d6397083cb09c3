"""The training loop of all neural recommenders, and the windows of sequence models.

One loop serves them all: it measures the model on validation cases after each epoch and
keeps the best weights. What differs is the loss and how batches are made; those of the
models that predict the next item and of those that tell pairs apart are here too.
"""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from xrec_utils.contract import History, check_count, item_codes
from xrec_utils.data.splits import Cases
from xrec_utils.keras_start import keras, ops, tf
from xrec_utils.metrics.evaluation import evaluate
from xrec_utils.models.sequence import HistoryRecommender

IGNORED = -1  # the label of a padded place


class Batches(keras.utils.PyDataset):
    """Columns that are drawn anew for every epoch, in batches of equal rows.

    A subclass gives `draw`, which returns the columns, arrays of one length. What it
    needs to draw must be set before `super().__init__`, which draws the first time.

    Args:
        batch: rows per batch; the last one may be smaller.
        seed: of `random`, by which the subclass draws.
    """

    def __init__(self, batch: int, seed: int) -> None:
        super().__init__()
        self.batch = batch
        self.random = np.random.default_rng(seed)
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        """Draw anew."""
        self.columns = self.draw()

    def __len__(self) -> int:
        # the quotient rounded up
        return -(-len(self.columns[0]) // self.batch)

    def __getitem__(self, n: int) -> tuple[np.ndarray, ...]:
        here = slice(n * self.batch, (n + 1) * self.batch)
        return tuple(column[here] for column in self.columns)


class Windows(Batches):
    """Batches of windows for next-item training, cut anew in every epoch.

    Each window holds the start token and up to `window` consecutive items; its labels
    are the items that follow each place, or IGNORED at padded places. A history longer
    than a window is cut into several, at an offset drawn anew in every epoch. Every
    batch has the same shape, so that XLA compiles once; the last one is filled up with
    windows drawn at random.

    Args:
        histories: one history per user; empty ones are left out.
        model: says how long a window is, and the codes of start token and padding.
        batch: windows per batch.
        seed: of cuts and order.

    Raises:
        ValueError: a history holds other things than item codes.

    `windows[n]` is batch n: inputs and labels, both int32 (batch, window + 1).

    Example:
        >>> from types import SimpleNamespace
        >>> model = SimpleNamespace(window=3, start=10, padding=11)
        >>> inputs, labels = Windows([np.array([4, 7])], model, batch=1)[0]
        >>> inputs.tolist()  # padding, start token, then the films but the last
        [[11, 11, 10, 4]]
        >>> labels.tolist()  # the film that follows each place
        [[-1, -1, 4, 7]]
    """

    def __init__(
        self,
        histories: Sequence[History],
        model: HistoryRecommender,
        batch: int = 64,
        seed: int = 0,
    ) -> None:
        codes = [item_codes("history", history, model.start) for history in histories]
        self.histories = [history.astype(np.int32) for history in codes if len(history)]
        self.model = model
        self.size: int | None = None
        super().__init__(batch, seed)

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        """Cut and shuffle: inputs and labels, both (windows, window + 1)."""
        pieces = [piece for history in self.histories for piece in self._cut(history)]
        order = self._order(len(pieces))
        # each place predicts the next: the input is one step behind the label
        before = [
            np.append(
                self.model.start,
                piece[:-1],
            )
            for piece in pieces
        ]
        length = self.model.window + 1
        return (
            keras.utils.pad_sequences(before, length, value=self.model.padding)[order],
            keras.utils.pad_sequences(pieces, length, value=IGNORED)[order],
        )

    def _order(self, count: int) -> np.ndarray:
        """A random order of the windows, filled up to whole batches."""
        missing = -count % self.batch
        # Keras wants all epochs alike: the first one sets the size.
        if self.size is None:
            self.size = count + missing
        shuffled = self.random.permutation(count)
        return np.append(
            shuffled,
            self.random.choice(count, max(missing, self.size - count)),
        )[: self.size]

    def _cut(self, history: History) -> list[History]:
        longest = self.model.window + 1
        if len(history) <= longest:
            return [history]
        first = self.random.integers(1, longest + 1)
        return np.split(
            history,
            range(first, len(history), longest),
        )


class Negatives(Batches):
    """User-item pairs with label 1, each with random pairs with label 0.

    A random pair is one that the user's history does not hold. They are drawn anew
    every epoch, and all pairs come in a new order.

    Args:
        histories: one training history per user code.
        n_items: size of the catalogue.
        negatives: random pairs for each pair that is known.
        batch: pairs per batch; the last one may be smaller.
        seed: of the draws.

    `negatives[n]` is batch n: ((users, items), labels), int32 (batch,) twice and
    float32 (batch, 1).

    Raises:
        ValueError: no history, other things than item codes, or a history of all items.

    Example:
        >>> histories = [np.array([0, 1]), np.array([2])]
        >>> (users, items), labels = Negatives(histories, n_items=3, negatives=2)[0]
        >>> labels.shape, int(labels.sum())  # 3 known pairs, 2 drawn for each
        ((9, 1), 3)
        >>> known = labels[:, 0] == 1
        >>> sorted(zip(users[known].tolist(), items[known].tolist()))
        [(0, 0), (0, 1), (1, 2)]
    """

    def __init__(
        self,
        histories: Sequence[History],
        n_items: int,
        negatives: int = 4,
        batch: int = 4096,
        seed: int = 0,
    ) -> None:
        self.users = np.repeat(
            np.arange(len(histories), dtype=np.int32),
            [len(history) for history in histories],
        )
        check_count("negatives", negatives)
        codes = [item_codes("history", history, n_items) for history in histories]
        if max(map(len, map(np.unique, codes)), default=0) >= n_items:
            raise ValueError(f"a history holds all {n_items} items, none is to draw")
        self.items = np.concatenate(codes).astype(np.int32)
        # a pair as one number
        self.known = np.unique(self.users.astype(np.int64) * n_items + self.items)
        self.n_items = n_items
        self.negatives = negatives
        super().__init__(batch, seed)

    def draw(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw the negatives and the order: users, items and labels, each (pairs,)."""
        users = np.tile(self.users, 1 + self.negatives)
        items = np.concatenate([self.items, self._strangers()])
        # the pairs that are known come first
        labels = np.float32(np.arange(len(items)) < len(self.items))
        order = self.random.permutation(len(items))
        return users[order], items[order], labels[order]

    def _strangers(self) -> np.ndarray:
        """Draw items the user has not rated, by rejection."""
        users = np.tile(self.users, self.negatives).astype(np.int64)
        items = np.zeros(len(users), dtype=np.int64)
        wrong = np.arange(len(users))
        # only pairs that hit a known one are drawn again
        while len(wrong):
            items[wrong] = self.random.integers(
                self.n_items,
                size=len(wrong),
            )
            pairs = users[wrong] * self.n_items + items[wrong]
            wrong = wrong[np.isin(pairs, self.known)]
        return items.astype(np.int32)

    def __getitem__(self, n: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        users, items, labels = super().__getitem__(n)
        return (users, items), labels[:, None]


def next_item_loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return the cross-entropy of the labelled places, a scalar in nats per place.

    It is the mean of log Σ exp(logits) - logit of the label over the places that have a
    label: the full softmax over all items.

    Args:
        labels: int (batch, length), item codes or IGNORED.
        logits: float32 (batch, length, items).

    Returns:
        A scalar tensor; NaN if no place has a label.

    Example:
        >>> labels = np.array([[2, IGNORED]])
        >>> shares = np.array([[[1, 2, 5], [1, 1, 1]]], dtype="float32")
        >>> loss = next_item_loss(labels, np.log(shares))  # -log(5 / 8)
        >>> round(float(loss), 3)
        0.47
    """
    known = ops.cast(labels != IGNORED, "float32")
    # IGNORED is no place of the last axis: any other will do
    places = ops.maximum(labels, 0)[..., None]
    right = ops.take_along_axis(logits, places, axis=-1)[..., 0]
    losses = ops.logsumexp(logits, axis=-1) - right
    return ops.sum(losses * known) / ops.sum(known)


def fit_network(
    model: Any,
    batches: keras.utils.PyDataset,
    validation: Cases | None,
    epochs: int = 40,
    patience: int = 6,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> list[dict[str, float]]:
    """Run the training loop that every neural recommender shares.

    Args:
        model: a recommender whose `model` is a compiled Keras model.
        batches: what one epoch consists of.
        validation: keep the epoch with the best NDCG@10 on these cases; None trains all
            epochs.
        epochs: at most so many.
        patience: epochs to wait for a gain.
        callbacks: any further ones, for example keras.callbacks.TensorBoard.

    Returns:
        One row per epoch: epoch, loss, validation_ndcg (with validation cases).
    """

    def measure(epoch: int, logs: dict[str, float]) -> None:
        """Add the validation score to what the epoch tells."""
        logs["validation_ndcg"] = float(evaluate(model, validation)["ndcg"].mean())

    # a callback that swaps weights comes before the measure, which all later ones see
    if validation is not None:
        callbacks = [
            *callbacks,
            keras.callbacks.LambdaCallback(on_epoch_end=measure),
            keras.callbacks.EarlyStopping(
                monitor="validation_ndcg",
                mode="max",
                patience=patience,
                restore_best_weights=True,
            ),
        ]
    return fit_epochs(
        model.model,
        batches,
        epochs=epochs,
        callbacks=callbacks,
        shuffle=False,
    )


def fit_epochs(
    network: keras.Model,
    *data: Any,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback],
    **options: Any,
) -> list[dict[str, float]]:
    """Fit a compiled Keras model under a progress bar; one row per epoch.

    `data` and `options` are those of `keras.Model.fit`. A row holds the epoch and all
    numbers that Keras and the callbacks log. The bar leaves nothing behind; it is
    silent where XREC_QUIET=1, as in stored outputs.
    """
    # only here: it loads Keras, which `keras_start` has to do first
    from tqdm.keras import TqdmCallback

    progress = TqdmCallback(
        epochs,
        verbose=0,  # a bar of epochs, none of batches
        desc=network.name,
        leave=False,
        disable=os.environ.get("XREC_QUIET") == "1",
    )
    # made before the first step, which TensorFlow would else trace a second time
    if network.built and network.compiled:
        network.optimizer.build(network.trainable_variables)
    log = network.fit(
        *data,
        epochs=epochs,
        verbose=0,
        callbacks=[*callbacks, progress],
        **options,
    )
    # Keras keeps a column for each number; a row for each epoch is easier to read
    return pd.DataFrame(
        {"epoch": range(1, 1 + len(log.epoch)), **log.history},
    ).to_dict("records")


def fit_next_item(
    model: HistoryRecommender,
    histories: Sequence[History],
    validation: Cases | None,
    rate: float = 1e-3,
    batch: int = 64,
    seed: int = 0,
    compiled: bool = True,
    **options: Any,
) -> list[dict[str, float]]:
    """Train a history model, in place, to predict each next item.

    The loss is the full softmax, `next_item_loss`, the optimiser Adam.

    Args:
        model: for example an `attention_recommender`.
        histories: one training history per user.
        validation: the cases by whose NDCG@10 the best epoch is kept, or None to train
            all epochs.
        rate: learning rate.
        batch: windows per step.
        seed: of the order and the cuts of `Windows`; weights and dropout follow
            `set_seed`.
        compiled: let XLA compile the step; twice as fast for attention, several times
            slower for a GRU.
        options: epochs, patience and callbacks of `fit_network`.

    Returns:
        One row per epoch: epoch, loss (nats per item), and validation_ndcg with
        validation cases.

    Raises:
        ValueError: no history has an item.

    Example:
        >>> from xrec_utils.models.sequence import pooled_mlp
        >>> model = pooled_mlp(np.eye(3), width=4, window=2)
        >>> histories = [np.array([0, 1, 2])]
        >>> log = fit_next_item(
        ...     model, histories, None, batch=1, epochs=2, compiled=False
        ... )
        >>> [row["epoch"] for row in log]
        [1, 2]
    """
    model.model.compile(
        optimizer=keras.optimizers.Adam(rate, global_clipnorm=5.0),
        # the softmax gains from XLA even where the rest does not
        loss=next_item_loss
        if compiled
        else tf.function(next_item_loss, jit_compile=True),
        jit_compile=compiled,
    )
    return fit_network(
        model,
        batches=Windows(histories, model, batch, seed),
        validation=validation,
        **options,
    )

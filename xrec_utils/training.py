"""Training loops: windows for sequence models, negatives for user-item models, and the
callbacks both share.
"""

import os
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from xrec_utils.contract import History, HistoryModel
from xrec_utils.keras_start import keras, tf
from xrec_utils.metrics import evaluate
from xrec_utils.neural import HistoryRecommender
from xrec_utils.splits import Cases

ops = keras.ops
IGNORED = -1  # the label of a padded place


class Windows(keras.utils.PyDataset):
    """Batches of windows for next-item training, cut at a new random offset in every
    epoch.

    Each window holds the start token and up to `window` consecutive items; its labels
    are the items that follow each place, or IGNORED at padded places. Every batch has
    the same shape, so that XLA compiles once.
    """

    def __init__(
        self,
        histories: Sequence[History],
        model: HistoryRecommender,
        batch: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.histories = [np.asarray(h, dtype=np.int32) for h in histories if len(h)]
        self.model, self.batch = model, batch
        self.random = np.random.default_rng(seed)
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        pieces = [piece for history in self.histories for piece in self._cut(history)]
        inputs = np.full(
            (len(pieces), self.model.window + 1), self.model.padding, dtype=np.int32
        )
        labels = np.full(inputs.shape, IGNORED, dtype=np.int32)
        for row, label, piece in zip(inputs, labels, pieces, strict=True):
            row[-len(piece) :] = np.concatenate([[self.model.start], piece[:-1]])
            label[-len(piece) :] = piece
        missing = -len(pieces) % self.batch
        self.size = getattr(
            self, "size", len(pieces) + missing
        )  # of the first epoch: Keras wants all epochs alike
        missing = max(missing, self.size - len(pieces))
        order = [
            self.random.permutation(len(pieces)),
            self.random.choice(len(pieces), missing),
        ]
        filled = np.concatenate(order)[: self.size]
        self.inputs, self.labels = inputs[filled], labels[filled]

    def _cut(self, history: History) -> list[History]:
        longest = self.model.window + 1
        if len(history) <= longest:
            return [history]
        first = self.random.integers(1, longest + 1)
        edges = [0, *range(first, len(history), longest), len(history)]
        return [history[low:high] for low, high in pairwise(edges)]

    def __len__(self) -> int:
        return len(self.inputs) // self.batch

    def __getitem__(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        here = slice(n * self.batch, (n + 1) * self.batch)
        return self.inputs[here], self.labels[here]


class KeepBest(keras.callbacks.Callback):
    """Scores the model on validation after each epoch, stops after `patience` epochs
    without gain, keeps the best.

    Without validation cases it trains all epochs and keeps the last: for a final fit on
    everything known, with the number of epochs chosen before.

    Args:
        model: the recommender in training.
        validation: the cases whose NDCG@10 is maximised, or None.
        patience: epochs to wait for a gain.
    """

    def __init__(
        self, model: HistoryModel, validation: Cases | None, patience: int = 6
    ) -> None:
        super().__init__()
        self.recommender, self.validation, self.patience = model, validation, patience
        self.history: list[dict[str, float]] = []
        self.best, self.best_epoch, self.weights = -np.inf, 0, None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        done = len(self.history) + 1
        self.history.append(
            {"epoch": done, "loss": float((logs or {}).get("loss", np.nan))}
        )
        if self.validation is None:
            return
        value = float(evaluate(self.recommender, self.validation)["ndcg"].mean())
        self.history[-1]["validation_ndcg"] = value
        if value > self.best:
            self.best, self.best_epoch, self.weights = (
                value,
                done,
                self.model.get_weights(),
            )
        self.model.stop_training = done - self.best_epoch >= self.patience

    def on_train_end(self, logs: dict | None = None) -> None:
        if self.weights is not None:
            self.model.set_weights(self.weights)


class Progress(keras.callbacks.Callback):
    """A progress bar over epochs that leaves nothing behind; silent where XREC_QUIET=1,
    as in stored outputs.
    """

    def __init__(self, name: str, epochs: int) -> None:
        super().__init__()
        self.bar = tqdm(
            total=epochs,
            desc=name,
            unit="epoch",
            leave=False,
            disable=os.environ.get("XREC_QUIET") == "1",
        )

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.bar.set_postfix(
            {key: round(float(value), 3) for key, value in (logs or {}).items()}
        )
        self.bar.update()

    def on_train_end(self, logs: dict | None = None) -> None:
        self.bar.close()


def next_item_loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return the mean of log Σ exp(logits) - logit of the label, in nats, over the
    places that have a label.

    labels (batch, length) item codes or IGNORED; logits (batch, length, items).
    """
    known = ops.cast(labels != IGNORED, "float32")
    right = ops.take_along_axis(logits, ops.maximum(labels, 0)[..., None], axis=-1)[
        ..., 0
    ]
    return ops.sum((ops.logsumexp(logits, axis=-1) - right) * known) / ops.sum(known)


def fit_network(
    model: Any,
    batches: keras.utils.PyDataset,
    validation: Cases | None,
    epochs: int = 40,
    patience: int = 6,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> list[dict[str, float]]:
    """Run the training loop that every neural recommender shares, on the compiled Keras
    model `model.model`.

    validation: keep the epoch with the best NDCG@10 on these cases; None trains all
    epochs. callbacks: any further ones, for example keras.callbacks.TensorBoard.
    Returns one row per epoch: epoch, loss, validation_ndcg (if asked).
    """
    keep = KeepBest(model, validation, patience)
    every = [
        *callbacks,
        keep,
        Progress(model.name, epochs),
    ]  # a callback that swaps weights comes before the measure
    model.model.fit(batches, epochs=epochs, verbose=0, shuffle=False, callbacks=every)
    return keep.history


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
    """Train a history model to predict each next item with the full softmax.

    compiled: let XLA compile the step; twice as fast for attention, several times
    slower for a GRU. options: epochs, patience and callbacks of `fit_network`. Returns
    one row per epoch; the loss is in nats per item.
    """
    loss = (
        next_item_loss if compiled else tf.function(next_item_loss, jit_compile=True)
    )  # the softmax gains anyway
    model.model.compile(
        keras.optimizers.Adam(rate, global_clipnorm=5.0), loss, jit_compile=compiled
    )
    return fit_network(
        model, Windows(histories, model, batch, seed), validation, **options
    )

"""What every recommender that reads a history promises.

A *history* is a 1-D array of item codes (0 .. n_items - 1), oldest first. Its *score*
for an item is the logit before any softmax: higher means recommended earlier. A film is
*absent* when it is deleted and the rest closes up; the empty history is valid and its
score, a finite number, is defined by each model.

An item may stand in a history more than once, as songs and clicks do. Players are
events: each copy is a player of its own, which is absent alone. A model may collapse
copies, as those do that read ones and zeros; then any one of them counts and the next
adds nothing, so that copies share what the item is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import getdoc
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np

from xrec_utils.files import require

# only for annotations: whoever reads a contract need not wait for TensorFlow
if TYPE_CHECKING:
    from xrec_utils.keras_start import tf

History = np.ndarray


def check_count(name: str, value: int, least: int = 1) -> None:
    """Raise ValueError unless an argument is a whole number, `least` or more.

    True, 2.0 and NaN are none.
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    require(
        whole and value >= least,
        f"{name}={value!r} must be a whole number, {least} or more",
    )


def item_codes(
    name: str, codes: Sequence[int] | np.ndarray, n_items: float = np.inf
) -> np.ndarray:
    """Return codes as whole numbers (n,), none of them negative or unknown.

    NumPy would count a negative one from the end, and read a mask of booleans, or
    numbers with a fraction, as other codes.

    Args:
        name: of the argument, for the message.
        codes: (n,), empty ones are allowed.
        n_items: how many codes there are; as many as one likes if not given.

    Returns:
        int64 (n,), as given where they are that already.

    Raises:
        ValueError: another shape or type, or a code outside 0 .. n_items - 1.

    Example:
        >>> item_codes("seen", [2, 0], n_items=3).tolist()
        [2, 0]
        >>> item_codes("seen", [-1], n_items=3)
        Traceback (most recent call last):
        ValueError: seen must be a 1-D array of codes in 0..2, got array([-1])
    """
    codes = np.asarray(codes)
    # an empty list has no type of its own
    whole = codes.dtype.kind in "iu" or not codes.size
    if codes.ndim != 1 or not whole or not ((codes >= 0) & (codes < n_items)).all():
        hint = "; np.flatnonzero(mask) turns a mask into codes"
        raise ValueError(
            f"{name} must be a 1-D array of codes in 0..{n_items - 1}, "
            f"got {codes!r:.80}{hint if codes.dtype == bool else ''}"
        )
    return codes.astype(np.int64, copy=False)


@runtime_checkable
class HistoryModel(Protocol):
    """A recommender whose only input is a history of item codes.

    A Keras model that reads ones and zeros becomes one by these lines:

        class Own:
            name = "own"

            def __init__(self, net, n_items):
                self.net, self.n_items = net, n_items

            def score(self, histories, items=None):
                rows = multi_hot(histories, self.n_items)
                logits = self.net(rows, training=False).numpy()
                return item_columns(logits, items)
    """

    name: str
    n_items: int

    def score(
        self, histories: Sequence[History], items: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the logits of all items, or of the given ones, for each history.

        Shape (n histories, n_items), or (n histories, len(items)) if `items` is given.
        """
        ...


def check_model(model: HistoryModel, *promised: str) -> None:
    """Raise ValueError, with the lines to add, if a model lacks what it promises."""
    missing = [name for name in promised if not hasattr(model, name)]
    require(
        not missing,
        f"{type(model).__name__} has no {', '.join(missing)}: a model that is "
        "explained keeps xrec_utils.contract.HistoryModel.\n\n"
        f"{getdoc(HistoryModel)}",
    )


def item_columns(scores: np.ndarray, items: np.ndarray | None) -> np.ndarray:
    """Keep the columns named by `items` (all of them for None)."""
    return (
        scores
        if items is None
        else scores[:, item_codes("items", items, scores.shape[1])]
    )


def multi_hot(histories: Sequence[History], n_items: int) -> np.ndarray:
    """Mark the films of each history with a one: one row per history.

    Args:
        histories: item codes of each history; their order is lost, the empty one is
            allowed.
        n_items: number of items, the width of the matrix.

    Returns:
        Ones and zeros, float32 (n histories, n_items).

    Raises:
        ValueError: a code outside 0 .. n_items - 1, or no code at all, as a mask is.

    Example:
        >>> multi_hot([np.array([2, 0]), np.array([], dtype=int)], 3).tolist()
        [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    rows = np.zeros((len(histories), n_items), dtype=np.float32)
    # the rows are views: writing into one fills the matrix
    for row, history in zip(rows, histories, strict=True):
        row[item_codes("history", history, n_items)] = 1.0
    return rows


class Sums(NamedTuple):
    """One history as a sum over its films and what follows the sum.

    Many models add up one vector per film before anything else happens: EASE, nearest
    neighbours, a dense layer fed with ones and zeros. Scores of many groups of films
    are then a product of the groups' masks with the vectors.

    addends (n, d): what each film adds. finish(sums (m, d), films (m,)) -> scores
    (m, k) of the k items asked for, where `films` counts those in each sum.
    """

    addends: np.ndarray
    finish: Callable[[np.ndarray, np.ndarray], np.ndarray]


def declares(model: object, capability: str) -> bool:
    """Whether a model has a capability that belongs to its score.

    `sums` and `pooling` say how a class computes its score. A subclass that replaces
    the score, or another method of that class, has them no longer, unless it declares
    them anew.

    Args:
        model: any.
        capability: the name of an attribute.

    Returns:
        True if the class that has the attribute still computes the score.

    Example:
        >>> class Total:
        ...     pooling = "sum"
        ...     def score(self, histories, items=None): ...
        >>> class Squared(Total):
        ...     def score(self, histories, items=None): ...
        >>> declares(Total(), "pooling"), declares(Squared(), "pooling")
        (True, False)
    """
    # a score set on the model itself replaces the one of its class
    replaced = set(getattr(model, "__dict__", {}))
    for owner in type(model).__mro__:
        names = vars(owner)
        if capability in names:
            return names[capability] is not None and not any(
                callable(getattr(owner, name, None)) for name in replaced
            )
        replaced |= {name for name in names if not name.startswith("__")}
    return False


def fits(model: HistoryModel | None, capability: str, history: np.ndarray) -> bool:
    """Whether what a model declares of its score holds for a history (n,).

    A film that stands twice counts once for some models: then nothing declared holds.
    """
    return declares(model, capability) and len(np.unique(history)) == len(history)


class AttentionModel(Protocol):
    """A history model that shows its attention weights."""

    def attention(self, history: np.ndarray) -> np.ndarray:
        """Return the weights (layers, heads, L, L).

        A row is the position that looks; position 0 is the start token.
        """
        ...


class EmbeddingModel(Protocol):
    """A history model that shows its embedding layer."""

    def vectors(self, history: np.ndarray) -> np.ndarray:
        """Return the embedded history, (L, d) float32."""
        ...

    def score_vectors(self, vectors: tf.Tensor, item: int) -> tf.Tensor:
        """Return the scores (n,) of `item` for embedded histories (n, L, d).

        TensorFlow can follow the gradient through them.
        """
        ...


Ids = Sequence[np.ndarray] | Sequence[Sequence[int]] | np.ndarray


# ---------------------------------------------------------------- recommended lists


def finite_scores(scores: np.ndarray) -> np.ndarray:
    """Return `scores` as an (n, items) array.

    Raises ValueError unless it has two dimensions and only finite numbers.
    """
    scores = np.asarray(scores)
    require(
        scores.ndim == 2,
        f"scores must have shape (users, items), got {scores.shape}; "
        "use scores[None] for one user",
    )
    wrong = np.argwhere(~np.isfinite(scores))[:5].tolist()
    require(
        not wrong,
        f"scores are NaN or infinite at [row, item] {wrong}: every score must be a "
        "finite number; pass items that must not be recommended as seen=",
    )
    return scores


def top_k(
    scores: np.ndarray, k: int, seen: Ids | None = None, seed: int = 0
) -> np.ndarray:
    """Return the k best items of each row, best first.

    Ties are broken by one seeded random order of the items, so a row's list does not
    depend on the other rows.

    Args:
        scores: (users, items), higher is better.
        k: length of the lists.
        seen: for each row, the item codes that it must not be recommended.
        seed: start of the random order that breaks ties.

    Returns:
        Item codes, (users, k).

    Raises:
        ValueError: scores are not (users, items) finite numbers, k is no whole number
            above 0, a row has fewer than k items left, or `seen` holds no codes.

    Example:
        >>> scores = np.array([[0.9, 0.1, 0.5], [0.2, 0.8, 0.4]])
        >>> top_k(scores, 2).tolist()
        [[0, 2], [1, 2]]
        >>> top_k(scores, 1, seen=[[0], []]).tolist()
        [[2], [1]]
    """
    check_count("k", k)
    scores = finite_scores(scores)
    columns = np.random.default_rng(seed).permutation(scores.shape[1])
    shuffled = masked(scores, seen)[:, columns]
    fewest = np.isfinite(shuffled).sum(axis=1).min(initial=len(columns))
    require(
        k <= fewest,
        f"k={k} must lie between 1 and the fewest unseen items of a row, {fewest}",
    )
    # (users, k): the k best in no order, so that only these few are sorted
    best = np.argpartition(-shuffled, k - 1, axis=1)[:, :k]
    best_scores = np.take_along_axis(shuffled, best, axis=1)
    order = np.argsort(-best_scores, axis=1, kind="stable")
    return columns[np.take_along_axis(best, order, axis=1)]


def recommend(
    model: HistoryModel, history: History, k: int = 10, seen: History | None = None
) -> np.ndarray:
    """Return the k films that a model recommends to one user, best first.

    Args:
        model: any that scores a history.
        history: (n,) item codes, oldest first.
        k: length of the list.
        seen: codes that are not recommended; None for those of the history.

    Returns:
        Item codes, (k,); ties are broken as in `top_k`.

    Raises:
        ValueError: as `top_k`.

    Example:
        >>> from xrec_utils.models.classic import ItemToItem
        >>> model = ItemToItem()
        >>> model.weights = np.array([[9, 2, 3], [0, 0, 1], [0, 0, 0]])
        >>> recommend(model, np.array([0]), k=2).tolist()
        [2, 1]
    """
    return top_k(
        model.score([history]),
        k,
        seen=[history if seen is None else seen],
    )[0]


def masked(scores: np.ndarray, seen: Ids | None) -> np.ndarray:
    """Copy (n, items) scores as floats, minus infinity at the items each row has seen.

    Raises ValueError when `seen` has not one entry per row, or one of no codes.
    """
    scores = np.array(scores, dtype=np.result_type(scores, np.float32))
    seen = [()] * len(scores) if seen is None else seen
    for row, items in zip(scores, seen, strict=True):
        row[item_codes("seen", items, scores.shape[1])] = -np.inf
    return scores

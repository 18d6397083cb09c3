"""Ranking, rating and classification metrics, vectorised over users.

Ranking metrics take the *expected value over all orders of tied scores* (McSherry &
Najork 2008, "Computing information retrieval performance measures efficiently in the
presence of tied scores", ECIR): a model that gives every film the same score gets
exactly what chance would get, whatever the order of the columns. No sampling is needed
for that: an item tied with others stands at each of their positions with equal
probability.

Every target is ranked against all items outside the user's history (full ranking).
"""

import numpy as np
from sklearn import metrics as sklearn_metrics

# ---------------------------------------------------------------- stars and classes


def pair(truth: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as flat arrays.

    Raises ValueError when their shapes differ, when they are empty or hold NaN.
    """
    truth = np.asarray(truth)
    predicted = np.asarray(predicted)
    if truth.shape != predicted.shape or not truth.size:
        raise ValueError(
            f"truth {truth.shape} and predicted {predicted.shape} "
            "must have one same, non-empty shape"
        )
    if not (np.isfinite(truth).all() and np.isfinite(predicted).all()):
        raise ValueError(
            "truth and predicted must hold finite numbers: "
            "drop or fill missing values first"
        )
    return truth.ravel(), predicted.ravel()


def rmse(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Root mean squared error, in the unit of the ratings (stars).

    scikit-learn's `root_mean_squared_error` in double precision.

    Args:
        truth: ratings, any shape.
        predicted: predictions of the same shape.

    Returns:
        The error in stars, 0 or more.

    Raises:
        ValueError: shapes differ, are empty, or a value is not finite.

    Example:
        >>> rmse([4, 2, 3, 5], [2, 2, 3, 5])
        1.0
    """
    truth, predicted = pair(truth, predicted)
    error = sklearn_metrics.root_mean_squared_error(
        truth.astype(float), predicted.astype(float)
    )
    return float(error)


def mae(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean absolute error, in the unit of the ratings (stars).

    scikit-learn's `mean_absolute_error` in double precision.

    Args:
        truth: ratings, any shape.
        predicted: predictions of the same shape.

    Returns:
        The error in stars, 0 or more.

    Raises:
        ValueError: shapes differ, are empty, or a value is not finite.

    Example:
        >>> mae([4, 2, 3, 5], [2, 2, 3, 5])
        0.5
    """
    truth, predicted = pair(truth, predicted)
    error = sklearn_metrics.mean_absolute_error(
        truth.astype(float), predicted.astype(float)
    )
    return float(error)


def accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Share of labels predicted right: scikit-learn's `accuracy_score`.

    Args:
        truth: labels, whole numbers or booleans, any shape.
        predicted: labels of the same shape.

    Returns:
        The share, in [0, 1].

    Raises:
        ValueError: shapes differ, are empty, or a value is not finite or no label.

    Example:
        >>> accuracy([1, 0, 1, 1], [1, 0, 0, 1])
        0.75
    """
    truth, predicted = pair(truth, predicted)
    return float(sklearn_metrics.accuracy_score(truth, predicted))


def precision_recall(truth: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """Precision TP / (TP + FP) and recall TP / (TP + FN) of 0/1 labels.

    scikit-learn's `precision_score` and `recall_score`, 0 where a denominator is 0.

    Args:
        truth: labels 0 or 1, any shape.
        predicted: labels 0 or 1 of the same shape.

    Returns:
        Precision and recall, both in [0, 1].

    Raises:
        ValueError: shapes differ, are empty, or a label is neither 0 nor 1: turn
            probabilities into labels with `p >= 0.5` first.

    Example:
        Three are recommended, one of them rightly; one more was missed.

        >>> precision, recall = precision_recall([1, 1, 0, 0], [1, 0, 1, 1])
        >>> round(precision, 3), recall
        (0.333, 0.5)
    """
    truth, predicted = pair(truth, predicted)
    if not np.isin(np.concatenate([truth, predicted]), [0, 1]).all():
        raise ValueError(
            "labels must be 0 or 1: turn probabilities into labels first, "
            "for example p >= 0.5"
        )
    labels = truth.astype(int), predicted.astype(int)
    right = sklearn_metrics.precision_score(*labels, zero_division=0)
    reached = sklearn_metrics.recall_score(*labels, zero_division=0)
    return float(right), float(reached)


def f1_of(precision: float, recall: float) -> float:
    """Harmonic mean of precision and recall; 0 when both are 0.

    Args:
        precision: in [0, 1].
        recall: in [0, 1].

    Returns:
        F1 in [0, 1].

    Example:
        >>> f1_of(0.5, 0.5), f1_of(0.0, 0.0)
        (0.5, 0.0)
    """
    if not precision + recall:
        return 0.0
    return 2 * precision * recall / (precision + recall)


def f1_score(truth: np.ndarray, predicted: np.ndarray) -> float:
    """F1 of 0/1 labels; errors as in `precision_recall`."""
    return f1_of(*precision_recall(truth, predicted))

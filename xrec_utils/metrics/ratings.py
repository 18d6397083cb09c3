"""Errors of predicted stars and labels, by scikit-learn."""

import numpy as np
from scipy.stats import hmean
from sklearn import metrics as sklearn_metrics

from xrec_utils.checks import aligned, check_within


def pair(truth: np.ndarray, predicted: np.ndarray) -> list[np.ndarray]:
    """Both as flat arrays in double precision; ValueError as in `checks.aligned`."""
    return [values.ravel() for values in aligned(truth=truth, predicted=predicted)]


def rmse(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Root mean squared error, in the unit of the ratings (stars).

    scikit-learn's `root_mean_squared_error` in double precision.

    Args:
        truth: ratings, any shape.
        predicted: predictions of the same shape.

    Returns:
        The error in stars, 0 or more.

    Raises:
        ValueError: shapes or indexes differ, are empty, or a value is not finite.

    Example:
        >>> rmse([4, 2, 3, 5], [2, 2, 3, 5])
        1.0
    """
    return float(
        sklearn_metrics.root_mean_squared_error(*pair(truth, predicted)),
    )


def mae(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean absolute error, in the unit of the ratings (stars).

    scikit-learn's `mean_absolute_error` in double precision.

    Args:
        truth: ratings, any shape.
        predicted: predictions of the same shape.

    Returns:
        The error in stars, 0 or more.

    Raises:
        ValueError: shapes or indexes differ, are empty, or a value is not finite.

    Example:
        >>> mae([4, 2, 3, 5], [2, 2, 3, 5])
        0.5
    """
    return float(
        sklearn_metrics.mean_absolute_error(*pair(truth, predicted)),
    )


def accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Share of labels predicted right: scikit-learn's `accuracy_score`.

    Args:
        truth: labels, whole numbers or booleans, any shape.
        predicted: labels of the same shape.

    Returns:
        The share, in [0, 1].

    Raises:
        ValueError: shapes or indexes differ, are empty, or a value is not finite or no label.

    Example:
        >>> accuracy([1, 0, 1, 1], [1, 0, 0, 1])
        0.75
    """
    return float(
        sklearn_metrics.accuracy_score(*pair(truth, predicted)),
    )


def precision_recall(truth: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """Precision TP / (TP + FP) and recall TP / (TP + FN) of 0/1 labels.

    scikit-learn's `precision_score` and `recall_score`, 0 where a denominator is 0.

    Args:
        truth: labels 0 or 1, any shape.
        predicted: labels 0 or 1 of the same shape.

    Returns:
        Precision and recall, both in [0, 1].

    Raises:
        ValueError: shapes or indexes differ, are empty, or a label is neither 0 nor 1: turn
            probabilities into labels with `p >= 0.5` first.

    Example:
        Three are recommended, one of them rightly; one more was missed.

        >>> precision, recall = precision_recall([1, 1, 0, 0], [1, 0, 1, 1])
        >>> round(precision, 3), recall
        (0.333, 0.5)
    """
    truth, predicted = pair(truth, predicted)
    if not np.isin([truth, predicted], [0, 1]).all():
        raise ValueError(
            "labels must be 0 or 1: turn probabilities into labels first, "
            "for example p >= 0.5"
        )
    right, reached, *_ = sklearn_metrics.precision_recall_fscore_support(
        truth,
        predicted,
        average="binary",
        # a denominator of 0 gives 0, without a warning
        zero_division=0,
    )
    return float(right), float(reached)


def f1_of(precision: float, recall: float) -> float:
    """Harmonic mean of precision and recall; 0 when both are 0.

    Args:
        precision: in [0, 1].
        recall: in [0, 1].

    Returns:
        F1 in [0, 1].

    Raises:
        ValueError: one of them lies outside [0, 1].

    Source: van Rijsbergen 1979, Information Retrieval, chapter 7.

    Example:
        >>> f1_of(0.5, 0.5), f1_of(0.0, 0.0)
        (0.5, 0.0)
    """
    check_within("precision and recall", [precision, recall])
    return float(hmean([precision, recall]))

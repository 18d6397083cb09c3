"""Shared code of the course: data, recommenders, games, explanations, measures.

Importing the package chooses the TensorFlow backend of Keras and asks TensorFlow's C++
side to keep its information lines to itself; it imports nothing heavy.
"""

import os
from importlib import import_module
from typing import Any

# both must stand before Keras or TensorFlow is imported, anywhere
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# 1 hides INFO; warnings and errors stay visible
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

__version__ = "0.1.0"


def set_seed(seed: int = 0) -> None:
    """Seed Python, NumPy and TensorFlow at once.

    With it, a cell gives the same result in every fresh kernel. It loads TensorFlow,
    which takes some seconds the first time.

    Args:
        seed: a whole number from 0 to 2³² - 1.

    Raises:
        ValueError: the seed is not a whole number, or outside that range.

    Example:
        >>> import random
        >>> set_seed(3)
        >>> first = random.random()
        >>> set_seed(3)
        >>> random.random() == first
        True
    """
    # here and not above, so that importing the package stays light
    from xrec_utils.keras_start import keras

    keras.utils.set_random_seed(seed)


# which module each name of this face comes from: it is loaded when first asked for
_HOME = {
    "multi_hot": "contract",
    "recommend": "contract",
    "top_k": "contract",
    "DATA": "files",
    "DataError": "files",
    "sha256": "files",
    "Game": "games",
    "contrast_game": "games",
    "history_game": "games",
    "rank_game": "games",
    "Explanation": "games",
    "feature_game": "games",
    "imputed_game": "games",
    "keras": "keras_start",
    "tf": "keras_start",
    "evaluate": "metrics",
    "mae": "metrics",
    "Interval": "metrics",
    "mean_interval": "metrics",
    "paired_interval": "metrics",
    "ndcg": "metrics",
    "places": "metrics",
}
__all__ = ["set_seed", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'xrec_utils' has no attribute {name!r}")
    return getattr(
        import_module(f"xrec_utils.{_HOME[name]}"),
        name,
    )


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])

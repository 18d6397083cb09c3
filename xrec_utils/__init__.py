"""Shared code of the course: data, recommenders, games, explanations, measures.

Importing the package chooses the TensorFlow backend of Keras and asks TensorFlow's C++
side to keep its information lines to itself; it imports nothing heavy.
"""

import os

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

"""Shared helpers of the course: data, recommenders, games, explanations and their
measures.

Importing the package chooses the TensorFlow backend of Keras and asks TensorFlow's C++
side to keep its information lines to itself; it imports nothing heavy.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault(
    "TF_CPP_MIN_LOG_LEVEL", "1"
)  # hides INFO; warnings and errors stay visible

__version__ = "0.1.0"


def set_seed(seed: int = 0) -> None:
    """Seed Python, NumPy and TensorFlow at once, so that a cell gives the same result
    in every fresh kernel.
    """
    from xrec_utils.keras_start import keras

    keras.utils.set_random_seed(seed)

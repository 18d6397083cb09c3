"""Keras, started without TensorFlow's start-up chatter.

TensorFlow writes a few information lines straight to file descriptor 2 while it loads,
before any setting of Python's or its own can stop them; in a notebook they would be
stored as error output. This module reads what the start writes there, drops the lines
it knows, and passes every other line on. Import Keras from here:

    from xrec_utils.keras_start import keras
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

KNOWN_LINES = (
    "All log messages before absl::InitializeLog() is called are written to STDERR",
    "oneDNN custom operations are on.",
    "This TensorFlow binary is optimized to use available CPU instructions",
    "To enable the following instructions:",
    "Created device /job:localhost",
    "Could not find cuda drivers on your machine",
    "XLA service",
    "StreamExecutor device (0)",
    "Compiled cluster using XLA!",
)


@contextmanager
def without_known_lines() -> Iterator[None]:
    """Drop the known lines from what the block writes to file descriptor 2.

    Everything is held back until the block ends, also by an error; then the other lines
    are printed on standard error, blank ones left out.
    """
    sys.stderr.flush()
    # the descriptor itself is redirected: C++ code does not know sys.stderr
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            for line in held.read().decode(errors="replace").splitlines():
                if line.strip() and not any(known in line for known in KNOWN_LINES):
                    print(line, file=sys.stderr)


with without_known_lines():
    import keras
    import tensorflow as tf
    from keras import layers, ops

    # the last lines come with the first compiled call
    tf.function(lambda x: x + 1, jit_compile=True)(tf.zeros(1))

__all__ = ["keras", "layers", "ops", "tf"]

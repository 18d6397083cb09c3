"""The quiet start of Keras, and the seed."""

import os
import subprocess
import sys

import numpy as np

from xrec_utils import set_seed
from xrec_utils.keras_start import keras, without_known_lines


def test_a_fresh_start_writes_nothing_on_standard_error():
    code = "import xrec_utils.keras_start as s; s.tf.function(lambda x: x + 1, jit_compile=True)(s.tf.zeros(2))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stderr == ""


def test_unknown_lines_pass(capfd):
    with without_known_lines():
        os.write(2, b"oneDNN custom operations are on. Set this.\nsomething is wrong\n")
    assert capfd.readouterr().err == "something is wrong\n"


def test_seed_repeats_numpy_and_keras():
    draws = []
    for _ in range(2):
        set_seed(3)
        draws.append((np.random.random(), float(keras.random.uniform(()))))
    assert draws[0] == draws[1]

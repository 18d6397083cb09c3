"""The trained weights that the course ships, and the record of how they were made."""

import io
import json
import time
from typing import Any

import numpy as np

from xrec_utils import keras, zoo
from xrec_utils.files import replace_bytes, replace_text


def ship(name: str, seed: int = 0) -> dict[str, Any]:
    """Train a model, write data/weights/<name>.npz and its record.

    Returns the record.
    """
    started = time.perf_counter()
    model, epochs = zoo.train(name, seed=seed)
    weights = zoo.network(model).get_weights()
    row = {
        "model": name,
        "settings": zoo.spec(name).settings,
        "seed": seed,
        "parameters": sum(part.size for part in weights),
        "seconds": round(time.perf_counter() - started),
        "data_sha256": zoo.fingerprint(name),
        "versions": {"keras": keras.__version__, "numpy": np.__version__},
        "epochs": [
            {key: round(number, 5) for key, number in epoch.items()} for epoch in epochs
        ],
    }
    zoo.WEIGHTS.mkdir(parents=True, exist_ok=True)
    # in memory first: the file is replaced as a whole
    packed = io.BytesIO()
    np.savez_compressed(
        packed,
        **{f"{n:03d}": part.astype(np.float16) for n, part in enumerate(weights)},
    )
    replace_bytes(zoo.WEIGHTS / f"{name}.npz", packed.getvalue())
    replace_text(
        zoo.WEIGHTS / f"{name}.json",
        json.dumps(row, indent=1) + "\n",
    )
    return row

"""A small data set for the tests of the bench."""

import numpy as np
import pandas as pd

from xrec_utils.data.load import Dataset


def dataset(n_users: int = 40, n_items: int = 30) -> Dataset:
    """Random ratings of 12 films a user, the same every time."""
    random = np.random.default_rng(0)
    items = np.concatenate(
        [random.choice(n_items, 12, replace=False) for _ in range(n_users)]
    )
    events = pd.DataFrame(
        {
            "user": np.repeat(np.arange(n_users), 12),
            "item": items,
            "time": np.arange(len(items)),
        }
    )
    events["value"] = random.integers(1, 6, len(items)).astype(np.float32)
    films = pd.DataFrame(
        {
            "item": range(n_items),
            "title": [f"film {n}" for n in range(n_items)],
            "genres": "",
        }
    )
    films["year"] = pd.array([2000] * n_items, dtype="Int64")
    return Dataset("toy", events, films, pd.DataFrame({"user": range(n_users)}))

"""Small models and histories for the tests of decision paths."""

from __future__ import annotations

import numpy as np
import pandas as pd

import models_by_hand
from xrec_utils import set_seed
from xrec_utils.models import autoencoders, classic
from xrec_utils.models.recurrent import gru_attention_recommender, gru_recommender
from xrec_utils.models.sequence import attention_recommender, pooled_mlp
from xrec_utils.models.target_attention import TargetAttention

N_ITEMS, WINDOW = 60, 12


RANDOM = np.random.default_rng(0)


SEEN = [
    RANDOM.choice(N_ITEMS, size, replace=False)
    for size in RANDOM.integers(3, 15, size=40)
]


ATTRIBUTES = (RANDOM.random((N_ITEMS, 5)) < 0.4).astype(np.float32)


ITEMS = pd.DataFrame(
    {
        "title": [f"Film {n}" for n in range(N_ITEMS)],
        "year": 1990,
        "genres": ["Drama", "Comedy|War"] * (N_ITEMS // 2),
    }
)


TITLES = ITEMS["title"].to_list()


MODELS = {
    "popularity": classic.Popularity,
    "content": lambda: classic.ContentBased(ITEMS),
    "item_knn": classic.ItemKNN,
    "ease": lambda: classic.EASE(5.0),
    "user_knn": classic.UserKNN,
    "ials": lambda: classic.ImplicitALS(8),
    "dae": lambda: autoencoders.dae(N_ITEMS, 16),
    "vae": lambda: autoencoders.vae(N_ITEMS, 16, 8),
    "attention": lambda: attention_recommender(ATTRIBUTES, 16, blocks=1, window=WINDOW),
    "two blocks": lambda: attention_recommender(
        ATTRIBUTES, 16, blocks=2, window=WINDOW
    ),
    "pooled_mlp": lambda: pooled_mlp(ATTRIBUTES, 16, window=WINDOW),
    "gru": lambda: gru_recommender(ATTRIBUTES, 16, 8, window=WINDOW),
    "gru_attention": lambda: gru_attention_recommender(
        ATTRIBUTES, 16, 8, window=WINDOW
    ),
    "din": lambda: TargetAttention(ATTRIBUTES, 16, window=WINDOW),
    "by hand": lambda: models_by_hand.Recent(N_ITEMS),
}


HISTORIES = {
    "one film": [7],
    "five": [3, 1, 4, 15, 9],
    "longer than the window": list(range(20, 20 + WINDOW + 8)),
}


ITEM = 50


def built(name: str):
    """A small model; networks get weights far from their start, so that no part of a
    path is nearly zero.
    """
    set_seed(1)
    made = MODELS[name]()
    if hasattr(made, "fit"):
        return made.fit(SEEN, N_ITEMS)
    if hasattr(made, "model"):
        random = np.random.default_rng(1)
        made.model.set_weights(
            [w + random.normal(0, 0.3, w.shape) for w in made.model.get_weights()]
        )
    return made

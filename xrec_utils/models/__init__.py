"""Recommenders as code one can read: classic, star ratings, networks that read a history,
autoencoders.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "attributes": [
            "item_attributes",
            "item_features",
            "review_attributes",
        ],
        "autoencoders": [
            "fit_autoencoder",
            "vae",
        ],
        "by_hand": [
            "dense",
            "multi_head",
            "normal",
        ],
        "classic": [
            "EASE",
            "ImplicitALS",
        ],
        "sequence": [
            "attention_recommender",
        ],
        "specs": [
            "FEATURE_MODELS",
            "SPECS",
        ],
        "stars": [
            "Baseline",
            "ItemNeighbours",
            "MatrixFactorisation",
        ],
        "training": [
            "IGNORED",
            "Negatives",
            "Windows",
            "fit_next_item",
            "next_item_loss",
        ],
        "user_item": [
            "feature_mlp",
            "fit_features",
            "two_branch_mlp",
        ],
    },
)

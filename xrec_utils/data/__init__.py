"""Ratings as tables: loaded, checked, split in time, and turned into features."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "features": [
            "FILM",
            "USER",
            "feature_table",
        ],
        "load": [
            "k_core",
            "load_interactions",
            "load_movielens",
        ],
        "order": [
            "tie_hash",
        ],
        "splits": [
            "Cases",
            "global_time",
            "leave_last_out",
            "random_per_user",
        ],
        "titles": [
            "Catalogue",
        ],
    },
)

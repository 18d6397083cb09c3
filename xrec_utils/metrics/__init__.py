"""Recommendations measured: rankings, ratings, and the interval beside each number."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "evaluation": [
            "evaluate",
            "ranking_table",
        ],
        "intervals": [
            "Interval",
            "mean_interval",
            "paired_interval",
        ],
        "ranking": [
            "ndcg",
            "places",
        ],
        "ratings": [
            "accuracy",
            "f1_of",
            "mae",
            "precision_recall",
            "rmse",
        ],
    },
)

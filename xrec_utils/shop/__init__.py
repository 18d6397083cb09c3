"""A simulated shop whose true reasons are known: its log, its visits, and policies that
decide what to show.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "bandits": [
            "LinUCB",
            "item_attributes",
        ],
        "context": [
            "fit_variants",
            "gains",
            "measure",
            "partial_dependence",
        ],
        "environment": [
            "Crowd",
            "ShopEnv",
            "TEST",
            "TRAINING",
            "VALIDATION",
        ],
        "log": [
            "FOLDER",
            "load_shop",
            "simulate",
        ],
        "moments": [
            "hour_columns",
            "long_span_table",
            "planted_hours",
            "shop_table",
        ],
        "network": [
            "ALPHA",
            "NetworkPolicy",
            "policy_network",
            "reinforce",
            "shipped",
        ],
        "off_policy": [
            "OldPolicy",
            "TopList",
            "by_propensity",
            "estimate_errors",
            "estimates",
            "record",
            "true_value",
        ],
        "policy": [
            "Fixed",
            "Oracle",
            "Random",
            "buy_rates",
            "by_visit",
            "compare",
            "play",
            "popularity",
        ],
        "shop": [
            "CATEGORIES",
            "Shop",
        ],
    },
)

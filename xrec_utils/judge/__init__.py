"""Measures of explanations: faithful, stable, in agreement with others and with planted
truth; and how to ask people.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "asking": [
            "aims",
            "compare",
            "load_answers",
            "people_needed",
            "plan",
            "power",
        ],
        "comparisons": [
            "agreement",
            "holm",
            "kendall",
            "paired_tests",
            "randomised_weights",
            "relative_error",
            "removal_agreement",
            "sensitivity",
            "stability",
        ],
        "deletion": [
            "advantage_over_random",
            "area",
            "chance_area",
            "deletion_curve",
            "oracle_order",
            "order",
            "share_of_possible",
        ],
        "faithfulness": [
            "completeness",
            "films_until_gone",
            "infidelity",
            "pos_neg",
            "ranks",
        ],
        "planted": [
            "agreement_with_effect",
            "agreement_with_truth",
            "planted_cases",
            "shop_game",
            "train_on_shop",
        ],
    },
)

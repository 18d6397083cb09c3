"""Every figure of the course. Each function draws one, with a message as its title, and
shows it with alternative text.

Alternative texts are composed from the data, and so are titles unless given. Signed
values are vermilion above zero and blue below, on scales centred on zero.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "causes": [
            "ranges",
            "rank_paths",
            "two_answers",
        ],
        "features": [
            "coefficient_paths",
            "curves",
            "grouped_bars",
            "term_functions",
            "tree",
        ],
        "judging": [
            "deletion_curve",
            "gain_by_rank",
            "leaderboard",
            "metric_table_bar",
            "power_curves",
        ],
        "language": [
            "blocks_by_line",
            "by_place",
            "coloured_text",
            "first_choices",
            "token_tree",
        ],
        "learning": [
            "attention_heatmap",
            "embedding_map",
            "training_curve",
            "weight_heatmap",
            "weight_heatmaps",
        ],
        "networks": [
            "structure",
        ],
        "path": [
            "decision_picture",
            "decision_widget",
        ],
        "reasons": [
            "dependence",
            "history_reasons",
            "shap_bar",
            "shap_beeswarm",
            "shap_heatmap",
        ],
        "recommenders": [
            "hour_effects",
            "information",
            "reasons_by_model",
            "reward_by_visit",
            "steps_back",
            "two_orders",
        ],
        "service": [
            "budget",
            "latency_curves",
            "waterfall",
        ],
        "shapley": [
            "error_curves",
            "estimates",
            "law_of_sum",
        ],
        "shop": [
            "hourly",
            "hours",
            "recorded",
            "sales",
        ],
        "tables": [
            "box",
            "correlation_heatmap",
            "scatter",
            "split_rows",
        ],
    },
)

"""Explainers: each turns a game, or a model and a history, into an `Explanation`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "attention": [
            "attention_explanation",
            "gradient_weighted",
            "rollout",
        ],
        "attention_trial": [
            "AttentionTrial",
        ],
        "baselines": [
            "leave_one_out",
            "most_popular",
            "most_recent",
            "random_order",
        ],
        "choose": [
            "explain",
            "explain_many",
            "one_hidden",
            "quadrature",
        ],
        "closed_forms": [
            "bilinear",
            "linear",
            "mean_pool",
            "softmax_pool",
        ],
        "counterfactual": [
            "Question",
            "beam",
            "greedy",
            "holds_after_retraining",
        ],
        "covers": [
            "Cover",
            "minimal_linear",
        ],
        "fourier": [
            "fourier_shapley",
        ],
        "gradients": [
            "gradient_times_input",
            "integrated_gradients",
        ],
        "hidden_units": [
            "hidden_shapley",
        ],
        "influence": [
            "EaseInfluence",
            "Retrained",
            "inverse_gram",
        ],
        "interactions": [
            "shapley_interactions",
        ],
        "leverage": [
            "leverage_regression",
        ],
        "lime": [
            "lime_history",
            "lime_tabular",
        ],
        "path": [
            "decision_path",
        ],
        "shap_guard": [
            "ExplainerError",
        ],
        "shap_library": [
            "global_importance",
            "shap_values",
        ],
        "shapley": [
            "brute_force",
            "permutation_sampling",
        ],
        "weights": [
            "activations",
            "layer_kernels",
            "named_kernel",
            "neuron_path",
            "top_activations",
            "weighted_sum",
        ],
    },
)

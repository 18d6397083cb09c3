"""Recommending and explaining in words: prompts, replies, a small language model, and what
it was asked.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "citations": [
            "cited",
        ],
        "endpoint": [
            "EndpointLM",
        ],
        "experiment": [
            "CANDIDATES",
            "CLOSE",
            "HYPOTHESES",
            "LINES",
            "Question",
            "STARTS",
            "TRIED",
            "averaged",
            "baseline",
            "live",
            "model",
            "names",
            "ndcg_of",
            "panel",
            "scores",
            "shown",
            "words",
        ],
        "precision": [
            "citation_precision",
            "precision_difference",
        ],
        "prompt_game": [
            "template_reason",
        ],
        "prompts": [
            "DESIGNS",
            "chat",
            "message",
            "within",
        ],
        "reasons": [
            "WHY",
            "case",
            "chosen",
            "closely",
            "explanation",
            "falls",
            "game",
            "groups",
            "stars",
            "stated",
            "texts",
        ],
        "replies": [
            "films_in",
            "ranked",
        ],
        "results": [
            "explained",
            "history",
            "lists",
            "quality",
        ],
    },
)

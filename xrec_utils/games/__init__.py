"""A recommendation is a game: its players are what the model saw, its value is the score.

A `Game` answers one question, "what is the score when only these players are present?".
An `Explanation` says how much each player counts. Every explainer turns a game into an
explanation; every measure takes an explanation and its game.

Players are events: a film that stands twice in a history is two players, absent one by
one, and a model that collapses copies lets them share what the film is worth.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "explanation": [
            "Explanation",
        ],
        "features": [
            "feature_game",
            "imputed_game",
        ],
        "game": [
            "Game",
            "contrast_game",
            "history_game",
            "rank_game",
        ],
    },
)

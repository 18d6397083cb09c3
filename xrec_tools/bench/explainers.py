"""The explainers of the leaderboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import shap
from sklearn.preprocessing import normalize

from xrec_tools.bench.expected_gradients import expected_gradients
from xrec_utils.contract import History, multi_hot
from xrec_utils.explain import (
    attention_explanation,
    explain,
    gradient_weighted,
    lime_history,
)
from xrec_utils.explain.baselines import (
    check_codes,
    leave_one_out,
    most_popular,
    most_recent,
    random_order,
)
from xrec_utils.explain.gradients import (
    gradient_times_input,
    integrated_gradients,
)
from xrec_utils.games import Explanation, Game, history_game


@dataclass(eq=False)
class Asked:
    """One recommendation to explain: model, history (n,) and item.

    counts, columns and background are what the baselines know of all users.
    """

    model: Any
    history: np.ndarray
    item: int
    counts: np.ndarray
    columns: np.ndarray
    background: list[np.ndarray]
    own_game: Game | None = None

    @cached_property
    def game(self) -> Game:
        """The history game, or the shop's own."""
        if self.own_game:
            return self.own_game
        return history_game(self.model, self.history, self.item, batch=2048)

    @property
    def samples(self) -> int:
        """Scores that a sampling explainer may ask for."""
        return 2 * len(self.history) + 2048

    def with_history(self, history: np.ndarray) -> Asked:
        """The same question from another history."""
        return replace(self, history=history)


def most_similar(
    game: Game, history: History, item: int, columns: np.ndarray
) -> Explanation:
    """Films like the recommended one first, whatever the model.

    The values are cosines of the films' columns in the user-item matrix with that of
    the recommended film, in [0, 1]. history: (players,) item codes of the game's films.
    item: the recommended code. columns: (users, n_items) from `unit_columns`. Raises
    ValueError unless the history has a code for each player.
    """
    check_codes(game, history)
    # columns of length one: the products are the cosines
    return game.explanation(
        columns[:, item] @ columns[:, history],
        "most similar first",
    )


def unit_columns(histories: Sequence[History], n_items: int) -> np.ndarray:
    """The user-item matrix of ones and zeros with columns of length one.

    Shape (users, n_items); the column of an item that nobody has stays zero.
    """
    return normalize(multi_hot(histories, n_items), axis=0)


Explainer = Callable[[Asked, int], Explanation]  # (question, seed) -> explanation


def _shapley(asked: Asked, seed: int) -> Explanation:
    # orders come in pairs, each beside its reverse
    orders = max(4, asked.samples // len(asked.history) // 2 * 2)
    if asked.own_game:
        return explain(asked.game, permutations=orders, seed=seed)
    return explain(
        asked.model, asked.history, asked.item, permutations=orders, seed=seed
    )


def _kernel(asked: Asked, seed: int) -> Explanation:
    game = asked.game
    n = len(asked.history)
    # shap draws from NumPy's global generator
    np.random.seed(seed)
    explainer = shap.KernelExplainer(
        lambda x: game(x > 0.5),
        np.zeros((1, n)),
    )
    return game.explanation(
        np.ravel(explainer.shap_values(np.ones((1, n)), silent=True)),
        "shap.KernelExplainer",
    )


def _permutation(asked: Asked, seed: int) -> Explanation:
    game = asked.game
    n = len(asked.history)
    explainer = shap.PermutationExplainer(
        lambda x: game(x > 0.5),
        shap.maskers.Independent(np.zeros((1, n))),
        seed=seed,
    )
    # shap asks for 2n + 1 scores per random order: fill the budget with whole ones
    per_order = 2 * n + 1
    said = explainer(
        np.ones((1, n)),
        max_evals=max(1, asked.samples // per_order) * per_order,
        silent=True,
    )
    return game.explanation(said.values[0], "shap.PermutationExplainer")


def _of_model(method: Callable[..., Explanation]) -> Explainer:
    """A method that looks into the model and draws nothing, as an explainer."""
    return lambda a, seed: method(a.model, a.history, a.item)


def _expected_gradients(asked: Asked, seed: int) -> Explanation:
    return expected_gradients(
        asked.model, asked.history, asked.item, asked.background, seed=seed
    )


EXPLAINERS: dict[str, Explainer] = {
    "Shapley (ours)": _shapley,
    "shap.PermutationExplainer": _permutation,
    "shap.KernelExplainer": _kernel,
    "LIME": lambda a, seed: lime_history(a.game, a.samples, seed),
    "leave-one-out": lambda a, seed: leave_one_out(a.game),
    "integrated gradients": _of_model(integrated_gradients),
    "expected gradients": _expected_gradients,
    "gradient x input": _of_model(gradient_times_input),
    "attention": _of_model(attention_explanation),
    "gradient-weighted attention": _of_model(gradient_weighted),
    "most similar": lambda a, seed: most_similar(a.game, a.history, a.item, a.columns),
    "most popular": lambda a, seed: most_popular(a.game, a.history, a.counts),
    "most recent": lambda a, seed: most_recent(a.game),
    "random": lambda a, seed: random_order(a.game, seed),
}
SEEDED_EXPLAINERS = {
    "random",
    "Shapley (ours)",
    "shap.PermutationExplainer",
    "shap.KernelExplainer",
    "LIME",
    "expected gradients",
}
ORDERS_ONLY = {"attention", "most similar", "most popular", "most recent", "random"}
# what explainers that look into a model need of it
LOOKS_AT = {
    "integrated gradients": "numbers",
    "expected gradients": "numbers",
    "gradient x input": "numbers",
    "attention": "attention",
    "gradient-weighted attention": "attention",
}


def can(name: str, model: Any) -> bool:
    """Does an explainer apply to a model.

    Gradients need numbers that the score depends on, attention needs weights.
    """
    needed = LOOKS_AT.get(name)
    if needed == "numbers":
        return hasattr(model, "score_vectors") or hasattr(model, "score_inputs")
    return needed is None or getattr(model, "shows_attention", False)

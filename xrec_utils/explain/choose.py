"""`explain(model, history, item)`: Shapley values by the best method for the model.

One value per film of the history.

    auto picks      for                                                values are
    closed form     popularity, content, item_knn, ease, hybrid, din   exact
    all groups      any model, up to twelve films                      exact
    quadrature      dae, vae, one layer of hidden units                approximate
    fourier         the same where the quadrature is rough (tanh)     to eight digits
    running sums    user_knn, embedding_mlp, pooled_mlp                sampled
    leverage        ials, attention, gru, gru_attention, any game      sampled
    permutations    the same for more than 100 films                   sampled

Approximate and sampled values come with errors: twice the error holds 95% of the time.
din and pooled_mlp read at most their window of films; in a longer history a removed
film lets an older one in, the closed form and the running sums no longer hold, and the
methods for any game take over. So they do for a history in which a film stands twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

import numpy as np

from xrec_utils.contract import History, HistoryModel, check_count, fits
from xrec_utils.explain import closed_forms
from xrec_utils.explain.faults import check_declared, fault_of
from xrec_utils.explain.fourier import fourier_cost, fourier_shapley
from xrec_utils.explain.hidden_units import hidden_shapley, with_errors
from xrec_utils.explain.leverage import leverage_regression
from xrec_utils.explain.running_sums import marginal_means
from xrec_utils.explain.shapley import brute_force, permutation_sampling
from xrec_utils.files import require
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game, Masks, history_game, scores_of_groups, sums_of
from xrec_utils.models.autoencoders import Autoencoder
from xrec_utils.models.hidden_layer import one_hidden

FEW = 12  # players up to which all groups are scored
FIT = 100  # players up to which a regression fits in memory
CHEAP = 4  # times more orders where an order costs one running sum
DEAR = 1e9  # most products of a Fourier series: some ten seconds


def explain(
    model: HistoryModel | Game,
    history: History | None = None,
    item: int | None = None,
    method: str = "auto",
    *,
    titles: Sequence[str] | None = None,
    permutations: int = 256,
    seed: int = 0,
) -> Explanation:
    """Shapley values of the films of a history for the score of one film.

    Or of the players of any Game. The source of each method stands at its function.

    Args:
        model: any that scores a history, or a Game alone.
        history: (n,) item codes, oldest first.
        item: the code of the film explained, outside the history.
        method: "auto" (see the module), or by name "closed form", "all groups",
            "quadrature", "fourier" (tanh units, to eight digits, in seconds), "running
            sums", "leverage", "permutations".
        titles: names by item code; None for 'item 17'.
        permutations: orders drawn by the sampling methods, even and at least 4; running
            sums draw 4 times as many, leverage asks for as many scores as permutations
            would.
        seed: of the sampling methods.

    Returns:
        Explanation with values (n,) in the unit of the score (a logit), `base` the
        score of the empty history and `method` in words. `error` is None for exact
        values.

    Raises:
        ValueError: an empty history, an unknown item or one inside the history, an
            unknown method or one that cannot explain this model.

    Example:
        A linear model: each film adds its weight.

        >>> from xrec_utils.models.classic import ItemToItem
        >>> model = ItemToItem()
        >>> model.name, model.n_items = "by hand", 3
        >>> model.weights = np.array([[0, 0, 0.5], [0, 0, -0.25], [0, 0, 0]])
        >>> explanation = explain(model, np.array([0, 1]), item=2)
        >>> explanation.values.tolist(), explanation.method
        ([0.5, -0.25], 'exact Shapley (closed form)')
    """
    if isinstance(model, Game):
        case = Case([model], permutations=permutations, seed=seed)
        return case.solve(method)[0]
    require(
        history is not None and item is not None,
        "explain needs a model with a history and an item, or a Game alone",
    )
    return explain_many(
        model,
        history,
        [item],
        method,
        titles=titles,
        permutations=permutations,
        seed=seed,
    )[0]


def explain_many(
    model: HistoryModel,
    history: History,
    items: Sequence[int] | np.ndarray,
    method: str = "auto",
    *,
    titles: Sequence[str] | None = None,
    permutations: int = 256,
    seed: int = 0,
) -> list[Explanation]:
    """One Explanation per film recommended, as `explain` gives it.

    Same values, method and error, for little more work than one of them. Closed forms
    look up one column per film. The values of an autoencoder's hidden units do not
    depend on the film: they are computed once, and one matrix product hands them on.
    Sampling methods draw the same groups for every film (their seed is the same), so a
    group is shown to the model once and all the films are scored together.

    Args:
        model: any that scores a history.
        history: (n,) item codes, oldest first.
        items: (k,) codes of the films explained, all outside the history.
        method: "auto" or a name, as in `explain`.
        titles: names by item code; None for 'item 17'.
        permutations: orders drawn by the sampling methods, as in `explain`.
        seed: of the sampling methods.

    Returns:
        k Explanations in the order of `items`, each with values (n,) in the unit of the
        score. The seconds of each are an equal share of the whole.

    Raises:
        ValueError: as `explain`.

    Example:
        A linear model: each film adds its weight.

        >>> from xrec_utils.models.classic import ItemToItem
        >>> model = ItemToItem()
        >>> model.name, model.n_items = "by hand", 4
        >>> model.weights = np.array([[0, 0, 0.5, 1], [0, 0, 2, 0], [0] * 4, [0] * 4])
        >>> both = explain_many(model, np.array([0, 1]), [2, 3])
        >>> [explanation.values.tolist() for explanation in both]
        [[0.5, 2.0], [1.0, 0.0]]
    """
    require(len(items), "items is empty: name one film to explain, or more")
    games = shared_games(model, history, items, titles=titles)
    case = Case(
        games,
        model,
        np.asarray(history),
        np.asarray(items, dtype=np.int64),
        permutations,
        seed,
    )
    return case.solve(method)


@dataclass(frozen=True)
class Case:
    """What is explained, and how much may be spent on it.

    games (k,): one per film explained, all with the same players. model, history (n,)
    and items (k,): what the games are made of; None for any other game.
    """

    games: list[Game]
    model: HistoryModel | None = None
    history: History | None = None
    items: np.ndarray | None = None
    permutations: int = 256
    seed: int = 0

    def solve(self, method: str) -> list[Explanation]:
        """One Explanation per game, by a method named or the first that fits.

        Raises:
            ValueError: the method is unknown, or cannot explain this model.
        """
        require(
            method in ("auto", *METHODS),
            f"method={method!r} is unknown; choose auto, {', '.join(METHODS)}",
        )
        check_count("permutations", self.permutations, 4)
        check_count("seed", self.seed, 0)
        start = perf_counter()
        check_declared(self.model, self.history, self.items, self.games)
        for name in METHODS if method == "auto" else [method]:
            explanations = METHODS[name](self)
            fault = fault_of(name, self.games, explanations)
            if not fault:
                seconds = (perf_counter() - start) / len(explanations)
                return [replace(each, seconds=seconds) for each in explanations]
        what = self.games[0].target if self.model is None else self.model.name
        raise ValueError(
            f"{method} cannot explain {what} with {self.n_players} players: {fault}; "
            "use method='auto'"
        )

    @property
    def n_players(self) -> int:
        """The number of films, or of the players of any game."""
        return self.games[0].n_players

    def pools_by(self, *pooling: str) -> bool:
        """Whether the model declares that it pools its films in one of these ways."""
        known = fits(self.model, "pooling", self.history)
        return known and self.model.pooling in pooling

    def explanations(
        self,
        method: str,
        values: Sequence[np.ndarray],
        errors: Sequence[np.ndarray | None] | None = None,
    ) -> list[Explanation]:
        """One Explanation per game, of values (k, n) and their errors (k, n)."""
        if errors is None:
            errors = [None] * len(values)
        return [
            game.explanation(row, method, error=error)
            for game, row, error in zip(self.games, values, errors, strict=True)
        ]


def shared_games(
    model: HistoryModel,
    history: History,
    items: Sequence[int] | np.ndarray,
    *,
    titles: Sequence[str] | None = None,
) -> list[Game]:
    """The `history_game` of every item, (k,) games.

    A group that one of them scores is scored for all, and only once.
    """
    games = [
        history_game(model, history, item, titles=titles)
        for item in np.asarray(items).tolist()
    ]
    codes = np.asarray(items, dtype=np.int64)
    stored = {}

    def scores(masks: Masks, place: int) -> np.ndarray:
        """Scores (n,) of items[place] for groups (n, players)."""
        key = np.packbits(masks, axis=1).tobytes()
        if key not in stored:
            stored[key] = scores_of_groups(model, np.asarray(history), masks, codes)
        return stored[key][:, place]

    return [
        replace(game, value=partial(scores, place=place))
        for place, game in enumerate(games)
    ]


def quadrature(
    model: Autoencoder,
    history: History,
    items: np.ndarray | None = None,
    nodes: int = 0,
) -> np.ndarray:
    """Shapley values of a history for many items at once, for dae, vae and the like.

    The values of the hidden units times their readout: see `hidden_shapley`.

    Args:
        model: an autoencoder with one layer of hidden units.
        history: (n,) item codes, none of them twice.
        items: (k,) codes explained; None for the whole catalogue.
        nodes: points of the outer rule; 0 for as many as the history needs.

    Returns:
        (n, k) or (n, n_items) float32, in the unit of the score (a logit).

    Raises:
        TypeError: the model has other layers.

    Example:
        >>> from xrec_utils.models.autoencoders import dae
        >>> values = quadrature(dae(n_items=5, units=3), np.array([0, 2]))
        >>> values.shape, values.dtype.name
        ((2, 5), 'float32')
    """
    net = one_hidden(model)
    hidden = hidden_shapley(
        net.rows[history],
        net.bias,
        net.by_length,
        nodes or None,
        net.activation,
    )
    readout = net.readout if items is None else net.readout[:, items]
    return hidden @ readout


# Each method gives one Explanation per game, or None for what it cannot explain.


def _closed_form(case: Case) -> list[Explanation] | None:
    method = "exact Shapley (closed form)"
    if case.pools_by("nothing"):
        nothing = np.zeros((len(case.games), case.n_players))
        return case.explanations(method, nothing)
    if case.pools_by("softmax") and len(case.history) <= case.model.window:
        pools = [_softmax_pool(case, item) for item in case.items]
        return case.explanations(method, *zip(*pools, strict=True))
    if not case.pools_by("sum", "mean"):
        return None
    pool = {"sum": closed_forms.linear, "mean": closed_forms.mean_pool}
    weights = case.model.weights[np.ix_(case.history, case.items)]
    values = [pool[case.model.pooling](column) for column in weights.T]
    return case.explanations(method, values)


def _softmax_pool(case: Case, item: int) -> tuple[np.ndarray, np.ndarray]:
    weights, answers = case.model.parts(case.history, item)
    # the start token's come first
    return closed_forms.softmax_pool(
        weights[1:],
        answers[1:],
        start=(weights[0], answers[0]),
    )


def _all_groups(case: Case) -> list[Explanation] | None:
    if case.n_players > FEW:
        return None
    return [brute_force(game) for game in case.games]


def _quadrature(case: Case) -> list[Explanation] | None:
    if not case.pools_by("hidden units"):
        return None
    net = one_hidden(case.model)
    values, errors = with_errors(net, case.history, case.items)
    return case.explanations("Shapley by quadrature", values, errors)


def _fourier(case: Case) -> list[Explanation] | None:
    if not case.pools_by("hidden units"):
        return None
    net = one_hidden(case.model)
    # the series is that of tanh, and an input of length one is no sum of waves
    if net.by_length or net.activation is not np.tanh:
        return None
    rows = net.rows[case.history]
    if fourier_cost(rows, net.bias) > DEAR:
        return None
    hidden = fourier_shapley(rows, net.bias)
    values = hidden @ net.readout[:, case.items].astype(float)  # (films, items)
    return case.explanations("Shapley by Fourier series", values.T)


def _running_sums(case: Case) -> list[Explanation] | None:
    sums = sums_of(case.model, case.history, case.items)
    if sums is None:
        return None
    orders = CHEAP * case.permutations
    values, errors = marginal_means(sums, orders, case.seed)
    method = f"Shapley by running sums of {orders} orders"
    return case.explanations(method, values, errors)


def _permutations(case: Case) -> list[Explanation]:
    return [
        permutation_sampling(game, case.permutations, case.seed) for game in case.games
    ]


def _leverage(case: Case) -> list[Explanation] | None:
    if case.n_players > FIT:
        return None
    # one order costs about as many scores as there are players
    samples = case.permutations * case.n_players
    return [leverage_regression(game, samples, case.seed) for game in case.games]


# in the order that auto tries them
METHODS: dict[str, Callable[[Case], list[Explanation] | None]] = {
    "closed form": _closed_form,
    "all groups": _all_groups,
    "quadrature": _quadrature,
    "fourier": _fourier,
    "running sums": _running_sums,
    "leverage": _leverage,
    "permutations": _permutations,
}

"""What the service knows, apart from HTTP: models loaded once, histories understood,
answers with their reasons.

Answers are kept for equal questions. Who may ask when is the business of `line`.
"""

import json
from collections.abc import Callable, Sequence
from threading import Lock
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

from xrec_utils import __version__, zoo
from xrec_utils.contract import HistoryModel
from xrec_utils.data.load import load_movielens
from xrec_utils.explain import decision_path, leave_one_out
from xrec_utils.explain.choose import METHODS, Case, explain_many, shared_games
from xrec_utils.files import sha256
from xrec_utils.games import Explanation
from xrec_utils.service import schema
from xrec_utils.service.films import Films

# one of each kind; the first is the default
MODELS = ("ease", "popularity", "item_knn", "dae", "attention", "gru")
# a sampled reason costs 16 scores per film: within a second for 100 films
PERMUTATIONS = 16
DIGITS = 6  # behind the point
NOTHING_SURE = "No film moves this score by more than the method's error"
A = TypeVar("A", bound=schema.Answer)


class Service:
    """Trained models and the films they know, ready to answer.

    Loading takes seconds, so it happens here, once. Threads may share a service.

    Args:
        models: names of models of `zoo`, the default of all questions first.

    Raises:
        KeyError: no model of this name.

    Example:
        >>> service = Service(["popularity"])
        >>> asked = schema.RecommendRequest(history=(1,), model="popularity", k=2)
        >>> answer = service.recommend(asked)
        >>> [film.rank for film in answer.recommendations]
        [1, 2]
        >>> answer.history[0].title
        'Toy Story (1995)'
    """

    def __init__(self, models: Sequence[str] = MODELS) -> None:
        self.films = Films(zoo.split(), load_movielens("movielens-small").items)
        self.understand = self.films.understand  # what `Films` makes of a history
        self.models: dict[str, HistoryModel] = {name: zoo.load(name) for name in models}
        self.versions = {name: version(name) for name in models}
        self.cache = Cache(128)  # answers, of up to half a megabyte each
        # the first question to a network traces it, which takes seconds: ask it now
        for name in models:
            self.recommend(
                schema.RecommendRequest(
                    history=self.films.ids[:1].tolist(), model=name, k=1
                )
            )

    def recommend(self, request: schema.RecommendRequest) -> schema.RecommendAnswer:
        """Recommend the best films outside the history, each with its reasons.

        Raises Refusal if a film or a model is unknown, or the explainer does not fit.
        """
        return self.cache.answer(request, self._recommend)

    def explain(self, request: schema.ExplainRequest) -> schema.ExplainAnswer:
        """Say why one film has its score; with `path`, also the way from the input to it.

        Raises Refusal as `recommend`, and if the history is empty or holds the film.
        """
        return self.cache.answer(request, self._explain)

    def _recommend(self, request: schema.RecommendRequest) -> schema.RecommendAnswer:
        common, history = self._common(request)
        scores = self.models[request.model].score([history])[0].astype(np.float64)
        best = self._best(scores, history, request.k)
        reasons = self._because(request, history, best, scores)
        return schema.RecommendAnswer(
            **common,
            recommendations=[
                schema.Recommended(
                    rank=n,
                    **self.films.names[code],
                    score=because.score,
                    because=because,
                )
                for n, (code, because) in enumerate(
                    zip(best, reasons, strict=True), start=1
                )
            ],
        )

    def _explain(self, request: schema.ExplainRequest) -> schema.ExplainAnswer:
        common, history = self._common(request)
        if not len(history):
            raise schema.Refusal(
                "empty_history",
                "no film of the history is left to be a reason: give one or more",
                "history",
            )
        code = self.films.unseen(request.item, history)
        (because,) = self._because(request, history, [code], None)
        path = self._path(request, history, code) if request.path else None
        return schema.ExplainAnswer(
            **common, **self.films.names[code], because=because, path=path
        )

    def _common(self, request: schema.Request) -> tuple[dict[str, Any], np.ndarray]:
        """The parts that all answers share, and the history as codes."""
        if request.model not in self.models:
            raise schema.Refusal(
                "unknown_model",
                f"no model {request.model!r}: choose {', '.join(self.models)}",
                "model",
            )
        codes, corrections, left_out = self.understand(request.history)
        common = {
            "corrections": corrections,
            "left_out": left_out,
            "model": schema.ModelVersion(
                name=request.model, version=self.versions[request.model]
            ),
            "explainer": request.explainer,
            "history": [self.films.names[code] for code in codes],
            "seconds": 0.0,  # the cache writes in how long the answer took
        }
        # the dtype is given, as an empty history would become floats
        return common, np.array(codes, dtype=np.int64)

    def _best(self, scores: np.ndarray, history: np.ndarray, k: int) -> list[int]:
        """Codes of the k best unseen films; of equally good ones the more popular
        first.
        """
        scores = scores.copy()  # the caller still needs those of the films seen
        scores[history] = -np.inf
        # `lexsort` sorts by the last key first: by score, then by number of users
        return np.lexsort((-self.films.users, -scores))[:k].tolist()

    def _because(
        self,
        request: schema.Request,
        history: np.ndarray,
        codes: list[int],
        scores: np.ndarray | None,
    ) -> list[schema.Because]:
        """Reasons for each code; without films there are none."""
        if not len(history):
            return [_without_reasons(scores[code]) for code in codes]
        return [
            self.reasons(each, history)
            for each in self._explanations(request, history, codes)
        ]

    def _explanations(
        self, request: schema.Request, history: np.ndarray, codes: list[int]
    ) -> list[Explanation]:
        """Explain each code by the method asked for."""
        model = self.models[request.model]
        method = request.explainer
        if method == "leave-one-out":
            games = shared_games(model, history, codes, titles=self.films.titles)
            return [leave_one_out(game) for game in games]
        try:
            return explain_many(
                model,
                history,
                codes,
                method,
                titles=self.films.titles,
                permutations=PERMUTATIONS,
            )
        except ValueError as fault:
            # auto always finds a way: if it fails, the fault is not the question's
            if method == "auto":
                raise
            raise schema.Refusal(
                "unfit_explainer",
                f"explainer: {method} cannot explain {request.model} for {len(history)} "
                "films: GET /models lists what fits, auto always does",
                "explainer",
            ) from fault

    def reasons(self, found: Explanation, history: np.ndarray) -> schema.Because:
        """Write the values of a history's films (p,) as reasons, strongest first."""
        order = np.argsort(-np.abs(found.values), kind="stable")
        weights = found.values[order].round(DIGITS).tolist()
        errors = (
            [None] * len(order)
            if found.error is None
            else found.error[order].round(DIGITS).tolist()
        )
        return schema.Because(
            base=round(found.base, DIGITS),
            score=round(found.score, DIGITS),
            method=found.method,
            error=None if found.error is None else max(errors),
            reasons=[
                schema.Reason(**self.films.names[code], weight=weight, error=error)
                for code, weight, error in zip(
                    history[order].tolist(), weights, errors, strict=True
                )
            ],
            sentence=spoken(found),
        )

    def _path(
        self, request: schema.Request, history: np.ndarray, code: int
    ) -> list[schema.Step]:
        """The steps from the input to the score of one film."""
        path = decision_path(
            self.models[request.model], history, code, titles=self.films.titles
        )
        return [schema.Step(**step) for step in path.as_dict()["steps"]]

    def search(self, typed: str) -> schema.FilmsAnswer:
        """Suggest films for what is typed so far.

        Args:
            typed: the start of a title; nothing for the films most rated.

        Returns:
            Up to eight films, best first.
        """
        return schema.FilmsAnswer(
            films=[
                schema.FilmFound(
                    **self.films.names[code],
                    genres=self.films.genres[code],
                    users=int(self.films.users[code]),
                )
                for code in self.films.search(typed)
            ]
        )

    def describe(self) -> schema.ModelsAnswer:
        """Describe the models.

        Returns:
            Of each, what `auto` does for a long history and which explainers fit.
        """
        fits = {name: fitting(model) for name, model in self.models.items()}
        return schema.ModelsAnswer(
            models=[
                schema.ModelAnswer(
                    name=name,
                    version=self.versions[name],
                    reads=getattr(self.models[name], "window", None),
                    method=methods[0],
                    explainers=["auto", *methods, "leave-one-out"],
                )
                for name, methods in fits.items()
            ]
        )


def spoken(found: Explanation) -> str:
    """The strongest reasons in words: up to two for the film and one against it, each
    larger than twice its error.
    """
    # twice the error: what chance alone rarely reaches
    sure = np.abs(found.values) > (0 if found.error is None else 2 * found.error)
    order = [n for n in found.top().tolist() if sure[n]]
    said = {n: f"{found.players[n]} ({found.values[n]:+.2g})" for n in order}
    helps = [said[n] for n in order[:2] if found.values[n] > 0]
    first = [f"{words} speaks most for it" for words in helps[:1]]
    last = [
        f"{said[n]} speaks most against it" for n in order[-1:] if found.values[n] < 0
    ]
    parts = [", then ".join(first + helps[1:]), *last]
    return f"{'; '.join(filter(None, parts)) or NOTHING_SURE}."


def _without_reasons(score: float) -> schema.Because:
    """What is said of a score without a history: it is the base, and nothing else."""
    return schema.Because(
        base=round(float(score), DIGITS),
        score=round(float(score), DIGITS),
        method="none",
        error=None,
        reasons=[],
        sentence="The history is empty, so there are no reasons: "
        "everybody without a history gets these films.",
    )


def fitting(model: HistoryModel) -> list[str]:
    """The methods of `explain` that fit a model, tried on two films; for long histories
    the first is the best.
    """
    # any films do: whether a method fits depends on the model, not on the films
    history = np.array([0, 1])
    items = np.array([2])
    games = shared_games(model, history, items)
    case = Case(games, model, history, items, permutations=4)
    fits = [name for name, method in METHODS.items() if method(case)]
    # False sorts before True: "all groups" cannot be used for long histories
    return sorted(fits, key=lambda name: name == "all groups")


def version(name: str) -> str:
    """Package version and a digest over what the model is made of: settings, training
    data and shipped weights.
    """
    weights = sha256(zoo.WEIGHTS / f"{name}.npz") if name in zoo.SHIPPED else None
    made_of = json.dumps(
        [name, zoo.spec(name).settings, zoo.fingerprint(name), weights], sort_keys=True
    )
    return f"{__version__}+{sha256(made_of.encode())[:12]}"


class Cache:
    """The latest answers; the one that was not asked for longest goes first.

    Threads may share it.

    Args:
        size: how many answers are kept at most.

    Example:
        >>> request = schema.RecommendRequest(history=(1,))
        >>> cache = Cache(2)
        >>> found = schema.Answer.model_construct(cached=False)
        >>> cache.answer(request, lambda asked: found).cached
        False
        >>> cache.answer(request, lambda asked: found).cached
        True
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._lock = Lock()
        # the question asked longest ago comes first
        self._kept: dict[schema.Request, schema.Answer] = {}

    def answer(self, question: schema.Request, find: Callable[[Any], A]) -> A:
        """Give the kept answer, or the one that `find` gives, kept from now on.

        Args:
            question: what is asked; equal questions have one answer.
            find: the function that answers it.

        Returns:
            The answer; `cached` says where it is from, `seconds` how long that took.
        """
        start = perf_counter()
        with self._lock:
            if kept := self._kept.pop(question, None):
                self._kept[question] = kept
        answer = kept or find(question)
        with self._lock:
            self._kept[question] = answer
            while len(self._kept) > self.size:
                del self._kept[next(iter(self._kept))]
        taken = round(perf_counter() - start, DIGITS)
        return answer.model_copy(update={"seconds": taken, "cached": kept is not None})

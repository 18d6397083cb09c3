"""What the service knows, apart from HTTP: models loaded once, histories understood,
answers with their reasons.

Every model has a lock, so that concurrent requests take turns on it; answers are kept
for equal questions.
"""

import hashlib
import json
from collections import OrderedDict
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
from xrec_utils.service.schema import Refusal

# one of each kind; the first is the default
MODELS = ("ease", "popularity", "item_knn", "dae", "attention", "gru")
# a sampled reason costs 16 scores per film: within a second for 100 films
PERMUTATIONS = 16
DIGITS = 6  # behind the point
KEPT = 128  # answers, of up to half a megabyte each
A = TypeVar("A", bound=schema.Answer)


class Service:
    """Trained models and the films they know. Loading takes seconds, so it happens
    here, once.
    """

    def __init__(self, models: Sequence[str] = MODELS) -> None:
        self.films = Films(zoo.split(), load_movielens("movielens-small").items)
        self.models: dict[str, HistoryModel] = {name: zoo.load(name) for name in models}
        self.versions = {name: version(name) for name in models}
        self.locks = {name: Lock() for name in models}
        self.cache = Cache(KEPT)
        first = int(self.films.ids[0])
        # the first question to a network traces it
        for name in models:
            self.recommend(
                schema.RecommendRequest(history=(first,), model=name, k=1),
            )

    def recommend(self, request: schema.RecommendRequest) -> schema.RecommendAnswer:
        """The best films outside the history, best first, each with its reasons."""
        return self.cache.answer(request, self._recommend)

    def explain(self, request: schema.ExplainRequest) -> schema.ExplainAnswer:
        """Why one film has its score; with `path`, also the way from the input to the
        score.
        """
        return self.cache.answer(request, self._explain)

    def _recommend(self, request: schema.RecommendRequest) -> schema.RecommendAnswer:
        common, history = self._common(request)
        model = self.models[request.model]
        with self.locks[request.model]:
            scores = np.array(model.score([history])[0], dtype=np.float64)
            best = self._best(scores, history, request.k)
            reasons = self._because(request, history, best, scores)
        return schema.RecommendAnswer(
            **common,
            recommendations=[
                schema.Recommended(
                    rank=n, **self._film(code), score=because.score, because=because
                )
                for n, (code, because) in enumerate(
                    zip(best, reasons, strict=True), start=1
                )
            ],
        )

    def _explain(self, request: schema.ExplainRequest) -> schema.ExplainAnswer:
        common, history = self._common(request)
        if not len(history):
            raise Refusal(
                "empty_history",
                "no film of the history is left to be a reason: give one or more",
                "history",
            )
        code = self._item(request.item, history)
        with self.locks[request.model]:
            (because,) = self._because(request, history, [code], None)
            path = self._path(request, history, code) if request.path else None
        return schema.ExplainAnswer(
            **common, **self._film(code), because=because, path=path
        )

    def _common(self, request: schema.Request) -> tuple[dict[str, Any], np.ndarray]:
        """The parts that all answers share, and the history as codes."""
        if request.model not in self.models:
            raise Refusal(
                "unknown_model",
                f"no model {request.model!r}: choose {', '.join(self.models)}",
                "model",
            )
        codes, corrections, left_out = self.understand(request.history)
        common = {
            "model": schema.ModelVersion(
                name=request.model, version=self.versions[request.model]
            ),
            "explainer": request.explainer,
            "history": [self._film(code) for code in codes],
            "seconds": 0.0,
        }
        return {**common, "corrections": corrections, "left_out": left_out}, np.array(
            codes, dtype=np.int64
        )

    def understand(
        self, history: Sequence[int | str]
    ) -> tuple[list[int], list[schema.Correction], list[schema.LeftOut]]:
        """Item codes of a history, each once; what was read otherwise than written;
        what was left out.
        """
        codes: list[int] = []
        corrections = []
        left_out = []
        for place, given in enumerate(history):
            field = f"history[{place}]"
            item, similarity = self._id(given, field)
            code = self.films.codes.get(item)
            if code is None or code in codes:
                why = (
                    "is in the history already"
                    if code is not None
                    else self._unlearned(item)
                )
                left_out.append(schema.LeftOut(field=field, given=given, why=why))
                continue
            if similarity < 1:
                corrections.append(
                    schema.Correction(
                        field=field,
                        given=str(given),
                        similarity=similarity,
                        **self._film(code),
                    )
                )
            codes.append(code)
        return codes, corrections, left_out

    def _id(self, given: int | str, field: str) -> tuple[int, float]:
        """The MovieLens id of a film given by id or by title, and how alike the title
        is.
        """
        if isinstance(given, int):
            if given not in self.films.known:
                raise Refusal("unknown_film", f"{field}: MovieLens (small) has no film {given}; GET /films?q=... "
                              "finds ids by title", field)  # fmt: skip
            return given, 1.0
        if match := self.films.find(given):
            return match.item, match.similarity
        near = (
            " or ".join(
                str(self.films.titles[code]) for code in self.films.search(given, 3)
            )
            or "GET /films?q=..."
        )
        hint = "; an id is a number without quotes" if given.strip().isdecimal() else ""
        raise Refusal("unknown_film", f"{field}: no film has a title like {given!r}; try {near}{hint}",
                      field)  # fmt: skip

    def _unlearned(self, item: int) -> str:
        return f"{self.films.known[item]} has too few ratings (fewer than 5), so that no model has learned it"

    def _item(self, given: int | str, history: np.ndarray) -> int:
        """Code of the film to explain."""
        item, _ = self._id(given, "item")
        code = self.films.codes.get(item)
        if code is None:
            raise Refusal("unknown_film", f"item: {self._unlearned(item)}", "item")
        if code in history:
            raise Refusal("item_in_history", f"item: {self.films.titles[code]} is in the history; explain a film "
                          "that the user has not seen", "item")  # fmt: skip
        return code

    def _best(self, scores: np.ndarray, history: np.ndarray, k: int) -> list[int]:
        """Codes of the k best unseen films; of equally good ones the more popular
        first.
        """
        scores = scores.copy()
        scores[history] = -np.inf
        return np.lexsort((-self.films.users, -scores))[:k].tolist()

    def _because(
        self,
        request: schema.Request,
        history: np.ndarray,
        codes: list[int],
        scores: np.ndarray | None,
    ) -> list[schema.Because]:
        """Reasons for each code; without films there are none, and the score is the
        base.
        """
        if not len(history):
            return [_without_reasons(scores[code]) for code in codes]
        return [
            self.reasons(each, history)
            for each in self._explanations(request, history, codes)
        ]

    def _explanations(
        self, request: schema.Request, history: np.ndarray, codes: list[int]
    ) -> list[Explanation]:
        model = self.models[request.model]
        titles = self.films.titles
        method = request.explainer
        if method == "leave-one-out":
            games = shared_games(model, history, codes, titles)
            return [leave_one_out(game) for game in games]
        try:
            return explain_many(
                model,
                history,
                codes,
                method,
                titles=titles,
                permutations=PERMUTATIONS,
            )
        except ValueError as fault:
            if method == "auto":
                raise
            message = f"{method} cannot explain {request.model} for {len(history)} films: GET /models lists what fits"
            raise Refusal(
                "unfit_explainer",
                f"explainer: {message}, auto always does",
                "explainer",
            ) from fault

    def reasons(self, found: Explanation, history: np.ndarray) -> schema.Because:
        """The values of an explanation as reasons, strongest first, rounded."""
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
                schema.Reason(**self._film(code), weight=weight, error=error)
                for code, weight, error in zip(
                    history[order].tolist(), weights, errors, strict=True
                )
            ],
            sentence=spoken(found),
        )

    def _path(
        self, request: schema.Request, history: np.ndarray, code: int
    ) -> list[schema.Step]:
        path = decision_path(
            self.models[request.model],
            history,
            code,
            self.films.titles,
        )
        return [schema.Step(**step) for step in path.as_dict()["steps"]]

    def _film(self, code: int) -> dict[str, Any]:
        return self.films.names[code]

    def search(self, typed: str) -> schema.FilmsAnswer:
        """Films for what is typed so far."""
        return schema.FilmsAnswer(
            films=[
                schema.FilmFound(
                    **self._film(code),
                    genres=self.films.genres[code],
                    users=int(self.films.users[code]),
                )
                for code in self.films.search(typed)
            ]
        )

    def describe(self) -> schema.ModelsAnswer:
        """The models, what `auto` does for a long history and which explainers fit
        each.
        """
        rows = []
        for name, model in self.models.items():
            fits = fitting(model)
            rows.append(
                schema.ModelAnswer(
                    name=name,
                    version=self.versions[name],
                    reads=getattr(model, "window", None),
                    method=fits[0],
                    explainers=["auto", *fits, "leave-one-out"],
                )
            )
        return schema.ModelsAnswer(models=rows)


def spoken(found: Explanation) -> str:
    """The strongest reasons in words: up to two for the film and one against it, each
    larger than twice its error.
    """
    sure = np.abs(found.values) > (0 if found.error is None else 2 * found.error)
    order = [n for n in found.top().tolist() if sure[n]]
    said = [f"{found.players[n]} ({found.values[n]:+.2g})" for n in order]
    helps = [
        words for n, words in zip(order[:2], said, strict=False) if found.values[n] > 0
    ]
    parts = []
    if helps:
        then = "".join(f", then {words}" for words in helps[1:])
        parts.append(f"{helps[0]} speaks most for it{then}")
    if order and found.values[order[-1]] < 0:
        parts.append(f"{said[-1]} speaks most against it")
    if not parts:
        return "No film moves this score by more than the method's error."
    return "; ".join(parts) + "."


def _without_reasons(score: float) -> schema.Because:
    score = round(float(score), DIGITS)
    return schema.Because(
        base=score,
        score=score,
        method="none",
        error=None,
        reasons=[],
        sentence="The history is empty, so there are no reasons: everybody without a history gets these films.",
    )


def fitting(model: HistoryModel) -> list[str]:
    """The methods of `explain` that fit a model, tried on two films; for long histories
    the first is the best.
    """
    history = np.array([0, 1])
    items = np.array([2])
    games = shared_games(model, history, items)
    case = Case(games, model, history, items, permutations=4)
    fits = [name for name, method in METHODS.items() if method(case)]
    return sorted(fits, key=lambda name: name == "all groups")


def version(name: str) -> str:
    """Package version and a digest over what the model is made of: settings, training
    data and shipped weights.
    """
    weights = sha256(zoo.WEIGHTS / f"{name}.npz") if name in zoo.SHIPPED else None
    made_of = json.dumps(
        [name, zoo.spec(name).settings, zoo.fingerprint(name), weights], sort_keys=True
    )
    return f"{__version__}+{hashlib.sha256(made_of.encode()).hexdigest()[:12]}"


class Cache:
    """The latest answers; the one that was not asked for longest goes first. Threads
    may share it.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._lock = Lock()
        self._kept: OrderedDict[schema.Request, schema.Answer] = OrderedDict()

    def answer(self, question: schema.Request, find: Callable[[Any], A]) -> A:
        """The kept answer, or the one that `find` gives, kept from now on; `cached`
        says which.
        """
        start = perf_counter()
        with self._lock:
            if kept := self._kept.get(question):
                self._kept.move_to_end(question)
        answer = kept or find(question)
        with self._lock:
            self._kept[question] = answer
            while len(self._kept) > self.size:
                self._kept.popitem(last=False)
        taken = round(perf_counter() - start, DIGITS)
        return answer.model_copy(update={"seconds": taken, "cached": kept is not None})

"""What the service takes and gives, as pydantic models: they check requests, shape
answers and write the API's page.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag
from typing_extensions import TypedDict

from xrec_utils.explain.methods import NAMES

LONGEST = 100  # films in a history
MOST = 50  # films recommended at once
EXPLAINERS = ("auto", *NAMES, "leave-one-out")


def _kind(film: Any) -> str | None:
    """Which of the two a film is given as; neither for a bool, a broken number or
    anything else.
    """
    # by `type`: for `isinstance` True would be the number 1
    return {int: "id", str: "title"}.get(type(film))


Film = Annotated[
    Annotated[int, Field(ge=1, le=2**31 - 1), Tag("id")]
    | Annotated[str, Field(min_length=1, max_length=200), Tag("title")],
    Discriminator(
        _kind,
        custom_error_type="film",
        custom_error_message="a film is its MovieLens movie id (a whole number) or its title (text)",
    ),
]
Explainer = Literal[EXPLAINERS]  # type: ignore[valid-type]


class Request(BaseModel):
    """What every question holds; frozen, so that equal questions find the same answer
    in the cache.
    """

    # pydantic keeps names that begin with "model_" for itself; ours is "model"
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    # a tuple and not a list, so that a question can be a key of the cache
    history: Annotated[
        tuple[Film, ...],
        Field(
            max_length=LONGEST,
            description="films seen, oldest first: MovieLens movie ids or titles",
            examples=[["Matrix", "Alien (1979)", 260]],
        ),
    ]
    model: Annotated[
        str, Field(max_length=50, description="a name that GET /models lists")
    ] = "ease"
    explainer: Annotated[
        Explainer,
        Field(
            description="auto: the best way to Shapley values for the model; or one by name"
        ),
    ] = "auto"


class RecommendRequest(Request):
    """A history and how many films to recommend for it."""

    # strict: "10" and 10.0 are no number of films
    k: Annotated[
        int, Field(strict=True, ge=1, le=MOST, description="films recommended")
    ] = 10


class ExplainRequest(Request):
    """A history and the film whose score is to be explained."""

    item: Annotated[Film, Field(description="the film to explain, not in the history")]
    path: Annotated[
        bool, Field(strict=True, description="add the decision path, step by step")
    ] = False


class FilmsQuery(BaseModel):
    """The start of a title, as far as it is typed."""

    model_config = ConfigDict(extra="forbid")

    q: Annotated[
        str,
        Field(
            max_length=200, description="part of a title; nothing: the films most rated"
        ),
    ] = ""


# what a question to each address may hold, for the refusal of anything else
FIELDS = {
    "/recommend": tuple(RecommendRequest.model_fields),
    "/explain": tuple(ExplainRequest.model_fields),
    "/films": tuple(FilmsQuery.model_fields),
}


# what to send, for whoever sent something else
EXAMPLES = {
    "/recommend": '{"history": ["Alien (1979)", 260], "model": "ease", "k": 10}',
    "/explain": '{"history": ["Alien (1979)", 260], "item": "The Matrix"}',
    "/films": "GET /films?q=matrix",
}


class FilmAnswer(BaseModel):
    """A film by its MovieLens movie id."""

    item: int
    title: str


class FilmFound(FilmAnswer):
    """A film of the catalogue, as a list of suggestions shows it."""

    genres: str
    users: Annotated[int, Field(description="training users who rated it")]


class FilmsAnswer(BaseModel):
    """Suggestions, best first."""

    films: list[FilmFound]


class Correction(FilmAnswer):
    """A title that was not written as in the catalogue, and what it was taken for."""

    field: str
    given: str
    similarity: Annotated[
        float,
        Field(description="share of letters in common, in order; 1: the same words"),
    ]


class LeftOut(BaseModel):
    """A film of the history that plays no part, and why."""

    field: str
    given: int | str
    why: str


class Reason(TypedDict):
    """What one film of the history adds to the score; `error` is None where the weight
    is exact.

    A dict, because an answer has a thousand of them: pydantic objects would take a
    third of its time.
    """

    item: int
    title: str
    weight: float
    error: float | None


class Because(BaseModel):
    """base + the weights of all reasons = score, up to the method's error; reasons come
    strongest first.
    """

    base: Annotated[float, Field(description="score of the empty history")]
    score: float
    method: str
    error: Annotated[
        float | None, Field(description="largest error of a weight; None: exact")
    ]
    reasons: list[Reason]
    sentence: str


class Recommended(FilmAnswer):
    """A recommended film with its place, its score (a logit) and its reasons."""

    rank: int
    score: float
    because: Because


class ModelVersion(BaseModel):
    """A model by name and by a digest over package version, settings, training data and
    weights.
    """

    name: str
    version: str


class Answer(BaseModel):
    """What every answer holds: the history as it was understood, and what it took."""

    model: ModelVersion
    explainer: str
    history: list[FilmAnswer]
    corrections: list[Correction]
    left_out: list[LeftOut]
    seconds: float
    cached: bool = False


class RecommendAnswer(Answer):
    """Recommended films, best first."""

    recommendations: list[Recommended]


class Step(BaseModel):
    """A step of a decision path: what happens, in a sentence, and its numbers as a
    table.
    """

    name: str
    sentence: str
    columns: list[str]
    rows: list[list[Any]]


class ExplainAnswer(Answer, FilmAnswer):
    """Why a film has its score, and, if asked for, the way from the input to the score."""

    because: Because
    path: list[Step] | None = None


class ModelAnswer(ModelVersion):
    """A model that is served and the explainers that fit it."""

    reads: Annotated[
        int | None, Field(description="most recent films it reads; None: all")
    ]
    method: Annotated[str, Field(description="what auto uses for a long history")]
    explainers: list[str]


class ModelsAnswer(BaseModel):
    """The models that are served, the default first."""

    models: list[ModelAnswer]


class HealthAnswer(BaseModel):
    """Loaded and alive."""

    status: Literal["ok"]
    models: int
    films: int


class Fault(BaseModel):
    """What was wrong: a code for programs, a message for people, and the field, if one
    is to blame.
    """

    code: str
    message: str
    field: str | None = None


class ErrorAnswer(BaseModel):
    """The body of every answer that is not a success."""

    error: Fault


class Refusal(Exception):
    """A question that cannot be answered, and how to ask it instead.

    Args:
        code: what is wrong, for programs.
        message: what is wrong and what to do, for people.
        field: the part of the question that is to blame, if one is.
        status: of HTTP.

    Example:
        >>> refusal = Refusal("missing", "history: is missing", "history")
        >>> refusal.status, refusal.answer.error.field
        (422, 'history')
    """

    def __init__(
        self, code: str, message: str, field: str | None = None, status: int = 422
    ) -> None:
        super().__init__(message)
        self.status = status
        self.answer = ErrorAnswer(
            error=Fault(
                code=code,
                message=message,
                field=field,
            )
        )

"""The decision path of one recommendation: input, steps inside the model, score.

    model                      steps between input and score
    popularity                 users who have the film
    ease, hybrid, item_knn,    the films' weights to the film
      content
    dae, vae                   hidden units, then their weights to the film
    din                        the film's attention to the history, and the answers
    attention, gru,            the films' vectors, how they are mixed, the user vector
      gru_attention, pooled
    any other                  Shapley values: what each film adds, not how the model
                               computes it

Every number is computed from the model's weights and this history. Tables keep the rows
that count most and add the others up in one more row, so that columns which add up
still do; the last number of the last step is the score.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import singledispatch
from typing import Any

import numpy as np

from xrec_utils.contract import History, HistoryModel
from xrec_utils.explain.choose import explain
from xrec_utils.explain.path_of_sequence import sequence_steps
from xrec_utils.explain.path_steps import (
    ROWS,
    Case,
    Row,
    Step,
    film_bias,
    places_read,
    signed,
    strongest,
    summed,
)
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import history_game, namer
from xrec_utils.models.autoencoders import Autoencoder
from xrec_utils.models.classic import ContentBased, ItemToItem, Popularity
from xrec_utils.models.hidden_layer import one_hidden
from xrec_utils.models.sequence import HistoryRecommender
from xrec_utils.models.target_attention import TargetAttention


@dataclass(frozen=True)
class DecisionPath:
    """How `model` comes to the `score` (a logit) of `item`, called `title`.

    The steps go from the input to the score.
    """

    model: str
    item: int
    title: str
    score: float
    steps: tuple[Step, ...]

    def as_dict(self) -> dict[str, Any]:
        """The path as dicts, lists, text and numbers: what JSON can say."""
        # there and back: tuples come back as lists, as a reader of the JSON has them
        return json.loads(json.dumps(asdict(self)))

    def text(self) -> str:
        """The path as plain text, a heading, a sentence and a table for each step."""
        heading = f"{self.title}: {shown(self.score)} by {self.model}"
        blocks = [
            _numbered_table(number, step)
            for number, step in enumerate(self.steps, start=1)
        ]
        return "\n\n".join([heading, *blocks])


def _numbered_table(number: int, step: Step) -> str:
    """A step as plain text: its number, its sentence, a line for each row."""
    lines = [f"{number}. {step.name}: {step.sentence}"]
    # the names of the columns are the first row
    for row in (step.columns, *step.rows):
        cells = [shown(cell) for cell in row]
        lines.append("   " + " | ".join(cells))
    return "\n".join(lines)


def shown(value: Any) -> str:
    """A cell as readers see it: floats with three digits, nothing for None."""
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def decision_path(
    model: HistoryModel,
    history: History,
    item: int,
    *,
    titles: Sequence[str] | None = None,
) -> DecisionPath:
    """Follow the score of one film through a model, from the history to the number.

    Args:
        model: any recommender of the course; see the module's table for the steps.
        history: (n,) item codes, oldest first.
        item: code of the film whose score is followed.
        titles: names by item code; without them films are called by their code.

    Returns:
        The path; its `steps` hold tables of at most nine rows, and one more for all
        others, so that columns which add up still do.

    Raises:
        ValueError: an empty history, an unknown code or an item inside the history.

    Example:
        >>> from xrec_utils.models.classic import ItemToItem
        >>> model = ItemToItem()
        >>> model.name = "by hand"
        >>> model.n_items = 3
        >>> model.weights = np.array([[0, 0, 2], [0, 0, -1], [0, 0, 0]], np.float32)
        >>> path = decision_path(model, [0, 1], 2, titles=["Alien", "Heat", "Aliens"])
        >>> path.score, [step.name for step in path.steps]
        (1.0, ['input', 'weights', 'score'])
        >>> path.steps[1].rows
        (('Alien', 2.0), ('Heat', -1.0))
    """
    game = history_game(model, history, item, titles=titles)
    case = Case(
        films=np.asarray(history),
        names=game.players,
        item=int(item),
        title=namer(titles)(item),
        titles=titles,
    )
    score = game.full()
    # which steps: by the kind of model, see `steps`
    found = steps(model, case)
    _, reached = found[-1].rows[-1]
    if not np.isclose(reached, score, rtol=1e-3, atol=1e-3):
        # a model of that kind with a score of its own: its inside is another
        found = steps.dispatch(object)(model, case)
    return DecisionPath(
        model=model.name,
        item=case.item,
        title=case.title,
        score=score,
        steps=(_input(model, case), *found),
    )


@singledispatch
def steps(model: Any, case: Case) -> tuple[Step, ...]:
    """The steps after the input, from the inside of the model.

    Kinds of models register their own; of any other, this returns the Shapley values.
    """
    shapley = explain(
        model,
        case.films,
        case.item,
        titles=case.titles,
    )
    # exact values have no error, and their table no column for it
    errors = {} if shapley.error is None else {"error": shapley.error}
    return (
        Step(
            "Shapley values",
            f"The inside of {model.name} is not shown. In its place, {shapley.method}: "
            "what each film adds to the score, on average over all orders in which the "
            "films could come in.",
            columns=("film", *errors, "adds"),
            rows=strongest(case.names, *errors.values(), shapley.values),
        ),
        _shapley_sum(shapley),
    )


def _shapley_sum(shapley: Explanation) -> Step:
    """The score as the sum of what the films add, and of what no film accounts for."""
    parts = [
        ("score of the empty history", shapley.base),
        ("the films together", float(shapley.values.sum())),
    ]
    # rounding errors are not worth a row
    if abs(shapley.gap) > 1e-6 * max(1, abs(shapley.score)):
        parts.append(("left over by the method", shapley.gap))
    return summed(
        "What the films add comes on top of the score of the empty history.",
        parts,
    )


@steps.register
def _(model: Popularity, case: Case) -> tuple[Step, ...]:
    count = int(model.count[case.item])
    return (
        Step(
            "users",
            f"{count} of the users who trained the model have {case.title}; "
            "the history plays no part.",
            columns=("film", "users"),
            rows=((case.title, count),),
        ),
        Step(
            "score",
            f"The score is log(1 + {count}), the same for every user.",
            columns=("part", "value"),
            rows=(("score", float(np.log1p(count))),),
        ),
    )


@steps.register
def _(model: ItemToItem, case: Case) -> tuple[Step, ...]:
    # a film met twice counts once
    films, first = np.unique(case.films, return_index=True)
    weights = np.asarray(
        model.weights[films, case.item],
        dtype=float,
    )
    sentence = f"Each film has a fixed weight to {case.title}, the same for every user."
    if isinstance(model, ContentBased):
        # its score is the mean over the history, not the sum
        weights /= len(case.films)
        sentence = (
            f"How alike each film and {case.title} are, divided by the number of films."
        )
    names = [case.names[place] for place in first]
    return (
        Step(
            "weights",
            sentence,
            columns=("film", "weight"),
            rows=strongest(names, weights),
        ),
        signed("The weights add up to the score.", "films", weights),
    )


@steps.register
def _(model: Autoencoder, case: Case) -> tuple[Step, ...]:
    if not model.dense_layers:
        return steps.dispatch(object)(model, case)
    net = one_hidden(model)
    films = np.unique(case.films)  # a film met twice counts once
    # vae brings its input to length one: each of n ones becomes 1 / √n
    divisor = np.sqrt(len(films)) if net.by_length else 1
    pushes = net.rows[films] / divisor  # (films, units)
    sums = net.bias + pushes.sum(axis=0, dtype=float)  # (units,)
    units = net.activation(np.float32(sums))
    weights = net.readout[:, case.item]
    products = units * weights
    return (
        _hidden_units(case, films, pushes, sums, products),
        _output_weights(case, net.by_length, units, weights),
        signed(
            "The products and the film's own bias add up to the score.",
            "units",
            products,
            ("bias of the film", net.constant[case.item]),
        ),
    )


def _output_weights(
    case: Case, merged: bool, units: np.ndarray, weights: np.ndarray
) -> Step:
    """What the units (h,) with the largest products give to the film.

    merged: the weights (h,) are those of two linear layers taken as one.
    """
    remark = (
        " (two linear maps in a row, to μ and from there to the film, are taken as one)"
    )
    return Step(
        "output weights",
        f"Each unit's activation is multiplied by its weight to {case.title}"
        f"{remark if merged else ''}.",
        columns=("unit", "activation", "weight", "product"),
        rows=strongest(
            [f"unit {n}" for n in range(len(units))],
            units,
            weights,
            units * weights,
            what="units",
        ),
    )


def _hidden_units(
    case: Case,
    films: np.ndarray,
    pushes: np.ndarray,
    sums: np.ndarray,
    products: np.ndarray,
) -> Step:
    """The units with the largest products, each with the film that drives it most.

    films (n,), pushes (n, h), sums and products (h,).
    """
    # a film drives a unit if it pushes it where the sum went
    drivers = (pushes * np.sign(sums)).argmax(axis=0)
    name = namer(case.titles)
    top = np.argsort(
        -np.abs(products),
        kind="stable",
    )[:ROWS]
    rows = [
        (
            f"unit {n}",
            name(films[drivers[n]]),
            float(sums[n]),
            float(np.tanh(sums[n])),
        )
        for n in top
    ]
    return Step(
        "hidden units",
        f"Each of {len(sums)} units adds up its weights to the films and a bias; tanh "
        "squeezes the sum to between -1 and 1, its activation. These units count most "
        f"for {case.title}; beside each, the film that drives it most.",
        columns=("unit", "driven most by", "sum", "activation"),
        rows=tuple(rows),
    )


@steps.register
def _(model: TargetAttention, case: Case) -> tuple[Step, ...]:
    # (places,) each
    weights, answers = np.array(
        model.parts(case.films, case.item),
        dtype=float,
    )
    # the start token is paid its share, too
    shares = weights / weights.sum()
    return (
        Step(
            "attention",
            f"{case.title} asks every film of the history. It pays each a share of its "
            "attention (the shares add up to 1) and gets an answer back; "
            "share times answer is what counts.",
            columns=("place", "share", "answer", "product"),
            rows=strongest(
                places_read(model, case),
                shares,
                answers,
                shares * answers,
                what="places",
            ),
        ),
        summed(
            "The products and the film's own bias add up to the score.",
            [
                ("answers, weighed by attention", shares @ answers),
                film_bias(model, case),
            ],
        ),
    )


steps.register(HistoryRecommender)(sequence_steps)


def _input(model: HistoryModel, case: Case) -> Step:
    """The first step: the films that go in, the latest first."""
    count = len(case.names)
    latest = case.names[::-1][:ROWS]
    rows: list[Row] = [
        # numbered as in the history, whose oldest film is 1
        (count - n, name)
        for n, name in enumerate(latest)
    ]
    if count > ROWS:
        rows.append((None, f"{count - ROWS} earlier films"))
    # models that read everything have no window
    window = getattr(model, "window", None) or count
    read = ""
    if count > window:
        read = f"; {model.name} reads the latest {window}"
    return Step(
        "input",
        f"{count} films go in{read}. The latest comes first.",
        columns=("place", "film"),
        rows=tuple(rows),
    )

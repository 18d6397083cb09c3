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

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import singledispatch
from typing import Any, NamedTuple

import numpy as np

from xrec_utils.contract import History, HistoryModel
from xrec_utils.explain.choose import explain
from xrec_utils.explain.hidden_units import one_hidden
from xrec_utils.explain.weights import decision_path as layer_outputs
from xrec_utils.games.game import history_game, namer
from xrec_utils.models.autoencoders import Autoencoder
from xrec_utils.models.classic import ContentBased, ItemToItem, Popularity
from xrec_utils.models.sequence import HistoryRecommender
from xrec_utils.models.target_attention import TargetAttention

ROWS = 9  # rows of a table, before one that stands for the others
Row = tuple[Any, ...]  # text, whole numbers, floats, or None for "does not apply"


@dataclass(frozen=True)
class Step:
    """One step: what happens in a sentence, and its numbers as `columns` and `rows`."""

    name: str
    sentence: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


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
        return json.loads(json.dumps(asdict(self)))

    def text(self) -> str:
        """The path as plain text, a heading, a sentence and a table for each step."""
        blocks = [f"{self.title}: {shown(self.score)} by {self.model}"]
        for number, step in enumerate(self.steps, start=1):
            lines = [f"{number}. {step.name}: {step.sentence}"]
            for row in (step.columns, *step.rows):
                cells = [shown(cell) for cell in row]
                lines.append("   " + " | ".join(cells))
            blocks.append("\n".join(lines))
        return "\n\n".join(blocks)


def shown(value: Any) -> str:
    """A cell as readers see it: floats with three digits, nothing for None."""
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


class Case(NamedTuple):
    """What the steps are made from.

    films: (n,) codes of the history, oldest first. names: (n,) theirs. item, title: the
    film whose score is followed. titles: names by item code, if there are any.
    """

    films: History
    names: tuple[str, ...]
    item: int
    title: str
    titles: Sequence[str] | None


def decision_path(
    model: HistoryModel,
    history: History,
    item: int,
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
        >>> path = decision_path(model, [0, 1], 2, ["Alien", "Heat", "Aliens"])
        >>> path.score, [step.name for step in path.steps]
        (1.0, ['input', 'weights', 'score'])
        >>> path.steps[1].rows
        (('Alien', 2.0), ('Heat', -1.0))
    """
    game = history_game(model, history, item, titles)
    case = Case(
        films=np.asarray(history),
        names=game.players,
        item=int(item),
        title=namer(titles)(item),
        titles=titles,
    )
    inside = steps(model, case)
    return DecisionPath(
        model=model.name,
        item=case.item,
        title=case.title,
        score=game.full(),
        steps=(_input(model, case), *inside),
    )


@singledispatch
def steps(model: Any, case: Case) -> tuple[Step, ...]:
    """The steps after the input, from the inside of the model.

    Kinds of models register their own; of any other, this returns the Shapley values.
    """
    shapley = explain(model, case.films, case.item, titles=case.titles)
    sentence = (
        f"The inside of {model.name} is not shown. In its place, {shapley.method}: "
        "what each film adds to the score, on average over all orders in which the "
        "films could come in."
    )
    errors = {} if shapley.error is None else {"standard error": shapley.error}
    rows = strongest(case.names, *errors.values(), shapley.values)
    parts = [
        ("score of the empty history", shapley.base),
        ("the films together", float(shapley.values.sum())),
    ]
    # rounding errors are not worth a row
    if abs(shapley.gap) > 1e-6 * max(1, abs(shapley.score)):
        parts.append(("left over by the method", shapley.gap))
    summary = "What the films add comes on top of the score of the empty history."
    return (
        Step("Shapley values", sentence, ("film", *errors, "adds"), rows),
        _sum(summary, parts),
    )


@steps.register
def _(model: Popularity, case: Case) -> tuple[Step, ...]:
    count = int(model.count[case.item])
    users = (
        f"{count} of the users who trained the model have {case.title}; "
        "the history plays no part."
    )
    logarithm = f"The score is log(1 + {count}), the same for every user."
    score = ("score", float(np.log1p(count)))
    return (
        Step("users", users, ("film", "users"), ((case.title, count),)),
        Step("score", logarithm, ("part", "value"), (score,)),
    )


@steps.register
def _(model: ItemToItem, case: Case) -> tuple[Step, ...]:
    # a film met twice counts once
    films, first = np.unique(case.films, return_index=True)
    names = [case.names[place] for place in first]
    weights = model.weights[films, case.item].astype(float)
    sentence = f"Each film has a fixed weight to {case.title}, the same for every user."
    if isinstance(model, ContentBased):
        weights /= len(case.films)
        sentence = (
            f"How alike each film and {case.title} are, divided by the number of films."
        )
    return (
        Step("weights", sentence, ("film", "weight"), strongest(names, weights)),
        _signed("The weights add up to the score.", "films", weights),
    )


@steps.register
def _(model: Autoencoder, case: Case) -> tuple[Step, ...]:
    net = one_hidden(model)
    films = np.unique(case.films)  # a film met twice counts once
    divisor = np.sqrt(len(films)) if net.by_length else 1
    pushes = (net.rows[films] / divisor).astype(float)  # (films, units)
    sums = net.bias + pushes.sum(axis=0)  # (units,)
    units = np.tanh(sums)
    weights = net.readout[:, case.item].astype(float)
    products = units * weights
    names = [f"unit {n}" for n in range(len(units))]
    rows = strongest(names, units, weights, products, what="units")
    bias = ("bias of the film", net.constant[case.item])

    merged = ""
    if net.by_length:
        merged = (
            " (two linear maps in a row, to μ and from there to the film, "
            "are taken as one)"
        )
    sentence = (
        f"Each unit's activation is multiplied by its weight to {case.title}{merged}."
    )
    summary = "The products and the film's own bias add up to the score."
    columns = ("unit", "activation", "weight", "product")
    return (
        _hidden_units(case, films, pushes, sums, products),
        Step("output weights", sentence, columns, rows),
        _signed(summary, "units", products, bias),
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
    units = np.tanh(sums)
    # a film drives a unit if it pushes it where the sum went
    drivers = films[(pushes * np.sign(sums)).argmax(axis=0)]
    name = namer(case.titles)
    top = np.argsort(-np.abs(products), kind="stable")[:ROWS]
    rows = [
        (f"unit {n}", name(drivers[n]), float(sums[n]), float(units[n])) for n in top
    ]
    sentence = (
        f"Each of {len(units)} units adds up its weights to the films and a bias; tanh "
        "squeezes the sum to between -1 and 1, its activation. These units count most "
        f"for {case.title}; beside each, the film that drives it most."
    )
    columns = ("unit", "driven most by", "sum", "activation")
    return Step("hidden units", sentence, columns, tuple(rows))


@steps.register
def _(model: TargetAttention, case: Case) -> tuple[Step, ...]:
    weights, answers = model.parts(case.films, case.item)  # (places,) each
    weights = weights.astype(float)
    answers = answers.astype(float)
    shares = weights / weights.sum()
    places = _places(model, case)
    rows = strongest(places, shares, answers, shares * answers, what="places")
    sentence = (
        f"{case.title} asks every film of the history. It pays each a share of its "
        "attention (the shares add up to 1) and gets an answer back; "
        "share times answer is what counts."
    )
    summary = "The products and the film's own bias add up to the score."
    parts = [("answers, weighed by attention", shares @ answers), _bias(model, case)]
    return (
        Step("attention", sentence, ("place", "share", "answer", "product"), rows),
        _sum(summary, parts),
    )


@steps.register
def _(model: HistoryRecommender, case: Case) -> tuple[Step, ...]:
    ids = model.windows([case.films])
    inputs = [model.table(ids), ids != model.padding]
    layers = dict(layer_outputs(model.encoder, inputs))
    hidden = layers["final_norm"].astype(float)  # (places, width)
    user = hidden[-1]
    found = [_vectors(model, case, layers)]
    # positions count from the latest film: earlier states would count from elsewhere
    if "position" not in layers:
        found.append(_reading(model, case, hidden))
    found += _attention(model, case)
    if "feed_forward_1_narrow" in layers:
        found.append(_stream(model, case, layers))
    found.append(_user_vector(model, case, user))

    product = float(user @ model.table.rows().numpy()[case.item])
    parts = [("product of the two vectors", product), _bias(model, case)]
    sentence = (
        f"The user vector is multiplied with the vector of {case.title}; "
        "the film's own bias is added."
    )
    return (*found, _sum(sentence, parts))


def _places(model: HistoryRecommender, case: Case) -> tuple[str, ...]:
    """What the model reads: a start token, and the films that fit into its window."""
    return ("start token", *case.names[-model.window :])


def _bias(model: HistoryRecommender, case: Case) -> tuple[str, float]:
    """The film's own bias as a part of the score."""
    return "bias of the film", float(model.table.bias.numpy()[case.item])


def _vectors(
    model: HistoryRecommender, case: Case, layers: dict[str, np.ndarray]
) -> Step:
    """The latest films' vectors: the nearest film by angle, and the lengths."""
    rows = model.table.rows().numpy()[: model.n_items]
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    latest = case.films[::-1][: min(ROWS, model.window)]
    cosine = unit[latest] @ unit.T  # (latest, items)
    cosine[np.arange(len(latest)), latest] = -1  # a film is not its own neighbour
    near = [namer(case.titles)(film) for film in cosine.argmax(axis=1)]

    sentence = (
        f"Each film, and a start token before them all, becomes {model.width} numbers "
        "that were learned."
    )
    lengths = {}
    if "position" in layers:
        added = layers["position"] - layers["vectors"]
        lengths["length of position"] = _lengths(added)
        sentence += " A vector for its place, counted from the latest film, is added."
    lengths["length"] = _lengths(layers["vectors"])
    # as long as the shortest: the latest films
    table = zip(case.names[::-1], near, *lengths.values(), strict=False)
    return Step("vectors", sentence, ("film", "nearest film", *lengths), tuple(table))


def _lengths(vectors: np.ndarray) -> list[float]:
    """The lengths of vectors (places, width), the latest first."""
    return np.linalg.norm(vectors, axis=1)[::-1].tolist()


def _reading(model: HistoryRecommender, case: Case, hidden: np.ndarray) -> Step:
    """The score if reading stopped at each film; hidden (places, width).

    Without positions from the end, a state knows only what came before it.
    """
    row = model.table.rows().numpy()[case.item]
    bias = model.table.bias.numpy()[case.item]
    scores = hidden @ row + bias  # (places,)
    changes = np.diff(scores)[::-1].tolist()
    latest = zip(case.names[::-1], changes, scores[::-1].tolist(), strict=False)
    sentence = (
        f"Film after film the state changes, and the score of {case.title} with it. "
        "The latest film is on top."
    )
    columns = ("film", "change", "score so far")
    return Step("reading", sentence, columns, tuple(latest)[:ROWS])


def _attention(model: HistoryRecommender, case: Case) -> list[Step]:
    """A step per layer of attention: where the last place looks."""
    if model.maps is None:
        return []
    attention_steps = []
    maps = model.attention(case.films).astype(float)  # (layers, heads, places, places)
    for n, heads in enumerate(maps, start=1):
        mean = f" (the mean of {len(heads)} heads)" if len(heads) > 1 else ""
        sentence = (
            "The last place looks back and takes in a mixture of all places, by these "
            f"shares, which add up to 1{mean}. A share says how much is taken in, "
            "not whether it helps."
        )
        shares = heads[:, -1].mean(axis=0)
        rows = strongest(_places(model, case), shares, what="places")
        attention_steps.append(
            Step(f"attention {n}", sentence, ("place", "share"), rows)
        )
    return attention_steps


def _stream(
    model: HistoryRecommender, case: Case, layers: dict[str, np.ndarray]
) -> Step:
    """The parts of the sum before the last normalisation, and what each adds.

    The divisor of the normalisation is held fixed.
    """
    parts = _parts(layers)
    norm = model.encoder.get_layer("final_norm")
    gain, offset = (weight.astype(float) for weight in norm.get_weights())
    divisor = np.sqrt(sum(parts.values()).var() + norm.epsilon)
    shares = {
        name: gain * (part - part.mean()) / divisor for name, part in parts.items()
    }
    shares["offset of the normalisation"] = offset
    item = model.table.rows().numpy()[case.item]
    rows = [
        (name, float(np.linalg.norm(share)), float(share @ item))
        for name, share in shares.items()
    ]
    sentence = (
        "These parts are added up and normalised; the result is the user vector. Each "
        f"adds to its product with the vector of {case.title}. "
        "(Without one of them, the others would add something else.)"
    )
    columns = ("part", "length", "adds")
    return Step("parts of the user vector", sentence, columns, tuple(rows))


def _parts(layers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What is added up at the last place: what went in, and each module's answer."""
    if "causal_mean" in layers:
        parts = {"mean of the films": layers["causal_mean"]}
    else:
        parts = {
            "last film": layers["vectors"],
            "its position": layers.get("position", 0) - layers["vectors"],
        }
    for name, answer in layers.items():
        if re.fullmatch(r"attention_\d+|feed_forward_\d+_narrow", name):
            words = name.removesuffix("_narrow").replace("_", " ")
            parts[words] = answer
    return {name: part[-1].astype(float) for name, part in parts.items()}


def _user_vector(model: HistoryRecommender, case: Case, user: np.ndarray) -> Step:
    """The user vector (width,) by what it does: the scores of the best films."""
    products = model.table.rows().numpy()[: model.n_items] @ user
    biases = model.table.bias.numpy().astype(float)
    scores = products + biases
    unseen = np.setdiff1d(np.arange(model.n_items), case.films)
    order = unseen[np.argsort(-scores[unseen], kind="stable")]
    place = int(np.flatnonzero(order == case.item)[0])
    films = list(order[:ROWS])
    if place >= ROWS:  # the film of the question is shown wherever it stands
        films.append(case.item)
    name = namer(case.titles)
    rows = [
        (name(film), float(products[film]), float(biases[film]), float(scores[film]))
        for film in films
    ]
    sentence = (
        "The history is now one vector. Multiplied with the vector of any film, plus "
        f"that film's bias, it gives the film's score: {case.title} is number "
        f"{place + 1} of {len(order):,} unseen films."
    )
    columns = ("film", "product", "bias", "score")
    return Step("user vector", sentence, columns, tuple(rows))


def strongest(
    names: Sequence[str], *columns: np.ndarray, what: str = "films"
) -> tuple[Row, ...]:
    """The rows with the largest |last column|, and one more for all others.

    names (n,) and columns (n,) each; the row of the others holds their sum in the last
    column and nothing in the columns before it.
    """
    last = columns[-1]
    order = np.argsort(-np.abs(last), kind="stable")
    rows: list[Row] = []
    for n in order[:ROWS]:
        numbers = [float(column[n]) for column in columns]
        rows.append((str(names[n]), *numbers))
    others = order[ROWS:]
    if len(others):
        blank = (None,) * (len(columns) - 1)
        together = float(last[others].sum())
        rows.append((f"{len(others)} other {what}", *blank, together))
    return tuple(rows)


def _signed(
    sentence: str, what: str, parts: np.ndarray, *more: tuple[str, float]
) -> Step:
    """The last step of a score that is a sum of many parts (n,), up and down apart."""
    up = (f"{what} that push it up", parts[parts > 0].sum())
    down = (f"{what} that push it down", parts[parts < 0].sum())
    return _sum(sentence, [up, down, *more])


def _sum(sentence: str, parts: Sequence[tuple[str, float]]) -> Step:
    """The last step: named parts, and the score as their sum."""
    rows = [(name, float(value)) for name, value in parts]
    score = sum(value for _, value in rows)
    return Step("score", sentence, ("part", "value"), (*rows, ("score", score)))


def _input(model: HistoryModel, case: Case) -> Step:
    """The first step: the films that go in, the latest first."""
    count = len(case.names)
    rows: list[Row] = [(count - n, case.names[-1 - n]) for n in range(min(count, ROWS))]
    if count > len(rows):
        rows.append((None, f"{count - len(rows)} earlier films"))
    # models that read everything have no window
    window = getattr(model, "window", None) or count
    read = f"; {model.name} reads the latest {window}" if count > window else ""
    sentence = f"{count} films go in{read}. The latest comes first."
    return Step("input", sentence, ("place", "film"), tuple(rows))

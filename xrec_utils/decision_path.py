"""The decision path of one recommendation: input, each step inside the model, score,
with the numbers of each.

    model                                  steps between input and score
    popularity                             users who have the film
    ease, hybrid, item_knn, content        the films' weights to the film
    dae, vae                               hidden units, then their weights to the film
    din                                    the film's attention to the history and the answers it gets
    attention, gru, gru_attention, pooled  the films' vectors, how they are mixed, the user vector
    any other                              Shapley values: what each film adds, not how the model computes it

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

from xrec_utils.autoencoders import Autoencoder
from xrec_utils.classic import ContentBased, ItemToItem, Popularity
from xrec_utils.contract import History, HistoryModel
from xrec_utils.explain.auto import explain
from xrec_utils.explain.quadrature import one_hidden
from xrec_utils.explain.weights import decision_path as layer_outputs
from xrec_utils.games import history_game, namer
from xrec_utils.neural import HistoryRecommender
from xrec_utils.target_attention import TargetAttention

ROWS = 9  # rows of a table, before one that stands for the others
Row = tuple[Any, ...]  # text, whole numbers, floats, or None for "does not apply"


@dataclass(frozen=True)
class Step:
    """One step: what happens, in a sentence, and its numbers as a table of `columns`
    and `rows`.
    """

    name: str
    sentence: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class DecisionPath:
    """How `model` comes to the `score` (a logit) of `item`, called `title`, in steps
    from the input on.
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
            lines = [" | ".join(map(shown, row)) for row in (step.columns, *step.rows)]
            blocks.append(
                "\n".join(
                    [
                        f"{number}. {step.name}: {step.sentence}",
                        *(f"   {line}" for line in lines),
                    ]
                )
            )
        return "\n\n".join(blocks)


def shown(value: Any) -> str:
    """A cell as readers see it: floats with three digits behind the point, nothing for
    None.
    """
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


class Case(NamedTuple):
    """What the steps are made from: films (n,) with their names, oldest first, and the
    item with its title.
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
    """Follow the score of `item` for `history` (n,), oldest first, through `model`.

    titles: names by item code. Raises ValueError for an empty history, an unknown code
    or an item inside the history.
    """
    game = history_game(model, history, item, titles)
    case = Case(
        np.asarray(history), game.players, int(item), namer(titles)(item), titles
    )
    return DecisionPath(
        model.name,
        case.item,
        case.title,
        game.full(),
        (_input(model, case), *steps(model, case)),
    )


@singledispatch
def steps(model: Any, case: Case) -> tuple[Step, ...]:
    """The steps after the input, from the inside of the model; of an unknown model, its
    Shapley values.
    """
    found = explain(model, case.films, case.item, titles=case.titles)
    sentence = (
        f"The inside of {model.name} is not shown. In its place, {found.method}: what each film adds to the score, on "
        f"average over all orders in which the films could come in."
    )
    errors = {} if found.error is None else {"standard error": found.error}
    parts = [
        ("score of the empty history", found.base),
        ("the films together", float(found.values.sum())),
    ]
    if abs(found.gap) > 1e-6 * max(1, abs(found.score)):
        parts.append(("left over by the method", found.gap))
    return (
        Step(
            "Shapley values",
            sentence,
            ("film", *errors, "adds"),
            strongest(case.names, *errors.values(), found.values),
        ),
        _sum(
            "What the films add comes on top of the score of the empty history.", parts
        ),
    )


@steps.register
def _(model: Popularity, case: Case) -> tuple[Step, ...]:
    count = int(model.count[case.item])
    seen = f"{count} of the users who trained the model have {case.title}; the history plays no part."
    score = f"The score is log(1 + {count}), the same for every user."
    return (
        Step("users", seen, ("film", "users"), ((case.title, count),)),
        Step("score", score, ("part", "value"), (("score", float(np.log1p(count))),)),
    )


@steps.register
def _(model: ItemToItem, case: Case) -> tuple[Step, ...]:
    films, first = np.unique(
        case.films, return_index=True
    )  # a film met twice counts once
    weights = model.weights[films, case.item].astype(float)
    sentence = f"Each film has a fixed weight to {case.title}, the same for every user."
    if isinstance(model, ContentBased):
        weights /= len(case.films)
        sentence = (
            f"How alike each film and {case.title} are, divided by the number of films."
        )
    return (
        Step(
            "weights",
            sentence,
            ("film", "weight"),
            strongest(np.array(case.names, object)[first], weights),
        ),
        _signed("The weights add up to the score.", "films", weights),
    )


@steps.register
def _(model: Autoencoder, case: Case) -> tuple[Step, ...]:
    net, films = (
        one_hidden(model),
        np.unique(case.films),
    )  # a film met twice counts once
    pushes = (net.rows[films] / (np.sqrt(len(films)) if net.by_length else 1)).astype(
        float
    )
    sums, weights = (
        net.bias + pushes.sum(axis=0),
        net.readout[:, case.item].astype(float),
    )
    units = np.tanh(sums)
    parts, names = units * weights, [f"unit {n}" for n in range(len(units))]
    drivers = films[(pushes * np.sign(sums)).argmax(axis=0)]
    merged = (
        " (two linear maps in a row, to μ and from there to the film, are taken as one)"
        if net.by_length
        else ""
    )
    sentence = (
        f"Each unit's activation is multiplied by its weight to {case.title}{merged}."
    )
    rows, bias = (
        strongest(names, units, weights, parts, what="units"),
        ("bias of the film", net.constant[case.item]),
    )
    return (
        _hidden_units(case, names, sums, units, drivers, parts),
        Step(
            "output weights",
            sentence,
            ("unit", "activation", "weight", "product"),
            rows,
        ),
        _signed(
            "The products and the film's own bias add up to the score.",
            "units",
            parts,
            bias,
        ),
    )


def _hidden_units(
    case: Case,
    names: Sequence[str],
    sums: np.ndarray,
    units: np.ndarray,
    drivers: np.ndarray,
    parts: np.ndarray,
) -> Step:
    """The units (h,) with the largest parts in the score, each with the film that
    drives it most.
    """
    top = np.argsort(-np.abs(parts), kind="stable")[:ROWS]
    sentence = (
        f"Each of {len(units)} units adds up its weights to the films and a bias; tanh squeezes the sum to between -1 "
        f"and 1, its activation. These units count most for {case.title}; beside each, the film that drives it most."
    )
    rows = tuple(
        (names[n], namer(case.titles)(drivers[n]), float(sums[n]), float(units[n]))
        for n in top
    )
    return Step(
        "hidden units", sentence, ("unit", "driven most by", "sum", "activation"), rows
    )


@steps.register
def _(model: TargetAttention, case: Case) -> tuple[Step, ...]:
    weights, answers = (
        part.astype(float) for part in model.parts(case.films, case.item)
    )
    shares = weights / weights.sum()
    sentence = (
        f"{case.title} asks every film of the history. It pays each a share of its attention (the shares add up to 1) "
        f"and gets an answer back; share times answer is what counts."
    )
    rows = strongest(
        _places(model, case), shares, answers, shares * answers, what="places"
    )
    parts = [("answers, weighed by attention", shares @ answers), _bias(model, case)]
    return (
        Step("attention", sentence, ("place", "share", "answer", "product"), rows),
        _sum("The products and the film's own bias add up to the score.", parts),
    )


@steps.register
def _(model: HistoryRecommender, case: Case) -> tuple[Step, ...]:
    ids = model.windows([case.films])
    layers = dict(
        layer_outputs(model.encoder, [model.table(ids), ids != model.padding])
    )
    hidden = layers["final_norm"].astype(float)
    product = float(hidden[-1] @ model.table.rows().numpy()[case.item])
    return (
        _vectors(model, case, layers),
        *([] if "position" in layers else [_reading(model, case, hidden)]),
        *_attention(model, case),
        *([_stream(model, case, layers)] if "feed_forward_1_narrow" in layers else []),
        _user_vector(model, case, hidden[-1]),
        _sum(
            f"The user vector is multiplied with the vector of {case.title}; the film's own bias is added.",
            [("product of the two vectors", product), _bias(model, case)],
        ),
    )


def _places(model: HistoryRecommender, case: Case) -> tuple[str, ...]:
    return ("start token", *case.names[-model.window :])


def _bias(model: HistoryRecommender, case: Case) -> tuple[str, float]:
    return "bias of the film", float(model.table.bias.numpy()[case.item])


def _vectors(
    model: HistoryRecommender, case: Case, layers: dict[str, np.ndarray]
) -> Step:
    """The vectors of the latest films, each with its nearest neighbour by angle, and
    the length of its position's.
    """
    rows = model.table.rows().numpy()[: model.n_items]
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    latest = case.films[::-1][: min(ROWS, model.window)]
    cosine = unit[latest] @ unit.T
    cosine[np.arange(len(latest)), latest] = -1
    sizes = (
        {"length of position": layers["position"] - layers["vectors"]}
        if "position" in layers
        else {}
    )
    sentence = f"Each film, and a start token before them all, becomes {model.width} numbers that were learned."
    sentence += (
        " A vector for its place, counted from the latest film, is added."
        if sizes
        else ""
    )
    sizes["length"] = layers["vectors"]
    lengths = [np.linalg.norm(part, axis=1)[::-1].tolist() for part in sizes.values()]
    near = map(namer(case.titles), cosine.argmax(axis=1))
    table = tuple(
        zip(case.names[::-1], near, *lengths, strict=False)
    )  # as long as the shortest: the latest films
    return Step("vectors", sentence, ("film", "nearest film", *sizes), table)


def _reading(model: HistoryRecommender, case: Case, hidden: np.ndarray) -> Step:
    """The score if reading stopped there: without positions from the end, a state knows
    only what came before it.
    """
    scores = (
        hidden @ model.table.rows().numpy()[case.item]
        + model.table.bias.numpy()[case.item]
    )
    latest = zip(
        case.names[::-1],
        np.diff(scores)[::-1].tolist(),
        scores[::-1].tolist(),
        strict=False,
    )
    sentence = f"Film after film the state changes, and the score of {case.title} with it. The latest film is on top."
    return Step(
        "reading", sentence, ("film", "change", "score so far"), tuple(latest)[:ROWS]
    )


def _attention(model: HistoryRecommender, case: Case) -> list[Step]:
    maps = [] if model.maps is None else model.attention(case.films).astype(float)
    sentence = (
        "The last place looks back and takes in a mixture of all places, by these shares, which add up to 1{}. A share "
        "says how much is taken in, not whether it helps."
    )
    return [
        Step(
            f"attention {n}",
            sentence.format(
                f" (the mean of {len(heads)} heads)" if len(heads) > 1 else ""
            ),
            ("place", "share"),
            strongest(_places(model, case), heads[:, -1].mean(axis=0), what="places"),
        )
        for n, heads in enumerate(maps, start=1)
    ]


def _stream(
    model: HistoryRecommender, case: Case, layers: dict[str, np.ndarray]
) -> Step:
    """The parts of the sum before the last normalisation, and what each gives the score
    with the divisor held fixed.
    """
    parts = _parts(layers)
    norm, row = (
        model.encoder.get_layer("final_norm"),
        model.table.rows().numpy()[case.item],
    )
    gain, offset = (weight.astype(float) for weight in norm.get_weights())
    divisor = np.sqrt(sum(parts.values()).var() + norm.epsilon)
    shares = {
        name: gain * (part - part.mean()) / divisor for name, part in parts.items()
    }
    shares["offset of the normalisation"] = offset
    sentence = (
        "These parts are added up and normalised; the result is the user vector. Each adds to its product with the "
        f"vector of {case.title}. (Without one of them, the others would add something else.)"
    )
    rows = [
        (name, float(np.linalg.norm(share)), float(share @ row))
        for name, share in shares.items()
    ]
    return Step(
        "parts of the user vector", sentence, ("part", "length", "adds"), tuple(rows)
    )


def _parts(layers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What is added up at the last place: the vector that went in, and the answer of
    every module.
    """
    start = {
        "last film": layers["vectors"],
        "its position": layers.get("position", 0) - layers["vectors"],
    }
    start = (
        {"mean of the films": layers["causal_mean"]}
        if "causal_mean" in layers
        else start
    )
    answers = [
        name
        for name in layers
        if re.fullmatch(r"attention_\d+|feed_forward_\d+_narrow", name)
    ]
    modules = {
        name.removesuffix("_narrow").replace("_", " "): layers[name] for name in answers
    }
    return {name: part[-1].astype(float) for name, part in {**start, **modules}.items()}


def _user_vector(model: HistoryRecommender, case: Case, user: np.ndarray) -> Step:
    products, biases = (
        model.table.rows().numpy()[: model.n_items] @ user,
        model.table.bias.numpy().astype(float),
    )
    scores = products + biases
    unseen = np.setdiff1d(np.arange(model.n_items), case.films)
    order, name = unseen[np.argsort(-scores[unseen], kind="stable")], namer(case.titles)
    place = int(np.flatnonzero(order == case.item)[0])
    best = [*order[:ROWS], *order[place : place + (place >= ROWS)]]
    sentence = (
        f"The history is now one vector. Multiplied with the vector of any film, plus that film's bias, it gives the "
        f"film's score: {case.title} is number {place + 1} of {len(order):,} unseen films."
    )
    rows = tuple(
        (name(film), float(products[film]), float(biases[film]), float(scores[film]))
        for film in best
    )
    return Step("user vector", sentence, ("film", "product", "bias", "score"), rows)


def strongest(
    names: Sequence[str], *columns: np.ndarray, what: str = "films"
) -> tuple[Row, ...]:
    """The rows with the largest |last column|, and the sum of that column over all
    others as one more row.
    """
    order = np.argsort(-np.abs(columns[-1]), kind="stable")
    rows = [
        (str(names[n]), *(float(column[n]) for column in columns)) for n in order[:ROWS]
    ]
    if others := len(order) - len(rows):
        blank = (None,) * (len(columns) - 1)
        rows.append(
            (f"{others} other {what}", *blank, float(columns[-1][order[ROWS:]].sum()))
        )
    return tuple(rows)


def _signed(
    sentence: str, what: str, parts: np.ndarray, *more: tuple[str, float]
) -> Step:
    up, down = parts[parts > 0].sum(), parts[parts < 0].sum()
    return _sum(
        sentence,
        [(f"{what} that push it up", up), (f"{what} that push it down", down), *more],
    )


def _sum(sentence: str, parts: Sequence[tuple[str, float]]) -> Step:
    rows = tuple((name, float(value)) for name, value in parts)
    return Step(
        "score",
        sentence,
        ("part", "value"),
        (*rows, ("score", sum(value for _, value in rows))),
    )


def _input(model: HistoryModel, case: Case) -> Step:
    count, window = len(case.names), getattr(model, "window", None) or len(case.names)
    rows = [(count - n, case.names[-1 - n]) for n in range(min(count, ROWS))]
    if earlier := count - len(rows):
        rows.append((None, f"{earlier} earlier films"))
    read = f"; {model.name} reads the latest {window}" if count > window else ""
    return Step(
        "input",
        f"{count} films go in{read}. The latest comes first.",
        ("place", "film"),
        tuple(rows),
    )

"""The decision path of a network that reads a sequence: vectors, reading, attention,
the user vector.
"""

import re

import numpy as np

from xrec_utils.explain.path_steps import (
    ROWS,
    Case,
    Step,
    film_bias,
    places_read,
    strongest,
    summed,
)
from xrec_utils.explain.weights import neuron_path as layer_outputs
from xrec_utils.games.game import namer
from xrec_utils.models.sequence import HistoryRecommender


def sequence_steps(model: HistoryRecommender, case: Case) -> tuple[Step, ...]:
    """The steps after the input of a network that reads a window of films."""
    ids = model.windows([case.films])
    layers = dict(
        layer_outputs(
            model.encoder,
            # the vectors, and which places hold a film or the start token
            [model.table(ids), ids != model.padding],
        )
    )
    hidden = layers["final_norm"].astype(float)  # (places, width)
    user = hidden[-1]
    found = [_vectors(model, case, layers)]
    # positions count from the latest film: earlier states would count from elsewhere
    if "position" not in layers:
        found.append(_reading(model, case, hidden))
    found += _attention(model, case)
    if "feed_forward_1_narrow" in layers:
        found.append(_stream(model, case, layers))
    return (
        *found,
        _user_vector(model, case, user),
        summed(
            f"The user vector is multiplied with the vector of {case.title}; "
            "the film's own bias is added.",
            parts=[
                ("product of the two vectors", user @ _films(model)[case.item]),
                film_bias(model, case),
            ],
        ),
    )


def _films(model: HistoryRecommender) -> np.ndarray:
    """The vectors (n_items, width) that a score is a product with."""
    return model.table.rows().numpy()[: model.n_items]


def _vectors(
    model: HistoryRecommender, case: Case, layers: dict[str, np.ndarray]
) -> Step:
    """The latest films' vectors: the nearest film by angle, and the lengths."""
    sentence = (
        f"Each film, and a start token before them all, becomes {model.width} numbers "
        "that were learned."
    )
    lengths = {}
    if "position" in layers:
        # the layer gives both added up
        added = layers["position"] - layers["vectors"]
        lengths["length of position"] = _lengths(added)
        sentence += " A vector for its place, counted from the latest film, is added."
    lengths["length"] = _lengths(layers["vectors"])
    return Step(
        "vectors",
        sentence,
        columns=("film", "nearest film", *lengths),
        rows=tuple(
            # as long as the shortest: the latest films
            zip(
                case.names[::-1], _nearest(model, case), *lengths.values(), strict=False
            )
        ),
    )


def _nearest(model: HistoryRecommender, case: Case) -> list[str]:
    """For each of the latest films, the latest first, the nearest other film."""
    films = _films(model)
    unit = films / np.linalg.norm(
        films,
        axis=1,
        keepdims=True,
    )
    count = min(ROWS, model.window)
    latest = case.films[::-1][:count]
    cosine = unit[latest] @ unit.T  # (latest, items)
    # a film is not its own neighbour
    np.put_along_axis(
        cosine,
        latest[:, None],
        -1,
        axis=1,
    )
    name = namer(case.titles)
    return [name(film) for film in cosine.argmax(axis=1)]


def _lengths(vectors: np.ndarray) -> list[float]:
    """The lengths of vectors (places, width), the latest first."""
    lengths = np.linalg.norm(vectors, axis=1)
    return lengths[::-1].tolist()


def _reading(model: HistoryRecommender, case: Case, hidden: np.ndarray) -> Step:
    """The score if reading stopped at each film; hidden (places, width).

    Without positions from the end, a state knows only what came before it.
    """
    _, bias = film_bias(model, case)
    # (places,): the first is that of the start token, which is no film
    scores = hidden @ _films(model)[case.item] + bias
    rows = zip(
        case.names[::-1],
        np.diff(scores)[::-1].tolist(),
        scores[::-1].tolist(),
        strict=False,
    )
    return Step(
        "reading",
        f"Film after film the state changes, and the score of {case.title} with it. "
        "The latest film is on top.",
        columns=("film", "change", "score so far"),
        rows=tuple(rows)[:ROWS],
    )


def _attention(model: HistoryRecommender, case: Case) -> list[Step]:
    """A step per layer of attention: where the last place looks."""
    if model.maps is None:
        return []
    maps = model.attention(case.films).astype(float)  # (layers, heads, places, places)
    heads = maps.shape[1]
    mean = f" (the mean of {heads} heads)" if heads > 1 else ""
    sentence = (
        "The last place looks back and takes in a mixture of all places, by these "
        f"shares, which add up to 1{mean}. A share says how much is taken in, "
        "not whether it helps."
    )
    return [
        Step(
            f"attention {n}",
            sentence,
            columns=("place", "share"),
            rows=strongest(places_read(model, case), shares, what="places"),
        )
        # of the last row: the mean over the heads
        for n, shares in enumerate(maps[:, :, -1].mean(axis=1), start=1)
    ]


def _stream(
    model: HistoryRecommender, case: Case, layers: dict[str, np.ndarray]
) -> Step:
    """The parts of the sum before the last normalisation, and what each adds."""
    item = _films(model)[case.item]
    rows = [
        (
            name,
            float(np.linalg.norm(share)),
            float(share @ item),
        )
        for name, share in _normalised(model, _parts(layers)).items()
    ]
    return Step(
        "parts of the user vector",
        "These parts are added up and normalised; the result is the user vector. Each "
        f"adds to its product with the vector of {case.title}. "
        "(Without one of them, the others would add something else.)",
        columns=("part", "length", "adds"),
        rows=tuple(rows),
    )


def _normalised(
    model: HistoryRecommender, parts: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """What the last normalisation makes of each part of its sum, all (width,).

    Its divisor, which depends on them all, is held fixed.
    """
    norm = model.encoder.get_layer("final_norm")
    gain, offset = np.float64(norm.get_weights())
    # without epsilon, numbers that are all equal would be divided by zero
    variance = sum(parts.values()).var() + norm.epsilon
    return {
        name: gain * (part - part.mean()) / np.sqrt(variance)
        for name, part in parts.items()
    } | {"offset of the normalisation": offset}


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
    return {
        name: part[-1].astype(float)  # the last place alone
        for name, part in parts.items()
    }


def _user_vector(model: HistoryRecommender, case: Case, user: np.ndarray) -> Step:
    """The user vector (width,) by what it does: the scores of the best films."""
    products = _films(model) @ user
    biases = model.table.bias.numpy().astype(float)
    scores = products + biases
    order = _unseen(scores, case)
    place = order.index(case.item)
    films = order[:ROWS]
    if place >= ROWS:
        # the film of the question is shown wherever it stands
        films.append(case.item)
    name = namer(case.titles)
    rows = [
        (name(film), float(products[film]), float(biases[film]), float(scores[film]))
        for film in films
    ]
    return Step(
        "user vector",
        "The history is now one vector. Multiplied with the vector of any film, plus "
        f"that film's bias, it gives the film's score: {case.title} is number "
        f"{place + 1} of {len(order):,} unseen films.",
        columns=("film", "product", "bias", "score"),
        rows=tuple(rows),
    )


def _unseen(scores: np.ndarray, case: Case) -> list[int]:
    """The films outside the history, by their scores (n_items,), best first."""
    films = np.setdiff1d(
        np.arange(len(scores)),
        case.films,
    )
    best_first = np.argsort(-scores[films], kind="stable")
    return films[best_first].tolist()

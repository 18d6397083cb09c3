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
    parts = [("product of the two vectors", product), film_bias(model, case)]
    sentence = (
        f"The user vector is multiplied with the vector of {case.title}; "
        "the film's own bias is added."
    )
    return (*found, summed(sentence, parts))


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
        rows = strongest(places_read(model, case), shares, what="places")
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

"""Every step holds numbers that can be found another way, and the last one is the
model's score.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from paths_by_hand import (
    HISTORIES,
    ITEM,
    MODELS,
    N_ITEMS,
    SEEN,
    TITLES,
    built,
)
from xrec_utils import keras, zoo
from xrec_utils.explain.choose import explain
from xrec_utils.explain.path import ROWS, DecisionPath, Step, decision_path
from xrec_utils.models.autoencoders import Autoencoder
from xrec_utils.models.classic import EASE


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return built(request.param)


def path_of(
    name: str, history: str = "five"
) -> tuple[object, np.ndarray, DecisionPath]:
    model, films = built(name), np.array(HISTORIES[history])
    return model, films, decision_path(model, films, ITEM, titles=TITLES)


def step(path: DecisionPath, name: str) -> Step:
    return next(step for step in path.steps if step.name == name)


def column(step: Step, name: str) -> list:
    return [row[step.columns.index(name)] for row in step.rows]


def score(model: object, films: np.ndarray, item: int = ITEM) -> float:
    return float(model.score([films], np.array([item]))[0, 0])


@pytest.mark.parametrize("history", HISTORIES)
def test_the_last_number_is_the_score(model, history: str) -> None:
    path = decision_path(model, np.array(HISTORIES[history]), ITEM)
    assert path.score == pytest.approx(
        score(model, np.array(HISTORIES[history])), rel=1e-6
    )
    assert path.steps[-1].rows[-1][0] == "score"
    assert path.steps[-1].rows[-1][-1] == pytest.approx(path.score, rel=1e-4, abs=1e-6)
    assert (path.model, path.item, path.title) == (model.name, ITEM, f"item {ITEM}")


@pytest.mark.parametrize(
    "name", ["dae", "vae", "attention", "gru", "gru_attention", "pooled_mlp", "din"]
)
def test_the_trained_models_end_at_their_score(name: str) -> None:
    model, cases = zoo.load(name), zoo.split().cases("test")
    for user in (0, 5, 100):
        history, item = cases.histories[user], int(cases.targets[user][0])
        path = decision_path(model, history, item, titles=zoo.split().titles)
        assert path.steps[-1].rows[-1][-1] == pytest.approx(
            score(model, history, item), rel=1e-4
        )


def test_tables_are_small_regular_and_ready_for_json(model) -> None:
    for films in HISTORIES.values():
        path = decision_path(model, np.array(films), ITEM, titles=TITLES)
        assert json.loads(json.dumps(path.as_dict())) == path.as_dict()
        assert path.steps[0].name == "input"
        for each in path.steps:
            assert 1 <= len(each.rows) <= ROWS + 1
            assert {len(row) for row in each.rows} == {len(each.columns)}
            assert each.sentence.endswith((".", ")"))


def test_text_shows_every_step_and_cell(model) -> None:
    path = decision_path(model, np.array(HISTORIES["five"]), ITEM, titles=TITLES)
    text = path.text()
    assert text.startswith(
        f"Film 50: {path.score:.3f} by {model.name}\n\n1. input: 5 films go in."
    )
    for number, each in enumerate(path.steps, start=1):
        assert f"{number}. {each.name}: {each.sentence}" in text
    assert text.endswith(f"   score | {path.score:.3f}")


def test_input_lists_the_latest_films_first_and_counts_the_others() -> None:
    _, films, path = path_of("ease", "longer than the window")
    rows = path.steps[0].rows
    assert rows[0] == (20, f"Film {films[-1]}") and rows[1] == (19, f"Film {films[-2]}")
    assert rows[-1] == (None, "11 earlier films")
    assert "reads the latest" not in path.steps[0].sentence
    assert (
        "attention reads the latest 12."
        in path_of("attention", "longer than the window")[2].steps[0].sentence
    )


@pytest.mark.parametrize("name", ["ease", "item_knn", "content"])
def test_weights_of_linear_models_add_up(name: str) -> None:
    model, films, path = path_of(name, "longer than the window")
    weights, shares = (
        step(path, "weights"),
        model.weights[films, ITEM] / (len(films) if name == "content" else 1),
    )
    assert sum(column(weights, "weight")) == pytest.approx(path.score, rel=1e-5)
    strongest = np.abs(shares).argmax()
    assert weights.rows[0] == (
        TITLES[films[strongest]],
        pytest.approx(shares[strongest]),
    )
    up, down, _ = column(path.steps[-1], "value")
    assert (up, down) == (
        pytest.approx(shares[shares > 0].sum()),
        pytest.approx(shares[shares < 0].sum(), abs=1e-9),
    )


@pytest.mark.parametrize("name", ["ease", "dae", "vae"])
def test_a_film_met_twice_counts_once(name: str) -> None:
    model = built(name)
    path = decision_path(model, np.array([3, 1, 3]), ITEM)
    assert path.steps[-1].rows[-1][-1] == pytest.approx(
        score(model, np.array([3, 1])), rel=1e-4
    )


def test_popularity_counts_users() -> None:
    _, _, path = path_of("popularity")
    users = sum(ITEM in history for history in SEEN)
    assert step(path, "users").rows == (("Film 50", users),)
    assert path.score == pytest.approx(np.log(1 + users))


@pytest.mark.parametrize("name", ["dae", "vae"])
def test_hidden_units_are_those_of_keras(name: str) -> None:
    model, films, path = path_of(name)
    inputs = np.zeros((1, N_ITEMS), np.float32)
    inputs[0, films] = 1
    units = model.model.get_layer("hidden")
    activation = type(model.model)(model.model.input, units.output)(inputs).numpy()[0]
    hidden, output = step(path, "hidden units"), step(path, "output weights")
    numbers = [int(unit.split()[1]) for unit in column(hidden, "unit")]
    np.testing.assert_allclose(
        column(hidden, "activation"), activation[numbers], rtol=1e-4
    )
    np.testing.assert_allclose(
        np.tanh(column(hidden, "sum")), column(hidden, "activation"), rtol=1e-6
    )
    assert column(output, "unit")[:-1] == column(hidden, "unit") and output.rows[-1][
        :2
    ] == ("7 other units", None)
    bias = dict(path.steps[-1].rows)["bias of the film"]
    assert sum(column(output, "product")) + bias == pytest.approx(path.score, rel=1e-4)
    for unit, total, film in zip(
        numbers, column(hidden, "sum"), column(hidden, "driven most by"), strict=True
    ):
        pushes = units.kernel.numpy()[films, unit] * np.sign(total)
        assert film == TITLES[films[pushes.argmax()]]


def test_din_pays_each_film_its_share() -> None:
    model, films, path = path_of("din")
    rows = {row[0]: row[1:] for row in step(path, "attention").rows}
    shares = dict(
        zip(
            ["start token", *(TITLES[film] for film in films)],
            model.weights(films, ITEM),
            strict=True,
        )
    )
    assert {name: share for name, (share, *_) in rows.items()} == pytest.approx(shares)
    assert all(
        product == pytest.approx(share * answer)
        for share, answer, product in rows.values()
    )
    bias = model.table.bias.numpy()[ITEM]
    assert sum(product for *_, product in rows.values()) + bias == pytest.approx(
        path.score, rel=1e-5
    )


@pytest.mark.parametrize(
    ("name", "blocks"), [("attention", 1), ("two blocks", 2), ("gru_attention", 1)]
)
def test_attention_shares_are_those_of_the_model(name: str, blocks: int) -> None:
    model, films, path = path_of(name)
    found = [each for each in path.steps if each.name.startswith("attention")]
    assert [each.name for each in found] == ["attention 1", "attention 2"][:blocks]
    places = ["start token", *(TITLES[film] for film in films)]
    for each, weights in zip(found, model.attention(films), strict=True):
        assert dict(each.rows) == pytest.approx(
            dict(zip(places, weights[:, -1].mean(axis=0), strict=True))
        )
    long = decision_path(model, np.array(HISTORIES["longer than the window"]), ITEM)
    shares = next(each for each in long.steps if each.name.startswith("attention"))
    assert shares.rows[-1][0] == "4 other places" and sum(
        column(shares, "share")
    ) == pytest.approx(1)


@pytest.mark.parametrize("name", ["attention", "two blocks", "pooled_mlp"])
def test_the_parts_of_the_user_vector_add_up_to_the_product(name: str) -> None:
    _, _, path = path_of(name)
    product = dict(path.steps[-1].rows)["product of the two vectors"]
    assert sum(column(step(path, "parts of the user vector"), "adds")) == pytest.approx(
        product, rel=1e-4
    )


def test_every_block_of_attention_has_its_parts() -> None:
    parts = {
        name: column(step(path_of(name)[2], "parts of the user vector"), "part")
        for name in ("attention", "two blocks")
    }
    assert parts["attention"][2:] == [
        "attention 1",
        "feed forward 1",
        "offset of the normalisation",
    ]
    assert parts["two blocks"][2:-1] == [
        "attention 1",
        "feed forward 1",
        "attention 2",
        "feed forward 2",
    ]


@pytest.mark.parametrize("name", ["gru", "gru_attention", "pooled_mlp"])
def test_reading_gives_the_score_of_every_beginning(name: str) -> None:
    model, films, path = path_of(name)
    reading = step(path, "reading")
    beginnings = [score(model, films[: len(films) - n]) for n in range(len(films) + 1)]
    np.testing.assert_allclose(
        column(reading, "score so far"), beginnings[:-1], rtol=1e-4
    )
    np.testing.assert_allclose(
        column(reading, "change"), -np.diff(beginnings), rtol=1e-2, atol=1e-4
    )


@pytest.mark.parametrize("name", ["attention", "gru"])
def test_vectors_have_their_length_and_nearest_film(name: str) -> None:
    model, films, path = path_of(name)
    vectors, rows = step(path, "vectors"), model.table.rows().numpy()[:N_ITEMS]
    np.testing.assert_allclose(
        column(vectors, "length"),
        4 * np.linalg.norm(rows[films[::-1]], axis=1),
        rtol=1e-5,
    )
    for film, near in zip(films[::-1], column(vectors, "nearest film"), strict=True):
        cosine = rows @ rows[film] / np.linalg.norm(rows, axis=1)
        assert near == TITLES[np.argsort(-cosine)[1]]
    if name == "attention":
        table = model.encoder.get_layer("position").table.numpy()
        np.testing.assert_allclose(
            column(vectors, "length of position"),
            np.linalg.norm(table[:5], axis=1),
            rtol=1e-4,
        )


def test_the_user_vector_ranks_the_unseen_films() -> None:
    model, films, path = path_of("attention")
    ranking = step(path, "user vector")
    every = model.score([films])[0]
    scores = np.delete(every, films)
    place = int((scores > every[ITEM]).sum()) + 1
    assert (
        f"Film 50 is number {place} of {N_ITEMS - len(films)} unseen films"
        in ranking.sentence
    )
    assert ("Film 50", pytest.approx(path.score, rel=1e-4)) in [
        (row[0], row[-1]) for row in ranking.rows
    ]
    best = np.sort(scores)[::-1][:ROWS]
    np.testing.assert_allclose(column(ranking, "score")[:ROWS], best, rtol=1e-4)
    np.testing.assert_allclose(
        np.add(column(ranking, "product"), column(ranking, "bias")),
        column(ranking, "score"),
    )


def test_a_film_far_down_the_list_is_shown_below_the_best() -> None:
    model, films, _ = path_of("attention")
    last = int(
        np.delete(np.arange(N_ITEMS), films)[
            np.delete(model.score([films])[0], films).argmin()
        ]
    )
    ranking = step(decision_path(model, films, last), "user vector")
    assert len(ranking.rows) == ROWS + 1 and ranking.rows[-1][0] == f"item {last}"
    assert f"number {N_ITEMS - len(films)} of" in ranking.sentence


def test_a_model_without_a_known_inside_shows_its_shapley_values() -> None:
    model, films, path = path_of("by hand")
    found = explain(model, films, ITEM, titles=TITLES)
    shapley = step(path, "Shapley values")
    assert dict(shapley.rows) == pytest.approx(
        dict(zip(found.players, found.values, strict=True))
    )
    assert found.method in shapley.sentence and shapley.columns == ("film", "adds")
    assert dict(path.steps[-1].rows)["score of the empty history"] == pytest.approx(
        found.base
    )


def test_sampled_shapley_values_come_with_their_error_and_what_is_left_over(
    monkeypatch,
) -> None:
    model, films = built("by hand"), np.array(HISTORIES["longer than the window"])
    path = decision_path(model, films, ITEM)
    found = explain(model, films, ITEM)
    strongest = np.abs(found.values).argmax()
    assert step(path, "Shapley values").rows[0][1:] == (
        found.error[strongest],
        found.values[strongest],
    )
    rough = type(found)(
        found.players,
        found.target,
        found.values + 0.1,
        found.base,
        found.score,
        "rough",
    )
    monkeypatch.setattr("xrec_utils.explain.path.explain", lambda *_, **__: rough)
    parts = dict(decision_path(model, films, ITEM).steps[-1].rows)
    assert parts["left over by the method"] == pytest.approx(-2.0) and parts[
        "score"
    ] == pytest.approx(found.score)


@pytest.mark.parametrize(
    ("history", "item", "message"),
    [
        ([], 1, "history is empty"),
        ([1, 2], 2, "is in the history"),
        ([1, 99], 2, "codes in 0"),
        ([1.5], 2, "1-D array"),
    ],
)
def test_bad_input_is_refused(history: list, item: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decision_path(built("ease"), np.array(history), item)


class Halved(EASE):
    """A kind of EASE that scores in its own way."""

    def score(self, histories, items=None):
        return super().score(histories, items) / 2


def test_a_score_of_its_own_is_not_given_the_steps_of_its_parent() -> None:
    model = Halved().fit(SEEN, N_ITEMS)
    path = decision_path(model, np.array(HISTORIES["five"]), ITEM)
    assert path.steps[1].name == "Shapley values"
    assert path.steps[-1].rows[-1][-1] == pytest.approx(path.score, rel=1e-4, abs=1e-6)


def test_an_autoencoder_of_another_shape_shows_shapley_values() -> None:
    network = keras.Sequential(
        [
            keras.Input((N_ITEMS,)),
            keras.layers.Dense(4, activation="relu"),
            keras.layers.Dense(4, activation="relu"),
            keras.layers.Dense(N_ITEMS),
        ]
    )
    films = np.array(HISTORIES["five"])
    path = decision_path(Autoencoder("two layers", network), films, ITEM)
    assert path.steps[1].name == "Shapley values"


def test_the_path_of_other_units_ends_in_the_score() -> None:
    network = keras.Sequential(
        [
            keras.Input((N_ITEMS,)),
            keras.layers.Dense(4, activation="relu"),
            keras.layers.Dense(N_ITEMS),
        ]
    )
    films = np.array(HISTORIES["five"])
    path = decision_path(Autoencoder("relu", network), films, ITEM)
    assert path.steps[1].name == "hidden units"
    assert path.steps[-1].rows[-1][-1] == pytest.approx(path.score, rel=1e-4, abs=1e-5)

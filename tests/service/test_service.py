"""The service answers what the models say: over HTTP, in every thread, with reasons
that add up to the score.
"""

from __future__ import annotations

import re
import socket
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from serving import app, post, served, service
from xrec_utils import __version__, zoo
from xrec_utils.contract import top_k
from xrec_utils.explain.baselines import leave_one_out
from xrec_utils.explain.choose import explain
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import history_game
from xrec_utils.service.core import MODELS, PERMUTATIONS, Cache, spoken, version
from xrec_utils.service.http import address, create_app, main
from xrec_utils.service.schema import LONGEST, Answer, RecommendRequest

SEEN = [
    260,
    1196,
    2571,
    1270,
    1,
]  # two Star Wars, The Matrix, Back to the Future, Toy Story


@pytest.fixture
def client() -> Iterator[FlaskClient]:
    service().cache = Cache(8)
    with app().test_client() as client:
        yield client


def ask(
    client: FlaskClient, address: str = "/recommend", /, **body: Any
) -> dict[str, Any]:
    response = client.post(address, json=body)
    assert response.status_code == 200, response.get_json()
    return response.get_json()


def codes(items: list[int]) -> np.ndarray:
    return np.array([service().films.codes[item] for item in items])


@pytest.mark.parametrize("name", MODELS)
def test_the_list_is_the_model_s_own(name: str, client: FlaskClient) -> None:
    answer = ask(client, history=SEEN, model=name)
    scores = zoo.load(name).score([codes(SEEN)])
    best = codes([film["item"] for film in answer["recommendations"]])
    np.testing.assert_allclose(
        scores[0, best], scores[0, top_k(scores, 10, [codes(SEEN)])[0]], rtol=1e-6
    )
    np.testing.assert_allclose(
        [film["score"] for film in answer["recommendations"]],
        scores[0, best],
        atol=2e-6,
    )
    assert [film["rank"] for film in answer["recommendations"]] == list(range(1, 11))
    assert answer["history"] == [
        {"item": item, "title": service().films.titles[code]}
        for item, code in zip(SEEN, codes(SEEN), strict=True)
    ]


@pytest.mark.parametrize("name", MODELS)
def test_the_reasons_are_the_explainer_s_and_add_up(
    name: str, client: FlaskClient
) -> None:
    model, history = zoo.load(name), zoo.split().cases("test").histories[3][:30]
    items = [int(service().films.ids[code]) for code in history]
    for film in ask(client, history=items, model=name, k=2)["recommendations"]:
        because, code = film["because"], service().films.codes[film["item"]]
        truth = explain(
            model, history, code, titles=zoo.split().titles, permutations=PERMUTATIONS
        )
        weights = {reason["item"]: reason["weight"] for reason in because["reasons"]}
        np.testing.assert_allclose(
            [weights[item] for item in items], truth.values, atol=1e-4
        )
        assert because["method"] == truth.method and (because["error"] is None) == (
            truth.error is None
        )
        missing = because["score"] - because["base"] - sum(weights.values())
        assert abs(missing) <= 1e-4 + sum(
            reason["error"] or 0 for reason in because["reasons"]
        )
        strengths = [abs(reason["weight"]) for reason in because["reasons"]]
        assert strengths == sorted(strengths, reverse=True)


@pytest.mark.parametrize("explainer", ["leave-one-out", "leverage", "fourier"])
def test_an_explainer_by_name(explainer: str, client: FlaskClient) -> None:
    answer = ask(
        client, "/explain", history=SEEN, item="Alien", model="dae", explainer=explainer
    )
    code = service().films.codes[answer["item"]]
    game = history_game(zoo.load("dae"), codes(SEEN), code)
    method = (
        {}
        if explainer == "leave-one-out"
        else {"method": explainer, "permutations": PERMUTATIONS}
    )
    truth = (
        explain(zoo.load("dae"), codes(SEEN), code, **method)
        if method
        else leave_one_out(game)
    )
    weights = {
        reason["item"]: reason["weight"] for reason in answer["because"]["reasons"]
    }
    np.testing.assert_allclose(
        [weights[item] for item in SEEN], truth.values, atol=1e-5
    )


@pytest.mark.parametrize("name", MODELS)
def test_the_decision_path_ends_at_the_score(name: str, client: FlaskClient) -> None:
    answer = ask(client, "/explain", history=SEEN, item=1214, model=name, path=True)
    first, *_, last = answer["path"]
    assert first["name"] == "input" and len(first["rows"]) == len(SEEN)
    assert last["rows"][-1][-1] == pytest.approx(answer["because"]["score"], abs=1e-5)
    assert all(
        len(row) == len(step["columns"])
        for step in answer["path"]
        for row in step["rows"]
    )
    assert ask(client, "/explain", history=SEEN, item=1214, model=name)["path"] is None


def test_titles_are_understood_and_corrections_reported(client: FlaskClient) -> None:
    answer = ask(
        client, history=["The Matrix", "toy storry", 260, "MATRIX", 1, 260], k=1
    )
    assert [film["item"] for film in answer["history"]] == [2571, 1, 260]
    (correction,) = answer["corrections"]
    assert (correction["field"], correction["given"], correction["item"]) == (
        "history[1]",
        "toy storry",
        1,
    )
    assert 0.8 <= correction["similarity"] < 1
    assert [(film["field"], film["why"]) for film in answer["left_out"]] == [
        (f"history[{n}]", "is in the history already") for n in (3, 4, 5)
    ]


def test_a_film_outside_the_catalogue_is_left_out_with_its_reason(
    client: FlaskClient,
) -> None:
    rare = next(
        item for item in service().films.known if item not in service().films.codes
    )
    answer = ask(client, history=[rare, 1214], k=1)
    assert [film["item"] for film in answer["history"]] == [1214]
    assert (
        answer["left_out"][0]["given"] == rare
        and "too few ratings" in answer["left_out"][0]["why"]
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_newcomer_gets_films_and_no_reasons(name: str, client: FlaskClient) -> None:
    answer = ask(client, history=[], model=name, k=3)
    for film in answer["recommendations"]:
        assert (
            film["because"]["reasons"] == []
            and film["because"]["base"] == film["score"]
        )
        assert (
            film["because"]["method"] == "none"
            and "empty" in film["because"]["sentence"]
        )
    if name in (
        "ease",
        "item_knn",
    ):  # all scores are zero: the more popular films come first
        most = np.argsort(-service().films.users, kind="stable")[:3]
        assert [
            film["title"] for film in answer["recommendations"]
        ] == zoo.split().titles[most].tolist()


def test_equal_questions_are_answered_from_the_cache(client: FlaskClient) -> None:
    first, second = (ask(client, history=SEEN, k=2) for _ in range(2))
    assert (first.pop("cached"), second.pop("cached")) == (False, True)
    assert first.pop("seconds") > 0 and second.pop("seconds") > 0 and first == second
    assert (
        not ask(client, history=SEEN[::-1], k=2)["cached"]
        and not ask(client, history=SEEN, k=3)["cached"]
    )


def test_the_answer_not_asked_for_longest_goes_first() -> None:
    cache, made = Cache(2), []
    for k in (1, 2, 1, 3, 1, 2):
        cache.answer(
            RecommendRequest(history=(), k=k),
            lambda asked: made.append(asked.k) or ANSWER,
        )
    assert made == [1, 2, 3, 2]


ANSWER = Answer(
    model={"name": "a", "version": "1"},
    explainer="auto",
    history=[],
    corrections=[],
    left_out=[],
    seconds=0,
)


def test_what_is_served_and_that_it_is_ready(client: FlaskClient) -> None:
    models = client.get("/models").get_json()["models"]
    assert [model["name"] for model in models] == list(MODELS)
    ways = {model["name"]: model for model in models}
    assert (
        ways["ease"]["method"] == "closed form"
        and ways["dae"]["method"] == "quadrature"
    )
    assert ways["attention"]["reads"] == 50 and ways["dae"]["reads"] is None
    for path in ("/health", "/ready"):
        assert client.get(path).get_json() == {
            "status": "ok",
            "models": len(MODELS),
            "films": zoo.split().n_items,
        }


@pytest.mark.parametrize("name", MODELS)
def test_every_explainer_that_is_listed_explains(
    name: str, client: FlaskClient
) -> None:
    ways = {
        model["name"]: model["explainers"]
        for model in client.get("/models").get_json()["models"]
    }
    for explainer in ways[name]:
        ask(
            client,
            "/explain",
            history=SEEN[:3],
            item=1214,
            model=name,
            explainer=explainer,
        )


def test_versions_tell_models_apart_and_stay() -> None:
    versions = [version(name) for name in MODELS]
    assert len(set(versions)) == len(MODELS) and versions == [
        version(name) for name in MODELS
    ]
    assert all(
        re.fullmatch(re.escape(__version__) + r"\+[0-9a-f]{12}", each)
        for each in versions
    )


def explanation(values: list[float], error: list[float] | None = None) -> Explanation:
    names = tuple("ABCDE"[: len(values)])
    return Explanation(
        names, "score", np.array(values), 0.0, 1.0, "m", error=error and np.array(error)
    )


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ([0.3, 0.5, 0.1], None, "B (+0.5) speaks most for it, then A (+0.3)."),
        (
            [0.3, -0.5, -0.1],
            None,
            "A (+0.3) speaks most for it; B (-0.5) speaks most against it.",
        ),
        ([-0.3, -0.5], None, "B (-0.5) speaks most against it."),
        ([0.3, 0.5], [0.01, 0.3], "A (+0.3) speaks most for it."),
        ([0.0, 0.0], None, "No film moves this score by more than the method's error."),
    ],
)
def test_the_sentence_names_only_what_is_larger_than_its_error(
    values: list[float], error: list[float] | None, words: str
) -> None:
    assert spoken(explanation(values, error)) == words


def test_films_for_what_is_typed(client: FlaskClient) -> None:
    found = client.get("/films?q=the%20matr").get_json()["films"]
    assert found[0] == {
        "item": 2571,
        "title": "Matrix, The (1999)",
        "genres": "Action|Sci-Fi|Thriller",
        "users": int(service().films.users[codes([2571])[0]]),
    }
    assert len(client.get("/films").get_json()["films"]) == 8


def test_nothing_is_fetched_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/")
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    for path in (
        "/",
        "/page/style.css",
        "/page/app.js",
        "/openapi/",
        "/openapi/swagger",
    ):
        response = client.get(path)
        assert response.status_code == 200
        links = re.findall(
            r"""(?:src|href|url|import|fetch)\W{1,3}((?:https?:)?//[^"') ]+)""",
            response.text,
        )
        assert not links
    assert client.get("/openapi/swagger/js/swagger-ui-bundle.js").status_code == 200


def test_the_api_s_page_shows_every_address_and_limit(client: FlaskClient) -> None:
    described = client.get("/openapi/openapi.json").get_json()
    assert set(described["paths"]) == {
        "/recommend",
        "/explain",
        "/films",
        "/models",
        "/health",
        "/ready",
        "/metrics",
    }
    history = described["components"]["schemas"]["RecommendRequest"]["properties"][
        "history"
    ]
    assert history["maxItems"] == LONGEST
    refusal = described["paths"]["/recommend"]["post"]["responses"]["422"]["content"][
        "application/json"
    ]["schema"]
    assert refusal == {"$ref": "#/components/schemas/ErrorAnswer"}


def test_many_clients_at_once_get_the_answers_of_one() -> None:
    """Threads mix models and questions through a real server; every answer is the one
    given to a lone client.
    """
    names = ("ease", "dae", "attention")
    questions = [
        {"history": SEEN[:n], "k": 3, "model": name}
        for n in range(1, 5)
        for name in names
    ]
    service().cache = Cache(1)  # next to no cache: the models answer
    wrong: list[Any] = []
    with served() as url:
        alone = [
            post(f"{url}/recommend", question)[1]["recommendations"]
            for question in questions
        ]

        def client(seed: int) -> None:
            for n in np.random.default_rng(seed).permutation(len(questions)).tolist():
                status, answer = post(f"{url}/recommend", questions[n])
                if status != 200 or answer["recommendations"] != alone[n]:
                    wrong.append((status, answer))

        threads = [
            threading.Thread(target=client, args=(seed,), daemon=True)
            for seed in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=120)
        assert not any(thread.is_alive() for thread in threads)
        with urllib.request.urlopen(f"{url}/health", timeout=60) as answer:
            assert answer.status == 200
    assert not wrong


@pytest.mark.parametrize(
    ("environment", "found"),
    [({}, ("127.0.0.1", 8000)), ({"PORT": "0", "HOST": "0.0.0.0"}, ("0.0.0.0", 0))],
)
def test_the_address_comes_from_the_environment(
    environment: dict[str, str], found: tuple[str, int]
) -> None:
    assert address(environment) == found


@pytest.mark.parametrize("port", ["http", "-1", "65536", ""])
def test_a_port_that_is_none(port: str) -> None:
    with pytest.raises(ValueError, match="PORT="):
        address({"PORT": port})


def test_a_port_that_is_taken_is_said_before_anything_is_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("PORT", str(taken.getsockname()[1]))
        assert main() == 1
    assert "cannot start" in capsys.readouterr().err


def test_the_app_can_be_made_again() -> None:
    assert create_app(service()).test_client().get("/health").status_code == 200

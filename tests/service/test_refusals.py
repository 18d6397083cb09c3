"""Bad input: refused with a status, a code, a message and the field; never a failure of
the service, which goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from serving import app, service
from xrec_utils.service.core import MODELS
from xrec_utils.service.http import LARGEST
from xrec_utils.service.schema import (
    EXAMPLES,
    EXPLAINERS,
    FIELDS,
    LONGEST,
    MOST,
    ErrorAnswer,
    ExplainAnswer,
    RecommendAnswer,
)

ALIEN = 1214
GOOD = {"history": [ALIEN], "k": 1}


@pytest.fixture(scope="module")
def client() -> Iterator[FlaskClient]:
    with app().test_client() as client:
        yield client
        assert client.post("/recommend", json=GOOD).status_code == 200


def refused(response: Any) -> tuple[int, str, str | None, str]:
    """Status, code, field and message of a refusal of the right form."""
    assert response.mimetype == "application/json"
    fault = ErrorAnswer.model_validate(response.get_json()).error
    assert (
        fault.message
        and "Traceback" not in fault.message
        and "site-packages" not in fault.message
    )
    return response.status_code, fault.code, fault.field, fault.message


BODIES = [
    (b"", 400, "invalid_json"),
    (b"history", 400, "invalid_json"),
    (b'{"history": [1214]', 400, "invalid_json"),
    (b"{'history': [1214]}", 400, "invalid_json"),
    (b'{"history": [NaN]}', 400, "invalid_json"),
    (b'{"history": [Infinity]}', 400, "invalid_json"),
    (b'{"history": ["\\ud800"]}', 400, "invalid_json"),
    (b'{"history": ["\xff\xfe"]}', 400, "invalid_json"),
    (b"[" * 50_000, 400, "invalid_json"),
    (b'{"history": ' * 4_000, 400, "invalid_json"),
    (b"[1214]", 400, "invalid_json"),
    (b'"{\\"history\\": [1214]}"', 400, "invalid_json"),
    (b"null", 400, "invalid_json"),
    (b"1", 400, "invalid_json"),
    (b'{"history": [' + b"1," * LARGEST + b"1]}", 413, "request_entity_too_large"),
]


@pytest.mark.parametrize(
    ("body", "status", "code"), BODIES, ids=lambda each: repr(each)[:24]
)
def test_bodies_that_cannot_be_read(
    body: bytes, status: int, code: str, client: FlaskClient
) -> None:
    for path in ("/recommend", "/explain"):
        response = client.post(path, data=body, content_type="application/json")
        assert refused(response)[:3] == (status, code, None)


def test_a_list_of_100_long_titles_is_within_the_limit(client: FlaskClient) -> None:
    body = {"history": ["\N{CYRILLIC SMALL LETTER ZHE}" * 200] * LONGEST}
    status, code, *_ = refused(
        client.post(
            "/recommend",
            data=json.dumps(body, ensure_ascii=False).encode(),
            content_type="application/json",
        )
    )
    assert (status, code) == (422, "unknown_film")


REQUESTS = [
    ({}, "missing", "history", "an empty history is []"),
    ({"history": None}, "list_type", "history", "must be a list"),
    ({"history": "Alien"}, "list_type", "history", "must be a list"),
    ({"history": 1214}, "list_type", "history", "must be a list"),
    ({"history": {"0": 1214}}, "list_type", "history", "must be a list"),
    ({"history": [None]}, "film", "history[0]", "movie id"),
    ({"history": [True]}, "film", "history[0]", "movie id"),
    ({"history": [1214.0]}, "film", "history[0]", "movie id"),
    ({"history": [1214, [1]]}, "film", "history[1]", "movie id"),
    ({"history": [{"item": 1214}]}, "film", "history[0]", "movie id"),
    ({"history": [""]}, "string_too_short", "history[0]", "at least 1"),
    ({"history": ["x" * 201]}, "string_too_long", "history[0]", "at most 200"),
    ({"history": [0]}, "greater_than_equal", "history[0]", "1"),
    ({"history": [-5]}, "greater_than_equal", "history[0]", "1"),
    ({"history": [2**31]}, "less_than_equal", "history[0]", "2147483647"),
    ({"history": [10**300]}, "less_than_equal", "history[0]", "2147483647"),
    (
        {"history": [1214] * (LONGEST + 1)},
        "too_long",
        "history",
        f"at most {LONGEST} films",
    ),
    ({"history": [1214, 999_999]}, "unknown_film", "history[1]", "GET /films"),
    (
        {"history": ["Qwertyuiop asdfghjkl"]},
        "unknown_film",
        "history[0]",
        "no film has a title like",
    ),
    (
        {"history": ["Star Wars"]},
        "unknown_film",
        "history[0]",
        "try Star Wars: Episode IV",
    ),
    ({"history": ["1214"]}, "unknown_film", "history[0]", "without quotes"),
    ({"history": ["???"]}, "unknown_film", "history[0]", "no film has a title like"),
    ({"history": ["\u0000"]}, "unknown_film", "history[0]", "no film has a title like"),
    (
        {"history": ["<script>alert(1)</script>"]},
        "unknown_film",
        "history[0]",
        "no film has a title like",
    ),
    (
        {"history": ["'; DROP TABLE films; --"]},
        "unknown_film",
        "history[0]",
        "no film has a title like",
    ),
    ({**GOOD, "k": 0}, "greater_than_equal", "k", "1"),
    ({**GOOD, "k": -1}, "greater_than_equal", "k", "1"),
    ({**GOOD, "k": MOST + 1}, "less_than_equal", "k", str(MOST)),
    ({**GOOD, "k": "10"}, "int_type", "k", "integer"),
    ({**GOOD, "k": 2.5}, "int_type", "k", "integer"),
    ({**GOOD, "k": None}, "int_type", "k", "integer"),
    ({**GOOD, "k": True}, "int_type", "k", "integer"),
    ({**GOOD, "model": "eas"}, "unknown_model", "model", "ease"),
    ({**GOOD, "model": ""}, "unknown_model", "model", "ease"),
    ({**GOOD, "model": ["ease"]}, "string_type", "model", "string"),
    ({**GOOD, "model": "x" * 51}, "string_too_long", "model", "50"),
    ({**GOOD, "explainer": "shap"}, "literal_error", "explainer", "leave-one-out"),
    ({**GOOD, "explainer": 1}, "literal_error", "explainer", "auto"),
    (
        {**GOOD, "explainer": "quadrature"},
        "unfit_explainer",
        "explainer",
        "GET /models",
    ),
    (
        {**GOOD, "model": "dae", "explainer": "closed form"},
        "unfit_explainer",
        "explainer",
        "GET /models",
    ),
    (
        {**GOOD, "model": "gru", "explainer": "running sums"},
        "unfit_explainer",
        "explainer",
        "GET /models",
    ),
    (
        {"history": list(range(1, 14)), "explainer": "all groups"},
        "unfit_explainer",
        "explainer",
        "GET /models",
    ),
    ({"user_input": "films like Alien"}, "missing", "history", '{"history": ["Alien'),
    ({"user_input": "films like Alien"}, "missing", "history", "user_input is no"),
    ({"titles": ["Alien"], "n": 3}, "missing", "history", "titles, n is no field"),
    ({"history": "Alien"}, "list_type", "history", '{"history": ["Alien'),
    ({**GOOD, "size": 3}, "unknown_field", "size", '{"history": ["Alien'),
    ({**GOOD, "size": 3}, "unknown_field", "size", "k"),
    ({**GOOD, "K": 3}, "unknown_field", "K", "k"),
    ({**GOOD, "item": 1}, "unknown_field", "item", "/recommend"),
]


@pytest.mark.parametrize(
    ("body", "code", "field", "words"), REQUESTS, ids=lambda each: repr(each)[:40]
)
def test_recommend_says_which_field_is_wrong_and_how_to_mend_it(
    body: Any, code: str, field: str, words: str, client: FlaskClient
) -> None:
    status, *found, message = refused(client.post("/recommend", json=body))
    assert (status, *found) == (422, code, field)
    assert field in message and words in message


def test_what_a_refusal_says_to_send_is_answered(client: FlaskClient) -> None:
    for path in ("/recommend", "/explain"):
        answer = client.post(path, data=EXAMPLES[path], content_type="application/json")
        assert answer.status_code == 200, answer.get_json()
    assert client.get(EXAMPLES["/films"].removeprefix("GET ")).status_code == 200
    assert EXAMPLES.keys() == FIELDS.keys()


EXPLAIN = [
    ({"history": [1214]}, "missing", "item"),
    ({"user_input": "why Alien?"}, "missing", "history"),
    ({"history": [], "item": 260}, "empty_history", "history"),
    ({"history": [3], "item": 3}, "item_in_history", "item"),
    ({"history": ["Alien"], "item": 1214}, "item_in_history", "item"),
    ({"history": [1214], "item": 999_999}, "unknown_film", "item"),
    ({"history": [1214], "item": "Qwertyuiop"}, "unknown_film", "item"),
    ({"history": [1214], "item": False}, "film", "item"),
    ({"history": [1214], "item": 260, "path": 1}, "bool_type", "path"),
    ({"history": [1214], "item": 260, "k": 3}, "unknown_field", "k"),
]


@pytest.mark.parametrize(
    ("body", "code", "field"), EXPLAIN, ids=lambda each: repr(each)[:40]
)
def test_explain_says_which_field_is_wrong(
    body: Any, code: str, field: str, client: FlaskClient
) -> None:
    assert refused(client.post("/explain", json=body))[:3] == (422, code, field)


def test_a_film_that_no_model_has_learned(client: FlaskClient) -> None:
    rare = next(
        item for item in service().films.known if item not in service().films.codes
    )
    status, code, field, message = refused(
        client.post("/explain", json={"history": [1214], "item": rare})
    )
    assert (status, code, field) == (
        422,
        "unknown_film",
        "item",
    ) and "too few ratings" in message
    only = refused(client.post("/explain", json={"history": [rare], "item": 1214}))
    assert only[:3] == (422, "empty_history", "history")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/recommend", 405), ("DELETE", "/models", 405), ("PUT", "/", 405), ("POST", "/health", 405),
     ("GET", "/nothing", 404), ("POST", "/nothing", 404), ("GET", "/page/nothing.js", 404),
     ("GET", "/page/../service.py", 404), ("GET", "/page/%2e%2e/service.py", 404)],
)  # fmt: skip
def test_wrong_addresses_and_methods_are_json_too(
    method: str, path: str, status: int, client: FlaskClient
) -> None:
    response = client.open(path, method=method)
    assert refused(response)[0] == status
    assert ("Allow" in response.headers) == (status == 405)


def test_a_redirection_is_no_failure(client: FlaskClient) -> None:
    answer = client.get("/openapi")
    assert answer.status_code == 308 and answer.headers["Location"].endswith(
        "/openapi/"
    )


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None],
)
def test_other_content_types(kind: str | None, client: FlaskClient) -> None:
    response = client.post("/recommend", data=b'{"history": []}', content_type=kind)
    assert refused(response)[:2] == (415, "unsupported_media_type")


@pytest.mark.parametrize("query", ["q=" + "x" * 201, "q=a&limit=3", "query=matrix"])
def test_queries_for_films(query: str, client: FlaskClient) -> None:
    assert refused(client.get(f"/films?{query}"))[0] == 422


def test_a_failure_inside_tells_nothing_of_the_inside(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service(), "search", lambda typed: 1 / 0)
    status, code, _, message = refused(client.get("/films?q=a"))
    assert (status, code) == (500, "internal_error") and "division" not in message


films = st.sampled_from(
    [1, 2, 260, 1196, 1214, 2571, 999_999, "Alien", "toy storry", "xyz", ""]
)
question = st.fixed_dictionaries(
    {"history": st.lists(films, max_size=5)},
    optional={
        "model": st.sampled_from([*MODELS, "svd"]),
        "explainer": st.sampled_from([*EXPLAINERS, "shap"]),
        "k": st.integers(0, 3),
        "item": films,
        "path": st.booleans(),
    },
)


@given(st.sampled_from(["/recommend", "/explain"]), question)
@settings(max_examples=40)
def test_sensible_and_nearly_sensible_questions_are_answered_or_refused(
    path: str, body: dict[str, Any]
) -> None:
    with app().test_client() as client:
        response = client.post(path, json=body)
    if response.status_code == 200:
        answer = {"/recommend": RecommendAnswer, "/explain": ExplainAnswer}[
            path
        ].model_validate(response.get_json())
        assert answer.model.name == body.get("model", "ease")
    else:
        assert refused(response)[0] == 422


OPERATIONS = [
    ("/recommend", "POST"),
    ("/explain", "POST"),
    ("/films", "GET"),
    ("/models", "GET"),
    ("/health", "GET"),
    ("/ready", "GET"),
]


@pytest.mark.parametrize("mode", GenerationMode, ids=str)
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_nothing_that_fits_or_breaks_the_schema_makes_it_fail(
    path: str, method: str, mode: GenerationMode
) -> None:
    operation = schemathesis.openapi.from_wsgi("/openapi/openapi.json", app())[path][
        method
    ]
    if mode == GenerationMode.NEGATIVE and path in ("/models", "/health", "/ready"):
        return  # they take nothing, so nothing can be wrong

    @given(operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=25,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def run(case: schemathesis.Case) -> None:
        response = case.call()
        case.validate_response(response, checks=[not_a_server_error])
        if response.status_code >= 400:
            ErrorAnswer.model_validate(response.json())

    run()

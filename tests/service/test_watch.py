"""What the operator sees: numbers that Prometheus reads, an id in answer and log, a
line of JSON without what the user wrote; and names by which nobody may call.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.parser import text_string_to_metric_families

from serving import app, service
from xrec_utils.service.http import create_app
from xrec_utils.service.schema import Refusal
from xrec_utils.service.watch import check_host, hosts

GOOD = {"history": ["Alien", "toy storry"], "k": 1}


@pytest.fixture(scope="module")
def client() -> Iterator[FlaskClient]:
    with create_app(service()).test_client() as client:
        yield client


def numbers(client: FlaskClient) -> dict[tuple[Any, ...], float]:
    """Value by name and labels, of all that /metrics says."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type == CONTENT_TYPE_LATEST
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_count_and_time_each_answer(client: FlaskClient) -> None:
    before = numbers(client)
    for body in (GOOD, GOOD, {}):
        client.post("/recommend", json=body)
    client.get("/The%20Matrix")
    after = numbers(client)
    found = {name: value - before.get(name, 0) for name, value in after.items()}
    path = ("path", "/recommend")
    assert found["xrec_requests_total", path, ("status", "200")] == 2
    assert found["xrec_requests_total", path, ("status", "422")] == 1
    # what people type into the address is no label: there would be no end of them
    assert found["xrec_requests_total", ("path", "other"), ("status", "404")] == 1
    assert found["xrec_request_seconds_count", path] == 3
    assert found["xrec_request_seconds_sum", path] > 0
    assert after["xrec_queue_length",] == 0
    assert after["xrec_requests_in_flight",] == 1  # the one that asks
    assert "Matrix" not in client.get("/metrics").text


def test_two_applications_count_apart(client: FlaskClient) -> None:
    client.get("/films")
    with create_app(service()).test_client() as other:
        assert not any("/films" in str(name) for name in numbers(other))


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The log, read as JSON."""
    return [
        json.loads(record.getMessage())
        for record in caplog.records
        if record.name.startswith("xrec_utils.service")
    ]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a-1.B:2_c", True),
        ("7", True),
        ("", False),
        ("x" * 65, False),
        ("with space", False),
        ('"}', False),
        ("é", False),
    ],
)
def test_an_id_is_in_the_answer_and_in_the_log(
    given: str, kept: bool, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "xrec_utils.service")
    answer = client.get("/health", headers={"X-Request-Id": given})
    found = answer.headers["X-Request-Id"]
    assert (found == given) == kept and 0 < len(found) <= 64
    assert [line["id"] for line in lines(caplog)] == [found]


def test_without_an_id_each_request_gets_its_own(client: FlaskClient) -> None:
    ids = {client.get("/health").headers["X-Request-Id"] for _ in range(3)}
    assert len(ids) == 3


def test_refusals_have_an_id_too(client: FlaskClient) -> None:
    for answer in (client.get("/nothing"), client.post("/recommend", data=b"{")):
        assert answer.headers["X-Request-Id"]


def test_each_request_is_one_line_of_json_without_what_the_user_wrote(
    client: FlaskClient,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO, "xrec_utils.service")
    client.post("/recommend", json=GOOD)
    client.post("/explain", json={"history": ["Alien"], "item": "Heatt"})
    client.get("/films?q=alien")
    client.get("/films/Alien")
    found = lines(caplog)
    assert [(line["method"], line["path"], line["status"]) for line in found] == [
        ("POST", "/recommend", 200),
        ("POST", "/explain", 200),
        ("GET", "/films", 200),
        ("GET", "other", 404),
    ]
    assert all(line["ms"] > 0 and line["time"].endswith("+00:00") for line in found)
    said = caplog.text.lower()
    assert "\n{" not in said and not any(
        word in said for word in ("alien", "storry", "1214", "heat")
    )


def test_a_failure_is_a_line_that_says_where_and_not_for_whom(
    client: FlaskClient,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(typed: str) -> None:
        raise KeyError(typed)

    monkeypatch.setattr(service(), "search", fail)
    answer = client.get("/films?q=alien")
    assert answer.status_code == 500
    line = next(line for line in lines(caplog) if "fault" in line)
    assert line["fault"] == "KeyError" and line["id"] == answer.headers["X-Request-Id"]
    assert "in fail" in "".join(line["trace"]) and "alien" not in json.dumps(line)


@pytest.mark.parametrize(
    "name",
    ["localhost", "localhost:8000", "LOCALHOST", "127.0.0.1:8000", "[::1]", "[::1]:80"],
)
def test_the_machine_s_own_names_are_served(name: str, client: FlaskClient) -> None:
    assert client.get("/health", headers={"Host": name}).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost:80:80",
        "localhost@evil.example",
        "[::2]",
        "a" * 300,
    ],
)
def test_other_names_are_refused_everywhere(name: str, client: FlaskClient) -> None:
    for method, path in (
        ("GET", "/"),
        ("GET", "/health"),
        ("GET", "/page/app.js"),
        ("POST", "/recommend"),
        ("GET", "/nothing"),
    ):
        answer = client.open(path, method=method, json=GOOD, headers={"Host": name})
        fault = answer.get_json()["error"]
        assert (answer.status_code, fault["code"]) == (421, "unknown_host")
        assert "XREC_HOSTS=" in fault["message"]


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"HOST": "192.0.2.7"}, "192.0.2.7:8000"),
        ({"HOST": "::2"}, "[::2]:8000"),
        ({"HOST": "MyBox.local"}, "mybox.local"),
        ({"XREC_HOSTS": "films.example.org"}, "films.example.org"),
        ({"XREC_HOSTS": "Films.example.org"}, "films.Example.org:8000"),
        ({"XREC_HOSTS": "a.example, *.mybinder.org"}, "hub.mybinder.org"),
        ({"XREC_HOSTS": "*"}, "anything.example"),
    ],
)
def test_the_environment_adds_names(environment: dict[str, str], name: str) -> None:
    with app().test_request_context("/health", headers={"Host": name}):
        with pytest.raises(Refusal, match="not known as"):
            check_host(hosts({}))
        check_host(hosts(environment))


@pytest.mark.parametrize("name", ["other.example.org", "films.example.org.evil"])
def test_and_no_more_than_those(name: str) -> None:
    served = hosts({"XREC_HOSTS": "films.example.org,*.mybinder.org"})
    with (
        app().test_request_context("/health", headers={"Host": name}),
        pytest.raises(Refusal, match=name),
    ):
        check_host(served)


def test_without_an_environment_only_the_machine_itself_is_named() -> None:
    assert set(hosts({})) == {"localhost", "127.0.0.1", "[::1]"}


def test_the_page_needs_no_other_name() -> None:
    with app().test_client() as client:
        assert client.get("/", headers={"Host": "localhost:8000"}).status_code == 200

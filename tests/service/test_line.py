"""Who waits, how long, and what is never begun: full lines, late answers, clients that
leave.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from serving import post, served, service
from xrec_utils.service import schema
from xrec_utils.service.core import Cache
from xrec_utils.service.http import create_app
from xrec_utils.service.line import RETRY, Line

GOOD = {"history": [1214], "k": 1}
PATIENCE = 30  # seconds until a test gives up


class Held:
    """A service that answers nothing until it is told to, and counts what it began."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[int] = []
        self.go = threading.Event()
        self.answer = service().recommend
        monkeypatch.setattr(service(), "cache", Cache(1))
        monkeypatch.setattr(service(), "recommend", self.recommend)

    def recommend(self, request: schema.RecommendRequest) -> schema.RecommendAnswer:
        self.begun.append(request.k)
        assert self.go.wait(PATIENCE)
        return self.answer(request)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    held = Held(monkeypatch)
    yield held
    held.go.set()


def until(true: Any) -> None:
    """Wait until something holds."""
    last = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < last
        time.sleep(0.01)


@contextmanager
def asking(url: str, number: int) -> Iterator[list[tuple[int, Any]]]:
    """Clients that ask at once for 1, 2, ... films, and what they got by the end."""
    found: list[tuple[int, Any]] = []
    threads = [
        threading.Thread(
            target=lambda k: found.append(post(f"{url}/recommend", GOOD | {"k": k})),
            args=(k,),
        )
        for k in range(1, number + 1)
    ]
    for thread in threads:
        thread.start()
    yield found
    for thread in threads:
        thread.join(PATIENCE)


def test_beyond_the_places_the_answer_is_503_with_retry_after(held: Held) -> None:
    line = Line(places=3)
    with served(create_app(service(), line)) as url, asking(url, 3) as found:
        until(lambda: line.waiting() == 2 and held.begun)
        host = url.removeprefix("http://")
        for method, path in (("POST", "/recommend"), ("GET", "/ready")):
            connection = http.client.HTTPConnection(host, timeout=PATIENCE)
            kind = {"Content-Type": "application/json"}
            connection.request(method, path, json.dumps(GOOD), kind)
            refusal = connection.getresponse()
            fault = schema.ErrorAnswer.model_validate(json.load(refusal)).error
            assert (refusal.status, fault.code) == (503, "busy")
            assert refusal.headers["Retry-After"] == str(RETRY)
            connection.close()
        # what says how the service is does not wait; nor do refusals and films
        for path in ("/health", "/metrics", "/models", "/films?q=alien"):
            connection.request("GET", path)  # it connects anew
            answer = connection.getresponse()
            assert answer.status == 200 and answer.read()
        connection.close()
        assert post(f"{url}/recommend", {})[0] == 422
        held.go.set()
    assert [status for status, _ in found] == [200] * 3
    assert len(held.begun) == 3 and line.waiting() == 0
    line.check()  # all places are free again


def test_questions_are_answered_one_after_the_other() -> None:
    line = Line()
    at_once: list[int] = []
    most: list[int] = []

    def work() -> None:
        at_once.append(1)
        most.append(len(at_once))
        time.sleep(0.01)
        at_once.pop()

    threads = [threading.Thread(target=line.do, args=(work,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert most == [1] * 8


def test_a_question_that_waited_too_long_is_not_begun(held: Held) -> None:
    line = Line(deadline=0.3)
    with served(create_app(service(), line)) as url, asking(url, 2) as found:
        until(lambda: len(found) == 2)  # nothing was let go on: both were too late
        held.go.set()
        until(lambda: line.waiting() == 0)
        assert line.do(lambda: "next") == "next"
    assert {(status, body["error"]["code"]) for status, body in found} == {
        (503, "too_late")
    }
    assert "0.3 seconds" in found[0][1]["error"]["message"]
    assert len(held.begun) == 1


def test_work_for_a_client_who_left_is_not_done(held: Held) -> None:
    line = Line()
    with served(create_app(service(), line)) as url, asking(url, 1) as found:
        until(lambda: held.begun)
        host = url.removeprefix("http://")
        leaver = http.client.HTTPConnection(host, timeout=PATIENCE)
        kind = {"Content-Type": "application/json"}
        leaver.request("POST", "/recommend", json.dumps(GOOD | {"k": 7}), kind)
        until(lambda: line.waiting() == 1)
        leaver.close()
        time.sleep(0.2)  # until the server has seen it
        held.go.set()
        until(lambda: line.waiting() == 0)
        assert line.do(lambda: "next") == "next"
    assert [status for status, _ in found] == [200]
    assert held.begun == [1]


def test_searches_wait_for_each_other_and_not_for_the_models(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once: list[int] = []
    most: list[int] = []
    search = service().search

    def slow(typed: str) -> schema.FilmsAnswer:
        at_once.append(1)
        most.append(len(at_once))
        time.sleep(0.02)
        at_once.pop()
        return search(typed)

    def ask(url: str) -> None:
        with urllib.request.urlopen(f"{url}/films?q=alien", timeout=PATIENCE) as answer:
            assert answer.status == 200

    monkeypatch.setattr(service(), "search", slow)
    with served(create_app(service())) as url, asking(url, 1) as found:
        until(lambda: held.begun)
        threads = [threading.Thread(target=ask, args=(url,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert most == [1] * 6 and not found
        held.go.set()


def test_what_fails_at_work_fails_for_who_asked() -> None:
    line = Line()
    with pytest.raises(ZeroDivisionError):
        line.do(lambda: 1 / 0)
    assert line.do(lambda: 1) == 1


def test_a_closed_line_begins_nothing_more() -> None:
    line = Line()
    begun, go = threading.Event(), threading.Event()
    line.pool.submit(lambda: begun.set() or go.wait(PATIENCE))
    waits = line.pool.submit(lambda: None)
    assert begun.wait(PATIENCE)
    line.close()
    go.set()
    assert waits.cancelled()

"""The endpoint's client against a real server of OpenAI's protocol (llama.cpp's), and
through a faulty line to it.
"""

from __future__ import annotations

import http.server
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from xrec_utils.language.endpoint import EndpointLM
from xrec_utils.language.writer import LanguageModelError, LocalLM

QUESTION = "Name three films like Toy Story (1995)."


@pytest.fixture(scope="module")
def local() -> LocalLM:
    return LocalLM(context=512, threads=1)


@pytest.fixture(autouse=True)
def configured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names the real server, where a test has one."""
    for name in ("XREC_LLM_MODEL", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    if "local" in request.fixturenames:
        local = request.getfixturevalue("local")
        monkeypatch.setenv("XREC_LLM_MODEL", "smollm2")
        monkeypatch.setenv("OPENAI_API_KEY", local.key)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{local.address}/v1")


class Line(http.server.BaseHTTPRequestHandler):
    """Passes requests on to the real server, after the faults that it is told: a status
    to send, or seconds to wait.
    """

    target = ""
    faults: list[int | float] = []  # noqa: RUF012
    asked = 0

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Line.asked += 1
        fault = Line.faults.pop(0) if Line.faults else 0.0
        if isinstance(fault, float):
            time.sleep(fault)
            self.answer(*self.forward(body))
        else:
            self.answer(
                fault,
                json.dumps({"error": {"message": f"this line says {fault}"}}).encode(),
            )

    def forward(self, body: bytes) -> tuple[int, bytes]:
        headers = {
            name: self.headers[name] for name in ("Content-Type", "Authorization")
        }
        request = urllib.request.Request(Line.target + self.path, body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()

    def answer(self, status: int, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if status == 429:
                self.send_header("Retry-After", "0.1")
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True  # the client gave up waiting, as it should


@pytest.fixture
def line(
    local: LocalLM, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., None]]:
    """Call it with faults: the next requests meet them."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Line) as server:
        thread = threading.Thread(
            target=server.serve_forever, args=(0.01,), daemon=True
        )
        thread.start()
        monkeypatch.setattr(Line, "target", local.address)
        monkeypatch.setenv(
            "OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1"
        )

        def meet(*faults: int | float) -> None:
            Line.faults, Line.asked = list(faults), 0

        yield meet
        server.shutdown()
        thread.join(timeout=10)


@pytest.mark.needs("llm")
def test_the_same_words_come_over_the_network(local: LocalLM) -> None:
    model = EndpointLM()
    assert model.generate(QUESTION, 16) == local.generate(QUESTION, 16)
    assert model.name == f"smollm2 at {local.address}/v1/"
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": QUESTION},
    ]
    assert model.generate(messages, 16) == local.generate(messages, 16)


@pytest.mark.needs("llm")
@pytest.mark.parametrize("faults", [(429,), (500, 500), (503,)])
def test_passing_faults_are_sat_out(
    local: LocalLM, line: Callable[..., None], faults: tuple[int, ...]
) -> None:
    line(*faults)
    assert EndpointLM().generate(QUESTION, 4) == local.generate(QUESTION, 4)
    assert Line.asked == len(faults) + 1


@pytest.mark.needs("llm")
def test_retries_are_bounded(line: Callable[..., None]) -> None:
    line(*[429] * 9)
    with pytest.raises(
        LanguageModelError,
        match=r"too many requests .*, asked 2 times: wait.*this line says 429",
    ):
        EndpointLM(retries=1).generate(QUESTION, 4)
    assert Line.asked == 2


@pytest.mark.needs("llm")
def test_a_slow_server_is_given_up(line: Callable[..., None]) -> None:
    line(1.0, 1.0)
    with pytest.raises(
        LanguageModelError,
        match=r"did not answer within 0\.2 s, asked 1 times: raise .*timeout",
    ):
        EndpointLM(timeout=0.2, retries=0).generate(QUESTION, 4)


@pytest.mark.needs("llm")
@pytest.mark.parametrize(("status", "says"), [
    (404, "knows no such model or address: check XREC_LLM_MODEL"),
    (403, "does not allow this key to use the model"),
    (418, "failed .*this line says 418"),
])  # fmt: skip
def test_refusals_are_not_asked_again(
    line: Callable[..., None], status: int, says: str
) -> None:
    line(status)
    with pytest.raises(LanguageModelError, match=says):
        EndpointLM().generate(QUESTION, 4)
    assert Line.asked == 1


@pytest.mark.needs("llm")
def test_a_wrong_key_is_named_and_not_shown(
    local: LocalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-this-one")
    with pytest.raises(
        LanguageModelError, match="refused the key: set OPENAI_API_KEY"
    ) as caught:
        EndpointLM().generate(QUESTION, 4)
    assert "sk-not" not in str(caught.value)


@pytest.mark.needs("llm")
def test_a_wrong_address_is_named(
    local: LocalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"{local.address}/v9")
    with pytest.raises(
        LanguageModelError, match=r"OPENAI_BASE_URL \(which ends in /v1\)"
    ):
        EndpointLM().generate(QUESTION, 4)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(
        LanguageModelError, match="cannot be reached: is OPENAI_BASE_URL right"
    ):
        EndpointLM(retries=0).generate(QUESTION, 4)


def test_without_configuration_the_variables_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(
        LanguageModelError,
        match="set XREC_LLM_MODEL and OPENAI_API_KEY, and OPENAI_BASE_URL",
    ):
        EndpointLM()
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    with pytest.raises(LanguageModelError, match="set XREC_LLM_MODEL, and"):
        EndpointLM()

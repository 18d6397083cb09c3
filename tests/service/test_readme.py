"""README's curl command works as printed, against the service started as `make serve`
starts it, wherever these tests run: in the background too, where SIGINT is ignored.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator

import pytest

from xrec_tools.bench import service as bench
from xrec_utils.files import ROOT
from xrec_utils.service.http import main

PART = re.compile(
    r"<!-- curl: begin -->\n```bash\n(.*?)```\n<!-- curl: end -->", re.DOTALL
)


@pytest.fixture(scope="module")
def running() -> Iterator[str]:
    """The address of the service in a process of its own; at the end it stops by
    itself, without an error.
    """
    with bench.started() as (address, _, process):
        yield address
    assert process.returncode == 0


@pytest.mark.needs("curl")
def test_the_curl_command_answers(running: str) -> None:
    (command,) = PART.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert "localhost:8000" in command
    line = ["sh", "-c", command.replace("localhost:8000", running)]
    done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60)
    answer = json.loads(done.stdout)
    assert [film["item"] for film in answer["history"]] == [2571, 1, 260]
    assert [film["given"] for film in answer["corrections"]] == ["Toy Storry"]
    assert len(answer["recommendations"]) == 3
    for film in answer["recommendations"]:
        because = film["because"]
        whole = because["base"] + sum(reason["weight"] for reason in because["reasons"])
        assert whole == pytest.approx(film["score"], abs=1e-5) and because["sentence"]


def test_a_port_that_is_taken_is_said_plainly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("HOST", "127.0.0.1")
        monkeypatch.setenv("PORT", str(taken.getsockname()[1]))
        # in this process: the answer comes before the models are loaded
        assert main() == 1
    message = capsys.readouterr().err
    assert "cannot start" in message and "PORT=8001 make serve" in message


def test_a_service_that_does_not_come_up_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # a program that prints something else and ends
    monkeypatch.setattr(bench.sys, "executable", "/bin/echo")
    with pytest.raises(RuntimeError, match="did not start"), bench.started():
        pass

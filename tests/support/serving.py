"""The service as tests use it: loaded once for all modules, in this process or behind a
real server on a free port.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from flask import Flask
from waitress import create_server

from xrec_utils.service.core import Service
from xrec_utils.service.http import THREADS, create_app


@cache
def service() -> Service:
    return Service()


@cache
def app() -> Flask:
    return create_app(service())


@contextmanager
def served(application: Flask | None = None) -> Iterator[str]:
    """The address of a waitress server in a thread."""
    server = create_server(
        application or app(),
        host="127.0.0.1",
        port=0,
        threads=THREADS,
        channel_request_lookahead=1,
    )

    def run() -> None:
        with suppress(OSError):  # of the loop whose sockets `close` takes away
            server.run()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        server.close()
        thread.join(timeout=5)


def post(address: str, body: Any) -> tuple[int, Any]:
    """Status and JSON of POST `address` with `body`."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(address, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as fault:
        return fault.code, json.load(fault)

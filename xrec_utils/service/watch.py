"""What an operator decides and sees: by which names the service may be called; numbers
for Prometheus, an id for each request, and a line of JSON in the log, without titles or
histories.
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from time import perf_counter
from uuid import uuid4

from flask import Flask, Response, g, request
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
)

from xrec_utils.service.line import Line
from xrec_utils.service.schema import Refusal

log = logging.getLogger(__name__)


def note(level: int, **found: object) -> None:
    """Write a line of JSON about the request at hand to the log."""
    log.log(
        level,
        json.dumps({"time": datetime.now(UTC).isoformat(), "id": g.id} | found),
    )


def watch(app: Flask, line: Line) -> CollectorRegistry:
    """Count, time, number and log the requests of an application.

    Args:
        app: the application.
        line: where its questions wait.

    Returns:
        The numbers, as `prometheus_client.generate_latest` writes them.

    Example:
        >>> app = Flask("example")
        >>> numbers = watch(app, Line())
        >>> app.test_client().get("/nothing", headers={"X-Request-Id": "7"}).headers[
        ...     "X-Request-Id"
        ... ]
        '7'
        >>> labels = {"path": "other", "status": "404"}
        >>> numbers.get_sample_value("xrec_requests_total", labels)
        1.0
    """
    numbers = CollectorRegistry()
    ProcessCollector(registry=numbers)
    requests = Counter(
        "xrec_requests", "Requests answered", ["path", "status"], registry=numbers
    )
    seconds = Histogram(
        "xrec_request_seconds", "Until the answer", ["path"], registry=numbers
    )
    at_once = Gauge(
        "xrec_requests_in_flight", "Requests not answered yet", registry=numbers
    )
    Gauge("xrec_queue_length", "Questions waiting", registry=numbers).set_function(
        line.waiting
    )

    def begin() -> None:
        """Note when a request came, and its id: its own if it has a sound one."""
        g.start = perf_counter()
        own = request.headers.get("X-Request-Id", "")
        # only what cannot break a line of a log
        g.id = own if re.fullmatch("[A-Za-z0-9._:-]{1,64}", own) else uuid4().hex
        at_once.inc()

    def end(response: Response) -> Response:
        """Write down how it ended."""
        at_once.dec()
        # the pattern of the address, as people may type anything into the address
        path = request.url_rule.rule if request.url_rule else "other"
        taken = perf_counter() - g.start
        requests.labels(path, response.status_code).inc()
        seconds.labels(path).observe(taken)
        response.headers["X-Request-Id"] = g.id
        note(
            logging.INFO,
            method=request.method,
            path=path,
            status=response.status_code,
            ms=round(1e3 * taken, 3),
        )
        return response

    app.before_request(begin)
    app.after_request(end)
    return numbers


def hosts(environment: Mapping[str, str]) -> list[str]:
    """List the names by which the service may be called.

    A page from elsewhere can make its own name mean this machine (DNS rebinding), and
    then read answers as if they were its own; the name it calls gives it away.

    Args:
        environment: may have HOST, and XREC_HOSTS, names with commas between them;
            "*.example.org" stands for every name that ends so, "*" for all.

    Returns:
        Names and patterns, without ports.

    Example:
        >>> hosts({"XREC_HOSTS": "films.example.org, *.mybinder.org"})[3:]
        ['127.0.0.1', 'films.example.org', '*.mybinder.org']
    """
    return [
        "localhost",
        "127.0.0.1",
        "[::1]",
        environment.get("HOST", "127.0.0.1"),
        *environment.get("XREC_HOSTS", "").replace(",", " ").split(),
    ]


def check_host(served: Sequence[str]) -> None:
    """Refuse the request at hand if it calls the service by another name.

    Args:
        served: names and patterns, as `hosts` gives them.

    Raises:
        Refusal: the name is none of them (421).
    """
    given = request.headers.get("Host", "")
    name = re.sub(r":\d*$", "", given.lower()).strip("[]")
    if not any(fnmatchcase(name, each.strip("[]").lower()) for each in served):
        raise Refusal(
            "unknown_host",
            f"Host: this service is not known as {given!r}; whoever runs it can "
            "allow the name: XREC_HOSTS=films.example.org make serve",
            status=421,
        )

"""The course's recommenders as a web service that gives its reasons: `python -m
xrec_utils.service.http` (`make serve`).

    POST /recommend   a history -> ranked films, each with the films of the history that speak for and against it
    POST /explain     a history and a film -> its reasons, and with "path": true the way from the input to the score
    GET  /films?q=    titles for what is typed so far
    GET  /models      what is served, in which version, and which explainers fit
    GET  /health      it lives, whatever the load
    GET  /ready       it takes one more question; 503: too many wait
    GET  /metrics     its numbers, for Prometheus
    GET  /            a page to try it; /openapi/swagger describes the API

Films are named by their MovieLens movie id or by title. The environment says where and
how: PORT (8000), HOST (127.0.0.1), XREC_HOSTS (other names it is called by), XREC_LOG
(INFO; WARNING leaves out the line for each request).
"""

import argparse
import gc
import logging
import os
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from flask import Flask, Response, abort, request
from flask_openapi3 import Info, OpenAPI
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    generate_latest,
)
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from threadpoolctl import threadpool_limits
from waitress import create_server
from werkzeug.exceptions import HTTPException

from xrec_utils import __version__
from xrec_utils.processes import sigterm_interrupts
from xrec_utils.service import schema
from xrec_utils.service.core import Service
from xrec_utils.service.line import PLACES, RETRY, Line
from xrec_utils.service.watch import check_host, hosts, log, note, watch

LARGEST = 64 * 1024  # bytes of a body: 100 titles of 200 letters fit twice
# whatever waits for the models or for a search holds one; the others say how it is
THREADS = 2 * PLACES + 8
# nothing is fetched from elsewhere
OF_THE_PAGE = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'",
    "Cache-Control": "no-cache",
}
HINTS = {
    404: "there is nothing here: GET / is the page, GET /openapi/swagger the API",
    413: f"the body is larger than {LARGEST} bytes",
    415: "send JSON with the header Content-Type: application/json",
}


def create_app(service: Service, line: Line | None = None) -> Flask:
    """Build the WSGI application around loaded models.

    Args:
        service: the models and their films.
        line: where questions wait for them; None for a line of its own.

    Returns:
        The application; any WSGI server can run it, and its test client asks it without
        one.

    Example:
        >>> app = create_app(Service(["popularity"]))
        >>> client = app.test_client()
        >>> client.get("/health").get_json()["models"]
        1
        >>> asked = {"history": ["Toy Story"], "model": "popularity", "k": 1}
        >>> answer = client.post("/recommend", json=asked)
        >>> answer.status_code, len(answer.get_json()["recommendations"])
        (200, 1)
    """
    app = OpenAPI(
        __name__,
        info=Info(title="Recommendations with reasons", version=__version__),
        static_folder=Path(__file__).with_name("page"),
        static_url_path="/page",
        validation_error_model=schema.ErrorAnswer,
        validation_error_callback=_invalid,
        security_schemes={},
        responses=dict.fromkeys((400, 413, 415, 422), schema.ErrorAnswer),
    )
    app.config["MAX_CONTENT_LENGTH"] = LARGEST
    app.json.sort_keys = False
    line = line or Line()
    numbers = watch(app, line)
    app.before_request(partial(check_host, hosts(os.environ)))
    app.before_request(_read_body)
    app.register_error_handler(Exception, _failed)
    app.after_request(_headers)
    _questions(app, service, line)
    _states(app, service, line, numbers)
    return app


def _questions(app: OpenAPI, service: Service, line: Line) -> None:
    """Connect each address to what answers it.

    Each docstring is its line on the API's page.
    """
    # the models do not change, and asking what fits them takes a second
    description = service.describe()
    # a search takes milliseconds: suggestions wait for each other, not for the models
    searches = Line()

    @app.post("/recommend", responses={200: schema.RecommendAnswer})
    def recommend(body: schema.RecommendRequest) -> Response:
        """Films for a history, with reasons"""
        return _json(line.do(partial(service.recommend, body), _gone()))

    @app.post("/explain", responses={200: schema.ExplainAnswer})
    def explain(body: schema.ExplainRequest) -> Response:
        """The reasons for one film"""
        return _json(line.do(partial(service.explain, body), _gone()))

    @app.get("/films", responses={200: schema.FilmsAnswer})
    def films(query: schema.FilmsQuery) -> Response:
        """Films for the start of a title"""
        return _json(searches.do(partial(service.search, query.q), _gone()))

    @app.get("/models", responses={200: schema.ModelsAnswer})
    def models() -> Response:
        """What is served"""
        return _json(description)


def _states(
    app: OpenAPI, service: Service, line: Line, numbers: CollectorRegistry
) -> None:
    """Connect the addresses that say how the service is; none of them waits."""

    state = schema.HealthAnswer(
        status="ok", models=len(service.models), films=len(service.films.titles)
    )

    @app.get("/health", responses={200: schema.HealthAnswer})
    def health() -> Response:
        """Does it live?"""
        return _json(state)

    @app.get("/ready", responses={200: schema.HealthAnswer, 503: schema.ErrorAnswer})
    def ready() -> Response:
        """Does it take one more question?"""
        line.check()
        return _json(state)

    @app.get("/metrics", responses={200: None})
    def metrics() -> Response:
        """Its numbers, in Prometheus' text format"""
        return Response(generate_latest(numbers), content_type=CONTENT_TYPE_LATEST)

    @app.get("/", doc_ui=False)
    def page() -> Response:
        """The page to try it"""
        return app.send_static_file("index.html")


def _json(answer: BaseModel, status: int = 200) -> Response:
    """An answer as JSON, written by pydantic: flask's own writer is slower."""
    later = {"Retry-After": str(RETRY)} if status == 503 else None
    return Response(answer.model_dump_json(), status, later, "application/json")


def _gone() -> Callable[[], bool]:
    """How to ask whether the client has left; servers other than waitress do not know."""
    return request.environ.get("waitress.client_disconnected", bool)


def _read_body() -> None:
    """Refuse a body that is no JSON object before its fields are looked at.

    It is read strictly: no NaN, no half characters, no nesting without end.
    """
    if request.method != "POST" or request.routing_exception:
        return
    if not request.is_json:
        abort(415)
    try:
        body = from_json(request.get_data(), allow_inf_nan=False)
    except ValueError as fault:
        raise schema.Refusal(
            "invalid_json", f"the body is not JSON: {fault}", status=400
        ) from fault
    if not isinstance(body, dict):
        raise schema.Refusal(
            "invalid_json",
            f"the body must be a JSON object such as {schema.EXAMPLES['/recommend']}",
            status=400,
        )


def _invalid(fault: ValidationError) -> Response:
    """The first fault that pydantic found, in the service's words.

    Fields that are none are named beside one that is missing: that may be what they
    were meant for.
    """
    faults = fault.errors(include_url=False)
    first = faults[0]
    # which kind of film was tried is left out: ("history", 3, "id") -> history[3]
    place, *rest = first["loc"]
    field = str(place) + "".join(f"[{n}]" for n in rest if isinstance(n, int))
    other = [
        str(each["loc"][0]) for each in faults if each["type"] == "extra_forbidden"
    ]
    no_field = (
        f"{', '.join(other)} is no field of {request.path}, which knows "
        f"{', '.join(schema.FIELDS.get(request.path, ()))}"
    )
    example = f"send for example {schema.EXAMPLES.get(request.path)}"
    code, message = {
        "missing": (
            "missing",
            f"{field}: is missing; an empty history is []; {example}"
            + (f"; {no_field}" if other else ""),
        ),
        "extra_forbidden": ("unknown_field", f"{no_field}; {example}"),
        "tuple_type": (
            "list_type",
            f"{field}: must be a list of movie ids and titles; {example}",
        ),
        "too_long": (
            "too_long",
            f"{field}: must hold at most {schema.LONGEST} films: send the latest",
        ),
    }.get(first["type"], (first["type"], f"{field}: {first['msg']}"))
    return _failed(schema.Refusal(code, message, field))


def _failed(fault: Exception) -> Response:
    """Every failure as JSON; what went wrong inside goes to the log and not to the
    caller.
    """
    if isinstance(fault, schema.Refusal):
        return _json(fault.answer, fault.status)
    if isinstance(fault, HTTPException) and fault.code is not None:
        return _http_failed(fault)
    # without the fault's own words, which may hold what the user wrote
    note(
        logging.ERROR,
        fault=type(fault).__name__,
        trace=traceback.format_tb(fault.__traceback__),
    )
    return _failed(
        schema.Refusal(
            "internal_error",
            "the service failed; its log says why",
            status=500,
        )
    )


def _http_failed(fault: HTTPException) -> Response:
    """What HTTP itself refuses: a wrong address or method, a body that is too large."""
    # a wrong method: HTTP wants to know which ones are right
    allowed = {key: value for key, value in fault.get_headers() if key == "Allow"}
    hint = HINTS.get(fault.code, fault.description or fault.name)
    message = " ".join([hint, *(f"It takes {way}." for way in allowed.values())])
    answer = _failed(
        schema.Refusal(fault.name.lower().replace(" ", "_"), message, status=fault.code)
    )
    answer.headers.extend(allowed)
    return answer


def _headers(response: Response) -> Response:
    """Say what a browser may do with an answer."""
    # a browser must not guess that JSON is a page
    response.headers["X-Content-Type-Options"] = "nosniff"
    if request.endpoint in ("page", "static"):
        response.headers.update(OF_THE_PAGE)
    return response


def address(environment: Mapping[str, str]) -> tuple[str, int]:
    """Read the address to serve at.

    Args:
        environment: has HOST (or 127.0.0.1) and PORT (or 8000).

    Returns:
        Host and port.

    Raises:
        ValueError: PORT is no port.

    Example:
        >>> address({"PORT": "8001"})
        ('127.0.0.1', 8001)
    """
    port = environment.get("PORT", "8000")
    if not port.isdecimal() or int(port) > 65535:
        raise ValueError(
            f"PORT={port!r} must be a number from 0 (any free port) to 65535"
        )
    return environment.get("HOST", "127.0.0.1"), int(port)


def main(arguments: Sequence[str] = ()) -> int:
    """Serve until Ctrl-C or SIGTERM, either of which is a good end; returns the exit
    code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m xrec_utils serve",
        description="Serve recommendations; the environment's HOST and PORT say where.",
    )
    parser.parse_args(arguments)
    # BLAS' threads spin while they wait: on small matrices one is faster, and leaves the
    # other cores to HTTP
    with (
        suppress(KeyboardInterrupt),
        sigterm_interrupts(),
        threadpool_limits(1, "blas"),
    ):
        return serve()
    return 0


def serve() -> int:
    """Load the models, print the address once it answers, and serve until interrupted;
    returns the exit code.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    # a thread that computes makes room for one that answers after half a millisecond
    sys.setswitchinterval(0.0005)
    line = Line()
    try:
        log.setLevel(os.environ.get("XREC_LOG", "INFO"))
        host, port = address(os.environ)
        # a port that is taken is said before the models are loaded
        socket.create_server((host, port)).close()
        app = create_app(Service(), line)
        # models and libraries stay: the collector need not look through them again and
        # again
        gc.freeze()
        server = create_server(
            app,
            host=host,
            port=port,
            threads=THREADS,
            connection_limit=1000,  # beyond, it would not even listen
            asyncore_use_poll=True,
            channel_request_lookahead=1,  # or it does not see that a client leaves
            # it reads more than it takes, so that the refusal can be read as well
            max_request_body_size=256 * LARGEST,
            ident="xrec",
        )
    except (ValueError, OSError) as fault:
        print(
            f"The service cannot start: {fault}. "
            "Choose another address: PORT=8001 make serve",
            file=sys.stderr,
        )
        return 1
    print(
        f"Serving at http://{host}:{server.effective_port} (stop with Ctrl-C)",
        flush=True,
    )
    with closing(line), closing(server):
        server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The course's recommenders as a web service that gives its reasons: `python -m
xrec_utils.service.http` (`make serve`).

    POST /recommend   a history -> ranked films, each with the films of the history that speak for and against it
    POST /explain     a history and a film -> its reasons, and with "path": true the way from the input to the score
    GET  /films?q=    titles for what is typed so far
    GET  /models      what is served, in which version, and which explainers fit
    GET  /health      ready
    GET  /            a page to try it; /openapi/swagger describes the API

Films are named by their MovieLens movie id or by title. PORT (8000) and HOST
(127.0.0.1) come from the environment.
"""

import argparse
import gc
import logging
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from flask.json.provider import DefaultJSONProvider
from flask.wrappers import Request
from flask_openapi3 import Info, OpenAPI
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from waitress import create_server
from werkzeug.exceptions import HTTPException

from xrec_utils import __version__
from xrec_utils.processes import sigterm_interrupts
from xrec_utils.service import schema
from xrec_utils.service.core import Service

LARGEST = 64 * 1024  # bytes of a body: 100 titles of 200 letters fit twice
# bytes of a body that the server reads at all, so that the refusal can be read as well
HELD = 16 * 1024 * 1024
THREADS = 8
NOTHING_FROM_OUTSIDE = (
    "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'"
)
HINTS = {
    404: "there is nothing here: GET / is the page, GET /openapi/swagger the API",
    413: f"the body is larger than {LARGEST} bytes",
    415: "send JSON with the header Content-Type: application/json",
}
log = logging.getLogger(__name__)


class _Request(Request):
    """A request whose JSON is read strictly: no NaN, no half characters, no nesting
    without end.
    """

    def on_json_loading_failed(self, e: ValueError | None) -> Any:
        """Refuse a body that cannot be read; flask calls this with the fault."""
        # None: the header does not say that the body is JSON
        if e is None:
            raise schema.Refusal("unsupported_media_type", HINTS[415], status=415)
        raise schema.Refusal("invalid_json", f"the body is not JSON: {e}", status=400)


class _Json(DefaultJSONProvider):
    """JSON read by pydantic's parser, which is strict, and written in the order given."""

    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Read JSON; NaN and infinity are refused, as the standard knows neither."""
        return from_json(s, allow_inf_nan=False)


class _App(OpenAPI):
    """A flask application that describes itself, with the strict reading of above."""

    request_class = _Request
    json_provider_class = _Json


def create_app(service: Service) -> Flask:
    """Build the WSGI application around loaded models.

    Args:
        service: the models and their films.

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
    app = _App(
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
    app.before_request(_read_body)
    app.register_error_handler(Exception, _failed)
    app.after_request(_headers)
    _routes(app, service)
    return app


def _routes(app: OpenAPI, service: Service) -> None:
    """Connect each address to what answers it.

    Each docstring is its line on the API's page.
    """
    # the models do not change, and asking what fits them takes a second
    description = service.describe()

    @app.post("/recommend", responses={200: schema.RecommendAnswer})
    def recommend(body: schema.RecommendRequest) -> Response:
        """Films for a history, with reasons"""
        return _json(service.recommend(body))

    @app.post("/explain", responses={200: schema.ExplainAnswer})
    def explain(body: schema.ExplainRequest) -> Response:
        """The reasons for one film"""
        return _json(service.explain(body))

    @app.get("/films", responses={200: schema.FilmsAnswer})
    def films(query: schema.FilmsQuery) -> Response:
        """Films for the start of a title"""
        return _json(service.search(query.q))

    @app.get("/models", responses={200: schema.ModelsAnswer})
    def models() -> Response:
        """What is served"""
        return _json(description)

    @app.get("/health", responses={200: schema.HealthAnswer})
    def health() -> Response:
        """Is it ready?"""
        return _json(
            schema.HealthAnswer(
                status="ok", models=len(service.models), films=len(service.films.titles)
            )
        )

    @app.get("/", doc_ui=False)
    def page() -> Response:
        """The page to try it"""
        return app.send_static_file("index.html")


def _json(answer: BaseModel, status: int = 200) -> Response:
    """An answer as JSON, written by pydantic: flask's own writer is slower."""
    return Response(answer.model_dump_json(), status, mimetype="application/json")


def _read_body() -> None:
    """Refuse a body that is no JSON object before its fields are looked at."""
    if (
        request.method == "POST"
        and request.routing_exception is None
        and not isinstance(request.get_json(), dict)
    ):
        raise schema.Refusal(
            "invalid_json",
            'the body must be a JSON object such as {"history": ["Alien"]}',
            status=400,
        )


def _invalid(fault: ValidationError) -> Response:
    """The first fault that pydantic found, in the service's words."""
    first = fault.errors(include_url=False)[0]
    field = _field(first["loc"])
    most = first.get("ctx", {}).get("max_length")
    known = ", ".join(schema.FIELDS.get(request.path, ()))
    code, message = {
        "missing": ("missing", "is missing; an empty history is []"),
        "extra_forbidden": (
            "unknown_field",
            f"is no field of {request.path}, which knows {known}",
        ),
        "tuple_type": ("list_type", "must be a list of movie ids and titles"),
        "too_long": ("too_long", f"must hold at most {most} films: send the latest"),
    }.get(first["type"], (first["type"], first["msg"]))
    return _failed(schema.Refusal(code, f"{field}: {message}", field))


def _field(place: tuple[int | str, ...]) -> str:
    """Where a fault is: ("history", 3, "id") -> history[3]; which kind of film was
    tried is left out.
    """
    head, *rest = place
    return str(head) + "".join(f"[{part}]" for part in rest if isinstance(part, int))


def _failed(fault: Exception) -> Response:
    """Every failure as JSON; what went wrong inside goes to the log and not to the
    caller.
    """
    if isinstance(fault, schema.Refusal):
        return _json(fault.answer, fault.status)
    if isinstance(fault, HTTPException) and fault.code is not None:
        return _http_failed(fault)
    log.exception("%s %s failed", request.method, request.path)
    return _failed(
        schema.Refusal(
            "internal_error",
            "the service failed; its log says why",
            status=500,
        )
    )


def _http_failed(fault: HTTPException) -> Response:
    """What HTTP itself refuses: a wrong address or method, a body that is too large."""
    # below 400 is no failure, but a redirection
    if fault.code < 400:
        return fault.get_response()
    name = fault.name.lower().replace(" ", "_")
    # a wrong method: HTTP wants to know which ones are right
    allowed = {key: value for key, value in fault.get_headers() if key == "Allow"}
    hint = HINTS.get(fault.code, fault.description or name)
    message = " ".join([hint, *(f"It takes {way}." for way in allowed.values())])
    answer = _failed(schema.Refusal(name, message, status=fault.code))
    answer.headers.extend(allowed)
    return answer


def _headers(response: Response) -> Response:
    """Say what a browser may do with an answer."""
    # a browser must not guess that JSON is a page
    response.headers["X-Content-Type-Options"] = "nosniff"
    if request.endpoint in ("page", "static"):
        response.headers["Content-Security-Policy"] = NOTHING_FROM_OUTSIDE
        response.headers["Cache-Control"] = "no-cache"
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
    try:
        with sigterm_interrupts():
            return serve()
    except KeyboardInterrupt:
        return 0


def serve() -> int:
    """Load the models, print the address once it answers, and serve until interrupted;
    returns the exit code.
    """
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a queue is no fault
    try:
        host, port = address(os.environ)
        # a port that is taken is said before the models are loaded
        socket.create_server((host, port)).close()
        app = create_app(Service())
        # models and libraries stay: the collector need not look through them again and
        # again
        gc.freeze()
        server = create_server(
            app,
            host=host,
            port=port,
            threads=THREADS,
            max_request_body_size=HELD,
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
    try:
        server.run()
    finally:
        server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What an explained recommendation costs over HTTP: `python -m
xrec_utils.bench_service` writes data/bench/service.csv.

The service runs as in `make serve`, in a process of its own, the clients in this one,
on the same machine. First one client asks one question after another, each with another
history of 100 films and each answered with ten films and all their reasons; then fifty
clients ask at once for a minute. No question comes twice, so the cache never helps.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from time import perf_counter
from typing import NamedTuple

import numpy as np
import pandas as pd
import psutil

from xrec_utils import zoo
from xrec_utils.explain.many import explain_many
from xrec_utils.files import replace_text
from xrec_utils.metrics import top_k
from xrec_utils.paths import DATA, ROOT
from xrec_utils.processes import end, first_line

RESULT = DATA / "bench" / "service.csv"
FILMS, K, CLIENTS = 100, 10, 50
WARM = 20  # questions before the clock runs
PATIENCE = 120  # seconds without a byte after which a connection counts as lost


class Started(NamedTuple):
    """A running service: host and port as in an address, seconds from launch to ready,
    and its process.
    """

    address: str
    seconds: float
    process: subprocess.Popen[str]


@contextmanager
def started(port: str = "0") -> Iterator[Started]:
    """Start the service and end it at the end. Raises RuntimeError if it does not come
    up.
    """
    environment = {
        **os.environ,
        "PORT": port,
        "HOST": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
    }
    command, start = [sys.executable, "-m", "xrec_utils.service"], perf_counter()
    with subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE
    ) as process:
        try:
            line = first_line(process)
            if "http://" not in line:
                raise RuntimeError(
                    "the service did not start; its message stands above"
                )
            address = line.split("http://")[1].split()[0]
            yield Started(address, perf_counter() - start, process)
        finally:
            end(process)


def histories(n: int, seed: int = 0) -> list[np.ndarray]:
    """n different histories of 100 item codes: drawn from those of users who have more,
    in their order.
    """
    rng = np.random.default_rng(seed)
    long = [
        history
        for history in zoo.split().cases("test").histories
        if len(history) > FILMS
    ]
    users = rng.integers(len(long), size=n).tolist()
    return [
        long[user][np.sort(rng.permutation(len(long[user]))[:FILMS])] for user in users
    ]


def question(history: np.ndarray, model: str) -> bytes:
    """The body of POST /recommend."""
    ids = zoo.split().items["item"].to_numpy()[history].tolist()
    return json.dumps({"history": ids, "k": K, "model": model}).encode()


class Client:
    """One connection, kept open."""

    def __init__(self, address: str) -> None:
        self.connection = http.client.HTTPConnection(address, timeout=PATIENCE)

    def ask(self, body: bytes) -> tuple[float, bool]:
        """Seconds until the last byte of the answer, and whether it is whole, fresh and
        explained.
        """
        start = perf_counter()
        self.connection.request(
            "POST", "/recommend", body, {"Content-Type": "application/json"}
        )
        response = self.connection.getresponse()
        content, seconds = response.read(), perf_counter() - start
        answer = json.loads(content)
        whole = (
            response.status == 200
            and len(answer["recommendations"]) == K
            and not answer["cached"]
        )
        return seconds, whole and all(
            len(film["because"]["reasons"]) == FILMS
            for film in answer["recommendations"]
        )


def one_client(address: str, bodies: Sequence[bytes]) -> tuple[np.ndarray, int]:
    """Seconds of each answer, one after the other, and how many were wrong."""
    client = Client(address)
    seconds, right = zip(*(client.ask(body) for body in bodies), strict=True)
    return np.array(seconds), right.count(False)


def many_clients(
    address: str, bodies: Sequence[bytes], seconds: float, clients: int
) -> tuple[np.ndarray, int, float]:
    """Clients ask at once, without a pause, for `seconds` or until `bodies` are used
    up.

    Returns the seconds of each answer, the number of wrong answers and lost
    connections, and the time that all took.
    """
    taken, wrong, turn, start = [], [], count(), perf_counter()

    def run() -> None:
        client = Client(address)
        while (place := next(turn)) < len(bodies) and perf_counter() - start < seconds:
            try:
                spent, right = client.ask(bodies[place])
                (taken if right else wrong).append(spent)
            except (OSError, http.client.HTTPException, ValueError, KeyError):
                wrong.append(0.0)
                client = Client(address)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 2 * PATIENCE)
    return np.array(taken), len(wrong), perf_counter() - start


def stated_error(cases: Sequence[np.ndarray]) -> dict[str, float]:
    """The reasons of dae against the Fourier series, right to nine digits: how far
    apart, and what they state.
    """
    model, apart, stated = zoo.load("dae"), [], []
    for history in cases:
        items = top_k(model.score([history]), K, [history])[0]
        truth = explain_many(model, history, items, method="fourier")
        for found, true in zip(explain_many(model, history, items), truth, strict=True):
            size = np.linalg.norm(true.values)
            apart.append(np.linalg.norm(found.values - true.values) / size)
            stated.append(np.linalg.norm(found.error) / size)
    return {"relative error, median": float(np.median(apart)), "relative error, largest": float(max(apart)),
            "stated relative error, median": float(np.median(stated))}  # fmt: skip


def measure(seconds: float, asked: int, checked: int) -> pd.DataFrame:
    """Columns model, measure, value, after `asked` questions by one client and
    `checked` histories for the error.
    """
    rows = []
    drawn, many = (
        histories(2 * (asked + WARM)),
        histories(int(200 * seconds) + CLIENTS, seed=1),
    )
    with started() as service:
        rows.append(("all", "seconds to start", service.seconds))
        for part, model in enumerate(("ease", "dae")):
            bodies = [question(history, model) for history in drawn[part::2]]
            one_client(service.address, bodies[:WARM])
            times, wrong = one_client(service.address, bodies[WARM:])
            rows += [
                (model, "one client: questions", len(times)),
                (model, "one client: errors", wrong),
                (model, "one client: median ms", 1e3 * np.median(times)),
                (
                    model,
                    "one client: 99th percentile ms",
                    1e3 * np.quantile(times, 0.99),
                ),
            ]
        bodies = [
            question(history, ("ease", "dae")[n % 2]) for n, history in enumerate(many)
        ]
        times, wrong, whole = many_clients(service.address, bodies, seconds, CLIENTS)
        rows += [("ease and dae", f"{CLIENTS} clients: {name}", value) for name, value in (
            ("seconds", whole), ("questions", len(times) + wrong), ("errors", wrong),
            ("answers per second", len(times) / whole), ("median ms", 1e3 * np.median(times)),
            ("99th percentile ms", 1e3 * np.quantile(times, 0.99)))]  # fmt: skip
        memory = psutil.Process(service.process.pid).memory_info().rss
        rows.append(("all", "MB after all", memory / 2**20))
    rows += [
        ("dae", name, value)
        for name, value in stated_error(histories(checked, seed=2)).items()
    ]
    return pd.DataFrame(rows, columns=["model", "measure", "value"])


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m xrec_utils.bench_service", description=__doc__
    )
    parser.add_argument(
        "--seconds", type=float, default=60, help="how long the many clients ask"
    )
    parser.add_argument(
        "--questions",
        type=int,
        default=400,
        help="of the single client, for each model",
    )
    parser.add_argument(
        "--checked",
        type=int,
        default=10,
        help="histories whose reasons are compared with the truth",
    )
    chosen = parser.parse_args(arguments)
    table = measure(chosen.seconds, chosen.questions, chosen.checked)
    table["value"] = [float(f"{value:.4g}") for value in table["value"]]
    print(table.to_string(index=False))
    replace_text(RESULT, table.to_csv(index=False, lineterminator="\n"))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""One client or many: the service under load, from outside."""

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

from xrec_utils import zoo
from xrec_utils.files import ROOT
from xrec_utils.processes import end, first_line

FILMS = 100
K = 10
CLIENTS = 50
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
    start = perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "xrec_utils.service.http"],
        env={
            **os.environ,
            "PORT": port,
            "HOST": "127.0.0.1",
            "PYTHONPATH": str(ROOT),
        },
        text=True,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            line = first_line(process)
            if "http://" not in line:
                raise RuntimeError(
                    "the service did not start; its message stands above"
                )
            yield Started(
                line.split("http://")[1].split()[0],
                perf_counter() - start,
                process,
            )
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
    return json.dumps(
        {
            "history": zoo.split().items["item"].to_numpy()[history].tolist(),
            "k": K,
            "model": model,
        }
    ).encode()


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
        content = response.read()
        seconds = perf_counter() - start
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
    taken: list[float] = []
    wrong: list[float] = []
    turn = count()
    start = perf_counter()

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

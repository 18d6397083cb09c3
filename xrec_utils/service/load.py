"""One client or many: the service under load, from outside."""

import http.client
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from time import perf_counter

import numpy as np

from xrec_utils import zoo

FILMS = 100  # of each history, the most that the service takes
K = 10  # films asked for


def histories(n: int, seed: int = 0) -> list[np.ndarray]:
    """Draw different long histories from those of the test users.

    Args:
        n: how many.
        seed: of the draw.

    Returns:
        n arrays of 100 item codes, each from a user who has more, in the user's order.

    Example:
        >>> [history.shape for history in histories(2)]
        [(100,), (100,)]
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


def question(history: np.ndarray, model: str, k: int = K) -> bytes:
    """Write the body of POST /recommend.

    Args:
        history: (p,) item codes, oldest first.
        model: name of the model.
        k: films asked for.

    Returns:
        JSON with the films' MovieLens ids.

    Example:
        >>> asked = json.loads(question(np.array([0, 1]), "ease"))
        >>> asked["k"], asked["model"], len(asked["history"])
        (10, 'ease', 2)
    """
    return json.dumps(
        {
            "history": zoo.split().items["item"].to_numpy()[history].tolist(),
            "k": k,
            "model": model,
        }
    ).encode()


class Client:
    """One connection to a service, kept open.

    Args:
        address: host and port, as "127.0.0.1:8000".

    Example:
        >>> client = Client("127.0.0.1:8000")  # it connects when it first asks
        >>> client.connection.host, client.connection.port
        ('127.0.0.1', 8000)
    """

    def __init__(self, address: str) -> None:
        # two minutes without a byte: the connection counts as lost
        self.connection = http.client.HTTPConnection(address, timeout=120)

    def ask(self, body: bytes) -> tuple[float, bool]:
        """Ask, and measure the answer.

        Args:
            body: what `question` writes.

        Returns:
            Seconds until the last byte of the answer, and whether it is whole, fresh
            and explained.

        Raises:
            OSError: no service answers there.
            http.client.HTTPException: the connection broke.
        """
        start = perf_counter()
        self.connection.request(
            "POST", "/recommend", body, {"Content-Type": "application/json"}
        )
        response = self.connection.getresponse()
        content = response.read()
        # reading the JSON is the client's own work, so it is not counted
        seconds = perf_counter() - start
        answer = json.loads(content)
        return seconds, (
            response.status == 200
            and not answer["cached"]
            and len(answer["recommendations"]) == json.loads(body)["k"]
            and all(
                len(film["because"]["reasons"]) == FILMS
                for film in answer["recommendations"]
            )
        )


def many_clients(
    address: str, bodies: Sequence[bytes], seconds: float, clients: int
) -> tuple[np.ndarray, int, float]:
    """Let many clients ask at once, each without a pause.

    Args:
        address: host and port of the service.
        bodies: the questions; each is asked once.
        seconds: how long clients go on asking, if there are questions left.
        clients: how many there are.

    Returns:
        Seconds of each right answer, the number of wrong answers and lost connections,
        and the seconds that all took.

    Example:
        >>> times, wrong, _ = many_clients("127.0.0.1:8000", [], seconds=1, clients=2)
        >>> len(times), wrong
        (0, 0)
    """
    taken: list[float] = []
    wrong: list[float] = []
    # the next question; a counter in C needs no lock
    turn = count()
    start = perf_counter()

    def run(address: str) -> None:
        """Ask until questions or time are used up: one client, in a thread."""
        client = Client(address)
        while (place := next(turn)) < len(bodies) and perf_counter() - start < seconds:
            try:
                spent, right = client.ask(bodies[place])
                (taken if right else wrong).append(spent)
            except (OSError, http.client.HTTPException, ValueError, KeyError):
                wrong.append(0.0)
                # a broken connection cannot be used again
                client = Client(address)

    with ThreadPoolExecutor(clients) as threads:
        list(threads.map(run, [address] * clients))
    return np.array(taken), len(wrong), perf_counter() - start

"""What an explained recommendation costs over HTTP: `python -m
xrec_tools.bench.service` writes data/bench/service.csv.

The service runs as in `make serve`, in a process of its own, the clients in this one,
on the same machine. First one client asks one question after another, each with another
history of 100 films and each answered with ten films and all their reasons; then fifty
clients ask at once for a minute. No question comes twice, so the cache never helps.

Then /health is asked for, while fifty clients ask all models for a minute, and while
twenty ask questions of the heaviest kind (attention, 100 films, 50 recommended).
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter, sleep
from urllib.request import urlopen

import numpy as np
import pandas as pd
import psutil
from numpy.linalg import norm

from xrec_utils import zoo
from xrec_utils.contract import recommend
from xrec_utils.explain import explain_many
from xrec_utils.files import DATA, ROOT, replace_text
from xrec_utils.processes import end, first_line
from xrec_utils.service.core import MODELS
from xrec_utils.service.load import K, histories, many_clients, question

RESULT = DATA / "bench" / "service.csv"
CLIENTS = 50  # at once
HEAVY = 20  # questions of the heaviest kind, at once


@contextmanager
def started(port: str = "0") -> Iterator[tuple[str, float, subprocess.Popen[str]]]:
    """Start the service in a process of its own, and end it at the end of the block.

    Port "0" is any that is free. Yields the address, as "127.0.0.1:8000", the seconds
    from launch to ready, and the process. Raises RuntimeError if it does not come up;
    its own message stands in stderr.
    """
    start = perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "xrec_utils.service.http"],
        env=os.environ
        | {"PORT": port, "HOST": "127.0.0.1", "PYTHONPATH": str(ROOT)}
        | {"XREC_LOG": "WARNING"},
        text=True,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            # the service prints its address once it answers
            line = first_line(process)
            if "http://" not in line:
                raise RuntimeError(
                    "the service did not start; its message stands above"
                )
            yield line.split("http://")[1].split()[0], perf_counter() - start, process
        finally:
            end(process)


def figures(
    model: str, address: str, bodies: Sequence[bytes], seconds: float, clients: int
) -> list[tuple]:
    """What one client, or many at once, get from the service."""
    times, wrong, whole = many_clients(address, bodies, seconds, clients)
    found = {
        "seconds": whole,
        "questions": len(times) + wrong,
        "errors": wrong,
        "answers per second": len(times) / whole,
        "median ms": 1e3 * np.median(times),
        "99th percentile ms": 1e3 * np.quantile(times, 0.99),
    }
    who = {1: "one client"}.get(clients, f"{clients} clients")
    return [(model, f"{who}: {name}", value) for name, value in found.items()]


def health(address: str, seconds: float) -> list[float]:
    """Milliseconds of /health, asked twenty times a second, each time anew."""
    waits = []
    last = perf_counter() + seconds
    while (start := perf_counter()) < last:
        urlopen(f"http://{address}/health", timeout=60).read()
        waits.append(1e3 * (perf_counter() - start))
        sleep(0.05)
    return waits


def with_health(
    model: str, address: str, bodies: Sequence[bytes], seconds: float, clients: int
) -> list[tuple]:
    """What many clients get from the service, and what /health meanwhile takes."""
    with ThreadPoolExecutor(1) as beside:
        asked = beside.submit(health, address, seconds)
        rows = figures(model, address, bodies, seconds, clients)
    meanwhile = f"{clients} clients, /health meanwhile"
    return [
        *rows,
        (model, f"{meanwhile}: asked", len(asked.result())),
        (model, f"{meanwhile}: median ms", np.median(asked.result())),
        (
            model,
            f"{meanwhile}: 99th percentile ms",
            np.quantile(asked.result(), 0.99),
        ),
        (model, f"{meanwhile}: largest ms", max(asked.result())),
    ]


def health_under_load(address: str, seconds: float) -> list[tuple]:
    """/health while many clients ask all models, and while heavy questions wait."""
    drawn = histories(int(60 * seconds) + CLIENTS, seed=3)
    mixed = [question(each, MODELS[n % len(MODELS)]) for n, each in enumerate(drawn)]
    heavy = [question(each, "attention", k=50) for each in drawn]
    return [
        *with_health("six models", address, mixed, seconds, CLIENTS),
        *with_health("attention, 50 films", address, heavy, seconds, HEAVY),
    ]


def stated_error(cases: Sequence[np.ndarray]) -> dict[str, float]:
    """The reasons of dae against the Fourier series, right to eight digits: how far
    apart, and what they state.
    """
    model = zoo.load("dae")
    rows = []
    for history in cases:
        items = recommend(model, history, K)
        truth = explain_many(model, history, items, method="fourier")
        rows += [
            np.array([norm(found.values - true.values), norm(found.error)])
            / norm(true.values)
            for found, true in zip(
                explain_many(model, history, items), truth, strict=True
            )
        ]
    apart, stated = np.transpose(rows)
    return {
        "relative error, median": np.median(apart),
        "relative error, largest": apart.max(),
        "stated relative error, median": np.median(stated),
    }


def measure(seconds: float, asked: int, checked: int) -> list[tuple]:
    """Model, measure and value, after `asked` questions by one client and `checked`
    histories for the error.
    """
    drawn = histories(2 * asked + 40)
    many = histories(int(200 * seconds) + CLIENTS, seed=1)
    with started() as (address, loading, process):
        rows = [("all", "seconds to start", loading)]
        for part, model in enumerate(("ease", "dae")):
            bodies = [question(history, model) for history in drawn[part::2]]
            # twenty questions before the clock runs
            many_clients(address, bodies[:20], np.inf, clients=1)
            rows += figures(model, address, bodies[20:], np.inf, clients=1)
        bodies = [question(each, ("ease", "dae")[n % 2]) for n, each in enumerate(many)]
        rows += figures("ease and dae", address, bodies, seconds, CLIENTS)
        rows += health_under_load(address, seconds)
        used = psutil.Process(process.pid).memory_info().rss / 1e6
    return [
        *rows,
        ("all", "MB after all", used),
        *(("dae", *row) for row in stated_error(histories(checked, seed=2)).items()),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m xrec_tools.bench.service", description=__doc__
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
    table = pd.DataFrame(
        measure(chosen.seconds, chosen.questions, chosen.checked),
        columns=["model", "measure", "value"],
    )
    table["value"] = [float(f"{value:.4g}") for value in table["value"]]
    print(table.to_string(index=False))
    replace_text(RESULT, table.to_csv(index=False, lineterminator="\n"))
    return 0


if __name__ == "__main__":
    sys.exit(main())

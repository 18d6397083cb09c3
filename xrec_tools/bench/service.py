"""What an explained recommendation costs over HTTP: `python -m
xrec_tools.bench.service` writes data/bench/service.csv.

The service runs as in `make serve`, in a process of its own, the clients in this one,
on the same machine. First one client asks one question after another, each with another
history of 100 films and each answered with ten films and all their reasons; then fifty
clients ask at once for a minute. No question comes twice, so the cache never helps.
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd
import psutil

from xrec_utils import zoo
from xrec_utils.contract import recommend
from xrec_utils.explain import explain_many
from xrec_utils.files import DATA, replace_text
from xrec_utils.service.load import (
    CLIENTS,
    K,
    histories,
    many_clients,
    one_client,
    question,
    started,
)

RESULT = DATA / "bench" / "service.csv"
WARM = 20  # questions before the clock runs


def stated_error(cases: Sequence[np.ndarray]) -> dict[str, float]:
    """The reasons of dae against the Fourier series, right to nine digits: how far
    apart, and what they state.
    """
    model, apart, stated = zoo.load("dae"), [], []
    for history in cases:
        items = recommend(model, history, K)
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
        times, wrong, whole = many_clients(
            service.address,
            bodies,
            seconds,
            CLIENTS,
        )
        rows += [("ease and dae", f"{CLIENTS} clients: {name}", value) for name, value in (
            ("seconds", whole), ("questions", len(times) + wrong), ("errors", wrong),
            ("answers per second", len(times) / whole), ("median ms", 1e3 * np.median(times)),
            ("99th percentile ms", 1e3 * np.quantile(times, 0.99)))]  # fmt: skip
        rows.append(
            (
                "all",
                "MB after all",
                psutil.Process(service.process.pid).memory_info().rss / 1e6,
            )
        )
    rows += [
        ("dae", name, value)
        for name, value in stated_error(histories(checked, seed=2)).items()
    ]
    return pd.DataFrame(rows, columns=["model", "measure", "value"])


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
    table = measure(chosen.seconds, chosen.questions, chosen.checked)
    table["value"] = [float(f"{value:.4g}") for value in table["value"]]
    print(table.to_string(index=False))
    replace_text(RESULT, table.to_csv(index=False, lineterminator="\n"))
    return 0


if __name__ == "__main__":
    sys.exit(main())

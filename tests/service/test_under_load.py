"""The bench of the service: it asks what it says, counts what fails, and its error is
the one against the truth.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from serving import served, service
from xrec_tools.bench import service as bench
from xrec_utils.service import load
from xrec_utils.service.core import Cache


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    service().cache = Cache(8)
    with served() as url:
        yield url.removeprefix("http://")


def test_histories_are_long_different_and_the_same_next_time() -> None:
    found = load.histories(30)
    assert {len(history) for history in found} == {100} and all(
        len(set(history.tolist())) == 100 for history in found
    )
    assert len({history.tobytes() for history in found}) == 30
    np.testing.assert_array_equal(found, load.histories(30))
    assert not np.array_equal(found, load.histories(30, seed=1))


def test_one_client_times_answers_and_counts_wrong_ones(address: str) -> None:
    bodies = [load.question(history, "ease", k=3) for history in load.histories(3)]
    seconds, wrong, _ = load.many_clients(
        address, [*bodies, bodies[0]], seconds=60, clients=1
    )  # the last comes from the cache
    assert len(seconds) == 3 and (seconds > 0).all() and wrong == 1


def test_many_clients_ask_each_question_once(address: str) -> None:
    bodies = [load.question(history, "ease") for history in load.histories(12, seed=5)]
    seconds, wrong, whole = load.many_clients(address, bodies, seconds=60, clients=4)
    assert (len(seconds), wrong) == (12, 0) and whole >= seconds.max()


def test_refusals_and_lost_connections_are_errors(address: str) -> None:
    assert load.many_clients(address, [b"{}"] * 3, seconds=60, clients=2)[1] == 3
    assert load.many_clients("127.0.0.1:9", [b"{}"] * 3, seconds=60, clients=2)[1] == 3


def test_clients_stop_when_the_time_is_over(address: str) -> None:
    assert load.many_clients(address, [b"{}"] * 3, seconds=0, clients=2)[:2] == (
        pytest.approx([]),
        0,
    )


def test_the_table_holds_every_figure(
    address: str, monkeypatch: pytest.MonkeyPatch, tmp_path, capsys
) -> None:
    @contextmanager
    def here() -> Iterator[tuple[str, float, SimpleNamespace]]:
        # a service in this process; the real start is tested with README's command
        yield address, 1.0, SimpleNamespace(pid=os.getpid())

    monkeypatch.setattr(bench, "started", here)
    monkeypatch.setattr(bench, "CLIENTS", 2)
    monkeypatch.setattr(bench, "HEAVY", 3)
    monkeypatch.setattr(bench, "RESULT", tmp_path / "service.csv")
    assert bench.main(["--seconds", "0.5", "--questions", "3", "--checked", "1"]) == 0
    table = pd.read_csv(tmp_path / "service.csv").set_index(["model", "measure"])[
        "value"
    ]
    assert (
        table["ease", "one client: questions"]
        == table["dae", "one client: questions"]
        == 3
    )
    assert (
        table["ease", "one client: errors"]
        == table["ease and dae", "2 clients: errors"]
        == 0
    )
    assert (
        0
        < table["dae", "one client: median ms"]
        <= table["dae", "one client: 99th percentile ms"]
    )
    for model, clients in (("six models", 2), ("attention, 50 films", 3)):
        assert table[model, f"{clients} clients: errors"] == 0
        meanwhile = f"{clients} clients, /health meanwhile"
        assert table[model, f"{meanwhile}: asked"] >= 1
        assert table[model, f"{meanwhile}: largest ms"] > 0
    assert table["dae", "relative error, largest"] < 1e-4
    assert (
        table["dae", "relative error, median"]
        < table["dae", "stated relative error, median"]
        < 1e-2
    )
    assert "answers per second" in capsys.readouterr().out

"""The figures on the data card are those of the data."""

from __future__ import annotations

import pandas as pd
import pytest

from xrec_utils.data.load import k_core, load_movielens
from xrec_utils.data.order import in_time_order
from xrec_utils.data.splits import leave_last_out
from xrec_utils.files import DATA

CARD = " ".join(
    (DATA / "movielens-small" / "README.md").read_text(encoding="utf-8").split()
)


@pytest.fixture(scope="module")
def measured() -> dict[str, str]:
    """Sentences and table rows of the card, with the numbers measured anew."""
    data = load_movielens()
    events, core = data.interactions, k_core(data, 5)
    users, films = (
        events.groupby(key).size().sort_values(ascending=False)
        for key in ("user", "item")
    )
    span = events.groupby("user").time.agg(lambda times: times.max() - times.min())
    tied = events.duplicated(["user", "time"], keep=False).mean()
    largest = events.groupby(["user", "time"]).size().max()
    log = core.interactions
    last = (
        log[log.time == log.groupby("user").time.transform("max")]
        .groupby("user")
        .size()
    )
    first, second = (
        leave_last_out(core, seed).cases("test").targets for seed in (0, 1)
    )
    changed = sum(a[0] != b[0] for a, b in zip(first, second, strict=True)) / len(first)
    half = pd.to_datetime(events.time[events.value % 1 != 0].min(), unit="s")
    stars, long = events.value, span > 30 * 86_400
    return {
        "density": f"| {len(events) / (len(users) * len(films)):.2%} |",
        "users": f"| {users.min()}, {users.median():.0f}, {users.mean():.0f}, {users.max():,} |",
        "films": f"| {films.min()}, {films.median():.0f}, {films.mean():.0f}, {films.max()} |",
        "rare": f"| {(films == 1).mean():.0%}; {(films < 5).mean():.0%} |",
        "top": f"| {films[: len(films) // 10].sum() / len(events):.0%}; {users[:67].sum() / len(events):.0%} |",
        "stars": f"| {stars.mean():.2f}, {stars.median():.0f} |",
        "low": f"| {(stars < 3).mean():.1%}; {(stars >= 4).mean():.1%} |",
        "core": f"| {len(core.users)} users, {len(core.items):,} films, {len(log):,} ratings |",
        "span": f"spans {span.median() / 60:.0f} minutes ({span.median() / 60:.1f})",
        "long": f"{long.sum()} users ({long.mean():.0%}) span more than 30 days",
        "ties": f"{tied:.1%} of the rows share user and second with another row, in groups of up to {largest}",
        "last": f"For {(last > 1).sum()} of the {len(last)} users",
        "changed": f"{changed:.0%} of the test films change",
        "half": f"{half.day} {half:%B %Y}: before that",
        "genres": f"{(data.items.genres == '').sum()} films have",
        "bytes": f"{sum(path.stat().st_size for path in (DATA / 'movielens-small').glob('*.bz2')):,} bytes together",
    }


@pytest.mark.parametrize(
    "figure",
    [
        "density",
        "users",
        "films",
        "rare",
        "top",
        "stars",
        "low",
        "core",
        "span",
        "long",
        "ties",
        "last",
        "changed",
        "half",
        "genres",
        "bytes",
    ],
)
def test_a_figure_on_the_card(measured: dict[str, str], figure: str) -> None:
    assert measured[figure] in CARD


def test_a_quarter_of_the_users_took_less_than_a_quarter_of_an_hour() -> None:
    times = load_movielens().interactions.groupby("user").time
    assert (times.max() - times.min()).quantile(0.25) < 15 * 60


def test_file_order_gives_away_the_id_and_the_hash_does_not() -> None:
    """The leak the card warns of: among films rated in one second, file order is the
    order of the ids.
    """
    events = load_movielens().interactions
    tied = events[events.duplicated(["user", "time"], keep=False)]

    def share_ascending(table) -> float:
        same = (
            table[["user", "time"]].to_numpy()[1:]
            == table[["user", "time"]].to_numpy()[:-1]
        ).all(axis=1)
        return float(
            (table["item"].to_numpy()[1:] > table["item"].to_numpy()[:-1])[same].mean()
        )

    assert share_ascending(tied.sort_values(["user", "time"], kind="stable")) == 1
    assert abs(share_ascending(in_time_order(tied, 0)) - 0.5) < 0.02

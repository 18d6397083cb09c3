"""What the bench keeps: one row per run, rows per test user, and the settings tried.

Each file is written whole.
"""

import gzip
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from xrec_utils.files import DATA, replace_bytes

# The columns of the three files. A run's key says what was run; a run of a ranking
# protocol has no stars, one of the rmse protocol has no ranking: those cells are empty.
RANKING = ("ndcg@10", "hr@10", "precision@10", "recall@10", "map@10")
METRICS = (*RANKING, "rmse", "mae")
BY_USER = ("hr", "ndcg")
COST = ("fit_seconds", "score_seconds", "peak_mb")
KEY = ["dataset", "protocol", "model", "seed"]
COLUMNS = {
    "quality_runs.csv": [*KEY, "settings", "epochs", *COST, *METRICS],
    "quality_users.csv.gz": [*KEY, "user", *BY_USER],
    "tuning.csv": [
        "dataset",
        "protocol",
        "model",
        "settings",
        "validation_ndcg",
        "validation_rmse",
        "epochs",
        "best_epoch",
        "seconds",
    ],
}
RUNS, USERS, TUNING = COLUMNS


@dataclass(frozen=True)
class Task:
    """One run to make: its key and the model's settings.

    epochs: their number where it is fixed beforehand.
    """

    dataset: str
    protocol: str
    model: str
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)
    epochs: int | None = None

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What a run is stored under."""
        return self.dataset, self.protocol, self.model, self.seed

    def __str__(self) -> str:
        return f"{self.dataset} {self.protocol} {self.model} seed {self.seed}"


@dataclass(frozen=True, eq=False)
class Run:
    """One finished run: its task, epochs trained, cost and metrics.

    users: hr and ndcg by user, where the protocol stores them.
    """

    task: Task
    epochs: int
    cost: dict[str, float]
    metrics: dict[str, float]
    users: pd.DataFrame | None = None

    def row(self) -> dict[str, Any]:
        """The run as a row of quality_runs.csv."""
        row = asdict(self.task)
        row["settings"] = str(self.task.settings)
        # the epochs trained, not those that the task asked for
        row["epochs"] = self.epochs
        metrics = {name: round(value, 5) for name, value in self.metrics.items()}
        return row | self.cost | metrics


@dataclass(frozen=True)
class Store:
    """The folder of the bench's files."""

    folder: Path = DATA / "bench"

    def read(self, name: str, columns: Sequence[str] = ()) -> pd.DataFrame:
        """A file as a table; without rows if it is not there yet.

        columns: what it has then, for a file that COLUMNS does not list.
        """
        path = self.folder / name
        if path.exists():
            return pd.read_csv(path)
        return pd.DataFrame(columns=columns or COLUMNS[name])

    def write(self, name: str, table: pd.DataFrame) -> None:
        """Write a table whole."""
        self.folder.mkdir(parents=True, exist_ok=True)
        content = table.to_csv(index=False).encode()
        if name.endswith(".gz"):
            # without a time stamp, so that equal tables are equal files
            content = gzip.compress(content, mtime=0)
        replace_bytes(self.folder / name, content)

    def done(self) -> set[tuple]:
        """The keys of the stored runs."""
        return set(self.read(RUNS)[KEY].itertuples(index=False, name=None))

    def add(self, run: Run) -> None:
        """Store a finished run."""
        # users first: a run that is listed is then complete, even after a crash
        if run.users is not None:
            self._replace(
                USERS,
                run.users.reset_index()[["user", *BY_USER]]
                .assign(**dict(zip(KEY, run.task.key, strict=True)))
                .round(5),
                KEY,
            )
        self._replace(
            RUNS,
            pd.DataFrame([run.row()]),
            KEY,
        )

    def add_cost(self, run: Run) -> None:
        """Put what a repeated run cost into its stored row; the rest of it stays."""
        runs = self.read(RUNS)
        runs.loc[(runs[KEY] == list(run.task.key)).all(axis=1), list(COST)] = [
            run.cost[name] for name in COST
        ]
        self.write(RUNS, runs)

    def add_tuning(self, rows: list[dict[str, Any]]) -> None:
        """Store the settings tried for one model."""
        self._replace(
            TUNING,
            pd.DataFrame(rows),
            ["dataset", "protocol", "model"],
        )

    def _replace(self, name: str, rows: pd.DataFrame, key: list[str]) -> None:
        """Put rows in the place of those with the same key, all in the keys' order."""
        old = self.read(name)
        stale = old.set_index(key).index.isin(rows.set_index(key).index)
        table = pd.concat(
            # pandas warns of empty tables, and takes their columns' types into account
            [part for part in (old[~stale], rows) if len(part)],
            ignore_index=True,
        )
        table = table.sort_values(key, kind="stable", ignore_index=True)
        self.write(name, table.reindex(columns=COLUMNS[name]))

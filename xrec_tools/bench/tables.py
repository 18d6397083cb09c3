"""The tables that follow from the stored runs.

Quality, paired differences and versions, and all of them as Markdown.
"""

from datetime import date
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from platform import python_version
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from xrec_tools.bench.runs import BY_USER_PROTOCOLS
from xrec_tools.bench.store import COST, METRICS, RUNS, USERS, Store
from xrec_tools.markdown import table
from xrec_utils.files import replace_text
from xrec_utils.judge.comparisons import holm, paired_tests
from xrec_utils.metrics.intervals import Interval, mean_interval, paired_interval

GROUP = ["dataset", "protocol", "model"]
PACKAGES = (
    "tensorflow-cpu",
    "keras",
    "numpy",
    "pandas",
    "scipy",
    "scikit-learn",
    "implicit",
    "cornac",
)


def by_user(
    users: pd.DataFrame, group: tuple[str, str, str], metric: str
) -> pd.DataFrame:
    """A table (seeds, users) of one metric of one (data set, protocol, model).

    Users come in one order.
    """
    return (
        users.set_index(GROUP)
        .sort_index()
        .loc[group]
        .pivot(index="seed", columns="user", values=metric)
    )


def over_runs(values: pd.Series) -> Interval:
    """Mean over runs with different splits, and its 95% t interval.

    The ends are NaN for a single run.
    """
    mean = float(values.mean())
    n = len(values)
    if n < 2:
        return Interval(mean, np.nan, np.nan)
    half = stats.t.ppf(0.975, n - 1) * values.std() / n**0.5
    return Interval(mean, mean - half, mean + half)


def quality_table(runs: pd.DataFrame, users: pd.DataFrame) -> pd.DataFrame:
    """One row per data set, protocol, model and metric: mean, 95% interval and cost.

    Where rows by user are stored, the interval is a bootstrap over users of their mean
    over seeds; otherwise a t interval over the splits. Cost is the mean over the runs
    that have one.
    """
    rows = []
    for group, some in runs.groupby(GROUP):
        cost = some[list(COST)].mean().round(1).to_dict()
        for metric in METRICS:
            # no metric belongs to all protocols
            if some[metric].isna().all():
                continue
            if group[1] in BY_USER_PROTOCOLS:
                # (seeds, users)
                interval = mean_interval(
                    by_user(users, group, metric.removesuffix("@10")).to_numpy()
                )
            else:
                interval = over_runs(some[metric].dropna())
            rows.append(
                {
                    **dict(zip(GROUP, group, strict=True)),
                    "metric": metric,
                    **_ends(interval),
                    **cost,
                }
            )
    return pd.DataFrame(rows).round(4)


def _ends(interval: Interval) -> dict[str, float]:
    """An interval as three columns of a table."""
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}


def paired_table(users: pd.DataFrame) -> pd.DataFrame:
    """Differences paired by user, with 95% bootstrap intervals and Holm's p.

    They are every model minus EASE, and attention minus every other. Only seeds that
    both models have are compared. p is that of a sign-flip test over users; `p_holm`
    corrects it for all differences of the same metric, data set and protocol.
    """
    rows = []
    for (dataset, protocol), some in users.groupby(["dataset", "protocol"]):
        pairs = _pairs(set(some["model"]))
        for metric, (model, minus) in product(("hr", "ndcg"), pairs):
            # (seeds, users) of each
            one = by_user(users, (dataset, protocol, model), metric)
            other = by_user(users, (dataset, protocol, minus), metric)
            seeds = one.index.intersection(other.index)
            means = pd.DataFrame(
                {"one": one.loc[seeds].mean(), "other": other.loc[seeds].mean()}
            )
            rows.append(
                {
                    "dataset": dataset,
                    "protocol": protocol,
                    "model": model,
                    "minus": minus,
                    "metric": f"{metric}@10",
                    **_ends(
                        paired_interval(
                            one.loc[seeds].to_numpy(),
                            other.loc[seeds].to_numpy(),
                        )
                    ),
                    "users": one.shape[1],
                    "seeds": len(seeds),
                    "p": paired_tests(means).loc[0, "p"],
                }
            )
    table = pd.DataFrame(rows)
    table["p_holm"] = table.groupby(["dataset", "protocol", "metric"])["p"].transform(
        lambda p: holm(p.to_numpy())
    )
    return table.round(4)


def _pairs(models: set[str]) -> list[tuple[str, str]]:
    """Which models are compared, as (model, minus), in alphabetical order."""
    pairs = set()
    if "ease" in models:
        pairs |= {(model, "ease") for model in models - {"ease"}}
    if "attention" in models:
        pairs |= {("attention", other) for other in models - {"attention"}}
    return sorted(pairs)


def markdown(quality: pd.DataFrame, published: pd.DataFrame) -> str:
    """One Markdown table per data set and protocol, best first.

    The published rows stand among ours. Means of the metrics; the first one with its
    interval. Seconds and MB of a published row are empty, and so are those of runs
    which shared the machine with other work: both show as a dash.
    """
    parts = [
        "# Measured tables",
        "",
        "Made by `make bench` from `quality.csv` and `published.csv`.",
    ]
    for (dataset, protocol), some in quality.groupby(["dataset", "protocol"]):
        theirs = published.query("dataset == @dataset and protocol == @protocol")
        metrics = [name for name in METRICS if name in set(some["metric"])]
        lines = [
            _ours(
                model,
                rows,
                metrics,
            )
            for model, rows in some.groupby("model")
        ]
        lines += [_theirs(row, metrics) for row in theirs.to_dict("records")]
        # an error is best when it is small, all other metrics when they are large
        lines.sort(key=lambda line: line[0], reverse=metrics[0] != "rmse")
        header = ["model", *metrics, "fit, s", "score, s", "peak, MB"]
        rows = [cells for _, cells in lines]
        aligned = "l" + "r" * (len(header) - 1)
        parts += ["", f"## {dataset}, {protocol}", "", table(header, rows, aligned)]
        parts += [f"\nPublished rows: {source}" for source in theirs["source"].unique()]
    return "\n".join(parts) + "\n"


def _ours(
    model: str, rows: pd.DataFrame, metrics: list[str]
) -> tuple[float, list[str]]:
    """(value to sort by, cells) of a measured model."""
    by_metric = rows.set_index("metric")
    first = by_metric.loc[metrics[0]]
    values = [_number(by_metric["mean"].get(name), 4) for name in metrics]
    # a single run has no interval
    if np.isfinite(first["low"]):
        values[0] += f" [{first['low']:.4f}, {first['high']:.4f}]"
    digits = (1, 1, 0)
    cost = [
        _number(first[name], n)
        for name, n in zip(
            COST,
            digits,
            strict=True,
        )
    ]
    return first["mean"], [f"`{model}`", *values, *cost]


def _theirs(row: dict[str, Any], metrics: list[str]) -> tuple[float, list[str]]:
    """(value to sort by, cells) of a published row."""
    return row[metrics[0]], [
        f"{row['model']} (published)",
        *[_number(row.get(name), 4) for name in metrics],
        *(["–"] * len(COST)),
    ]


def _number(value: float | None, digits: int) -> str:
    """A number as a cell; a dash where there is none."""
    if value is None or not np.isfinite(value):
        return "–"
    return f"{value:,.{digits}f}"


def versions() -> pd.DataFrame:
    """The date, Python and packages of this machine.

    The cell of a package that is not installed is empty.
    """
    row = {"date": date.today().isoformat(), "python": python_version()}
    for package in PACKAGES:
        row[package] = _version(package)
    return pd.DataFrame([row])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def write_tables(store: Store, published: pd.DataFrame) -> None:
    """Write quality.csv, paired.csv, versions.csv and TABLES.md from the runs."""
    users = store.read(USERS)
    quality = quality_table(store.read(RUNS), users)
    store.write("quality.csv", quality)
    store.write("paired.csv", paired_table(users))
    store.write("versions.csv", versions())
    replace_text(store.folder / "TABLES.md", markdown(quality, published))

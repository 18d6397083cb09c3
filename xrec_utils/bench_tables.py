"""The tables that follow from the stored runs: quality, paired differences, versions,
and all of them as Markdown.
"""

from __future__ import annotations

from datetime import date
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from platform import python_version
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from xrec_utils.bench_runs import BY_USER_PROTOCOLS
from xrec_utils.bench_store import COST, METRICS, RUNS, USERS, Store
from xrec_utils.files import replace_text
from xrec_utils.metrics import Interval, mean_interval, paired_interval

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
    """A table (seeds, users) of one metric of one (data set, protocol, model), users in
    one order.
    """
    rows = users.set_index(GROUP).sort_index().loc[group]
    return rows.pivot(index="seed", columns="user", values=metric)


def over_runs(values: pd.Series) -> Interval:
    """Mean over runs with different splits and its 95% t interval; without ends for a
    single run.
    """
    mean, n = float(values.mean()), len(values)
    half = stats.t.ppf(0.975, n - 1) * values.std() / n**0.5 if n > 1 else np.nan
    return Interval(mean, mean - half, mean + half)


def quality_table(runs: pd.DataFrame, users: pd.DataFrame) -> pd.DataFrame:
    """One row per data set, protocol, model and metric: mean, 95% interval and cost.

    Where rows by user are stored, the interval is a bootstrap over users of their mean
    over seeds; otherwise a t interval over the splits. Cost is the mean over the runs
    that have one.
    """
    rows = []
    for group, some in runs.groupby(GROUP):
        for metric in (name for name in METRICS if some[name].notna().any()):
            if group[1] in BY_USER_PROTOCOLS:
                interval = mean_interval(
                    by_user(users, group, metric.removesuffix("@10")).to_numpy()
                )
            else:
                interval = over_runs(some[metric].dropna())
            rows.append(
                {
                    **dict(zip(GROUP, group, strict=True)),
                    "metric": metric,
                    "mean": interval.mean,
                    "low": interval.low,
                    "high": interval.high,
                    **some[list(COST)].mean().round(1).to_dict(),
                }
            )
    return pd.DataFrame(rows).round(4)


def paired_table(users: pd.DataFrame) -> pd.DataFrame:
    """Differences paired by user with 95% bootstrap intervals: every model minus EASE,
    attention minus every other.

    Only seeds that both models have are compared.
    """
    rows = []
    for (dataset, protocol), some in users.groupby(["dataset", "protocol"]):
        names = sorted(some["model"].unique())
        pairs = {(one, "ease") for one in names} | {
            ("attention", other) for other in names
        }
        known = sorted(
            pair for pair in pairs if set(pair) <= set(names) and pair[0] != pair[1]
        )
        for metric, (model, minus) in product(("hr", "ndcg"), known):
            a, b = (
                by_user(users, (dataset, protocol, name), metric)
                for name in (model, minus)
            )
            seeds = a.index.intersection(b.index)
            interval = paired_interval(a.loc[seeds].to_numpy(), b.loc[seeds].to_numpy())
            rows.append(
                {
                    "dataset": dataset,
                    "protocol": protocol,
                    "model": model,
                    "minus": minus,
                    "metric": f"{metric}@10",
                    "mean": interval.mean,
                    "low": interval.low,
                    "high": interval.high,
                    "users": a.shape[1],
                    "seeds": len(seeds),
                }
            )
    return pd.DataFrame(rows).round(4)


def markdown(quality: pd.DataFrame, published: pd.DataFrame) -> str:
    """One Markdown table per data set and protocol, best first, with the published rows
    among ours.

    Means of the metrics; the first one with its interval. Seconds and MB of a published
    row are empty, and so are those of runs which shared the machine with other work:
    both show as a dash.
    """
    parts = [
        "# Measured tables",
        "",
        "Made by `make bench` from `quality.csv` and `published.csv`.",
    ]
    for (dataset, protocol), some in quality.groupby(["dataset", "protocol"]):
        theirs = published.query("dataset == @dataset and protocol == @protocol")
        metrics = [name for name in METRICS if name in set(some["metric"])]
        lines = [_ours(model, rows, metrics) for model, rows in some.groupby("model")]
        lines += [_theirs(row, metrics) for row in theirs.to_dict("records")]
        lines.sort(key=lambda line: line[0], reverse=metrics[0] != "rmse")
        header = ["model", *metrics, "fit, s", "score, s", "peak, MB"]
        parts += [
            "",
            f"## {dataset}, {protocol}",
            "",
            _line(header),
            "|---|" + "--:|" * (len(header) - 1),
        ]
        parts += [_line(cells) for _, cells in lines]
        parts += [f"\nPublished rows: {source}" for source in theirs["source"].unique()]
    return "\n".join(parts) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _ours(
    model: str, rows: pd.DataFrame, metrics: list[str]
) -> tuple[float, list[str]]:
    """(value to sort by, cells) of a measured model."""
    by_metric = rows.set_index("metric")
    first = by_metric.loc[metrics[0]]
    ends = (
        f" [{first['low']:.4f}, {first['high']:.4f}]"
        if np.isfinite(first["low"])
        else ""
    )
    values = [_number(by_metric["mean"].get(name), 4) for name in metrics]
    cost = [
        _number(first[name], digits)
        for name, digits in zip(COST, (1, 1, 0), strict=True)
    ]
    return first["mean"], [f"`{model}`", values[0] + ends, *values[1:], *cost]


def _theirs(row: dict[str, Any], metrics: list[str]) -> tuple[float, list[str]]:
    """(value to sort by, cells) of a published row."""
    return row[metrics[0]], [
        f"{row['model']} (published)",
        *(_number(row.get(m), 4) for m in metrics),
        "–",
        "–",
        "–",
    ]


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None or not np.isfinite(value) else f"{value:,.{digits}f}"


def versions() -> pd.DataFrame:
    """The date, Python and packages of this machine; empty where a package is not
    installed.
    """
    return pd.DataFrame(
        [
            {
                "date": date.today().isoformat(),
                "python": python_version(),
                **{package: _version(package) for package in PACKAGES},
            }
        ]
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def write_tables(store: Store, published: pd.DataFrame) -> None:
    """Write quality.csv, paired.csv, versions.csv and TABLES.md from the stored runs."""
    users = store.read(USERS)
    quality = quality_table(store.read(RUNS), users)
    store.write("quality.csv", quality)
    store.write("paired.csv", paired_table(users))
    store.write("versions.csv", versions())
    replace_text(store.folder / "TABLES.md", markdown(quality, published))

"""What the benches of explanations say, as tables.

The race, all pairs, causes, leaderboard, questions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from xrec_tools import markdown
from xrec_tools.bench.store import Store
from xrec_utils.files import replace_text
from xrec_utils.metrics.intervals import mean_interval

TARGETS = (0.05, 0.02, 0.01)
ESTIMATOR = ["model", "players", "library", "method"]
TRUE = 3  # an error below so many times that of the truth cannot be told


def needed(rows: pd.DataFrame, targets: Sequence[float] = TARGETS) -> pd.DataFrame:
    """Scores and seconds that each estimator of the race needs for an error.

    They are read on logarithmic axes between two budgets that were measured, never
    beyond. low and high are those of the ends of the error's 95% interval, a bootstrap
    over users of their means over seeds; NaN where an end does not reach the error.
    `how` says what stands in the place of a number, or that the first budget did.
    """
    found = []
    for key, part in rows.groupby(ESTIMATOR, sort=False):
        curve = curve_of(part)
        told = TRUE * part["truth_error"].mean()
        last = curve.iloc[-1]
        for target in targets:
            costs = {
                "scores": _at(curve["error"], curve["asked"], target),
                # the low end of the error needs the fewest scores
                "low": _at(curve["low"], curve["asked"], target),
                "high": _at(curve["high"], curve["asked"], target),
                "seconds": _at(curve["error"], curve["seconds"], target),
            }
            how = "at most " if target >= curve["error"].iloc[0] else ""
            if target < told:
                costs = dict.fromkeys(costs, np.nan)
                how = "the truth's own error is too large"
            elif np.isnan(costs["scores"]):
                how = f"not by {last['asked']:,.0f}: {last['error']:.2g}"
            found.append(
                dict(zip(ESTIMATOR, key, strict=True))
                | {"target": target, **costs, "how": how}
            )
    return pd.DataFrame(found)


def curve_of(part: pd.DataFrame) -> pd.DataFrame:
    """One row for each budget of an estimator: asked, seconds, error, low and high.

    Means over seeds and users, and the error's 95% interval over users.
    """
    of = part.groupby("budget")
    errors = part.pivot_table(index="budget", columns="user", values="error")
    bands = [asdict(mean_interval(row)) for row in errors.to_numpy()]
    bands = pd.DataFrame(bands, errors.index).rename(columns={"mean": "error"})
    return of[["asked", "seconds"]].mean().join(bands)


def at_budgets(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each estimator and budget: `curve_of` with its names."""
    parts = rows.groupby(ESTIMATOR, sort=False)
    curves = {key: curve_of(part) for key, part in parts}
    return pd.concat(curves, names=ESTIMATOR).reset_index()


def _at(errors: pd.Series, costs: pd.Series, target: float) -> float:
    """The cost at which a curve of errors first comes down to a target, or NaN.

    At the first budget already: its cost, which is then an upper bound.
    """
    reached = np.flatnonzero(errors <= target)
    if not len(reached):
        return np.nan
    after = reached[0]
    two = slice(max(after - 1, 0), after + 1)
    # from the lower error up, as `interp` wants it
    x, y = np.log(errors.iloc[two])[::-1], np.log(costs.iloc[two])[::-1]
    return float(np.exp(np.interp(np.log(target), x, y)))


def needed_at_a_glance(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each estimator, one column for each error: scores, then seconds."""
    table = needed(rows)
    wide = table.assign(text=[needed_text(row) for row in table.itertuples()])
    wide = wide.pivot(index=ESTIMATOR, columns="target", values="text")
    # the largest error first: it is the easiest to reach
    return wide[sorted(wide, reverse=True)].rename(columns="error {:.0%}".format)


def beside_others(rows: pd.DataFrame) -> pd.DataFrame:
    """What our best black box needs for each error, beside the best of the libraries.

    times: how many times as much the best other needs; empty where one is not there, or
    both are at the first budget.
    """
    game = ["model", "players", "target"]
    names = [*game, *ESTIMATOR[2:], "how"]
    table = needed(rows).melt(names, ["scores", "seconds"], "of")
    first = table.dropna().sort_values("value", kind="stable")
    first = first.assign(method=first["library"] + ", " + first["method"])
    ours = first["library"] == "ours"
    both = [part.groupby([*game, "of"]).first() for part in (first[ours], first[~ours])]
    joined = both[0].join(both[1].add_suffix(" of others"), how="outer")
    joined = joined.drop(columns=["library", "library of others"])
    # both at the first budget: which needs fewer is not known
    known = (joined["how"] == "") | (joined["how of others"] == "")
    joined["times"] = (joined["value of others"] / joined["value"]).where(known)
    # the largest error first: it is the easiest to reach
    return joined.sort_index(ascending=[True, True, False, True]).reset_index()


def needed_text(row: Any) -> str:
    """What a row of `needed` says, in few words."""
    if np.isnan(row.scores):
        return row.how
    high = "more" if np.isnan(row.high) else f"{row.high:,.0f}"
    scores = f"{row.how}{row.scores:,.0f} [{row.low:,.0f}, {high}]"
    return f"{scores}, {row.seconds:.2g} s"


def planted(board: pd.DataFrame, measure: str = "planted found") -> pd.DataFrame:
    """A mark against the shop's truth: explainers x what was explained.

    Explained are the shop itself and models of its log.
    """
    return board[board["measure"] == measure].pivot_table(
        index="explainer", columns="model", values="mean"
    )


# name -> file, what makes its table
Parts = Mapping[str, tuple[str, Callable[[], pd.DataFrame]]]


def make_parts(parts: Parts, asked: Sequence[str], store: Store) -> None:
    """Make and store the tables of the parts asked for, or for none those missing.

    Raises:
        SystemExit: there is no part of a name; the message lists them.
    """
    if unknown := set(asked) - set(parts):
        names = ", ".join(sorted(unknown))
        raise SystemExit(f"unknown part {names}; choose from {', '.join(parts)}")
    if not asked:
        asked = [
            name
            for name, (file, _) in parts.items()
            if not (store.folder / file).exists()
        ]
    for name in asked:
        file, make = parts[name]
        store.write(file, make())
        print(f"{name}: stored in {store.folder / file}", flush=True)
    write_explanations(store)


def write_explanations(store: Store) -> None:
    """Write EXPLANATIONS.md from the tables that are stored, one section each."""
    parts = [
        "# Measured explanations",
        "",
        "Made by `make bench`; what was asked beforehand stands in "
        "[README.md](README.md).",
    ]
    for title, file, make in SECTIONS:
        path = store.folder / file
        if path.exists():
            parts += ["", f"## {title}", "", _markdown(make(pd.read_csv(path)))]
    replace_text(store.folder / "EXPLANATIONS.md", "\n".join(parts) + "\n")


def _markdown(table: pd.DataFrame) -> str:
    """A table as Markdown; an index that says something becomes columns."""
    if not isinstance(table.index, pd.RangeIndex):
        table = table.reset_index()
    rows = [map(_cell, line) for line in table.itertuples(index=False)]
    return markdown.table(table.columns, rows)


def _cell(value: object) -> str:
    """A value as the text of a cell: three digits, or whole thousands."""
    if not isinstance(value, float):
        return str(value)
    if np.isnan(value):
        return ""
    if abs(value) < 1000:
        return f"{value:.3g}"
    return f"{value:,.0f}"


def _same(table: pd.DataFrame) -> pd.DataFrame:
    return table


def _figures(table: pd.DataFrame) -> pd.DataFrame:
    """A table of one row as one of two columns."""
    return table.T.reset_index().set_axis(["figure", "value"], axis=1)


# (title, file, what makes the section's table from the file's)
SECTIONS = (
    (
        "Black boxes: scores (95% interval over users) and seconds for an error",
        "race.csv.gz",
        needed_at_a_glance,
    ),
    (
        "Black boxes: ours beside the best of the libraries",
        "race.csv.gz",
        beside_others,
    ),
    (
        "White boxes, which look inside the dae: every setting",
        "shapley.csv",
        at_budgets,
    ),
    ("All Shapley values of ML-100K on dae", "shapley_pairs.csv", _figures),
    (
        "Every model of the zoo by one call, and what shap makes of its network",
        "shapley_support.csv",
        _same,
    ),
    ("Influence of one rating on EASE", "influence.csv", _same),
    ("Counterfactual sets", "counterfactual.csv", _same),
    ("Shop: share of the true reasons found", "leaderboard.csv", planted),
    (
        "Shop: share of the history's effect on the purchase that goes "
        "with the purchases named",
        "leaderboard.csv",
        partial(planted, measure="planted effect gone"),
    ),
    ("Leaderboard over common models", "leaderboard_groups.csv", _same),
    ("The questions, answered", "leaderboard_tests.csv", _same),
    ("The questions, for each model alone", "leaderboard_models.csv", _same),
    ("Are explainers as good as each other?", "leaderboard_equal.csv", _same),
    ("The questions, for each training seed", "leaderboard_seeds.csv", _same),
)


def main() -> None:
    """Rewrite EXPLANATIONS.md."""
    write_explanations(Store())


if __name__ == "__main__":
    main()

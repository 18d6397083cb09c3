"""What the benches of explanations say, as tables.

Error at equal cost, all pairs, causes, leaderboard, questions.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from xrec_tools import markdown
from xrec_tools.bench.store import Store
from xrec_utils.files import replace_text

TARGETS = (0.1, 0.05, 0.01, 0.003, 0.001)
# A method whose best error is above this share of the error at its cheapest budget did
# not come down, and its curve is not prolonged.
STUCK = 0.7


def equal_error(
    curves: pd.DataFrame, targets: Sequence[float] = TARGETS
) -> pd.DataFrame:
    """Seconds and calls every method needs for an error, and how many times ours.

    The cheapest budget that reaches it counts; beyond the largest budget the 1/√budget
    law of sampling is applied to the best one and marked extrapolated. A method that
    did not come down with a larger budget gets no number.
    """
    rows = []
    of = ["model", "players", "library", "method"]
    for (model, players, library, method), part in curves.groupby(of):
        part = part.sort_values("seconds")
        for target in targets:
            seconds, calls, how = _needed(part, target)
            rows.append(
                {
                    "model": model,
                    "players": players,
                    "target": target,
                    "library": library,
                    "method": method,
                    "seconds": seconds,
                    "calls": calls,
                    "how": how,
                }
            )
    return _beside_ours(
        # closed rules ask for no scores: a ratio of calls would divide by zero
        pd.DataFrame(rows).replace({"calls": {0: np.nan}}),
    )


def _beside_ours(table: pd.DataFrame) -> pd.DataFrame:
    """The table with each row's cost as a multiple of our cheapest method's."""
    game = ["model", "players", "target"]
    best = (
        table[table["library"] == "ours"]
        .groupby(game)[["seconds", "calls"]]
        .min()
        .reset_index()
    )
    # one row of our best for each row of the table, in its order
    best = table[game].merge(best, on=game, how="left")
    return table.assign(
        times_slower=table["seconds"] / best["seconds"],
        times_calls=table["calls"] / best["calls"],
    )


def _needed(part: pd.DataFrame, target: float) -> tuple[float, float, str]:
    """(seconds, calls, how they are known) of one method for an error.

    part: its budgets, cheapest first.
    """
    reached = part[part["error"] <= target]
    if len(reached):
        return reached["seconds"].min(), reached["calls"].min(), "measured"
    best = part.loc[part["error"].idxmin()]
    if len(part) < 2 or best["error"] > STUCK * part["error"].iloc[0]:
        return np.nan, np.nan, "never"
    more = (best["error"] / target) ** 2
    return best["seconds"] * more, best["calls"] * more, "extrapolated"


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


def _fastest(curves: pd.DataFrame) -> pd.DataFrame:
    """Two cheapest methods of each library per game and error, and KernelExplainer."""
    table = equal_error(curves).dropna(subset="seconds")
    table = table.sort_values("seconds", kind="stable")
    place = table.groupby(["model", "players", "target", "library"]).cumcount()
    best = table[(place < 2) | table["method"].str.startswith("KernelExplainer")]
    order = ["model", "players", "target", "library", "seconds"]
    # the largest error first: it is the easiest to reach
    best = best.sort_values(order, ascending=[True, True, False, True, True])
    return best.reset_index(drop=True)


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
        "Seconds for an error (relative L2): "
        "two methods of each library and KernelExplainer",
        "shapley.csv",
        _fastest,
    ),
    ("Error against seconds, every setting", "shapley.csv", _same),
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

"""What the benches of explanations say, as tables: error at equal cost, all pairs,
causes, leaderboard, questions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from xrec_utils.bench_store import Store
from xrec_utils.files import replace_text

SHOWN = (
    *(
        "deletion",
        "insertion",
        "pos@10",
        "neg@10",
        "films until gone",
        "infidelity",
        "completeness gap",
    ),
    *(
        "Shapley error",
        "tau with Shapley",
        "stability",
        "sensitivity",
        "randomised weights",
        "sparsity",
        "seconds",
    ),
)
TARGETS = (0.1, 0.05, 0.01, 0.003, 0.001)


def equal_error(
    curves: pd.DataFrame, targets: Sequence[float] = TARGETS
) -> pd.DataFrame:
    """Seconds and calls every method needs for a given error, and how many times ours
    are fewer.

    The cheapest budget that reaches it counts; beyond the largest budget the 1/√budget
    law of sampling is applied to the best one and marked extrapolated. A method that
    did not come down with a larger budget gets no number.
    """
    rows = []
    for (model, players, library, method), part in curves.groupby(
        ["model", "players", "library", "method"]
    ):
        for target in targets:
            seconds, calls, how = _needed(part.sort_values("seconds"), target)
            rows.append({"model": model, "players": players, "target": target, "library": library, "method": method,
                         "seconds": seconds, "calls": calls, "how": how})  # fmt: skip
    table = pd.DataFrame(rows).replace(
        {"calls": {0: np.nan}}
    )  # closed rules ask for no scores
    keys = ["model", "players", "target"]
    best = table[table["library"] == "ours"].groupby(keys)[["seconds", "calls"]].min()
    ours = table[keys].merge(best.reset_index(), on=keys, how="left")
    return table.assign(
        times_slower=table["seconds"] / ours["seconds"],
        times_calls=table["calls"] / ours["calls"],
    )


def _needed(part: pd.DataFrame, target: float) -> tuple[float, float, str]:
    reached = part[part["error"] <= target]
    if not len(reached):
        best = part.loc[part["error"].idxmin()]
        if len(part) < 2 or best["error"] > 0.7 * part["error"].iloc[0]:
            return np.nan, np.nan, "never"
        more = (best["error"] / target) ** 2
        return best["seconds"] * more, best["calls"] * more, "extrapolated"
    return reached["seconds"].min(), reached["calls"].min(), "measured"


def leaderboard(board: pd.DataFrame, models: Sequence[str] = ()) -> pd.DataFrame:
    """Explainers x measures: the mean over the models (all of the zoo for none) on
    which the explainer works.
    """
    part = (
        board[board["model"].isin(models)]
        if models
        else board[~board["model"].str.startswith("shop")]
    )
    return part.pivot_table(
        index="explainer", columns="measure", values="mean"
    ).reindex(columns=list(SHOWN))


def planted(board: pd.DataFrame) -> pd.DataFrame:
    """Share of the shop's true reasons found, explainers x what was explained (the shop
    itself, models of its log).
    """
    part = board[board["measure"] == "planted found"]
    return part.pivot_table(index="explainer", columns="model", values="mean")


Parts = Mapping[
    str, tuple[str, Callable[[], pd.DataFrame]]
]  # name -> file, what makes its table


def make_parts(parts: Parts, asked: Sequence[str], store: Store) -> None:
    """Make the tables of the parts asked for, or for none those without a file; each is
    stored whole.

    Raises:
        SystemExit: there is no part of a name; the message lists them.
    """
    if unknown := set(asked) - set(parts):
        raise SystemExit(
            f"unknown part {', '.join(sorted(unknown))}; choose from {', '.join(parts)}"
        )
    for name in asked or [
        name for name, (file, _) in parts.items() if not (store.folder / file).exists()
    ]:
        file, make = parts[name]
        store.write(file, make())
        print(f"{name}: stored in {store.folder / file}", flush=True)
    write_explanations(store)


def write_explanations(store: Store) -> None:
    """Write EXPLANATIONS.md from the tables that are stored, one section each."""
    parts = [
        "# Measured explanations",
        "",
        "Made by `make bench`; what was asked beforehand stands in [README.md](README.md).",
    ]
    for title, file, make in SECTIONS:
        if (store.folder / file).exists():
            parts += [
                "",
                f"## {title}",
                "",
                _markdown(make(pd.read_csv(store.folder / file))),
            ]
    replace_text(store.folder / "EXPLANATIONS.md", "\n".join(parts) + "\n")


def _fastest(curves: pd.DataFrame) -> pd.DataFrame:
    """The two cheapest methods of each library for each game and target error, and
    KernelExplainer.
    """
    table = (
        equal_error(curves)
        .dropna(subset="seconds")
        .sort_values("seconds", kind="stable")
    )
    place = table.groupby(["model", "players", "target", "library"]).cumcount()
    best = table[(place < 2) | table["method"].str.startswith("KernelExplainer")]
    order = ["model", "players", "target", "library", "seconds"]
    return best.sort_values(
        order, ascending=[True, True, False, True, True]
    ).reset_index(drop=True)


def _markdown(table: pd.DataFrame) -> str:
    table = table if isinstance(table.index, pd.RangeIndex) else table.reset_index()
    lines = [
        table.columns,
        ["---"] * len(table.columns),
        *table.itertuples(index=False),
    ]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return (
            ""
            if np.isnan(value)
            else f"{value:.3g}"
            if abs(value) < 1000
            else f"{value:,.0f}"
        )
    return str(value)


def _same(table: pd.DataFrame) -> pd.DataFrame:
    return table


SECTIONS = (
    ("Seconds for an error (relative L2): two methods of each library and KernelExplainer", "shapley.csv", _fastest),
    ("Error against seconds, every setting", "shapley.csv", _same),
    ("All Shapley values of ML-100K on dae", "shapley_pairs.csv", lambda table: table.T.reset_index().set_axis(
        ["figure", "value"], axis=1)),
    ("Every model of the zoo by one call, and what shap makes of its network", "shapley_support.csv", _same),
    ("Influence of one rating on EASE", "influence.csv", _same),
    ("Counterfactual sets", "counterfactual.csv", _same),
    ("Leaderboard, mean over the models of the zoo", "leaderboard.csv", leaderboard),
    ("Shop: share of the true reasons found", "leaderboard.csv", planted),
    ("The questions, answered", "leaderboard_tests.csv", _same),
)  # fmt: skip


def main() -> None:
    """Rewrite EXPLANATIONS.md."""
    write_explanations(Store())


if __name__ == "__main__":
    main()

"""The tables that stand in README, made from the stored results."""

import pandas as pd

from xrec_tools.bench.explanations import TARGETS, at_budgets, needed, needed_text
from xrec_tools.bench.questions import MARKS
from xrec_tools.markdown import table
from xrec_utils.files import DATA


def results() -> str:
    """README's table of the benchmark, as markdown: NDCG@10 of each model."""
    paired = _ndcg("paired", "movielens-small", "leave-last-out")
    lead = paired[paired["minus"] == "ease"].set_index("model")
    rows = []
    for _, row in _ndcg("quality", "movielens-small", "leave-last-out").iterrows():
        name = row["model"]
        # EASE is not ahead of itself
        ahead = _interval(lead.loc[name]) if name in lead.index else ""
        p = f"{lead.loc[name, 'p_holm']:.3f}" if name in lead.index else ""
        rows.append([name, _interval(row), ahead, p, _seconds(row)])
    header = [
        "Model",
        "NDCG@10 [95% interval]",
        "Minus EASE, paired by user",
        "p (Holm)",
        "Fit, seconds",
    ]
    return table(header, rows, "lllrr")


def comparison() -> str:
    """README's table of ML-100K under the recommenders team's protocol, best first.

    It holds ours and theirs.
    """
    rows = []
    for _, row in _ndcg("quality", "ml-100k", "recommenders").iterrows():
        rows.append((row["mean"], [row["model"], _interval(row), _seconds(row)]))
    for _, row in _rows("published").query("protocol == 'recommenders'").iterrows():
        ndcg = row["ndcg@10"]
        rows.append((ndcg, [f"{row['model']} (published)", f"{ndcg:.3f}", ""]))
    best_first = [cells for _, cells in sorted(rows, reverse=True)]
    return table(["Model", "NDCG@10 [95% interval]", "Fit, seconds"], best_first, "llr")


# marks against the shop's truth, and what README calls them
OF_SHOP = {
    "planted found": "Shop's reasons found",
    "planted effect gone": "Effect on the purchase gone",
}


def explainers() -> str:
    """README's leaderboard: each group of common models, its best explainer first.

    Explainers of all models stand in the first group; Shapley values and chance are
    repeated in the others, to compare with. The last two columns explain the shop
    itself: the share of its reasons that was found, which are Shapley values, and the
    share of the effect on the purchase that goes with the purchases named, which is not.
    """
    itself = _rows("leaderboard").query("model == 'shop: itself'")
    in_shop = itself.assign(text=itself.apply(_interval, axis=1, digits=2)).pivot(
        index="explainer", columns="measure", values="text"
    )
    rows = []
    shown: set[str] = set()
    stored = _rows("leaderboard_groups")
    again = stored.query("measure == 'stability'")["users"].min()
    for label, group in stored.groupby("models", sort=False):
        marks = group.assign(text=group.apply(_interval, axis=1, digits=2)).pivot(
            index="explainer", columns="measure", values="text"
        )
        best_first = _best_first(group.query("measure == 'deletion'"))["explainer"]
        for name in best_first:
            if name in shown - {"Shapley (ours)", "random"}:
                continue
            cells = marks.loc[name].reindex(MARKS[:4]).fillna("–")
            of_shop = in_shop.loc[name, list(OF_SHOP)] if not shown else ("", "")
            rows.append([label, name, *cells, *of_shop])
        shown |= set(best_first)
    header = [
        "Models",
        "Explainer",
        "Deletion, share of possible",
        "Films until gone, share of history",
        "Error against Shapley",
        f"Jaccard of the top tens of two seeds, {again} users",
        *OF_SHOP.values(),
    ]
    return table(header, rows, "llrrrrrr")


def speed() -> str:
    """README's tables of cost at 100 films: white boxes on dae, then black boxes.

    White boxes have the setting of their smallest error, the best first; black boxes
    what they need for 5%, those of dae's fewest scores first.
    """
    # the Fourier series is the truth of the others
    white = at_budgets(_rows("shapley")).query(
        "players == 100 and method != 'Fourier series'"
    )
    best_first = white.sort_values("error", kind="stable")
    rows = [
        [f"{row.library}, {row.method}", f"{row.seconds:.3g}", f"{row.error:.1e}"]
        for row in best_first.drop_duplicates(["library", "method"]).itertuples()
    ]
    inside = table(["Looks inside dae", "Seconds", "Error"], rows, "lrr")
    found = needed(
        pd.read_csv(DATA / "bench" / "race.csv.gz").query("players == 100"), TARGETS[:1]
    )
    found = found.assign(text=[needed_text(row) for row in found.itertuples()])
    wide = found.pivot(index=["library", "method"], columns="model")
    wide = wide.sort_values([("scores", "dae"), ("scores", "gru")])["text"]
    rows = [[", ".join(of), *cells] for of, *cells in wide.fillna("–").itertuples()]
    outside = table(["Sees scores only; needs for 5%", *wide], rows)
    return f"{inside}\n\n{outside}"


def language() -> str:
    """README's table of the language model: who ranks twenty films best, best first."""
    found = (
        _rows("language").query("figure == 'NDCG@10'").rename(columns={"value": "mean"})
    )
    return table(
        ["Ranks 20 films for 200 people", "NDCG@10 [95% interval]"],
        [[row["of"], _interval(row)] for _, row in _best_first(found).iterrows()],
    )


def service() -> str:
    """README's table of the service: milliseconds of an answer of ten films.

    The answer holds all their reasons.
    """
    found = _rows("service").set_index(["model", "measure"])["value"].to_dict()
    header = [
        "Clients, model",
        "Median, ms",
        "99th percentile, ms",
        "Answers a second",
        "Errors",
    ]
    rows = []
    for model, who in (
        ("ease", "one client"),
        ("dae", "one client"),
        ("ease and dae", "50 clients"),
    ):
        median = found[model, f"{who}: median ms"]
        late = found[model, f"{who}: 99th percentile ms"]
        errors = found[model, f"{who}: errors"]
        # one client waits for each answer before it asks again
        rate = found.get((model, f"{who}: answers per second"), 1e3 / median)
        numbers = [f"{median:,.0f}", f"{late:,.0f}", f"{rate:.0f}", f"{errors:.0f}"]
        rows.append([f"{who}, {model}", *numbers])
    return table(header, rows, "lrrrr")


def _rows(name: str) -> pd.DataFrame:
    """The rows of a file of data/bench."""
    return pd.read_csv(DATA / "bench" / f"{name}.csv")


def _ndcg(name: str, dataset: str, protocol: str) -> pd.DataFrame:
    """The rows of NDCG@10 on a data set under a protocol, best first."""
    return _best_first(
        _rows(name)
        .query("metric == 'ndcg@10'")
        .query("dataset == @dataset and protocol == @protocol")
    )


def _best_first(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values("mean", ascending=False, kind="stable")


def _interval(row: pd.Series, digits: int = 3) -> str:
    mean, low, high = (f"{row[name]:.{digits}f}" for name in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def _seconds(row: pd.Series) -> str:
    seconds = row["fit_seconds"]
    return "not measured" if pd.isna(seconds) else f"{seconds:.1f}"

"""The tables that stand in README, made from the stored results."""

import csv

from xrec_tools.markdown import table
from xrec_utils.files import DATA


def results() -> str:
    """README's table of the benchmark, as markdown: NDCG@10 of each model."""
    wanted = ("movielens-small", "leave-last-out", "ease")
    lead = {}
    for row in _ndcg("paired"):
        if (row["dataset"], row["protocol"], row["minus"]) == wanted:
            lead[row["model"]] = row
    header = [
        "Model",
        "NDCG@10 [95% interval]",
        "Minus EASE, paired by user",
        "Fit, seconds",
    ]
    rows = []
    for row in _ranked("movielens-small", "leave-last-out"):
        name = row["model"]
        # EASE is not ahead of itself
        ahead = _interval(lead[name]) if name in lead else ""
        rows.append([name, _interval(row), ahead, _seconds(row)])
    return table(header, rows, "lllr")


def comparison() -> str:
    """README's table of ML-100K under the recommenders team's protocol, best first.

    It holds ours and theirs.
    """
    rows = []
    for row in _ranked("ml-100k", "recommenders"):
        cells = [row["model"], _interval(row), _seconds(row)]
        rows.append((float(row["mean"]), cells))
    for row in _rows("published"):
        if row["protocol"] == "recommenders":
            ndcg = float(row["ndcg@10"])
            rows.append((ndcg, [f"{row['model']} (published)", f"{ndcg:.3f}", ""]))
    best_first = [cells for _, cells in sorted(rows, reverse=True)]
    return table(["Model", "NDCG@10 [95% interval]", "Fit, seconds"], best_first, "llr")


# columns of README's leaderboard
MARKS = ("deletion", "films until gone", "Shapley error", "stability")


def explainers() -> str:
    """README's leaderboard: mean over the models of the zoo, best first.

    The last column is the share of the shop's own reasons that was found.
    """
    header = [
        "Explainer",
        "Deletion, share of possible",
        "Films until gone, share of history",
        "Error against Shapley",
        "Top ten kept under another seed",
        "Shop's true reasons found",
    ]
    board = []
    for name, marks in _marks_by_explainer().items():
        # some explainers were only tried in the shop
        if "deletion" in marks:
            board.append(
                (
                    name,
                    [
                        _mean(marks.get(measure))
                        for measure in (*MARKS, "shop: itself planted found")
                    ],
                )
            )
    rows = []
    for name, means in sorted(board, key=lambda line: -line[1][0]):
        rows.append([name, *("–" if mean is None else f"{mean:.2f}" for mean in means)])
    return table(header, rows, "lrrrrr")


def _marks_by_explainer() -> dict[str, dict[str, list[float]]]:
    """Explainer -> measure -> its mean on each model; the shop's measures are apart."""
    marks: dict[str, dict[str, list[float]]] = {}
    for row in _rows("leaderboard"):
        measure = row["measure"]
        if row["model"].startswith("shop"):
            measure = f"{row['model']} {measure}"
        marks.setdefault(row["explainer"], {}).setdefault(measure, []).append(
            float(row["mean"])
        )
    return marks


def _mean(values: list[float] | None) -> float | None:
    return sum(values) / len(values) if values else None


def speed() -> str:
    """README's table of cost at 100 films on dae: each method's best setting."""
    rows = []
    for row in _rows("shapley"):
        # the Fourier series is the truth of the others
        if row["method"] == "Fourier series":
            continue
        if (row["model"], row["players"]) == ("dae", "100"):
            rows.append(row)
    rows.sort(key=lambda row: float(row["error"]))
    shown = {}
    for row in rows:
        name = f"{row['library']}, {row['method']}"
        # rows come best first: a method's later ones are worse
        if name in shown:
            continue
        asked = f"{int(row['calls']):,}" if int(row["calls"]) else "–"
        seconds = float(row["seconds"])
        error = float(row["error"])
        shown[name] = [name, asked, f"{seconds:.3g}", f"{error:.1e}"]
    header = ["Library, method", "Scores asked", "Seconds", "Error"]
    return table(header, shown.values(), "lrrr")


def language() -> str:
    """README's table of the language model: who ranks twenty films best, best first."""
    rows = [row for row in _rows("language") if row["figure"] == "NDCG@10"]
    rows.sort(key=lambda row: -float(row["value"]))
    return table(
        ["Ranks 20 films for 200 people", "NDCG@10 [95% interval]"],
        [[row["of"], _interval({**row, "mean": row["value"]})] for row in rows],
    )


def service() -> str:
    """README's table of the service: milliseconds of an answer of ten films.

    The answer holds all their reasons.
    """
    found = {}
    for row in _rows("service"):
        found[row["model"], row["measure"]] = float(row["value"])
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


def _rows(name: str) -> list[dict[str, str]]:
    """The rows of a file of data/bench."""
    with (DATA / "bench" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _ndcg(name: str) -> list[dict[str, str]]:
    return [row for row in _rows(name) if row["metric"] == "ndcg@10"]


def _ranked(dataset: str, protocol: str) -> list[dict[str, str]]:
    """The measured models of a data set and protocol, best first."""
    rows = [row for row in _ndcg("quality") if row["dataset"] == dataset]
    rows = [row for row in rows if row["protocol"] == protocol]
    return sorted(rows, key=lambda row: -float(row["mean"]))


def _interval(row: dict[str, str]) -> str:
    mean = float(row["mean"])
    low = float(row["low"])
    high = float(row["high"])
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def _seconds(row: dict[str, str]) -> str:
    if not row["fit_seconds"]:
        return "not measured"
    return f"{float(row['fit_seconds']):.1f}"

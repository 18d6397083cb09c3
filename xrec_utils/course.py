"""The map of the course in one place.

README's table and the foot of every notebook are made from it. `python -m
xrec_utils.course` rewrites README's tables, of the notebooks and of the benchmark;
`make execute` rewrites the notebooks' titles and feet.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from xrec_utils.files import replace_text
from xrec_utils.paths import DATA, ROOT


def _marks(name: str) -> tuple[str, str]:
    """The comments in README before and after a table."""
    begin = f"<!-- {name}: begin (python -m xrec_utils.course) -->"
    return begin, f"<!-- {name}: end -->"


MAP = _marks("map")
RESULTS = _marks("results")
COMPARISON = _marks("comparison")
EXPLAINERS = _marks("explainers")
SPEED = _marks("speed")
LANGUAGE = _marks("language")
SERVICE = _marks("service")
FOOT = "**Previous:**"


@dataclass(frozen=True)
class Lesson:
    """A notebook in its place in the course.

    number: in reading order. line: what it teaches. rows: topics covered. minutes: of
    reading.
    """

    number: str
    file: str
    title: str
    line: str
    rows: str
    minutes: int

    @property
    def heading(self) -> str:
        """The first line of the notebook."""
        return f"# {self.number} · {self.title}"

    @property
    def link(self) -> str:
        """A markdown link from another notebook."""
        return f"[{self.number} · {self.title}]({self.file})"


LESSONS = (
    Lesson(
        "00",
        "00_start_here.ipynb",
        "Start here",
        "The whole story in five minutes: data, model, recommendation, reason, "
        "is it true? And the map",
        "",
        10,
    ),
    Lesson(
        "01",
        "01_data_preparation.ipynb",
        "Data preparation",
        "Load, check, clean, split and look at ratings, and what these ratings "
        "forbid you to claim",
        "1",
        45,
    ),
    Lesson(
        "02",
        "02_classic_recommenders.ipynb",
        "Classic recommenders",
        "Content, neighbours, factors, EASE and a hybrid: their reasons for "
        "free, and what sampled metrics hide",
        "2, 3, 15",
        60,
    ),
    Lesson(
        "03",
        "03_interpretable_models.ipynb",
        "Interpretable models",
        "Line, LASSO, tree, forest, boosting machine and Bayes: what their "
        "numbers say, and whether a deep model wins",
        "4, 17",
        60,
    ),
    Lesson(
        "04",
        "04_mlp_recommenders.ipynb",
        "MLP recommenders",
        "Two-branch MLP, feature MLP and embedding MLP, next to popularity and "
        "EASE in one table",
        "5, 6, 7, 30",
        60,
    ),
    Lesson(
        "05",
        "05_attention_recommenders.ipynb",
        "Attention recommenders",
        "Self-attention from the formula in NumPy to a trained sequence recommender",
        "8",
        60,
    ),
    Lesson(
        "06",
        "06_recurrent_and_variational.ipynb",
        "Recurrent and variational recommenders",
        "RNN and GRU by hand, the ELBO of one user, what a latent space holds, "
        "and who beats EASE",
        "9, 10",
        60,
    ),
    Lesson(
        "07",
        "07_context_and_policy.ipynb",
        "Context and policy",
        "Does the hour help? Then a shop to decide in: bandits, REINFORCE, and "
        "what an old log says of a new policy",
        "11, 12",
        60,
    ),
    Lesson(
        "08",
        "08_language_model_recommender.ipynb",
        "Language-model recommender",
        "Behaviour as text, three prompts, a small language model as ranker: "
        "its bias, its cure, and who beats it",
        "13",
        60,
    ),
    Lesson(
        "09",
        "09_weight_heatmaps.ipynb",
        "Weight heatmaps",
        "Weights, neurons, structure and decision paths: what they show and "
        "what they cannot",
        "16, 18, 23",
        60,
    ),
    Lesson(
        "10",
        "10_lime_and_shap.ipynb",
        "LIME and SHAP",
        "Both methods from scratch, then by the libraries; one row, all rows, "
        "and a leak they find",
        "17, 19, 20",
        75,
    ),
    Lesson(
        "11",
        "11_why_this_film.ipynb",
        "Why this film?",
        "Shapley values of your own history: exact where a formula exists, "
        "fast elsewhere, each with its error",
        "20",
        60,
    ),
    Lesson(
        "12",
        "12_attention_on_trial.ipynb",
        "Attention on trial",
        "Attention maps beside gradients and exact Shapley values: permuted, "
        "replaced, and asked to confess",
        "21",
        60,
    ),
    Lesson(
        "13",
        "13_contrast_and_counterfactual.ipynb",
        "Contrast and counterfactual",
        "Why this and not that, what would have changed it, and which rating "
        "taught it to the model",
        "22",
        60,
    ),
    Lesson(
        "14",
        "14_explaining_language_models.ipynb",
        "Explaining language models",
        "Words, lines, gradients and attention of one prompt, and whether the "
        "model's own reason holds",
        "19, 20",
        60,
    ),
    Lesson(
        "15",
        "15_judging_explanations.ipynb",
        "Judging explanations",
        "Truth, faithfulness, stability, agreement and cost; the leaderboard, "
        "a failure gallery, and asking people",
        "26",
        75,
    ),
    Lesson(
        "19",
        "19_serving_explanations.ipynb",
        "Serving explanations",
        "A web service that answers with reasons: its latency budget, what to "
        "cache and what to compute beforehand",
        "14, 18, 31",
        45,
    ),
)


def lesson_of(file: str) -> Lesson:
    """The lesson in a notebook file, found by the file's name.

    Raises:
        KeyError: the map does not list the file.
    """
    for lesson in LESSONS:
        if lesson.file == Path(file).name:
            return lesson
    raise KeyError(
        f"{Path(file).name} is not in the map of xrec_utils/course.py: "
        "add a Lesson for it"
    )


def foot(lesson: Lesson) -> str:
    """The last cell of a notebook: the way back, the map, the way on."""
    place = LESSONS.index(lesson)
    before = "none, this is the first"
    if place > 0:
        before = LESSONS[place - 1].link
    after = "none yet, this is the last"
    if place + 1 < len(LESSONS):
        after = LESSONS[place + 1].link
    home = "[README](../README.md#the-notebooks)"
    return f"{FOOT} {before} · **Map:** {home} · **Next:** {after}"


def table() -> str:
    """README's table of the notebooks, as markdown."""
    lines = ["| Notebook | What you learn | Minutes |", "|---|---|---:|"]
    for lesson in LESSONS:
        link = f"[{lesson.number} · {lesson.title}](notebooks/{lesson.file})"
        lines.append(f"| {link} | {lesson.line} | {lesson.minutes} |")
    return "\n".join(lines)


def results() -> str:
    """README's table of the benchmark, as markdown: NDCG@10 of each model."""
    wanted = ("movielens-small", "leave-last-out", "ease")
    lead = {}
    for row in _ndcg("paired"):
        if (row["dataset"], row["protocol"], row["minus"]) == wanted:
            lead[row["model"]] = row
    lines = [
        "| Model | NDCG@10 [95% interval] | Minus EASE, paired by user | Fit, "
        "seconds |",
        "|---|---|---|---:|",
    ]
    for row in _ranked("movielens-small", "leave-last-out"):
        name = row["model"]
        # EASE is not ahead of itself
        ahead = _interval(lead[name]) if name in lead else ""
        lines.append(f"| {name} | {_interval(row)} | {ahead} | {_seconds(row)} |")
    return "\n".join(lines)


def comparison() -> str:
    """README's table of ML-100K under the recommenders team's protocol, best first.

    It holds ours and theirs.
    """
    rows = []
    for row in _ranked("ml-100k", "recommenders"):
        cells = f"{row['model']} | {_interval(row)} | {_seconds(row)}"
        rows.append((float(row["mean"]), cells))
    for row in _rows("published"):
        if row["protocol"] == "recommenders":
            ndcg = float(row["ndcg@10"])
            rows.append((ndcg, f"{row['model']} (published) | {ndcg:.3f} | "))
    lines = ["| Model | NDCG@10 [95% interval] | Fit, seconds |", "|---|---|---:|"]
    for _, cells in sorted(rows, reverse=True):
        lines.append(f"| {cells} |")
    return "\n".join(lines)


# columns of README's leaderboard
MARKS = ("deletion", "films until gone", "Shapley error", "stability")


def explainers() -> str:
    """README's leaderboard: mean over the models of the zoo, best first.

    The last column is the share of the shop's own reasons that was found.
    """
    lines = [
        "| Explainer | Deletion, share of possible "
        "| Films until gone, share of history | Error against Shapley "
        "| Top ten kept under another seed "
        "| Shop's true reasons found |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    board = []
    for name, marks in _marks_by_explainer().items():
        # some explainers were only tried in the shop
        if "deletion" in marks:
            wanted = (*MARKS, "shop: itself planted found")
            board.append((name, [_mean(marks.get(measure)) for measure in wanted]))
    for name, means in sorted(board, key=lambda line: -line[1][0]):
        cells = ["–" if mean is None else f"{mean:.2f}" for mean in means]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _marks_by_explainer() -> dict[str, dict[str, list[float]]]:
    """Explainer -> measure -> its mean on each model; the shop's measures are apart."""
    marks: dict[str, dict[str, list[float]]] = {}
    for row in _rows("leaderboard"):
        measure = row["measure"]
        if row["model"].startswith("shop"):
            measure = f"{row['model']} {measure}"
        of_explainer = marks.setdefault(row["explainer"], {})
        of_explainer.setdefault(measure, []).append(float(row["mean"]))
    return marks


def _mean(values: list[float] | None) -> float | None:
    return sum(values) / len(values) if values else None


def speed() -> str:
    """README's table of cost at 100 films on dae: each method's best setting."""
    lines = [
        "| Library, method | Scores asked | Seconds | Error |",
        "|---|--:|--:|--:|",
    ]
    rows = []
    for row in _rows("shapley"):
        # the Fourier series is the truth of the others
        if row["method"] == "Fourier series":
            continue
        if (row["model"], row["players"]) == ("dae", "100"):
            rows.append(row)
    rows.sort(key=lambda row: float(row["error"]))
    shown = set()
    for row in rows:
        name = f"{row['library']}, {row['method']}"
        # rows come best first: a method's later ones are worse
        if name in shown:
            continue
        shown.add(name)
        asked = f"{int(row['calls']):,}" if int(row["calls"]) else "–"
        seconds = float(row["seconds"])
        error = float(row["error"])
        lines.append(f"| {name} | {asked} | {seconds:.3g} | {error:.1e} |")
    return "\n".join(lines)


def language() -> str:
    """README's table of the language model: who ranks twenty films best, best first."""
    rows = [row for row in _rows("language") if row["figure"] == "NDCG@10"]
    lines = ["| Ranks 20 films for 200 people | NDCG@10 [95% interval] |", "|---|---|"]
    for row in sorted(rows, key=lambda row: -float(row["value"])):
        interval = _interval({**row, "mean": row["value"]})
        lines.append(f"| {row['of']} | {interval} |")
    return "\n".join(lines)


def service() -> str:
    """README's table of the service: milliseconds of an answer of ten films.

    The answer holds all their reasons.
    """
    found = {}
    for row in _rows("service"):
        found[row["model"], row["measure"]] = float(row["value"])
    lines = [
        "| Clients, model | Median, ms | 99th percentile, ms | Answers a "
        "second | Errors |",
        "|---|--:|--:|--:|--:|",
    ]
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
        cells = f"{median:,.0f} | {late:,.0f} | {rate:.0f} | {errors:.0f}"
        lines.append(f"| {who}, {model} | {cells} |")
    return "\n".join(lines)


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


def with_tables(readme: str) -> str:
    """README's text with all tables between their marks replaced.

    Raises:
        ValueError: the marks are missing.
    """
    tables = {
        MAP: table,
        RESULTS: results,
        COMPARISON: comparison,
        EXPLAINERS: explainers,
        SPEED: speed,
        LANGUAGE: language,
        SERVICE: service,
    }
    for marks, make in tables.items():
        readme = _between(readme, marks, make())
    return readme


def _between(readme: str, marks: tuple[str, str], text: str) -> str:
    """README's text with what stands between two marks replaced."""
    begin, end = marks
    head, found, rest = readme.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(
            f"README.md has lost the marks of a table: put {begin} and {end} back"
        )
    return f"{head}{begin}\n{text}\n{end}{tail}"


def main(root: Path = ROOT) -> None:
    """Rewrite README's tables."""
    readme = root / "README.md"
    replace_text(readme, with_tables(readme.read_text(encoding="utf-8")))
    print("README.md: map and results rewritten.")


if __name__ == "__main__":
    main()

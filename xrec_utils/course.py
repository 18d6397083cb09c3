"""The map of the course in one place: README's table and the foot of every notebook are
made from it.

`python -m xrec_utils.course` rewrites README's tables, of the notebooks and of the
benchmark; `make execute` rewrites the notebooks' titles and feet.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from xrec_utils.files import replace_text
from xrec_utils.paths import DATA, ROOT

MAP, RESULTS, COMPARISON, EXPLAINERS, SPEED, LANGUAGE, SERVICE = (
    (f"<!-- {name}: begin (python -m xrec_utils.course) -->", f"<!-- {name}: end -->")
    for name in (
        "map",
        "results",
        "comparison",
        "explainers",
        "speed",
        "language",
        "service",
    )
)
FOOT = "**Previous:**"


@dataclass(frozen=True)
class Lesson:
    """A notebook: number in reading order, file, title, what it teaches, topics
    covered, reading minutes.
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
        "The whole story in five minutes: data, model, recommendation, reason, is it true? And the map",
        "",
        10,
    ),
    Lesson(
        "01",
        "01_data_preparation.ipynb",
        "Data preparation",
        "Load, check, clean, split and look at ratings, and what these ratings forbid you to claim",
        "1",
        45,
    ),
    Lesson(
        "02",
        "02_classic_recommenders.ipynb",
        "Classic recommenders",
        "Content, neighbours, factors, EASE and a hybrid: their reasons for free, and what sampled metrics hide",
        "2, 3, 15",
        60,
    ),
    Lesson(
        "03",
        "03_interpretable_models.ipynb",
        "Interpretable models",
        "Line, LASSO, tree, forest, boosting machine and Bayes: what their numbers say, and whether a deep model wins",
        "4, 17",
        60,
    ),
    Lesson(
        "04",
        "04_mlp_recommenders.ipynb",
        "MLP recommenders",
        "Two-branch MLP, feature MLP and embedding MLP, next to popularity and EASE in one table",
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
        "RNN and GRU by hand, the ELBO of one user, what a latent space holds, and who beats EASE",
        "9, 10",
        60,
    ),
    Lesson(
        "07",
        "07_context_and_policy.ipynb",
        "Context and policy",
        "Does the hour help? Then a shop to decide in: bandits, REINFORCE, and what an old log says of a new policy",
        "11, 12",
        60,
    ),
    Lesson(
        "08",
        "08_language_model_recommender.ipynb",
        "Language-model recommender",
        "Behaviour as text, three prompts, a small language model as ranker: its bias, its cure, and who beats it",
        "13",
        60,
    ),
    Lesson(
        "09",
        "09_weight_heatmaps.ipynb",
        "Weight heatmaps",
        "Weights, neurons, structure and decision paths: what they show and what they cannot",
        "16, 18, 23",
        60,
    ),
    Lesson(
        "10",
        "10_lime_and_shap.ipynb",
        "LIME and SHAP",
        "Both methods from scratch, then by the libraries; one row, all rows, and a leak they find",
        "17, 19, 20",
        75,
    ),
    Lesson(
        "11",
        "11_why_this_film.ipynb",
        "Why this film?",
        "Shapley values of your own history: exact where a formula exists, fast elsewhere, each with its error",
        "20",
        60,
    ),
    Lesson(
        "12",
        "12_attention_on_trial.ipynb",
        "Attention on trial",
        "Attention maps beside gradients and exact Shapley values: permuted, replaced, and asked to confess",
        "21",
        60,
    ),
    Lesson(
        "13",
        "13_contrast_and_counterfactual.ipynb",
        "Contrast and counterfactual",
        "Why this and not that, what would have changed it, and which rating taught it to the model",
        "22",
        60,
    ),
    Lesson(
        "14",
        "14_explaining_language_models.ipynb",
        "Explaining language models",
        "Words, lines, gradients and attention of one prompt, and whether the model's own reason holds",
        "19, 20",
        60,
    ),
    Lesson(
        "15",
        "15_judging_explanations.ipynb",
        "Judging explanations",
        "Truth, faithfulness, stability, agreement and cost; the leaderboard, a failure gallery, and asking people",
        "26",
        75,
    ),
    Lesson(
        "19",
        "19_serving_explanations.ipynb",
        "Serving explanations",
        "A web service that answers with reasons: its latency budget, what to cache and what to compute beforehand",
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
        f"{Path(file).name} is not in the map of xrec_utils/course.py: add a Lesson for it"
    )


def foot(lesson: Lesson) -> str:
    """The last cell of a notebook: the way back, the map, the way on."""
    place = LESSONS.index(lesson)
    before = LESSONS[place - 1].link if place else "none, this is the first"
    after = (
        LESSONS[place + 1].link
        if place + 1 < len(LESSONS)
        else "none yet, this is the last"
    )
    return f"{FOOT} {before} · **Map:** [README](../README.md#the-notebooks) · **Next:** {after}"


def table() -> str:
    """README's table of the notebooks, as markdown."""
    rows = [
        f"| [{lesson.number} · {lesson.title}](notebooks/{lesson.file}) | {lesson.line} | {lesson.minutes} |"
        for lesson in LESSONS
    ]
    return "\n".join(
        ["| Notebook | What you learn | Minutes |", "|---|---|---:|", *rows]
    )


def results() -> str:
    """README's tables of the benchmark, as markdown: NDCG@10 of each model, from
    data/bench.
    """
    small = _ranked("movielens-small", "leave-last-out")
    wanted = ("movielens-small", "leave-last-out", "ease")
    lead = {
        row["model"]: row
        for row in _ndcg("paired")
        if (row["dataset"], row["protocol"], row["minus"]) == wanted
    }
    lines = [
        "| Model | NDCG@10 [95% interval] | Minus EASE, paired by user | Fit, seconds |",
        "|---|---|---|---:|",
    ]
    for row in small:
        ahead = _interval(lead[row["model"]]) if row["model"] in lead else ""
        lines.append(
            f"| {row['model']} | {_interval(row)} | {ahead} | {_seconds(row)} |"
        )
    return "\n".join(lines)


def comparison() -> str:
    """README's table of ML-100K under the recommenders team's protocol: ours and
    theirs, best first.
    """
    ours = [
        (float(row["mean"]), f"{row['model']} | {_interval(row)} | {_seconds(row)}")
        for row in _ranked("ml-100k", "recommenders")
    ]
    theirs = [
        (
            float(row["ndcg@10"]),
            f"{row['model']} (published) | {float(row['ndcg@10']):.3f} | ",
        )
        for row in _rows("published")
        if row["protocol"] == "recommenders"
    ]
    lines = ["| Model | NDCG@10 [95% interval] | Fit, seconds |", "|---|---|---:|"]
    return "\n".join(
        [*lines, *(f"| {cells} |" for _, cells in sorted(ours + theirs, reverse=True))]
    )


MARKS = (
    "deletion",
    "films until gone",
    "Shapley error",
    "stability",
)  # columns of README's leaderboard


def explainers() -> str:
    """README's leaderboard: mean over the models of the zoo, and the share of the
    shop's own reasons that was found.
    """
    rows, marks = _rows("leaderboard"), {}
    for row in rows:
        measure = (
            row["measure"]
            if not row["model"].startswith("shop")
            else f"{row['model']} {row['measure']}"
        )
        marks.setdefault(row["explainer"], {}).setdefault(measure, []).append(
            float(row["mean"])
        )
    wanted = (*MARKS, "shop: itself planted found")
    board = {
        name: [sum(found[m]) / len(found[m]) if m in found else None for m in wanted]
        for name, found in marks.items()
        if "deletion" in found
    }
    lines = [
        "| Explainer | Deletion, share of possible | Films until gone, share of history | Error against Shapley "
        "| Top ten kept under another seed | Shop's true reasons found |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, values in sorted(board.items(), key=lambda pair: -pair[1][0]):
        lines.append(
            f"| {name} | {' | '.join('–' if v is None else f'{v:.2f}' for v in values)} |"
        )
    return "\n".join(lines)


def speed() -> str:
    """README's table of cost at 100 films on dae: each library's best method for a few
    errors.
    """
    rows = [
        row
        for row in _rows("shapley")
        if (row["model"], row["players"]) == ("dae", "100")
    ]
    rows = [
        row for row in rows if row["method"] != "Fourier series"
    ]  # the truth of the others
    lines = [
        "| Library, method | Scores asked | Seconds | Error |",
        "|---|--:|--:|--:|",
    ]
    best = {}
    for row in sorted(rows, key=lambda row: float(row["error"])):
        best.setdefault((row["library"], row["method"]), row)
    for (library, method), row in best.items():
        asked = f"{int(row['calls']):,}" if int(row["calls"]) else "–"
        lines.append(
            f"| {library}, {method} | {asked} | {float(row['seconds']):.3g} | {float(row['error']):.1e} |"
        )
    return "\n".join(lines)


def language() -> str:
    """README's table of the language model: who ranks twenty films best, best first."""
    rows = [row for row in _rows("language") if row["figure"] == "NDCG@10"]
    lines = ["| Ranks 20 films for 200 people | NDCG@10 [95% interval] |", "|---|---|"]
    for row in sorted(rows, key=lambda row: -float(row["value"])):
        lines.append(f"| {row['of']} | {_interval({'mean': row['value'], **row})} |")
    return "\n".join(lines)


def service() -> str:
    """README's table of the service: milliseconds of an answer with ten films and all
    their reasons.
    """
    found = {
        (row["model"], row["measure"]): float(row["value"]) for row in _rows("service")
    }
    lines = [
        "| Clients, model | Median, ms | 99th percentile, ms | Answers a second | Errors |",
        "|---|--:|--:|--:|--:|",
    ]
    for model, who in (
        ("ease", "one client"),
        ("dae", "one client"),
        ("ease and dae", "50 clients"),
    ):
        wanted = ("median ms", "99th percentile ms", "errors")
        median, late, errors = (found[model, f"{who}: {what}"] for what in wanted)
        each = found.get((model, f"{who}: answers per second"), 1e3 / median)
        lines.append(
            f"| {who}, {model} | {median:,.0f} | {late:,.0f} | {each:.0f} | {errors:.0f} |"
        )
    return "\n".join(lines)


def _rows(name: str) -> list[dict[str, str]]:
    with (DATA / "bench" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _ndcg(name: str) -> list[dict[str, str]]:
    return [row for row in _rows(name) if row["metric"] == "ndcg@10"]


def _ranked(dataset: str, protocol: str) -> list[dict[str, str]]:
    """The measured models of a data set and protocol, best first."""
    rows = [
        row
        for row in _ndcg("quality")
        if (row["dataset"], row["protocol"]) == (dataset, protocol)
    ]
    return sorted(rows, key=lambda row: -float(row["mean"]))


def _interval(row: dict[str, str]) -> str:
    return "{:.3f} [{:.3f}, {:.3f}]".format(
        *(float(row[end]) for end in ("mean", "low", "high"))
    )


def _seconds(row: dict[str, str]) -> str:
    return f"{float(row['fit_seconds']):.1f}" if row["fit_seconds"] else "not measured"


def with_tables(readme: str) -> str:
    """README's text with all tables between their marks replaced.

    Raises:
        ValueError: the marks are missing.
    """
    texts = (
        table(),
        results(),
        comparison(),
        explainers(),
        speed(),
        language(),
        service(),
    )
    marked = (MAP, RESULTS, COMPARISON, EXPLAINERS, SPEED, LANGUAGE, SERVICE)
    for marks, text in zip(marked, texts, strict=True):
        readme = _between(readme, marks, text)
    return readme


def _between(readme: str, marks: tuple[str, str], text: str) -> str:
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

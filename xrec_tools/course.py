"""The map of the course in one place.

README's table and the foot of every notebook are made from it. `python -m
xrec_tools.course` rewrites README's tables, of the notebooks and of the benchmark;
`make execute` rewrites the notebooks' titles and feet.
"""

from dataclasses import dataclass
from pathlib import Path

from xrec_tools import markdown
from xrec_utils.files import ROOT, replace_text, require

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
        f"{Path(file).name} is not in the map of xrec_tools/course.py: "
        "add a Lesson for it"
    )


def foot(lesson: Lesson) -> str:
    """The last cell of a notebook: the way back, the map, the way on."""
    place = LESSONS.index(lesson)
    before = LESSONS[place - 1].link if place > 0 else "none, this is the first"
    later = LESSONS[place + 1 :]
    after = later[0].link if later else "none yet, this is the last"
    home = "[README](../README.md#the-notebooks)"
    return f"{FOOT} {before} · **Map:** {home} · **Next:** {after}"


def table() -> str:
    """README's table of the notebooks, as markdown."""
    rows = []
    for lesson in LESSONS:
        link = f"[{lesson.number} · {lesson.title}](notebooks/{lesson.file})"
        rows.append([link, lesson.line, lesson.minutes])
    return markdown.table(["Notebook", "What you learn", "Minutes"], rows, "llr")


def with_tables(readme: str) -> str:
    """README's text with all tables between their marks replaced.

    Raises:
        ValueError: the marks are missing.
    """
    # loads pandas: only when tables are made
    from xrec_tools.bench import report

    tables = {
        "map": table,
        "results": report.results,
        "comparison": report.comparison,
        "explainers": report.explainers,
        "speed": report.speed,
        "language": report.language,
        "service": report.service,
    }
    for name, make in tables.items():
        readme = _between(readme, name, make())
    return readme


def _between(readme: str, name: str, text: str) -> str:
    """README's text with what stands between the two marks of a table replaced."""
    begin = f"<!-- {name}: begin (python -m xrec_tools.course) -->"
    end = f"<!-- {name}: end -->"
    head, found, rest = readme.partition(begin)
    _, closed, tail = rest.partition(end)
    require(
        bool(found and closed),
        f"README.md has lost the marks of a table: put {begin} and {end} back",
    )
    return f"{head}{begin}\n{text}\n{end}{tail}"


def main(root: Path = ROOT) -> None:
    """Rewrite README's tables."""
    readme = root / "README.md"
    replace_text(readme, with_tables(readme.read_text(encoding="utf-8")))
    print("README.md: map and results rewritten.")


if __name__ == "__main__":
    main()

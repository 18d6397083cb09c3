"""The course map: in order, in README, and at the foot of each notebook."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from xrec_tools import course
from xrec_tools.bench import questions, report
from xrec_utils.files import NOTEBOOKS, ROOT


def test_lessons_are_numbered_by_file_and_in_order() -> None:
    assert [lesson.number for lesson in course.LESSONS] == sorted(
        {lesson.number for lesson in course.LESSONS}
    )
    assert all(lesson.file.startswith(f"{lesson.number}_") for lesson in course.LESSONS)


def test_the_map_lists_exactly_the_notebooks_there_are() -> None:
    assert sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")) == [
        lesson.file for lesson in course.LESSONS
    ]


def test_readme_holds_the_current_tables() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert course.with_tables(readme) == readme
    assert readme.count("(notebooks/") == len(course.LESSONS)


def test_the_foot_leads_back_and_on() -> None:
    first, second, last = course.LESSONS[0], course.LESSONS[1], course.LESSONS[-1]
    assert course.foot(first).startswith(
        "**Previous:** none, this is the first · **Map:** [README](../README.md#"
    )
    assert course.foot(first).endswith(f"**Next:** {second.link}")
    assert course.foot(second).startswith(f"**Previous:** {first.link}")
    assert course.foot(last).endswith("none yet, this is the last")


def test_a_lesson_is_found_by_its_file() -> None:
    assert (
        course.lesson_of("some/where/00_start_here.ipynb").heading
        == "# 00 · Start here"
    )
    with pytest.raises(KeyError, match=r"98_nothing\.ipynb is not in the map"):
        course.lesson_of("98_nothing.ipynb")


def test_results_are_those_of_the_benchmark() -> None:
    quality = pd.read_csv(ROOT / "data" / "bench" / "quality.csv").query(
        "metric == 'ndcg@10'"
    )
    small = quality.query(
        "dataset == 'movielens-small' and protocol == 'leave-last-out'"
    ).sort_values("mean")
    lines = report.results().splitlines()[2:]
    mean = small.set_index("model")["mean"]
    shown = [mean[line.split(" | ")[0].strip("| ")] for line in lines]
    assert len(shown) == len(mean) and shown == sorted(shown, reverse=True)
    ease = small.set_index("model").loc["ease"]
    assert any(f"| ease | {ease['mean']:.3f} [" in line for line in lines)


def test_published_rows_stand_among_ours_and_are_marked() -> None:
    values = [
        float(line.split("|")[2].split()[0])
        for line in report.comparison().splitlines()[2:]
    ]
    assert values == sorted(values, reverse=True)
    assert (
        "| BiVAE (published) | 0.475 |" in report.comparison()
        and "| ease | " in report.comparison()
    )


def test_the_leaderboard_in_readme_compares_over_common_models() -> None:
    rows = pd.read_csv(ROOT / "data" / "bench" / questions.ROWS)
    deletion = rows[rows["measure"] == "deletion"]
    seen = []
    for line in report.explainers().splitlines()[2:]:
        label, name, mark = [cell.strip() for cell in line.split("|")[1:4]]
        models = questions.GROUPS[label]
        own = deletion[deletion["explainer"] == name].query("model in @models")
        assert set(own["model"]) == set(models)
        of_models = own.groupby(["model", "user"])["value"].mean()
        by_hand = of_models.groupby("user").mean().mean()
        assert float(mark.split()[0]) == pytest.approx(by_hand, abs=0.006)
        seen.append((label, name))
    assert {name for _, name in seen} == set(deletion["explainer"])
    for label in questions.GROUPS:
        assert {(label, "Shapley (ours)"), (label, "random")} <= set(seen)


def test_speed_shows_white_boxes_by_their_error_and_black_boxes_by_their_scores() -> (
    None
):
    white, black = (part.splitlines() for part in report.speed().split("\n\n"))
    curves = pd.read_csv(ROOT / "data" / "bench" / "shapley.csv").query(
        "players == 100 and method != 'Fourier series'"  # the truth itself
    )
    of = ["library", "method"]
    errors = [float(line.split("|")[-2]) for line in white[2:]]
    assert errors == sorted(errors) and len(errors) == len(curves.groupby(of))
    by_hand = curves.groupby([*of, "budget"])["error"].mean().min()
    assert errors[0] == pytest.approx(by_hand, rel=0.06)
    rows = pd.read_csv(ROOT / "data" / "bench" / "race.csv.gz").query("players == 100")
    assert len(black) - 2 == len(rows.groupby(of))
    models = [cell.strip() for cell in black[0].split("|")[2:-1]]
    assert set(models) == set(rows["model"])
    # what is named as not reached has no budget that reaches it, and the reverse
    best = (
        rows.groupby(["model", *of, "budget"])["error"].mean().groupby(level=[0, 1, 2])
    )
    reached = best.min() <= 0.05
    for line in black[2:]:
        name, *cells = (cell.strip() for cell in line.split("|")[1:-1])
        for model, cell in zip(models, cells, strict=True):
            if cell != "–":  # not asked
                assert cell.startswith("not by") != reached[(model, *name.split(", "))]


def test_the_language_table_begins_with_the_best_and_has_chance_in_it() -> None:
    lines = report.language().splitlines()[2:]
    values = [float(line.split("|")[2].split()[0]) for line in lines]
    assert values == sorted(values, reverse=True) and any(
        "random order" in line for line in lines
    )


def test_the_service_table_tells_of_each_load() -> None:
    lines = report.service().splitlines()[2:]
    who = [line.split("|")[1].strip() for line in lines]
    assert who == ["one client, ease", "one client, dae", "50 clients, ease and dae"]


def test_rewriting_replaces_the_tables_and_keeps_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = tmp_path / "README.md"
    names = (
        "map",
        "results",
        "comparison",
        "explainers",
        "speed",
        "language",
        "service",
    )

    def page(*tables: str) -> str:
        marked = (
            f"<!-- {name}: begin (python -m xrec_tools.course) -->\n{text}\n"
            f"<!-- {name}: end -->"
            for name, text in zip(names, tables, strict=True)
        )
        return "\n".join(["a", *marked, "z", ""])

    readme.write_text(page(*["old"] * 7), encoding="utf-8")
    course.main(tmp_path)
    makers = (
        course.table,
        report.results,
        report.comparison,
        report.explainers,
        report.speed,
        report.language,
        report.service,
    )
    tables = [maker() for maker in makers]
    assert readme.read_text(encoding="utf-8") == page(*tables)
    assert "rewritten" in capsys.readouterr().out


def test_a_readme_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="marks of a table"):
        course.with_tables("no marks")

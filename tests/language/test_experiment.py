"""The stored answers of the language model: they belong to today's prompts, and the
model still gives them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import llama_numpy
import numpy as np
import pytest

import tiny_llm
from xrec_tools.bench import language
from xrec_utils.explain.baselines import leave_one_out
from xrec_utils.explain.shapley import brute_force
from xrec_utils.language import experiment as lang
from xrec_utils.language import prompt_game, reasons, results, writer
from xrec_utils.language.prompts import message

CACHED = (
    lang.panel,
    reasons.case,
    lang.record,
    lang.scores,
    reasons._table,
    reasons.texts,
    reasons.stated,
)


def forget() -> None:
    for function in CACHED:
        function.cache_clear()


def test_targets_come_first_and_no_candidate_was_seen() -> None:
    asked = lang.panel()
    assert len(asked.users) == len(set(asked.users)) == lang.USERS
    for history, candidates in zip(asked.histories, asked.candidates, strict=True):
        assert len(set(candidates)) == lang.CANDIDATES and not set(candidates) & set(
            history
        )
    cases = lang.zoo.split().cases("test")
    targets = dict(
        zip(cases.users, (int(target[0]) for target in cases.targets), strict=True)
    )
    assert [targets[user] for user in asked.users] == asked.candidates[:, 0].tolist()


@pytest.mark.parametrize("place", lang.STARTS)
def test_the_target_stands_where_the_question_says(place: int) -> None:
    question = lang.QUESTIONS[f"target at {place}"]
    prompt, names = lang.words(question, 1)[0], lang.names(lang.panel().candidates[0])
    assert f"\n{place + 1}. {names[0]}\n" in prompt.split("These are the films")[1]
    order = lang.shown(question, 0)
    assert order[place] == 0 and (np.diff(order) % lang.CANDIDATES == 1).all()


@pytest.mark.parametrize("name", lang.QUESTIONS)
def test_stored_scores_answer_todays_prompts(name: str) -> None:
    stored = lang.scores(name)
    assert (
        stored.shape == (lang.QUESTIONS[name].users, lang.CANDIDATES)
        and (stored < 0).all()
    )


def test_averages_over_turns_do_not_know_where_a_turn_began() -> None:
    """Places 0, 5, 10 and 15 are turns of each other: their averages are the same
    numbers.
    """
    for start in lang.TURNS:
        np.testing.assert_allclose(lang.averaged(start), lang.averaged(0))
    assert not np.allclose(lang.averaged(19), lang.averaged(0))


def test_ndcg_of_the_first_column() -> None:
    scores = np.array([[3.0, 1, 2], [1, 3, 2], [2, 3, 1]])
    np.testing.assert_allclose(lang.ndcg_of(scores), [1, 0.5, 1 / np.log2(3)])
    assert lang.ndcg_of(scores, k=1).tolist() == [1, 0, 0]


def test_baselines_score_the_same_candidates() -> None:
    asked, model = lang.panel(), lang.zoo.load("attention")
    candidates = asked.candidates[7]
    for length in (0, 3):
        history = asked.histories[7][-length:]
        np.testing.assert_allclose(
            lang.baseline("attention", length)[7],
            model.score([history], items=candidates)[0],
            atol=1e-4,
        )


def test_cases_compare_the_first_with_the_second() -> None:
    scores = lang.scores("no list, 8 films")
    for n in (0, lang.USERS - 1):
        case, films = reasons.case(n), lang.names(lang.panel().candidates[n])
        order = [films[place] for place in np.argsort(-scores[n])]
        assert (case.film, case.other) == (order[0], order[1]) and len(
            case.history
        ) == lang.LINES


def test_stored_games_agree_with_stored_scores_and_deletions() -> None:
    for n in range(lang.EXPLAINED):
        game, scores = reasons.game(n), reasons.deletions(n)
        first, second = np.argsort(-lang.scores("no list, 8 films")[n], kind="stable")[
            :2
        ]
        without = ~np.eye(lang.LINES, dtype=bool)
        expected = scores[:, first] - scores[:, second]
        np.testing.assert_allclose([game.full(), *game(without)], expected, atol=2e-3)
        assert abs(brute_force(game).gap) < 1e-9


def test_stored_explanations_are_of_the_same_preference() -> None:
    for n in range(lang.EXPLAINED):
        coarse, fine = (reasons.explanation(n, name) for name in results.GRADIENTS)
        assert (coarse.base, coarse.score) == (fine.base, fine.score)
        assert fine.score == pytest.approx(reasons.game(n).full(), abs=2e-3)
        attention = reasons.explanation(n, "attention")
        assert attention.values.min() >= 0 and attention.values.sum() < 1
        assert reasons.explanation(n, "LIME over words").score == pytest.approx(
            1 / (1 + np.exp(-reasons.game(n).full())), abs=2e-3)  # fmt: skip


def test_stored_texts_answer_todays_questions() -> None:
    assert len(reasons.texts("why")) == lang.USERS and len(
        reasons.texts("list")
    ) == len(reasons.texts("choice"))
    why = reasons.conversation("why", 0)
    assert [turn["role"] for turn in why] == ["system", "user", "assistant", "user"]
    assert (
        why[1]["content"] == message(reasons.case(0).history)
        and reasons.case(0).film in why[2]["content"]
    )
    assert "can watch next" in reasons.conversation("choice", 3)[0]["content"]


def test_deleting_a_line_costs_what_the_stored_game_says() -> None:
    for n in range(lang.EXPLAINED):
        np.testing.assert_allclose(
            reasons.falls(n)[0], leave_one_out(reasons.game(n)).values, atol=2e-3
        )
    places = np.array([reasons.falls(n)[1] for n in range(lang.USERS)])
    assert (
        (places >= 0).all()
        and (places < lang.CANDIDATES).all()
        and (places == places.astype(int)).all()
    )


def test_stated_reasons_cite_lines_of_their_own_prompt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert len(reasons.stated()) == lang.USERS
    past, film = reasons.case(0).history, reasons.case(0).film
    replies = [
        f"I chose {film}, as you saw {past[5]} and {past[2]}.",
        f"1. {reasons.case(1).history[7]}\n2. The Purple Banana\n3. The Pur",
        "1. Casablanca\n2. The Boy Who Fell (1999)\n3. Casablanca (19",
    ]
    monkeypatch.setattr(reasons, "texts", lambda kind: replies[:2])
    reasons.stated.cache_clear()
    first, second = reasons.stated()
    assert (first.cited, first.others, first.invented) == ([2, 5], [], [])
    assert (second.cited, second.others, second.invented) == (
        [7],
        [],
        ["The Purple Banana"],
    )
    monkeypatch.setattr(reasons, "texts", lambda kind: replies[2:])
    reasons.stated.cache_clear()
    [third] = reasons.stated()
    assert lang.names(third.others) == ["Casablanca"] and third.invented == [
        "The Boy Who Fell (1999)"
    ]
    reasons.stated.cache_clear()


def test_the_first_case_is_stored_closely() -> None:
    words, again, tokens = map(reasons.closely, ("word", "word, other seed", "token"))
    assert words["text"].tolist() == again["text"].tolist() and not np.allclose(
        words["value"], again["value"]
    )
    spoken = tokens[tokens["line"] == 1]["text"].str.cat()
    assert spoken.strip() == f"2. {reasons.case(0).history[1]}"
    seen = reasons.closely("attention").pivot(
        index="place", columns="line", values="value"
    )
    assert seen.shape == (30, lang.LINES) and (seen.sum(axis=1) < 1).all()


@pytest.mark.needs("llm")
def test_the_model_still_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN_LLM", "1")
    monkeypatch.setattr(lang, "ASKED_LIVE", 2)
    lang.scores.cache_clear()
    lang.scores("sequential")
    reasons.game(0)
    with pytest.raises(ValueError, match="differ by"):
        lang.compare(np.zeros(3), np.array([0, 0, 0.5]), "nothing")
    lang.scores.cache_clear()


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same experiments with a tiny model, three users and three candidates, in a
    folder of their own; neither files nor packages of the real model are asked for.
    """
    forget()
    sizes = {
        "USERS": 3,
        "HALF": 2,
        "CANDIDATES": 3,
        "WRITTEN": 1,
        "EXPLAINED": 1,
        "LINES": 3,
        "FOLDER": tmp_path,
    }
    model = tiny_llm.tiny_lm()
    titles = np.array([letter * 3 for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"] * 200)
    sizes["model"] = lambda: model
    sizes["names"] = lambda codes: [str(titles[code]) for code in codes]
    for module in (lang, reasons):
        for name in sizes.keys() & vars(module).keys():
            monkeypatch.setattr(module, name, sizes[name])
    monkeypatch.setattr(lang, "QUESTIONS", {
        "sequential": lang.Question(length=2, users=3),
        "no list, 8 films": lang.Question(listed=False, length=3, users=3),
    })  # fmt: skip
    # 96 true gradients would take most of the time; test_prompt_game has them
    monkeypatch.setattr(prompt_game, "_slope", lambda reading, case: np.ones_like)
    monkeypatch.setattr(language, "model_file", lambda name: Path(__file__))
    monkeypatch.setattr(language, "version", lambda package: "1.0")
    yield tmp_path
    monkeypatch.undo()
    forget()


def test_everything_is_asked_once_and_read_back(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    language.main(["ranking", "deletions", "games", "lines", "closely"])
    assert "sequential: NDCG@10" in capsys.readouterr().out
    forget()
    asked = lang.ask(lang.QUESTIONS["sequential"], lang.model())
    np.testing.assert_allclose(lang.scores("sequential"), asked, atol=1e-4)
    np.testing.assert_allclose(
        reasons.game(0)(reasons.groups()),
        reasons.case(0).game()(reasons.groups()),
        atol=1e-4,
    )
    assert reasons.explanation(0, "attention").players == reasons.case(0).history
    before = {path.name: path.read_bytes() for path in small.iterdir()}
    language.main(["ranking", "deletions", "games", "lines", "closely"])
    assert capsys.readouterr().out == "" and before == {
        path.name: path.read_bytes() for path in small.iterdir()
    }


def test_a_run_that_was_interrupted_goes_on(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of cases and of replies only those are asked for that are missing."""
    language.main(["ranking"])
    language.explained("deletions.csv.gz", language.deletions, 1)
    first = language.kept("deletions.csv.gz")
    language.main(["deletions"])
    printed = capsys.readouterr().out.splitlines()[-3:]
    assert printed == [f"deletions.csv.gz: case {n}" for n in range(3)]
    forget()
    assert language.kept("deletions.csv.gz")[: len(first)].equals(first)

    asked = []

    class Writer:
        name = "a writer"

        def generate(self, prompt: list[dict[str, str]], max_tokens: int) -> str:
            asked.append(prompt)
            if len(asked) == 3:
                raise KeyboardInterrupt
            return f"reply {len(asked)}"

    monkeypatch.setattr(writer, "LocalLM", Writer)
    with pytest.raises(KeyboardInterrupt):
        language.texts()
    assert reasons.texts("why") == ["reply 1", "reply 2"]
    forget()
    language.texts()
    assert reasons.texts("why") == ["reply 1", "reply 2", "reply 4"]
    assert asked[2] == asked[3] and len(asked) == 6


def test_answers_to_other_prompts_are_refused(small: Path) -> None:
    language.main(["ranking", "deletions"])
    record = json.loads((small / "record.json").read_text())
    record["prompts"]["sequential"] = record["cases"]["deletions.csv.gz"] = (
        "of yesterday"
    )
    (small / "record.json").write_text(json.dumps(record))
    forget()
    with pytest.raises(ValueError, match="answers other prompts"):
        lang.scores("sequential")
    with pytest.raises(ValueError, match="explains other cases"):
        reasons.deletions(0)


def test_nearness_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_numpy, "to_numpy", lambda model: np.array([1e-4, 3e-4]))
    monkeypatch.setattr(
        llama_numpy,
        "to_llama_cpp",
        lambda model, every: (np.arange(101) / 100, np.array([True, False])),
    )
    found = llama_numpy.agreement(None)
    assert list(found.values()) == [0.0003, 0.5, 0.99, 0.5, 2]
    [stored] = lang.record()["agreement"].values()
    assert set(stored) == set(found)


def test_the_keras_model_is_numpys_to_a_thousandth() -> None:
    [found] = lang.record()["agreement"].values()
    assert found["NumPy, largest logit difference"] < 1e-3


@pytest.mark.needs("llm")
def test_texts_are_written_once(small: Path) -> None:
    language.main(["ranking", "texts"])
    assert (
        len(reasons.texts("why")) == 3
        and len(reasons.texts("list")) == len(reasons.texts("choice")) == 1
    )
    assert all(reasons.texts("why"))
    before = (small / "texts.json").read_bytes()
    language.main(["texts"])
    assert (small / "texts.json").read_bytes() == before

"""The language model's experiments: who is asked, in which words, and what it answered,
stored with the words' hash.

Two hundred users of movielens-small, each with the film they rated last (the target)
and nineteen others drawn from the films they never rated. A `Question` says how the
prompt is written. What SmolLM2 answered is in data/language, so that nothing here needs
the model; with RUN_LLM=1 in the environment the first users are asked anew and
compared.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from xrec_utils import zoo
from xrec_utils.data import load_movielens
from xrec_utils.explain.words import Preference
from xrec_utils.games import Explanation, Game, Masks
from xrec_utils.llm import LIST, KerasLM
from xrec_utils.metrics import places, ranking_table
from xrec_utils.paths import DATA
from xrec_utils.prompts import ANSWER, SYSTEM, chat, fingerprint, message, spoken
from xrec_utils.replies import Catalogue, Citations, cited

FOLDER = DATA / "language"
USERS, HALF, CANDIDATES, LENGTH = 200, 100, 20, 10
CITED, EXPLAINED, LINES = (
    60,
    16,
    8,
)  # users asked why; users whose games are played in full; films in these prompts
STARTS = (0, 5, 10, 15, 19)  # places of the target where the bias is measured
TURNS = (0, 5, 10, 15)  # how far a list is turned for an average over four orders
ASKED_LIVE = 20  # users asked anew with RUN_LLM=1
WHY = "Why this film? Name the films of my list that made you recommend it."
TEN = "Answer with a list of ten titles, best first."
CLOSE = 0.02  # nats per token by which a score may differ on another machine


@dataclass(frozen=True)
class Question:
    """How a prompt is written: its design, whether it lists the candidates, films of
    history, the target's place.

    place: None shuffles the list, a number puts the target there and the others behind
    it, round a circle. users: how many of the panel are asked, from the first.
    """

    design: str = "sequential"
    listed: bool = True
    length: int = LENGTH
    place: int | None = None
    users: int = USERS


QUESTIONS = {
    "sequential": Question(),
    "recency-focused": Question("recency-focused"),
    "in-context": Question("in-context"),
    "no list": Question(listed=False),
    "no list, no history": Question(listed=False, length=0),
    "5 films": Question(length=5, users=HALF),
    "20 films": Question(length=20, users=HALF),
    **{f"target at {place}": Question(place=place, users=HALF)
       for place in sorted({(start + turn) % CANDIDATES for start in STARTS for turn in TURNS})},
    "no list, 8 films": Question(listed=False, length=LINES, users=CITED),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Panel:
    """users (n,): who is asked; histories: all their earlier films, oldest first;
    candidates (n, 20), target first.
    """

    users: np.ndarray
    histories: list[np.ndarray]
    candidates: np.ndarray


@cache
def panel() -> Panel:
    """Two hundred users drawn by a seed from the test cases of the shared split, the
    same for every model.
    """
    cases, items = zoo.split().cases("test"), np.arange(zoo.split().n_items)
    rng = np.random.default_rng(5)
    drawn = np.sort(rng.choice(len(cases.users), USERS, replace=False))
    histories = [cases.histories[n] for n in drawn]
    targets = [int(cases.targets[n][0]) for n in drawn]
    rows = [np.append(target, rng.choice(np.setdiff1d(items, [*history, target]), CANDIDATES - 1, replace=False))
            for history, target in zip(histories, targets, strict=True)]  # fmt: skip
    return Panel(cases.users[drawn], histories, np.array(rows))


def names(codes: Sequence[int]) -> list[str]:
    """Titles as people say them."""
    return [spoken(zoo.split().titles[code]) for code in codes]


def shown(question: Question, row: int) -> np.ndarray:
    """Positions of the candidates in the order in which user number `row` of the panel
    is shown them.
    """
    if question.place is None:
        return np.random.default_rng([7, row]).permutation(CANDIDATES)
    return np.roll(np.arange(CANDIDATES), question.place)


def words(question: Question, rows: int | None = None) -> list[str]:
    """The prompts of the first `rows` users of the panel, or of all who are asked the
    question.
    """
    texts = []
    for row in range(rows or question.users):
        history = panel().histories[row][-question.length :] if question.length else []
        films = panel().candidates[row][shown(question, row)] if question.listed else ()
        texts.append(chat(message(names(history), names(films), question.design)))
    return texts


def ask(question: Question, model: KerasLM, rows: int | None = None) -> np.ndarray:
    """Scores (rows, 20) of every candidate, target first, in nats per token."""
    prompts = words(question, rows)
    return np.array(
        model.likelihood(
            prompts, [names(codes) for codes in panel().candidates[: len(prompts)]]
        )
    )


def live() -> bool:
    """Whether RUN_LLM=1 asks for the model itself instead of its stored answers."""
    return os.environ.get("RUN_LLM") == "1"


@cache
def model() -> KerasLM:
    """The one language model of a process."""
    return KerasLM()


@cache
def record() -> dict[str, Any]:
    """How the stored answers were made: hash of the prompts of each question, of the
    weights, and versions.
    """
    return json.loads((FOLDER / "record.json").read_text(encoding="utf-8"))


@cache
def _stored() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "ranking.csv.gz")


@cache
def scores(name: str) -> np.ndarray:
    """Scores (users, 20) of the question of that name, target first: stored ones,
    checked against the model if `live`.

    Raises KeyError for an unknown name, and ValueError when the stored answers belong
    to other words, or the model now answers otherwise.
    """
    question = QUESTIONS[name]
    if fingerprint(words(question)) != record()["prompts"][name]:
        raise ValueError(
            f"data/language answers other prompts than {name!r}: run python -m xrec_utils.bench_language"
        )
    found = _stored()
    stored = (
        found[found["question"] == name].drop(columns=["question", "user"]).to_numpy()
    )
    if live():
        compare(ask(question, model(), ASKED_LIVE), stored[:ASKED_LIVE], name)
    return stored


def compare(now: np.ndarray, stored: np.ndarray, what: str) -> None:
    """Raise ValueError unless what the model says now is within `CLOSE` of what is
    stored.
    """
    if not np.allclose(now, stored, atol=CLOSE):
        far = np.abs(now - stored).max()
        raise ValueError(
            f"{what}: the model's answer and the stored one differ by {far:.3f}, more than {CLOSE} nats"
        )


def averaged(start: int) -> np.ndarray:
    """Scores (100, 20) averaged over four turns of the list that has the target at
    `start`.
    """
    return np.mean(
        [scores(f"target at {(start + turn) % CANDIDATES}") for turn in TURNS], axis=0
    )


def ndcg(scores: np.ndarray, k: int = 10) -> np.ndarray:
    """NDCG@k of each user (n,) from scores (n, 20) with the target in the first column."""
    return ranking_table(places(scores, [[0]] * len(scores)), k)["ndcg"].to_numpy()


def baseline(name: str, length: int = 0) -> np.ndarray:
    """Scores (200, 20) of a model of the zoo for the same candidates, from the last
    `length` films or (0) from all.
    """
    every = zoo.load(name).score([history[-length:] for history in panel().histories])
    return np.take_along_axis(every, panel().candidates, axis=1)


def titles_compared() -> list[tuple[list[str], list[str]]]:
    """What a sentence encoder compares for each user: titles of the last films, and of
    the candidates.
    """
    asked = panel()
    return [
        (names(history[-LENGTH:]), names(codes))
        for history, codes in zip(asked.histories, asked.candidates, strict=True)
    ]


@cache
def similarity() -> np.ndarray:
    """Scores (200, 20), target first: mean cosine of each candidate's title to the last
    films' by MiniLM, as stored.

    Raises ValueError when other titles were compared.
    """
    found = json.loads((FOLDER / "encoder.json").read_text(encoding="utf-8"))
    if found["texts"] != fingerprint([repr(texts) for texts in titles_compared()]):
        raise ValueError(
            "data/language/encoder.json compares other titles: run python -m xrec_utils.bench_language"
        )
    return np.array(found["scores"])


def chosen(n: int) -> np.ndarray:
    """Places among the candidates of the film that the model puts first for case n, and
    of its second.
    """
    return np.argsort(-scores("no list, 8 films")[n], kind="stable")[:2]


@cache
def case(n: int) -> Preference:
    """Case n of the prompts explained: why the model's first of twenty films, and not
    its second?
    """
    first, second = chosen(n)
    films = names(panel().candidates[n])
    return Preference(
        model(),
        tuple(names(panel().histories[n][-LINES:])),
        films[first],
        films[second],
    )


def stars(n: int) -> np.ndarray:
    """The user's own stars (8,) for the films in the lines of case n, which the prompt
    does not tell.
    """
    known = pd.concat([zoo.split().train, zoo.split().validation])
    mine = known[known["user"] == panel().users[n]].set_index("item")["value"]
    return mine.loc[panel().histories[n][-LINES:]].to_numpy()


def groups() -> Masks:
    """All groups of lines as masks, group g holding line i where bit i of g is set."""
    return (np.arange(2**LINES)[:, None] >> np.arange(LINES)) % 2 == 1


def cases_fingerprint() -> str:
    """sha256 over the cases explained, which stored explanations must have been made
    for.
    """
    return fingerprint(
        [repr((case(n).history, case(n).film, case(n).other)) for n in range(CITED)]
    )


@cache
def _table(name: str) -> pd.DataFrame:
    """A table of data/language. Raises ValueError if it answers other cases than `case`
    gives now.
    """
    if record()["cases"][name] != cases_fingerprint():
        raise ValueError(
            f"data/language/{name} explains other cases: run python -m xrec_utils.bench_language"
        )
    return pd.read_csv(FOLDER / name)


def game(n: int) -> Game:
    """The game of case n with its 256 stored scores: every group of lines, so that
    anything can be computed exactly.
    """
    found = _table("games.csv.gz")
    stored = found.loc[found["case"] == n, "score"].to_numpy()
    if live() and n == 0:
        few = groups()[::16]
        compare(case(n).game()(few), stored[::16], "game 0")
    bits = 2 ** np.arange(LINES)
    return Game(case(n).history, case(n).target, lambda masks: stored[masks @ bits])


def explanation(n: int, method: str) -> Explanation:
    """What "attention", "integrated gradients" or "LIME over words" said about the
    lines of case n, as stored.
    """
    found = _table("lines.csv.gz")
    rows = found[(found["case"] == n) & found["method"].str.startswith(method)]
    first = rows.iloc[0]
    return Explanation(case(n).history, case(n).target, rows["value"].to_numpy(), first["base"], first["score"],
                       first["method"], first["seconds"])  # fmt: skip


def deletions(n: int) -> np.ndarray:
    """Scores (9, 20) of the candidates of case n: with all lines, then without each of
    them in turn.
    """
    found = _table("deletions.csv.gz")
    return found[found["case"] == n].drop(columns=["case", "without"]).to_numpy()


def closely(what: str) -> pd.DataFrame:
    """Rows on case 0: LIME's "word" and "word, other seed"; gradients by "token" and
    "line, 64 steps"; "attention".
    """
    found = _table("closely.csv.gz")
    return found[found["what"] == what].drop(columns="what").reset_index(drop=True)


def falls(n: int) -> np.ndarray:
    """What deleting each line of case n costs its film (2, 8): nats of preference, and
    places among the twenty.
    """
    found, (first, second) = deletions(n), chosen(n)
    preference, place = (
        found[:, first] - found[:, second],
        (found > found[:, [first]]).sum(axis=1),
    )
    return np.array([preference[0] - preference[1:], place[1:] - place[0]])


@cache
def texts(kind: str) -> list[str]:
    """What the model wrote: "list" (ten films of its own), "choice" (ten of the
    candidates), "why" (its reason).
    """
    found = json.loads((FOLDER / "texts.json").read_text(encoding="utf-8"))[kind]
    if found["prompts"] != fingerprint(
        [json.dumps(conversation(kind, n)) for n in range(len(found["replies"]))]
    ):
        raise ValueError(
            f"data/language/texts.json answers other {kind!r}: run python -m xrec_utils.bench_language"
        )
    return found["replies"]


def conversation(kind: str, n: int) -> list[dict[str, str]]:
    """The messages that make the model write about case n."""
    asked, history = case(n), case(n).history
    start = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": message(history)},
    ]
    if kind == "why":
        answer = {"role": "assistant", "content": f"{ANSWER} {asked.film}"}
        return [*start, answer, {"role": "user", "content": WHY}]
    films = (
        names(panel().candidates[n][shown(Question(), n)]) if kind == "choice" else ()
    )
    return [
        {
            "role": "user",
            "content": f"{message(history, films)}\n{LIST if films else TEN}",
        }
    ]


@cache
def _catalogues() -> tuple[Catalogue, Catalogue]:
    """The films of the course by code, and all of movielens-small, by the titles that
    people say.
    """
    every = load_movielens("movielens-small").items["title"]
    return Catalogue(names(range(zoo.split().n_items))), Catalogue(
        list(map(spoken, every))
    )


def named_in(n: int, text: str) -> Citations:
    """What a text about case n names.

    cited: lines (0, 1, ...) of the history; others: codes of further films, the
    recommended one left out; invented: titles of no film in all of movielens-small,
    without a last one that only begins another title named.
    """
    catalogue, every = _catalogues()
    past, film = (
        panel().histories[n][-LINES:].tolist(),
        int(panel().candidates[n][chosen(n)[0]]),
    )
    told = cited(re.sub(r"\s*\([^)]*$", "", text), catalogue, [*past, film])
    named = [*told.invented[:-1], *names([*told.cited, *told.others])]
    cut = any(title.startswith(last) for last in told.invented[-1:] for title in named)
    invented = [
        title
        for title in told.invented[: len(told.invented) - cut]
        if every.match([title]).invented
    ]
    return Citations(
        [past.index(code) for code in told.cited if code != film], told.others, invented
    )


@cache
def stated() -> list[Citations]:
    """What the model's reasons name, one for each of the texts on "why"."""
    return [named_in(n, text) for n, text in enumerate(texts("why"))]

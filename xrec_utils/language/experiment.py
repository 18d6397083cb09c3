"""The language model's experiments: who is asked, in which words, with what answer.

Two hundred users of movielens-small, each with the film they rated last (the target)
and nineteen others drawn from the films they never rated. SmolLM2's answers are in
data/language; with RUN_LLM=1 the first users are asked anew and compared.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from xrec_utils import zoo
from xrec_utils.files import DATA
from xrec_utils.language.prompts import belong, chat, message, spoken
from xrec_utils.language.ranker import KerasLM
from xrec_utils.metrics.evaluation import ranking_table
from xrec_utils.metrics.ranking import places

# written down before the first test user was asked
HYPOTHESES = """  1. Popularity ranks better than the language model by NDCG@10 in each of the three
     designs (200 users).
  2. The history adds nothing that the titles alone do not give: "no list" minus
     "no list, no history" holds zero.
  3. Raw NDCG@10 depends on the target's place in the list (100 users): largest minus
     smallest over five places is above 2 points; after averaging over four turns of the
     list it is at most 2.
  4. Films that the model cites when asked why move its score, when deleted, no more
     than its other films do.
  5. By deletion, exact Shapley values beat integrated gradients, LIME over words and
     attention, in this order.
"""
FOLDER = DATA / "language"
USERS = 200  # asked most questions
HALF = 100  # asked the others
CANDIDATES = 20  # films to choose from
LENGTH = 10  # films of history told
TRIED = 60  # users asked why at first; hypotheses 6 to 8 were made of their replies
WRITTEN = 30  # users for whom it writes lists
EXPLAINED = 16  # users whose games are played in full
LINES = 8  # films in these prompts
STARTS = (0, 5, 10, 15, 19)  # places of the target where the bias is measured
TURNS = (0, 5, 10, 15)  # how far a list is turned for an average over four orders
ASKED_LIVE = 20  # users asked anew with RUN_LLM=1
CLOSE = 0.02  # nats per token by which a score may differ on another machine


@dataclass(frozen=True)
class Question:
    """How a prompt is written.

    Args:
        design: a name in `prompts.DESIGNS`.
        listed: whether the prompt lists the candidates.
        length: films of history told, the last ones.
        place: of the target in the list. None shuffles the list; a number puts the
            target there and the others behind it, round a circle.
        users: how many of the panel are asked, from the first.

    Example:
        >>> Question(place=5).length
        10
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
    **{
        f"target at {place}": Question(place=place, users=HALF)
        # each start of the target, turned; two may end at the same place
        for place in np.unique(np.add.outer(STARTS, TURNS) % CANDIDATES).tolist()
    },
    "no list, 8 films": Question(listed=False, length=LINES),
}


@dataclass(frozen=True, eq=False)
class Panel:
    """Who is asked, and about which films.

    users (n,): codes. histories: all their earlier films, oldest first. candidates (n,
    20): item codes, target first.
    """

    users: np.ndarray
    histories: list[np.ndarray]
    candidates: np.ndarray


@cache
def panel() -> Panel:
    """Two hundred users drawn by a seed from the test cases of the shared split.

    Returns:
        The same panel for every model: users (200,), their histories, and candidates
        (200, 20) with the target first.

    Example:
        >>> panel().candidates.shape
        (200, 20)
    """
    cases = zoo.split().cases("test")
    items = np.arange(zoo.split().n_items)
    rng = np.random.default_rng(5)
    drawn = rng.choice(len(cases.users), USERS, replace=False)
    drawn.sort()
    rows = []
    for n in drawn:
        target = cases.targets[n][0]
        unrated = np.setdiff1d(items, [*cases.histories[n], target])
        others = rng.choice(unrated, CANDIDATES - 1, replace=False)
        rows.append([target, *others])
    return Panel(
        users=cases.users[drawn],
        histories=[cases.histories[n] for n in drawn],
        candidates=np.array(rows),
    )


def names(codes: Sequence[int]) -> list[str]:
    """Titles as people say them.

    Args:
        codes: of items of the shared split.

    Returns:
        One title a code, without year.

    Example:
        >>> [title] = names([0])
        >>> title in zoo.split().titles[0]
        True
    """
    return [spoken(zoo.split().titles[code]) for code in codes]


def shown(question: Question, row: int) -> np.ndarray:
    """The order in which a user is shown the candidates.

    Args:
        question: how the prompt is written; its `place` decides.
        row: number of the user in the panel, the seed of a shuffled list.

    Returns:
        (20,) positions of the candidates, the first shown first; 0 is the target.

    Example:
        >>> shown(Question(place=5), 0).tolist()[3:8]
        [18, 19, 0, 1, 2]
    """
    if question.place is None:
        return np.random.default_rng([7, row]).permutation(CANDIDATES)
    return np.roll(np.arange(CANDIDATES), question.place)


def words(question: Question, rows: int | None = None) -> list[str]:
    """The prompts of a question, one a user.

    Args:
        question: how they are written.
        rows: users from the first of the panel; None asks all of the question.

    Returns:
        Raw prompts, see `prompts.chat`.

    Raises:
        KeyError: no prompt design has the question's name.

    Example:
        >>> [prompt] = words(Question(length=0, listed=False), rows=1)
        >>> "I have watched no film." in prompt
        True
    """
    prompts = []
    for row in range(rows or question.users):
        past = panel().histories[row]
        # not past[-length:], for [-0:] is the whole history
        start = max(len(past) - question.length, 0)
        offered = panel().candidates[row][shown(question, row)]
        said = message(
            history=names(past[start:]),
            candidates=names(offered) if question.listed else (),
            design=question.design,
        )
        prompts.append(chat(said))
    return prompts


def ask(question: Question, model: KerasLM, rows: int | None = None) -> np.ndarray:
    """Scores (rows, 20) of every candidate, target first, in nats per token."""
    prompts = words(question, rows)
    films = list(map(names, panel().candidates[: len(prompts)]))
    return np.array(model.likelihood(prompts, films))


def live() -> bool:
    """Whether the environment asks for the model itself instead of its stored answers.

    Returns:
        True with RUN_LLM=1.

    Example:
        >>> live() == (os.environ.get("RUN_LLM") == "1")
        True
    """
    return os.environ.get("RUN_LLM") == "1"


@cache
def model() -> KerasLM:
    """The one language model of a process.

    Returns:
        SmolLM2 in Keras; it loads its weights when it is first asked, which needs
        `make llm`.

    Example:
        >>> model().name
        'SmolLM2-135M'
    """
    return KerasLM()


@cache
def record() -> dict[str, Any]:
    """How the stored answers were made.

    Hash of the prompts of each question, of the weights, and versions.
    """
    return stored_json("record.json")


def stored_json(name: str) -> dict[str, Any]:
    """A json file of data/language."""
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


@cache
def scores(name: str) -> np.ndarray:
    """What the model answered to the question of that name, as stored.

    Checked against the model itself for the first users if `live`.

    Args:
        name: a key of QUESTIONS.

    Returns:
        (users, 20) mean log-probabilities, in nats per token, target first.

    Raises:
        KeyError: an unknown name.
        ValueError: the stored answers belong to other words, or the model now answers
            otherwise.

    Example:
        >>> scores("sequential").shape
        (200, 20)
    """
    question = QUESTIONS[name]
    belong(
        record()["prompts"][name],
        words(question),
        f"data/language answers other prompts than {name!r}",
    )
    stored = (
        pd.read_csv(FOLDER / "ranking.csv.gz")
        .query("question == @name")
        .drop(columns=["question", "user"])
        .to_numpy()
    )
    if live():
        now = ask(question, model(), ASKED_LIVE)
        compare(now, stored[:ASKED_LIVE], name)
    return stored


def compare(now: np.ndarray, stored: np.ndarray, what: str) -> None:
    """Raise ValueError unless the model's answer is `CLOSE` to the stored one."""
    if not np.allclose(now, stored, atol=CLOSE):
        far = np.abs(now - stored).max()
        raise ValueError(
            f"{what}: the model's answer and the stored one differ by {far:.3f}, "
            f"more than {CLOSE} nats"
        )


def averaged(start: int) -> np.ndarray:
    """Scores averaged over four turns of the list that has the target at `start`.

    Args:
        start: place of the target, one of STARTS.

    Returns:
        (100, 20) scores in nats per token, target first.

    Raises:
        KeyError: that place was not asked about.

    Example:
        The turns by 0, 5, 10 and 15 end at the same four places:

        >>> bool(np.allclose(averaged(0), averaged(5)))
        True
    """
    turned = [
        # round the circle: after the last place comes the first
        scores(f"target at {(start + turn) % CANDIDATES}")
        for turn in TURNS
    ]
    return np.mean(turned, axis=0)


def ndcg_of(scores: np.ndarray, k: int = 10) -> np.ndarray:
    """NDCG@k of each user, whose target is the first candidate.

    Args:
        scores: (n, candidates), target in the first column.
        k: length of the list.

    Returns:
        (n,) in [0, 1].

    Example:
        First place counts 1, second 1 / log2(3):

        >>> ndcg_of(np.array([[3.0, 1.0], [1.0, 3.0]])).round(3).tolist()
        [1.0, 0.631]
    """
    ranked = places(scores, [[0]] * len(scores))
    return ranking_table(ranked, k)["ndcg"].to_numpy()


def baseline(name: str, length: int = 0) -> np.ndarray:
    """Scores of a model of the zoo for the same candidates.

    Args:
        name: of a trained model of the zoo.
        length: films of history that it sees, the last ones; 0 shows all.

    Returns:
        (200, 20) scores, target first, in the model's unit.

    Raises:
        KeyError: the zoo has no such model.

    Example:
        >>> baseline("popularity").shape
        (200, 20)
    """
    histories = [
        # [-0:] is the whole history
        history[-length:]
        for history in panel().histories
    ]
    return np.take_along_axis(
        zoo.load(name).score(histories),
        panel().candidates,
        axis=1,
    )


def titles_compared() -> list[tuple[list[str], list[str]]]:
    """What a sentence encoder compares for each user.

    Titles of the last films, and of the candidates.
    """
    asked = zip(panel().histories, panel().candidates, strict=True)
    return [(names(history[-LENGTH:]), names(offered)) for history, offered in asked]


@cache
def similarity() -> np.ndarray:
    """Mean cosine of each candidate's title to the last films' by MiniLM, as stored.

    (200, 20), target first. Raises ValueError when other titles were compared.
    """
    stored = stored_json("encoder.json")
    belong(
        stored["texts"],
        list(map(repr, titles_compared())),
        "data/language/encoder.json compares other titles",
    )
    return np.array(stored["scores"])

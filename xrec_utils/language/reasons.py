"""The language model asked for its reasons, and whether they hold."""

import json
import re
from functools import cache

import numpy as np
import pandas as pd

from xrec_utils import zoo
from xrec_utils.data.load import load_movielens
from xrec_utils.data.titles import Catalogue
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game, Masks
from xrec_utils.language.citations import Citations, cited
from xrec_utils.language.experiment import (
    FOLDER,
    LINES,
    Question,
    compare,
    live,
    model,
    names,
    panel,
    record,
    scores,
    shown,
    stored_json,
)
from xrec_utils.language.prompt_game import Preference
from xrec_utils.language.prompts import ANSWER, SYSTEM, belong, message, spoken

WHY = "Why this film? Name the films of my list that made you recommend it."
TEN = "Answer with a list of ten titles, best first."
LIST = "Answer with a list of their titles, best first."


def chosen(n: int) -> np.ndarray:
    """The film that the model puts first for case n, and its second.

    Args:
        n: case, from 0.

    Returns:
        (2,) places among the candidates.

    Example:
        >>> answered = scores("no list, 8 films")[0]
        >>> bool(answered[chosen(0)[0]] == answered.max())
        True
    """
    answered = scores("no list, 8 films")[n]
    return np.argsort(-answered, kind="stable")[:2]


def lines(n: int) -> np.ndarray:
    """The films (8,) in the lines of case n: codes of its user's last ones."""
    return panel().histories[n][-LINES:]


@cache
def case(n: int) -> Preference:
    """Case n of the prompts explained: why the model's first film, and not its second?

    Args:
        n: case, from 0 to 199.

    Returns:
        The last eight films of the user's history, and the two titles.

    Example:
        >>> len(case(0).history)
        8
    """
    films = names(panel().candidates[n])
    first, second = chosen(n)
    return Preference(
        model=model(),
        history=tuple(names(lines(n))),
        film=films[first],
        other=films[second],
    )


def stars(n: int) -> np.ndarray:
    """The user's own stars for the films in the lines of case n.

    The prompt does not tell them.

    Args:
        n: case, from 0.

    Returns:
        (8,) stars, from 0.5 to 5.

    Example:
        >>> stars(0).shape
        (8,)
    """
    split = zoo.split()
    known = pd.concat([split.train, split.validation])
    known = known[known["user"] == panel().users[n]]
    by_item = known.set_index("item")["value"]
    # in the order of the lines
    return by_item[lines(n)].to_numpy()


def groups() -> Masks:
    """All groups of lines as masks, group g holding line i where bit i of g is set.

    Returns:
        (256, 8) bool, True = present.

    Example:
        >>> groups()[5].tolist()[:4]  # 5 = 1 + 4
        [True, False, True, False]
    """
    numbers = np.arange(2**LINES)
    bits = 2 ** np.arange(LINES)
    # (groups, 1) and (lines,): the bit of each line in each number
    return numbers[:, None] & bits > 0


def cases_told(count: int) -> list[str]:
    """The first so many cases, a text each.

    Stored explanations must have been made for these.
    """
    return [
        repr((each.history, each.film, each.other)) for each in map(case, range(count))
    ]


@cache
def _table(name: str) -> pd.DataFrame:
    """A table of data/language.

    Raises ValueError if it answers other cases than `case` gives now.
    """
    table = pd.read_csv(FOLDER / name)
    belong(
        record()["cases"][name],
        cases_told(table["case"].nunique()),
        f"data/language/{name} explains other cases",
    )
    return table


def game(n: int) -> Game:
    """The game of case n with its 256 stored scores.

    Every group of lines is there, so that anything can be computed exactly.

    Args:
        n: case, from 0 to 15.

    Returns:
        A game of eight lines whose scores are preferences, in nats per token.

    Raises:
        ValueError: the stored scores belong to other cases, or the model now answers
            otherwise (`live`, case 0).

    Example:
        >>> game(0).n_players, len(game(0)(groups()))
        (8, 256)
    """
    stored = _table("games.csv.gz").query("case == @n")["score"].to_numpy()
    if live() and n == 0:
        now = case(n).game()(groups()[::16])
        compare(now, stored[::16], "game 0")

    bits = 2 ** np.arange(LINES)

    def value(masks: Masks) -> np.ndarray:
        """The stored score of each group."""
        # a group's number has a bit for each of its lines, see `groups`
        return stored[masks @ bits]

    return Game(case(n).history, case(n).target, value)


def explanation(n: int, method: str) -> Explanation:
    """What a method said about the lines of case n, as stored.

    Args:
        n: case, from 0 to 15.
        method: how its name begins: "attention", "integrated gradients (16 steps)",
            "integrated gradients (64 steps)" or "LIME over words".

    Returns:
        Values (8,), in the unit of the method.

    Raises:
        ValueError: the stored values belong to other cases.
        IndexError: that method was not stored for case n.

    Example:
        >>> len(explanation(0, "attention").values)
        8
    """
    rows = _table("lines.csv.gz").query("case == @n and method.str.startswith(@method)")
    # base, score and seconds stand in each of its eight rows
    first = rows.iloc[0]
    return Explanation(
        case(n).history,
        case(n).target,
        values=rows["value"].to_numpy(),
        base=first["base"],
        score=first["score"],
        method=first["method"],
        seconds=first["seconds"],
    )


def deletions(n: int) -> np.ndarray:
    """Scores (9, 20) of the candidates of case n after deletions.

    With all lines, then without each of them in turn; in nats per token.
    """
    return (
        _table("deletions.csv.gz")
        .query("case == @n")
        .drop(columns=["case", "without"])
        .to_numpy()
    )


def closely(what: str) -> pd.DataFrame:
    """Rows on case 0 in more detail.

    Args:
        what: LIME's "word" and "word, other seed"; gradients by "token"; "attention".

    Returns:
        The stored rows; none for another name.

    Raises:
        ValueError: the stored rows belong to other cases.

    Example:
        >>> len(closely("word")) > 0
        True
    """
    return (
        _table("closely.csv.gz")
        .query("what == @what")
        .drop(columns=["case", "what"])
        .reset_index(drop=True)
    )


def falls(n: int) -> np.ndarray:
    """What deleting each line of case n costs its film.

    Args:
        n: case, from 0 to 199.

    Returns:
        (2, 8): nats of preference, and places among the twenty candidates.

    Raises:
        ValueError: the stored deletions belong to other cases.

    Example:
        >>> falls(0).shape
        (2, 8)
    """
    scored = deletions(n)
    first, second = chosen(n)
    # (9,): with all lines, then without each
    preference = scored[:, first] - scored[:, second]
    # (9,): as many films stand before it
    place = (scored > scored[:, [first]]).sum(axis=1)
    return np.array(
        [
            preference[0] - preference[1:],
            # a later place is a larger number
            place[1:] - place[0],
        ]
    )


@cache
def texts(kind: str) -> list[str]:
    """What the model wrote, as stored.

    Args:
        kind: "list" (ten films of its own), "choice" (ten of the candidates) or "why"
            (its reason).

    Returns:
        One text a case, from case 0.

    Raises:
        KeyError: another kind.
        ValueError: the stored texts answer other messages.

    Example:
        >>> len(texts("why"))
        200
    """
    stored = stored_json("texts.json")[kind]
    conversations = [
        json.dumps(conversation(kind, n))
        # not all users were asked each kind
        for n in range(len(stored["replies"]))
    ]
    belong(
        stored["prompts"],
        conversations,
        f"data/language/texts.json answers other {kind!r}",
    )
    return stored["replies"]


def conversation(kind: str, n: int) -> list[dict[str, str]]:
    """The messages that make the model write about case n; kinds as in `texts`."""
    history = case(n).history
    if kind == "why":
        return [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": message(history)},
            {"role": "assistant", "content": f"{ANSWER} {case(n).film}"},
            {"role": "user", "content": WHY},
        ]
    content = f"{message(history)}\n{TEN}"
    if kind == "choice":
        # in the order of the question "sequential"
        offered = panel().candidates[n, shown(Question(), n)]
        content = f"{message(history, names(offered))}\n{LIST}"
    return [{"role": "user", "content": content}]


@cache
def _catalogues() -> tuple[Catalogue, Catalogue]:
    """The films of the course by code, and all of movielens-small.

    By the titles that people say.
    """
    course = map(spoken, zoo.split().titles)
    every = load_movielens("movielens-small").items["title"].map(spoken)
    return Catalogue(list(course)), Catalogue(every)


def named_in(n: int, text: str) -> Citations:
    """The films that a text about case n mentions.

    cited: lines (0, 1, ...) of the history; others: codes of further films, the
    recommended one left out; invented: titles of no film in all of movielens-small,
    without a last one that only begins another title mentioned.
    """
    course, every = _catalogues()
    past = lines(n).tolist()
    first, _ = chosen(n)
    film = panel().candidates[n, first]
    # a text that was cut short may end amid a bracket
    whole = re.sub(r"\s*\([^)]*$", "", text)
    mentions = cited(whole, course, [*past, film])
    return Citations(
        cited=[past.index(code) for code in mentions.cited if code != film],
        others=mentions.others,
        invented=[
            title
            for title in _without_cut(mentions)
            # the course leaves films of movielens-small out
            if every.match([title]).invented
        ],
    )


def _without_cut(mentions: Citations) -> list[str]:
    """The invented titles without a last one that only begins another title."""
    if not mentions.invented:
        return []
    *others, last = mentions.invented
    known = others + names(mentions.cited + mentions.others)
    begun = any(title.startswith(last) for title in known)
    return others if begun else mentions.invented


@cache
def stated() -> list[Citations]:
    """The films that the model's reasons mention.

    Returns:
        One for each of the texts on "why": lines of the history, codes of further
        films, titles of no film.

    Raises:
        ValueError: the stored texts answer other messages.

    Example:
        >>> len(stated())
        200
    """
    return [named_in(n, text) for n, text in enumerate(texts("why"))]

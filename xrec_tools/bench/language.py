"""Ask the language model everything the course asks it, once.

    python -m xrec_tools.bench.language [part ...]

Parts: ranking, deletions, games, lines, closely, texts, encoder, table. Each
writes into data/language, most only what is not there yet; `table` sums all up in
data/bench/language.csv. All but `table` need `make llm`.

What was expected of it was written down before the first test user was asked:
`HYPOTHESES` in xrec_utils/language/experiment.py.
"""

import gzip
import json
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from xrec_utils.files import replace_bytes, replace_text, sha256
from xrec_utils.language import experiment as lang
from xrec_utils.language import prompt_game, reasons, results
from xrec_utils.language.prompts import chat, fingerprint, message
from xrec_utils.language.weights import model_file

PACKAGES = ("keras", "gguf", "tokenizers", "numpy")


def stored(name: str) -> dict[str, Any]:
    """A json file of data/language as it is now, empty if it is not there yet."""
    path = lang.FOLDER / name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def note(key: str, name: str, value: object) -> None:
    """Put one fact into data/language/record.json."""
    known = stored("record.json")
    known.setdefault(key, {})[name] = value
    weights = model_file("smollm2")
    known["weights"] = {"file": weights.name, "sha256": sha256(weights)}
    known["versions"] = {package: version(package) for package in PACKAGES}
    replace_text(
        lang.FOLDER / "record.json", json.dumps(known, indent=1, sort_keys=True) + "\n"
    )


def keep(name: str, table: pd.DataFrame) -> None:
    """Write a table into data/language, packed."""
    content = table.to_csv(index=False, float_format="%.4f").encode()
    # without a time stamp, so that equal tables are equal files
    replace_bytes(lang.FOLDER / name, gzip.compress(content, mtime=0))


def kept(name: str) -> pd.DataFrame:
    """A table of data/language, empty if it is not there yet."""
    path = lang.FOLDER / name
    return pd.read_csv(path) if path.exists() else pd.DataFrame()


def ranking() -> None:
    """Every question to every user of the panel."""
    for name, question in lang.QUESTIONS.items():
        table = kept("ranking.csv.gz")
        prompts = fingerprint(lang.words(question))
        if len(table) and _noted("prompts", name) == prompts:
            continue
        # (users, candidates)
        scores = pd.DataFrame(lang.ask(question, lang.model())).add_prefix("c")
        ndcg = lang.ndcg_of(scores.to_numpy()).mean()
        scores.insert(
            0,
            "user",
            lang.panel().users[: question.users],
        )
        scores.insert(0, "question", name)
        # an empty table has no columns to choose from
        if len(table):
            table = table[table["question"] != name]
        keep("ranking.csv.gz", pd.concat([table, scores]))
        note("prompts", name, prompts)
        print(f"{name}: NDCG@10 {ndcg:.3f}", flush=True)


def _noted(key: str, name: str) -> object:
    """A fact of data/language/record.json, None if it is not there yet."""
    return stored("record.json").get(key, {}).get(name)


def explained(
    name: str, part: Callable[[int], list[dict[str, object]]], cases: int
) -> None:
    """Make a table of rows for each of so many cases, stored after each case.

    Cases that the table stands for already are left alone, if they are still the same.
    """
    table = kept(name)
    done = table["case"].nunique() if len(table) else 0
    if _noted("cases", name) != fingerprint(reasons.cases_told(done)):
        done, table = 0, table[:0]
    rows = table.to_dict("records")
    for n in range(done, cases):
        rows += [{"case": n} | row for row in part(n)]
        keep(name, pd.DataFrame(rows))
        note("cases", name, fingerprint(reasons.cases_told(n + 1)))
        print(f"{name}: case {n}", flush=True)


def deletions(n: int) -> list[dict[str, object]]:
    """The candidates' scores with every line and without each one."""
    history = reasons.case(n).history
    films = lang.names(lang.panel().candidates[n])
    # the full history first: its rows are marked as without line -1
    histories = [history]
    for line in range(len(history)):
        histories.append(history[:line] + history[line + 1 :])
    prompts = [chat(message(lines)) for lines in histories]
    found = lang.model().likelihood(prompts, [films] * len(prompts))
    table = pd.DataFrame(np.array(found)).add_prefix("c")
    table.insert(0, "without", range(-1, len(history)))
    return table.to_dict("records")


def games(n: int) -> list[dict[str, object]]:
    """The preference for every group of lines."""
    return [
        {"group": group, "score": score}
        for group, score in enumerate(reasons.case(n).game()(reasons.groups()))
    ]


def lines(n: int) -> list[dict[str, object]]:
    """What the explainers that ask the model itself say of each line.

    They are LIME over words, integrated gradients in few and in many steps, attention.
    """
    case = reasons.case(n)
    rows = []
    for explainer in (
        prompt_game.lime_words,
        partial(prompt_game.line_gradients, steps=16),
        prompt_game.line_gradients,
        prompt_game.line_attention,
    ):
        said, _ = explainer(case)
        for line, value in enumerate(said.values):
            rows.append(
                {
                    "method": said.method,
                    "line": line,
                    "value": value,
                    "base": said.base,
                    "score": said.score,
                    "seconds": said.seconds,
                }
            )
    return rows


def closely(n: int) -> list[dict[str, object]]:
    """One case in full, in rows of several kinds.

    LIME's weights under two seeds, gradients by token, attention by block.
    """
    case = reasons.case(n)
    _, weights = prompt_game.lime_words(case)
    _, credit = prompt_game.line_gradients(case)
    _, attention = prompt_game.line_attention(case)
    _, other_weights = prompt_game.lime_words(case, seed=1)
    reading = prompt_game.Reading.of(case)
    tokens = [case.model.tokenizer.decode([token]) for token in reading.tree.tokens]
    rows = _word_rows("word", weights)
    rows += _word_rows("word, other seed", other_weights)
    spoken = zip(reading.lines, tokens, credit, strict=True)
    for place, (line, text, value) in enumerate(spoken):
        rows.append(
            {
                "what": "token",
                "place": place,
                "line": line,
                "text": text,
                "value": value,
            }
        )
    for block, row in enumerate(attention):
        for line, value in enumerate(reading.by_line(row, len(case.history))):
            rows.append(
                {"what": "attention", "place": block, "line": line, "value": value}
            )
    return rows


def _word_rows(what: str, weights: list[tuple[str, float]]) -> list[dict[str, object]]:
    return [
        {"what": what, "place": place, "text": word, "value": weight}
        for place, (word, weight) in enumerate(weights)
    ]


def texts() -> None:
    """Let llama.cpp write: lists and choices for some users, reasons for all asked why.

    Stored after each reply; those that answer the same messages are left alone.
    """
    from xrec_utils.language.writer import LocalLM

    model = None
    known = stored("texts.json")
    writes = {"why": lang.USERS, "list": lang.WRITTEN, "choice": lang.WRITTEN}
    for kind, users in writes.items():
        asked = [json.dumps(reasons.conversation(kind, n)) for n in range(users)]
        replies = known.get(kind, {}).get("replies", [])
        answered = fingerprint(asked[: len(replies)])
        if len(replies) and known[kind]["prompts"] != answered:
            replies = []
        for n in range(len(replies), users):
            # loaded only where something is missing
            model = model or LocalLM()
            replies.append(model.generate(json.loads(asked[n]), max_tokens=160))
            known[kind] = {
                "prompts": fingerprint(asked[: n + 1]),
                "model": model.name,
                "xllamacpp": version("xllamacpp"),
                "replies": replies,
            }
            replace_text(
                lang.FOLDER / "texts.json",
                json.dumps(known, indent=1, ensure_ascii=False) + "\n",
            )
            print(f"{kind}: text {n}", flush=True)


def encoder() -> None:
    """How alike MiniLM finds each candidate's title and those of the last films."""
    from xrec_utils.language.encoder import SentenceEncoder

    model = SentenceEncoder()
    compared = lang.titles_compared()
    # rounded as float64: a float32 would be stored with all its digits
    scores = [
        model.score(*titles).astype(float).round(4).tolist() for titles in compared
    ]
    replace_text(
        lang.FOLDER / "encoder.json",
        json.dumps(
            {
                "texts": fingerprint([repr(titles) for titles in compared]),
                "model": model.name,
                "onnxruntime": version("onnxruntime"),
                "scores": scores,
            }
        )
        + "\n",
    )


PARTS: dict[str, Callable[[], None]] = {
    "ranking": ranking,
    "deletions": lambda: explained("deletions.csv.gz", deletions, lang.USERS),
    "games": lambda: explained("games.csv.gz", games, lang.EXPLAINED),
    "lines": lambda: explained("lines.csv.gz", lines, lang.EXPLAINED),
    "closely": lambda: explained("closely.csv.gz", closely, 1),
    "texts": texts,
    "encoder": encoder,
    "table": results.write,
}


def main(arguments: list[str] | None = None) -> None:
    """Run the parts named, or all of them."""
    asked = sys.argv[1:] if arguments is None else arguments
    lang.FOLDER.mkdir(exist_ok=True)
    for part in asked or PARTS:
        PARTS[part]()


if __name__ == "__main__":
    main()

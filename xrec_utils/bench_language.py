"""Ask the language model everything the course asks it, once: `python -m
xrec_utils.bench_language [part ...]`.

Parts: ranking, deletions, games, lines, closely, texts, encoder, agreement, table. Each
writes into data/language, most only what is not there yet; `table` sums all up in
data/bench/language.csv. All but `table` need `make llm`.

Written down before the first test user was asked:
  1. Popularity ranks better than the language model by NDCG@10 in each of the three
  designs (200 users). 2. The history adds nothing that the titles alone do not give:
  "no list" minus "no list, no history" holds zero. 3. Raw NDCG@10 depends on the
  target's place in the list (100 users): largest minus smallest over five places is
  above
     2 points; after averaging over four turns of the list it is at most 2.
  4. Films that the model cites when asked why move its score, when deleted, no more
  than its other films do. 5. By deletion, exact Shapley values beat integrated
  gradients, LIME over words and attention, in this order.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from xrec_utils import bench_language_table, bench_llama
from xrec_utils import language as lang
from xrec_utils.explain import words
from xrec_utils.fetch import model_file
from xrec_utils.files import replace_bytes, replace_text, sha256
from xrec_utils.prompts import chat, fingerprint, message

PACKAGES = ("keras", "gguf", "tokenizers", "numpy")


def stored(name: str) -> dict[str, Any]:
    """A json file of data/language as it is now, empty if it is not there yet."""
    path = lang.FOLDER / name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def note(key: str, name: str, value: object) -> None:
    """Put one fact into data/language/record.json."""
    known = stored("record.json")
    known.setdefault(key, {})[name] = value
    known["weights"] = {
        "file": model_file("smollm2").name,
        "sha256": sha256(model_file("smollm2")),
    }
    known["versions"] = {package: version(package) for package in PACKAGES}
    replace_text(
        lang.FOLDER / "record.json", json.dumps(known, indent=1, sort_keys=True) + "\n"
    )


def keep(name: str, table: pd.DataFrame) -> None:
    """Write a table into data/language, packed without a time stamp so that equal
    tables are equal files.
    """
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as file:
        file.write(table.to_csv(index=False, float_format="%.4f").encode())
    replace_bytes(lang.FOLDER / name, packed.getvalue())


def kept(name: str) -> pd.DataFrame:
    """A table of data/language, empty if it is not there yet."""
    path = lang.FOLDER / name
    return pd.read_csv(path) if path.exists() else pd.DataFrame()


def ranking() -> None:
    """Every question to every user of the panel."""
    for name, question in lang.QUESTIONS.items():
        table, prompts = kept("ranking.csv.gz"), fingerprint(lang.words(question))
        if len(table) and stored("record.json").get("prompts", {}).get(name) == prompts:
            continue
        found = pd.DataFrame(lang.ask(question, lang.model())).add_prefix("c")
        found.insert(0, "user", lang.panel().users[: question.users])
        found.insert(0, "question", name)
        rest = table[table["question"] != name] if len(table) else table
        keep("ranking.csv.gz", pd.concat([rest, found]))
        note("prompts", name, prompts)
        print(
            f"{name}: NDCG@10 {lang.ndcg(found.iloc[:, 2:].to_numpy()).mean():.3f}",
            flush=True,
        )


def explained(
    name: str, part: Callable[[int], list[dict[str, object]]], cases: int
) -> None:
    """Make a table of rows for each of so many cases, unless it stands for the same
    cases already.
    """
    if stored("record.json").get("cases", {}).get(name) == lang.cases_fingerprint():
        return
    rows = []
    for n in range(cases):
        rows += part(n)
        print(f"{name}: case {n}", flush=True)
    keep(name, pd.DataFrame(rows))
    note("cases", name, lang.cases_fingerprint())


def deletions(n: int) -> list[dict[str, object]]:
    """The candidates' scores with every line and without each one."""
    history, films = lang.case(n).history, lang.names(lang.panel().candidates[n])
    without = [history, *(history[:i] + history[i + 1 :] for i in range(len(history)))]
    found = lang.model().likelihood(
        [chat(message(lines)) for lines in without], [films] * len(without)
    )
    return [
        {"case": n, "without": i - 1, **{f"c{k}": x for k, x in enumerate(row)}}
        for i, row in enumerate(found)
    ]


def games(n: int) -> list[dict[str, object]]:
    """The preference for every group of lines."""
    scores = lang.case(n).game()(lang.groups())
    return [
        {"case": n, "group": group, "score": score}
        for group, score in enumerate(scores)
    ]


def lines(n: int) -> list[dict[str, object]]:
    """What three explainers say of each line: LIME over words, integrated gradients,
    attention.
    """
    case = lang.case(n)
    made = [
        words.lime_words(case)[0],
        words.line_gradients(case)[0],
        words.line_attention(case)[0],
    ]
    return [
        {
            "case": n,
            "method": e.method,
            "line": i,
            "value": value,
            "base": e.base,
            "score": e.score,
            "seconds": e.seconds,
        }
        for e in made
        for i, value in enumerate(e.values)
    ]


def closely(n: int) -> list[dict[str, object]]:
    """One case in full: LIME's weights under two seeds, gradients by token and in finer
    steps, attention by block.
    """
    case = lang.case(n)
    explainers = (words.lime_words, words.line_gradients, words.line_attention)
    spoken, credit, attention = (explainer(case)[1] for explainer in explainers)
    again, reading = words.lime_words(case, seed=1)[1], words.Reading.of(case)
    tokens = [case.model.tokenizer.decode([token]) for token in reading.tree.tokens]
    return [
        *({"what": what, "place": k, "text": word, "value": weight}
          for what, found in (("word", spoken), ("word, other seed", again)) for k, (word, weight) in enumerate(found)),
        *({"what": "token", "place": k, "line": line, "text": text, "value": value}
          for k, (line, text, value) in enumerate(zip(reading.lines, tokens, credit, strict=True))),
        *({"what": "attention", "place": block, "line": line, "value": value} for block, row in enumerate(attention)
          for line, value in enumerate(reading.by_line(row, len(case.history)))),
        *({"what": "line, 64 steps", "line": line, "value": value}
          for line, value in enumerate(words.line_gradients(case, 64)[0].values)),
    ]  # fmt: skip


def texts() -> None:
    """Let llama.cpp write: lists and choices for thirty users, reasons for sixty."""
    from xrec_utils.llm_text import LocalLM

    model, known = None, stored("texts.json")
    for kind, users in (
        ("why", lang.CITED),
        ("list", lang.CITED // 2),
        ("choice", lang.CITED // 2),
    ):
        asked = [lang.conversation(kind, n) for n in range(users)]
        prompts = fingerprint([json.dumps(each) for each in asked])
        if known.get(kind, {}).get("prompts") == prompts:
            continue
        model = model or LocalLM()
        replies = [model.generate(each, max_tokens=160) for each in asked]
        known[kind] = {
            "prompts": prompts,
            "model": model.name,
            "xllamacpp": version("xllamacpp"),
            "replies": replies,
        }
        replace_text(
            lang.FOLDER / "texts.json",
            json.dumps(known, indent=1, ensure_ascii=False) + "\n",
        )
        print(f"{kind}: {users} texts", flush=True)


def encoder() -> None:
    """How alike MiniLM finds each candidate's title and those of the user's last films."""
    from xrec_utils.llm_encoder import SentenceEncoder

    model, said = SentenceEncoder(), lang.titles_compared()
    found = [model.score(*texts).astype(float).round(4).tolist() for texts in said]
    kept_as = {"texts": fingerprint([repr(texts) for texts in said]), "model": model.name,
               "onnxruntime": version("onnxruntime"), "scores": found}  # fmt: skip
    replace_text(lang.FOLDER / "encoder.json", json.dumps(kept_as) + "\n")


def agreement() -> None:
    """How far the Keras model lies from NumPy (logits) and llama.cpp (nats of
    log-probability), into record.json.
    """
    weights = model_file("smollm2").name
    if weights in stored("record.json").get("agreement", {}):
        return
    gaps, same = bench_llama.to_llama_cpp(lang.model())
    found = {
        "NumPy, largest logit difference": bench_llama.to_numpy(lang.model()).max(),
        "llama.cpp, median difference": np.median(gaps),
        "llama.cpp, 99th percentile": np.quantile(gaps, 0.99),
        "llama.cpp, same top token": same.mean(),
        "llama.cpp, tokens asked about": len(same),
    }
    note(
        "agreement",
        weights,
        {name: round(float(value), 6) for name, value in found.items()},
    )


PARTS: dict[str, Callable[[], None]] = {
    "ranking": ranking,
    "deletions": lambda: explained("deletions.csv.gz", deletions, lang.CITED),
    "games": lambda: explained("games.csv.gz", games, lang.EXPLAINED),
    "lines": lambda: explained("lines.csv.gz", lines, lang.EXPLAINED),
    "closely": lambda: explained("closely.csv.gz", closely, 1),
    "texts": texts,
    "encoder": encoder,
    "agreement": agreement,
    "table": bench_language_table.write,
}


def main(arguments: list[str] | None = None) -> None:
    """Run the parts named, or all of them."""
    asked = sys.argv[1:] if arguments is None else arguments
    lang.FOLDER.mkdir(exist_ok=True)
    for part in asked or PARTS:
        PARTS[part]()


if __name__ == "__main__":
    main()

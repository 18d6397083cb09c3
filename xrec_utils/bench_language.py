"""Ask the language model everything the course asks it, once: `python -m xrec_utils.bench_language [part ...]`.

Parts: ranking, games, words, gradients, texts, agreement, table. Each writes into data/language and is skipped
where its answers stand already; `table` sums all up in data/bench/language.csv. Needs `make llm`.

Written down before the first test user was asked:
  1. Popularity ranks better than the language model by NDCG@10 in each of the three designs (200 users).
  2. The history adds nothing that the titles alone do not give: "no list" minus "no list, no history" holds zero.
  3. Raw NDCG@10 depends on the target's place in the list (100 users): largest minus smallest over five places is above
     2 points; after averaging over four turns of the list it is at most 2.
  4. Films that the model cites when asked why move its score, when deleted, no more than its other films do.
  5. By deletion, exact Shapley values beat integrated gradients, LIME over words and attention, in this order.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
from importlib.metadata import version

import pandas as pd

from xrec_utils import language as lang
from xrec_utils.fetch import model_file
from xrec_utils.files import replace_bytes, replace_text, sha256
from xrec_utils.prompts import fingerprint

PACKAGES = ("keras", "gguf", "tokenizers", "numpy")


def note(key: str, name: str, value: object) -> None:
    """Put one fact into data/language/record.json."""
    path = lang.FOLDER / "record.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known.setdefault(key, {})[name] = value
    known["weights"] = {"file": model_file("smollm2").name, "sha256": sha256(model_file("smollm2"))}
    known["versions"] = {package: version(package) for package in PACKAGES}
    replace_text(path, json.dumps(known, indent=1, sort_keys=True) + "\n")


def keep(name: str, table: pd.DataFrame) -> None:
    """Write a table into data/language, packed without a time stamp so that equal tables are equal files."""
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
        known = json.loads((lang.FOLDER / "record.json").read_text())["prompts"] if len(table) else {}
        if known.get(name) == prompts:
            continue
        found = pd.DataFrame(lang.ask(question, lang.model())).add_prefix("c")
        found.insert(0, "user", lang.panel().users[: question.users])
        found.insert(0, "question", name)
        rest = table[table["question"] != name] if len(table) else table
        keep("ranking.csv.gz", pd.concat([rest, found]))
        note("prompts", name, prompts)
        print(f"{name}: NDCG@10 {lang.ndcg(found.iloc[:, 2:].to_numpy()).mean():.3f}", flush=True)


PARTS = {"ranking": ranking}


def main(arguments: list[str] | None = None) -> None:
    """Run the parts named, or all of them."""
    asked = sys.argv[1:] if arguments is None else arguments
    lang.FOLDER.mkdir(exist_ok=True)
    for part in asked or PARTS:
        PARTS[part]()


if __name__ == "__main__":
    main()

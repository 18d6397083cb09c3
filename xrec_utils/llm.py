"""Language models as recommenders, behind one interface: titles in, one score per
candidate out.

A `Ranker` reads the titles of a history, oldest first, and scores candidate titles.
`KerasLM` asks how likely each title is as the model's answer; `Lister` lets any model
that writes text (`LocalLM`, `EndpointLM`) write a list and reads it back;
`SentenceEncoder` compares meanings. `TitleRecommender` makes a history model of any of
them, so that games, explanations and metrics of the rest of the course apply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from xrec_utils.contract import History
from xrec_utils.llm_text import LanguageModel
from xrec_utils.prompts import message, spoken, within
from xrec_utils.replies import Catalogue, ranked

LIST = "Answer with a list of their titles, best first."
LARGEST = (
    640  # tokens read at once: more cost memory and, attention being quadratic, time
)


class Ranker(Protocol):
    """Titles of a history (oldest first) and of candidates -> one score each, higher =
    recommended earlier.
    """

    name: str

    def score(
        self, histories: Sequence[Sequence[str]], candidates: Sequence[Sequence[str]]
    ) -> list[np.ndarray]: ...


@dataclass
class Tree:
    """Token sequences that share their beginnings: each distinct beginning is one node,
    read once.

    tokens, parents, depths: one entry per node; the parent of a first token is -1.
    """

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    known: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, sequence: Sequence[int]) -> list[int]:
        """Put a sequence in; the nodes of its tokens, first to last."""
        path, node = [], -1
        for depth, token in enumerate(sequence):
            if (node, token) not in self.known:
                self.known[node, token] = len(self.tokens)
                self.tokens.append(token)
                self.parents.append(node)
                self.depths.append(depth)
            node = self.known[node, token]
            path.append(node)
        return path

    def mask(self) -> np.ndarray:
        """(nodes, nodes) float32: a node sees itself and what led to it, no other
        branch.
        """
        sees = np.eye(len(self.tokens), dtype=np.float32)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                sees[node] += sees[parent]
        return sees


def shared_beginning(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two sequences have in common at their beginning."""
    return next(
        (n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y),
        min(len(a), len(b)),
    )


def bundles(sequences: Sequence[Sequence[int]], largest: int) -> list[list[int]]:
    """Positions of the sequences, put together so that a tree of each bundle has at
    most `largest` nodes.

    In the order of their tokens, so that neighbours share much. A longer sequence gets
    a bundle of its own.
    """
    order = sorted(range(len(sequences)), key=lambda n: list(sequences[n]))
    found: list[list[int]] = []
    nodes = 0
    for n in order:
        new = len(sequences[n]) - (
            shared_beginning(sequences[found[-1][-1]], sequences[n]) if found else 0
        )
        if not found or nodes + new > largest:
            found.append([])
            nodes, new = 0, len(sequences[n])
        found[-1].append(n)
        nodes += new
    return found


@dataclass(eq=False)
class KerasLM:
    """SmolLM2 in Keras; a candidate's score is the mean log-probability of the tokens
    of its title.

    design: of the prompt. listed: whether the prompt lists the candidates. budget:
    tokens of a prompt at most; the oldest films of a longer history are left out. Needs
    `make llm`; raises what `model_file` does without it.
    """

    design: str = "sequential"
    listed: bool = True
    budget: int = 1024
    name: str = "SmolLM2-135M"

    @cached_property
    def model(self) -> Any:
        from xrec_utils.fetch import model_file
        from xrec_utils.llama import load_llama

        return load_llama(model_file("smollm2"))

    @cached_property
    def tokenizer(self) -> Any:
        from xrec_utils.fetch import model_file
        from xrec_utils.llama import load_tokenizer

        return load_tokenizer(model_file("smollm2"))

    @cached_property
    def _graph(self) -> Any:
        from xrec_utils.llama import compiled

        return compiled(self.model)

    def tokens(self, text: str) -> list[int]:
        return self.tokenizer.encode(text).ids

    def prompt(self, history: Sequence[str], candidates: Sequence[str] = ()) -> str:
        """The text before the title: as long a history as the budget allows, candidates
        if they are listed.
        """
        return within(self.budget, lambda text: len(self.tokens(text)), history, candidates if self.listed else (),
                      self.design)  # fmt: skip

    def score(
        self, histories: Sequence[Sequence[str]], candidates: Sequence[Sequence[str]]
    ) -> list[np.ndarray]:
        """See `Ranker`; one array (candidates,) per history, in nats per token."""
        prompts = [
            self.prompt(history, films)
            for history, films in zip(histories, candidates, strict=True)
        ]
        return self.likelihood(prompts, candidates)

    def likelihood(
        self, prompts: Sequence[str], answers: Sequence[Sequence[str]]
    ) -> list[np.ndarray]:
        """Mean log-probability per token of each answer after its prompt: one array
        (answers,) per prompt.

        Equal beginnings, whether of one prompt or of several, are read once. Raises
        ValueError on an empty answer.
        """
        starts = [self.tokens(prompt) for prompt in prompts]
        ends = [[self.tokens(f" {answer}") for answer in films] for films in answers]
        if not all(answer.strip() for films in answers for answer in films):
            raise ValueError(
                "answers: an empty text has no likelihood, give each candidate a title"
            )
        pairs = [
            (start, end)
            for start, films in zip(starts, ends, strict=True)
            for end in films
        ]
        scores = iter(self._read(pairs))
        return [np.array([next(scores) for _ in films]) for films in ends]

    def _read(self, pairs: Sequence[tuple[list[int], list[int]]]) -> np.ndarray:
        sequences = [start + end for start, end in pairs]
        scores = np.empty(len(pairs))
        for bundle in bundles(sequences, LARGEST):
            tree = Tree()
            paths = {n: tree.add(sequences[n])[-len(pairs[n][1]) :] for n in bundle}
            asked = sorted(
                {tree.parents[node] for path in paths.values() for node in path}
            )
            found = self.following(tree, asked)
            row = {node: place for place, node in enumerate(asked)}
            for n, path in paths.items():
                steps = [
                    found[row[tree.parents[node]], tree.tokens[node]] for node in path
                ]
                scores[n] = np.mean(steps, dtype=np.float64)
        return scores

    def following(self, tree: Tree, asked: list[int]) -> np.ndarray:
        """(asked, vocabulary): what may follow each of the nodes asked about."""
        tokens, depths = (
            np.array([values], np.int32) for values in (tree.tokens, tree.depths)
        )
        rows = np.stack(
            [np.zeros(len(asked), np.int32), np.array(asked, np.int32)], axis=1
        )
        return self._graph(tokens, depths, tree.mask()[None], rows).numpy()


@dataclass(eq=False)
class Lister:
    """Lets a model write its choice as a list and reads that back; a candidate's score
    is minus its place.

    Candidates the model leaves out follow in the order shown. invented: titles it wrote
    that are no candidate, so far.
    """

    writer: LanguageModel
    invented: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.writer.name

    def score(
        self, histories: Sequence[Sequence[str]], candidates: Sequence[Sequence[str]]
    ) -> list[np.ndarray]:
        """See `Ranker`. Raises what the writer raises when it cannot be reached."""
        return [
            self._places(history, films)
            for history, films in zip(histories, candidates, strict=True)
        ]

    def _places(self, history: Sequence[str], films: Sequence[str]) -> np.ndarray:
        reply = self.writer.generate(
            f"{message(history, films)}\n{LIST}", max_tokens=16 * len(films)
        )
        found = ranked(
            reply, range(len(films)), Catalogue(films), seen=(), k=len(films)
        )
        self.invented += found.invented
        return -np.argsort(found.codes).astype(float)


@dataclass(eq=False)
class TitleRecommender:
    """A history model of a ranker of titles: codes in, scores out, so that games and
    metrics take it.

    titles (items,): MovieLens titles by item code; the ranker reads them as people
    write them.
    """

    ranker: Ranker
    titles: Sequence[str]

    @property
    def name(self) -> str:
        return self.ranker.name

    @property
    def n_items(self) -> int:
        return len(self.titles)

    def score(
        self, histories: Sequence[History], items: np.ndarray | None = None
    ) -> np.ndarray:
        """Scores (n, n_items or len(items)) float32; ask for few items, each is read by
        the ranker.
        """
        films = [
            spoken(self.titles[code])
            for code in (range(self.n_items) if items is None else items)
        ]
        seen = [
            [spoken(self.titles[code]) for code in history] for history in histories
        ]
        return np.array(
            self.ranker.score(seen, [films] * len(seen)), np.float32
        ).reshape(len(seen), len(films))

"""Language models as recommenders: titles in, one score per candidate out.

A `Ranker` reads the titles of a history, oldest first, and scores candidate titles.
`KerasLM` asks how likely each title is as the model's answer; `Lister` lets any model
that writes text (`LocalLM`, `EndpointLM`) write a list and reads it back;
`SentenceEncoder` compares meanings. `TitleRecommender` makes a history model of any of
them, so that games, explanations and metrics of the rest of the course apply.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from xrec_utils.contract import History
from xrec_utils.data.titles import Catalogue, spoken
from xrec_utils.language.prompts import message, within
from xrec_utils.language.replies import ranked
from xrec_utils.language.weights import model_file
from xrec_utils.language.writer import LanguageModel

LIST = "Answer with a list of their titles, best first."
# tokens read at once: more cost memory and, attention being quadratic, time
LARGEST = 640


class Ranker(Protocol):
    """What scores titles, given the titles of a history."""

    name: str

    def score(
        self, histories: Sequence[Sequence[str]], candidates: Sequence[Sequence[str]]
    ) -> list[np.ndarray]:
        """One array (candidates,) per history, higher = recommended earlier.

        Titles of each history, oldest first, and of the candidates after it.
        """
        ...


@dataclass
class Tree:
    """Token sequences that share their beginnings, each read once.

    Each distinct beginning is one node. tokens, parents, depths: one entry per node;
    the parent of a first token is -1.
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
        """(nodes, nodes) float32: a node sees itself and what led to it.

        No node sees another branch.
        """
        sees = np.eye(len(self.tokens), dtype=np.float32)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                sees[node] += sees[parent]
        return sees


def shared_beginning(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two sequences have in common at their beginning."""
    for n, (one, other) in enumerate(zip(a, b, strict=False)):
        if one != other:
            return n
    return min(len(a), len(b))


def bundles(sequences: Sequence[Sequence[int]], largest: int) -> list[list[int]]:
    """Positions of the sequences, put together to share what they begin with.

    A tree of each bundle has at most `largest` nodes; a longer sequence gets a bundle
    of its own. In the order of their tokens, so that neighbours share much.
    """
    order = sorted(range(len(sequences)), key=lambda n: list(sequences[n]))
    bundled: list[list[int]] = []
    nodes = 0
    for n in order:
        new = len(sequences[n])
        if bundled:
            last = bundled[-1][-1]
            new -= shared_beginning(sequences[last], sequences[n])
        if not bundled or nodes + new > largest:
            # a new tree shares nothing yet
            bundled.append([])
            nodes = 0
            new = len(sequences[n])
        bundled[-1].append(n)
        nodes += new
    return bundled


@dataclass(eq=False)
class KerasLM:
    """SmolLM2 in Keras, which scores a title by how likely it is as the answer.

    The score is the mean log-probability of the title's tokens, in nats. design: of the
    prompt. listed: whether the prompt lists the candidates. budget: tokens of a prompt
    at most; the oldest films of a longer history are left out. Needs `make llm`; raises
    what `model_file` does without it.
    """

    design: str = "sequential"
    listed: bool = True
    budget: int = 1024
    name: str = "SmolLM2-135M"

    @cached_property
    def model(self) -> Any:
        """The network; loaded when first used."""
        from xrec_utils.language.llama import load_llama

        return load_llama(model_file("smollm2"))

    @cached_property
    def tokenizer(self) -> Any:
        """SmolLM2's; loaded when first used."""
        from xrec_utils.language.llama import load_tokenizer

        return load_tokenizer(model_file("smollm2"))

    @cached_property
    def _graph(self) -> Any:
        from xrec_utils.language.llama import compiled

        return compiled(self.model)

    def tokens(self, text: str) -> list[int]:
        """The ids of a text's tokens."""
        return self.tokenizer.encode(text).ids

    def prompt(self, history: Sequence[str], candidates: Sequence[str] = ()) -> str:
        """The text before the title, with as long a history as the budget allows."""
        listed = candidates if self.listed else ()

        def count(text: str) -> int:
            return len(self.tokens(text))

        return within(self.budget, count, history, listed, self.design)

    def score(
        self, histories: Sequence[Sequence[str]], candidates: Sequence[Sequence[str]]
    ) -> list[np.ndarray]:
        """See `Ranker`; one array (candidates,) per history, in nats per token."""
        pairs = zip(histories, candidates, strict=True)
        prompts = [self.prompt(history, films) for history, films in pairs]
        return self.likelihood(prompts, candidates)

    def likelihood(
        self, prompts: Sequence[str], answers: Sequence[Sequence[str]]
    ) -> list[np.ndarray]:
        """Mean log-probability per token of each answer after its prompt.

        Returns one array (answers,) per prompt, in nats. Equal beginnings, whether of
        one prompt or of several, are read once. Raises ValueError on an empty answer.
        """
        starts = [self.tokens(prompt) for prompt in prompts]
        ends = [[self.tokens(f" {answer}") for answer in films] for films in answers]
        if not all(answer.strip() for films in answers for answer in films):
            raise ValueError(
                "answers: an empty text has no likelihood, give each candidate a title"
            )
        scores = self._read(
            [
                (start, end)
                for start, films in zip(starts, ends, strict=True)
                for end in films
            ]
        )
        # (all answers,) back to one array per prompt
        counts = [len(films) for films in ends]
        return np.split(scores, np.cumsum(counts)[:-1]) if counts else []

    def _read(self, pairs: Sequence[tuple[list[int], list[int]]]) -> np.ndarray:
        """Mean log-probability (pairs,) of each end after its start."""
        sequences = [start + end for start, end in pairs]
        scores = np.empty(len(pairs))
        for bundle in bundles(sequences, LARGEST):
            tree = Tree()
            paths = {}  # the nodes of each end
            for n in bundle:
                _, end = pairs[n]
                paths[n] = tree.add(sequences[n])[-len(end) :]
            for n, steps in self._steps(tree, paths).items():
                scores[n] = np.mean(steps, dtype=np.float64)
        return scores

    def _steps(
        self, tree: Tree, paths: dict[int, list[int]]
    ) -> dict[int, list[np.ndarray]]:
        """Log-probability of every token of each path, after what leads to it."""
        before = {tree.parents[node] for path in paths.values() for node in path}
        asked = sorted(before)
        following = self.following(tree, asked)
        row = {node: place for place, node in enumerate(asked)}
        steps = {}
        for n, path in paths.items():
            steps[n] = [
                following[row[tree.parents[node]], tree.tokens[node]] for node in path
            ]
        return steps

    def following(self, tree: Tree, asked: list[int]) -> np.ndarray:
        """Log-probabilities (asked, vocabulary) of what may follow each node."""
        return self._graph(
            np.array([tree.tokens], np.int32),
            np.array([tree.depths], np.int32),
            tree.mask()[None],
            # (asked, 2): all in the one sequence, number 0
            np.array([(0, node) for node in asked], np.int32),
        ).numpy()


@dataclass(eq=False)
class Lister:
    """Lets a model write its choice as a list and reads that back.

    A candidate's score is minus its place; candidates the model leaves out follow in
    the order shown.

    Args:
        writer: any model that writes text.
        invented: titles it wrote that are no candidate, so far.

    Example:
        >>> from types import SimpleNamespace
        >>> def generate(prompt, max_tokens):
        ...     return "1. Ran\\n2. Nobody"
        >>> lister = Lister(SimpleNamespace(name="parrot", generate=generate))
        >>> [scores.tolist() for scores in lister.score([["Heat"]], [["Alien", "Ran"]])]
        [[-1.0, -0.0]]
        >>> lister.invented
        ['Nobody']
    """

    writer: LanguageModel
    invented: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The writer's."""
        return self.writer.name

    def score(
        self, histories: Sequence[Sequence[str]], candidates: Sequence[Sequence[str]]
    ) -> list[np.ndarray]:
        """See `Ranker`. Raises what the writer raises when it cannot be reached."""
        pairs = zip(histories, candidates, strict=True)
        return [self._places(history, films) for history, films in pairs]

    def _places(self, history: Sequence[str], films: Sequence[str]) -> np.ndarray:
        """Minus the place (films,) of each film in the model's list."""
        question = f"{message(history, films)}\n{LIST}"
        reply = self.writer.generate(question, max_tokens=16 * len(films))
        codes = range(len(films))
        ranking = ranked(reply, codes, Catalogue(films), seen=(), k=len(films))
        self.invented += ranking.invented
        # the inverse of a ranking: the place of each film
        return -np.argsort(ranking.codes).astype(float)


@dataclass(eq=False)
class TitleRecommender:
    """A history model of a ranker of titles: codes in, scores out.

    So that games and metrics take it.

    Args:
        ranker: scores titles, see `Ranker`.
        titles: (items,) MovieLens titles by item code; the ranker reads them as people
            write them.

    Example:
        >>> from types import SimpleNamespace
        >>> def score(histories, candidates):
        ...     return [np.array(list(map(len, films))) for films in candidates]
        >>> ranker = SimpleNamespace(name="length", score=score)
        >>> model = TitleRecommender(ranker, ["Heat (1995)", "Matrix, The (1999)"])
        >>> model.score([[0]]).tolist()
        [[4.0, 10.0]]
    """

    ranker: Ranker
    titles: Sequence[str]

    @property
    def name(self) -> str:
        """The ranker's."""
        return self.ranker.name

    @property
    def n_items(self) -> int:
        """Films that can be scored."""
        return len(self.titles)

    def score(
        self, histories: Sequence[History], items: np.ndarray | None = None
    ) -> np.ndarray:
        """Scores (n, n_items or len(items)) float32.

        Ask for few items, each is read by the ranker.
        """
        codes = range(self.n_items) if items is None else items
        films = self._spoken(codes)
        seen = [self._spoken(history) for history in histories]
        scores = self.ranker.score(seen, [films] * len(seen))
        # without any history the list is empty: give it its two axes
        return np.array(scores, np.float32).reshape(len(seen), len(films))

    def _spoken(self, codes: Iterable[int]) -> list[str]:
        """Titles as people say them."""
        return [spoken(self.titles[code]) for code in codes]

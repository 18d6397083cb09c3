"""A language model as a recommender: how likely is each title as its answer?

`KerasLM` reads prompts and titles as one tree of tokens, in which every shared beginning
stands once: twenty candidates of one user cost little more than one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from xrec_utils.language.llama import compiled, load_llama, load_tokenizer
from xrec_utils.language.weights import model_file

# tokens read at once: more cost memory and, attention being quadratic, time
LARGEST = 640


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
    order = sorted(
        range(len(sequences)),
        key=sequences.__getitem__,
    )
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


class KerasLM:
    """SmolLM2 in Keras, which scores a title by how likely it is as the answer.

    Network and tokeniser are loaded when they are first used. Needs `make llm`; raises
    what `model_file` does without it.
    """

    name = "SmolLM2-135M"

    @cached_property
    def model(self) -> Any:
        """The network, a `Llama`."""
        return load_llama(model_file("smollm2"))

    @cached_property
    def tokenizer(self) -> Any:
        """SmolLM2's, a `tokenizers.Tokenizer`."""
        return load_tokenizer(model_file("smollm2"))

    @cached_property
    def _graph(self) -> Any:
        return compiled(self.model)

    def tokens(self, text: str) -> list[int]:
        """The ids of a text's tokens."""
        return self.tokenizer.encode(text).ids

    def likelihood(
        self, prompts: Sequence[str], answers: Sequence[Sequence[str]]
    ) -> list[np.ndarray]:
        """Mean log-probability per token of each answer after its prompt.

        Equal beginnings, whether of one prompt or of several, are read once.

        Args:
            prompts: raw prompts, see `prompts.chat`.
            answers: those of each prompt; a space goes before each.

        Returns:
            One array (answers,) per prompt, in nats per token.

        Raises:
            ValueError: an empty answer.
        """
        if not all(answer.strip() for films in answers for answer in films):
            raise ValueError(
                "answers: an empty text has no likelihood, give each candidate a title"
            )
        pairs = []
        for prompt, films in zip(prompts, answers, strict=True):
            start = self.tokens(prompt)
            # with its space in front a title is split as it is amid a text
            pairs += [(start, self.tokens(f" {film}")) for film in films]
        scores = self._read(pairs)
        # (all answers,) back to one array per prompt
        counts = [len(films) for films in answers]
        return np.split(scores, np.cumsum(counts)[:-1]) if counts else []

    def _read(self, pairs: Sequence[tuple[list[int], list[int]]]) -> np.ndarray:
        """Mean log-probability (pairs,) of each end after its start."""
        sequences = [start + end for start, end in pairs]
        scores = np.empty(len(pairs))
        for bundle in bundles(sequences, LARGEST):
            tree = Tree()
            ends = {}  # by pair, the nodes of its end
            for n in bundle:
                start, _ = pairs[n]
                path = tree.add(sequences[n])
                ends[n] = path[len(start) :]
            # a token is as likely as the node before it says
            before = {tree.parents[node] for path in ends.values() for node in path}
            asked = sorted(before)
            # by node, log-probabilities (vocabulary,)
            following = dict(zip(asked, self.following(tree, asked), strict=True))
            for n, path in ends.items():
                steps = [
                    following[tree.parents[node]][tree.tokens[node]] for node in path
                ]
                scores[n] = np.mean(steps, dtype=np.float64)
        return scores

    def following(self, tree: Tree, asked: list[int]) -> np.ndarray:
        """Log-probabilities (asked, vocabulary) of what may follow each node."""
        log_probabilities = self._graph(
            tokens=np.array([tree.tokens], np.int32),
            positions=np.array([tree.depths], np.int32),
            mask=tree.mask()[None],
            # (asked, 2): all in the one sequence, number 0
            rows=np.array([(0, node) for node in asked], np.int32),
        )
        return log_probabilities.numpy()

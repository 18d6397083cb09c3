"""A prompt as a game: which lines, and which words, make a language model prefer one
film to another.

Every explanation here is about one number, the *preference*: the mean log-probability
of a film's title after the prompt minus that of another's, in nats per token. Its
players are the films of the history, a line of the prompt each. At the end a reason in
words that is made from Shapley values, and how to judge any reason that names films.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from lime.lime_text import LimeTextExplainer
from scipy.stats import binomtest

from xrec_utils.games import Explanation, Game, Masks
from xrec_utils.keras_start import tf
from xrec_utils.llm import KerasLM, Tree
from xrec_utils.prompts import chat, message, numbered

WORD = r"[^\w]+"  # what lies between two words for LIME


@dataclass(frozen=True, eq=False)
class Preference:
    """A case to explain: why `film` rather than `other`, given the titles in `history`
    (oldest first).
    """

    model: KerasLM
    history: tuple[str, ...]
    film: str
    other: str

    @property
    def target(self) -> str:
        return f"preference for {self.film} over {self.other}"

    def of(self, histories: Sequence[Sequence[str]]) -> np.ndarray:
        """The preference (n,) after each of these histories, float64."""
        prompts = [chat(message(films)) for films in histories]
        pairs = self.model.likelihood(prompts, [[self.film, self.other]] * len(prompts))
        return np.array([film - other for film, other in pairs])

    def game(self) -> Game:
        """The lines of the prompt as players; an absent film's line is deleted and the
        rest counted anew.
        """

        def value(masks: Masks) -> np.ndarray:
            return self.of(
                [
                    [
                        film
                        for film, here in zip(self.history, mask, strict=True)
                        if here
                    ]
                    for mask in masks
                ]
            )

        return Game(self.history, self.target, value)

    def explanation(
        self, values: np.ndarray, method: str, started: float, base: float | None = None
    ) -> Explanation:
        """The values of the lines as an `Explanation`; base: the preference without
        history, unless given.
        """
        empty, full = self.of([(), self.history])
        seconds = time.perf_counter() - started
        return Explanation(
            self.history,
            self.target,
            values,
            empty if base is None else base,
            full,
            method,
            seconds,
        )


def probabilities(
    preference: Callable[[list[list[str]]], np.ndarray],
) -> Callable[[list[str]], np.ndarray]:
    """What LIME asks for: a function from texts to an (n, 2) array, P(other) and
    P(film), each row adding up to 1.

    preference: from lists of titles to numbers (n,), such as `Preference.of`; P(film) =
    1 / (1 + exp(-preference)). A text holds one film a line; a line with no word left
    is no film.
    """

    def predict(texts: list[str]) -> np.ndarray:
        lines = [[line.strip() for line in text.split("\n")] for text in texts]
        found = preference(
            [[line for line in films if any(map(str.isalnum, line))] for films in lines]
        )
        film = 1 / (1 + np.exp(-found))
        return np.column_stack([1 - film, film])

    return predict


def lime_words(
    case: Preference, samples: int = 128, seed: int = 0
) -> tuple[Explanation, list[tuple[str, float]]]:
    """LIME over the words of the history (Ribeiro et al. 2016,
    doi:10.1145/2939672.2939778), by the lime library.

    samples: texts with random words taken away, each read by the model. Returns the
    weights added up by line, as an explanation of P(film), and the weight of every word
    in the order of the text.
    """
    started, text = time.perf_counter(), "\n".join(case.history)
    explainer = LimeTextExplainer(
        split_expression=WORD, bow=False, mask_string="", random_state=seed
    )
    found = explainer.explain_instance(
        text, probabilities(case.of), num_features=len(text), num_samples=samples
    )
    weights, (places, texts) = (
        dict(found.as_map()[1]),
        _words(text, found.domain_mapper.indexed_string),
    )
    lines = np.array([text.count("\n", 0, place) for place in places])
    order = range(len(texts))
    values = np.bincount(lines, [weights.get(n, 0.0) for n in order], len(case.history))
    method = f"LIME over words ({samples} samples, local R2 {found.score:.2f})"
    explained = Explanation(
        case.history,
        f"P({case.film} over {case.other})",
        values,
        float(found.intercept[1]),
        float(found.predict_proba[1]),
        method,
        time.perf_counter() - started,
    )
    return explained, [(texts[n], float(weights.get(n, 0.0))) for n in order]


def _words(text: str, indexed: object) -> tuple[list[int], list[str]]:
    """Place in the text and spelling of each of LIME's words."""
    spelled = [str(indexed.word(n)) for n in range(indexed.num_words())]
    return [
        int(indexed.string_position(n)[0]) for n in range(indexed.num_words())
    ], spelled


def line_of_tokens(case: Preference) -> tuple[list[int], np.ndarray]:
    """The prompt's tokens and, for each, the history line (0, 1, ...) it belongs to, or
    -1.
    """
    prompt = chat(message(case.history))
    start = prompt.index(numbered(case.history))
    ends = start + np.cumsum(
        [len(line) + 1 for line in numbered(case.history).split("\n")]
    )
    found = case.model.tokenizer.encode(prompt)
    begins = np.array([begin for begin, _ in found.offsets])
    line = np.searchsorted(ends, begins, side="right")
    return found.ids, np.where((begins < start) | (line >= len(ends)), -1, line)


@dataclass(frozen=True, eq=False)
class Reading:
    """Prompt, film and other as one tree of tokens, with what a gradient or an
    attention map needs of it.
    """

    tree: Tree
    lines: np.ndarray
    paths: tuple[list[int], list[int]]

    @classmethod
    def of(cls, case: Preference) -> Reading:
        prompt, lines = line_of_tokens(case)
        tree = Tree()
        ends = [case.model.tokens(f" {title}") for title in (case.film, case.other)]
        film, other = (tree.add(prompt + end)[-len(end) :] for end in ends)
        return cls(
            tree,
            np.append(lines, np.full(len(tree.tokens) - len(lines), -1)),
            (film, other),
        )

    @cached_property
    def network(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions (1, tokens) and mask (1, tokens, tokens) of the tree."""
        return np.array([self.tree.depths], np.int32), self.tree.mask()[None]

    def preference(self, case: Preference, vectors: tf.Tensor) -> tf.Tensor:
        """The preference (1,) from token vectors (1, tokens, width), differentiable."""
        network = case.model.model
        hidden = network(vectors, *self.network)
        means = []
        for path in self.paths:
            spoken = tf.nn.log_softmax(
                network.logits(
                    tf.gather(hidden, [self.tree.parents[n] for n in path], axis=1)
                )
            )
            means.append(
                sum(spoken[:, k, self.tree.tokens[n]] for k, n in enumerate(path))
                / len(path)
            )
        return means[0] - means[1]

    def by_line(self, credit: np.ndarray, count: int) -> np.ndarray:
        """Sum credit (tokens,) over the tokens of each of `count` lines."""
        inside = self.lines >= 0
        return np.bincount(self.lines[inside], credit[inside], count)


def line_gradients(case: Preference, steps: int = 16) -> tuple[Explanation, np.ndarray]:
    """Integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365) from the mean
    word to the words of each line.

    The straight line starts where every token of the history has the mean vector of all
    words: from zero vectors it could not start, because the network brings each vector
    to one length first. `steps` points of the midpoint rule. Returns the explanation,
    whose base is the preference at the start and whose `gap` is the integral's error,
    and the credit of every token of the prompt.
    """
    started, reading = time.perf_counter(), Reading.of(case)
    words = case.model.model.words.embeddings
    end = tf.gather(words, reading.tree.tokens).numpy()
    begin = np.where(
        (reading.lines >= 0)[:, None], tf.reduce_mean(words, axis=0).numpy(), end
    )
    slopes = np.zeros_like(end)
    for step in (np.arange(steps) + 0.5) / steps:
        point = tf.constant((begin + step * (end - begin))[None])
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(point)
            score = reading.preference(case, point)
        slopes += tape.gradient(score, point)[0].numpy() / steps
    credit = ((end - begin) * slopes).sum(axis=1)
    base = float(reading.preference(case, tf.constant(begin[None]))[0])
    values = reading.by_line(credit, len(case.history))
    return case.explanation(
        values, f"integrated gradients ({steps} steps)", started, base
    ), credit


def line_attention(case: Preference) -> tuple[Explanation, np.ndarray]:
    """How much the tokens that predict the film's title look at each line, over all
    blocks and heads.

    Returns shares of attention as an explanation, although nothing says that they add
    up to the preference, and the weights (blocks, tokens) averaged over heads and over
    the tokens that predict the title.
    """
    started, reading = time.perf_counter(), Reading.of(case)
    vectors = case.model.model.embed(np.array([reading.tree.tokens], np.int32))
    rows = [reading.tree.parents[n] for n in reading.paths[0]]
    seen = [
        w[0].numpy()[:, rows].mean(axis=(0, 1))
        for w in case.model.model.attention(vectors, *reading.network)
    ]
    weights = np.stack(seen)
    values = reading.by_line(weights.mean(axis=0), len(case.history))
    return case.explanation(
        values, "attention (mean of blocks and heads)", started
    ), weights


class Reason(NamedTuple):
    """A reason in one sentence, and the positions of the films that it names."""

    sentence: str
    cited: list[int]


def template_reason(explanation: Explanation, k: int = 3) -> Reason:
    """The films that surely raise the score, strongest first: values above twice their
    standard error, at most k.

    Names nothing but players, so it cannot invent a title; where no film is sure it
    says so. Raises ValueError on an explanation without errors, which cannot tell what
    is sure.
    """
    if explanation.error is None:
        raise ValueError(
            f"{explanation.method} comes without standard errors: estimate it with leverage_regression"
        )
    sure = explanation.values > 2 * explanation.error
    cited = [int(player) for player in explanation.top() if sure[player]][:k]
    names = [f"“{explanation.players[player]}”" for player in cited]
    if not names:
        return Reason(
            f"No single film of your list clearly raises the model's {explanation.target}.",
            [],
        )
    start = (
        f"{', '.join(names[:-1])} and {names[-1]} raise"
        if len(names) > 1
        else f"{names[0]} raises"
    )
    return Reason(f"{start} the model's {explanation.target}.", cited)


class Precision(NamedTuple):
    """How many of the cited films are right. low, high: 95% interval (Wilson 1927), as
    if films were independent.
    """

    right: int
    cited: int
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.right / self.cited


def citation_precision(
    cited: Sequence[Sequence[int]], effects: Sequence[np.ndarray]
) -> Precision:
    """Over several cases: how many of the films cited (positions) have an effect
    (players,) above zero?

    Raises ValueError when nothing is cited: then there is nothing to be right about.
    """
    hits = [
        effect[player] > 0
        for films, effect in zip(cited, effects, strict=True)
        for player in films
    ]
    if not hits:
        raise ValueError(
            "no film is cited in any of the cases, so no share of them is right"
        )
    right = int(np.sum(hits))
    interval = binomtest(right, len(hits)).proportion_ci(method="wilson")
    return Precision(right, len(hits), float(interval.low), float(interval.high))

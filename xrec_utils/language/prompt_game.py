"""A prompt as a game: what makes a language model prefer one film to another.

Every explanation here is about one number, the *preference*: the mean log-probability
of a film's title after the prompt minus that of another's, in nats per token. Its
players are the films of the history, a line of the prompt each. At the end a reason in
words that is made from Shapley values.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from typing import Any, NamedTuple, Self

import numpy as np
from lime.lime_text import LimeTextExplainer

from xrec_utils.games.explanation import Explanation
from xrec_utils.games.game import Game, Masks
from xrec_utils.keras_start import tf
from xrec_utils.language.prompts import chat, message, numbered
from xrec_utils.language.ranker import KerasLM, Tree

WORD = r"[^\w]+"  # what lies between two words for LIME


@dataclass(frozen=True, eq=False)
class Preference:
    """A case to explain: why `film` rather than `other`, after the films of `history`.

    model: the language model. history: titles, oldest first.
    """

    model: KerasLM
    history: tuple[str, ...]
    film: str
    other: str

    @property
    def target(self) -> str:
        """What is explained, in words."""
        return f"preference for {self.film} over {self.other}"

    def of(self, histories: Sequence[Sequence[str]]) -> np.ndarray:
        """The preference (n,) after each of these histories, float64."""
        prompts = [chat(message(films)) for films in histories]
        titles = [[self.film, self.other]] * len(prompts)
        likelihoods = self.model.likelihood(prompts, titles)
        return np.array([film - other for film, other in likelihoods])

    def game(self) -> Game:
        """The lines of the prompt as players.

        An absent film's line is deleted and the rest counted anew.
        """

        def value(masks: Masks) -> np.ndarray:
            """The preference after the lines of each group."""
            return self.of([list(compress(self.history, mask)) for mask in masks])

        return Game(self.history, self.target, value)

    def explanation(
        self, values: np.ndarray, method: str, started: float, base: float | None = None
    ) -> Explanation:
        """The values (films,) of the lines as an `Explanation`.

        started: of `time.perf_counter`. base: the preference without history, unless
        given.
        """
        empty, full = self.of([(), self.history])
        return Explanation(
            self.history,
            self.target,
            values,
            base=empty if base is None else base,
            score=full,
            method=method,
            seconds=time.perf_counter() - started,
        )


def probabilities(
    preference: Callable[[list[list[str]]], np.ndarray],
) -> Callable[[list[str]], np.ndarray]:
    """What LIME asks for: a function from texts to (n, 2) probabilities.

    P(other) and P(film), each row adding up to 1. preference: from lists of titles to
    numbers (n,), such as `Preference.of`; P(film) = 1 / (1 + exp(-preference)). A text
    holds one film a line; a line with no word left is no film.
    """

    def predict(texts: list[str]) -> np.ndarray:
        """P(other) and P(film) of each text."""
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
    """LIME over the words of the history, by the lime library.

    Ribeiro et al. 2016, doi:10.1145/2939672.2939778. samples: texts with random words
    taken away, each read by the model. Returns the weights added up by line, as an
    explanation of P(film), and the weight of every word in the order of the text.
    """
    started = time.perf_counter()
    text = "\n".join(case.history)
    # no bag of words: one that comes twice has two weights
    explainer = LimeTextExplainer(
        split_expression=WORD, bow=False, mask_string="", random_state=seed
    )
    # more features than there can be words: all get a weight
    fitted = explainer.explain_instance(
        text, probabilities(case.of), num_features=len(text), num_samples=samples
    )
    weights = dict(fitted.as_map()[1])
    values = np.zeros(len(case.history))
    by_word = []
    words = fitted.domain_mapper.indexed_string
    for n in range(words.num_words()):
        # a word without a weight is missing there
        weight = float(weights.get(n, 0.0))
        line = text.count("\n", 0, int(words.string_position(n)[0]))
        values[line] += weight
        by_word.append((str(words.word(n)), weight))
    explained = Explanation(
        case.history,
        f"P({case.film} over {case.other})",
        values,
        base=float(fitted.intercept[1]),
        score=float(fitted.predict_proba[1]),
        method=f"LIME over words ({samples} samples, local R2 {fitted.score:.2f})",
        seconds=time.perf_counter() - started,
    )
    return explained, by_word


def line_of_tokens(case: Preference) -> tuple[list[int], np.ndarray]:
    """The prompt's tokens and, for each, the history line it belongs to.

    Lines are 0, 1, ...; -1 for tokens of no line.
    """
    prompt = chat(message(case.history))
    films = numbered(case.history)
    start = prompt.index(films)
    encoding = case.model.tokenizer.encode(prompt)
    lines = []
    for begin, _ in encoding.offsets:
        inside = start <= begin <= start + len(films)
        # as many lines are broken between the first film and the token
        lines.append(prompt.count("\n", start, begin) if inside else -1)
    return encoding.ids, np.array(lines)


@dataclass(frozen=True, eq=False)
class Reading:
    """Prompt, film and other as one tree of tokens.

    With what a gradient or an attention map needs of it. lines (tokens,): the history
    line of each, or -1. paths: the nodes of film and of other.
    """

    tree: Tree
    lines: np.ndarray
    paths: tuple[list[int], list[int]]

    @classmethod
    def of(cls, case: Preference) -> Self:
        """The reading of a case."""
        prompt, lines = line_of_tokens(case)
        tree = Tree()
        ends = []
        for title in (case.film, case.other):
            path = tree.add(prompt + case.model.tokens(f" {title}"))
            ends.append(path[len(prompt) :])
        # the two titles come after the prompt, in no line
        after = len(tree.tokens) - len(lines)
        lines = np.pad(lines, (0, after), constant_values=-1)
        return cls(tree, lines, tuple(ends))

    @cached_property
    def network(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions (1, tokens) and mask (1, tokens, tokens) of the tree."""
        positions = np.array([self.tree.depths], np.int32)
        return positions, self.tree.mask()[None]

    def preference(self, case: Preference, vectors: tf.Tensor) -> tf.Tensor:
        """The preference (1,) from token vectors (1, tokens, width), differentiable."""
        network = case.model.model
        hidden = network(vectors, *self.network)
        film, other = self.paths
        likely = self._likelihood(network, hidden, film)
        return likely - self._likelihood(network, hidden, other)

    def _likelihood(
        self, network: Any, hidden: tf.Tensor, path: list[int]
    ) -> tf.Tensor:
        """Mean log-probability (1,) of the tokens of a path."""
        # a token is as likely as the node before it says
        before = [self.tree.parents[node] for node in path]
        # (1, path, vocabulary)
        logits = network.logits(tf.gather(hidden, before, axis=1))
        spoken = tf.nn.log_softmax(logits)
        tokens = [self.tree.tokens[node] for node in path]
        # (1, path)
        steps = tf.gather(spoken, [tokens], batch_dims=2)
        return tf.reduce_mean(steps, axis=1)

    def by_line(self, credit: np.ndarray, count: int) -> np.ndarray:
        """Sum credit (tokens,) over the tokens of each of `count` lines."""
        inside = self.lines >= 0
        return np.bincount(self.lines[inside], credit[inside], count)


def line_gradients(case: Preference, steps: int = 64) -> tuple[Explanation, np.ndarray]:
    """Integrated gradients from the mean word to the words of each line.

    Sundararajan et al. 2017, arXiv:1703.01365. The straight line starts where every
    token of the history has the mean vector of all words: from zero vectors it could
    not start, because the network brings each vector to one length first. `steps`
    points of the midpoint rule. Returns the explanation, whose base is the preference
    at the start and whose `gap` is the integral's error, and the credit of every token
    of the prompt.
    """
    started = time.perf_counter()
    reading = Reading.of(case)
    words = case.model.model.words.embeddings
    end = tf.gather(words, reading.tree.tokens).numpy()
    # (tokens, width): all other tokens stay what they are
    begin = np.where(
        (reading.lines >= 0)[:, None],
        tf.reduce_mean(words, axis=0),
        end,
    )
    slope = _slope(reading, case)
    slopes = np.zeros_like(end)
    for step in (np.arange(steps) + 0.5) / steps:
        slopes += slope(begin + step * (end - begin)) / steps
    credit = ((end - begin) * slopes).sum(axis=1)
    (base,) = reading.preference(case, tf.constant(begin[None])).numpy()
    explained = case.explanation(
        reading.by_line(credit, len(case.history)),
        f"integrated gradients ({steps} steps)",
        started,
        float(base),
    )
    return explained, credit


def _slope(reading: Reading, case: Preference) -> Callable[[np.ndarray], np.ndarray]:
    """The gradient (tokens, width) of the preference, a function of token vectors."""

    # one graph for all steps: 3 times faster than step by step
    @tf.function(autograph=False)
    def gradient(point: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(point)
            score = reading.preference(case, point)
        return tape.gradient(score, point)

    return lambda vectors: gradient(tf.constant(vectors[None]))[0].numpy()


def line_attention(case: Preference) -> tuple[Explanation, np.ndarray]:
    """How much the tokens that predict the film's title look at each line.

    Over all blocks and heads. Returns shares of attention as an explanation, although
    nothing says that they add up to the preference, and the weights (blocks, tokens)
    averaged over heads and over the tokens that predict the title.
    """
    started = time.perf_counter()
    reading = Reading.of(case)
    network = case.model.model
    tokens = np.array([reading.tree.tokens], np.int32)
    film, _ = reading.paths
    # where a token is predicted: at the one before it
    rows = [reading.tree.parents[node] for node in film]
    by_block = []
    for weights in network.attention(network.embed(tokens), *reading.network):
        # (heads, rows, tokens)
        looks = weights[0].numpy()[:, rows]
        by_block.append(looks.mean(axis=(0, 1)))
    weights = np.array(by_block)
    explained = case.explanation(
        reading.by_line(weights.mean(axis=0), len(case.history)),
        "attention (mean of blocks and heads)",
        started,
    )
    return explained, weights


class Reason(NamedTuple):
    """A reason in one sentence, and the positions of the films that it names."""

    sentence: str
    cited: list[int]


def template_reason(explanation: Explanation, k: int = 3) -> Reason:
    """A sentence that gives the films which surely raise the score, strongest first.

    Sure are values above twice their standard error. The sentence holds nothing but
    players, so it cannot invent a title; where no film is sure it says so.

    Args:
        explanation: values and standard errors (players,).
        k: films at most.

    Returns:
        The sentence, and the positions of its films.

    Raises:
        ValueError: an explanation without errors, which cannot tell what is sure.

    Example:
        >>> said = Explanation(
        ...     ("Heat", "Ran", "Big"), "score of Alien", [0.5, 0.9, 0.1], 0.0, 1.5,
        ...     "sampling", error=[0.1, 0.1, 0.1],
        ... )
        >>> print(template_reason(said).sentence)
        “Ran” and “Heat” raise the model's score of Alien.
        >>> template_reason(said).cited
        [1, 0]
    """
    if explanation.error is None:
        raise ValueError(
            f"{explanation.method} comes without standard errors: "
            "estimate it with leverage_regression"
        )
    target = f"the model's {explanation.target}"
    sure = explanation.values > 2 * explanation.error
    cited = [int(player) for player in explanation.top() if sure[player]][:k]
    if not cited:
        return Reason(f"No single film of your list clearly raises {target}.", [])
    *others, last = [f"“{explanation.players[player]}”" for player in cited]
    if others:
        return Reason(f"{', '.join(others)} and {last} raise {target}.", cited)
    return Reason(f"{last} raises {target}.", cited)

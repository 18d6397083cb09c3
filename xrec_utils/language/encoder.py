"""Sentences as points: all-MiniLM-L6-v2 (8-bit weights, ONNX).

Quick enough to ask thousands of times. Reimers and Gurevych 2019 (arXiv:1908.10084):
the mean of a sentence's token vectors, brought to length 1, so that a dot product is a
cosine. Needs what `make llm` installs.
"""

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from xrec_utils.language.weights import model_file
from xrec_utils.language.writer import package

LONGEST = 256  # tokens; what the model was trained for, the rest of a text is not read


class SentenceEncoder:
    """Texts to unit vectors of 384 numbers.

    Texts about the same thing lie close together.
    """

    name = "all-MiniLM-L6-v2 int8 (ONNX)"

    def __init__(self, threads: int = 2) -> None:
        """Load network and tokeniser; `threads`: of the processor.

        Raises LanguageModelError without `make llm`, DataError if a model's file cannot
        be had.
        """
        onnx = package("onnxruntime")
        tokenizers = package("tokenizers")
        options = onnx.SessionOptions()
        options.intra_op_num_threads = threads
        # waiting threads leave the cores free
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._network = onnx.InferenceSession(
            model_file("minilm"),
            options,
            providers=["CPUExecutionProvider"],
        )
        self._tokenizer = tokenizers.Tokenizer.from_file(
            str(model_file("minilm-tokenizer"))
        )
        self._tokenizer.enable_truncation(LONGEST)
        self._tokenizer.no_padding()

    def encode(self, texts: Sequence[str], batch: int = 32) -> np.ndarray:
        """Unit vectors (n, 384) float32, in the order of the texts.

        Those of like length are encoded together, `batch` at once.
        """
        tokens = [
            encoded.ids
            # a list, for the tokeniser takes no other sequence
            for encoded in self._tokenizer.encode_batch(list(texts))
        ]
        vectors = np.zeros(
            (len(tokens), 384),
            dtype=np.float32,
        )
        # (texts,): shortest first, so that a batch needs little padding
        order = np.argsort(
            list(map(len, tokens)),
            kind="stable",
        )
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            together = [tokens[row] for row in rows]
            vectors[rows] = self._pooled(together)
        return vectors

    def score(self, history: Sequence[str], candidates: Sequence[str]) -> np.ndarray:
        """Mean cosine (candidates,) of each candidate's text to those of the history.

        0 without any history.
        """
        vectors = self.encode([*history, *candidates])
        # (2 parts) of (texts, 384)
        past, offered = np.split(vectors, [len(history)])
        if not history:
            return np.zeros(len(offered), dtype=np.float32)
        return offered @ past.mean(axis=0)

    def _pooled(self, tokens: list[list[int]]) -> np.ndarray:
        """Mean over each text's own tokens, at length 1: (b, 384) for b texts."""
        # (b, longest): 0 fills the shorter ones up
        columns = zip_longest(*tokens, fillvalue=0)
        ids = np.array(list(columns)).T
        lengths = np.array([[len(each)] for each in tokens])
        mask = np.arange(ids.shape[1]) < lengths
        # (b, longest, 384)
        (hidden,) = self._network.run(
            ["last_hidden_state"],
            {
                "input_ids": ids,
                "attention_mask": mask.astype(np.int64),
                # one sentence each, number 0
                "token_type_ids": np.zeros_like(ids),
            },
        )
        mean = np.mean(
            hidden,
            axis=1,
            where=mask[:, :, None],
            dtype=np.float64,
        )
        # length 1, so that a dot product is a cosine
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

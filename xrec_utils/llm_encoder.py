"""Sentences as points: all-MiniLM-L6-v2 (8-bit weights, ONNX), quick enough to ask
thousands of times.

Reimers and Gurevych 2019 (arXiv:1908.10084): the mean of a sentence's token vectors,
brought to length 1, so that a dot product is a cosine. Needs what `make llm` installs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xrec_utils.fetch import model_file
from xrec_utils.llm_text import package

LONGEST = 256  # tokens; what the model was trained for, the rest of a text is not read


class SentenceEncoder:
    """Texts to unit vectors of 384 numbers; texts about the same thing lie close
    together.
    """

    name = "all-MiniLM-L6-v2 int8 (ONNX)"

    def __init__(self, threads: int = 2) -> None:
        """Raises LanguageModelError without `make llm`, DataError if a model's file
        cannot be had.
        """
        onnx, tokenizers = package("onnxruntime"), package("tokenizers")
        options = onnx.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry(
            "session.intra_op.allow_spinning", "0"
        )  # waiting threads leave the cores free
        self._network = onnx.InferenceSession(
            model_file("minilm"), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = tokenizers.Tokenizer.from_file(
            str(model_file("minilm-tokenizer"))
        )
        self._tokenizer.enable_truncation(LONGEST)
        self._tokenizer.no_padding()

    def encode(self, texts: Sequence[str], batch: int = 32) -> np.ndarray:
        """Unit vectors (n, 384) float32, in the order of the texts; those of like
        length are encoded together.
        """
        tokens = [
            encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))
        ]
        vectors = np.zeros((len(tokens), 384), dtype=np.float32)
        order = np.argsort([len(each) for each in tokens], kind="stable")
        for rows in (
            np.split(order, range(batch, len(order), batch)) if len(order) else ()
        ):
            vectors[rows] = self._pooled([tokens[row] for row in rows])
        return vectors

    def score(self, history: Sequence[str], candidates: Sequence[str]) -> np.ndarray:
        """Scores (n candidates,): mean cosine of each candidate's text to the texts of
        the history; 0 without any.
        """
        vectors = self.encode([*history, *candidates])
        past, offered = vectors[: len(history)], vectors[len(history) :]
        return (
            offered @ past.mean(axis=0)
            if len(past)
            else np.zeros(len(offered), dtype=np.float32)
        )

    def _pooled(self, tokens: list[list[int]]) -> np.ndarray:
        """Mean over each text's own tokens, at length 1: (b, 384) for b texts."""
        longest = max(map(len, tokens))
        ids = np.array(
            [each + [0] * (longest - len(each)) for each in tokens], dtype=np.int64
        )
        mask = np.array(
            [[1] * len(each) + [0] * (longest - len(each)) for each in tokens],
            dtype=np.int64,
        )
        inputs = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(ids),
        }
        (hidden,) = self._network.run(["last_hidden_state"], inputs)
        mean = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

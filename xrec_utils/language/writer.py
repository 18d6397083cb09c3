"""Language models that write text, behind one interface.

`generate(prompt, max_tokens)` gives the text, as sure as the model can be: temperature
0. `LocalLM` runs SmolLM2-135M-Instruct here, in llama.cpp; `EndpointLM` asks any server
that speaks OpenAI's protocol. Both need the packages and the model that `make llm`
installs.
"""

import json
import secrets
import urllib.request
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from xrec_utils.language.weights import model_file

# a question, or messages as OpenAI's protocol has them: role and content
Prompt = str | list[dict[str, str]]


class LanguageModelError(RuntimeError):
    """A language model is not installed, configured or reachable, or it refused.

    The message says what to do.
    """


def package(name: str) -> ModuleType:
    """Import a package that `make llm` installs.

    Raises:
        LanguageModelError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as fault:
        raise LanguageModelError(
            f"the package {name} is not installed ({fault}): run `make llm`"
        ) from fault


def chat_request(prompt: Prompt, max_tokens: int) -> dict[str, Any]:
    """The body of a chat completion in OpenAI's protocol, without the model's name."""
    messages = prompt
    if isinstance(prompt, str):
        messages = [{"role": "user", "content": prompt}]
    return {
        "messages": messages,
        "max_tokens": max_tokens,
        # the likeliest word each time; a seed for servers that draw all the same
        "temperature": 0,
        "seed": 0,
    }


class LocalLM:
    """SmolLM2-135M-Instruct (4 bits a weight) in llama.cpp, offline.

    Equal prompts give equal text. llama.cpp also serves OpenAI's protocol at `address`
    + "/v1", to this machine and to those who know `key`.
    """

    name = "SmolLM2-135M-Instruct Q4_1 (llama.cpp)"

    def __init__(self, context: int = 4096, threads: int = 2) -> None:
        """Start llama.cpp.

        Args:
            context: tokens of a prompt and its answer together, at most 8,192 (23 kB of
                memory each).
            threads: of the processor.

        Raises:
            LanguageModelError: xllamacpp is not installed, or llama.cpp cannot start.
            DataError: the model's file is not in the cache and cannot be fetched.
        """
        llama_cpp = package("xllamacpp")
        self.key = secrets.token_hex(16)
        parameters = self._parameters(llama_cpp, context, threads)
        try:
            self._server = llama_cpp.Server(parameters)
        except RuntimeError as fault:
            raise LanguageModelError(
                f"llama.cpp cannot start with {parameters.model.path}: {fault}"
            ) from fault
        self.address: str = self._server.listening_address
        # wait until it answers: a server that is stopped while it starts may wait for
        # itself for ever
        self.tokens("")

    def _parameters(self, llama_cpp: ModuleType, context: int, threads: int) -> Any:
        """llama.cpp's settings: one request at a time, nothing kept, nothing logged."""
        parameters = llama_cpp.CommonParams()
        parameters.model.path = str(model_file("smollm2"))
        parameters.model_alias = {"smollm2"}
        parameters.n_ctx = context
        parameters.n_parallel = 1
        parameters.cache_ram_mib = 0
        parameters.cpuparams.n_threads = threads
        parameters.cpuparams_batch.n_threads = threads
        parameters.api_keys = [self.key]
        parameters.warmup = False
        parameters.verbosity = -1
        return parameters

    def generate(self, prompt: Prompt, max_tokens: int = 256) -> str:
        """The model's answer to a question or to messages.

        Args:
            prompt: see `Prompt`.
            max_tokens: of the answer.

        Raises:
            LanguageModelError: the prompt is longer than the context.
        """
        body = chat_request(prompt, max_tokens)
        choice = _choice(self._server.handle_chat_completions, body)
        return choice["message"]["content"]

    def log_probabilities(
        self, prompt: str | list[int], top: int = 10
    ) -> tuple[np.ndarray, np.ndarray]:
        """The `top` likeliest next tokens of a raw prompt (no chat template).

        Returns their ids (top,) int64 and natural log-probabilities (top,) float64 over
        all 49,152 tokens, largest first.
        """
        choice = _choice(
            self._server.handle_completions,
            {
                "prompt": prompt,
                "max_tokens": 1,
                "temperature": 0,
                "n_probs": top,
            },
        )
        likeliest = choice["logprobs"]["content"][0]["top_logprobs"]
        ids = [token["id"] for token in likeliest]
        log_probabilities = [token["logprob"] for token in likeliest]
        return np.array(ids), np.array(log_probabilities)

    def tokens(self, text: str) -> list[int]:
        """The ids of a text's tokens.

        Marks such as <|im_end|> are read as the one token they are. Asked of llama.cpp's
        own server, for its binding has no call for it.
        """
        request = urllib.request.Request(
            url=f"{self.address}/tokenize",
            data=json.dumps({"content": text}).encode(),
            headers={
                "Content-Type": "application/json",
                "Authorization": f"Bearer {self.key}",
            },
        )
        # a proxy of the environment must not see a request to this machine
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request) as answer:
            return json.load(answer)["tokens"]


def _choice(
    ask: Callable[[dict[str, Any]], dict[str, Any]], body: dict[str, Any]
) -> dict[str, Any]:
    """The one answer llama.cpp gives, or its refusal as an error."""
    try:
        # a prompt kept from before would change the text
        answer = ask(body | {"cache_prompt": False})
    except ValueError as fault:
        answer = {"error": {"message": str(fault)}}
    if "error" in answer:
        raise LanguageModelError(f"llama.cpp refused: {answer['error']['message']}")
    return answer["choices"][0]

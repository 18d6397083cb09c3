"""Any language model behind OpenAI's protocol.

A hosted one, or a server such as llama.cpp's, vLLM's or Ollama's. Named by the
environment alone, so that no notebook holds an address or a key: XREC_LLM_MODEL (the
model), OPENAI_API_KEY (a server that asks for none takes any) and OPENAI_BASE_URL (such
as http://127.0.0.1:8080/v1; left out, it is OpenAI's own). Needs what `make llm`
installs.
"""

import os

from xrec_utils.language.writer import LanguageModelError, Prompt, chat_request, package

REFUSALS = (  # the client's exceptions, special ones first, and what to do
    (
        "APITimeoutError",
        "did not answer within {timeout:g} s, asked {times} times: "
        "raise EndpointLM(timeout=...)",
    ),
    (
        "APIConnectionError",
        "cannot be reached: is OPENAI_BASE_URL right, and does the server run?",
    ),
    (
        "AuthenticationError",
        "refused the key: set OPENAI_API_KEY to one of this server's",
    ),
    (
        "PermissionDeniedError",
        "does not allow this key to use the model: choose another by XREC_LLM_MODEL",
    ),
    (
        "NotFoundError",
        "knows no such model or address: "
        "check XREC_LLM_MODEL and OPENAI_BASE_URL (which ends in /v1)",
    ),
    (
        "RateLimitError",
        "has had too many requests or the account is used up, asked {times} times: "
        "wait, then ask less",
    ),
    ("OpenAIError", "failed"),
)


class EndpointLM:
    """The model that the environment names; same interface as `LocalLM`.

    Args:
        timeout: seconds one request may take.
        retries: how often a request is sent again that met a time-out, a lost
            connection, 408, 409, 429 or 5xx: after 0.5, 1, 2 ... s, at most 8 s, or as
            long as the server asks.

    Raises:
        LanguageModelError: a variable is not set, or `make llm` has not been run.

    Example:
        Without its variables it says which:

        >>> from unittest.mock import patch
        >>> with patch.dict("os.environ", clear=True):
        ...     EndpointLM()  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        xrec_utils.language.writer.LanguageModelError: no language model is ...

        With them it answers:

        >>> model = EndpointLM(timeout=10)  # doctest: +SKIP
        >>> model.generate("Name a film by Kurosawa.", max_tokens=8)  # doctest: +SKIP
        'Ran (1985)'
    """

    def __init__(self, timeout: float = 60.0, retries: int = 3) -> None:
        needed = ("XREC_LLM_MODEL", "OPENAI_API_KEY")
        missing = [
            name
            for name in needed
            # an empty one is as good as none
            if not os.environ.get(name)
        ]
        if missing:
            raise LanguageModelError(
                f"no language model is configured: set {' and '.join(missing)}, and "
                "OPENAI_BASE_URL unless it is OpenAI's own; "
                "or use LocalLM, which needs none"
            )
        self.model = os.environ["XREC_LLM_MODEL"]
        self.timeout = timeout
        self.retries = retries
        self._openai = package("openai")
        # it reads the key and the address from the environment itself
        self._client = self._openai.OpenAI(
            timeout=timeout,
            max_retries=retries,
        )
        self.name = f"{self.model} at {self._client.base_url}"

    def generate(self, prompt: Prompt, max_tokens: int = 256) -> str:
        """The model's answer to a question or to messages.

        How far a server keeps to temperature 0 is its own affair.

        Args:
            prompt: a question, or messages in OpenAI's form.
            max_tokens: of the answer.

        Raises:
            LanguageModelError: the server cannot be reached, is too slow, or refuses;
                the message says why.
        """
        try:
            answer = self._client.chat.completions.create(
                model=self.model,
                **chat_request(prompt, max_tokens),
            )
        except self._openai.OpenAIError as fault:
            raise LanguageModelError(self._reason(fault)) from fault
        # some servers answer without any choice, or with tool calls only
        if not answer.choices or answer.choices[0].message.content is None:
            raise LanguageModelError(
                f"{self.name} sent an answer without text: is it a chat model?"
            )
        return answer.choices[0].message.content

    def _reason(self, fault: Exception) -> str:
        """What went wrong and the way out, then the server's own words."""
        reason = next(
            text
            # the last kind holds all others
            for kind, text in REFUSALS
            if isinstance(fault, getattr(self._openai, kind))
        ).format(
            timeout=self.timeout,
            times=self.retries + 1,
        )
        return f"{self.name} {reason} ({fault})"

"""The line of questions before the models: how many may wait, how long, and which are
dropped.
"""

from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from threading import Lock
from typing import Any

from xrec_utils.service.schema import Refusal

PLACES = 64  # questions at work or waiting; as many threads of the server may wait
RETRY = 5  # seconds after which asking again is worth it


class Line:
    """Questions in the order they came, answered one after the other.

    Threads may share it.

    Args:
        places: how many are at work or wait; more are refused.
        deadline: seconds after which a question is given up; if it still waits then, it
            is never begun.

    Example:
        >>> line = Line()
        >>> line.do(lambda: "answered")
        'answered'
        >>> line.waiting()
        0
    """

    def __init__(self, places: int = PLACES, deadline: float = 60.0) -> None:
        # one worker, as Python runs one thread at a time: more would answer no faster,
        # and be in the way of the threads that say how the service is
        self.pool = ThreadPoolExecutor(1, "question")
        self.places = places
        self.deadline = deadline
        self._lock = Lock()
        self._taken: set[Future] = set()

    def do(self, work: Callable[[], Any], gone: Callable[[], bool] = bool) -> Any:
        """Wait for the turn of a question, and for its answer.

        Args:
            work: what answers the question.
            gone: whether the client has left, asked before the work begins; `bool`: it
                never has.

        Returns:
            What `work` returns.

        Raises:
            Refusal: every place is taken (503), the answer took longer than the
                deadline (503), or the client left (499, which nobody reads).
        """
        with self._lock:
            self.check()
            future = self.pool.submit(_begin, work, gone)
            self._taken.add(future)
        future.add_done_callback(self._taken.discard)
        try:
            return future.result(self.deadline)
        except (TimeoutError, CancelledError) as late:
            # what is at work goes on; what still waits is never begun
            future.cancel()
            raise Refusal(
                "too_late",
                f"no answer within {self.deadline:g} seconds, or before the service "
                "stopped: ask again later, for "
                "fewer films, or for a model with a closed form, such as ease",
                status=503,
            ) from late

    def check(self) -> None:
        """Refuse (503) if every place is taken."""
        if len(self._taken) >= self.places:
            raise Refusal(
                "busy",
                f"{self.places} questions wait already: ask again in {RETRY} seconds",
                status=503,
            )

    def waiting(self) -> int:
        """How many questions wait for their turn."""
        return sum(not each.running() for each in tuple(self._taken))

    def close(self) -> None:
        """Give up what waits, so that the program can end."""
        self.pool.shutdown(wait=False, cancel_futures=True)


def _begin(work: Callable[[], Any], gone: Callable[[], bool]) -> Any:
    """Do the work, unless nobody waits for it any more."""
    if gone():
        raise Refusal("client_left", "the client left before its turn", status=499)
    return work()

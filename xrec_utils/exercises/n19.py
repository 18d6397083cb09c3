"""Checks of the exercises of notebook 19."""

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from xrec_utils.exercises.register import exercise, near, near_unless_slip
from xrec_utils.service.schema import RecommendRequest


@exercise(
    "19.1",
    hint="A round takes wait + 10 seconds; the rate times a round is how many people are in it.",
)
def people(answer: object, rate: float, wait: float) -> bool:
    """How many people a service with this rate and wait serves."""
    return near(answer, rate * (wait + 10))


@exercise(
    "19.2",
    hint="Put four ones beside every miss; then np.median and np.quantile(..., 0.99) of all.",
)
def with_hits(answer: object, misses: np.ndarray) -> bool | str:
    """Median and 99th percentile when four in five answers are kept ones."""
    # a hit takes one millisecond
    everything = np.append(misses, np.ones(4 * len(misses)))
    return near_unless_slip(
        answer,
        expected=[np.median(everything), np.quantile(everything, 0.99)],
        slip=[np.median(everything), np.quantile(misses, 0.99)],
        hint="the 99th percentile is one of all questions, hits included: 1% of all is 5% of the misses",
    )


@exercise(
    "19.3",
    hint="A tuple of the codes as a tuple, the model, its version, the explainer and k; do not sort.",
)
def key(answer: Callable[[RecommendRequest], Hashable], service: Any) -> bool | str:
    """What an answer may be kept under."""
    same = [
        RecommendRequest(history=films)
        for films in ((1, 260), ("Toy Story", 260), ("toy storry", 260, 1))
    ]
    other = [
        RecommendRequest(**{"history": (1, 260), **part})
        for part in (
            {"history": (260, 1)},
            {"model": "dae"},
            {"k": 3},
            {"explainer": "leave-one-out"},
        )
    ]
    if len({answer(each) for each in same}) > 1:
        return "Toy Story by title, by id, misspelled or named twice is one history: use the codes"
    if len({answer(each) for each in (same[0], *other)}) < 5:
        return "another order, model, k or explainer is another question"
    return all(
        service.versions[each.model] in str(answer(each)) for each in (same[0], *other)
    )

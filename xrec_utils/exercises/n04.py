"""Checks of the exercises of notebook 04."""

from collections.abc import Callable

from xrec_utils.data.features import FeatureTable
from xrec_utils.exercises.n03 import errors_of_bare_ids
from xrec_utils.exercises.register import exercise, near, near_unless_slip


@exercise(
    "04.1",
    hint="Input(shape), Embedding(671, 32), Flatten, Dense(64); then count_params() of the last layer.",
)
def weights_by_input_shape(answer: Callable[[tuple], int]) -> bool | str:
    """Weights of a first layer for two shapes of its input."""
    found = [answer(()), answer((671,))]
    dense = 32 * 64 + 64
    if near(found[0], 671 * 32 + dense):
        return "that is the whole model; asked for are the weights of the Dense layer alone"
    return near(found, [dense, 671 * 32 * 64 + 64])


@exercise(
    "04.2",
    hint="A random order puts the film into the first ten with probability 10 / number of candidates.",
)
def chance(answer: object, n_items: int, seen: int) -> bool | str:
    """HR@10 of a random order."""
    of_all = 10 / (n_items - seen)
    return near_unless_slip(
        answer,
        expected=[10 / 100, of_all],
        slip=[10 / 99, of_all],
        hint="the film itself is a candidate too: it stands beside the 99",
        tolerance=1e-6,
    )


@exercise(
    "04.3",
    hint="Fit on both id columns of the training rows; metrics.mae(stars, predicted) on the test rows.",
)
def ids_as_numbers(answer: object, table: FeatureTable) -> bool:
    """The error of a regression on bare ids."""
    return near(answer, errors_of_bare_ids(table))

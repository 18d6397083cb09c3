"""Numbers checked where they come in: each error names its argument.

NaN passes every comparison, and pandas brings columns into one order that NumPy does
not. What means nothing is refused here; counts and item codes are in `contract`.
"""

import numpy as np
import pandas as pd

from xrec_utils.files import require


def check_within(
    name: str, value: float | np.ndarray, low: float = 0.0, high: float = 1.0
) -> None:
    """Raise ValueError unless each number lies from `low` to `high`; NaN does not."""
    numbers = np.asarray(value)
    wrong = numbers[~((numbers >= low) & (numbers <= high))][:5].tolist()
    require(not wrong, f"{name} must lie in {low:g}..{high:g}, got {wrong}")


def finite(name: str, values: np.ndarray, ndim: int | None = 1) -> np.ndarray:
    """Return numbers as a new float64 array of `ndim` axes (any for None), not empty.

    Raises ValueError on another shape, and on NaN and infinity, which it places.
    """
    array = np.array(values, dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(array))
    # a pandas column says whose the values are
    where = values.index[wrong] if isinstance(values, pd.Series) else wrong
    require(
        not len(wrong) and array.size and ndim in (None, array.ndim),
        f"{name} must be a {f'{ndim}-D' if ndim else 'non-empty'} array of finite "
        f"numbers, got shape {array.shape} and {len(wrong)} NaN or infinite, at "
        f"{where[:5].tolist()}: leave these out of all that is compared, and say so",
    )
    return array


def aligned(**columns: np.ndarray) -> list[np.ndarray]:
    """Return arguments that belong together, number by number, as float64 arrays.

    pandas would bring them into one order by index, NumPy would not: two pandas columns
    must have one index. An array has none: it is taken in the order given.

    Args:
        columns: each argument by its name, of one shape.

    Returns:
        The numbers of each, in the order given.

    Raises:
        ValueError: shapes or indexes differ, are empty, or a number is not finite.

    Example:
        >>> aligned(a=[1, 2], b=[3, 4])[1].tolist()
        [3.0, 4.0]
    """
    names = " and ".join(columns)
    tables = [c for c in columns.values() if isinstance(c, pd.Series | pd.DataFrame)]
    require(
        all(table.index.equals(tables[0].index) for table in tables),
        f"{names} must hold the same rows in the same order, but their indexes "
        "differ: reindex one by the other first",
    )
    arrays = [finite(name, values, None) for name, values in columns.items()]
    shapes = [array.shape for array in arrays]
    require(len(set(shapes)) == 1, f"{names} must have one shape, got {shapes}")
    return arrays

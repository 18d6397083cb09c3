"""Arguments checked where they come in: each error names its argument.

NumPy counts a negative code from the end, reads a mask as zeros and ones, cuts the
fraction off a code, and lets NaN through every comparison; pandas brings columns into
one order that NumPy does not. What means nothing is refused here, by one line each.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def check_count(name: str, value: int, least: int = 1) -> None:
    """Raise ValueError unless an argument is a whole number, `least` or more.

    True, 2.0 and NaN are none.
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least:
        raise ValueError(f"{name}={value!r} must be a whole number, {least} or more")


def check_within(
    name: str, value: float | np.ndarray, low: float = 0.0, high: float = 1.0
) -> None:
    """Raise ValueError unless each number lies from `low` to `high`; NaN does not."""
    numbers = np.asarray(value)
    wrong = numbers[~((numbers >= low) & (numbers <= high))]
    if len(wrong):
        raise ValueError(f"{name} must lie in {low:g}..{high:g}, got {wrong[0]!r}")


def item_codes(
    name: str, codes: Sequence[int] | np.ndarray, n_items: float = np.inf
) -> np.ndarray:
    """Return codes as whole numbers (n,), none of them negative or unknown.

    NumPy would count a negative one from the end, and read a mask of booleans, or
    numbers with a fraction, as other codes.

    Args:
        name: of the argument, for the message.
        codes: (n,), empty ones are allowed.
        n_items: how many codes there are; as many as one likes if not given.

    Returns:
        int64 (n,), as given where they are that already.

    Raises:
        ValueError: another shape or type, or a code outside 0 .. n_items - 1.

    Example:
        >>> item_codes("seen", [2, 0], n_items=3).tolist()
        [2, 0]
        >>> item_codes("seen", [-1], n_items=3)
        Traceback (most recent call last):
        ValueError: seen holds codes from -1 to -1; they must lie in 0..2
    """
    codes = np.asarray(codes)
    if codes.ndim == 1 and not len(codes):
        # an empty list has no type of its own
        return np.empty(0, dtype=np.int64)
    if codes.ndim != 1 or codes.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must be a 1-D array of whole numbers, got {codes.dtype} "
            f"{codes.shape}; np.flatnonzero(mask) turns a mask into codes"
        )
    if codes.min() < 0 or codes.max() >= n_items:
        raise ValueError(
            f"{name} holds codes from {codes.min()} to {codes.max()}; "
            f"they must lie in 0..{n_items - 1}"
        )
    return codes.astype(np.int64, copy=False)


def finite(name: str, values: np.ndarray, ndim: int | None = 1) -> np.ndarray:
    """Return numbers as a new float64 array of `ndim` axes (any for None), not empty.

    Raises ValueError on another shape, and on NaN and infinity, which it places.
    """
    array = np.array(values, dtype=np.float64)
    if not array.size or ndim not in (None, array.ndim):
        raise ValueError(
            f"{name} must be a {f'{ndim}-D' if ndim else 'non-empty'} array of finite "
            f"numbers, got shape {array.shape}"
        )
    wrong = np.flatnonzero(~np.isfinite(array))
    if len(wrong):
        # a pandas column says whose the values are
        where = values.index[wrong] if isinstance(values, pd.Series) else wrong
        raise ValueError(
            f"{name} must be finite numbers, but {len(wrong)} are NaN or infinite, at "
            f"{where[:5].tolist()}: leave these out of all that is compared, and say so"
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
    if any(not table.index.equals(tables[0].index) for table in tables):
        raise ValueError(
            f"{names} must hold the same rows in the same order, but their indexes "
            "differ: reindex one by the other first"
        )
    arrays = [finite(name, values, None) for name, values in columns.items()]
    if len({array.shape for array in arrays}) > 1:
        raise ValueError(
            f"{names} must have one shape, got {[array.shape for array in arrays]}"
        )
    return arrays

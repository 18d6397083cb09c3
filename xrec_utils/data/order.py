"""Ratings in time order, ties broken by a seeded hash."""

import numpy as np
import pandas as pd


def in_time_order(interactions: pd.DataFrame, tie_seed: int = 0) -> pd.DataFrame:
    """Sort by user, then time, then a seeded hash of (user, item).

    The result does not depend on the order of the rows. Repeated events of a log, which
    share all three, are ordered by the other columns.
    """
    keyed = interactions.assign(
        tie=tie_hash(interactions["user"], interactions["item"], tie_seed)
    )
    rest = [
        column for column in interactions if column not in ("user", "time")
    ]  # repeated events of a log
    return keyed.sort_values(["user", "time", "tie", *rest], ignore_index=True).drop(
        columns="tie"
    )


def tie_hash(user: pd.Series, item: pd.Series, seed: int) -> np.ndarray:
    """Pseudo-random numbers which depend on nothing but (user, item, seed).

    Source: the finaliser of SplitMix64 (Steele, Lea and Flood 2014,
    doi:10.1145/2660193.2660195), chained.

    Args:
        user, item: n ids each, whole numbers or texts.
        seed: a whole number.

    Returns:
        (n,) uint64.

    Raises:
        ValueError: the two have different lengths.

    Example:
        The same pair has the same number, whatever the row.

        >>> hashes = tie_hash(pd.Series([1, 1, 1]), pd.Series([5, 6, 5]), seed=0)
        >>> bool(hashes[0] == hashes[2]), bool(hashes[0] == hashes[1])
        (True, False)
    """
    state = _mix(np.full(len(user), seed, dtype=np.int64).astype(np.uint64))
    for ids in (user, item):
        state = _mix(state ^ _as_numbers(ids))
    return state


def _mix(state: np.ndarray) -> np.ndarray:
    """One step of SplitMix64 on uint64, wrapping on overflow."""
    state = state + 0x9E3779B97F4A7C15
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB
    return state ^ (state >> 31)


def _as_numbers(ids: pd.Series) -> np.ndarray:
    """Integer ids as uint64; text ids hashed to uint64, equal in every process."""
    if pd.api.types.is_integer_dtype(ids):
        return ids.to_numpy(dtype=np.int64).astype(np.uint64)
    # Python's own hash of a text differs from process to process
    texts = ids.astype(str).to_numpy(dtype=object)
    return pd.util.hash_array(texts, categorize=False)

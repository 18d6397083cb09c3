"""Shapley values without sampling: games simple enough to average by hand.

Every function takes what each of the n players brings and returns the n values, in
float64. v(S) is the score when only the players in S are present, n the number of
players, and abar_{-i} the mean answer of all players but i.
"""

import numpy as np
from scipy.special import roots_sh_legendre  # Gauss-Legendre on [0, 1]

from xrec_utils.checks import aligned, finite
from xrec_utils.files import require

# numbers held at once in the two-dimensional integral: they stay in the processor's
# cache
CELLS = 2**17
HALVINGS = 4  # of the integral's step before it gives up
Start = tuple[float, float] | None


def linear(weights: np.ndarray) -> np.ndarray:
    """Shapley values where every player adds a weight of its own: the weights.

    v(S) = sum of the weights in S, so phi_i = w_i: EASE, nearest neighbours, any linear
    score. It is Linear SHAP (Lundberg and Lee 2017, arXiv:1705.07874, corollary 1) with
    absent meaning zero.

    Args:
        weights: (n,) what each player adds to the score.

    Returns:
        (n,) float64 in the unit of the score.

    Raises:
        ValueError: not a 1-D array of finite numbers, or an empty one.

    Example:
        >>> linear([0.5, -0.25]).tolist()
        [0.5, -0.25]
    """
    return finite("weights", weights)


def bilinear(weights: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Shapley values of a factorisation machine: two players share what they earn.

    v(S) = sum of w_i in S + sum of <v_i, v_j> over the pairs in S (Rendle 2010,
    doi:10.1109/ICDM.2010.127), so phi_i = w_i + <v_i, sum of the other vectors> / 2, by
    symmetry and additivity.

    Args:
        weights: (n,) what each player adds alone.
        vectors: (n, k); a dot product is what two players add together.

    Returns:
        (n,) float64 in the unit of the score.

    Raises:
        ValueError: the shapes do not fit, or a number is not finite.

    Example:
        The first two earn 6 together, which they share; the third meets nobody.

        >>> bilinear([1, 0, 5], [[2, 0], [3, 0], [0, 1]]).tolist()
        [4.0, 3.0, 5.0]
    """
    weights = finite("weights", weights)
    vectors = finite("vectors", vectors, ndim=2)
    require(
        len(vectors) == len(weights),
        f"vectors must hold one row for each of {len(weights)} weights, "
        f"got {vectors.shape}",
    )
    others = vectors.sum(axis=0) - vectors
    return weights + (vectors * others).sum(axis=1) / 2


def mean_pool(answers: np.ndarray, empty: float = 0.0) -> np.ndarray:
    """Shapley values of a mean: averaged embeddings read by a linear layer.

    v(S) = mean answer in S, v(nobody) = empty. The k-th to arrive moves the mean by
    (a_i - abar_{-i}) / k on average over who came before, the first one by a_i - empty;
    so phi_i = (a_i - empty + (a_i - abar_{-i}) (H_n - 1)) / n with H_n = 1 + 1/2 + ...
    + 1/n.

    Args:
        answers: (n,) the score that each player would give alone.
        empty: the score of nobody.

    Returns:
        (n,) float64 in the unit of the score; they add up to mean(answers) - empty.

    Raises:
        ValueError: not a 1-D array of finite numbers, or an empty one; `empty` is not
            finite.

    Example:
        Two players: half of the time each comes first, half of the time second.

        >>> mean_pool([4.0, 0.0]).tolist()
        [3.0, -1.0]
    """
    answers = finite("answers", answers)
    finite("empty", [empty])
    n = len(answers)
    harmonic = (1 / np.arange(1, n + 1)).sum()
    # an only player has no others, and a second part of nought times anything
    others = (answers.sum() - answers) / max(n - 1, 1)
    return (answers - empty + (answers - others) * (harmonic - 1)) / n


def softmax_pool(
    weights: np.ndarray,
    answers: np.ndarray,
    start: Start = None,
    empty: float = 0.0,
    tolerance: float = 1e-9,
) -> tuple[np.ndarray, np.ndarray]:
    """Shapley values of a weighted mean: attention with a fixed query.

    v(S) = weighted mean of the answers in S and of the start. The values are an
    integral after Owen (1972, doi:10.1287/mnsc.18.5.64), whose step is halved until two
    results agree.

    Args:
        weights: (n,) = exp(logits) > 0.
        answers: (n,) the score that each player would give alone.
        start: (weight, answer) of a token that is always present, or None.
        empty: v(nobody) where there is no start.
        tolerance: two results agree when they differ by less than this share of the
            largest |answer - v(all)|.

    Returns:
        Values (n,) in the unit of the score, and the difference (n,) of the last two
        results, which bounds their error.

    Raises:
        ValueError: the shapes do not fit, a number is not finite, a weight is not above
            0, or the results never agree.

    Example:
        Equal weights make it a plain mean: see `mean_pool`.

        >>> values, error = softmax_pool([1.0, 1.0], [4.0, 0.0])
        >>> values.round(6).tolist(), bool(error.max() < 1e-6)
        ([3.0, -1.0], True)
    """
    e, a, e0, a0 = _checked_pool(weights, answers, start)
    finite("empty", [empty])
    # measured from v(all), no large common part is left to cancel
    middle = (e0 * a0 + e @ a) / (e0 + e.sum())
    scale = np.abs(np.append(a, a0 if e0 else middle) - middle).max()
    before = _integral(e, a - middle, e0, a0 - middle, 0.5, 16)
    for halvings in range(1, HALVINGS + 1):
        finer = 2**halvings
        values = _integral(e, a - middle, e0, a0 - middle, 0.5 / finer, 16 * finer)
        error = np.abs(values - before)
        before = values
        if error.max() <= tolerance * scale:
            # without a start, the first to arrive also makes up for `empty`
            nobody = 0.0 if e0 else (empty - middle) / len(e)
            return values - nobody, error
    raise ValueError(
        f"softmax_pool reached {error.max() / scale:.0e}: "
        f"tolerance={tolerance} must be larger"
    )


def _integral(
    e: np.ndarray, a: np.ndarray, e0: float, a0: float, step: float, nodes: int
) -> np.ndarray:
    """Shapley values (n,) of (e0 a0 + sum e a) / (e0 + sum e), with 0 for 0/0.

    1/D = integral of exp(-tD) over t > 0 turns the ratio into products, and phi_i is
    the mean over q in [0, 1] of what i adds to a group that every other joins with
    probability q (Owen 1972). In q a polynomial of degree n - 1: Gauss-Legendre, exact
    from n/2 nodes. In log t: trapezoids `step` wide.
    """
    q, q_weight = roots_sh_legendre(min(nodes, (len(e) + 1) // 2))
    # cut off where t itself, or exp(-t e), is as good as zero
    log_t = np.arange(
        -32 - np.log(e0 + e.sum()),
        np.log(40 / (e0 or e.min())),
        step,
    )
    values = np.zeros(len(e))
    for part in np.array_split(log_t, 1 + log_t.size * q.size * e.size // CELLS):
        t = np.exp(part)[:, None]
        values += _integral_part(
            e,
            a,
            e0 * a0,
            t,
            q,
            # (t, q)
            step * t * q_weight * np.exp(-t * e0),
        )
    return values


def _integral_part(
    e: np.ndarray,
    a: np.ndarray,
    start: float,
    t: np.ndarray,
    q: np.ndarray,
    t_weight: np.ndarray,
) -> np.ndarray:
    """The integral over some t (t, 1) and all q (q,): (n,), by what each player adds.

    With x = exp(-t e) and d = 1 - q + q x the product without i is P / d_i on average,
    P = exp(-t e0) prod d, and in the sum of e a each j weighs q x_j / d_j.
    """
    x_minus_1 = np.expm1(-t * e)
    gain = (1 + x_minus_1) * e * a  # (t, n)
    d = 1 + q[:, None] * x_minus_1[:, None, :]  # (t, q, n)
    p = t_weight * d.prod(axis=2)  # (t, q)
    inverse = 1 / d
    others = p * (start + q * (inverse @ gain[:, :, None])[:, :, 0])
    own_part = gain[:, None, :] * ((p * q)[:, None, :] @ inverse**2)
    mean = (others[:, None, :] @ inverse - own_part)[:, 0]
    joining = gain * (p[:, None, :] @ inverse)[:, 0]
    return (joining + x_minus_1 * mean).sum(axis=0)


def _checked_pool(
    weights: np.ndarray, answers: np.ndarray, start: Start
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Weights and answers of the players, then of the start (0 without one)."""
    e, a = aligned(weights=finite("weights", weights), answers=answers)
    e0, a0 = start or (0.0, 0.0)
    # without a start both are 0
    require(
        e.min() > 0 and np.isfinite([e0, a0]).all() and (start is None or e0 > 0),
        "every weight must be above 0: pass exp(logits - largest logit), "
        "in float64; start is finite",
    )
    return e, a, float(e0), float(a0)

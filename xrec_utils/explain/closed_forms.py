"""Shapley values without sampling: games whose value has a formula simple enough to
average by hand.

Every function takes what each of the n players brings and returns the n values, in
float64. v(S) is the score when only the players in S are present, n the number of
players, and abar_{-i} the mean answer of all players but i.
"""

import numpy as np

CELLS = (
    2**17
)  # numbers held at once in the two-dimensional integral: they stay in the processor's cache
HALVINGS = 4  # of the integral's step before it gives up
Start = tuple[float, float] | None


def linear(weights: np.ndarray) -> np.ndarray:
    """v(S) = sum of the weights in S; phi_i = w_i: EASE, nearest neighbours, any linear
    score. weights (n,) -> (n,).

    Linear SHAP (Lundberg & Lee 2017, arXiv:1705.07874, corollary 1) with absent meaning
    zero.
    """
    return _numbers("weights", weights)


def bilinear(weights: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """v(S) = sum of w_i in S + sum of <v_i, v_j> over the pairs in S: a factorisation
    machine (Rendle 2010).

    phi_i = w_i + <v_i, sum of the other vectors> / 2: two players share what they earn
    together (Shapley 1953, symmetry and additivity). weights (n,), vectors (n, k) ->
    (n,). Raises ValueError when the shapes do not fit.
    """
    weights, vectors = (
        _numbers("weights", weights),
        np.asarray(vectors, dtype=np.float64),
    )
    if (
        vectors.ndim != 2
        or len(vectors) != len(weights)
        or not np.isfinite(vectors).all()
    ):
        raise ValueError(
            f"vectors must hold one finite row for each of {len(weights)} weights, got {vectors.shape}"
        )
    others = vectors.sum(axis=0) - vectors
    return weights + (vectors * others).sum(axis=1) / 2


def mean_pool(answers: np.ndarray, empty: float = 0.0) -> np.ndarray:
    """v(S) = mean answer in S, v(nobody) = empty: averaged embeddings read by a linear
    layer. answers (n,) -> (n,).

    The k-th to arrive moves the mean by (a_i - abar_{-i}) / k on average over who came
    before, the first one by a_i - empty; so phi_i = (a_i - empty + (a_i - abar_{-i})
    (H_n - 1)) / n with H_n = 1 + 1/2 + ... + 1/n.
    """
    answers = _numbers("answers", answers)
    n = len(answers)
    harmonic = (1 / np.arange(1, n + 1)).sum()
    return (answers - empty + (answers - _mean_of_others(answers)) * (harmonic - 1)) / n


def sqrt_pool(answers: np.ndarray) -> np.ndarray:
    """v(S) = sum of the answers in S / root of |S|, 0 for nobody: SVD++ (Koren 2008),
    FISM. answers (n,) -> (n,).

    The k-th to arrive adds (a_i + (k-1) abar_{-i}) / root k - root(k-1) abar_{-i} on
    average over who came before. The roots telescope: phi_i = (R a_i + (root n - R)
    abar_{-i}) / n with R = 1 + 1/root 2 + ... + 1/root n.
    """
    answers = _numbers("answers", answers)
    n = len(answers)
    roots = (1 / np.sqrt(np.arange(1, n + 1))).sum()
    return (roots * answers + (np.sqrt(n) - roots) * _mean_of_others(answers)) / n


def softmax_pool(
    weights: np.ndarray,
    answers: np.ndarray,
    start: Start = None,
    empty: float = 0.0,
    tolerance: float = 1e-9,
) -> tuple[np.ndarray, np.ndarray]:
    """v(S) = weighted mean of the answers in S and of the start: attention with a fixed
    query. -> values, error (n,).

    weights (n,) = exp(logits) > 0, answers (n,), start = (weight, answer) of a token
    that is always present; without it v(nobody) = empty. The step of the integral
    (`_integral`) is halved until two results agree to `tolerance` of the largest
    |answer - v(all)|; `error` is their difference. Raises ValueError when they never
    do.
    """
    e, a, e0, a0 = _checked_pool(weights, answers, start)
    middle = (e0 * a0 + e @ a) / (
        e0 + e.sum()
    )  # measured from v(all), no large common part is left to cancel
    scale = np.abs(np.append(a, a0 if e0 else middle) - middle).max()
    before = _integral(e, a - middle, e0, a0 - middle, 0.5, 16)
    for halvings in range(1, HALVINGS + 1):
        values = _integral(
            e, a - middle, e0, a0 - middle, 0.5 / 2**halvings, 16 * 2**halvings
        )
        error, before = np.abs(values - before), values
        if error.max() <= tolerance * scale:
            return values - (0.0 if e0 else (empty - middle) / len(e)), error
    raise ValueError(
        f"softmax_pool reached {error.max() / scale:.0e}: tolerance={tolerance} must be larger"
    )


def _integral(
    e: np.ndarray, a: np.ndarray, e0: float, a0: float, step: float, nodes: int
) -> np.ndarray:
    """Shapley values (n,) of (e0 a0 + sum e a) / (e0 + sum e), with 0 for 0/0, by
    quadrature over t and q.

    1/D = integral of exp(-tD) over t > 0 turns the ratio into products, and phi_i is
    the mean over q in [0, 1] of what i adds to a group that every other joins with
    probability q (Owen 1972). With x = exp(-t e) and d = 1 - q + q x the product
    without i is P / d_i on average, P = exp(-t e0) prod d, and in the sum of e a each j
    weighs q x_j / d_j. In q a polynomial of degree n - 1: Gauss-Legendre, exact from
    n/2 nodes. In log t: trapezoids `step` wide.
    """
    q, q_weight = np.polynomial.legendre.leggauss(min(nodes, (len(e) + 1) // 2))
    q, q_weight = (q + 1) / 2, q_weight / 2
    log_t = np.arange(-32 - np.log(e0 + e.sum()), np.log(40 / (e0 or e.min())), step)
    values = np.zeros(len(e))
    for part in np.array_split(log_t, 1 + len(log_t) * len(q) * len(e) // CELLS):
        t = np.exp(part)[:, None]
        x_minus_1 = np.expm1(-t * e)
        gain = (1 + x_minus_1) * e * a  # (t, n)
        d = 1 + q[:, None] * x_minus_1[:, None, :]  # (t, q, n)
        p, inverse = step * t * q_weight * np.exp(-t * e0) * d.prod(axis=2), 1 / d
        others = p * (e0 * a0 + q * (inverse @ gain[:, :, None])[:, :, 0])
        mean = (
            others[:, None, :] @ inverse
            - gain[:, None, :] * ((p * q)[:, None, :] @ inverse**2)
        )[:, 0]
        values += (gain * (p[:, None, :] @ inverse)[:, 0] + x_minus_1 * mean).sum(
            axis=0
        )
    return values


def _checked_pool(
    weights: np.ndarray, answers: np.ndarray, start: Start
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Weights and answers of the players, then of the start (0 without one)."""
    e, a, (e0, a0) = (
        _numbers("weights", weights),
        _numbers("answers", answers),
        start or (0.0, 0.0),
    )
    if len(e) != len(a):
        raise ValueError(
            f"{len(e)} weights and {len(a)} answers: there must be one of each per player"
        )
    if e.min() <= 0 or (
        start is not None and not (0 < e0 < np.inf and np.isfinite(a0))
    ):
        raise ValueError(
            "every weight must be above 0: pass exp(logits - largest logit), in float64; start is finite"
        )
    return e, a, float(e0), float(a0)


def _numbers(name: str, values: np.ndarray) -> np.ndarray:
    values = np.array(values, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(
            f"{name} must be a 1-D array of finite numbers, one per player, got shape {values.shape}"
        )
    return values


def _mean_of_others(answers: np.ndarray) -> np.ndarray:
    """Mean of all answers but the own, (n,); 0 for an only player, whose others do not
    exist.
    """
    return (answers.sum() - answers) / max(len(answers) - 1, 1)

"""Shapley values of a network with one hidden layer, by integrals instead of draws.

A hidden unit computes g(b + Σ_{i in S} w_i), with g its activation. Owen (1972, doi:10.1287/mnsc.18.5.64)
writes its Shapley values as an integral over the chance q with which every other player
is present,

    φ_i = ∫₀¹ E[g(Z + w_i) - g(Z)] dq,

with Z = b + the sum of those of the other players who are present. Z is a sum of
independent terms, so it is nearly normal with mean b + q Σ w_j and variance q(1 - q) Σ
w_j². The normal law, corrected for skewness and kurtosis (Edgeworth's series), leaves
two integrals to Gauss: over q and over Z (with a plain normal law: Ancona, Öztireli and
Gross 2019, arXiv:1903.10992). Values of several units add up, and the output is linear
in them, so one pass serves every item at once.

The rule rests on an approximation: it is never exact, and where single films saturate a
unit it can be far off. So every value is computed twice, the second time by a rule with
fewer points and without the kurtosis, and how far the two lie apart is the error that
`with_errors` states. Tests draw networks of many kinds and count how often it holds.
"""

from collections.abc import Callable, Iterator

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.special import roots_sh_legendre  # Gauss-Legendre on [0, 1]

from xrec_utils.models.hidden_layer import OneHidden

LEAST = 1e-12  # a variance below which the sum is as good as constant


def hidden_shapley(
    rows: np.ndarray,
    bias: np.ndarray,
    by_length: bool = False,
    nodes: int | None = None,
    activation: Callable[[np.ndarray], np.ndarray] = np.tanh,
) -> np.ndarray:
    """Shapley values of every hidden unit for one history, by quadrature.

    Of activation(bias + the sum of the films' rows), through Owen's integral (1972,
    doi:10.1287/mnsc.18.5.64) and a corrected normal law: see the module.

    Args:
        rows: (n, h) what each film adds to each unit.
        bias: (h,) of the units.
        by_length: the sum is divided by √(films).
        nodes: points of the outer rule (over q; four times as many sizes),
            `default_nodes(n)` for None.
        activation: of the units, element by element; takes `out` as NumPy's functions
            do.

    Returns:
        (n, h) float32; a column adds up to its unit's move from nobody to everybody,
        except for the rule's error. Times a readout they are in the unit of the score.

    Example:
        Two equal films share tanh(1) alike, to about three digits.

        >>> values = hidden_shapley(np.array([[0.5], [0.5]]), np.array([0.0]))
        >>> values.shape, bool(np.abs(values - np.tanh(1.0) / 2).max() < 1e-3)
        ((2, 1), True)
    """
    return _rule(
        rows,
        bias,
        by_length,
        activation,
        nodes or default_nodes(len(rows)),
        inner_nodes(len(rows)),
    )


def _rule(
    rows: np.ndarray,
    bias: np.ndarray,
    by_length: bool,
    activation: Callable[[np.ndarray], np.ndarray],
    nodes: int,
    points: int,
    kurtosis: bool = True,
) -> np.ndarray:
    """Values (n, h) of the units by a rule of `nodes` times `points`.

    kurtosis: whether the normal law is corrected for it, and not for skewness alone.
    """
    # float32 is enough: its rounding is far below the error of the rule
    rows = np.asarray(rows, np.float32)
    bias = np.asarray(bias, np.float32)
    values = np.zeros_like(rows)
    # made once: making such arrays anew takes longer than filling them
    gain, start, share, term = np.empty((4, *rows.shape), np.float32)
    inner = _gauss_hermite(points)
    outer = _sizes if by_length else _chances
    for weight, law, before, after in outer(rows, nodes):
        mean, sd, skewness, excess = law
        square = skewness * skewness
        # the middle of a unit's input without the film, and with it
        without = bias + before * mean
        joined = bias + after * (mean + rows)
        for z, normal, third, fourth, sixth in inner * np.float32([1, *[weight] * 4]):
            np.multiply(sd, after * z, out=gain)
            gain += joined
            activation(gain, out=gain)
            np.multiply(sd, before * z, out=start)
            start += without
            gain -= activation(start, out=start)
            # Edgeworth's series up to the third cumulant, or the fourth
            np.multiply(skewness, third, out=share)
            share += normal
            if kurtosis:
                share += np.multiply(excess, fourth, out=term)
                share += np.multiply(square, sixth, out=term)
            gain *= share
            values += gain
    return values


def with_errors(
    net: OneHidden, history: np.ndarray, items: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values of the films of a history (n,) for several items, and their errors.

    Both (items, n) float64. The error of a value adds up how far a coarser rule lies
    from it, the root mean square of that over the films (for both rules may miss a film
    by the same), its share of what each unit's values miss of the unit's move, and the
    rounding of float32. It is meant to be doubled, as a standard error is.
    """
    rows = net.rows[history]
    readout = net.readout[:, items]
    n = len(rows)
    nodes = default_nodes(n)
    points = inner_nodes(n)
    network = (rows, net.bias, net.by_length, net.activation)
    fine = _rule(*network, nodes, points)
    coarse = _rule(*network, nodes - 1, points - 1, kurtosis=False)
    values = (fine @ readout).T.astype(float)
    apart = np.abs(((fine - coarse) @ readout).T)
    typical = np.sqrt((apart**2).mean(axis=1))
    ends = np.array([np.zeros_like(net.bias), rows.sum(axis=0)])
    nobody, everybody = net.units(ends, np.array([0, n]))
    missed = everybody - nobody - fine.sum(axis=0)
    rounding = np.finfo(np.float32).eps * np.linalg.norm(readout, axis=0)
    # as if the films' errors added up like those of chance
    shared = np.sqrt(missed**2 @ readout**2 / n)
    return values, apart + (typical + shared + rounding)[:, None]


def inner_nodes(n: int) -> int:
    """Points over the sum of the others, for n films.

    Six carry the fourth cumulant; a wider sum needs more.
    """
    return min(6 + n // 120, 12)


def default_nodes(n: int) -> int:
    """Points of the outer rule, for n films.

    More films push the units further into saturation, where the integrand bends.
    """
    return min(5 + n // 40, 20)


def _law(
    mean: np.ndarray, variance: np.ndarray, third: np.ndarray, fourth: np.ndarray
) -> np.ndarray:
    """The law of the sum of the others who are present, from its cumulants (n, h).

    Returns mean, standard deviation, skewness and excess kurtosis: (4, n, h) float32,
    one entry per player left out and unit.
    """
    sure = variance < LEAST
    # one where it is zero, for it stands below the line
    sd = np.sqrt(np.where(sure, 1, variance))
    law = np.array(
        [
            mean,
            sd,
            third / sd**3,
            fourth / sd**4,
        ],
        dtype=np.float32,
    )
    # a sum that does not vary has no shape
    law[1:, sure] = 0
    return law


def _powers(rows: np.ndarray) -> np.ndarray:
    """Sums over the rows other than each of their first four powers.

    rows (n, h) -> (4, n, h) float64.
    """
    once = rows.astype(np.float64)
    # products: NumPy's ** is slower from the third power on
    twice = once * once
    powers = np.array(
        [
            once,
            twice,
            twice * once,
            twice * twice,
        ]
    )
    return powers.sum(axis=1, keepdims=True) - powers


def _chances(
    rows: np.ndarray, nodes: int
) -> Iterator[tuple[float, np.ndarray, float, float]]:
    """Owen's integral by Gauss-Legendre, point by point.

    Yields the weight of q, the law (4, n, h) of the sum, and the scales of the sum
    before and after joining, which are one.
    """
    law = _law(*_powers(rows))
    for q, weight in zip(*roots_sh_legendre(nodes), strict=True):
        p = q * (1 - q)
        # cumulants of w times a coin of chance q: q w, p w², p (1 - 2q) w³ and
        # p (1 - 6p) w⁴; the last two are divided by powers of the deviation √p
        scales = np.array(
            [
                q,
                p**0.5,
                (1 - 2 * q) / p**0.5,
                (1 - 6 * p) / p,
            ],
            dtype=np.float32,
        )
        yield (
            weight,
            law * scales[:, None, None],
            1.0,
            1.0,
        )


def _sizes(
    rows: np.ndarray, nodes: int
) -> Iterator[tuple[float, np.ndarray, float, float]]:
    """The same for an input of length one, where groups are taken size by size.

    There k films weigh 1/√k each: φ_i = 1/n Σ_k E[g(b + (Σ_S w + w_i)/√(k+1)) - g(b +
    Σ_S w/√k)] over groups S of k of the m = n - 1 others, drawn without replacement.
    Between the sizes used, a spline over √k fills in.
    """
    m = len(rows) - 1
    sizes = np.arange(m + 1)
    if m >= 4 * nodes:
        # squared, so that small sizes lie closer together: there the scale changes fast
        even = np.linspace(0, 1, num=4 * nodes)
        sizes = np.unique(np.rint(m * even**2)).astype(int)
    roots = np.sqrt(np.arange(m + 1))
    # one spline per size used: 1 there, 0 at the others
    basis = make_interp_spline(
        roots[sizes],
        np.eye(len(sizes)),
        k=min(3, len(sizes) - 1),
    )
    # (sizes,): a size's share of the mean over all sizes
    weights = basis(roots).mean(axis=0)
    about_zero = _powers(rows) / max(m, 1)
    moments = _central_moments(*about_zero)
    for k, weight in zip(sizes.tolist(), weights, strict=True):
        yield (
            weight,
            _law(*_drawn(k, m, *moments)),
            # nobody's sum is zero, whatever it is divided by
            1 / max(k, 1) ** 0.5,
            1 / (k + 1) ** 0.5,
        )


def _central_moments(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Mean and second to fourth central moments, from the four moments about zero.

    Of the rows other than each: (n, h) all.
    """
    return (
        a,
        b - a**2,
        c - 3 * a * b + 2 * a**3,
        d - 4 * a * c + 6 * a**2 * b - 3 * a**4,
    )


def _drawn(
    k: int,
    m: int,
    mean: np.ndarray,
    second: np.ndarray,
    third: np.ndarray,
    fourth: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """First four cumulants of the sum of k out of m numbers, from the moments of all m.

    Drawn without replacement; tests check them against all draws. Up to three numbers
    the fourth is left at zero.
    """
    left = k * (m - k)
    pairs = (m - 1) * (m - 2)
    # where a divisor would be zero, so is what it divides: max keeps 0/0 away
    variance = left / max(m - 1, 1) * second
    skew = left * (m - 2 * k) / max(pairs, 1) * third
    if m <= 3:
        return (
            k * mean,
            variance,
            skew,
            np.zeros_like(variance),
        )
    of_fourth = (m * (m + 1) - 6 * left) * fourth
    of_second = 3 * m * (k - 1) * (m - k - 1) * second**2
    tail = left / (pairs * (m - 3)) * (of_fourth + of_second) - 3 * variance**2
    return k * mean, variance, skew, tail


def _gauss_hermite(points: int) -> np.ndarray:
    """Points z, their weights, and the weights of Edgeworth's terms, a row per point.

    The terms are Hermite's polynomials of degree 3, 4 and 6 with their factors:
    (points, 5) float32.
    """
    z, weights = np.polynomial.hermite_e.hermegauss(points)
    weights /= weights.sum()
    columns = [
        z,
        weights,
        weights * (z**3 - 3 * z) / 6,
        weights * (z**4 - 6 * z**2 + 3) / 24,
        weights * (z**6 - 15 * z**4 + 45 * z**2 - 15) / 72,
    ]
    return np.float32(columns).T

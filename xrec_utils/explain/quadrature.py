"""Shapley values of a network with one hidden layer, by integrating over random groups
instead of drawing them.

A hidden unit computes g(b + Σ_{i in S} w_i). Owen (1972, doi:10.1287/mnsc.18.5.64)
writes its Shapley values as an integral over the chance q with which every other player
is present,

    φ_i = ∫₀¹ E[g(Z + w_i) - g(Z)] dq,   Z = b + the sum of those of the other players who are present.

Z is a sum of independent terms, so it is nearly normal with mean b + q Σ w_j and
variance q(1 - q) Σ w_j². The normal law, corrected for skewness and kurtosis
(Edgeworth's series), leaves two integrals to Gauss: over q and over Z (with a plain
normal law: Ancona, Öztireli and Gross 2019, arXiv:1903.10992). Values of several units
add up, and the output is linear in them, so one pass serves every item at once. The
rule rests on an approximation: it is never exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.interpolate import make_interp_spline

from xrec_utils.autoencoders import Autoencoder

LEAST = 1e-12  # a variance below which the sum is as good as constant


class OneHidden(NamedTuple):
    """logits(history) = tanh(bias + scale · Σ rows[i]) @ readout + constant, with scale
    1 or 1/√(films).

    rows (n_items, h), bias (h,), readout (h, n_items), constant (n_items,), all
    float32. by_length: scale is 1/√n.
    """

    rows: np.ndarray
    bias: np.ndarray
    readout: np.ndarray
    constant: np.ndarray
    by_length: bool


def one_hidden(model: Autoencoder) -> OneHidden:
    """Read the one hidden layer out of a dae or vae; the vae's μ and its decoder are
    one linear map.

    Raises:
        TypeError: the model is neither.
    """
    if not isinstance(model, Autoencoder):
        raise TypeError(
            f"{model.name} has more than one hidden layer; the quadrature explains dae and vae"
        )
    weights = {layer.name: layer.get_weights() for layer in model.model.layers}
    rows, bias = weights["hidden"]
    readout, constant = weights["logits"]
    if "mean" in weights:
        mean, shift = weights["mean"]
        readout, constant = mean @ readout, shift @ readout + constant
    return OneHidden(rows, bias, readout, constant, by_length="length_one" in weights)


def hidden_shapley(
    rows: np.ndarray,
    bias: np.ndarray,
    by_length: bool = False,
    nodes: int | None = None,
) -> np.ndarray:
    """Shapley values of every hidden unit for one history: rows (n, h), bias (h,) ->
    (n, h) float32.

    nodes: points of the outer rule (over q; four times as many sizes),
    `default_nodes(n)` unless told.
    """
    rows, bias = np.asarray(rows, np.float32), np.asarray(bias, np.float32)
    nodes = nodes or default_nodes(len(rows))
    values, alone = np.zeros_like(rows), np.tanh(rows)
    for weight, law, before, after in (_sizes if by_length else _chances)(rows, nodes):
        for z, share in _corrected_normal(
            law.skewness, law.kurtosis, inner_nodes(len(rows))
        ):
            others = law.mean + law.sd * z
            start = np.tanh(bias + before * others)
            if by_length:
                gain = np.tanh(bias + after * (others + rows)) - start
            # tanh(x + w) - tanh x by the addition theorem: half the work, and no digits
            # cancel
            else:
                gain = alone * (1 - start * start) / (1 + start * alone)
            gain *= share
            gain *= np.float32(weight)
            values += gain
    return values


def with_errors(
    net: OneHidden, history: np.ndarray, items: np.ndarray, moved: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values of the films of a history (n,) for several items, and their errors: both
    (items, n) float64.

    moved (items,): score minus base of each item. The error of a value is how far a
    rule with one node less lies from it, plus its even share of what the values miss of
    `moved`.
    """
    nodes = default_nodes(len(history))
    units = (
        hidden_shapley(net.rows[history], net.bias, net.by_length, points)
        for points in (nodes, nodes - 1)
    )
    values, coarse = ((each @ net.readout[:, items]).T.astype(float) for each in units)
    missing = np.abs(moved - values.sum(axis=1))
    return values, np.abs(values - coarse) + missing[:, None] / len(history)


def inner_nodes(n: int) -> int:
    """Points over the sum of the others: six carry the fourth cumulant; a wider sum
    needs more.
    """
    return int(np.clip(6 + n // 120, 6, 12))


def default_nodes(n: int) -> int:
    """Points of the outer rule: more films push the units further into saturation,
    where the integrand bends.
    """
    return int(np.clip(5 + n // 40, 5, 20))


class _Law(NamedTuple):
    """The sum of the other players who are present: each (n, h) float32, one entry per
    player left out and unit.
    """

    mean: np.ndarray
    sd: np.ndarray
    skewness: np.ndarray
    kurtosis: np.ndarray  # excess over the normal law's


def _law(
    mean: np.ndarray, variance: np.ndarray, third: np.ndarray, fourth: np.ndarray
) -> _Law:
    """From the first four cumulants; a sum that does not vary has no shape."""
    sure = variance < LEAST
    sd = np.sqrt(np.where(sure, 1, variance))
    shape = (np.where(sure, 0, third / sd**3), np.where(sure, 0, fourth / sd**4))
    return _Law(*(x.astype(np.float32) for x in (mean, np.where(sure, 0, sd), *shape)))


def _powers(rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """Sums over the rows other than each of their first four powers: (n, h) -> four of
    (n, h) float64.
    """
    once = rows.astype(np.float64)
    twice = once * once
    return tuple(
        power.sum(axis=0) - power
        for power in (once, twice, twice * once, twice * twice)
    )


def _chances(
    rows: np.ndarray, nodes: int
) -> Iterator[tuple[float, _Law, float, float]]:
    """Owen's integral by Gauss-Legendre: weight of q, law of the sum, scales of the sum
    before and after joining.
    """
    law = _law(*_powers(rows))
    points, weights = np.polynomial.legendre.leggauss(nodes)
    for q, weight in zip(((points + 1) / 2).tolist(), weights / 2, strict=True):
        p = (
            q * (1 - q)
            # cumulants of w times a coin of chance q: q w, p w², p (1 - 2q) w³, p (1 - 6p)
            # w⁴
        )
        scale = (q, p**0.5, (1 - 2 * q) / p**0.5, (1 - 6 * p) / p)
        yield (
            weight,
            _Law(*(x * np.float32(by) for x, by in zip(law, scale, strict=True))),
            1.0,
            1.0,
        )


def _sizes(rows: np.ndarray, nodes: int) -> Iterator[tuple[float, _Law, float, float]]:
    """The same for an input of length one, where k films weigh 1/√k each, so that
    groups are taken size by size.

    φ_i = 1/n Σ_k E[g(b + (Σ_S w + w_i)/√(k+1)) - g(b + Σ_S w/√k)] over groups S of k of
    the m = n - 1 others, drawn without replacement. Between the sizes used, a spline
    over √k fills in.
    """
    m = len(rows) - 1
    sizes = np.unique(
        np.rint(m * np.linspace(0, 1, min(m + 1, 4 * nodes)) ** 2)
    ).astype(int)
    every = np.sqrt(np.arange(m + 1))
    basis = make_interp_spline(
        np.sqrt(sizes), np.eye(len(sizes)), k=min(3, len(sizes) - 1)
    )
    moments = _central_moments(rows)
    for k, weight in zip(sizes, basis(every).mean(axis=0), strict=True):
        yield (
            weight,
            _law(*_drawn(k, m, *moments)),
            1 / max(k, 1) ** 0.5,
            1 / (k + 1) ** 0.5,
        )


def _central_moments(rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """Mean and second to fourth central moments of the rows other than each: (n, h) ->
    four of (n, h).
    """
    a, b, c, d = (power / max(len(rows) - 1, 1) for power in _powers(rows))
    return (
        a,
        b - a**2,
        c - 3 * a * b + 2 * a**3,
        d - 4 * a * c + 6 * a**2 * b - 3 * a**4,
    )


def _drawn(
    k: int, m: int, mean: Any, second: Any, third: Any, fourth: Any
) -> tuple[np.ndarray, ...]:
    """First four cumulants of the sum of k out of m numbers drawn without replacement,
    from the moments of all m.

    Tests check them against all draws. Up to three numbers the fourth is left at zero.
    """
    left = k * (m - k)
    variance = left / max(m - 1, 1) * second
    skew = left * (m - 2 * k) / max((m - 1) * (m - 2), 1) * third
    both = (m * (m + 1) - 6 * left) * fourth + 3 * m * (k - 1) * (m - k - 1) * second**2
    tail = left / max((m - 1) * (m - 2) * (m - 3), 1) * both - 3 * variance**2
    return k * mean, variance, skew, tail if m > 3 else 0 * tail


def _corrected_normal(
    skewness: np.ndarray, kurtosis: np.ndarray, points: int
) -> Iterator[tuple[float, np.ndarray]]:
    """Gauss-Hermite points z, each weighed by Edgeworth's series up to the fourth
    cumulant: float, (n, h).
    """
    places, weights = np.polynomial.hermite_e.hermegauss(points)
    for z, weight in zip(places, weights / weights.sum(), strict=True):
        third, fourth, sixth = (
            np.float32(weight * hermite)
            for hermite in (
                (z**3 - 3 * z) / 6,
                (z**4 - 6 * z**2 + 3) / 24,
                (z**6 - 15 * z**4 + 45 * z**2 - 15) / 72,
            )
        )
        yield (
            np.float32(z),
            np.float32(weight)
            + fourth * kurtosis
            + (third + sixth * skewness) * skewness,
        )


def fourier_shapley(
    rows: np.ndarray, bias: np.ndarray, chances: int = 64
) -> np.ndarray:
    """The same values to about nine digits and without the normal law, in seconds: rows
    (n, h), bias (h,) -> (n, h).

    Within |x| ≤ L - 10, tanh x = Σ c_k sin(kπx/L) over odd k, c_k = 2π / (L
    sinh(kπ²/2L)), to e⁻²⁰: the transform of tanh, sampled. The mean of a sine over
    random groups is a product, E sin(ωx) = Im e^{iωb} Π (1 - q + q e^{iωw_j}), so what
    player i adds needs no group to be drawn. chances: Gauss-Legendre points for Owen's
    integral over q.
    """
    rows, bias = rows.astype(np.float64), bias.astype(np.float64)
    reach = 10 + (np.abs(bias) + np.abs(rows).sum(axis=0)).max()
    k = np.arange(1, 22 * 2 * reach / np.pi**2, 2)  # the terms beyond are below e⁻²²
    omega, share = (
        k * np.pi / reach,
        2 * np.pi / reach / np.sinh(k * np.pi**2 / (2 * reach)),
    )
    points, weights = np.polynomial.legendre.leggauss(min(chances, len(rows) // 2 + 1))
    values = np.empty_like(rows)
    for unit, (w, b) in enumerate(zip(rows.T, bias, strict=True)):
        turn = np.exp(1j * np.outer(omega, w))  # (frequencies, n)
        start, total = share * np.exp(1j * omega * b), np.zeros_like(turn)
        for q, weight in zip((points + 1) / 2, weights / 2, strict=True):
            present = 1 - q + q * turn
            total += (weight * start * present.prod(axis=1))[:, None] / present
        values[:, unit] = (total * (turn - 1)).imag.sum(axis=0)
    return values

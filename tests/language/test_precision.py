"""How often cited films are right: users are drawn, and chance cites as many films."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from xrec_utils.language.precision import (
    citation_precision,
    precision_difference,
    resampled,
    share,
)
from xrec_utils.metrics.intervals import mean_interval


def test_share_is_of_the_sums_not_a_mean_of_shares() -> None:
    assert share(np.array([[1, 0], [1, 9]])) == 0.1


def test_resampling_a_mean_gives_its_standard_error() -> None:
    values = np.random.default_rng(1).normal(size=(1, 400))
    found = resampled(lambda table: float(table.mean()), values)
    assert found.mean == values.mean()
    assert (found.high - found.low) / 2 == pytest.approx(
        1.96 * values.std() / 20, rel=0.1
    )


def test_films_are_counted_over_the_users_who_have_some() -> None:
    effects = [np.array([0.5, -0.1, 0.0])] * 2 + [np.array([0.2, 0.2, 0.2])]
    found = citation_precision([[0, 1, 2], [], [2]], effects)
    assert (found.right, found.cited, found.users, found.share.mean) == (2, 4, 2, 0.5)
    with pytest.raises(ValueError, match="no film is cited"):
        citation_precision([[], []], effects[:2])
    with pytest.raises(ValueError, match="longer"):
        citation_precision([[0]], effects)


def test_chance_cites_as_many_films_of_the_same_users() -> None:
    """Against all sets of as many films, one after the other."""
    rng = np.random.default_rng(0)
    effects = list(rng.normal(size=(6, 5)))
    cited = [[0], [1, 2], [0, 1, 2, 3, 4], [], [3, 4], [2]]
    right = [
        np.mean([(effect[list(drawn)] > 0).sum() for drawn in combinations(range(5), len(films))])
        for films, effect in zip(cited, effects, strict=True)
    ]  # fmt: skip
    found = citation_precision(cited, effects)
    assert found.chance == pytest.approx(sum(right) / sum(map(len, cited)))
    assert found.lead.mean == pytest.approx(found.share.mean - found.chance)
    everything = citation_precision([range(5)] * 6, effects)
    assert (everything.lead.low, everything.lead.high) == pytest.approx((0, 0))


def test_eight_films_of_one_reply_are_no_eight_users() -> None:
    """Replies that are right as a whole or wrong as a whole: the interval is that of
    their mean over users, and wider than of films drawn by themselves.
    """
    good = np.random.default_rng(3).random(40) < 0.6
    effects = [np.full(8, 1.0 if each else -1.0) for each in good]
    found = citation_precision([range(8)] * 40, effects).share
    of_users = mean_interval(good.astype(float))
    assert (found.low, found.high) == pytest.approx(
        (of_users.low, of_users.high), abs=0.03
    )
    of_films = mean_interval(np.repeat(good, 8).astype(float))
    assert found.high - found.low > 2 * (of_films.high - of_films.low)


@pytest.mark.parametrize("sign", [1, -1])
def test_replies_all_alike_get_wilsons_interval_over_users(sign: int) -> None:
    """For n of n Wilson's interval begins at n / (n + z^2)."""
    found = citation_precision([[0, 1], [1], [0]], [np.full(2, sign)] * 3).share
    expected = (3 / (3 + 1.959964**2), 1)
    if sign < 0:
        expected = (0, 1 - expected[0])
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-6)


def test_a_difference_is_of_users_who_have_films_on_both_sides() -> None:
    rng = np.random.default_rng(5)
    effects = list(rng.normal(size=(30, 4)))
    best = [[int(effect.argmax())] for effect in effects]
    worst = [[int(effect.argmin())] for effect in effects]
    found = precision_difference(best, worst, effects)
    both = [
        float(effect.max() > 0) - float(effect.min() > 0) for effect in effects
    ]  # one film each: a mean over users
    assert found.mean == pytest.approx(np.mean(both))
    halves = [films if n % 2 else [] for n, films in enumerate(worst)]
    odd = precision_difference(best[1::2], worst[1::2], effects[1::2])
    assert precision_difference(best, halves, effects) == odd
    same = precision_difference(best, best, effects)
    assert (same.low, same.mean, same.high) == (0, 0, 0)

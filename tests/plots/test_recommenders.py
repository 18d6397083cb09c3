"""Figures of the classic recommenders: what they say, and that they refuse what they
cannot draw.
"""

import numpy as np
import pandas as pd
import pytest

from xrec_utils.plots import judging, recommenders, style


@pytest.fixture
def shown(monkeypatch):
    pictures = []
    monkeypatch.setattr(
        style,
        "display",
        lambda data, raw, metadata: pictures.append((data, metadata)),
    )
    return pictures


def alt(shown) -> str:
    [(data, metadata)] = shown
    assert data["image/png"].startswith(b"\x89PNG")
    return metadata["image/png"]["alt"]


def test_reasons_are_shares_of_the_largest(shown):
    weights = pd.DataFrame(
        {"a": [4.0, 2.0, 0.0], "b": [-1.0, 2.0, 0.1]}, ["x", "y", "z"]
    )
    recommenders.reasons_by_model(weights, "Two models", k=2)
    assert "2 " in alt(shown)


def test_two_orders_names_both(shown):
    table = pd.DataFrame(
        {"full": [0.3, 0.2, 0.1], "sampled": [0.5, 0.6, 0.4]}, ["a", "b", "c"]
    )
    recommenders.two_orders(table, "A and b change places")
    assert "by full: a, b and c; by sampled: b, a and c." in alt(shown)


def test_two_orders_needs_two_columns():
    with pytest.raises(ValueError, match="two columns, got \\['x'\\]"):
        recommenders.two_orders(pd.DataFrame({"x": [1.0]}), "title")


def test_gain_by_rank_says_how_far_it_reaches(shown):
    judging.gain_by_rank(
        {"full": np.r_[np.ones(10), np.zeros(90)], "sampled": np.ones(100)}, "Far"
    )
    assert "full to rank 10 and sampled to rank 100." in alt(shown)

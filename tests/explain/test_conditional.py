"""Marginal and conditional removal as notebook 10 works them out: its formula against
all groups, its nearest rows against its formula.
"""

import ast
from collections.abc import Callable

import nbformat
import numpy as np
import pytest

from xrec_utils import Game, feature_game
from xrec_utils.explain import brute_force
from xrec_utils.files import NOTEBOOKS

(NOTEBOOK,) = NOTEBOOKS.glob("10_*.ipynb")
BOTH = ("x1", "x2")
CASES = [(1.5, 1.0, 0.8), (1.5, 1.0, 0.0), (-0.5, 1.0, 0.8), (1.0, -1.0, -0.6)]
cases = pytest.mark.parametrize(("x1", "x2", "rho"), CASES)


def first_column(rows: np.ndarray) -> np.ndarray:
    """A model that ignores its second column."""
    return rows[:, 0]


def cell_with(definition: str) -> str:
    """The one code cell of the notebook that holds a definition."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    codes = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    (found,) = [source for source in codes if definition in source]
    return found


def formula(x1: float, x2: float, rho: float) -> dict[str, list[float]]:
    """What the notebook writes down for these numbers: values of both columns."""
    statements = ast.parse(cell_with("hand = ")).body
    (hand,) = [each for each in statements if ast.unparse(each).startswith("hand = ")]
    names = {"x1": x1, "x2": x2, "rho": rho}
    exec(ast.unparse(hand), names)
    return names["hand"]


def conditional_game() -> Callable[..., Game]:
    """The notebook's game of nearest rows."""
    names = {"np": np, "Game": Game}
    exec(cell_with("def conditional_game"), names)
    return names["conditional_game"]


@cases
def test_the_formula_is_that_of_all_groups(x1: float, x2: float, rho: float) -> None:
    """Expected x1 of a pair with correlation rho: 0 if nothing is known, rho * x2 if x2
    is.
    """
    known_by_second = {"marginal": 0.0, "conditional": rho * x2}
    written = formula(x1, x2, rho)
    assert set(written) == set(known_by_second)
    for name, alone in known_by_second.items():
        scores = np.array([0.0, x1, alone, x1])
        game = Game(BOTH, "score", lambda masks, scores=scores: scores[masks @ [1, 2]])
        np.testing.assert_allclose(brute_force(game).values, written[name], atol=1e-12)


def test_the_example_of_the_text() -> None:
    assert formula(1.5, 1.0, 0.8)["conditional"] == pytest.approx([1.1, 0.4])


@cases
def test_nearest_rows_come_near_the_formula(x1: float, x2: float, rho: float) -> None:
    pairs = np.random.default_rng(1).multivariate_normal(
        [0, 0], [[1, rho], [rho, 1]], 10_000
    )
    row = np.array([x1, x2])
    game = conditional_game()(first_column, row, pairs, BOTH, 300)
    expected = formula(x1, x2, rho)
    # two means of 300 draws with a spread of at most 1, each halved or taken whole
    np.testing.assert_allclose(
        brute_force(game).values, expected["conditional"], atol=0.12
    )
    marginal = brute_force(feature_game(first_column, row, pairs, BOTH)).values
    np.testing.assert_allclose(marginal, expected["marginal"], atol=0.05)
    assert marginal[1] == pytest.approx(0, abs=1e-12)

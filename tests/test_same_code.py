"""What a notebook writes out and what the package holds are the same code, docstrings
and annotations aside.
"""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest

from xrec_utils.files import NOTEBOOKS, ROOT

SAME = (  # notebook, function or class, module of xrec_utils
    ("01", "in_time_order", "data.order"),
    ("01", "at_least", "data.load"),
    ("01", "core", "data.load"),
    ("02", "keep_largest", "models.classic"),
    ("02", "sgd_step", "models.stars"),
    ("04", "two_branch_mlp", "models.user_item"),
    ("04", "feature_mlp", "models.user_item"),
    ("04", "embedding_mlp", "models.user_item"),
    ("05", "softmax", "models.by_hand"),
    ("05", "attention", "models.by_hand"),
    ("05", "multi_head", "models.by_hand"),
    ("05", "next_item_loss", "models.training"),
    ("06", "multinomial_loss", "models.autoencoders"),
    ("06", "kl_to_standard_normal", "models.autoencoders"),
    ("06", "Latent", "models.autoencoders"),
    ("07", "hour_columns", "shop.moments"),
    ("07", "reinforce_loss", "shop.network"),
    ("07", "ips", "shop.off_policy"),
    ("07", "snips", "shop.off_policy"),
    ("07", "direct", "shop.off_policy"),
    ("07", "doubly_robust", "shop.off_policy"),
    ("08", "Tree", "language.ranker"),
    ("08", "spread", "language.results"),
    ("08", "resampled", "language.precision"),
    ("10", "lime_from_scratch", "explain.lime"),
    ("10", "brute_force", "explain.shapley"),
    ("11", "marginals", "explain.shapley"),
    ("11", "both_ways", "explain.shapley"),
    ("14", "probabilities", "language.prompt_game"),
    ("14", "lead", "language.results"),
    ("15", "first_players", "judge.deletion"),
    ("15", "added", "judge.deletion"),
    ("15", "deletion_curve", "judge.deletion"),
    ("15", "area", "judge.deletion"),
    ("15", "share_of_possible", "judge.deletion"),
    ("19", "Cache", "service.core"),
    ("19", "version", "service.core"),
)
Definition = ast.FunctionDef | ast.ClassDef


class Bare(ast.NodeTransformer):
    """Takes docstrings and annotations off."""

    def visit(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        for name in ("annotation", "returns"):
            if hasattr(node, name):
                setattr(node, name, None)
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            return ast.copy_location(ast.Assign([node.target], node.value), node)
        if isinstance(node, Definition) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return node


def definition(sources: list[str], name: str) -> str:
    """The one top-level definition of `name`, bare, as text."""
    nodes = [node for source in sources for node in ast.parse(source).body]
    found = [
        node for node in nodes if isinstance(node, Definition) and node.name == name
    ]
    assert len(found) == 1, f"{len(found)} definitions of {name}, expected one"
    return ast.unparse(Bare().visit(found[0]))


def cells(path: Path) -> list[str]:
    return [
        cell.source
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code"
    ]


@pytest.mark.parametrize(("number", "name", "module"), SAME, ids=lambda part: part)
def test_the_notebook_writes_out_what_the_package_holds(
    number: str, name: str, module: str
) -> None:
    (notebook,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
    packaged = (
        ROOT.joinpath("xrec_utils", *module.split("."))
        .with_suffix(".py")
        .read_text(encoding="utf-8")
    )
    assert definition(cells(notebook), name) == definition([packaged], name)


def test_the_comparison_sees_a_difference_and_only_that() -> None:
    plain = 'def f(x, *, y=1):\n    """Say."""\n    z = x\n    return z + y'
    typed = "def f(x: int, *, y: int = 1) -> int:\n    z: int = x\n    return z + y"
    assert (
        definition([plain], "f")
        == definition([typed], "f")
        != definition([typed.replace("+", "-")], "f")
    )

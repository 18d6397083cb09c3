"""What a notebook writes out and what the package holds are the same code, docstrings
and annotations aside.
"""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest

from xrec_utils.paths import NOTEBOOKS, ROOT

SAME = (  # notebook, function or class, module of xrec_utils
    ("01", "in_time_order", "splits"),
    ("01", "at_least", "splits"),
    ("01", "core", "splits"),
    ("02", "keep_largest", "classic"),
    ("02", "sgd_step", "ratings"),
    ("04", "two_branch_mlp", "mlp"),
    ("04", "feature_mlp", "mlp"),
    ("04", "embedding_mlp", "mlp"),
    ("05", "softmax", "explain.modules"),
    ("05", "attention", "explain.modules"),
    ("05", "multi_head", "explain.modules"),
    ("05", "next_item_loss", "training"),
    ("06", "multinomial_loss", "autoencoders"),
    ("06", "kl_to_standard_normal", "autoencoders"),
    ("06", "Latent", "autoencoders"),
    ("07", "hour_columns", "context"),
    ("07", "reinforce_loss", "policy_network"),
    ("07", "ips", "off_policy"),
    ("07", "snips", "off_policy"),
    ("07", "direct", "off_policy"),
    ("07", "doubly_robust", "off_policy"),
    ("08", "Tree", "llm"),
    ("08", "spread", "bench_language_table"),
    ("08", "resampled", "bench_language_table"),
    ("10", "lime_from_scratch", "explain.lime"),
    ("10", "brute_force", "explain.shapley"),
    ("11", "marginals", "explain.shapley"),
    ("11", "both_ways", "explain.shapley"),
    ("14", "probabilities", "explain.words"),
    ("14", "lead", "bench_language_table"),
    ("15", "first_players", "faithfulness"),
    ("15", "added", "faithfulness"),
    ("15", "deletion_curve", "faithfulness"),
    ("15", "area", "faithfulness"),
    ("15", "share_of_possible", "faithfulness"),
    ("19", "Cache", "service_core"),
    ("19", "version", "service_core"),
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

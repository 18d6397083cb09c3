"""The house is easy to see: imports run one way, and no room is too large."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from xrec_utils.paths import ROOT

# from the foundation up; a module imports only from levels before its own, or from its own level without a circle
LEVELS = [
    {"paths", "files", "keras_start"},
    {"tables", "editions", "fetch", "data", "splits", "shop", "shop_log"},
    {"contract", "metrics"},
    {"features", "classic", "ratings", "mlp", "attention", "training", "neural"},
    {"sequence", "target_attention", "autoencoders", "context", "policy", "policy_network", "off_policy"},
    {"zoo", "games"},
    {"explain"},
    {"faithfulness", "agreement", "planted", "asking"},
    {"bench", "bench_peers", "bench_again", "bench_policy", "bench_ratings", "bench_runs", "bench_store",
     "bench_tables", "bench_causes", "bench_explanations", "bench_leaderboard", "bench_shapley", "calibrate_shapley"},
    {"plots_base", "plots_data", "plots_model", "plots_shop", "plots_classic", "plots_latent", "plots_features",
     "plots_context", "plots_policy", "plots_shapley", "plots_attention_trial", "plots_causes", "plots_judging",
     "plots"},
    {"answers"},
    {"exercises", "lock", "course", "check", "lab"},
    {"run"},
    {"publish"},
]
PACKAGE = ROOT / "xrec_utils"
FILES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """The dotted name of a file below the package: explain/lime.py is explain.lime, the package itself is ''."""
    return ".".join(part for part in path.relative_to(PACKAGE).with_suffix("").parts if part != "__init__")


NAMES = {name_of(path) for path in FILES}


def room(name: str) -> str:
    return name.partition(".")[0]


def imports(path: Path) -> set[str]:
    """The modules of the package that a file imports, at its top or inside its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively: write xrec_utils.…"
            base = (node.module or "").split(".")
            dotted = [[*base, alias.name] for alias in node.names]
        else:
            dotted = [alias.name.split(".") for alias in node.names] if isinstance(node, ast.Import) else []
        for parts in (parts for parts in dotted if parts[0] == "xrec_utils"):
            names = [".".join(parts[1:end]) for end in range(len(parts), 0, -1)]
            found.add(next(name for name in names if name in NAMES))
    return found - {"", name_of(path)}


GRAPH = {name_of(path): imports(path) for path in FILES}


def test_every_room_has_its_place() -> None:
    placed = [name for level in LEVELS for name in level]
    assert len(placed) == len(set(placed))
    assert {room(name) for name in GRAPH} - {""} - set(placed) == set()


def test_imports_never_run_upwards() -> None:
    level = {name: height for height, names in enumerate(LEVELS) for name in names}
    upwards = [
        f"{name} imports {other}"
        for name, others in GRAPH.items()
        for other in others
        if name and level[room(other)] > level[room(name)]
    ]
    assert upwards == []


def test_there_is_no_circle() -> None:
    left = dict(GRAPH)
    while free := [name for name, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    assert left == {}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_file_is_too_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


TOOLS = {"answers", "bench", "calibrate_shapley", "check", "course", "exercises", "lab", "lock", "publish", "run"}


def test_the_package_is_small() -> None:
    """At most 5,500 logical lines (statements, without docstrings) of what notebooks import, 2,500 of tools."""
    size = {True: 0, False: 0}
    for path in FILES:
        size[room(name_of(path)).split("_")[0] in {tool.split("_")[0] for tool in TOOLS}] += statements(path)
    assert size[False] <= 5_500 and size[True] <= 2_500


def statements(path: Path) -> int:
    nodes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.stmt)]
    return sum(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in nodes)

"""The house is easy to see: imports run one way, and no room is too large."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from xrec_utils.paths import ROOT

# from the foundation up; a module imports only from levels before its own, or from its
# own level without a circle
LEVELS = [
    {"paths", "files", "processes", "keras_start"},
    {"tables", "editions", "fetch", "data", "splits", "shop", "shop_log"},
    {"contract", "metrics"},
    {"prompts", "replies", "llama", "llm", "llm_text", "llm_encoder", "llm_endpoint"},
    {"features", "classic", "ratings", "mlp", "attention", "training", "neural"},
    {
        "sequence",
        "target_attention",
        "autoencoders",
        "context",
        "policy",
        "policy_network",
        "off_policy",
    },
    {"zoo", "games"},
    {"explain"},
    {
        "language",
        "decision_path",
        "service_schema",
        "service_films",
        "service_core",
        "service",
    },
    {"faithfulness", "agreement", "planted", "asking"},
    {
        "bench",
        "bench_peers",
        "bench_again",
        "bench_policy",
        "bench_ratings",
        "bench_runs",
        "bench_store",
        "bench_tables",
        "bench_causes",
        "bench_explanations",
        "bench_leaderboard",
        "bench_shapley",
        "calibrate_shapley",
        "bench_language",
        "bench_language_table",
        "bench_llama",
        "bench_service",
    },
    {
        "plots_base",
        "plots_data",
        "plots_model",
        "plots_shop",
        "plots_classic",
        "plots_latent",
        "plots_features",
        "plots_context",
        "plots_policy",
        "plots_shapley",
        "plots_attention_trial",
        "plots_causes",
        "plots_judging",
        "plots_language",
        "plots_prompts",
        "plots_service",
        "decision_widget",
        "plots",
    },
    {"answers"},
    {"exercises", "lock", "course", "check", "lab"},
    {"run"},
    {"publish"},
]
PACKAGE = ROOT / "xrec_utils"
FILES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """The dotted name of a file below the package: explain/lime.py is explain.lime, the
    package itself is ''.
    """
    return ".".join(
        part
        for part in path.relative_to(PACKAGE).with_suffix("").parts
        if part != "__init__"
    )


NAMES = {name_of(path) for path in FILES}


def room(name: str) -> str:
    return name.partition(".")[0]


def imports(path: Path) -> set[str]:
    """The modules of the package that a file imports, at its top or inside its
    functions.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, (
                f"{path.name} imports relatively: write xrec_utils.…"
            )
            base = (node.module or "").split(".")
            dotted = [[*base, alias.name] for alias in node.names]
        else:
            dotted = (
                [alias.name.split(".") for alias in node.names]
                if isinstance(node, ast.Import)
                else []
            )
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


PARTS = {  # the first part of a module's name -> what it belongs to; all else is the library proper
    "tools": {
        "answers",
        "bench",
        "calibrate",
        "check",
        "course",
        "exercises",
        "lab",
        "lock",
        "publish",
        "run",
    },
    "figures": {"plots"},
    "service": {"service", "decision"},
    "language": {"prompts", "replies", "llama", "llm", "language"},
}
CEILINGS = {
    "library": 4_600,
    "figures": 1_200,
    "service": 800,
    "language": 850,
    "tools": 2_700,
}


def part(path: Path) -> str:
    first = room(name_of(path)).split("_")[0]
    return next((name for name, rooms in PARTS.items() if first in rooms), "library")


@pytest.mark.parametrize("name", CEILINGS)
def test_the_package_is_small(name: str) -> None:
    """Logical lines (statements, without docstrings) of each part of the house."""
    assert (
        sum(statements(path) for path in FILES if part(path) == name) <= CEILINGS[name]
    )


def statements(path: Path) -> int:
    nodes = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.stmt)
    ]
    return sum(
        not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in nodes
    )

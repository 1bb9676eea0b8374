"""Imports point one way, files and functions stay short, and what the README names exists."""

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "its").rglob("*.py"))  # the first is the package itself, which shows what lies above

LAYERS = (
    ("types", "paths", "order"),
    (
        "host_random",
        "noise",
        "budget",
        "moves",
        "pixels",
        "weights",
        "store",
        "layout",
        "workers",
        "progress",
        "help",
        "npz",
        "cluster.slurm",
        "cluster.status",
        "cluster.leave",
        "cluster.source",
        "cluster.site",
        "device",
        "finished",
    ),
    ("model.schedule", "sampler", "guidance", "dataset", "model", "prices", "recipes", "image", "origin", "verifier"),
    ("search", "tape"),
    ("engine", "metric"),
    (
        "instantiate",
        "smoke",
        "identity",
        "flops",
        "report",
        "tracker",
        "curve",
        "shards",
        "references",
        "images",
        "measurement",
        "pools",
        "experiment",
        "schedule",
        "build",
        "plan",
        "source",
        "render",
        "rescore",
        "pairs",
        "job",
        "cluster",
    ),
)
"""From the bottom up: a module imports from its own layer and those before it."""

NEVER = {
    "search": {"torch", "hydra", "wandb", "its.engine", "its.model", "its.disk.store"},
    "verifier": {"its.metric", "its.search", "its.engine"},
    "metric": {"its.search", "its.engine", "its.verifier"},
    "model": {"its.search", "its.engine", "its.verifier", "its.metric"},
    "engine": {"its.disk.store", "its.run.experiment", "its.metric", "hydra", "wandb"},
}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """Modules imported anywhere in a file but below `if TYPE_CHECKING`."""
    found: set[str] = set()
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        pending.extend(ast.iter_child_nodes(node))
    return found


def layer(module: str) -> int:
    inner = module.removeprefix("its").removeprefix(".")
    ranks = [rank for rank, names in enumerate(LAYERS) for name in names if f"{inner}.".startswith(f"{name}.")]
    return ranks[0] if ranks else 0


@pytest.mark.parametrize("path", MODULES[1:], ids=name_of)
def test_imports_point_down(path: Path):
    upward = {module for module in imports(path) if module.startswith("its.") and layer(module) > layer(name_of(path))}
    assert not upward


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_parts_do_not_meet(path: Path):
    part = (*name_of(path).split("."), "")[1]
    forbidden = NEVER.get(part, set())
    met = {module for module in imports(path) for name in forbidden if f"{module}.".startswith(f"{name}.")}
    assert not met


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_and_functions_are_short(path: Path):
    text = path.read_text()
    assert len(text.splitlines()) <= 250
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and node.end_lineno and node.end_lineno - node.lineno + 1 > 40
    }
    assert not long


@pytest.mark.parametrize("path", sorted((ROOT / "conf" / "search").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_search_has_its_file_its_test_and_its_row(path: Path):
    module = yaml.safe_load(path.read_text())["_target_"].rsplit(".", 1)[0]
    assert (ROOT / f"{module.replace('.', '/')}.py").exists()
    assert (ROOT / "tests" / "search" / f"test_{module.rsplit('.', 1)[1]}.py").exists()
    assert f"`{path.stem}`" in (ROOT / "docs" / "methods.md").read_text()


@pytest.mark.parametrize("page", ["README.md", "docs/methods.md", "docs/references.md"])
def test_links_lead_somewhere(page: str):
    text = (ROOT / page).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if not link.startswith("http")]
    assert not [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]

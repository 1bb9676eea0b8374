"""Imports point one way, files and functions stay short, and every search has its parts."""

import ast
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "its").rglob("*.py"))  # the first is the package itself, which shows what lies above

FLOORS = (
    ("budget", "disk", "levels", "parameters", "pixels", "types", "weights"),
    ("guidance", "process", "sampler", "verifier"),
    ("particles",),
    ("dataset", "search"),
    ("metric", "model", "report"),
    ("classifier", "engine", "tracker", "twins"),
    ("config",),
    ("run",),
    ("cluster",),
    ("moving", "rerun"),
)
"""Rooms of `its`, from the ground up: a module imports from its own floor and those below."""

GROUND = {"__init__.py", "budget.py", "levels.py", "parameters.py", "pixels.py", "types.py"}
"""The only modules outside a room."""

NEVER = {
    "search": {"torch", "hydra", "wandb", "its.engine", "its.model", "its.disk"},
    "verifier": {"its.metric", "its.search", "its.engine"},
    "metric": {"its.search", "its.engine", "its.verifier"},
    "model": {"its.search", "its.engine", "its.verifier", "its.metric"},
    "engine": {"its.disk", "its.run", "its.metric", "hydra", "wandb"},
}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path, *, typing: bool = True) -> set[str]:
    """Modules imported anywhere in a file; without `typing`, not those below `if TYPE_CHECKING`."""
    found: set[str] = set()
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        node = pending.pop()
        guarded = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        if guarded and not typing:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        pending.extend(ast.iter_child_nodes(node))
    return found


def floor(module: str) -> int:
    """The floor of a module's room; the package itself, which shows what lies above, is on none."""
    room = (*module.split("."), "")[1]
    return next((number for number, rooms in enumerate(FLOORS) if room in rooms), 0)


def test_architecture_has_only_shared_modules_on_the_ground_floor():
    assert {path.name for path in (ROOT / "its").glob("*.py")} <= GROUND


@pytest.mark.parametrize("path", MODULES[1:], ids=name_of)
def test_architecture_imports_point_down(path: Path):
    upward = {module for module in imports(path) if module.startswith("its.") and floor(module) > floor(name_of(path))}
    assert not upward


def test_architecture_has_no_import_cycles():
    names = {name_of(path): path for path in MODULES[1:] if path.name != "__init__.py"}
    arrows = {name: imports(path) & names.keys() - {name} for name, path in names.items()}
    reached = {name: set(onward) for name, onward in arrows.items()}
    for middle in names:
        for name in names:
            if middle in reached[name]:
                reached[name] |= reached[middle]
    assert not [name for name in names if name in reached[name]]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_architecture_keeps_forbidden_imports_out_of_each_part(path: Path):
    part = (*name_of(path).split("."), "")[1]
    forbidden = NEVER.get(part, set())
    met = {
        module for module in imports(path, typing=False) for name in forbidden if f"{module}.".startswith(f"{name}.")
    }
    assert not met


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_architecture_keeps_files_and_functions_short(path: Path):
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and node.end_lineno and node.end_lineno - node.lineno + 1 > 60
    }
    assert not long


OWN_SEARCHES = [path for path in sorted((ROOT / "conf" / "search").glob("*.yaml")) if "_target_" in path.read_text()]
"""YAMLs of searches, without presets of them."""


@pytest.mark.parametrize("path", OWN_SEARCHES, ids=lambda path: path.stem)
def test_architecture_gives_every_search_a_file_a_test_and_a_docs_row(path: Path):
    module = yaml.safe_load(path.read_text())["_target_"].rsplit(".", 1)[0]
    assert (ROOT / f"{module.replace('.', '/')}.py").exists()
    assert (ROOT / "tests" / "search" / f"test_{module.rsplit('.', 1)[1]}.py").exists()
    assert f"`{path.stem}`" in (ROOT / "docs" / "methods.md").read_text()
    assert (ROOT / "README.md").read_text().count(f"- [`{path.stem}`]({module.replace('.', '/')}.py)") == 1

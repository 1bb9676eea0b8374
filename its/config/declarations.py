"""Parameters of classes and loaders, read from their source: which name weights or a device, and every default.

Nothing is imported, so that torch is not loaded and no foreign code runs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from its.config.names import current
from its.process.beside import parsed
from its.process.modules import absolute, file_of, modules_of
from its.weights import Dtype

WEIGHTS, DEVICE, DTYPE, SPEED_ONLY, VARIANT = "Weights", "Device", "Dtype", "SpeedOnly", "Variant"
RUN_PLACE, SETTINGS = "RunPlace", "Settings"
GUIDANCE_SCALE, GUIDANCE_INTERVAL, AUTOGUIDANCE = "GuidanceScale", "GuidanceInterval", "Autoguidance"
SKIP_INTERVAL = "SkipInterval"
"""Annotations that say what a parameter is; `its.weights` and `its.types` define them."""

PLAIN: dict[str, Any] = {
    **{"int": int, "float": float, "bool": bool, "str": str},
    **{DTYPE: Dtype, GUIDANCE_SCALE: float, GUIDANCE_INTERVAL: Sequence[float], SKIP_INTERVAL: Sequence[float]},
    **dict.fromkeys((WEIGHTS, DEVICE, RUN_PLACE, AUTOGUIDANCE, VARIANT, SETTINGS), str),
}
"""Types of plain values by their names in an annotation."""


OPEN = "**"
"""Among parameters: whatever else is given is taken too, or the source does not say what is."""


class Parameter(NamedTuple):
    """A parameter as its definition declares it.

    Attributes:
        marks: every name in its annotation.
        hint: the type that its annotation states, as far as that is one of plain values; else Any. None is of it where
            it is the default.
        has_default: whether its default is a literal. default: that literal, or None.
        required: whether it has none at all.
    """

    marks: frozenset[str]
    hint: Any
    has_default: bool
    default: Any
    required: bool = False


EVERYTHING = Parameter(frozenset(), Any, False, None)

BASES = frozenset({"object", "Protocol", "ABC", "Generic"})
"""Bases that take nothing."""


@cache
def parameters(target: str) -> dict[str, Parameter]:
    """Return the parameters of a class or function by name, those of its bases first; none without its source."""
    return _defined(target) or {}


def is_declared(target: str) -> bool:
    """Return whether the source of a class or function is found, so that its parameters are known."""
    return _defined(target) is not None


@cache
def definitions(package: str) -> tuple[str, ...]:
    """Return the dotted names of what a package defines at the top of its modules, or a module of one file."""
    return tuple(
        f"{module}.{statement.name}"
        for module in sorted({package, *modules_of(package)})
        if (path := file_of(module)) is not None
        for statement in parsed(path).body
        if isinstance(statement, ast.ClassDef | ast.FunctionDef) and not statement.name.startswith("_")
    )


def marked(node: Any, mark: str) -> Iterator[Any]:
    """Yield the value of every parameter below a plain node that its definition marks so."""
    if isinstance(node, dict):
        declared = parameters(node["_target_"]) if isinstance(node.get("_target_"), str) else {}
        for key, value in node.items():
            if key in declared and mark in declared[key].marks:
                yield value
            else:
                yield from marked(value, mark)
    elif isinstance(node, list):
        for value in node:
            yield from marked(value, mark)


@cache
def _defined(target: str) -> dict[str, Parameter] | None:
    """Parameters by the last definition of the name in its module, or in the one that it is imported from."""
    module, _, name = current(target).rpartition(".")
    for statement in reversed(_statements(module)):
        if isinstance(statement, ast.FunctionDef) and statement.name == name:
            return _arguments(statement.args)
        if isinstance(statement, ast.ClassDef) and statement.name == name:
            return _of_class(module, statement)
        if isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                if (alias.asname or alias.name) == name:
                    return _defined(f"{absolute(module, statement)}.{alias.name}")
    return None


def _of_class(module: str, definition: ast.ClassDef) -> dict[str, Parameter]:
    """Arguments of `__init__`; without one, the fields of a dataclass and of its bases, or what a base takes."""
    for statement in definition.body:
        if isinstance(statement, ast.FunctionDef) and _name(statement) == "__init__":
            arguments = _arguments(statement.args)
            return {key: value for key, value in arguments.items() if key != "self"}
    bases = [_of_base(module, base) for base in definition.bases]
    if not any("dataclass" in _names(decorator) for decorator in definition.decorator_list):
        made_otherwise = definition.decorator_list or any(_name(part) == "__new__" for part in definition.body)
        return {OPEN: EVERYTHING} if made_otherwise else next((base for base in bases if base), {})
    fields: dict[str, Parameter] = {}
    for base in reversed(bases):
        fields |= base
    for statement in definition.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            field = _parameter(statement.annotation, statement.value)
            if not {"ClassVar", "KW_ONLY"} & field.marks:
                fields[statement.target.id] = field
    return fields


def _name(statement: ast.stmt) -> str:
    return getattr(statement, "name", "")


def _of_base(module: str, base: ast.expr) -> dict[str, Parameter]:
    """Return what a base takes: whatever it is given, if its source is not found."""
    if _names(base) & BASES:
        return {}
    found = _defined(f"{module}.{base.id}") if isinstance(base, ast.Name) else None
    return {OPEN: EVERYTHING} if found is None else found


def _arguments(arguments: ast.arguments) -> dict[str, Parameter]:
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(arguments.defaults))
    pairs = [*zip(plain, [*defaults, *arguments.defaults], strict=True)]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    taken = {argument.arg: _parameter(argument.annotation, default) for argument, default in pairs}
    return taken | ({OPEN: EVERYTHING} if arguments.kwarg else {})


def _parameter(annotation: ast.expr | None, default: ast.expr | None) -> Parameter:
    marks = _names(annotation) if annotation is not None else frozenset[str]()
    try:
        literal = ast.literal_eval(default) if default is not None else None
    except ValueError:  # computed when the module is imported
        return Parameter(marks, _hint(annotation), False, None)
    hint = _hint(annotation)
    admits_none = default is not None and literal is None and hint is not Any
    return Parameter(marks, hint | None if admits_none else hint, default is not None, literal, default is None)


def _hint(annotation: ast.expr | None) -> Any:
    """Read an annotation of plain values, without evaluating it; return Any for every other."""
    match annotation:
        case ast.Name(id=name):
            return PLAIN.get(name, Any)
        case ast.Constant(value=None):
            return type(None)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            hints = (_hint(left), _hint(right))
            return Any if Any in hints else hints[0] | hints[1]
        case ast.Subscript(value=ast.Name(id="Sequence"), slice=entry):
            return Sequence[_hint(entry)]  # type: ignore[misc]
        case ast.Subscript(value=ast.Name(id=name), slice=entry) if name == SPEED_ONLY:
            return _hint(entry)
    return Any


def _names(expression: ast.expr) -> frozenset[str]:
    """Every name in an expression, dotted ones by their parts."""
    nodes = [*ast.walk(expression)]
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return frozenset(names | {node.attr for node in nodes if isinstance(node, ast.Attribute)})


@cache
def _statements(module: str) -> list[ast.stmt]:
    """Statements of a module's source, with those for type checkers: they say what a lazy module imports later."""
    path = file_of(module)
    if path is None or path.suffix != ".py":
        return []
    try:
        statements = ast.parse(path.read_text(encoding="utf-8")).body
    except SyntaxError as error:
        raise ValueError(f"{path}, line {error.lineno}: this is no Python: {error.msg}") from error
    checked = [part for part in statements if isinstance(part, ast.If) and "TYPE_CHECKING" in _names(part.test)]
    return [inner for part in checked for inner in part.body] + statements

"""The fields of option structs, with the docstrings that follow them in the source."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal, NamedTuple, get_args, get_origin

import msgspec


class Field(NamedTuple):
    """One key of the configuration."""

    key: str
    kind: str
    default: str
    meaning: str


def fields(struct: type[msgspec.Struct], prefix: str = "") -> Iterator[Field]:
    """Every field of a struct and of the structs in it; a key is the path to the field, joined with dots."""
    meanings = docstrings(struct)
    for field in msgspec.structs.fields(struct):
        key = f"{prefix}{field.name}"
        if is_struct(field.type):
            yield from fields(field.type, f"{key}.")
        else:
            yield Field(key, kind_of(field.type), default_of(field), meanings.get(field.name, ""))


def is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def docstrings(struct: type) -> dict[str, str]:
    """The docstring of each field, also of inherited ones, on one line."""
    found: dict[str, str] = {}
    for owner in reversed(struct.__mro__):
        if not is_struct(owner) or owner is msgspec.Struct:
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        assert isinstance(definition, ast.ClassDef)
        for field, after in pairwise(definition.body):
            text = docstring(after)
            if text and isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                found[field.target.id] = " ".join(text.split())
    return found


def docstring(node: ast.stmt) -> str:
    """The text of a statement that is only a string, else ""."""
    value = node.value.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) else ""
    return value if isinstance(value, str) else ""


def kind_of(kind: Any) -> str:
    """`auto`, `fp32` or `bf16`; list of text"""
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inside)
    if origin in (tuple, list):
        return f"list of {kind_of(inside[0])}"
    if origin is dict:
        return "table"
    if inside:
        return " or ".join(kind_of(each) for each in inside if each is not type(None))
    names = {str: "text", bool: "yes or no", int: "whole number", float: "number"}
    return names.get(kind, getattr(kind, "__name__", str(kind)))


def default_of(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "must be given"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return "none" if value in (None, "", (), {}) else f"`{msgspec.json.encode(value).decode()}`"

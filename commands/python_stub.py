"""The types of records and errors as a stub, from the source of `pipeline/result.py` and `pipeline/errors.py`.

A stub stands alone, so that a type checker finds the types wherever percept is installed and whatever packages a
program has.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from types import ModuleType

from pipeline import errors, result

RECORDS = (
    *(
        "Evidence",
        "Label",
        "Category",
        "OpenSet",
        "Movement",
        "Visit",
        "ZoneVisits",
        "Crossing",
        "TextLine",
        "Region",
        "Relation",
        "View",
    ),
    *("TrackEvidence", "Track", "ClipRecord"),
)
ERRORS = ("PerceptError", "ConfigError", "SourceError", "ModelError", "OutputError")
HEAD = '''"""Types of `percept._records`. Written by `python -m commands.python_api` from our own types; do not edit."""

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from percept._explain import Why
from percept._session import Session

'''
ADDED = '''
def explain(
    self, label: str = "", *, source: str | os.PathLike[str] | None = None, pixels: bool = False,
    model: str | os.PathLike[str] | None = None, audio_model: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None, session: Session | None = None,
) -> Why:
    """Why the clip has a label, by default its best one: as `percept.explain` says at its time, with its length.

    source: the file, if it is no longer where it was. The others: as for `percept.explain`; give those of the run.

    Raises: SourceError: the file is gone. ConfigError: the clip has no labels, or another model's. Also as
        `percept.explain`.
    """

def _repr_html_(self) -> str:
    """The record for a notebook."""
'''
"""Methods that `percept/_records.py` adds to ClipRecord."""
TAIL = """
def clip_seconds(start_s: float, end_s: float, usual_s: float) -> float: ...
def clock_text(seconds: float) -> str: ...
def decode_json(line: bytes | str) -> ClipRecord: ...
"""


def records_stub() -> str:
    """The text of `percept/_records.pyi`."""
    return HEAD + "\n".join([*_classes(result, RECORDS), *_classes(errors, ERRORS)]) + TAIL


def _classes(module: ModuleType, names: tuple[str, ...]) -> Iterator[str]:
    tree = ast.parse(inspect.getsource(module))
    found = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for name in names:
        text = ast.unparse(ast.fix_missing_locations(_declared(found[name])))
        yield "\n".join(_wrapped(line) for line in text.splitlines())


def _wrapped(line: str) -> str:
    """The line; the description of a field as a docstring of lines that are not too long."""
    text = line.strip()
    if not text.startswith(('"', "'")) or text.startswith('"""'):
        return line
    text = f'"""{ast.literal_eval(text)}"""'
    return textwrap.fill(text, 120, initial_indent="    ", subsequent_indent="    ")


def _declared(node: ast.ClassDef) -> ast.ClassDef:
    """The class without code: fields with their descriptions, and methods without bodies."""
    node.body = [part for statement in node.body for part in _member(statement)]
    if node.name == "ClipRecord":
        node.body += ast.parse(ADDED).body
    return node


def _member(statement: ast.stmt) -> Iterator[ast.stmt]:
    if isinstance(statement, ast.AnnAssign):
        statement.annotation, text = _described(statement.annotation)
        is_plain = statement.value is None or isinstance(statement.value, ast.Constant | ast.Dict)
        statement.value = statement.value if is_plain else ast.Constant(...)
        yield statement
        if text:
            yield ast.Expr(ast.Constant(text))
    elif isinstance(statement, ast.FunctionDef) and not statement.name.startswith("_"):
        text = ast.get_docstring(statement) or ""
        statement.body = [ast.Expr(ast.Constant(text or ...))]
        yield statement
    elif isinstance(statement, ast.Assign | ast.Expr):
        yield statement


def _described(annotation: ast.expr) -> tuple[ast.expr, str]:
    """`Annotated[float, Meta(description="…")]` -> `float` and its description."""
    if not (isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Annotated"):
        return annotation, ""
    assert isinstance(annotation.slice, ast.Tuple)
    kind, meta = annotation.slice.elts
    assert isinstance(meta, ast.Call)
    return kind, str(ast.literal_eval(meta.keywords[0].value))

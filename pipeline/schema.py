"""The JSON schema of a result, and tables of its fields for people, both from what stages and records declare."""

from collections.abc import Iterable, Iterator, Mapping
from inspect import cleandoc
from typing import Any

import msgspec

from pipeline.errors import ConfigError
from pipeline.part import PartInfo
from pipeline.result import SCHEMA_VERSION, ClipRecord

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def record_schema(parts: Iterable[PartInfo]) -> dict[str, Any]:
    """JSON schema of the records of a run with these parts.

    Raises:
        ConfigError: two parts have different types of one name.
    """
    whole = msgspec.json.schema(ClipRecord)
    record = whole["$defs"].pop("ClipRecord")
    types: dict[str, Any] = whole["$defs"]
    properties: dict[str, Any] = {}
    for name, field in record["properties"].items():
        if name != "parts":
            properties[name] = field
            continue
        for part in parts:
            schema = {key: value for key, value in part.schema.items() if key != "$defs"}
            properties[part.name] = _without_null(schema) | {"description": part.doc}
            _add_types(types, part)
    return {
        "$schema": DIALECT,
        "title": f"Percept result, schema version {SCHEMA_VERSION}",
        "description": cleandoc(record["description"]),
        "type": "object",
        "properties": properties,
        "required": [*record["required"], "schema_version"],
        "$defs": types,
    }


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A part that is null is left out of the record."""
    choices = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    return choices[0] if len(choices) == 1 else schema


def _add_types(types: dict[str, Any], part: PartInfo) -> None:
    for name, definition in part.schema.get("$defs", {}).items():
        if types.setdefault(name, definition) != definition:
            raise ConfigError(
                f"stages.{part.stage}: part {part.name!r} has a type {name!r}, and another part has a different one of "
                "that name; rename the class"
            )


def field_tables(schema: Mapping[str, Any]) -> Iterator[str]:
    """Markdown: a table of the record's fields, then one for each type that occurs in them."""
    yield from _table(schema)
    for name, definition in schema["$defs"].items():
        yield ""
        yield f"## {name}"
        yield ""
        yield cleandoc(definition.get("description", ""))
        yield ""
        yield from _table(definition)


def _table(schema: Mapping[str, Any]) -> Iterator[str]:
    yield "| field | type | if missing | meaning |"
    yield "|---|---|---|---|"
    for name, field in schema["properties"].items():
        missing = "does not apply"
        if name in schema.get("required", ()):
            missing = "never missing"
        elif field.get("default") is not None and field["default"] not in ("", {}):
            missing = f"`{msgspec.json.encode(field['default']).decode()}`"
        yield f"| `{name}` | {type_text(field)} | {missing} | {field.get('description', '')} |"


def type_text(schema: Mapping[str, Any]) -> str:
    """`list of Label`"""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(type_text(each) for each in schema["anyOf"] if each != {"type": "null"})
    kind = schema.get("type", "any")
    if kind == "array":
        items: Mapping[str, Any] = schema.get("items") or next(iter(schema.get("prefixItems", ())), {})
        length = f"{schema['maxItems']} " if "maxItems" in schema else ""
        return f"list of {length}{type_text(items)}" + ("s" if length else "")
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"object of {type_text(values)}" if isinstance(values, Mapping) else "object"
    if isinstance(kind, list):
        return " or ".join(str(each) for each in kind if each != "null")
    return str(kind)

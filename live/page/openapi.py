"""The OpenAPI document of the API, made from its table of calls."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from live.page.calls import Call, Trouble

REF = "#/components/schemas/{name}"


def openapi(calls: Sequence[Call], version: str) -> dict[str, Any]:
    """An OpenAPI 3.1 document."""
    types = [
        kind for call in calls for kind in (call.answer, call.body) if kind is not None and not isinstance(kind, str)
    ]
    queries = [kind for call in calls for _, kind, _ in call.query]
    schemas, components = msgspec.json.schema_components([*types, *queries, Trouble], ref_template=REF)
    found = iter(schemas)
    known = {id(kind): schema for kind, schema in zip([*types, *queries, Trouble], found, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for call in calls:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call, known)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Percept watch",
            "version": version,
            "description": "Cameras, their events, and what is watched for. Changes need the header `X-Percept: 1` "
            "unless they carry the token.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _operation(call: Call, known: dict[int, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{call.method.lower()}_{re.sub(r'[^a-z0-9]+', '_', call.path.lower()).strip('_')}",
        "summary": call.summary,
        "parameters": [
            *(_parameter(name, "path", {"type": "string"}, "") for name in re.findall(r"{(\w+)", call.path)),
            *(_parameter(name, "query", known[id(kind)], text) for name, kind, text in call.query),
        ],
        "responses": {
            str(call.status): {"description": call.summary, "content": _content(call.answer, known)},
            "default": {"description": "It was not done.", "content": _content(Trouble, known)},
        },
    }
    if call.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(call.body, known)}
    return operation


def _parameter(name: str, place: str, schema: Any, text: str) -> dict[str, Any]:
    parameter = {"name": name, "in": place, "required": place == "path", "schema": schema}
    return parameter | ({"description": text} if text else {})


def _content(kind: Any, known: dict[int, Any]) -> dict[str, Any]:
    return {kind: {"schema": {}}} if isinstance(kind, str) else {"application/json": {"schema": known[id(kind)]}}

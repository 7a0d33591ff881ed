"""Writes `model.toml`: the counterpart of `engines.models.checkpoint.read_model`."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from engines.models.model import ModelSpec

MODEL_FILE = "model.toml"
HUB = "hub:"
"""Prefix of a part's directory that is a hub id, optionally with "@" and a revision."""

_SNAPSHOT = re.compile(r".*/models--([^/]+?)--([^/]+)/snapshots/([^/]+)")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ABOVE = """# The towers, how their inputs are prepared, and how their embeddings are compared with words.
# Directories are relative to this file, absolute, or hub:OWNER/NAME@REVISION."""


def write_model(spec: ModelSpec, directory: Path) -> None:
    """Write `model.toml` so that reading it returns `spec` again.

    Parts inside `directory` are written relative to it, parts in the hub's cache by their hub id, others as absolute
    paths. The small files that a spec names (background words, adapted vectors, the open-set score) are copied from the
    model that it was read from, unless `directory` has its own.

    Raises:
        OSError: the directory cannot be written.
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    if spec.directory:
        for name in filter(None, (spec.background, spec.adapted, spec.open_set)):
            _copy_small(Path(spec.directory) / name, directory / name)
    text = "\n".join([_ABOVE, *_lines(_content(spec, directory)), ""])
    half = directory / f"{MODEL_FILE}.{os.getpid()}.part"
    half.write_text(text, encoding="utf-8")
    half.replace(directory / MODEL_FILE)


def hub_place(directory: str) -> str:
    """ "hub:OWNER/NAME@REVISION" for a directory in the hub's cache; any other directory unchanged."""
    found = _SNAPSHOT.fullmatch(directory)
    if found is None:
        return directory
    from huggingface_hub import constants

    cached = Path(directory).is_relative_to(Path(constants.HF_HUB_CACHE).resolve())
    return "{}{}/{}@{}".format(HUB, *found.groups()) if cached else directory


def _copy_small(source: Path, target: Path) -> None:
    if source.is_file() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _content(spec: ModelSpec, directory: Path) -> dict[str, Any]:
    """The content of the file: without the model's own directory, with the parts' places."""

    def placed(part: Any) -> Any:
        return part and replace(part, directory=_place(part.directory, spec, directory))

    towers = {name: placed(getattr(spec, name)) for name in ("image", "motion", "audio", "fusion")}
    texts = {space: placed(text) for space, text in spec.texts.items()}
    content: dict[str, Any] = msgspec.to_builtins(replace(spec, texts=texts, **towers))
    del content["directory"]
    return content


def _place(part: str, spec: ModelSpec, directory: Path) -> str:
    if part.startswith(HUB):
        return part
    place = Path(spec.directory or directory) / part
    if place.resolve().is_relative_to(directory):
        return place.resolve().relative_to(directory).as_posix()
    return hub_place(str(place.resolve()))


def _lines(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    """Lines of TOML: values first, then tables. None and empty lists are omitted."""
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    if path and (plain or not table):
        yield f"\n[{'.'.join(map(_key, path))}]"
    for key, value in plain.items():
        if value is not None and value not in ((), []):
            yield f"{_key(key)} = {_value(value)}"
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _lines(value, (*path, key))


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):  # TOML reads JSON's escapes; the only control character that JSON does not escape is DEL
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)

"""`model.toml` written: the counterpart of `engines.models.checkpoint.read_model`."""

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
"""Before a hub id, and perhaps "@" and a revision, as the directory of a part."""

_SNAPSHOT = re.compile(r".*/models--([^/]+?)--([^/]+)/snapshots/([^/]+)")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ABOVE = """# What each tower is, how its input is prepared, and how its embedding is read against words.
# Directories are relative to this file, absolute, or hub:OWNER/NAME@REVISION."""


def write_model(spec: ModelSpec, directory: Path) -> None:
    """Write `model.toml` so that reading it gives `spec` again, whatever directory its parts lie in.

    Parts inside `directory` are written relative to it, parts of the hub's cache by their hub id, others absolute. The
    small files that a spec names (background words, adapted vectors, what the open-set score was fitted to) are copied
    from the model that it was read from, unless `directory` has its own.

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
    """ "hub:OWNER/NAME@REVISION" of a directory in the hub's cache; any other as it is."""
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
    """What stands in the file: no directory of the whole, places of the parts."""

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
    """TOML: values first, then tables. What is None or empty by default is left out."""
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
    if isinstance(value, str):  # what JSON escapes, TOML reads; and of control characters it lets only DEL stand
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)

"""What in a config decides the rows of an archive."""

import json
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from archive.schema import ARCHIVE_VERSION
from pipeline.config import Config
from pipeline.result import SCHEMA_VERSION
from pipeline.sinks.file import without_secrets

LEFT_OUT = ("queue", "deadlines", "groups", "sinks", "labels", "video", "events")
"""Parts of a config that change no row, and the labels, which have a hash of their own."""


def config_hash(config: Config) -> str:
    """16 hex digits: the same for configs that give the same rows for the same labels."""
    text = json.dumps([ARCHIVE_VERSION, SCHEMA_VERSION, _tree(config)], sort_keys=True)
    return blake2b(text.encode(), digest_size=8).hexdigest()


def settings_of(config: Config) -> dict[str, Any]:
    """What decides rows and is not the default, by names such as `clips.every_s`; without passwords."""
    plain = _plain(Config())
    return {name: value for name, value in _plain(config).items() if plain.get(name) != value}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """`clips.every_s was 0.0, is 30.0` for each of these settings that differs."""
    plain = _plain(Config())
    was, has = plain | dict(before), plain | dict(now)
    names = sorted(name for name in was.keys() | has.keys() if was.get(name) != has.get(name))
    return [f"{name} was {_text(was.get(name))}, is {_text(has.get(name))}" for name in names]


def _tree(config: Config) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(config).items() if name not in LEFT_OUT}


def _plain(config: Config) -> dict[str, Any]:
    """All settings by name, as JSON gives them back."""
    return dict(_flat(json.loads(json.dumps(_tree(config)))))


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", without_secrets(value) if isinstance(value, str) else value


def _text(value: Any) -> str:
    return "not set" if value in (None, "", {}) else json.dumps(value, ensure_ascii=False)

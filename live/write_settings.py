"""Writes changed settings back into `cameras.toml`: comments, order and what did not change stay as they are."""

import contextlib
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from live.read_settings import ALIASES, SHARED, in_plural, read_toml, settings_of
from live.secrets import secrets_in
from live.settings import Camera, Rule, Settings
from pipeline.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from tomlkit import TOMLDocument
    from tomlkit.items import Item, Table

SECTIONS = ("directory", "keep", "page", "alerts")
WIDE = 4
"""A list with more values has a line for each."""
Named = TypeVar("Named", Camera, Rule)


def write(path: str | Path, settings: Settings, original: Settings) -> list[str]:
    """Write what differs between `settings` and `original`, which the watch began with, into the file.

    What others have changed in the file since stays. A file that is not there is made; of one that is, a backup is kept
    beside it. A URL with a password or token that is not in the file already is not written: the file then names an
    environment variable. Returns a sentence for each of these.

    Raises:
        ConfigError: the file cannot be read, or there is no way to write this into it.
        OutputError: it cannot be written; the old one is as it was.
    """
    import tomlkit

    path = Path(path).expanduser().resolve()
    there = settings_of(read_toml(path), path)[0] if path.exists() else Settings()
    old = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    wanted, notes = _without_new_secrets(_merged(there, settings, original), old)
    document = tomlkit.parse(old)
    _write_cameras(document, wanted, there, path)
    for name in SECTIONS:
        _update(document, name, getattr(wanted, name), getattr(there, name))
    text = tomlkit.dumps(document)
    _check(text, wanted, path)
    _replace(path, text)
    return notes


def _merged(there: Settings, settings: Settings, original: Settings) -> Settings:
    """What the file should say: what it says, with the changes from `original` to `settings`."""
    before = {camera.name: camera for camera in original.cameras}
    now = {camera.name: camera for camera in there.cameras}
    cameras = [
        _with_changes(now[camera.name], camera, before[camera.name])
        if camera.name in now and camera.name in before
        else camera
        for camera in settings.cameras
    ]
    theirs = [camera for camera in there.cameras if camera.name not in before]
    cameras += [camera for camera in theirs if all(camera.name != ours.name for ours in settings.cameras)]
    changed: Settings = _with_changes(there, settings, original)
    return msgspec.structs.replace(changed, cameras=tuple(cameras))


def _with_changes(there: Any, new: Any, old: Any) -> Any:
    """A struct with the fields in which `new` and `old` differ; structs in it likewise."""
    changes = {}
    for name in there.__struct_fields__:
        mine, before, theirs = getattr(new, name), getattr(old, name), getattr(there, name)
        if mine == before:
            continue
        deep = all(isinstance(each, msgspec.Struct) for each in (mine, before, theirs))
        changes[name] = _with_changes(theirs, mine, before) if deep else mine
    return msgspec.structs.replace(there, **changes)


def _without_new_secrets(settings: Settings, old: str) -> tuple[Settings, list[str]]:
    """Settings in which a variable stands for each URL with secrets that the old text does not have."""
    cameras, notes = [], []
    for camera in settings.cameras:
        if any(secrets_in(camera.url)) and camera.url not in old:
            variable = "PERCEPT_" + re.sub(r"\W", "_", camera.name).upper() + "_URL"
            notes.append(
                f"camera {camera.name}: its URL holds a secret and is not written; set {variable} in the environment"
            )
            camera = msgspec.structs.replace(camera, url="", url_env=variable, url_file="")
        cameras.append(camera)
    return msgspec.structs.replace(settings, cameras=tuple(cameras)), notes


def _write_cameras(document: "TOMLDocument", settings: Settings, original: Settings, path: Path) -> None:
    shared = in_plural(document.unwrap())
    shared = {key: shared[key] for key in SHARED if key in shared}
    before = {camera.name: camera for camera in original.cameras}
    tables = _tables(document, "cameras", settings.cameras)
    for camera in settings.cameras:
        base = settings_of({**shared, "cameras": [{"name": camera.name}]}, path)[0].cameras[0]
        _write(tables[camera.name], camera, before.get(camera.name, base), base)


def _write(table: "Table", new: Any, old: Any, base: Any) -> None:
    """Write the fields of `new` that differ from `old`; those that are as in `base` need not be there."""
    for key in new.__struct_fields__:
        value = getattr(new, key)
        if value == getattr(old, key) or key == "name":
            continue
        if key == "rules" and value:
            rules = _tables(table, key, value)
            known = {rule.name: rule for rule in old.rules}
            for rule in value:
                plain = Rule(name=rule.name, when="")
                _write(rules[rule.name], rule, known.get(rule.name, plain), plain)
        elif value == getattr(base, key):
            table.pop(_key(table, key), None)
        else:
            _set(table, key, value)


def _key(table: Any, key: str) -> str:
    """The name that a key has in a table: in the singular or in the plural."""
    singular = next((one for one, many in ALIASES.items() if many == key), key)
    return singular if singular in table else key


def _set(table: Any, key: str, value: Any) -> None:
    table[_key(table, key)] = _item(msgspec.to_builtins(value))


def _item(value: Any) -> "Item":
    import tomlkit

    if isinstance(value, dict):
        inline = tomlkit.inline_table()
        for key, each in value.items():
            inline[key] = _item(each)
        return inline
    if isinstance(value, list | tuple):
        array = tomlkit.array()
        for each in value:
            array.append(_item(each))
        array.multiline(len(value) > WIDE)
        return array
    plain: Item = tomlkit.item(value)
    return plain


def _tables(owner: Any, key: str, wanted: Sequence[Named]) -> "dict[str, Table]":
    """The tables of these names under a key; others are removed, and new ones are made."""
    import tomlkit

    singular = next(one for one, many in ALIASES.items() if many == key)
    name = key if key in owner else singular
    found = owner.get(name)
    names = [each.name for each in wanted]
    if found is None or not hasattr(found, "body"):  # none yet, or an array of inline tables
        tables = tomlkit.aot()
        for each in found or ():
            tables.append(tomlkit.item(dict(each)))
        owner.pop(name, None)
        owner[name] = found = tables
    for index in reversed(range(len(found))):
        if found[index].get("name") not in names:
            del found[index]
    there = [table["name"] for table in found]
    for new in names:
        if new not in there:
            table = tomlkit.table()
            table.trivia.indent = "\n"
            table["name"] = new
            found.append(table)
    return {table["name"]: table for table in found}


def _update(owner: Any, key: str, new: Any, old: Any) -> None:
    """Write the parts of a section that differ."""
    import tomlkit

    if new == old:
        return
    if isinstance(new, msgspec.Struct) and isinstance(old, msgspec.Struct):
        if _key(owner, key) not in owner:
            owner[key] = tomlkit.table()
        for name in new.__struct_fields__:
            _update(owner[_key(owner, key)], name, getattr(new, name), getattr(old, name))
    elif new is None:
        owner.pop(_key(owner, key), None)
    else:
        _set(owner, key, new)


def _check(text: str, settings: Settings, path: Path) -> None:
    """Raises: ConfigError: the text does not say the same as the settings."""
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / path.name
        draft.write_text(text, encoding="utf-8")
        says = settings_of(read_toml(draft), path)[0]
    if says != settings:
        parts = [name for name in says.__struct_fields__ if getattr(says, name) != getattr(settings, name)]
        raise ConfigError(
            f"{path}: {', '.join(parts)} cannot be written as the file is; nothing was saved. Make the change by hand."
        )


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all, with the rights of the one that it replaces, which becomes `<name>.bak`."""
    part = path.with_name(f"{path.name}.part")
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
        _write_file(part, text.encode(), mode)
        if path.exists():
            _write_file(path.with_name(f"{path.name}.bak"), path.read_bytes(), mode)
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise OutputError(f"{path}: cannot be written ({error.strerror}); the settings are not saved") from None


def _write_file(path: Path, content: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        os.fchmod(file.fileno(), mode)

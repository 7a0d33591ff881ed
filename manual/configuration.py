"""docs/configuration.md: every key of a config, from the structs that define it."""

import inspect
from collections.abc import Iterator

import msgspec

from manual.fields import Field, fields, is_struct
from pipeline.build import STAGES, load
from pipeline.config import RANGES, UNBOUNDED, Config, GroupOptions


def sections() -> str:
    """A table for each section of the config."""
    return "\n".join(_config())


def stages() -> str:
    """A table for each stage that has options."""
    return "\n".join(_stages())


def _config() -> Iterator[str]:
    plain = [field for field in fields(Config) if "." not in field.key and field.key != "groups"]
    yield from _section("Top level", "Keys outside any section, and whole sections of their own.", plain)
    for field in msgspec.structs.fields(Config):
        if is_struct(field.type):
            about = inspect.cleandoc(field.type.__doc__ or "") if field.type.__dict__.get("__doc__") else ""
            yield from _section(f"[{field.name}]", about, list(fields(field.type)), f"{field.name}.")
    yield from _section("[[groups]]", inspect.cleandoc(GroupOptions.__doc__ or ""), list(fields(GroupOptions)))


def _stages() -> Iterator[str]:
    for name, path in STAGES.items():
        stage = load(path, f"stages.{name}")
        if listed := list(fields(stage.Options)):
            about = inspect.cleandoc(stage.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
            yield from _section(f"[stages.{name}]", about, listed)


def _section(title: str, about: str, listed: list[Field], prefix: str = "") -> Iterator[str]:
    yield f"## {title}\n"
    if about:
        yield f"{about}\n"
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for field in listed:
        meaning = " ".join(filter(None, [field.meaning, _range(f"{prefix}{field.key}")]))
        yield f"| `{field.key}` | {field.kind} | {field.default} | {_cell(meaning)} |"
    yield ""


def _range(key: str) -> str:
    for name, low, high in RANGES:
        if name == key:
            return f"At least {low:g}." if high == UNBOUNDED else f"From {low:g} to {high:g}."
    return ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")

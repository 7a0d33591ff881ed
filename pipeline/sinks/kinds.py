"""The kinds of output, one line each, and the sink for an output."""

import importlib.util
from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline.config import did_you_mean, misfits
from pipeline.errors import ConfigError
from pipeline.sinks.resumed import Resumed
from pipeline.sinks.sink import Sink
from pipeline.status import OutputSpec


class Kind(msgspec.Struct, frozen=True):
    """A kind of output.

    sink: its class, "package.module:Class".
    suffixes: `-o` writes files with these suffixes as this kind.
    per_source: the suffix of its files if each source has a file of its own; "" if one file holds all sources.
    needs: package that it imports. An extra with the name of the kind installs it.
    """

    sink: str
    suffixes: tuple[str, ...] = ()
    per_source: str = ""
    needs: str = ""


KINDS: dict[str, Kind] = {
    "jsonl": Kind("pipeline.sinks.jsonl:Jsonl", (".jsonl", ".ndjson")),
    "json": Kind("pipeline.sinks.json_array:JsonArray", (".json",)),
    "parquet": Kind("pipeline.sinks.parquet:Parquet", (".parquet",), needs="pyarrow"),
    "table": Kind("pipeline.sinks.table:Table", (".txt",)),
    "terminal": Kind("pipeline.sinks.terminal:Terminal"),  # rows and a closing summary, shown by the command
    "events": Kind("pipeline.sinks.events:EventLines"),  # --events FILE.jsonl
    "csv": Kind("pipeline.sinks.tables:Csv", (".csv",)),
    "vtt": Kind("pipeline.sinks.subtitles:Vtt", (".vtt",), per_source=".vtt"),
    "srt": Kind("pipeline.sinks.subtitles:Srt", (".srt",), per_source=".srt"),
    "video": Kind("pipeline.sinks.video:LabelledVideo", per_source=".mp4"),  # --video
    "mot": Kind("archive.exports.track_files:TrackFiles", per_source=".txt"),  # --tracks FILE.txt
    "coco": Kind("archive.exports.track_files:TrackFiles", per_source=".json"),  # --tracks FILE.json
    "cvat": Kind("archive.exports.track_files:TrackFiles", per_source=".xml"),  # --tracks FILE.xml
    "html": Kind("pages.sink:Page", (".html", ".htm")),  # --html
}
EVENT_KINDS = ("csv", "vtt", "srt")
"""Kinds that `--events FILE` can name, in addition to JSON lines."""
TRACK_KINDS = {".txt": "mot", ".json": "coco", ".xml": "cvat"}
"""Kinds that `--tracks FILE` names by its suffix."""


def kinds_of(sinks: Mapping[str, Mapping[str, Any]]) -> dict[str, Kind]:
    """All kinds of a run: the built-in ones, and those that a config adds under `[sinks.<kind>]`.

    Raises: ConfigError: a kind of the config has no class, or the name of a built-in kind.
    """
    problems, kinds = [], dict(KINDS)
    for name, options in sinks.items():
        if name in KINDS:
            problems.append(f"sinks.{name}: is a built-in kind; choose another name")
            continue
        suffixes = options.get("suffixes", [f".{name}"])
        if not isinstance(options.get("class"), str):
            problems.append(f'sinks.{name}: expected class = "package.module:Class", a sink of your own')
        elif not isinstance(suffixes, list) or not all(str(suffix).startswith(".") for suffix in suffixes):
            problems.append(f'sinks.{name}.suffixes is {suffixes!r}; expected a list such as [".{name}"]')
        else:
            per_source = suffixes[0] if options.get("per_source") and suffixes else ""
            kinds[name] = Kind(options["class"], tuple(suffixes), per_source)
    if problems:
        raise ConfigError("\n".join(problems))
    return kinds


def resolved(spec: OutputSpec, sinks: Mapping[str, Mapping[str, Any]]) -> OutputSpec:
    """The spec with the class and the options of its kind; as it is, if it has a class already.

    Raises: ConfigError: there is no such kind.
    """
    if spec.sink:
        return spec
    kinds = kinds_of(sinks)
    kind = kinds.get(spec.kind)
    if kind is None:
        raise ConfigError(
            f"output {spec.path}: there is no kind {spec.kind!r}{did_you_mean(spec.kind, kinds)}. "
            f'Known: {", ".join(kinds)}; or give [sinks.{spec.kind}] class = "package.module:Class"'
        )
    own = {name: value for name, value in sinks.get(spec.kind, {}).items() if name not in _KEYS}
    return msgspec.structs.replace(spec, sink=kind.sink, per_source=kind.per_source, options=own)


_KEYS = ("class", "suffixes", "per_source")
"""Keys of `[sinks.<kind>]` that describe the kind. The others are options of its sink."""


def sink_class(spec: OutputSpec) -> type[Sink]:
    """Raises: ConfigError: the class cannot be imported, is not a sink, or has no such options."""
    where, (module, _, name) = f"sinks.{spec.kind}.class", spec.sink.partition(":")
    needs = KINDS[spec.kind].needs if spec.kind in KINDS else ""
    if needs and importlib.util.find_spec(needs) is None:
        raise ConfigError(
            f"{spec.path}: {needs} is not installed. Run: pip install 'percept-av[{spec.kind}]', "
            "or choose another format, such as .jsonl"
        )
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"{where}: {spec.sink!r} cannot be imported ({error}); expected package.module:name"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Sink)):
        raise ConfigError(f"{where}: {spec.sink!r} is not a sink; expected a subclass of pipeline.sinks.sink.Sink")
    if problems := list(misfits(spec.options, found.Options, f".sinks.{spec.kind}")):
        raise ConfigError("\n".join(f"config: {problem}" for problem in problems))
    return found


def make_sink(spec: OutputSpec) -> Sink:
    """The sink for a resolved output. On resume, it first receives the records that the JSON lines hold."""
    sink = sink_class(spec)(spec)
    return Resumed(sink) if spec.kind != "jsonl" and spec.resume and spec.resume_from else sink

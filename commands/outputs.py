"""The outputs of a command line, and checks that they can be written."""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from pipeline.config import Config
from pipeline.errors import ConfigError, Problems
from pipeline.sinks.file import without_secrets
from pipeline.sinks.kinds import EVENT_KINDS, KINDS, TRACK_KINDS, Kind, kinds_of, resolved
from pipeline.sinks.paths import check_outputs
from pipeline.status import EventOptions, OutputSpec

VIDEO_SUFFIXES = (".mp4", ".mkv", ".mov")
EVENT_SUFFIXES = {suffix for kind in ("jsonl", *EVENT_KINDS) for suffix in KINDS[kind].suffixes}


def split_events(arguments: list[str]) -> list[str]:
    """In `--events talk.mp4`, talk.mp4 is a source: FILE of --events has the suffix of a table or of subtitles."""
    split = []
    for position, argument in enumerate(arguments):
        following = arguments[position + 1] if position + 1 < len(arguments) else ""
        is_file = Path(following).suffix.lower() in EVENT_SUFFIXES or following.endswith("/")
        is_bare = argument == "--events" and not is_file
        split.append("--events=" if is_bare else argument)
    return split


def make_outputs(options: argparse.Namespace, config: Config, sources: list[str]) -> list[OutputSpec]:
    """The outputs. Raises: ConfigError: unknown suffix, existing file, missing folder; all problems at once."""
    problems = Problems()
    files = _files(options, config, problems)
    if options.resume:
        for problem in _not_resumable(files):
            problems.add(problem)
    resume_from = next((path for path, kind in files if kind == "jsonl"), "")
    if options.resume and resume_from in ("", "-") and not problems:
        problems.add(ConfigError("--resume: no JSON lines to resume; expected -o results.jsonl"))
    events, specs = event_options(config), list[OutputSpec]()
    video = msgspec.structs.replace(config.video, panel=options.panel) if options.panel else config.video
    if options.panel and not options.video:
        problems.add(ConfigError("--panel: there is no labelled video; expected --video FOLDER or FILE with it"))
    for path, kind in files:
        if kind == "terminal":
            specs.append(terminal_output(config, sources, rows=True))
            continue
        spec = OutputSpec(
            kind=kind,
            path=path,
            overwrite=options.overwrite,
            resume=options.resume,
            sources=tuple(map(without_secrets, sources)),
            with_events=options.events in ("", "-") and kind in ("jsonl", "json"),
            events=events,
            video=video,
            zones=config.follow.zones,
            lines=config.follow.lines,
            fingerprint=fingerprint(config) if kind == "jsonl" else "",
            resume_from=resume_from if options.resume and kind != "jsonl" else "",
        )
        with problems.collected():
            specs.append(_named(resolved(spec, config.sinks)))
    with problems.collected():
        check_outputs(specs)
    problems.raise_all()
    return specs


def _files(options: argparse.Namespace, config: Config, problems: Problems) -> list[tuple[str, str]]:
    """Path and kind of each requested output."""
    files: list[tuple[str, str]] = []
    with problems.collected():
        kinds = kinds_of(config.sinks)
        stdout = [("-", stdout_kind(options.format))] if options.format else []
        given = [path for path in options.output if path != "-" or not stdout]
        for path in given or ([] if stdout else ["-"]):
            with problems.collected():
                files.append((path, output_kind(path, kinds)))
        files += stdout
    if options.events and options.events != "-":
        with problems.collected():
            kind = output_kind(options.events, KINDS)
            files.append((options.events, "events" if kind == "jsonl" else kind))
    if options.tracks:
        with problems.collected():
            files.append((options.tracks, _track_kind(options.tracks)))
    if options.video:
        with problems.collected():
            _check_video(options.video)
            files.append((options.video, "video"))
    if options.html is not None:
        with problems.collected():
            files.append((options.html, _html(options.html)))
    return files


def _track_kind(path: str) -> str:
    kind = TRACK_KINDS.get(Path(path).suffix.lower())
    if kind is None:
        raise ConfigError(f"--tracks {path}: expected a name that ends in .txt (MOT), .json (COCO) or .xml (CVAT)")
    return kind


def stdout_kind(format_name: str) -> str:
    """On a terminal, the command itself shows the table, above its progress."""
    return "terminal" if format_name == "table" and sys.stdout.isatty() else format_name


def terminal_output(config: Config, sources: Sequence[str], *, rows: bool) -> OutputSpec:
    """What the terminal shows: rows or not, and at the end what was found."""
    spec = OutputSpec(
        kind="terminal",
        path="-" if rows else "",
        sources=tuple(map(without_secrets, sources)),
        events=event_options(config),
        zones=config.follow.zones,
        lines=config.follow.lines,
    )
    return resolved(spec, config.sinks)


def event_options(config: Config) -> EventOptions:
    return msgspec.structs.replace(config.events, measure="share") if config.labels.exclusive else config.events


def default_format(options: argparse.Namespace) -> str | None:
    """The table on a terminal, unless -o says where the results go. None: what -o says, or JSON lines."""
    given: str | None = options.format
    return given or ("table" if sys.stdout.isatty() and not options.output else None)


def _not_resumable(files: list[tuple[str, str]]) -> list[ConfigError]:
    """Why there is nothing to resume, if the only results are in a file that is written whole."""
    if any(kind == "jsonl" and path != "-" for path, kind in files):
        return []
    return [
        ConfigError(
            f"--resume: {path} is written whole, at the end of a run, so an interrupted one leaves nothing to "
            f"continue. Use JSON lines: -o {Path(path).with_suffix('.jsonl')}"
        )
        for path, kind in files
        if kind in ("json", "parquet") and path != "-"
    ]


def output_kind(path: str, kinds: Mapping[str, Kind]) -> str:
    """The kind of output with this suffix. A path without a suffix, a device or `-` is JSON lines."""
    suffix = Path(path).suffix.lower()
    by_suffix = {suffix: name for name, kind in kinds.items() for suffix in kind.suffixes}
    if suffix in by_suffix:
        return by_suffix[suffix]
    if suffix in (".mp4", ".mkv", ".mov", ".webm", ".avi"):
        raise ConfigError(f"-o {path}: is the name of a video. To write the labelled video: --video {path}")
    if suffix and not path.startswith("/dev/"):
        raise ConfigError(f"-o {path}: {suffix!r} is not a format for results; expected {', '.join(by_suffix)}")
    return "jsonl"


def _check_video(path: str) -> None:
    suffix = Path(path).suffix.lower()
    if suffix and suffix not in VIDEO_SUFFIXES and not os.path.isdir(path):
        expected = ", ".join(VIDEO_SUFFIXES)
        raise ConfigError(f"--video {path}: {suffix!r} cannot be written; expected a folder or {expected}")


def _html(path: str) -> str:
    """The kind of output of `--html`. Raises: ConfigError: the name is that of another kind of file."""
    suffixes = KINDS["html"].suffixes
    if os.path.isdir(path):
        raise ConfigError(f"--html {path}: is a folder; expected a file, such as {os.path.join(path, 'results.html')}")
    if Path(path).suffix.lower() not in suffixes:
        raise ConfigError(
            f"--html {path or repr(path)}: expected the name of a page, such as {Path(path).stem or 'out'}.html"
        )
    return "html"


def _named(spec: OutputSpec) -> OutputSpec:
    """The spec itself. Raises: ConfigError: it names one file for several sources."""
    one_file = Path(spec.path).suffix and "*" not in spec.path and not os.path.isdir(spec.path)
    if spec.per_source and len(spec.sources) > 1 and one_file:
        name = Path(spec.path)
        raise ConfigError(
            f"{spec.path}: one file cannot contain {len(spec.sources)} sources. Put * in place of the source's name: "
            f"'{name.with_name('*' + name.suffix)}'"
        )
    return spec


def fingerprint(config: Config) -> str:
    """A hash of all settings that affect results, and of the files of labels, templates and descriptions."""
    options = config.labels
    words: object = options.words
    if isinstance(words, str) and words.startswith("@"):
        words = _content(words[1:], words)
    beside = [_content(path.removeprefix("zpe:"), path) for path in (options.templates, options.descriptions)]
    tree = msgspec.to_builtins(config)
    compared = {key: tree[key] for key in ("clips", "modalities", "stages")}
    compared |= {"words": words, "beside": beside, "labels": tree["labels"] | {"words": ""}}
    compared |= {"models": [config.model.path, config.model.audio_path], "track": config.decode.audio_track}
    return hashlib.sha256(json.dumps(compared, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _content(path: str, otherwise: str) -> str:
    return Path(path).read_text(encoding="utf-8", errors="replace") if os.path.isfile(path) else otherwise

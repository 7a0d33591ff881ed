"""Command-line options: what stands for which key of the config, and which outputs and sources were asked for."""

import argparse
import difflib
import glob
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from pipeline.config import Config, load_config
from pipeline.errors import ConfigError
from pipeline.sinks.file import printable
from pipeline.sinks.sink import PER_SOURCE, check_outputs
from pipeline.status import OutputKind, OutputSpec

KINDS: dict[str, OutputKind] = {
    ".jsonl": "jsonl",
    ".json": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".vtt": "vtt",
    ".srt": "srt",
}
VIDEO_SUFFIXES = (".mp4", ".mkv", ".mov")


@dataclass(frozen=True)
class Flag:
    """An option that sets one key of the config."""

    name: str
    key: str
    help: str
    metavar: str | None = None
    parse: Callable[[str], Any] = str
    switch: bool = False


def seconds(text: str) -> float:
    """`90`, `1:30` or `00:01:30.5`"""
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)", text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; expected seconds or hh:mm:ss, such as 90 or 1:30")
    hours, minutes, rest = match.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(rest)


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


FLAGS = (
    Flag(
        "--labels",
        "labels.words",
        "what to look and listen for: 'dog barking, rain' or @words.txt, one a line",
        "WORDS",
    ),
    Flag("--clip-seconds", "clips.seconds", "length of a clip", "S", seconds),
    Flag(
        "--stride-seconds",
        "clips.stride_seconds",
        "from one clip's start to the next; 0: no space between",
        "S",
        seconds,
    ),
    Flag("--fps", "clips.fps", "frames per second that are looked at", "N", float),
    Flag("--top-k", "labels.top_k", "labels told per clip", "K", int),
    Flag("--modalities", "modalities", "which of image, motion, audio to use", "LIST", words),
    Flag("--audio-track", "decode.audio_track", "sound track: its number or language; empty: the best", "TRACK"),
    Flag("--exclusive", "labels.exclusive", "labels exclude each other: rank by share", switch=True),
    Flag("--model", "model.path", "percept-mini, a model directory, or a hub id", "DIR|HUB_ID"),
    Flag("--audio-model", "model.audio_path", "a model for sound beside --model", "DIR|HUB_ID"),
    Flag("--engine", "model.engine", "what runs the networks: auto, torch, onnxruntime", "NAME"),
    Flag("--device", "model.device", "auto, cpu, cuda or cuda:N", "NAME"),
    Flag("--start", "clips.start_s", "begin here: seconds or hh:mm:ss", "TIME", seconds),
    Flag("--end", "clips.end_s", "end here: seconds or hh:mm:ss", "TIME", seconds),
)


class Parser(argparse.ArgumentParser):
    """Errors name the remedy and leave with code 2."""

    def __init__(self, **more: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **more)

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}{self._hint(message)}. See: {self.prog} --help")

    def _hint(self, message: str) -> str:
        known = [option for action in self._actions for option in action.option_strings]
        for word in re.findall(r"(--?[\w-]+)", message):
            close = difflib.get_close_matches(word, known, n=1)
            if word not in known and close:
                return f" (did you mean {close[0]}?)"
        return ""


def add_config_options(parser: Parser) -> None:
    defaults = msgspec.to_builtins(Config())
    group = parser.add_argument_group("what and how")
    for flag in FLAGS:
        if flag.switch:
            group.add_argument(flag.name, dest=flag.key, action="store_true", default=None, help=flag.help)
        else:
            text = f"{flag.help}{_default(defaults, flag.key)}"
            group.add_argument(flag.name, dest=flag.key, metavar=flag.metavar, type=flag.parse, help=text)
    group.add_argument("-c", "--config", metavar="FILE", help="settings from a TOML file")
    group.add_argument(
        "--set", metavar="STAGE.KEY=VALUE", action="append", default=[], help="one setting; may be repeated"
    )


def add_talk_options(parser: Parser) -> None:
    group = parser.add_argument_group("talk on stderr")
    group.add_argument("-q", "--quiet", action="store_true", help="errors only")
    group.add_argument("-v", "--verbose", action="store_true", help="everything")
    group.add_argument("--log-json", action="store_true", help="every line a JSON object")


def add_output_options(parser: Parser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "-o", "--output", metavar="FILE", action="append", default=[],
        help="results: .jsonl, or events as .csv, .vtt, .srt; may be repeated (default: JSON lines on stdout)",
    )  # fmt: skip
    group.add_argument(
        "--events", metavar="FILE",
        help="clips merged into events: in the JSON lines, or with FILE as .csv, .vtt, .srt or .jsonl "
        "('*' stands for the source's name)",
    )  # fmt: skip
    group.add_argument(
        "--video", metavar="FOLDER|FILE", help="write the video again with labels and tracks drawn on it"
    )
    group.add_argument("--resume", action="store_true", help="go on with an interrupted -o FILE")
    group.add_argument("--overwrite", action="store_true", help="replace files that exist")


def split_events(arguments: list[str]) -> list[str]:
    """`--events talk.mp4` asks for events, and talk.mp4 is a source: only a table's or subtitle's name is its FILE."""
    split = []
    for position, argument in enumerate(arguments):
        following = arguments[position + 1] if position + 1 < len(arguments) else ""
        is_bare = argument == "--events" and Path(following).suffix.lower() not in KINDS
        split.append("--events=" if is_bare else argument)
    return split


def make_config(options: argparse.Namespace) -> Config:
    """Config file first, then options, then --set."""
    given = [(flag.key, getattr(options, flag.key)) for flag in FLAGS if getattr(options, flag.key) is not None]
    overrides = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in given]
    return load_config(options.config, overrides + options.set)


def find_sources(given: list[str]) -> list[str]:
    """Files, URLs and globs, in the order given; each once.

    Raises: ConfigError: a glob that matches nothing, a folder, a name that is not UTF-8: all of them at once.
    """
    found: list[str] = []
    problems = []
    for text in given:
        if is_url(text):
            found.append(text)
        elif os.path.isdir(text):
            problems.append(f"{text}: is a folder. Name its files: '{os.path.join(text, '*.mp4')}'")
        elif not os.path.lexists(text) and glob.has_magic(text):
            matches = [name for name in sorted(glob.glob(text, recursive=True)) if not os.path.isdir(name)]
            found += matches
            problems += [] if matches else [f"{text}: matches no file (in {os.getcwd()})"]
        elif text == "-":
            problems.append("-: video cannot be read from stdin. Write it to a file first.")
        else:
            found.append(text)
    for name in found:
        if printable(name) != name:
            problems.append(f"{printable(name)}: the name is not UTF-8, so no result could tell it. Rename the file.")
    if problems:
        raise ConfigError("\n".join(problems))
    return list(dict.fromkeys(found))


def is_url(text: str) -> bool:
    return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", text) is not None


def make_outputs(options: argparse.Namespace, config: Config, sources: list[str]) -> list[OutputSpec]:
    """Raises: ConfigError: unknown suffix, a file that exists, a folder that does not: all problems at once."""
    common = {"overwrite": options.overwrite, "resume": options.resume, "sources": tuple(sources)}
    events = config.events
    if config.labels.exclusive:
        events = msgspec.structs.replace(events, measure="share")
    clips = config.clips
    video = msgspec.structs.replace(
        config.video, start_s=clips.start_s, end_s=clips.end_s, audio_track=config.decode.audio_track
    )
    files = [(path, output_kind(path)) for path in options.output or ["-"]]
    if options.events:
        kind = output_kind(options.events)
        files.append((options.events, "events" if kind == "jsonl" else kind))
    if options.video:
        _check_video(options.video)
        files.append((options.video, "video"))
    inline = options.events == ""
    resume_from = next((path for path, kind in files if kind == "jsonl"), "")
    if options.resume and resume_from in ("", "-"):
        raise ConfigError("--resume needs the JSON lines to go on with. Give them: -o results.jsonl")
    specs = [
        OutputSpec(
            kind=kind,
            path=path,
            with_events=inline and kind == "jsonl",
            events=events,
            video=video,
            fingerprint=fingerprint(config) if kind == "jsonl" else "",
            resume_from=resume_from if options.resume and kind != "jsonl" else "",
            **common,
        )
        for path, kind in files
    ]
    _check_names(specs)
    check_outputs(specs)
    return specs


def output_kind(path: str) -> OutputKind:
    """From the suffix; no suffix, a device or `-` is JSON lines."""
    suffix = Path(path).suffix.lower()
    if suffix in KINDS:
        return KINDS[suffix]
    if suffix in (".mp4", ".mkv", ".mov", ".webm", ".avi"):
        raise ConfigError(f"-o {path}: is a video's name. To write the labelled video: --video {path}")
    if suffix and not path.startswith("/dev/"):
        raise ConfigError(f"-o {path}: {suffix!r} is no format for results; expected {', '.join(KINDS)}")
    return "jsonl"


def _check_video(path: str) -> None:
    suffix = Path(path).suffix.lower()
    if suffix and suffix not in VIDEO_SUFFIXES and not os.path.isdir(path):
        expected = ", ".join(VIDEO_SUFFIXES)
        raise ConfigError(f"--video {path}: {suffix!r} cannot be written; expected a folder or {expected}")


def _check_names(specs: list[OutputSpec]) -> None:
    for spec in specs:
        one_file = Path(spec.path).suffix and "*" not in spec.path and not os.path.isdir(spec.path)
        if spec.kind in PER_SOURCE and len(spec.sources) > 1 and one_file:
            name = Path(spec.path)
            raise ConfigError(
                f"{spec.path}: one file cannot hold {len(spec.sources)} sources. Put * where the source's name goes: "
                f"'{name.with_name('*' + name.suffix)}'"
            )


def fingerprint(config: Config) -> str:
    """Of all settings that make results comparable, with the words of a label file."""
    label_text = config.labels.words
    if isinstance(label_text, str) and label_text.startswith("@") and os.path.isfile(label_text[1:]):
        label_text = Path(label_text[1:]).read_text(encoding="utf-8", errors="replace")
    tree = msgspec.to_builtins(config)
    compared = {key: tree[key] for key in ("clips", "modalities", "stages")}
    compared |= {"words": label_text, "labels": tree["labels"] | {"words": ""}}
    compared |= {"models": [config.model.path, config.model.audio_path], "track": config.decode.audio_track}
    return hashlib.sha256(json.dumps(compared, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _default(defaults: Any, key: str) -> str:
    for part in key.split("."):
        defaults = defaults[part]
    if defaults in ("", None):
        return ""
    shown = ",".join(defaults) if isinstance(defaults, list | tuple) else defaults
    return f" (default: {shown})"


def is_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

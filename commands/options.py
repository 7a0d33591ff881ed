"""Command-line options: which option sets which key of the config, and the options for outputs."""

import argparse
import difflib
import json
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import msgspec

from engines.devices.gpus import gpu_here
from pipeline.config import Config, read_config
from pipeline.errors import ConfigError, Problems
from pipeline.logs import log
from pipeline.places import Polygon, line_problem, parse_place, zone_problem
from pipeline.result import CLOCK, clock_seconds


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True)
class Flag:
    """A command-line option that sets one key of the config."""

    name: str
    key: str
    help: str
    metavar: str | None = None
    parse: Callable[[str], Any] = str
    switch: bool = False
    value: bool | int | str = True
    """What a switch sets."""
    repeats: bool = False
    """May be given several times."""
    in_toml: Callable[[Any], str] = as_json
    """The value as TOML. May raise ConfigError."""


def seconds(text: str) -> float:
    """`90`, `90s`, `1:30` or `00:01:30.5`"""
    if re.fullmatch(CLOCK, text.strip()) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; expected seconds or hh:mm:ss, such as 90 or 1:30")
    return clock_seconds(text.strip())


def probability(text: str) -> float:
    """`0.5` or `50%`"""
    match = re.fullmatch(r"(\d*\.?\d+)\s*(%?)", text.strip())
    value = float(match[1]) / (100 if match[2] else 1) if match else -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a probability; expected from 0 to 1, such as 0.5 or 50%")
    return value


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def places(flag: str, problem_of: Callable[[Polygon], str], texts: Sequence[str]) -> str:
    """An inline table of TOML with the places that an option names.

    Raises: ConfigError: one is no place, or two have one name.
    """
    found: dict[str, str] = {}
    for text in texts:
        try:
            name, points = parse_place(text)
        except ValueError as error:
            raise ConfigError(f"{flag} {error}") from None
        if problem := problem_of(points):
            raise ConfigError(f"{flag} {text!r}: {problem}")
        if name in found:
            raise ConfigError(f"{flag} {text!r}: {name} is given twice; expected another name")
        found[name] = json.dumps(points)
    return "{" + ", ".join(f"{json.dumps(name)} = {points}" for name, points in found.items()) + "}"


FLAGS = (
    Flag(
        "--labels",
        "labels.words",
        "labels to choose from: 'dog barking, car|automobile', or @words.txt with one per line",
        "WORDS",
    ),
    Flag(
        "--templates",
        "labels.templates",
        "prompt templates: model, pool, zpe (weighted on your clips during the run), or a file",
        "NAME|FILE",
    ),
    Flag(
        "--descriptions", "labels.descriptions", "sentences that describe labels: .json, or 'label: sentence'", "FILE"
    ),
    Flag("--clip-seconds", "clips.seconds", "length of a clip", "S", seconds),
    Flag(
        "--stride-seconds",
        "clips.stride_seconds",
        "from the start of one clip to the next; 0: the length of a clip",
        "S",
        seconds,
    ),
    Flag(
        "--every",
        "clips.stride_seconds",
        "label one clip in each stretch of this length: seconds or hh:mm:ss",
        "TIME",
        seconds,
    ),
    Flag("--shots", "clips.shots", "clips end where shots end; long shots are cut into clips", switch=True),
    Flag("--keyframes", "decode.key_frames", "decode key frames only: much faster, without motion", switch=True),
    Flag("--reuse", "decode.reuse", "where nothing changes, the answers of an earlier clip hold", switch=True),
    Flag("--fps", "clips.fps", "frames per second that are analysed", "N", float),
    Flag("--top-k", "labels.top_k", "labels per clip in results", "K", int),
    Flag("--modalities", "modalities", "which of image, motion, audio to use", "LIST", words),
    Flag("--audio-track", "decode.audio_track", "sound track: its number or language; empty: the best", "TRACK"),
    Flag("--exclusive", "labels.exclusive", "labels exclude each other: events use shares", switch=True),
    Flag("--min-probability", "events.enter", "an event begins at this probability", "P", probability),
    Flag(
        "--min-duration", "events.min_duration_s", "shorter events are left out: seconds or hh:mm:ss", "TIME", seconds
    ),
    Flag(
        "--gap",
        "events.gap_s",
        "events of a label at most this far apart are one: seconds or hh:mm:ss",
        "TIME",
        seconds,
    ),
    Flag(
        "--no-merge",
        "events.merge",
        "near-synonyms (car, automobile) have events of their own",
        switch=True,
        value=False,
    ),
    Flag("--model", "model.path", "percept-mini, a model directory, or a hub id", "DIR|HUB_ID"),
    Flag("--audio-model", "model.audio_path", "another model for sound", "DIR|HUB_ID"),
    Flag(
        "--flow",
        "stages.flow.method",
        "optical flow: dis (default), dis-torch (for a GPU), or raft, which needs --set flow.weights=raft-small.pth",
        "NAME",
    ),
    Flag("--find", "follow.find", "follow these things alone: 'dog, red car', or @words.txt", "WORDS"),
    Flag(
        "--find-like",
        "follow.like",
        "follow what looks like this: photo.jpg, clip.mp4@12s, or a box in it, clip.mp4@12s:x0,y0,x1,y1 in fractions; "
        "may be repeated",
        "EXAMPLE",
        repeats=True,
    ),
    Flag(
        "--detect",
        "follow.which",
        "tracks in results: all, found (by --find), or none, which looks for no boxes and saves time",
        "WHICH",
    ),
    Flag(
        "--detector",
        "stages.detect.detector",
        "what finds objects besides motion: own (the model's), none, an ONNX file with the outputs of YOLOX, or a "
        "directory of OWL-ViT or OWLv2, which look for the things among --find or --labels",
        "NAME|PATH",
    ),
    Flag(
        "--text",
        "stages.text.reader",
        "also read what is written in the pictures (signs, captions); needs the extra ocr",
        switch=True,
        value="rapidocr",
    ),
    Flag(
        "--regions",
        "stages.regions.most",
        "also say where in the picture the probable labels are: box and share of the picture",
        switch=True,
        value=3,
    ),
    Flag(
        "--relations",
        "stages.relations.most",
        "also say how tracks stand to one another: dog on sofa, person left of bus",
        switch=True,
        value=8,
    ),
    Flag(
        "--zone",
        "follow.zones",
        "count tracks in a part of the picture, and how long they stay: NAME:x,y;x,y;x,y;... in fractions of the "
        "picture, such as 'door:0,0.5;0.3,0.5;0.3,1;0,1'; may be repeated",
        "ZONE",
        repeats=True,
        in_toml=partial(places, "--zone", zone_problem),
    ),
    Flag(
        "--line",
        "follow.lines",
        "count tracks that cross a line: NAME:x,y;x,y in fractions of the picture; from the top down, what moves right "
        "goes in; may be repeated",
        "LINE",
        repeats=True,
        in_toml=partial(places, "--line", line_problem),
    ),
    Flag(
        "--engine",
        "model.engine",
        "backend that runs the networks: auto, torch, onnxruntime, openvino, tensorrt",
        "NAME",
    ),
    Flag("--precision", "model.precision", "auto, fp32, bf16, fp16, int8", "NAME"),
    Flag("--device", "model.device", "auto, cpu, cuda or cuda:N", "NAME"),
    Flag("--start", "clips.start_s", "where to start: seconds or hh:mm:ss", "TIME", seconds),
    Flag("--end", "clips.end_s", "where to end: seconds or hh:mm:ss", "TIME", seconds),
)
FEATURES = Flag(
    "--features",
    "stages.encode.features",
    "also store what each tower has before its projection into text space, to train or cluster on",
    switch=True,
)
"""Of `percept label` alone: other commands keep no vectors."""


FORMATS = ("table", "jsonl", "json", "csv")


class Parser(argparse.ArgumentParser):
    """A parser whose errors raise ConfigError, with a remedy."""

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


def add_config_options(parser: Parser, flags: Sequence[Flag] = FLAGS) -> None:
    """Options that set keys of the config: these flags, -c and --set."""
    defaults = msgspec.to_builtins(Config())
    group = parser.add_argument_group("settings")
    for flag in flags:
        if flag.switch:
            group.add_argument(flag.name, dest=flag.key, action="store_const", const=flag.value, help=flag.help)
        else:
            text = f"{flag.help}{_default(defaults, flag.key)}"
            more: dict[str, Any] = {"action": "append"} if flag.repeats else {"type": flag.parse}
            group.add_argument(flag.name, dest=flag.key, metavar=flag.metavar, help=text, **more)
    group.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        help="settings from a TOML file, or bundled ones: default, gpu, sampled, sound-only, split",
    )
    group.add_argument(
        "--set", metavar="STAGE.KEY=VALUE", action="append", default=[], help="one setting; may be repeated"
    )


def add_output_options(parser: Parser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "-o", "--output", metavar="FILE", action="append", default=[],
        help="results: .jsonl, .json (an array), .parquet, .txt (the table); or events as .csv, .vtt, .srt; "
        "may be repeated",
    )  # fmt: skip
    group.add_argument(
        "--format", choices=FORMATS,
        help="what stdout gets (default: the table on a terminal, JSON lines in a pipe, nothing with -o FILE); "
        "csv: events",
    )  # fmt: skip
    group.add_argument(
        "--events", metavar="FILE",
        help="merge clips into events: in the JSON lines, or in FILE: .csv, .vtt, .srt or .jsonl "
        "('*' is replaced by the source's name)",
    )  # fmt: skip
    group.add_argument(
        "--tracks", metavar="FILE",
        help="write tracks, frame by frame: .txt as in MOTChallenge, .json as in COCO, .xml for CVAT "
        "('*' is replaced by the source's name)",
    )  # fmt: skip
    group.add_argument(
        "--video", metavar="FOLDER|FILE", help="write a copy of the video with labels and tracks drawn on it"
    )
    group.add_argument(
        "--panel",
        choices=("below", "corner", "off"),
        help="where the labelled video shows labels: below the picture (default), in a corner without boxes, or not",
    )
    group.add_argument("--html", metavar="FILE", help="write a page that plays the video with its results")
    group.add_argument("--resume", action="store_true", help="resume an interrupted -o FILE")
    group.add_argument("--overwrite", action="store_true", help="replace existing files")


def make_config(options: argparse.Namespace, *checks: Callable[[], object], default: str | None = None) -> Config:
    """The config file, overridden by options, then by --set. checks: of other options. default: see `usable_config`.

    Raises: ConfigError, ModelError: all problems with them, and those that the checks raise.
    """
    problems = Problems()
    config = usable_config(options, problems, default)
    for check in checks:
        with problems.collected():
            check()
    problems.raise_all()
    return config


def usable_config(options: argparse.Namespace, problems: Problems, default: str | None = None) -> Config:
    """The same, with all problems added to `problems`. Wrong values are replaced by defaults, for further checks.

    default: bundled settings that take the place of a config file.
    """
    if getattr(options, "labels.words", None) in ("", []):
        text = "--labels: no label found; expected at least one. Omit it to use the default vocabulary."
        problems.add(ConfigError(text))
    overrides = []
    for flag in (*FLAGS, FEATURES):
        if (value := getattr(options, flag.key, None)) is not None:
            with problems.collected():
                overrides.append(f"{flag.key}={flag.in_toml(value)}")
    return read_config(options.config or default or _bundled_for(options), overrides + options.set, problems)


def _bundled_for(options: argparse.Namespace) -> str | None:
    """The bundled settings to use without -c: "gpu" if the networks would run on a GPU, else None for the defaults."""
    device, engine = getattr(options, "model.device") or "auto", getattr(options, "model.engine") or "auto"
    wants_gpu = device.startswith(("auto", "cuda")) and engine not in ("onnxruntime", "openvino")
    if not (wants_gpu and gpu_here()):
        return None
    log(logging.INFO, "found an NVIDIA GPU; using the settings for GPUs (-c gpu). To use the others: -c default")
    return "gpu"


def _default(defaults: Any, key: str) -> str:
    for part in key.split("."):
        if part not in defaults:  # an option of a stage, whose default is defined by the stage
            return ""
        defaults = defaults[part]
    if defaults in ("", None, {}):
        return ""
    shown = ",".join(defaults) if isinstance(defaults, list | tuple) else defaults
    return f" (default: {shown})"

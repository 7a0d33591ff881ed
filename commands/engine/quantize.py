"""`percept engine quantize`: make an int8 network for OpenVINO, calibrated on the user's own clips."""

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from commands.columns import figures_text, gate_text, size_text
from commands.console import Console, add_console_options
from commands.engine.samples import Report, tower_samples
from commands.options import Parser, add_config_options, make_config
from commands.sources import find_sources
from engines.building.int8 import make_int8, towers_sharing
from engines.building.quantize import Words
from engines.building.quantize import missing as cannot_quantize
from engines.models.checkpoint import read_model
from engines.models.model import ModelSpec
from pipeline.build import make_settings
from pipeline.clip import MODALITIES
from pipeline.config import Config
from pipeline.errors import ConfigError, ModelError, OutputError
from pipeline.machine import core_count
from pipeline.stage import RunSettings
from stages.words.labels import build_label_set

SAMPLES = 170
"""Three quarters are used for calibration, the others to compare int8 with fp32."""


def make_parser() -> Parser:
    parser = Parser(
        prog="percept engine quantize",
        description="Make an int8 network for OpenVINO, calibrated on your own clips, and print what it changes.\n"
        "Give clips like those to be labelled. --stride-seconds 30 takes fewer clips from more places of long videos.",
    )
    parser.add_argument("model_and_clips", nargs="+", metavar="MODEL CLIPS", help="a model, then files, URLs or globs")
    parser.add_argument(
        "--modality", choices=MODALITIES, default="image", help="the tower; others that share its network are included"
    )
    parser.add_argument(
        "--samples", type=int, default=SAMPLES, metavar="N", help=f"use about N inputs (default: {SAMPLES})"
    )
    parser.add_argument("-o", "--output", metavar="FOLDER", help="write a copy of the network to this folder")
    add_config_options(parser)
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_intermixed_args(arguments)
    console = Console.of(options)
    clips = take_model(options)
    if why := cannot_quantize():
        raise ModelError(why)
    config = make_config(options)
    settings = msgspec.structs.replace(make_settings(config), threads=core_count())
    spec = read_model(settings.model, settings.audio_model)
    sharing = towers_sharing(spec, options.modality)
    towers = {name: spec.towers()[name] for name in sharing if name in settings.modalities}
    samples = tower_samples(config, towers, find_sources(clips), options.samples, settings.threads, console.say)
    words = words_of(spec, options.modality, config, settings, console.say)
    made = make_int8(spec, options.modality, samples, settings, words, console.say)
    for line in lines(made, settings.model):
        print(line)
    if options.output:
        copy(Path(made.path), Path(options.output))
    return 0 if made.gate.passed else ModelError.exit_code


def take_model(options: argparse.Namespace) -> list[str]:
    """The clips. The model in front of them is stored as if it were given with --model."""
    given: list[str] = options.model_and_clips
    if getattr(options, "model.path") is None:
        setattr(options, "model.path", given[0])
        given = given[1:]
    if not given:
        raise ConfigError("percept engine quantize: no clips given; expected: percept engine quantize MODEL talk.mp4")
    return given


def words_of(spec: ModelSpec, modality: str, config: Config, settings: RunSettings, report: Report) -> Words:
    """The words that samples are scored against: the given labels, or else the model's background vocabulary."""
    only = msgspec.structs.replace(settings, modalities=(modality,))
    side = build_label_set(spec, settings.labels, only, report).sides[modality]
    return Words(side.labels if config.labels.words else side.background, side.temperature)


def lines(made: Any, model: str) -> Iterator[str]:
    towers = "+".join(made.towers)
    yield f"{towers} {made.network}: int8, {size_text(made.size_bytes)}, in {made.change.took_s:.0f} s"
    yield f"  your clips, int8 against fp32: {made.change.text}"
    yield f"  gate, worst case: {figures_text(made.gate.worst)}"
    if made.gate.passed:
        yield f"It passed its gate. Use it with: percept run ... --model {model} --engine openvino --precision int8"
        return
    yield f"It {gate_text(made.gate)}"


def copy(made: Path, folder: Path) -> None:
    try:
        shutil.copytree(made, folder, dirs_exist_ok=True)
    except OSError as error:
        raise OutputError(f"-o {folder}: {error}; expected a writable folder") from error

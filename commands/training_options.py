"""Options shared by the verbs for labelled clips: data, model, and the folder for features."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands.options import FLAGS, Parser, make_config
from pipeline.build import make_settings
from pipeline.config import Config
from pipeline.logs import log
from pipeline.machine import core_count
from pipeline.stage import RunSettings

if TYPE_CHECKING:
    from engines.models.model import ModelSpec

MODEL_FLAGS = (
    *("--model", "--audio-model", "--modalities", "--clip-seconds", "--fps"),
    *("--engine", "--precision", "--device"),
)
"""Options of `percept run` that have the same meaning here."""


def add_model_options(parser: Parser, *more: str, without: tuple[str, ...] = ()) -> None:
    """Add `MODEL_FLAGS` and those options of `percept run` in `more`, but not those in `without`."""
    group = parser.add_argument_group("model")
    for flag in FLAGS:
        if flag.name in (*MODEL_FLAGS, *more) and flag.name not in without and not flag.switch:
            group.add_argument(flag.name, dest=flag.key, metavar=flag.metavar, type=flag.parse, help=flag.help)
        else:
            parser.set_defaults(**{flag.key: None})
    group.add_argument("-c", "--config", metavar="FILE", help="settings from a TOML file, as for percept run")
    group.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help=argparse.SUPPRESS)


def add_data_options(parser: Parser) -> Any:
    from training.data.read import LAYOUTS

    parser.add_argument("data", metavar="DATA", help="a folder per label, a CSV (file,label), or a published data set")
    group = parser.add_argument_group("data")
    group.add_argument(
        "--layout", metavar="NAME", default="auto", help=f"layout of DATA: auto (default), {', '.join(LAYOUTS)}"
    )
    group.add_argument("--features", metavar="DIR", help="folder for features of the examples (default: in the cache)")
    return group


def settings_of(options: argparse.Namespace, threads: int = 0) -> tuple[Config, RunSettings]:
    """The config of these options, and the settings of the stages. threads: 0 uses all cores."""
    import msgspec

    config = make_config(options)
    return config, msgspec.structs.replace(make_settings(config), threads=threads or core_count())


def features_folder(options: argparse.Namespace, run: RunSettings) -> Path:
    return Path(options.features).expanduser() if options.features else Path(run.cache_directory) / "features"


def warn_of_head(spec: "ModelSpec") -> None:
    """Warn that the model's fusion head is not used, if it has one."""
    if spec.fusion:
        log(
            logging.WARNING,
            f"{spec.id} has a fusion head, which is not used here: the figures are for the towers alone. In a run, the "
            "head contributes to clips that have a picture and motion or sound",
        )

"""Options shared by the verbs for labelled clips: data, model, and the folder for features."""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from commands.options import FLAGS, Parser
from commands.preflight import checked_settings
from pipeline.stage import RunSettings

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


def settings_of(options: argparse.Namespace, data: Sequence[str | None], *checks: Callable[[], object]) -> RunSettings:
    """The settings of the stages, with all cores. `data` must exist, and `checks` raise what else is wrong.

    Raises: ConfigError, ModelError: all problems at once.
    """
    from training.data.read import check_path

    _, settings = checked_settings(options, *checks, *(partial(check_path, path) for path in data if path))
    return settings


def features_folder(options: argparse.Namespace, run: RunSettings) -> Path:
    return Path(options.features).expanduser() if options.features else Path(run.cache_directory) / "features"

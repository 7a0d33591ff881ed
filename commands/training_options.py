"""Options shared by the verbs for labelled and captioned clips: data, model, features folder, plan of a training."""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from commands.options import FLAGS, Parser
from commands.preflight import checked_settings
from pipeline.errors import ConfigError
from pipeline.stage import RunSettings

if TYPE_CHECKING:
    from training.train.plan import TrainingPlan

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


def plan_of(options: argparse.Namespace, usual: "TrainingPlan") -> "TrainingPlan":
    """The plan of a training: the usual one with what the options change.

    Raises:
        ConfigError: options are out of range, or contradict each other.
    """
    from training.train.plan import check

    if options.steps is not None and options.epochs is not None:
        raise ConfigError("--steps and --epochs: both set the length; expected only one of them")
    if options.epochs is not None and not 0 < options.epochs < 1e6:
        raise ConfigError(f"--epochs {options.epochs:g}: expected more than 0")
    given = {
        "novel_share": options.base_novel,
        "held_out_share": options.held_out,
        "steps": options.steps,
        "batch": options.batch,
        "learning_rate": options.lr,
        "alpha": options.alpha,
        "label_smoothing": options.label_smoothing,
        "ema": options.ema,
        "frozen_ratio": options.ratio,
        "pull": options.pull,
        "level": options.level,
        "augment": usual.augment and not options.no_augment,
        "every_steps": options.every,
        "seed": options.seed,
        "threads": options.threads,
    }
    plan = msgspec.structs.replace(usual, **{name: value for name, value in given.items() if value is not None})
    check(plan)
    return plan


def device_of(asked: str, has_cuda: bool) -> str:
    """The device of a training in torch's words.

    Raises:
        ConfigError: the device is unknown or not available.
    """
    if asked == "auto":
        return "cuda" if has_cuda else "cpu"
    if asked != "cpu" and not asked.startswith("cuda"):
        raise ConfigError(f"--device {asked}: unknown; expected auto, cpu or cuda")
    if asked.startswith("cuda") and not has_cuda:
        raise ConfigError(f"--device {asked}: PyTorch finds no NVIDIA GPU; expected cpu, or a build with CUDA")
    return asked

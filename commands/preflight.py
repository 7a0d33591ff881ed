"""What a verb checks before it starts: settings, model, engine, device, and what else it is given."""

import argparse
from collections.abc import Callable

import msgspec

from commands.options import usable_config
from pipeline.build import make_plan
from pipeline.config import Config
from pipeline.errors import Problems
from pipeline.machine import core_count
from pipeline.stage import RunSettings


def checked_settings(options: argparse.Namespace, *checks: Callable[[], object]) -> tuple[Config, RunSettings]:
    """The config of these options, and the settings of the stages with all cores. `checks` raise what else is wrong.

    Raises: ConfigError, ModelError: all problems at once.
    """
    problems = Problems()
    config = usable_config(options, problems)
    for check in checks:
        with problems.collected():
            check()
    with problems.collected():
        plan = make_plan(config)
    problems.raise_all()
    return config, msgspec.structs.replace(plan.settings, threads=core_count())

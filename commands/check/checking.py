"""The checks of `percept check`, the quick ones first."""

import argparse
import logging

from commands.cache import contents
from commands.check.installation import Rows, sections, told
from commands.check.packages import broken
from commands.check.plan import engines_section, groups_section, loaded_section, settings_section, stages_section
from commands.check.report import Report
from commands.check.sources import sources_section
from commands.columns import size_text
from commands.console import Console
from commands.options import usable_config
from commands.sources import find_sources
from pipeline.build import make_plan, make_stages
from pipeline.errors import ModelError, Problems, SourceError
from pipeline.logs import log
from pipeline.plan import Plan
from stages.decode.reader import reader_class


def check(options: argparse.Namespace, report: Report) -> int:
    """Add sections to the report. Returns exit code 3 if a source cannot be opened, otherwise 0.

    Raises: ConfigError, ModelError: all problems with settings, model and machine; a package is missing.
    """
    console = Console.of(options)
    if not options.sources:
        for section in sections():
            report.add(section)
    plan, sources = checked(options)
    found, errors = sources_section(sources, plan)
    report.add(found)
    for error in errors:
        log(logging.ERROR, error)
    if not sources:
        report.add(told("cache", lambda: cache_rows(plan.settings.cache_directory)))
    report.add(settings_section(plan))
    if options.verbose:
        report.add(stages_section(plan, make_stages(plan.config, plan.settings, plan.budget)))
        report.add(groups_section(plan))
    loaded = loaded_section(plan, console.say) if options.load else None
    report.add(engines_section(plan.settings))
    if loaded:
        report.add(loaded)
    if not sources and (lacking := [each.name for each in broken() if not each.version]):
        raise ModelError(f"{', '.join(lacking)}: needed, but not installed. See above for the commands that install it")
    return SourceError.exit_code if errors else 0


def checked(options: argparse.Namespace) -> tuple[Plan, list[str]]:
    """The plan and the sources. Raises: ConfigError, ModelError: all problems with them."""
    problems = Problems()
    config = usable_config(options, problems)
    sources: list[str] = []
    with problems.collected():
        sources = find_sources(options.sources, options.recursive)
    with problems.collected():
        plan = make_plan(config, max(1, len(sources)))
        reader_class(config.decode.reader)  # a plan does not import it
    problems.raise_all()
    return plan, sources


def cache_rows(cache: str) -> Rows:
    found = contents(cache)
    yield "folder", f"{found.path}, {size_text(found.size_bytes)}"
    yield "downloads", f"{found.downloads}, {size_text(found.downloads_bytes)}"
    yield "to see more", "percept cache"
    yield "to remove it", "percept cache --clear"

"""`percept eval`: accuracy and calibration of a model on labelled clips."""

import argparse
import shlex
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from commands.columns import table
from commands.console import Console, add_console_options
from commands.options import Parser
from commands.training_options import add_data_options, add_model_options, features_folder, settings_of
from pipeline.errors import ConfigError
from pipeline.stage import RunSettings
from training.data.example import counted

if TYPE_CHECKING:
    from training.evaluate.figures import Mean
    from training.evaluate.report import Report
    from training.intervals import Share

EXAMPLES = """examples:
  percept eval clips/ -o report                      a folder per label
  percept eval clips.csv --labels @words.txt         columns file,label; more labels to choose from
  percept eval UCF101/ --model openai/clip-vit-base-patch16 --base-novel 0 -o report

Features of the examples are cached: evaluating again with other labels, or after an interruption, is fast.

exit codes: 0 success, 1 finished but some examples failed, 2 usage or settings, 3 nothing could be read, 4 model,
5 output or internal, 130 interrupted."""


def make_parser() -> Parser:
    parser = Parser(
        prog="percept eval",
        description="Measure a model on labelled clips: accuracy by modality and by label, confusions, calibration.",
        epilog=EXAMPLES,
    )
    group = add_data_options(parser)
    group.add_argument(
        "--split", metavar="NAME", default="published",
        help="one split of a published data set, or all (default: the split of published figures)",
    )  # fmt: skip
    group.add_argument("--limit", metavar="N", type=int, default=0, help="use at most N examples, balanced over labels")
    group.add_argument("--seed", metavar="N", type=int, default=0, help="seed of --limit and intervals (default: 0)")
    group.add_argument(
        "--base-novel", metavar="SEED|FILE", default="",
        help="which labels count as novel: a random half, or those that are not in FILE "
        "(default: those that the model's fusion head was not trained on)",
    )  # fmt: skip
    group.add_argument("--middle-picture", action="store_true", help="use only the middle picture of each example")
    output = parser.add_argument_group("output")
    output.add_argument(
        "-o", "--output", metavar="DIR", help="write a report: HTML page, metrics.json, predictions.csv"
    )
    output.add_argument("--overwrite", action="store_true", help="replace an existing report")
    add_model_options(parser, "--labels", "--templates", "--descriptions")
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    console = Console.of(options)
    if options.limit < 0:
        raise ConfigError(f"--limit {options.limit}: expected a number of examples, at least 1")

    from training.evaluate.evaluate import Task, evaluate
    from training.evaluate.report_files import check_folder, write_report

    folder = Path(options.output).expanduser() if options.output else None
    checks = [partial(check_folder, folder, options.overwrite)] if folder is not None else []
    words, run = words_and_settings(options, *checks)
    task = Task(
        data=options.data,
        layout=options.layout,
        split=options.split,
        labels=words,
        base_novel=options.base_novel,
        limit=options.limit,
        seed=options.seed,
        middle_picture=options.middle_picture,
        features=features_folder(options, run),
        command=shlex.join(["percept", "eval", *arguments]),
    )
    try:
        found = evaluate(task, run, console.say, console.steps("encoding"), console.item)
    except KeyboardInterrupt:
        console.say("encoded examples are kept; run the same command again to resume")
        raise
    finally:
        console.clear()
    for line in lines(found.report):
        print(line)
    if folder is not None:
        write_report(found.report, found.answers, found.names, folder)
        print(f"report: {folder / 'report.html'}")
    return 1 if found.report.failures else 0


def words_and_settings(options: argparse.Namespace, *checks: Callable[[], object]) -> tuple[str, RunSettings]:
    """The labels to choose from ("" for those of the data), and the settings of the model.

    Raises:
        ConfigError: the templates are weighted during a run.
    """
    templates = getattr(options, "labels.templates") or ""
    if templates.partition(":")[0] == "zpe":
        raise ConfigError(
            f"--templates {templates}: these are weighted during percept run; expected a file of weights. Write one "
            "with: percept labels weigh"
        )
    # the labels may be those of the data, which is not read yet, so labels and descriptions are checked later
    later = {key: getattr(options, key) or "" for key in ("labels.words", "labels.descriptions")}
    for key in later:
        setattr(options, key, None)
    run = settings_of(options, [options.data], *checks)
    return later["labels.words"], msgspec.structs.replace(run, descriptions=later["labels.descriptions"])


def lines(report: "Report") -> Iterator[str]:
    """The report as text for stdout."""
    from training.evaluate.page import NAMES

    about = report.about
    examples = counted(report.views[-1].count, "example")
    yield f"{about.data}: {examples}, {counted(about.labels, 'label')} to choose from; {about.model}"
    rows = [("", "n", "top-1", "top-5", "mean over labels", "top-1 by cosine")]
    for view in report.views:
        mean, cosine = mean_of(view.mean_per_label), view.cosine_top1
        rows.append(
            (NAMES[view.view], f"{view.count}", of(view.top1), of(view.top5), mean, of(cosine) if cosine else "")
        )
    yield from table(rows)
    if report.sides:
        side = report.sides[-1]
        yield (
            f"base {of(side.base)}, novel {of(side.novel)}, harmonic mean "
            f"{mean_of(side.harmonic_mean)}; {counted(len(about.novel), 'novel label')}, "
            f"{NAMES[side.view]}, each side among its own labels only"
        )
    if report.together:
        both = report.together[-1]
        yield (
            f"right with a single modality but wrong together {of(both.lost)}, right only together {of(both.gained)} "
            f"(n = {both.count})"
        )
    for name, error in (("probability", report.probability), ("share", report.share)):
        yield (
            f"expected calibration error of {name} {figure(error.error, error.low, error.high)}; "
            f"by chance {error.by_chance:.1%}; mean {name} {error.mean_confidence:.1%}, accuracy "
            f"{error.right.share:.1%}"
        )
    if report.failures:
        one = report.failures[0]
        failed = counted(len(report.failures), "example")
        yield f"{failed} failed, not included in the figures; the first: {one.path}: {one.reason}"


def of(share: "Share") -> str:
    return figure(share.share, share.low, share.high)


def mean_of(mean: "Mean") -> str:
    return figure(mean.value, mean.low, mean.high)


def figure(value: float, low: float, high: float) -> str:
    """`62.5% [53.1, 71.0]`"""
    return f"{value:.1%} [{100 * low:.1f}, {100 * high:.1f}]"

"""`percept eval`: how often a model is right on labelled clips, and how far its numbers can be believed."""

import argparse
import shlex
from collections.abc import Iterator
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
  percept eval clips.csv --labels @words.txt         columns file,label; more words to choose from
  percept eval UCF101/ --model openai/clip-vit-base-patch16 --base-novel 0 -o report

Features of the examples are kept: a second evaluation with other words, or one that was broken off, is fast.

exit codes: 0 fine, 1 finished but some examples failed, 2 usage or settings, 3 nothing could be read, 4 model,
5 output or internal, 130 interrupted."""


def make_parser() -> Parser:
    parser = Parser(
        prog="percept eval",
        description="How often a model is right on labelled clips: by each modality, by all together, label by label; "
        "what it confuses, and whether its probabilities are true.",
        epilog=EXAMPLES,
    )
    group = add_data_options(parser)
    group.add_argument(
        "--split", metavar="NAME", default="published",
        help="one split of a published data set, or all (default: the one that figures are given for)",
    )  # fmt: skip
    group.add_argument("--limit", metavar="N", type=int, default=0, help="only so many examples, evenly over labels")
    group.add_argument("--seed", metavar="N", type=int, default=0, help="for --limit and for intervals (default: 0)")
    group.add_argument(
        "--base-novel", metavar="SEED|FILE", default="",
        help="half of the labels count as novel, chosen by a seed; or all that are not in FILE "
        "(default: those that the model's fusion head was not trained on)",
    )  # fmt: skip
    group.add_argument(
        "--middle-picture", action="store_true", help="of each example only the one picture in its middle is looked at"
    )
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", metavar="DIR", help="a report: HTML page, metrics.json, predictions.csv")
    output.add_argument("--overwrite", action="store_true", help="replace a report that is there")
    add_model_options(parser, "--labels", "--templates", "--descriptions")
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    console = Console.of(options)
    if options.limit < 0:
        raise ConfigError(f"--limit {options.limit}: expected a number of examples, from 1 on")
    words, run = words_and_settings(options)

    from training.evaluate.evaluate import Task, evaluate
    from training.evaluate.report_files import check_folder, write_report

    folder = Path(options.output).expanduser() if options.output else None
    if folder is not None:
        check_folder(folder, options.overwrite)
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
        found = evaluate(task, run, console.say, console.steps("encoding"))
    except KeyboardInterrupt:
        console.say("what is encoded is kept: the same command goes on from there")
        raise
    finally:
        console.clear()
    for line in lines(found.report):
        print(line)
    if folder is not None:
        write_report(found.report, found.answers, found.names, folder)
        print(f"report: {folder / 'report.html'}")
    return 1 if found.report.failures else 0


def words_and_settings(options: argparse.Namespace) -> tuple[str, RunSettings]:
    """The words to choose from, "" for those of the data, and how the model is to be run.

    Raises:
        ConfigError: templates that only a run can weigh.
    """
    templates = getattr(options, "labels.templates") or ""
    if templates.partition(":")[0] == "zpe":
        raise ConfigError(
            f"--templates {templates}: these are weighed while clips come, which percept run does. Weigh them before: "
            "percept labels weigh; and give the file that it writes"
        )
    # the words may be those of the data, which nobody has read yet, so what goes with them is checked later
    later = {key: getattr(options, key) or "" for key in ("labels.words", "labels.descriptions")}
    for key in later:
        setattr(options, key, None)
    _, run = settings_of(options)
    return later["labels.words"], msgspec.structs.replace(run, descriptions=later["labels.descriptions"])


def lines(report: "Report") -> Iterator[str]:
    """What is told on stdout."""
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
            f"{NAMES[side.view]}, each side among its own labels"
        )
    if report.together:
        both = report.together[-1]
        yield (
            f"right with one modality and wrong together {of(both.lost)}, wrong with each and right together "
            f"{of(both.gained)} (n = {both.count})"
        )
    for name, error in (("probability", report.probability), ("share", report.share)):
        yield (
            f"expected calibration error of {name} {figure(error.error, error.low, error.high)}; "
            f"by chance {error.by_chance:.1%}; claimed {error.mean_confidence:.1%}, right {error.right.share:.1%}"
        )
    if report.failures:
        one = report.failures[0]
        yield f"{counted(len(report.failures), 'example')} failed, in no figure, such as {one.path}: {one.reason}"


def of(share: "Share") -> str:
    return figure(share.share, share.low, share.high)


def mean_of(mean: "Mean") -> str:
    return figure(mean.value, mean.low, mean.high)


def figure(value: float, low: float, high: float) -> str:
    """`62.5% [53.1, 71.0]`"""
    return f"{value:.1%} [{100 * low:.1f}, {100 * high:.1f}]"

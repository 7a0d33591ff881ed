"""`percept calibrate`: calibrate probabilities, and detect clips that no label fits."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from commands.columns import table
from commands.console import Console, add_console_options
from commands.model_output import output_directory
from commands.options import Parser
from commands.training_options import add_model_options, features_folder, settings_of
from training.data.example import counted

if TYPE_CHECKING:
    from training.calibrate.calibrate import Result
    from training.calibrate.measure import Figure, Kind
    from training.intervals import Share

DESCRIPTION = """Fit temperature and bias of every tower on labelled clips, so that about 80 % of the answers with a
probability of 80 % are right. Also fit a score for clips that no label fits, with a threshold that calls at most the
given share of fitting clips "none of these". Every figure is measured on clips that were not used to fit it (cross-
validation). A model whose calibration error or log loss gets worse on these is not written, except with --force."""

EPILOG = """examples:
  percept calibrate percept-mini clips/ -o my-model
  percept calibrate percept-mini clips.csv -o my-model --unlabelled recordings/ --false-alarms 0.01
  percept run talk.mp4 --model my-model       records now have {"open_set": {"none_of_these": true, ...}}

The score compares how well labels fit a clip with how well they fit other clips of the source. The embeddings of these
clips (--unlabelled, or else DATA) are stored in the model, so that the score works for any labels. The shares of a
fusion head are fitted too. Clips that the head changes are counted, and compared with other clips, apart.

exit codes: 0 success, 1 finished but some clips could not be read or nothing was written because it was worse,
2 usage, 3 nothing could be read, 4 model, 5 output or internal, 130 interrupted."""

SENSES = {"image": "picture", "motion": "motion", "audio": "sound"}


def make_parser() -> Parser:
    parser = Parser(prog="percept calibrate", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("model", metavar="MODEL", help="percept-mini, a model directory, or a hub id")
    parser.add_argument("data", metavar="DATA", help="labelled clips: a folder per label, a CSV, or a published set")
    parser.add_argument(
        "-o", "--output", metavar="MODEL2", required=True, help="the model directory to write; may be MODEL itself"
    )
    parser.add_argument(
        "--false-alarms", metavar="SHARE", type=float, default=0.05,
        help="largest share of fitting clips that may be called none of these (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--unlabelled", metavar="PATH", nargs="+", default=[],
        help="files or folders of typical clips of the source (default: DATA)",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="write even if it is worse on held-out clips")
    group = parser.add_argument_group("data")
    group.add_argument("--layout", metavar="NAME", default="auto", help="layout of DATA (default: auto)")
    group.add_argument("--split", metavar="NAMES", default="", help="only these splits, such as fold1,fold2")
    group.add_argument("--features", metavar="DIR", help="folder for features of clips (default: in the cache)")
    add_model_options(parser, without=("--model",))
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    console = Console.of(options)
    setattr(options, "model.path", options.model)

    from engines.models.checkpoint import read_model
    from training.calibrate.calibrate import Task, calibrate, check_false_alarms
    from training.calibrate.store import write_calibrated

    run = settings_of(
        options,
        [options.data],
        partial(output_directory, options.output, str(Path(options.model).expanduser().resolve())),
        partial(check_false_alarms, options.false_alarms),
    )
    spec = read_model(run.model, run.audio_model)
    directory = output_directory(options.output, spec.directory)
    task = Task(
        data=options.data,
        unlabelled=tuple(options.unlabelled),
        false_alarms=options.false_alarms,
        layout=options.layout,
        split=options.split,
        features=features_folder(options, run),
    )
    result = calibrate(task, run, console.say, console.steps("encoding"), console.item)
    console.clear()
    for line in lines(result, options.false_alarms):
        print(line)
    if result.worse and not options.force:
        print(f"not written: {options.output}    give more clips, or --force to write it all the same")
        return 1
    write_calibrated(spec, directory, result, options.false_alarms)
    print(f"written: {options.output}    use it: percept run VIDEO --model {options.output}")
    return 1 if result.failures else 0


def verdict(result: "Result") -> str:
    """Whether held-out clips gain, with both figures."""
    before, after = result.before, result.after
    worse = f"worse ({' and '.join(result.worse)})" if result.worse else "not worse"
    return (
        f"{worse} on held-out clips: calibration error {100 * before.probability.value:.1f}% -> "
        f"{100 * after.probability.value:.1f}%, log loss {before.log_loss.value:.3f} -> {after.log_loss.value:.3f}"
    )


def lines(result: "Result", false_alarms: float) -> Iterator[str]:
    yield verdict(result)
    yield (
        f"{counted(result.clips, 'clip')} of {counted(result.examples, 'example')}, "
        f"{len(result.labels)} labels; top-1 accuracy {shown(result.right)}"
    )
    rows = [("", "temperature", "bias")]
    for name, new in result.scales.towers.items():
        old = result.scales_before.towers[name]
        rows.append((name, f"{old.temperature:.4g} -> {new.temperature:.4g}", f"{old.bias:+.2f} -> {new.bias:+.2f}"))
    yield from table(rows)
    was, now = result.scales_before.head, result.scales.head
    if was and now:
        yield (
            f"share of the fusion head in the scores of labels that it was trained on: {was.base:.2f} -> "
            f"{now.base:.2f}; of others: {was.novel:.2f} -> {now.novel:.2f}"
        )
    yield ""
    before, after = result.before, result.after
    yield from table(
        [
            ("expected calibration error, held out", "before", "after"),
            ("probability of the best label", figure(before.probability), figure(after.probability)),
            ("its share among the labels", figure(before.share), figure(after.share)),
            ("log loss, in nats", nats(before.log_loss), nats(after.log_loss)),
        ]
    )
    yield ""
    yield from table(
        [("clips with", "clips", "calibration error", "log loss"), *(kind_row(kind) for kind in result.kinds)]
    )
    yield ""
    yield from table([("probability", "clips", "mean", "right"), *bin_rows(result)])
    yield ""
    unknown = result.unknown
    yield (
        f"none of these: AUROC {unknown.auroc.value:.3f} [{unknown.auroc.low:.3f}, {unknown.auroc.high:.3f}] for clips "
        f"of a left-out label against the others, mean over {len(unknown.by_label)} labels left out in turn"
    )
    hardest = sorted(unknown.by_label.items(), key=lambda pair: pair[1])[:3]
    yield "hardest: " + ", ".join(f"{label} {value:.2f}" for label, value in hardest)
    yield (
        f"threshold {result.threshold:.3f} for {100 * false_alarms:g} % false alarms; held-out clips called none of "
        f"these: {shown(unknown.false_alarms)} if a label fits, {shown(unknown.found)} if no label fits"
    )
    if result.failures:
        file, reason = next(iter(result.failures.items()))
        yield f"{counted(len(result.failures), 'file')} could not be used; the first: {file}: {reason}"


def bin_rows(result: "Result") -> Iterator[tuple[str, ...]]:
    for each in result.after.bins:
        yield (
            f"{100 * each.low:.0f} to {100 * each.high:.0f} %",
            f"{each.count}",
            f"{100 * each.confidence:.0f} %",
            shown(each.right),
        )


def kind_row(kind: "Kind") -> tuple[str, ...]:
    """`picture and sound, fused`"""
    names = kind.name.split("+")
    text = " and ".join(SENSES[name] for name in SENSES if name in names) + (", fused" if "fused" in names else "")
    return (
        text,
        f"{kind.clips}",
        f"{100 * kind.error_before:.1f}% -> {100 * kind.error_after:.1f}%",
        f"{kind.log_loss_before:.3f} -> {kind.log_loss_after:.3f}",
    )


def nats(value: "Figure") -> str:
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"


def figure(value: "Figure") -> str:
    return f"{100 * value.value:.1f}% [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def shown(share: "Share") -> str:
    return f"{100 * share.share:.1f}% [{100 * share.low:.0f}, {100 * share.high:.0f}]"

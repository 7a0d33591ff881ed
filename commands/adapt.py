"""`percept adapt`: learn labels from a few examples each. Other labels do not change, and it can be undone."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from commands.columns import table
from commands.console import Console, add_console_options
from commands.model_output import output_directory
from commands.options import Parser
from commands.training_options import add_model_options, features_folder, settings_of
from pipeline.errors import ConfigError
from training.data.example import counted

if TYPE_CHECKING:
    import argparse

    from training.adapt.adapt import Result
    from training.adapt.measure import Change, Worth

DESCRIPTION = """Learn labels from 1 to 16 examples each. Only the vectors of these labels move: the towers are frozen,
and the log-odds of all other labels stay exactly the same. Cross-validation on the examples chooses how far the
vectors move, and measures the gain and what other labels lose."""

EPILOG = """examples:
  percept adapt percept-mini clips/ -o my-model           clips/: a folder per label
  percept adapt my-model more-clips/ -o my-model          learn from all examples together
  percept adapt percept-mini clips.csv -o my-model --others other-clips/
  percept run talk.mp4 --model my-model --labels "dog, rain"
  percept adapt --list my-model
  percept adapt --undo my-model                           undo the last adaptation

The embeddings of the examples are stored in the model, so that more examples can be added later. Labels are matched by
name, ignoring case.

exit codes: 0 success, 1 finished but some examples could not be read or --only-if-better wrote nothing, 2 usage,
3 nothing could be read, 4 model, 5 output or internal, 130 interrupted."""

TOO_FEW = 20
"""With fewer held-out examples than this, the verdict mentions their number."""


def make_parser() -> Parser:
    parser = Parser(prog="percept adapt", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("model", metavar="MODEL", help="percept-mini, a model directory, or a hub id")
    parser.add_argument("clips", metavar="CLIPS", nargs="?", help="a folder per label, or a CSV (file,label)")
    parser.add_argument("-o", "--output", metavar="MODEL2", help="the model directory to write; may be MODEL itself")
    parser.add_argument(
        "--only-if-better", action="store_true",
        help="write only if accuracy on held-out examples rises and other labels do not lose significantly",
    )  # fmt: skip
    parser.add_argument("--undo", action="store_true", help="undo the last adaptation of MODEL")
    parser.add_argument("--list", action="store_true", help="list the adaptations of MODEL and their examples")
    group = parser.add_argument_group("data")
    group.add_argument(
        "--others", metavar="CLIPS", default="", help="clips of other labels, to measure what these lose"
    )
    group.add_argument("--layout", metavar="NAME", default="auto", help="layout of CLIPS (default: auto)")
    group.add_argument("--split", metavar="NAMES", default="", help="only these splits of a published data set")
    group.add_argument(
        "--seed",
        metavar="N",
        type=int,
        default=0,
        help="seed for choosing 16 clips of labels that have more (default: 0)",
    )
    group.add_argument("--features", metavar="DIR", help="folder for features of clips (default: in the cache)")
    add_model_options(parser, without=("--model",))
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    console = Console.of(options)
    if options.undo and options.list:
        raise ConfigError("--undo and --list: expected only one of them")
    if options.list or options.undo:
        if options.clips or options.output:
            raise ConfigError(f"{'--list' if options.list else '--undo'}: expected only MODEL, without CLIPS or -o")
        return list_steps(options.model) if options.list else undo_step(options.model)
    if not options.clips or not options.output:
        missing = "CLIPS" if not options.clips else "-o MODEL2"
        raise ConfigError(f"{missing} is missing; expected percept adapt MODEL CLIPS -o MODEL2")
    return adapted(options, console)


def adapted(options: "argparse.Namespace", console: Console) -> int:
    from engines.models.checkpoint import read_model
    from training.adapt.adapt import Task, adapt
    from training.adapt.store import write_step

    setattr(options, "model.path", options.model)
    run = settings_of(
        options,
        [options.clips, options.others],
        partial(output_directory, options.output, str(Path(options.model).expanduser().resolve())),
    )
    spec = read_model(run.model, run.audio_model)
    directory = output_directory(options.output, spec.directory)
    task = Task(
        clips=options.clips,
        others=options.others,
        layout=options.layout,
        split=options.split,
        seed=options.seed,
        features=features_folder(options, run),
    )
    result = adapt(task, run, console.say, console.steps("encoding"), console.steps("learning"))
    console.clear()
    for line in lines(result):
        print(line)
    if options.only_if_better and not result.worth.helps:
        print(f"not written: {options.output} (--only-if-better)")
        return 1
    write_step(spec, directory, result.deltas, result.known, result.choices, result.worth)
    print(f"written: {options.output}")
    print(f"use it:  percept run VIDEO --model {options.output}    undo: percept adapt --undo {options.output}")
    return 1 if result.failures else 0


def lines(result: "Result") -> Iterator[str]:
    labels = [each.label for each in result.known.examples.kept]
    counts = {label: labels.count(label) for label in dict.fromkeys(labels)}
    yield (
        f"{counted(len(labels), 'example')} of {counted(len(counts), 'label')}, "
        f"{range_text(list(counts.values()))} of each"
        + (f"; {result.added} of them new" if result.added < len(labels) else "")
    )
    if len(counts) == 1 and result.worth.others_are != "given":
        yield "the only label is compared with the model's background words"
    for name, choice in result.choices.items():
        how = f"moved with pull {choice.pull:g}, share {choice.share:g}" if choice.share else "not moved"
        yield f"{name}: vectors {how}"
    yield from worth_lines(result.worth)
    if result.failures:
        file, reason = next(iter(result.failures.items()))
        yield f"{counted(len(result.failures), 'file')} could not be used; the first: {file}: {reason}"


def worth_lines(worth: "Worth") -> Iterator[str]:
    rows: list[tuple[str, ...]] = [("top-1, all modalities", "n", "before", "after", "difference")]
    if worth.adapted:
        rows.append(("adapted labels, held-out examples", *change_cells(worth.adapted)))
    if worth.others:
        title = "other labels, given clips" if worth.others_are == "given" else "left-out labels, among the others"
        rows.append((title, *change_cells(worth.others)))
    if len(rows) > 1:
        yield from table(rows)
    yield verdict(worth)


def verdict(worth: "Worth") -> str:
    gain, others = worth.adapted, worth.others
    if gain is None:
        return "With one example per label nothing can be held out, so the gain is unknown. Give two or more."
    text = "Adapting helps" if gain.difference > 0 and gain.low > 0 else "Adapting may help, but the gain may be chance"
    if gain.difference <= 0:
        text = "Adapting does not help" if gain.difference == 0 else "Adapting does harm"
    if gain.before.count < TOO_FEW:
        text += f" (only {gain.before.count} held-out examples)"
    if others is None:
        return text + ". What other labels lose is unknown: give their clips with --others."
    if others.high < 0:
        return text + "; other labels lose."
    return text + ("; other labels do not lose." if others.difference >= 0 else "; the loss of others may be chance.")


def change_cells(change: "Change") -> tuple[str, ...]:
    sides = [f"{100 * s.share:.1f}% [{100 * s.low:.0f}, {100 * s.high:.0f}]" for s in (change.before, change.after)]
    difference = f"{100 * change.difference:+.1f} [{100 * change.low:+.1f}, {100 * change.high:+.1f}]"
    return (f"{change.before.count}", *sides, difference)


def range_text(counts: list[int]) -> str:
    """`4` or `1 to 16`"""
    return f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def list_steps(model: str) -> int:
    from engines.models.checkpoint import read_model
    from training.adapt.store import known, steps

    spec = read_model(model, asked="--list")
    made = steps(spec)
    if not made:
        kind = "has label vectors from percept train" if spec.adapted else "was not adapted"
        print(f"{model}: {spec.id} {kind}")
        return 0
    print(f"{model}: {spec.id}, made from {spec.made_from}")
    labels = [each.label for each in known(spec).examples.kept]
    for line in table([("label", "examples"), *((label, f"{labels.count(label)}") for label in sorted(set(labels)))]):
        print("  " + line)
    for number, step in reversed(list(enumerate(reversed(made), 1))):
        gain = step.worth.adapted
        worth = f"{100 * gain.before.share:.1f}% -> {100 * gain.after.share:.1f}% held out" if gain else "not measured"
        print(f"step {number}, {step.date}: {counted(len(step.examples), 'example')} in total, {worth}")
    return 0


def undo_step(model: str) -> int:
    from engines.models.checkpoint import read_model
    from training.adapt.store import undo

    spec = read_model(model, asked="--undo")
    restored = undo(spec)
    origin = restored.adapted or "the words alone"
    print(f"{model}: the last adaptation is undone; label vectors are those of {origin}")
    return 0

"""`percept adapt`: a few examples a label make it better, others stay as they are, and it can be undone."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from commands.columns import table
from commands.console import Console, add_console_options
from commands.model_output import output_directory
from commands.options import Parser
from commands.training_options import add_model_options, features_folder, settings_of, tell_of_head
from pipeline.errors import ConfigError
from training.data.example import counted

if TYPE_CHECKING:
    import argparse

    from training.adapt.adapt import Result
    from training.adapt.measure import Change, Worth

DESCRIPTION = """Learn labels from 1 to 16 examples each. Only the vectors of these labels move; towers stay, and
the odds of all other labels stay the same to the last digit. How far they move is chosen by what held-out examples say;
what it is worth is measured on examples that took no part, and what it costs other labels as well."""

EPILOG = """examples:
  percept adapt percept-mini clips/ -o my-model           clips/: a folder per label
  percept adapt my-model more-clips/ -o my-model          learns from all of them together
  percept adapt percept-mini clips.csv -o my-model --others other-clips/
  percept run talk.mp4 --model my-model --labels "dog, rain"
  percept adapt --list my-model
  percept adapt --undo my-model                           as it was before the last time

Embeddings of the examples are kept in the model, so that it can learn from more later. Labels are found by their name,
without regard to case.

exit codes: 0 fine, 1 finished but some examples could not be read or --only-if-better wrote nothing, 2 usage, 3 nothing
could be read, 4 model, 5 output or internal, 130 interrupted."""

FEW_TO_KNOW = 20
"""With fewer held-out examples than this, figures are too rough to lean on."""


def make_parser() -> Parser:
    parser = Parser(prog="percept adapt", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("model", metavar="MODEL", help="percept-mini, a model directory, or a hub id")
    parser.add_argument("clips", metavar="CLIPS", nargs="?", help="a folder per label, or a CSV (file,label)")
    parser.add_argument("-o", "--output", metavar="MODEL2", help="the model directory to write; MODEL's own is fine")
    parser.add_argument(
        "--only-if-better", action="store_true",
        help="write only if held-out examples are right more often and other labels do not surely lose",
    )  # fmt: skip
    parser.add_argument("--undo", action="store_true", help="take the last adaptation of MODEL back")
    parser.add_argument("--list", action="store_true", help="what MODEL was adapted to, and what it was made from")
    group = parser.add_argument_group("data")
    group.add_argument(
        "--others", metavar="CLIPS", default="", help="labelled clips of other words, to see what these lose"
    )
    group.add_argument("--layout", metavar="NAME", default="auto", help="how CLIPS lie there (default: auto)")
    group.add_argument("--split", metavar="NAMES", default="", help="only these splits of a published data set")
    group.add_argument("--seed", metavar="N", type=int, default=0, help="which clips, where a label has more than 16")
    group.add_argument("--features", metavar="DIR", help="where features of clips are kept (default: in the cache)")
    add_model_options(parser, without=("--model",))
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    console = Console.of(options)
    if options.undo and options.list:
        raise ConfigError("--undo and --list: expected one of them")
    if options.list or options.undo:
        if options.clips or options.output:
            raise ConfigError(f"{'--list' if options.list else '--undo'}: takes MODEL alone, without CLIPS or -o")
        return told(options.model) if options.list else undone(options.model)
    if not options.clips or not options.output:
        missing = "CLIPS" if not options.clips else "-o MODEL2"
        raise ConfigError(f"{missing} is missing; expected percept adapt MODEL CLIPS -o MODEL2")
    return adapted(options, console)


def adapted(options: "argparse.Namespace", console: Console) -> int:
    from engines.models.checkpoint import read_model
    from training.adapt.adapt import Task, adapt
    from training.adapt.store import write_step

    setattr(options, "model.path", options.model)
    _, run = settings_of(options)
    spec = read_model(run.model, run.audio_model, "MODEL")
    directory = output_directory(options.output, spec.directory)
    tell_of_head(spec)
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
        yield "one label alone is told from the model's background words"
    for name, choice in result.choices.items():
        how = f"moved with pull {choice.pull:g}, share {choice.share:g}" if choice.share else "left as they were"
        yield f"{name}: vectors {how}"
    yield from worth_lines(result.worth)
    if result.failures:
        file, reason = next(iter(result.failures.items()))
        yield f"{len(result.failures)} files could not be used, such as {file}: {reason}"


def worth_lines(worth: "Worth") -> Iterator[str]:
    rows: list[tuple[str, ...]] = [("top-1, all modalities together", "n", "before", "after", "difference")]
    if worth.adapted:
        rows.append(("adapted labels, on examples held out", *change_cells(worth.adapted)))
    if worth.others:
        title = "other labels, on their clips" if worth.others_are == "given" else "a label left out, beside the others"
        rows.append((title, *change_cells(worth.others)))
    if len(rows) > 1:
        yield from table(rows)
    yield verdict(worth)


def verdict(worth: "Worth") -> str:
    gain, others = worth.adapted, worth.others
    if gain is None:
        return "With one example a label nothing can be held out: what it is worth is not known. Give two or more."
    said = "It helps" if gain.difference > 0 and gain.low > 0 else "It seems to help, but chance could do as much"
    if gain.difference <= 0:
        said = "It does not help" if gain.difference == 0 else "It does harm"
    if gain.before.count < FEW_TO_KNOW:
        said += f" ({gain.before.count} examples tell little)"
    if others is None:
        return said + ". What other labels lose is not known: give their clips with --others."
    if others.high < 0:
        return said + "; other labels lose."
    return said + ("; other labels do not lose." if others.difference >= 0 else "; what others lose could be chance.")


def change_cells(change: "Change") -> tuple[str, ...]:
    sides = [f"{100 * s.share:.1f}% [{100 * s.low:.0f}, {100 * s.high:.0f}]" for s in (change.before, change.after)]
    difference = f"{100 * change.difference:+.1f} [{100 * change.low:+.1f}, {100 * change.high:+.1f}]"
    return (f"{change.before.count}", *sides, difference)


def range_text(counts: list[int]) -> str:
    """`4` or `1 to 16`"""
    return f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def told(model: str) -> int:
    from engines.models.checkpoint import read_model
    from training.adapt.store import known, steps

    spec = read_model(model, asked="--list")
    made = steps(spec)
    if not made:
        kind = "has label vectors that percept train learnt" if spec.adapted else "was not adapted"
        print(f"{model}: {spec.id} {kind}")
        return 0
    print(f"{model}: {spec.id}, made from {spec.made_from}")
    labels = [each.label for each in known(spec).examples.kept]
    for line in table([("label", "examples"), *((label, f"{labels.count(label)}") for label in sorted(set(labels)))]):
        print("  " + line)
    for number, step in reversed(list(enumerate(reversed(made), 1))):
        gain = step.worth.adapted
        worth = f"{100 * gain.before.share:.1f}% -> {100 * gain.after.share:.1f}% held out" if gain else "not measured"
        print(f"step {number}, {step.date}: {counted(len(step.examples), 'example')} in all, {worth}")
    return 0


def undone(model: str) -> int:
    from engines.models.checkpoint import read_model
    from training.adapt.store import undo

    spec = read_model(model, asked="--undo")
    restored = undo(spec)
    left = f"as {restored.adapted} has it" if restored.adapted else "as the words alone"
    print(f"{model}: the last adaptation is taken back; labels are {left}")
    return 0

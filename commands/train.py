"""`percept train`: a fusion head, a tower, or label vectors, from labelled clips."""

import argparse
import logging
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from commands.columns import table
from commands.console import Console, add_console_options
from commands.options import Parser
from commands.training_options import add_data_options, add_model_options, features_folder, settings_of
from pipeline.errors import ConfigError
from pipeline.logs import log
from pipeline.machine import core_count
from training.data.example import counted
from training.train.plan import USUAL, TrainingPlan, check, steps_of, usual_plan

if TYPE_CHECKING:
    from training.data.example import Dataset
    from training.train.job import TrainingJob
    from training.train.split import TrainingSplit

DESCRIPTION = """Train from labelled clips: a folder per label, a CSV (file,label[,start_s,end_s,group]), or UCF101,
HMDB51, Kinetics, VGGSound, ESC-50 or AVE as published.

Clips are decoded and encoded once, into a cache. Some labels are kept novel: never trained on, only measured. Of the
others, whole groups of clips are held out. Broken off at any moment, the same command goes on from the last checkpoint
with the same curve. -o becomes a model directory for percept run --model."""

EPILOG = """what is trained
  head     a fusion head: the picture looks at motion and sound, and they at it; every tower stays as it is
  motion   the motion tower        sound   the sound tower        picture   the picture tower
  labels   label vectors alone

  percept train clips/ -o my-model
  percept train list.csv -o my-sound --what sound --base-novel 0 --epochs 10
  percept run talk.mp4 --model my-model"""

USUALLY = usual_plan("head")


def make_parser() -> Parser:
    parser = Parser(prog="percept train", description=DESCRIPTION, epilog=EPILOG)
    group = add_data_options(parser)
    parser.add_argument("-o", "--output", metavar="MODEL", type=Path, required=True, help="the model directory to make")
    parser.add_argument("--what", choices=tuple(USUAL), default="head", help="what is trained (default: head)")
    group.add_argument(
        "--split", metavar="NAME", default="",
        help="one split of a published data set, or all (default: train, where there is one)",
    )  # fmt: skip
    group.add_argument(
        "--base-novel", type=float, default=USUALLY.novel_share, metavar="SHARE",
        help="of the labels that are kept novel, chosen by --seed; 0 trains on all (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--held-out", type=float, default=USUALLY.held_out_share, metavar="SHARE",
        help="of the groups of clips that are only measured (default: %(default)s)",
    )  # fmt: skip
    _add_plan(parser.add_argument_group("how it is trained"))
    add_model_options(parser)
    add_console_options(parser)
    return parser


def _add_plan(group: Any) -> None:
    usual = "by what is trained"
    group.add_argument("--seed", type=int, default=0, help="of the split, the order and all chance (default: 0)")
    group.add_argument("--steps", type=int, default=None, help=f"(default: {usual})")
    group.add_argument("--epochs", type=float, default=None, help="in place of --steps: how often each file is seen")
    group.add_argument("--batch", type=int, default=None, help=f"clips in a step (default: {usual})")
    group.add_argument("--lr", type=float, default=None, help=f"highest learning rate (default: {usual})")
    group.add_argument(
        "--alpha", type=float, default=USUALLY.alpha,
        help="head: weight of the picture's branch in the loss against the others (default: %(default)s)",
    )  # fmt: skip
    group.add_argument("--label-smoothing", type=float, default=None, help="(default: 0.1, for label vectors 0)")
    group.add_argument(
        "--level", type=float, default=None,
        help="weight of probability against background words beside what separates labels (default: 0.5, head 0)",
    )  # fmt: skip
    group.add_argument(
        "--pull", type=float, default=None,
        help="head, labels: towards the frozen model, for labels not trained on (default: 2, label vectors 0.5)",
    )  # fmt: skip
    group.add_argument(
        "--ema", type=float, default=USUALLY.ema, help="decay of the averaged weights (default: %(default)s)"
    )
    group.add_argument(
        "--ratio", type=float, default=None,
        help="of the frozen model in the result (default: 0.5 for towers, 0 for a head or label vectors)",
    )  # fmt: skip
    group.add_argument("--no-augment", action="store_true", help="show towers the clips as they are")
    group.add_argument(
        "--every", type=int, default=USUALLY.every_steps, help="steps between checkpoints (default: %(default)s)"
    )
    group.add_argument("--threads", type=int, default=min(4, core_count()), help="(default: %(default)s)")


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    console = Console.of(options)
    plan = make_plan(options)
    from training.data.read import read_dataset
    from training.train.job import run_job
    from training.train.split import divide

    dataset = chosen(read_dataset(options.data, options.layout), options.split)
    split = divide(dataset, plan)
    for note in (*dataset.notes, *split.notes):
        console.say(note)
    if options.epochs is not None:
        plan = msgspec.structs.replace(plan, steps=steps_of(options.epochs, len(split.train), plan.batch))
    job = make_job(options, plan, split, arguments)
    console.say(parts_line(split))
    record = run_job(job, console)
    console.clear()
    print("\n".join(report_lines(record, options.output)))
    return 0


def chosen(dataset: "Dataset", split: str) -> "Dataset":
    """Its training split where there is one, so that published test clips stay unseen; or the one asked for."""
    if split == "all" or (not split and "train" not in dataset.splits):
        return dataset
    return dataset.take(split or "train")


def make_plan(options: argparse.Namespace) -> TrainingPlan:
    """Raises:
    ConfigError: options that cannot be, or that contradict each other.
    """
    if options.steps is not None and options.epochs is not None:
        raise ConfigError("--steps and --epochs: both say how long; expected one of them")
    if options.epochs is not None and not 0 < options.epochs < 1e6:
        raise ConfigError(f"--epochs {options.epochs:g}: expected more than 0")
    usual = usual_plan(options.what)
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


def make_job(
    options: argparse.Namespace, plan: TrainingPlan, split: "TrainingSplit", arguments: Sequence[str]
) -> "TrainingJob":
    """Raises:
    ConfigError: the device is not here.
    ModelError: the model cannot be found.
    """
    import torch

    from engines.models.checkpoint import read_model
    from training.train.job import TrainingJob

    torch.set_num_threads(plan.threads)
    _, run = settings_of(options, plan.threads)
    return TrainingJob(
        spec=read_model(run.model, run.audio_model),
        run=run,
        plan=plan,
        split=split,
        features=features_folder(options, run),
        out=options.output.expanduser().resolve(),
        device=device_of(run.device, torch.cuda.is_available()),
        mirror=_mirrors(plan, split),
        command=shlex.join(["percept", "train", *arguments]),
    )


def device_of(asked: str, has_cuda: bool) -> str:
    """Raises:
    ConfigError: it is not here, or unknown.
    """
    if asked == "auto":
        return "cuda" if has_cuda else "cpu"
    if asked != "cpu" and not asked.startswith("cuda"):
        raise ConfigError(f"--device {asked}: unknown; expected auto, cpu or cuda")
    if asked.startswith("cuda") and not has_cuda:
        raise ConfigError(f"--device {asked}: PyTorch sees no NVIDIA GPU here; expected cpu, or a build with CUDA")
    return asked


def _mirrors(plan: TrainingPlan, split: "TrainingSplit") -> bool:
    """Whether a mirrored clip still has its label."""
    from training.train.split import sided

    told = sided(split.labels)
    if told and plan.augment and plan.what != "sound":
        log(logging.INFO, f"clips are not mirrored, because labels tell sides: {', '.join(told[:3])}")
    return plan.augment and not told


def parts_line(split: "TrainingSplit") -> str:
    return (
        f"{counted(len(split.train), 'clip')} of {counted(len(split.base), 'base label')} to train on; held out: "
        f"{len(split.held_base)} of these, {len(split.held_novel)} of "
        f"{counted(len(split.novel), 'novel label')}"
    )


def report_lines(record: Mapping[str, Any], output: Path) -> Iterator[str]:
    """The figures before and after, with 95 % intervals."""
    yield "top-1 on held-out clips in %, with 95 % intervals"
    rows: list[tuple[str, ...]] = [("", "before", "after")]
    for side, told in (("own_side", "among its own side's labels"), ("among_all", "among all labels")):
        if side == "among_all" and not record["novel"]:
            continue
        for name, key in (("base", "base"), ("novel", "novel"), ("harmonic mean", "harmonic_mean")):
            figures = (_figure(record[when][side], key) for when in ("before", "after"))
            rows.append((f"{name} {told}" if key != "harmonic_mean" else name, *figures))
    yield from ("  " + line for line in table([row for row in rows if row[1:] != ("-", "-")]))
    plan = record["plan"]
    yield f"{plan['what']}: {plan['steps']} steps, {plan['frozen_ratio']:g} of the frozen model mixed in"
    yield from record["notes"]
    yield f"curves: {output / 'training' / 'curves.png'}"
    yield f"use it: percept run VIDEO --model {output}"


def _figure(sides: Mapping[str, Any], key: str) -> str:
    value = sides[key]
    if value is None:
        return "-"
    if key == "harmonic_mean":
        low, high = sides["harmonic_mean_95"]
        return f"{100 * value:.1f}  [{100 * low:.1f}, {100 * high:.1f}]"
    return (
        f"{100 * value['share']:.1f}  [{100 * value['low']:.1f}, {100 * value['high']:.1f}]  "
        f"{value['hits']}/{value['count']}"
    )

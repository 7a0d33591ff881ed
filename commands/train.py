"""`percept train`: train a fusion head, a tower or label vectors on labelled clips, or a tower on captions."""

import argparse
import logging
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from commands.columns import share_text, table
from commands.console import Console, add_console_options
from commands.options import Parser
from commands.train_captions import caption_lines, train_on_captions
from commands.training_options import (
    add_data_options,
    add_model_options,
    device_of,
    features_folder,
    plan_of,
    settings_of,
)
from pipeline.logs import log
from pipeline.machine import core_count
from pipeline.stage import RunSettings
from training.data.example import counted
from training.train.plan import CAPTIONS_HELD_OUT, USUAL, TrainingPlan, steps_of, usual_plan

if TYPE_CHECKING:
    from training.data.example import Dataset
    from training.train.job import TrainingJob
    from training.train.split import TrainingSplit

DESCRIPTION = """Train on labelled clips: a folder per label, a CSV (file,label[,start_s,end_s,group]), or UCF101,
HMDB51, Kinetics, VGGSound, ESC-50 or AVE as published.

Clips are decoded and encoded once, into a cache. Some labels are novel: never trained on, only measured. Whole groups
of clips of the other labels are held out. Before anything starts, it says if there are too few clips; after the first
clips and steps, how long the rest will take. If a training is interrupted, the same command resumes it from the last
checkpoint, with the same curve. The output is a model directory for percept run --model.

With --captions, DATA is a CSV (file,caption[,start_s,end_s,group]) of photos, clips or sounds, with a line per caption.
The picture or sound tower learns to bring both together. Held-out ones say how often they find each other before and
after."""

EPILOG = """what can be trained:
  head     a fusion head: cross-attention between picture and motion, and picture and sound; the towers are frozen
  motion   the motion tower        sound   the sound tower        picture   the picture tower
  labels   label vectors only

examples:
  percept train clips/ -o my-model
  percept train list.csv -o my-sound --what sound --base-novel 0 --epochs 10
  percept train photos.csv -o my-photos --captions --what picture
  percept run talk.mp4 --model my-model"""

USUALLY = usual_plan("head")


def make_parser() -> Parser:
    parser = Parser(prog="percept train", description=DESCRIPTION, epilog=EPILOG)
    group = add_data_options(parser)
    parser.add_argument(
        "-o", "--output", metavar="MODEL", type=Path, required=True, help="the model directory to write"
    )
    parser.add_argument("--what", choices=tuple(USUAL), default="head", help="what to train (default: head)")
    group.add_argument(
        "--captions", action="store_true", help="DATA is a CSV of captions (file,caption); for --what picture or sound"
    )
    group.add_argument(
        "--split", metavar="NAME", default="",
        help="one split of a published data set, or all (default: train, if it exists)",
    )  # fmt: skip
    group.add_argument(
        "--base-novel", type=float, default=None, metavar="SHARE",
        help="share of labels that are novel, chosen by --seed; 0 trains on all "
        f"(default: {USUALLY.novel_share:g})",
    )  # fmt: skip
    group.add_argument(
        "--held-out", type=float, default=None, metavar="SHARE",
        help=f"share of groups of clips that are held out (default: {USUALLY.held_out_share:g}, captions "
        f"{CAPTIONS_HELD_OUT:.2g})",
    )  # fmt: skip
    _add_plan(parser.add_argument_group("training"))
    add_model_options(parser)
    add_console_options(parser)
    return parser


def _add_plan(group: Any) -> None:
    usual = "depends on --what"
    group.add_argument("--seed", type=int, default=0, help="seed of the split, the order and augmentation (default: 0)")
    group.add_argument("--steps", type=int, default=None, help=f"number of steps (default: {usual})")
    group.add_argument("--epochs", type=float, default=None, help="instead of --steps: how often each clip is used")
    group.add_argument("--batch", type=int, default=None, help=f"clips per step (default: {usual})")
    group.add_argument("--lr", type=float, default=None, help=f"highest learning rate (default: {usual})")
    group.add_argument(
        "--alpha", type=float, default=None,
        help="head: weight of the picture branch in the loss; the others share the rest "
        f"(default: {USUALLY.alpha:g})",
    )  # fmt: skip
    group.add_argument(
        "--label-smoothing", type=float, default=None, help="of the targets (default: 0.1, label vectors 0)"
    )
    group.add_argument(
        "--level", type=float, default=None,
        help="weight of the loss against background words, which determines probabilities (default: 0.5, head 0)",
    )  # fmt: skip
    group.add_argument(
        "--pull", type=float, default=None,
        help="head, labels: penalty on the distance from the frozen model, to protect other labels "
        "(default: 2, label vectors 0.5)",
    )  # fmt: skip
    group.add_argument(
        "--ema", type=float, default=USUALLY.ema, help="decay of the moving average of weights (default: %(default)s)"
    )
    group.add_argument(
        "--ratio", type=float, default=None,
        help="share of the frozen model in the result (default: 0.5 for towers, 0 for a head or label vectors)",
    )  # fmt: skip
    group.add_argument("--no-augment", action="store_true", help="train towers without augmentation")
    group.add_argument(
        "--every", type=int, default=USUALLY.every_steps, help="steps between checkpoints (default: %(default)s)"
    )
    group.add_argument(
        "--threads", type=int, default=min(4, core_count()), help="number of threads (default: %(default)s)"
    )


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    console = Console.of(options)
    if options.captions:
        lines = caption_lines(train_on_captions(options, arguments, console), options.output)
    else:
        lines = report_lines(train_on_labels(options, arguments, console), options.output)
    console.clear()
    print("\n".join(lines))
    return 0


def train_on_labels(options: argparse.Namespace, arguments: Sequence[str], console: Console) -> dict[str, Any]:
    """Train, and return the contents of `training.json`.

    Raises:
        ConfigError: options are out of range, or there are too few clips.
        ModelError, SourceError, OutputError: as `training.train.job.run_job`.
    """
    plan = plan_of(options, usual_plan(options.what))
    run = msgspec.structs.replace(settings_of(options, [options.data]), threads=plan.threads)

    from training.data.read import read_dataset
    from training.train.job import run_job
    from training.train.split import divide, warnings

    dataset = chosen(read_dataset(options.data, options.layout), options.split)
    split = divide(dataset, plan)
    for note in (*dataset.notes, *split.notes):
        console.say(note)
    if options.epochs is not None:
        plan = msgspec.structs.replace(plan, steps=steps_of(options.epochs, len(split.train), plan.batch))
    job = make_job(options, run, plan, split, arguments)
    console.say(parts_line(split))
    for text in warnings(split, plan.what):
        console.warn(text)
    return run_job(job, console)


def chosen(dataset: "Dataset", split: str) -> "Dataset":
    """The requested split; by default the training split, if it exists, so that published test clips stay unseen."""
    if split == "all" or (not split and "train" not in dataset.splits):
        return dataset
    return dataset.take(split or "train")


def make_job(
    options: argparse.Namespace, run: RunSettings, plan: TrainingPlan, split: "TrainingSplit", arguments: Sequence[str]
) -> "TrainingJob":
    """Raises:
    ConfigError: the device is not available.
    ModelError: the model cannot be found.
    """
    import torch

    from engines.models.checkpoint import read_model
    from training.train.job import TrainingJob

    torch.set_num_threads(plan.threads)
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


def _mirrors(plan: TrainingPlan, split: "TrainingSplit") -> bool:
    """Whether clips may be mirrored: no label depends on left and right."""
    from training.train.split import sided

    sides = sided(split.labels)
    if sides and plan.augment and plan.what != "sound":
        log(logging.INFO, f"clips are not mirrored, because labels depend on left and right: {', '.join(sides[:3])}")
    return plan.augment and not sides


def parts_line(split: "TrainingSplit") -> str:
    return (
        f"training on {counted(len(split.train), 'clip')} of {counted(len(split.base), 'base label')}; held out: "
        f"{len(split.held_base)} of these labels, {len(split.held_novel)} of {counted(len(split.novel), 'novel label')}"
    )


def report_lines(record: Mapping[str, Any], output: Path) -> Iterator[str]:
    """The figures before and after, with 95 % intervals."""
    yield "top-1 on held-out clips in %, with 95 % intervals"
    rows: list[tuple[str, ...]] = [("", "before", "after")]
    for side, among in (("own_side", "among labels of its side"), ("among_all", "among all labels")):
        if side == "among_all" and not record["novel"]:
            continue
        for name, key in (("base", "base"), ("novel", "novel"), ("harmonic mean", "harmonic_mean")):
            figures = (_figure(record[when][side], key) for when in ("before", "after"))
            rows.append((f"{name} {among}" if key != "harmonic_mean" else name, *figures))
    yield from ("  " + line for line in table([row for row in rows if row[1:] != ("-", "-")]))
    plan = record["plan"]
    yield f"{plan['what']}: {plan['steps']} steps; share of the frozen model: {plan['frozen_ratio']:g}"
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
    return share_text(value)

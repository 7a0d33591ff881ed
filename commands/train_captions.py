"""`percept train --captions`: train a tower on captioned photos, clips or sounds."""

import argparse
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from commands.columns import share_text, table
from commands.console import Console
from commands.training_options import device_of, features_folder, plan_of, settings_of
from pipeline.errors import ConfigError
from training.data.example import counted
from training.train.plan import CAPTIONED, captions_plan, steps_of

if TYPE_CHECKING:
    from training.captions.split import CaptionSplit

OF_LABELS = ("split", "base_novel", "alpha", "label_smoothing", "level", "pull")
"""Options that only trainings on labels have."""
MEASURES = {
    "caption_1": "own caption first",
    "caption_10": "own caption among the first 10",
    "item_1": "of a caption, its item first",
    "item_10": "of a caption, its item among the first 10",
}


def train_on_captions(options: argparse.Namespace, arguments: Sequence[str], console: Console) -> dict[str, Any]:
    """Train, and return the contents of `training.json`.

    Raises:
        ConfigError: options do not go with captions, or the list cannot be used.
        ModelError, SourceError, OutputError: as `training.captions.job.run_job`.
    """
    check_options(options)
    run = settings_of(options, [options.data])

    import torch

    from engines.models.checkpoint import read_model
    from training.captions.job import CaptionJob, is_projection, run_job
    from training.captions.read import read_captions
    from training.captions.split import divide, warnings

    spec = read_model(run.model, run.audio_model)
    plan = plan_of(options, captions_plan(options.what, is_projection(spec, options.what)))
    listed = read_captions(options.data)
    for note in listed.notes:
        console.say(note)
    split = divide(listed, plan)
    if options.epochs is not None:
        plan = msgspec.structs.replace(plan, steps=steps_of(options.epochs, len(split.train), plan.batch))
    torch.set_num_threads(plan.threads)
    job = CaptionJob(
        spec=spec,
        run=msgspec.structs.replace(run, threads=plan.threads),
        plan=plan,
        features=features_folder(options, run),
        out=options.output.expanduser().resolve(),
        device=device_of(run.device, torch.cuda.is_available()),
        command=shlex.join(["percept", "train", *arguments]),
        name=listed.name,
        split=split,
    )
    console.say(parts_line(split))
    for text in warnings(split, plan.what):
        console.warn(text)
    return run_job(job, console)


def check_options(options: argparse.Namespace) -> None:
    """Raises:
    ConfigError: options do not go with captions.
    """
    if options.what not in CAPTIONED:
        known = " or ".join(f"--what {what}" for what in CAPTIONED)
        raise ConfigError(f"--captions: captions teach a tower, not --what {options.what}; expected {known}")
    given = [f"--{name.replace('_', '-')}" for name in OF_LABELS if getattr(options, name) not in (None, "")]
    given += [f"--layout {options.layout}"] if options.layout not in ("auto", "csv") else []
    if given:
        raise ConfigError(f"--captions: {', '.join(given)}: for labels only; leave it out")


def parts_line(split: "CaptionSplit") -> str:
    return f"learning from the captions of {counted(len(split.train), 'item')}; held out: {len(split.held)}"


def caption_lines(record: Mapping[str, Any], output: Path) -> Iterator[str]:
    """The figures before and after, with 95 % intervals."""
    held, before, after = record["held_out"], record["before"], record["after"]
    what = f"{counted(held['items'], 'held-out item')} and {counted(held['captions'], 'caption')}"
    yield f"found among {what}, in %, with 95 % intervals"
    rows = [(MEASURES[name], share_text(before[name]), share_text(after[name])) for name in MEASURES if name in after]
    yield from ("  " + line for line in table([("", "before", "after"), *rows]))
    yield from judgement(before, after)
    plan = record["plan"]
    yield f"{plan['what']}: {plan['steps']} steps; share of the frozen model: {plan['frozen_ratio']:g}"
    yield f"curves: {output / 'training' / 'curves.png'}"
    yield f"use it: percept run VIDEO --model {output}"


def judgement(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """A sentence if the trained model finds less than the one before."""
    changes = {name: after[name]["share"] - before[name]["share"] for name in after}
    fell = ", ".join(MEASURES[name] for name, change in changes.items() if change < 0)
    if fell and not any(change > 0 for change in changes.values()):
        yield (
            f"the result is worse than the model before ({fell}): keep that one, or add items, or train with a smaller "
            "--lr or a larger --ratio"
        )
    elif fell:
        yield f"the result is worse than the model before in: {fell}"

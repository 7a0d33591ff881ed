"""A training on captions, from captioned items to a model directory."""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from torch import nn

from engines.models.model import ModelSpec
from engines.models.network import network as known_network
from engines.networks.picture import ConceptPicture
from pipeline.errors import SourceError
from training.captions.read import Captioned
from training.captions.retrieval import MEASURES
from training.captions.split import CaptionSplit, refuse_few
from training.captions.texts import text_vectors
from training.captions.trainee import CaptionTrainee, Learner
from training.captions.views import Inputs, PartViews, TowerViews, Views
from training.intervals import Share
from training.train.console import Console
from training.train.job import FAILURES_SHOWN
from training.train.loop import Training
from training.train.pace import Announced
from training.train.result import stored
from training.train.state import Identity
from training.train.streams import StreamCache
from training.train.task import Task, run_once, run_steps, warn_of_removed


@dataclass(frozen=True, kw_only=True)
class CaptionJob(Task):
    """A training on captioned items. name: of their list."""

    name: str
    split: CaptionSplit


def run_job(job: CaptionJob, console: Console) -> dict[str, Any]:
    """Train, resume, or only read the result of a finished training. Returns the contents of `training.json`.

    Raises:
        ConfigError: too little data, or the folder belongs to another training.
        ModelError: the model has no such tower or cannot be saved, or the loss is no longer finite.
        SourceError: no item can be decoded.
        OutputError: a file cannot be written.
    """
    return run_once(job, identity(job), console, lambda: _train(job, console))


def identity(job: CaptionJob) -> Identity:
    """Everything that determines the result."""
    return job.identity(captions=job.split.fingerprint())


def parts_folder(job: CaptionJob) -> Path:
    """Where what a frozen network computes is kept until the training is finished. Other settings have another."""
    return job.folder / f"parts-{hashlib.sha256(msgspec.json.encode(identity(job))).hexdigest()[:12]}"


def is_projection(spec: ModelSpec, what: str) -> bool:
    """Whether captions train only a linear projection of the tower."""
    return what == "picture" and spec.image is not None and spec.image.network == "concept_picture"


def _train(job: CaptionJob, console: Console) -> dict[str, Any]:
    network = open_tower(job)
    warn_of_removed(job, console)
    cache = StreamCache(job.features / "streams", job.run, job.modality, job.tower())
    split = decoded(job, cache, console)
    texts = text_vectors(job.spec, job.modality, job.run, split.train, split.held, console.say)
    views = make_views(job, network, cache, split, console)
    trainee = CaptionTrainee(views, texts, split.train, split.held, job.tower().temperature)
    before = trainee.retrieval.figures(trainee.near(trainee.network.to(job.device).eval()))
    trained = run_steps(Training(trainee, job.plan, job.folder, job.device, MEASURES), job, console)
    after = trainee.retrieval.figures(trainee.near(trained))
    assert isinstance(trained, Learner)
    views.write(job.spec, trained.tower, job.out)
    shutil.rmtree(parts_folder(job), ignore_errors=True)
    return _record(job, split, (before, after))


def open_tower(job: CaptionJob) -> nn.Module:
    """The tower to train. Checks now, not after hours of training, that it can be saved.

    Raises:
        ModelError: the model has no such tower, or its weights could not be saved.
    """
    tower = job.tower()
    network = known_network(tower.network).load(Path(tower.directory))
    if not isinstance(network, ConceptPicture):
        stored(tower, network)
    return network


def decoded(job: CaptionJob, cache: StreamCache, console: Console) -> CaptionSplit:
    """Decode the items that are not in the cache. The split without those that cannot be, of which it warns.

    Raises:
        SourceError: no item can be decoded.
        ConfigError: too few items can be decoded.
    """
    items = (*job.split.train, *job.split.held)
    cache.fill([item.example for item in items], Announced(console, "decoding items"))
    lost = [item for item in items if not cache.clips(item.example)]
    for item in lost[:FAILURES_SHOWN]:
        path = item.example.path
        console.warn(f"skipped: {cache.failures.get(path, f'{path}: not decoded')}")
    if len(lost) > FAILURES_SHOWN:
        console.warn(f"skipped: {len(lost) - FAILURES_SHOWN} more of {len(items)} items")
    if len(lost) == len(items):
        raise SourceError(
            f"none of {len(items)} items can be decoded. Examine one with: percept check {lost[0].example.path}"
        )
    gone = set(lost)
    train, held = (tuple(item for item in part if item not in gone) for part in (job.split.train, job.split.held))
    refuse_few(f"{job.name}, without what cannot be decoded", train, held)
    return CaptionSplit(train, held)


def make_views(job: CaptionJob, network: nn.Module, cache: StreamCache, split: CaptionSplit, console: Console) -> Views:
    """What the tower, or the part of it that is trained, is given."""
    inputs = Inputs(job.tower(), cache, job.plan.augment)
    if isinstance(network, ConceptPicture):
        tick = Announced(console, "encoding items")
        return PartViews(network, inputs, split, job.plan.seed, job.device, parts_folder(job), tick)
    return TowerViews(network, job.modality, inputs)


def _record(
    job: CaptionJob, split: CaptionSplit, figures: tuple[Mapping[str, Share], Mapping[str, Share]]
) -> dict[str, Any]:
    before, after = map(msgspec.to_builtins, figures)
    return {
        "trained_on": _counts(split.train),
        "held_out": _counts(split.held),
        "not_decoded": len(job.split.train) + len(job.split.held) - len(split.train) - len(split.held),
        "before": before,
        "after": after,
    }


def _counts(items: Sequence[Captioned]) -> dict[str, int]:
    return {"items": len(items), "captions": len({caption for item in items for caption in item.captions})}

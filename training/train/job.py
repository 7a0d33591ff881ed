"""A training job, from labelled clips to a model directory."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from engines.models.network import network as known_network
from engines.networks.fusion import MovFusion
from pipeline.arrays import Array
from pipeline.errors import ConfigError, SourceError
from stages.words.labels import LabelSet, build_label_set
from training.data.example import Example
from training.feature_cache import FeatureCache
from training.features import Features
from training.train.console import Console
from training.train.evaluation import Answer, Evaluation, Figures
from training.train.head import HeadTrainee, Held
from training.train.loop import Training
from training.train.pace import Announced
from training.train.result import stored, write_head, write_tower, write_vectors
from training.train.split import LEAST_EXAMPLES, TrainingSplit
from training.train.state import Identity
from training.train.streams import StreamCache
from training.train.task import Task, run_once, run_steps, warn_of_removed
from training.train.tower import TowerTrainee, TowerView
from training.train.vectors import VectorTrainee

FAILURES_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class TrainingJob(Task):
    """A training on labelled clips."""

    split: TrainingSplit
    mirror: bool
    """Whether clips may be mirrored."""


@dataclass(frozen=True)
class Known:
    """The encoded split, without clips that could not be decoded."""

    learnt: tuple[tuple[Features, Example, int], ...]
    held: Held
    held_examples: tuple[Example, ...]
    label_set: LabelSet
    failed: int

    def pairs(self) -> list[tuple[Features, int]]:
        return [(features, label) for features, _, label in self.learnt]


AnyTrainee = HeadTrainee | VectorTrainee | TowerTrainee


def run_job(job: TrainingJob, console: Console) -> dict[str, Any]:
    """Train, resume, or only read the result of a finished training. Returns the contents of `training.json`.

    Raises:
        ConfigError: too little data, or the folder belongs to another training.
        ModelError: the model has no such tower or cannot be saved, or the loss is no longer finite.
        SourceError: no clip can be decoded.
        OutputError: a file cannot be written.
    """
    return run_once(job, identity(job), console, lambda: _train(job, console))


def identity(job: TrainingJob) -> Identity:
    """Everything that determines the result."""
    return job.identity(clips=job.split.fingerprint(), mirrored=job.mirror)


def _train(job: TrainingJob, console: Console) -> dict[str, Any]:
    tower = open_tower(job) if job.modality else None
    warn_of_removed(job, console)
    known = encoded(job, console)
    trainee = make_trainee(job, known, tower, console)
    training = Training(trainee, job.plan, job.folder, job.device)
    trained = run_steps(training, job, console)
    before = _frozen_hits(known)
    figures = (
        known.held.evaluation.figures(before, job.plan.seed),
        known.held.evaluation.figures(trainee.hits(trained), job.plan.seed),
    )
    _write(job, trainee, trained)
    return _record(job, known, trainee, figures)


def encoded(job: TrainingJob, console: Console) -> Known:
    """Encode the clips that are not in the cache. Clips that cannot be decoded are skipped, with a warning.

    Raises:
        SourceError: no clip can be decoded.
        ConfigError: too few clips of a base label can be decoded.
    """
    split = job.split
    cache = FeatureCache(job.features, job.run)
    wanted = (*split.train, *split.held_out)
    cache.fill(wanted, console.say, Announced(console, "encoding clips"))
    found = {example: features for example in wanted if (features := cache.get(example)) is not None}
    _report_failures(wanted, found, cache, console)
    place = {label: index for index, label in enumerate(split.labels)}
    learnt = tuple((found[e], e, place[e.label]) for e in split.train if e in found)
    _refuse_few(split, learnt)
    held = tuple(example for example in split.held_out if example in found)
    evaluation = Evaluation(held, split.labels, split.novel)
    label_set = build_label_set(job.spec, split.labels, job.run, console.say)
    parts = Held(split.base, tuple(found[example] for example in held), evaluation)
    return Known(learnt, parts, held, label_set, len(wanted) - len(found))


def _report_failures(
    wanted: Sequence[Example], found: dict[Example, Features], cache: FeatureCache, console: Console
) -> None:
    lost = [example for example in wanted if example not in found]
    for example in lost[:FAILURES_SHOWN]:
        console.warn(f"skipped: {cache.failures.get(cache.key(example), f'{example.path}: not encoded')}")
    if len(lost) > FAILURES_SHOWN:
        console.warn(f"skipped: {len(lost) - FAILURES_SHOWN} more of {len(wanted)} clips")
    if not found:
        raise SourceError(f"none of {len(wanted)} clips can be decoded. Examine one with: percept check {lost[0].path}")


def _refuse_few(split: TrainingSplit, learnt: Sequence[tuple[Features, Example, int]]) -> None:
    counts = Counter(example.label for _, example, _ in learnt)
    few = [f"{label} ({counts[label]})" for label in split.base if counts[label] < LEAST_EXAMPLES]
    if few:
        raise ConfigError(
            f"too few clips can be decoded: {', '.join(few)}; expected at least {LEAST_EXAMPLES} of each label"
        )


def open_tower(job: Task) -> torch.nn.Module:
    """The network to train. Checks now, not after hours of training, that it can be saved.

    Raises:
        ModelError: the model has no such tower, or its weights could not be saved.
    """
    tower = job.tower()
    network = known_network(tower.network).load(Path(tower.directory))
    stored(tower, network)
    return network


def make_trainee(job: TrainingJob, known: Known, tower: torch.nn.Module | None, console: Console) -> AnyTrainee:
    """The trainee that `--what` selects."""
    plan = job.plan
    if tower is not None:
        return _tower_trainee(job, known, tower, console)
    if plan.what == "labels":
        return VectorTrainee(known.label_set, plan, known.pairs(), known.held)
    return HeadTrainee(job.spec, known.label_set, plan, known.pairs(), known.held)


def _tower_trainee(job: TrainingJob, known: Known, network: torch.nn.Module, console: Console) -> TowerTrainee:
    modality, tower = job.modality, job.tower()
    cache = StreamCache(job.features / "streams", job.run, modality, tower)
    features = {example: features for features, example, _ in known.learnt}
    features |= dict(zip(known.held_examples, known.held.known, strict=True))
    having = [example for example, of in features.items() if modality in of.tokens]
    cache.fill(having, Announced(console, f"storing {modality} inputs"))
    for reason in list(cache.failures.values())[:FAILURES_SHOWN]:
        console.warn(f"skipped: {reason}")
    view = TowerView(modality, tower, job.mirror)
    learnt = [(example, label) for _, example, label in known.learnt]
    held = known.held, known.held_examples
    trainee = TowerTrainee(network, view, known.label_set, job.plan, learnt, held, cache)
    if not trainee.items:
        raise ConfigError(f"--what {job.plan.what}: no training clip has input for the {modality} tower")
    return trainee


def _frozen_hits(known: Known) -> Array:
    answers = [Answer(features.embeddings, features.signals) for features in known.held.known]
    return known.held.evaluation.hits(known.label_set, answers)


def _write(job: TrainingJob, trainee: AnyTrainee, trained: torch.nn.Module) -> None:
    spec, base = job.spec, job.split.base
    if isinstance(trained, MovFusion):
        write_head(spec, trained, base, job.out)
    elif isinstance(trainee, VectorTrainee):
        write_vectors(spec, base, _moves(job, trainee.label_set(trained)), job.out)
    else:
        write_tower(spec, job.modality, trained, job.out)


def _moves(job: TrainingJob, moved: LabelSet) -> dict[str, Array]:
    """By how much training has moved the base labels from the vectors of their words: "C D" by modality."""
    base = job.split.base
    words = msgspec.structs.replace(job.spec, adapted="")
    own = build_label_set(words, base, job.run, lambda message: None)
    return {name: side.labels[: len(base)] - own.sides[name].labels for name, side in moved.sides.items()}


def _record(job: TrainingJob, known: Known, trainee: AnyTrainee, figures: tuple[Figures, Figures]) -> dict[str, Any]:
    split = job.split
    return {
        "base": split.base,
        "novel": split.novel,
        "trained_on": {"clips": len(known.learnt), "items": trainee.items, "not_decoded": known.failed},
        "before": msgspec.to_builtins(figures[0]),
        "after": msgspec.to_builtins(figures[1]),
        "notes": split.notes,
    }

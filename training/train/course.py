"""One `percept train`, from labelled clips to a model directory."""

import hashlib
import platform
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import torch

from engines.models.model import ModelSpec
from engines.models.network import network as known_network
from engines.networks.fusion import MovFusion
from pipeline.arrays import Array
from pipeline.errors import ConfigError, ModelError, SourceError
from pipeline.stage import RunSettings
from stages.words.labels import LabelSet, build_label_set
from training.data.example import Example
from training.features import FeatureCache, Features, fingerprint
from training.train.exam import Answer, Exam, Figures
from training.train.head import HeadTrainee, Held
from training.train.loop import CURVES, PICTURE, Training
from training.train.material import LEAST_EXAMPLES, Material
from training.train.plan import USUAL, Plan
from training.train.result import stored, write_head, write_tower, write_vectors
from training.train.state import CHECKPOINT, RECORD, Identity, claim, write_whole
from training.train.streams import StreamCache
from training.train.tower import Look, TowerTrainee
from training.train.vectors import VectorTrainee
from training.train.voice import Voice

FAILURES_TOLD = 5


@dataclass(frozen=True)
class Course:
    """What is trained on what, and where to."""

    spec: ModelSpec
    run: RunSettings
    plan: Plan
    material: Material
    features: Path
    """Folder of what the towers made of clips."""
    out: Path
    device: str
    mirror: bool
    command: str

    @property
    def folder(self) -> Path:
        """Of the checkpoint and the curves."""
        return self.out / "training"


@dataclass(frozen=True)
class Known:
    """The material as the encoder knows it, without what could not be decoded."""

    learnt: tuple[tuple[Features, Example, int], ...]
    held: Held
    held_examples: tuple[Example, ...]
    label_set: LabelSet
    failed: int

    def pairs(self) -> list[tuple[Features, int]]:
        return [(features, label) for features, _, label in self.learnt]


AnyTrainee = HeadTrainee | VectorTrainee | TowerTrainee


def follow(course: Course, voice: Voice) -> dict[str, Any]:
    """Train, or go on, or only read what a finished training found; gives what stands in `training.json`.

    Raises:
        ConfigError: too little to train on, or the folder belongs to another training.
        ModelError: the model cannot be trained so, or the loss is no longer finite.
        SourceError: nothing can be decoded.
        OutputError: nothing can be written any more.
    """
    with claim(course.folder, identity(course)):
        record = course.out / RECORD
        if record.is_file():
            voice.say(f"{course.out}: is trained already; these are its figures")
            found: dict[str, Any] = msgspec.json.decode(record.read_bytes())
            return found
        return _train(course, voice)


def identity(course: Course) -> Identity:
    """All that decides the result."""
    facts = {name.replace("_", " "): value for name, value in msgspec.to_builtins(course.plan).items()}
    read = [(tower.prompts, tower.prompt_weights, tower.temperature) for tower in course.spec.towers().values()]
    more = {
        "model": course.spec.id,
        "prompts": hashlib.sha256(repr(read).encode()).hexdigest()[:12],
        "towers": fingerprint(course.spec, course.run),
        "clips": course.material.fingerprint(),
        "mirrored": course.mirror,
        "device": course.device,
    }
    return Identity(facts=facts | more)


def _train(course: Course, voice: Voice) -> dict[str, Any]:
    began_s = time.monotonic()
    tower = open_tower(course, voice) if USUAL[course.plan.what].modality else None
    if course.spec.open_set and course.plan.what != "labels":
        voice.warn("when no label fits was calibrated on the model as it was: the result goes without it; calibrate it")
    known = encoded(course, voice)
    trainee = make_trainee(course, known, tower, voice)
    training = Training(trainee, course.plan, course.folder, course.device)
    if training.done:
        voice.say(f"going on from step {training.done} ({course.folder / CHECKPOINT})")
    voice.begin(f"training {course.plan.what}: step", course.plan.steps)
    trained = training.run(lambda row: voice.tell(int(row["step"]), {k: v for k, v in row.items() if k != "step"}))
    voice.clear()
    before = _frozen_hits(known)
    figures = (
        known.held.exam.figures(before, course.plan.seed),
        known.held.exam.figures(trainee.hits(trained), course.plan.seed),
    )
    _write(course, trainee, trained)
    record = _record(course, known, trainee, figures) | {"seconds": round(time.monotonic() - began_s, 1)}
    write_whole(course.out / RECORD, msgspec.json.format(msgspec.json.encode(record), indent=2))
    (course.folder / CHECKPOINT).unlink(missing_ok=True)
    return record


def encoded(course: Course, voice: Voice) -> Known:
    """Decode and encode what is not in the cache yet; clips that cannot be are left out aloud.

    Raises:
        SourceError: none can be.
        ConfigError: of a label to train on, too few can be.
    """
    material = course.material
    cache = FeatureCache(course.features, course.run)
    wanted = (*material.train, *material.held_out)
    voice.begin("encoding clips:", len(wanted))
    cache.fill(wanted, voice.say, lambda done, total, failed: voice.tell(done, {"failed": failed}))
    voice.clear()
    found = {example: features for example in wanted if (features := cache.get(example)) is not None}
    _tell_failures(wanted, found, cache, voice)
    place = {label: index for index, label in enumerate(material.labels)}
    learnt = tuple((found[e], e, place[e.label]) for e in material.train if e in found)
    _refuse_few(material, learnt)
    held = tuple(example for example in material.held_out if example in found)
    exam = Exam(held, material.labels, material.novel)
    label_set = build_label_set(course.spec, material.labels, course.run, voice.say)
    parts = Held(material.base, tuple(found[example] for example in held), exam)
    return Known(learnt, parts, held, label_set, len(wanted) - len(found))


def _tell_failures(
    wanted: Sequence[Example], found: dict[Example, Features], cache: FeatureCache, voice: Voice
) -> None:
    lost = [example for example in wanted if example not in found]
    for example in lost[:FAILURES_TOLD]:
        voice.warn(f"left out: {cache.failures.get(cache.key(example), f'{example.path}: not encoded')}")
    if len(lost) > FAILURES_TOLD:
        voice.warn(f"left out: {len(lost) - FAILURES_TOLD} more of {len(wanted)} clips")
    if not found:
        raise SourceError(f"none of {len(wanted)} clips can be decoded. Look at one with: percept check {lost[0].path}")


def _refuse_few(material: Material, learnt: Sequence[tuple[Features, Example, int]]) -> None:
    counts = Counter(example.label for _, example, _ in learnt)
    few = [f"{label} ({counts[label]})" for label in material.base if counts[label] < LEAST_EXAMPLES]
    if few:
        raise ConfigError(f"too few clips can be decoded: {', '.join(few)}; expected {LEAST_EXAMPLES} of each label")


def open_tower(course: Course, voice: Voice) -> torch.nn.Module:
    """The network to train; what cannot be trained, or not be written again, is told before hours are spent.

    Raises:
        ModelError: the model has no such tower, or its weights could not be written again.
    """
    modality = USUAL[course.plan.what].modality
    towers = {name: tower for name, tower in course.spec.towers().items() if name in course.run.modalities}
    if modality not in towers:
        has = ", ".join(towers)
        raise ModelError(f"--what {course.plan.what}: {course.spec.id} has no {modality} tower (it has: {has})")
    network = known_network(towers[modality].network).load(Path(towers[modality].directory))
    stored(towers[modality], network)
    if course.spec.fusion is not None:
        voice.warn("the model's fusion head was trained on the tower as it was: the result goes without it")
    return network


def make_trainee(course: Course, known: Known, tower: torch.nn.Module | None, voice: Voice) -> AnyTrainee:
    """What `--what` asks for."""
    plan = course.plan
    if tower is not None:
        return _tower_trainee(course, known, tower, voice)
    if plan.what == "labels":
        return VectorTrainee(known.label_set, plan, known.pairs(), known.held)
    return HeadTrainee(course.spec, known.label_set, plan, known.pairs(), known.held)


def _tower_trainee(course: Course, known: Known, network: torch.nn.Module, voice: Voice) -> TowerTrainee:
    modality = USUAL[course.plan.what].modality
    tower = course.spec.towers()[modality]
    cache = StreamCache(course.features / "streams", course.run, modality, tower)
    features = {example: features for features, example, _ in known.learnt}
    features |= dict(zip(known.held_examples, known.held.known, strict=True))
    having = [example for example, of in features.items() if modality in of.tokens]
    voice.begin(f"keeping what the {modality} tower is shown:", len(having))
    cache.fill(having, lambda done, total, failed: voice.tell(done, {"failed": failed}))
    voice.clear()
    for reason in list(cache.failures.values())[:FAILURES_TOLD]:
        voice.warn(f"left out: {reason}")
    look = Look(modality, tower, course.mirror)
    learnt = [(example, label) for _, example, label in known.learnt]
    held = known.held, known.held_examples
    trainee = TowerTrainee(network, look, known.label_set, course.plan, learnt, held, cache)
    if not trainee.items:
        raise ConfigError(f"--what {course.plan.what}: no clip to train on has anything for the {modality} tower")
    return trainee


def _frozen_hits(known: Known) -> Array:
    answers = [Answer(features.embeddings, features.signals) for features in known.held.known]
    return known.held.exam.hits(known.label_set, answers)


def _write(course: Course, trainee: AnyTrainee, trained: torch.nn.Module) -> None:
    spec, base = course.spec, course.material.base
    if isinstance(trained, MovFusion):
        write_head(spec, trained, base, course.out)
    elif isinstance(trainee, VectorTrainee):
        write_vectors(spec, base, _moves(course, trainee.label_set(trained)), course.out)
    else:
        write_tower(spec, USUAL[course.plan.what].modality, trained, course.out)


def _moves(course: Course, moved: LabelSet) -> dict[str, Array]:
    """From the base labels' own words to where training has moved them: "C D" by modality."""
    base = course.material.base
    words = msgspec.structs.replace(course.spec, adapted="")
    own = build_label_set(words, base, course.run, lambda message: None)
    return {name: side.labels[: len(base)] - own.sides[name].labels for name, side in moved.sides.items()}


def _record(course: Course, known: Known, trainee: AnyTrainee, figures: tuple[Figures, Figures]) -> dict[str, Any]:
    material = course.material
    return {
        "command": course.command,
        "plan": msgspec.to_builtins(course.plan),
        "identity": identity(course).facts,
        "base": material.base,
        "novel": material.novel,
        "trained_on": {"clips": len(known.learnt), "items": trainee.items, "not_decoded": known.failed},
        "before": msgspec.to_builtins(figures[0]),
        "after": msgspec.to_builtins(figures[1]),
        "frozen_ratio": course.plan.frozen_ratio,
        "notes": material.notes,
        "versions": {name: version(name) for name in ("torch", "kornia", "transformers", "numpy")},
        "machine": f"{platform.machine()} {platform.system()}, device {course.device}",
        "curves": [f"training/{CURVES}", f"training/{PICTURE}"],
    }

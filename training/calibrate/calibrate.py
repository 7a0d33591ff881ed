"""Calibrates a model on labelled clips and measures the result on held-out ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from engines.models.checkpoint import read_model
from engines.models.model import ModelSpec
from pipeline.arrays import Array
from pipeline.errors import ConfigError
from pipeline.stage import RunSettings
from stages.words.head_share import is_base
from stages.words.labels import build_label_set
from stages.words.open_set import SourceClips
from stages.words.word import SYNONYM, words_of
from training.adapt.folds import clip_folds
from training.adapt.gather import gather, read_split
from training.calibrate.measure import Kind, Trust, Unknown, kinds, measure_unknown, trust, units_of
from training.calibrate.temperature import HeadLabels, HeadShares, Scales, Scene, fit, losses, scaled
from training.calibrate.units import Units, make_units
from training.calibrate.unknown import Judge, threshold_for
from training.data.example import Example, counted
from training.data.media import media_files
from training.evaluate.head import opened_head
from training.feature_cache import FeatureCache, Report, Tick
from training.intervals import Share, wilson

FOLDS = 5
MOST_SOURCE = 400
"""At most this many clips of the source are kept in the model."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    data: str
    unlabelled: tuple[str, ...] = ()
    """Files and folders of clips of the source."""
    false_alarms: float = 0.05
    layout: str = "auto"
    split: str = ""
    seed: int = 0
    features: Path


@dataclass(frozen=True)
class Result:
    labels: tuple[str, ...]
    examples: int
    clips: int
    right: Share
    """How often the best label is right."""
    before: Trust
    after: Trust
    kinds: tuple[Kind, ...]
    scales_before: Scales
    scales: Scales
    unknown: Unknown
    threshold: float
    source: SourceClips
    failures: dict[str, str]

    @property
    def worse(self) -> tuple[str, ...]:
        """Which of the two figures on held-out clips got worse."""
        pairs = {
            "calibration error": (self.before.probability, self.after.probability),
            "log loss": (self.before.log_loss, self.after.log_loss),
        }
        return tuple(name for name, (before, after) in pairs.items() if after.value > before.value)


def check_false_alarms(share: float) -> None:
    """Raises: ConfigError: it is not a share."""
    if not 0 < share < 1:
        raise ConfigError(f"--false-alarms {share:g}: expected a share between 0 and 1, such as 0.05")


def calibrate(
    task: Task, run: RunSettings, report: Report, encoded: Tick | None = None, show: Report | None = None
) -> Result:
    """show: receives a line about each fold as soon as it is fitted.

    Raises: ConfigError, ModelError: the task cannot be done. SourceError: no clip could be read.
    """
    check_false_alarms(task.false_alarms)
    spec = read_model(run.model, run.audio_model)
    dataset = read_split(task.data, task.layout, task.split)
    for note in dataset.notes:
        report(note)
    cache = FeatureCache(task.features, run)
    given = gather(cache, dataset.examples, report, encoded)
    used = {example.label for example in given.examples}
    labels = tuple(label for label in dataset.labels if label in used)
    if len(labels) < 2:
        raise ConfigError(f"{task.data}: has only the label {labels[0]!r}; expected two or more labels")
    label_set = build_label_set(msgspec.structs.replace(spec, open_set=""), labels, run, report)
    place = {label: index for index, label in enumerate(labels)}
    right = [place[example.label] for example in given.examples]
    with opened_head(spec, run, report) as head:
        units = make_units(given.features, right, label_set.sides, head=head)
        source, failures = units.clips, dict(given.failures)
        if task.unlabelled:
            rest = gather(cache, unlabelled(task.unlabelled), report, encoded)
            source = make_units(rest.features, [0] * len(rest.features), label_set.sides, head=head).clips
            failures |= rest.failures
    if not len(units):
        raise ConfigError(f"{task.data}: no clip has anything to see or hear; expected clips of these labels")
    if task.unlabelled:
        refuse_foreign(source, units)
    source = some(source, MOST_SOURCE, task.seed)
    folds = [units_of(units, fold) for fold in clip_folds(right, [each.group for each in given.examples], FOLDS)]
    if len(folds) < 2:
        raise ConfigError(f"{task.data}: every label has one example; expected several, of which some are held out")
    scene = Scene.of(units, label_set.sides, _head_labels(spec, labels))
    found = _fitted(scene, folds, show or (lambda text: None))
    sides = scaled(label_set.sides, scene.start.towers | found.scales.towers)
    share = None if scene.head is None or found.scales.head is None else found.scales.head.of(scene.head.is_base)
    usual = source if task.unlabelled else None
    unknown = measure_unknown(units, usual, sides, folds, labels, task.false_alarms, share)
    threshold = threshold_for(Judge(units, source, sides, share).scores(range(len(labels))), task.false_alarms)
    return Result(
        labels=labels,
        examples=len(given.examples),
        clips=len(units),
        right=found.right,
        before=found.before,
        after=found.after,
        kinds=found.kinds,
        scales_before=scene.start,
        scales=found.scales,
        unknown=unknown,
        threshold=threshold,
        source=source,
        failures=failures,
    )


def unlabelled(paths: Sequence[str]) -> list[Example]:
    """The media files at these paths, as examples. Raises: ConfigError: a path has none."""
    found = []
    for path in map(Path, paths):
        files = [path] if path.is_file() else list(media_files(path))
        if not files:
            raise ConfigError(f"--unlabelled {path}: no media found; expected files or folders of clips")
        found += [Example(str(file), "") for file in files]
    return found


def refuse_foreign(source: SourceClips, units: Units) -> None:
    """Raises: ConfigError: the unlabelled clips have no modality in common with the labelled ones."""
    has, wanted = (sorted(name for name, of in clips.embeddings.items() if of.any()) for clips in (source, units.clips))
    if not set(has) & set(wanted):
        raise ConfigError(
            f"--unlabelled: the clips have {', '.join(has) or 'nothing to see or hear'}; expected "
            f"{' or '.join(wanted)}, as in the labelled clips. Give clips of that kind, or omit --unlabelled."
        )


def some(clips: SourceClips, most: int, seed: int) -> SourceClips:
    """Up to `most` of the clips, drawn by the seed."""
    count = len(clips.signals)
    if count <= most:
        return clips
    return clips.take(np.sort(np.random.default_rng(seed).permutation(count)[:most]))


def _head_labels(spec: ModelSpec, labels: Sequence[str]) -> HeadLabels | None:
    if spec.fusion is None:
        return None
    shares = HeadShares(spec.fusion.base_share, spec.fusion.novel_share)
    return HeadLabels(shares, is_base(spec.fusion, tuple(SYNONYM.join(word.names) for word in words_of(labels))))


@dataclass(frozen=True)
class _Fitted:
    scales: Scales
    before: Trust
    after: Trust
    kinds: tuple[Kind, ...]
    right: Share


def _fitted(scene: Scene, folds: Sequence[Array], show: Report) -> _Fitted:
    """Scales fitted to all clips, and figures of held-out clips, scored with scales fitted to the others."""
    units = scene.units
    everything = np.arange(len(units))
    before = scene.pooled(scene.start)
    after = np.zeros_like(before)
    for number, held in enumerate(folds, 1):
        after[held] = scene.take(held).pooled(fit(scene.take(np.setdiff1d(everything, held))))
        was, now = (float(losses(pooled[held], units.right[held]).mean()) for pooled in (before, after))
        show(f"fold {number} of {len(folds)}: log loss {was:.3f} -> {now:.3f} on {counted(len(held), 'held-out clip')}")
    right = [bool(hit) for hit in before.argmax(axis=1) == units.right]
    return _Fitted(
        fit(scene),
        trust(before, units),
        trust(after, units),
        kinds(before, after, units),
        wilson(sum(right), len(right)),
    )

"""Calibrates a model on labelled clips and measures the result on held-out ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from engines.models.checkpoint import read_model
from pipeline.arrays import Array
from pipeline.errors import ConfigError
from pipeline.stage import RunSettings
from stages.words.label_side import LabelSide
from stages.words.labels import build_label_set
from stages.words.open_set import SourceClips
from training.adapt.folds import clip_folds
from training.adapt.gather import gather, read_split
from training.calibrate.measure import Trust, Unknown, measure_unknown, trust, units_of
from training.calibrate.temperature import Scale, Scene, fit, scaled, scales_of
from training.calibrate.units import Units, make_units
from training.calibrate.unknown import Judge, threshold_for
from training.data.example import Example
from training.data.media import media_files
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
    scales_before: dict[str, Scale]
    scales: dict[str, Scale]
    unknown: Unknown
    threshold: float
    source: SourceClips
    failures: dict[str, str]


def check_false_alarms(share: float) -> None:
    """Raises: ConfigError: it is not a share."""
    if not 0 < share < 1:
        raise ConfigError(f"--false-alarms {share:g}: expected a share between 0 and 1, such as 0.05")


def calibrate(task: Task, run: RunSettings, report: Report, encoded: Tick | None = None) -> Result:
    """Raises: ConfigError, ModelError: the task cannot be done. SourceError: no clip could be read."""
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
    units = make_units(given.features, right, label_set.sides)
    if not len(units):
        raise ConfigError(f"{task.data}: no clip has anything to see or hear; expected clips of these labels")
    source, failures = units.clips, dict(given.failures)
    if task.unlabelled:
        rest = gather(cache, unlabelled(task.unlabelled), report, encoded)
        source = make_units(rest.features, [0] * len(rest.features), label_set.sides).clips
        refuse_foreign(source, units)
        failures |= rest.failures
    source = some(source, MOST_SOURCE, task.seed)
    folds = [units_of(units, fold) for fold in clip_folds(right, [each.group for each in given.examples], FOLDS)]
    if len(folds) < 2:
        raise ConfigError(f"{task.data}: every label has one example; expected several, of which some are held out")
    found = _fitted(units, label_set.sides, folds)
    sides = scaled(label_set.sides, found.scales)
    unknown = measure_unknown(units, source if task.unlabelled else None, sides, folds, labels, task.false_alarms)
    threshold = threshold_for(Judge(units, source, sides).scores(range(len(labels))), task.false_alarms)
    return Result(
        labels=labels,
        examples=len(given.examples),
        clips=len(units),
        right=found.right,
        before=found.before,
        after=found.after,
        scales_before=scales_of(label_set.sides),
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
    rows = np.sort(np.random.default_rng(seed).permutation(count)[:most])
    return SourceClips({name: of[rows] for name, of in clips.embeddings.items()}, [clips.signals[row] for row in rows])


@dataclass(frozen=True)
class _Fitted:
    scales: dict[str, Scale]
    before: Trust
    after: Trust
    right: Share


def _fitted(units: Units, sides: Mapping[str, LabelSide], folds: Sequence[Array]) -> _Fitted:
    """Scales fitted to all clips, and errors from held-out clips, scored with scales fitted to the others."""
    everything = np.arange(len(units))
    before = Scene.of(units, sides).pooled(scales_of(sides))
    after = np.zeros_like(before)
    for held in folds:
        scales = scales_of(sides) | fit(Scene.of(units.take(np.setdiff1d(everything, held)), sides))
        after[held] = Scene.of(units.take(held), sides).pooled(scales)
    right = [bool(hit) for hit in before.argmax(axis=1) == units.right]
    scales = scales_of(sides) | fit(Scene.of(units, sides))
    return _Fitted(scales, trust(before, units), trust(after, units), wilson(sum(right), len(right)))

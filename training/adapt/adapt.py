"""Adapts a model to a few clips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from engines.models.checkpoint import read_model
from engines.models.model import ModelSpec
from pipeline.arrays import Array
from pipeline.errors import ConfigError
from pipeline.stage import RunSettings
from stages.fuse import Fuse
from stages.words.adapted import moved
from stages.words.descriptions import plain
from stages.words.label_side import LabelSide
from stages.words.labels import build_label_set
from stages.words.open_set import is_changed
from stages.words.word import parse_word
from training.adapt.adapter import Adapter
from training.adapt.examples import Examples, Kept, of_features
from training.adapt.gather import Gathered, at_most, gather, read_split
from training.adapt.learn import Choice
from training.adapt.measure import Tick, Worth, measure
from training.adapt.store import Known, known
from training.data.example import Example
from training.evaluate.head import fused_embeddings, opened_head
from training.feature_cache import FeatureCache, Report
from training.feature_cache import Tick as Encoded
from training.features import Features

FEW = 16
"""At most this many examples per label are used."""
OTHER_MEANING = 0.99
"""If there is only one label, background words that compete with it at least this much serve as other labels."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    clips: str
    others: str = ""
    """Labelled clips of other labels, to measure what these lose."""
    layout: str = "auto"
    split: str = ""
    seed: int = 0
    features: Path


@dataclass(frozen=True)
class Result:
    """deltas: "D" by modality and label, in total. known: what they are learnt from. worth: the measured gain."""

    deltas: dict[str, dict[str, Array]]
    known: Known
    choices: dict[str, Choice]
    worth: Worth
    labels: tuple[str, ...]
    """Labels of the new clips."""
    added: int
    failures: dict[str, str]


def adapt(
    task: Task, run: RunSettings, report: Report, encoded: Encoded | None = None, tick: Tick | None = None
) -> Result:
    """Raises: ConfigError, ModelError: the task cannot be done. SourceError: no clip could be read."""
    spec = read_model(run.model, run.audio_model)
    before = known(spec)
    cache = FeatureCache(task.features, run)
    given = _gathered(task.clips, task, cache, report, encoded, FEW)
    rest = _gathered(task.others, task, cache, report, encoded, 10**9) if task.others else Gathered((), (), {})
    with opened_head(spec, run, report) as head:
        new = _examples(given, cache, {plain(label): label for label in before.examples.labels}, head)
        others = _examples(rest, cache, {}, head)
    failures = dict(given.failures) | rest.failures
    _check_apart(new, others)
    together = replace(before, examples=before.examples.with_more(new).ordered())
    adapter = make_adapter(spec, run, together, others, report)
    first_other = len(together.examples.kept)
    worth = measure(adapter, np.arange(first_other, len(adapter.right)), tick or (lambda done, total: None))
    learnt = adapter.learn(np.arange(first_other), np.arange(adapter.first_rival))
    deltas = _all_deltas(adapter, learnt.deltas, together)
    return Result(deltas, together, dict(learnt.choices), worth, new.labels, len(new.kept), failures)


def _gathered(
    path: str, task: Task, cache: FeatureCache, report: Report, encoded: Encoded | None, most: int
) -> Gathered:
    dataset = read_split(path, task.layout, task.split)
    for note in dataset.notes:
        report(note)
    chosen = at_most(dataset.examples, most, task.seed)
    if len(chosen) < len(dataset.examples):
        report(f"{path}: {len(chosen)} of {len(dataset.examples)} examples are used, at most {most} per label")
    return gather(cache, chosen, report, encoded)


def _examples(given: Gathered, cache: FeatureCache, before: Mapping[str, str], head: Fuse | None) -> Examples:
    """before: the labels that the model is already adapted to, by their `plain` form. head: the fusion head."""
    kept = []
    for example, features in zip(given.examples, given.features, strict=True):
        label = _label(example)
        signals = {kind: dict(values) for kind, values in features.signals.items()}
        kept.append(
            Kept(cache.key(example), before.get(plain(label), label), Path(example.path).name, example.group, signals)
        )
    fused = [_fused(head, features) for features in given.features] if head is not None else ()
    return of_features(kept, [features.embeddings for features in given.features], fused)


def _fused(head: Fuse, features: Features) -> dict[str, Array]:
    """The embeddings after the head, "D" by modality; empty if it does not change them."""
    fused = fused_embeddings(head, features, features.embeddings)
    return fused if is_changed(features.embeddings, fused) else {}


def _label(example: Example) -> str:
    """The label as a run shows it: the first synonym."""
    word = parse_word(example.label.replace("_", " "))
    if word is None:
        raise ConfigError(f"{example.path}: its label is {example.label!r}; expected a word")
    return word.name


def _check_apart(new: Examples, others: Examples) -> None:
    both = {plain(label) for label in new.labels} & {plain(label) for label in others.labels}
    if both:
        raise ConfigError(f"--others: {sorted(both)[0]!r} is among the labels to adapt; expected other labels")


def make_adapter(spec: ModelSpec, run: RunSettings, at: Known, others: Examples, report: Report) -> Adapter:
    """The labels to learn, sorted by name, then as rivals those of `others`.

    A single label without others has background words as rivals.
    """
    words = msgspec.structs.replace(spec, adapted="")
    labels = tuple(sorted(at.examples.labels))
    rivals = tuple(sorted(others.labels)) or (_rivals(words, run, labels, report) if len(labels) == 1 else ())
    built = build_label_set(words, (*labels, *rivals), run, report)
    sides = {name: _started(side, labels, at.starts.get(name, {})) for name, side in built.sides.items()}
    every = (*labels, *rivals)
    return Adapter(at.examples.with_more(others), every, sides, len(labels), built.head_share)


def _rivals(spec: ModelSpec, run: RunSettings, labels: tuple[str, ...], report: Report) -> tuple[str, ...]:
    built = build_label_set(spec, labels, run, report)
    apart = np.min([side.kept[0] for side in built.sides.values()], axis=0) >= OTHER_MEANING
    taken = {plain(label) for label in labels}
    return tuple(word for word, far in zip(built.background, apart, strict=True) if far and plain(word) not in taken)


def _started(side: LabelSide, labels: Sequence[str], starts: Mapping[str, Array]) -> LabelSide:
    """The side with the vectors that were trained elsewhere."""
    if not any(label in starts for label in labels):
        return side
    deltas = np.zeros_like(side.labels)
    for row, label in enumerate(labels):
        deltas[row] = starts.get(label, 0.0)
    return replace(side, labels=moved(side.labels, deltas))


def _all_deltas(adapter: Adapter, learnt: Mapping[str, Array], at: Known) -> dict[str, dict[str, Array]]:
    """Deltas from the vectors of the words, even for labels that started from vectors trained elsewhere."""
    found = {name: dict(deltas) for name, deltas in at.deltas.items()}
    labels = adapter.labels[: adapter.first_rival]
    for name, deltas in learnt.items():
        started = at.starts.get(name, {})
        found[name] = dict(started)
        for row, label in enumerate(labels):
            found[name][label] = _composed(adapter.problems[name].words[row], deltas[row], started.get(label))
    return found


def _composed(vector: Array, delta: Array, start: Array | None) -> Array:
    """One delta for two moves: `vector` is the word's vector moved by `start`, and is moved further by `delta`."""
    if start is None:
        return delta
    if not delta.any():
        return start
    # norm(t + start) + delta has the direction of (t + start) + |t + start| delta; vector is norm(t + start), and
    # |t| = 1 gives |t + start| from it: t = |t + start| vector - start
    along, length = float(vector @ start), float(start @ start)
    size = along + np.sqrt(max(0.0, along * along - length + 1.0))
    result: Array = start + size * delta
    return result

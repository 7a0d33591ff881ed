"""Encodes labelled media, and collects the reasons why examples cannot be read."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from pipeline.errors import ConfigError, SourceError
from training.data.example import Dataset, Example, counted
from training.data.read import read_dataset
from training.feature_cache import FeatureCache, Report, Tick
from training.features import Features


@dataclass(frozen=True)
class Gathered:
    examples: tuple[Example, ...]
    features: tuple[Features, ...]
    failures: dict[str, str]
    """Why a file could not be read, by its path."""


def read_split(path: str, layout: str, split: str) -> Dataset:
    """The examples of some published splits. split: their names, separated by commas, or "" for all examples.

    Raises:
        ConfigError: the data or a split does not exist.
    """
    dataset = read_dataset(path, layout)
    names = [name.strip() for name in split.split(",") if name.strip()]
    if not names:
        return dataset
    unknown = [name for name in names if name not in dataset.splits]
    if unknown:
        known = ", ".join(dataset.splits) or "none"
        raise ConfigError(f"--split {split}: {path} has no split {unknown[0]!r}; expected one or more of: {known}")
    rows = sorted({index for name in names for index in dataset.splits[name]})
    examples = tuple(dataset.examples[row] for row in rows)
    labels = {example.label for example in examples}
    kept = tuple(label for label in dataset.labels if label in labels)
    note = f"split {split}: {counted(len(examples), 'example')} of {counted(len(kept), 'label')}"
    return msgspec.structs.replace(dataset, examples=examples, labels=kept, splits={}, notes=(*dataset.notes, note))


def at_most(examples: Sequence[Example], most: int, seed: int) -> tuple[Example, ...]:
    """Up to `most` examples of each label, drawn by the seed, in their order."""
    by_label: dict[str, list[int]] = defaultdict(list)
    for index, example in enumerate(examples):
        by_label[example.label].append(index)
    chosen: list[int] = []
    for label, indices in sorted(by_label.items()):
        random.Random(f"{seed} {label}").shuffle(indices)
        chosen += indices[:most]
    return tuple(examples[index] for index in sorted(chosen))


def gather(cache: FeatureCache, examples: Sequence[Example], report: Report, tick: Tick | None) -> Gathered:
    """The features of all examples that can be read. Those missing from the cache are encoded.

    Raises:
        SourceError: no example could be read.
    """
    cache.fill(examples, report, tick)
    kept, found, failures = [], [], {}
    for example in examples:
        features = cache.get(example)
        if features is not None and features.tokens:
            kept.append(example)
            found.append(features)
        else:
            failures[example.path] = cache.failures.get(cache.key(example), "has no input for the model's towers")
    if not kept:
        path, reason = next(iter(failures.items()), ("", "no examples"))
        raise SourceError(f"{path}: {reason}; none of {len(examples)} examples could be read")
    return Gathered(tuple(kept), tuple(found), failures)

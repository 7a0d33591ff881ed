"""What towers make of clips, gathered in one process by the same reader and stages as in a run."""

from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import Any

import msgspec
import numpy as np

from engines.models.checkpoint import read_model
from pipeline.arrays import Array
from pipeline.build import Plan, load, make_plan
from pipeline.clip import MODALITIES, Clip, Gap
from pipeline.config import Config
from pipeline.errors import SourceError
from pipeline.group import StageGroup
from pipeline.run import place, private_directory
from stages.words.reliability import signal_weight

WANTED = frozenset({"flow", "log_mel", "signals", *(f"{name}_embedding" for name in MODALITIES)})
LEAST_SIGNAL = 0.5
"""A clip whose modality deserves less belief (silence, a black picture) is left out for it."""

Report = Callable[[str], None]
Embedded = dict[str, Array]
"""Embedding "D" by modality."""


def clip_embeddings(
    config: Config, sources: Sequence[str], most: int, threads: int, report: Report
) -> dict[str, Array]:
    """Embeddings "N D" of the sources' clips by modality: about `most` clips, as many of each source.

    A source that cannot be read is told and left out.

    Raises:
        SourceError: no source has anything that the model sees or hears.
    """
    plan = make_plan(config, len(sources))
    with private_directory() as directory:
        group = _group(place(plan, directory), threads)
        try:
            for stage in group.stages.values():
                stage.prepare(report)
            group.open()
            found = list(_of_all(plan, group, sources, ceil(most / len(sources)), report))
        finally:
            group.close()
    by_modality = {name: [one[name] for one in found if name in one] for name in MODALITIES}
    if not any(by_modality.values()):
        raise SourceError(f"{', '.join(sources[:5])}: nothing in it that the model sees or hears. Give other clips")
    return {name: np.stack(vectors) for name, vectors in by_modality.items() if vectors}


def _of_all(plan: Plan, group: StageGroup, sources: Sequence[str], most: int, report: Report) -> Iterator[Embedded]:
    """Raises: SourceError: none of the sources can be read."""
    towers = read_model(plan.settings.model, plan.settings.audio_model).towers()
    failures: list[SourceError] = []
    for index, source in enumerate(sources):
        try:
            found = [_believed(one, towers) for one in _of_source(plan, group, source, index, most)]
        except SourceError as error:
            failures.append(error)
            report(f"left out: {error}")
            continue
        yield from found
        report(f"{source}: {len(found)} clips")
    if len(failures) == len(sources):
        raise failures[0]


def _group(plan: Plan, threads: int) -> StageGroup:
    """The stages up to the towers, and none that looks for boxes."""
    names = [
        name
        for group in plan.groups
        for name, stage in StageGroup(plan, group).stages.items()
        if WANTED & {*stage.gives()}
    ]
    return StageGroup(plan, msgspec.structs.replace(plan.groups[0], stages=tuple(names), threads=threads))


def _of_source(plan: Plan, group: StageGroup, source: str, index: int, most: int) -> Iterator[dict[str, Any]]:
    """What the stages make of each of its first clips."""
    path = plan.config.decode.factory
    options = msgspec.convert(plan.reader_options, load(f"{path.partition(':')[0]}:ReaderOptions", "decode.factory"))
    reader = load(path, "decode.factory")(source, index, options)
    reader.open()
    try:
        clips = (item for item in reader.clips() if not isinstance(item, Gap))
        for _, item in zip(range(most), clips, strict=False):
            settled = group.run(Clip(item.info, item.arrays, item.absent))
            yield settled.values
    finally:
        reader.close()


def _believed(values: dict[str, Any], towers: dict[str, Any]) -> Embedded:
    """The embeddings of those modalities whose signal is good enough."""
    signals = values.get("signals") or {}
    given = {name: values[f"{name}_embedding"] for name in towers if f"{name}_embedding" in values}
    weights = {name: signal_weight(name, signals, towers[name].knows_stillness) for name in given}
    return {name: vector for name, vector in given.items() if weights[name] >= LEAST_SIGNAL}

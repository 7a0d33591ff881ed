"""What towers are shown of clips, gathered in one process by the same reader and stages as in a run."""

from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import Any

import msgspec
import numpy as np

from pipeline.arrays import Array
from pipeline.build import Plan, load, make_plan
from pipeline.clip import Clip, Gap
from pipeline.config import Config
from pipeline.errors import SourceError
from pipeline.group import StageGroup
from pipeline.run import place, private_directory
from stages.encode import STREAM, tower_input

PER_CLIP = 4
"""Most that is taken of one clip for one tower: pictures of the same two seconds are much alike."""

Report = Callable[[str], None]


def tower_samples(
    config: Config, towers: dict[str, Any], sources: Sequence[str], most: int, threads: int, report: Report
) -> Array:
    """What towers that share one network are shown of the sources' clips: about `most`, as many of each source.

    towers: by modality. Those of a clip lie in a row.

    Raises:
        SourceError: no source has anything that these towers see or hear; or one cannot be opened.
    """
    plan = make_plan(config, len(sources))
    found: list[Array] = []
    with private_directory() as directory:
        group = _group(place(plan, directory), towers, threads)
        try:
            for stage in group.stages.values():
                stage.prepare(report)
            group.open()
            for index, source in enumerate(sources):
                few = _of_source(plan, group, towers, source, index, ceil(most / len(sources)))
                found += few
                report(f"{source}: {sum(map(len, few))} samples")
        finally:
            group.close()
    if not found:
        raise SourceError(f"{', '.join(sources)}: nothing in it for {', '.join(towers)}. Give clips that have it")
    return np.concatenate(found)


def _group(plan: Plan, towers: dict[str, Any], threads: int) -> StageGroup:
    """The stages that make of decoded clips what the towers take, and nothing behind them."""
    streams = {STREAM[tower.input] for tower in towers.values()}
    first = plan.groups[0]
    whole = {
        name: stage
        for each in plan.groups
        for name, stage in StageGroup(plan, each).stages.items()
        if streams & set(stage.gives())
    }
    return StageGroup(plan, msgspec.structs.replace(first, stages=tuple(whole), threads=threads))


def _of_source(
    plan: Plan, group: StageGroup, towers: dict[str, Any], source: str, index: int, most: int
) -> list[Array]:
    path = plan.config.decode.factory
    options = msgspec.convert(plan.reader_options, load(f"{path.partition(':')[0]}:ReaderOptions", "decode.factory"))
    reader = load(path, "decode.factory")(source, index, options)
    found: list[Array] = []
    reader.open()
    try:
        for item in reader.clips():
            if isinstance(item, Gap):
                continue
            found += _of_clip(group, towers, item)
            if sum(map(len, found)) >= most:
                break
    finally:
        reader.close()
    return found


def _of_clip(group: StageGroup, towers: dict[str, Any], item: Any) -> Iterator[Array]:
    settled = group.run(Clip(item.info, item.arrays, item.absent))
    clip = Clip(item.info, {**item.arrays, **settled.values}, {**item.absent, **settled.absent})
    for tower in towers.values():
        if STREAM[tower.input] in clip.arrays:
            inputs = tower_input(tower, clip)
            yield inputs[np.linspace(0, len(inputs) - 1, min(PER_CLIP, len(inputs))).astype(int)]

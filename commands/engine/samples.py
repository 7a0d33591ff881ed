"""Tower inputs from clips, for the calibration of an int8 network."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil

import numpy as np

from engines.models.model import TowerSpec
from pipeline.arrays import Array
from pipeline.build import make_plan
from pipeline.clip import Clip
from pipeline.config import Config
from pipeline.errors import SourceError
from pipeline.plain import Passed, PlainLoop
from pipeline.run import place, private_directory
from stages.tower_inputs import stream_of, tower_input

PER_CLIP = 4
"""At most this many inputs per clip and tower, because pictures of the same two seconds are similar."""

Report = Callable[[str], None]


def tower_samples(
    config: Config, towers: Mapping[str, TowerSpec], sources: Sequence[str], most: int, threads: int, report: Report
) -> Array:
    """About `most` inputs of towers that share one network, equally many from each source.

    towers: by modality. The inputs of a clip are next to each other.

    Raises:
        SourceError: no source has input for these towers, or one cannot be opened.
    """
    found: list[Array] = []
    streams = {stream_of(tower) for tower in towers.values()}
    with private_directory() as directory:
        plan = place(make_plan(config, len(sources)), directory)
        with PlainLoop(plan, streams, threads, report) as loop:
            for index, source in enumerate(sources):
                few: list[Array] = []
                for clip in loop.run(source, index):
                    few += _of_clip(towers, clip)
                    if sum(map(len, few)) >= ceil(most / len(sources)):
                        break
                found += few
                report(f"{source}: {sum(map(len, few))} samples")
    if not found:
        raise SourceError(f"{', '.join(sources)}: no input for {', '.join(towers)}. Give clips that have it")
    return np.concatenate(found)


def _of_clip(towers: Mapping[str, TowerSpec], passed: Passed) -> Iterator[Array]:
    clip = Clip(passed.info, passed.values, passed.absent)
    for tower in towers.values():
        if stream_of(tower) in clip.arrays:
            inputs = tower_input(tower, clip)
            yield inputs[np.linspace(0, len(inputs) - 1, min(PER_CLIP, len(inputs))).astype(int)]

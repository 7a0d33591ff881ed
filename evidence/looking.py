"""Looks where words are in pictures of films and photos: the reader and the networks, open in this process."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
import numpy as np

from engines.building.building import begins_at_once
from engines.models.checkpoint import read_model
from engines.models.patch_tower import PatchTower
from pipeline.arrays import Array
from pipeline.build import make_plan
from pipeline.config import Config, GroupOptions
from pipeline.errors import SourceError
from pipeline.plain import PlainLoop
from pipeline.run import place, private_directory
from pipeline.stage import Resources
from stages.boxes import box_cover
from stages.detect.detector import Detector
from stages.detect.detectors import OWN, make_detector
from stages.encode import unit
from stages.maps.segments import Segments, segments
from stages.maps.word_map import WordMap, word_map
from stages.words.labels import LabelSet, build_label_set

SHORT_SIDE_PX = 360
"""Of the pictures that maps are drawn on."""
STILL_S = 2.0
"""Length of the clip of which a picture is the first."""
LEAST_BOX = 0.4
"""Score from which a box of the model's detector is an object."""
COVERED = 0.6
"""Share of the smaller of two boxes from which they are around the same object."""
MANY = 30
"""From so many pictures on, a faster engine is built first."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Sight:
    """What was found in one picture."""

    time_s: float
    frame: Array
    """uint8 "H W 3"."""
    map: WordMap
    segments: Segments
    width: int
    height: int
    """Of the source, in pixels."""
    is_film: bool = True


class Looking:
    """See `looking`."""

    def __init__(
        self, loop: PlainLoop, tower: PatchTower, labels: LabelSet, fill: bool, detector: Detector | None = None
    ) -> None:
        self._loop, self.tower, self.labels, self.fill, self._detector = loop, tower, labels, fill, detector

    def at(self, source: str, time_s: float | None = None, every_s: float | None = None) -> Iterator[Sight]:
        """What is in a source at a time, or every so many seconds from there on; a photo has one picture.

        Raises: SourceError: it cannot be read, or has no picture there.
        """
        found = False
        for clip in self._loop.run(source, start_ns=round((time_s or 0.0) * 1e9)):
            if (frames := clip.values.get("frames")) is not None:
                found = True
                size = clip.info.width, clip.info.height
                yield self.look(frames[0], float(clip.values["frame_times_ns"][0]) / 1e9, size)
            if every_s is None and found:
                break
        if not found:
            raise SourceError(f"{source}: has no picture at {time_s or 0.0:g} s; choose another moment")

    def look(self, frame: Array, time_s: float = 0.0, size: tuple[int, int] = (0, 0)) -> Sight:
        """What is in a picture, uint8 "H W 3". size: width and height of its source, if they differ."""
        found = word_map(np.ascontiguousarray(frame), self.tower, self.labels.sides["image"])
        parts = segments(found.pixels, found.peaks, self.labels.labels, self._boxes(frame), self.fill)
        height, width = frame.shape[:2]
        return Sight(time_s, frame, found, parts, size[0] or width, size[1] or height)


    def _boxes(self, frame: Array) -> dict[int, Array]:
        """Boxes "N 4" around objects, by the word that fits each best; of boxes that cover each other, the surest."""
        if self._detector is None:
            return {}
        found = self._detector.detect([frame])[0]
        if found.vectors is None or not len(found.boxes):
            return {}
        words = self.labels.sides["image"].compare(unit(found.vectors))[2].argmax(axis=1)
        kept: list[int] = []
        for row in range(len(found.boxes)):
            if not kept or box_cover(found.boxes[row : row + 1], found.boxes[kept]).max() < COVERED:
                kept.append(row)
        return {int(word): found.boxes[[row for row in kept if words[row] == word]] for word in set(words[kept])}


@contextmanager
def looking(
    config: Config,
    labels: Sequence[str],
    report: Report = lambda text: None,
    every_s: float | None = None,
    fill: bool = False,
    pictures: int = 1,
) -> Iterator[Looking]:
    """Open what looks for these labels, as `parse_phrases` gives them.

    every_s: one picture is looked at in so many seconds. fill: see `segments`. pictures: about how many will be looked
    at.

    Raises: ConfigError, ModelError: the model has no picture tower that gives patches, or cannot be used.
    """
    clip_s = min(every_s or STILL_S, STILL_S)
    config = msgspec.structs.replace(
        config,
        groups=(GroupOptions(stages=("signals",)),),
        stages={},
        modalities=("image",),
        clips=msgspec.structs.replace(config.clips, seconds=clip_s, stride_seconds=every_s or 0.0, fps=1 / clip_s),
        decode=msgspec.structs.replace(config.decode, short_side_px=SHORT_SIDE_PX),
    )
    with private_directory() as directory:
        plan = place(make_plan(config), directory)
        spec = read_model(plan.settings.model, plan.settings.audio_model)
        tower = PatchTower(spec, plan.settings)
        found = build_label_set(spec, tuple(labels), plan.settings, report)
        if pictures >= MANY or not begins_at_once(plan.settings):
            tower.improve(report)
        detector, resources = make_detector(OWN, "", LEAST_BOX, plan.settings), Resources()
        with PlainLoop(plan, (), report=report, improve=False) as loop:
            tower.open()
            try:
                if detector is not None:
                    detector.open(resources)
                yield Looking(loop, tower, found, fill, detector)
            finally:
                resources.close()
                tower.close()

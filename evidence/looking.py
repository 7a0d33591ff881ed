"""Looks where words are in pictures of films and photos: the reader and the networks, open in this process."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from engines.building.building import begins_at_once
from engines.models.checkpoint import read_model
from engines.models.patch_tower import PatchTower
from pipeline.arrays import Array
from pipeline.build import make_plan
from pipeline.clip import DecodedClip
from pipeline.config import Config, GroupOptions
from pipeline.errors import SourceError
from pipeline.plain import make_reader
from pipeline.plan import Plan
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


@dataclass(frozen=True)
class How:
    """fine: with small squares beside large ones, see `word_map`. fill: see `segments`."""

    fine: bool = True
    fill: bool = False


class Looking:
    """See `looking`."""

    def __init__(
        self, plan: Plan, tower: PatchTower, labels: LabelSet, how: How, detector: Detector | None = None
    ) -> None:
        self._plan, self.tower, self.labels, self._how, self._detector = plan, tower, labels, how, detector

    def at(self, source: str, time_s: float | None = None, every_s: float | None = None) -> Iterator[Sight]:
        """What is in a source at a time, or every so many seconds from there on; a photo has one picture.

        Raises: SourceError: it cannot be read, or has no picture there.
        """
        reader = make_reader(self._plan, source, start_ns=round((time_s or 0.0) * 1e9), reuse=False)
        found = False
        try:
            info = reader.open()
            for clip in reader.clips():
                if isinstance(clip, DecodedClip) and (frames := clip.arrays.get("frames")) is not None:
                    found = True
                    at_s, size = float(clip.arrays["frame_times_ns"][0]) / 1e9, (clip.info.width, clip.info.height)
                    yield replace(self.look(frames[0], at_s, size), is_film=info.frame_rate_hz > 0)
                if every_s is None and found:
                    break
        finally:
            reader.close()
        if not found:
            raise SourceError(f"{source}: has no picture at {time_s or 0.0:g} s; choose another moment")

    def look(self, frame: Array, time_s: float = 0.0, size: tuple[int, int] = (0, 0)) -> Sight:
        """What is in a picture, uint8 "H W 3". size: width and height of its source, if they differ."""
        found = word_map(np.ascontiguousarray(frame), self.tower, self.labels.sides["image"], fine=self._how.fine)
        parts = segments(found.pixels, found.peaks, self.labels.labels, self._boxes(frame), self._how.fill)
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
    how: How = How(),
    every_s: float | None = None,
) -> Iterator[Looking]:
    """Open what looks for these labels, as `parse_phrases` gives them.

    every_s: one picture is looked at in so many seconds; None for a single one.

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
        if every_s is not None or not begins_at_once(plan.settings):
            tower.improve(report)
        detector, resources = make_detector(OWN, "", LEAST_BOX, plan.settings), Resources()
        tower.open()
        try:
            if detector is not None:
                detector.open(resources)
            yield Looking(plan, tower, found, how, detector)
        finally:
            resources.close()
            tower.close()

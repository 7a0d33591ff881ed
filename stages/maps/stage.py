"""Says where in a clip's picture its probable labels are."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from engines.building.building import begins_at_once
from engines.models.checkpoint import read_model
from engines.models.patch_tower import PatchTower
from pipeline.arrays import Array, Spec
from pipeline.clip import Clip
from pipeline.errors import ConfigError, ModelError
from pipeline.part import Part
from pipeline.result import Label, Region
from pipeline.stage import Outputs, Resources, Stage, StageOptions
from stages.maps.segments import segments
from stages.maps.word_map import WordMap, word_map
from stages.words.labels import LABELS_FILE, LabelSet
from stages.words.scoring import sigmoid

FRAYED = 0.02
"""Share of a region that may lie outside its box at each of its four sides."""


class RegionOptions(StageOptions, frozen=True, kw_only=True):
    most: int = 3
    """Labels of a clip that are looked for, the most probable ones."""
    least_probability: float = 0.5
    """A label that is less probable is not looked for."""
    fine: bool = False
    """Also look at small parts of the picture: smaller things are found, at four times the cost."""


class RegionStage(Stage):
    """Gives `regions`: where in the middle picture of a clip its probable labels are. Off, unless it is asked for.

    A label that is not seen there, such as one that is only heard, has none.
    """

    required = ("frames", "frame_times_ns", "labels")
    Options = RegionOptions
    options: RegionOptions

    @property
    def preload(self) -> tuple[str, ...]:
        return "cv2", *self._tower.preload

    @cached_property
    def _tower(self) -> PatchTower:
        return PatchTower(read_model(self.run.model, self.run.audio_model), self.run)

    def gives(self) -> dict[str, Spec]:
        doc = "If it was asked for: where in the picture the probable labels are."
        return {"regions": Part(type=list[Region], doc=doc)}

    def check(self) -> None:
        if self.options.most < 1:
            raise ConfigError(f"stages.regions.most is {self.options.most}; expected at least 1")
        if "image" not in self.run.modalities:
            raise ConfigError("--regions: labels are looked for in pictures; expected image among --modalities")
        try:
            self._tower  # noqa: B018  (reads the model's facts)
        except ModelError as error:
            raise ModelError(f"--regions: {error}") from error

    def prepare(self, report: Callable[[str], None]) -> None:
        if not begins_at_once(self.run):
            self._tower.improve(report)

    def improve(self, report: Callable[[str], None]) -> bool:
        return self._tower.improve(report)

    def open(self, resources: Resources) -> None:
        path = Path(self.run.directory) / LABELS_FILE
        self._labels: LabelSet = resources.get(("labels", str(path)), lambda: LabelSet.load(path))
        self._tower.open()

    def close(self) -> None:
        self._tower.close()

    def process(self, clip: Clip) -> Outputs:
        probable = [
            each.label
            for each in msgspec.convert(clip["labels"], list[Label])
            if each.probability >= self.options.least_probability and each.label in self._labels.labels
        ][: self.options.most]
        if not probable:
            return {"regions": []}
        middle = len(clip["frames"]) // 2
        frame, time_s = clip["frames"][middle], int(clip["frame_times_ns"][middle]) / 1e9
        side = self._labels.sides["image"].only([self._labels.labels.index(label) for label in probable])
        found = word_map(np.ascontiguousarray(frame), self._tower, side, fine=self.options.fine)
        size = clip.info.width or frame.shape[1], clip.info.height or frame.shape[0]
        return {"regions": regions(found, probable, round(time_s, 3), size)}


def regions(found: WordMap, labels: list[str], time_s: float, size: tuple[int, int]) -> list[Region]:
    """The region of each label that is in a picture. size: width and height of the source in pixels.

    Each label is looked for as if it were the only one, so that labels that mean nearly the same share their place.
    """
    told = []
    for row, label in enumerate(labels):
        mask = segments(found.pixels[row : row + 1], found.peaks[row : row + 1], (label,)).panoptic > 0
        if mask.any():
            area, peak = round(float(mask.mean()), 4), round(float(sigmoid(found.peaks[row])), 4)
            told.append(Region(label, time_s, around(mask, size), area, peak))
    return told


def around(mask: Array, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The box around a mask "H W" that is not empty, without what frays at each side, in pixels of its source."""
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    x0, x1 = np.quantile(columns, (FRAYED, 1 - FRAYED)) * (size[0] / width) + (0, size[0] / width)
    y0, y1 = np.quantile(rows, (FRAYED, 1 - FRAYED)) * (size[1] / height) + (0, size[1] / height)
    return round(float(x0), 1), round(float(y0), 1), round(float(x1), 1), round(float(y1), 1)

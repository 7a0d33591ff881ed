"""Reads what is written in pictures: signs, captions, names on a screen."""

import numpy as np

from pipeline.arrays import Spec
from pipeline.clip import Clip
from pipeline.errors import ConfigError
from pipeline.part import Part
from pipeline.result import TextLine
from pipeline.stage import Demand, Outputs, Resources, Stage, StageOptions
from stages.boxes import box_iou
from stages.pictures import evenly
from stages.text.reader import Line
from stages.text.readers import make_reader

SAME = 0.5
"""Overlap (intersection over union) from which a line of two pictures is the same one."""


class TextOptions(StageOptions, frozen=True, kw_only=True):
    reader: str = "rapidocr"
    """What reads: rapidocr, or "package.module:Class" of your own."""
    pictures: int = 1
    """Pictures of a clip that are read, evenly spaced. Each costs as much as several clips without writing."""
    least_confidence: float = 0.5
    """Lines that the reader is less sure of are left out."""
    short_side_px: int = 480
    """Pictures are decoded, and writing is looked for, at this size at least. Small writing needs more, and also
    `decode.long_side_px`."""


class TextStage(Stage):
    """Gives `text`: the lines that are written in some pictures of a clip. Off, unless it is asked for."""

    preload = ("cv2", "onnxruntime")
    required = ("frames", "frame_times_ns")
    Options = TextOptions
    options: TextOptions

    def gives(self) -> dict[str, Spec]:
        return {"text": Part(type=list[TextLine], doc="If reading was asked for: what is written in the pictures.")}

    def demand(self) -> Demand:
        return Demand(short_side_px=self.options.short_side_px)

    def check(self) -> None:
        if self.options.pictures < 1:
            raise ConfigError(f"stages.text.pictures is {self.options.pictures}; expected at least 1")
        if missing := make_reader(self.options.reader).missing():
            raise ConfigError(f"--text: {missing}")

    def open(self, resources: Resources) -> None:
        self._reader = make_reader(self.options.reader)
        self._reader.open(self.run.threads)

    def process(self, clip: Clip) -> Outputs:
        frames, times_ns = clip["frames"], clip["frame_times_ns"]
        scale = clip.info.width / frames.shape[2]
        found: list[TextLine] = []
        for index in evenly(self.options.pictures, len(frames)):
            for line in self._reader.read(frames[index], self.options.short_side_px):
                if line.confidence >= self.options.least_confidence:
                    add(found, in_source(line, int(times_ns[index]) / 1e9, scale))
        return {"text": sorted(found, key=lambda line: (line.time_s, line.box[1], line.box[0]))}


def in_source(line: Line, time_s: float, scale: float) -> TextLine:
    """A line with its box in pixels of the source."""
    x0, y0, x1, y1 = (round(scale * edge, 1) for edge in line.box)
    return TextLine(" ".join(line.text.split()), round(line.confidence, 4), round(time_s, 3), (x0, y0, x1, y1))


def overlap(one: TextLine, other: TextLine) -> float:
    """Intersection over union of their boxes."""
    boxes = np.array([one.box, other.box], np.float32)
    return float(box_iou(boxes[:1], boxes[1:])[0, 0])


def add(found: list[TextLine], line: TextLine) -> None:
    """Add a line, or keep the surer one if it was read in another picture already."""
    for place, other in enumerate(found):
        if other.text.casefold() == line.text.casefold() and overlap(other, line) >= SAME:
            found[place] = max(other, line, key=lambda each: each.confidence)
            return
    found.append(line)

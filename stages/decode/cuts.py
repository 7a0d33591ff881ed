"""Whether a new shot begins with a picture: compares small copies of pictures by histogram, difference and flow.

A cut changes the picture at once, more than the pictures around it change, and for good: after a flash, the picture is
back. Where flow explains the change, the camera or an object has moved. After a fade, the picture comes out of one
without content.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from pipeline.arrays import Array

WIDTH_PX, HEIGHT_PX = 128, 72
LUMA_STEP, CHROMA_STEP = 8, 16
"""Levels of one bin of a histogram."""
LEAST_CHANGE = 0.08
"""Change below which no picture begins a shot."""
STANDS_OUT = 3.0
"""A cut changes the picture so many times more than its neighbours do."""
STAYS = 0.5
"""Share of the change by which all pictures after a cut differ from all before it."""
LEAST_AGREEMENT = 0.5
"""Correlation of a picture with the one before, moved by the flow between them, above which that one goes on."""
DETAIL_PX = 15
"""Of a small copy."""
BAR = 2.0
"""Standard deviation of the luma of a line that belongs to a black bar."""
FLAT = 5.0
"""Standard deviation of the luma of a picture without content."""
FADED = 3
"""Pictures in a row without content that make a fade; fewer may be a flicker."""
NEAR_NS = 500_000_000
"""Pictures that are further apart are no neighbours."""


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """What is kept of a picture to compare it."""

    time_ns: int
    luma: Array
    """uint8 "H W"."""
    chroma: Array
    """uint8 "N"."""
    histogram: Array
    """float32 "B", sum 2: half of it luma."""
    is_flat: bool


class Sketcher:
    """Makes small copies of the pictures of one source."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def small(self, frame: Any) -> Array:
        """An `av.VideoFrame` -> uint8 "108 128": YUV 4:2:0 as FFmpeg stacks it, 128 x 72 pixels.

        Raises: av.error.FFmpegError, ValueError.
        """
        smaller = self._reformatter.reformat(
            frame, WIDTH_PX, HEIGHT_PX, "yuv420p", interpolation=Interpolation.AREA, threads=1
        )
        small: Array = smaller.to_ndarray()
        return small


def sketch(time_ns: int, small: Array) -> Sketch:
    """small: see `Sketcher.small`."""
    luma, chroma = small[:HEIGHT_PX], small[HEIGHT_PX:].reshape(2, -1)
    histogram = np.concatenate(
        [_bins(luma, LUMA_STEP), 0.5 * _bins(chroma[0], CHROMA_STEP), 0.5 * _bins(chroma[1], CHROMA_STEP)]
    )
    return Sketch(time_ns, luma, chroma.reshape(-1), histogram, bool(luma.std() < FLAT))


def _bins(values: Array, step: int) -> Array:
    counts = np.bincount((values // step).reshape(-1), minlength=256 // step)
    return (counts / values.size).astype(np.float32)


def change(before: Sketch, after: Sketch) -> float:
    """How different two pictures are, in [0, 1]: the mean of the differences of their pixels and histograms."""
    luma = np.abs(before.luma.astype(np.int16) - after.luma).mean() / 255
    chroma = np.abs(before.chroma.astype(np.int16) - after.chroma).mean() / 255
    colours = np.abs(before.histogram - after.histogram).sum() / 4
    return float((luma + chroma + colours) / 2)


def is_cut(past: Sequence[Sketch], head: Sketch, future: Sequence[Sketch]) -> bool:
    """Whether `head` begins a shot. `past` and `future`: the pictures around it, in order; the last of `past` is the
    one before."""
    before = past[-1]
    changes = change(before, head)
    if changes < LEAST_CHANGE or changes < STANDS_OUT * _usual(past, [head, *future]):
        return False
    stays = min(change(one, other) for one in past for other in (head, *future)) >= STAYS * changes
    return stays and agreement(before, head) < LEAST_AGREEMENT


def _usual(*sides: Sequence[Sketch]) -> float:
    """The mean change from one picture to the next on both sides of a possible cut."""
    steps = [
        change(one, other) for side in sides for one, other in pairwise(side) if other.time_ns - one.time_ns <= NEAR_NS
    ]
    return float(np.mean(steps)) if steps else 0.0


def is_faded(past: Sequence[Sketch]) -> bool:
    """Whether the last pictures have no content."""
    return len(past) >= FADED and all(each.is_flat for each in past[-FADED:])


def ends_fade(last: Sketch | None, head: Sketch) -> bool:
    """Whether a shot begins with `head`, the first picture with content after some without; `last`: the one before
    those."""
    return last is None or agreement(last, head) < LEAST_AGREEMENT


def agreement(before: Sketch, after: Sketch) -> float:
    """Correlation in [-1, 1] of the detail of a picture with that of the next one, moved back by the flow between them.

    Detail is what differs from its surroundings: two pictures of snow under trees have the rest in common. Black bars
    do not count.
    """
    import cv2

    if before.is_flat or after.is_flat:
        return float(before.is_flat and after.is_flat)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow = search.calc(before.luma, after.luma, None)
    x, y = np.meshgrid(np.arange(WIDTH_PX, dtype=np.float32), np.arange(HEIGHT_PX, dtype=np.float32))
    back = cv2.remap(after.luma, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    lively = np.maximum(before.luma.std(1), after.luma.std(1)) > BAR
    one, other = (
        picture - cv2.blur(picture, (DETAIL_PX, DETAIL_PX))
        for picture in (before.luma[lively].astype(np.float32), back[lively].astype(np.float32))
    )
    return float(np.corrcoef(one.reshape(-1), other.reshape(-1))[0, 1])

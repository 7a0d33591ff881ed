"""Dense optical flow between neighbouring frames, in short sides per second."""

from functools import cached_property
from typing import Any

import cv2
import numpy as np

from pipeline.arrays import Array, Spec, check_array
from pipeline.clip import Absent, Clip
from pipeline.stage import Demand, Outputs, Resources, Stage, StageOptions

MOST_SHORT_SIDES_PER_S = 1_000.0
"""Larger values say nothing any more and would overflow float16."""

LEAST_PX = 64
"""OpenCV 5.0's DIS crashes the process on wide pictures less than 32 px high."""


class FlowOptions(StageOptions, frozen=True, kw_only=True):
    short_side_px: int = 224
    """Frames are shrunk to this before flow is computed; smaller is faster and sees less."""
    shrink: int = 2
    """Flow is kept at 1/shrink of that size. DIS works at a quarter of its input, so 2 loses nothing."""
    least_agreement: float = 0.65
    """Correlation between a frame and the next one, brought back by the flow, below which the pair is a scene cut."""


class Flow(Stage):
    """DIS optical flow (Kroeger et al. 2016, "Fast optical flow using dense inverse search"), preset "fast".

    Pair p leads from the frame before to frame `p + T - P`: with a usable previous frame P = T, else P = T - 1. The
    value at a pixel is where the content of the *earlier* frame went from there. A pair across a scene cut is all
    zeros: no motion is known there.
    """

    required = ("frames", "frame_times_ns")
    optional = ("previous_frame", "previous_time_ns")
    Options = FlowOptions
    preload = ("cv2",)
    options: FlowOptions

    def gives(self) -> dict[str, Spec]:
        short, long = self.budget.short_side_px, self.budget.long_side_px
        ratio = min(1.0, self.options.short_side_px / short) / self.options.shrink
        pixels = (int(short * ratio) + 1) * (int(long * ratio) + 1)
        return {"flow": Spec("float16", "P h w 2", max_bytes=self.budget.frames * pixels * 2 * 2)}

    def demand(self) -> Demand:
        return Demand(short_side_px=self.options.short_side_px)

    def open(self, resources: Resources) -> None:
        cv2.setNumThreads(self.run.threads)

    @cached_property
    def _search(self) -> Any:
        return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def process(self, clip: Clip) -> Outputs:
        frames, times_ns = with_previous(clip)
        if len(frames) < 2:
            return {"flow": Absent("too_short")}
        grey = [grey_at(frame, self.options.short_side_px) for frame in frames]
        seconds = np.diff(times_ns) / 1e9
        if seconds.min() <= 0:
            raise ValueError(f"frame_times_ns must increase, got steps down to {seconds.min():.6f} s")
        pairs = [self._pair(grey[i], grey[i + 1], float(seconds[i])) for i in range(len(seconds))]
        return {"flow": np.stack(pairs)}

    def _pair(self, before: Array, after: Array, seconds: float) -> Array:
        """uint8 "H W" twice -> float16 "h w 2" in short sides per second."""
        height, width = before.shape
        size = max(1, width // self.options.shrink), max(1, height // self.options.shrink)
        shift_px = self._search.calc(at_least(before, LEAST_PX), at_least(after, LEAST_PX), None)[:height, :width]
        shift_px = cv2.resize(shift_px, size, interpolation=cv2.INTER_AREA)
        if agreement(before, after, shift_px, self.options.shrink) < self.options.least_agreement:
            return np.zeros_like(shift_px, dtype=np.float16)
        speed = shift_px / (min(height, width) * seconds)
        kept: Array = np.clip(speed, -MOST_SHORT_SIDES_PER_S, MOST_SHORT_SIDES_PER_S).astype(np.float16)
        return kept

    def describe(self) -> dict[str, str]:
        return {"flow": f"opencv-dis-fast@{self.options.short_side_px}"}


def with_previous(clip: Clip) -> tuple[list[Array], Array]:
    """Frames of the clip, led by the last frame of the clip before when that has the same size, and their times."""
    frames, times_ns = clip["frames"], clip["frame_times_ns"]
    check_array("frames", frames, "T H W 3", "uint8")
    check_array("frame_times_ns", times_ns, "T", "int64")
    previous, previous_ns = clip.get("previous_frame"), clip.get("previous_time_ns")
    if previous is None or previous_ns is None or previous.shape != frames.shape[1:]:
        return list(frames), times_ns
    return [previous, *frames], np.concatenate([previous_ns, times_ns])


def grey_at(frame: Array, short_side_px: int) -> Array:
    """RGB uint8 "H W 3" -> grey uint8 with at most this short side."""
    height, width = frame.shape[:2]
    grey: Array = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)
    scale = short_side_px / min(height, width)
    if scale >= 1:
        return grey
    size = max(1, round(width * scale)), max(1, round(height * scale))
    smaller: Array = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return smaller


def at_least(grey: Array, side_px: int) -> Array:
    """The picture, its last row and column repeated until both sides reach `side_px`."""
    pad = [(0, max(0, side_px - side)) for side in grey.shape]
    return np.pad(grey, pad, mode="edge") if any(after for _, after in pad) else grey


def agreement(before: Array, after: Array, shift_px: Array, shrink: int) -> float:
    """Correlation in [-1, 1] of a frame with the next one brought back by the flow, at the flow's size.

    Near 1 where the flow explains the change, near 0 across a scene cut. Without contrast it is 1: nothing disagrees.
    """
    height, width = shift_px.shape[:2]
    small = [cv2.resize(x, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) for x in (before, after)]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    back = cv2.remap(
        small[1], x + shift_px[..., 0] / shrink, y + shift_px[..., 1] / shrink, cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    a, b = small[0] - small[0].mean(), back - back.mean()
    power = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / power if power > a.size else 1.0

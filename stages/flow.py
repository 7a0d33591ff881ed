"""Dense optical flow between neighbouring frames, in short sides per second."""

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import cv2
import numpy as np

from engines.backends.table import check_engine
from pipeline.arrays import Array, Spec, check_array
from pipeline.clip import Absent, Clip
from pipeline.stage import Demand, Outputs, Resources, Stage, StageOptions
from stages.flow_raft import RaftFlow, weights_file

MOST_SHORT_SIDES_PER_S = 1_000.0
"""Larger values are meaningless and would overflow float16."""

LEAST_PX = 64
"""OpenCV 5.0's DIS crashes the process on wide pictures less than 32 px high."""


class FlowOptions(StageOptions, frozen=True, kw_only=True):
    method: Literal["dis", "raft"] = "dis"
    """"raft" is more accurate, and slow without a GPU."""
    weights: str = ""
    """For "raft": `raft-small.pth` as published, the same as safetensors, or a folder with one of them."""
    short_side_px: int = 224
    """Frames are shrunk to this before flow is computed; smaller is faster and loses detail."""
    shrink: int = 2
    """Flow is stored at 1/shrink of that size. DIS works at a quarter of its input, so 2 loses nothing."""
    least_agreement: float = 0.65
    """Correlation between a frame and the next one, warped back by the flow, below which the pair is a scene cut."""


class Flow(Stage):
    """Optical flow by DIS (Kroeger et al. 2016, "Fast optical flow using dense inverse search"), preset "fast", or by
    RAFT-small (Teed & Deng 2020).

    Pair p ends at frame `p + T - P` and starts at the frame before it: P = T with a usable previous frame, else
    P = T - 1. The value at a pixel is the motion of the content that the *earlier* frame has there. A pair across a
    scene cut is all zeros: its motion is unknown.
    """

    required = ("frames", "frame_times_ns")
    optional = ("previous_frame", "previous_time_ns")
    Options = FlowOptions
    preload = ("cv2", "torch", "kornia.geometry.transform", "engines.building.building")
    options: FlowOptions

    def gives(self) -> dict[str, Spec]:
        short, long = self.budget.short_side_px, self.budget.long_side_px
        ratio = min(1.0, self.options.short_side_px / short) / self.options.shrink
        pixels = (int(short * ratio) + 1) * (int(long * ratio) + 1)
        return {"flow": Spec("float16", "P h w 2", max_bytes=self.budget.frames * pixels * 2 * 2)}

    def demand(self) -> Demand:
        return Demand(short_side_px=self.options.short_side_px)

    def check(self) -> None:
        if self.options.method == "raft":
            weights_file(self.options.weights)
            check_engine(self.run)

    @cached_property
    def _raft(self) -> RaftFlow | None:
        return RaftFlow(self.options.weights, self.run) if self.options.method == "raft" else None

    def prepare(self, report: Callable[[str], None]) -> None:
        if self._raft:
            self._raft.prepare(report)

    def improve(self, report: Callable[[str], None]) -> bool:
        return self._raft is not None and self._raft.improve(report)

    def open(self, resources: Resources) -> None:
        cv2.setNumThreads(self.run.threads)
        if self._raft:
            self._raft.open(resources)

    @cached_property
    def _search(self) -> Any:
        return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def process(self, clip: Clip) -> Outputs:
        if self.run.key_frames:
            return {"flow": Absent("key_frames")}
        if self.run.follow == "none" and "motion" not in self.run.modalities:
            return {"flow": Absent("not_asked")}
        frames, times_ns = with_previous(clip)
        if len(frames) < 2:
            return {"flow": Absent("too_short")}
        grey = [grey_at(frame, self.options.short_side_px) for frame in frames]
        seconds = np.diff(times_ns) / 1e9
        if seconds.min() <= 0:
            raise ValueError(f"frame_times_ns must increase, got steps down to {seconds.min():.6f} s")
        shifts_px = self._shifts(frames, grey)
        is_cut = agreement(grey, shifts_px, self.options.shrink) < self.options.least_agreement
        flow = shifts_px / (min(grey[0].shape) * seconds[:, None, None, None])
        flow[is_cut] = 0
        return {"flow": np.clip(flow, -MOST_SHORT_SIDES_PER_S, MOST_SHORT_SIDES_PER_S).astype(np.float16)}

    def _shifts(self, frames: Sequence[Array], grey: Sequence[Array]) -> Array:
        """float32 "P h w 2": displacements in pixels of the grey pictures, at 1/shrink of their size."""
        height, width = (max(1, side // self.options.shrink) for side in grey[0].shape)
        if self._raft:
            found = self._raft.shifts(frames, *grey[0].shape[::-1])
        else:
            found = np.stack([self._dis(*pair) for pair in pairwise(grey)])
        return np.stack([cv2.resize(shift, (width, height), interpolation=cv2.INTER_AREA) for shift in found])

    def _dis(self, before: Array, after: Array) -> Array:
        """Two pictures uint8 "H W" -> float32 "H W 2": displacements in pixels."""
        height, width = before.shape
        shift_px = self._search.calc(at_least(before, LEAST_PX), at_least(after, LEAST_PX), None)
        return np.ascontiguousarray(shift_px[:height, :width])

    def describe(self) -> dict[str, str]:
        by = f"raft-small-{self._raft.engine.name}" if self._raft else "opencv-dis-fast"
        return {"flow": f"{by}@{self.options.short_side_px}"}


def with_previous(clip: Clip) -> tuple[list[Array], Array]:
    """Frames of the clip and their times, preceded by the last frame of the previous clip if that has the same size."""
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
    """The picture with its last row and column repeated until both sides are at least `side_px`."""
    pad = [(0, max(0, side_px - side)) for side in grey.shape]
    return np.pad(grey, pad, mode="edge") if any(after for _, after in pad) else grey


def agreement(grey: Sequence[Array], shifts_px: Array, shrink: int) -> Array:
    """Correlation in [-1, 1] of each frame with the next one, warped back by the flow between them: float32 "P".

    grey: P + 1 pictures uint8 "H W"; shifts_px: float32 "P h w 2", in pixels of the full size, at 1/shrink of it.
    Near 1 if the flow explains the change, near 0 across a scene cut, and 1 for pictures without contrast.
    """
    import torch
    from kornia.geometry.transform import remap

    height, width = (max(1, side // 2) for side in shifts_px.shape[1:3])
    small = np.stack([cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA) for picture in grey])
    pictures = torch.from_numpy(small).float()
    shifts = torch.from_numpy(
        np.stack([cv2.resize(s, (width, height), interpolation=cv2.INTER_AREA) for s in shifts_px])
    )
    shifts = shifts / (2 * shrink)
    x, y = torch.arange(width) + shifts[..., 0], torch.arange(height)[:, None] + shifts[..., 1]
    back = remap(pictures[1:, None], x, y, padding_mode="border", align_corners=True)[:, 0]
    a, b = (part - part.mean((1, 2), keepdim=True) for part in (pictures[:-1], back))
    power = ((a * a).sum((1, 2)) * (b * b).sum((1, 2))).sqrt()
    correlation = (a * b).sum((1, 2)) / power.clamp(min=1e-9)
    return np.asarray(torch.where(power > height * width, correlation, torch.ones(())).numpy())

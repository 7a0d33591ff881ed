"""Dense optical flow between neighbouring frames, in short sides per second."""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from engines.backends.table import check_engine
from pipeline.arrays import Array, Spec, check_array
from pipeline.clip import Absent, Clip
from pipeline.stage import Demand, Outputs, Resources, Stage, StageOptions
from stages.flow_raft import RaftFlow, weights_file
from stages.half import to_half

if TYPE_CHECKING:
    from stages.device_flow.dis import Stretch, TorchDis

MOST_SHORT_SIDES_PER_S = 1_000.0
"""Larger values are meaningless and would overflow float16."""

FINEST_SCALE = 1
"""DIS works at half of its input. At a quarter of one twice as large, the preset's own, it is as exact and slower."""
REFINEMENTS = 4
"""Rounds of variational refinement, most of DIS's time; the preset's five are not more exact at this scale."""
RAFT_SCALE = 2
LEAST_PX = 64
"""OpenCV 5.0's DIS crashes the process on wide pictures less than 32 px high."""


class FlowOptions(StageOptions, frozen=True, kw_only=True):
    method: Literal["dis", "raft", "dis-torch"] = "dis"
    """"dis-torch" is DIS for a GPU, many pairs at once; "raft" is more accurate. Both are slow without a GPU."""
    weights: str = ""
    """For "raft": `raft-small.pth` as published, the same as safetensors, or a folder with one of them."""
    short_side_px: int = 112
    """Of the flow. DIS of both kinds sees frames at this size and works at half of it, RAFT at twice this size. Smaller
    is faster and loses detail."""
    least_agreement: float = 0.65
    """Correlation between a frame and the next one, warped back by the flow, below which the pair is a scene cut."""


class Flow(Stage):
    """Optical flow by DIS (Kroeger et al. 2016, "Fast optical flow using dense inverse search"), preset "fast", in
    OpenCV or in PyTorch, or by RAFT-small (Teed & Deng 2020).

    Pair p ends at frame `p + T - P` and starts at the frame before it: P = T with a usable previous frame, else
    P = T - 1. The value at a pixel is the motion of the content that the *earlier* frame has there. A pair across a
    scene cut is all zeros: its motion is unknown.
    """

    required = ("frames", "frame_times_ns")
    optional = ("previous_frame", "previous_time_ns")
    Options = FlowOptions
    options: FlowOptions

    @property
    def preload(self) -> tuple[str, ...]:
        return ("cv2",) if self.options.method == "dis" else ("cv2", "torch")

    def gives(self) -> dict[str, Spec]:
        pixels = min(self.options.short_side_px, self.budget.short_side_px) * self.budget.long_side_px
        return {"flow": Spec("float16", "P h w 2", max_bytes=self.budget.frames * pixels * 2 * 2)}

    def demand(self) -> Demand:
        scale = RAFT_SCALE if self.options.method == "raft" else 1
        return Demand(short_side_px=scale * self.options.short_side_px)

    def check(self) -> None:
        if self.options.method == "raft":
            weights_file(self.options.weights)
        if self.options.method != "dis":
            check_engine(self.run)

    @cached_property
    def _raft(self) -> RaftFlow | None:
        return RaftFlow(self.options.weights, self.run) if self.options.method == "raft" else None

    @cached_property
    def _torch_dis(self) -> "TorchDis | None":
        if self.options.method != "dis-torch":
            return None
        from stages.device_flow.dis import TorchDis

        return TorchDis(self.run, self.options.least_agreement, MOST_SHORT_SIDES_PER_S)

    def prepare(self, report: Callable[[str], None]) -> None:
        if self._raft:
            self._raft.prepare(report)

    def improve(self, report: Callable[[str], None]) -> bool:
        return self._raft is not None and self._raft.improve(report)

    def open(self, resources: Resources) -> None:
        cv2.setNumThreads(self.run.threads)
        if self._raft:
            self._raft.open(resources)
        if self._torch_dis:
            self._torch_dis.open(resources)

    @cached_property
    def _search(self) -> Any:
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        search.setFinestScale(FINEST_SCALE)
        search.setVariationalRefinementIterations(REFINEMENTS)
        return search

    def process(self, clip: Clip) -> Outputs:
        return self.process_many([clip])[0]

    def process_many(self, clips: Sequence[Clip]) -> list[Outputs]:
        """Only "dis-torch" is faster with several clips."""
        absent = [self._absent(clip) for clip in clips]
        flows = iter(self._flows([clip for clip, reason in zip(clips, absent, strict=True) if not reason]))
        return [{"flow": reason or next(flows)} for reason in absent]

    def _absent(self, clip: Clip) -> Absent | None:
        if self.run.key_frames:
            return Absent("key_frames")
        if self.run.follow == "none" and "motion" not in self.run.modalities:
            return Absent("not_asked")
        frames = len(clip["frames"]) + (usable_previous(clip) is not None)
        return Absent("too_short") if frames < 2 else None

    def _flows(self, clips: Sequence[Clip]) -> list[Array]:
        """Flow of each clip: float16 "P h w 2"."""
        if self._torch_dis:
            return self._torch_dis.flows([self._stretch(clip) for clip in clips])
        return [self._flow(clip) for clip in clips]

    def _stretch(self, clip: Clip) -> "Stretch":
        from stages.device_flow.dis import Stretch

        frames = clip["frames"]
        size = size_at(frames.shape[1], frames.shape[2], self.options.short_side_px)
        return Stretch(frames, usable_previous(clip), steps_s(with_previous(clip)[1]), *size)

    def _flow(self, clip: Clip) -> Array:
        frames, times_ns = with_previous(clip)
        seconds = steps_s(times_ns)
        grey = [grey_at(frame, self.options.short_side_px) for frame in frames]
        shifts_px = self._shifts(frames, grey)
        is_cut = agreement(grey, shifts_px) < self.options.least_agreement
        flow = shifts_px / (min(grey[0].shape) * seconds[:, None, None, None])
        flow[is_cut] = 0
        return to_half(np.clip(flow, -MOST_SHORT_SIDES_PER_S, MOST_SHORT_SIDES_PER_S))

    def _shifts(self, frames: Sequence[Array], grey: Sequence[Array]) -> Array:
        """float32 "P h w 2": displacements in pixels of the grey pictures, which have the same size."""
        if not self._raft:
            return np.stack([self._dis(*pair) for pair in pairwise(grey)])
        height, width = grey[0].shape
        scale = min(RAFT_SCALE, min(frames[0].shape[:2]) / min(height, width))
        found = self._raft.shifts(frames, round(scale * width), round(scale * height)) / np.float32(scale)
        return np.stack([cv2.resize(shift, (width, height), interpolation=cv2.INTER_AREA) for shift in found])

    def _dis(self, before: Array, after: Array) -> Array:
        """Two pictures uint8 "H W" -> float32 "H W 2": displacements in pixels."""
        height, width = before.shape
        shift_px = self._search.calc(at_least(before, LEAST_PX), at_least(after, LEAST_PX), None)
        return np.ascontiguousarray(shift_px[:height, :width])

    def describe(self) -> dict[str, str]:
        by = "opencv-dis-fast"
        if self._raft:
            by = f"raft-small-{self._raft.engine.name}"
        if self._torch_dis:
            by = f"dis-torch-{self._torch_dis.device}"
        return {"flow": f"{by}@{self.options.short_side_px}"}


def usable_previous(clip: Clip) -> Array | None:
    """The last frame of the previous clip, if it has the size of this one's and its time is known."""
    check_array("frames", clip["frames"], "T H W 3", "uint8")
    previous: Array | None = clip.get("previous_frame")
    if previous is None or clip.get("previous_time_ns") is None or previous.shape != clip["frames"].shape[1:]:
        return None
    return previous


def with_previous(clip: Clip) -> tuple[list[Array], Array]:
    """Frames of the clip and their times, preceded by the usable last frame of the previous clip."""
    previous, frames, times_ns = usable_previous(clip), clip["frames"], clip["frame_times_ns"]
    check_array("frame_times_ns", times_ns, "T", "int64")
    if previous is None:
        return list(frames), times_ns
    return [previous, *frames], np.concatenate([clip["previous_time_ns"], times_ns])


def steps_s(times_ns: Array) -> Array:
    """Seconds between frames: float64 "P".

    Raises: ValueError: they are not all positive.
    """
    steps: Array = np.diff(times_ns) / 1e9
    if steps.min() <= 0:
        raise ValueError(f"frame_times_ns must increase, got steps down to {steps.min():.6f} s")
    return steps


def grey_at(frame: Array, short_side_px: int) -> Array:
    """RGB uint8 "H W 3" -> grey uint8 with at most this short side."""
    height, width = frame.shape[:2]
    grey: Array = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)
    rows, columns = size_at(height, width, short_side_px)
    if (rows, columns) == (height, width):
        return grey
    smaller: Array = cv2.resize(grey, (columns, rows), interpolation=cv2.INTER_AREA)
    return smaller


def size_at(height: int, width: int, short_side_px: int) -> tuple[int, int]:
    """Height and width with at most this short side."""
    scale = min(1.0, short_side_px / min(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def at_least(grey: Array, side_px: int) -> Array:
    """The picture with its last row and column repeated until both sides are at least `side_px`."""
    pad = [(0, max(0, side_px - side)) for side in grey.shape]
    return np.pad(grey, pad, mode="edge") if any(after for _, after in pad) else grey


def agreement(grey: Sequence[Array], shifts_px: Array) -> Array:
    """Correlation in [-1, 1] of each frame with the next one, warped back by the flow between them: float32 "P".

    grey: P + 1 pictures uint8 "h w"; shifts_px: float32 "P h w 2". Both are compared at half their size. Near 1 if the
    flow explains the change, near 0 across a scene cut, and 1 for pictures without contrast.
    """
    height, width = (max(1, side // 2) for side in shifts_px.shape[1:3])
    size = width, height
    small = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32) for picture in grey]
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    found = np.ones(len(shifts_px), np.float32)
    for pair, shift in enumerate(shifts_px):
        there = cv2.resize(shift, size, interpolation=cv2.INTER_AREA) / 2
        back = cv2.remap(
            small[pair + 1], x + there[..., 0], y + there[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        a, b = (each - each.mean() for each in (small[pair], back))
        power = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
        if power > height * width:
            found[pair] = float((a * b).sum()) / power
    return found

"""Optical flow by RAFT-small, through the engine layer."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import cv2
import msgspec
import numpy as np

from engines.backends.table import device_of
from engines.models.network import NETWORKS
from pipeline.arrays import Array
from pipeline.errors import ConfigError, ModelError
from pipeline.stage import RunSettings
from stages.built_network import BuiltNetwork

STEP_PX = 8
LEAST_PX, MOST_PX = NETWORKS["raft_small"].ranges["W"]
"""Least and largest side of the network's input. Sides are multiples of `STEP_PX`."""
NAMES = ("raft-small.safetensors", "raft-small.pth")
HOW = "--set flow.weights=path/to/raft-small.pth (among the models of github.com/princeton-vl/RAFT)"


class RaftFlow(BuiltNetwork):
    def __init__(self, weights: str, run: RunSettings) -> None:
        super().__init__("raft_small", str(weights_file(weights)), run, "flow")

    @cached_property
    def settings(self) -> RunSettings:
        """Always fp32 on the CPU: there the runtime decides what is bf16 and rounds coordinates too, so the flow is off
        by 0.2 to 0.4 px. On a GPU the graph decides."""
        return msgspec.structs.replace(self.run, precision="fp32") if device_of(self.run) == "cpu" else self.run

    def shifts(self, frames: Sequence[Array], width: int, height: int) -> Array:
        """T frames RGB uint8 "H W 3" -> float32 "T-1 h w 2": shifts at this size, in its pixels. One engine call."""
        pictures, size = network_pictures(frames, width, height)
        shifts = self.engine.run({"before": pictures[:-1], "after": pictures[1:]})["flow"]
        inside = shifts[:, :, : size[1], : size[0]].transpose(0, 2, 3, 1)
        scale = np.array([width / size[0], height / size[1]], np.float32)
        return np.stack([resized(np.ascontiguousarray(pair), width, height) for pair in inside]) * scale


def network_pictures(frames: Sequence[Array], width: int, height: int) -> tuple[Array, tuple[int, int]]:
    """The network's input from frames resized to this size: float32 "T 3 H W" in [-1, 1]; and the size before padding.

    Smaller if a side would be too long. Padding repeats the last row and column up to a multiple of 8.
    """
    scale = min(1.0, MOST_PX / max(width, height))
    size = max(1, int(width * scale)), max(1, int(height * scale))
    small = np.stack([resized(frame, *size) for frame in frames])
    to_right, down = (max(LEAST_PX, -(-side // STEP_PX) * STEP_PX) - side for side in size)
    padded = np.pad(small, [(0, 0), (0, down), (0, to_right), (0, 0)], mode="edge")
    return np.ascontiguousarray(padded.transpose(0, 3, 1, 2), np.float32) / np.float32(127.5) - np.float32(1), size


def resized(picture: Array, width: int, height: int) -> Array:
    """The picture "H W C" at this size."""
    if picture.shape[:2] == (height, width):
        return picture
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), (width, height), interpolation=cv2.INTER_AREA))


def weights_file(weights: str) -> Path:
    """The file of published weights: `weights` itself, or the file in that folder.

    Raises:
        ConfigError: `weights` is empty.
        ModelError: the file does not exist.
    """
    if not weights:
        raise ConfigError(f"--flow raft: needs the published weights. Give them: {HOW}")
    path = Path(weights).expanduser().absolute()
    found = [path / name for name in NAMES if (path / name).is_file()] if path.is_dir() else [path]
    if not found or not found[0].is_file():
        raise ModelError(
            f"flow.weights: {path} is not a file, nor a folder with {' or '.join(NAMES)}. Give the weights: {HOW}"
        )
    return found[0]

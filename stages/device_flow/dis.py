"""Optical flow by dense inverse search in PyTorch, of all pairs of a batch of clips at once, on a GPU or a CPU."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.backends.table import device_of
from engines.devices.device import Uploader, open_uploader
from pipeline.arrays import Array
from pipeline.stage import Resources, RunSettings
from stages.device_flow.grey import SHORTEST_PX, at_least, grey, scaled, warped
from stages.device_flow.refinement import refined
from stages.device_flow.search import PATCH_PX, searched

FINEST_SCALE = 1
"""Shifts are searched down to half of the pictures' size."""
COARSEST_PATCHES = 1.25
"""The long side of the pictures at the coarsest scale, in patches; up to twice as many. One scale more than in OpenCV:
content that moves by a tenth of the picture is followed better."""
FINEST_REFINEMENTS = 2


class Stretch(NamedTuple):
    """The frames of a clip."""

    frames: Array
    """uint8 "T H W 3"."""
    previous: Array | None
    """The frame before them, uint8 "H W 3"."""
    seconds: Array
    """Between neighbouring frames: "P"."""
    height: int
    """Of the flow, and of the pictures that it is found in."""
    width: int


class TorchDis:
    """The method "dis-torch" of the flow stage.

    least_agreement: pairs that agree less are scene cuts. limit: the largest flow.
    """

    def __init__(self, run: RunSettings, least_agreement: float, limit: float) -> None:
        self.run = run
        self.least_agreement = least_agreement
        self.limit = limit

    def open(self, resources: Resources) -> None:
        device = device_of(self.run)
        self._uploader: Uploader = resources.get(("uploader", device), partial(open_uploader, device, resources.memory))

    @property
    def device(self) -> str:
        return self._uploader.device

    def flows(self, stretches: Sequence[Stretch]) -> list[Array]:
        """Flow float16 "P h w 2" of each stretch, in short sides per second; together if their sizes are the same."""
        alike: dict[tuple[int, int], list[int]] = {}
        for number, stretch in enumerate(stretches):
            alike.setdefault((stretch.height, stretch.width), []).append(number)
        flows: dict[int, Array] = {}
        try:
            with torch.inference_mode(), one_thread():
                for numbers in alike.values():
                    found = self._together([stretches[number] for number in numbers])
                    flows |= dict(zip(numbers, found, strict=True))
        finally:  # the slots may be reused after this
            self._uploader.wait_copied()
        return [flows[number] for number in range(len(stretches))]

    def _together(self, stretches: Sequence[Stretch]) -> list[Array]:
        pictures = [self._pictures(stretch) for stretch in stretches]
        before, after = torch.cat([each[:-1] for each in pictures]), torch.cat([each[1:] for each in pictures])
        seconds = np.concatenate([stretch.seconds for stretch in stretches]).astype(np.float32)
        shifts_px = shifts(before, after)
        flow = shifts_px / (min(shifts_px.shape[2:]) * self._uploader.upload(seconds))[:, None, None, None]
        is_followed = agreement(before, after, shifts_px) >= self.least_agreement
        flow = torch.where(is_followed[:, None, None, None], flow, 0).clamp(-self.limit, self.limit)
        whole = flow.permute(0, 2, 3, 1).half().contiguous().cpu().numpy()
        return np.split(whole, np.cumsum([len(stretch.seconds) for stretch in stretches])[:-1])

    def _pictures(self, stretch: Stretch) -> Tensor:
        """Grey pictures "P+1 h w"."""
        size = stretch.height, stretch.width
        pictures = grey(self._uploader.hold(stretch.frames), *size)
        if stretch.previous is None:
            return pictures
        return torch.cat([grey(self._uploader.upload(stretch.previous)[None], *size), pictures])


@contextmanager
def one_thread() -> Iterator[None]:
    """On a CPU, threads wait for each other longer than they compute: the pictures are small, and the steps many."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def shifts(before: Tensor, after: Tensor) -> Tensor:
    """Displacements "P 2 h w" in pixels between grey pictures float32 "P h w", from coarse to fine."""
    height, width = before.shape[1:]
    before, after = (at_least(pictures, SHORTEST_PX << FINEST_SCALE) for pictures in (before, after))
    rows, columns = before.shape[1:]
    coarsest = max(FINEST_SCALE, int(math.log2(max(rows, columns) / (COARSEST_PATCHES * PATCH_PX))))
    found = before.new_zeros((len(before), 2, 1, 1))
    for scale in range(coarsest, FINEST_SCALE - 1, -1):
        size = [max(SHORTEST_PX, round(side / 2**scale)) for side in (rows, columns)]
        pair = scaled(before, *size), scaled(after, *size)
        found = searched(*pair, _enlarged(found, size))
        for _ in range(FINEST_REFINEMENTS if scale == FINEST_SCALE else 1):
            found = refined(*pair, found)
    return _enlarged(found, [rows, columns])[:, :, :height, :width]


def _enlarged(shifts_px: Tensor, size: Sequence[int]) -> Tensor:
    """Shifts "P 2 h w" at another size, in its pixels."""
    height, width = shifts_px.shape[2:]
    at_size = F.interpolate(shifts_px, list(size), mode="bilinear", align_corners=False)
    return torch.cat([at_size[:, :1] * (size[1] / width), at_size[:, 1:] * (size[0] / height)], 1)


def agreement(before: Tensor, after: Tensor, shifts_px: Tensor) -> Tensor:
    """Correlation "P" of pictures "P h w" with the next ones, warped back: see `stages.flow.agreement`."""
    height, width = (max(1, side // 2) for side in before.shape[1:])
    down, right = before.shape[1] / height, before.shape[2] / width
    there = torch.stack([scaled(shifts_px[:, 0], height, width) / right, scaled(shifts_px[:, 1], height, width) / down])
    first, second = scaled(before, height, width), scaled(after, height, width)
    a, b = (each.flatten(1) - each.mean((1, 2))[:, None] for each in (first, warped(second, there.transpose(0, 1))))
    power = ((a * a).sum(1) * (b * b).sum(1)).sqrt()
    return torch.where(power > height * width, (a * b).sum(1) / power, 1)

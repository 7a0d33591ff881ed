"""Dense inverse search at one scale, for all patches of many pairs of pictures at once.

Kroeger et al. 2016, "Fast optical flow using dense inverse search", section 2: patches on a grid descend to where
their content went (inverse compositional, means taken off), and their shifts are blended. OpenCV goes through the
patches in order and hands good shifts on; here, each first tries those of its neighbours.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.device_flow.grey import sampled, slopes

PATCH_PX, STRIDE_PX = 8, 4
ROUNDS, STEPS = 2, 4
"""Patches try their neighbours' shifts and then descend by so many steps; this many times."""
LEAST_POWER = 4.0
"""Squared slopes that every patch has at least: one without structure stays where it is."""
LEAST_DIFFERENCE = 1.0
"""In grey levels: pixels that fit better count alike in the blend."""


class Patches(NamedTuple):
    """A grid of patches; N is their number, A that of the pixels in one."""

    rows: int
    columns: int
    x: Tensor
    """ "N A", as y: places of the pixels."""
    y: Tensor


@lru_cache(maxsize=64)
def patches(height: int, width: int, device: torch.device) -> Patches:
    """Patches that cover a picture; the last ones may go beyond it."""
    rows, columns = (max(0, -(-(side - PATCH_PX) // STRIDE_PX)) + 1 for side in (height, width))
    inside = torch.arange(PATCH_PX, device=device)
    left, top = (torch.arange(count, device=device) * STRIDE_PX for count in (columns, rows))
    shape = rows, columns, PATCH_PX, PATCH_PX
    x = (left[:, None, None] + inside).expand(shape).reshape(rows * columns, -1)
    y = (top[:, None, None, None] + inside[:, None]).expand(shape).reshape(rows * columns, -1)
    return Patches(rows, columns, x, y)


def searched(before: Tensor, after: Tensor, start_px: Tensor) -> Tensor:
    """Shifts in pixels between pictures float32 "P H W", starting from "P 2 H W": the same shape."""
    grid = patches(before.shape[1], before.shape[2], before.device)
    middle = (PATCH_PX + 1) * PATCH_PX // 2
    y, x = grid.y[:, middle].clamp(max=before.shape[1] - 1), grid.x[:, middle].clamp(max=before.shape[2] - 1)
    begin = start_px[:, :, y, x]
    found = _descended(before, after, begin, grid)
    is_lost = torch.linalg.vector_norm(found - begin, dim=1, keepdim=True) > PATCH_PX
    return _blended(before, after, torch.where(is_lost, begin, found), grid)


def _descended(before: Tensor, after: Tensor, shifts: Tensor, grid: Patches) -> Tensor:
    """The best shifts "P 2 N" among the given ones, those of the neighbours, and those that a descent comes by."""
    content, right, down = (_centred(_cut(each, grid)) for each in (before, *slopes(before)))
    xx, xy, yy = (right * right).sum(-1), (right * down).sum(-1), (down * down).sum(-1)
    xx, yy = xx + LEAST_POWER, yy + LEAST_POWER
    size = xx * yy - xy * xy

    def difference(shifts: Tensor) -> Tensor:
        return _centred(_cut(after, grid, shifts)) - content

    def better(candidates: Tensor, differs: Tensor) -> tuple[Tensor, Tensor]:
        cost = (differs * differs).sum(-1)
        return torch.where((cost < least)[:, None], candidates, best), torch.minimum(cost, least)

    best, least = shifts, (difference(shifts) ** 2).sum(-1)
    for _ in range(ROUNDS):
        for theirs in _of_neighbours(best, grid):
            best, least = better(theirs, difference(theirs))
        at, differs = best, difference(best)
        for _ in range(STEPS):
            x, y = (right * differs).sum(-1), (down * differs).sum(-1)
            at = at - torch.stack([yy * x - xy * y, xx * y - xy * x], 1) / size[:, None]
            differs = difference(at)
            best, least = better(at, differs)
    return best


def _of_neighbours(shifts: Tensor, grid: Patches) -> Iterator[Tensor]:
    """The shifts "P 2 N" of the left, right, upper and lower neighbours."""
    padded = F.pad(shifts.reshape(len(shifts), 2, grid.rows, grid.columns), (1, 1, 1, 1), mode="replicate")
    for row, column in ((1, 0), (1, 2), (0, 1), (2, 1)):
        yield padded[:, :, row : row + grid.rows, column : column + grid.columns].flatten(2)


def _cut(pictures: Tensor, grid: Patches, shifts: Tensor | None = None) -> Tensor:
    """The patches of "P H W", moved by "P 2 N": "P N A"."""
    x, y = (grid.x, grid.y) if shifts is None else (grid.x + shifts[:, 0, :, None], grid.y + shifts[:, 1, :, None])
    return sampled(pictures, x.expand(len(pictures), -1, -1), y.expand(len(pictures), -1, -1))


def _centred(cut: Tensor) -> Tensor:
    return cut - cut.mean(-1, keepdim=True)


def _blended(before: Tensor, after: Tensor, shifts: Tensor, grid: Patches) -> Tensor:
    """The mean "P 2 H W" over the patches at each pixel, weighted by how little the pixel differs (equation 3)."""
    height, width = before.shape[1:]
    differs = (_cut(after, grid, shifts) - _cut(before, grid)).abs()
    weights = (1 / differs.clamp(min=LEAST_DIFFERENCE)).transpose(1, 2)
    weighted = torch.cat([weights, weights * shifts[:, None, 0], weights * shifts[:, None, 1]], 1)
    covered = tuple(PATCH_PX + STRIDE_PX * (count - 1) for count in (grid.rows, grid.columns))
    sums = F.fold(weighted, covered, PATCH_PX, stride=STRIDE_PX)[..., :height, :width]
    return sums[:, 1:] / sums[:, :1]

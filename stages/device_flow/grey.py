"""Grey pictures on a device, many at once: made from frames, scaled, sampled."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
SHORTEST_PX = 8
"""A picture has at least this many rows and columns at any scale; its last one is repeated."""


def grey(frames: Tensor, height: int, width: int) -> Tensor:
    """RGB uint8 "T H W 3" -> grey float32 "T h w" in [0, 255]."""
    return scaled(frames.float() @ torch.tensor(LUMA, device=frames.device), height, width)


def scaled(pictures: Tensor, height: int, width: int) -> Tensor:
    """ "P H W" -> "P h w": each pixel is the mean over its area, as with cv2.INTER_AREA."""
    rows, columns = pictures.shape[-2:]
    if (rows, columns) == (height, width):
        return pictures
    down, across = (_areas(*sides, pictures.device) for sides in ((rows, height), (columns, width)))
    return down @ pictures @ across.T


@lru_cache(maxsize=64)
def _areas(pixels: int, places: int, device: torch.device) -> Tensor:
    """How much each of the pixels counts in each of the places that share them equally: float32 "places pixels"."""
    edges = torch.arange(places + 1, dtype=torch.float64, device=device)[:, None] * (pixels / places)
    begins = torch.arange(pixels, dtype=torch.float64, device=device)
    covered = (torch.minimum(edges[1:], begins + 1) - torch.maximum(edges[:-1], begins)).clamp(min=0)
    return (covered / covered.sum(1, keepdim=True)).float()


def at_least(pictures: Tensor, side_px: int) -> Tensor:
    """The pictures "P H W" with the last row and column repeated until both sides are at least `side_px`."""
    down, right = (max(0, side_px - side) for side in pictures.shape[-2:])
    return F.pad(pictures, (0, right, 0, down), mode="replicate") if down or right else pictures


def sampled(pictures: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Bilinear samples of "P H W" at places "P A B" in pixels -> "P A B". Beyond the border its pixels are repeated."""
    height, width = pictures.shape[-2:]
    places = torch.stack([x * (2 / max(1, width - 1)) - 1, y * (2 / max(1, height - 1)) - 1], -1)
    return F.grid_sample(pictures[:, None], places, padding_mode="border", align_corners=True)[:, 0]


def warped(pictures: Tensor, shifts_px: Tensor) -> Tensor:
    """What the shifts "P 2 H W" point at in the pictures "P H W"."""
    height, width = pictures.shape[-2:]
    x, y = (torch.arange(side, device=pictures.device) for side in (width, height))
    return sampled(pictures, x + shifts_px[:, 0], y[:, None] + shifts_px[:, 1])


def slopes(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Grey levels per pixel, rightwards and downwards; at the border half of them, which makes flow there steadier."""
    around = F.pad(pictures, (1, 1, 1, 1), mode="replicate")
    right, down = around[:, 1:-1, 2:] - around[:, 1:-1, :-2], around[:, 2:, 1:-1] - around[:, :-2, 1:-1]
    return right / 2, down / 2

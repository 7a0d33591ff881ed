"""Position embeddings of vision transformers for pictures of another size or shape than in training."""

from typing import Any

import torch
from torch import Tensor, nn


def resized_positions(positions: Tensor, grid: tuple[int, int], apart: int) -> Tensor:
    """Resize a position embedding "N D" from a square grid to another grid.

    The first `apart` tokens (CLS) have no position in the grid and keep their embedding; the others are interpolated,
    bicubic with antialiasing, as in open_clip and LanguageBind. An unchanged grid returns the same tensor.
    """
    side = round((len(positions) - apart) ** 0.5)
    if grid == (side, side):
        return positions
    square = positions[apart:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    resized = nn.functional.interpolate(square, grid, mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([positions[:apart], resized.flatten(2)[0].T])


class SizedEmbeddings(nn.Module):
    """Replaces the embeddings of transformers' CLIP or SigLIP: pictures "B 3 H W" -> "B N D", for one H and W.

    Pixels beyond the last complete patch are not used.
    """

    def __init__(self, theirs: Any, size: tuple[int, int]) -> None:
        super().__init__()
        self.patch_embedding = theirs.patch_embedding
        patch: int = theirs.patch_embedding.kernel_size[0]
        kept = getattr(theirs, "class_embedding", None)
        self.first = None if kept is None else nn.Parameter(kept.detach().reshape(1, 1, -1), requires_grad=False)
        grid = size[0] // patch, size[1] // patch
        positions = resized_positions(theirs.position_embedding.weight.detach(), grid, 0 if kept is None else 1)
        self.positions = nn.Parameter(positions, requires_grad=False)

    def forward(self, pixel_values: Tensor, interpolate_pos_encoding: bool = False) -> Tensor:
        tokens = self.patch_embedding(pixel_values).flatten(2).transpose(1, 2)
        if self.first is not None:
            tokens = torch.cat([self.first.expand(tokens.shape[0], -1, -1), tokens], 1)
        placed: Tensor = tokens + self.positions
        return placed

"""What captions teach a tower. The recipe of the bundled picture tower uses the same losses."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

WEIGHTS: Mapping[str, float] = MappingProxyType({"captions": 1.0, "cosine": 1.0})
"""Weight of each loss in the sum."""
TEMPERATURE = 0.07
"""Of InfoNCE at first. It is learnt with the weights, and is no part of the model."""
MASKED = -1e4


def caption_losses(
    vectors: Tensor, texts: Tensor, sharpness: Tensor, items: Tensor, captions: Tensor
) -> dict[str, Tensor]:
    """Losses of unit vectors "B D" of pictures or sounds, with the unit vectors of a caption of each, "B D".

    captions: InfoNCE in both directions (CLIP, Radford et al. 2021, arXiv 2103.00020). cosine: 1 - the cosine of each
    pair. Both in float32, even under autocast.

    sharpness: by which cosines are multiplied in InfoNCE, a number.
    items, captions: int64 "B", which item and which caption each row is. Rows of the same item, or of the same caption,
        are no wrong answers for each other.
    """
    with torch.autocast(vectors.device.type, enabled=False):
        vectors, texts = vectors.float(), texts.float()
        right = torch.arange(len(vectors), device=vectors.device)
        same = (items[:, None] == items) | (captions[:, None] == captions)
        near = (vectors @ texts.T * sharpness).masked_fill(same & (right[:, None] != right), MASKED)
        both = functional.cross_entropy(near, right) + functional.cross_entropy(near.T, right)
        return {"captions": both / 2, "cosine": (1 - (vectors * texts).sum(1)).mean()}


def centred(vectors: Tensor, center: Tensor) -> Tensor:
    """Text vectors "N D" with the centre "D" subtracted, at unit length."""
    return functional.normalize(vectors - center, dim=-1)

"""Transparency: pictures with an alpha channel are shown on black, as players do.

The colour under transparent pixels is arbitrary, often left over from editing, and FFmpeg's conversion to RGB shows it.
Black suits both kinds of alpha: straight colours are multiplied by alpha; premultiplied ones contain that factor
already, so a second one only darkens soft edges. A picture that is transparent everywhere has an alpha channel that
nobody filled, as some screen recorders write it, and is shown as if opaque.

HEVC and WebM (VP8, VP9) keep alpha in a second layer or stream, which FFmpeg's decoders leave out by default: their
colours are shown as stored. Those of HEVC are usually premultiplied, which is the same as on black.
"""

from functools import lru_cache

import av
import numpy as np

from pipeline.arrays import Array


@lru_cache(maxsize=256)
def has_alpha(pixel_format: str) -> bool:
    """Whether an FFmpeg pixel format has a channel for alpha, or a palette, which can have transparent entries."""
    described = av.VideoFormat(pixel_format)
    return bool(described.has_palette) or any(component.is_alpha for component in described.components)


def on_black(rgba: Array, white: int, opaque: int) -> Array | None:
    """Colours multiplied by alpha: "H W 4" -> "H W 3" with full white at the type's largest value.

    None if the picture is opaque, or transparent everywhere. `white` and `opaque` are the largest colour and alpha.
    """
    alpha = rgba[:, :, 3]
    if alpha.min() >= opaque or not alpha.any():
        return None
    largest = np.iinfo(rgba.dtype).max
    shares = alpha * np.float32(largest / (white * opaque))
    mixed: Array = np.minimum(rgba[:, :, :3] * shares[:, :, None] + np.float32(0.5), largest).astype(rgba.dtype)
    return mixed

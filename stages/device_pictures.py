"""Network inputs from frames, flow, spectrograms and crops, made on the device from the arrays in the slot.

The pictures equal those of `stages.pictures` within one grey level if a picture is shrunk, two if it is enlarged.
Frames are uploaded as uint8, a quarter of the bytes of float32 pictures. Everything here also runs on the CPU, but
slower than `stages.pictures`.
"""

from typing import TYPE_CHECKING

import numpy as np

from engines.devices.device import Uploader
from engines.models.model import TowerSpec
from pipeline.arrays import Array
from stages.fit import fit_of
from stages.pictures import BLUR_PX, LOUD_LOG_MEL, crop_margin, evenly_or_repeated, inside_of, square_around

if TYPE_CHECKING:
    from torch import Tensor


def box_tensor(tower: TowerSpec, frames: Array, boxes: Array, uploader: Uploader) -> "Tensor":
    """Crops of boxes "C 5" (frame index, x0, y0, x1, y1) from frames uint8 "T H W 3": float32 "C 3 S S"."""
    used, which = np.unique(boxes[:, 0].astype(np.int64), return_inverse=True)
    pixels = _pixels(uploader.upload(frames, used))
    size = tower.size_px
    crops = pixels.new_empty((len(boxes), 3, size, size))
    for place, (row, box) in enumerate(zip(which, boxes, strict=True)):
        square = x0, y0, x1, y1 = square_around(box[1:5], frames.shape[1], frames.shape[2], crop_margin(tower))
        crop = _resized(pixels[row : row + 1, :, y0:y1, x0:x1], size, size, tower.resample)
        if tower.surroundings == "blurred":
            crop = _with_blurred_surroundings(crop, inside_of(box[1:5], square, size))
        crops[place] = crop[0]
    return _normalised(crops, tower)


def _with_blurred_surroundings(crop: "Tensor", inside: tuple[slice, slice]) -> "Tensor":
    from torch.nn.functional import interpolate

    places = max(1, crop.shape[-1] // BLUR_PX)
    cells = interpolate(crop, (places, places), mode="area").round()
    blurred = interpolate(cells, crop.shape[2:], mode="bilinear").round()
    blurred[..., inside[0], inside[1]] = crop[..., inside[0], inside[1]]
    return blurred


def frame_pictures(frames: "Tensor", tower: TowerSpec) -> "Tensor":
    """Frames uint8 "T H W 3" -> float32 "N 3 S S"; N is T, except for `fit = "tiles"`."""
    return _normalised(_fitted(_pixels(frames), tower), tower)


def flow_pictures(flow: "Tensor", tower: TowerSpec) -> "Tensor":
    """Flow float16 "P h w 2" in short sides per second -> float32 "P 3 S S"."""
    import torch

    bound, motion = tower.flow_bound, flow.permute(0, 3, 1, 2).float()
    speed = torch.hypot(motion[:, :1], motion[:, 1:])
    pictures = torch.cat([(motion.clamp(-bound, bound) + bound) / (2 * bound), (speed / bound).clamp(max=1)], 1)
    return _normalised(_fitted((pictures * 255).round(), tower), tower)


def flow_clips(flow: "Tensor", tower: TowerSpec) -> "Tensor":
    """Flow float16 "P h w 2", at most `pictures_per_clip` pairs -> float32 "1 T 3 S S"."""
    import torch

    rows = torch.from_numpy(evenly_or_repeated(tower.pictures_per_clip, len(flow))).to(flow.device)
    return flow_pictures(flow, tower)[rows][None]


def log_mel_pictures(log_mel: "Tensor", tower: TowerSpec) -> "Tensor":
    """Log-mel patches float32 "K B M" -> float32 "K 3 S S"."""
    from msgspec.structs import replace

    floor = float(np.log(tower.mel.log_offset if tower.mel else 1e-3))
    grey = (((log_mel - floor) / (LOUD_LOG_MEL - floor)).clamp(0, 1) * 255).round()
    upright = grey.transpose(1, 2).flip(1)[:, None].expand(-1, 3, -1, -1)
    return _normalised(_fitted(upright, replace(tower, fit="stretch")), tower)


def log_mel_chunks(log_mel: "Tensor", tower: TowerSpec) -> "Tensor":
    """Front, middle and back of a sound, float32 "3 B M" -> one picture float32 "1 3 M B"."""
    import torch

    mean, std = (torch.tensor(values).to(log_mel).reshape(3, 1, 1) for values in (tower.mean, tower.std))
    picture: Tensor = (log_mel.transpose(1, 2) - mean) / std
    return picture[None]


def _fitted(pixels: "Tensor", tower: TowerSpec) -> "Tensor":
    """Pixels float32 "N 3 H W", integer values from 0 to 255 -> "M 3 S S" by the tower's `fit`."""
    import torch

    size, fit = tower.size_px, fit_of(pixels.shape[-2], pixels.shape[-1], tower)
    scaled = _resized(pixels, fit.height, fit.width, tower.resample)
    if fit.is_padded:
        fill = torch.tensor(tower.mean).mul(255).round().to(pixels)
        square = fill[None, :, None, None].repeat(len(pixels), 1, size, size)
        top, left = (-start for start in fit.corners[0])
        square[..., top : top + fit.height, left : left + fit.width] = scaled
        return square
    squares = [scaled[..., top : top + size, left : left + size] for top, left in fit.corners]
    return torch.stack(squares, 1).flatten(0, 1)


def _pixels(frames: "Tensor") -> "Tensor":
    """uint8 "T H W 3" -> float32 "T 3 H W", integer values from 0 to 255."""
    return frames.permute(0, 3, 1, 2).float()


def _resized(pixels: "Tensor", height: int, width: int, how: str) -> "Tensor":
    """Resized with antialiasing, one axis after the other, each rounded to 8 bits, as PIL and torch do with uint8.

    GPUs cannot resize uint8. Resizing both axes at once differs by up to 18 grey levels, because overshoot is not
    clipped between them; kornia's `resize` (a Gaussian, then plain interpolation) differs by up to 82.
    """
    from torch.nn.functional import interpolate

    for shape in ((pixels.shape[-2], width), (height, width)):
        if pixels.shape[-2:] != shape:
            pixels = interpolate(pixels, shape, mode=how, antialias=True, align_corners=False)
            pixels = pixels.add_(0.5).floor_().clamp_(0, 255)  # halves round up, as in integer arithmetic
    return pixels


def _normalised(pixels: "Tensor", tower: TowerSpec) -> "Tensor":
    """Integer values from 0 to 255 -> (pixel / 255 - mean) / std."""
    import torch
    from kornia.enhance import normalize

    normalised: Tensor = normalize(pixels, torch.tensor(tower.mean) * 255, torch.tensor(tower.std) * 255)
    return normalised

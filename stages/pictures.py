"""Pictures for a network, float32 "N 3 S S", from frames, flow, spectrograms and crops."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from engines.models.model import TowerSpec
from pipeline.arrays import Array
from stages.half import from_half

if TYPE_CHECKING:
    from torch import Tensor

    Resize = Callable[["Tensor", int, int, str], "Tensor"]
    """Called with pixels, height, width and the interpolation mode."""

CROP_PADDING = 0.1
"""Margin on each side of a box, as a share of its longer side, so that a crop shows some background."""
PARTS = 16
ALIKE = 4
LOUD_LOG_MEL = 5.0
"""Natural logarithm of the mel magnitude of a full-scale tone in a window of 400 samples; drawn as white."""


def evenly(count: int, of: int) -> Array:
    """Indices of `count` evenly spaced items out of `of`, or of all if there are fewer: int64 "N", ascending."""
    if of <= count:
        return np.arange(of)
    return ((np.arange(count) + 0.5) * of / count).astype(np.int64)


def evenly_or_repeated(count: int, of: int) -> Array:
    """The same, but always `count` indices: if there are fewer items, some are repeated in a row."""
    return ((np.arange(count) + 0.5) * of / count).astype(np.int64)


def without_repeats(frames: Sequence[Array]) -> tuple[list[int], Array]:
    """Which of the frames uint8 "H W 3" look different; and for each, where among those the one is that looks the same.

    Frames look the same if none of 16 x 16 parts differs by more than `ALIKE` levels in a colour. The mean over a part
    hides a sensor's noise. In 399 real clips, of four pictures each, the cosine between a clip's vectors with and
    without this is above 0.999 on average.
    """
    import cv2

    size = PARTS, PARTS
    small = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.int16) for frame in frames]
    distinct, which = list[int](), list[int]()
    for number, picture in enumerate(small):
        differences = [np.abs(picture - small[other]).max() for other in distinct]
        nearest = int(np.argmin(differences)) if differences else -1
        if nearest < 0 or differences[nearest] > ALIKE:
            nearest = len(distinct)
            distinct.append(number)
        which.append(nearest)
    return distinct, np.array(which)


def frame_pictures(frames: Array, tower: TowerSpec) -> Array:
    """Frames uint8 "T H W 3" -> float32 "N 3 S S" as transformers' own image processor makes them.

    N is T, except for `fit = "tiles"`: each frame then yields as many squares as cover it, one after the other.
    """
    if tower.fit == "crop" and not tower.resized_px:
        frames = _middle_if_sized(frames, tower.size_px)
    pixels = frames.transpose(0, 3, 1, 2)
    if tower.resized_px or pixels.shape[-2:] != (tower.size_px, tower.size_px):
        import torch

        pixels = fitted(torch.from_numpy(frames.copy()).permute(0, 3, 1, 2), tower).numpy()
    return _normalised(pixels, tower)


def flow_pictures(flow: Array, tower: TowerSpec) -> Array:
    """Flow float16 "P h w 2" in short sides per second -> float32 "P 3 S S".

    Red is motion to the right and green motion down, both with 0 at 127.5, `-flow_bound` at 0 and `flow_bound` at 255;
    blue is speed. The bound is fixed: one that depends on the picture would make a still scene look like motion.
    """
    if tower.fit == "crop" and not tower.resized_px:
        flow = _middle_if_sized(flow, tower.size_px)
    bound = tower.flow_bound
    motion = from_half(flow)
    speed = np.sqrt(np.square(motion[..., 0]) + np.square(motion[..., 1]))
    np.clip(motion, -bound, bound, out=motion)
    motion += bound
    motion *= 255 / (2 * bound)
    pictures = np.empty((*flow.shape[:3], 3), np.uint8)
    pictures[..., :2] = np.rint(motion, out=motion)
    pictures[..., 2] = np.rint(np.minimum(speed * np.float32(255 / bound), 255))
    return frame_pictures(pictures, tower)


def flow_clips(flow: Array, tower: TowerSpec) -> Array:
    """Flow float16 "P h w 2" -> float32 "1 T 3 S S": one input of T = `pictures_per_clip` pictures."""
    if len(flow) > tower.pictures_per_clip:
        return flow_pictures(flow[evenly(tower.pictures_per_clip, len(flow))], tower)[None]
    return flow_pictures(flow, tower)[None, evenly_or_repeated(tower.pictures_per_clip, len(flow))]


def log_mel_pictures(log_mel: Array, tower: TowerSpec) -> Array:
    """Log-mel patches float32 "K B M" -> float32 "K 3 S S": time to the right, high frequencies at the top, loud is
    white."""
    from msgspec.structs import replace

    floor = np.log(tower.mel.log_offset if tower.mel else 1e-3)
    grey = np.rint(np.clip((log_mel - floor) / (LOUD_LOG_MEL - floor), 0, 1) * 255).astype(np.uint8)
    upright = grey.transpose(0, 2, 1)[:, ::-1, :, None]
    return frame_pictures(np.repeat(upright, 3, axis=-1), replace(tower, fit="stretch"))


def log_mel_chunks(log_mel: Array, tower: TowerSpec) -> Array:
    """Front, middle and back of a sound, float32 "3 B M" -> one picture float32 "1 3 M B": time to the right, low
    frequencies at the top. It is (log-mel - mean) / std, with mean and std from `TowerSpec`, and never resized."""
    mean, std = (np.array(values, np.float32).reshape(3, 1, 1) for values in (tower.mean, tower.std))
    picture: Array = (log_mel.transpose(0, 2, 1) - mean) / std
    return picture[None]


def crop_pictures(frames: Array, boxes: Array, tower: TowerSpec) -> Array:
    """Crops of boxes "N 5" (frame index, x0, y0, x1, y1 in pixels of `frames`) from uint8 "T H W 3": float32 "N 3 S S".

    Each box is padded, widened to a square as far as the frame allows, and resized. Further columns are ignored.
    """
    import torch

    size = tower.size_px
    result = torch.empty((len(boxes), 3, size, size), dtype=torch.uint8)
    for index, box in enumerate(boxes):
        x0, y0, x1, y1 = square_around(box[1:5], frames.shape[1], frames.shape[2])
        cut = torch.from_numpy(frames[int(box[0]), y0:y1, x0:x1].copy()).permute(2, 0, 1)[None]
        result[index] = _resized(cut, size, size, tower.resample)[0]
    return _normalised(result.numpy(), tower)


def square_around(box: Array, height: int, width: int) -> tuple[int, int, int, int]:
    """A square around the padded box, x0, y0, x1, y1 in whole pixels, shifted or cut to stay inside the frame.

    Never empty, even for a box without area or outside the frame.
    """
    x0, y0, x1, y1 = (float(value) for value in box)
    side = max(x1 - x0, y1 - y0, 1.0) * (1 + 2 * CROP_PADDING)
    left, right = _span((x0 + x1) / 2, side, width)
    top, bottom = _span((y0 + y1) / 2, side, height)
    return left, top, right, bottom


def _span(middle: float, side: float, limit: int) -> tuple[int, int]:
    length = min(max(round(side), 2), limit)
    begin = min(max(round(middle - length / 2), 0), limit - length)
    return begin, begin + length


def _middle_if_sized(pictures: Array, size: int) -> Array:
    """The centre square of "N H W C" if its short side is already `size`, otherwise all of it. A view."""
    height, width = pictures.shape[1:3]
    if min(height, width) != size:
        return pictures
    top, left = (height - size) // 2, (width - size) // 2
    return pictures[:, top : top + size, left : left + size]


def fitted(pixels: "Tensor", tower: TowerSpec, resize: "Resize | None" = None) -> "Tensor":
    """Pixels "N 3 H W", integer values from 0 to 255 -> "M 3 S S" by the tower's `fit`, of the same dtype."""
    import torch

    height, width = pixels.shape[-2:]
    size, how, resize = tower.size_px, tower.resample, resize or _resized
    short, long = min(height, width), max(height, width)
    first = tower.resized_px or size
    if tower.fit == "stretch":
        return _middle(resize(pixels, first, first, how), size)
    if tower.fit == "pad":
        scaled = resize(pixels, max(1, size * height // long), max(1, size * width // long), how)
        fill = torch.tensor(tower.mean).mul(255).round().to(pixels)
        square = fill[None, :, None, None].repeat(len(pixels), 1, size, size)
        top, left = (size - scaled.shape[-2]) // 2, (size - scaled.shape[-1]) // 2
        square[..., top : top + scaled.shape[-2], left : left + scaled.shape[-1]] = scaled
        return square
    if tower.fit == "crop":
        return _middle(resize(pixels, first * height // short, first * width // short, how), size)
    scaled = resize(pixels, size * height // short, size * width // short, how)
    room, axis = max(scaled.shape[-2:]) - size, -1 if width >= height else -2
    starts = [round(start) for start in np.linspace(0, room, -(-room // size) + 1)]
    return torch.stack([scaled.narrow(axis, start, size) for start in starts], 1).flatten(0, 1)


def _middle(pixels: "Tensor", size: int) -> "Tensor":
    """The centre square of "N 3 H W". A view."""
    top, left = (pixels.shape[-2] - size) // 2, (pixels.shape[-1] - size) // 2
    return pixels[..., top : top + size, left : left + size]


def _resized(pixels: "Tensor", height: int, width: int, how: str) -> "Tensor":
    """uint8 "N 3 H W" resized with antialiasing and rounded to 8 bits between the axes, as PIL does."""
    from torch.nn.functional import interpolate

    if pixels.shape[-2:] == (height, width):
        return pixels
    return interpolate(pixels, (height, width), mode=how, antialias=True, align_corners=False)


def _normalised(pixels: Array, tower: TowerSpec) -> Array:
    """uint8 "N 3 S S" -> float32, (pixel / 255 - mean) / std."""
    mean, std = (np.array(values, np.float32).reshape(3, 1, 1) for values in (tower.mean, tower.std))
    result = np.empty(pixels.shape, np.float32)
    np.copyto(result, pixels)
    result *= 1 / (255 * std)
    result -= mean / std
    return result

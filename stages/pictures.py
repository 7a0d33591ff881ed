"""Pictures for a network, float32 "N 3 S S", from frames, flow, spectrograms and crops."""

from collections.abc import Sequence

import numpy as np

from engines.models.model import TowerSpec
from pipeline.arrays import Array
from stages.fit import fit_of
from stages.half import from_half

MARGIN = 0.1
"""On each side of a box that is read alone, as a share of its longer side: boxes are never quite right."""
BLUR_PX = 32
"""Of a crop's surroundings, what is in a square of this size becomes one place."""
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
    if tower.resized_px or frames.shape[1:3] != (tower.size_px, tower.size_px):
        frames = fitted(frames, tower)
    return _normalised(frames, tower)


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

    Each box is widened to a square as far as the frame allows, and resized. What is around it is shown, with a margin,
    or blurred, as the tower wants it: coarse boxes are named better so (FGVP, Yang et al. 2023, "Fine-grained visual
    prompting"). Further columns are ignored.
    """
    size = tower.size_px
    crops = np.empty((len(boxes), size, size, 3), np.uint8)
    for crop, box in zip(crops, boxes, strict=True):
        square = x0, y0, x1, y1 = square_around(box[1:5], frames.shape[1], frames.shape[2], crop_margin(tower))
        crop[:] = resized(frames[None, int(box[0]), y0:y1, x0:x1], size, size, tower.resample)[0]
        if tower.surroundings == "blurred":
            crop[:] = _with_blurred_surroundings(crop, inside_of(box[1:5], square, size))
    return _normalised(crops, tower)


def crop_margin(tower: TowerSpec) -> float:
    """How much of a crop's surroundings is shown on each side, as a share of the box's longer side."""
    return MARGIN if tower.surroundings == "shown" else 0.0


def square_around(box: Array, height: int, width: int, margin: float) -> tuple[int, int, int, int]:
    """A square around the box and its margin, x0, y0, x1, y1 in whole pixels, shifted or cut to stay inside the frame.

    Never empty, even for a box without area or outside the frame.
    """
    x0, y0, x1, y1 = (float(value) for value in box)
    side = max(x1 - x0, y1 - y0, 1.0) * (1 + 2 * margin)
    left, right = _span((x0 + x1) / 2, side, width)
    top, bottom = _span((y0 + y1) / 2, side, height)
    return left, top, right, bottom


def inside_of(box: Array, square: tuple[int, int, int, int], size: int) -> tuple[slice, slice]:
    """Rows and columns of the box and its margin in a crop "S S" of the square around it."""
    x0, y0, x1, y1 = (float(value) for value in box)
    left, top, right, bottom = square
    margin = MARGIN * max(x1 - x0, y1 - y0)
    rows, columns = (
        [min(max(round((edge - begin) * size / (end - begin)), 0), size) for edge in edges]
        for edges, begin, end in (((y0 - margin, y1 + margin), top, bottom), ((x0 - margin, x1 + margin), left, right))
    )
    return slice(*rows), slice(*columns)


def _with_blurred_surroundings(crop: Array, inside: tuple[slice, slice]) -> Array:
    import cv2

    places = max(1, len(crop) // BLUR_PX)
    cells = cv2.resize(crop, (places, places), interpolation=cv2.INTER_AREA)
    blurred: Array = cv2.resize(cells, crop.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    blurred[inside] = crop[inside]
    return blurred


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


def fitted(pictures: Array, tower: TowerSpec) -> Array:
    """Pictures uint8 "N H W 3" -> uint8 "M S S 3" by the tower's `fit`."""
    size, fit = tower.size_px, fit_of(pictures.shape[1], pictures.shape[2], tower)
    scaled = resized(pictures, fit.height, fit.width, tower.resample)
    squares = np.empty((len(pictures), len(fit.corners), size, size, 3), np.uint8)
    if fit.is_padded:
        squares[:] = np.rint(np.array(tower.mean) * 255)
    for square, (top, left) in enumerate(fit.corners):
        into, cut = squares[:, square, max(0, -top) :, max(0, -left) :], scaled[:, max(0, top) :, max(0, left) :]
        height, width = (min(sides) for sides in zip(into.shape[1:3], cut.shape[1:3], strict=True))
        into[:, :height, :width] = cut[:, :height, :width]
    return squares.reshape(-1, size, size, 3)


def resized(pictures: Array, height: int, width: int, how: str) -> Array:
    """uint8 "N H W 3" resized with antialiasing by Pillow: first each row, then each column, rounded to 8 bits between.

    PyTorch's `interpolate` gives the same within two levels, in a sixth of the time; but importing it takes seconds.
    Left to itself, Pillow 13 begins with the columns where that is quicker, which gives other pixels.
    """
    from PIL import Image

    if pictures.shape[1:3] == (height, width):
        return pictures
    way = Image.Resampling[how.upper()]
    made = np.empty((len(pictures), height, width, 3), np.uint8)
    for picture, into in zip(pictures, made, strict=True):
        rows = Image.fromarray(picture).resize((width, picture.shape[0]), way)
        into[:] = np.asarray(rows.resize((width, height), way))
    return made


def _normalised(pictures: Array, tower: TowerSpec) -> Array:
    """uint8 "N S S 3" -> float32 "N 3 S S", (pixel / 255 - mean) / std."""
    mean, std = (np.array(values, np.float32).reshape(3, 1, 1) for values in (tower.mean, tower.std))
    pixels = pictures.transpose(0, 3, 1, 2)
    result = np.empty(pixels.shape, np.float32)
    np.copyto(result, pixels)
    result *= 1 / (255 * std)
    result -= mean / std
    return result
